//! Flows of patterns, and what they reached of what their pairs promise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A flow: the sending node, the receiving node.
pub type Flow = (usize, usize);

/// A pattern in which nodes send and receive together.
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
    /// A ring in each group of nodes with one label, all groups at the same time.
    RingWithinGroups,
    /// Rings with one node of each group, so that every flow leaves its group: the first nodes of
    /// all groups are a ring, the second ones another, all at the same time.
    RingBetweenGroups,
}

impl Pattern {
    /// Returns its name, as in options, such as `all_to_all`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::AllToAll => "all_to_all",
            Self::Incast => "incast",
            Self::RingWithinGroups => "ring_within_groups",
            Self::RingBetweenGroups => "ring_between_groups",
        }
    }

    /// Returns its name in sentences, such as `all-to-all`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::AllToAll => "all-to-all",
            Self::Incast => "incast",
            Self::RingWithinGroups => "ring within groups",
            Self::RingBetweenGroups => "ring between groups",
        }
    }

    /// Returns the least number of nodes that it takes.
    #[must_use]
    pub fn least_nodes(self) -> usize {
        match self {
            Self::Ring | Self::AllToAll | Self::RingWithinGroups | Self::RingBetweenGroups => 2,
            Self::Incast => 3,
        }
    }

    /// Returns whether labels state which nodes are in which ring.
    #[must_use]
    pub fn is_of_groups(self) -> bool {
        matches!(self, Self::RingWithinGroups | Self::RingBetweenGroups)
    }

    /// Returns in how many rings these nodes are by their labels, where it is of groups; else 1.
    #[must_use]
    pub fn rings(self, nodes: &[usize], labels: Option<&[String]>) -> usize {
        self.circles(nodes, labels).len()
    }

    /// Nodes among which it is carried out, each in the order of the pattern: all of these, or
    /// rings of two or more by their labels. None where it takes labels and some are unknown.
    pub(super) fn circles(self, nodes: &[usize], labels: Option<&[String]>) -> Vec<Vec<usize>> {
        if !self.is_of_groups() {
            return vec![nodes.to_vec()];
        }
        let of = |node: &usize| labels.and_then(|labels| labels.get(*node));
        let mut groups: Vec<(&String, Vec<usize>)> = Vec::new();
        for node in nodes {
            let Some(label) = of(node) else {
                return Vec::new();
            };
            match groups.iter_mut().find(|(known, _)| *known == label) {
                Some((_, members)) => members.push(*node),
                None => groups.push((label, vec![*node])),
            }
        }
        let groups: Vec<Vec<usize>> = groups.into_iter().map(|(_, members)| members).collect();
        let mut circles = match self {
            Self::RingBetweenGroups => {
                let most = groups.iter().map(Vec::len).max().unwrap_or(0);
                let nth = |at: usize| groups.iter().filter_map(move |of| of.get(at).copied());
                (0..most).map(|at| nth(at).collect()).collect()
            }
            _ => groups,
        };
        circles.retain(|circle: &Vec<usize>| circle.len() > 1);
        circles
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
