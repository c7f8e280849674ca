//! The EFA part of a NodePool.

use serde_json::Value;

use super::findings::{error, finding, warning};
use super::join;
use super::requirements::Requirements;
use super::values::{list, text};
use crate::catalog::InstanceType;
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::report::Severity;
use crate::handoff::karpenter::dynamic_interfaces;
use crate::layout::violations;

/// How many types a message names.
const NAMED: usize = 4;

pub(super) fn check_node_pool(document: &Checked<'_>, found: &mut Findings) {
    let pool = document.document;
    let node_class = join::node_class(pool, document.all);
    check_reference(document, node_class, found);
    if !join::is_for_efa(pool, document.all) {
        return;
    }
    check_zones(document, node_class, found);
    let lists_interfaces =
        node_class.is_some_and(|class| class.pointer("/spec/networkInterfaces").is_some());
    // Karpenter launches no type that lacks the listed EFAs; those interfaces are checked with
    // their EC2NodeClass.
    if lists_interfaces {
        return;
    }
    let requirements = Requirements::of(pool);
    let without = requirements.admitted_without_efa(document.catalog);
    let at = document.path("spec.template.spec.requirements");
    if !without.is_empty() {
        found.push(warning(
            "karpenter.admits_types_without_efa",
            at.clone(),
            format!(
                "the requirements admit types without EFA, such as {}",
                first(&without)
            ),
            "name the types: node.kubernetes.io/instance-type In [...]",
        ));
    }
    if node_class.is_some() {
        check_dynamic(&join::admitted(pool, document.catalog), at, found);
    }
}

fn check_reference(document: &Checked<'_>, node_class: Option<&Value>, found: &mut Findings) {
    let reference = "/spec/template/spec/nodeClassRef";
    let pool = document.document;
    let group = text(pool, &format!("{reference}/group"));
    if group != Some("karpenter.k8s.aws") {
        found.push(error(
            "karpenter.node_class_group",
            document.path("spec.template.spec.nodeClassRef.group"),
            format!(
                "the group is {}, that of EC2NodeClass is karpenter.k8s.aws",
                group.unwrap_or("missing")
            ),
            "write group: karpenter.k8s.aws, without a version",
        ));
    }
    if node_class.is_none() {
        found.out_of_sight(&format!(
            "the EC2NodeClass {}, which is not in the text: its interfaces and placement group \
             cannot be checked",
            text(pool, &format!("{reference}/name")).unwrap_or("that the NodePool names")
        ));
    }
}

fn check_zones(document: &Checked<'_>, node_class: Option<&Value>, found: &mut Findings) {
    let requirements = Requirements::of(document.document);
    let (zones, at) = match (requirements.zones(), requirements.position("zone")) {
        (Some(0 | 1), _) => return,
        (Some(zones), Some(at)) => (
            format!("{zones} zones"),
            format!("spec.template.spec.requirements.{at}.values"),
        ),
        _ => {
            // One subnet by its id is one zone.
            let subnets = node_class.map_or(&[][..], |c| list(c, "/spec/subnetSelectorTerms"));
            if node_class.is_none() || (subnets.len() == 1 && subnets[0].get("id").is_some()) {
                return;
            }
            (
                "any zone".to_owned(),
                "spec.template.spec.requirements".to_owned(),
            )
        }
    };
    let grouped = node_class.is_some_and(|class| {
        ["placementGroupSelector", "placementGroupName"]
            .iter()
            .any(|key| class.pointer(&format!("/spec/{key}")).is_some())
    });
    let group = if grouped {
        ", and a cluster placement group is in one"
    } else {
        ""
    };
    found.push(warning(
        "karpenter.several_zones",
        document.path(&at),
        format!("nodes may come up in {zones}: EFA does not cross zones{group}"),
        "require one zone: topology.kubernetes.io/zone In [...]",
    ));
}

/// Types for which the interfaces that Karpenter derives are refused by EC2.
fn check_dynamic(types: &[&InstanceType], at: String, found: &mut Findings) {
    let fails = |t: &&&InstanceType| !violations(t, &dynamic_interfaces(t, false)).is_empty();
    let failing: Vec<&str> = types
        .iter()
        .filter(fails)
        .map(|t| t.name.as_str())
        .collect();
    if failing.is_empty() {
        return;
    }
    let severity = if failing.len() == types.len() {
        Severity::Error
    } else {
        Severity::Warning
    };
    found.push(finding(
        severity,
        "karpenter.dynamic_interfaces_fail",
        at,
        format!(
            "the interfaces that Karpenter derives are refused for {}",
            first(&failing)
        ),
        "list networkInterfaces in the EC2NodeClass, or leave these types out",
    ));
}

/// The first names, and how many more there are.
pub(super) fn first(names: &[&str]) -> String {
    let named = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
