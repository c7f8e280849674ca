//! Nodes that failed whenever they were tried: when they are called dead, and whom to try them with
//! before.

use std::collections::BTreeSet;

use super::super::schedule::ordered;
use super::{LEAST_OF_PAIR, Reach};

/// Failed attempts of a node that is called dead: of two pairs as many as each needs. One of them is
/// at a pair that had failed before, since the first of all may have come at a bad moment.
pub(super) const LEAST_ATTEMPTS: usize = 2 * LEAST_OF_PAIR;
/// Nodes of each set that it failed with: it may reach its own kind only.
const LEAST_OF_SET: usize = 2;
/// Others in doubt that it failed with, for the same reason; more where nobody reached anybody.
const LEAST_PEERS: usize = 3;
const MORE_PEERS: usize = 2;

impl Reach {
    /// Whether a node that never worked failed often enough, and with nodes different enough, to
    /// state this of it.
    pub(crate) fn is_dead(&self, node: usize) -> bool {
        self.failed_with_live(node) >= self.enough_of_node()
            && self.attempts_at(node) >= LEAST_ATTEMPTS
            && self.was_tried_again(node)
            && !self.lacks_peers(node)
            && self.unlike(node).is_empty()
    }

    /// Nodes that never worked, and were not tried often enough to state this.
    pub(crate) fn open_nodes(&self) -> Vec<usize> {
        let open = self.dead().map(|(node, _)| node);
        open.filter(|&node| !self.silent(node) && !self.is_dead(node))
            .filter(|&node| self.any_success || self.lacks_peers(node))
            .collect()
    }

    /// Whom to try a node with that never worked, the best first: others that never worked, which may
    /// be its own set; each set of nodes that reach each other; new ones; and again. Of equal ones
    /// those that come first in `proven`.
    pub(crate) fn partners_in_doubt(&self, node: usize, proven: &[usize]) -> Vec<usize> {
        let peers = self.peers(node).into_iter();
        let unmet = |&other: &usize| self.times_failed(ordered(node, other)) == 0;
        let mut partners: Vec<usize> = match self.lacks_peers(node) {
            true => peers.filter(unmet).collect(),
            false => Vec::new(),
        };
        let live = (0..self.nodes.len()).filter(|other| self.alive(*other) && *other != node);
        let known: BTreeSet<usize> = proven.iter().copied().collect();
        let live = (proven.iter().copied().filter(|&other| self.alive(other)))
            .chain(live.filter(|other| !known.contains(other)));
        let live: Vec<usize> = live.collect();
        let unlike = self.unlike(node);
        partners.extend(live.iter().filter(|other| unlike.contains(other)));
        let is_enough = self.failed_with_live(node) >= self.enough_of_node();
        let (fresh, mut again): (Vec<usize>, Vec<usize>) = live.iter().partition(|o| unmet(o));
        again.sort_by_key(|&other| self.times_failed(ordered(node, other)));
        let [first, last] = if is_enough {
            [again, fresh]
        } else {
            [fresh, again]
        };
        partners.extend(first.into_iter().chain(last));
        partners
    }

    /// Failed attempts at a node.
    fn attempts_at(&self, node: usize) -> usize {
        self.pairs_of(node).map(|(_, failed)| failed).sum()
    }

    fn was_tried_again(&self, node: usize) -> bool {
        self.pairs_of(node)
            .any(|(other, failed)| failed > 1 && self.alive(other))
    }

    /// The partners that a node failed with, and how often.
    fn pairs_of(&self, node: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let partners = self.nodes[node].failed.iter();
        partners.map(move |&other| (other, self.times_failed(ordered(node, other))))
    }

    /// Other nodes that never worked.
    fn peers(&self, node: usize) -> Vec<usize> {
        let others = self.dead().map(|(other, _)| other);
        others
            .filter(|&other| other != node && !self.silent(other))
            .collect()
    }

    /// Whether a node still has to be tried with others that never worked.
    fn lacks_peers(&self, node: usize) -> bool {
        let peers = self.peers(node);
        let failed = &self.nodes[node].failed;
        let met = peers.iter().filter(|other| failed.contains(other)).count();
        let least = match self.any_success {
            true => LEAST_PEERS,
            false => LEAST_PEERS + MORE_PEERS,
        };
        met < least.min(peers.len())
    }

    /// Nodes that a node was not tried with and may reach: of a set of which it met hardly any, where
    /// there are several, and of those that some of the nodes that it failed with do not reach either.
    fn unlike(&self, node: usize) -> BTreeSet<usize> {
        let failed = &self.nodes[node].failed;
        let alike = failed.iter().filter(|&&other| self.alive(other));
        let alike = alike.flat_map(|&other| {
            let not_reached = self.nodes[other].failed.iter().copied();
            not_reached.filter(move |&third| self.never_worked(ordered(other, third)))
        });
        let alike = alike.filter(|&third| third != node && self.alive(third));
        let alike: Vec<usize> = alike.collect::<BTreeSet<usize>>().into_iter().collect();
        let islands = self.islands.iter().filter(|_| self.islands.len() > 1);
        let is_met = |other: &&usize| failed.contains(*other);
        let lacking = islands
            .chain([&alike])
            .filter(|set| set.iter().filter(is_met).count() < LEAST_OF_SET.min(set.len()));
        let unmet = lacking.flatten().filter(|other| !failed.contains(*other));
        unmet.copied().collect()
    }
}
