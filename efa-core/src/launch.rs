//! A launch: every parameter of RunInstances that this crate sends, as one value.
//!
//! A [`crate::Plan`] makes it, and decides every default in it. The `aws` adapter converts it
//! field by field and the hand-off writers serialise it, so that a document has what `apply` sends.
//! Its serialised form is EC2's own, as `aws ec2 run-instances --cli-input-json` takes it;
//! [`LaunchData`] alone is the `LaunchTemplateData` of a launch template.

use serde::{Deserialize, Serialize};

use crate::layout::NetworkInterface;
use crate::types::{CardIndex, DeviceIndex, InterfaceType, Tags, open_string_enum};

mod user_data;

pub use user_data::UserData;

/// A RunInstances request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct RunInstances {
    /// Makes the request idempotent.
    pub client_token: String,
    /// With fewer instances none is launched.
    pub min_count: u32,
    /// How many instances at most.
    pub max_count: u32,
    /// What each instance is launched with.
    #[serde(flatten)]
    pub data: LaunchData,
}

/// The launch parameters of each instance of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct LaunchData {
    /// The instance type's name.
    pub instance_type: String,
    /// `ami-…`
    pub image_id: String,
    /// The network interfaces.
    pub network_interfaces: Vec<InterfaceSpecification>,
    /// The placement group and the tenancy; `None` leaves both to EC2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// The market; `None` on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_market_options: Option<MarketOptions>,
    /// The capacity reservation; `None` leaves it to EC2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_reservation_specification: Option<CapacityReservationSpecification>,
    /// The volumes that differ from the image's own, the root volume first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub block_device_mappings: Vec<BlockDeviceMapping>,
    /// Cores and threads; `None` for the instance type's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_options: Option<CpuOptions>,
    /// The instance metadata service.
    pub metadata_options: MetadataOptions,
    /// The names in private DNS; `None` leaves them to the subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_dns_name_options: Option<PrivateDnsNameOptions>,
    /// The instance profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam_instance_profile: Option<InstanceProfileSpecification>,
    /// Name of an EC2 key pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// Tags from birth, for each kind of resource that a launch makes.
    pub tag_specifications: Vec<TagSpecification>,
    /// User data, not yet encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data: Option<UserData>,
    /// What becomes of an instance that shuts itself down; `None` leaves it to EC2, which stops it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_initiated_shutdown_behavior: Option<ShutdownBehavior>,
}

impl LaunchData {
    /// Tags of the instances.
    #[must_use]
    pub fn instance_tags(&self) -> Option<&Tags> {
        self.tag_specifications
            .iter()
            .find(|specification| specification.resource_type == TaggedResource::Instance)
            .map(|specification| &specification.tags)
    }

    /// Tags of the interfaces that the instances do not have.
    #[must_use]
    pub fn further_interface_tags(&self) -> Tags {
        let of_kind = |kind| {
            let mut all = self.tag_specifications.iter();
            let found = all.find(|specification| specification.resource_type == kind);
            found.map(|specification| specification.tags.clone())
        };
        let mut tags = of_kind(TaggedResource::NetworkInterface).unwrap_or_default();
        let instances = of_kind(TaggedResource::Instance).unwrap_or_default();
        tags.retain(|key, value| instances.get(key) != Some(value));
        tags
    }

    /// Returns the interfaces as a layout has them, without their place.
    #[must_use]
    pub fn layout_interfaces(&self) -> Vec<NetworkInterface> {
        let interfaces = self.network_interfaces.iter();
        interfaces
            .map(InterfaceSpecification::layout_interface)
            .collect()
    }

    /// Returns the subnet of the first interface.
    #[must_use]
    pub fn subnet_id(&self) -> Option<&str> {
        self.network_interfaces.first()?.subnet_id.as_deref()
    }

    /// Returns the placement group's id, where the launch names it so.
    #[must_use]
    pub fn placement_group_id(&self) -> Option<&str> {
        self.placement.as_ref()?.group_id.as_deref()
    }

    /// Returns the placement group's name, where the launch names it so.
    #[must_use]
    pub fn placement_group_name(&self) -> Option<&str> {
        self.placement.as_ref()?.group_name.as_deref()
    }

    /// Returns the tenancy.
    #[must_use]
    pub fn tenancy(&self) -> Option<&str> {
        self.placement.as_ref()?.tenancy.as_deref()
    }

    /// Returns the market; `None` on demand.
    #[must_use]
    pub fn market_type(&self) -> Option<&MarketType> {
        let options = self.instance_market_options.as_ref()?;
        Some(&options.market_type)
    }

    /// Returns the capacity reservation or Capacity Block that the launch must use.
    #[must_use]
    pub fn capacity_reservation_id(&self) -> Option<&str> {
        let specification = self.capacity_reservation_specification.as_ref()?;
        let target = specification.capacity_reservation_target.as_ref()?;
        target.capacity_reservation_id.as_deref()
    }

