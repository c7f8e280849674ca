//! [`Failing`] as an implementation of AWS: every call by way of its orders.

use std::time::Duration;

use async_trait::async_trait;

use super::{Call, Failing};
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
use crate::ssm::{CommandInvocation, CommandStatus, Ssm};

#[async_trait]
impl<A: Ec2> Ec2 for Failing<A> {
    fn region(&self) -> &str {
        self.inner.region()
    }

    async fn describe_instance_types(&self, filters: &[Filter]) -> Result<Vec<InstanceType>> {
        self.read(Call::DescribeInstanceTypes, || {
            self.inner.describe_instance_types(filters)
        })
        .await
    }

    async fn describe_instance_type_offerings(&self, filters: &[Filter]) -> Result<Vec<Offering>> {
        self.read(Call::DescribeInstanceTypeOfferings, || {
            self.inner.describe_instance_type_offerings(filters)
        })
        .await
    }

    async fn describe_vpcs(&self, filters: &[Filter]) -> Result<Vec<Vpc>> {
        self.read(Call::DescribeVpcs, || self.inner.describe_vpcs(filters))
            .await
    }

    async fn describe_subnets(&self, filters: &[Filter]) -> Result<Vec<Subnet>> {
        self.read(Call::DescribeSubnets, || {
            self.inner.describe_subnets(filters)
        })
        .await
    }

    async fn describe_images(&self, owners: &[String], filters: &[Filter]) -> Result<Vec<Image>> {
        self.read(Call::DescribeImages, || {
            self.inner.describe_images(owners, filters)
        })
        .await
    }

    async fn describe_security_groups(&self, filters: &[Filter]) -> Result<Vec<SecurityGroup>> {
        self.read(Call::DescribeSecurityGroups, || {
            self.inner.describe_security_groups(filters)
        })
        .await
    }

    async fn describe_placement_groups(&self, filters: &[Filter]) -> Result<Vec<PlacementGroup>> {
        self.read(Call::DescribePlacementGroups, || {
            self.inner.describe_placement_groups(filters)
        })
        .await
    }

    async fn placement_group_by_id(&self, group_id: &str) -> Result<Option<PlacementGroup>> {
        self.read(Call::PlacementGroupById, || {
            self.inner.placement_group_by_id(group_id)
        })
        .await
    }

    async fn describe_key_pairs(&self, filters: &[Filter]) -> Result<Vec<String>> {
        self.read(Call::DescribeKeyPairs, || {
            self.inner.describe_key_pairs(filters)
        })
        .await
    }

    async fn describe_route_tables(&self, filters: &[Filter]) -> Result<Vec<RouteTable>> {
        self.read(Call::DescribeRouteTables, || {
            self.inner.describe_route_tables(filters)
        })
        .await
    }

    async fn describe_vpc_endpoints(&self, filters: &[Filter]) -> Result<Vec<VpcEndpoint>> {
        self.read(Call::DescribeVpcEndpoints, || {
            self.inner.describe_vpc_endpoints(filters)
        })
        .await
    }

    async fn launch_template(
        &self,
        template: &str,
        version: &str,
    ) -> Result<Option<LaunchTemplate>> {
        self.read(Call::DescribeLaunchTemplateVersions, || {
            self.inner.launch_template(template, version)
        })
        .await
    }

    async fn launch_template_names(&self) -> Result<Vec<String>> {
        self.read(Call::DescribeLaunchTemplates, || {
            self.inner.launch_template_names()
        })
        .await
    }

    async fn describe_instances(&self, filters: &[Filter]) -> Result<Vec<Instance>> {
        self.read(Call::DescribeInstances, || {
            self.inner.describe_instances(filters)
        })
        .await
    }

    async fn describe_network_interfaces(&self, filters: &[Filter]) -> Result<Vec<FreeInterface>> {
        self.read(Call::DescribeNetworkInterfaces, || {
            self.inner.describe_network_interfaces(filters)
        })
        .await
    }

    async fn describe_addresses(&self, filters: &[Filter]) -> Result<Vec<Address>> {
        self.read(Call::DescribeAddresses, || {
            self.inner.describe_addresses(filters)
        })
        .await
    }

    async fn describe_capacity_reservations(
        &self,
        filters: &[Filter],
    ) -> Result<Vec<CapacityReservation>> {
        self.read(Call::DescribeCapacityReservations, || {
            self.inner.describe_capacity_reservations(filters)
        })
        .await
    }

    async fn groups_of_capacity_reservation(&self, id: &str) -> Result<Vec<String>> {
        self.read(Call::GetGroupsForCapacityReservation, || {
            self.inner.groups_of_capacity_reservation(id)
        })
        .await
    }

    async fn describe_capacity_block_offerings(
        &self,
        search: &CapacityBlockSearch,
    ) -> Result<Vec<CapacityBlockOffering>> {
        self.read(Call::DescribeCapacityBlockOfferings, || {
            self.inner.describe_capacity_block_offerings(search)
        })
        .await
    }

