//! A version of a launch template in this crate's types.

use aws_sdk_ec2::types as sdk;

use super::convert::{decoded, non_empty, present, tags};
use crate::ec2::{LaunchTemplate, TemplateData};
use crate::error::Result;

pub(super) fn convert(version: sdk::LaunchTemplateVersion) -> Result<LaunchTemplate> {
    let number = version.version_number.and_then(|n| u64::try_from(n).ok());
    let data = version.launch_template_data;
    Ok(LaunchTemplate {
        launch_template_id: present(version.launch_template_id, "LaunchTemplateId")?,
        launch_template_name: version.launch_template_name.unwrap_or_default(),
        version: present(number, "VersionNumber")?,
        data: data.map(template_data).transpose()?.unwrap_or_default(),
    })
}

fn template_data(data: sdk::ResponseLaunchTemplateData) -> Result<TemplateData> {
    let mut others = others(&data);
    let capacity = capacity(&data, &mut others);
    let number = |shown: Option<i32>| u32::try_from(shown?).ok();
    let placement = data.placement.unwrap_or_default_placement();
    let metadata = data.metadata_options.as_ref();
    let profile = data.iam_instance_profile.and_then(|profile| {
        let of_arn = |arn: String| arn.rsplit('/').next().map(str::to_owned);
        non_empty(profile.name).or_else(|| non_empty(profile.arn).and_then(of_arn))
    });
    let spot = data
        .instance_market_options
        .and_then(|market| market.spot_options);
    let of_instances = data.tag_specifications.unwrap_or_default().into_iter();
    let of_instances = of_instances
        .filter(|one| one.resource_type == Some(sdk::ResourceType::Instance))
        .flat_map(|one| one.tags.unwrap_or_default());
    let shows_tags = metadata.and_then(|m| m.instance_metadata_tags.as_ref());
    Ok(TemplateData {
        instance_type: data.instance_type.map(|kind| kind.as_str().to_owned()),
        image_id: non_empty(data.image_id),
        key_name: non_empty(data.key_name),
        instance_profile_name: profile,
        user_data: non_empty(data.user_data).map(decoded).transpose()?,
        security_group_ids: data.security_group_ids.unwrap_or_default(),
        tenancy: placement.tenancy.map(|tenancy| tenancy.as_str().to_owned()),
        placement_group: non_empty(placement.group_name).or(non_empty(placement.group_id)),
        capacity,
        spot_maximum_price: spot.and_then(|spot| non_empty(spot.max_price)),
        threads_per_core: data
            .cpu_options
            .and_then(|cpu| number(cpu.threads_per_core)),
        metadata_hop_limit: metadata.and_then(|m| number(m.http_put_response_hop_limit)),
        metadata_tags: shows_tags == Some(&sdk::LaunchTemplateInstanceMetadataTagsState::Enabled),
        host_names: data
            .private_dns_name_options
            .and_then(|names| Some(names.hostname_type?.as_str().to_owned())),
        instance_tags: tags(Some(of_instances.collect())),
        others,
    })
}

trait OrDefault {
    fn unwrap_or_default_placement(self) -> sdk::LaunchTemplatePlacement;
}

impl OrDefault for Option<sdk::LaunchTemplatePlacement> {
    /// The SDK's type has no default of its own.
    fn unwrap_or_default_placement(self) -> sdk::LaunchTemplatePlacement {
        self.unwrap_or_else(|| sdk::LaunchTemplatePlacement::builder().build())
    }
}

/// The market and the reservation in a specification's word.
fn capacity(data: &sdk::ResponseLaunchTemplateData, others: &mut Vec<String>) -> Option<String> {
    let market = data.instance_market_options.as_ref();
    let market = market.and_then(|options| options.market_type.as_ref());
    let wanted = data.capacity_reservation_specification.as_ref();
    let target = wanted.and_then(|wanted| wanted.capacity_reservation_target.as_ref());
    let preference = wanted.and_then(|wanted| wanted.capacity_reservation_preference.as_ref());
    let id = target.and_then(|target| {
        let arn = target.capacity_reservation_resource_group_arn.clone();
        target.capacity_reservation_id.clone().or(arn)
    });
    match (
        market.map(sdk::MarketType::as_str),
        id,
        preference.map(|p| p.as_str()),
    ) {
        (Some("spot"), None, None) => Some("spot".to_owned()),
        (None | Some("capacity-block"), Some(id), None | Some("capacity-reservations-only")) => {
            Some(id)
        }
        (None, None, Some("open")) => Some("open".to_owned()),
        (None, None, None) => None,
        _ => {
            others.push("InstanceMarketOptions and CapacityReservationSpecification".to_owned());
            None
        }
    }
}

