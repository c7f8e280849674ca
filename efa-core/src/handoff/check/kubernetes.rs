//! The EFA part of Kubernetes manifests: Karpenter's objects, and pods that request EFA.
//!
//! Documents of one text are read together: a NodePool with the EC2NodeClass that it names, a pod
//! with the NodePools that could run it.

use super::document::{Checked, Findings};

mod findings;
mod join;
mod node_class;
mod node_pool;
mod pod;
mod requirements;
mod values;
mod workload;

use values::kind;

pub(super) fn check_manifest(document: &Checked<'_>, found: &mut Findings) {
    match kind(document.document) {
        "EC2NodeClass" => node_class::check_node_class(document, found),
        "NodePool" => node_pool::check_node_pool(document, found),
        "NodeOverlay" | "NodeClaim" => {}
        _ => workload::check_pods(document, found),
    }
}

#[cfg(test)]
mod tests;
