//! Verdicts on what failed: nodes, rails, links, or everything.

use std::collections::BTreeSet;

use super::super::attribution::Analysis;
use super::super::observation::Observations;
use super::super::statistics::tail;
use super::super::verdict::{Confidence, Evidence, Severity, Subject, Verdict, VerdictKind};
use super::evidence::{failure, not_enough};

/// Any pair fails this often.
const LEAST_FAILURES: f64 = 0.01;
/// Chance that any pair of a survey is called intermittent without being so.
const CHANCE: f64 = 0.01;

/// Nodes, rails and links that nothing, or not everything, passed through.
pub(super) fn failures(
    analysis: &Analysis,
    observations: &Observations,
    unstable: &BTreeSet<usize>,
    verdicts: &mut Vec<Verdict>,
) {
    if observations.is_empty() {
        verdicts.push(not_enough(Subject::Cluster, Evidence::default()));
        return;
    }
    verdicts.extend(dead_nodes(analysis));
    verdicts.extend(lost_nodes(analysis));
    verdicts.extend(nobody_reached_anybody(analysis, observations));
    verdicts.extend(partition(analysis));
    let patchy = patchy_nodes(analysis, unstable);
    let mut explained: BTreeSet<usize> = patchy.iter().flat_map(Verdict::nodes).collect();
    explained.extend(unstable);
    verdicts.extend(patchy);
    verdicts.extend(dead_rails(analysis));
    verdicts.extend(failed_links(analysis, &explained));
}

fn fault(
    subject: Subject,
    kind: VerdictKind,
    confidence: Confidence,
    evidence: Evidence,
) -> Verdict {
    Verdict::new(subject, kind, Severity::Fault, confidence, evidence)
}

/// Nodes that reached nobody. One that was tried too seldom, or with others of one kind only, may
/// be their fault; where nobody reached anybody, nothing is reported of it.
fn dead_nodes(analysis: &Analysis) -> Vec<Verdict> {
    let reach = &analysis.reach;
    let mut verdicts = Vec::new();
    for (node, failed) in reach.dead() {
        let silent = reach.silent(node);
        let evidence = Evidence {
            failed: if silent { 0 } else { failed },
            tried: analysis.met[node],
            ..failure(reach.sample(node))
        };
        let subject = Subject::Node { node };
        if silent || reach.is_dead(node) {
            let kind = VerdictKind::Unreachable;
            verdicts.push(fault(subject, kind, Confidence::High, evidence));
        } else if reach.any_success() {
            verdicts.push(not_enough(subject, evidence));
        }
    }
    verdicts
}

/// Nodes that were lost in the middle: their links are not bad.
fn lost_nodes(analysis: &Analysis) -> impl Iterator<Item = Verdict> {
    analysis.reach.lost().iter().map(|lost| {
        let evidence = Evidence {
            failed: lost.failed,
            tried: analysis.met[lost.node],
            worked_in: Some(lost.worked_in),
            ..failure(analysis.reach.sample(lost.node))
        };
        let subject = Subject::Node { node: lost.node };
        let kind = VerdictKind::Unreachable;
        fault(subject, kind, Confidence::High, evidence)
    })
}

/// A cluster in which nothing was measured. Where silent nodes explain every failure, nothing
/// more is known.
fn nobody_reached_anybody(analysis: &Analysis, observations: &Observations) -> Option<Verdict> {
    let reach = &analysis.reach;
    let nodes = 0..observations.nodes();
    let answering: Vec<usize> = nodes.filter(|&node| !reach.silent(node)).collect();
    if reach.any_success() || answering.len() < 2 {
        return None;
    }
    let (subject, kind) = match answering[..] {
        [a, b] => (Subject::Link { a, b }, VerdictKind::NotEnoughData),
        _ => (Subject::Cluster, VerdictKind::Unreachable),
    };
    let evidence = failure(reach.furthest(&answering));
    Some(fault(subject, kind, Confidence::Medium, evidence))
}

