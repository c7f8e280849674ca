//! The calls that this crate makes to EC2, in the crate's own types.
//!
//! [`Ec2`] is the minimal contract: one method per EC2 action, all pages read, nothing retried
//! beyond the transport. [`crate::Client`] builds the verbs on it. Reads are by filter, so that a missing resource is an empty list.

mod capacity;
mod instance;
mod network;
mod template;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::catalog::InstanceType;
use crate::error::{Result, not_implemented};

pub use crate::launch::RunInstances;
pub use crate::types::Tags;
pub(crate) use capacity::NO_CAPACITY;
pub use capacity::{
    CapacityBlockOffering, CapacityBlockSearch, CapacityReservation, Market, PurchaseCapacityBlock,
};
pub use instance::{
    AttachedInterface, Image, Instance, InstanceState, InstanceTopology, LaunchedWith,
    PlacementGroup, RootVolume,
};
pub use network::{
    Address, CreateSecurityGroup, Direction, FreeInterface, Peer, RouteTable, Rule, SecurityGroup,
    Subnet, Vpc, VpcEndpoint,
};
pub use template::{LaunchTemplate, TemplateData};

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
    /// Calls DescribeLaunchTemplates: the names of all.
    async fn launch_template_names(&self) -> Result<Vec<String>> {
        Err(not_implemented("DescribeLaunchTemplates"))
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
