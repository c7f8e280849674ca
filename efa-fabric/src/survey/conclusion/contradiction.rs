//! The last check of a verdict: against the very numbers that it is reported with.

use super::super::attribution::{CONTENTION, LINK_CLAIM, LINK_CONTENTION};
use super::super::options::Thresholds;
use super::super::verdict::{Evidence, Quantity, Severity, Subject, Verdict, VerdictKind};

/// Removes the verdicts that their own numbers contradict, and makes faults of links warnings that
/// their numbers show less of than a fault needs.
pub(super) fn without_contradicted(
    mut verdicts: Vec<Verdict>,
    thresholds: &Thresholds,
) -> Vec<Verdict> {
    verdicts.retain(|verdict| !is_contradicted(verdict));
    for verdict in &mut verdicts {
        let is_link = matches!(verdict.subject, Subject::Link { .. });
        if is_link && verdict.severity == Severity::Fault && is_small(verdict, thresholds) {
            verdict.severity = Severity::Warning;
        }
    }
    verdicts
}

fn is_contradicted(verdict: &Verdict) -> bool {
    let e = &verdict.evidence;
    if matches!(verdict.subject, Subject::Cluster | Subject::Group { .. }) {
        return false;
    }
    let (change, alone) = (
        effect(e, e.change_percent),
        effect(e, e.alone_change_percent),
    );
    match verdict.kind {
        VerdictKind::SlowBandwidth | VerdictKind::HighLatency => {
            change.is_some_and(|change| change >= 0.0) || alone.is_some_and(|alone| alone >= 0.0)
        }
        VerdictKind::Contention => {
            let least = match verdict.subject {
                Subject::Link { .. } => LINK_CONTENTION,
                _ => CONTENTION,
            };
            // Of a loss that is just one, what is alone better is not measured more closely.
            let is_lost = |change: f64| change <= least && change - alone.unwrap_or(0.0) <= least;
            !change.is_some_and(is_lost)
        }
        _ => false,
    }
}

/// Whether the measurements of a link show less than a fault of one needs.
fn is_small(verdict: &Verdict, thresholds: &Thresholds) -> bool {
    let e = &verdict.evidence;
    let claim = match e.quantity {
        Some(Quantity::Bandwidth) => (1.0 - thresholds.loss).ln(),
        Some(Quantity::Latency) => -(1.0 + thresholds.link_latency_excess).ln(),
        None => return false,
    };
    effect(e, e.change_percent).is_some_and(|change| change > claim * LINK_CLAIM)
}

/// A difference in percent as a logarithm, below 0 for worse.
fn effect(evidence: &Evidence, percent: Option<f64>) -> Option<f64> {
    let effect = (percent? / 100.0).ln_1p();
    match evidence.quantity? {
        Quantity::Bandwidth => Some(effect),
        Quantity::Latency => Some(-effect),
    }
}
