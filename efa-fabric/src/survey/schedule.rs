//! Which pairs of nodes are measured at the same time. No node is twice in a round.
//!
//! A [`Schedule`] makes one round at a time, so that memory is O(n) however many rounds there
//! are. Nodes are numbers from 0; a pair is given lower number first.

use super::random::Random;

/// Two nodes, the lower number first.
pub type Pair = (usize, usize);

/// Rounds of disjoint pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    nodes: usize,
    rounds: usize,
    shape: Shape,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Full,
    /// Per round, the round of the circle method under this labelling.
    Sampled {
        labelling: Vec<usize>,
        picks: Vec<usize>,
    },
    Ring,
    Within {
        groups: Vec<Vec<usize>>,
    },
    Between {
        groups: Vec<Vec<usize>>,
        width: usize,
    },
}

/// Returns every pair of nodes exactly once: the circle method. n − 1 rounds for an even number of
/// nodes, n for an odd one, where each node rests once. No rounds below two nodes.
#[must_use]
pub fn full(nodes: usize) -> Schedule {
    Schedule {
        nodes,
        rounds: circle_rounds(nodes),
        shape: Shape::Full,
    }
}

/// Returns `rounds` random perfect matchings (with an odd number of nodes, one rests).
///
/// No pair comes twice before every pair has come once: a round is a random round of the circle
/// method under a random labelling.
#[must_use]
pub fn sampled(nodes: usize, rounds: usize, seed: u64) -> Schedule {
    let mut random = Random::for_purpose(seed, 1);
    let mut labelling: Vec<usize> = (0..nodes).collect();
    random.shuffle(&mut labelling);
    let all = circle_rounds(nodes);
    let mut picks = Vec::new();
    while all > 0 && picks.len() < rounds {
        let mut some: Vec<usize> = (0..all).collect();
        random.shuffle(&mut some);
        some.truncate(rounds - picks.len());
        picks.append(&mut some);
    }
    Schedule {
        nodes,
        rounds: picks.len(),
        shape: Shape::Sampled { labelling, picks },
    }
}

/// Returns each node with the next, and the last with the first: 2 rounds, 3 for an odd number.
#[must_use]
pub fn ring(nodes: usize) -> Schedule {
    let rounds = match nodes {
        0 | 1 => 0,
        2 => 1,
        n if n % 2 == 0 => 2,
        _ => 3,
    };
    Schedule {
        nodes,
        rounds,
        shape: Shape::Ring,
    }
}

/// Returns every pair of nodes with the same label exactly once; all groups at the same time.
#[must_use]
pub fn within_groups(labels: &[String]) -> Schedule {
    let groups = groups(labels);
    Schedule {
        nodes: labels.len(),
        rounds: groups
            .iter()
            .map(|g| circle_rounds(g.len()))
            .max()
            .unwrap_or(0),
        shape: Shape::Within { groups },
    }
}

/// Returns every pair of nodes with different labels exactly once.
#[must_use]
pub fn between_groups(labels: &[String]) -> Schedule {
    let groups = groups(labels);
    let width = groups.iter().map(Vec::len).max().unwrap_or(0);
    Schedule {
        nodes: labels.len(),
        rounds: circle_rounds(groups.len()) * width,
        shape: Shape::Between { groups, width },
    }
}

impl Schedule {
    /// Returns the number of nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Returns the number of rounds. A round of groups of different sizes may hold few pairs.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    /// Returns the pairs of one round; empty from [`rounds`](Self::rounds) on.
    #[must_use]
    pub fn round(&self, index: usize) -> Vec<Pair> {
        if index >= self.rounds {
            return Vec::new();
        }
        match &self.shape {
            Shape::Full => circle(self.nodes, index).collect(),
            Shape::Sampled { labelling, picks } => circle(self.nodes, picks[index])
                .map(|(a, b)| ordered(labelling[a], labelling[b]))
                .collect(),
            Shape::Ring => self.ring_round(index),
            Shape::Within { groups } => groups
                .iter()
                .filter(|group| index < circle_rounds(group.len()))
                .flat_map(|group| {
                    circle(group.len(), index).map(|(a, b)| ordered(group[a], group[b]))
                })
                .collect(),
            Shape::Between { groups, width } => circle(groups.len(), index / width)
                .flat_map(|(g, h)| across(&groups[g], &groups[h], index % width))
                .collect(),
        }
    }

    /// Returns all rounds, one after another.
    pub fn iter(&self) -> impl Iterator<Item = Vec<Pair>> + '_ {
        (0..self.rounds).map(|index| self.round(index))
    }

    fn ring_round(&self, index: usize) -> Vec<Pair> {
        let n = self.nodes;
        if index == 2 {
            return vec![(0, n - 1)];
        }
        let closing = if n.is_multiple_of(2) { n } else { n - 1 };
        (index..closing)
            .step_by(2)
            .map(|i| ordered(i, (i + 1) % n))
            .collect()
    }
}

/// Rounds that the circle method needs.
fn circle_rounds(nodes: usize) -> usize {
    match nodes {
        0 | 1 => 0,
        n if n % 2 == 0 => n - 1,
        n => n,
    }
}

/// Round `index` of the circle method: the pairs whose numbers sum to `index`, modulo the odd
/// number of places on the circle. Of an even number of nodes, the last stands in the middle and
/// meets the node that would meet itself; of an odd number, that node rests.
fn circle(nodes: usize, index: usize) -> impl Iterator<Item = Pair> {
    let places = circle_rounds(nodes).max(1);
    let middle = (nodes.is_multiple_of(2) && nodes > 0).then(|| nodes - 1);
    (0..nodes.min(places)).filter_map(move |a| {
        let b = (index % places + places - a) % places;
        match a.cmp(&b) {
            std::cmp::Ordering::Less => Some((a, b)),
            std::cmp::Ordering::Equal => middle.map(|middle| ordered(a, middle)),
            std::cmp::Ordering::Greater => None,
        }
    })
}

