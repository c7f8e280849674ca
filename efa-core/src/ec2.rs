//! The calls that this crate makes to EC2, in the crate's own types.
//!
//! [`Ec2`] is the minimal contract: one method per EC2 action, all pages read, nothing retried
//! beyond the transport. [`crate::Client`] builds the verbs on it. Reads are by filter, so that a missing resource is an empty list.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::catalog::InstanceType;
use crate::error::{Result, not_implemented};
use crate::launch::{BlockDeviceMapping, CpuOptions, PrivateDnsNameOptions, UserData};
use crate::types::{
    Architecture, CardIndex, DeviceIndex, InterfaceType, PlacementStrategy, open_string_enum,
};

pub use crate::launch::RunInstances;
pub use crate::types::Tags;

/// EC2's codes for lack of capacity: the same launch may succeed later, or in another zone.
/// Origin: Karpenter's list of capacity errors, without those that are about the whole region.
pub(crate) const NO_CAPACITY: &[&str] = &[
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientReservedInstanceCapacity",
    "ReservationCapacityExceeded",
    "UnfulfillableCapacity",
];

/// One EC2 filter: the resource matches when any of the values does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Filter {
    /// EC2's filter name, such as `tag:Name` or `vpc-id`.
    pub name: String,
    /// Accepted values; EC2's wildcards `*` and `?` work.
    pub values: Vec<String>,
}

impl Filter {
    /// Creates a filter with one value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            values: vec![value.into()],
        }
    }

    /// Creates a filter that any of several values meets.
    pub fn any<I, S>(name: impl Into<String>, values: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Self {
            name: name.into(),
            values: values.into_iter().map(Into::into).collect(),
        }
    }

    /// Creates a filter on the value of a tag.
    #[must_use]
    pub fn tag(key: &str, value: &str) -> Self {
        Self::new(format!("tag:{key}"), value)
    }
}

/// One zone that offers one instance type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Offering {
    /// The instance type's name.
    pub instance_type: String,
    /// The Availability Zone's name, such as `us-east-1a`.
    pub availability_zone: String,
}

/// A VPC, as DescribeVpcs shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Vpc {
    /// `vpc-…`
    pub vpc_id: String,
    /// Its primary IPv4 range.
    pub cidr_block: String,
    /// Whether it is the region's default VPC.
    pub is_default: bool,
    /// `default` or `dedicated`: of what is launched in it without a tenancy of its own.
    pub instance_tenancy: String,
    /// The account that owns it: another one's where it is shared.
    pub owner_id: String,
    /// Its tags.
    pub tags: Tags,
}

/// A subnet, as DescribeSubnets shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subnet {
    /// `subnet-…`
    pub subnet_id: String,
    /// `vpc-…`
    pub vpc_id: String,
    /// The Availability Zone's name.
    pub availability_zone: String,
    /// Free IPv4 addresses; 0 where it is IPv6-only.
    pub available_ip_address_count: u32,
    /// Whether it is IPv6-only: what is launched in it gets no IPv4 address.
    pub ipv6_native: bool,
    /// Whether its DNS resolver gives IPv4-only names an IPv6 address (`EnableDns64`).
    pub enable_dns64: bool,
    /// Whether the subnet gives launched instances a public address.
    pub map_public_ip_on_launch: bool,
    /// The account that owns it: another one's where it is shared.
    pub owner_id: String,
    /// Its tags.
    pub tags: Tags,
}

/// A machine image, as DescribeImages shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Image {
    /// `ami-…`
    pub image_id: String,
    /// The name that its owner gave it.
    pub name: String,
    /// The account that owns it.
    pub owner_id: String,
    /// `amazon`, `aws-marketplace` or `self`, where EC2 reports it.
    pub owner_alias: Option<String>,
    /// When it was made, ISO 8601: a later one is greater.
    pub creation_date: String,
    /// The processor architecture that it runs on.
    pub architecture: Architecture,
    /// Whether it declares ENA support, which EFA needs.
    pub ena_support: bool,
    /// EC2's state word, such as `available` or `pending`.
    pub state: String,
    /// What it is billed as, such as `Linux/UNIX` or `Windows`: a capacity reservation is for one.
    pub platform_details: Option<String>,
    /// The root device's name, such as `/dev/xvda`.
    pub root_device_name: Option<String>,
    /// Size of the root volume that the image brings; a smaller one cannot be asked for.
    pub root_volume_size_gib: Option<u32>,
}

