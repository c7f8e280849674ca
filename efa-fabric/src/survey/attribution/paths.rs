//! Paths between two groups, and inside of one, that are slower than the others: no node is to
//! blame for them, and neither is all of a group.

use std::collections::{BTreeMap, BTreeSet};

use super::super::statistics::{Cell, LEAST_SPREAD, spread, tail};
use super::super::verdict::Direction;
use super::finding::{SlowGroup, SlowPath};
use super::groups::Groups;
use crate::median::median;

/// This share of the pairs of a slow path is slow; one slow node of three makes up less.
const MOST_OF_ALL: f64 = 0.75;
/// A slow path is this many standard errors from the others, as a slow group is.
const CLEAR: f64 = 5.0;
/// Chance that any path of a survey is as slow by the luck of its pairs.
const CHANCE: f64 = 0.001;
/// Nodes on each side of a path: of one, the node may be to blame.
const LEAST_OF_SIDE: usize = 2;
/// Nodes of a group that is slow inside.
const LEAST_INSIDE: usize = 3;
/// Slow in both directions, this many paths are single faults; above a share of all, a topology.
const SINGLE_PATHS: usize = 2;
const SINGLE_SHARE: f64 = 0.25;

/// From one group to another, or inside of one.
type Path = (usize, usize);

/// What is known of the paths, each direction of each pair once.
struct Paths<'a> {
    groups: &'a Groups<'a>,
    ways: BTreeMap<Path, Vec<Cell>>,
    medians: BTreeMap<Path, f64>,
    /// What each path is compared with, without those that a slow group explains.
    usual: BTreeMap<Path, f64>,
    /// The spread of single pairs within a path.
    scale: f64,
}

impl Groups<'_> {
    /// Paths that are slower than the others, in the directions in which they are.
    pub(super) fn slow_paths(
        &self,
        claim: f64,
        ways: &[Cell],
        slow: &[SlowGroup],
    ) -> Vec<SlowPath> {
        let paths = Paths::new(self, ways, slow);
        let found: BTreeMap<Path, Vec<f64>> = (paths.usual.keys())
            .filter_map(|&path| Some((path, paths.slow(path, claim)?)))
            .collect();
        let mut directions: BTreeMap<Path, Direction> = BTreeMap::new();
        for &(from, to) in found.keys() {
            let direction = match from.cmp(&to) {
                _ if from == to || found.contains_key(&(to, from)) => Direction::Both,
                std::cmp::Ordering::Less => Direction::LowerToHigher,
                _ => Direction::HigherToLower,
            };
            directions.insert((from.min(to), from.max(to)), direction);
        }
        let is_mutual =
            |(path, of): (&Path, &Direction)| path.0 != path.1 && *of == Direction::Both;
        let mutual = directions
            .iter()
            .filter(|&(p, d)| is_mutual((p, d)))
            .count();
        let between: BTreeSet<Path> = (paths.usual.keys())
            .filter(|(from, to)| from != to)
            .map(|&(from, to)| (from.min(to), from.max(to)))
            .collect();
        if mutual > SINGLE_PATHS.max((SINGLE_SHARE * between.len() as f64) as usize) {
            directions.retain(|path, of| !is_mutual((path, of)));
        }
        let said = directions.into_iter();
        said.filter_map(|(path, direction)| paths.said(path, direction, &found))
            .collect()
    }
}

impl<'a> Paths<'a> {
    fn new(groups: &'a Groups<'a>, all: &[Cell], slow: &[SlowGroup]) -> Self {
        let mut ways: BTreeMap<Path, Vec<Cell>> = BTreeMap::new();
        for way in all {
            let path = (groups.of(way.from), groups.of(way.to));
            if !slow.iter().any(|slow| slow.has_way(path.0, path.1)) {
                ways.entry(path).or_default().push(*way);
            }
        }
        let medians: BTreeMap<Path, f64> = (ways.iter())
            .filter_map(|(&path, ways)| Some((path, median(&mut values(ways))?)))
            .collect();
        let (inside, across): (Vec<_>, Vec<_>) =
            medians.iter().partition(|(path, _)| path.0 == path.1);
        let across = median(&mut across.iter().map(|(_, value)| **value).collect::<Vec<_>>());
        let usual = medians.keys().filter_map(|&(from, to)| {
            let usual = if from == to {
                let others = inside.iter().filter(|((group, _), _)| *group != from);
                let mut others: Vec<f64> = others.map(|(_, value)| **value).collect();
                let count = others.len();
                let inside = median(&mut others)?;
                // Of two groups, the slower one is also slower than what is between them.
                match count {
                    1 => inside.min(across?),
                    _ => inside,
                }
            } else {
                let back = medians.get(&(to, from)).copied();
                across?.max(back.unwrap_or(f64::NEG_INFINITY))
            };
            Some(((from, to), usual))
        });
        let usual = usual.collect();
        let left = ways.iter().flat_map(|(path, ways)| {
            let middle = medians.get(path).copied().unwrap_or(f64::NAN);
            ways.iter().map(move |way| way.value - middle)
        });
        let scale = spread(left, LEAST_SPREAD);
        Self {
            groups,
            ways,
            medians,
            usual,
            scale,
        }
    }

