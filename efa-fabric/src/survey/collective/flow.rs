//! Flows of patterns, and what they reached of what their pairs promise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A flow: the sending node, the receiving node.
pub type Flow = (usize, usize);

/// What nodes do together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pattern {
    /// Each node sends to the next and receives from the one before, as a ring all-reduce does.
    Ring,
    /// Each node sends to each other, in shifts in which all send and receive.
    AllToAll,
    /// Many send to one.
    Incast,
}

impl Pattern {
    /// Its name, as in options, such as `all_to_all`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::AllToAll => "all_to_all",
            Self::Incast => "incast",
        }
    }

    /// Its name in sentences, such as `all-to-all`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::AllToAll => "all-to-all",
            Self::Incast => "incast",
        }
    }

    /// The least number of nodes that it takes.
    #[must_use]
    pub fn least_nodes(self) -> usize {
        match self {
            Self::Ring | Self::AllToAll => 2,
            Self::Incast => 3,
        }
    }
}

/// What a flow reached of what its pair promises; of an incast all flows to its receiver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) gbps: f64,
    pub(super) expected_gbps: f64,
}

impl Share {
    pub(super) fn is_below(self, share: f64) -> bool {
        self.gbps < share * self.expected_gbps
    }
}

/// By flow that was measured and whose pair was too.
pub(super) type Kept = BTreeMap<Flow, Share>;
