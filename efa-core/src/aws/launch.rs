//! A RunInstances request in the SDK's form.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types as sdk;

use super::request::{number, tag_specification};
use crate::ec2::{Market, RootVolume, RunInstances};
use crate::layout::NetworkInterface;

/// The request, ready to send: IMDSv2 required, the root volume encrypted, tags on everything.
pub(super) fn builder(client: &Client, request: &RunInstances) -> RunInstancesFluentBuilder {
    let interfaces = request
        .interfaces
        .iter()
        .map(|i| interface(request, i))
        .collect();
    let tagged = [
        sdk::ResourceType::Instance,
        sdk::ResourceType::Volume,
        sdk::ResourceType::NetworkInterface,
    ];
    let tags = tagged
        .into_iter()
        .map(|resource| tag_specification(resource, &request.tags))
        .collect();
    client
        .run_instances()
        .client_token(&request.client_token)
        .instance_type(sdk::InstanceType::from(request.instance_type.as_str()))
        .min_count(number(request.minimum_count))
        .max_count(number(request.count))
        .set_instance_market_options(market_options(&request.market))
        .set_capacity_reservation_specification(reservation(&request.market))
        .image_id(&request.image_id)
        .set_network_interfaces(Some(interfaces))
        .set_placement(placement(request))
        .set_block_device_mappings(
            request
                .root_volume
                .as_ref()
                .map(|volume| vec![root_volume(volume)]),
        )
        .set_key_name(request.key_name.clone())
        .set_iam_instance_profile(request.iam_instance_profile.as_ref().map(|name| {
            sdk::IamInstanceProfileSpecification::builder()
                .name(name)
                .build()
        }))
        .set_user_data(
            request
                .user_data
                .as_ref()
                .map(aws_smithy_types::base64::encode),
        )
        .metadata_options(
            sdk::InstanceMetadataOptionsRequest::builder()
                .http_tokens(sdk::HttpTokensState::Required)
                .http_endpoint(sdk::InstanceMetadataEndpointState::Enabled)
                // Containers on the instance are one hop further.
                .http_put_response_hop_limit(2)
                .build(),
        )
        .set_tag_specifications(Some(tags))
}

/// Spot instances are terminated when EC2 takes them back: those that would stop or hibernate
/// cannot be in a placement group.
fn market_options(market: &Market) -> Option<sdk::InstanceMarketOptionsRequest> {
    let options = sdk::InstanceMarketOptionsRequest::builder();
    match market {
        Market::OnDemand | Market::Open | Market::Reservation(_) => None,
        Market::CapacityBlock(_) => Some(options.market_type(sdk::MarketType::CapacityBlock)),
        Market::Spot => Some(
            options.market_type(sdk::MarketType::Spot).spot_options(
                sdk::SpotMarketOptions::builder()
                    .spot_instance_type(sdk::SpotInstanceType::OneTime)
                    .instance_interruption_behavior(sdk::InstanceInterruptionBehavior::Terminate)
                    .build(),
            ),
        ),
    }
    .map(|options| options.build())
}

fn reservation(market: &Market) -> Option<sdk::CapacityReservationSpecification> {
    let specification = sdk::CapacityReservationSpecification::builder();
    match market {
        Market::OnDemand | Market::Spot => None,
        Market::Open => Some(
            specification.capacity_reservation_preference(sdk::CapacityReservationPreference::Open),
        ),
        Market::Reservation(id) | Market::CapacityBlock(id) => Some(
            specification.capacity_reservation_target(
                sdk::CapacityReservationTarget::builder()
                    .capacity_reservation_id(id)
                    .build(),
            ),
        ),
    }
    .map(|specification| specification.build())
}

fn placement(request: &RunInstances) -> Option<sdk::Placement> {
    let (group, tenancy) = (&request.placement_group_name, &request.tenancy);
    (group.is_some() || tenancy.is_some()).then(|| {
        sdk::Placement::builder()
            .set_group_name(group.clone())
            .set_tenancy(tenancy.as_deref().map(sdk::Tenancy::from))
            .build()
    })
}

fn interface(
    request: &RunInstances,
    interface: &NetworkInterface,
) -> sdk::InstanceNetworkInterfaceSpecification {
    sdk::InstanceNetworkInterfaceSpecification::builder()
        .network_card_index(number(interface.network_card_index.get()))
        .device_index(number(interface.device_index.get()))
        .interface_type(interface.interface_type.as_str())
        .subnet_id(&request.subnet_id)
        .groups(&request.security_group_id)
        .delete_on_termination(true)
        .set_associate_public_ip_address(interface.associate_public_ip_address)
        .set_secondary_private_ip_address_count(interface.ipv4_address_count.map(number))
        .set_ipv4_prefix_count(interface.ipv4_prefix_count.map(number))
        .build()
}

fn root_volume(volume: &RootVolume) -> sdk::BlockDeviceMapping {
    sdk::BlockDeviceMapping::builder()
        .device_name(&volume.device_name)
        .ebs(
            sdk::EbsBlockDevice::builder()
                .encrypted(true)
                .delete_on_termination(true)
                .volume_type(sdk::VolumeType::Gp3)
                .set_volume_size(
                    volume
                        .volume_size_gib
                        .and_then(|size| i32::try_from(size).ok()),
                )
                .build(),
        )
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Sent = (Option<String>, Option<String>, Option<String>);

    /// Market type, reservation preference and reservation target of a market.
    fn sent(market: &Market) -> Sent {
        let specification = reservation(market);
        (
            market_options(market)
                .and_then(|options| options.market_type)
                .map(|kind| kind.as_str().to_owned()),
            specification
                .as_ref()
                .and_then(|s| s.capacity_reservation_preference.as_ref())
                .map(|preference| preference.as_str().to_owned()),
            specification
                .and_then(|s| s.capacity_reservation_target)
                .and_then(|target| target.capacity_reservation_id),
        )
    }

    #[test]
    fn markets_are_sent_as_ec2_wants_them() {
        let some = |text: &str| Some(text.to_owned());
        let id = || "cr-1".to_owned();
        let cases = [
            (Market::OnDemand, (None, None, None)),
            (Market::Open, (None, some("open"), None)),
            (Market::Reservation(id()), (None, None, some("cr-1"))),
            (Market::Spot, (some("spot"), None, None)),
            (
                Market::CapacityBlock(id()),
                (some("capacity-block"), None, some("cr-1")),
            ),
        ];
        for (market, expected) in cases {
            assert_eq!(sent(&market), expected, "{market:?}");
        }
    }
}
