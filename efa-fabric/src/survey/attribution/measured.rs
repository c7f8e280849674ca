//! A subject's own measurements, and those that it is compared with: what a report may show.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::schedule::Pair;
use super::super::verdict::{Direction, Quantity};
use super::channel::{Both, Channel};
use crate::median::median;

/// A partner with which a slow node is good is good with this share of its others: a node of the same
/// leaf as the slow one would be slow with those of the other leaves too.
const NEARLY_ALL: f64 = 0.75;
/// Of at least this many: fewer are all good by chance.
const LEAST_OTHERS: usize = 4;

/// Medians of measurements, with their counts, in Gbit/s or µs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Compared {
    pub(crate) value: f64,
    pub(crate) count: usize,
    pub(crate) typical: f64,
    pub(crate) compared: usize,
}

/// The partners with which a node reached what others do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached {
    pub(super) good: usize,
    /// All of its partners.
    pub(super) partners: usize,
    /// Of all of its partners.
    pub(super) share: f64,
    /// Whether those are good with nearly everyone else too: then it is in no part of the network of
    /// its own with them, and they do not clear it.
    pub(super) of_all: bool,
    /// The only one, if it was measured once.
    pub(super) once: Option<usize>,
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
    /// A node's measurements concurrently against those of the pairs without it.
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

    /// Compares within the class that most of the subject's measurements have, or where no other has it,
    /// with those of any. `forth` states which direction of a subject's pair counts; `None` for both.
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
        let (mut theirs, mut of_any) = (Vec::new(), Vec::new());
        for both in &self.pairs {
            let is_of_class = both.class == class;
            if is_of_class && own(both.pair) {
                mine.extend(raw(both, forth(both.pair)).map(|v| self.unlog(v)));
            } else if others(both.pair) {
                let all = if is_of_class {
                    &mut theirs
                } else {
                    &mut of_any
                };
                all.extend(raw(both, None).map(|v| self.unlog(v)));
            }
        }
        if theirs.is_empty() {
            theirs = of_any;
        }
        let (count, compared) = (mine.len(), theirs.len());
        Some(Compared {
            value: median(&mut mine)?,
            count,
            typical: median(&mut theirs)?,
            compared,
        })
    }

    /// The partners with which a node of this effect reached what others do.
    pub(super) fn good_partners(
        &self,
        node: usize,
        direction: Direction,
        effect: f64,
    ) -> BTreeSet<usize> {
        let partners = self.with_partners(node, direction);
        let good = good_of(&partners, effect).into_iter();
        good.map(|(other, _)| other).collect()
    }

    /// With whom a node reached what others do, concurrently: of a partner that was measured more
    /// than once, its best measurement does not count.
    pub(super) fn reached_typical(
        &self,
        node: usize,
        direction: Direction,
        effect: f64,
    ) -> Reached {
        let partners = self.with_partners(node, direction);
        let good = good_of(&partners, effect);
        Reached {
            good: good.len(),
            partners: partners.len(),
            share: good.len() as f64 / partners.len().max(1) as f64,
            of_all: !good.is_empty()
                && good
                    .iter()
                    .all(|&(other, _)| self.is_good_with_most(other, node, direction, effect)),
            once: match good[..] {
                [(other, 1)] => Some(other),
                _ => None,
            },
        }
    }

    /// Whether a partner of a slow node is good with nearly all others, in the direction in which
    /// the node is slow.
    fn is_good_with_most(
        &self,
        partner: usize,
        slow: usize,
        direction: Direction,
        effect: f64,
    ) -> bool {
        let opposite = match direction {
            Direction::Sends => Direction::Receives,
            Direction::Receives => Direction::Sends,
            other => other,
        };
        let mut others = self.with_partners(partner, opposite);
        others.remove(&slow);
        let good = others.values().filter(|values| is_good(values, effect));
        let (good, all) = (good.count(), others.len());
        all >= LEAST_OTHERS && good as f64 >= NEARLY_ALL * all as f64
    }

    /// A node's measurements by partner, against the typical value.
    fn with_partners(&self, node: usize, direction: Direction) -> BTreeMap<usize, Vec<f64>> {
        let mut partners: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
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
                let values = partners.entry(other).or_default();
                values.push(value - self.fit.center);
            }
        }
        partners
    }
}

/// The partners of which the measurements are those of no node with this effect, with their number.
fn good_of(partners: &BTreeMap<usize, Vec<f64>>, effect: f64) -> Vec<(usize, usize)> {
    let good = partners
        .iter()
        .filter(|(_, values)| is_good(values, effect));
    good.map(|(&other, values)| (other, values.len())).collect()
}

/// Whether the measurements of a pair are those of no node with this effect. Of several, the best
/// does not count.
fn is_good(values: &[f64], effect: f64) -> bool {
    let best = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = values.iter().sum();
    let value = match values.len() {
        1 => sum,
        count => (sum - best) / (count - 1) as f64,
    };
    value > effect / 4.0
}

/// What was measured, as logarithms.
fn raw(both: &Both, forth: Option<bool>) -> impl Iterator<Item = f64> + use<> {
    let [there, back] = both.comparable();
    let values = match forth {
        None => [there, back],
        Some(true) => [there, f64::NAN],
        Some(false) => [f64::NAN, back],
    };
    values.into_iter().filter(|v| v.is_finite())
}
