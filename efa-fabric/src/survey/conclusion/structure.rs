//! What is reported of many at once: groups, populations, levels of pairs, many links of one kind.

use std::collections::BTreeSet;

use super::super::attribution::{Analysis, Channel, Compared, Populations, SlowPath};
use super::super::verdict::{
    Confidence, Evidence, Quantity, Severity, Subject, Verdict, VerdictKind,
};
use super::evidence::{evidence, severity_of};
use crate::median::median;

/// This many slow links are single faults; above a share of the pairs, they are structure.
const SINGLE_LINKS: usize = 2;
const SINGLE_SHARE: f64 = 0.015;
/// A link of the lower level reaches this share of its median.
pub(super) const OF_LEVEL: f64 = 0.85;
/// Across groups this share of the rate inside is no reason for a warning: networks are commonly
/// built to carry a third between leaves of what their ports carry.
const FAR_BELOW: f64 = 1.0 / 3.0;
/// More statements of one kind than this are one.
const MOST_OF_KIND: usize = 8;

/// The verdicts on groups that are slow as a whole.
pub(super) fn groups(analysis: &Analysis) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    if !analysis.tells_outliers() {
        return verdicts;
    }
    for quantity in [Quantity::Bandwidth, Quantity::Latency] {
        let all = || analysis.channels.iter().filter(|c| c.quantity == quantity);
        let Some(channel) = all().find(|c| c.rail.is_none()).or_else(|| all().next()) else {
            continue;
        };
        for group in &channel.by_group.slow {
            let Some(compared) = compared(channel, &group.own, &group.others) else {
                continue;
            };
            let kind = match quantity {
                Quantity::Bandwidth => VerdictKind::SlowBandwidth,
                Quantity::Latency => VerdictKind::HighLatency,
            };
            let severity = severity_of(quantity, compared.effect(quantity));
            let evidence = Evidence {
                label: Some(group.label.clone()),
                nodes: group.nodes.clone(),
                direction: Some(group.direction),
                ..evidence(channel, Some(compared), group.z, None)
            };
            let subject = Subject::Group { group: group.group };
            verdicts.push(Verdict::new(
                subject,
                kind,
                severity,
                Confidence::High,
                evidence,
            ));
        }
    }
    verdicts
}

/// The verdicts on paths between groups, or inside of one, that are slow.
pub(super) fn paths(analysis: &Analysis) -> Vec<Verdict> {
    let Some(channel) = analysis.main().filter(|_| analysis.tells_outliers()) else {
        return Vec::new();
    };
    let verdict = |path: &SlowPath| {
        let compared = compared(channel, &path.own, &path.others)?;
        let evidence = Evidence {
            label: Some(path.labels.0.clone()),
            other_label: Some(path.labels.1.clone()),
            nodes: path.nodes.clone(),
            direction: Some(path.direction),
            ..evidence(channel, Some(compared), path.z, None)
        };
        let (a, b) = path.groups;
        let (subject, kind) = (Subject::GroupPath { a, b }, VerdictKind::SlowBandwidth);
        let (severity, confidence) = (Severity::Fault, Confidence::High);
        Some(Verdict::new(subject, kind, severity, confidence, evidence))
    };
    let paths = channel.by_group.paths.iter();
    paths.filter_map(verdict).collect()
}

/// What was measured of a group or path and of the others, as rates or latencies.
fn compared(channel: &Channel, own: &[f64], others: &[f64]) -> Option<Compared> {
    let middle = |values: &[f64]| {
        let mut values: Vec<f64> = values.iter().map(|&v| channel.unlog(v)).collect();
        median(&mut values)
    };
    Some(Compared {
        value: middle(own)?,
        count: own.len(),
        typical: middle(others)?,
        compared: others.len(),
    })
}

/// The warning that all groups reach much less between each other than inside.
pub(super) fn oversubscribed(analysis: &Analysis) -> Option<Verdict> {
    let channel = analysis.main()?;
    let rates = channel.by_group.rates?;
    let share = rates.share().filter(|share| *share < FAR_BELOW)?;
    let evidence = Evidence {
        quantity: Some(Quantity::Bandwidth),
        rail: channel.rail,
        value: rates.across_gbps,
        observations: rates.across_ways,
        typical: rates.inside_gbps,
        compared: rates.inside_ways,
        change_percent: Some((share - 1.0) * 100.0),
        ..Evidence::default()
    };
    let (kind, severity) = (VerdictKind::Oversubscribed, Severity::Warning);
    let (subject, confidence) = (Subject::Cluster, Confidence::High);
    Some(Verdict::new(subject, kind, severity, confidence, evidence))
}

/// The verdict on two populations.
pub(super) fn populated(found: &Populations, analysis: &Analysis) -> Verdict {
    let (value, observations) = found.slow_gbps;
    let (typical, compared) = found.fast_gbps;
    let evidence = Evidence {
        quantity: Some(Quantity::Bandwidth),
        value: Some(value),
        observations,
        typical: Some(typical),
        compared,
        change_percent: Some((value / typical - 1.0) * 100.0),
        nodes: found.slow.clone(),
        tried: found.slow.len() + found.fast.len(),
        rail: analysis.main().and_then(|c| c.rail),
        ..Evidence::default()
    };
    Verdict::new(
        Subject::Cluster,
        VerdictKind::Populations,
        Severity::Fault,
        Confidence::High,
        evidence,
    )
}

