//! A simulated cluster: what its pairs would have measured.

use super::super::observation::{
    Concurrency, Failure, FailurePhase, Measured, Observations, Outcome, PairObservation,
};
use super::super::options::Options;
use super::super::plan::Plan;
use super::super::random::Random;
use super::super::round::Round;
use super::super::schedule::Pair;
use super::fault::Fault;
use super::run::Run;
use super::world::{Fate, World};
use crate::error::Result;

/// A simulated cluster.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Cluster {
    /// Number of nodes.
    pub nodes: usize,
    /// Rails per node.
    pub rails: u16,
    /// Rate of one rail in Gbit/s.
    pub rail_gbps: f64,
    /// Latency in µs.
    pub latency_us: f64,
    /// Standard deviation of the logarithm of every measurement: 0.05 for 5 %.
    pub noise: f64,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// What the fabric does besides noise.
    pub world: World,
}

/// Instructions to and answers from both nodes of a pair.
pub const MESSAGES_PER_PAIR: usize = 4;

impl Cluster {
    /// Creates a healthy cluster: four rails of 100 Gbit/s, 20 µs, 5 % noise.
    #[must_use]
    pub fn healthy(nodes: usize) -> Self {
        Self {
            nodes,
            rails: 4,
            rail_gbps: 100.0,
            latency_us: 20.0,
            noise: 0.05,
            faults: Vec::new(),
            world: World::Plain,
        }
    }

    /// Returns the rate of a pair in one direction with all rails, in Gbit/s.
    #[must_use]
    pub fn expected_gbps(&self) -> f64 {
        self.rail_gbps * f64::from(self.rails)
    }

