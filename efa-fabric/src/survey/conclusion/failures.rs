//! Verdicts on what failed: nodes, rails, links, or everything.

use std::collections::BTreeSet;

use super::super::attribution::Analysis;
use super::super::observation::Observations;
use super::super::verdict::{Confidence, Evidence, Severity, Subject, Verdict, VerdictKind};
use super::evidence::{failure, not_enough};

/// Nodes, rails and links that nothing, or not everything, passed through.
pub(super) fn failures(
    analysis: &Analysis,
    observations: &Observations,
    verdicts: &mut Vec<Verdict>,
) {
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