/// Sets of nodes that do not reach each other: one finding, and nobody's fault.
fn partition(analysis: &Analysis) -> Option<Verdict> {
    let sets = analysis.reach.sets().filter(|sets| sets.is_seen)?;
    let first = sets.sets.first()?.first()?;
    let evidence = Evidence {
        sets: sets.sets.clone(),
        failed: sets.tried.len(),
        tried: sets.attempts,
        ..failure(analysis.reach.sample(*first))
    };
    let (severity, confidence) = match sets.is_certain {
        true => (Severity::Fault, Confidence::High),
        false => (Severity::Warning, Confidence::Low),
    };
    let kind = VerdictKind::Partition;
    let of = Subject::Cluster;
    Some(Verdict::new(of, kind, severity, confidence, evidence))
}

/// Nodes that fail with many, but not with all.
fn patchy_nodes(analysis: &Analysis, unstable: &BTreeSet<usize>) -> Vec<Verdict> {
    let reach = &analysis.reach;
    let verdict = |(node, failed)| {
        let evidence = Evidence {
            failed,
            tried: analysis.met[node],
            ..failure(reach.sample(node))
        };
        let subject = Subject::Node { node };
        let kind = VerdictKind::Intermittent;
        fault(subject, kind, Confidence::Medium, evidence)
    };
    let patchy = reach.patchy(&analysis.met).into_iter();
    patchy
        .filter(|(node, _)| !unstable.contains(node))
        .map(verdict)
        .collect()
}

/// Rails that work with nobody, of nodes that otherwise do.
fn dead_rails(analysis: &Analysis) -> impl Iterator<Item = Verdict> {
    let rails = analysis.reach.dead_rails();
    rails.into_iter().map(|(node, rail, failed)| {
        let evidence = Evidence {
            rail: Some(rail),
            failed,
            tried: failed,
            ..Evidence::default()
        };
        let subject = Subject::Rail { node, rail };
        let kind = VerdictKind::Unreachable;
        fault(subject, kind, Confidence::High, evidence)
    })
}

/// Links that failed at least once, between nodes that do not explain it.
fn failed_links(analysis: &Analysis, explained: &BTreeSet<usize>) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let enough = analysis.reach.enough_of_pair();
    let (share, pairs) = (analysis.reach.failure_share(), analysis.partners.len());
    for ((a, b), tally) in analysis.reach.failed_pairs() {
        if explained.contains(&a) || explained.contains(&b) {
            continue;
        }
        let evidence = Evidence {
            failed: tally.failed,
            tried: tally.failed + tally.reached,
            ..failure(Some(tally))
        };
        let tried = tally.failed + tally.reached;
        let often = tally.failed >= 2
            && tail(tally.failed, tried, share.max(LEAST_FAILURES)) * (pairs as f64) < CHANCE;
        // Of the only pair there are no others to compare it with.
        let is_mostly_bad = pairs == 1 && tally.failed > tally.reached && tally.failed >= 2;
        let (kind, severity, confidence) = match tally.reached {
            0 if tally.failed >= enough => {
                let confidence = if tally.failed > 3 {
                    Confidence::High
                } else {
                    Confidence::Medium
                };
                (VerdictKind::Unreachable, Severity::Fault, confidence)
            }
            0 if tally.failed > 1 => (
                VerdictKind::NotEnoughData,
                Severity::Warning,
                Confidence::Low,
            ),
            _ if is_mostly_bad => (
                VerdictKind::Intermittent,
                Severity::Fault,
                Confidence::Medium,
            ),
            _ if often => (
                VerdictKind::Intermittent,
                Severity::Warning,
                Confidence::Medium,
            ),
            _ => (VerdictKind::SeenOnce, Severity::Info, Confidence::Low),
        };
        let subject = Subject::Link { a, b };
        verdicts.push(Verdict::new(subject, kind, severity, confidence, evidence));
    }
    verdicts
}
