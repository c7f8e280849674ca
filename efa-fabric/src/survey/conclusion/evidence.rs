//! The numbers behind a verdict.

use super::super::attribution::{Channel, Compared};
use super::super::reach::PairTally;
use super::super::verdict::{
    Confidence, Evidence, Quantity, Severity, Subject, Verdict, VerdictKind,
};

/// More latency than this is a fault, and up to it a warning (logarithm: 50 % more). Where a node is
/// in the network makes up some of its latency, which no repair ends; half as much again is chosen,
/// and not measured, as more than that explains.
const GRAVE_LATENCY: f64 = -0.405;

/// How bad an effect is that was confirmed: less bandwidth is a fault, more latency from a limit on.
pub(super) fn severity_of(quantity: Quantity, effect: f64) -> Severity {
    match quantity {
        Quantity::Latency if effect > GRAVE_LATENCY => Severity::Warning,
        Quantity::Bandwidth | Quantity::Latency => Severity::Fault,
    }
}

/// What was measured of a subject and of those that it is compared with; `alone` is the
/// difference while nothing else was measured.
pub(super) fn evidence(
    channel: &Channel,
    compared: Option<Compared>,
    z: f64,
    alone: Option<(f64, usize)>,
) -> Evidence {
    let sign = match channel.quantity {
        Quantity::Bandwidth => 1.0,
        Quantity::Latency => -1.0,
    };
    let change = |c: Compared| (c.value / c.typical - 1.0) * 100.0;
    Evidence {
        quantity: Some(channel.quantity),
        rail: channel.rail,
        change_percent: compared.map(change),
        z: Some(sign * z),
        observations: compared.map_or(0, |c| c.count),
        value: compared.map(|c| c.value),
        typical: compared.map(|c| c.typical),
        compared: compared.map_or(0, |c| c.compared),
        alone_change_percent: alone.map(|(effect, _)| percent(sign * effect)),
        alone_observations: alone.map_or(0, |(_, count)| count),
        ..Evidence::default()
    }
}

pub(super) fn percent(effect: f64) -> f64 {
    effect.exp_m1() * 100.0
}

pub(super) fn failure(tally: Option<&PairTally>) -> Evidence {
    Evidence {
        code: tally.map(|t| t.code.clone()),
        after_s: tally.map(|t| t.after_s),
        phase: tally.and_then(|t| t.phase),
        stuck_bytes: tally.and_then(|t| t.stuck_bytes),
        ..Evidence::default()
    }
}

pub(super) fn not_enough(subject: Subject, evidence: Evidence) -> Verdict {
    let kind = VerdictKind::NotEnoughData;
    let severity = if matches!(subject, Subject::Cluster) {
        Severity::Info
    } else {
        Severity::Warning
    };
    Verdict::new(subject, kind, severity, Confidence::Low, evidence)
}