    async fn instance_states(
        &self,
        instance_ids: &[String],
    ) -> Result<Vec<(String, InstanceState)>> {
        self.read(Call::DescribeInstanceStatus, || {
            self.inner.instance_states(instance_ids)
        })
        .await
    }

    async fn describe_instance_topology(
        &self,
        instance_ids: &[String],
    ) -> Result<Vec<InstanceTopology>> {
        self.read(Call::DescribeInstanceTopology, || {
            self.inner.describe_instance_topology(instance_ids)
        })
        .await
    }

    async fn purchase_capacity_block(
        &self,
        request: &PurchaseCapacityBlock,
    ) -> Result<CapacityReservation> {
        self.call(Call::PurchaseCapacityBlock, || {
            self.inner.purchase_capacity_block(request)
        })
        .await
    }

    async fn create_security_group(&self, request: &CreateSecurityGroup) -> Result<String> {
        self.call(Call::CreateSecurityGroup, || {
            self.inner.create_security_group(request)
        })
        .await
    }

    async fn authorize_security_group(
        &self,
        group_id: &str,
        direction: Direction,
        rule: &Rule,
    ) -> Result<()> {
        let call = match direction {
            Direction::Ingress => Call::AuthorizeSecurityGroupIngress,
            Direction::Egress => Call::AuthorizeSecurityGroupEgress,
        };
        self.call(call, || {
            self.inner
                .authorize_security_group(group_id, direction, rule)
        })
        .await
    }

    async fn delete_security_group(&self, group_id: &str) -> Result<()> {
        self.call(Call::DeleteSecurityGroup, || {
            self.inner.delete_security_group(group_id)
        })
        .await
    }

    async fn create_cluster_placement_group(&self, group_name: &str, tags: &Tags) -> Result<()> {
        self.call(Call::CreatePlacementGroup, || {
            self.inner.create_cluster_placement_group(group_name, tags)
        })
        .await
    }

    async fn delete_placement_group(&self, group_name: &str) -> Result<()> {
        self.call(Call::DeletePlacementGroup, || {
            self.inner.delete_placement_group(group_name)
        })
        .await
    }

    async fn dry_run_instances(&self, request: &RunInstances) -> Result<()> {
        self.call(Call::DryRunInstances, || {
            self.inner.dry_run_instances(request)
        })
        .await
    }

    async fn run_instances(&self, request: &RunInstances) -> Result<Vec<Instance>> {
        self.call(Call::RunInstances, || self.inner.run_instances(request))
            .await
    }

    async fn launched_with(&self, instance_id: &str) -> Result<LaunchedWith> {
        self.call(Call::DescribeInstanceAttribute, || {
            self.inner.launched_with(instance_id)
        })
        .await
    }

    async fn create_tags(&self, resource_ids: &[String], tags: &Tags) -> Result<()> {
        self.call(Call::CreateTags, || {
            self.inner.create_tags(resource_ids, tags)
        })
        .await
    }

    async fn terminate_instances(&self, instance_ids: &[String]) -> Result<()> {
        self.call(Call::TerminateInstances, || {
            self.inner.terminate_instances(instance_ids)
        })
        .await
    }

    async fn delete_network_interface(&self, network_interface_id: &str) -> Result<()> {
        self.call(Call::DeleteNetworkInterface, || {
            self.inner.delete_network_interface(network_interface_id)
        })
        .await
    }

    async fn allocate_address(&self, tags: &Tags) -> Result<Address> {
        self.call(Call::AllocateAddress, || self.inner.allocate_address(tags))
            .await
    }

    async fn associate_address(
        &self,
        allocation_id: &str,
        network_interface_id: &str,
    ) -> Result<()> {
        self.call(Call::AssociateAddress, || {
            self.inner
                .associate_address(allocation_id, network_interface_id)
        })
        .await
    }

    async fn disassociate_address(&self, association_id: &str) -> Result<()> {
        self.call(Call::DisassociateAddress, || {
            self.inner.disassociate_address(association_id)
        })
        .await
    }

    async fn release_address(&self, allocation_id: &str) -> Result<()> {
        self.call(Call::ReleaseAddress, || {
            self.inner.release_address(allocation_id)
        })
        .await
    }
}

#[async_trait]
impl<A: Iam> Iam for Failing<A> {
    async fn get_role(&self, role_name: &str) -> Result<Option<Role>> {
        self.read(Call::GetRole, || self.inner.get_role(role_name))
            .await
    }

    async fn get_instance_profile(&self, profile_name: &str) -> Result<Option<InstanceProfile>> {
        self.read(Call::GetInstanceProfile, || {
            self.inner.get_instance_profile(profile_name)
        })
        .await
    }

    async fn list_instance_profiles(&self) -> Result<Vec<InstanceProfile>> {
        self.read(Call::ListInstanceProfiles, || {
            self.inner.list_instance_profiles()
        })
        .await
    }

    async fn list_attached_role_policies(&self, role_name: &str) -> Result<Vec<String>> {
        self.read(Call::ListAttachedRolePolicies, || {
            self.inner.list_attached_role_policies(role_name)
        })
        .await
    }

