//! Patterns that pairs cannot show, in which nodes send and receive at the same time: a ring of all
//! or by group, all to all, many to one. What to carry out, and whether it keeps what the pairs promise.
//!
//! A pattern is a list of [`Step`]s, each a set of directed flows that a driver carries out at the
//! same time; each step comes [`REPEATS`] times, since one measurement of a flow is no finding.
//! What the pairs of a survey measured, one direction after the other, is what each flow is
//! expected to reach: a flow whose pair was not measured is compared with nothing, and nothing is
//! stated of it. A loss counts that neither the noise of the pairs nor that of the flows explains.
//!
//! A ring has the *bus bandwidth* of its slowest flow. For all-reduce that is the algorithm's rate
//! times 2(n − 1)/n, for all-to-all times (n − 1)/n: doc/PERFORMANCE.md of NVIDIA's nccl-tests.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::observation::{Observations, Outcome};
use crate::error::{Code, Error, Result};
use crate::median::median;

mod flow;
mod subset;

pub use self::flow::{Flow, Pattern};
use self::flow::{Kept, Shape, Share};
pub use self::subset::Breaks;

/// Different steps of a pattern at most: an all-to-all of more nodes takes some of its shifts, an
/// incast some of its receivers.
const MOST_STEPS: usize = 16;
/// Times that each step is carried out.
pub const REPEATS: usize = 3;
/// Nodes that send to one at the same time.
const SENDERS: usize = 8;
/// A loss below this share of what the pairs promise is none, however little noise there is.
const LEAST_LOSS: f64 = 0.2;
/// Standard deviations that a loss has to exceed: of the hundreds of flows of an all-to-all, one in
/// 30,000 has that by chance.
const DEVIATIONS: f64 = 4.0;

/// Flows to carry out at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Step {
    /// Number of the step in its pattern, from 0.
    pub index: usize,
    /// The flows.
    pub flows: Vec<Flow>,
}

/// A flow as a driver saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FlowSeen {
    /// The [`Step::index`] that it belongs to.
    pub step: usize,
    /// The flow.
    pub flow: Flow,
    /// Its rate in Gbit/s while the others of the step ran; `None` where it failed.
    pub gbps: Option<f64>,
    /// The code of the error, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

impl FlowSeen {
    /// Creates a flow of this step with its rate in Gbit/s; `None` where it failed.
    #[must_use]
    pub fn new(step: usize, flow: Flow, gbps: Option<f64>) -> Self {
        let gbps = gbps.filter(|gbps| gbps.is_finite() && *gbps > 0.0);
        Self {
            step,
            flow,
            gbps,
            code: None,
        }
    }

    /// Returns the same, failed with an error of this code.
    #[must_use]
    pub fn with_code(mut self, code: Option<String>) -> Self {
        self.code = code;
        self
    }
}

/// A pattern as it was carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Carried {
    /// What was carried out.
    pub pattern: Pattern,
    /// The nodes that took part, in the order of the pattern.
    pub nodes: Vec<usize>,
    /// What was seen of its flows: each of each step, unless the pattern ended before.
    pub seen: Vec<FlowSeen>,
    /// Nodes that were lost in it, which ended it.
    pub lost: Vec<usize>,
}

