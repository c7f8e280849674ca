//! Verdicts on nodes, rails and links that stand out.

use std::collections::{BTreeMap, BTreeSet};

use super::super::attribution::{Alone, Analysis, Channel, LinkFinding, NodeFinding};
use super::super::verdict::{
    Confidence, Direction, Evidence, Quantity, Severity, Subject, Verdict, VerdictKind,
};
use super::evidence::{evidence, severity_of};

/// Another rail or direction counts as bad as well from this effect on (logarithm: 6 %).
const BAD_AS_WELL: f64 = -0.06;
/// Another rail must also have this share of the effect that was found: next to a rail at 40 %, one at
/// 90 % is noise, or what the slow one leaves to it.
const SHARE_OF_RAIL: f64 = 1.0 / 3.0;
/// This many nodes that were confirmed alone speak for others that are alike.
const ALIKE: usize = 8;
/// From this robust z on, a confirmed verdict is sure.
const CLEAR_Z: f64 = 5.0;
/// From this effect on, a warning is given without having measured again (logarithm: 14 %).
const CLEAR_EFFECT: f64 = -0.15;

/// The verdicts on nodes and rails for one quantity.
pub(super) fn of_nodes(
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
        let alone = analysis.judge(finding, suspects);
        by_node
            .entry(finding.node)
            .or_default()
            .push((finding, alone));
    }
    // Of many alike, some are measured alone; the others as often as they were concurrently.
    let confirmed = by_node
        .values()
        .filter(|all| all.iter().any(|(_, state)| *state == Alone::StillBad))
        .count();
    if confirmed >= ALIKE {
        for (finding, state) in by_node.values_mut().flatten() {
            let (fresh, count) = finding.fresh;
            if *state == Alone::Unknown && count >= 2 && fresh <= finding.effect / 2.0 {
                *state = Alone::StillBad;
            }
        }
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
            verdicts.push(of_node(analysis, subject, finding, state, suspects));
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
        let least = |f: &&NodeFinding| BAD_AS_WELL.min(f.effect * SHARE_OF_RAIL);
        findings.iter().any(|f| effect(f.direction) <= least(f))
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

fn of_node(
    analysis: &Analysis,
    subject: Subject,
    finding: &NodeFinding,
    state: Alone,
    suspects: &BTreeSet<usize>,
) -> Verdict {
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
            channel.compare_node(finding.node, direction),
            finding.z,
            analysis.alone_against_others(channel, finding.alone, suspects),
        )
    };
    verdict(channel, subject, finding.effect, finding.z, state, evidence)
}

pub(super) fn of_link(
    analysis: &Analysis,
    finding: &LinkFinding,
    suspects: &BTreeSet<usize>,
) -> Option<Verdict> {
    let state = analysis.judge_link(finding, suspects);
    let channel = analysis.of_links(finding.channel);
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
            channel.compare_link(finding.pair, finding.direction),
            finding.z_of_all,
            analysis.alone_against_others(channel, finding.alone, suspects),
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
    let (severity, confidence) = match state {
        Alone::StillBad => (
            severity_of(channel.quantity, effect),
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
