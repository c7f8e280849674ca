//! The EFA part of a NodePool.

use std::collections::BTreeSet;

use serde_json::Value;

use super::findings::{error, finding, warning};
use super::join::{Manifests, Pool};
use super::requirements::Requirements;
use super::values::{interfaces_of, list, text};
use crate::catalog::{InstanceType, Lookup};
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::interfaces::unknown_type;
use crate::handoff::check::report::{DocumentFinding, DocumentFormat, Severity};
use crate::handoff::check::rule::Rule;
use crate::handoff::karpenter::dynamic_interfaces;
use crate::layout::violations;

/// How many types a message names.
const NAMED: usize = 4;

pub(super) fn check_node_pool<'a>(
    document: &Checked<'a>,
    manifests: &Manifests<'a>,
    found: &mut Findings,
) {
    let Some((at, pool)) = manifests.pool(document.document) else {
        return;
    };
    if !check_reference(document, pool, found) || !manifests.is_for_efa(at) {
        return;
    }
    check_zones(document, pool.class, found);
    check_named_types(document, pool, found);
    // Karpenter launches no type that lacks the listed EFAs; those interfaces are checked with
    // their node class.
    if pool.class.and_then(interfaces_of).is_some() {
        return;
    }
    let without = manifests.admitted_without_efa(pool);
    let at = document.path("spec.template.spec.requirements");
    if !without.is_empty() {
        found.push(warning(
            "karpenter.admits_types_without_efa",
            at.clone(),
            format!(
                "the requirements admit types without EFA, such as {}",
                first(without)
            ),
            "name the types: node.kubernetes.io/instance-type In [...]",
        ));
    }
    if pool.class.is_some() {
        check_dynamic(pool.admitted(document.catalog), at, found);
    }
}

/// Whether the node class is one that is read here.
fn check_reference(document: &Checked<'_>, pool: &Pool<'_>, found: &mut Findings) -> bool {
    const KARPENTER: &str = "karpenter.k8s.aws";
    const AUTO_MODE: &str = "eks.amazonaws.com";
    let reference = "/spec/template/spec/nodeClassRef";
    let part = |key: &str| text(document.document, &format!("{reference}/{key}"));
    let (group, kind) = (part("group"), part("kind"));
    let auto = group == Some(AUTO_MODE) && kind != Some("EC2NodeClass");
    let karpenters =
        group.is_none_or(|group| group.starts_with(KARPENTER)) || kind == Some("EC2NodeClass");
    if !auto && !karpenters {
        let name = text(document.document, "/metadata/name").unwrap_or_default();
        let path = document.path("spec.template.spec.nodeClassRef");
        let reason = "its node class is unknown, or of another cloud";
        found.unread("NodePool (karpenter.sh)", name, &path, reason);
        return false;
    }
    if !auto && group != Some(KARPENTER) {
        found.push(error(
            "karpenter.node_class_group",
            document.path("spec.template.spec.nodeClassRef.group"),
            format!(
                "the group is {}, that of EC2NodeClass is {KARPENTER}",
                group.unwrap_or("missing")
            ),
            "write group: karpenter.k8s.aws, without a version",
        ));
    }
    if pool.class.is_none() {
        let kind = if auto { "NodeClass" } else { "EC2NodeClass" };
        found.out_of_sight(&format!(
            "the {kind} {}, which is not in the text: its interfaces and placement group \
             cannot be checked",
            part("name").unwrap_or("that the NodePool names")
        ));
    }
    true
}

/// Types that the requirements name, and of which nothing is known; and those without EFA where
/// the class lists some.
fn check_named_types(document: &Checked<'_>, pool: &Pool<'_>, found: &mut Findings) {
    let named = Requirements::of(document.document).named();
    let named: BTreeSet<&str> = named.into_iter().flatten().collect();
    let path = document.path("spec.template.spec.requirements");
    let mut without = 0;
    for name in &named {
        match document.catalog.look_up(name) {
            Lookup::Efa(_) => {}
            Lookup::NoEfa => without += 1,
            unknown => unknown_type(name, unknown, document.catalog, &path, found),
        }
    }
    if pool.lists_efa() && !named.is_empty() && without == named.len() {
        let names: Vec<&str> = named.into_iter().collect();
        found.push(DocumentFinding::new(
            Severity::Error,
            "interfaces.type_without_efa",
            path,
            format!("the node class lists EFA, and {} has none", first(&names)),
            "name a type with EFA, or leave the EFA interfaces out",
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
    let (rule, format) = (Rule::SeveralPlaces, DocumentFormat::Kubernetes);
    found.push(finding(
        rule.severity(format),
        rule.id(format),
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
