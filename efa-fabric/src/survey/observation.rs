//! What a driver saw of one pair of nodes.

use serde::{Deserialize, Serialize};

use super::round::{Round, Stage};
use super::schedule::{Pair, ordered};
use crate::error::{Code, Error, Result};

/// One measurement between two nodes, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PairObservation {
    /// The node with the lower number.
    pub a: usize,
    /// The node with the higher number.
    pub b: usize,
    /// The rail (number of the EFA device, the same on both nodes); `None` for all together.
    pub rail: Option<u16>,
    /// The [`Round::index`] that it belongs to.
    pub round: usize,
    /// Whether other pairs were measured at the same time.
    pub concurrency: Concurrency,
    /// What came of it.
    pub outcome: Outcome,
}

/// The concurrency of a measurement: with other pairs of the cluster, or alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Concurrency {
    /// Other pairs, of other nodes, were measured at the same time.
    Concurrent,
    /// Nothing else was measured.
    Alone,
}

/// A measurement, or a failure. A failure is data: it never ends a survey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The pair was measured.
    Measured(Measured),
    /// The pair was not measured.
    Failed(Failure),
}

/// The values that were measured. A quantity that was not measured is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Measured {
    /// Half of the round trip of small messages, median, in µs.
    pub latency_us: Option<f64>,
    /// Sustained rate from `a` to `b`, in Gbit/s.
    pub gbps_a_to_b: Option<f64>,
    /// Sustained rate from `b` to `a`, in Gbit/s.
    pub gbps_b_to_a: Option<f64>,
    /// How the rates were measured.
    pub sustained: Option<Sustained>,
}

/// The conditions of a measured rate: rates under other conditions cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sustained {
    /// Size of a message in bytes.
    pub message_bytes: usize,
    /// Messages on the way at the same time.
    pub window: usize,
    /// Length of the measurement in s.
    pub seconds: f64,
}

/// The failure of a pair's measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// What was going on.
    pub phase: FailurePhase,
    /// The code of the error, such as `fabric.unreachable`.
    pub code: String,
    /// When it failed, in s from the start of the round.
    pub after_s: f64,
    /// The node of the pair that gave the driver no answer, if one did not. Such a node is left
    /// out of all further rounds; without it, a dead node takes two failures to tell from its
    /// partners.
    pub silent: Option<usize>,
    /// The size in bytes of the messages that did not pass, where smaller ones had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck_bytes: Option<usize>,
}

/// The phase in which a pair failed, in the order in which they follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailurePhase {
    /// A node did not come to the survey, or its process is gone.
    Join,
    /// Opening the endpoint.
    Open,
    /// First messages between the two.
    Contact,
    /// The latency test.
    Latency,
    /// A bandwidth test.
    Bandwidth,
}

impl PairObservation {
    /// Creates a measurement of a pair of this round. If `a` is above `b`, both and the two
    /// directions are swapped.
    #[must_use]
    pub fn measured(a: usize, b: usize, rail: Option<u16>, round: &Round, m: Measured) -> Self {
        let m = if a <= b {
            m
        } else {
            Measured {
                gbps_a_to_b: m.gbps_b_to_a,
                gbps_b_to_a: m.gbps_a_to_b,
                ..m
            }
        };
        Self::in_round(a, b, rail, round, Outcome::Measured(m))
    }

    /// Creates a failure of a pair of this round.
    #[must_use]
    pub fn failed(a: usize, b: usize, rail: Option<u16>, round: &Round, failure: Failure) -> Self {
        Self::in_round(a, b, rail, round, Outcome::Failed(failure))
    }

    fn in_round(a: usize, b: usize, rail: Option<u16>, round: &Round, outcome: Outcome) -> Self {
        let (a, b) = ordered(a, b);
        Self {
            a,
            b,
            rail,
            round: round.index,
            concurrency: match round.stage {
                Stage::Alone | Stage::Control => Concurrency::Alone,
                Stage::Base | Stage::Targeted if round.pairs.len() == 1 => Concurrency::Alone,
                Stage::Base | Stage::Targeted => Concurrency::Concurrent,
            },
            outcome,
        }
    }
}

impl Measured {
    /// Creates it from latency in µs and both rates in Gbit/s.
    #[must_use]
    pub fn new(latency_us: f64, gbps_a_to_b: f64, gbps_b_to_a: f64) -> Self {
        Self {
            latency_us: Some(latency_us),
            gbps_a_to_b: Some(gbps_a_to_b),
            gbps_b_to_a: Some(gbps_b_to_a),
            sustained: None,
        }
    }

    /// Adds how the rates were measured.
    #[must_use]
    pub fn with_sustained(mut self, sustained: Sustained) -> Self {
        self.sustained = Some(sustained);
        self
    }
}

impl Failure {
    /// Creates a failure in this phase with this error code, and the seconds since the round's
    /// start.
    #[must_use]
    pub fn new(phase: FailurePhase, code: impl Into<String>, after_s: f64) -> Self {
        Self {
            phase,
            code: code.into(),
            after_s,
            silent: None,
            stuck_bytes: None,
        }
    }

    /// States that smaller messages passed, and those of this size did not.
    #[must_use]
    pub fn with_stuck(mut self, bytes: usize) -> Self {
        self.stuck_bytes = Some(bytes);
        self
    }

    /// Whether the set-ups of the two nodes do not fit together, such as two versions of libfabric.
    pub(crate) fn is_mismatch(&self) -> bool {
        const MISMATCHES: [Code; 2] = [Code::VersionMismatch, Code::UnsupportedOperation];
        let is = |code: &Code| code.as_str() == self.code;
        self.phase == FailurePhase::Open && MISMATCHES.iter().any(is)
    }

