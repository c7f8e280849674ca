//! A RunInstances request in the SDK's form: field by field, nothing decided. Every struct is
//! taken apart whole, so that a field cannot be forgotten.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types as sdk;

use super::request::{number, tag_specification};
use crate::error::Result;
use crate::launch::{
    BlockDeviceMapping, CapacityReservationSpecification, CapacityReservationTarget, CpuOptions,
    EbsVolume, HttpProtocolIpv6, InstanceMetadataTags, InstanceProfileSpecification,
    InterfaceSpecification, LaunchData, MarketOptions, MetadataOptions, Placement,
    PrivateDnsNameOptions, RunInstances, SpotOptions, TagSpecification, UserData,
};

/// The request, ready to send.
///
/// # Errors
/// `plan.invalid_spec` for a number that EC2's API cannot hold.
pub(super) fn builder(
    client: &Client,
    request: &RunInstances,
) -> Result<RunInstancesFluentBuilder> {
    let RunInstances {
        client_token,
        min_count,
        max_count,
        data,
    } = request;
    let LaunchData {
        instance_type,
        image_id,
        network_interfaces,
        placement,
        instance_market_options,
        capacity_reservation_specification,
        block_device_mappings,
        cpu_options,
        metadata_options,
        private_dns_name_options,
        iam_instance_profile,
        key_name,
        tag_specifications,
        user_data,
        instance_initiated_shutdown_behavior: shutdown,
    } = data;
    let shutdown = shutdown
        .as_ref()
        .map(|s| sdk::ShutdownBehavior::from(s.as_str()));
    let interfaces: Result<Vec<_>> = network_interfaces.iter().map(interface).collect();
    let volumes: Result<Vec<_>> = block_device_mappings.iter().map(block_device).collect();
    let tags = tag_specifications.iter().map(tags);
    Ok(client
        .run_instances()
        .client_token(client_token)
        .min_count(number("min_count", *min_count)?)
        .max_count(number("max_count", *max_count)?)
        .instance_type(sdk::InstanceType::from(instance_type.as_str()))
        .image_id(image_id)
        .set_network_interfaces(some(interfaces?))
        .set_placement(placement.as_ref().map(self::placement))
        .set_instance_market_options(instance_market_options.as_ref().map(market))
        .set_capacity_reservation_specification(
            capacity_reservation_specification.as_ref().map(reservation),
        )
        .set_block_device_mappings(some(volumes?))
        .set_cpu_options(cpu_options.as_ref().map(cpu).transpose()?)
        .metadata_options(metadata(metadata_options)?)
        .set_private_dns_name_options(private_dns_name_options.as_ref().map(names))
        .set_iam_instance_profile(iam_instance_profile.as_ref().map(profile))
        .set_key_name(key_name.clone())
        .set_tag_specifications(some(tags.collect()))
        .set_instance_initiated_shutdown_behavior(shutdown)
        .set_user_data(user_data.as_ref().map(UserData::to_base64)))
}

/// A list; none where it is empty.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn interface(
    interface: &InterfaceSpecification,
) -> Result<sdk::InstanceNetworkInterfaceSpecification> {
    let InterfaceSpecification {
        network_card_index,
        device_index,
        interface_type,
        subnet_id,
        groups,
        associate_public_ip_address,
        secondary_private_ip_address_count,
        ipv4_prefix_count,
        ipv6_address_count,
        delete_on_termination,
    } = interface;
    let further = secondary_private_ip_address_count
        .map(|count| number("secondary_private_ip_address_count", count));
    let prefixes = ipv4_prefix_count.map(|count| number("ipv4_prefix_count", count));
    let ipv6 = ipv6_address_count.map(|count| number("ipv6_address_count", count));
    Ok(sdk::InstanceNetworkInterfaceSpecification::builder()
        .network_card_index(number("network_card_index", network_card_index.get())?)
        .device_index(number("device_index", device_index.get())?)
        .interface_type(interface_type.as_str())
        .set_subnet_id(subnet_id.clone())
        .set_groups(Some(groups.clone()))
        .set_associate_public_ip_address(*associate_public_ip_address)
        .set_secondary_private_ip_address_count(further.transpose()?)
        .set_ipv4_prefix_count(prefixes.transpose()?)
        .set_ipv6_address_count(ipv6.transpose()?)
        .delete_on_termination(*delete_on_termination)
        .build())
}

fn placement(placement: &Placement) -> sdk::Placement {
    let Placement {
        group_name,
        group_id,
        tenancy,
    } = placement;
    sdk::Placement::builder()
        .set_group_name(group_name.clone())
        .set_group_id(group_id.clone())
        .set_tenancy(tenancy.as_deref().map(sdk::Tenancy::from))
        .build()
}

fn market(options: &MarketOptions) -> sdk::InstanceMarketOptionsRequest {
    let MarketOptions {
        market_type,
        spot_options,
    } = options;
    sdk::InstanceMarketOptionsRequest::builder()
        .market_type(sdk::MarketType::from(market_type.as_str()))
        .set_spot_options(spot_options.as_ref().map(spot))
        .build()
}

