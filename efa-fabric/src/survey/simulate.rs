//! Clusters with known faults: what a driver would have measured.
//!
//! A [`Cluster`] answers the rounds of a plan. Rates are the lesser of what one node sends and
//! the other receives, per rail, times the factor of their link, times lognormal noise of each
//! measurement; all rails together are the sum of the rails with noise of its own. A model, not a
//! network: it shows what the statistics can tell, not what EFA does.

mod study;

use super::observation::{
    Company, Failure, FailurePhase, Measured, Observations, Outcome, PairObservation,
};
use super::options::PlanOptions;
use super::plan::Plan;
use super::random::Random;
use super::round::Round;
use super::schedule::Pair;
use super::{Conclusion, Severity, Subject, VerdictKind};
use crate::error::Result;

pub use study::{Case, Row, head, targets_missed, tell};

/// What is wrong with a simulated cluster. Losses are shares, 0.2 for 20 %.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// A node sends and receives less on all rails.
    SlowNode {
        /// The node.
        node: usize,
        /// Share lost.
        loss: f64,
    },
    /// A node sends less on all rails, and receives as the others do.
    SlowSender {
        /// The node.
        node: usize,
        /// Share lost.
        loss: f64,
    },
    /// One rail of a node sends and receives less.
    SlowRail {
        /// The node.
        node: usize,
        /// The rail.
        rail: u16,
        /// Share lost.
        loss: f64,
    },
    /// One rail of a node fails with everyone.
    DeadRail {
        /// The node.
        node: usize,
        /// The rail.
        rail: u16,
    },
    /// Both directions between two nodes are slower.
    SlowLink {
        /// The two nodes, the lower number first.
        pair: Pair,
        /// Share lost.
        loss: f64,
    },
    /// One direction between two nodes is slower: from the lower number to the higher.
    SlowOneWay {
        /// The two nodes, the lower number first.
        pair: Pair,
        /// Share lost.
        loss: f64,
    },
    /// Two nodes cannot reach each other.
    DeadLink {
        /// The two nodes, the lower number first.
        pair: Pair,
    },
    /// Every latency of a node is higher by this share.
    LateNode {
        /// The node.
        node: usize,
        /// Share gained.
        excess: f64,
    },
    /// Nobody reaches the node.
    DeadNode {
        /// The node.
        node: usize,
    },
    /// The whole cluster is slower than expected.
    SlowCluster {
        /// Share lost.
        loss: f64,
    },
    /// A node is slower while other pairs are measured.
    Contention {
        /// The node.
        node: usize,
        /// Share lost in company.
        loss: f64,
    },
}

/// A simulated cluster.
#[derive(Debug, Clone)]
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
}

/// Instructions to and answers from both nodes of a pair.
pub const MESSAGES_PER_PAIR: usize = 4;

/// How a simulated survey went.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Run {
    /// Everything that was measured.
    pub observations: Observations,
    /// What was concluded.
    pub conclusion: Conclusion,
    /// Rounds in all.
    pub rounds: usize,
    /// Messages between the driver and the nodes: four per pair, one per node to begin with.
    pub messages: usize,
    /// Rounds that waited for a deadline, because a pair failed.
    pub deadlines: usize,
}

impl Cluster {
    /// A healthy cluster: four rails of 100 Gbit/s, 20 µs, 5 % noise.
    #[must_use]
    pub fn healthy(nodes: usize) -> Self {
        Self {
            nodes,
            rails: 4,
            rail_gbps: 100.0,
            latency_us: 20.0,
            noise: 0.05,
            faults: Vec::new(),
        }
    }

    /// The rate of a pair in one direction with all rails, in Gbit/s.
    #[must_use]
    pub fn expected_gbps(&self) -> f64 {
        self.rail_gbps * f64::from(self.rails)
    }