    /// Returns the resource group whose reservations the launch must use.
    #[must_use]
    pub fn capacity_reservation_group(&self) -> Option<&str> {
        let specification = self.capacity_reservation_specification.as_ref()?;
        let target = specification.capacity_reservation_target.as_ref()?;
        target.capacity_reservation_resource_group_arn.as_deref()
    }

    /// Changes the tags of everything that the launch makes.
    pub(crate) fn change_tags(&mut self, change: impl Fn(&mut Tags)) {
        for specification in &mut self.tag_specifications {
            change(&mut specification.tags);
        }
    }
}

open_string_enum! {
    /// The fate of an instance that shuts itself down.
    pub enum ShutdownBehavior {
        /// It is stopped.
        Stop = "stop",
        /// It is terminated.
        Terminate = "terminate",
    }
}

/// One network interface of each instance, with its place in the network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct InterfaceSpecification {
    /// The network card.
    pub network_card_index: CardIndex,
    /// The device index on that card.
    pub device_index: DeviceIndex,
    /// `interface`, `efa` or `efa-only`.
    pub interface_type: InterfaceType,
    /// `subnet-…`; `None` leaves it to whoever launches from a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_id: Option<String>,
    /// Ids of its security groups.
    pub groups: Vec<String>,
    /// Whether it gets a public address at launch; `None` leaves it to the subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub associate_public_ip_address: Option<bool>,
    /// How many further private IPv4 addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_private_ip_address_count: Option<u32>,
    /// How many /28 prefixes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_prefix_count: Option<u32>,
    /// How many IPv6 addresses; `None` leaves it to the subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_address_count: Option<u32>,
    /// Whether it goes with the instance.
    pub delete_on_termination: bool,
}

impl InterfaceSpecification {
    /// Returns the interface as a layout has it, without its place.
    #[must_use]
    pub fn layout_interface(&self) -> NetworkInterface {
        let mut interface = NetworkInterface::new(
            self.network_card_index.get(),
            self.device_index.get(),
            self.interface_type.clone(),
        );
        interface.associate_public_ip_address = self.associate_public_ip_address;
        interface.ipv4_address_count = self.secondary_private_ip_address_count;
        interface.ipv4_prefix_count = self.ipv4_prefix_count;
        interface
    }
}

/// The placement of the instances.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Placement {
    /// The placement group's name; a launch has its name or its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// `pg-…`, of a placement group that another account shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// `default` or `dedicated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenancy: Option<String>,
}

impl Placement {
    /// Whether it names a placement group.
    pub(crate) fn has_group(&self) -> bool {
        self.group_name.is_some() || self.group_id.is_some()
    }
}

open_string_enum! {
    /// A market other than on demand.
    pub enum MarketType {
        /// Spot.
        Spot = "spot",
        /// A Capacity Block.
        CapacityBlock = "capacity-block",
    }
}

open_string_enum! {
    /// The lifetime of a spot request.
    pub enum SpotInstanceType {
        /// It ends with its instances.
        OneTime = "one-time",
        /// It launches again what was interrupted.
        Persistent = "persistent",
    }
}

open_string_enum! {
    /// The fate of a spot instance that EC2 takes back.
    pub enum InterruptionBehavior {
        /// It is hibernated.
        Hibernate = "hibernate",
        /// It is stopped.
        Stop = "stop",
        /// It is terminated.
        Terminate = "terminate",
    }
}

/// The market of a launch that is not on demand.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct MarketOptions {
    /// Which market.
    pub market_type: MarketType,
    /// More about spot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_options: Option<SpotOptions>,
}

/// More about a spot launch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SpotOptions {
    /// The most to pay, in dollars per hour; the on-demand price when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<String>,
    /// How long the request lives.
    pub spot_instance_type: SpotInstanceType,
    /// What becomes of an instance that EC2 takes back.
    pub instance_interruption_behavior: InterruptionBehavior,
}

open_string_enum! {
    /// The reservations that a launch without a target may use.
    pub enum CapacityReservationPreference {
        /// Any open one that matches.
        Open = "open",
        /// None.
        None = "none",
        /// The target's, and no capacity outside of it.
        CapacityReservationsOnly = "capacity-reservations-only",
    }
}

/// The capacity reservation of a launch: a preference or a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct CapacityReservationSpecification {
    /// Any reservation of a kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_reservation_preference: Option<CapacityReservationPreference>,
    /// One reservation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_reservation_target: Option<CapacityReservationTarget>,
}

/// One capacity reservation, or a resource group of some.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct CapacityReservationTarget {
    /// `cr-…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_reservation_id: Option<String>,
    /// The group's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_reservation_resource_group_arn: Option<String>,
}