    /// Returns the same cluster with one fault more.
    #[must_use]
    pub fn with(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Surveys the cluster from the first round to the conclusion.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn survey(&self, options: Options, seed: u64) -> Result<Run> {
        let mut plan = Plan::new(self.nodes, options)?;
        let mut random = Random::for_purpose(seed, 2);
        let mut observations = Observations::new(self.nodes);
        let (mut rounds, mut messages, mut deadlines) = (0, self.nodes, 0);
        while let Some(round) = plan.next(&observations) {
            rounds += 1;
            messages += MESSAGES_PER_PAIR * round.pairs.len();
            let mut failed = false;
            for &pair in &round.pairs {
                for seen in self.measure(pair, &round, seed, &mut random) {
                    failed |= matches!(seen.outcome, Outcome::Failed(_));
                    observations.add(seen)?;
                }
            }
            deadlines += usize::from(failed);
        }
        let conclusion = plan.conclude(&observations);
        Ok(Run {
            observations,
            conclusion,
            rounds,
            messages,
            deadlines,
        })
    }

    /// What one pair of a round shows: each rail, then all together.
    fn measure(
        &self,
        pair: Pair,
        round: &Round,
        seed: u64,
        random: &mut Random,
    ) -> Vec<PairObservation> {
        let (a, b) = pair;
        let failed = |rail| {
            let failure = Failure::new(FailurePhase::Contact, "fabric.unreachable", 10.0);
            PairObservation::failed(a, b, rail, round, failure)
        };
        let (fails, unstable) = self.instability(pair, random);
        match self.world.fate(random) {
            Fate::Missing => return Vec::new(),
            Fate::Failed => return vec![failed(None)],
            Fate::Measured if self.is_dead(pair) || fails => return vec![failed(None)],
            Fate::Measured => {}
        }
        let empty = PairObservation::measured(a, b, None, round, Measured::default());
        let concurrency = empty.concurrency;
        let own = self.noise_of(pair);
        let common = (self.world == World::CommonNoise).then(|| self.world.draw(random));
        let noise = |random: &mut Random| {
            let draw = common.unwrap_or_else(|| self.world.draw(random));
            (draw * own).exp()
        };
        let mut path = |way| self.world.factor(way, self.nodes, round, seed, random) * unstable;
        let (to, fro) = (path((a, b)), path((b, a)));
        let mut seen = Vec::with_capacity(usize::from(self.rails) + 1);
        let (mut forth, mut back) = (0.0, 0.0);
        for rail in 0..self.rails {
            if self.is_dead_rail(pair, rail) {
                seen.push(failed(Some(rail)));
                continue;
            }
            let there = self.rail(a, b, rail, concurrency) * to;
            let here = self.rail(b, a, rail, concurrency) * fro;
            (forth, back) = (forth + there, back + here);
            let m = Measured::new(
                self.latency(pair) * noise(random),
                there * noise(random),
                here * noise(random),
            );
            seen.push(PairObservation::measured(a, b, Some(rail), round, m));
        }
        let m = Measured::new(
            self.latency(pair) * noise(random),
            forth * noise(random),
            back * noise(random),
        );
        seen.push(PairObservation::measured(a, b, None, round, m));
        seen
    }

    /// Whether an unstable node makes this measurement fail, and the factor of its rates.
    fn instability(&self, (a, b): Pair, random: &mut Random) -> (bool, f64) {
        let (mut fails, mut factor) = (false, 1.0);
        for fault in &self.faults {
            match *fault {
                Fault::Unstable { node, share }
                    if (node == a || node == b) && random.unit() < share =>
                {
                    factor *= 0.5;
                }
                Fault::Flapping { node, share } if (node == a || node == b) => {
                    fails |= random.unit() < share;
                }
                _ => {}
            }
        }
        (fails, factor)
    }

    /// The noise of a pair: that of a noisy node where there is one.
    fn noise_of(&self, (a, b): Pair) -> f64 {
        let noises = self.faults.iter().filter_map(|fault| match *fault {
            Fault::Noisy { node, noise } if node == a || node == b => Some(noise),
            _ => None,
        });
        noises.fold(self.noise, f64::max)
    }

    fn is_dead(&self, (a, b): Pair) -> bool {
        self.faults.iter().any(|fault| match *fault {
            Fault::DeadNode { node } => node == a || node == b,
            Fault::DeadLink { pair } => pair == (a, b),
            _ => false,
        })
    }

    fn is_dead_rail(&self, (a, b): Pair, of: u16) -> bool {
        self.faults.iter().any(|fault| {
            matches!(*fault, Fault::DeadRail { node, rail } if rail == of && (node == a || node == b))
        })
    }

    /// The rate of one rail without noise.
    fn rail(&self, from: usize, to: usize, rail: u16, concurrency: Concurrency) -> f64 {
        let (mut sends, mut receives, mut path) = (1.0, 1.0, 1.0);
        for fault in &self.faults {
            let (node, loss, both) = match *fault {
                Fault::SlowNode { node, loss } => (node, loss, true),
                Fault::SlowSender { node, loss } => (node, loss, false),
                Fault::SlowRail {
                    node,
                    rail: r,
                    loss,
                } if r == rail => (node, loss, true),
                Fault::SlowRailSender {
                    node,
                    rail: r,
                    loss,
                } if r == rail => (node, loss, false),
                Fault::Contention { node, loss } if concurrency == Concurrency::Concurrent => {
                    (node, loss, true)
                }
                Fault::SlowLink { pair, loss } => {
                    if pair == (from.min(to), from.max(to)) {
                        path *= 1.0 - loss;
                    }
                    continue;
                }
                Fault::SlowOneWay { pair, loss } => {
                    if pair == (from, to) {
                        path *= 1.0 - loss;
                    }
                    continue;
                }
                Fault::SlowCluster { loss } => {
                    path *= 1.0 - loss;
                    continue;
                }
                Fault::SharedCapacity { loss } if concurrency == Concurrency::Concurrent => {
                    path *= 1.0 - loss;
                    continue;
                }
                Fault::SlowLeaf { leaf, loss } => {
                    if (from < leaf) != (to < leaf) {
                        path *= 1.0 - loss;
                    }
                    continue;
                }
                Fault::HalfSlow { loss } => {
                    if from % 2 == 1 || to % 2 == 1 {
                        path *= 1.0 - loss;
                    }
                    continue;
                }
                _ => continue,
            };
            if node == from {
                sends *= 1.0 - loss;
            }
            if node == to && both {
                receives *= 1.0 - loss;
            }
        }
        self.rail_gbps * f64::min(sends, receives) * path
    }

    fn latency(&self, (a, b): Pair) -> f64 {
        let excess: f64 = self
            .faults
            .iter()
            .map(|fault| match *fault {
                Fault::LateNode { node, excess } if node == a || node == b => excess,
                _ => 0.0,
            })
            .sum();
        self.latency_us * (1.0 + excess)
    }
}
