//! How rails are measured.

use std::time::Duration;

use crate::node::{Node, NodeRoot};
use crate::probe::ProbeOptions;

/// Options for measuring rails.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// What is measured on each rail; provider and domain are the rail's. Rails are compared
    /// by the bandwidth of the largest size, and it alone is measured of all together.
    pub probe: ProbeOptions,
    /// Where counters and processors of NUMA nodes are read.
    pub root: NodeRoot,
    /// Whether measuring threads keep to the NUMA node of the card.
    pub pin: bool,
    /// Whether all rails are measured together as well.
    pub together: bool,
    /// Gbit/s of the whole instance, above which all rails together are not expected:
    /// [`Expected::instance_gbps`](crate::node::Expected::instance_gbps).
    pub instance_gbps: Option<f64>,
}

impl Default for Options {
    /// Bandwidth of 1 MiB messages, half a second for each rail and for all together, pinned,
    /// on this machine.
    fn default() -> Self {
        let mut probe = ProbeOptions::new("efa");
        probe.sizes = vec![1 << 20];
        probe.latency = false;
        probe.size_budget = Duration::from_millis(500);
        Self {
            probe,
            root: NodeRoot::new("/"),
            pin: true,
            together: true,
            instance_gbps: None,
        }
    }
}

impl Options {
    /// Returns the defaults, with the machine that a node was read from.
    #[must_use]
    pub fn for_node(node: &Node) -> Self {
        Self {
            root: NodeRoot::new(&node.root),
            instance_gbps: node.expected.as_ref().and_then(|e| e.instance_gbps),
            ..Self::default()
        }
    }
}
