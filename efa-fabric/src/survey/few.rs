//! Rates of few nodes: how far apart they are, and whether noise explains that.
//!
//! Among few nodes no outlier can be named, since there is no crowd to stand out from. Their rates
//! are compared all the same, each direction of a pair by itself: where they differ by more than
//! repeated measurements of one direction do, something is wrong, whoever it is.

use std::collections::{BTreeMap, BTreeSet};

use super::observation::{Observations, Outcome};
use super::options::Options;
use super::schedule::{Pair, ordered};
use super::verdict::{Direction, WayRate};
use crate::median::median;

/// Rates that differ by less than this share of the fastest are taken for equal.
const ALIKE: f64 = 0.25;
/// The fastest and the slowest of up to twelve equal ways are at most this many standard errors
/// apart in 99 of 100 surveys: the studentized range.
const RANGE: f64 = 6.0;
/// The standard error of a median, in those of a mean, of normal values.
const OF_MEDIAN: f64 = 1.2533;

/// The rates of ways that can be compared with each other: on the same rail, and with labels those
/// within groups or those across.
#[derive(Debug)]
pub(super) struct Spread {
    pub(super) rail: Option<u16>,
    /// Each direction of each pair, the slowest first.
    pub(super) ways: Vec<WayRate>,
    /// The slowest single measurement.
    pub(super) least: f64,
    /// The standard deviation of a measurement's logarithm around those of the same way; `None`
    /// where no way was measured twice.
    pub(super) noise: Option<f64>,
}

impl Spread {
    /// Of everything that was measured, but for all rails together where one of them failed: fewer
    /// carry less.
    pub(super) fn all(observations: &Observations, labels: Option<&[String]>) -> Vec<Self> {
        type Rates = BTreeMap<(usize, usize), Vec<f64>>;
        let mut rates = BTreeMap::<(Option<u16>, Option<bool>), Rates>::new();
        let with_a_failed_rail = with_a_failed_rail(observations);
        for o in observations.as_slice() {
            let Outcome::Measured(m) = &o.outcome else {
                continue;
            };
            if o.rail.is_none() && with_a_failed_rail.contains(&(o.round, o.a, o.b)) {
                continue;
            }
            let is_within = labels.and_then(|labels| Some(labels.get(o.a)? == labels.get(o.b)?));
            let of = rates.entry((o.rail, is_within)).or_default();
            for (way, gbps) in [((o.a, o.b), m.gbps_a_to_b), ((o.b, o.a), m.gbps_b_to_a)] {
                if let Some(gbps) = gbps {
                    of.entry(way).or_default().push(gbps);
                }
            }
        }
        let all = rates.into_iter();
        all.filter_map(|((rail, _), rates)| Self::from_rates(rail, rates))
            .collect()
    }

    fn from_rates(rail: Option<u16>, rates: BTreeMap<(usize, usize), Vec<f64>>) -> Option<Self> {
        let (mut squares, mut freedom) = (0.0, 0);
        let mut least = f64::INFINITY;
        let mut ways = Vec::new();
        for ((from, to), mut rates) in rates {
            let count = rates.len();
            let mean = rates.iter().map(|gbps| gbps.ln()).sum::<f64>() / count as f64;
            squares += rates
                .iter()
                .map(|gbps| (gbps.ln() - mean).powi(2))
                .sum::<f64>();
            freedom += count - 1;
            least = rates.iter().copied().fold(least, f64::min);
            ways.push(WayRate {
                from,
                to,
                gbps: median(&mut rates)?,
                measurements: count,
            });
        }
        ways.sort_by(|x, y| x.gbps.total_cmp(&y.gbps));
        (!ways.is_empty()).then_some(Self {
            rail,
            ways,
            least,
            noise: (freedom > 0).then(|| (squares / freedom as f64).sqrt()),
        })
    }

    /// The slowest and the fastest way.
    pub(super) fn ends(&self) -> [&WayRate; 2] {
        [&self.ways[0], &self.ways[self.ways.len() - 1]]
    }

    /// Whether the ways differ by so much that it matters.
    pub(super) fn is_wide(&self) -> bool {
        let [slowest, fastest] = self.ends();
        slowest.gbps < (1.0 - ALIKE) * fastest.gbps
    }

    /// Whether they differ by that much, and no way was measured twice: noise may explain it.
    pub(super) fn is_open(&self) -> bool {
        self.is_wide() && self.noise.is_none()
    }