impl Carried {
    /// Creates an empty result for this pattern over these nodes.
    #[must_use]
    pub fn new(pattern: Pattern, nodes: Vec<usize>) -> Self {
        Self {
            pattern,
            nodes,
            seen: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// Refuses what no driver can have seen in a cluster of this many nodes.
    ///
    /// # Errors
    /// `fabric.invalid_option` for nodes that the cluster lacks or that come twice, flows that are
    /// none of their step or come twice, rates that are no positive numbers.
    pub fn require_valid_for(&self, nodes: usize, labels: Option<&[String]>) -> Result<()> {
        let wrong = |what: String| {
            Err(Error::new(Code::InvalidOption, what)
                .with_context("pattern", self.pattern.as_str())
                .with_context("nodes", nodes))
        };
        let mut members = BTreeSet::new();
        if let Some(node) = (self.nodes.iter()).find(|&&n| n >= nodes || !members.insert(n)) {
            return wrong(format!(
                "node {node} of the pattern is not one of the cluster's {nodes}, or listed twice"
            ));
        }
        if let Some(node) = self.lost.iter().find(|node| !members.contains(node)) {
            return wrong(format!("node {node} was lost in a pattern without it"));
        }
        let steps = steps(self.pattern, &self.nodes, labels);
        let mut asked = BTreeSet::new();
        for step in &steps {
            asked.extend(step.flows.iter().map(|flow| (step.index, *flow)));
        }
        for seen in &self.seen {
            if !asked.remove(&(seen.step, seen.flow)) {
                let (from, to) = seen.flow;
                return wrong(format!(
                    "the flow from {from} to {to} is not in step {}, or listed twice",
                    seen.step
                ));
            }
            if seen
                .gbps
                .is_some_and(|gbps| !(gbps.is_finite() && gbps > 0.0))
            {
                return wrong("the rate of a flow is a positive number".to_owned());
            }
        }
        Ok(())
    }
}

/// The result of a pattern, against what the pairs promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Collective {
    /// What was carried out, and seen.
    pub carried: Carried,
    /// Bus bandwidth of a ring or all-to-all, and of an incast what a receiver gets in all, the
    /// median of them, in Gbit/s. `None` unless every flow was measured.
    pub measured_gbps: Option<f64>,
    /// The same of the pairs. `None` unless all of them were measured.
    pub expected_gbps: Option<f64>,
    /// Different flows that were asked for, each [`REPEATS`] times.
    pub flows: usize,
    /// Those that were measured at least once.
    pub measured: usize,
    /// Those of which the pair was measured too.
    pub compared: usize,
    /// Times that a flow failed.
    pub failed: usize,
    /// The least loss of a flow that counts, as a share of what its pair promises: what noise does
    /// not explain. `None` where the noise is unknown, and then nothing is reported.
    pub least_loss: Option<f64>,
    /// Flows that lost that much or more; where it breaks everywhere, what noise of all of them
    /// together does not explain.
    pub slow: usize,
    /// Their median rate, of an incast that of all flows to their receivers, in Gbit/s.
    pub slow_gbps: Option<f64>,
    /// The median of what their pairs promise.
    pub slow_expected_gbps: Option<f64>,
    /// What does not keep its promise; `None` where nothing was compared, or all is kept.
    pub breaks: Option<Breaks>,
}

/// Returns the steps of a pattern over these nodes, in their order, all of them once, and then
/// again; none below [`Pattern::least_nodes`]. `labels` has the group of every node of the cluster.
#[must_use]
pub fn steps(pattern: Pattern, nodes: &[usize], labels: Option<&[String]>) -> Vec<Step> {
    let different = different_steps(pattern, nodes, labels);
    let all = (0..REPEATS).flat_map(|_| different.iter().cloned());
    let numbered = all.enumerate();
    numbered
        .map(|(index, flows)| Step { index, flows })
        .collect()
}

/// Returns those of these nodes that take part in a pattern: all, or where it is of groups those
/// that have others to send to.
#[must_use]
pub fn members(pattern: Pattern, nodes: &[usize], labels: Option<&[String]>) -> Vec<usize> {
    let in_ring: BTreeSet<usize> = pattern
        .circles(nodes, labels)
        .concat()
        .into_iter()
        .collect();
    let nodes = nodes.iter().copied();
    nodes.filter(|node| in_ring.contains(node)).collect()
}

fn different_steps(pattern: Pattern, nodes: &[usize], labels: Option<&[String]>) -> Vec<Vec<Flow>> {
    let count = nodes.len();
    if count < pattern.least_nodes() {
        return Vec::new();
    }
    let circles = pattern.circles(nodes, labels);
    let steps: Vec<Vec<Flow>> = match pattern.shape() {
        Shape::Ring => vec![circles.iter().flat_map(|of| shifted(of, 1)).collect()],
        Shape::AllToAll => all_to_all(&circles, &|flow| leaves_as_asked(pattern, flow, labels)),
        Shape::Incast => incast(&circles, &|flow| leaves_as_asked(pattern, flow, labels)),
    };
    steps
        .into_iter()
        .filter(|flows| !flows.is_empty())
        .collect()
}

/// Whether a flow leaves its group, where the pattern takes only such.
fn leaves_as_asked(pattern: Pattern, (from, to): Flow, labels: Option<&[String]>) -> bool {
    let label = |node: usize| labels.and_then(|labels| labels.get(node));
    !pattern.is_between_groups() || label(from) != label(to)
}

/// Shifts in which all nodes of a circle send and receive, all circles at the same time, without
/// the flows that are not asked for.
fn all_to_all(circles: &[Vec<usize>], is_asked: &dyn Fn(Flow) -> bool) -> Vec<Vec<Flow>> {
    let longest = circles.iter().map(Vec::len).max().unwrap_or(0);
    let shift = |by: usize| {
        let long = circles.iter().filter(move |of| of.len() > by);
        let flows = long.flat_map(move |of| shifted(of, by));
        flows.filter(move |&flow| is_asked(flow))
    };
    let shifts: Vec<usize> = (1..longest)
        .filter(|&by| shift(by).next().is_some())
        .collect();
    spaced(shifts.len())
        .map(|at| shift(shifts[at]).collect())
        .collect()
}

/// Flows from the next nodes of a circle to each of it in turn, without those that are not asked
/// for; two or more, since one is a pair.
fn incast(circles: &[Vec<usize>], is_asked: &dyn Fn(Flow) -> bool) -> Vec<Vec<Flow>> {
    let to = |(nodes, at): (&Vec<usize>, usize)| -> Vec<Flow> {
        let to = nodes[at];
        let next = (1..nodes.len()).map(|by| (nodes[(at + by) % nodes.len()], to));
        next.filter(|&flow| is_asked(flow)).take(SENDERS).collect()
    };
    let all = circles.iter();
    let all = all.flat_map(|nodes| (0..nodes.len()).map(move |at| (nodes, at)));
    let all: Vec<_> = all.map(to).filter(|flows| flows.len() > 1).collect();
    spaced(all.len()).map(|at| all[at].clone()).collect()
}

/// Flows from each of these nodes to the one that comes so much later.
fn shifted(nodes: &[usize], by: usize) -> impl Iterator<Item = Flow> {
    let flow = move |at: usize| (nodes[at], nodes[(at + by) % nodes.len()]);
    (0..nodes.len()).map(flow)
}

/// Numbers below `count`, evenly spaced, as many as a pattern has steps at most.
fn spaced(count: usize) -> impl Iterator<Item = usize> {
    let taken = count.min(MOST_STEPS);
    (0..taken).map(move |at| at * count / taken)
}

/// Compares what was seen of a pattern with what the pairs of the survey promise. `noise` is the
/// standard deviation of a measurement of a pair, as a share, where it is known; else that of the
/// flows stands in for it.
#[must_use]
pub fn judge(
    carried: Carried,
    pairs: &Observations,
    noise: Option<f64>,
    labels: Option<&[String]>,
) -> Collective {
    let pattern = carried.pattern;
    let different = different_steps(pattern, &carried.nodes, labels);
    let promised = Promised::new(pairs);
    let rates = Rates::new(&carried.seen, &different);
    let shape = pattern.shape();
    let over: fn(Vec<f64>) -> Option<f64> = match shape {
        Shape::AllToAll => one_after_the_other,
        _ => middle,
    };
    let measured: Option<Vec<f64>> = (0..different.len())
        .map(|at| middle(rates.of_step(shape, at)))
        .collect();
    let expected: Option<Vec<f64>> = (different.iter())
        .map(|flows| promised.of_step(shape, flows))
        .collect();
    let kept = match shape {
        Shape::Incast => kept_by_receivers(&different, &rates, &promised),
        _ => kept_by_flows(&different, &rates, &promised),
    };
    let own_noise = rates.noise(shape);
    let of_both = own_noise.map(|own| {
        let of_pair = noise.unwrap_or(own);
        (of_pair.powi(2) + own.powi(2) / REPEATS as f64).sqrt()
    });
    let limit = |count: usize| {
        let noise = of_both? / (count.max(1) as f64).sqrt();
        Some(LEAST_LOSS.max(DEVIATIONS * noise))
    };
    let least_loss = limit(1);
    // How a full network divides what it has among flows is noise of each, and none of all.
    let independent = match shape {
        Shape::Incast => different.len(),
        _ => kept.len(),
    };
    let mut counted = least_loss;
    let mut breaks = counted.and_then(|least| subset::breaks(pattern, &kept, 1.0 - least, labels));
    if breaks.is_none() {
        let of_all = limit(independent);
        if of_all.is_some_and(|least| subset::is_everywhere(&kept, 1.0 - least)) {
            (breaks, counted) = (Some(Breaks::Everywhere), of_all);
        }
    }
    let slow = kept.values();
    let slow = slow.filter(|of| counted.is_some_and(|least| of.is_below(1.0 - least)));
    let slow: Vec<Share> = slow.copied().collect();
    let all = || different.iter().flatten();
    Collective {
        measured_gbps: measured.and_then(over),
        expected_gbps: expected.and_then(over),
        flows: all().count(),
        measured: all().filter(|flow| rates.has(**flow)).count(),
        compared: kept.len(),
        failed: (carried.seen.iter())
            .filter(|seen| seen.gbps.is_none())
            .count(),
        least_loss,
        slow: slow.len(),
        slow_gbps: middle(slow.iter().map(|of| of.gbps).collect()),
        slow_expected_gbps: middle(slow.iter().map(|of| of.expected_gbps).collect()),
        breaks,
        carried,
    }
}

/// What the flows of a pattern reached.
struct Rates<'a> {
    different: &'a [Vec<Flow>],
    /// By different step and repeat, then by flow.
    times: Vec<Vec<BTreeMap<Flow, f64>>>,
}

