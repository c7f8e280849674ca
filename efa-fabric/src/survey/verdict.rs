//! What a survey reports: about what, how bad, on which numbers, and how sure.

use serde::{Deserialize, Serialize};

use super::observation::FailurePhase;

/// The subject of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Subject {
    /// The whole cluster.
    Cluster,
    /// A node, with all its rails.
    Node {
        /// Its number.
        node: usize,
    },
    /// One rail (EFA device) of a node.
    Rail {
        /// The node's number.
        node: usize,
        /// The rail's number.
        rail: u16,
    },
    /// The path between two nodes.
    Link {
        /// The node with the lower number.
        a: usize,
        /// The node with the higher number.
        b: usize,
    },
    /// The nodes with the same label: a leaf, a spine, a zone. [`Evidence::label`] has the label,
    /// [`Evidence::nodes`] its nodes.
    Group {
        /// Its number, by the first node with its label.
        group: usize,
    },
    /// The path between two groups, or, where both are one, between its own nodes.
    /// [`Evidence::label`] and [`Evidence::other_label`] have the labels.
    GroupPath {
        /// The group with the lower number.
        a: usize,
        /// The group with the higher number.
        b: usize,
    },
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VerdictKind {
    /// Nothing can be measured with it.
    Unreachable,
    /// It fails sometimes, or with some.
    Intermittent,
    /// Less bandwidth than the rest of the cluster, alone as well.
    SlowBandwidth,
    /// More latency than the rest of the cluster, alone as well.
    HighLatency,
    /// Slow only while other pairs are measured: shared capacity, not a fault of the subject.
    Contention,
    /// Below the rate that was expected.
    BelowExpected,
    /// Something could not be judged from what was measured.
    NotEnoughData,
    /// It fails or is slow in part of its measurements with the same partners, or its rates vary
    /// more than those of the others.
    Unstable,
    /// The nodes fall into two populations of different rates.
    Populations,
    /// The rates of many pairs differ in a way that no node explains: network nodes, paths or
    /// oversubscription. Not a fault of a link.
    Structure,
    /// A pair failed in one attempt, or as rarely as pairs of this cluster do.
    SeenOnce,
    /// The rates of few nodes differ by more than noise explains: some are slow, and the nodes are
    /// too few to know which. [`Evidence::ways`] has the rates.
    RatesDiffer,
    /// A rail is slower than the other rails of the same nodes, between all nodes.
    UnevenRail,
    /// Sets of nodes that work inside and do not reach each other: a security group, a route or a
    /// subnet, and no fault of a node. [`Evidence::sets`] has them.
    Partition,
    /// Between all groups much less is reached than inside of them: the network between them is
    /// shared, or wrongly set up. Not a fault of a node or group.
    Oversubscribed,
}

/// The severity, by what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// Good to know.
    Info,
    /// Review it.
    Warning,
    /// Take it out, or have it repaired.
    Fault,
}

/// The confidence of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Confidence {
    /// Seen, but not measured again as often as it takes.
    Low,
    /// Measured again alone, with the same result, but close to a threshold.
    Medium,
    /// Measured again alone, with the same result, and clear.
    High,
}

/// A measured quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Quantity {
    /// Sustained rate in Gbit/s.
    Bandwidth,
    /// Half of the round trip in µs.
    Latency,
}

/// The direction that is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Direction {
    /// Both.
    Both,
    /// What the node sends.
    Sends,
    /// What the node receives.
    Receives,
    /// From the node of a link, or the group of a path, with the lower number to the other.
    LowerToHigher,
    /// From the node of a link, or the group of a path, with the higher number to the other.
    HigherToLower,
}

