//! The numbers behind a verdict.

use super::super::attribution::Channel;
use super::super::reach::PairTally;
use super::super::verdict::{
    Confidence, Evidence, Quantity, Severity, Subject, Verdict, VerdictKind,
};

pub(super) fn evidence(
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

pub(super) fn percent(effect: f64) -> f64 {
    effect.exp_m1() * 100.0
}

pub(super) fn failure(tally: Option<&PairTally>) -> Evidence {
    Evidence {
        code: tally.map(|t| t.code.clone()),
        after_s: tally.map(|t| t.after_s),
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
