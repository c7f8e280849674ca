//! All verdicts of a survey, and which nodes to take out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::attribution::{Alone, Analysis, Channel, LinkFinding, Look, NodeFinding};
use super::observation::Observations;
use super::options::Options;
use super::reach::PairTally;
use super::schedule::Pair;
use super::verdict::{
    Confidence, Direction, Evidence, Quantity, Severity, Subject, Verdict, VerdictKind,
};

/// Another rail or direction counts as bad as well from this effect on (logarithm: 6 %).
const BAD_AS_WELL: f64 = -0.06;
/// From this robust z on, a confirmed verdict is sure.
const CLEAR_Z: f64 = 5.0;
/// From this effect on, a warning is given without having measured again (logarithm: 14 %).
const CLEAR_EFFECT: f64 = -0.15;
/// Latency above this is a fault and not a warning (logarithm: 50 % more).
const GRAVE_LATENCY: f64 = -0.405;

/// What a survey found.
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
}

impl Conclusion {
    /// Whether no verdict is a fault and something was measured.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.typical_gbps.or(self.typical_latency_us).is_some()
            && self.verdicts.iter().all(|v| v.severity < Severity::Fault)
    }

    /// The verdicts that are faults.
    pub fn faults(&self) -> impl Iterator<Item = &Verdict> + '_ {
        self.verdicts
            .iter()
            .filter(|v| v.severity == Severity::Fault)
    }
}

/// All that follows from the observations.
pub(crate) fn conclude(observations: &Observations, options: &Options) -> Conclusion {
    let labels = options.labels.as_deref();
    let analysis = Analysis::new(observations, labels, &options.thresholds);
    let nodes = observations.nodes();
    let mut verdicts = Vec::new();
    failures(&analysis, observations, &mut verdicts);
    small(&analysis, options, &mut verdicts);
    let findings = analysis.nodes(Look::Verdict);
    let suspects: BTreeSet<usize> = analysis
        .nodes(Look::Screen)
        .iter()
        .map(|f| f.node)
        .collect();
    for quantity in [Quantity::Bandwidth, Quantity::Latency] {
        of_nodes(&analysis, quantity, &findings, &suspects, &mut verdicts);
    }
    let bad: BTreeSet<usize> = verdicts
        .iter()
        .filter(|v| v.severity > Severity::Info)
        .flat_map(Verdict::nodes)
        .collect();
    for finding in analysis.links(Look::Verdict, &bad) {
        verdicts.extend(of_link(&analysis, &finding, &suspects));
    }
    if let Some((channel, gain)) = analysis.cluster_contention(&suspects) {
        let evidence = Evidence {
            rail: analysis.channels[channel].rail,
            alone_change_percent: Some(percent(gain)),
            ..Evidence::default()
        };
        verdicts.push(Verdict::new(
            Subject::Cluster,
            VerdictKind::Contention,
            Severity::Warning,
            Confidence::Medium,
            evidence,
        ));
    }
    expected(&analysis, options, &mut verdicts);
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
    Conclusion {
        verdicts,
        drain,
        links_seen: if pairs == 0 {
            1.0
        } else {
            analysis.pairs_seen as f64 / pairs as f64
        },
        typical_gbps: typical(Quantity::Bandwidth),
        typical_latency_us: typical(Quantity::Latency),
    }
}

