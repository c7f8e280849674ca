//! EC2's answers in this crate's types. What EC2 must report is required; the rest has defaults.

use aws_sdk_ec2::types as sdk;
use base64::prelude::{BASE64_STANDARD, Engine as _};

pub(super) use crate::answer::present;
use crate::ec2::{
    Address, FreeInterface, Image, LaunchedWith, Peer, PlacementGroup, RouteTable, Rule,
    SecurityGroup, Subnet, Tags, Vpc, VpcEndpoint,
};
use crate::error::Result;
use crate::launch::{
    BlockDeviceMapping, CpuOptions, EbsVolume, PrivateDnsNameOptions, UserData, VolumeType,
};
use crate::types::{Architecture, PlacementStrategy};

pub(super) fn index(value: Option<i32>, field: &'static str) -> Result<u32> {
    present(value.and_then(|value| u32::try_from(value).ok()), field)
}

pub(super) fn tags(tags: Option<Vec<sdk::Tag>>) -> Tags {
    let pair = |tag: sdk::Tag| Some((tag.key?, tag.value.unwrap_or_default()));
    tags.unwrap_or_default()
        .into_iter()
        .filter_map(pair)
        .collect()
}

/// EC2 answers "none" with an empty string in places.
pub(super) fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

pub(super) fn vpc(vpc: sdk::Vpc) -> Result<Vpc> {
    Ok(Vpc {
        vpc_id: present(vpc.vpc_id, "VpcId")?,
        cidr_block: vpc.cidr_block.unwrap_or_default(),
        is_default: vpc.is_default.unwrap_or(false),
        instance_tenancy: vpc
            .instance_tenancy
            .map(|tenancy| tenancy.as_str().to_owned())
            .unwrap_or_else(|| "default".to_owned()),
        owner_id: vpc.owner_id.unwrap_or_default(),
        tags: tags(vpc.tags),
    })
}

pub(super) fn subnet(subnet: sdk::Subnet) -> Result<Subnet> {
    let ipv6_native = subnet.ipv6_native.unwrap_or(false);
    Ok(Subnet {
        subnet_id: present(subnet.subnet_id, "SubnetId")?,
        vpc_id: present(subnet.vpc_id, "VpcId")?,
        availability_zone: present(subnet.availability_zone, "AvailabilityZone")?,
        // EC2 may leave it out of an IPv6-only subnet.
        available_ip_address_count: index(
            subnet
                .available_ip_address_count
                .or(ipv6_native.then_some(0)),
            "AvailableIpAddressCount",
        )?,
        ipv6_native,
        enable_dns64: subnet.enable_dns64.unwrap_or(false),
        map_public_ip_on_launch: subnet.map_public_ip_on_launch.unwrap_or(false),
        owner_id: subnet.owner_id.unwrap_or_default(),
        tags: tags(subnet.tags),
    })
}

pub(super) fn image(image: sdk::Image) -> Result<Image> {
    let root_device_name = non_empty(image.root_device_name);
    let root_volume_size_gib = image
        .block_device_mappings
        .unwrap_or_default()
        .into_iter()
        .find(|mapping| root_device_name.is_some() && mapping.device_name == root_device_name)
        .and_then(|mapping| u32::try_from(mapping.ebs?.volume_size?).ok());
    Ok(Image {
        image_id: present(image.image_id, "ImageId")?,
        name: image.name.unwrap_or_default(),
        owner_id: image.owner_id.unwrap_or_default(),
        owner_alias: non_empty(image.image_owner_alias),
        creation_date: image.creation_date.unwrap_or_default(),
        architecture: Architecture::from(present(image.architecture, "Architecture")?.as_str()),
        ena_support: image.ena_support.unwrap_or(false),
        state: image
            .state
            .map(|state| state.as_str().to_owned())
            .unwrap_or_default(),
        platform_details: non_empty(image.platform_details),
        root_device_name,
        root_volume_size_gib,
    })
}