/// What it sets that no plan takes from a template, in EC2's words.
fn others(data: &sdk::ResponseLaunchTemplateData) -> Vec<String> {
    let placement = data.placement.as_ref();
    let names = data.private_dns_name_options.as_ref();
    let set = [
        ("KernelId", data.kernel_id.is_some()),
        ("RamDiskId", data.ram_disk_id.is_some()),
        ("EbsOptimized=false", data.ebs_optimized == Some(false)),
        (
            "BlockDeviceMappings",
            has_any(data.block_device_mappings.as_deref()),
        ),
        (
            "NetworkInterfaces",
            has_any(data.network_interfaces.as_deref()),
        ),
        (
            "Monitoring",
            data.monitoring.as_ref().and_then(|m| m.enabled) == Some(true),
        ),
        ("Placement", placement.is_some_and(names_a_place)),
        (
            "DisableApiTermination",
            data.disable_api_termination == Some(true),
        ),
        ("DisableApiStop", data.disable_api_stop == Some(true)),
        (
            "InstanceInitiatedShutdownBehavior",
            data.instance_initiated_shutdown_behavior == Some(sdk::ShutdownBehavior::Terminate),
        ),
        ("SecurityGroups", has_any(data.security_groups.as_deref())),
        ("CreditSpecification", data.credit_specification.is_some()),
        (
            "LicenseSpecifications",
            has_any(data.license_specifications.as_deref()),
        ),
        (
            "HibernationOptions",
            data.hibernation_options.as_ref().and_then(|h| h.configured) == Some(true),
        ),
        (
            "EnclaveOptions",
            data.enclave_options.as_ref().and_then(|e| e.enabled) == Some(true),
        ),
        ("InstanceRequirements", data.instance_requirements.is_some()),
        ("MaintenanceOptions", data.maintenance_options.is_some()),
        (
            "NetworkPerformanceOptions",
            data.network_performance_options.is_some(),
        ),
        (
            "SecondaryInterfaces",
            has_any(data.secondary_interfaces.as_deref()),
        ),
    ];
    // The subnet states it.
    let records = (
        "PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord",
        names.and_then(|n| n.enable_resource_name_dns_aaaa_record) == Some(true),
    );
    let metadata = data.metadata_options.as_ref();
    set.into_iter()
        .chain(metadata.into_iter().flat_map(metadata_others))
        .chain([records])
        .filter(|(_, set)| *set)
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn has_any<T>(list: Option<&[T]>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

/// Whether it has more than a placement group and a tenancy.
fn names_a_place(placement: &sdk::LaunchTemplatePlacement) -> bool {
    placement.availability_zone.is_some()
        || placement.availability_zone_id.is_some()
        || placement.affinity.is_some()
        || placement.host_id.is_some()
        || placement.spread_domain.is_some()
        || placement.host_resource_group_arn.is_some()
        || placement.partition_number.is_some()
}

fn metadata_others(
    metadata: &sdk::LaunchTemplateInstanceMetadataOptions,
) -> [(&'static str, bool); 3] {
    [
        (
            "MetadataOptions.HttpTokens=optional",
            metadata.http_tokens == Some(sdk::LaunchTemplateHttpTokensState::Optional),
        ),
        (
            "MetadataOptions.HttpEndpoint=disabled",
            metadata.http_endpoint
                == Some(sdk::LaunchTemplateInstanceMetadataEndpointState::Disabled),
        ),
        // The subnet states it.
        (
            "MetadataOptions.HttpProtocolIpv6=enabled",
            metadata.http_protocol_ipv6
                == Some(sdk::LaunchTemplateInstanceMetadataProtocolIpv6::Enabled),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_subnet_says_of_ipv6_is_taken_from_no_template() {
        let metadata = sdk::LaunchTemplateInstanceMetadataOptions::builder()
            .http_protocol_ipv6(sdk::LaunchTemplateInstanceMetadataProtocolIpv6::Enabled);
        let names = sdk::LaunchTemplatePrivateDnsNameOptions::builder()
            .hostname_type(sdk::HostnameType::ResourceName);
        let found = |names: sdk::LaunchTemplatePrivateDnsNameOptions, ipv6| {
            let data = sdk::ResponseLaunchTemplateData::builder()
                .set_metadata_options(ipv6)
                .private_dns_name_options(names);
            template_data(data.build()).unwrap().others
        };
        assert!(found(names.clone().build(), None).is_empty());
        let records = names.enable_resource_name_dns_aaaa_record(true).build();
        assert_eq!(
            found(records, Some(metadata.build())),
            [
                "MetadataOptions.HttpProtocolIpv6=enabled",
                "PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord"
            ]
        );
    }
}