    /// The same cluster with one fault more.
    #[must_use]
    pub fn with(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Surveys the cluster from the first round to the conclusion.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn survey(&self, options: PlanOptions, seed: u64) -> Result<Run> {
        let mut plan = Plan::new(self.nodes, options)?;
        let mut random = Random::of(seed, 2);
        let mut observations = Observations::new(self.nodes);
        let (mut rounds, mut messages, mut deadlines) = (0, self.nodes, 0);
        while let Some(round) = plan.next(&observations) {
            rounds += 1;
            messages += MESSAGES_PER_PAIR * round.pairs.len();
            let mut failed = false;
            for &pair in &round.pairs {
                for seen in self.measure(pair, &round, &mut random) {
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
    fn measure(&self, pair: Pair, round: &Round, random: &mut Random) -> Vec<PairObservation> {
        let (a, b) = pair;
        let failed = |rail| {
            let failure = Failure::new(FailurePhase::Contact, "fabric.unreachable", 10.0);
            PairObservation::failed(a, b, rail, round, failure)
        };
        if self.is_dead(pair) {
            return vec![failed(None)];
        }
        let empty = PairObservation::measured(a, b, None, round, Measured::default());
        let company = empty.company;
        let noise = |random: &mut Random| (random.normal() * self.noise).exp();
        let mut seen = Vec::with_capacity(usize::from(self.rails) + 1);
        let (mut forth, mut back) = (0.0, 0.0);
        for rail in 0..self.rails {
            if self.is_dead_rail(pair, rail) {
                seen.push(failed(Some(rail)));
                continue;
            }
            let there = self.rail(a, b, rail, company);
            let here = self.rail(b, a, rail, company);
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
    fn rail(&self, from: usize, to: usize, rail: u16, company: Company) -> f64 {
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
                Fault::Contention { node, loss } if company == Company::Concurrent => {
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

impl Fault {
    /// What a survey should say of it.
    #[must_use]
    pub fn truth(&self) -> (Subject, VerdictKind) {
        match *self {
            Self::SlowNode { node, .. } | Self::SlowSender { node, .. } => {
                (Subject::Node { node }, VerdictKind::SlowBandwidth)
            }
            Self::SlowRail { node, rail, .. } => {
                (Subject::Rail { node, rail }, VerdictKind::SlowBandwidth)
            }
            Self::DeadRail { node, rail } => {
                (Subject::Rail { node, rail }, VerdictKind::Unreachable)
            }
            Self::SlowLink { pair: (a, b), .. } | Self::SlowOneWay { pair: (a, b), .. } => {
                (Subject::Link { a, b }, VerdictKind::SlowBandwidth)
            }
            Self::DeadLink { pair: (a, b) } => (Subject::Link { a, b }, VerdictKind::Unreachable),
            Self::LateNode { node, .. } => (Subject::Node { node }, VerdictKind::HighLatency),
            Self::DeadNode { node } => (Subject::Node { node }, VerdictKind::Unreachable),
            Self::SlowCluster { .. } => (Subject::Cluster, VerdictKind::BelowExpected),
            Self::Contention { node, .. } => (Subject::Node { node }, VerdictKind::Contention),
        }
    }
}

impl Run {
    /// Whether a fault was named: the right subject, and what is wrong with it, not with low
    /// confidence.
    #[must_use]
    pub fn names(&self, fault: &Fault) -> bool {
        let truth = fault.truth();
        self.conclusion
            .verdicts
            .iter()
            .any(|v| (v.subject, v.kind) == truth && v.confidence > super::Confidence::Low)
    }

    /// Verdicts about anything that none of these faults explains. Statements that there is not
    /// enough data are not alarms.
    #[must_use]
    pub fn false_alarms(&self, faults: &[Fault]) -> usize {
        self.conclusion
            .verdicts
            .iter()
            .filter(|v| v.severity > Severity::Info && v.kind != VerdictKind::NotEnoughData)
            .filter(|v| {
                faults.iter().all(|fault| {
                    let (subject, kind) = fault.truth();
                    // Where a fault shows in pairs or the whole of a small cluster, that is true.
                    let below = v.kind == VerdictKind::BelowExpected
                        && (v.subject == Subject::Cluster || about(&subject, v));
                    !below && (v.subject != subject || v.kind != kind)
                })
            })
            .count()
    }
}

/// Whether a verdict is about a node of this subject.
fn about(subject: &Subject, verdict: &super::Verdict) -> bool {
    let nodes = verdict.nodes();
    match *subject {
        Subject::Cluster => true,
        Subject::Node { node } | Subject::Rail { node, .. } => nodes.contains(&node),
        Subject::Link { a, b } => nodes.contains(&a) || nodes.contains(&b),
    }
}
