//! libfabric at run time: discovery, endpoints, latency and bandwidth probes.
//!
//! The flow is [`Library::find`] → [`providers`] or [`nics`] → [`loopback`], or [`Server`] on
//! one machine and [`connect`] on another → [`ProbeReport`].
//!
//! libfabric is never linked: a program with this crate starts without it, and gets a typed
//! error where it needs it. What is loaded is named in every report. The crate asks before each
//! discovery whether the environment would make libfabric abort the process, drives progress by
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
//! The root has what nearly every caller needs. The rest is in modules, here with those first
//! that others stand on:
//!
//! | module | job |
//! |---|---|
//! | [`error`] | the error type and its codes |
//! | [`library`] | finds and loads libfabric; entry points; return codes become errors |
//! | [`node`] | inventory of a machine: EFA devices, verbs devices, limits, software |
//! | [`fabric_log`] | libfabric's log, read |
//! | [`nccl`] | is NCCL's traffic on EFA, and if not, why; which variables it needs |
//! | [`gpu`] | GPU memory for messages, and whether the network card reaches it |
//! | [`info`] | what libfabric offers on this machine |
//! | [`endpoint`] | an endpoint and its options; inside, the calls of the measured loop |
//! | [`probe`] | what is measured, how two sides meet and agree, the report |
//! | [`isolated`] | libfabric asked in a child process, which it may end |
//! | [`doctor`] | why EFA does not work on a machine |
//! | [`rails`] | EFA devices as rails: each measured alone, then all together, with evidence |
//! | [`token`] | the secret of a rendezvous, and how two sides prove that they have it |
//! | [`store`] | where ranks meet when nothing else is there: values by key over TCP, with a token |
//! | [`survey`] | which node, rail or link of a cluster is bad: what to measure next, what it means |
//! | [`survey_run`] | surveys carried out: pairs, rounds, ranks, the report |
//! | [`acceptance`] | one verdict on a cluster: EC2 against the plan, the doctors, the survey |
//!
//! | inside | job |
//! |---|---|
//! | `interrupt` | the caller's wish to stop |
//! | `operation` | what moves bytes: messages, writes, reads |
//! | `provider` | what a provider's name states |
//! | `environment` | variables with which libfabric would abort the process |
//! | `clock`, `signals`, `system` | the measuring clock, the caller's signal handlers, system calls |
//! | `median` | the median, of which there is one |
//! | `report_file` | reports as files |
//! | `rdma_read` | whether EFA devices can read remote memory, asked of rdma-core |
//! | `ffi` | C's types, checked against the headers by tests |
//! | `demand`, `info_list` | what is asked of a provider for an operation; libfabric's lists, read |
//! | `cuda`, `memory` | the GPU's driver; the buffers of messages |
//! | `handle` | libfabric's objects, closed in order |
//!
//! Only `library`, `info_list`, `handle`, `endpoint`, `memory`, `clock`, `signals`, `system`,
//! `isolated::os`, `cuda`, `rdma_read` and the macro of `ffi` have `unsafe` code.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[forbid(unsafe_code)]
pub mod acceptance;
mod clock;
#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod counted;
mod cuda;
#[forbid(unsafe_code)]
mod demand;
#[forbid(unsafe_code)]
pub mod doctor;
pub mod endpoint;
#[forbid(unsafe_code)]
mod environment;
#[forbid(unsafe_code)]
pub mod error;
#[forbid(unsafe_code)]
pub mod fabric_log;
mod ffi;
#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod fuzzing;
#[forbid(unsafe_code)]
pub mod gpu;
mod handle;
#[forbid(unsafe_code)]
pub mod info;
mod info_list;
#[forbid(unsafe_code)]
mod interrupt;
pub mod isolated;
pub mod library;
#[forbid(unsafe_code)]
mod median;
mod memory;
#[forbid(unsafe_code)]
pub mod nccl;
#[forbid(unsafe_code)]
pub mod node;
#[forbid(unsafe_code)]
mod operation;
#[forbid(unsafe_code)]
pub mod probe;
#[forbid(unsafe_code)]
mod provider;
#[forbid(unsafe_code)]
pub mod rails;
mod rdma_read;
#[forbid(unsafe_code)]
mod report_file;
mod signals;
#[forbid(unsafe_code)]
pub mod store;
#[forbid(unsafe_code)]
pub mod survey;
#[forbid(unsafe_code)]
pub mod survey_run;
mod system;
#[forbid(unsafe_code)]
pub mod token;

pub use error::{Code, Error, Result};
pub use info::{nics, providers};
pub use library::Library;
pub use probe::{Interrupt, ProbeOptions, ProbeReport, ServeOptions, Server, connect, loopback};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
