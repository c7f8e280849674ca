//! The fake as an implementation of the traits: each call on the region's state.

use std::time::Duration;

use async_trait::async_trait;

use super::FakeAws;
use super::account::ACCOUNT;
use super::filters::{Tagged, select};
use crate::account::{Account, CallerIdentity};
use crate::catalog::InstanceType;
use crate::ec2::{
    Address, CapacityBlockOffering, CapacityBlockSearch, CapacityReservation, CreateSecurityGroup,
    Direction, Ec2, Filter, FreeInterface, Image, Instance, InstanceState, InstanceTopology,
    LaunchTemplate, LaunchedWith, Offering, PlacementGroup, PurchaseCapacityBlock, RouteTable,
    Rule, RunInstances, SecurityGroup, Subnet, Tags, Vpc, VpcEndpoint,
};
use crate::error::Result;
use crate::iam::{CreateRole, Iam, InstanceProfile, Role};
use crate::preflight::quotas::{self, RegionQuota};
use crate::spec::Capacity;
use crate::ssm::{CommandInvocation, CommandStatus, Ssm};

/// What a vCPU quota is when nobody set it: more than any test launches.
const UNLIMITED: f64 = 1_000_000.0;

/// What AWS gives every account at first ("Amazon VPC quotas", "Amazon EBS endpoints and quotas").
const REGION_QUOTAS: [(RegionQuota, f64); 3] = [
    (quotas::ELASTIC_IPS, 5.0),
    (quotas::INTERFACES, 5000.0),
    (quotas::GP3_STORAGE_TIB, 50.0),
];

#[async_trait]
impl Ec2 for FakeAws {
    fn region(&self) -> &str {
        &self.region
    }

    async fn describe_instance_types(&self, by: &[Filter]) -> Result<Vec<InstanceType>> {
        self.on("DescribeInstanceTypes", |state| {
            select(state.types.iter(), by)
        })
    }

    async fn describe_instance_type_offerings(&self, by: &[Filter]) -> Result<Vec<Offering>> {
        self.on("DescribeInstanceTypeOfferings", |state| {
            let mut offerings = Vec::new();
            for t in state.types.iter() {
                offerings.extend(state.zones_of(&t.name).iter().map(|zone| Offering {
                    instance_type: t.name.clone(),
                    availability_zone: zone.clone(),
                }));
            }
            select(&offerings, by)
        })
    }

    async fn describe_vpcs(&self, by: &[Filter]) -> Result<Vec<Vpc>> {
        self.on("DescribeVpcs", |state| select(&state.vpcs, by))
    }

    async fn describe_subnets(&self, by: &[Filter]) -> Result<Vec<Subnet>> {
        self.on("DescribeSubnets", |state| {
            let mut subnets = state.subnets.clone();
            for subnet in &mut subnets {
                let free = u32::try_from(state.free_addresses(subnet));
                subnet.available_ip_address_count = free.unwrap_or(u32::MAX);
            }
            select(&subnets, by)
        })
    }

    async fn describe_images(&self, owners: &[String], by: &[Filter]) -> Result<Vec<Image>> {
        self.on("DescribeImages", |state| {
            let owned = |image: &Image, owner: &String| match owner.as_str() {
                "self" => image.owner_id == ACCOUNT,
                owner => image.owner_id == owner || image.owner_alias.as_deref() == Some(owner),
            };
            let mut images = state.images.clone();
            images.retain(|i| owners.is_empty() || owners.iter().any(|owner| owned(i, owner)));
            select(&images, by)
        })
    }

    async fn describe_security_groups(&self, by: &[Filter]) -> Result<Vec<SecurityGroup>> {
        self.on("DescribeSecurityGroups", |state| {
            select(&state.listed_security_groups(), by)
        })
    }

    async fn describe_placement_groups(&self, by: &[Filter]) -> Result<Vec<PlacementGroup>> {
        self.on("DescribePlacementGroups", |state| {
            select(&state.listed_placement_groups(), by)
        })
    }

    async fn placement_group_by_id(&self, group_id: &str) -> Result<Option<PlacementGroup>> {
        self.on("DescribePlacementGroups", |state| {
            let shared = state.shared_placement_groups.clone();
            let mut all = state.listed_placement_groups().into_iter().chain(shared);
            Ok(all.find(|group| group.group_id == group_id))
        })
    }

    async fn describe_key_pairs(&self, by: &[Filter]) -> Result<Vec<String>> {
        self.on("DescribeKeyPairs", |state| {
            let found = select(&state.key_pairs, by)?;
            Ok(found.into_iter().map(|pair| pair.0).collect())
        })
    }