pub(super) fn security_group(group: sdk::SecurityGroup) -> Result<SecurityGroup> {
    Ok(SecurityGroup {
        group_id: present(group.group_id, "GroupId")?,
        group_name: present(group.group_name, "GroupName")?,
        vpc_id: present(group.vpc_id, "VpcId")?,
        ingress: rules(group.ip_permissions.unwrap_or_default()),
        egress: rules(group.ip_permissions_egress.unwrap_or_default()),
        tags: tags(group.tags),
    })
}

pub(super) fn key_pair(pair: sdk::KeyPairInfo) -> Result<String> {
    present(pair.key_name, "KeyName")
}

pub(super) fn route_table(table: sdk::RouteTable) -> Result<RouteTable> {
    let associations = table.associations.unwrap_or_default();
    let mut routes = table.routes.unwrap_or_default();
    routes.retain(|route| route.state != Some(sdk::RouteState::Blackhole));
    let ipv4 = |r: &&sdk::Route| r.destination_cidr_block.as_deref() == Some("0.0.0.0/0");
    let ipv6 = |range: &'static str| {
        move |r: &&sdk::Route| r.destination_ipv6_cidr_block.as_deref() == Some(range)
    };
    Ok(RouteTable {
        route_table_id: present(table.route_table_id, "RouteTableId")?,
        vpc_id: table.vpc_id.unwrap_or_default(),
        is_main: associations.iter().any(|one| one.main == Some(true)),
        subnet_ids: associations
            .into_iter()
            .filter_map(|one| one.subnet_id)
            .collect(),
        default_route_target: routes.iter().find(ipv4).map(target),
        default_ipv6_route_target: routes.iter().find(ipv6("::/0")).map(target),
        nat64_route_target: routes.iter().find(ipv6("64:ff9b::/96")).map(target),
    })
}

/// The id that a route leads to.
fn target(route: &sdk::Route) -> String {
    let known = [
        &route.nat_gateway_id,
        &route.gateway_id,
        &route.egress_only_internet_gateway_id,
        &route.transit_gateway_id,
        &route.network_interface_id,
        &route.vpc_peering_connection_id,
        &route.local_gateway_id,
        &route.carrier_gateway_id,
        &route.instance_id,
    ];
    let mut known = known.into_iter().flatten();
    // A target that a later EC2 adds.
    known
        .next()
        .map_or("another target", String::as_str)
        .to_owned()
}

pub(super) fn vpc_endpoint(endpoint: sdk::VpcEndpoint) -> Result<VpcEndpoint> {
    Ok(VpcEndpoint {
        vpc_endpoint_id: present(endpoint.vpc_endpoint_id, "VpcEndpointId")?,
        service_name: endpoint.service_name.unwrap_or_default(),
        state: endpoint
            .state
            .map(|state| state.as_str().to_ascii_lowercase())
            .unwrap_or_default(),
    })
}

/// One rule per peer, sorted.
fn rules(permissions: Vec<sdk::IpPermission>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for permission in permissions {
        let groups = permission
            .user_id_group_pairs
            .unwrap_or_default()
            .into_iter()
            .filter_map(|pair| pair.group_id);
        let ranges = permission
            .ip_ranges
            .unwrap_or_default()
            .into_iter()
            .filter_map(|range| range.cidr_ip);
        let ranges_6 = permission
            .ipv6_ranges
            .unwrap_or_default()
            .into_iter()
            .filter_map(|range| range.cidr_ipv6);
        let lists = permission
            .prefix_list_ids
            .unwrap_or_default()
            .into_iter()
            .filter_map(|list| list.prefix_list_id);
        let peers = groups
            .map(Peer::SecurityGroup)
            .chain(ranges.chain(ranges_6).map(Peer::Cidr))
            .chain(lists.map(Peer::PrefixList));
        rules.extend(peers.map(|peer| Rule {
            ip_protocol: permission.ip_protocol.clone().unwrap_or_default(),
            from_port: permission.from_port,
            to_port: permission.to_port,
            peer,
        }));
    }
    rules.sort();
    rules
}

pub(super) fn placement_group(group: sdk::PlacementGroup) -> Result<PlacementGroup> {
    Ok(PlacementGroup {
        group_id: group.group_id.unwrap_or_default(),
        group_arn: non_empty(group.group_arn),
        group_name: present(group.group_name, "GroupName")?,
        strategy: PlacementStrategy::from(present(group.strategy, "Strategy")?.as_str()),
        state: group
            .state
            .map(|state| state.as_str().to_owned())
            .unwrap_or_default(),
        tags: tags(group.tags),
    })
}

