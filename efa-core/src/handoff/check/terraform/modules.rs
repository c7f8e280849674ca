//! Modules: node groups of the well-known one for EKS, whose interfaces follow from the type.

use serde_json::Value;

use super::expression::Scope;
use super::shapes::check_node_group;
use super::syntax::{blocks, named};
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::interfaces::{check_types_for_efa, too_few};
use crate::handoff::check::launch::Types;
use crate::handoff::check::report::{DocumentFinding, DocumentFormat, Severity};
use crate::handoff::check::rule::Rule;
use crate::handoff::check::unknown::is_unknown;
use crate::layout::{NetworkInterface, violations};
use crate::types::InterfaceType;

/// The module whose node groups are read, by the end of its source.
const EKS: &str = "terraform-aws-modules/eks/aws";

pub(super) fn check_modules(document: &Checked<'_>, scope: &Scope, found: &mut Findings) {
    for module in named(document.document.get("module")) {
        let path = document.path(&format!("module.{}", module.name));
        let body = scope.resolved(module.body);
        let source = body
            .get("source")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !source.contains(EKS) {
            let reason = "what a module makes: check terraform show -json of a plan";
            found.unread("module", module.name, &path, reason);
            continue;
        }
        for key in [
            "eks_managed_node_groups",
            "self_managed_node_groups",
            "node_groups",
        ] {
            match body.get(key) {
                None => {}
                Some(groups)
                    if is_unknown(groups) || !blocks(groups).iter().all(|b| b.is_object()) =>
                {
                    let reason =
                        "the node groups are defined elsewhere: check terraform show -json";
                    found.unread("module", module.name, &format!("{path}.{key}"), reason);
                }
                Some(groups) => {
                    for group in named(Some(groups)) {
                        let path = format!("{path}.{key}.{}", group.name);
                        check_group(document, group.body, &path, found);
                    }
                }
            }
        }
    }
}

/// `enable_efa_support` of a node group (modules/eks-managed-node-group/main.tf at v21): `efa` on
/// card 0, device 0, and `efa-only` on device 1 of every further card of the first type.
fn check_group(document: &Checked<'_>, group: &Value, path: &str, found: &mut Findings) {
    check_node_group(group, path, found);
    let mut types = Types::default();
    for key in ["instance_types", "instance_type"] {
        if let Some(value) = group.get(key) {
            types.add(value);
        }
    }
    let efa = match group.get("enable_efa_support") {
        Some(Value::Bool(value)) => *value,
        Some(value) if is_unknown(value) => true,
        _ => false,
    };
    let known: Vec<_> = types
        .names
        .iter()
        .filter_map(|t| document.catalog.get(t))
        .collect();
    if !efa {
        for instance_type in known {
            if let Some(finding) = too_few(instance_type, 0, path, found) {
                found.push(finding);
            }
        }
        return;
    }
    let names = types.names.iter().map(String::as_str);
    let what = "enable_efa_support";
    check_types_for_efa(names, what, document.catalog, path, found);
    if types.open || types.names.is_empty() {
        found.unread(
            "node group",
            path,
            path,
            "its instance types are defined elsewhere",
        );
    }
    let Some(first) = known.first() else { return };
    let derived: Vec<NetworkInterface> = (0..u32::try_from(first.network_cards.len()).unwrap_or(1))
        .map(|card| match card {
            0 => NetworkInterface::new(0, 0, InterfaceType::Efa),
            card => NetworkInterface::new(card, 1, InterfaceType::EfaOnly),
        })
        .collect();
    for instance_type in &known {
        if let Some(violation) = violations(instance_type, &derived).first() {
            found.push(DocumentFinding::new(
                Severity::Error,
                "terraform.module_interfaces_fail",
                format!("{path}.enable_efa_support"),
                format!(
                    "the interfaces that the module derives fail for {}: {}",
                    instance_type.name, violation.message
                ),
                "list network_interfaces in the node group, and leave enable_efa_support out",
            ));
        }
    }
    let subnets = group
        .get("subnet_ids")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    if subnets > 1 {
        found.push(DocumentFinding::new(
            Rule::SeveralPlaces.severity(DocumentFormat::Terraform),
            Rule::SeveralPlaces.id(DocumentFormat::Terraform),
            format!("{path}.subnet_ids"),
            format!("instances in {subnets} subnets: EFA traffic crosses no zone"),
            "name one",
        ));
    }
}
