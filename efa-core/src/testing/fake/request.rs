//! What the fake reads of a RunInstances request.

use crate::ec2::{Market, RunInstances, Tags};
use crate::launch::{HttpTokens, InterfaceSpecification, MarketType, UserData};
use crate::layout::NetworkInterface;

/// The parts of a launch that the fake reads.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) instance_type: String,
    pub(super) count: u32,
    pub(super) minimum_count: u32,
    pub(super) market: Market,
    pub(super) tenancy: Option<String>,
    pub(super) image_id: String,
    pub(super) subnet_id: String,
    /// Of any interface, each once.
    pub(super) security_group_ids: Vec<String>,
    pub(super) placement_group_name: Option<String>,
    pub(super) placement_group_id: Option<String>,
    pub(super) interfaces: Vec<InterfaceSpecification>,
    /// The interfaces without their place.
    pub(super) layout: Vec<NetworkInterface>,
    pub(super) volume_size_gib: Option<u32>,
    pub(super) iam_instance_profile: Option<String>,
    pub(super) imds_v2_required: bool,
    pub(super) user_data: Option<UserData>,
    pub(super) tags: Tags,
}

impl From<&RunInstances> for Request {
    fn from(sent: &RunInstances) -> Self {
        let data = &sent.data;
        let reservation = data.capacity_reservation_id().map(str::to_owned);
        let groups = data
            .network_interfaces
            .iter()
            .flat_map(|i| i.groups.clone());
        let mut security_group_ids: Vec<String> = groups.collect();
        security_group_ids.sort();
        security_group_ids.dedup();
        let volume = data.block_device_mappings.first();
        let profile = data.iam_instance_profile.as_ref();
        Self {
            instance_type: data.instance_type.clone(),
            count: sent.max_count,
            minimum_count: sent.min_count,
            market: match (data.market_type(), reservation) {
                _ if data.capacity_reservation_group().is_some() => {
                    let arn = data.capacity_reservation_group().unwrap_or_default();
                    Market::ReservationGroup(arn.to_owned())
                }
                (Some(MarketType::Spot), _) => Market::Spot,
                (Some(MarketType::CapacityBlock), id) => {
                    Market::CapacityBlock(id.unwrap_or_default())
                }
                (_, Some(id)) => Market::Reservation(id),
                (_, None) => Market::OnDemand,
            },
            tenancy: data.tenancy().map(str::to_owned),
            image_id: data.image_id.clone(),
            subnet_id: data.subnet_id().unwrap_or_default().to_owned(),
            security_group_ids,
            placement_group_name: data.placement_group_name().map(str::to_owned),
            placement_group_id: data.placement_group_id().map(str::to_owned),
            interfaces: data.network_interfaces.clone(),
            layout: data.layout_interfaces(),
            volume_size_gib: volume.and_then(|device| device.ebs.volume_size),
            iam_instance_profile: profile.map(|profile| profile.name.clone()),
            imds_v2_required: data.metadata_options.http_tokens == HttpTokens::Required,
            user_data: data.user_data.clone(),
            tags: data.instance_tags().cloned().unwrap_or_default(),
        }
    }
}
