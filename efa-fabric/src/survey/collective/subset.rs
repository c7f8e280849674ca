//! The smallest subset that explains the flows which do not keep what the pairs promise.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::flow::{Flow, Kept, Pattern, Shape, Share};

/// A subset is slow if this share of its flows is, and at most the rest of the others.
const MOST: f64 = 0.8;

/// The flows that do not keep what the pairs promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Breaks {
    /// Nearly all: nodes are slower when they send and receive at once, or the whole network is.
    Everywhere,
    /// Nearly all between nodes of different groups, and hardly any within.
    AcrossGroups,
    /// Nearly all inside of these groups, by label, and hardly any of the others.
    WithinGroups(Vec<String>),
    /// Nearly all of this node, and hardly any of the others.
    Node(usize),
    /// Nearly all of this group, by label, with others, and hardly any of the others.
    Group(String),
    /// Nearly all from one of these groups to the other, by label, and hardly any of the others.
    GroupFlows(Vec<(String, String)>),
    /// Nearly all between these sets of nodes, and none within: found without labels.
    BetweenSets(Vec<Vec<usize>>),
    /// Nodes that get less than they take from one at a time, when many send to them.
    Receivers(Vec<usize>),
    /// These.
    Flows(Vec<Flow>),
}

/// The smallest subset that explains the flows which keep less than this share.
pub(super) fn breaks(
    pattern: Pattern,
    kept: &Kept,
    least: f64,
    labels: Option<&[String]>,
) -> Option<Breaks> {
    let is_slow = |share: &Share| share.is_below(least);
    let slow = kept.iter().filter(|(_, share)| is_slow(share));
    let bad: Vec<Flow> = slow.map(|(flow, _)| *flow).collect();
    if bad.is_empty() {
        return None;
    }
    let is_everywhere = is_everywhere(kept, least);
    if pattern.shape() == Shape::Incast {
        let receivers: BTreeSet<usize> = bad.iter().map(|flow| flow.1).collect();
        return Some(match is_everywhere {
            true => Breaks::Everywhere,
            false => Breaks::Receivers(receivers.into_iter().collect()),
        });
    }
    let mut best = Best {
        kept,
        least,
        found: None,
    };
    if let Some(labels) = labels {
        by_group(&mut best, &bad, labels);
    }
    if bad.len() > 1 {
        for node in bad
            .iter()
            .flat_map(|&(from, to)| [from, to])
            .collect::<BTreeSet<_>>()
        {
            best.consider(Breaks::Node(node), &|flow| [flow.0, flow.1].contains(&node));
        }
    }
    if let Some((_, breaks)) = best.found {
        return Some(breaks);
    }
    let sets = sets(kept, &is_slow);
    let of = |node: usize| sets.iter().position(|set| set.contains(&node));
    if sets.len() > 1 && sets.iter().all(|set| set.len() > 1) {
        let breaks = Breaks::BetweenSets(sets.clone());
        best.consider(breaks, &|&(from, to)| of(from) != of(to));
    }
    let found = best.found.map(|(_, breaks)| breaks);
    Some(found.unwrap_or(match is_everywhere {
        true => Breaks::Everywhere,
        false => Breaks::Flows(bad),
    }))
}

/// The subset with the fewest flows that are not as it reports; of several the first.
struct Best<'a> {
    kept: &'a Kept,
    least: f64,
    found: Option<(usize, Breaks)>,
}

impl Best<'_> {
    /// Takes this subset if it explains what is slow better than what was found before: most of what
    /// is inside is slow, and little of what is outside, of which there is some.
    fn consider(&mut self, breaks: Breaks, inside: &dyn Fn(&Flow) -> bool) {
        let (mut flows, mut slow) = ([0, 0], [0, 0]);
        for (flow, share) in self.kept {
            let at = usize::from(!inside(flow));
            flows[at] += 1;
            slow[at] += usize::from(share.is_below(self.least));
        }
        let share = |at: usize| slow[at] as f64 / flows[at].max(1) as f64;
        let misses = flows[0] - slow[0] + slow[1];
        let is_better = self.found.as_ref().is_none_or(|(least, _)| misses < *least);
        if flows[1] > 0 && share(0) >= MOST && share(1) <= 1.0 - MOST && is_better {
            self.found = Some((misses, breaks));
        }
    }
}

