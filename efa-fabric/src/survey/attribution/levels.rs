//! Pairs of two levels that no node explains: leaves, or paths of different rates.

use std::collections::HashMap;

use super::super::schedule::Pair;
use super::super::statistics::{LEAST_SPREAD, spread};
use super::channel::Both;
use crate::median::median;

/// Two levels of pairs differ by this (logarithm: 14 %).
pub(super) const LEVELS: f64 = 0.15;
/// Each level has this share of the pairs.
const LEAST_OF_LEVEL: f64 = 0.05;
/// The gap between the two, in their own spreads.
const CLEAR: f64 = 4.0;
/// Share of the lower pairs that are of one node, at most.
const MOST_OF_ONE: f64 = 0.6;

/// The pairs with their values, lowest first, and how many of them have the lower level.
pub(super) fn two_levels(pairs: &[Both]) -> Option<(Vec<(f64, Pair)>, usize)> {
    let mut sums: HashMap<Pair, (f64, usize)> = HashMap::new();
    for both in pairs {
        for value in [both.forth, both.back] {
            if value.is_finite() {
                let sum = sums.entry(both.pair).or_default();
                *sum = (sum.0 + value, sum.1 + 1);
            }
        }
    }
    let mut of_pairs: Vec<(f64, Pair)> = sums
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
    let scale =
        spread(low.iter().copied(), LEAST_SPREAD).max(spread(high.iter().copied(), LEAST_SPREAD));
    let apart = middle(high)? - middle(low)?;
    (apart >= LEVELS && apart >= CLEAR * scale).then_some((of_pairs, cut))
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
