//! Nodes of two kinds, and pairs of two levels: what no single node or link explains.

use std::collections::{BTreeSet, HashMap};

use super::super::schedule::Pair;
use super::super::statistics::{LEAST_SPREAD, spread};
use super::analysis::Analysis;
use super::channel::{Both, Channel};
use super::levels::{LEVELS, two_levels};
use super::reading::noise_of_directions;
use crate::median::median;

/// Each population has this share of the nodes.
const LEAST_SHARE: f64 = 0.3;
/// And this many.
const LEAST_NODES: usize = 3;
/// Measurements among the faster nodes, as a multiple of their number.
const LEAST_AMONG: f64 = 1.5;
/// The gap between the two, in their own spreads.
const CLEAR: f64 = 4.0;
/// What noise leaves of a node's best measurement, both directions together, as a share of it.
const OF_NOISE: f64 = 0.5;

/// Two populations: what the slower nodes reach at best, and the others.
#[derive(Debug, Clone)]
pub(crate) struct Populations {
    pub(crate) slow: Vec<usize>,
    pub(crate) fast: Vec<usize>,
    /// Medians of the measurements among the slower nodes with anyone, and among the faster only,
    /// in Gbit/s, with their counts.
    pub(crate) slow_gbps: (f64, usize),
    pub(crate) fast_gbps: (f64, usize),
}

impl Analysis {
    /// Two clear populations of nodes, distinguished by the best that each reaches.
    pub(crate) fn populations(&self) -> Option<Populations> {
        let channel = self.main().filter(|_| self.outliers)?;
        let best = best(channel);
        let mut order: Vec<(f64, usize)> = best
            .iter()
            .enumerate()
            .filter_map(|(node, value)| value.map(|value| (value, node)))
            .collect();
        order.sort_by(|x, y| x.0.total_cmp(&y.0));
        let count = order.len();
        let least = LEAST_NODES.max((LEAST_SHARE * count as f64).ceil() as usize);
        if count < 2 * least {
            return None;
        }
        let (gap, cut) = (1..count)
            .map(|cut| (order[cut].0 - order[cut - 1].0, cut))
            .max_by(|x, y| x.0.total_cmp(&y.0))?;
        if cut < least || count - cut < least {
            return None;
        }
        let (low, high) = order.split_at(cut);
        let within = |side: &[(f64, usize)]| spread(side.iter().map(|(v, _)| *v), LEAST_SPREAD);
        // Nodes that share their best pair are not near each other for that: noise counts too.
        let noise = OF_NOISE * noise_of_directions(&channel.pairs);
        let scale = within(low).max(within(high)).max(noise);
        let apart = median_of(high)? - median_of(low)?;
        if apart < LEVELS.max(-self.claim(channel.quantity)) || apart < CLEAR * scale || gap < scale
        {
            return None;
        }
        let nodes = |side: &[(f64, usize)]| {
            let mut nodes: Vec<usize> = side.iter().map(|(_, node)| *node).collect();
            nodes.sort_unstable();
            nodes
        };
        let (slow, fast) = (nodes(low), nodes(high));
        let is_slow = |node: usize| slow.binary_search(&node).is_ok();
        let values = |wanted: bool| {
            let mut values: Vec<f64> = channel
                .pairs
                .iter()
                .filter(|both| (is_slow(both.pair.0) || is_slow(both.pair.1)) == wanted)
                .flat_map(Both::measured)
                .filter(|v| v.is_finite())
                .map(|v| channel.unlog(v))
                .collect();
            let count = values.len();
            median(&mut values).map(|value| (value, count))
        };
        let (slow_gbps, fast_gbps) = (values(true)?, values(false)?);
        // A single pair that was fast by luck makes no population of its nodes.
        let few = (fast_gbps.1 as f64) < LEAST_AMONG * fast.len() as f64;
        if few || (slow_gbps.0 / fast_gbps.0).ln() > -LEVELS {
            return None;
        }
        Some(Populations {
            slow_gbps,
            fast_gbps,
            slow,
            fast,
        })
    }

    /// Two levels of pairs that no node explains: the higher, the lower, and how many have it of
    /// how many.
    pub(crate) fn levels(&self) -> Option<(f64, f64, usize, usize)> {
        self.levels_without(&BTreeSet::new())
    }

    /// Whether nodes can be distinguished from the levels of pairs: pairs have one, or leaves explain them.
    pub(crate) fn tells_nodes_from_levels(&self) -> bool {
        self.main().is_some_and(Channel::has_leaves) || self.levels().is_none()
    }

    /// The same of the pairs without these nodes.
    pub(crate) fn levels_without(
        &self,
        nodes: &BTreeSet<usize>,
    ) -> Option<(f64, f64, usize, usize)> {
        let channel = self.main().filter(|_| self.outliers)?;
        let is_other = |both: &&Both| ![both.pair.0, both.pair.1].iter().any(|n| nodes.contains(n));
        let mut pairs = channel.pairs_with_levels();
        pairs.retain(|both| is_other(&both));
        let (of_pairs, cut) = two_levels(&pairs)?;
        let mut measured: HashMap<Pair, Vec<f64>> = HashMap::new();
        for both in &channel.pairs {
            let values = both.measured().into_iter().filter(|v| v.is_finite());
            let seen = measured.entry(both.pair).or_default();
            seen.extend(values.map(|v| channel.unlog(v)));
        }
        // What is stated is what was measured, and not what the fit made of it.
        let seen = |side: &[(f64, Pair)]| {
            let of = side.iter().filter_map(|(_, pair)| measured.get(pair));
            median(&mut of.flatten().copied().collect::<Vec<f64>>())
        };
        let (low, high) = of_pairs.split_at(cut);
        let (higher, lower) = (seen(high)?, seen(low)?);
        // Nor is it stated where only the fit made it.
        ((higher / lower).ln() >= LEVELS).then_some((higher, lower, cut, of_pairs.len()))
    }
}

/// The best that each node reaches: its second-best measurement of many, the best of few.
fn best(channel: &Channel) -> Vec<Option<f64>> {
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); channel.fit.tx.len()];
    for both in &channel.pairs {
        let value = match (both.forth.is_finite(), both.back.is_finite()) {
            (true, true) => f64::midpoint(both.forth, both.back),
            (true, false) => both.forth,
            (false, _) => both.back,
        };
        if value.is_finite() {
            values[both.pair.0].push(value);
            values[both.pair.1].push(value);
        }
    }
    values
        .into_iter()
        .map(|mut values| {
            values.sort_by(f64::total_cmp);
            let from_top = 1 + values.len() / 10;
            values.len().checked_sub(from_top).map(|i| values[i])
        })
        .collect()
}

fn median_of(side: &[(f64, usize)]) -> Option<f64> {
    median(&mut side.iter().map(|(v, _)| *v).collect::<Vec<_>>())
}
