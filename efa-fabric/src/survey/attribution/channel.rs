//! One quantity on one rail: what was measured, what the polish made of it, and what it leaves.

use std::collections::BTreeMap;

use super::super::schedule::Pair;
use super::super::statistics::{Cell, Fit};
use super::super::verdict::{Direction, Quantity};
use super::ways::Ways;
use crate::median::median;

/// One quantity on one rail, with what the polish made of it.
#[derive(Debug)]
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
}

/// Both directions of one measurement, as logarithms; NaN where not measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Both {
    pub(super) pair: Pair,
    pub(super) forth: f64,
    pub(super) back: f64,
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
        let share = if direction == Direction::Both {
            1.0
        } else {
            2.0
        };
        let nodes = self.noise.powi(2) * share / count;
        (scale.powi(2) / times.max(1) as f64 + nodes).sqrt() * self.freedom
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

    /// The median over partners of what was measured alone: a bad link that was measured alone
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
        median(&mut values).map(|v| (v, count))
    }

    /// The median of what was measured of a link alone, and how often it was.
    pub(super) fn alone_of_link(&self, pair: Pair, direction: Direction) -> Option<(f64, usize)> {
        let mut values: Vec<f64> = self
            .alone
            .iter()
            .filter(|both| both.pair == pair)
            .map(|both| self.residual(both).along(direction))
            .filter(|v| v.is_finite())
            .collect();
        let count = values.len();
        median(&mut values).map(|v| (v, count))
    }
}