impl<'a> Rates<'a> {
    fn new(seen: &[FlowSeen], different: &'a [Vec<Flow>]) -> Self {
        let mut times = vec![vec![BTreeMap::new(); REPEATS]; different.len()];
        for seen in seen {
            let (at, time) = (
                seen.step % different.len().max(1),
                seen.step / different.len().max(1),
            );
            let of = times
                .get_mut(at)
                .and_then(|of: &mut Vec<_>| of.get_mut(time));
            if let (Some(of), Some(gbps)) = (of, seen.gbps) {
                of.insert(seen.flow, gbps);
            }
        }
        Self { different, times }
    }

    /// The rates of a step as a whole, each time that all of its flows were measured.
    fn of_step(&self, shape: Shape, at: usize) -> Vec<f64> {
        let flows = &self.different[at];
        let whole = |of: &BTreeMap<Flow, f64>| together(shape, flows, |flow| of.get(flow).copied());
        self.times[at].iter().filter_map(whole).collect()
    }

    /// The rates of a flow, in order of time.
    fn of_flow(&self, at: usize, flow: Flow) -> Vec<f64> {
        let times = self.times[at].iter();
        times.filter_map(|of| of.get(&flow).copied()).collect()
    }

    fn has(&self, flow: Flow) -> bool {
        self.times.iter().flatten().any(|of| of.contains_key(&flow))
    }

