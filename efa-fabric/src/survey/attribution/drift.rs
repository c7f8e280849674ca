//! Rates that change in the course of a survey: what each round differs from the others.

use std::collections::{BTreeMap, BTreeSet};

use super::super::schedule::Pair;
use super::super::statistics::{Cell, Fit, LEAST_SPREAD, spread};
use super::channel::Both;
use crate::median::median;

/// A round is compared with others from this many pairs on.
const LEAST_PAIRS: usize = 4;
/// Drift is reported from this many rounds on.
const LEAST_ROUNDS: usize = 4;
/// The rounds differ by this multiple of what noise explains (mean of squares).
const CLEAR: f64 = 3.0;
/// The same of a trend, where the noise is known from few measurements.
const CLEAR_OF_FEW: f64 = 4.0;
/// Of what was measured again, a round has to have this many good pairs to report a trend.
const LEAST_AGAIN: usize = 2;
/// Of fewer measurements the noise is not known by a median alone.
const FEW: usize = 100;
/// 1.2533 × the mean absolute deviation is the standard deviation of a normal distribution.
const OF_MEAN: f64 = 1.2533;
/// A pair is low beyond this multiple of the noise.
const LOW: f64 = 1.5;
/// A good node is not slower than this (logarithm: 5 %).
const GOOD: f64 = -0.05;

/// Takes the differences between rounds out of the values, if noise does not explain them. A
/// round of few pairs has that of the round before.
pub(super) fn even_out(
    fit: &Fit,
    fresh_from: usize,
    pairs: &mut [Both],
    alone: &mut [Both],
) -> bool {
    let left = |both: &Both| -> Option<f64> {
        let (a, b) = both.pair;
        let residual = |from, to, value| fit.residual(&Cell { from, to, value });
        let (forth, back) = (residual(a, b, both.forth), residual(b, a, both.back));
        match (forth.is_finite(), back.is_finite()) {
            (true, true) => Some(f64::midpoint(forth, back)),
            (true, false) => Some(forth),
            (false, true) => Some(back),
            (false, false) => None,
        }
    };
    let noise = noise_within(pairs, left);
    // Of what is measured again, only pairs of good nodes report something of their round: slow links
    // are low, and two slow nodes are faster together than the sum of their effects.
    let is_base = |both: &Both| both.round < fresh_from;
    let low = pairs.iter().filter(|both| is_base(both));
    let low: BTreeSet<Pair> = low
        .filter(|both| left(both).is_some_and(|value| value <= -LOW * noise))
        .map(|both| both.pair)
        .collect();
    let good = |node: usize| fit.tx[node].min(fit.rx[node]) > GOOD;
    let counts = |both: &Both| {
        let (a, b) = both.pair;
        is_base(both) || (!low.contains(&both.pair) && good(a) && good(b))
    };
    let mut rounds: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for both in pairs.iter() {
        if let Some(value) = left(both).filter(|_| counts(both)) {
            rounds.entry(both.round).or_default().push(value);
        }
    }
    let few = rounds.values().map(Vec::len).sum::<usize>() < FEW;
    // A trend has to go on in what was measured again, however few good pairs that has.
    let least = |round: &usize| {
        if *round < fresh_from {
            LEAST_PAIRS
        } else {
            LEAST_AGAIN
        }
    };
    let effects: BTreeMap<usize, (f64, f64)> = rounds
        .into_iter()
        .filter(|(round, values)| values.len() >= least(round))
        .filter_map(|(round, mut values)| {
            let error = 1.25 * noise / (values.len() as f64).sqrt();
            Some((round, (median(&mut values)?, error)))
        })
        .collect();
    if effects.range(..fresh_from).count() < LEAST_ROUNDS {
        return false;
    }
    let count = effects.len() as f64;
    let squares: f64 = effects.values().map(|(e, error)| (e / error).powi(2)).sum();
    let (slope, clear) = trend(&effects);
    let is_trend = clear >= if few { CLEAR_OF_FEW } else { CLEAR };
    if squares < CLEAR * count && !is_trend {
        return false;
    }
    let slope = if is_trend { slope } else { 0.0 };
    for both in pairs.iter_mut().chain(alone) {
        let before = effects.range(..=both.round).next_back();
        if let Some((round, (effect, _))) = before.or_else(|| effects.iter().next()) {
            both.take_out(effect + slope * (both.round as f64 - *round as f64));
        }
    }
    true
}