/// Turn `turn` of all pairs between two groups: the longer one is moved along the shorter.
fn across<'a>(g: &'a [usize], h: &'a [usize], turn: usize) -> impl Iterator<Item = Pair> + 'a {
    let (short, long) = if g.len() <= h.len() { (g, h) } else { (h, g) };
    let turns = long.len();
    short
        .iter()
        .enumerate()
        .filter(move |_| turn < turns)
        .map(move |(i, &a)| ordered(a, long[(i + turn) % turns]))
}

/// Nodes by label, in order of first appearance.
fn groups(labels: &[String]) -> Vec<Vec<usize>> {
    let mut index = std::collections::HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (node, label) in labels.iter().enumerate() {
        let group = *index.entry(label).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(node);
    }
    groups
}

pub(crate) fn ordered(a: usize, b: usize) -> Pair {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    fn assert_disjoint(schedule: &Schedule) {
        for round in schedule.iter() {
            let mut busy = HashSet::new();
            for (a, b) in round {
                assert!(a < b && b < schedule.nodes(), "({a}, {b})");
                assert!(busy.insert(a) && busy.insert(b), "({a}, {b}) shares a node");
            }
        }
    }

    fn counts(schedule: &Schedule) -> HashMap<Pair, usize> {
        let mut counts = HashMap::new();
        schedule
            .iter()
            .flatten()
            .for_each(|p| *counts.entry(p).or_default() += 1);
        counts
    }

    fn labels(of: &[u8]) -> Vec<String> {
        of.iter().map(|l| format!("nn-{l}")).collect()
    }

    #[test]
    fn small_clusters() {
        for (nodes, rounds) in [(0, 0), (1, 0), (2, 1), (3, 3), (4, 3), (5, 5)] {
            assert_eq!(full(nodes).rounds(), rounds, "{nodes}");
        }
        assert_eq!(full(2).round(0), [(0, 1)]);
        assert_eq!(
            full(3).iter().collect::<Vec<_>>(),
            [[(1, 2)], [(0, 1)], [(0, 2)]]
        );
        assert_eq!(full(2).round(1), []);
        assert_eq!(sampled(0, 3, 1).rounds(), 0);
        assert_eq!(sampled(1, 3, 1).rounds(), 0);
        assert_eq!(
            sampled(2, 3, 1).iter().collect::<Vec<_>>(),
            vec![vec![(0, 1)]; 3]
        );
        assert_eq!(between_groups(&[]).rounds(), 0);
    }

    #[test]
    fn ring_closes() {
        assert_eq!(ring(1).rounds(), 0);
        assert_eq!(ring(2).iter().collect::<Vec<_>>(), [[(0, 1)]]);
        assert_eq!(
            ring(3).iter().collect::<Vec<_>>(),
            [[(0, 1)], [(1, 2)], [(0, 2)]]
        );
        assert_eq!(
            ring(4).iter().collect::<Vec<_>>(),
            [[(0, 1), (2, 3)], [(1, 2), (0, 3)]]
        );
    }

    proptest! {
        #[test]
        fn full_has_every_pair_once(nodes in 0usize..70) {
            let schedule = full(nodes);
            assert_disjoint(&schedule);
            let counts = counts(&schedule);
            prop_assert_eq!(counts.len(), nodes * nodes.saturating_sub(1) / 2);
            prop_assert!(counts.values().all(|&c| c == 1));
            for round in schedule.iter() {
                prop_assert_eq!(round.len(), nodes / 2);
            }
        }

        #[test]
        fn sampled_is_perfect_distinct_and_repeatable(nodes in 2usize..70, rounds in 0usize..20, seed: u64) {
            let schedule = sampled(nodes, rounds, seed);
            assert_disjoint(&schedule);
            prop_assert_eq!(schedule.rounds(), rounds);
            for round in schedule.iter() {
                prop_assert_eq!(round.len(), nodes / 2);
            }
            let most = counts(&schedule).values().copied().max().unwrap_or(0);
            prop_assert!(most <= rounds.div_ceil(circle_rounds(nodes)));
            prop_assert_eq!(&schedule, &sampled(nodes, rounds, seed));
        }

        #[test]
        fn ring_has_every_neighbour_once(nodes in 3usize..70) {
            let schedule = ring(nodes);
            assert_disjoint(&schedule);
            let counts = counts(&schedule);
            prop_assert_eq!(counts.len(), nodes);
            for i in 0..nodes {
                prop_assert_eq!(counts.get(&ordered(i, (i + 1) % nodes)), Some(&1));
            }
        }

        #[test]
        fn groups_split_the_pairs(of in proptest::collection::vec(0u8..5, 0..24)) {
            let labels = labels(&of);
            let (within, between) = (within_groups(&labels), between_groups(&labels));
            assert_disjoint(&within);
            assert_disjoint(&between);
            let (within, between) = (counts(&within), counts(&between));
            for b in 0..of.len() {
                for a in 0..b {
                    let same = of[a] == of[b];
                    prop_assert_eq!(within.get(&(a, b)).copied().unwrap_or(0), usize::from(same));
                    prop_assert_eq!(between.get(&(a, b)).copied().unwrap_or(0), usize::from(!same));
                }
            }
        }

        #[test]
        fn other_seeds_give_other_rounds(seed: u64) {
            prop_assert_ne!(sampled(64, 3, seed), sampled(64, 3, seed.wrapping_add(1)));
        }
    }
}
