//! Nodes with the same label: the difference between pairs inside and across, and groups that
//! are slower than the others as a whole.

use std::collections::{BTreeMap, HashMap};

use super::super::schedule::Pair;
use super::super::statistics::{Cell, Fit, LEAST_SPREAD, polish_symmetric, spread};
use super::super::verdict::{Direction, GroupRates};
use super::channel::Both;
use super::finding::{ByGroup, SlowGroup};
use crate::median::median;

/// A group is compared with others from this many groups on: of two, neither is to blame.
const LEAST_GROUPS: usize = 3;
/// A group has at least this many nodes, or two that are fast with each other: of a smaller one, a node
/// may be to blame.
const LEAST_NODES: usize = 3;
/// This share of a slow group's nodes is slow.
const MOST_OF_ALL: f64 = 0.75;
/// It is slow with this share of the other groups: with fewer, the paths to them are.
const MOST_OF_OTHERS: f64 = 0.9;
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

    /// Groups without labels, by the first node of each: none of them can be called slow.
    pub(super) fn unlabeled(of: Vec<usize>) -> Self {
        let labels = Vec::new();
        Self { of, labels }
    }

    pub(super) fn of(&self, node: usize) -> usize {
        self.of[node]
    }

    pub(super) fn label(&self, group: usize) -> &'a str {
        self.labels[group]
    }

    fn of_pair(&self, (a, b): Pair) -> (usize, usize) {
        (self.of[a], self.of[b])
    }

    pub(super) fn nodes(&self, group: usize) -> Vec<usize> {
        (0..self.of.len())
            .filter(|&n| self.of[n] == group)
            .collect()
    }

    /// Takes the groups and paths that are slow as a whole, and the difference between pairs inside
    /// and across, out of the values. `effects` polishes what it is given; values with a direction
    /// are rates.
    pub(super) fn even_out(
        &self,
        claim: f64,
        is_directed: bool,
        pairs: &mut [Both],
        alone: &mut [Both],
        effects: impl Fn(&[Both]) -> Fit,
    ) -> ByGroup {
        let ways = each_once(pairs);
        let slow = self.slow(claim, is_directed, &ways);
        let paths = match is_directed {
            true => self.slow_paths(claim, &ways, &slow),
            false => Vec::new(),
        };
        let mut by_group = ByGroup {
            slow,
            paths,
            rates: None,
        };
        if is_directed {
            by_group.rates = self.rates(&ways, &by_group);
        }
        self.take_out(&by_group, pairs, alone);
        self.take_out_inside(pairs, alone, effects);
        by_group
    }

    /// Takes the difference between pairs inside and across out of the values.
    pub(super) fn take_out_inside(
        &self,
        pairs: &mut [Both],
        alone: &mut [Both],
        effects: impl Fn(&[Both]) -> Fit,
    ) {
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
    }

    /// Groups of which nearly every node is slower with nearly all other groups.
    fn slow(&self, claim: f64, is_directed: bool, ways: &[Cell]) -> Vec<SlowGroup> {
        if self.labels.len() < LEAST_GROUPS {
            return Vec::new();
        }
        let across = ways
            .iter()
            .filter(|way| self.of[way.from] != self.of[way.to]);
        let across = Across::new(self, across.copied().collect());
        let mut slow: Vec<(usize, Direction, f64)> = Vec::new();
        let directions: &[Direction] = match is_directed {
            true => &[Direction::Both, Direction::Sends, Direction::Receives],
            false => &[Direction::Both],
        };
        for &direction in directions {
            let effects: Vec<f64> = (0..self.labels.len())
                .map(|group| across.effect(group, direction))
                .collect();
            let scale = spread(effects.iter().copied(), LEAST_SPREAD);
            for (group, &effect) in effects.iter().enumerate() {
                let is_new = slow.iter().all(|&(other, ..)| other != group);
                let is_low = effect <= claim && effect <= -CLEAR * scale;
                if !is_new
                    || !is_low
                    || !self.is_group(group, across.fit.center + effect / 2.0, ways)
                    || !across.is_all_slow(group, direction, effect)
                {
                    continue;
                }
                // Slow in one direction, the median of both is no rate of anything; slow in both,
                // one of them may stand out more.
                let is_slow = |way| across.effect(group, way) <= effect / 2.0;
                let is_each =
                    !is_directed || is_slow(Direction::Sends) && is_slow(Direction::Receives);
                match direction {
                    _ if is_each => slow.push((group, Direction::Both, effect / scale)),
                    Direction::Both => {}
                    _ => slow.push((group, direction, effect / scale)),
                }
            }
        }
        let bad: Vec<usize> = slow.iter().map(|&(group, ..)| group).collect();
        let said = slow.into_iter().map(|(group, direction, z)| {
            let mut found = SlowGroup {
                group,
                direction,
                label: self.labels[group].to_owned(),
                nodes: self.nodes(group),
                z,
                own: Vec::new(),
                others: Vec::new(),
            };
            for way in &across.ways {
                let (from, to) = (self.of[way.from], self.of[way.to]);
                if found.has_way(from, to) {
                    found.own.push(way.value);
                } else if !bad.contains(&from) && !bad.contains(&to) {
                    found.others.push(way.value);
                }
            }
            found
        });
        // Between slow groups only, nothing is left to compare with.
        said.filter(|group| !group.others.is_empty()).collect()
    }

    /// Whether its nodes are enough to be called a group: two only where they are faster than this with each
    /// other (logarithm).
    fn is_group(&self, group: usize, slow: f64, ways: &[Cell]) -> bool {
        let inside = ways
            .iter()
            .filter(|way| (self.of[way.from], self.of[way.to]) == (group, group));
        let mut inside: Vec<f64> = inside.map(|way| way.value).collect();
        let is_fast = median(&mut inside).is_some_and(|value| value > slow);
        match self.nodes(group).len() {
            0 | 1 => false,
            2 => is_fast,
            count => count >= LEAST_NODES,
        }
    }

    /// The rates inside and across groups, without what is slow of them.
    fn rates(&self, ways: &[Cell], by_group: &ByGroup) -> Option<GroupRates> {
        if self.labels.len() < 2 {
            return None;
        }
        let (mut inside, mut across) = (Vec::new(), Vec::new());
        for way in ways {
            let (from, to) = (self.of[way.from], self.of[way.to]);
            if by_group.is_slow(from, to) {
                continue;
            }
            match from == to {
                true => inside.push(way.value.exp()),
                false => across.push(way.value.exp()),
            }
        }
        Some(GroupRates {
            inside_ways: inside.len(),
            inside_gbps: median(&mut inside),
            across_ways: across.len(),
            across_gbps: median(&mut across),
        })
    }

    fn take_out(&self, by_group: &ByGroup, pairs: &mut [Both], alone: &mut [Both]) {
        for slow in &by_group.slow {
            let middle = |values: Vec<f64>| median(&mut values.clone());
            let others = middle(slow.others.clone());
            let across = middle(slow.own.clone()).zip(others);
            let across = across.map_or(0.0, |(own, all)| own - all);
            let inside = |wanted: bool| {
                let values = pairs.iter().filter(|both| {
                    let (g, h) = self.of_pair(both.pair);
                    g == h && (g == slow.group) == wanted
                });
                let values = values.flat_map(|both| [both.forth, both.back]);
                middle(values.filter(|v| v.is_finite()).collect())
            };
            let within = inside(true).zip(inside(false));
            let within = within.map_or(0.0, |(own, all)| own - all);
            for both in pairs.iter_mut().chain(alone.iter_mut()) {
                let (g, h) = self.of_pair(both.pair);
                let ways = [slow.has_way(g, h), slow.has_way(h, g)];
                let (shift, class) = if g == h {
                    (within, 3 + 2 * slow.group)
                } else {
                    (across, 2 + 2 * slow.group)
                };
                both.take_out_ways(ways, shift, class);
            }
        }
        let first = 2 + 2 * self.labels.len();
        for (number, slow) in by_group.paths.iter().enumerate() {
            for both in pairs.iter_mut().chain(alone.iter_mut()) {
                let (g, h) = self.of_pair(both.pair);
                let ways = [slow.has_way(g, h), slow.has_way(h, g)];
                both.take_out_ways(ways, slow.shift, first + number);
            }
        }
    }
}

