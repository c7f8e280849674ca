//! The launch of a plan. What an instance gets that nobody asked for (IMDSv2, hops, encryption,
//! what goes with the instance, what is tagged) is decided here and in no other file.

use sha2::{Digest, Sha256};

use super::{Launch, Plan, form};
use crate::ec2::Market;
use crate::launch::{
    BlockDeviceMapping, CapacityReservationPreference, CapacityReservationSpecification,
    CapacityReservationTarget, EbsVolume, HttpEndpoint, HttpProtocolIpv6, HttpTokens,
    InstanceMetadataTags, InstanceProfileSpecification, InterfaceSpecification,
    InterruptionBehavior, LaunchData, MarketOptions, MarketType, MetadataOptions, Placement,
    PrivateDnsNameOptions, RunInstances, ShutdownBehavior, SpotInstanceType, SpotOptions,
    TagSpecification, TaggedResource,
};
use crate::layout::{Layout, NetworkInterface};
use crate::spec::{HostNames, VolumeOptions};
use crate::tags;
use crate::types::{ResourceKind, Tags};

impl Plan {
    /// Returns what each instance is launched with, in one security group and subnet.
    #[must_use]
    pub fn launch_data(&self, security_group_id: &str, subnet_id: &str) -> LaunchData {
        self.launch_data_with(self.layout(), security_group_id, subnet_id)
    }

    /// [`launch_data`](Self::launch_data) with the interfaces that another launcher makes of the
    /// plan's.
    pub(crate) fn launch_data_with(
        &self,
        layout: &Layout,
        security_group_id: &str,
        subnet_id: &str,
    ) -> LaunchData {
        data(self, layout, security_group_id, subnet_id, 0)
    }

    /// Returns the RunInstances request of a launch.
    #[must_use]
    pub fn run_instances_request(&self, launch: &Launch<'_>) -> RunInstances {
        let mut request = RunInstances {
            client_token: String::new(),
            min_count: launch.minimum_count,
            max_count: launch.count,
            data: data(
                self,
                self.layout(),
                launch.security_group_id,
                launch.subnet_id,
                launch.part,
            ),
        };
        // EC2 refuses one token with two different requests, so the request is part of it.
        let digest = hex::encode(&Sha256::digest(form(&request).to_string().as_bytes())[..8]);
        let (fingerprint, number) = (self.fingerprint(), launch.number);
        request.client_token = format!("efa-sdk-{fingerprint}-{digest}-{number}");
        request
    }

    /// Returns the first launch of the whole cluster into one security group and subnet.
    #[must_use]
    pub fn launch<'a>(&self, security_group_id: &'a str, subnet_id: &'a str) -> Launch<'a> {
        Launch {
            security_group_id,
            subnet_id,
            part: 0,
            count: self.count_of(0),
            minimum_count: self.spec().least_count().min(self.count_of(0)),
            number: 0,
        }
    }

    /// Returns the number of launches the cluster takes: one, or one for each of several
    /// reservations.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.spec()
            .capacity
            .reserved(self.spec().count)
            .len()
            .max(1)
    }

    /// How many instances the launch of a part has.
    pub(crate) fn count_of(&self, part: usize) -> u32 {
        let count = self.spec().count;
        let reserved = self.spec().capacity.reserved(count);
        reserved.get(part).map_or(count, |(_, count)| *count)
    }
}

/// The launch of a part of the plan's instances with these interfaces, into this security group and
/// subnet.
fn data(
    plan: &Plan,
    layout: &Layout,
    security_group_id: &str,
    subnet_id: &str,
    part: usize,
) -> LaunchData {
    let (market, spec) = (&plan.capacity().market_of(part), plan.spec());
    let mut network_interfaces = interfaces(layout, security_group_id, Some(subnet_id));
    for interface in &mut network_interfaces {
        let further = plan.further_groups(&interface.interface_type);
        interface.groups.extend(further.map(str::to_owned));
    }
    let ipv6_only = plan.is_ipv6_only(subnet_id);
    if ipv6_only {
        ask_for_ipv6(&mut network_interfaces);
    }
    let tags = instance_tags(plan, layout, security_group_id, subnet_id);
    LaunchData {
        instance_type: plan.spec().instance_type.clone(),
        image_id: plan.image().image_id.clone(),
        network_interfaces,
        placement: placement(plan),
        instance_market_options: market_options(market, spec.spot_maximum_price.as_deref()),
        capacity_reservation_specification: reservation(market),
        block_device_mappings: block_devices(plan),
        cpu_options: plan.cpu_options().cloned(),
        metadata_options: metadata_options(spec.metadata_hop_limit, spec.reads_tags(), ipv6_only),
        private_dns_name_options: spec.host_names.map(|names| host_names(names, ipv6_only)),
        iam_instance_profile: plan
            .instance_profile()
            .map(|profile| InstanceProfileSpecification {
                name: profile.name.clone(),
            }),
        key_name: plan.spec().key_name.clone(),
        instance_initiated_shutdown_behavior: shutdown_behavior(&tags),
        tag_specifications: tag_specifications(&tags, &spec.interface_tags),
        user_data: spec.sent_user_data().cloned(),
    }
}