    /// Whether they differ by that much, and by more than the measurements of one way do.
    pub(super) fn is_beyond_noise(&self) -> bool {
        let [slowest, fastest] = self.ends();
        let times = slowest.measurements.min(fastest.measurements) as f64;
        let limit = |noise: f64| RANGE * OF_MEDIAN * noise / times.sqrt();
        let apart = (fastest.gbps / slowest.gbps).ln();
        self.is_wide() && self.noise.is_some_and(|noise| apart > limit(noise))
    }

    /// The slow ways and the others, on the two sides of the widest gap between neighbours.
    pub(super) fn sides(&self) -> (&[WayRate], &[WayRate]) {
        let gap = |at: &usize| self.ways[*at].gbps / self.ways[at - 1].gbps;
        let widest = (1..self.ways.len()).max_by(|x, y| gap(x).total_cmp(&gap(y)));
        self.ways.split_at(widest.unwrap_or(self.ways.len()))
    }

    /// The node that all slow ways have in common and no other way has, and in which direction,
    /// where those are of two pairs or more.
    pub(super) fn shared(&self) -> Option<(usize, Direction)> {
        let (slow, others) = self.sides();
        let first = slow.first()?;
        let pair = |way: &WayRate| ordered(way.from, way.to);
        if slow.iter().all(|way| pair(way) == pair(first)) {
            return None;
        }
        for direction in [Direction::Both, Direction::Sends, Direction::Receives] {
            for node in [first.from, first.to] {
                let has = |way: &WayRate| match direction {
                    Direction::Sends => way.from == node,
                    Direction::Receives => way.to == node,
                    _ => way.from == node || way.to == node,
                };
                if slow.iter().all(has) && !others.iter().any(has) {
                    return Some((node, direction));
                }
            }
        }
        None
    }
}

/// How far the rates of few nodes are apart where noise explains that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Explained {
    pub(crate) rail: Option<u16>,
    /// What the slowest direction has less than the fastest, in percent.
    pub(crate) apart_percent: f64,
    /// The standard deviation of measurements of one direction, in percent.
    pub(crate) noise_percent: f64,
}

/// The rates that differ by so much that it would matter, and by no more than measurements of one
/// direction do; those that differ most. `None` where there are none.
pub(crate) fn explained_by_noise(
    observations: &Observations,
    labels: Option<&[String]>,
) -> Option<Explained> {
    let all = Spread::all(observations, labels).into_iter();
    let explained = all.filter(|of| of.is_wide() && !of.is_beyond_noise());
    let explained = explained.filter_map(|of| {
        let [slowest, fastest] = of.ends();
        Some(Explained {
            rail: of.rail,
            apart_percent: (1.0 - slowest.gbps / fastest.gbps) * 100.0,
            noise_percent: of.noise?.exp_m1() * 100.0,
        })
    });
    explained.max_by(|x, y| x.apart_percent.total_cmp(&y.apart_percent))
}

/// Measurements in which a rail failed and the pair did not: round and nodes.
fn with_a_failed_rail(observations: &Observations) -> BTreeSet<(usize, usize, usize)> {
    let all = observations.as_slice().iter();
    all.filter(|o| o.rail.is_some() && matches!(o.outcome, Outcome::Failed(_)))
        .map(|o| (o.round, o.a, o.b))
        .collect()
}

/// Whether the rates of few nodes have to be measured again, to know whether noise explains how
/// they differ. An expected rate shows more than the comparison.
pub(super) fn need_repeats(observations: &Observations, options: &Options) -> bool {
    let all = Spread::all(observations, options.labels.as_deref());
    !options.expects_a_rate() && all.iter().any(Spread::is_open)
}

/// Two directions of a pair that differ by more than this are not one rate with noise: at 5 % noise
/// of each, one of a thousand pairs does.
const APART: f64 = 1.25;

/// By pair, the mean of the medians of both directions, or the slower where they are far apart: the
/// faster one does not make up for it. The lesser of two that are near each other is low by noise.
pub(super) fn slower_directions(
    observations: &Observations,
    rail: Option<u16>,
) -> BTreeMap<Pair, f64> {
    let mut of_pairs: BTreeMap<Pair, (f64, f64)> = BTreeMap::new();
    let all = Spread::all(observations, None).into_iter();
    for way in all.filter(|of| of.rail == rail).flat_map(|of| of.ways) {
        let pair = ordered(way.from, way.to);
        let (least, most) = of_pairs.entry(pair).or_insert((way.gbps, way.gbps));
        (*least, *most) = (way.gbps.min(*least), way.gbps.max(*most));
    }
    let rate = |(pair, (least, most)): (Pair, (f64, f64))| {
        let is_apart = most > APART * least;
        let rate = if is_apart {
            least
        } else {
            f64::midpoint(least, most)
        };
        (pair, rate)
    };
    of_pairs.into_iter().map(rate).collect()
}