/// A route table, as DescribeRouteTables shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RouteTable {
    /// `rtb-…`
    pub route_table_id: String,
    /// `vpc-…`
    pub vpc_id: String,
    /// Whether it is of every subnet of the VPC that has none of its own.
    pub is_main: bool,
    /// The subnets that it is associated with.
    pub subnet_ids: Vec<String>,
    /// The id that its active route to 0.0.0.0/0 leads to: `nat-…`, `igw-…`, `tgw-…`, `eni-…`.
    pub default_route_target: Option<String>,
    /// The id that its active route to ::/0 leads to: `eigw-…`, `igw-…`, `tgw-…`.
    pub default_ipv6_route_target: Option<String>,
    /// The id that its active route to 64:ff9b::/96 leads to, by which NAT64 goes: `nat-…`.
    pub nat64_route_target: Option<String>,
}

/// A VPC endpoint, as DescribeVpcEndpoints shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VpcEndpoint {
    /// `vpce-…`
    pub vpc_endpoint_id: String,
    /// Such as `com.amazonaws.us-east-1.ssm`.
    pub service_name: String,
    /// EC2's state word, in lower case, such as `available`.
    pub state: String,
}

/// The peer that a security-group rule lets traffic come from or go to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Peer {
    /// Members of a security group, by its id.
    SecurityGroup(String),
    /// An IPv4 or IPv6 range.
    Cidr(String),
    /// A prefix list, by its id.
    PrefixList(String),
}

/// One security-group rule: a protocol, ports, and one peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    /// `-1` for all protocols, else `tcp`, `udp`, `icmp` or a number.
    pub ip_protocol: String,
    /// First port; absent for all protocols.
    pub from_port: Option<i32>,
    /// Last port; absent for all protocols.
    pub to_port: Option<i32>,
    /// The other side.
    pub peer: Peer,
}

impl Rule {
    /// Returns all protocols, to or from the members of `group_id`: what EFA needs.
    pub fn all_traffic_with_group(group_id: impl Into<String>) -> Self {
        Self {
            ip_protocol: "-1".to_owned(),
            from_port: None,
            to_port: None,
            peer: Peer::SecurityGroup(group_id.into()),
        }
    }

    /// Returns whether the rule allows all protocols with the members of `group_id`.
    #[must_use]
    pub fn allows_all_traffic_with_group(&self, group_id: &str) -> bool {
        self.ip_protocol == "-1" && self.peer == Peer::SecurityGroup(group_id.to_owned())
    }
}

impl std::fmt::Display for Rule {
    /// Such as `all protocols with sg-1` or `tcp 22 with 10.0.0.0/8`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.ip_protocol.as_str() {
            "-1" => f.write_str("all protocols")?,
            protocol => f.write_str(protocol)?,
        }
        match (self.from_port, self.to_port) {
            (Some(from), Some(to)) if from == to => write!(f, " {from}")?,
            (Some(from), Some(to)) => write!(f, " {from}-{to}")?,
            _ => {}
        }
        match &self.peer {
            Peer::SecurityGroup(peer) | Peer::Cidr(peer) | Peer::PrefixList(peer) => {
                write!(f, " with {peer}")
            }
        }
    }
}

/// A security group, as DescribeSecurityGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// `sg-…`
    pub group_id: String,
    /// Its name, unique in the VPC.
    pub group_name: String,
    /// `vpc-…`
    pub vpc_id: String,
    /// Rules for incoming traffic.
    pub ingress: Vec<Rule>,
    /// Rules for outgoing traffic.
    pub egress: Vec<Rule>,
    /// Its tags.
    pub tags: Tags,
}

/// A placement group, as DescribePlacementGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlacementGroup {
    /// `pg-…`
    pub group_id: String,
    /// Its ARN, which a capacity reservation that was made in it names.
    pub group_arn: Option<String>,
    /// Its name, unique in the account and region.
    pub group_name: String,
    /// How it places instances.
    pub strategy: PlacementStrategy,
    /// EC2's state word, such as `available` or `deleting`.
    pub state: String,
    /// Its tags.
    pub tags: Tags,
}

