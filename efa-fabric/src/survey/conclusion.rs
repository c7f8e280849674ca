//! All verdicts of a survey, and which nodes to take out.
//!
//! | file | job |
//! |---|---|
//! | `failures` | nodes, rails and links that failed |
//! | `outliers` | nodes, rails and links that stand out |
//! | `structure` | groups, populations, levels of pairs; many of one kind in one sentence |
//! | `unstable` | nodes that fail or are slow in part of their measurements |
//! | `expected` | rates below the expected ones |
//! | `few` | rates of few nodes that differ |
//! | `rails` | rails that are slow between all nodes |
//! | `contradiction` | verdicts that their own numbers contradict |
//! | `evidence` | the numbers behind a verdict |

mod contradiction;
mod evidence;
mod expected;
mod failures;
mod few;
mod outliers;
mod rails;
mod structure;
mod unstable;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use self::contradiction::without_contradicted;
use self::evidence::percent;
use self::expected::{expected, small};
use self::failures::failures;
use self::few::few;
use self::outliers::{of_link, of_nodes};
use self::rails::uneven;
use self::structure::{OF_LEVEL, groups, many, oversubscribed, paths, populated};
use self::unstable::unstable;
use super::attribution::{Analysis, Channel, Pass, Populations};
use super::observation::Observations;
use super::options::Options;
use super::power;
use super::verdict::{
    Confidence, Evidence, GroupRates, Quantity, Severity, Subject, Verdict, VerdictKind,
};

/// The findings of a survey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Conclusion {
    /// All verdicts, worst first.
    pub verdicts: Vec<Verdict>,
    /// Nodes to take out, ascending: those with a fault, or with a rail that has one. The nodes
    /// of a bad link are not among them, since either could stay.
    pub drain: Vec<usize>,
    /// Share of all pairs of nodes that were tried, from 0 to 1. Links outside are unknown.
    pub links_seen: f64,
    /// Typical rate with all rails in one direction, in Gbit/s.
    pub typical_gbps: Option<f64>,
    /// Typical latency in µs.
    pub typical_latency_us: Option<f64>,
    /// The rates inside and across groups, where the nodes have labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_rates: Option<GroupRates>,
    /// How much single measurements of bandwidth vary (standard deviation), in percent.
    #[serde(default)]
    pub noise_percent: Option<f64>,
    /// The least loss of a node that this survey could distinguish from noise, in percent; `None`
    /// where pairs have two levels that no leaves explain, which would hide it.
    #[serde(default)]
    pub detectable_percent: Option<f64>,
    /// How many of 100 nodes that are bad in 30 % of their measurements a survey of this many
    /// measurements names at best: computed, not measured.
    #[serde(default)]
    pub unstable_named_percent: Option<f64>,
}

impl Conclusion {
    /// Returns whether no verdict is a fault, no warning is of what was seen too seldom to know
    /// whether it is one, and something was measured.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        let is_open = |v: &Verdict| match v.kind {
            VerdictKind::NotEnoughData | VerdictKind::RatesDiffer | VerdictKind::Partition => {
                v.severity > Severity::Info
            }
            _ => v.severity == Severity::Fault,
        };
        self.typical_gbps.or(self.typical_latency_us).is_some()
            && !self.verdicts.iter().any(is_open)
    }

    /// Returns the verdicts that are faults.
    pub fn faults(&self) -> impl Iterator<Item = &Verdict> + '_ {
        self.verdicts
            .iter()
            .filter(|v| v.severity == Severity::Fault)
    }
}

/// All that follows from the observations; targeted rounds start with `fresh_from`.
pub(crate) fn conclude(
    observations: &Observations,
    options: &Options,
    fresh_from: usize,
) -> Conclusion {
    let labels = options.labels.as_deref();
    let analysis = Analysis::new(observations, labels, &options.thresholds, fresh_from);
    let mut verdicts = Vec::new();
    let populations = analysis.populations();
    let suspects: BTreeSet<usize> = analysis
        .nodes(Pass::Screen)
        .iter()
        .map(|f| f.node)
        .collect();
    let slow = slow_nodes(&analysis, populations.as_ref(), &suspects);
    let faulty: BTreeSet<usize> = slow
        .iter()
        .filter(|v| v.confidence > Confidence::Low)
        .flat_map(Verdict::nodes)
        .chain(populations.iter().flat_map(|p| p.slow.iter().copied()))
        .collect();
    let mut unstable = unstable(&analysis, observations, &faulty);
    if let Some((_, lower, ..)) = analysis.levels().filter(|_| populations.is_none()) {
        // Where pairs have two levels, what reaches the lower one is not slow.
        let is_low = |v: &Verdict| v.evidence.slow_value.is_none_or(|v| v < OF_LEVEL * lower);
        unstable.retain(|v| v.evidence.failed > 0 || is_low(v));
    }
    let shaky: BTreeSet<usize> = unstable.iter().flat_map(Verdict::nodes).collect();
    failures(&analysis, observations, &shaky, &mut verdicts);
    few(&analysis, observations, options, &mut verdicts);
    small(&analysis, observations, options, &mut verdicts);
    verdicts.extend(uneven(observations, options));
    verdicts.extend(
        slow.into_iter()
            .filter(|v| !v.nodes().iter().any(|n| shaky.contains(n))),
    );
    verdicts.extend(unstable);
    verdicts.extend(groups(&analysis));
    verdicts.extend(paths(&analysis));
    verdicts.extend(oversubscribed(&analysis));
    let bad: BTreeSet<usize> = verdicts
        .iter()
        .filter(|v| v.severity > Severity::Info)
        .filter(|v| matches!(v.subject, Subject::Node { .. } | Subject::Rail { .. }))
        .flat_map(Verdict::nodes)
        .chain(populations.iter().flat_map(|p| p.slow.iter().copied()))
        .collect();
    let links = analysis.links(Pass::Verdict, &bad);
    let links = links
        .iter()
        .filter_map(|found| of_link(&analysis, found, &suspects));
    verdicts.extend(links);
    verdicts.extend(contention(&analysis, &suspects));
    expected(&analysis, observations, options, &mut verdicts);
    if let Some(populations) = &populations {
        verdicts.push(populated(populations, &analysis));
    }
    let verdicts = without_contradicted(verdicts, &options.thresholds);
    let verdicts = many(&analysis, populations.is_some(), verdicts);
    let named = power::of_survey(observations, fresh_from);
    finish(observations.nodes(), &analysis, verdicts, named)
}

