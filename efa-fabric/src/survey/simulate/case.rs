//! What is wrong with a simulated cluster, by name: the rows of the table.

use super::super::options::Thresholds;
use super::super::random::Random;
use super::cluster::Cluster;
use super::fault::Fault;
use super::world::World;

/// A kind of fault; where it is, is drawn anew for each run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Case {
    /// Nothing is wrong; there is only noise.
    Noise,
    /// A node that sends and receives 20 % less.
    SlowNode,
    /// A node that sends 20 % less.
    SlowSender,
    /// A rail of a node that is 20 % slower.
    SlowRail,
    /// A rail of a node that works with nobody.
    DeadRail,
    /// A node that nobody reaches.
    DeadNode,
    /// A link that is 20 % slower both ways.
    SlowLink,
    /// A link that is 20 % slower one way.
    SlowOneWay,
    /// A link that nothing passes.
    DeadLink,
    /// A node with 20 % more latency.
    LateNode,
    /// Two nodes that are 20 % slower.
    TwoNodes,
    /// A node and a rail of another that are 20 % slower.
    NodeAndRail,
    /// Everything is 20 % below what is expected.
    SlowCluster,
    /// A node that is 30 % slower when concurrent.
    Contention,
    /// Healthy: noise with heavy tails.
    HeavyTails,
    /// Healthy: 15 % noise.
    MoreNoise,
    /// Healthy: noise common to both directions and all rails.
    CommonNoise,
    /// Healthy: each direction takes a path of 70 % with a chance of 15 %.
    Paths,
    /// 15 % of pairs always take a path of 70 %.
    SlowPaths,
    /// Healthy: 15 % of concurrent measurements collide at 60 %.
    Collisions,
    /// Healthy: equal leaves, 60 % across, no labels.
    Oversubscribed,
    /// Healthy: two leaves, three quarters and one quarter, 60 % across, no labels.
    UnevenLeaves,
    /// Healthy: two leaves, three quarters and one quarter, 60 % across, with labels.
    UnevenLabels,
    /// Healthy: all rates fall by 20 % in the base rounds.
    Drift,
    /// Healthy: 5 % of all measurements fail.
    Failing,
    /// Healthy: 5 % of all measurements are missing.
    Missing,
    /// A node that is 20 % slower, and 5 % of all measurements fail.
    SlowNodeFailing,
    /// A node that is 20 % slower, and 5 % of all measurements are missing.
    SlowNodeMissing,
    /// A node at half the rate in 30 % of its measurements.
    Unstable,
    /// A node that fails in 30 % of its measurements.
    Flapping,
    /// A node with 25 % noise.
    NoisyNode,
    /// A leaf whose pairs with others reach 60 %, with labels.
    SlowLeaf,
    /// Every second node at half the rate.
    Populations,
    /// Healthy: hosts that share processors, as namespaces on one machine do.
    SharedHosts,
    /// The same with a node that sends at half the rate.
    SlowSharedHost,
    /// The same with a rail that sends 70 % less.
    SlowSharedRail,
}

impl Case {
    /// All cases, in the order of the table.
    pub const ALL: [Self; 36] = [
        Self::Noise,
        Self::SlowNode,
        Self::SlowSender,
        Self::SlowRail,
        Self::DeadRail,
        Self::DeadNode,
        Self::SlowLink,
        Self::SlowOneWay,
        Self::DeadLink,
        Self::LateNode,
        Self::TwoNodes,
        Self::NodeAndRail,
        Self::SlowCluster,
        Self::Contention,
        Self::HeavyTails,
        Self::MoreNoise,
        Self::CommonNoise,
        Self::Paths,
        Self::SlowPaths,
        Self::Collisions,
        Self::Oversubscribed,
        Self::UnevenLeaves,
        Self::UnevenLabels,
        Self::Drift,
        Self::Failing,
        Self::Missing,
        Self::SlowNodeFailing,
        Self::SlowNodeMissing,
        Self::Unstable,
        Self::Flapping,
        Self::NoisyNode,
        Self::SlowLeaf,
        Self::Populations,
        Self::SharedHosts,
        Self::SlowSharedHost,
        Self::SlowSharedRail,
    ];

