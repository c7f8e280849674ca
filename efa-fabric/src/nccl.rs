//! NCCL on EFA: what its log states, and the environment that it needs.
//!
//! [`Log`] and [`Report`] read the log of NCCL with aws-ofi-nccl: is traffic on EFA, and if not,
//! why. [`advise_environment`] states which variables to set and which to remove, from what is
//! known of a [`Node`]. Both are functions of values: nothing here reads a machine.

mod environment;
mod log;

pub use environment::{Action, Advice, Node, Note, advise_environment};
pub use log::{
    Cause, Channels, End, Evidence, Expectation, Finding, Host, Log, Network, NumberSet, Rank,
    Reason, Report, Seen, Severity, Source, Verdict,
};
