//! Latency and bandwidth between two endpoints: in this process ([`loopback`]), or of two
//! processes that meet over TCP ([`Server`] and [`connect`]).
//!
//! One side measures and the other answers. Latency is half of the round trip of single
//! messages, or the time of single one-sided operations; bandwidth is a sliding window, with
//! credits from the receiver where it takes part, timed from the first post to the last
//! acknowledgement or completion. Nothing waits without a deadline, and a probe that fails
//! states why, naming the peer.

mod admission;
mod channel;
mod exchange;
mod flow;
mod guard;
mod initiator;
mod integrity;
mod loopback;
mod options;
mod phase;
mod rendezvous;
mod report;
mod responder;
mod samples;
mod server;
mod session;
mod side;
mod start_line;
mod stream;
mod traffic;
mod trips;

pub use crate::interrupt::{Interrupt, Signal};
pub use crate::operation::Operation;
#[cfg(test)]
pub(crate) use exchange::doubles;
pub(crate) use exchange::measure_from;
pub use exchange::{Exchange, ExchangeError, Folder, KeyInUse, answer_through, measure_through};
pub(crate) use loopback::loopback_from;
pub use loopback::{loopback, loopback_with};
pub use options::{Buffers, Direction, MAX_SIZE, ProbeOptions, ServeOptions, Wait};
pub(crate) use rendezvous::{Listener, after, parse as parse_frame};
pub use report::{Bandwidth, Latency, Peer, ProbeReport, Role, Row, SideBandwidth};
pub use server::{Server, connect};
pub(crate) use session::peer_address;
pub(crate) use start_line::StartLine;
