//! What became of each node, and what a survey as a whole comes to: values.

use serde::{Deserialize, Serialize};

use crate::survey::collective::Pattern;

/// The fate of a node in a survey.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodeState {
    /// It joined and answered, and no measurement with it succeeded.
    #[default]
    Joined,
    /// Something was measured with it, and it answered to the end.
    Measured,
    /// It joined, and then gave no answer although it was asked again.
    Lost {
        /// The round in which it gave no answer; steps of patterns are counted on.
        round: usize,
        /// When it was given up, in ms from the start of that round.
        after_ms: u64,
        /// The number of the node that it was to be measured with, where it was in a pair.
        partner: Option<usize>,
        /// Whether more than half of the nodes were lost in that round: then what they meet
        /// through is as suspect as the nodes, and none of them is taken out.
        together: bool,
        /// The pattern in which it was lost, where the pairs were measured by then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<Pattern>,
    },
    /// It took no part: it never joined, or its set-up keeps it from measuring. No evidence
    /// against its hardware.
    Absent {
        /// The code of the error, such as `fabric.library_not_found`.
        code: String,
        /// Why, with what to do about it.
        why: String,
    },
}

impl NodeState {
    /// Returns one word: `joined`, `measured`, `lost` or `absent`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Measured => "measured",
            Self::Lost { .. } => "lost",
            Self::Absent { .. } => "absent",
        }
    }

    /// The number of another node that it speaks of.
    pub(super) fn partner(&self) -> Option<usize> {
        match self {
            Self::Lost { partner, .. } => *partner,
            _ => None,
        }
    }
}

/// The result of a survey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Every node was measured, and no fault was found.
    Healthy,
    /// There is evidence against a node, a link or the network.
    Findings,
    /// Nothing was found, and not everything was measured: the set-up, or an early stop.
    NotSurveyed,
}

impl Status {
    /// Returns one word: `healthy`, `findings` or `not_surveyed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Findings => "findings",
            Self::NotSurveyed => "not_surveyed",
        }
    }

    /// Returns the exit status of a program that surveys: 0 healthy, 1 findings, 2 not surveyed.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Findings => 1,
            Self::NotSurveyed => 2,
        }
    }
}
