//! An instance as DescribeInstances and RunInstances show it.

use super::required::present;
use super::xml::Element;
use crate::ec2::{AttachedInterface, Instance, InstanceState, Tags};
use crate::error::Result;
use crate::types::{CardIndex, DeviceIndex, InterfaceType};

pub(super) fn read(instance: Element<'_>) -> Result<Instance> {
    let placement = present(instance.child("placement"), "Placement")?;
    let mut interfaces = instance
        .items("networkInterfaceSet")
        .map(attached_interface)
        .collect::<Result<Vec<_>>>()?;
    interfaces.sort_by_key(|interface| (interface.network_card_index, interface.device_index));
    let primary = interfaces.first();
    let of_primary = || primary.and_then(|primary| primary.ipv6_addresses.first().cloned());
    let ipv6_address = instance.non_empty("ipv6Address").or_else(of_primary);
    Ok(Instance {
        instance_id: present(instance.string("instanceId"), "InstanceId")?,
        instance_type: present(instance.string("instanceType"), "InstanceType")?,
        state: state(instance)?,
        state_reason: instance.child("stateReason").and_then(state_reason),
        image_id: instance.string("imageId").unwrap_or_default(),
        subnet_id: instance.non_empty("subnetId"),
        availability_zone: placement.string("availabilityZone").unwrap_or_default(),
        placement_group_name: placement.non_empty("groupName"),
        private_ip_address: instance.non_empty("privateIpAddress"),
        ipv6_address,
        public_ip_address: instance.non_empty("ipAddress"),
        imds_v2_required: instance
            .child("metadataOptions")
            .and_then(|options| options.child("httpTokens"))
            .is_some_and(|tokens| tokens.text() == "required"),
        lifecycle: instance.string("instanceLifecycle"),
        capacity_reservation_id: instance.non_empty("capacityReservationId"),
        iam_instance_profile_arn: instance
            .child("iamInstanceProfile")
            .and_then(|profile| profile.non_empty("arn")),
        launch_index: instance.value("amiLaunchIndex").unwrap_or(0),
        interfaces,
        tags: tags(instance),
    })
}

/// Of an instance, or of its status.
pub(super) fn state(of: Element<'_>) -> Result<InstanceState> {
    let state = of.child("instanceState");
    let name = present(state.and_then(|state| state.string("name")), "State.Name")?;
    Ok(InstanceState::from(name.as_str()))
}

fn tags(of: Element<'_>) -> Tags {
    of.items("tagSet")
        .filter_map(|tag| Some((tag.string("key")?, tag.string("value").unwrap_or_default())))
        .collect()
}

/// EC2's message, which begins with the code of the reason.
fn state_reason(reason: Element<'_>) -> Option<String> {
    match (reason.non_empty("code"), reason.non_empty("message")) {
        (Some(code), Some(message)) if !message.starts_with(&code) => {
            Some(format!("{code}: {message}"))
        }
        (code, message) => message.or(code),
    }
}

