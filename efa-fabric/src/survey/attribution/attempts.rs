//! Each attempt at a pair: failed, slow, odd or good. The basis of what is reported of unstable nodes.

use std::collections::BTreeMap;

use super::super::schedule::Pair;
use super::super::statistics::Cell;
use super::channel::Channel;

/// A measurement of a healthy pair is slow from this loss on (logarithm: 22 %).
const SLOW: f64 = -0.25;
/// It is slow beyond this multiple of the noise.
const SLOW_NOISE: f64 = 5.0;
/// It is odd beyond this multiple of the noise.
const ODD_NOISE: f64 = 3.0;
/// And beyond this difference (logarithm: 11 %).
const ODD: f64 = 0.12;

/// One attempt at a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Attempt {
    pub(super) pair: Pair,
    /// The lesser of both directions against what the two nodes reach otherwise; `None` where it
    /// failed. The effects of nodes that are slower are not taken out.
    pub(super) left: Option<f64>,
    /// Whether a direction is far from what the fit states: below 0 for less, above for more.
    pub(super) odd: i8,
    /// What the fit leaves of both directions, the first from the node with the lower number; NaN
    /// where not measured.
    pub(super) residuals: [f64; 2],
    /// The measurements themselves (logarithms).
    pub(super) values: [f64; 2],
    /// What was measured, in the slower direction (logarithm).
    pub(super) value: f64,
}

impl Attempt {
    /// Whether it failed or was slow.
    pub(super) fn is_bad(&self, least: f64) -> bool {
        self.left.is_none_or(|left| left <= least)
    }

    pub(super) fn is_of(&self, node: usize) -> bool {
        self.pair.0 == node || self.pair.1 == node
    }
}

/// From which loss on an attempt is slow.
pub(super) fn slow_from(channel: &Channel) -> f64 {
    SLOW.min(-SLOW_NOISE * channel.noise)
}

/// From which difference on a measurement is odd.
pub(super) fn odd_from(channel: &Channel) -> f64 {
    ODD.max(ODD_NOISE * channel.noise())
}

/// Every attempt, those that failed included. `failed` has pairs with the number of failures.
pub(super) fn attempts(channel: &Channel, failed: &BTreeMap<Pair, usize>) -> Vec<Attempt> {
    let fit = &channel.fit;
    let odd_from = odd_from(channel);
    let mut all: Vec<Attempt> = Vec::with_capacity(channel.pairs.len());
    for both in channel.pairs.iter().chain(&channel.alone) {
        let (a, b) = both.pair;
        let ways = [(a, b, both.forth), (b, a, both.back)];
        let known = ways.into_iter().filter(|(_, _, value)| value.is_finite());
        let left = known
            .clone()
            .map(|(from, to, value)| {
                value - fit.center - fit.tx[from].max(0.0) - fit.rx[to].max(0.0)
            })
            .fold(f64::INFINITY, f64::min);
        let residuals = ways.map(|(from, to, value)| fit.residual(&Cell { from, to, value }));
        let furthest = residuals
            .into_iter()
            .filter(|residual| residual.is_finite())
            .max_by(|x, y| x.abs().total_cmp(&y.abs()))
            .unwrap_or(0.0);
        let is_odd = furthest.abs() > odd_from;
        let odd = if is_odd { furthest.signum() as i8 } else { 0 };
        let measured = both.measured().into_iter().filter(|v| v.is_finite());
        let value = measured.fold(f64::INFINITY, f64::min);
        if left.is_finite() {
            all.push(Attempt {
                pair: both.pair,
                left: Some(left),
                odd,
                residuals,
                values: [both.forth, both.back],
                value,
            });
        }
    }
    for (&pair, &count) in failed {
        let attempt = Attempt {
            pair,
            left: None,
            odd: 0,
            residuals: [f64::NAN; 2],
            values: [f64::NAN; 2],
            value: f64::NAN,
        };
        all.extend(std::iter::repeat_n(attempt, count));
    }
    all
}
