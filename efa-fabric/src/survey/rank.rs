//! An order of ranks in which neighbours are near: for rings and hierarchical collectives.

use std::collections::{BTreeMap, HashMap};

use super::observation::{Observations, Outcome};
use super::schedule::{Pair, ordered};
use super::statistics::{Cell, polish_symmetric};
use crate::median::median;

/// Above this many nodes, the order of nearest neighbours is not improved further.
const MOST_IMPROVED: usize = 512;
/// Passes of improvement at most.
const PASSES: usize = 30;

/// Orders nodes so that the sum of latencies between neighbours is low: from the node with the
/// least latency to the nearest that is left, then improved by exchanging paths (2-opt) in
/// clusters of up to 512 nodes. Always the same for the same observations.
///
/// Pairs that were not measured count with the latency that their nodes have otherwise. Nodes
/// without any latency come last, ascending.
#[must_use]
pub fn by_latency(observations: &Observations) -> Vec<usize> {
    let near = Nearness::new(observations);
    let nodes = observations.nodes();
    let mut left: Vec<usize> = (0..nodes).filter(|&n| near.node[n].is_finite()).collect();
    let rest: Vec<usize> = (0..nodes).filter(|&n| !near.node[n].is_finite()).collect();
    let mut order = Vec::with_capacity(nodes);
    let mut at = left
        .iter()
        .copied()
        .min_by(|&x, &y| near.node[x].total_cmp(&near.node[y]));
    while let Some(node) = at {
        order.push(node);
        left.retain(|&n| n != node);
        at = left.iter().copied().min_by(|&x, &y| {
            near.latency(node, x)
                .total_cmp(&near.latency(node, y))
                .then(x.cmp(&y))
        });
    }
    if order.len() <= MOST_IMPROVED {
        improve(&mut order, &near);
    }
    order.extend(rest);
    order
}

/// Orders nodes by network node: nodes with the same labels stay together, level by level.
///
/// `labels` has, per node, its network nodes from the top level down (as EC2's instance topology
/// lists them), or one label. Groups come in the order of their first node, nodes in ascending
/// order.
#[must_use]
pub fn by_labels(labels: &[Vec<String>]) -> Vec<usize> {
    let mut first: BTreeMap<&[String], usize> = BTreeMap::new();
    for (node, path) in labels.iter().enumerate() {
        for depth in 1..=path.len() {
            first.entry(&path[..depth]).or_insert(node);
        }
    }
    let key = |node: usize| -> Vec<usize> {
        let path = &labels[node];
        (1..=path.len())
            .map(|depth| first[&path[..depth]])
            .collect()
    };
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by_cached_key(|&node| (key(node), node));
    order
}

/// Logarithms of latencies: measured, or made up of those of the nodes.
struct Nearness {
    center: f64,
    node: Vec<f64>,
    pairs: HashMap<Pair, f64>,
}

impl Nearness {
    fn new(observations: &Observations) -> Self {
        let together = observations.as_slice().iter().any(|o| o.rail.is_none());
        let mut values: HashMap<Pair, Vec<f64>> = HashMap::new();
        for o in observations.as_slice() {
            let Outcome::Measured(m) = &o.outcome else {
                continue;
            };
            if let Some(latency_us) = m.latency_us.filter(|_| o.rail.is_none() || !together) {
                values.entry((o.a, o.b)).or_default().push(latency_us.ln());
            }
        }
        let pairs: HashMap<Pair, f64> = values
            .into_iter()
            .filter_map(|(pair, mut values)| Some((pair, median(&mut values)?)))
            .collect();
        let mut cells: Vec<Cell> = pairs
            .iter()
            .map(|(&(from, to), &value)| Cell { from, to, value })
            .collect();
        cells.sort_by_key(|cell| (cell.from, cell.to));
        let fit = polish_symmetric(observations.nodes(), &cells);
        Self {
            center: fit.center,
            node: fit.tx,
            pairs,
        }
    }

    fn latency(&self, a: usize, b: usize) -> f64 {
        let made_up = || self.center + self.node[a] + self.node[b];
        self.pairs
            .get(&ordered(a, b))
            .copied()
            .unwrap_or_else(made_up)
            .exp()
    }
}

/// 2-opt on an open path: turns stretches round while that makes the path shorter.
fn improve(order: &mut [usize], near: &Nearness) {
    let n = order.len();
    for _ in 0..PASSES {
        let mut better = false;
        for i in 0..n.saturating_sub(1) {
            for j in i + 1..n {
                let edge = |x: Option<&usize>, y: Option<&usize>| match (x, y) {
                    (Some(&x), Some(&y)) => near.latency(x, y),
                    _ => 0.0,
                };
                let before = i.checked_sub(1).map(|k| order[k]);
                let after = order.get(j + 1).copied();
                let now =
                    edge(before.as_ref(), Some(&order[i])) + edge(Some(&order[j]), after.as_ref());
                let then =
                    edge(before.as_ref(), Some(&order[j])) + edge(Some(&order[i]), after.as_ref());
                if then < now * (1.0 - 1e-9) {
                    order[i..=j].reverse();
                    better = true;
                }
            }
        }
        if !better {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Measured, PairObservation, Round, Stage, schedule};
    use super::*;

    fn measured(nodes: usize, latency_us: impl Fn(usize, usize) -> Option<f64>) -> Observations {
        let mut all = Observations::new(nodes);
        for (index, pairs) in schedule::full(nodes).iter().enumerate() {
            let round = Round::new(index, Stage::Base, pairs);
            for &(a, b) in &round.pairs {
                if let Some(latency_us) = latency_us(a, b) {
                    let m = Measured::new(latency_us, 1.0, 1.0);
                    all.add(PairObservation::measured(a, b, None, &round, m))
                        .unwrap();
                }
            }
        }
        all
    }

    #[test]
    fn nodes_on_a_line_are_put_in_line() {
        let place = [3, 0, 5, 1, 4, 2, 7, 6];
        let line = |a: usize, b: usize| Some(f64::from(i32::abs(place[a] - place[b])));
        let order = by_latency(&measured(8, line));
        let mut places: Vec<i32> = order.iter().map(|&n| place[n]).collect();
        if places[0] > places[7] {
            places.reverse();
        }
        assert_eq!(places, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn racks_stay_together_even_where_pairs_are_missing() {
        let rack = |a: usize, b: usize| {
            // Every seventh pair was not measured, and node 9 not at all.
            let known = !(a * 10 + b).is_multiple_of(7) && b != 9;
            known.then_some(if a % 2 == b % 2 { 10.0 } else { 20.0 })
        };
        let order = by_latency(&measured(10, rack));
        assert_eq!(order.last(), Some(&9));
        let changes = order[..9]
            .windows(2)
            .filter(|w| w[0] % 2 != w[1] % 2)
            .count();
        assert_eq!(changes, 1, "{order:?}");
    }

    #[test]
    fn labels_keep_levels_together() {
        let path = |top: &str, low: &str| vec![top.to_owned(), low.to_owned()];
        let labels = [
            path("b", "x"),
            path("a", "y"),
            path("b", "z"),
            path("a", "y"),
            path("b", "x"),
        ];
        assert_eq!(by_labels(&labels), [0, 4, 2, 1, 3]);
        assert_eq!(by_labels(&[]), [] as [usize; 0]);
    }

    #[test]
    fn empty_clusters_have_an_order() {
        assert_eq!(by_latency(&Observations::new(0)), [] as [usize; 0]);
        assert_eq!(by_latency(&Observations::new(2)), [0, 1]);
    }
}