/// Nodes, rails and links that nothing, or not everything, passed through.
fn failures(analysis: &Analysis, observations: &Observations, verdicts: &mut Vec<Verdict>) {
    let reach = &analysis.reach;
    if observations.is_empty() {
        verdicts.push(not_enough(Subject::Cluster, Evidence::default()));
        return;
    }
    let fault = |subject, kind, confidence, evidence| {
        Verdict::new(subject, kind, Severity::Fault, confidence, evidence)
    };
    let nobody = !reach.any_success();
    let silent: Vec<usize> = (0..observations.nodes())
        .filter(|&n| reach.silent(n))
        .collect();
    for (node, failed) in reach.dead() {
        let mut evidence = failure(reach.sample(node));
        evidence.failed = failed;
        evidence.tried = analysis.met[node];
        let subject = Subject::Node { node };
        if reach.silent(node) {
            evidence.failed = 0;
            verdicts.push(fault(
                subject,
                VerdictKind::Unreachable,
                Confidence::High,
                evidence,
            ));
        } else if failed >= 2 {
            verdicts.push(fault(
                subject,
                VerdictKind::Unreachable,
                Confidence::High,
                evidence,
            ));
        } else if !nobody {
            verdicts.push(not_enough(subject, evidence));
        }
    }
    // Where silent nodes explain every failure, nothing more is known.
    if nobody && silent.len() + 1 < observations.nodes() {
        let first = observations.as_slice().first().map_or(0, |o| o.a);
        let subject = match observations.nodes() {
            2 => Subject::Link { a: 0, b: 1 },
            _ => Subject::Cluster,
        };
        let evidence = failure(reach.sample(first));
        let kind = match subject {
            Subject::Link { .. } => VerdictKind::NotEnoughData,
            _ => VerdictKind::Unreachable,
        };
        verdicts.push(fault(subject, kind, Confidence::Medium, evidence));
    }
    let mut explained: BTreeSet<usize> = BTreeSet::new();
    for (node, failed) in reach.patchy(&analysis.met) {
        explained.insert(node);
        let mut evidence = failure(reach.sample(node));
        evidence.failed = failed;
        evidence.tried = analysis.met[node];
        verdicts.push(fault(
            Subject::Node { node },
            VerdictKind::Intermittent,
            Confidence::Medium,
            evidence,
        ));
    }
    for (node, rail, failed) in reach.dead_rails() {
        let evidence = Evidence {
            rail: Some(rail),
            failed,
            tried: failed,
            ..Evidence::default()
        };
        verdicts.push(fault(
            Subject::Rail { node, rail },
            VerdictKind::Unreachable,
            Confidence::High,
            evidence,
        ));
    }
    for ((a, b), tally) in reach.failed_pairs() {
        if explained.contains(&a) || explained.contains(&b) {
            continue;
        }
        let mut evidence = failure(Some(tally));
        evidence.failed = tally.failed;
        evidence.tried = tally.failed + tally.reached;
        let subject = Subject::Link { a, b };
        let confidence = match tally.failed {
            1 => Confidence::Low,
            2 | 3 => Confidence::Medium,
            _ => Confidence::High,
        };
        verdicts.push(if tally.reached == 0 {
            fault(subject, VerdictKind::Unreachable, confidence, evidence)
        } else {
            let kind = VerdictKind::Intermittent;
            Verdict::new(subject, kind, Severity::Warning, confidence, evidence)
        });
    }
}

/// Says that a small cluster has no outliers, and compares its pairs with what is expected.
fn small(analysis: &Analysis, options: &Options, verdicts: &mut Vec<Verdict>) {
    let live = analysis.reach.live_nodes();
    if analysis.tells_outliers() || live == 0 {
        return;
    }
    let evidence = Evidence {
        tried: live,
        expected_gbps: options.expected_gbps.or(options.expected_rail_gbps),
        ..Evidence::default()
    };
    verdicts.push(not_enough(Subject::Cluster, evidence));
    // Single rails only where all together were not measured: each more is a chance to be wrong.
    let together = analysis.bandwidth().any(|(_, c)| c.rail.is_none());
    for (_, channel) in analysis
        .bandwidth()
        .filter(|(_, c)| c.rail.is_none() || !together)
    {
        let Some(expected) = expected_of(channel, options) else {
            continue;
        };
        let least = expected * options.thresholds.of_expected;
        let pairs = channel.pair_medians();
        let low: Vec<(Pair, f64)> = pairs
            .iter()
            .filter(|(_, v)| **v < least)
            .map(|(p, v)| (*p, *v))
            .collect();
        if low.is_empty() || low.len() == pairs.len() {
            continue;
        }
        // One node in every low pair, and in no other, is what is wrong with them.
        let in_all = |node: usize| {
            low.len() >= 2
                && low.iter().all(|((a, b), _)| *a == node || *b == node)
                && pairs
                    .iter()
                    .all(|((a, b), v)| *v < least || (*a != node && *b != node))
        };
        let culprit = low
            .iter()
            .flat_map(|((a, b), _)| [*a, *b])
            .find(|&node| in_all(node));
        let subjects: Vec<(Subject, f64)> = match culprit {
            Some(node) => {
                let best = low.iter().map(|(_, v)| *v).fold(0.0, f64::max);
                vec![(Subject::Node { node }, best)]
            }
            None => low
                .iter()
                .map(|&((a, b), v)| (Subject::Link { a, b }, v))
                .collect(),
        };
        for (subject, value) in subjects {
            verdicts.push(below(channel, subject, value, expected, low.len()));
        }
    }
}