/// The numbers behind a verdict. Those that do not apply are `None` or 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Evidence {
    /// A measured quantity.
    pub quantity: Option<Quantity>,
    /// The direction that is bad.
    pub direction: Option<Direction>,
    /// The rail that it was measured on; `None` for all together.
    pub rail: Option<u16>,
    /// Difference of `value` from `typical` in percent: below 0 for a loss of bandwidth, above 0
    /// for a gain of latency.
    pub change_percent: Option<f64>,
    /// Robust z: the difference in units of 1.4826 × MAD of the cluster, with the sign of
    /// `change_percent`: below 0 for less bandwidth, above 0 for more latency.
    pub z: Option<f64>,
    /// Measurements of the subject, of which `value` is the median; of groups and the paths between
    /// them, directions of pairs, each once.
    pub observations: usize,
    /// The median of the subject's own measurements, in Gbit/s or µs; where they were compared
    /// with an expected rate, what that states.
    pub value: Option<f64>,
    /// The median of the measurements that the subject is compared with, in Gbit/s or µs.
    pub typical: Option<f64>,
    /// Measurements of which `typical` is the median.
    pub compared: usize,
    /// The expected rate in Gbit/s.
    pub expected_gbps: Option<f64>,
    /// Measurements of an unstable subject that were much slower than its others.
    pub slow: usize,
    /// The median of those, in Gbit/s.
    pub slow_value: Option<f64>,
    /// The label of a group.
    pub label: Option<String>,
    /// The label of the other group of a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_label: Option<String>,
    /// The nodes of a group, of the groups of a path, or of the slower population, ascending; where rates of few nodes differ,
    /// the one that all slow pairs share.
    pub nodes: Vec<usize>,
    /// Where rates of few nodes differ, those of each direction of each pair, the slowest first; the
    /// first [`slow`](Self::slow) of them are slow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<WayRate>,
    /// Sets of nodes that do not reach each other, the smallest first, each ascending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<Vec<usize>>,
    /// The difference while nothing else was measured, in percent; where all pairs are faster or
    /// slower alone, from what those are.
    pub alone_change_percent: Option<f64>,
    /// Measurements alone.
    pub alone_observations: usize,
    /// Nodes that it failed with, or attempts of a link that failed; of sets of nodes, pairs.
    pub failed: usize,
    /// Nodes that it was tried with, or attempts of a link or between sets of nodes.
    pub tried: usize,
    /// The last round, from 0, in which a node worked that failed with all others since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worked_in: Option<usize>,
    /// The first and the last round, from 0, between which a node failed with all, and works since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_in: Option<[usize; 2]>,
    /// The first error code.
    pub code: Option<String>,
    /// When the first failure came, in s from the start of its round.
    pub after_s: Option<f64>,
    /// What was going on then.
    pub phase: Option<FailurePhase>,
    /// The size in bytes of the messages that did not pass then, where smaller ones had.
    pub stuck_bytes: Option<usize>,
}

/// The rates inside and across groups, of those that are not slow themselves: each is the median of
/// the directions of pairs, each once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupRates {
    /// Between nodes of one group, in Gbit/s; `None` where no such pair was measured.
    pub inside_gbps: Option<f64>,
    /// How many directions of pairs that is of.
    pub inside_ways: usize,
    /// Between nodes of different groups, in Gbit/s.
    pub across_gbps: Option<f64>,
    /// How many directions of pairs that is of.
    pub across_ways: usize,
}

impl GroupRates {
    /// Returns the rate across as a share of that inside, where both are known.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        Some(self.across_gbps? / self.inside_gbps.filter(|gbps| *gbps > 0.0)?)
    }
}

/// The rate of one direction of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WayRate {
    /// The number of the node that sends.
    pub from: usize,
    /// The number of the node that receives.
    pub to: usize,
    /// The median of its measurements in Gbit/s.
    pub gbps: f64,
    /// How many measurements those are.
    pub measurements: usize,
}

/// One finding of a survey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verdict {
    /// What it is about.
    pub subject: Subject,
    /// A kind of fault.
    pub kind: VerdictKind,
    /// The severity, by what to do about it.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// The numbers.
    pub evidence: Evidence,
    /// All of it in one sentence, nodes by number.
    pub statement: String,
}

impl Verdict {
    /// Returns the nodes that it is about: none for the cluster or a path of groups, two for a link.
    #[must_use]
    pub fn nodes(&self) -> Vec<usize> {
        match self.subject {
            Subject::Cluster | Subject::GroupPath { .. } => Vec::new(),
            Subject::Node { node } | Subject::Rail { node, .. } => vec![node],
            Subject::Link { a, b } => vec![a, b],
            Subject::Group { .. } => self.evidence.nodes.clone(),
        }
    }
}
