//! Leaves that nobody labeled: nodes that are fast with each other and slower with all others.

use std::collections::{BTreeMap, BTreeSet};

use super::super::schedule::Pair;
use super::channel::Both;
use super::levels::two_levels;
use crate::median::median;

/// Pairs inside that are slow as well, at most: of more, nodes are not what explains the levels.
const MOST_SLOW_INSIDE: f64 = 0.05;
/// Pairs inside and across, each: the difference of fewer is not known.
const LEAST_PAIRS: usize = 4;

/// The leaf of each node; `None` where pairs have no two levels, or not those of leaves. A pair is
/// compared with what its slower node reaches at best, so that a slow node is of its leaf as well. A
/// node that shows the lower level only is a leaf of its own.
pub(super) fn leaves(nodes: usize, pairs: &[Both]) -> Option<Vec<usize>> {
    let values = values(pairs);
    let best = best(nodes, &values);
    let against_best = pairs.iter().map(|both| {
        let mut both = *both;
        both.take_out(best[both.pair.0].min(best[both.pair.1]));
        both
    });
    let (of_pairs, cut) = two_levels(&against_best.collect::<Vec<_>>())?;
    let (low, high) = of_pairs.split_at(cut);
    let shows = |side: &[(f64, Pair)]| -> BTreeSet<usize> {
        side.iter().flat_map(|(_, (a, b))| [*a, *b]).collect()
    };
    let (has_low, has_high) = (shows(low), shows(high));
    let middle =
        |side: &[(f64, Pair)]| median(&mut side.iter().map(|(v, _)| *v).collect::<Vec<_>>());
    let apart = middle(high)? - middle(low)?;
    let of_both = has_low.intersection(&has_high).map(|&node| best[node]);
    let typical = median(&mut of_both.collect::<Vec<f64>>())?;
    // What is at the lower level with everyone met none of its leaf: all of its pairs seem to be
    // inside.
    let is_known = |node: usize| {
        has_high.contains(&node) && (has_low.contains(&node) || best[node] > typical - apart / 2.0)
    };
    let mut leaf: Vec<usize> = (0..nodes).collect();
    let inside = high.iter().map(|(_, pair)| *pair);
    let inside = inside.filter(|(a, b)| is_known(*a) && is_known(*b));
    let inside: Vec<Pair> = inside.collect();
    for &(a, b) in &inside {
        let (a, b) = (root(&leaf, a), root(&leaf, b));
        leaf[a.max(b)] = a.min(b);
    }
    let leaf: Vec<usize> = (0..nodes).map(|node| root(&leaf, node)).collect();
    let is_inside = |(_, (a, b)): &&(f64, Pair)| leaf[*a] == leaf[*b];
    let slow = low.iter().filter(is_inside).count();
    let across = low.len() - slow;
    let is_clear = slow as f64 <= MOST_SLOW_INSIDE * inside.len() as f64;
    (is_clear && inside.len().min(across) >= LEAST_PAIRS).then_some(leaf)
}

/// The first node of a node's leaf.
fn root(leaf: &[usize], mut node: usize) -> usize {
    while leaf[node] != node {
        node = leaf[node];
    }
    node
}

/// The mean of what was measured of each pair, both directions together.
fn values(pairs: &[Both]) -> BTreeMap<Pair, f64> {
    let mut sums: BTreeMap<Pair, (f64, usize)> = BTreeMap::new();
    for both in pairs {
        for value in [both.forth, both.back] {
            if value.is_finite() {
                let sum = sums.entry(both.pair).or_default();
                *sum = (sum.0 + value, sum.1 + 1);
            }
        }
    }
    let mean = |(pair, (sum, count)): (Pair, (f64, usize))| (pair, sum / count as f64);
    sums.into_iter().map(mean).collect()
}

/// What each node reaches at best; NaN without measurements.
fn best(nodes: usize, values: &BTreeMap<Pair, f64>) -> Vec<f64> {
    let mut best = vec![f64::NAN; nodes];
    for (&(a, b), &value) in values {
        for node in [a, b] {
            best[node] = best[node].max(value);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs_of(sizes: &[usize], across: f64, of_node: impl Fn(usize) -> f64) -> Vec<Both> {
        let leaf = sizes.iter().enumerate();
        let leaf = leaf.flat_map(|(leaf, &size)| std::iter::repeat_n(leaf, size));
        let leaf: Vec<usize> = leaf.collect();
        let pairs = (0..leaf.len()).flat_map(|a| (a + 1..leaf.len()).map(move |b| (a, b)));
        let both = |(a, b): Pair| {
            let share = if leaf[a] == leaf[b] { 1.0 } else { across };
            // Noise of 2 %, each pair its own.
            let noise = [-0.02, 0.0, 0.02, 0.01, -0.01][(3 * a + 7 * b) % 5];
            let value = share.ln() + of_node(a).min(of_node(b)).ln() + noise;
            Both::new((a, b), value, value, 0)
        };
        pairs.map(both).collect()
    }

    #[test]
    fn leaves_are_found_with_the_slow_nodes_in_them() {
        for factor in [1.0, 0.7, 0.5, 0.2] {
            let pairs = pairs_of(&[10, 6, 4], 0.6, |node| [factor, 1.0][node.min(1)]);
            let expected = [vec![0; 10], vec![10; 6], vec![16; 4]].concat();
            assert_eq!(leaves(20, &pairs), Some(expected), "{factor}");
        }
    }

    #[test]
    fn what_is_no_leaf_is_none() {
        let slow_node = |node| if node == 3 { 0.5 } else { 1.0 };
        assert_eq!(leaves(12, &pairs_of(&[12], 1.0, slow_node)), None);
        let half = |node: usize| [1.0, 0.5][node % 2];
        assert_eq!(leaves(12, &pairs_of(&[12], 1.0, half)), None);
        // Pairs on slower paths, whose nodes do not tell them.
        let mut pairs = pairs_of(&[16], 1.0, |_| 1.0);
        for both in pairs.iter_mut().step_by(7) {
            both.take_out(0.4);
        }
        assert_eq!(leaves(16, &pairs), None);
    }
}