/// Compares the typical rates with the expected ones: no relative test sees a bad cluster.
fn expected(analysis: &Analysis, options: &Options, verdicts: &mut Vec<Verdict>) {
    for (_, channel) in analysis.bandwidth() {
        let Some(expected) = expected_of(channel, options) else {
            continue;
        };
        let least = expected * options.thresholds.of_expected;
        let pairs = channel.pair_medians();
        let typical = channel.typical();
        let all_low = pairs.values().all(|v| *v < least);
        if typical < least && (analysis.tells_outliers() || all_low) {
            verdicts.push(below(
                channel,
                Subject::Cluster,
                typical,
                expected,
                pairs.len(),
            ));
        }
    }
}

fn expected_of(channel: &Channel, options: &Options) -> Option<f64> {
    match channel.rail {
        None => options.expected_gbps,
        Some(_) => options.expected_rail_gbps,
    }
}

fn below(channel: &Channel, subject: Subject, value: f64, expected: f64, pairs: usize) -> Verdict {
    let evidence = Evidence {
        quantity: Some(Quantity::Bandwidth),
        rail: channel.rail,
        value: Some(value),
        expected_gbps: Some(expected),
        change_percent: Some((value / expected - 1.0) * 100.0),
        observations: pairs,
        ..Evidence::default()
    };
    let confidence = if pairs >= 3 {
        Confidence::High
    } else {
        Confidence::Medium
    };
    Verdict::new(
        subject,
        VerdictKind::BelowExpected,
        Severity::Fault,
        confidence,
        evidence,
    )
}

/// The verdicts on nodes and rails for one quantity.
fn of_nodes(
    analysis: &Analysis,
    quantity: Quantity,
    findings: &[NodeFinding],
    suspects: &BTreeSet<usize>,
    verdicts: &mut Vec<Verdict>,
) {
    let mut by_node: BTreeMap<usize, Vec<(&NodeFinding, Alone)>> = BTreeMap::new();
    for finding in findings {
        if analysis.channels[finding.channel].quantity != quantity {
            continue;
        }
        let alone = analysis.judge(finding.effect, finding.alone, finding.channel, suspects);
        by_node
            .entry(finding.node)
            .or_default()
            .push((finding, alone));
    }
    for (node, all) in by_node {
        // What was confirmed counts; without such, what is open; without such, contention.
        let Some(state) = [Alone::StillBad, Alone::Unknown, Alone::Contention]
            .into_iter()
            .find(|state| all.iter().any(|(_, s)| s == state))
        else {
            continue;
        };
        let same: Vec<&NodeFinding> = all
            .iter()
            .filter(|(_, s)| *s == state)
            .map(|(f, _)| *f)
            .collect();
        for (subject, finding) in subjects(analysis, quantity, node, &same) {
            verdicts.push(of_node(analysis, subject, finding, state));
        }
    }
}

/// Whether it is the node or some of its rails, with the finding that shows it best.
fn subjects<'a>(
    analysis: &Analysis,
    quantity: Quantity,
    node: usize,
    findings: &[&'a NodeFinding],
) -> Vec<(Subject, &'a NodeFinding)> {
    let rails: Vec<usize> = (0..analysis.channels.len())
        .filter(|&i| {
            let channel = &analysis.channels[i];
            channel.quantity == quantity && channel.rail.is_some()
        })
        .collect();
    let bad: BTreeSet<usize> = findings
        .iter()
        .map(|f| f.channel)
        .filter(|c| rails.contains(c))
        .collect();
    let bad_as_well = rails.iter().filter(|&&rail| {
        let effect = |direction| analysis.channels[rail].effect(node, direction).0;
        findings.iter().any(|f| effect(f.direction) <= BAD_AS_WELL)
    });
    // Without a rail, all rails together are slower.
    let without = analysis
        .reach
        .dead_rails()
        .iter()
        .any(|&(of, _, _)| of == node);
    if without && bad.is_empty() && quantity == Quantity::Bandwidth && !rails.is_empty() {
        return Vec::new();
    }
    let whole = bad.is_empty() || rails.len() == 1 || bad_as_well.count() == rails.len();
    if whole {
        let best = findings
            .iter()
            .find(|f| analysis.channels[f.channel].rail.is_none())
            .or_else(|| findings.first());
        return best
            .map(|f| (Subject::Node { node }, *f))
            .into_iter()
            .collect();
    }
    bad.into_iter()
        .filter_map(|channel| {
            let finding = findings.iter().find(|f| f.channel == channel)?;
            let rail = analysis.channels[channel].rail?;
            Some((Subject::Rail { node, rail }, *finding))
        })
        .collect()
}

