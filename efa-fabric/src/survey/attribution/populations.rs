//! Nodes of two kinds, and pairs of two levels: what no single node or link explains.

use std::collections::HashMap;

use super::super::statistics::{LEAST_SPREAD, spread};
use super::analysis::Analysis;
use super::channel::Channel;
use crate::median::median;

/// Each population has this share of the nodes.
const LEAST_SHARE: f64 = 0.3;
/// And this many.
const LEAST_NODES: usize = 3;
/// The gap between the two, in their own spreads.
const CLEAR: f64 = 4.0;
/// Two levels of pairs differ by this (logarithm: 14 %).
const LEVELS: f64 = 0.15;
/// Each level has this share of the pairs.
const LEAST_OF_LEVEL: f64 = 0.05;

/// Share of the lower pairs that are of one node, at most.
const MOST_OF_ONE: f64 = 0.6;

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
    /// Two clear populations of nodes, told by the best that each reaches.
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
        let scale = within(low).max(within(high));
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
                .flat_map(|both| [both.forth + both.shift, both.back + both.shift])
                .filter(|v| v.is_finite())
                .map(|v| channel.unlog(v))
                .collect();
            let count = values.len();
            median(&mut values).map(|value| (value, count))
        };
        let (slow_gbps, fast_gbps) = (values(true)?, values(false)?);
        if (slow_gbps.0 / fast_gbps.0).ln() > -LEVELS {
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
        let channel = self.main().filter(|_| self.outliers)?;
        let mut pairs: HashMap<(usize, usize), (f64, usize)> = HashMap::new();
        let mut measured: HashMap<(usize, usize), Vec<f64>> = HashMap::new();
        for both in &channel.pairs {
            for value in [both.forth, both.back] {
                if value.is_finite() {
                    let sum = pairs.entry(both.pair).or_default();
                    *sum = (sum.0 + value, sum.1 + 1);
                    let seen = measured.entry(both.pair).or_default();
                    seen.push(channel.unlog(value + both.shift));
                }
            }
        }
        let mut of_pairs: Vec<(f64, (usize, usize))> = pairs
            .into_iter()
            .map(|(pair, (sum, count))| (sum / count as f64, pair))
            .collect();
        of_pairs.sort_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)));
        let values: Vec<f64> = of_pairs.iter().map(|(value, _)| *value).collect();
        let cut = split(&values)?;
        let mut of_low: HashMap<usize, usize> = HashMap::new();
        for (_, (a, b)) in &of_pairs[..cut] {
            *of_low.entry(*a).or_default() += 1;
            *of_low.entry(*b).or_default() += 1;
        }
        // One node with most of the low pairs explains them.
        let most = of_low.into_values().max().unwrap_or(0);
        if most as f64 > MOST_OF_ONE * cut as f64 {
            return None;
        }
        let (low, high) = values.split_at(cut);
        let least = (LEAST_OF_LEVEL * values.len() as f64).max(3.0);
        if (low.len() as f64) < least || (high.len() as f64) < least {
            return None;
        }
        let middle = |side: &[f64]| median(&mut side.to_vec());
        let (lower, higher) = (middle(low)?, middle(high)?);
        let scale = spread(low.iter().copied(), LEAST_SPREAD)
            .max(spread(high.iter().copied(), LEAST_SPREAD));
        let apart = higher - lower;
        if apart < LEVELS || apart < CLEAR * scale {
            return None;
        }
        // What is said is what was measured, and not what the fit made of it.
        let seen = |side: &[(f64, (usize, usize))]| {
            let of = side.iter().filter_map(|(_, pair)| measured.get(pair));
            median(&mut of.flatten().copied().collect::<Vec<f64>>())
        };
        let (low, high) = of_pairs.split_at(cut);
        Some((seen(high)?, seen(low)?, cut, of_pairs.len()))
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

/// Where sorted values fall into two parts with the least squares left (Otsu).
fn split(values: &[f64]) -> Option<usize> {
    let total: f64 = values.iter().sum();
    let count = values.len() as f64;
    let mut below = 0.0;
    (1..values.len())
        .map(|cut| {
            below += values[cut - 1];
            let (low, high) = (below / cut as f64, (total - below) / (count - cut as f64));
            (
                cut as f64 * (count - cut as f64) * (high - low).powi(2),
                cut,
            )
        })
        .max_by(|x, y| x.0.total_cmp(&y.0))
        .map(|(_, cut)| cut)
}
