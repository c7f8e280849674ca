//! One targeted round: who is measured again, and with whom.

use std::collections::{BTreeSet, VecDeque};

use super::super::schedule::{Pair, ordered};

/// Pairs of proven nodes that are measured in a targeted round: they show what such a round
/// reaches.
const MOST_CONTROLS: usize = 16;

/// The pairs of a targeted round, as it fills.
pub(super) struct Targets<'a> {
    turn: usize,
    proven: &'a [usize],
    met: &'a BTreeSet<Pair>,
    busy: BTreeSet<usize>,
    pairs: Vec<Pair>,
}

impl<'a> Targets<'a> {
    /// An empty round. `proven` has the best nodes first; `met` the pairs that were measured.
    pub(super) fn new(turn: usize, proven: &'a [usize], met: &'a BTreeSet<Pair>) -> Self {
        Self {
            turn,
            proven,
            met,
            busy: BTreeSet::new(),
            pairs: Vec::new(),
        }
    }

    /// Whether the round has this pair.
    pub(super) fn has(&self, pair: Pair) -> bool {
        self.pairs.contains(&pair)
    }

    /// Adds those of these pairs whose nodes are free.
    pub(super) fn pairs(&mut self, pairs: impl IntoIterator<Item = Pair>) {
        for pair in pairs {
            self.add(pair);
        }
    }

    /// Pairs a node with the first of these that is free.
    pub(super) fn first_free(&mut self, node: usize, partners: impl IntoIterator<Item = usize>) {
        if !self.busy.contains(&node) {
            let mut partners = partners.into_iter();
            let free = partners.find(|other| !self.busy.contains(other));
            free.map(|other| self.add(ordered(node, other)));
        }
    }

    /// Adds those of these pairs whose nodes are free, and returns the others.
    pub(super) fn wait(&mut self, pairs: VecDeque<Pair>) -> VecDeque<Pair> {
        pairs.into_iter().filter(|&pair| !self.add(pair)).collect()
    }

    /// Pairs each of these nodes that has met none of the others with one of them, preferably one that
    /// has met none either.
    pub(super) fn introduce(&mut self, nodes: &[usize]) {
        let is_alone = |node: usize| !nodes.iter().any(|&other| self.has_met(node, other));
        let alone: BTreeSet<usize> = nodes.iter().copied().filter(|&n| is_alone(n)).collect();
        for &node in &alone {
            if self.busy.contains(&node) {
                continue;
            }
            let free = |other: &&usize| **other != node && !self.busy.contains(*other);
            let first = alone.iter().find(free);
            if let Some(&other) = first.or_else(|| nodes.iter().find(free)) {
                self.add(ordered(node, other));
            }
        }
    }

    /// Pairs these nodes with each other, preferably those that have not met.
    pub(super) fn peers(&mut self, nodes: &[usize]) {
        for (i, &node) in nodes.iter().enumerate() {
            let free = |other: &&usize| !self.busy.contains(*other);
            if self.busy.contains(&node) {
                continue;
            }
            let others: Vec<usize> = nodes[i + 1..].iter().filter(free).copied().collect();
            let fresh = others.iter().find(|&&other| !self.has_met(node, other));
            if let Some(&other) = fresh.or_else(|| others.first()) {
                self.add(ordered(node, other));
            }
        }
    }

    /// Pairs each of these nodes with the proven one that is nearest to them: the last. Nothing
    /// for those that met it.
    pub(super) fn next_worst(&mut self, nodes: &[usize]) {
        for &node in nodes {
            if self.busy.contains(&node) {
                continue;
            }
            let free = |other: &&usize| **other != node && !self.busy.contains(*other);
            let mut last = self.proven.iter().rev().filter(free);
            let fresh = last.find(|&&other| !self.has_met(node, other)).copied();
            if let Some(other) = fresh {
                self.add(ordered(node, other));
            }
        }
    }

    /// Pairs each of these nodes with a proven one, preferably one that it has not met.
    pub(super) fn nodes(&mut self, nodes: &[usize]) {
        let wanted: BTreeSet<usize> = nodes.iter().copied().collect();
        for &node in nodes {
            if self.busy.contains(&node) {
                continue;
            }
            let free = |other: &&usize| {
                **other != node && !self.busy.contains(*other) && !wanted.contains(*other)
            };
            let fresh = self
                .proven
                .iter()
                .filter(free)
                .find(|&&other| !self.has_met(node, other));
            let any = || {
                let count = self.proven.iter().filter(free).count();
                let at = self.turn * wanted.len() % count.max(1);
                self.proven.iter().filter(free).nth(at)
            };
            if let Some(&other) = fresh.or_else(any) {
                self.add(ordered(node, other));
            }
        }
    }

    /// The round with pairs of proven nodes; nothing if there is nobody to measure again.
    pub(super) fn with_controls(mut self) -> Vec<Pair> {
        if self.pairs.is_empty() {
            return self.pairs;
        }
        let mut free: Vec<usize> = self
            .proven
            .iter()
            .copied()
            .filter(|node| !self.busy.contains(node))
            .take(2 * MOST_CONTROLS)
            .collect();
        // Each turn has other pairs.
        if free.len() > 1 {
            let by = self.turn % (free.len() - 1);
            free[1..].rotate_left(by);
        }
        while let [a, .., b] = free[..] {
            self.add(ordered(a, b));
            free.remove(0);
            free.pop();
        }
        self.pairs
    }

    fn has_met(&self, a: usize, b: usize) -> bool {
        self.met.contains(&ordered(a, b))
    }

    fn add(&mut self, pair: Pair) -> bool {
        let free = !self.busy.contains(&pair.0) && !self.busy.contains(&pair.1);
        if free {
            self.busy.extend([pair.0, pair.1]);
            self.pairs.push(pair);
        }
        free
    }
}
