//! Sets of nodes that work inside and do not reach each other: a security group, a route or a
//! subnet between healthy nodes.

use std::collections::{BTreeMap, BTreeSet};

use super::super::schedule::{Pair, ordered};
use super::{LEAST_OF_PAIR, Reach, Sets};

/// Pairs between sets that never worked, at least: two sets of two nodes each have as many.
const LEAST_PAIRS: usize = 4;
/// Of those, this many failed as often as a verdict on a pair needs.
const LEAST_TRIED: usize = 2;

impl Reach {
    /// The sets that explain the pairs that never worked, if any do.
    pub(super) fn find_sets(&self) -> Option<Sets> {
        let failed: Vec<Pair> = never_worked(self).collect();
        if failed.len() < LEAST_PAIRS {
            return None;
        }
        let islands = from(self, self.islands.clone(), &failed);
        let is_of_live = |&(a, b): &Pair| self.alive(a) && self.alive(b);
        let of_live: Vec<Pair> = failed.into_iter().filter(is_of_live).collect();
        let sides = sides(&of_live, &self.good);
        let sides = sides.and_then(|sides| from(self, sides.into(), &of_live));
        // What explains more; where both explain the same, all of each set is known.
        [sides, islands]
            .into_iter()
            .flatten()
            .max_by_key(|sets| sets.tried.len())
    }

    /// Whether sets of nodes may explain what failed: else they are not looked for.
    pub(super) fn may_be_apart(&self) -> bool {
        self.any_success
            && (self.dead().next().is_some() || never_worked(self).count() >= LEAST_PAIRS)
    }

    /// Nodes that reach each other, over others too: sets that failed with another one.
    pub(super) fn find_islands(&self) -> Vec<Vec<usize>> {
        let all = components(&neighbours(self.good.iter().copied()));
        let of: BTreeMap<usize, usize> = set_of(&all);
        let failed = never_worked(self).filter_map(|(a, b)| Some([*of.get(&a)?, *of.get(&b)?]));
        let apart: BTreeSet<usize> = failed.filter(|[a, b]| a != b).flatten().collect();
        apart.into_iter().map(|at| all[at].clone()).collect()
    }
}

/// Pairs that never worked, but for those of lost nodes.
fn never_worked(reach: &Reach) -> impl Iterator<Item = Pair> + '_ {
    let is_lost = |node: usize| reach.nodes[node].silent || reach.is_lost(node);
    (reach.pairs.iter())
        .filter(move |((a, b), tally)| tally.reached == 0 && !is_lost(*a) && !is_lost(*b))
        .map(|(&pair, _)| pair)
}

/// Those of these sets that are apart from another, if enough was seen of it.
fn from(reach: &Reach, sets: Vec<Vec<usize>>, failed: &[Pair]) -> Option<Sets> {
    let of = set_of(&sets);
    let is_between = |&&(a, b): &&Pair| match (of.get(&a), of.get(&b)) {
        (Some(a), Some(b)) => a != b,
        _ => false,
    };
    let tried: Vec<Pair> = failed.iter().filter(is_between).copied().collect();
    let named: BTreeSet<usize> = tried.iter().flat_map(|&(a, b)| [of[&a], of[&b]]).collect();
    if tried.len() < LEAST_PAIRS {
        return None;
    }
    let times = |pair: &Pair| reach.pairs[pair].failed;
    let often = tried.iter().filter(|pair| times(pair) >= LEAST_OF_PAIR);
    let often = often.count() >= LEAST_TRIED;
    let mut sets: Vec<Vec<usize>> = named.into_iter().map(|at| sets[at].clone()).collect();
    sets.sort_by_key(|nodes| (nodes.len(), nodes[0]));
    let untried = untried(&sets, &tried, &reach.good);
    Some(Sets {
        sets,
        attempts: tried.iter().map(times).sum(),
        tried,
        is_seen: often,
        is_certain: often && untried.is_empty(),
        untried,
    })
}