/// Subsets by label: everything between groups, the inside of some, one with the others, the way
/// from one to another.
fn by_group(best: &mut Best<'_>, bad: &[Flow], labels: &[String]) {
    let ends = |&(from, to): &Flow| Some((labels.get(from)?, labels.get(to)?));
    best.consider(Breaks::AcrossGroups, &|flow| {
        ends(flow).is_some_and(|(from, to)| from != to)
    });
    let mut counts = BTreeMap::<(&String, &String), [usize; 2]>::new();
    for (flow, share) in best.kept {
        if let Some(ends) = ends(flow) {
            let [flows, slow] = counts.entry(ends).or_default();
            *flows += 1;
            *slow += usize::from(share.is_below(best.least));
        }
    }
    // One flow between two groups states nothing about the groups.
    let is_slow = |[flows, slow]: [usize; 2]| flows > 1 && slow as f64 >= MOST * flows as f64;
    let slow = counts.iter().filter(|(_, of)| is_slow(**of));
    let (within, between): (Vec<_>, Vec<_>) = slow
        .map(|(ends, _)| *ends)
        .partition(|(from, to)| from == to);
    if !within.is_empty() {
        let names = within.iter().map(|(label, _)| (*label).clone()).collect();
        best.consider(Breaks::WithinGroups(names), &|flow| {
            ends(flow).is_some_and(|ends| within.contains(&ends))
        });
    }
    let touched = bad
        .iter()
        .filter_map(ends)
        .flat_map(|(from, to)| [from, to]);
    for group in touched.collect::<BTreeSet<_>>() {
        let members = labels.iter().filter(|label| *label == group).count();
        if members > 1 {
            best.consider(Breaks::Group(group.clone()), &|flow| {
                ends(flow).is_some_and(|(from, to)| from != to && (from == group || to == group))
            });
        }
    }
    if !between.is_empty() {
        let names = between.iter().map(|&(from, to)| (from.clone(), to.clone()));
        best.consider(Breaks::GroupFlows(names.collect()), &|flow| {
            ends(flow).is_some_and(|ends| between.contains(&ends))
        });
    }
}

/// Whether nearly all flows keep less than this share.
pub(super) fn is_everywhere(kept: &Kept, least: f64) -> bool {
    let slow = kept.values().filter(|share| share.is_below(least)).count();
    slow > 0 && slow as f64 >= MOST * kept.len() as f64
}

/// Sets of nodes that keep their promise with mostly the same others; none unless all flows between
/// all nodes are known. A few flows between two sets may be well, where they were alone there.
fn sets(kept: &Kept, is_slow: &dyn Fn(&Share) -> bool) -> Vec<Vec<usize>> {
    let nodes: BTreeSet<usize> = kept.keys().flat_map(|&(from, to)| [from, to]).collect();
    if kept.len() != nodes.len() * nodes.len().saturating_sub(1) {
        return Vec::new();
    }
    let is_well = |from, to| kept.get(&(from, to)).is_some_and(|share| !is_slow(share));
    let near = |node: usize| -> BTreeSet<usize> {
        let others = nodes.iter().copied();
        others
            .filter(|&other| other == node || (is_well(node, other) && is_well(other, node)))
            .collect()
    };
    let near: Vec<(usize, BTreeSet<usize>)> = nodes.iter().map(|&n| (n, near(n))).collect();
    let mut sets: Vec<Vec<usize>> = Vec::new();
    let mut known: Vec<&BTreeSet<usize>> = Vec::new();
    for (node, others) in &near {
        let alike = |set: &&BTreeSet<usize>| {
            2 * set.intersection(others).count() >= set.union(others).count()
        };
        match known.iter().position(alike) {
            Some(at) => sets[at].push(*node),
            None => {
                known.push(others);
                sets.push(vec![*node]);
            }
        }
    }
    sets
}
