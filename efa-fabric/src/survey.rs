//! Which node, rail or link of a cluster is bad: what to measure next, and what it means.
//!
//! Everything here is a function of values: nothing is measured, nothing is sent, no clock is
//! read, and randomness is a seed. A driver (on Ray, on torch, over TCP) asks [`Plan::next`] for
//! a [`Round`], measures its pairs, adds a [`PairObservation`] per pair and rail to
//! [`Observations`], and asks again until there is no next round. [`Plan::conclude`] then states
//! what was found; it can be asked at any time, for a partial answer.
//!
//! ```
//! use efa_fabric::survey::{Concurrency, Measured, Observations, Options, PairObservation, Plan};
//!
//! let mut plan = Plan::new(6, Options::default())?;
//! let mut observations = Observations::new(6);
//! while let Some(round) = plan.next(&observations) {
//!     for &(a, b) in &round.pairs {
//!         // Here a driver measures; in this cluster node 4 is half as fast as the others.
//!         let gbps = if a == 4 || b == 4 { 50.0 } else { 100.0 };
//!         let measured = Measured::new(20.0, gbps, gbps);
//!         observations.add(PairObservation::measured(a, b, None, &round, measured))?;
//!     }
//! }
//! let conclusion = plan.conclude(&observations);
//! assert_eq!(conclusion.drain, [4]);
//! # Ok::<(), efa_fabric::Error>(())
//! ```
//!
//! | module | job |
//! |---|---|
//! | `schedule` | pairs that can run at the same time, round by round |
//! | `round` | the pairs of one round, and why they are measured |
//! | `options` | which pairs, which seed, what is expected, when a difference counts |
//! | `observation` | what a driver saw |
//! | `statistics` | medians, median polish, robust spread |
//! | `reach` | what failed with whom |
//! | `attribution` | which effects stand out |
//! | `few` | how far the rates of few nodes are apart |
//! | `verdict`, `wording` | what is reported, with numbers and confidence |
//! | `conclusion` | all verdicts of a survey, and which nodes to take out |
//! | `answering` | which nodes answered so far |
//! | `plan` | the order: base rounds, targeted rounds, pairs alone, done |
//! | `rank` | an order of nodes in which neighbours are near |
//! | `collective` | rings, all to all and many to one, against what the pairs promise |
//! | `simulate` | clusters with known faults, to test all this and drivers of your own |
//!
//! The method and its measured detection rates are in docs/survey-statistics.md.

mod answering;
mod attribution;
pub mod collective;
mod conclusion;
mod few;
mod observation;
mod one_piece;
mod options;
mod plan;
pub mod power;
mod random;
pub mod rank;
mod reach;
mod round;
pub mod schedule;
pub mod simulate;
pub mod statistics;
mod verdict;
pub(crate) mod wording;

pub use conclusion::Conclusion;
pub(crate) use conclusion::conclude;
pub(crate) use few::{Explained, explained_by_noise};
pub use observation::{
    Concurrency, Failure, FailurePhase, Measured, Observations, Outcome, PairObservation, Sustained,
};
pub use options::{Mode, Options, Thresholds, require_count};
pub use plan::Plan;
pub use round::{Round, Stage};
pub use verdict::{
    Confidence, Direction, Evidence, GroupRates, Quantity, Severity, Subject, Verdict, VerdictKind,
    WayRate,
};
