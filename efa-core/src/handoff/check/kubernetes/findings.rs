//! Findings in Kubernetes manifests, besides those in lists of interfaces.

use serde_json::Value;

use crate::handoff::check::report::{DocumentFinding, Severity};

/// Every finding of this format besides those of interfaces.
pub(super) const FINDINGS: &[&str] = &[
    "karpenter.admits_types_without_efa",
    "karpenter.ami_alias_not_pinned",
    "karpenter.ami_family_al2",
    "karpenter.ami_family_missing",
    "karpenter.ami_selector_missing",
    "karpenter.duplicate_interface",
    "karpenter.dynamic_interfaces_fail",
    "karpenter.efa_not_in_enum",
    "karpenter.huge_pages_not_counted",
    "karpenter.interface_incomplete",
    "karpenter.interfaces_fail_for_types",
    "karpenter.node_class_group",
    "karpenter.placement_group_name",
    "karpenter.placement_group_selector",
    "karpenter.primary_not_interface",
    "karpenter.public_ip_with_several_interfaces",
    "karpenter.role_or_profile",
    "karpenter.selector_missing",
    "karpenter.several_efa_per_card",
    "karpenter.several_zones",
    "karpenter.unknown_field",
    "kubernetes.efa_count",
    "kubernetes.efa_count_beyond_type",
    "kubernetes.efa_resource_name",
    "kubernetes.huge_pages_missing",
    "kubernetes.huge_pages_without_memory",
    "kubernetes.requests_differ_from_limits",
    "kubernetes.resource_name",
    "kubernetes.toleration_missing",
];

pub(super) fn error(
    id: &str,
    path: String,
    message: impl Into<String>,
    cure: &str,
) -> DocumentFinding {
    finding(Severity::Error, id, path, message, cure)
}

pub(super) fn warning(
    id: &str,
    path: String,
    message: impl Into<String>,
    cure: &str,
) -> DocumentFinding {
    finding(Severity::Warning, id, path, message, cure)
}

pub(super) fn finding(
    severity: Severity,
    id: &str,
    path: String,
    message: impl Into<String>,
    cure: &str,
) -> DocumentFinding {
    debug_assert!(FINDINGS.contains(&id), "{id} is not listed");
    DocumentFinding::new(severity, id, path, message, cure)
}

/// The finding for an invalid count of EFA.
pub(super) fn efa_count(path: String, value: &Value) -> DocumentFinding {
    error(
        "kubernetes.efa_count",
        path,
        format!("{value} is not a count of EFA, and Kubernetes refuses it"),
        "write a whole number, such as 32",
    )
}