/// States in one sentence what would be many: slow links that are too many for single faults, and
/// remarks or warnings of one kind about links.
pub(super) fn many(
    analysis: &Analysis,
    explained: bool,
    mut verdicts: Vec<Verdict>,
) -> Vec<Verdict> {
    if too_many_slow_links(analysis, &verdicts) {
        join_slow_links(analysis, &mut verdicts);
    } else if let Some(levels) = analysis.levels().filter(|_| !explained) {
        let apart = analysis.main().map(Channel::apart_from_most);
        state_levels(levels, apart.unwrap_or_default(), &mut verdicts);
    }
    for (kind, severity) in [
        (VerdictKind::SeenOnce, Severity::Info),
        (VerdictKind::Intermittent, Severity::Warning),
        (VerdictKind::Contention, Severity::Warning),
        (VerdictKind::NotEnoughData, Severity::Warning),
        (VerdictKind::SlowBandwidth, Severity::Info),
        (VerdictKind::HighLatency, Severity::Info),
    ] {
        join_links_of_kind(kind, severity, analysis.partners.len(), &mut verdicts);
    }
    verdicts
}

fn is_link(verdict: &Verdict) -> bool {
    matches!(verdict.subject, Subject::Link { .. })
}

fn is_slow_link(verdict: &Verdict) -> bool {
    let kinds = [VerdictKind::SlowBandwidth, VerdictKind::HighLatency];
    is_link(verdict) && kinds.contains(&verdict.kind)
}

fn is_of_bandwidth(verdict: &Verdict) -> bool {
    verdict.evidence.quantity == Some(Quantity::Bandwidth)
}

/// Whether slow links are more than single faults would be, and one of them at least is no remark.
/// Those of one node are no matter of the cluster.
fn too_many_slow_links(analysis: &Analysis, verdicts: &[Verdict]) -> bool {
    let slow = || verdicts.iter().filter(|v| is_slow_link(v));
    let most = SINGLE_LINKS.max((SINGLE_SHARE * analysis.partners.len() as f64) as usize);
    let common = slow().map(|v| v.nodes().into_iter().collect());
    let common = common.reduce(|x: BTreeSet<usize>, y| &x & &y);
    slow().any(|v| v.severity > Severity::Info)
        && slow().count() > most
        && common.is_none_or(|common| common.is_empty())
}

/// Replaces all slow links by one verdict on the cluster.
fn join_slow_links(analysis: &Analysis, verdicts: &mut Vec<Verdict>) {
    let slow = || verdicts.iter().filter(|v| is_slow_link(v));
    let rates = slow().filter(|v| is_of_bandwidth(v));
    let evidence = Evidence {
        failed: slow().count(),
        tried: analysis.partners.len(),
        quantity: Some(Quantity::Bandwidth),
        slow_value: rates.filter_map(|v| v.evidence.value).reduce(f64::min),
        typical: analysis.main().map(Channel::typical),
        ..Evidence::default()
    };
    verdicts.retain(|v| !is_slow_link(v));
    verdicts.push(structure(Severity::Warning, evidence));
}

/// Replaces the slow links that reach the lower of two levels by a remark on the cluster, a warning if that
/// is far below the other, unless a verdict on other than a link has the cause. `apart` has the nodes
/// that have the lower level with most others.
fn state_levels(levels: (f64, f64, usize, usize), apart: Vec<usize>, verdicts: &mut Vec<Verdict>) {
    let (higher, lower, low, all) = levels;
    // A link that reaches the lower level is one of many.
    verdicts.retain(|v| {
        let value = v.evidence.value;
        let reaches = value.is_none_or(|value| value >= OF_LEVEL * lower);
        !(is_slow_link(v) && is_of_bandwidth(v) && reaches)
    });
    let culprit = |v: &Verdict| v.severity > Severity::Info && !is_link(v) && is_of_bandwidth(v);
    if !verdicts.iter().any(culprit) {
        let evidence = Evidence {
            failed: low,
            tried: all,
            quantity: Some(Quantity::Bandwidth),
            value: Some(lower),
            typical: Some(higher),
            nodes: apart,
            ..Evidence::default()
        };
        let severity = match lower / higher < FAR_BELOW {
            true => Severity::Warning,
            false => Severity::Info,
        };
        verdicts.push(structure(severity, evidence));
    }
}

/// Replaces the verdicts of one kind and severity on links by one on the cluster, where they are
/// many.
fn join_links_of_kind(
    kind: VerdictKind,
    severity: Severity,
    pairs: usize,
    verdicts: &mut Vec<Verdict>,
) {
    let is_one = |v: &Verdict| is_link(v) && v.kind == kind && v.severity == severity;
    let count = verdicts.iter().filter(|v| is_one(v)).count();
    if count <= MOST_OF_KIND {
        return;
    }
    let first = verdicts.iter().find(|v| is_one(v));
    let first = first.map(|v| v.evidence.clone());
    verdicts.retain(|v| !is_one(v));
    let evidence = Evidence {
        failed: count,
        tried: pairs,
        ..first.unwrap_or_default()
    };
    let kind = match kind {
        VerdictKind::SlowBandwidth | VerdictKind::HighLatency => VerdictKind::Structure,
        VerdictKind::Contention => VerdictKind::Structure,
        kind => kind,
    };
    verdicts.push(Verdict::new(
        Subject::Cluster,
        kind,
        severity,
        Confidence::Medium,
        evidence,
    ));
}

fn structure(severity: Severity, evidence: Evidence) -> Verdict {
    let subject = Subject::Cluster;
    let kind = VerdictKind::Structure;
    Verdict::new(subject, kind, severity, Confidence::Medium, evidence)
}