    async fn describe_route_tables(&self, by: &[Filter]) -> Result<Vec<RouteTable>> {
        self.on("DescribeRouteTables", |state| {
            select(&state.route_tables, by)
        })
    }

    async fn describe_vpc_endpoints(&self, by: &[Filter]) -> Result<Vec<VpcEndpoint>> {
        self.on("DescribeVpcEndpoints", |state| {
            let found = select(&state.endpoints, by)?;
            Ok(found.into_iter().map(|one| one.endpoint).collect())
        })
    }

    async fn launch_template(
        &self,
        template: &str,
        version: &str,
    ) -> Result<Option<LaunchTemplate>> {
        self.on("DescribeLaunchTemplateVersions", |state| {
            let of = |one: &&LaunchTemplate| {
                one.launch_template_id == template || one.launch_template_name == template
            };
            let mut versions = state.launch_templates.iter().filter(of);
            Ok(match version {
                "$Latest" => versions.max_by_key(|one| one.version).cloned(),
                "$Default" => versions.min_by_key(|one| one.version).cloned(),
                number => versions
                    .find(|one| one.version.to_string() == number)
                    .cloned(),
            })
        })
    }

    async fn launch_template_names(&self) -> Result<Vec<String>> {
        self.on("DescribeLaunchTemplates", |state| {
            let names = state.launch_templates.iter();
            let mut names: Vec<String> = names.map(|t| t.launch_template_name.clone()).collect();
            names.sort();
            names.dedup();
            Ok(names)
        })
    }

    async fn describe_instances(&self, by: &[Filter]) -> Result<Vec<Instance>> {
        self.on("DescribeInstances", |state| {
            select(&state.listed_instances(), by)
        })
    }

    async fn describe_network_interfaces(&self, by: &[Filter]) -> Result<Vec<FreeInterface>> {
        self.on("DescribeNetworkInterfaces", |state| {
            let found = select(&state.all_interfaces(), by)?;
            Ok(found.into_iter().map(|one| one.interface).collect())
        })
    }

    async fn describe_addresses(&self, by: &[Filter]) -> Result<Vec<Address>> {
        self.on("DescribeAddresses", |state| {
            select(&state.listed_addresses(), by)
        })
    }

    async fn describe_capacity_reservations(
        &self,
        by: &[Filter],
    ) -> Result<Vec<CapacityReservation>> {
        self.on("DescribeCapacityReservations", |state| {
            let mut reservations = state.reservations.clone();
            for reservation in &mut reservations {
                // "Before a Capacity Block reservation begins, the available capacity appears as
                // zero" (EC2 user guide, "View Capacity Blocks").
                reservation.available_instance_count = match reservation.state.as_str() {
                    "active" => state.available(reservation),
                    _ => 0,
                };
            }
            let tagged = reservations.into_iter().map(|reservation| {
                let tags = state
                    .reservation_tags
                    .get(&reservation.capacity_reservation_id);
                Tagged(tags.cloned().unwrap_or_default(), reservation)
            });
            let tagged: Vec<Tagged<CapacityReservation>> = tagged.collect();
            Ok(select(&tagged, by)?.into_iter().map(|one| one.1).collect())
        })
    }

    async fn groups_of_capacity_reservation(&self, id: &str) -> Result<Vec<String>> {
        self.on("GetGroupsForCapacityReservation", |state| {
            let groups = state.reservation_groups.iter();
            let of = groups.filter(|(_, ids)| ids.iter().any(|one| one == id));
            Ok(of.map(|(arn, _)| arn.clone()).collect())
        })
    }

    async fn describe_capacity_block_offerings(
        &self,
        search: &CapacityBlockSearch,
    ) -> Result<Vec<CapacityBlockOffering>> {
        self.on("DescribeCapacityBlockOfferings", |state| {
            let fits = |offering: &&CapacityBlockOffering| {
                offering.instance_type == search.instance_type
                    && offering.instance_count == search.instance_count
                    && offering.duration_hours == search.duration_hours
            };
            Ok(state.block_offerings.iter().filter(fits).cloned().collect())
        })
    }

    async fn instance_states(&self, ids: &[String]) -> Result<Vec<(String, InstanceState)>> {
        self.on("DescribeInstanceStatus", |state| Ok(state.states_of(ids)))
    }

    async fn describe_instance_topology(&self, ids: &[String]) -> Result<Vec<InstanceTopology>> {
        self.on("DescribeInstanceTopology", |state| state.topology(ids))
    }

