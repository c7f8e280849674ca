//! Pods that request EFA, wherever a document holds their specification.

use serde_json::Value;

use super::super::document::join_path;
use super::claims::Wanted;
use super::findings::{efa_count, error, warning};
use super::join::{Manifests, instance_types, intolerable};
use super::kinds::{self, Kind};
use super::pod::{Container, Pod, pods};
use super::quantity;
use super::shapes::may_lack_pods;
use super::values::{kind, text};
use crate::catalog::Lookup;
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::interfaces::unknown_type;
use crate::handoff::karpenter::EFA_RESOURCE;

pub(super) fn check_pods(document: &Checked<'_>, manifests: &Manifests<'_>, found: &mut Findings) {
    let pods = pods(document.document);
    if pods.is_empty() && is_workload(document.document) {
        let path = document.prefix.trim_end_matches('.');
        let name = text(document.document, "/metadata/name").unwrap_or(path);
        let reason = "it has no pods in a form that is read here";
        found.unread(kind(document.document), name, path, reason);
    }
    for pod in pods {
        for name in manifests.found.claims.elsewhere(pod.spec) {
            let path = document.path(&join_path(&pod.path, "resourceClaims"));
            found.unread(
                "claim",
                name,
                &path,
                "it is not in the text: check both together",
            );
        }
        for container in &pod.containers {
            check_container(document, container, found);
        }
        if pod.efas().any() || manifests.found.claims.of_pod(pod.spec).is_some() {
            check_against_pools(document, manifests, &pod, found);
        }
    }
}

/// Whether a document has to have pods of its own.
fn is_workload(document: &Value) -> bool {
    kinds::kind_of(document) == Kind::Workload && !may_lack_pods(document)
}

fn check_container(document: &Checked<'_>, container: &Container<'_>, found: &mut Findings) {
    if check_names(document, container, found) || check_efa_counts(document, container, found) {
        return;
    }
    let efas = container.efas();
    if !efas.any() {
        return;
    }
    for (key, list) in container.lists() {
        let count = list.and_then(|list| list.get(EFA_RESOURCE));
        if let Some(count) = count.filter(|count| quantity::is_of_unknown_form(count)) {
            let path = document.path(&container.at(key, EFA_RESOURCE));
            found.unread("count", &count.to_string(), &path, "it is not a quantity");
        }
    }
    if efas.placeholder {
        found.out_of_sight(
            "how many EFA a pod requests where the count is a placeholder: check the text with \
             the values in place",
        );
    }
    check_equal(document, container, found);
    let has = |name: &str| {
        let lists = container.lists().into_iter().filter_map(|(_, list)| list);
        lists.into_iter().any(|list| list.get(name).is_some())
    };
    if !has("hugepages-2Mi") && !does_without_huge_pages(container.env) {
        found.push(warning(
            "kubernetes.huge_pages_missing",
            document.path(&container.path),
            "EFA without hugepages-2Mi: libfabric's buffers want huge pages, and a container has \
             those that it requests",
            "request hugepages-2Mi, such as 5120Mi, or set FI_EFA_USE_HUGE_PAGE to 0",
        ));
    }
    if has("hugepages-2Mi") && !has("memory") && !has("cpu") && container.is_whole() {
        found.push(error(
            "kubernetes.huge_pages_without_memory",
            document.path(&container.path),
            "Kubernetes refuses huge pages without a request for memory or cpu",
            "request memory too",
        ));
    }
}

/// Counts of EFA that Kubernetes refuses, whether there is one.
fn check_efa_counts(
    document: &Checked<'_>,
    container: &Container<'_>,
    found: &mut Findings,
) -> bool {
    let wrong = container.lists().into_iter().find_map(|(key, list)| {
        let value = list?.get(EFA_RESOURCE)?;
        quantity::is_no_count(value).then_some((key, value))
    });
    if let Some((key, value)) = wrong {
        let path = document.path(&container.at(key, EFA_RESOURCE));
        found.push(efa_count(path, value));
    }
    wrong.is_some()
}

/// Names that are no resource, in a container that is meant for EFA; whether EFA's own is wrong.
fn check_names(document: &Checked<'_>, container: &Container<'_>, found: &mut Findings) -> bool {
    let mut wrong_efa = false;
    let mut said = false;
    let about_efa = container.lists().into_iter().any(|(_, list)| {
        let names = list.and_then(Value::as_object);
        names.is_some_and(|names| names.keys().any(|n| n == EFA_RESOURCE || means_efa(n)))
    });
    for (key, resources) in container.lists() {
        let names = resources.and_then(Value::as_object);
        let Some(names) = names.filter(|_| about_efa) else {
            continue;
        };
        // Stated once for a container.
        if let Some(wrong) = names.keys().find(|name| means_efa(name))
            && !wrong_efa
        {
            wrong_efa = true;
            found.push(
                error(
                    "kubernetes.efa_resource_name",
                    document.path(&container.at(key, "")),
                    format!("no plugin offers the resource {wrong}"),
                    "request vpc.amazonaws.com/efa, which the EFA device plugin offers",
                )
                .corrected(format!("{EFA_RESOURCE}: {}\n", names[wrong])),
            );
        }
        let unknown = names
            .keys()
            .find(|name| !means_efa(name) && !is_resource(name));
        if let Some(unknown) = unknown
            && !said
            && container.is_whole()
        {
            said = true;
            found.push(error(
                "kubernetes.resource_name",
                document.path(&container.at(key, unknown)),
                format!("{unknown} is not a resource: Kubernetes refuses the pod"),
                "give the resource as its device plugin offers it, such as nvidia.com/gpu",
            ));
        }
    }
    wrong_efa
}

