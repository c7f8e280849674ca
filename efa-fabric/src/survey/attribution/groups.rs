//! Nodes with the same label: the difference between pairs inside and across, and groups that
//! are slower than the others as a whole.

use std::collections::HashMap;

use super::super::schedule::Pair;
use super::super::statistics::{Cell, Fit, LEAST_SPREAD, polish_symmetric, spread};
use super::channel::Both;
use super::finding::SlowGroup;
use crate::median::median;

/// A group is compared with others from this many groups on: of two, neither is to blame.
const LEAST_GROUPS: usize = 3;
/// A group has at least this many nodes; of a smaller one, a node may be to blame.
const LEAST_NODES: usize = 3;
/// This share of a slow group's nodes is slow.
const MOST_OF_ALL: f64 = 0.75;
/// A slow group is this many spreads of the groups from the others.
const CLEAR: f64 = 5.0;
/// Classes of pairs are distinguished from this many values of each on.
const LEAST_OF_CLASS: usize = 8;
/// The difference of the classes and the effects of nodes are estimated in turn.
const TURNS: usize = 3;

/// Which node has which label.
pub(super) struct Groups<'a> {
    of: Vec<usize>,
    labels: Vec<&'a str>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(labels: &'a [String]) -> Self {
        let mut number: HashMap<&str, usize> = HashMap::new();
        let mut names = Vec::new();
        let of = labels.iter().map(|label| {
            *number.entry(label.as_str()).or_insert_with(|| {
                names.push(label.as_str());
                names.len() - 1
            })
        });
        let of = of.collect();
        Self { of, labels: names }
    }

    /// Groups without labels, by the first node of each: none of them can be told to be slow.
    pub(super) fn unlabeled(of: Vec<usize>) -> Self {
        let labels = Vec::new();
        Self { of, labels }
    }

    fn of_pair(&self, (a, b): Pair) -> (usize, usize) {
        (self.of[a], self.of[b])
    }

    fn nodes(&self, group: usize) -> Vec<usize> {
        (0..self.of.len())
            .filter(|&n| self.of[n] == group)
            .collect()
    }

    /// Takes the groups that are slow as a whole, and the difference between pairs inside and
    /// across, out of the values. `effects` polishes what it is given.
    pub(super) fn even_out(
        &self,
        claim: f64,
        pairs: &mut [Both],
        alone: &mut [Both],
        effects: impl Fn(&[Both]) -> Fit,
    ) -> Vec<SlowGroup> {
        let slow = self.slow(claim, pairs);
        for group in &slow {
            self.take_out(group, pairs, alone);
        }
        for both in pairs.iter_mut().chain(alone.iter_mut()) {
            let (g, h) = self.of_pair(both.pair);
            if g == h && both.class == 0 {
                both.class = 1;
            }
        }
        let inside = |both: &Both| self.of[both.pair.0] == self.of[both.pair.1];
        // At first from the values themselves; then from what the nodes leave unexplained.
        let mut fit: Option<Fit> = None;
        for _ in 0..TURNS {
            let class = |wanted: bool| {
                let mut values: Vec<f64> = pairs
                    .iter()
                    .filter(|both| inside(both) == wanted)
                    .flat_map(|both| {
                        let (a, b) = both.pair;
                        let left = |from, to, value| match &fit {
                            Some(fit) => fit.residual(&Cell { from, to, value }),
                            None => value,
                        };
                        [left(a, b, both.forth), left(b, a, both.back)]
                    })
                    .filter(|v| v.is_finite())
                    .collect();
                (values.len() >= LEAST_OF_CLASS)
                    .then(|| median(&mut values))
                    .flatten()
            };
            let (Some(within), Some(across)) = (class(true), class(false)) else {
                break;
            };
            let difference = within - across;
            for both in pairs.iter_mut().chain(alone.iter_mut()) {
                if inside(both) {
                    both.take_out(difference);
                }
            }
            if difference.abs() < LEAST_SPREAD / 10.0 {
                break;
            }
            fit = Some(effects(pairs));
        }
        slow
    }

    /// Groups of which nearly every node is slower with all other groups.
    fn slow(&self, claim: f64, pairs: &[Both]) -> Vec<SlowGroup> {
        if self.labels.len() < LEAST_GROUPS {
            return Vec::new();
        }
        let across: Vec<(usize, usize, f64)> = pairs
            .iter()
            .filter(|both| self.of[both.pair.0] != self.of[both.pair.1])
            .flat_map(|both| {
                let (a, b) = both.pair;
                [(a, b, both.forth), (b, a, both.back)]
            })
            .filter(|(_, _, value)| value.is_finite())
            .collect();
        let cells: Vec<Cell> = across
            .iter()
            .map(|&(a, b, value)| Cell {
                from: self.of[a],
                to: self.of[b],
                value,
            })
            .collect();
        let fit = polish_symmetric(self.labels.len(), &cells);
        let scale = spread(fit.tx.iter().copied(), LEAST_SPREAD);
        let mut slow: Vec<usize> = (0..self.labels.len())
            .filter(|&g| fit.tx[g] <= claim && fit.tx[g] <= -CLEAR * scale)
            .collect();
        slow.retain(|&group| {
            let nodes = self.nodes(group);
            let low = nodes.iter().filter(|&&node| {
                let mut left: Vec<f64> = across
                    .iter()
                    .filter(|&&(a, b, _)| a == node || b == node)
                    .map(|&(a, b, value)| {
                        let other = if a == node { b } else { a };
                        value - fit.center - fit.tx[self.of[other]].max(0.0)
                    })
                    .collect();
                median(&mut left).is_some_and(|left| left <= fit.tx[group] / 2.0)
            });
            nodes.len() >= LEAST_NODES && low.count() as f64 >= MOST_OF_ALL * nodes.len() as f64
        });
        let bad = slow.clone();
        slow.into_iter()
            .map(|group| {
                let is = |g: usize| self.of[g] == group;
                let values = |own: bool| {
                    across
                        .iter()
                        .filter(|&&(a, b, _)| {
                            if own {
                                is(a) || is(b)
                            } else {
                                !bad.contains(&self.of[a]) && !bad.contains(&self.of[b])
                            }
                        })
                        .map(|&(_, _, value)| value)
                        .collect::<Vec<f64>>()
                };
                SlowGroup {
                    group,
                    label: self.labels[group].to_owned(),
                    nodes: self.nodes(group),
                    z: fit.tx[group] / scale,
                    own: values(true),
                    others: values(false),
                }
            })
            // Between slow groups only, nothing is left to compare with.
            .filter(|group| !group.others.is_empty())
            .collect()
    }

    fn take_out(&self, slow: &SlowGroup, pairs: &mut [Both], alone: &mut [Both]) {
        let middle = |values: Vec<f64>| median(&mut values.clone());
        let others = middle(slow.others.clone());
        let across = middle(slow.own.clone())
            .zip(others)
            .map(|(own, all)| own - all);
        let inside = |wanted: bool| {
            let values = pairs.iter().filter(|both| {
                let (g, h) = self.of_pair(both.pair);
                g == h && (g == slow.group) == wanted
            });
            let values = values.flat_map(|both| [both.forth, both.back]);
            middle(values.filter(|v| v.is_finite()).collect())
        };
        let within = inside(true).zip(inside(false)).map(|(own, all)| own - all);
        for both in pairs.iter_mut().chain(alone) {
            let (g, h) = self.of_pair(both.pair);
            if g != slow.group && h != slow.group || both.class > 1 {
                continue;
            }
            let (shift, class) = if g == h {
                (within, 3 + 2 * slow.group)
            } else {
                (across, 2 + 2 * slow.group)
            };
            both.take_out(shift.unwrap_or(0.0));
            both.class = class;
        }
    }
}
