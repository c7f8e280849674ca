//! Keeps a measuring thread on the processors next to its network card.

use serde::{Deserialize, Serialize};

use crate::node::NodeRoot;
use crate::system;

/// The place of the threads of a rail: on the NUMA node of its card, or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pinning {
    /// They kept to these processors.
    Pinned {
        /// The NUMA node.
        numa_node: u32,
        /// How many of its processors this process may use.
        cpus: u32,
    },
    /// They ran anywhere.
    NotPinned {
        /// Why.
        reason: String,
    },
}

impl Pinning {
    fn not(reason: impl Into<String>) -> Self {
        Self::NotPinned {
            reason: reason.into(),
        }
    }
}

/// Pins the calling thread, which must be one that ends with the measurement: its processors
/// are not given back. Threads that it starts inherit them, and memory that it touches first
/// comes from that node, by Linux's default policy.
pub(crate) fn pin(root: &NodeRoot, numa_node: Option<u32>) -> Pinning {
    let Some(node) = numa_node else {
        return Pinning::not("the NUMA node of the card is unknown");
    };
    let path = format!("/sys/devices/system/node/node{node}/cpulist");
    let Some(cpus) = root.cpu_list(&path) else {
        return Pinning::not(format!("{path} cannot be read"));
    };
    let allowed = match system::thread_cpus() {
        Ok(allowed) => allowed,
        Err(error) => return Pinning::not(format!("sched_getaffinity failed: {error}")),
    };
    let usable: Vec<usize> = cpus
        .into_iter()
        .filter(|cpu| allowed.contains(cpu))
        .collect();
    if usable.is_empty() {
        return Pinning::not(format!(
            "this process may use no processor of NUMA node {node}"
        ));
    }
    match system::set_thread_cpus(&usable) {
        Ok(()) => Pinning::Pinned {
            numa_node: node,
            cpus: u32::try_from(usable.len()).unwrap_or(u32::MAX),
        },
        Err(error) => Pinning::not(format!("sched_setaffinity failed: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_not_pinned_says_why() {
        let reason = |root: &str, node| match pin(&NodeRoot::new(root), node) {
            Pinning::NotPinned { reason } => reason,
            pinned => panic!("{pinned:?}"),
        };
        assert!(reason("/", None).contains("unknown"));
        assert!(reason("/no/such/machine", Some(0)).contains("cpulist"));
    }
}
