//! One quantity on one rail: what was measured, what the polish made of it, and what it leaves.

use std::collections::{BTreeMap, BTreeSet};

use super::super::schedule::Pair;
use super::super::statistics::{Cell, Fit, LEAST_SPREAD, SLOW_PARTNER, spread, tail};
use super::super::verdict::{Direction, Quantity};
use super::finding::ByGroup;
use super::ways::Ways;
use crate::median::median;

/// A pair alone is faster than any concurrent one by this multiple of the noise.
const CLEAR_NOISE: f64 = 2.0;

/// A node's own noise counts from this multiple of the noise of all on: below, it is luck.
const WIDE: f64 = 2.5;

/// One quantity on one rail, with what the polish made of it.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub(crate) rail: Option<u16>,
    pub(crate) quantity: Quantity,
    pub(crate) fit: Fit,
    pub(super) pairs: Vec<Both>,
    pub(super) alone: Vec<Both>,
    pub(super) spread_tx: f64,
    pub(super) spread_rx: f64,
    /// Spread of single measurements around the fit.
    pub(super) noise: f64,
    /// How much the fit takes out of that spread by having many effects: 1 for large tables.
    pub(super) freedom: f64,
    /// The first round of targeted measurements: what is older was measured before anything was
    /// suspected.
    pub(super) fresh_from: usize,
    /// Groups and paths between them that are slower than the others as a whole; taken out of the
    /// measurements.
    pub(crate) by_group: ByGroup,
    /// The leaf of each node, where leaves without labels were found: their difference is taken out of
    /// the measurements.
    pub(super) leaves: Option<Vec<usize>>,
}

/// Both directions of one measurement, as logarithms; NaN where not measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Both {
    pub(super) pair: Pair,
    pub(super) forth: f64,
    pub(super) back: f64,
    /// What was taken out of each: the difference of its class, and of its round.
    shift: [f64; 2],
    /// Directions of which more was taken out than of the other: nothing is compared with them.
    is_apart: [bool; 2],
    /// Pairs are compared with pairs of the same class: across groups, inside, of a slow group.
    pub(super) class: usize,
    pub(super) round: usize,
}

impl Both {
    /// What was measured of a pair in a round, as logarithms.
    pub(super) fn new(pair: Pair, forth: f64, back: f64, round: usize) -> Self {
        Self {
            pair,
            forth,
            back,
            shift: [0.0; 2],
            is_apart: [false; 2],
            class: 0,
            round,
        }
    }

    /// Takes something that is known out of both directions.
    pub(super) fn take_out(&mut self, shift: f64) {
        self.forth -= shift;
        self.back -= shift;
        self.shift = self.shift.map(|out| out + shift);
    }

    /// Takes something out of the directions that have it. Where both have, the pair is of this
    /// class; what is of a class of its own already stays as it is.
    pub(super) fn take_out_ways(&mut self, ways: [bool; 2], shift: f64, class: usize) {
        if self.class > 1 {
            return;
        }
        if ways == [true; 2] {
            self.take_out(shift);
            self.class = class;
            return;
        }
        for (way, value) in [&mut self.forth, &mut self.back].into_iter().enumerate() {
            if ways[way] && !self.is_apart[way] {
                *value -= shift;
                self.shift[way] += shift;
                self.is_apart[way] = true;
            }
        }
    }

    /// Puts back what was taken out.
    fn put_back(&mut self) {
        [self.forth, self.back] = self.measured();
        self.shift = [0.0; 2];
    }

    /// What was measured.
    pub(super) fn measured(&self) -> [f64; 2] {
        [self.forth + self.shift[0], self.back + self.shift[1]]
    }

    /// What was measured of the directions that are like others of the class.
    pub(super) fn comparable(&self) -> [f64; 2] {
        let [forth, back] = self.measured();
        let known = |way: usize, value| if self.is_apart[way] { f64::NAN } else { value };
        [known(0, forth), known(1, back)]
    }
}

impl Channel {
    /// Effect, robust z and number of measurements of a node.
    pub(crate) fn effect(&self, node: usize, direction: Direction) -> (f64, f64, usize) {
        let (effect, scale, count) = match direction {
            Direction::Receives => (self.fit.rx[node], self.spread_rx, self.fit.rx_count[node]),
            _ => (self.fit.tx[node], self.spread_tx, self.fit.tx_count[node]),
        };
        (effect, effect / scale, count)
    }