fn attached_interface(interface: Element<'_>) -> Result<AttachedInterface> {
    let attachment = present(interface.child("attachment"), "NetworkInterface.Attachment")?;
    // EC2 leaves the card out on types that have one.
    let card = match attachment.child("networkCardIndex") {
        Some(_) => present(attachment.value("networkCardIndex"), "NetworkCardIndex")?,
        None => 0,
    };
    let mut group_ids: Vec<String> = interface
        .items("groupSet")
        .filter_map(|group| group.string("groupId"))
        .collect();
    group_ids.sort();
    Ok(AttachedInterface {
        network_interface_id: present(
            interface.string("networkInterfaceId"),
            "NetworkInterfaceId",
        )?,
        network_card_index: CardIndex::new(card),
        device_index: DeviceIndex::new(present(attachment.value("deviceIndex"), "DeviceIndex")?),
        interface_type: InterfaceType::from(
            interface
                .string("interfaceType")
                .as_deref()
                .unwrap_or("interface"),
        ),
        subnet_id: interface.string("subnetId").unwrap_or_default(),
        group_ids,
        private_ip_address: interface.non_empty("privateIpAddress"),
        ipv6_addresses: interface
            .items("ipv6AddressesSet")
            .filter_map(|address| address.string("ipv6Address"))
            .collect(),
        public_ip: interface
            .child("association")
            .and_then(|association| association.non_empty("publicIp")),
        delete_on_termination: attachment.value("deleteOnTermination").unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::super::xml::Document;
    use super::*;

    const RUNNING: &str = "<instanceId>i-1</instanceId><instanceType>p5.48xlarge</instanceType>\
        <instanceState><code>16</code><name>running</name></instanceState>\
        <placement><availabilityZone>us-east-1a</availabilityZone><groupName/></placement>";

    fn read_text(fields: &str) -> Result<Instance> {
        read(
            Document::parse(&format!("<item>{fields}</item>"))
                .unwrap()
                .root(),
        )
    }

    #[test]
    fn an_instance_says_where_its_capacity_came_from() {
        let ours = read_text(&format!(
            "{RUNNING}<instanceLifecycle>capacity-block</instanceLifecycle>\
             <capacityReservationId>cr-1</capacityReservationId>\
             <iamInstanceProfile><arn>arn:1</arn></iamInstanceProfile>\
             <metadataOptions><httpTokens>required</httpTokens></metadataOptions>\
             <amiLaunchIndex>3</amiLaunchIndex><ipAddress>203.0.113.1</ipAddress>\
             <tagSet><item><key>a</key><value>b&amp;c</value></item><item><key>d</key><value/></item>\
             </tagSet><stateReason><code>Client.X</code><message>it ended</message></stateReason>"
        ))
        .unwrap();
        assert_eq!(ours.state, InstanceState::from("running"));
        assert_eq!(ours.lifecycle.as_deref(), Some("capacity-block"));
        assert_eq!(ours.capacity_reservation_id.as_deref(), Some("cr-1"));
        assert_eq!(ours.iam_instance_profile_arn.as_deref(), Some("arn:1"));
        assert_eq!(ours.public_ip_address.as_deref(), Some("203.0.113.1"));
        assert_eq!(ours.state_reason.as_deref(), Some("Client.X: it ended"));
        assert_eq!((ours.imds_v2_required, ours.launch_index), (true, 3));
        assert_eq!(ours.placement_group_name, None);
        let tags: Vec<_> = ours.tags.iter().map(|(k, v)| (&k[..], &v[..])).collect();
        assert_eq!(tags, [("a", "b&c"), ("d", "")]);
    }

    #[test]
    fn interfaces_are_sorted_by_card_and_device() {
        let interface = |id: &str, card: &str, device: u32| {
            format!(
                "<item><networkInterfaceId>{id}</networkInterfaceId><subnetId>subnet-1</subnetId>\
                 <groupSet><item><groupId>sg-2</groupId></item><item><groupId>sg-1</groupId></item>\
                 </groupSet><attachment>{card}<deviceIndex>{device}</deviceIndex>\
                 <deleteOnTermination>true</deleteOnTermination></attachment>\
                 <ipv6AddressesSet><item><ipv6Address>fd00::{device}</ipv6Address></item>\
                 </ipv6AddressesSet></item>"
            )
        };
        let second = interface("eni-2", "<networkCardIndex>1</networkCardIndex>", 1);
        let first = interface("eni-1", "", 0);
        let ours = read_text(&format!(
            "{RUNNING}<networkInterfaceSet>{second}{first}</networkInterfaceSet>"
        ))
        .unwrap();
        let ids: Vec<_> = ours
            .interfaces
            .iter()
            .map(|one| (&one.network_interface_id[..], one.network_card_index.get()))
            .collect();
        assert_eq!(ids, [("eni-1", 0), ("eni-2", 1)]);
        assert_eq!(ours.interfaces[0].group_ids, ["sg-1", "sg-2"]);
        assert!(ours.interfaces[1].delete_on_termination);
        assert_eq!(ours.ipv6_address.as_deref(), Some("fd00::0"));
        let wrong = interface("eni-3", "<networkCardIndex>-1</networkCardIndex>", 0);
        let error = read_text(&format!(
            "{RUNNING}<networkInterfaceSet>{wrong}</networkInterfaceSet>"
        ));
        assert!(error.unwrap_err().to_string().contains("NetworkCardIndex"));
    }

    #[test]
    fn what_ec2_always_says_is_demanded() {
        for (left_out, field) in [
            ("<instanceId>i-1</instanceId>", "InstanceId"),
            ("<instanceType>p5.48xlarge</instanceType>", "InstanceType"),
            ("<name>running</name>", "State.Name"),
        ] {
            let error = read_text(&RUNNING.replace(left_out, "")).unwrap_err();
            assert!(error.to_string().contains(field), "{error}");
        }
    }
}