fn of_node(analysis: &Analysis, subject: Subject, finding: &NodeFinding, state: Alone) -> Verdict {
    let channel = &analysis.channels[finding.channel];
    let other = match finding.direction {
        Direction::Sends => Direction::Receives,
        _ => Direction::Sends,
    };
    let direction = match channel.effect(finding.node, other).0 {
        effect if effect <= BAD_AS_WELL => Direction::Both,
        _ => finding.direction,
    };
    let evidence = Evidence {
        direction: Some(direction),
        ..evidence(
            channel,
            finding.effect,
            finding.z,
            finding.count,
            finding.alone,
        )
    };
    verdict(channel, subject, finding.effect, finding.z, state, evidence)
}

fn of_link(
    analysis: &Analysis,
    finding: &LinkFinding,
    suspects: &BTreeSet<usize>,
) -> Option<Verdict> {
    let state = analysis.judge_link(finding, suspects);
    let channel = &analysis.channels[finding.channel];
    let clear = match state {
        Alone::StillBad | Alone::Contention => true,
        // One measurement of a link among many is no reason to speak of it.
        Alone::Unknown => finding.z <= -CLEAR_Z,
        Alone::Nothing => false,
    };
    if !clear {
        return None;
    }
    let (a, b) = finding.pair;
    let evidence = Evidence {
        direction: Some(finding.direction),
        ..evidence(
            channel,
            finding.effect,
            finding.z,
            finding.count,
            finding.alone,
        )
    };
    let subject = Subject::Link { a, b };
    let mut said = verdict(channel, subject, finding.effect, finding.z, state, evidence);
    if state == Alone::Unknown {
        said.severity = Severity::Info;
    }
    Some(said)
}

fn verdict(
    channel: &Channel,
    subject: Subject,
    effect: f64,
    z: f64,
    state: Alone,
    evidence: Evidence,
) -> Verdict {
    let kind = match (state, channel.quantity) {
        (Alone::Contention, _) => VerdictKind::Contention,
        (_, Quantity::Bandwidth) => VerdictKind::SlowBandwidth,
        (_, Quantity::Latency) => VerdictKind::HighLatency,
    };
    let grave = channel.quantity == Quantity::Bandwidth || effect <= GRAVE_LATENCY;
    let (severity, confidence) = match state {
        Alone::StillBad => (
            if grave {
                Severity::Fault
            } else {
                Severity::Warning
            },
            if z <= -CLEAR_Z {
                Confidence::High
            } else {
                Confidence::Medium
            },
        ),
        Alone::Contention => (Severity::Warning, Confidence::Medium),
        // Unless it is clear, what was not measured again is only good to know.
        Alone::Unknown if z <= -CLEAR_Z && effect <= CLEAR_EFFECT => {
            (Severity::Warning, Confidence::Low)
        }
        Alone::Unknown | Alone::Nothing => (Severity::Info, Confidence::Low),
    };
    Verdict::new(subject, kind, severity, confidence, evidence)
}

fn evidence(
    channel: &Channel,
    effect: f64,
    z: f64,
    count: usize,
    alone: Option<(f64, usize)>,
) -> Evidence {
    let sign = match channel.quantity {
        Quantity::Bandwidth => 1.0,
        Quantity::Latency => -1.0,
    };
    Evidence {
        quantity: Some(channel.quantity),
        rail: channel.rail,
        change_percent: Some(percent(sign * effect)),
        z: Some(z),
        observations: count,
        value: Some(channel.unlog(channel.fit.center + effect)),
        typical: Some(channel.typical()),
        alone_change_percent: alone.map(|(effect, _)| percent(sign * effect)),
        alone_observations: alone.map_or(0, |(_, count)| count),
        ..Evidence::default()
    }
}

fn percent(effect: f64) -> f64 {
    effect.exp_m1() * 100.0
}

fn failure(tally: Option<&PairTally>) -> Evidence {
    Evidence {
        code: tally.map(|t| t.code.clone()),
        after_s: tally.map(|t| t.after_s),
        ..Evidence::default()
    }
}

fn not_enough(subject: Subject, evidence: Evidence) -> Verdict {
    let kind = VerdictKind::NotEnoughData;
    let severity = if matches!(subject, Subject::Cluster) {
        Severity::Info
    } else {
        Severity::Warning
    };
    Verdict::new(subject, kind, severity, Confidence::Low, evidence)
}
