//! The smallest subset that explains the flows which do not keep what the pairs promise.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::flow::{Flow, Kept, Pattern, Share};

/// A subset is slow if this share of its flows is, and at most the rest of the others.
const MOST: f64 = 0.8;

/// Which flows do not keep what the pairs promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Breaks {
    /// Nearly all: nodes are slower when they send and receive at once, or the whole network is.
    Everywhere,
    /// Nearly all between nodes of different groups, and hardly any within.
    AcrossGroups,
    /// Nearly all of this node, and hardly any of the others.
    Node(usize),
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
    // Whether most of what is inside is slow, and little of what is outside, of which there is some.
    let explains = |inside: &dyn Fn(&Flow) -> bool| {
        let (of, others): (Vec<_>, Vec<_>) = kept.iter().partition(|(flow, _)| inside(flow));
        let share = |list: &[(&Flow, &Share)]| {
            let slow = list.iter().filter(|(_, share)| is_slow(share)).count();
            slow as f64 / list.len().max(1) as f64
        };
        !others.is_empty() && share(&of) >= MOST && share(&others) <= 1.0 - MOST
    };
    let is_everywhere = is_everywhere(kept, least);
    if pattern == Pattern::Incast {
        let receivers: BTreeSet<usize> = bad.iter().map(|flow| flow.1).collect();
        return Some(match is_everywhere {
            true => Breaks::Everywhere,
            false => Breaks::Receivers(receivers.into_iter().collect()),
        });
    }
    let label = |node: usize| labels.and_then(|labels| labels.get(node));
    if labels.is_some() && explains(&|&(from, to)| label(from) != label(to)) {
        return Some(Breaks::AcrossGroups);
    }
    let nodes: BTreeSet<usize> = bad.iter().flat_map(|&(from, to)| [from, to]).collect();
    let whole = |node: &usize| bad.len() > 1 && explains(&|flow| [flow.0, flow.1].contains(node));
    if let Some(node) = nodes.into_iter().find(whole) {
        return Some(Breaks::Node(node));
    }
    let sets = sets(kept, &is_slow);
    let of = |node: usize| sets.iter().position(|set| set.contains(&node));
    let are_sets = sets.len() > 1 && sets.iter().all(|set| set.len() > 1);
    if are_sets && explains(&|&(from, to)| of(from) != of(to)) {
        return Some(Breaks::BetweenSets(sets));
    }
    Some(match is_everywhere {
        true => Breaks::Everywhere,
        false => Breaks::Flows(bad),
    })
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