open_string_enum! {
    /// An instance's state, in the order of its life.
    pub enum InstanceState {
        /// Being started.
        Pending = "pending",
        /// Up, according to EC2.
        Running = "running",
        /// Being terminated.
        ShuttingDown = "shutting-down",
        /// Being stopped.
        Stopping = "stopping",
        /// Stopped.
        Stopped = "stopped",
        /// Gone.
        Terminated = "terminated",
    }
}

/// A network interface of an instance, as DescribeInstances shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AttachedInterface {
    /// `eni-…`
    pub network_interface_id: String,
    /// The network card that it is attached to.
    pub network_card_index: CardIndex,
    /// Its device index on that card.
    pub device_index: DeviceIndex,
    /// `interface`, `efa` or `efa-only`.
    pub interface_type: InterfaceType,
    /// `subnet-…`
    pub subnet_id: String,
    /// Ids of its security groups, sorted.
    pub group_ids: Vec<String>,
    /// Its primary private IPv4 address; EFA-only interfaces have none, and none has one in an
    /// IPv6-only subnet.
    pub private_ip_address: Option<String>,
    /// Its IPv6 addresses.
    pub ipv6_addresses: Vec<String>,
    /// Its public address.
    pub public_ip: Option<String>,
    /// Whether it goes with the instance.
    pub delete_on_termination: bool,
}

/// An instance, as DescribeInstances shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// `i-…`
    pub instance_id: String,
    /// The instance type's name.
    pub instance_type: String,
    /// Its state.
    pub state: InstanceState,
    /// Why EC2 changed the state, where it is known.
    pub state_reason: Option<String>,
    /// `ami-…`
    pub image_id: String,
    /// `subnet-…`
    pub subnet_id: Option<String>,
    /// The Availability Zone's name.
    pub availability_zone: String,
    /// The placement group's name.
    pub placement_group_name: Option<String>,
    /// Its primary private IPv4 address; none in an IPv6-only subnet.
    pub private_ip_address: Option<String>,
    /// Its IPv6 address.
    pub ipv6_address: Option<String>,
    /// Its public address.
    pub public_ip_address: Option<String>,
    /// Whether its metadata service demands session tokens (IMDSv2).
    pub imds_v2_required: bool,
    /// `spot` or `capacity-block`; absent on demand.
    pub lifecycle: Option<String>,
    /// The capacity reservation that it runs in.
    pub capacity_reservation_id: Option<String>,
    /// ARN of its IAM instance profile.
    pub iam_instance_profile_arn: Option<String>,
    /// Its number among the instances of one launch.
    pub launch_index: u32,
    /// Its interfaces, sorted by card, then device.
    pub interfaces: Vec<AttachedInterface>,
    /// Its tags.
    pub tags: Tags,
}

impl Instance {
    /// Returns the address that the others of its cluster reach it by: the private IPv4 address, in
    /// an IPv6-only subnet the IPv6 address.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        let address = self.private_ip_address.as_ref();
        address.or(self.ipv6_address.as_ref()).map(String::as_str)
    }

    /// Returns whether it has an IPv6 address and no IPv4 address, as in an IPv6-only subnet.
    #[must_use]
    pub fn is_ipv6_only(&self) -> bool {
        self.private_ip_address.is_none() && self.ipv6_address.is_some()
    }
}

/// A network interface by itself, as DescribeNetworkInterfaces shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FreeInterface {
    /// `eni-…`
    pub network_interface_id: String,
    /// EC2's status word; `available` means attached to nothing.
    pub status: String,
}

/// An Elastic IP address, as DescribeAddresses shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    /// `eipalloc-…`
    pub allocation_id: String,
    /// `eipassoc-…`, where it is associated.
    pub association_id: Option<String>,
    /// The address.
    pub public_ip: String,
    /// The instance that it is associated with.
    pub instance_id: Option<String>,
    /// The interface that it is associated with.
    pub network_interface_id: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// A CreateSecurityGroup request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CreateSecurityGroup {
    /// The group's name.
    pub group_name: String,
    /// What it is for.
    pub description: String,
    /// `vpc-…`
    pub vpc_id: String,
    /// Tags from birth.
    pub tags: Tags,
}

impl CreateSecurityGroup {
    /// Creates a group without tags.
    pub fn new(
        group_name: impl Into<String>,
        description: impl Into<String>,
        vpc_id: impl Into<String>,
    ) -> Self {
        Self {
            group_name: group_name.into(),
            description: description.into(),
            vpc_id: vpc_id.into(),
            tags: Tags::new(),
        }
    }
}

