//! Findings in a CloudFormation template, besides those in lists of interfaces.

use crate::handoff::check::report::{DocumentFinding, Severity};

/// The findings of this format with their texts. Those of interfaces are separate.
#[cfg(test)]
pub(super) const IDS: &[(&str, &str)] = &[
    (
        BLOCK_WITH_GROUP,
        "a Capacity Block together with a placement group",
    ),
    (
        BUCKET_PUBLIC,
        "a bucket without all four public access blocks",
    ),
    (BUCKET_UNENCRYPTED, "a bucket without an encryption setting"),
    (
        CIRCULAR_RULE,
        "a self-referencing rule inside the group, which cannot name itself",
    ),
    (
        EFA_ATTACHED_LATER,
        "an EFA interface attached to a running instance",
    ),
    (
        IAM_ACTION,
        "an IAM action with a space in it, which matches nothing",
    ),
    (IMDS_V1, "instances whose metadata service takes IMDSv1"),
    (
        INTERFACE_TYPE_ON_INSTANCE,
        "InterfaceType or NetworkCardIndex on AWS::EC2::Instance, which has no such properties",
    ),
    (
        NO_SELF_EGRESS,
        "an EFA interface's group without the all-protocol egress rule to itself",
    ),
    (
        NO_SELF_INGRESS,
        "an EFA interface's group without the all-protocol ingress rule from itself",
    ),
    (
        PLACEMENT_STRATEGY,
        "EFA instances in a placement group whose strategy is not cluster",
    ),
    (
        PROPERTY_DROPPED,
        "InstanceMarketOptions or CapacityReservationSpecification on AWS::EC2::Instance, which has no such properties",
    ),
    (SSH_OPEN, "port 22 open to the whole Internet"),
    (VOLUME_UNENCRYPTED, "a volume without an encryption setting"),
];

#[cfg(test)]
pub(super) const BLOCK_WITH_GROUP: &str = "cloudformation.block_with_placement_group";
pub(super) const BUCKET_PUBLIC: &str = "cloudformation.bucket_public";
pub(super) const BUCKET_UNENCRYPTED: &str = "cloudformation.bucket_unencrypted";
#[cfg(test)]
pub(super) const CIRCULAR_RULE: &str = "cloudformation.circular_self_rule";
pub(super) const EFA_ATTACHED_LATER: &str = "cloudformation.efa_attached_later";
pub(super) const IAM_ACTION: &str = "cloudformation.iam_action";
#[cfg(test)]
pub(super) const IMDS_V1: &str = "cloudformation.imds_v1";
pub(super) const INTERFACE_TYPE_ON_INSTANCE: &str = "cloudformation.interface_type_on_instance";
#[cfg(test)]
pub(super) const NO_SELF_EGRESS: &str = "cloudformation.no_self_egress";
#[cfg(test)]
pub(super) const NO_SELF_INGRESS: &str = "cloudformation.no_self_ingress";
#[cfg(test)]
pub(super) const PLACEMENT_STRATEGY: &str = "cloudformation.placement_strategy";
pub(super) const PROPERTY_DROPPED: &str = "cloudformation.property_dropped";
#[cfg(test)]
pub(super) const SSH_OPEN: &str = "cloudformation.ssh_open";
#[cfg(test)]
pub(super) const VOLUME_UNENCRYPTED: &str = "cloudformation.volume_unencrypted";

/// A finding.
pub(super) fn finding(
    severity: Severity,
    id: &str,
    path: String,
    message: impl Into<String>,
    cure: impl Into<String>,
) -> DocumentFinding {
    DocumentFinding::new(severity, id, path, message, cure)
}