/// Ids of the volumes that go with the instance, the root volume's first. One that was attached
/// later stays when the instance ends.
pub(super) fn volume_ids(instance: &sdk::Instance) -> Vec<String> {
    let devices = instance.block_device_mappings.iter().flatten();
    let mut found: Vec<_> = devices
        .filter_map(|device| {
            let ebs = device.ebs.as_ref()?;
            let is_root = device.device_name == instance.root_device_name;
            let goes = is_root || ebs.delete_on_termination == Some(true);
            goes.then(|| Some((!is_root, ebs.volume_id.clone()?)))?
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, id)| id).collect()
}

/// A volume as a launch asks for it, under the name of the instance's device.
fn block_device(instance: &sdk::Instance, volume: &sdk::Volume) -> Option<BlockDeviceMapping> {
    let mut devices = instance.block_device_mappings.iter().flatten();
    let device = devices.find(|device| {
        let ebs = device.ebs.as_ref();
        ebs.is_some_and(|ebs| ebs.volume_id.is_some() && ebs.volume_id == volume.volume_id)
    })?;
    let number = |shown: Option<i32>| u32::try_from(shown?).ok();
    let volume_type = VolumeType::from(volume.volume_type.as_ref()?.as_str());
    // EC2 also shows the IOPS that it derives from the size, which no launch may ask for.
    let provisioned = volume_type != VolumeType::Gp2;
    Some(BlockDeviceMapping {
        device_name: device.device_name.clone()?,
        ebs: EbsVolume {
            volume_size: number(volume.size),
            iops: number(volume.iops).filter(|_| provisioned),
            throughput: number(volume.throughput).filter(|_| provisioned),
            volume_type,
            encrypted: volume.encrypted.unwrap_or(false),
            kms_key_id: volume.kms_key_id.clone(),
            delete_on_termination: device.ebs.as_ref()?.delete_on_termination?,
        },
    })
}

pub(super) fn launched_with(
    instance: sdk::Instance,
    user_data: Option<String>,
    volumes: &[sdk::Volume],
    interfaces: Vec<sdk::NetworkInterface>,
) -> Result<LaunchedWith> {
    let number = |shown: Option<i32>| u32::try_from(shown?).ok();
    let cpu_options = instance.cpu_options.as_ref().and_then(|cpu| {
        Some(CpuOptions {
            core_count: number(cpu.core_count)?,
            threads_per_core: number(cpu.threads_per_core)?,
        })
    });
    let metadata = instance.metadata_options.as_ref();
    let metadata_hop_limit = metadata.and_then(|m| number(m.http_put_response_hop_limit));
    let metadata_tags = metadata.and_then(|m| m.instance_metadata_tags.as_ref());
    let metadata_tags = metadata_tags == Some(&sdk::InstanceMetadataTagsState::Enabled);
    let own = tags(instance.tags.clone());
    let mut interface_tags = tags(interfaces.into_iter().next().and_then(|i| i.tag_set));
    interface_tags.retain(|key, value| !key.starts_with("aws:") && own.get(key) != Some(value));
    let ids = volume_ids(&instance);
    let of_id = |id: &String| volumes.iter().find(|v| v.volume_id.as_ref() == Some(id));
    let volumes = ids.iter().filter_map(of_id);
    let block_device_mappings = volumes.filter_map(|v| block_device(&instance, v)).collect();
    let names = instance.private_dns_name_options.as_ref();
    let private_dns_name_options = names.and_then(|names| {
        Some(PrivateDnsNameOptions {
            hostname_type: names.hostname_type.as_ref()?.as_str().into(),
            enable_resource_name_dns_a_record: names
                .enable_resource_name_dns_a_record
                .unwrap_or(false),
            enable_resource_name_dns_aaaa_record: names
                .enable_resource_name_dns_aaaa_record
                .filter(|has| *has),
        })
    });
    let placement = instance.placement.and_then(|placement| placement.tenancy);
    Ok(LaunchedWith {
        key_name: non_empty(instance.key_name),
        tenancy: placement.map(|tenancy| tenancy.as_str().to_owned()),
        user_data: non_empty(user_data).map(decoded).transpose()?,
        block_device_mappings,
        cpu_options,
        private_dns_name_options,
        metadata_hop_limit,
        metadata_tags,
        interface_tags,
        spot_maximum_price: None,
    })
}