/// The direction of a security-group rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// Incoming.
    Ingress,
    /// Outgoing.
    Egress,
}

impl Direction {
    /// Returns EC2's word, `ingress` or `egress`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// A capacity reservation, as DescribeCapacityReservations shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CapacityReservation {
    /// `cr-…`
    pub capacity_reservation_id: String,
    /// The instance type's name.
    pub instance_type: String,
    /// The Availability Zone's name.
    pub availability_zone: String,
    /// `default` or `dedicated`.
    pub tenancy: String,
    /// EC2's state word, such as `active` or `scheduled`.
    pub state: String,
    /// `default` or `capacity-block`.
    pub reservation_type: String,
    /// `open` or `targeted`.
    pub instance_match_criteria: String,
    /// What its instances are billed as, such as `Linux/UNIX`.
    pub instance_platform: Option<String>,
    /// The account that owns it: another one's where it is shared.
    pub owner_id: String,
    /// How many instances it holds.
    pub total_instance_count: u32,
    /// How many of them are free.
    pub available_instance_count: u32,
    /// ARN of the placement group that it was made in.
    pub placement_group_arn: Option<String>,
    /// When it begins, ISO 8601 in UTC.
    pub start_date: Option<String>,
    /// When it ends, ISO 8601 in UTC; EC2 starts terminating a Capacity Block's instances 30
    /// minutes before.
    pub end_date: Option<String>,
}

impl CapacityReservation {
    /// Returns whether it is a Capacity Block.
    #[must_use]
    pub fn is_block(&self) -> bool {
        self.reservation_type == "capacity-block"
    }

    /// The market of a launch into it.
    pub(crate) fn market(&self) -> Market {
        let id = self.capacity_reservation_id.clone();
        if self.is_block() {
            Market::CapacityBlock(id)
        } else {
            Market::Reservation(id)
        }
    }
}

/// A Capacity Block that can be bought, as DescribeCapacityBlockOfferings shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CapacityBlockOffering {
    /// `cbo-…`, for PurchaseCapacityBlock.
    pub capacity_block_offering_id: String,
    /// The instance type's name.
    pub instance_type: String,
    /// The Availability Zone's name.
    pub availability_zone: String,
    /// How many instances.
    pub instance_count: u32,
    /// For how long, in hours.
    pub duration_hours: u32,
    /// When it begins, ISO 8601 in UTC.
    pub start_date: Option<String>,
    /// When it ends, ISO 8601 in UTC.
    pub end_date: Option<String>,
    /// What it costs in advance, as EC2 writes it.
    pub upfront_fee: Option<String>,
    /// The fee's currency, such as `USD`.
    pub currency_code: Option<String>,
}

/// The parameters of PurchaseCapacityBlock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PurchaseCapacityBlock {
    /// `cbo-…`
    pub capacity_block_offering_id: String,
    /// What its instances are billed as, such as `Linux/UNIX`.
    pub instance_platform: String,
    /// The tags of the reservation.
    pub tags: Tags,
}

/// A search for Capacity Blocks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CapacityBlockSearch {
    /// The instance type's name.
    pub instance_type: String,
    /// How many instances.
    pub instance_count: u32,
    /// For how long, in hours: a multiple of 24.
    pub duration_hours: u32,
}

impl CapacityBlockSearch {
    /// Creates a number of instances of a type, for a number of hours.
    pub fn new(instance_type: impl Into<String>, instance_count: u32, duration_hours: u32) -> Self {
        Self {
            instance_type: instance_type.into(),
            instance_count,
            duration_hours,
        }
    }
}

/// The place of an instance in the network, as DescribeInstanceTopology shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InstanceTopology {
    /// `i-…`
    pub instance_id: String,
    /// The Availability Zone's name.
    pub availability_zone: String,
    /// Network nodes from the top down; instances with the same last node are nearest.
    pub network_nodes: Vec<String>,
    /// The UltraServer's or Capacity Block's domain, where it is in one.
    pub capacity_block_id: Option<String>,
}

/// The market and capacity source of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Market {
    /// EC2's default: on demand, or in an open reservation that matches the launch, its
    /// placement group included.
    #[default]
    OnDemand,
    /// On demand, in any open reservation that matches.
    Open,
    /// On demand, in this reservation.
    Reservation(String),
    /// Spot, at most at the on-demand price.
    Spot,
    /// In this Capacity Block, by the id of its reservation.
    CapacityBlock(String),
    /// On demand, in the reservations of this resource group only, by its ARN.
    ReservationGroup(String),
}