    /// Returns the case in words.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Noise => "noise only",
            Self::SlowNode => "node 20 % slower",
            Self::SlowSender => "node sends 20 % less",
            Self::SlowRail => "rail 20 % slower",
            Self::DeadRail => "rail dead",
            Self::DeadNode => "node dead",
            Self::SlowLink => "link 20 % slower",
            Self::SlowOneWay => "link 20 % slower one way",
            Self::DeadLink => "link dead",
            Self::LateNode => "node 20 % more latency",
            Self::TwoNodes => "two nodes 20 % slower",
            Self::NodeAndRail => "node and other's rail 20 % slower",
            Self::SlowCluster => "all 20 % below expected",
            Self::Contention => "node 30 % slower when concurrent",
            Self::HeavyTails => "healthy, heavy tails",
            Self::MoreNoise => "healthy, 15 % noise",
            Self::CommonNoise => "healthy, noise of both directions in common",
            Self::Paths => "healthy, 15 % on a path of 70 %",
            Self::SlowPaths => "15 % of pairs at 70 %",
            Self::Collisions => "healthy, 15 % collide at 60 %",
            Self::Oversubscribed => "healthy, leaves, 60 % across",
            Self::UnevenLeaves => "healthy, leaves of 3/4 and 1/4, 60 % across",
            Self::UnevenLabels => "healthy, leaves of 3/4 and 1/4, labels",
            Self::Drift => "healthy, rates fall by 20 %",
            Self::Failing => "healthy, 5 % fail",
            Self::Missing => "healthy, 5 % missing",
            Self::SlowNodeFailing => "node 20 % slower, 5 % fail",
            Self::SlowNodeMissing => "node 20 % slower, 5 % missing",
            Self::Unstable => "node halves in 30 %",
            Self::Flapping => "node fails in 30 %",
            Self::NoisyNode => "node with 25 % noise",
            Self::SlowLeaf => "leaf 40 % slower across, labels",
            Self::Populations => "half of the nodes at half the rate",
            Self::SharedHosts => "healthy, hosts that share processors",
            Self::SlowSharedHost => "host that shares processors sends half",
            Self::SlowSharedRail => "rail of such a host sends 70 % less",
        }
    }

    /// Returns whether the case is one fault of a node or rail of at least 20 %, with a target in
    /// both modes.
    #[must_use]
    pub fn is_single_node_or_rail(self) -> bool {
        matches!(
            self,
            Self::SlowNode
                | Self::SlowSender
                | Self::SlowRail
                | Self::DeadRail
                | Self::DeadNode
                | Self::LateNode
        )
    }

    /// Whether the case is one of hosts that share processors: noise of 10 % with heavy tails, and
    /// all pairs are slower when concurrent.
    fn is_of_shared_hosts(self) -> bool {
        matches!(
            self,
            Self::SharedHosts | Self::SlowSharedHost | Self::SlowSharedRail
        )
    }

    /// What a difference has to have to count: where processors are shared, as much as is asked
    /// of such hosts in tests.
    pub(super) fn thresholds(self) -> Thresholds {
        if !self.is_of_shared_hosts() {
            return Thresholds::default();
        }
        Thresholds {
            loss: 0.4,
            latency_excess: 4.0,
            link_latency_excess: 8.0,
            alone: 1,
            ..Thresholds::default()
        }
    }

    /// Returns whether nothing is wrong.
    #[must_use]
    pub fn is_healthy(self) -> bool {
        self == Self::Noise || self.title().starts_with("healthy")
    }

    /// Returns whether the case is a node that fails or halves in part of its measurements.
    #[must_use]
    pub fn is_unstable(self) -> bool {
        matches!(self, Self::Unstable | Self::Flapping)
    }

    /// Nodes of a leaf, in the cases with leaves.
    fn leaf(nodes: usize) -> usize {
        nodes.div_ceil(4).max(4)
    }

    pub(super) fn cluster(self, nodes: usize, random: &mut Random) -> Cluster {
        let mut cluster = Cluster::healthy(nodes);
        cluster.faults = self.faults(nodes, cluster.rails, random);
        if self == Self::MoreNoise {
            cluster.noise = 0.15;
        }
        if self.is_of_shared_hosts() {
            cluster.noise = 0.1;
        }
        let leaf = if nodes < 16 {
            nodes.div_ceil(2)
        } else {
            Self::leaf(nodes)
        };
        cluster.world = match self {
            Self::HeavyTails => World::HeavyTails,
            _ if self.is_of_shared_hosts() => World::SharedHosts,
            Self::CommonNoise => World::CommonNoise,
            Self::Paths => World::Paths { share: 0.15 },
            Self::SlowPaths => World::SlowPaths { share: 0.15 },
            Self::Collisions => World::Collisions { share: 0.15 },
            Self::Oversubscribed => World::Oversubscribed { leaf },
            Self::UnevenLeaves | Self::UnevenLabels => World::UnevenLeaves,
            Self::Drift => World::Drift {
                per_round: 0.2 / nodes as f64,
            },
            Self::Failing | Self::SlowNodeFailing => World::Failing { share: 0.05 },
            Self::Missing | Self::SlowNodeMissing => World::Missing { share: 0.05 },
            _ => World::Plain,
        };
        cluster
    }

    pub(super) fn labels(self, nodes: usize) -> Option<Vec<String>> {
        let of: Box<dyn Fn(usize) -> usize> = match self {
            Self::SlowLeaf => Box::new(move |node| node / Self::leaf(nodes)),
            Self::UnevenLabels => Box::new(move |node| usize::from(4 * node >= 3 * nodes)),
            _ => return None,
        };
        Some(
            (0..nodes)
                .map(|node| format!("leaf-{}", of(node)))
                .collect(),
        )
    }

    /// Returns whether the case is about a link.
    #[must_use]
    pub fn is_link(self) -> bool {
        matches!(self, Self::SlowLink | Self::SlowOneWay | Self::DeadLink)
    }

    pub(super) fn faults(self, nodes: usize, rails: u16, random: &mut Random) -> Vec<Fault> {
        let loss = 0.2;
        let node = random.below(nodes);
        let other = (node + 1 + random.below(nodes.max(2) - 1)) % nodes;
        let pair = (node.min(other), node.max(other));
        let rail = random.below(usize::from(rails)) as u16;
        match self {
            Self::SlowNode | Self::SlowNodeFailing | Self::SlowNodeMissing => {
                vec![Fault::SlowNode { node, loss }]
            }
            Self::SlowSender => vec![Fault::SlowSender { node, loss }],
            Self::SlowRail => vec![Fault::SlowRail { node, rail, loss }],
            Self::DeadRail => vec![Fault::DeadRail { node, rail }],
            Self::DeadNode => vec![Fault::DeadNode { node }],
            Self::SlowLink => vec![Fault::SlowLink { pair, loss }],
            Self::SlowOneWay => vec![Fault::SlowOneWay { pair, loss }],
            Self::DeadLink => vec![Fault::DeadLink { pair }],
            Self::LateNode => vec![Fault::LateNode { node, excess: 0.2 }],
            Self::TwoNodes => [node, other]
                .map(|node| Fault::SlowNode { node, loss })
                .into(),
            Self::NodeAndRail => vec![
                Fault::SlowNode { node, loss },
                Fault::SlowRail {
                    node: other,
                    rail,
                    loss,
                },
            ],
            Self::SlowCluster => vec![Fault::SlowCluster { loss }],
            Self::Contention => vec![Fault::Contention { node, loss: 0.3 }],
            Self::Unstable => vec![Fault::Unstable { node, share: 0.3 }],
            Self::Flapping => vec![Fault::Flapping { node, share: 0.3 }],
            Self::NoisyNode => vec![Fault::Noisy { node, noise: 0.25 }],
            Self::SlowLeaf => {
                let leaf = Self::leaf(nodes);
                vec![Fault::SlowLeaf { leaf, loss: 0.4 }]
            }
            Self::Populations => vec![Fault::HalfSlow { loss: 0.5 }],
            _ if self.is_of_shared_hosts() => {
                let bad = match self {
                    Self::SlowSharedHost => Some(Fault::SlowSender { node, loss: 0.5 }),
                    Self::SlowSharedRail => Some(Fault::SlowRailSender {
                        node,
                        rail,
                        loss: 0.7,
                    }),
                    _ => None,
                };
                bad.into_iter()
                    .chain([Fault::SharedCapacity { loss: 0.3 }])
                    .collect()
            }
            _ => vec![],
        }
    }
}