    /// How much one rate differs from the next of the same flow, as a standard deviation of one and
    /// a share of it; of an incast that of all that a receiver gets, since how it divides that
    /// among the senders is no noise.
    fn noise(&self, shape: Shape) -> Option<f64> {
        let series: Vec<Vec<f64>> = match shape {
            Shape::Incast => (0..self.different.len())
                .map(|at| self.of_step(shape, at))
                .collect(),
            _ => (self.different.iter().enumerate())
                .flat_map(|(at, flows)| flows.iter().map(move |flow| self.of_flow(at, *flow)))
                .collect(),
        };
        let changes = series.iter().flat_map(|of| of.windows(2));
        let mut changes: Vec<f64> = changes.map(|two| (two[1] / two[0]).ln().abs()).collect();
        if changes.len() < 2 {
            return None;
        }
        // The median of |x| is 0.6745 standard deviations, and a change has those of two rates.
        median(&mut changes).map(|change| change / 0.6745 / std::f64::consts::SQRT_2)
    }
}

/// The rate of a step: of its slowest flow, or of all flows to the one that receives.
fn together(shape: Shape, flows: &[Flow], of: impl Fn(&Flow) -> Option<f64>) -> Option<f64> {
    let rates: Option<Vec<f64>> = flows.iter().map(of).collect();
    let rates = rates?.into_iter();
    Some(match shape {
        Shape::Incast => rates.sum(),
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
    fn of_step(&self, shape: Shape, flows: &[Flow]) -> Option<f64> {
        let all = together(shape, flows, |flow| self.flows.get(flow).copied())?;
        match (shape, flows.first()) {
            (Shape::Incast, Some((_, to))) => self.receives.get(to).map(|most| most.min(all)),
            _ => Some(all),
        }
    }
}

fn medians<K: Ord>(of: BTreeMap<K, Vec<f64>>) -> BTreeMap<K, f64> {
    let one = |(key, mut values): (K, Vec<f64>)| Some((key, median(&mut values)?));
    of.into_iter().filter_map(one).collect()
}

fn kept_by_flows(different: &[Vec<Flow>], rates: &Rates<'_>, promised: &Promised) -> Kept {
    let mut kept = Kept::new();
    for (at, flows) in different.iter().enumerate() {
        for flow in flows {
            let rate = middle(rates.of_flow(at, *flow));
            if let (Some(gbps), Some(&expected_gbps)) = (rate, promised.flows.get(flow)) {
                let share = Share {
                    gbps,
                    expected_gbps,
                };
                kept.insert(*flow, share);
            }
        }
    }
    kept
}

/// Of an incast, each flow has the share that its receiver kept in all: how the receiver divides
/// what it takes is no finding.
fn kept_by_receivers(different: &[Vec<Flow>], rates: &Rates<'_>, promised: &Promised) -> Kept {
    let mut kept = Kept::new();
    for (at, flows) in different.iter().enumerate() {
        let rate = middle(rates.of_step(Shape::Incast, at));
        let promise = promised.of_step(Shape::Incast, flows);
        if let (Some(gbps), Some(expected_gbps)) = (rate, promise) {
            let share = Share {
                gbps,
                expected_gbps,
            };
            kept.extend(flows.iter().map(|flow| (*flow, share)));
        }
    }
    kept
}

impl Collective {
    /// Returns the number of nodes that others sent to in an incast.
    #[must_use]
    pub fn receivers(&self) -> usize {
        let receivers = self.carried.seen.iter().map(|seen| seen.flow.1);
        receivers.collect::<BTreeSet<usize>>().len()
    }

    /// Returns whether every flow was measured, and some could be compared with their pairs: a loss
    /// of all but nothing could be distinguished from noise.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.flows > 0
            && self.measured == self.flows
            && self.compared > 0
            && self.least_loss.is_some_and(|least| least < 1.0)
            && self.carried.lost.is_empty()
    }

    /// Returns whether every flow was measured and compared, and all keep what the pairs promise.
    #[must_use]
    pub fn scales(&self) -> bool {
        self.is_measured() && self.compared == self.flows && self.breaks.is_none()
    }

    /// Refuses what [`judge`] would not conclude from what was seen.
    ///
    /// # Errors
    /// As [`Carried::require_valid_for`]; `fabric.invalid_option` for counts, rates and subsets
    /// that are not those of the flows and pairs.
    pub fn require_valid_for(
        &self,
        pairs: &Observations,
        noise: Option<f64>,
        labels: Option<&[String]>,
    ) -> Result<()> {
        self.carried.require_valid_for(pairs.nodes(), labels)?;
        let again = judge(self.carried.clone(), pairs, noise, labels);
        // Numbers may have lost their last digit on the way.
        let near = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * other.abs(),
            (one, other) => one == other,
        };
        let counts = |of: &Self| (of.flows, of.measured, of.compared, of.failed, of.slow);
        if counts(self) == counts(&again)
            && near(self.measured_gbps, again.measured_gbps)
            && near(self.expected_gbps, again.expected_gbps)
            && near(self.least_loss, again.least_loss)
            && near(self.slow_gbps, again.slow_gbps)
            && near(self.slow_expected_gbps, again.slow_expected_gbps)
            && self.breaks == again.breaks
        {
            return Ok(());
        }
        Err(Error::new(
            Code::InvalidOption,
            format!(
                "what is reported of the {} does not follow from its flows and the pairs",
                self.carried.pattern.words()
            ),
        )
        .with_context("pattern", self.carried.pattern.as_str()))
    }
}

#[cfg(test)]
mod tests;