/// The interfaces of a layout, each in this security group and subnet.
pub(crate) fn interfaces(
    layout: &Layout,
    security_group_id: &str,
    subnet_id: Option<&str>,
) -> Vec<InterfaceSpecification> {
    interfaces_of(&layout.interfaces, security_group_id, subnet_id)
}

/// These interfaces, each in this security group and subnet.
pub(crate) fn interfaces_of(
    interfaces: &[NetworkInterface],
    security_group_id: &str,
    subnet_id: Option<&str>,
) -> Vec<InterfaceSpecification> {
    interfaces
        .iter()
        .map(|interface| InterfaceSpecification {
            network_card_index: interface.network_card_index,
            device_index: interface.device_index,
            interface_type: interface.interface_type.clone(),
            subnet_id: subnet_id.map(str::to_owned),
            groups: vec![security_group_id.to_owned()],
            associate_public_ip_address: interface.associate_public_ip_address,
            secondary_private_ip_address_count: interface.ipv4_address_count,
            ipv4_prefix_count: interface.ipv4_prefix_count,
            ipv6_address_count: None,
            delete_on_termination: true,
        })
        .collect()
}

/// One IPv6 address for each interface that takes an address: in an IPv6-only subnet there is no
/// other.
pub(crate) fn ask_for_ipv6(interfaces: &mut [InterfaceSpecification]) {
    for interface in interfaces {
        let carries_ip = interface.interface_type.carries_ip();
        interface.ipv6_address_count = carries_ip.then_some(1);
    }
}

pub(crate) fn placement(plan: &Plan) -> Option<Placement> {
    let group = plan.placement_group();
    let group = group.map(|group| group.launch_name().to_owned());
    placement_of(group, plan.capacity().tenancy.clone())
}

/// A placement group by its name or id, and the tenancy; `None` for EC2's defaults of both.
pub(crate) fn placement_of(group: Option<String>, tenancy: Option<String>) -> Option<Placement> {
    let (group_id, group_name): (Vec<_>, Vec<_>) = group
        .into_iter()
        .partition(|group| ResourceKind::PlacementGroup.is_id(group));
    let placement = Placement {
        group_name: group_name.into_iter().next(),
        group_id: group_id.into_iter().next(),
        tenancy,
    };
    let is_default = placement.group_name.is_none()
        && placement.group_id.is_none()
        && placement.tenancy.is_none();
    (!is_default).then_some(placement)
}

/// The market of a launch; spot at most at this price.
pub(crate) fn market_options(market: &Market, max_price: Option<&str>) -> Option<MarketOptions> {
    match market {
        Market::OnDemand | Market::Open | Market::Reservation(_) | Market::ReservationGroup(_) => {
            None
        }
        Market::CapacityBlock(_) => Some(MarketOptions {
            market_type: MarketType::CapacityBlock,
            spot_options: None,
        }),
        Market::Spot => Some(MarketOptions {
            market_type: MarketType::Spot,
            spot_options: Some(SpotOptions {
                max_price: max_price.map(str::to_owned),
                spot_instance_type: SpotInstanceType::OneTime,
                // One that stops or hibernates cannot be in a placement group.
                instance_interruption_behavior: InterruptionBehavior::Terminate,
            }),
        }),
    }
}

pub(crate) fn reservation(market: &Market) -> Option<CapacityReservationSpecification> {
    match market {
        Market::OnDemand | Market::Spot => None,
        Market::Open => Some(CapacityReservationSpecification {
            capacity_reservation_preference: Some(CapacityReservationPreference::Open),
            capacity_reservation_target: None,
        }),
        Market::Reservation(id) | Market::CapacityBlock(id) => {
            Some(CapacityReservationSpecification {
                capacity_reservation_preference: None,
                capacity_reservation_target: Some(CapacityReservationTarget {
                    capacity_reservation_id: Some(id.clone()),
                    capacity_reservation_resource_group_arn: None,
                }),
            })
        }
        // Without the preference EC2 launches on demand what the group has no room for (EC2 user
        // guide, "Launch instances into Capacity Reservations in a group").
        Market::ReservationGroup(arn) => Some(CapacityReservationSpecification {
            capacity_reservation_preference: Some(
                CapacityReservationPreference::CapacityReservationsOnly,
            ),
            capacity_reservation_target: Some(CapacityReservationTarget {
                capacity_reservation_id: None,
                capacity_reservation_resource_group_arn: Some(arn.clone()),
            }),
        }),
    }
}