    /// Takes a node's effect for none.
    pub(super) fn clear_effect(&mut self, node: usize, direction: Direction) {
        if direction != Direction::Receives {
            self.fit.tx[node] = 0.0;
        }
        if direction != Direction::Sends {
            self.fit.rx[node] = 0.0;
        }
    }

    /// Standard error of a link's residual, seen this many times: its own noise, and that of the
    /// effects of its nodes, which measuring again does not lessen.
    pub(super) fn link_error(
        &self,
        (a, b): Pair,
        direction: Direction,
        scale: f64,
        times: usize,
    ) -> f64 {
        let count = self.fit.tx_count[a].min(self.fit.tx_count[b]).max(1) as f64;
        // Both directions together are the mean of two.
        let share = match (direction, self.quantity) {
            (Direction::Both, Quantity::Bandwidth) => 1.0,
            _ => 2.0,
        };
        let nodes = self.noise.powi(2) * share / count;
        (scale.powi(2) / times.max(1) as f64 + nodes).sqrt() * self.freedom
    }

    /// The spread of what the fit leaves of the links, in this direction.
    pub(super) fn spread_of_links(&self, direction: Direction) -> f64 {
        let left = self
            .pairs
            .iter()
            .map(|both| self.residual(both).along(direction));
        spread(left, LEAST_SPREAD)
    }

    /// Whether the difference of leaves without labels was taken out of the measurements.
    pub(crate) fn has_leaves(&self) -> bool {
        self.leaves.is_some()
    }

    /// The nodes that are not in the largest of the leaves that were found without labels, where that
    /// one has most nodes; else none.
    pub(crate) fn apart_from_most(&self) -> Vec<usize> {
        let Some(leaves) = &self.leaves else {
            return Vec::new();
        };
        let nodes = (0..leaves.len()).filter(|&node| self.fit.tx[node].is_finite());
        let in_leaf = |leaf: usize| {
            nodes
                .clone()
                .filter(move |&node| leaves[node] == leaf)
                .count()
        };
        let largest = nodes
            .clone()
            .map(|node| leaves[node])
            .max_by_key(|&leaf| in_leaf(leaf));
        let apart: Vec<usize> = nodes
            .clone()
            .filter(|&node| Some(leaves[node]) != largest)
            .collect();
        match 2 * apart.len() < nodes.count() {
            true => apart,
            false => Vec::new(),
        }
    }

    /// The pairs; what leaves without labels differ by is a level of them all the same.
    pub(super) fn pairs_with_levels(&self) -> Vec<Both> {
        let mut pairs = self.pairs.clone();
        for both in pairs.iter_mut().filter(|_| self.leaves.is_some()) {
            both.put_back();
        }
        pairs
    }

    /// The typical value: Gbit/s or µs.
    pub(crate) fn typical(&self) -> f64 {
        self.unlog(self.fit.center)
    }

    /// A logarithm of this channel as Gbit/s or µs.
    pub(crate) fn unlog(&self, value: f64) -> f64 {
        match self.quantity {
            Quantity::Bandwidth => value.exp(),
            Quantity::Latency => (-value).exp(),
        }
    }

    /// Median value of each pair that was measured, for small clusters.
    pub(crate) fn pair_medians(&self) -> BTreeMap<Pair, f64> {
        let mut all: BTreeMap<Pair, Vec<f64>> = BTreeMap::new();
        for both in &self.pairs {
            let values = [both.forth, both.back]
                .into_iter()
                .filter(|v| v.is_finite());
            all.entry(both.pair).or_default().extend(values);
        }
        all.into_iter()
            .filter_map(|(pair, mut values)| Some((pair, self.unlog(median(&mut values)?))))
            .collect()
    }

    /// What the fit leaves unexplained of a measurement.
    pub(super) fn residual(&self, both: &Both) -> Ways<f64> {
        let (a, b) = both.pair;
        let left = |from, to, value| self.fit.residual(&Cell { from, to, value });
        let forth = left(a, b, both.forth);
        let back = match self.quantity {
            Quantity::Latency => forth,
            Quantity::Bandwidth => left(b, a, both.back),
        };
        let mean = match (forth.is_finite(), back.is_finite()) {
            (true, true) => f64::midpoint(forth, back),
            (true, false) => forth,
            (false, _) => back,
        };
        Ways { mean, forth, back }
    }