/// Nodes and rails that stand out; where there are two populations, the slower one as a whole does.
fn slow_nodes(
    analysis: &Analysis,
    populations: Option<&Populations>,
    suspects: &BTreeSet<usize>,
) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let findings = analysis.nodes(Pass::Verdict);
    for quantity in [Quantity::Bandwidth, Quantity::Latency] {
        of_nodes(analysis, quantity, &findings, suspects, &mut verdicts);
    }
    if let Some(populations) = populations {
        verdicts.retain(|verdict| {
            let of_slow = verdict
                .nodes()
                .iter()
                .any(|node| populations.slow.contains(node));
            !(of_slow && verdict.evidence.quantity == Some(Quantity::Bandwidth))
        });
    } else {
        drop_those_at_the_lower_level(analysis, &mut verdicts);
    }
    verdicts
}

/// Where the pairs of other nodes have two levels too, and no leaves explain them, a node that reaches the lower one is not slow:
/// it met few partners of its own leaf.
fn drop_those_at_the_lower_level(analysis: &Analysis, verdicts: &mut Vec<Verdict>) {
    let is_of_bandwidth = |v: &Verdict| v.evidence.quantity == Some(Quantity::Bandwidth);
    let accused = verdicts.iter().filter(|v| is_of_bandwidth(v));
    let accused: BTreeSet<usize> = accused.flat_map(Verdict::nodes).collect();
    if accused.is_empty() || analysis.main().is_some_and(Channel::has_leaves) {
        return;
    }
    if let Some((higher, lower, ..)) = analysis.levels_without(&accused) {
        let share = |v: &Verdict| Some(v.evidence.value? / v.evidence.typical?);
        let is_lower = |v: &Verdict| share(v).is_none_or(|s| s < OF_LEVEL * lower / higher);
        verdicts.retain(|v| !is_of_bandwidth(v) || is_lower(v));
    }
}

/// Whether the cluster as a whole is slower while all of it is measured.
fn contention(analysis: &Analysis, suspects: &BTreeSet<usize>) -> Option<Verdict> {
    let (channel, gain) = analysis.cluster_contention(suspects)?;
    let evidence = Evidence {
        rail: analysis.channels[channel].rail,
        alone_change_percent: Some(percent(gain)),
        ..Evidence::default()
    };
    Some(Verdict::new(
        Subject::Cluster,
        VerdictKind::Contention,
        Severity::Warning,
        Confidence::Medium,
        evidence,
    ))
}

/// Sorts the verdicts, and states what holds for the whole survey.
fn finish(
    nodes: usize,
    analysis: &Analysis,
    mut verdicts: Vec<Verdict>,
    named: Option<f64>,
) -> Conclusion {
    verdicts.sort_by(|x, y| {
        (y.severity, y.confidence, x.subject).cmp(&(x.severity, x.confidence, y.subject))
    });
    let mut drain: Vec<usize> = verdicts
        .iter()
        .filter(|v| v.severity == Severity::Fault)
        .filter(|v| matches!(v.subject, Subject::Node { .. } | Subject::Rail { .. }))
        .flat_map(Verdict::nodes)
        .collect();
    drain.sort_unstable();
    drain.dedup();
    let typical = |quantity| {
        let mut of = analysis
            .channels
            .iter()
            .filter(|c| c.quantity == quantity && c.rail.is_none());
        of.next().map(Channel::typical)
    };
    let pairs = nodes * nodes.saturating_sub(1) / 2;
    let main = analysis.main().filter(|_| analysis.tells_outliers());
    Conclusion {
        verdicts,
        drain,
        links_seen: if pairs == 0 {
            1.0
        } else {
            analysis.partners.len() as f64 / pairs as f64
        },
        typical_gbps: typical(Quantity::Bandwidth),
        typical_latency_us: typical(Quantity::Latency),
        group_rates: analysis.main().and_then(|channel| channel.by_group.rates),
        noise_percent: main.map(|c| percent(c.noise())),
        detectable_percent: main
            .filter(|_| analysis.tells_nodes_from_levels())
            .map(|_| analysis.detectable() * 100.0),
        unstable_named_percent: named.filter(|_| main.is_some()).map(|share| share * 100.0),
    }
}
