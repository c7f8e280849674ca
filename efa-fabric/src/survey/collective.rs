//! Patterns that pairs cannot show, in which nodes send and receive at the same time: a ring, all
//! to all, many to one. What to carry out, and whether it keeps what the pairs promise.
//!
//! A pattern is a list of [`Step`]s, each a set of directed flows that a driver carries out at the
//! same time. What the pairs of a survey measured, one direction after the other, is what each flow
//! is expected to reach: a flow whose pair was not measured is compared with nothing, and nothing
//! is said of it.
//!
//! A ring has the *bus bandwidth* of its slowest flow. For all-reduce that is the algorithm's rate
//! times 2(n − 1)/n, for all-to-all times (n − 1)/n: doc/PERFORMANCE.md of NVIDIA's nccl-tests.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::observation::{Observations, Outcome};
use crate::median::median;

/// Steps of a pattern at most: an all-to-all of more nodes takes some of its shifts, an incast some
/// of its receivers.
const MOST_STEPS: usize = 16;
/// Times that a ring is carried out: one measurement of a flow is no finding.
const RINGS: usize = 3;
/// Nodes that send to one at the same time.
const SENDERS: usize = 8;
/// A flow keeps its promise down to this share of it.
const KEPT: f64 = 0.8;
/// A subset is slow if this share of its flows is, and at most the rest of the others.
const MOST: f64 = 0.8;

/// A flow: the sending node, the receiving node.
pub type Flow = (usize, usize);

/// What nodes do together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pattern {
    /// Each node sends to the next and receives from the one before, as a ring all-reduce does.
    Ring,
    /// Each node sends to each other, in shifts in which all send and receive.
    AllToAll,
    /// Many send to one.
    Incast,
}

/// Flows to carry out at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Step {
    /// Number of the step in its pattern, from 0.
    pub index: usize,
    /// The flows.
    pub flows: Vec<Flow>,
}

/// What a driver saw of one flow.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FlowSeen {
    /// The [`Step::index`] that it belongs to.
    pub step: usize,
    /// The flow.
    pub flow: Flow,
    /// Its rate in Gbit/s while all others of the step ran; `None` where it failed.
    pub gbps: Option<f64>,
}

impl FlowSeen {
    /// A flow of this step with its rate in Gbit/s; `None` where it failed.
    #[must_use]
    pub fn new(step: usize, flow: Flow, gbps: Option<f64>) -> Self {
        let gbps = gbps.filter(|gbps| gbps.is_finite() && *gbps > 0.0);
        Self { step, flow, gbps }
    }
}

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
    /// These.
    Flows(Vec<Flow>),
}

/// What a pattern reached, against what the pairs promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Collective {
    /// What was carried out.
    pub pattern: Pattern,
    /// Nodes that took part.
    pub nodes: usize,
    /// Bus bandwidth of a ring or all-to-all, and of an incast what a receiver gets in all, the
    /// median of them, in Gbit/s. `None` unless every flow was measured.
    pub measured_gbps: Option<f64>,
    /// The same of the pairs. `None` unless all of them were measured.
    pub expected_gbps: Option<f64>,
    /// Flows that were asked for.
    pub flows: usize,
    /// Those of which the flow and its pair were measured.
    pub compared: usize,
    /// Those that failed.
    pub failed: usize,
    /// What does not keep its promise; `None` where nothing was compared, or all is kept.
    pub breaks: Option<Breaks>,
}

/// The steps of a pattern over these nodes, in their order; none below two nodes, for an incast
/// below three.
#[must_use]
pub fn steps(pattern: Pattern, nodes: &[usize]) -> Vec<Step> {
    let count = nodes.len();
    let shifted = |by: usize| -> Vec<Flow> {
        let flow = |at: usize| (nodes[at], nodes[(at + by) % count]);
        (0..count).map(flow).collect()
    };
    let flows: Vec<Vec<Flow>> = match pattern {
        _ if count < 2 => Vec::new(),
        Pattern::Ring => vec![shifted(1); RINGS],
        Pattern::AllToAll => spaced(count - 1).map(|at| shifted(at + 1)).collect(),
        Pattern::Incast if count < 3 => Vec::new(),
        Pattern::Incast => {
            let senders = SENDERS.min(count - 1);
            let to = |at: usize| {
                let from = (1..=senders).map(|by| nodes[(at + by) % count]);
                from.map(|from| (from, nodes[at])).collect()
            };
            spaced(count).map(to).collect()
        }
    };
    let numbered = flows.into_iter().enumerate();
    numbered
        .map(|(index, flows)| Step { index, flows })
        .collect()
}