    /// The median over partners (of latency, the mean) of what was measured alone: a bad link that was measured alone
    /// counts as one partner.
    pub(super) fn alone_of_node(&self, node: usize, direction: Direction) -> Option<(f64, usize)> {
        let own = match direction {
            Direction::Receives => self.fit.rx[node],
            _ => self.fit.tx[node],
        };
        let mut partners: BTreeMap<Pair, (f64, usize)> = BTreeMap::new();
        let of_node = self
            .alone
            .iter()
            .filter(|b| b.pair.0 == node || b.pair.1 == node);
        for both in of_node {
            let residual = self.residual(both);
            let sends = (both.pair.0 == node) == (direction != Direction::Receives);
            let value = own + if sends { residual.forth } else { residual.back };
            if value.is_finite() {
                let sum = partners.entry(both.pair).or_default();
                *sum = (sum.0 + value, sum.1 + 1);
            }
        }
        let count = partners.values().map(|(_, count)| count).sum();
        let mut values: Vec<f64> = partners
            .values()
            .map(|(sum, count)| sum / *count as f64)
            .collect();
        let middle = match self.quantity {
            Quantity::Bandwidth => median(&mut values),
            // One value where bandwidth has two: the mean of few varies less.
            Quantity::Latency if values.is_empty() => None,
            Quantity::Latency => Some(values.iter().sum::<f64>() / values.len() as f64),
        };
        middle.map(|v| (v, count))
    }

    /// The median of a node's measurements since it was suspected, concurrently and alone, without
    /// the effects of its partners; and how many they are. Those alone are taken to be faster by
    /// `gain` for that.
    pub(super) fn fresh_of_node(
        &self,
        node: usize,
        direction: Direction,
        gain: f64,
    ) -> (f64, usize) {
        let mut values = self.again_of_node(node, direction, gain);
        let count = values.len();
        (median(&mut values).unwrap_or(0.0), count)
    }

    /// Those measurements. A pair of two slow nodes has the rate of the slower one: what a slow
    /// partner loses is not added.
    pub(super) fn again_of_node(&self, node: usize, direction: Direction, gain: f64) -> Vec<f64> {
        let concurrency = self.fresh_concurrent().map(|both| (both, 0.0));
        let alone = self.alone.iter().map(|both| (both, gain));
        let of_node = concurrency
            .chain(alone)
            .filter(|(both, _)| both.pair.0 == node || both.pair.1 == node);
        let values = of_node.map(|(both, gain)| {
            let (a, b) = both.pair;
            let other = if a == node { b } else { a };
            let sends = (a == node) == (direction != Direction::Receives);
            let value = match self.quantity {
                Quantity::Bandwidth if !sends => both.back,
                _ => both.forth,
            };
            let partner = match direction {
                Direction::Receives => self.fit.tx[other],
                _ => self.fit.rx[other],
            };
            let slow = self.quantity == Quantity::Bandwidth && partner <= SLOW_PARTNER;
            value - gain - self.fit.center - if slow { 0.0 } else { partner }
        });
        values.filter(|value| value.is_finite()).collect()
    }

    /// The same of a link.
    pub(super) fn fresh_of_link(&self, pair: Pair, direction: Direction) -> (f64, usize) {
        let mut values: Vec<f64> = self
            .fresh()
            .filter(|both| both.pair == pair)
            .map(|both| self.residual(both).along(direction))
            .filter(|value| value.is_finite())
            .collect();
        let count = values.len();
        (median(&mut values).unwrap_or(0.0), count)
    }

    /// The median of what the fit leaves of a concurrent pair; 0 if it was never measured so.
    pub(super) fn median_concurrent(&self, pair: Pair) -> f64 {
        let of_pair = self.pairs.iter().filter(|both| both.pair == pair);
        let residuals = of_pair.map(|both| self.residual(both).mean);
        let mut values: Vec<f64> = residuals.filter(|v| v.is_finite()).collect();
        median(&mut values).unwrap_or(0.0)
    }

