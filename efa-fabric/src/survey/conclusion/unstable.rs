//! Verdicts on nodes that fail or are slow in part of their measurements.

use std::collections::BTreeSet;

use super::super::attribution::{Analysis, Pass};
use super::super::observation::Observations;
use super::super::one_piece::OnePiece;
use super::super::verdict::{
    Confidence, Evidence, Quantity, Severity, Subject, Verdict, VerdictKind,
};

/// The verdicts, of nodes that are not bad otherwise.
pub(super) fn unstable(
    analysis: &Analysis,
    observations: &Observations,
    but: &BTreeSet<usize>,
) -> Vec<Verdict> {
    let found = analysis.unstable(Pass::Verdict, but).into_iter();
    let verdict = |found: super::super::attribution::Unstable| {
        let only_failed = found.failed > 0 && found.slow == 0;
        let failed_in = only_failed
            .then(|| OnePiece::find(observations, found.node)?.away())
            .flatten();
        let evidence = Evidence {
            quantity: Some(Quantity::Bandwidth),
            failed: found.failed,
            failed_in,
            tried: found.tried,
            slow: found.slow,
            slow_value: found.slow_value,
            value: found.good,
            observations: found.good_count,
            code: (found.failed > 0)
                .then(|| analysis.reach.sample(found.node).map(|t| t.code.clone()))
                .flatten(),
            ..Evidence::default()
        };
        let may_vary = found.varies && !found.is_often_slow;
        let severity = if may_vary || failed_in.is_some() {
            Severity::Warning
        } else {
            Severity::Fault
        };
        let subject = Subject::Node { node: found.node };
        let kind = VerdictKind::Unstable;
        Verdict::new(subject, kind, severity, Confidence::Medium, evidence)
    };
    found.map(verdict).collect()
}
