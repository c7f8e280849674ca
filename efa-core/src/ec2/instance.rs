//! Instances: images, placement groups, interfaces, and what they were launched with.

use serde::{Deserialize, Serialize};

use crate::launch::{BlockDeviceMapping, CpuOptions, PrivateDnsNameOptions, UserData};
use crate::types::{
    Architecture, CardIndex, DeviceIndex, InterfaceType, PlacementStrategy, Tags, open_string_enum,
};

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
