//! The EFA part of Kubernetes manifests: what makes nodes, and pods that request EFA.
//!
//! Documents of one text are read together: a NodePool with the node class that it names, a pod
//! with the NodePools that could run it, a claim with the template that it names.

use super::document::{Checked, Findings};
use super::marks::has_marks;
use super::names;
use super::report::DocumentFormat;

mod claims;
mod findings;
mod join;
mod kinds;
mod machines;
mod node_class;
mod node_pool;
mod pod;
mod quantity;
mod requirements;
mod shapes;
mod values;
mod workload;

pub(super) use join::Manifests;
use kinds::Kind;
use values::{kind, text};

/// Objects of one name: the API server keeps the one that it gets last.
pub(super) fn check_names(documents: &[Checked<'_>], found: &mut Findings) {
    let objects = documents.iter().filter_map(|document| {
        let value = document.document;
        let (group, kind) = (kinds::group(value), kind(value));
        let kind = match text(value, "/metadata/namespace") {
            Some(namespace) => format!("{kind} ({group}) of namespace {namespace}"),
            None => format!("{kind} ({group})"),
        };
        Some(names::Object {
            kind: kind.replace(" ()", ""),
            name: text(value, "/metadata/name")?,
            path: document.path("metadata.name"),
            value,
        })
    });
    names::check_names(DocumentFormat::Kubernetes, objects, found);
}

pub(super) fn check_manifest<'a>(
    document: &Checked<'a>,
    manifests: &Manifests<'a>,
    found: &mut Findings,
) {
    let value = document.document;
    shapes::check_shapes(document, found);
    match kinds::kind_of(value) {
        Kind::Ec2NodeClass => {
            node_class::check_node_class(document, manifests, false, found);
        }
        Kind::AutoModeNodeClass => {
            node_class::check_node_class(document, manifests, true, found);
        }
        Kind::NodePool => node_pool::check_node_pool(document, manifests, found),
        Kind::NodeOverlay => {}
        Kind::Machine => machines::check_machine(document, found),
        Kind::Claim => claims::check_claim(document, found),
        Kind::Workload => workload::check_pods(document, manifests, found),
        Kind::WithoutPods => {
            // Manifests and scripts may stand in texts of it.
            if kind(value) == "ConfigMap" && has_marks(&value["data"]) {
                unread(
                    document,
                    "it mentions EFA or interfaces, and is not read here",
                    found,
                );
            }
        }
        Kind::Other => {
            workload::check_pods(document, manifests, found);
            unread(document, "manifests of this kind are not read here", found);
        }
    }
}

fn unread(document: &Checked<'_>, reason: &str, found: &mut Findings) {
    let value = document.document;
    let path = document.prefix.trim_end_matches('.');
    let name = text(value, "/metadata/name")
        .or_else(|| text(value, "/metadata/generateName"))
        .unwrap_or(path);
    let version = text(value, "/apiVersion").unwrap_or_default();
    let what = match version.split_once('/') {
        Some((group, _)) => format!("{} ({group})", kind(value)),
        None => kind(value).to_owned(),
    };
    found.unread(&what, name, path, reason);
}

#[cfg(test)]
mod tests;