/// A pair inside each set in which none worked, and one between two sets if none failed.
fn untried(sets: &[Vec<usize>], failed: &[Pair], good: &BTreeSet<Pair>) -> Vec<Pair> {
    let mut untried = Vec::new();
    let failed: BTreeSet<Pair> = failed.iter().copied().collect();
    for (i, one) in sets.iter().enumerate() {
        if !meet(good, one, one) {
            untried.push((one[0], one[1]));
        }
        for other in &sets[i + 1..] {
            if !meet(&failed, one, other) {
                untried.push(ordered(one[0], other[0]));
            }
        }
    }
    untried
}

/// The position of the set of each node.
fn set_of(sets: &[Vec<usize>]) -> BTreeMap<usize, usize> {
    let all = sets.iter().enumerate();
    all.flat_map(|(at, nodes)| nodes.iter().map(move |&node| (node, at)))
        .collect()
}

/// The two sides of the pairs that failed, each with two nodes at least, where no pair of nodes of
/// the two sides worked and none of one side failed. What fits to the largest group of such pairs in
/// one way only is joined with it.
fn sides(failed: &[Pair], good: &BTreeSet<Pair>) -> Option<[Vec<usize>; 2]> {
    let neighbours = neighbours(failed.iter().copied());
    let mut all: Vec<[Vec<usize>; 2]> = components(&neighbours)
        .iter()
        .filter_map(|nodes| coloured(nodes[0], &neighbours))
        .filter(|[one, other]| !meet(good, one, other))
        .collect();
    all.sort_by_key(|[one, other]| std::cmp::Reverse(one.len() + other.len()));
    let mut all = all.into_iter();
    let [mut one, mut other] = all.next()?;
    for [a, b] in all {
        let straight = !meet(good, &one, &b) && !meet(good, &other, &a);
        let crossed = !meet(good, &one, &a) && !meet(good, &other, &b);
        let (a, b) = match (straight, crossed) {
            (true, false) => (a, b),
            (false, true) => (b, a),
            _ => continue,
        };
        one.extend(a);
        other.extend(b);
    }
    one.sort_unstable();
    other.sort_unstable();
    (one.len() > 1 && other.len() > 1).then_some([one, other])
}

/// Whether one of these pairs has a node of one set and one of another.
fn meet(pairs: &BTreeSet<Pair>, one: &[usize], other: &[usize]) -> bool {
    let mut all = (one.iter()).flat_map(|&a| other.iter().map(move |&b| ordered(a, b)));
    all.any(|pair| pairs.contains(&pair))
}

/// All that is connected with a node in two sides, so that no two neighbours are of one side; `None`
/// where there are no such.
fn coloured(first: usize, neighbours: &Neighbours) -> Option<[Vec<usize>; 2]> {
    let mut side = BTreeMap::from([(first, 0)]);
    let mut open = vec![first];
    while let Some(node) = open.pop() {
        let opposite = 1 - side[&node];
        for &other in &neighbours[&node] {
            match side.get(&other) {
                None => {
                    side.insert(other, opposite);
                    open.push(other);
                }
                Some(&is) if is != opposite => return None,
                Some(_) => {}
            }
        }
    }
    let of = |at| (side.iter().filter(move |&(_, &is)| is == at)).map(|(&node, _)| node);
    Some([of(0).collect(), of(1).collect()])
}

/// Nodes that are connected, each set ascending.
fn components(neighbours: &Neighbours) -> Vec<Vec<usize>> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for &first in neighbours.keys() {
        if !seen.insert(first) {
            continue;
        }
        let (mut nodes, mut open) = (vec![first], vec![first]);
        while let Some(node) = open.pop() {
            for &other in &neighbours[&node] {
                if seen.insert(other) {
                    nodes.push(other);
                    open.push(other);
                }
            }
        }
        nodes.sort_unstable();
        all.push(nodes);
    }
    all
}

/// By node, those that it is in a pair with.
type Neighbours = BTreeMap<usize, Vec<usize>>;

fn neighbours(pairs: impl Iterator<Item = Pair>) -> Neighbours {
    let mut neighbours = Neighbours::new();
    for (a, b) in pairs {
        neighbours.entry(a).or_default().push(b);
        neighbours.entry(b).or_default().push(a);
    }
    neighbours
}
