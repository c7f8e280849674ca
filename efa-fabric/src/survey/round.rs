//! One round of a survey: which pairs are measured at the same time, and why.

use serde::{Deserialize, Serialize};

use super::schedule::Pair;

/// The reason for a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// To see every node.
    Base,
    /// To see suspects again, with proven partners.
    Targeted,
    /// To see a suspect while nothing else is measured.
    Alone,
    /// To see two proven nodes while nothing else is measured.
    Control,
}

/// Pairs to measure at the same time. No node is in two of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Round {
    /// Number of the round, from 0.
    pub index: usize,
    /// Why it is measured.
    pub stage: Stage,
    /// The pairs, the lower number first.
    pub pairs: Vec<Pair>,
}

impl Round {
    /// Creates a round of these pairs.
    #[must_use]
    pub fn new(index: usize, stage: Stage, pairs: Vec<Pair>) -> Self {
        Self {
            index,
            stage,
            pairs,
        }
    }
}
