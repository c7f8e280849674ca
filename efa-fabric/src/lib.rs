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
//! | `operation` | what moves bytes: messages, writes, reads |
//! | `demand` | what is asked of a provider for an operation |
//! | `info_list`, `info` | reads what libfabric offers; chooses |
//! | `handle`, `endpoint` | objects, closed in order; the calls of the measured loop |
//! | `cuda`, `gpu` | GPU memory for messages, and whether the network card reaches it |
//! | `probe` | what is measured, how two sides meet and agree, the report |
//! | `isolated` | the same questions in a child process, which libfabric may end |
//! | `fabric_log` | libfabric's log, read |
//! | `node` | inventory of a machine: EFA devices, verbs devices, limits, software |
//! | `doctor` | why EFA does not work on a machine |
//! | `rails` | EFA devices as rails: each measured alone, then all together, with evidence |
//! | [`survey`] | which node, rail or link of a cluster is bad: what to measure next, what it means |
//! | `store` | where ranks meet when nothing else is there: values by key over TCP, with a token |
//! | [`survey_run`] | surveys carried out: pairs, rounds, ranks, the report |
//! | `environment` | variables with which libfabric would end the process |
//! | `signals` | keeps the caller's signal handlers |
//! | `nccl_log` | reads NCCL's log: is traffic on EFA, and if not, why |
//! | `nccl_environment` | which variables NCCL needs on a node with EFA, and which must go |
//!
//! Only `library`, `info_list`, `handle`, `endpoint`, `memory`, `clock`, `signals`, `system`,
//! `isolated::os`, `cuda` and the macro of `ffi` have `unsafe` code.

mod clock;
mod cuda;
#[forbid(unsafe_code)]
mod demand;
#[forbid(unsafe_code)]
mod doctor;
mod endpoint;
#[forbid(unsafe_code)]
mod environment;
#[forbid(unsafe_code)]
mod error;
#[forbid(unsafe_code)]
mod fabric_log;
mod ffi;
#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod fuzzing;
#[forbid(unsafe_code)]
mod gpu;
mod handle;
#[forbid(unsafe_code)]
mod info;
mod info_list;
mod isolated;
mod library;
#[forbid(unsafe_code)]
mod median;
mod memory;
#[forbid(unsafe_code)]
mod nccl_environment;
#[forbid(unsafe_code)]
mod nccl_log;
#[forbid(unsafe_code)]
mod node;
#[forbid(unsafe_code)]
mod operation;
#[forbid(unsafe_code)]
mod probe;
#[forbid(unsafe_code)]
mod rails;
mod signals;
#[forbid(unsafe_code)]
mod store;
#[forbid(unsafe_code)]
pub mod survey;
#[forbid(unsafe_code)]
pub mod survey_run;
mod system;
#[forbid(unsafe_code)]
mod text;

pub use doctor::{
    DoctorOptions, DoctorReport, Environment, Evidence, Finding, LibfabricSeen, NodeSummary,
    Status, Verdict, diagnose, doctor, doctor_checks,
};
pub use endpoint::{Endpoint, EndpointOptions, OptionOutcome, SharedMemory};
pub use error::{Code, Error, ErrorKind, Result};
pub use fabric_log::{FabricLog, Fingerprint, FingerprintKind, LogLevel, LogLine};
pub use gpu::{CudaMemory, GpuDirect, GpuEvidence, GpuReport, Memory};
pub use info::{LinkState, Nic, NicInfo, ProviderInfo, nics, providers};
pub use isolated::{
    Answer, ChildCommand, HintSet, LoadedLibrary, Outcome, Question, RegisteredProvider,
    Relaxation, Step, Trial, answer_if_child, ask, ask_with,
};
pub use library::{Library, Version};
pub use nccl_environment::{NcclAction, NcclAdvice, NcclNode, NcclNote, advise_nccl_environment};
pub use nccl_log::{
    NcclCause, NcclChannels, NcclEvidence, NcclExpectation, NcclFinding, NcclHost, NcclLog,
    NcclNetwork, NcclRank, NcclReason, NcclReport, NcclSeverity, NcclVerdict, NumberSet,
};
pub use node::{
    Access, Container, EfaDevice, EfaGeneration, Expected, KernelModule, Limit, Limits,
    LinkerDirectory, NcclPlugin, Node, NodeRoot, PciDevice, RdmaDevice, Software, Uverbs,
};
pub use probe::{
    Bandwidth, Buffers, Direction, Exchange, ExchangeError, Folder, Interrupt, Latency, MAX_SIZE,
    Operation, Peer, ProbeOptions, ProbeReport, ProbeRow, Role, ServeOptions, Server,
    SideBandwidth, Wait, answer_through, connect, loopback, loopback_with, measure_through,
};
pub use rails::{
    Pinning, Rail, RailFailure, RailMeasure, RailOptions, RailReport, RailResult, TrafficEvidence,
    probe_rails, rails, simulated_rails,
};
pub use store::{StoreClient, StoreOptions, StoreServer};
