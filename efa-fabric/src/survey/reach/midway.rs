//! Nodes that worked at first and with nobody since: they are lost, and no link of them is bad.

use std::collections::BTreeSet;

use super::super::schedule::ordered;
use super::doubt::LEAST_ATTEMPTS;
use super::{LEAST_OF_NODE, Lost, MORE_OF_NODE, Reach};

/// Partners that it failed with since: fewer where it has no more.
const LEAST_PARTNERS: usize = LEAST_OF_NODE + MORE_OF_NODE;
/// Partners among them that it had worked with: a bad path has never worked.
const LEAST_KNOWN: usize = 2;
/// Partners after which it is tried again with those that it had worked with.
const LEAST_IN_DOUBT: usize = 2;

/// What a node failed with since it worked last.
struct Since {
    worked_in: usize,
    partners: BTreeSet<usize>,
    /// Partners that it had worked with.
    known: usize,
    attempts: usize,
}

impl Reach {
    /// Nodes that are lost.
    pub(super) fn find_lost(&self) -> Vec<Lost> {
        let live = self.live_nodes();
        let is_lost = |node: usize| {
            let since = self.since(node)?;
            (since.partners.len() >= LEAST_PARTNERS.min(live.saturating_sub(1))
                && since.known >= LEAST_KNOWN
                && since.attempts >= LEAST_ATTEMPTS)
                .then_some(Lost {
                    node,
                    worked_in: since.worked_in,
                    failed: since.partners.len(),
                })
        };
        let failing = self.failing().into_iter();
        failing.filter_map(is_lost).collect()
    }

    /// Nodes that failed with several since they worked last, and may be lost.
    pub(crate) fn may_be_lost(&self) -> Vec<usize> {
        let failing = self.failing().into_iter();
        failing
            .filter(|&node| !self.is_lost(node) && !self.nodes[node].silent)
            .filter(|&node| {
                let since = self.since(node);
                since.is_some_and(|since| since.partners.len() >= LEAST_IN_DOUBT)
            })
            .collect()
    }

    /// Whom to try such a node with, the best first: those that it had worked with and not failed,
    /// new ones, and again.
    pub(crate) fn partners_of_lost(&self, node: usize, proven: &[usize]) -> Vec<usize> {
        let live = proven.iter().copied();
        let mut live: Vec<usize> = live
            .filter(|&other| other != node && self.alive(other) && !self.is_lost(other))
            .collect();
        live.sort_by_key(|&other| {
            let pair = ordered(node, other);
            let failed = self.times_failed(pair);
            (failed, !self.good.contains(&pair))
        });
        live
    }

    /// Whether a node worked at first and with nobody since.
    pub(crate) fn is_lost(&self, node: usize) -> bool {
        self.lost.iter().any(|lost| lost.node == node)
    }

    /// Live nodes that failed.
    fn failing(&self) -> BTreeSet<usize> {
        let nodes = self.pairs.keys().flat_map(|&(a, b)| [a, b]);
        nodes.filter(|&node| self.alive(node)).collect()
    }

    /// What a node failed with for the first time since it worked last, of those that work since.
    fn since(&self, node: usize) -> Option<Since> {
        let worked_in = self.nodes[node].worked_in?;
        let mut since = Since {
            worked_in,
            partners: BTreeSet::new(),
            known: 0,
            attempts: 0,
        };
        for &other in &self.nodes[node].failed {
            let pair = ordered(node, other);
            let tally = &self.pairs[&pair];
            let works = self.nodes[other].worked_in.is_some_and(|at| at > worked_in);
            if works && tally.first_failed > worked_in {
                since.partners.insert(other);
                since.known += usize::from(self.good.contains(&pair));
                since.attempts += tally.failed;
            }
        }
        Some(since)
    }
}