/// One version of a launch template, as DescribeLaunchTemplateVersions shows it, to the extent that a plan can
/// be based on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LaunchTemplate {
    /// `lt-…`
    pub launch_template_id: String,
    /// Its name.
    pub launch_template_name: String,
    /// The version's number.
    pub version: u64,
    /// What it sets.
    pub data: TemplateData,
}

impl LaunchTemplate {
    /// Creates a version of the template of this id and name.
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        version: u64,
        data: TemplateData,
    ) -> Self {
        Self {
            launch_template_id: id.into(),
            launch_template_name: name.into(),
            version,
            data,
        }
    }
}

/// The settings of a version of a launch template.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TemplateData {
    /// The instance type's name.
    pub instance_type: Option<String>,
    /// `ami-…`, or `resolve:ssm:…`.
    pub image_id: Option<String>,
    /// Name of an EC2 key pair.
    pub key_name: Option<String>,
    /// The instance profile's name.
    pub instance_profile_name: Option<String>,
    /// User data, decoded.
    pub user_data: Option<UserData>,
    /// Ids of security groups.
    pub security_group_ids: Vec<String>,
    /// `default` or `dedicated`.
    pub tenancy: Option<String>,
    /// The placement group's name or id.
    pub placement_group: Option<String>,
    /// The market or the reservation, as a specification writes it: `spot`, `open` or `cr-…`.
    pub capacity: Option<String>,
    /// The most to pay for a spot instance.
    pub spot_maximum_price: Option<String>,
    /// Threads per physical core.
    pub threads_per_core: Option<u32>,
    /// Hops of the metadata service's answers.
    pub metadata_hop_limit: Option<u32>,
    /// Whether the metadata service shows the instance's tags.
    pub metadata_tags: bool,
    /// `ip-name` or `resource-name`.
    pub host_names: Option<String>,
    /// Tags of the instances.
    pub instance_tags: Tags,
    /// What else it sets, in EC2's words: no plan takes that from a template.
    pub others: Vec<String>,
}

/// The root volume of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RootVolume {
    /// The root device's name, such as `/dev/xvda`.
    pub device_name: String,
    /// Its size.
    pub volume_size_gib: u32,
}

/// Launch settings of an instance that its tags do not record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LaunchedWith {
    /// Name of the EC2 key pair.
    pub key_name: Option<String>,
    /// `default` or `dedicated`, where EC2 reports it.
    pub tenancy: Option<String>,
    /// User data, decoded.
    pub user_data: Option<UserData>,
    /// The volumes that go with the instance, the root volume first.
    pub block_device_mappings: Vec<BlockDeviceMapping>,
    /// Cores and threads, where EC2 shows them.
    pub cpu_options: Option<CpuOptions>,
    /// Its names in private DNS, where EC2 shows them.
    pub private_dns_name_options: Option<PrivateDnsNameOptions>,
    /// Hops of the metadata service's answers, where EC2 shows them.
    pub metadata_hop_limit: Option<u32>,
    /// Whether the metadata service shows the instance's tags.
    pub metadata_tags: bool,
    /// Tags of the primary interface that the instance does not have.
    pub interface_tags: Tags,
    /// The most that is paid for a spot instance whose tags do not state it.
    pub spot_maximum_price: Option<String>,
}