/// The spread of what is left within the rounds: drift adds to the spread over all of them, and
/// would hide itself in it.
fn noise_within(pairs: &[Both], left: impl Fn(&Both) -> Option<f64>) -> f64 {
    let mut rounds: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for both in pairs {
        if let Some(value) = left(both) {
            rounds.entry(both.round).or_default().push(value);
        }
    }
    let all = rounds.values().flatten().copied();
    let overall = spread(all, LEAST_SPREAD / 2.0);
    let mut within = Vec::new();
    for values in rounds.values_mut().filter(|v| v.len() >= LEAST_PAIRS) {
        let Some(middle) = median(values) else {
            continue;
        };
        // The median of few takes part of their spread out.
        let count = values.len() as f64;
        let widen = (count / (count - 1.0)).sqrt();
        within.extend(values.iter().map(|value| (value - middle) * widen));
    }
    if within.is_empty() {
        return overall;
    }
    // The median of few is often far too small by luck, the mean is not.
    let few = within.len() < FEW;
    let mean = within.iter().map(|v| v.abs()).sum::<f64>() / within.len() as f64;
    let within = spread(within.into_iter(), LEAST_SPREAD / 2.0).min(overall);
    if few {
        within.max(OF_MEAN * mean)
    } else {
        within
    }
}

/// The change per round, and how many standard errors it is.
fn trend(effects: &BTreeMap<usize, (f64, f64)>) -> (f64, f64) {
    let weighted = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        let all = effects.iter();
        all.map(|(&round, (effect, error))| of(round as f64, *effect) / error.powi(2))
            .sum()
    };
    let all = weighted(&|_, _| 1.0);
    let middle = weighted(&|round, _| round) / all;
    let level = weighted(&|_, effect| effect) / all;
    let squares = weighted(&|round, _| (round - middle).powi(2));
    if squares <= 0.0 || !squares.is_finite() {
        return (0.0, 0.0);
    }
    let slope = weighted(&|round, effect| (round - middle) * (effect - level)) / squares;
    (slope, slope.abs() * squares.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rates that rise by 3 % a round while anything is measured for the first time.
    fn evened(again: f64) -> f64 {
        let fit = Fit {
            center: 0.0,
            tx: vec![0.0; 8],
            rx: vec![0.0; 8],
            tx_count: vec![5; 8],
            rx_count: vec![5; 8],
        };
        let both = |pair, round, value: f64| Both::new(pair, value, f64::NAN, round);
        let noise = [-0.02, -0.01, 0.01, 0.02];
        let base = (0..5).flat_map(|round| {
            let level = 0.03 * (round as f64 - 2.0);
            (0..4).map(move |i| both((2 * i, 2 * i + 1), round, level + noise[i]))
        });
        let since = (5..7).flat_map(|round| {
            let level = 0.06 + again * (round as f64 - 4.0);
            (0..3).map(move |i| both((i, i + 4), round, level + noise[i]))
        });
        let mut pairs: Vec<Both> = base.chain(since).collect();
        let mut alone = vec![both((3, 7), 9, 0.0)];
        assert!(even_out(&fit, 5, &mut pairs, &mut alone));
        alone[0].measured()[0] - alone[0].forth
    }

    #[test]
    fn a_trend_goes_on_only_if_it_did_in_what_was_measured_again() {
        // The last round that was seen is the sixth, and the pair alone is in the ninth.
        let goes_on = evened(0.03);
        assert!((goes_on - 0.21).abs() < 0.03, "{goes_on}");
        let ends = evened(-0.06);
        assert!((ends + 0.07).abs() < 0.02, "{ends}");
    }
}