/// Numbers below `count`, evenly spaced, as many as a pattern has steps at most.
fn spaced(count: usize) -> impl Iterator<Item = usize> {
    let taken = count.min(MOST_STEPS);
    (0..taken).map(move |at| at * count / taken)
}

/// Compares what was seen of a pattern with what the pairs of the survey promise.
#[must_use]
pub fn judge(
    pattern: Pattern,
    steps: &[Step],
    seen: &[FlowSeen],
    pairs: &Observations,
    labels: Option<&[String]>,
) -> Collective {
    let promised = Promised::new(pairs);
    let rates: BTreeMap<(usize, Flow), f64> = seen
        .iter()
        .filter_map(|seen| Some(((seen.step, seen.flow), seen.gbps?)))
        .collect();
    let asked = || steps.iter().flat_map(|step| &step.flows);
    let nodes: BTreeSet<usize> = asked().flat_map(|&(from, to)| [from, to]).collect();
    let kept = match pattern {
        Pattern::Incast => kept_by_receivers(steps, &rates, &promised),
        _ => kept_by_flows(steps, &rates, &promised),
    };
    let of_step = |step: &Step| {
        let of = |flow: &Flow| rates.get(&(step.index, *flow)).copied();
        together(pattern, step, of)
    };
    let measured: Option<Vec<f64>> = steps.iter().map(of_step).collect();
    let promise = |step: &Step| promised.of_step(pattern, step);
    let expected: Option<Vec<f64>> = steps.iter().map(promise).collect();
    let over: fn(Vec<f64>) -> Option<f64> = match pattern {
        Pattern::Ring | Pattern::Incast => middle,
        Pattern::AllToAll => one_after_the_other,
    };
    Collective {
        pattern,
        nodes: nodes.len(),
        measured_gbps: measured.and_then(over),
        expected_gbps: expected.and_then(over),
        flows: asked().count(),
        compared: kept.compared,
        failed: seen.iter().filter(|seen| seen.gbps.is_none()).count(),
        breaks: breaks(&kept.shares, labels),
    }
}

/// The rate of a step: of its slowest flow, or of all flows to the one that receives.
fn together(pattern: Pattern, step: &Step, of: impl Fn(&Flow) -> Option<f64>) -> Option<f64> {
    let rates: Option<Vec<f64>> = step.flows.iter().map(of).collect();
    let rates = rates?.into_iter();
    Some(match pattern {
        Pattern::Incast => rates.sum(),
        _ => rates.fold(f64::INFINITY, f64::min),
    })
}

fn middle(mut rates: Vec<f64>) -> Option<f64> {
    median(&mut rates)
}

/// The rate of as many bytes in each step, one after the other.
fn one_after_the_other(rates: Vec<f64>) -> Option<f64> {
    let time: f64 = rates.iter().map(|rate| 1.0 / rate).sum();
    (!rates.is_empty()).then(|| rates.len() as f64 / time)
}

/// What the pairs of a survey measured in each direction, as medians.
struct Promised {
    flows: BTreeMap<Flow, f64>,
    receives: BTreeMap<usize, f64>,
}

impl Promised {
    fn new(pairs: &Observations) -> Self {
        let mut flows: BTreeMap<Flow, Vec<f64>> = BTreeMap::new();
        let mut receives: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for o in pairs.as_slice().iter().filter(|o| o.rail.is_none()) {
            let Outcome::Measured(m) = &o.outcome else {
                continue;
            };
            for (flow, gbps) in [((o.a, o.b), m.gbps_a_to_b), ((o.b, o.a), m.gbps_b_to_a)] {
                flows.entry(flow).or_default().extend(gbps);
                receives.entry(flow.1).or_default().extend(gbps);
            }
        }
        Self {
            flows: medians(flows),
            receives: medians(receives),
        }
    }

