//! What a survey can see of a node that is bad in part of its measurements: a computation, not a
//! measurement.

use std::collections::BTreeSet;

use super::observation::Observations;
use super::statistics::tail;
use crate::median::median;

/// Times at most that a node which failed or was slow in part is measured again.
pub(crate) const TURNS_OF_UNSTABLE: usize = 20;
/// The share of bad measurements that is asked about.
pub(crate) const BAD_SHARE: f64 = 0.3;
/// Bad measurements of a node that a verdict needs.
pub(crate) const LEAST_BAD: usize = 3;

/// Returns the chance that a node which is bad in `share` of its measurements is named, at best:
/// bad once at least in the first `base` of them, since nothing else has it measured `again` times,
/// and three times in all, which a verdict needs. No test of the same measurements names more.
#[must_use]
pub fn most_named(share: f64, base: usize, again: usize) -> f64 {
    let exactly = |bad: usize, tried| tail(bad, tried, share) - tail(bad + 1, tried, share);
    (1..=base)
        .map(|bad| exactly(bad, base) * tail(LEAST_BAD.saturating_sub(bad), again, share))
        .sum()
}

/// The same of a node that is bad in 30 % of its measurements, in a survey whose targeted rounds
/// start with `fresh_from`; `None` without base rounds.
pub(crate) fn of_survey(observations: &Observations, fresh_from: usize) -> Option<f64> {
    let base = observations
        .as_slice()
        .iter()
        .filter(|o| o.round < fresh_from);
    let attempts: BTreeSet<(usize, usize, usize)> = base.map(|o| (o.round, o.a, o.b)).collect();
    let mut of_node = vec![0.0; observations.nodes()];
    for (_, a, b) in attempts {
        of_node[a] += 1.0;
        of_node[b] += 1.0;
    }
    of_node.retain(|count| *count > 0.0);
    let base = median(&mut of_node)?;
    Some(most_named(BAD_SHARE, base as usize, TURNS_OF_UNSTABLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        // Of 6 measurements none is bad in 0.7^6 of surveys, however often others are measured.
        for (base, again, expected) in [
            (6, 1_000, 1.0 - 0.7f64.powi(6)),
            (3, 0, 0.3f64.powi(3)),
            (0, 100, 0.0),
            (2, 1, 0.3f64.powi(3)),
        ] {
            let most = most_named(BAD_SHARE, base, again);
            assert!((most - expected).abs() < 1e-9, "{base} {again}: {most}");
        }
    }

    #[test]
    fn the_documented_shares_are_computed() {
        let docs = include_str!("../../../docs/survey-statistics.md");
        let shares = [5, 6, 7, 9, 11, 15].map(|base| {
            let most = most_named(BAD_SHARE, base, TURNS_OF_UNSTABLE);
            format!(" {:.1} % |", 100.0 * most)
        });
        let row = format!("| named at best |{}", shares.concat());
        assert!(docs.contains(&row), "{row}");
    }
}
