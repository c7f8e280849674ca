//! Nodes, rails and links that stand out, before anything is reported of them.

use super::super::schedule::Pair;
use super::super::verdict::Direction;

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
    pub(crate) z: f64,
    /// The z that a verdict is given by: of all of its measurements, against the error of their mean.
    pub(crate) z_of_all: f64,
    pub(crate) count: usize,
    pub(crate) alone: Option<(f64, usize)>,
}

/// A group that is slower than the others as a whole.
#[derive(Debug, Clone)]
pub(crate) struct SlowGroup {
    pub(crate) group: usize,
    pub(crate) label: String,
    pub(crate) nodes: Vec<usize>,
    pub(crate) z: f64,
    /// Logarithms of its measurements with other groups.
    pub(crate) own: Vec<f64>,
    /// The same of pairs across groups without it.
    pub(crate) others: Vec<f64>,
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