    async fn purchase_capacity_block(
        &self,
        request: &PurchaseCapacityBlock,
    ) -> Result<CapacityReservation> {
        self.on("PurchaseCapacityBlock", |state| state.purchase(request))
    }

    async fn create_security_group(&self, request: &CreateSecurityGroup) -> Result<String> {
        self.on("CreateSecurityGroup", |state| {
            state.create_security_group(request)
        })
    }

    async fn authorize_security_group(
        &self,
        group_id: &str,
        direction: Direction,
        rule: &Rule,
    ) -> Result<()> {
        let action = match direction {
            Direction::Ingress => "AuthorizeSecurityGroupIngress",
            Direction::Egress => "AuthorizeSecurityGroupEgress",
        };
        self.on(action, |state| state.authorize(group_id, direction, rule))
    }

    async fn delete_security_group(&self, group_id: &str) -> Result<()> {
        self.on("DeleteSecurityGroup", |state| {
            state.delete_security_group(group_id)
        })
    }

    async fn create_cluster_placement_group(&self, name: &str, tags: &Tags) -> Result<()> {
        self.on("CreatePlacementGroup", |state| {
            state.create_placement_group(name, tags)
        })
    }

    async fn delete_placement_group(&self, name: &str) -> Result<()> {
        self.on("DeletePlacementGroup", |state| {
            state.delete_placement_group(name)
        })
    }

    async fn dry_run_instances(&self, request: &RunInstances) -> Result<()> {
        self.on("RunInstances", |state| state.dry_run(request))
    }

    async fn run_instances(&self, request: &RunInstances) -> Result<Vec<Instance>> {
        self.on("RunInstances", |state| state.run_instances(request))
    }

    async fn launched_with(&self, id: &str) -> Result<LaunchedWith> {
        self.on("DescribeInstanceAttribute", |state| state.launched_with(id))
    }

    async fn create_tags(&self, ids: &[String], tags: &Tags) -> Result<()> {
        self.on("CreateTags", |state| state.create_tags(ids, tags))
    }

    async fn terminate_instances(&self, ids: &[String]) -> Result<()> {
        self.on("TerminateInstances", |state| state.terminate(ids))
    }

    async fn delete_network_interface(&self, id: &str) -> Result<()> {
        self.on("DeleteNetworkInterface", |state| {
            state.delete_network_interface(id)
        })
    }

    async fn allocate_address(&self, tags: &Tags) -> Result<Address> {
        self.on("AllocateAddress", |state| Ok(state.allocate_address(tags)))
    }

    async fn associate_address(&self, allocation: &str, interface: &str) -> Result<()> {
        self.on("AssociateAddress", |state| {
            state.associate_address(allocation, interface)
        })
    }

    async fn disassociate_address(&self, association: &str) -> Result<()> {
        self.on("DisassociateAddress", |state| {
            state.disassociate_address(association)
        })
    }

    async fn release_address(&self, allocation: &str) -> Result<()> {
        self.on("ReleaseAddress", |state| state.release_address(allocation))
    }
}

#[async_trait]
impl Iam for FakeAws {
    async fn get_role(&self, name: &str) -> Result<Option<Role>> {
        self.on("GetRole", |state| Ok(state.identities.role(name)))
    }

    async fn get_instance_profile(&self, name: &str) -> Result<Option<InstanceProfile>> {
        self.on("GetInstanceProfile", |state| {
            Ok(state.identities.profile(name))
        })
    }

    async fn list_instance_profiles(&self) -> Result<Vec<InstanceProfile>> {
        self.on("ListInstanceProfiles", |state| {
            Ok(state.identities.profiles().cloned().collect())
        })
    }

    async fn list_attached_role_policies(&self, role: &str) -> Result<Vec<String>> {
        self.on("ListAttachedRolePolicies", |state| {
            state.identities.attached(role)
        })
    }

    async fn list_role_policies(&self, role: &str) -> Result<Vec<String>> {
        self.on("ListRolePolicies", |state| state.identities.inline(role))
    }

    async fn policy_exists(&self, arn: &str) -> Result<bool> {
        self.on("GetPolicy", |state| Ok(state.identities.has_policy(arn)))
    }

    async fn create_role(&self, request: &CreateRole) -> Result<()> {
        self.on("CreateRole", |state| state.identities.create_role(request))
    }

    async fn attach_role_policy(&self, role: &str, policy_arn: &str) -> Result<()> {
        self.on("AttachRolePolicy", |state| {
            state.identities.attach(role, policy_arn)
        })
    }