    /// What is slow of a path, each direction of each pair once, if the path is.
    fn slow(&self, path: Path, claim: f64) -> Option<Vec<f64>> {
        let usual = *self.usual.get(&path)?;
        let effect = self.medians.get(&path)? - usual;
        let ways = self.ways.get(&path)?;
        if effect > claim || ways.len() < LEAST_OF_SIDE {
            return None;
        }
        let bad = self.nodes_that_are_slow_elsewhere(path, effect / 2.0);
        let ways: Vec<Cell> = (ways.iter())
            .filter(|way| !bad.contains(&way.from) && !bad.contains(&way.to))
            .copied()
            .collect();
        let side = |of: fn(&Cell) -> usize| ways.iter().map(of).collect::<BTreeSet<usize>>();
        let (from, to) = (side(|way| way.from), side(|way| way.to));
        let is_enough = match path.0 == path.1 {
            true => from.union(&to).count() >= LEAST_INSIDE,
            false => from.len() >= LEAST_OF_SIDE && to.len() >= LEAST_OF_SIDE,
        };
        let effect = median(&mut values(&ways))? - usual;
        let is_low = |way: &&Cell| way.value - usual <= effect / 2.0;
        let low = ways.iter().filter(is_low).count();
        let (elsewhere, all) = self.low_elsewhere(path, effect / 2.0);
        let share = (elsewhere + 1) as f64 / (all + 1) as f64;
        // Both directions of a pair inside of a group are of one path, and may be alike.
        let (low, count) = match path.0 == path.1 {
            true => (low / 2, ways.len().div_ceil(2)),
            false => (low, ways.len()),
        };
        let error = 1.25 * self.scale / (count.max(1) as f64).sqrt();
        let is_slow = is_enough
            && effect <= claim.min(-CLEAR * error)
            && low as f64 >= MOST_OF_ALL * count as f64
            && tail(low, count, share) * (self.usual.len() as f64) < CHANCE;
        is_slow.then(|| values(&ways))
    }

    /// How many directions of pairs of other paths are as slow for theirs, and of how many.
    fn low_elsewhere(&self, path: Path, least: f64) -> (usize, usize) {
        let (mut low, mut all) = (0, 0);
        for (other, usual) in self.usual.iter().filter(|(other, _)| !is_of(**other, path)) {
            for way in &self.ways[other] {
                (low, all) = (low + usize::from(way.value - usual <= least), all + 1);
            }
        }
        (low, all)
    }

    /// Nodes that are as slow by all other paths: they explain what they lose on this one.
    fn nodes_that_are_slow_elsewhere(&self, path: Path, least: f64) -> BTreeSet<usize> {
        let mut left: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for (other, usual) in self.usual.iter().filter(|(other, _)| !is_of(**other, path)) {
            for way in &self.ways[other] {
                for node in [way.from, way.to] {
                    left.entry(node).or_default().push(way.value - usual);
                }
            }
        }
        let slow = left
            .into_iter()
            .filter_map(|(node, mut left)| Some((node, median(&mut left)?)))
            .filter(|&(_, left)| left <= least);
        slow.map(|(node, _)| node).collect()
    }

    /// A slow path with the measurements that show it, and those of the paths that are not slow.
    fn said(
        &self,
        (a, b): Path,
        direction: Direction,
        found: &BTreeMap<Path, Vec<f64>>,
    ) -> Option<SlowPath> {
        let one_way = match direction {
            Direction::HigherToLower => [Some((b, a)), None],
            Direction::Both if a != b => [Some((a, b)), Some((b, a))],
            _ => [Some((a, b)), None],
        };
        let of = one_way.into_iter().flatten();
        let own: Vec<f64> = of
            .filter_map(|path| found.get(&path))
            .flatten()
            .copied()
            .collect();
        let usual = *self.usual.get(&one_way[0]?)?;
        let others = self
            .ways
            .iter()
            .filter(|(path, _)| (path.0 == path.1) == (a == b) && !found.contains_key(path));
        let mut others: Vec<f64> = others.flat_map(|(_, ways)| values(ways)).collect();
        // The way back is what one direction is compared with.
        if direction != Direction::Both {
            others = values(self.ways.get(&one_way[0].map(|(from, to)| (to, from))?)?);
        }
        let effect = median(&mut own.clone())? - median(&mut others.clone())?;
        let error = 1.25 * self.scale / (own.len().max(1) as f64).sqrt();
        let mut nodes = [self.groups.nodes(a), self.groups.nodes(b)].concat();
        nodes.sort_unstable();
        nodes.dedup();
        Some(SlowPath {
            groups: (a, b),
            labels: (self.groups.label(a).into(), self.groups.label(b).into()),
            direction,
            nodes,
            z: effect / error,
            shift: median(&mut own.clone())? - usual,
            own,
            others,
        })
    }
}

/// Whether a path is this one, or its way back.
fn is_of(path: Path, (from, to): Path) -> bool {
    path == (from, to) || path == (to, from)
}

fn values(ways: &[Cell]) -> Vec<f64> {
    ways.iter().map(|way| way.value).collect()
}
