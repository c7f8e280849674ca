//! The calls that an implementation of AWS has, by name.

/// The endpoint in the errors of calls that go nowhere.
pub(super) const ENDPOINT: &str = "efa_core::testing";

macro_rules! calls {
    ($($variant:ident = $action:literal, $not_found:expr;)+) => {
        /// One call of the traits [`Ec2`](crate::ec2::Ec2), [`Iam`](crate::iam::Iam),
        /// [`Ssm`](crate::ssm::Ssm) or [`Account`](crate::account::Account).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Call {
            $(#[doc = concat!("`", $action, "`")] $variant,)+
        }

        impl Call {
            /// All calls.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the action as AWS spells it, such as `RunInstances`; a dry run is an action
            /// of its own here.
            #[must_use]
            pub const fn action(self) -> &'static str {
                match self { $(Self::$variant => $action,)+ }
            }

            /// AWS's code for what such a call names and AWS does not know.
            pub(super) const fn not_found(self) -> Option<&'static str> {
                match self { $(Self::$variant => $not_found,)+ }
            }
        }
    };
}

calls! {
    DescribeInstanceTypes = "DescribeInstanceTypes", None;
    DescribeInstanceTypeOfferings = "DescribeInstanceTypeOfferings", None;
    DescribeVpcs = "DescribeVpcs", None;
    DescribeSubnets = "DescribeSubnets", None;
    DescribeKeyPairs = "DescribeKeyPairs", None;
    DescribeRouteTables = "DescribeRouteTables", None;
    DescribeVpcEndpoints = "DescribeVpcEndpoints", None;
    DescribeImages = "DescribeImages", None;
    DescribeSecurityGroups = "DescribeSecurityGroups", None;
    DescribePlacementGroups = "DescribePlacementGroups", None;
    PlacementGroupById = "DescribePlacementGroups", None;
    DescribeLaunchTemplateVersions = "DescribeLaunchTemplateVersions", None;
    DescribeLaunchTemplates = "DescribeLaunchTemplates", None;
    DescribeInstances = "DescribeInstances", None;
    DescribeInstanceStatus = "DescribeInstanceStatus", None;
    DescribeNetworkInterfaces = "DescribeNetworkInterfaces", None;
    DescribeAddresses = "DescribeAddresses", None;
    DescribeCapacityReservations = "DescribeCapacityReservations", None;
    GetGroupsForCapacityReservation = "GetGroupsForCapacityReservation", None;
    DescribeCapacityBlockOfferings = "DescribeCapacityBlockOfferings", None;
    DescribeInstanceTopology = "DescribeInstanceTopology", None;
    PurchaseCapacityBlock = "PurchaseCapacityBlock", None;
    CreateSecurityGroup = "CreateSecurityGroup", None;
    AuthorizeSecurityGroupIngress = "AuthorizeSecurityGroupIngress", Some("InvalidGroup.NotFound");
    AuthorizeSecurityGroupEgress = "AuthorizeSecurityGroupEgress", Some("InvalidGroup.NotFound");
    DeleteSecurityGroup = "DeleteSecurityGroup", Some("InvalidGroup.NotFound");
    CreatePlacementGroup = "CreatePlacementGroup", None;
    DeletePlacementGroup = "DeletePlacementGroup", Some("InvalidPlacementGroup.Unknown");
    DryRunInstances = "DryRunInstances", Some("InvalidGroup.NotFound");
    RunInstances = "RunInstances", Some("InvalidGroup.NotFound");
    DescribeInstanceAttribute = "DescribeInstanceAttribute", Some("InvalidInstanceID.NotFound");
    CreateTags = "CreateTags", Some("InvalidInstanceID.NotFound");
    TerminateInstances = "TerminateInstances", Some("InvalidInstanceID.NotFound");
    DeleteNetworkInterface = "DeleteNetworkInterface", Some("InvalidNetworkInterfaceID.NotFound");
    AllocateAddress = "AllocateAddress", None;
    AssociateAddress = "AssociateAddress", Some("InvalidAllocationID.NotFound");
    DisassociateAddress = "DisassociateAddress", Some("InvalidAssociationID.NotFound");
    ReleaseAddress = "ReleaseAddress", Some("InvalidAllocationID.NotFound");
    GetRole = "GetRole", None;
    GetInstanceProfile = "GetInstanceProfile", None;
    ListInstanceProfiles = "ListInstanceProfiles", None;
    ListAttachedRolePolicies = "ListAttachedRolePolicies", None;
    ListRolePolicies = "ListRolePolicies", None;
    GetPolicy = "GetPolicy", None;
    CreateRole = "CreateRole", None;
    AttachRolePolicy = "AttachRolePolicy", Some("NoSuchEntity");
    PutRolePolicy = "PutRolePolicy", Some("NoSuchEntity");
    CreateInstanceProfile = "CreateInstanceProfile", None;
    AddRoleToInstanceProfile = "AddRoleToInstanceProfile", Some("NoSuchEntity");
    RemoveRoleFromInstanceProfile = "RemoveRoleFromInstanceProfile", Some("NoSuchEntity");
    DeleteInstanceProfile = "DeleteInstanceProfile", Some("NoSuchEntity");
    DetachRolePolicy = "DetachRolePolicy", Some("NoSuchEntity");
    DeleteRolePolicy = "DeleteRolePolicy", Some("NoSuchEntity");
    DeleteRole = "DeleteRole", Some("NoSuchEntity");
    GetParameter = "GetParameter", None;
    GetParametersByPath = "GetParametersByPath", None;
    DescribeInstanceInformation = "DescribeInstanceInformation", None;
    SendCommand = "SendCommand", Some("InvalidInstanceId");
    ListCommandInvocations = "ListCommandInvocations", None;
    GetCommandInvocation = "GetCommandInvocation", Some("InvocationDoesNotExist");
    CancelCommand = "CancelCommand", Some("InvalidCommandId");
    GetCallerIdentity = "GetCallerIdentity", None;
    GetServiceQuota = "GetServiceQuota", None;
}

impl Call {
    /// Returns whether the call changes something in AWS. A dry run does not.
    #[must_use]
    pub fn changes(self) -> bool {
        let reads = ["Describe", "Get", "List", "DryRun"];
        !reads.iter().any(|read| self.action().starts_with(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One call for each method, two for the one that takes a direction.
    #[test]
    fn every_method_of_the_traits_is_here() {
        let traits = [
            include_str!("../ec2.rs"),
            include_str!("../iam.rs"),
            include_str!("../ssm.rs"),
            include_str!("../account.rs"),
        ];
        let methods: usize = traits.iter().map(|t| t.matches("async fn ").count()).sum();
        assert_eq!(Call::ALL.len(), methods + 1);
    }

    #[test]
    fn what_changes_nothing_is_known_by_its_name() {
        let reads = |call: &Call| !call.changes();
        assert!(
            [Call::DescribeVpcs, Call::GetRole, Call::DryRunInstances]
                .iter()
                .all(reads)
        );
        assert!(Call::RunInstances.changes() && Call::CancelCommand.changes());
    }
}