    /// What a step promises: that of its slowest pair; of an incast what the receiver takes from
    /// one node at a time, unless all senders together have less.
    fn of_step(&self, pattern: Pattern, step: &Step) -> Option<f64> {
        let all = together(pattern, step, |flow| self.flows.get(flow).copied())?;
        match (pattern, step.flows.first()) {
            (Pattern::Incast, Some((_, to))) => self.receives.get(to).map(|most| most.min(all)),
            _ => Some(all),
        }
    }
}

fn medians<K: Ord>(of: BTreeMap<K, Vec<f64>>) -> BTreeMap<K, f64> {
    let one = |(key, mut values): (K, Vec<f64>)| Some((key, median(&mut values)?));
    of.into_iter().filter_map(one).collect()
}

/// By flow, the share of its promise that it kept, and how many flows were compared.
struct Kept {
    shares: BTreeMap<Flow, f64>,
    compared: usize,
}

fn kept_by_flows(
    steps: &[Step],
    rates: &BTreeMap<(usize, Flow), f64>,
    promised: &Promised,
) -> Kept {
    let mut shares: BTreeMap<Flow, Vec<f64>> = BTreeMap::new();
    let mut compared = 0;
    for step in steps {
        for flow in &step.flows {
            let (rate, promise) = (rates.get(&(step.index, *flow)), promised.flows.get(flow));
            if let (Some(rate), Some(promise)) = (rate, promise) {
                shares.entry(*flow).or_default().push(rate / promise);
                compared += 1;
            }
        }
    }
    Kept {
        shares: medians(shares),
        compared,
    }
}

/// Of an incast, each flow has the share that its receiver kept in all: how the receiver divides
/// what it takes is no finding.
fn kept_by_receivers(
    steps: &[Step],
    rates: &BTreeMap<(usize, Flow), f64>,
    promised: &Promised,
) -> Kept {
    let mut kept = Kept {
        shares: BTreeMap::new(),
        compared: 0,
    };
    for step in steps {
        let of = |flow: &Flow| rates.get(&(step.index, *flow)).copied();
        let rate = together(Pattern::Incast, step, of);
        if let (Some(rate), Some(promise)) = (rate, promised.of_step(Pattern::Incast, step)) {
            kept.compared += step.flows.len();
            let of_step = step.flows.iter().map(|flow| (*flow, rate / promise));
            kept.shares.extend(of_step);
        }
    }
    kept
}

/// The smallest subset that explains the flows which do not keep their promise.
fn breaks(shares: &BTreeMap<Flow, f64>, labels: Option<&[String]>) -> Option<Breaks> {
    let slow = |share: f64| share < KEPT;
    let bad: Vec<Flow> = shares
        .iter()
        .filter(|(_, share)| slow(**share))
        .map(|(flow, _)| *flow)
        .collect();
    if bad.is_empty() {
        return None;
    }
    // Whether most of what is inside is slow, and little of what is outside.
    let explains = |inside: &dyn Fn(&Flow) -> bool| {
        let (of, others): (Vec<_>, Vec<_>) = shares.iter().partition(|(flow, _)| inside(flow));
        let share = |list: &[(&Flow, &f64)]| {
            let slow = list.iter().filter(|(_, share)| slow(**share)).count();
            slow as f64 / list.len().max(1) as f64
        };
        share(&of) >= MOST && share(&others) <= 1.0 - MOST
    };
    if bad.len() as f64 >= MOST * shares.len() as f64 {
        return Some(Breaks::Everywhere);
    }
    let across = |&(from, to): &Flow| {
        let label = |node: usize| labels.and_then(|labels| labels.get(node));
        label(from) != label(to)
    };
    if labels.is_some() && explains(&across) {
        return Some(Breaks::AcrossGroups);
    }
    let nodes: BTreeSet<usize> = bad.iter().flat_map(|&(from, to)| [from, to]).collect();
    let whole = |node: &usize| bad.len() > 1 && explains(&|flow| [flow.0, flow.1].contains(node));
    match nodes.into_iter().find(whole) {
        Some(node) => Some(Breaks::Node(node)),
        None => Some(Breaks::Flows(bad)),
    }
}

impl Collective {
    /// Whether flows and pairs were measured, and all of the flows keep what the pairs promise.
    #[must_use]
    pub fn scales(&self) -> bool {
        self.compared == self.flows && self.flows > 0 && self.failed == 0 && self.breaks.is_none()
    }
}

#[cfg(test)]
mod tests;