/// The root volume, where the image has one, and the others.
pub(super) fn block_devices(plan: &Plan) -> Vec<BlockDeviceMapping> {
    let spec = plan.spec();
    let root = plan.root_volume().map(|root| BlockDeviceMapping {
        device_name: root.device_name.clone(),
        ebs: volume(Some(root.volume_size_gib), &spec.volume),
    });
    let others = spec.volumes.iter().map(|other| BlockDeviceMapping {
        device_name: other.device_name.clone(),
        ebs: volume(Some(other.size_gib), &other.options),
    });
    root.into_iter().chain(others).collect()
}

/// A volume of this size; of the image's where there is none.
pub(crate) fn volume(size_gib: Option<u32>, options: &VolumeOptions) -> EbsVolume {
    EbsVolume {
        volume_size: size_gib,
        volume_type: options.volume_type().clone(),
        iops: options.iops,
        throughput: options.throughput_mib_s,
        encrypted: true,
        kms_key_id: options.kms_key_id.clone(),
        delete_on_termination: true,
    }
}

/// Hops of the metadata service's answers: containers on the instance are one further.
const HOPS: u32 = 2;

/// IMDSv2 over this many hops, with the instance's tags or without. IMDSv1 is never answered. In
/// an IPv6-only subnet the service answers at its IPv6 address, too, where cloud-init looks for it.
pub(crate) fn metadata_options(hops: Option<u32>, tags: bool, ipv6_only: bool) -> MetadataOptions {
    MetadataOptions {
        http_tokens: HttpTokens::Required,
        http_endpoint: HttpEndpoint::Enabled,
        http_put_response_hop_limit: hops.unwrap_or(HOPS),
        instance_metadata_tags: tags.then_some(InstanceMetadataTags::Enabled),
        http_protocol_ipv6: ipv6_only.then_some(HttpProtocolIpv6::Enabled),
    }
}

/// Instances that are called by their id can be looked up by it.
fn host_names(names: HostNames, ipv6_only: bool) -> PrivateDnsNameOptions {
    let by_id = names == HostNames::ResourceName;
    PrivateDnsNameOptions {
        hostname_type: names.as_str().into(),
        enable_resource_name_dns_a_record: by_id && !ipv6_only,
        enable_resource_name_dns_aaaa_record: (by_id && ipv6_only).then_some(true),
    }
}

/// What becomes of an instance with these tags that shuts itself down: one that expires is gone.
pub(crate) fn shutdown_behavior(tags: &Tags) -> Option<ShutdownBehavior> {
    let expires = tags.contains_key(tags::EXPIRES_AT);
    expires.then_some(ShutdownBehavior::Terminate)
}

/// These tags on everything that a launch makes, with further ones on the interfaces.
pub(crate) fn tag_specifications(tags: &Tags, of_interfaces: &Tags) -> Vec<TagSpecification> {
    [
        TaggedResource::Instance,
        TaggedResource::Volume,
        TaggedResource::NetworkInterface,
    ]
    .map(|resource_type| {
        let mut tags = tags.clone();
        if resource_type == TaggedResource::NetworkInterface {
            tags.extend(of_interfaces.clone());
        }
        TagSpecification {
            resource_type,
            tags,
        }
    })
    .into()
}

/// Tags by which [`crate::Client::verify`] finds the cluster and knows what was planned.
fn instance_tags(plan: &Plan, layout: &Layout, security_group_id: &str, subnet_id: &str) -> Tags {
    let mut all = plan.shared_tags();
    let mut put = |key: &str, value: &str| all.insert(key.to_owned(), value.to_owned());
    put(
        tags::NAME,
        plan.spec().name_tag.as_deref().unwrap_or(plan.name()),
    );
    put(tags::PLAN, plan.fingerprint());
    put(tags::COUNT, &plan.spec().count.to_string());
    put(tags::LAYOUT, &layout.notation());
    put(tags::PUBLIC_IP, layout.public_ip.as_str());
    put(tags::INSTANCE_TYPE, &plan.spec().instance_type);
    put(tags::SUBNET, subnet_id);
    put(tags::IMAGE, &plan.image().image_id);
    put(tags::SECURITY_GROUP, security_group_id);
    put(tags::CAPACITY, &plan.spec().capacity.to_string());
    if let Some(group) = plan.placement_group() {
        put(tags::PLACEMENT_GROUP, group.launch_name());
    }
    if let Some(profile) = plan.instance_profile() {
        put(tags::INSTANCE_PROFILE, &profile.name);
    }
    if let Some(price) = &plan.spec().spot_maximum_price {
        put(tags::SPOT_MAXIMUM_PRICE, price);
    }
    if let Some(at) = plan.expires_at() {
        put(tags::EXPIRES_AT, at);
    }
    if !plan.spec().ssh_cidrs.is_empty() {
        put(tags::SSH_CIDRS, &plan.spec().ssh_cidrs.join(" "));
    }
    all
}

#[cfg(test)]
mod tests;