    async fn put_role_policy(&self, role: &str, policy: &str, document: &str) -> Result<()> {
        self.on("PutRolePolicy", |state| {
            state.identities.put(role, policy, document)
        })
    }

    async fn create_instance_profile(&self, name: &str, tags: &Tags) -> Result<()> {
        self.on("CreateInstanceProfile", |state| {
            state.identities.create_profile(name, tags)
        })
    }

    async fn add_role_to_instance_profile(&self, profile: &str, role: &str) -> Result<()> {
        self.on("AddRoleToInstanceProfile", |state| {
            state.identities.add_role(profile, role)
        })
    }

    async fn remove_role_from_instance_profile(&self, profile: &str, role: &str) -> Result<()> {
        self.on("RemoveRoleFromInstanceProfile", |state| {
            state.identities.remove_role(profile, role)
        })
    }

    async fn delete_instance_profile(&self, name: &str) -> Result<()> {
        self.on("DeleteInstanceProfile", |state| {
            state.identities.delete_profile(name)
        })
    }

    async fn detach_role_policy(&self, role: &str, policy_arn: &str) -> Result<()> {
        self.on("DetachRolePolicy", |state| {
            state.identities.detach(role, policy_arn)
        })
    }

    async fn delete_role_policy(&self, role: &str, policy: &str) -> Result<()> {
        self.on("DeleteRolePolicy", |state| {
            state.identities.delete_inline(role, policy)
        })
    }

    async fn delete_role(&self, name: &str) -> Result<()> {
        self.on("DeleteRole", |state| state.identities.delete_role(name))
    }
}

#[async_trait]
impl Ssm for FakeAws {
    async fn get_parameter(&self, name: &str) -> Result<Option<String>> {
        self.on("GetParameter", |state| {
            Ok(state.parameters.get(name).cloned())
        })
    }

    async fn parameters_below(&self, path: &str) -> Result<Vec<String>> {
        self.on("GetParametersByPath", |state| {
            let above = path.trim_end_matches('/');
            let below = |name: &&String| name.rsplit_once('/').is_some_and(|(up, _)| up == above);
            Ok(state.parameters.keys().filter(below).cloned().collect())
        })
    }

    async fn online_instances(&self, ids: &[String]) -> Result<Vec<String>> {
        self.on("DescribeInstanceInformation", |state| Ok(state.online(ids)))
    }

    async fn send_command(
        &self,
        ids: &[String],
        script: &str,
        timeout: Duration,
    ) -> Result<String> {
        self.on("SendCommand", |state| {
            state.send_command(ids, script, timeout)
        })
    }

    async fn list_command_invocations(&self, id: &str) -> Result<Vec<(String, CommandStatus)>> {
        self.on("ListCommandInvocations", |state| Ok(state.invocations(id)))
    }

    async fn get_command_invocation(
        &self,
        command_id: &str,
        instance_id: &str,
    ) -> Result<CommandInvocation> {
        self.on("GetCommandInvocation", |state| {
            state.invocation(command_id, instance_id)
        })
    }

    async fn cancel_command(&self, id: &str) -> Result<()> {
        self.on("CancelCommand", |state| state.cancel_command(id))
    }
}

#[async_trait]
impl Account for FakeAws {
    async fn caller_identity(&self) -> Result<CallerIdentity> {
        self.on("GetCallerIdentity", |_| {
            Ok(CallerIdentity {
                account: ACCOUNT.to_owned(),
                arn: format!("arn:aws:iam::{ACCOUNT}:user/tester"),
            })
        })
    }

    async fn service_quota(&self, service: &str, code: &str) -> Result<Option<f64>> {
        self.on("GetServiceQuota", |state| {
            let set = state.quotas.get(code).copied();
            let of_region = |(q, _): &&(RegionQuota, f64)| q.service == service && q.code == code;
            if let Some((_, default)) = REGION_QUOTAS.iter().find(of_region) {
                return Ok(Some(set.unwrap_or(*default)));
            }
            if service != quotas::SERVICE {
                return Ok(None);
            }
            let counts = |t: &InstanceType| {
                [Capacity::OnDemand, Capacity::Spot]
                    .iter()
                    .any(|capacity| quotas::vcpu_quota_code(&t.name, capacity) == Some(code))
            };
            let exists = || state.types.iter().any(counts);
            Ok(set.or_else(|| exists().then_some(UNLIMITED)))
        })
    }
}
