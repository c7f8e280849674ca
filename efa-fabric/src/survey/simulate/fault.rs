//! What can be wrong with a simulated cluster, and what a survey should report of it.

use super::super::schedule::Pair;
use super::super::verdict::{Subject, VerdictKind};

/// A fault of a simulated cluster. Losses are shares, 0.2 for 20 %.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// A node sends and receives less on all rails.
    SlowNode {
        /// The node.
        node: usize,
        /// Share lost.
        loss: f64,
    },
    /// A node sends less on all rails, and receives as the others do.
    SlowSender {
        /// The node.
        node: usize,
        /// Share lost.
        loss: f64,
    },
    /// One rail of a node sends and receives less.
    SlowRail {
        /// The node.
        node: usize,
        /// The rail.
        rail: u16,
        /// Share lost.
        loss: f64,
    },
    /// One rail of a node sends less, and receives as the others do.
    SlowRailSender {
        /// The node.
        node: usize,
        /// The rail.
        rail: u16,
        /// Share lost.
        loss: f64,
    },
    /// One rail of a node fails with everyone.
    DeadRail {
        /// The node.
        node: usize,
        /// The rail.
        rail: u16,
    },
    /// Both directions between two nodes are slower.
    SlowLink {
        /// The two nodes, the lower number first.
        pair: Pair,
        /// Share lost.
        loss: f64,
    },
    /// One direction between two nodes is slower: from the lower number to the higher.
    SlowOneWay {
        /// The two nodes, the lower number first.
        pair: Pair,
        /// Share lost.
        loss: f64,
    },
    /// Two nodes cannot reach each other.
    DeadLink {
        /// The two nodes, the lower number first.
        pair: Pair,
    },
    /// Every latency of a node is higher by this share.
    LateNode {
        /// The node.
        node: usize,
        /// Share gained.
        excess: f64,
    },
    /// Nobody reaches the node.
    DeadNode {
        /// The node.
        node: usize,
    },
    /// The whole cluster is slower than expected.
    SlowCluster {
        /// Share lost.
        loss: f64,
    },
    /// A node is slower while other pairs are measured.
    Contention {
        /// The node.
        node: usize,
        /// Share lost concurrently.
        loss: f64,
    },
    /// Every pair is slower while other pairs are measured.
    SharedCapacity {
        /// Share lost concurrently.
        loss: f64,
    },
    /// This share of a node's measurements has half of the rate.
    Unstable {
        /// The node.
        node: usize,
        /// Share of its measurements.
        share: f64,
    },
    /// This share of a node's measurements fails.
    Flapping {
        /// The node.
        node: usize,
        /// Share of its measurements.
        share: f64,
    },
    /// A node whose measurements vary more than those of the others.
    Noisy {
        /// The node.
        node: usize,
        /// Standard deviation of the logarithm of each.
        noise: f64,
    },
    /// The first network node, of this many nodes, reaches the others at a lower rate.
    SlowLeaf {
        /// Nodes of the leaf.
        leaf: usize,
        /// Share lost.
        loss: f64,
    },
    /// Every second node is slower.
    HalfSlow {
        /// Share lost.
        loss: f64,
    },
}

impl Fault {
    /// Returns what a survey should report of it.
    #[must_use]
    pub fn truth(&self) -> (Subject, VerdictKind) {
        match *self {
            Self::SlowNode { node, .. } | Self::SlowSender { node, .. } => {
                (Subject::Node { node }, VerdictKind::SlowBandwidth)
            }
            Self::SlowRail { node, rail, .. } | Self::SlowRailSender { node, rail, .. } => {
                (Subject::Rail { node, rail }, VerdictKind::SlowBandwidth)
            }
            Self::DeadRail { node, rail } => {
                (Subject::Rail { node, rail }, VerdictKind::Unreachable)
            }
            Self::SlowLink { pair: (a, b), .. } | Self::SlowOneWay { pair: (a, b), .. } => {
                (Subject::Link { a, b }, VerdictKind::SlowBandwidth)
            }
            Self::DeadLink { pair: (a, b) } => (Subject::Link { a, b }, VerdictKind::Unreachable),
            Self::LateNode { node, .. } => (Subject::Node { node }, VerdictKind::HighLatency),
            Self::DeadNode { node } => (Subject::Node { node }, VerdictKind::Unreachable),
            Self::SlowCluster { .. } => (Subject::Cluster, VerdictKind::BelowExpected),
            Self::Contention { node, .. } => (Subject::Node { node }, VerdictKind::Contention),
            Self::SharedCapacity { .. } => (Subject::Cluster, VerdictKind::Contention),
            Self::Unstable { node, .. }
            | Self::Flapping { node, .. }
            | Self::Noisy { node, .. } => (Subject::Node { node }, VerdictKind::Unstable),
            Self::SlowLeaf { .. } => (Subject::Group { group: 0 }, VerdictKind::SlowBandwidth),
            Self::HalfSlow { .. } => (Subject::Cluster, VerdictKind::Populations),
        }
    }
}
