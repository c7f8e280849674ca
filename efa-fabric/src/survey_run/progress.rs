//! How far a survey is, in one line.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The progress of a survey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// Rounds that are done.
    pub rounds: usize,
    /// Pairs that are done, measured or not.
    pub pairs: usize,
    /// Pairs that failed.
    pub failed: usize,
    /// Rounds that the survey has at least: the base rounds, by what is known now. Suspects take
    /// more.
    pub base_rounds: usize,
    /// Base rounds as they were planned first: fewer than `base_rounds` where those are repeated or
    /// go on.
    #[serde(default)]
    pub planned_rounds: usize,
    /// Whether nothing is left to measure.
    #[serde(default)]
    pub over: bool,
    /// Nodes that gave no answer, by name.
    pub silent: Vec<String>,
    /// Nodes that are suspected so far, by name.
    pub suspects: Vec<String>,
    /// Time since the survey began, in s.
    pub elapsed_s: f64,
}

impl fmt::Display for Progress {
    /// One line, such as `round 3 of 7, 12 pairs, 1 failed, suspects: node-4, 9.1 s`. It states where
    /// more rounds come than were planned.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rounds <= self.base_rounds {
            write!(f, "round {} of {}", self.rounds, self.base_rounds)?;
            if self.base_rounds > self.planned_rounds {
                write!(f, " ({} planned)", self.planned_rounds)?;
            }
            if self.rounds == self.base_rounds && !self.over {
                write!(f, ", more to come")?;
            }
        } else if self.suspects.is_empty() {
            write!(f, "round {}, control measurements", self.rounds)?;
        } else {
            write!(f, "round {}, rechecking suspects", self.rounds)?;
        }
        write!(f, ", {} pairs, {} failed", self.pairs, self.failed)?;
        for (what, names) in [("suspects", &self.suspects), ("silent", &self.silent)] {
            if !names.is_empty() {
                write!(f, ", {what}: {}", names.join(" "))?;
            }
        }
        write!(f, ", {:.1} s", self.elapsed_s)
    }
}