    async fn list_role_policies(&self, role_name: &str) -> Result<Vec<String>> {
        self.read(Call::ListRolePolicies, || {
            self.inner.list_role_policies(role_name)
        })
        .await
    }

    async fn policy_exists(&self, policy_arn: &str) -> Result<bool> {
        self.read(Call::GetPolicy, || self.inner.policy_exists(policy_arn))
            .await
    }

    async fn create_role(&self, request: &CreateRole) -> Result<()> {
        self.call(Call::CreateRole, || self.inner.create_role(request))
            .await
    }

    async fn attach_role_policy(&self, role_name: &str, policy_arn: &str) -> Result<()> {
        self.call(Call::AttachRolePolicy, || {
            self.inner.attach_role_policy(role_name, policy_arn)
        })
        .await
    }

    async fn put_role_policy(
        &self,
        role_name: &str,
        policy_name: &str,
        document: &str,
    ) -> Result<()> {
        self.call(Call::PutRolePolicy, || {
            self.inner.put_role_policy(role_name, policy_name, document)
        })
        .await
    }

    async fn create_instance_profile(&self, profile_name: &str, tags: &Tags) -> Result<()> {
        self.call(Call::CreateInstanceProfile, || {
            self.inner.create_instance_profile(profile_name, tags)
        })
        .await
    }

    async fn add_role_to_instance_profile(
        &self,
        profile_name: &str,
        role_name: &str,
    ) -> Result<()> {
        self.call(Call::AddRoleToInstanceProfile, || {
            self.inner
                .add_role_to_instance_profile(profile_name, role_name)
        })
        .await
    }

    async fn remove_role_from_instance_profile(
        &self,
        profile_name: &str,
        role_name: &str,
    ) -> Result<()> {
        self.call(Call::RemoveRoleFromInstanceProfile, || {
            self.inner
                .remove_role_from_instance_profile(profile_name, role_name)
        })
        .await
    }

    async fn delete_instance_profile(&self, profile_name: &str) -> Result<()> {
        self.call(Call::DeleteInstanceProfile, || {
            self.inner.delete_instance_profile(profile_name)
        })
        .await
    }

    async fn detach_role_policy(&self, role_name: &str, policy_arn: &str) -> Result<()> {
        self.call(Call::DetachRolePolicy, || {
            self.inner.detach_role_policy(role_name, policy_arn)
        })
        .await
    }

    async fn delete_role_policy(&self, role_name: &str, policy_name: &str) -> Result<()> {
        self.call(Call::DeleteRolePolicy, || {
            self.inner.delete_role_policy(role_name, policy_name)
        })
        .await
    }

    async fn delete_role(&self, role_name: &str) -> Result<()> {
        self.call(Call::DeleteRole, || self.inner.delete_role(role_name))
            .await
    }
}

#[async_trait]
impl<A: Ssm> Ssm for Failing<A> {
    async fn get_parameter(&self, name: &str) -> Result<Option<String>> {
        self.read(Call::GetParameter, || self.inner.get_parameter(name))
            .await
    }

    async fn parameters_below(&self, path: &str) -> Result<Vec<String>> {
        self.read(Call::GetParametersByPath, || {
            self.inner.parameters_below(path)
        })
        .await
    }

    async fn online_instances(&self, instance_ids: &[String]) -> Result<Vec<String>> {
        self.read(Call::DescribeInstanceInformation, || {
            self.inner.online_instances(instance_ids)
        })
        .await
    }

    async fn send_command(
        &self,
        instance_ids: &[String],
        script: &str,
        timeout: Duration,
    ) -> Result<String> {
        self.call(Call::SendCommand, || {
            self.inner.send_command(instance_ids, script, timeout)
        })
        .await
    }

    async fn list_command_invocations(
        &self,
        command_id: &str,
    ) -> Result<Vec<(String, CommandStatus)>> {
        self.read(Call::ListCommandInvocations, || {
            self.inner.list_command_invocations(command_id)
        })
        .await
    }

    async fn get_command_invocation(
        &self,
        command_id: &str,
        instance_id: &str,
    ) -> Result<CommandInvocation> {
        self.call(Call::GetCommandInvocation, || {
            self.inner.get_command_invocation(command_id, instance_id)
        })
        .await
    }

    async fn cancel_command(&self, command_id: &str) -> Result<()> {
        self.call(Call::CancelCommand, || {
            self.inner.cancel_command(command_id)
        })
        .await
    }
}

#[async_trait]
impl<A: Account> Account for Failing<A> {
    async fn caller_identity(&self) -> Result<CallerIdentity> {
        self.call(Call::GetCallerIdentity, || self.inner.caller_identity())
            .await
    }

    async fn service_quota(&self, service_code: &str, quota_code: &str) -> Result<Option<f64>> {
        self.read(Call::GetServiceQuota, || {
            self.inner.service_quota(service_code, quota_code)
        })
        .await
    }
}
