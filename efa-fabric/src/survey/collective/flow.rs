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
    /// In each group of nodes with one label each node sends to each other, all groups at the same
    /// time.
    AllToAllWithinGroups,
    /// Each node sends to each node of the other groups.
    AllToAllBetweenGroups,
    /// Many nodes send to one of another group.
    IncastIntoGroups,
}

/// What the flows of a pattern look like, whichever nodes they are between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Ring,
    AllToAll,
    Incast,
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
            Self::AllToAllWithinGroups => "all_to_all_within_groups",
            Self::AllToAllBetweenGroups => "all_to_all_between_groups",
            Self::IncastIntoGroups => "incast_into_groups",
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
            Self::AllToAllWithinGroups => "all-to-all within groups",
            Self::AllToAllBetweenGroups => "all-to-all between groups",
            Self::IncastIntoGroups => "incast into groups",
        }
    }

    /// Returns the least number of nodes that it takes.
    #[must_use]
    pub fn least_nodes(self) -> usize {
        match self.shape() {
            Shape::Ring | Shape::AllToAll => 2,
            Shape::Incast => 3,
        }
    }

    pub(super) fn shape(self) -> Shape {
        match self {
            Self::Ring | Self::RingWithinGroups | Self::RingBetweenGroups => Shape::Ring,
            Self::AllToAll | Self::AllToAllWithinGroups | Self::AllToAllBetweenGroups => {
                Shape::AllToAll
            }
            Self::Incast | Self::IncastIntoGroups => Shape::Incast,
        }
    }

    /// Returns whether labels decide which nodes send to which.
    #[must_use]
    pub fn is_of_groups(self) -> bool {
        self.is_within_groups() || self.is_between_groups()
    }

    /// Whether every flow stays in its group.
    pub(crate) fn is_within_groups(self) -> bool {
        matches!(self, Self::RingWithinGroups | Self::AllToAllWithinGroups)
    }

    /// Whether every flow leaves its group.
    pub(super) fn is_between_groups(self) -> bool {
        let between = [
            Self::RingBetweenGroups,
            Self::AllToAllBetweenGroups,
            Self::IncastIntoGroups,
        ];
        between.contains(&self)
    }

    /// Returns among how many sets of these nodes it is carried out: rings or groups by their labels,
    /// where it is within groups or a ring between them; else 1.
    #[must_use]
    pub fn rings(self, nodes: &[usize], labels: Option<&[String]>) -> usize {
        self.circles(nodes, labels).len()
    }

    /// Nodes among which it is carried out, each in the order of the pattern: all of these, or
    /// rings or groups of two or more by their labels. None where it takes labels and some are
    /// unknown, or takes two groups and there is one.
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
            _ if self.is_between_groups() && groups.len() > 1 => vec![nodes.to_vec()],
            _ if self.is_between_groups() => Vec::new(),
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