/// One block device of each instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct BlockDeviceMapping {
    /// The device's name, such as `/dev/xvda`.
    pub device_name: String,
    /// The volume.
    pub ebs: EbsVolume,
}

open_string_enum! {
    /// EC2's kinds of EBS volumes.
    pub enum VolumeType {
        /// General purpose SSD of the second generation.
        Gp2 = "gp2",
        /// General purpose SSD of the third generation.
        Gp3 = "gp3",
        /// Provisioned IOPS SSD.
        Io1 = "io1",
        /// Provisioned IOPS SSD of the second generation.
        Io2 = "io2",
    }
}

impl VolumeType {
    /// Whether it counts as gp3 storage.
    pub(crate) fn is_gp3(&self) -> bool {
        *self == Self::Gp3
    }
}

/// An EBS volume that a launch makes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct EbsVolume {
    /// Its size in GiB; the image's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_size: Option<u32>,
    /// Its kind.
    pub volume_type: VolumeType,
    /// Provisioned IOPS; EC2's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iops: Option<u32>,
    /// Throughput in MiB/s; EC2's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<u32>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The KMS key; the account's default key for EBS when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Whether it goes with the instance.
    pub delete_on_termination: bool,
}

open_string_enum! {
    /// The need for session tokens in requests to the instance metadata service.
    pub enum HttpTokens {
        /// It takes requests without (IMDSv1).
        Optional = "optional",
        /// It does (IMDSv2).
        Required = "required",
    }
}

open_string_enum! {
    /// The state of the instance metadata service: it answers or not.
    pub enum HttpEndpoint {
        /// It does not.
        Disabled = "disabled",
        /// It does.
        Enabled = "enabled",
    }
}

open_string_enum! {
    /// The state of the instance metadata service at its IPv6 address.
    pub enum HttpProtocolIpv6 {
        /// It does not.
        Disabled = "disabled",
        /// It does.
        Enabled = "enabled",
    }
}

open_string_enum! {
    /// The state of the instance's tags in the instance metadata service.
    pub enum InstanceMetadataTags {
        /// It does not.
        Disabled = "disabled",
        /// It does.
        Enabled = "enabled",
    }
}

/// The instance metadata service of each instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct MetadataOptions {
    /// Whether it demands session tokens.
    pub http_tokens: HttpTokens,
    /// Whether it answers.
    pub http_endpoint: HttpEndpoint,
    /// Over how many hops its answers travel.
    pub http_put_response_hop_limit: u32,
    /// Whether it shows the instance's tags; `None` leaves it to EC2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_metadata_tags: Option<InstanceMetadataTags>,
    /// Whether it answers at its IPv6 address, too; `None` leaves it to EC2, whose default is no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_protocol_ipv6: Option<HttpProtocolIpv6>,
}

open_string_enum! {
    /// The source of an instance's host name.
    pub enum HostnameType {
        /// Its private IPv4 address.
        IpName = "ip-name",
        /// Its id.
        ResourceName = "resource-name",
    }
}

/// The name of each instance in private DNS.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct PrivateDnsNameOptions {
    /// What its host name is made of.
    pub hostname_type: HostnameType,
    /// Whether its id has an A record.
    pub enable_resource_name_dns_a_record: bool,
    /// Whether its id has an AAAA record; `None` leaves it to EC2, whose default is no.
    #[serde(
        rename = "EnableResourceNameDnsAAAARecord",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub enable_resource_name_dns_aaaa_record: Option<bool>,
}

/// Cores and threads of each instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct CpuOptions {
    /// How many physical cores.
    pub core_count: u32,
    /// Threads of each; 1 without simultaneous multithreading.
    pub threads_per_core: u32,
}

/// The instance profile of each instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct InstanceProfileSpecification {
    /// Its name.
    pub name: String,
}

open_string_enum! {
    /// A kind of resource that a launch makes and tags.
    pub enum TaggedResource {
        /// The instances.
        Instance = "instance",
        /// Their volumes.
        Volume = "volume",
        /// Their network interfaces.
        NetworkInterface = "network-interface",
    }
}

/// Tags of one kind of resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct TagSpecification {
    /// The kind.
    pub resource_type: TaggedResource,
    /// Its tags.
    #[serde(with = "tag_list")]
    pub tags: Tags,
}

/// Tags as EC2's list of `Key` and `Value`.
mod tag_list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::types::Tags;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Tag<S> {
        key: S,
        value: S,
    }

    pub(super) fn serialize<S: Serializer>(tags: &Tags, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(tags.iter().map(|(key, value)| Tag { key, value }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Tags, D::Error> {
        let tags = Vec::<Tag<String>>::deserialize(deserializer)?;
        Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }
}