    /// States that this node gave the driver no answer.
    #[must_use]
    pub fn with_silent(mut self, node: usize) -> Self {
        self.silent = Some(node);
        self
    }
}

/// Everything seen so far, in order of arrival.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Observations {
    nodes: usize,
    items: Vec<PairObservation>,
}

/// What another process wrote, which is not believed.
#[derive(Deserialize)]
struct Written {
    nodes: usize,
    items: Vec<PairObservation>,
}

impl TryFrom<Written> for Observations {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        if written.nodes > MAX_NODES {
            return Err(Error::new(
                Code::InvalidOption,
                format!(
                    "a survey has at most {MAX_NODES} nodes, not {}",
                    written.nodes
                ),
            )
            .with_context("nodes", written.nodes));
        }
        let mut observations = Self::new(written.nodes);
        for item in written.items {
            observations.add(item)?;
        }
        Ok(observations)
    }
}

/// Nodes of the largest survey that is read: sixteen times the largest that was simulated.
const MAX_NODES: usize = 1 << 16;

impl Observations {
    /// Creates an empty list for a cluster of `nodes` nodes.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self {
            nodes,
            items: Vec::new(),
        }
    }

    /// Returns the number of nodes of the cluster.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Adds what was seen of one pair.
    ///
    /// # Errors
    /// `fabric.invalid_option` for a node that the cluster lacks, `a` not below `b`, a `silent`
    /// node outside the pair, or a quantity that is not a positive number.
    pub fn add(&mut self, observation: PairObservation) -> Result<()> {
        let PairObservation { a, b, .. } = observation;
        let wrong = |what: &str| {
            Err(Error::new(Code::InvalidOption, what)
                .with_context("a", a)
                .with_context("b", b)
                .with_context("nodes", self.nodes))
        };
        if a >= b || b >= self.nodes {
            return wrong("an observation needs two nodes of the cluster, the lower number first");
        }
        match &observation.outcome {
            Outcome::Measured(m) => {
                let quantities = [m.latency_us, m.gbps_a_to_b, m.gbps_b_to_a];
                if quantities
                    .into_iter()
                    .flatten()
                    .any(|q| !(q.is_finite() && q > 0.0))
                {
                    return wrong("latency and rates of an observation are positive numbers");
                }
            }
            Outcome::Failed(f) => {
                if f.silent.is_some_and(|node| node != a && node != b) {
                    return wrong("the silent node of a failure is one of its pair");
                }
            }
        }
        self.items.push(observation);
        Ok(())
    }

    /// Returns all observations, in order of arrival.
    #[must_use]
    pub fn as_slice(&self) -> &[PairObservation] {
        &self.items
    }

    /// Every pair that was tried once, in ascending order.
    pub(crate) fn pairs(&self) -> Vec<Pair> {
        let mut pairs: Vec<Pair> = self.items.iter().map(|o| (o.a, o.b)).collect();
        // All rails of a measurement come together: most of the work of sorting is saved.
        pairs.dedup();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// Returns the number of observations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns whether nothing was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(pairs: &[(usize, usize)]) -> Round {
        Round::new(3, Stage::Base, pairs.to_vec())
    }

    #[test]
    fn directions_follow_the_order_of_the_pair() {
        let round = round(&[(1, 2), (3, 4)]);
        let seen = PairObservation::measured(2, 1, Some(0), &round, Measured::new(9.0, 10.0, 20.0));
        assert_eq!((seen.a, seen.b, seen.round), (1, 2, 3));
        assert_eq!(seen.concurrency, Concurrency::Concurrent);
        let Outcome::Measured(m) = seen.outcome else {
            panic!("measured");
        };
        assert_eq!((m.gbps_a_to_b, m.gbps_b_to_a), (Some(20.0), Some(10.0)));
    }

    #[test]
    fn a_lone_pair_has_no_company() {
        let one = round(&[(0, 1)]);
        let seen = PairObservation::measured(0, 1, None, &one, Measured::default());
        assert_eq!(seen.concurrency, Concurrency::Alone);
    }

    #[test]
    fn wrong_observations_are_refused() {
        let round = round(&[(0, 1), (2, 3)]);
        let mut all = Observations::new(3);
        let failure = Failure::new(FailurePhase::Contact, "fabric.unreachable", 1.0);
        for (a, b, outcome) in [
            (0, 3, Outcome::Measured(Measured::default())),
            (1, 1, Outcome::Measured(Measured::default())),
            (0, 1, Outcome::Measured(Measured::new(0.0, 1.0, 1.0))),
            (0, 1, Outcome::Measured(Measured::new(1.0, f64::NAN, 1.0))),
            (0, 1, Outcome::Failed(failure.clone().with_silent(2))),
        ] {
            let error = all
                .add(PairObservation::in_round(a, b, None, &round, outcome))
                .unwrap_err();
            assert_eq!(error.code(), Code::InvalidOption);
        }
        assert!(all.is_empty());
        all.add(PairObservation::failed(
            0,
            1,
            None,
            &round,
            failure.with_silent(1),
        ))
        .unwrap();
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn observations_survive_json() {
        let mut all = Observations::new(4);
        let failure = Failure::new(FailurePhase::Join, "fabric.deadline", 30.0).with_silent(0);
        all.add(PairObservation::failed(0, 1, Some(2), &round(&[]), failure))
            .unwrap();
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Observations>(&text).unwrap(), all);
    }
}