/// The calls that this crate makes to EC2. Every method reads all pages and returns typed errors
/// whose context holds EC2's own code as `ec2_code`.
///
/// A method that an implementation leaves out answers `ec2.not_implemented`, so that a test's own
/// fake is as long as what it needs, and a further method here breaks none.
#[async_trait]
#[allow(unused_variables)] // the defaults use no argument
pub trait Ec2: Send + Sync + std::fmt::Debug + 'static {
    /// Returns the region that the calls go to.
    fn region(&self) -> &str;

    /// Calls DescribeInstanceTypes, in pages of 100.
    async fn describe_instance_types(&self, filters: &[Filter]) -> Result<Vec<InstanceType>> {
        Err(not_implemented("DescribeInstanceTypes"))
    }
    /// Calls DescribeInstanceTypeOfferings by Availability Zone.
    async fn describe_instance_type_offerings(&self, filters: &[Filter]) -> Result<Vec<Offering>> {
        Err(not_implemented("DescribeInstanceTypeOfferings"))
    }
    /// Calls DescribeVpcs.
    async fn describe_vpcs(&self, filters: &[Filter]) -> Result<Vec<Vpc>> {
        Err(not_implemented("DescribeVpcs"))
    }
    /// Calls DescribeSubnets.
    async fn describe_subnets(&self, filters: &[Filter]) -> Result<Vec<Subnet>> {
        Err(not_implemented("DescribeSubnets"))
    }
    /// Calls DescribeKeyPairs; names.
    async fn describe_key_pairs(&self, filters: &[Filter]) -> Result<Vec<String>> {
        Err(not_implemented("DescribeKeyPairs"))
    }
    /// Calls DescribeRouteTables.
    async fn describe_route_tables(&self, filters: &[Filter]) -> Result<Vec<RouteTable>> {
        Err(not_implemented("DescribeRouteTables"))
    }
    /// Calls DescribeVpcEndpoints.
    async fn describe_vpc_endpoints(&self, filters: &[Filter]) -> Result<Vec<VpcEndpoint>> {
        Err(not_implemented("DescribeVpcEndpoints"))
    }
    /// Calls DescribeImages of these owners (accounts, `amazon`, `self`); of any owner when empty.
    async fn describe_images(&self, owners: &[String], filters: &[Filter]) -> Result<Vec<Image>> {
        Err(not_implemented("DescribeImages"))
    }
    /// Calls DescribeSecurityGroups.
    async fn describe_security_groups(&self, filters: &[Filter]) -> Result<Vec<SecurityGroup>> {
        Err(not_implemented("DescribeSecurityGroups"))
    }
    /// Calls DescribePlacementGroups.
    async fn describe_placement_groups(&self, filters: &[Filter]) -> Result<Vec<PlacementGroup>> {
        Err(not_implemented("DescribePlacementGroups"))
    }
    /// Calls DescribePlacementGroups with one id (`pg-…`), the only way to see a group that another
    /// account shares (EC2 API reference); `None` where EC2 knows none.
    async fn placement_group_by_id(&self, group_id: &str) -> Result<Option<PlacementGroup>> {
        Err(not_implemented("DescribePlacementGroups"))
    }
    /// Calls DescribeLaunchTemplateVersions of one template, by id (`lt-…`) or name, and one
    /// version: a number, `$Default` or `$Latest`; `None` where EC2 knows no such template or
    /// version.
    async fn launch_template(
        &self,
        template: &str,
        version: &str,
    ) -> Result<Option<LaunchTemplate>> {
        Err(not_implemented("DescribeLaunchTemplateVersions"))
    }
    /// Calls DescribeInstances.
    async fn describe_instances(&self, filters: &[Filter]) -> Result<Vec<Instance>> {
        Err(not_implemented("DescribeInstances"))
    }
    /// Calls DescribeInstanceStatus of these instances, not running ones too, in batches of 100:
    /// the ids and states of those that EC2 shows. Where it does not know one of a batch, as
    /// moments after its launch, it shows none of the batch.
    async fn instance_states(
        &self,
        instance_ids: &[String],
    ) -> Result<Vec<(String, InstanceState)>> {
        Err(not_implemented("DescribeInstanceStatus"))
    }
    /// Calls DescribeNetworkInterfaces.
    async fn describe_network_interfaces(&self, filters: &[Filter]) -> Result<Vec<FreeInterface>> {
        Err(not_implemented("DescribeNetworkInterfaces"))
    }
    /// Calls DescribeAddresses.
    async fn describe_addresses(&self, filters: &[Filter]) -> Result<Vec<Address>> {
        Err(not_implemented("DescribeAddresses"))
    }
    /// Calls DescribeCapacityReservations.
    async fn describe_capacity_reservations(
        &self,
        filters: &[Filter],
    ) -> Result<Vec<CapacityReservation>> {
        Err(not_implemented("DescribeCapacityReservations"))
    }
    /// Calls GetGroupsForCapacityReservation; the ARNs of the resource groups that a reservation is
    /// in.
    async fn groups_of_capacity_reservation(&self, id: &str) -> Result<Vec<String>> {
        Err(not_implemented("GetGroupsForCapacityReservation"))
    }
    /// Calls DescribeCapacityBlockOfferings.
    async fn describe_capacity_block_offerings(
        &self,
        search: &CapacityBlockSearch,
    ) -> Result<Vec<CapacityBlockOffering>> {
        Err(not_implemented("DescribeCapacityBlockOfferings"))
    }
    /// Calls DescribeInstanceTopology, in batches of 100 instances.
    async fn describe_instance_topology(
        &self,
        instance_ids: &[String],
    ) -> Result<Vec<InstanceTopology>> {
        Err(not_implemented("DescribeInstanceTopology"))
    }

    /// Calls PurchaseCapacityBlock, sent once: the call has no client token, and a second sending
    /// could buy a second time.
    async fn purchase_capacity_block(
        &self,
        request: &PurchaseCapacityBlock,
    ) -> Result<CapacityReservation> {
        Err(not_implemented("PurchaseCapacityBlock"))
    }
    /// Calls CreateSecurityGroup; the new group's id.
    async fn create_security_group(&self, request: &CreateSecurityGroup) -> Result<String> {
        Err(not_implemented("CreateSecurityGroup"))
    }
    /// Calls AuthorizeSecurityGroupIngress or -Egress with one rule.
    async fn authorize_security_group(
        &self,
        group_id: &str,
        direction: Direction,
        rule: &Rule,
    ) -> Result<()> {
        Err(not_implemented(match direction {
            Direction::Ingress => "AuthorizeSecurityGroupIngress",
            Direction::Egress => "AuthorizeSecurityGroupEgress",
        }))
    }
    /// Calls DeleteSecurityGroup.
    async fn delete_security_group(&self, group_id: &str) -> Result<()> {
        Err(not_implemented("DeleteSecurityGroup"))
    }
    /// Calls CreatePlacementGroup with strategy `cluster`.
    async fn create_cluster_placement_group(&self, group_name: &str, tags: &Tags) -> Result<()> {
        Err(not_implemented("CreatePlacementGroup"))
    }
    /// Calls DeletePlacementGroup.
    async fn delete_placement_group(&self, group_name: &str) -> Result<()> {
        Err(not_implemented("DeletePlacementGroup"))
    }
    /// Calls RunInstances with DryRun: EC2 checks permissions and parameters, and launches nothing.
    async fn dry_run_instances(&self, request: &RunInstances) -> Result<()> {
        Err(not_implemented("RunInstances"))
    }
    /// Calls RunInstances.
    async fn run_instances(&self, request: &RunInstances) -> Result<Vec<Instance>> {
        Err(not_implemented("RunInstances"))
    }
    /// Returns what an instance was launched with, in addition to what DescribeInstances and its
    /// tags show: DescribeInstanceAttribute of its user data, DescribeInstances, DescribeVolumes of
    /// its root volume, and DescribeSpotInstanceRequests of a spot instance whose tags do not state
    /// a price.
    async fn launched_with(&self, instance_id: &str) -> Result<LaunchedWith> {
        Err(not_implemented("DescribeInstanceAttribute"))
    }
    /// Calls CreateTags: adds tags to these resources, or changes them.
    async fn create_tags(&self, resource_ids: &[String], tags: &Tags) -> Result<()> {
        Err(not_implemented("CreateTags"))
    }
    /// Calls TerminateInstances.
    async fn terminate_instances(&self, instance_ids: &[String]) -> Result<()> {
        Err(not_implemented("TerminateInstances"))
    }
    /// Calls DeleteNetworkInterface.
    async fn delete_network_interface(&self, network_interface_id: &str) -> Result<()> {
        Err(not_implemented("DeleteNetworkInterface"))
    }
    /// Calls AllocateAddress in the VPC scope.
    async fn allocate_address(&self, tags: &Tags) -> Result<Address> {
        Err(not_implemented("AllocateAddress"))
    }
    /// Calls AssociateAddress with a network interface.
    async fn associate_address(
        &self,
        allocation_id: &str,
        network_interface_id: &str,
    ) -> Result<()> {
        Err(not_implemented("AssociateAddress"))
    }
    /// Calls DisassociateAddress.
    async fn disassociate_address(&self, association_id: &str) -> Result<()> {
        Err(not_implemented("DisassociateAddress"))
    }
    /// Calls ReleaseAddress.
    async fn release_address(&self, allocation_id: &str) -> Result<()> {
        Err(not_implemented("ReleaseAddress"))
    }
}
