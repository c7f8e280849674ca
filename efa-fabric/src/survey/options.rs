//! How to survey: which pairs, which seed, what is expected, when a difference counts.

use serde::{Deserialize, Serialize};

/// Which pairs the base rounds cover.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mode {
    /// Every pair once: n − 1 rounds, n for an odd number of nodes.
    #[default]
    Full,
    /// ⌊log2 n⌋ + 2 random perfect matchings. Names bad nodes and rails; of the links it sees a
    /// share, which the conclusion states.
    Sampled,
    /// Each node with the next.
    Ring,
    /// Every pair with the same label.
    WithinGroups,
    /// Every pair with different labels.
    BetweenGroups,
}

/// How to survey.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Options {
    /// Which pairs the base rounds cover.
    pub mode: Mode,
    /// Base rounds of [`Mode::Sampled`], if not ⌊log2 n⌋ + 2.
    pub base_rounds: Option<usize>,
    /// Seed of everything random.
    pub seed: u64,
    /// Per node, the label of its network node; needed for the modes by group. With labels, the
    /// difference between pairs inside and across groups is taken out before comparing.
    pub labels: Option<Vec<String>>,
    /// The rate that a pair should reach in one direction with all rails, in Gbit/s.
    pub expected_gbps: Option<f64>,
    /// The rate that one rail should reach in one direction, in Gbit/s.
    pub expected_rail_gbps: Option<f64>,
    /// When a difference counts.
    pub thresholds: Thresholds,
}

/// When a difference counts. The defaults have the detection rates of docs/survey-statistics.md.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Thresholds {
    /// Least loss of bandwidth, as a share of the cluster's median: 0.10. A verdict on a link
    /// needs a third more.
    pub loss: f64,
    /// Least gain of a node's latency, as a share of the cluster's median: 0.10.
    pub latency_excess: f64,
    /// Least gain of a single link's latency to measure it again: 0.25. A verdict needs a third
    /// more.
    pub link_latency_excess: f64,
    /// Least robust z: 3.5.
    pub z: f64,
    /// Least share of the expected rate: 0.90.
    pub of_expected: f64,
    /// Live nodes below which no outlier is claimed: 5.
    pub least_nodes: usize,
    /// Times that an outlier is measured again alone: 3.
    pub alone: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            loss: 0.10,
            latency_excess: 0.10,
            link_latency_excess: 0.25,
            z: 3.5,
            of_expected: 0.90,
            least_nodes: 5,
            alone: 3,
        }
    }
}