/// What was measured between groups, and what a polish made of it.
struct Across<'a> {
    groups: &'a Groups<'a>,
    ways: Vec<Cell>,
    fit: Fit,
}

impl<'a> Across<'a> {
    fn new(groups: &'a Groups<'a>, ways: Vec<Cell>) -> Self {
        let of_groups = ways.iter().map(|way| Cell {
            from: groups.of[way.from],
            to: groups.of[way.to],
            value: way.value,
        });
        let cells: Vec<Cell> = of_groups.collect();
        let fit = polish_symmetric(groups.labels.len(), &cells);
        Self { groups, ways, fit }
    }

    /// How much slower than the others a group is, as a logarithm.
    fn effect(&self, group: usize, direction: Direction) -> f64 {
        if direction == Direction::Both {
            return self.fit.tx[group];
        }
        let mut left: Vec<f64> = self.left(group, direction).map(|(.., left)| left).collect();
        median(&mut left).unwrap_or(f64::NAN)
    }

    /// What was measured of a group in this direction: its node, the other group, and what the
    /// typical value leaves of it.
    fn left(
        &self,
        group: usize,
        direction: Direction,
    ) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
        self.ways.iter().filter_map(move |way| {
            let sends = self.groups.of[way.from] == group;
            let receives = self.groups.of[way.to] == group;
            let counts = match direction {
                Direction::Sends => sends,
                Direction::Receives => receives,
                _ => sends || receives,
            };
            let (node, other) = match sends {
                true => (way.from, self.groups.of[way.to]),
                false => (way.to, self.groups.of[way.from]),
            };
            let left = way.value - self.fit.center - self.fit.tx[other].max(0.0);
            counts.then_some((node, other, left))
        })
    }

    /// Whether nearly all nodes of a group are slow, with nearly all other groups.
    fn is_all_slow(&self, group: usize, direction: Direction, effect: f64) -> bool {
        let mut of_nodes: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        let mut of_others: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for (node, other, left) in self.left(group, direction) {
            of_nodes.entry(node).or_default().push(left);
            of_others.entry(other).or_default().push(left);
        }
        let low = |of: BTreeMap<usize, Vec<f64>>| {
            let is_low = |mut left: Vec<f64>| median(&mut left).is_some_and(|v| v <= effect / 2.0);
            of.into_values()
                .filter_map(|left| is_low(left).then_some(()))
                .count() as f64
        };
        let (nodes, others) = (
            self.groups.nodes(group).len() as f64,
            of_others.len() as f64,
        );
        low(of_nodes) >= MOST_OF_ALL * nodes && low(of_others) >= MOST_OF_OTHERS * others
    }
}

/// Each direction of each pair once, however often it was measured: what was measured again since
/// it is slow must not weigh more. Of several measurements it is the median.
fn each_once(pairs: &[Both]) -> Vec<Cell> {
    let mut ways: BTreeMap<Pair, Vec<f64>> = BTreeMap::new();
    for both in pairs {
        let (a, b) = both.pair;
        for (way, value) in [((a, b), both.forth), ((b, a), both.back)] {
            if value.is_finite() {
                ways.entry(way).or_default().push(value);
            }
        }
    }
    let cell = |((from, to), mut values): (Pair, Vec<f64>)| {
        let value = median(&mut values)?;
        Some(Cell { from, to, value })
    };
    ways.into_iter().filter_map(cell).collect()
}
