//! Which documents of a text belong together.

use serde_json::Value;

use super::pod::pods;
use super::requirements::Requirements;
use super::values::{kind, list, text};
use crate::catalog::{Catalog, InstanceType};
use crate::handoff::karpenter::node_class_interfaces;

/// The NodePools of a text.
pub(super) fn pools(all: &[Value]) -> impl Iterator<Item = &Value> {
    all.iter().filter(|document| kind(document) == "NodePool")
}

/// The EC2NodeClass that a NodePool names.
pub(super) fn node_class<'a>(pool: &Value, all: &'a [Value]) -> Option<&'a Value> {
    let name = text(pool, "/spec/template/spec/nodeClassRef/name")?;
    all.iter()
        .find(|d| kind(d) == "EC2NodeClass" && text(d, "/metadata/name") == Some(name))
}

/// The NodePools that name an EC2NodeClass.
pub(super) fn pools_of<'a>(node_class: &Value, all: &'a [Value]) -> Vec<&'a Value> {
    let name = text(node_class, "/metadata/name");
    pools(all)
        .filter(|pool| {
            name.is_some() && text(pool, "/spec/template/spec/nodeClassRef/name") == name
        })
        .collect()
}

/// The EFA types that a NodePool's requirements admit.
pub(super) fn admitted<'a>(pool: &Value, catalog: &'a Catalog) -> Vec<&'a InstanceType> {
    let requirements = Requirements::of(pool);
    catalog
        .iter()
        .filter(|instance_type| requirements.admit(instance_type))
        .collect()
}

/// How many EFAs a node of the pool has at most; `None` where its types are unknown.
pub(super) fn efas_per_node(pool: &Value, all: &[Value], catalog: &Catalog) -> Option<u64> {
    if let Some(listed) = node_class(pool, all).and_then(listed_efas) {
        return Some(listed);
    }
    let types = admitted(pool, catalog);
    let maximum = types.iter().map(|t| t.maximum_efa_interfaces).max();
    maximum.map(u64::from)
}

/// How many EFAs an EC2NodeClass lists; `None` where it lists no interfaces.
pub(super) fn listed_efas(node_class: &Value) -> Option<u64> {
    let interfaces = node_class_interfaces(node_class)?.ok()?;
    let efas = interfaces.iter().filter(|i| i.interface_type.is_efa());
    Some(efas.count() as u64)
}

/// Whether a NodePool is meant for EFA: it or its class says so in its names, or its class lists
/// EFAs; or none of the text does, and a pod that requests EFA could run on this one.
pub(super) fn is_for_efa(pool: &Value, all: &[Value]) -> bool {
    says_efa(pool, all)
        || (!pools(all).any(|pool| says_efa(pool, all))
            && all.iter().any(|document| {
                pods(document).iter().any(|pod| {
                    pod.efas() > 0
                        && could_run(pool, pod.spec)
                        && intolerable(pool, pod.spec).is_empty()
                })
            }))
}

fn says_efa(pool: &Value, all: &[Value]) -> bool {
    // As a word: "default" has it within.
    let named = [
        "/metadata/name",
        "/spec/template/metadata/labels",
        "/spec/template/spec/taints",
        "/spec/template/spec/nodeClassRef/name",
    ]
    .iter()
    .any(|at| {
        let text = pool.pointer(at).map(Value::to_string).unwrap_or_default();
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
        words.any(|word| word.eq_ignore_ascii_case("efa"))
    });
    named
        || node_class(pool, all)
            .and_then(listed_efas)
            .is_some_and(|efas| efas > 0)
}

/// Whether a pod's node selector leaves the NodePool to it.
pub(super) fn could_run(pool: &Value, pod: &Value) -> bool {
    let selected = |label: &str| {
        pod.get("nodeSelector")
            .and_then(|selector| selector.get(label)?.as_str())
    };
    if let Some(name) = selected("karpenter.sh/nodepool") {
        return text(pool, "/metadata/name") == Some(name);
    }
    match selected("node.kubernetes.io/instance-type") {
        Some(name) => Requirements::of(pool).admit_name(name),
        None => true,
    }
}

/// The taints of a NodePool that keep a pod away.
pub(super) fn intolerable<'a>(pool: &'a Value, pod: &Value) -> Vec<&'a Value> {
    let tolerations = list(pod, "/tolerations");
    let taints = list(pool, "/spec/template/spec/taints").iter();
    taints
        .filter(|taint| {
            let effect = text(taint, "/effect");
            effect != Some("PreferNoSchedule") && !tolerations.iter().any(|t| tolerates(t, taint))
        })
        .collect()
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let of =
        |value: &'_ Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let exists = of(toleration, "operator").as_deref() == Some("Exists");
    let key = of(toleration, "key");
    let key_fits = (exists && key.is_none()) || key == of(taint, "key");
    let value = |v| of(v, "value").unwrap_or_default();
    let effect = of(toleration, "effect");
    key_fits
        && (exists || value(toleration) == value(taint))
        && (effect.is_none() || effect == of(taint, "effect"))
}

/// Whether a NodeOverlay of the text gives nodes huge pages.
pub(super) fn has_huge_pages_overlay(all: &[Value]) -> bool {
    all.iter().any(|document| {
        kind(document) == "NodeOverlay"
            && document
                .pointer("/spec/capacity")
                .is_some_and(|capacity| capacity.get("hugepages-2Mi").is_some())
    })
}
