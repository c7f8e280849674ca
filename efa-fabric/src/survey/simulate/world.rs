//! Clusters that are not like the survey's own model: what a healthy fabric does besides noise.

use super::super::random::Random;
use super::super::round::{Round, Stage};
use super::super::schedule::Pair;
use super::fault::Fault;

/// The behavior of a simulated fabric besides independent lognormal noise. Nothing of it is a fault.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub enum World {
    /// Nothing.
    #[default]
    Plain,
    /// Noise with heavy tails: Student's t with two degrees of freedom.
    HeavyTails,
    /// Hosts that share processors, as network namespaces on one machine do: the same noise, but no
    /// measurement is far above what the device carries.
    SharedHosts,
    /// This share of all pairs always takes a path of 70 % of the rate.
    SlowPaths {
        /// Share of pairs.
        share: f64,
    },
    /// Each direction of a measurement takes a path of 70 % of the rate with this chance.
    Paths {
        /// Share of measurements.
        share: f64,
    },
    /// This share of the measurements that are not alone collides with another at 60 %.
    Collisions {
        /// Share of measurements, for each direction by itself.
        share: f64,
    },
    /// Equal leaves of this size; pairs across reach 60 %.
    Oversubscribed {
        /// Nodes of a leaf.
        leaf: usize,
    },
    /// Two leaves, the second with a quarter of the nodes; pairs across reach 60 %.
    UnevenLeaves,
    /// All rates fall by this share each round.
    Drift {
        /// Share lost per round.
        per_round: f64,
    },
    /// This share of all measurements fails.
    Failing {
        /// Share of measurements.
        share: f64,
    },
    /// This share of all measurements is never reported.
    Missing {
        /// Share of measurements.
        share: f64,
    },
    /// The noise is common to all rails and both directions of a measurement.
    CommonNoise,
}

/// What a slower path reaches.
const SLOW_PATH: f64 = 0.7;

/// Standard deviations that a measurement among hosts that share processors is above the rate.
const MOST_ABOVE: f64 = 3.0;

/// What the world made of one measurement.
pub(super) enum Fate {
    Measured,
    Failed,
    Missing,
}

impl World {
    /// Whether the measurement takes place. Asks for chance only where the world has it.
    pub(super) fn fate(self, random: &mut Random) -> Fate {
        match self {
            Self::Failing { share } if random.unit() < share => Fate::Failed,
            Self::Missing { share } if random.unit() < share => Fate::Missing,
            _ => Fate::Measured,
        }
    }

    /// The factor of a rate from one node to another, without noise.
    pub(super) fn factor(
        self,
        (from, to): Pair,
        nodes: usize,
        round: &Round,
        seed: u64,
        random: &mut Random,
    ) -> f64 {
        let pair = (from.min(to), from.max(to));
        match self {
            Self::SlowPaths { .. } if self.is_slow_path(pair, seed) => SLOW_PATH,
            Self::Paths { share } if random.unit() < share => SLOW_PATH,
            Self::Collisions { share } => {
                let alone = matches!(round.stage, Stage::Alone | Stage::Control);
                if random.unit() < share && !alone {
                    0.6
                } else {
                    1.0
                }
            }
            Self::Oversubscribed { leaf } => {
                let leaf_of = |node: usize| node / leaf.max(1);
                if leaf_of(from) == leaf_of(to) {
                    1.0
                } else {
                    0.6
                }
            }
            Self::UnevenLeaves => {
                let second = |node: usize| 4 * node >= 3 * nodes;
                if second(from) == second(to) { 1.0 } else { 0.6 }
            }
            Self::Drift { per_round } => (1.0 - per_round).powi(round.index as i32),
            _ => 1.0,
        }
    }

    /// Whether this pair always takes a slower path.
    fn is_slow_path(self, pair: Pair, seed: u64) -> bool {
        let Self::SlowPaths { share } = self else {
            return false;
        };
        let hash = seed ^ ((pair.0 as u64) << 32) ^ pair.1 as u64;
        Random::for_purpose(hash, 7).unit() < share
    }

    /// The links that this world makes slower for good.
    pub(super) fn slow_links(self, nodes: usize, seed: u64) -> Vec<Fault> {
        let pairs = (0..nodes).flat_map(|a| (a + 1..nodes).map(move |b| (a, b)));
        let loss = 1.0 - SLOW_PATH;
        pairs
            .filter(|&pair| self.is_slow_path(pair, seed))
            .map(|pair| Fault::SlowLink { pair, loss })
            .collect()
    }

    /// One draw of noise, in standard deviations.
    pub(super) fn draw(self, random: &mut Random) -> f64 {
        let normal = random.normal();
        if !matches!(self, Self::HeavyTails | Self::SharedHosts) {
            return normal;
        }
        // Student's t: a normal over the root of a mean of squares.
        let (x, y) = (random.normal(), random.normal());
        let draw = normal / (f64::midpoint(x * x, y * y)).sqrt().max(0.05);
        match self {
            Self::SharedHosts => draw.min(MOST_ABOVE),
            _ => draw,
        }
    }
}
