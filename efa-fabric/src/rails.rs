//! Rails: the EFA devices of one machine, each measured alone, then all together.
//!
//! [`list`] pairs the devices of a [`Node`](crate::node::Node) with what libfabric offers; [`probe`]
//! measures each between two endpoints on itself, with threads and memory on the NUMA node of
//! the card, and reads the device's counters before and after as evidence of the path.
//!
//! What it cannot show: host memory is used, so PCIe and memory may limit what GPU memory would
//! not; and a device that talks to itself does not use the network between machines.

mod affinity;
mod evidence;
mod measure;
mod options;
mod picture;
mod rail;
mod report;
mod statistics;

pub use affinity::Pinning;
pub(crate) use affinity::pin;
pub use evidence::Evidence;
pub use measure::probe;
pub use options::Options;
pub use rail::{Rail, list, simulated};
pub use report::{Failure, Measure, RailResult, Report};
