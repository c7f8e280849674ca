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
    let effects: BTreeMap<usize, (f64, f64)> = rounds
        .into_iter()
        .filter(|(_, values)| values.len() >= LEAST_PAIRS)
        .filter_map(|(round, mut values)| {
            let error = 1.25 * noise / (values.len() as f64).sqrt();
            Some((round, (median(&mut values)?, error)))
        })
        .collect();
    if effects.len() < LEAST_ROUNDS {
        return false;
    }
    let count = effects.len() as f64;
    let squares: f64 = effects.values().map(|(e, error)| (e / error).powi(2)).sum();
    let (slope, clear) = trend(&effects);
    if squares < CLEAR * count && clear < CLEAR {
        return false;
    }
    let slope = if clear < CLEAR { 0.0 } else { slope };
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
    let count = effects.len() as f64;
    let middle = effects.keys().map(|&round| round as f64).sum::<f64>() / count;
    let error = effects.values().map(|(_, error)| error).sum::<f64>() / count;
    let (mut products, mut squares) = (0.0, 0.0);
    for (&round, (effect, _)) in effects {
        let from = round as f64 - middle;
        products += from * effect;
        squares += from * from;
    }
    let slope = products / squares;
    (slope, slope.abs() * squares.sqrt() / error)
}
