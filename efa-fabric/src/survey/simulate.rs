//! Clusters with known faults: what a driver would have measured.
//!
//! A [`Cluster`] answers the rounds of a plan. Rates are the lesser of what one node sends and
//! the other receives, per rail, times the factor of their link, times lognormal noise of each
//! measurement; all rails together are the sum of the rails with noise of its own. A model, not a
//! network: it shows what the statistics can determine, not what EFA does. A [`Fabric`] has leaves with
//! uplinks that flows share: what no pair shows.

mod case;
mod cluster;
mod fabric;
mod fault;
mod run;
mod study;
mod world;

pub use case::Case;
pub use cluster::{Cluster, MESSAGES_PER_PAIR};
pub use fabric::Fabric;
pub use fault::Fault;
pub use run::Run;
pub use study::{Row, head, targets_missed, tell};
pub use world::World;
