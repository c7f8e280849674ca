//! The EFA part of Kubernetes manifests: Karpenter's objects, and pods that request EFA.
//!
//! Documents of one text are read together: a NodePool with the EC2NodeClass that it names, a pod
//! with the NodePools that could run it.

use serde_json::Value;

use super::{Checked, DocumentFinding, Findings, Severity};

mod join;
mod node_class;
mod node_pool;
mod requirements;
mod workload;

/// Every finding of this module beside those of interfaces.
pub(crate) const FINDINGS: &[&str] = &[
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
    "kubernetes.efa_count_beyond_type",
    "kubernetes.efa_resource_name",
    "kubernetes.huge_pages_missing",
    "kubernetes.huge_pages_without_memory",
    "kubernetes.requests_differ_from_limits",
    "kubernetes.toleration_missing",
];

pub(super) fn check(document: &Checked<'_>, found: &mut Findings) {
    match kind(document.document) {
        "EC2NodeClass" => node_class::check(document, found),
        "NodePool" => node_pool::check(document, found),
        "NodeOverlay" | "NodeClaim" => {}
        _ => workload::check(document, found),
    }
}

fn error(id: &str, path: String, message: impl Into<String>, cure: &str) -> DocumentFinding {
    finding(Severity::Error, id, path, message, cure)
}

fn warning(id: &str, path: String, message: impl Into<String>, cure: &str) -> DocumentFinding {
    finding(Severity::Warning, id, path, message, cure)
}

fn finding(
    severity: Severity,
    id: &str,
    path: String,
    message: impl Into<String>,
    cure: &str,
) -> DocumentFinding {
    debug_assert!(FINDINGS.contains(&id), "{id} is not listed");
    DocumentFinding::new(severity, id, path, message, cure)
}

fn kind(document: &Value) -> &str {
    text(document, "/kind").unwrap_or_default()
}

/// The text at a JSON pointer.
fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// The list at a JSON pointer; empty without one.
fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests;