/// The spot request that alone records what an instance may cost: its tags do not.
pub(super) fn priced_by(instance: &sdk::Instance) -> Option<&str> {
    let mut tags = instance.tags.iter().flatten();
    let priced = tags.any(|tag| tag.key.as_deref() == Some(crate::tags::SPOT_MAXIMUM_PRICE));
    let request = instance.spot_instance_request_id.as_deref();
    request.filter(|id| !priced && !id.is_empty())
}

/// User data as it was given: EC2 shows it in base64.
pub(super) fn decoded(text: String) -> Result<UserData> {
    let bytes = BASE64_STANDARD.decode(text.trim()).ok();
    let user_data = bytes.and_then(UserData::from_bytes);
    present(user_data, "UserData.Value as base64 of a text or of gzip")
}

pub(super) fn free_interface(interface: sdk::NetworkInterface) -> Result<FreeInterface> {
    Ok(FreeInterface {
        network_interface_id: present(interface.network_interface_id, "NetworkInterfaceId")?,
        status: interface
            .status
            .map(|status| status.as_str().to_owned())
            .unwrap_or_default(),
    })
}

pub(super) fn address(address: sdk::Address) -> Result<Address> {
    Ok(Address {
        allocation_id: present(address.allocation_id, "AllocationId")?,
        association_id: non_empty(address.association_id),
        public_ip: address.public_ip.unwrap_or_default(),
        instance_id: non_empty(address.instance_id),
        network_interface_id: non_empty(address.network_interface_id),
        tags: tags(address.tags),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(device: &str, size: i32) -> sdk::BlockDeviceMapping {
        sdk::BlockDeviceMapping::builder()
            .device_name(device)
            .ebs(sdk::EbsBlockDevice::builder().volume_size(size).build())
            .build()
    }

    #[test]
    fn the_size_is_that_of_the_root_volume() {
        let with_root = |root: Option<&str>| {
            let described = sdk::Image::builder()
                .image_id("ami-00000001")
                .architecture(sdk::ArchitectureValues::X8664)
                .set_root_device_name(root.map(str::to_owned))
                .block_device_mappings(mapping("/dev/sdb", 900))
                .block_device_mappings(mapping("/dev/xvda", 35))
                .build();
            image(described).unwrap().root_volume_size_gib
        };
        assert_eq!(with_root(Some("/dev/xvda")), Some(35));
        assert_eq!(with_root(Some("/dev/sda1")), None);
        assert_eq!(with_root(None), None);
    }

    #[test]
    fn an_ipv6_only_subnet_may_show_no_count_of_addresses() {
        let shown = |native: bool| {
            let described = sdk::Subnet::builder()
                .subnet_id("subnet-1")
                .vpc_id("vpc-1")
                .availability_zone("us-east-1a")
                .ipv6_native(native);
            subnet(described.build())
        };
        let only = shown(true).unwrap();
        assert_eq!(
            (only.available_ip_address_count, only.ipv6_native),
            (0, true)
        );
        assert!(shown(false).is_err());
    }

    #[test]
    fn a_route_table_says_where_ipv6_leads() {
        let route = |range: &str| sdk::Route::builder().destination_ipv6_cidr_block(range);
        let table = sdk::RouteTable::builder()
            .route_table_id("rtb-1")
            .routes(
                route("::/0")
                    .egress_only_internet_gateway_id("eigw-1")
                    .build(),
            )
            .routes(route("64:ff9b::/96").nat_gateway_id("nat-1").build())
            .build();
        let ours = route_table(table).unwrap();
        assert_eq!(ours.default_route_target, None);
        assert_eq!(ours.default_ipv6_route_target.as_deref(), Some("eigw-1"));
        assert_eq!(ours.nat64_route_target.as_deref(), Some("nat-1"));
    }
}
