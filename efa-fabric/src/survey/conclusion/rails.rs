//! Rails that are slower than the others of the same nodes, between all nodes: no comparison of
//! nodes shows them.

use std::collections::BTreeMap;

use super::super::observation::{Measured, Observations, Outcome};
use super::super::options::Options;
use super::super::verdict::{
    Confidence, Evidence, Quantity, Severity, Subject, Verdict, VerdictKind,
};
use crate::median::median;

/// A rail that keeps this share of what the others carry is no slower.
const EVEN: f64 = 0.75;
/// A measurement speaks for a slower rail if it keeps less than this share.
const SLOWER: f64 = 0.85;
/// This share of all measurements has to: of a rail of one node the others do not.
const MOST: f64 = 0.8;

/// Rates of one rail, and of the others in the same measurements.
#[derive(Default)]
struct OfRail {
    own: Vec<f64>,
    others: Vec<f64>,
}

/// The verdicts on such rails. Where a rate is expected of a rail, that shows more.
pub(super) fn uneven(observations: &Observations, options: &Options) -> Vec<Verdict> {
    if options.expected_rail_gbps.is_some() {
        return Vec::new();
    }
    let mut rails = BTreeMap::<u16, OfRail>::new();
    for of_pair in together(observations) {
        for get in [|m: &Measured| m.gbps_a_to_b, |m: &Measured| m.gbps_b_to_a] {
            let rates = of_pair
                .iter()
                .filter_map(|&(rail, m)| Some((rail, get(m)?)));
            let rates: Vec<(u16, f64)> = rates.collect();
            for &(rail, gbps) in &rates {
                let others = rates.iter().filter(|(other, _)| *other != rail);
                if let Some(of_others) = upper_median(others.map(|&(_, gbps)| gbps).collect()) {
                    let of = rails.entry(rail).or_default();
                    of.own.push(gbps);
                    of.others.push(of_others);
                }
            }
        }
    }
    let found = rails.into_iter();
    found.filter_map(|(rail, of)| of.verdict(rail)).collect()
}

/// The rails of each pair that were measured at the same time.
fn together(observations: &Observations) -> Vec<Vec<(u16, &Measured)>> {
    let mut rails = BTreeMap::<_, Vec<_>>::new();
    for o in observations.as_slice() {
        if let (Some(rail), Outcome::Measured(m)) = (o.rail, &o.outcome) {
            let of_pair = rails.entry((o.round, o.a, o.b)).or_default();
            of_pair.push((rail, m));
        }
    }
    rails.into_values().collect()
}

impl OfRail {
    fn verdict(mut self, rail: u16) -> Option<Verdict> {
        let shares = self.own.iter().zip(&self.others);
        let mut shares: Vec<f64> = shares.map(|(own, others)| own / others).collect();
        let slower = shares.iter().filter(|share| **share < SLOWER).count();
        let is_between_all = slower as f64 >= MOST * shares.len() as f64;
        let count = shares.len();
        let share = median(&mut shares).filter(|share| *share < EVEN && is_between_all)?;
        let evidence = Evidence {
            quantity: Some(Quantity::Bandwidth),
            rail: Some(rail),
            change_percent: Some((share - 1.0) * 100.0),
            value: median(&mut self.own),
            observations: count,
            typical: median(&mut self.others),
            compared: count,
            ..Evidence::default()
        };
        let kind = VerdictKind::UnevenRail;
        let (severity, confidence) = (Severity::Warning, Confidence::Medium);
        Some(Verdict::new(
            Subject::Cluster,
            kind,
            severity,
            confidence,
            evidence,
        ))
    }
}

/// The median, of an even number the larger of the two in the middle: where half of the rails are
/// slow, they are compared with the other half.
fn upper_median(mut rates: Vec<f64>) -> Option<f64> {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied()
}
