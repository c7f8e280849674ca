//! What is reported of clusters with too few nodes for outliers: how far their rates are apart, and
//! that they differ.

use super::super::attribution::Analysis;
use super::super::few::Spread;
use super::super::observation::Observations;
use super::super::options::Options;
use super::super::verdict::{
    Confidence, Evidence, Quantity, Severity, Subject, Verdict, VerdictKind,
};
use super::evidence::not_enough;
use crate::median::median;

/// States that among few nodes no outlier can be identified, how far their rates are apart, and,
/// without an expected rate, where that is more than noise explains.
pub(super) fn few(
    analysis: &Analysis,
    observations: &Observations,
    options: &Options,
    verdicts: &mut Vec<Verdict>,
) {
    let live = analysis.reach.live_nodes();
    if analysis.tells_outliers() || live == 0 {
        return;
    }
    let spreads = Spread::all(observations, options.labels.as_deref());
    let evidence = Evidence {
        tried: live,
        expected_gbps: options.expected_gbps.or(options.expected_rail_gbps),
        ..apart(&spreads)
    };
    verdicts.push(not_enough(Subject::Cluster, evidence));
    if !options.expects_a_rate() {
        let beyond = spreads
            .iter()
            .filter(|of| of.is_open() || of.is_beyond_noise());
        verdicts.extend(beyond.map(|of| differ(of, live)));
    }
}

/// The slowest and the fastest way of all rails together, or of the first rail.
fn apart(spreads: &[Spread]) -> Evidence {
    let first = spreads.first().map(|of| of.rail);
    let of_first = || spreads.iter().filter(|of| Some(of.rail) == first);
    let ends = || of_first().flat_map(Spread::ends).map(|way| way.gbps);
    let ways = || of_first().flat_map(|of| &of.ways);
    let is_repeated = of_first().any(|of| of.noise.is_some());
    let least = of_first().map(|of| of.least).reduce(f64::min);
    Evidence {
        rail: first.flatten(),
        value: ends().reduce(f64::min),
        typical: ends().reduce(f64::max),
        observations: ways().map(|way| way.measurements).sum(),
        slow_value: least.filter(|_| is_repeated),
        ..Evidence::default()
    }
}

fn differ(of: &Spread, live: usize) -> Verdict {
    let (slow, others) = of.sides();
    let middle = |ways: &[super::super::verdict::WayRate]| {
        median(&mut ways.iter().map(|way| way.gbps).collect::<Vec<_>>())
    };
    let (value, typical) = (middle(slow), middle(others));
    let shared = of.shared();
    let evidence = Evidence {
        quantity: Some(Quantity::Bandwidth),
        direction: shared.map(|(_, direction)| direction),
        rail: of.rail,
        change_percent: value
            .zip(typical)
            .map(|(value, typical)| (value / typical - 1.0) * 100.0),
        value,
        typical,
        observations: slow.iter().map(|way| way.measurements).sum(),
        compared: others.iter().map(|way| way.measurements).sum(),
        slow: slow.len(),
        tried: live,
        nodes: shared.iter().map(|&(node, _)| node).collect(),
        ways: of.ways.clone(),
        ..Evidence::default()
    };
    let confidence = match of.noise {
        Some(_) if shared.is_none() => Confidence::Medium,
        _ => Confidence::Low,
    };
    let severity = match of.is_open() {
        true => Severity::Warning,
        false => Severity::Fault,
    };
    let kind = VerdictKind::RatesDiffer;
    Verdict::new(Subject::Cluster, kind, severity, confidence, evidence)
}
