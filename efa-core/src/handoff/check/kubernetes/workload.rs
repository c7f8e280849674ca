//! Pods that request EFA, wherever a document holds their specification.

use serde_json::Value;

use super::findings::{error, warning};
use super::join;
use super::pod::{Pod, efas, join_path, pods};
use super::values::{list, text};
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::karpenter::EFA_RESOURCE;

pub(super) fn check_pods(document: &Checked<'_>, found: &mut Findings) {
    for pod in pods(document.document) {
        for (path, container) in pod.containers() {
            check_container(document, &path, container, found);
        }
        if pod.efas() > 0 {
            check_against_pools(document, &pod, found);
        }
    }
}

fn check_container(document: &Checked<'_>, path: &str, container: &Value, found: &mut Findings) {
    let at = |part: &str| document.path(&format!("{path}.resources{part}"));
    let lists = ["limits", "requests"];
    for key in lists {
        let resources = container.pointer(&format!("/resources/{key}"));
        let names = resources.and_then(Value::as_object);
        if let Some(wrong) = names.and_then(|names| names.keys().find(|name| means_efa(name))) {
            found.push(
                error(
                    "kubernetes.efa_resource_name",
                    at(&format!(".{key}")),
                    format!("no plugin offers the resource {wrong}"),
                    "request vpc.amazonaws.com/efa, which the EFA device plugin offers",
                )
                .corrected(format!(
                    "{EFA_RESOURCE}: {}\n",
                    resources.map_or(&Value::Null, |r| &r[wrong])
                )),
            );
            // Said once for a container.
            return;
        }
    }
    if efas(container) == 0 {
        return;
    }
    let resource = |list: &str, name: &str| {
        container
            .pointer(&format!("/resources/{list}"))
            .and_then(|resources| resources.get(name))
    };
    for name in [EFA_RESOURCE, "hugepages-2Mi"] {
        let (limit, request) = (resource("limits", name), resource("requests", name));
        // A limit alone is the request too.
        if request.is_some() && plain(limit) != plain(request) {
            found.push(error(
                "kubernetes.requests_differ_from_limits",
                at(&format!(".requests.{name}")),
                format!("requests and limits of {name} differ, which Kubernetes refuses"),
                "write the same in both, or the limit alone",
            ));
        }
    }
    let has = |name: &str| lists.iter().any(|list| resource(list, name).is_some());
    if !has("hugepages-2Mi") && !does_without_huge_pages(container) {
        found.push(warning(
            "kubernetes.huge_pages_missing",
            at(""),
            "EFA without hugepages-2Mi: libfabric's buffers want huge pages, and a container has \
             those that it requests",
            "request hugepages-2Mi, such as 5120Mi, or set FI_EFA_USE_HUGE_PAGE to 0",
        ));
    }
    if has("hugepages-2Mi") && !has("memory") && !has("cpu") {
        found.push(error(
            "kubernetes.huge_pages_without_memory",
            at(""),
            "Kubernetes refuses huge pages without a request for memory or cpu",
            "request memory too",
        ));
    }
}

/// Numbers and texts of the same quantity alike.
fn plain(quantity: Option<&Value>) -> Option<String> {
    quantity.map(|quantity| match quantity {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

/// A name that is meant for the EFA resource, and is not it.
fn means_efa(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    name != EFA_RESOURCE
        && (lower == "vpc.amazonaws.com"
            || lower.ends_with("/efa")
            || lower == "efa"
            || (lower.starts_with("vpc.amazonaws.com/") && lower.contains("efa")))
}

fn does_without_huge_pages(container: &Value) -> bool {
    list(container, "/env").iter().any(|variable| {
        text(variable, "/name") == Some("FI_EFA_USE_HUGE_PAGE")
            && plain(variable.get("value")).is_some_and(|value| value == "0" || value == "false")
    })
}

/// What the NodePools of the text say about a pod that requests EFA.
fn check_against_pools(document: &Checked<'_>, pod: &Pod<'_>, found: &mut Findings) {
    let at = |part: &str| document.path(&join_path(&pod.path, part));
    let could_run = |pool: &&Value| join::could_run(pool, pod.spec);
    let pools: Vec<&Value> = join::pools(document.all).filter(could_run).collect();
    check_count(document, pod, &pools, found);
    if pools.is_empty() {
        return;
    }
    let kept_away: Vec<Vec<&Value>> = pools
        .iter()
        .map(|pool| join::intolerable(pool, pod.spec))
        .collect();
    if kept_away.iter().all(|taints| !taints.is_empty()) {
        let taint = kept_away[0][0];
        let key = text(taint, "/key").unwrap_or_default();
        let effect = text(taint, "/effect").unwrap_or_default();
        found.push(
            error(
                "kubernetes.toleration_missing",
                at("tolerations"),
                format!("the pod does not tolerate taint {key} ({effect}) of the NodePool"),
                "add a toleration",
            )
            .corrected(format!(
                "tolerations:\n- key: {key}\n  operator: Exists\n  effect: {effect}\n"
            )),
        );
    }
    let dynamic = |pool: &&Value| pool.pointer("/spec/replicas").is_none();
    let wants_pages = pod.containers().any(|(_, container)| {
        ["limits", "requests"].iter().any(|list| {
            let resources = container.pointer(&format!("/resources/{list}"));
            resources.is_some_and(|r| r.get("hugepages-2Mi").is_some())
        })
    });
    if wants_pages && pools.iter().all(dynamic) && !join::has_huge_pages_overlay(document.all) {
        found.push(warning(
            "karpenter.huge_pages_not_counted",
            at("containers"),
            "Karpenter counts no huge pages on nodes to come, so that none starts for the pod",
            "add a NodeOverlay with capacity hugepages-2Mi (feature gate NodeOverlay), or static \
             nodes (replicas)",
        ));
    }
}

fn check_count(document: &Checked<'_>, pod: &Pod<'_>, pools: &[&Value], found: &mut Findings) {
    let named = text(pod.spec, "/nodeSelector/node.kubernetes.io~1instance-type");
    let of_type = named.and_then(|name| document.catalog.get(name));
    let of_pools = pools
        .iter()
        .filter_map(|pool| join::efas_per_node(pool, document.all, document.catalog))
        .max();
    let of_type = of_type.map(|t| u64::from(t.maximum_efa_interfaces));
    let Some(limit) = of_pools.or(of_type) else {
        found.out_of_sight(
            "whether a node offers as many EFA as the pods request: the text names no instance type",
        );
        return;
    };
    let wanted = pod.efas();
    if wanted > limit {
        found.push(error(
            "kubernetes.efa_count_beyond_type",
            document.path(&join_path(&pod.path, "containers")),
            format!("the pod requests {wanted} EFA, a node has {limit}"),
            "request no more than a node has",
        ));
    }
}
