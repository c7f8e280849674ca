//! Verdicts on nodes that fail or are slow in part of their measurements.

use std::collections::BTreeSet;

use super::super::attribution::{Analysis, Pass};
use super::super::verdict::{
    Confidence, Evidence, Quantity, Severity, Subject, Verdict, VerdictKind,
};

/// The verdicts, of nodes that are not bad otherwise.
pub(super) fn unstable(analysis: &Analysis, but: &BTreeSet<usize>) -> Vec<Verdict> {
    let found = analysis.unstable(Pass::Verdict, but).into_iter();
    let verdict = |found: super::super::attribution::Unstable| {
        let evidence = Evidence {
            quantity: Some(Quantity::Bandwidth),
            failed: found.failed,
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
        let severity = if found.varies && !found.is_often_slow {
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
