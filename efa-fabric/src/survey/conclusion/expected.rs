//! Verdicts by comparison with the rates that were expected.

use super::super::attribution::{Analysis, Channel};
use super::super::few::slower_directions;
use super::super::observation::Observations;
use super::super::options::Options;
use super::super::schedule::Pair;
use super::super::verdict::{
    Confidence, Evidence, Quantity, Severity, Subject, Verdict, VerdictKind,
};
use crate::median::median;

/// The median of all pairs is this many standard errors below what is expected.
const CLEAR: f64 = 3.0;

/// Compares the pairs of a small cluster, which has no outliers, with what is expected.
pub(super) fn small(
    analysis: &Analysis,
    observations: &Observations,
    options: &Options,
    verdicts: &mut Vec<Verdict>,
) {
    if analysis.tells_outliers() {
        return;
    }
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
        let pairs = slower_directions(observations, channel.rail);
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
pub(super) fn expected(
    analysis: &Analysis,
    observations: &Observations,
    options: &Options,
    verdicts: &mut Vec<Verdict>,
) {
    for (_, channel) in analysis.bandwidth() {
        let Some(expected) = expected_of(channel, options) else {
            continue;
        };
        let least = expected * options.thresholds.of_expected;
        let pairs = match analysis.tells_outliers() {
            true => channel.pair_medians(),
            false => slower_directions(observations, channel.rail),
        };
        let all_low = pairs.values().all(|v| *v < least);
        let Some(value) = median(&mut pairs.values().copied().collect::<Vec<_>>()) else {
            continue;
        };
        // What the fit calls typical has to be low as well, and all of it beyond noise.
        let error = channel.error_of(channel.noise(), 2 * pairs.len());
        let is_low = channel.typical() < least && value < expected * (-CLEAR * error).exp();
        if value < least && (all_low || is_low && analysis.tells_outliers()) {
            verdicts.push(below(
                channel,
                Subject::Cluster,
                value,
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
