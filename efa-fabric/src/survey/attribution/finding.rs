//! Nodes, rails and links that stand out, before anything is reported of them.

use super::super::schedule::Pair;
use super::super::verdict::{Direction, GroupRates};

/// Suspects are measured again from this share of the claimed effect on.
pub(super) const SCREEN_EFFECT: f64 = 0.85;
/// There are many more links than nodes, and fewer measurements of each: a verdict on a link needs
/// this multiple of the least effect.
pub(crate) const LINK_CLAIM: f64 = 1.15;

/// The pass of the analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// What is worth measuring again.
    Screen,
    /// What is worth measuring alone: of links only.
    Alone,
    /// What is worth a verdict.
    Verdict,
}

/// A node or rail that stands out.
#[derive(Debug, Clone)]
pub(crate) struct NodeFinding {
    pub(crate) node: usize,
    pub(crate) channel: usize,
    pub(crate) direction: Direction,
    pub(crate) effect: f64,
    pub(crate) z: f64,
    pub(crate) alone: Option<(f64, usize)>,
    /// It reached with others what is typical.
    pub(crate) cleared: bool,
    /// It did with some: it may be one that is slow in part of its measurements.
    pub(crate) is_good_with_some: bool,
    /// The only partner with which it did though it is much slower, if that was measured once: it
    /// may have been luck.
    pub(crate) lucky: Option<usize>,
    /// Median and number of the measurements since it was suspected, those alone included.
    pub(crate) fresh: (f64, usize),
}

/// A link that stands out.
#[derive(Debug, Clone)]
pub(crate) struct LinkFinding {
    pub(crate) pair: Pair,
    pub(crate) channel: usize,
    pub(crate) direction: Direction,
    pub(crate) effect: f64,
    /// The effect of the best measurement.
    pub(crate) best: f64,
    pub(crate) z: f64,
    /// The z that a verdict is given by: of all of its measurements, against the error of their mean.
    pub(crate) z_of_all: f64,
    pub(crate) count: usize,
    pub(crate) alone: Option<(f64, usize)>,
}

/// What is known of the groups of nodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct ByGroup {
    pub(crate) slow: Vec<SlowGroup>,
    pub(crate) paths: Vec<SlowPath>,
    /// Of rates only.
    pub(crate) rates: Option<GroupRates>,
}

impl ByGroup {
    /// Whether what one group sends to another, or inside, is slow.
    pub(super) fn is_slow(&self, from: usize, to: usize) -> bool {
        let of_group = self.slow.iter().any(|slow| slow.has_way(from, to));
        of_group || self.paths.iter().any(|slow| slow.has_way(from, to))
    }
}

/// The path between two groups, or inside of one, that is slower than the others.
#[derive(Debug, Clone)]
pub(crate) struct SlowPath {
    /// The lower number first.
    pub(crate) groups: (usize, usize),
    pub(crate) labels: (String, String),
    /// Both, or from one group to the other, by number.
    pub(crate) direction: Direction,
    pub(crate) nodes: Vec<usize>,
    pub(crate) z: f64,
    /// How much slower it is than what it is compared with.
    pub(super) shift: f64,
    /// Logarithms of its measurements, each direction of each pair once.
    pub(crate) own: Vec<f64>,
    /// The same of those that it is compared with.
    pub(crate) others: Vec<f64>,
}

impl SlowPath {
    pub(super) fn has_way(&self, from: usize, to: usize) -> bool {
        match self.direction {
            Direction::LowerToHigher => (from, to) == self.groups,
            Direction::HigherToLower => (to, from) == self.groups,
            _ => (from.min(to), from.max(to)) == self.groups,
        }
    }
}

/// A group that is slower than the others as a whole.
#[derive(Debug, Clone)]
pub(crate) struct SlowGroup {
    pub(crate) group: usize,
    /// In what it sends, in what it receives, or both; then it may be slow inside as well.
    pub(crate) direction: Direction,
    pub(crate) label: String,
    pub(crate) nodes: Vec<usize>,
    pub(crate) z: f64,
    /// Logarithms of its measurements with other groups, each direction of each pair once.
    pub(crate) own: Vec<f64>,
    /// The same of pairs across groups without it.
    pub(crate) others: Vec<f64>,
}

impl SlowGroup {
    pub(super) fn has_way(&self, from: usize, to: usize) -> bool {
        match self.direction {
            Direction::Sends => from == self.group && to != from,
            Direction::Receives => to == self.group && to != from,
            _ => from == self.group || to == self.group,
        }
    }
}

/// What measuring alone stated about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alone {
    /// Still bad: a fault.
    StillBad,
    /// Good alone, and clearly bad concurrently.
    Contention,
    /// Not bad alone, and not clearly bad before.
    Nothing,
    /// Not measured alone often enough.
    Unknown,
}

/// The mean of what was seen concurrently and alone, weighted by how often.
pub(super) fn pooled(effect: f64, count: usize, alone: Option<(f64, usize)>) -> f64 {
    let (alone, times) = alone.unwrap_or((0.0, 0));
    (effect * count as f64 + alone * times as f64) / (count + times) as f64
}
