//! A subject's own measurements, and those that it is compared with: what a report may show.

use std::collections::HashMap;

use super::super::schedule::Pair;
use super::super::verdict::{Direction, Quantity};
use super::channel::{Both, Channel};
use crate::median::median;

/// Medians of measurements, with their counts, in Gbit/s or µs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Compared {
    pub(crate) value: f64,
    pub(crate) count: usize,
    pub(crate) typical: f64,
    pub(crate) compared: usize,
}

impl Compared {
    /// The difference as a logarithm, below 0 for worse.
    pub(crate) fn effect(&self, quantity: Quantity) -> f64 {
        let ratio = (self.value / self.typical).ln();
        match quantity {
            Quantity::Bandwidth => ratio,
            Quantity::Latency => -ratio,
        }
    }
}

impl Channel {
    /// A node's measurements in company against those of the pairs without it.
    pub(crate) fn compare_node(&self, node: usize, direction: Direction) -> Option<Compared> {
        let is = |pair: Pair| pair.0 == node || pair.1 == node;
        let forth = |pair: Pair| match direction {
            Direction::Sends => Some(pair.0 == node),
            Direction::Receives => Some(pair.1 == node),
            _ => None,
        };
        self.compare(is, |pair| !is(pair), forth)
    }

    /// A link's measurements, those alone included, against all others of its two nodes.
    pub(crate) fn compare_link(&self, link: Pair, direction: Direction) -> Option<Compared> {
        let of_nodes = |pair: Pair| {
            let ends = [pair.0, pair.1];
            pair != link && (ends.contains(&link.0) || ends.contains(&link.1))
        };
        let forth = |_| match direction {
            Direction::LowerToHigher => Some(true),
            Direction::HigherToLower => Some(false),
            _ => None,
        };
        self.compare(|pair| pair == link, of_nodes, forth)
    }

    /// Compares within the class that most of the subject's measurements have. `forth` says which
    /// direction of a subject's pair counts; `None` for both.
    fn compare(
        &self,
        own: impl Fn(Pair) -> bool,
        others: impl Fn(Pair) -> bool,
        forth: impl Fn(Pair) -> Option<bool>,
    ) -> Option<Compared> {
        let mut classes: HashMap<usize, usize> = HashMap::new();
        for both in self.pairs.iter().filter(|both| own(both.pair)) {
            *classes.entry(both.class).or_default() += 1;
        }
        let class = classes
            .into_iter()
            .max_by_key(|&(class, count)| (count, std::cmp::Reverse(class)))?
            .0;
        let mut mine = Vec::new();
        let mut theirs = Vec::new();
        for both in self.pairs.iter().filter(|both| both.class == class) {
            if own(both.pair) {
                mine.extend(raw(both, forth(both.pair)).map(|v| self.unlog(v)));
            } else if others(both.pair) {
                theirs.extend(raw(both, None).map(|v| self.unlog(v)));
            }
        }
        let (count, compared) = (mine.len(), theirs.len());
        Some(Compared {
            value: median(&mut mine)?,
            count,
            typical: median(&mut theirs)?,
            compared,
        })
    }

    /// The share of a node's partners with which it reached what others do, in company; and how
    /// many they were.
    pub(super) fn reached_typical(
        &self,
        node: usize,
        direction: Direction,
        effect: f64,
    ) -> (f64, usize) {
        let mut partners: HashMap<usize, (f64, usize)> = HashMap::new();
        for both in &self.pairs {
            let (a, b) = both.pair;
            if a != node && b != node {
                continue;
            }
            let sends = (a == node) == (direction != Direction::Receives);
            let value = match (sends, self.quantity) {
                (_, Quantity::Latency) | (true, _) => both.forth,
                (false, _) => both.back,
            };
            if value.is_finite() {
                let other = if a == node { b } else { a };
                let sum = partners.entry(other).or_default();
                *sum = (sum.0 + value - self.fit.center, sum.1 + 1);
            }
        }
        let good = partners
            .values()
            .filter(|(sum, count)| sum / *count as f64 > effect / 4.0)
            .count();
        (good as f64 / partners.len().max(1) as f64, good)
    }
}

/// What was measured, as logarithms.
fn raw(both: &Both, forth: Option<bool>) -> impl Iterator<Item = f64> {
    let values = match forth {
        None => [both.forth, both.back],
        Some(true) => [both.forth, f64::NAN],
        Some(false) => [f64::NAN, both.back],
    };
    let shift = both.shift;
    values
        .into_iter()
        .filter(|v| v.is_finite())
        .map(move |v| v + shift)
}
