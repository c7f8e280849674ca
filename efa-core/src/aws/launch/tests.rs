use aws_sdk_ec2::config::{BehaviorVersion, Config};

use super::*;
use crate::fixtures::{every_launch, expiring_plan};
use crate::types::Tags;

fn client() -> Client {
    let config = Config::builder().behavior_version(BehaviorVersion::latest());
    Client::from_conf(config.build())
}

fn unsigned(number: i32) -> u32 {
    u32::try_from(number).unwrap()
}

/// The launch that the SDK's request asks for, read back from its fields.
fn read_back(builder: &RunInstancesFluentBuilder) -> RunInstances {
    let request = builder.as_input();
    let text = |text: &Option<String>| text.clone().unwrap();
    RunInstances {
        client_token: text(request.get_client_token()),
        min_count: unsigned(request.get_min_count().unwrap()),
        max_count: unsigned(request.get_max_count().unwrap()),
        data: LaunchData {
            instance_type: request.get_instance_type().clone().unwrap().to_string(),
            image_id: text(request.get_image_id()),
            network_interfaces: request
                .get_network_interfaces()
                .iter()
                .flatten()
                .map(interface_of)
                .collect(),
            placement: request.get_placement().as_ref().map(|placement| Placement {
                group_name: placement.group_name.clone(),
                group_id: placement.group_id.clone(),
                tenancy: placement.tenancy.as_ref().map(ToString::to_string),
            }),
            instance_market_options: request
                .get_instance_market_options()
                .as_ref()
                .map(market_of),
            capacity_reservation_specification: request
                .get_capacity_reservation_specification()
                .as_ref()
                .map(reservation_of),
            block_device_mappings: request
                .get_block_device_mappings()
                .iter()
                .flatten()
                .map(block_device_of)
                .collect(),
            cpu_options: request.get_cpu_options().as_ref().map(|cpu| CpuOptions {
                core_count: unsigned(cpu.core_count.unwrap()),
                threads_per_core: unsigned(cpu.threads_per_core.unwrap()),
            }),
            metadata_options: metadata_of(request.get_metadata_options().as_ref().unwrap()),
            private_dns_name_options: request.get_private_dns_name_options().as_ref().map(
                |names| PrivateDnsNameOptions {
                    hostname_type: names.hostname_type.as_ref().unwrap().as_str().into(),
                    enable_resource_name_dns_a_record: names
                        .enable_resource_name_dns_a_record
                        .unwrap(),
                    enable_resource_name_dns_aaaa_record: names
                        .enable_resource_name_dns_aaaa_record,
                },
            ),
            iam_instance_profile: request.get_iam_instance_profile().as_ref().map(|profile| {
                InstanceProfileSpecification {
                    name: text(&profile.name),
                }
            }),
            key_name: request.get_key_name().clone(),
            tag_specifications: request
                .get_tag_specifications()
                .iter()
                .flatten()
                .map(tags_of)
                .collect(),
            user_data: request.get_user_data().as_ref().map(|data| {
                UserData::from_bytes(aws_smithy_types::base64::decode(data).unwrap()).unwrap()
            }),
            instance_initiated_shutdown_behavior: request
                .get_instance_initiated_shutdown_behavior()
                .as_ref()
                .map(|behavior| behavior.as_str().into()),
        },
    }
}

fn interface_of(sent: &sdk::InstanceNetworkInterfaceSpecification) -> InterfaceSpecification {
    InterfaceSpecification {
        network_card_index: unsigned(sent.network_card_index.unwrap()).into(),
        device_index: unsigned(sent.device_index.unwrap()).into(),
        interface_type: sent.interface_type.as_deref().unwrap().into(),
        subnet_id: sent.subnet_id.clone(),
        groups: sent.groups.clone().unwrap(),
        associate_public_ip_address: sent.associate_public_ip_address,
        secondary_private_ip_address_count: sent.secondary_private_ip_address_count.map(unsigned),
        ipv4_prefix_count: sent.ipv4_prefix_count.map(unsigned),
        ipv6_address_count: sent.ipv6_address_count.map(unsigned),
        delete_on_termination: sent.delete_on_termination.unwrap(),
    }
}