/// Whether Kubernetes takes a name as a container's resource: its own, or one with a domain.
fn is_resource(name: &str) -> bool {
    let own = ["cpu", "memory", "ephemeral-storage", "storage"];
    own.contains(&name)
        || name.starts_with("hugepages-")
        || name.contains('/')
        || name.contains('$')
        || name.contains('{')
}

/// Kubernetes takes no other request than the limit of such resources.
fn check_equal(document: &Checked<'_>, container: &Container<'_>, found: &mut Findings) {
    for name in [EFA_RESOURCE, "hugepages-2Mi"] {
        let value = |list: Option<&'_ Value>| list.and_then(|list| list.get(name)).cloned();
        let (limit, request) = (value(container.limits), value(container.requests));
        // A limit alone is the request too.
        let Some(request) = request else { continue };
        let differ = match &limit {
            None => true,
            Some(limit) => match (
                quantity::thousandths(limit),
                quantity::thousandths(&request),
            ) {
                (Some(limit), Some(request)) => limit != request,
                // Placeholders may have any value.
                _ => false,
            },
        };
        if differ {
            found.push(error(
                "kubernetes.requests_differ_from_limits",
                document.path(&container.at("requests", name)),
                format!("requests and limits of {name} differ, which Kubernetes refuses"),
                "write the same in both, or the limit alone",
            ));
        }
    }
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

fn does_without_huge_pages(env: &[Value]) -> bool {
    env.iter().any(|variable| {
        text(variable, "/name") == Some("FI_EFA_USE_HUGE_PAGE")
            && variable.get("value").is_some_and(|value| match value {
                Value::String(text) => text == "0" || text == "false",
                other => *other == 0 || *other == false,
            })
    })
}

/// What the NodePools of the text state about a pod that requests EFA.
fn check_against_pools(
    document: &Checked<'_>,
    manifests: &Manifests<'_>,
    pod: &Pod<'_>,
    found: &mut Findings,
) {
    let at = |part: &str| document.path(&join_path(&pod.path, part));
    let Some(outcome) = manifests.outcome(pod) else {
        let reason = "the text has too many NodePools and pods to compare: check them in parts";
        found.unread("pod", &pod.path, &at(""), reason);
        return;
    };
    let pools = &outcome.selection;
    check_count(document, manifests, pod, pools.efas, found);
    let Some(first) = pools.first else {
        return;
    };
    let first = manifests.found.pools[first].value;
    if !outcome.is_tolerated()
        && let Some(taint) = intolerable(first, pod.spec)
    {
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
    let wants_pages = pod.containers.iter().any(|container| {
        let lists = container.lists().into_iter().filter_map(|(_, list)| list);
        lists
            .into_iter()
            .any(|list| list.get("hugepages-2Mi").is_some())
    });
    if wants_pages && !manifests.found.has_huge_pages_overlay && pools.all_dynamic {
        found.push(warning(
            "karpenter.huge_pages_not_counted",
            at("containers"),
            "Karpenter does not count huge pages on future nodes, so it starts none for the pod",
            "add a NodeOverlay with capacity hugepages-2Mi (feature gate NodeOverlay), or static \
             nodes (replicas)",
        ));
    }
}

fn check_count(
    document: &Checked<'_>,
    manifests: &Manifests<'_>,
    pod: &Pod<'_>,
    limit: Option<u64>,
    found: &mut Findings,
) {
    let claimed = match manifests.found.claims.of_pod(pod.spec) {
        Some(Wanted::Count(count)) => count,
        Some(Wanted::Unknown) => {
            found.out_of_sight(
                "how many EFA a claim asks for: all of a node, or a number that is defined \
                 elsewhere",
            );
            0
        }
        None => 0,
    };
    let types = instance_types(pod.spec).unwrap_or_default();
    for name in &types {
        let unknown = document.catalog.look_up(name);
        if matches!(unknown, Lookup::Unknown | Lookup::Misspelt) {
            unknown_type(
                name,
                unknown,
                document.catalog,
                &document.path(&pod.path),
                found,
            );
        }
    }
    let Some(limit) = limit else {
        found.out_of_sight(
            "whether a node offers as many EFA as the pods request: the text names no instance type",
        );
        return;
    };
    let wanted = pod.efas().count.saturating_add(claimed);
    if wanted > limit {
        found.push(error(
            "kubernetes.efa_count_beyond_type",
            document.path(&join_path(&pod.path, "containers")),
            format!("the pod requests {wanted} EFA, a node has {limit}"),
            "request no more than a node has",
        ));
    }
}