fn spot(options: &SpotOptions) -> sdk::SpotMarketOptions {
    let SpotOptions {
        max_price,
        spot_instance_type,
        instance_interruption_behavior: behavior,
    } = options;
    sdk::SpotMarketOptions::builder()
        .set_max_price(max_price.clone())
        .spot_instance_type(sdk::SpotInstanceType::from(spot_instance_type.as_str()))
        .instance_interruption_behavior(sdk::InstanceInterruptionBehavior::from(behavior.as_str()))
        .build()
}

fn reservation(
    specification: &CapacityReservationSpecification,
) -> sdk::CapacityReservationSpecification {
    let CapacityReservationSpecification {
        capacity_reservation_preference,
        capacity_reservation_target,
    } = specification;
    let preference = capacity_reservation_preference
        .as_ref()
        .map(|preference| sdk::CapacityReservationPreference::from(preference.as_str()));
    sdk::CapacityReservationSpecification::builder()
        .set_capacity_reservation_preference(preference)
        .set_capacity_reservation_target(capacity_reservation_target.as_ref().map(target))
        .build()
}

fn target(target: &CapacityReservationTarget) -> sdk::CapacityReservationTarget {
    let CapacityReservationTarget {
        capacity_reservation_id,
        capacity_reservation_resource_group_arn,
    } = target;
    sdk::CapacityReservationTarget::builder()
        .set_capacity_reservation_id(capacity_reservation_id.clone())
        .set_capacity_reservation_resource_group_arn(
            capacity_reservation_resource_group_arn.clone(),
        )
        .build()
}

fn block_device(mapping: &BlockDeviceMapping) -> Result<sdk::BlockDeviceMapping> {
    let BlockDeviceMapping { device_name, ebs } = mapping;
    let EbsVolume {
        volume_size,
        volume_type,
        iops,
        throughput,
        encrypted,
        kms_key_id,
        delete_on_termination,
    } = ebs;
    let size = volume_size.map(|size| number("volume_size", size));
    let iops = iops.map(|iops| number("iops", iops));
    let throughput = throughput.map(|throughput| number("throughput", throughput));
    let volume = sdk::EbsBlockDevice::builder()
        .set_volume_size(size.transpose()?)
        .volume_type(sdk::VolumeType::from(volume_type.as_str()))
        .set_iops(iops.transpose()?)
        .set_throughput(throughput.transpose()?)
        .encrypted(*encrypted)
        .set_kms_key_id(kms_key_id.clone())
        .delete_on_termination(*delete_on_termination)
        .build();
    Ok(sdk::BlockDeviceMapping::builder()
        .device_name(device_name)
        .ebs(volume)
        .build())
}

fn metadata(options: &MetadataOptions) -> Result<sdk::InstanceMetadataOptionsRequest> {
    let MetadataOptions {
        http_tokens,
        http_endpoint,
        http_put_response_hop_limit: hops,
        instance_metadata_tags: tags,
        http_protocol_ipv6: ipv6,
    } = options;
    let ipv6 = ipv6.as_ref().map(HttpProtocolIpv6::as_str);
    let tags = tags.as_ref().map(InstanceMetadataTags::as_str);
    let endpoint = sdk::InstanceMetadataEndpointState::from(http_endpoint.as_str());
    Ok(sdk::InstanceMetadataOptionsRequest::builder()
        .http_tokens(sdk::HttpTokensState::from(http_tokens.as_str()))
        .http_endpoint(endpoint)
        .http_put_response_hop_limit(number("http_put_response_hop_limit", *hops)?)
        .set_instance_metadata_tags(tags.map(sdk::InstanceMetadataTagsState::from))
        .set_http_protocol_ipv6(ipv6.map(sdk::InstanceMetadataProtocolState::from))
        .build())
}

fn cpu(options: &CpuOptions) -> Result<sdk::CpuOptionsRequest> {
    let CpuOptions {
        core_count,
        threads_per_core,
    } = options;
    Ok(sdk::CpuOptionsRequest::builder()
        .core_count(number("core_count", *core_count)?)
        .threads_per_core(number("threads_per_core", *threads_per_core)?)
        .build())
}

fn names(options: &PrivateDnsNameOptions) -> sdk::PrivateDnsNameOptionsRequest {
    let PrivateDnsNameOptions {
        hostname_type,
        enable_resource_name_dns_a_record,
        enable_resource_name_dns_aaaa_record: aaaa,
    } = options;
    sdk::PrivateDnsNameOptionsRequest::builder()
        .hostname_type(sdk::HostnameType::from(hostname_type.as_str()))
        .enable_resource_name_dns_a_record(*enable_resource_name_dns_a_record)
        .set_enable_resource_name_dns_aaaa_record(*aaaa)
        .build()
}

fn profile(profile: &InstanceProfileSpecification) -> sdk::IamInstanceProfileSpecification {
    let InstanceProfileSpecification { name } = profile;
    sdk::IamInstanceProfileSpecification::builder()
        .name(name)
        .build()
}

fn tags(specification: &TagSpecification) -> sdk::TagSpecification {
    let TagSpecification {
        resource_type,
        tags,
    } = specification;
    tag_specification(sdk::ResourceType::from(resource_type.as_str()), tags)
}

#[cfg(test)]
mod tests;
