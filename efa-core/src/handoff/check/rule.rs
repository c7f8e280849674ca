//! The rules on a launch besides those of its list of interfaces: what each is called, and how bad
//! it is to break it.

use super::report::{DocumentFormat, Severity};

/// A rule on a launch besides those of its list of interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    WithInterfaces,
    BlockWithGroup,
    DuplicateName,
    HostNames,
    ImdsV1,
    InterfacesInSeveralSubnets,
    NoPlacementGroup,
    PlacementStrategy,
    ReservationGroupOnDemand,
    ReservationTarget,
    ReservationWithGroup,
    SeveralPlaces,
    SubnetInNodeGroup,
    UnknownParameter,
    UserDataTooLong,
    VolumeUnencrypted,
}

impl Rule {
    /// Every rule, with what it is about.
    #[cfg(test)]
    pub(super) const ALL: &[(Self, &str)] = &[
        (
            Self::WithInterfaces,
            "groups or a subnet in addition to the interfaces",
        ),
        (
            Self::BlockWithGroup,
            "a Capacity Block together with a placement group",
        ),
        (Self::DuplicateName, "several objects under one name"),
        (Self::HostNames, "a hostname type that EC2 does not have"),
        (Self::ImdsV1, "a metadata service that takes IMDSv1"),
        (
            Self::InterfacesInSeveralSubnets,
            "interfaces of one instance in several subnets",
        ),
        (Self::NoPlacementGroup, "no placement group"),
        (
            Self::PlacementStrategy,
            "a placement group whose strategy is not cluster",
        ),
        (
            Self::ReservationGroupOnDemand,
            "a resource group of reservations, and what it has no room for on demand",
        ),
        (
            Self::ReservationTarget,
            "a reservation together with a resource group or another preference",
        ),
        (
            Self::ReservationWithGroup,
            "a reservation that is named together with a placement group",
        ),
        (Self::SeveralPlaces, "instances in several subnets or zones"),
        (
            Self::SubnetInNodeGroup,
            "a subnet on the interfaces of an EKS managed node group",
        ),
        (
            Self::UnknownParameter,
            "a parameter that the launch does not have",
        ),
        (
            Self::UserDataTooLong,
            "more user data than EC2 takes, compressed or not",
        ),
        (Self::VolumeUnencrypted, "a volume that is not encrypted"),
    ];

    /// The finding's id. Formats that had the rule before the others keep their own.
    pub(super) const fn id(self, format: DocumentFormat) -> &'static str {
        use DocumentFormat as F;
        match (self, format) {
            (Self::WithInterfaces, F::RayCluster) => "ray.groups_or_subnet_with_interfaces",
            (Self::WithInterfaces, F::Terraform) => "terraform.groups_or_subnet_with_interfaces",
            (Self::WithInterfaces, _) => "launch_template.groups_or_subnet_with_interfaces",
            (Self::BlockWithGroup, F::CloudFormation) => {
                "cloudformation.block_with_placement_group"
            }
            (Self::BlockWithGroup, _) => "launch.block_with_placement_group",
            (Self::DuplicateName, _) => "launch.duplicate_name",
            (Self::HostNames, _) => "launch.host_names",
            (Self::ImdsV1, F::RayCluster) => "ray.imds_v1",
            (Self::ImdsV1, F::CloudFormation) => "cloudformation.imds_v1",
            (Self::ImdsV1, _) => "launch.imds_v1",
            (Self::InterfacesInSeveralSubnets, F::RayCluster) => "ray.subnets_differ",
            (Self::InterfacesInSeveralSubnets, _) => "interfaces.several_subnets",
            (Self::NoPlacementGroup, F::RayCluster) => "ray.no_placement_group",
            (Self::NoPlacementGroup, _) => "launch.no_placement_group",
            (Self::PlacementStrategy, F::CloudFormation) => "cloudformation.placement_strategy",
            (Self::PlacementStrategy, _) => "launch.placement_strategy",
            (Self::ReservationGroupOnDemand, _) => "launch.reservation_group_on_demand",
            (Self::ReservationTarget, _) => "launch.reservation_target",
            (Self::ReservationWithGroup, _) => "launch.reservation_with_placement_group",
            (Self::SeveralPlaces, F::RayCluster) => "ray.several_zones",
            (Self::SeveralPlaces, F::Eksctl) => "eksctl.several_zones",
            (Self::SeveralPlaces, F::Kubernetes) => "karpenter.several_zones",
            (Self::SeveralPlaces, _) => "launch.several_subnets",
            (Self::SubnetInNodeGroup, _) => "launch.subnet_in_node_group",
            (Self::UnknownParameter, F::RayCluster) => "ray.unknown_parameter",
            (Self::UnknownParameter, F::Kubernetes) => "karpenter.unknown_field",
            (Self::UnknownParameter, _) => "launch.unknown_parameter",
            (Self::UserDataTooLong, _) => "launch.user_data_too_long",
            (Self::VolumeUnencrypted, F::RayCluster) => "ray.volume_not_encrypted",
            (Self::VolumeUnencrypted, F::CloudFormation) => "cloudformation.volume_unencrypted",
            (Self::VolumeUnencrypted, _) => "launch.volume_unencrypted",
        }
    }

    /// How bad it is to break it, in a format.
    pub(super) const fn severity(self, format: DocumentFormat) -> Severity {
        match (self, format) {
            // Karpenter launches node by node, and what the pods ask for may keep them in one zone;
            // SageMaker chooses among the subnets.
            (Self::SeveralPlaces, DocumentFormat::Kubernetes | DocumentFormat::SageMaker)
            | (
                Self::ImdsV1
                | Self::NoPlacementGroup
                | Self::PlacementStrategy
                | Self::ReservationGroupOnDemand
                | Self::ReservationWithGroup
                | Self::VolumeUnencrypted,
                _,
            ) => Severity::Warning,
            _ => Severity::Error,
        }
    }
}