    /// What nearly no concurrent pair exceeds: the residual of one in fifty.
    pub(super) fn most_concurrent(&self) -> f64 {
        let residuals = self.pairs.iter().map(|both| self.residual(both).mean);
        let mut values: Vec<f64> = residuals.filter(|v| v.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let from_top = 1 + values.len() / 50;
        let at = values.len().checked_sub(from_top);
        at.map_or(f64::INFINITY, |at| values[at] + CLEAR_NOISE * self.noise)
    }

    /// Pairs that were measured since anything was suspected.
    pub(super) fn measured_again(&self) -> usize {
        let pairs: BTreeSet<Pair> = self.fresh().map(|both| both.pair).collect();
        pairs.len()
    }

    /// How many of the measurements of pairs without this node, before anything was suspected, are
    /// worse than `least`, and of how many.
    pub(super) fn others_worse(&self, node: usize, least: f64) -> (usize, usize) {
        let is = |both: &Both| both.pair.0 == node || both.pair.1 == node;
        let (mut low, mut all) = (0, 0);
        for both in self
            .pairs
            .iter()
            .filter(|b| b.round < self.fresh_from && !is(b))
        {
            let Ways { forth, back, .. } = self.residual(both);
            let known = [forth, back].into_iter().filter(|v| v.is_finite());
            for value in known {
                (low, all) = (low + usize::from(value <= least), all + 1);
            }
        }
        (low, all)
    }

    /// The chance that any other link looks as this one does since it was suspected: how many of its
    /// measurements are worse than `least`.
    pub(super) fn chance_of_link(&self, pair: Pair, direction: Direction, least: f64) -> f64 {
        let (mut low, mut all) = (0, 0);
        let base = |both: &&Both| both.round < self.fresh_from && both.pair != pair;
        for both in self.pairs.iter().filter(base) {
            let value = self.residual(both).along(direction);
            (low, all) = (low + usize::from(value <= least), all + 1);
        }
        let own = self.fresh().filter(|both| both.pair == pair);
        let values: Vec<f64> = own
            .map(|both| self.residual(both).along(direction))
            .filter(|v| v.is_finite())
            .collect();
        let worse = values.iter().filter(|v| **v <= least).count();
        tail(worse, values.len(), (low + 1) as f64 / (all + 1) as f64)
    }

    fn fresh(&self) -> impl Iterator<Item = &Both> {
        self.fresh_concurrent().chain(&self.alone)
    }

    fn fresh_concurrent(&self) -> impl Iterator<Item = &Both> {
        self.pairs.iter().filter(|b| b.round >= self.fresh_from)
    }

    /// The standard error of the median of this many measurements.
    pub(crate) fn error_of(&self, noise: f64, count: usize) -> f64 {
        1.25 * noise.max(LEAST_SPREAD) / (count.max(1) as f64).sqrt()
    }

    /// The standard deviation of single measurements, as a share.
    pub(crate) fn noise(&self) -> f64 {
        self.noise * self.freedom
    }

    /// The same of a node's own measurements, where it is far beyond that of all. Latency has too
    /// few of a node to tell.
    pub(super) fn noise_of_node(&self, node: usize) -> f64 {
        if self.quantity == Quantity::Latency {
            return self.noise();
        }
        let of_node = self
            .pairs
            .iter()
            .filter(|both| both.pair.0 == node || both.pair.1 == node);
        let left = of_node.flat_map(|both| {
            let Ways { forth, back, .. } = self.residual(both);
            [forth, back]
        });
        let (own, all) = (spread(left, LEAST_SPREAD), self.noise());
        if own >= WIDE * all { own } else { all }
    }

    /// What the nodes of a link reach beyond the typical value: a link that is as fast as others
    /// are is not slow.
    fn above(&self, (a, b): Pair, direction: Direction) -> f64 {
        let (tx, rx) = (&self.fit.tx, &self.fit.rx);
        let forth = tx[a].max(0.0) + rx[b].max(0.0);
        let back = tx[b].max(0.0) + rx[a].max(0.0);
        let mean = f64::midpoint(forth, back);
        Ways { mean, forth, back }.along(direction)
    }

    /// The median of what was measured of a link alone, and how often it was.
    pub(super) fn alone_of_link(&self, pair: Pair, direction: Direction) -> Option<(f64, usize)> {
        let mut values: Vec<f64> = self
            .alone
            .iter()
            .filter(|both| both.pair == pair)
            .map(|both| self.residual(both).along(direction) + self.above(pair, direction))
            .filter(|v| v.is_finite())
            .collect();
        let count = values.len();
        median(&mut values).map(|v| (v, count))
    }
}
