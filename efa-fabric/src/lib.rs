//! libfabric at run time: discovery, endpoints, latency and bandwidth probes.
//!
//! The flow is [`Library::find`] → [`providers`] or [`nics`] → [`loopback`], or [`Server`] on
//! one machine and [`connect`] on another → [`ProbeReport`].
//!
//! libfabric is never linked: a program with this crate starts without it, and gets a typed
//! error where it needs it. What is loaded is named in every report. The crate asks before each
//! discovery whether the environment would make libfabric end the process, drives progress by
//! itself, and lets nothing wait without a deadline.
//!
//! ```
//! use std::time::Duration;
//! use efa_fabric::{Library, ProbeOptions, loopback, providers};
//!
//! let library = match Library::find() {
//!     Ok(library) => library,
//!     Err(error) => return println!("{}: {error}", error.code().as_str()),
//! };
//! println!("libfabric {} at {}", library.version(), library.path().display());
//! let mut options = ProbeOptions::new("tcp");
//! options.sizes = vec![64, 4096];
//! options.size_budget = Duration::from_millis(20);
//! match providers(&library).and_then(|_| loopback(&library, &options)) {
//!     Ok(report) => println!("{report}"),
//!     Err(error) => println!("{}: {error}", error.code().as_str()),
//! }
//! ```
//!
//! | module | job |
//! |---|---|
//! | `library` | finds and loads libfabric; entry points; return codes become errors |
//! | `ffi` | C's types, checked against the headers by tests |
//! | `info_list`, `info` | reads what libfabric offers; chooses |
//! | `handle`, `endpoint` | objects, closed in order; the calls of the measured loop |
//! | `probe` | what is measured, how two sides meet and agree, the report |
//! | [`survey`] | which node, rail or link of a cluster is bad: what to measure next, what it means |
//! | `store` | where ranks meet when nothing else is there: values by key over TCP, with a token |
//! | [`survey_run`] | surveys carried out: pairs, rounds, ranks, the report |
//! | `environment` | variables with which libfabric would end the process |
//! | `signals` | keeps the caller's signal handlers |
//!
//! Only `library`, `info_list`, `handle`, `endpoint`, `memory`, `clock`, `signals` and the macro of
//! `ffi` have `unsafe` code.

mod clock;
mod endpoint;
#[forbid(unsafe_code)]
mod environment;
#[forbid(unsafe_code)]
mod error;
mod ffi;
mod handle;
#[forbid(unsafe_code)]
mod info;
mod info_list;
mod library;
mod memory;
#[forbid(unsafe_code)]
mod probe;
mod signals;
#[forbid(unsafe_code)]
mod store;
#[forbid(unsafe_code)]
pub mod survey;
#[forbid(unsafe_code)]
pub mod survey_run;

pub use endpoint::{Endpoint, EndpointOptions, OptionOutcome, SharedMemory};
pub use error::{Code, Error, ErrorKind, Result};
pub use info::{LinkState, Nic, NicInfo, ProviderInfo, nics, providers};
pub use library::{Library, Version};
pub use probe::{
    Bandwidth, Buffers, Exchange, ExchangeError, Folder, Interrupt, Latency, MAX_SIZE, Peer,
    ProbeOptions, ProbeReport, ProbeRow, Role, ServeOptions, Server, answer_through, connect,
    loopback, loopback_with, measure_through,
};
pub use store::{StoreClient, StoreOptions, StoreServer};