fn market_of(sent: &sdk::InstanceMarketOptionsRequest) -> MarketOptions {
    MarketOptions {
        market_type: sent.market_type.as_ref().unwrap().as_str().into(),
        spot_options: sent.spot_options.as_ref().map(|spot| SpotOptions {
            max_price: spot.max_price.clone(),
            spot_instance_type: spot.spot_instance_type.as_ref().unwrap().as_str().into(),
            instance_interruption_behavior: spot
                .instance_interruption_behavior
                .as_ref()
                .unwrap()
                .as_str()
                .into(),
        }),
    }
}

fn reservation_of(
    sent: &sdk::CapacityReservationSpecification,
) -> CapacityReservationSpecification {
    let preference = sent.capacity_reservation_preference.as_ref();
    let target = sent.capacity_reservation_target.as_ref();
    CapacityReservationSpecification {
        capacity_reservation_preference: preference.map(|preference| preference.as_str().into()),
        capacity_reservation_target: target.map(|target| CapacityReservationTarget {
            capacity_reservation_id: target.capacity_reservation_id.clone(),
            capacity_reservation_resource_group_arn: target
                .capacity_reservation_resource_group_arn
                .clone(),
        }),
    }
}

fn block_device_of(sent: &sdk::BlockDeviceMapping) -> BlockDeviceMapping {
    let ebs = sent.ebs.as_ref().unwrap();
    BlockDeviceMapping {
        device_name: sent.device_name.clone().unwrap(),
        ebs: EbsVolume {
            volume_size: ebs.volume_size.map(unsigned),
            volume_type: ebs.volume_type.as_ref().unwrap().as_str().into(),
            iops: ebs.iops.map(unsigned),
            throughput: ebs.throughput.map(unsigned),
            encrypted: ebs.encrypted.unwrap(),
            kms_key_id: ebs.kms_key_id.clone(),
            delete_on_termination: ebs.delete_on_termination.unwrap(),
        },
    }
}

fn metadata_of(sent: &sdk::InstanceMetadataOptionsRequest) -> MetadataOptions {
    MetadataOptions {
        http_tokens: sent.http_tokens.as_ref().unwrap().as_str().into(),
        http_endpoint: sent.http_endpoint.as_ref().unwrap().as_str().into(),
        http_put_response_hop_limit: unsigned(sent.http_put_response_hop_limit.unwrap()),
        instance_metadata_tags: sent
            .instance_metadata_tags
            .as_ref()
            .map(|t| t.as_str().into()),
        http_protocol_ipv6: sent
            .http_protocol_ipv6
            .as_ref()
            .map(|ipv6| ipv6.as_str().into()),
    }
}

fn tags_of(sent: &sdk::TagSpecification) -> TagSpecification {
    let pair = |tag: &sdk::Tag| (tag.key.clone().unwrap(), tag.value.clone().unwrap());
    let tags: Tags = sent.tags().iter().map(pair).collect();
    TagSpecification {
        resource_type: sent.resource_type.as_ref().unwrap().as_str().into(),
        tags,
    }
}

#[test]
fn the_sdk_sends_every_launch_as_it_was_decided() {
    let client = client();
    for plan in every_launch().into_iter().chain([expiring_plan()]) {
        let request = plan.run_instances_request(&plan.launch("sg-1", "subnet-00000001"));
        let sent = builder(&client, &request).unwrap();
        assert_eq!(read_back(&sent), request);
    }
}

#[test]
fn a_number_that_ec2_cannot_hold_is_refused() {
    let plan = crate::fixtures::plan("p5.48xlarge");
    let launch = plan.launch("sg-1", "subnet-00000001");
    type Change = fn(&mut RunInstances);
    let changes: [(&str, Change); 5] = [
        ("min_count", |r| r.min_count = u32::MAX),
        ("max_count", |r| r.max_count = u32::MAX),
        ("network_card_index", |r| {
            r.data.network_interfaces[0].network_card_index = u32::MAX.into();
        }),
        ("volume_size", |r| {
            r.data.block_device_mappings[0].ebs.volume_size = Some(u32::MAX);
        }),
        ("http_put_response_hop_limit", |r| {
            r.data.metadata_options.http_put_response_hop_limit = u32::MAX;
        }),
    ];
    for (field, change) in changes {
        let mut request = plan.run_instances_request(&launch);
        change(&mut request);
        let error = builder(&client(), &request).unwrap_err();
        assert_eq!(error.code(), crate::error::Code::PlanInvalidSpec);
        assert_eq!(error.context_value("field"), Some(field), "{error}");
    }
}
