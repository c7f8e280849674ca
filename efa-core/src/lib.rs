//! Plan, provision and verify EC2 clusters with Elastic Fabric Adapter (EFA).
//!
//! # The flow
//!
//! One direction, no stage reaching back. Catalog, layout, plan and verify are pure functions of
//! values; only a [`Client`] calls AWS, through the trait [`services::Aws`]. Its implementation
//! over the AWS SDK is the default feature `aws`.
//!
//! | stage | type | what it decides |
//! |---|---|---|
//! | catalog | [`Catalog`], [`InstanceType`] | which types have EFA, and how much |
//! | layout | [`Layout`] | which interface goes to which network card and device index |
//! | plan | [`ClusterSpec`] → [`Plan`] | what exists and what would be made |
//! | provision | [`Client::apply`] → [`Cluster`] | makes it; [`Client::destroy`] removes it |
//! | verify | [`verify::Report`] | whether what runs is what was planned |
//!
//! ```
//! use efa_core::{Catalog, layout};
//!
//! # fn main() -> efa_core::Result<()> {
//! let p5 = Catalog::bundled().require("p5.48xlarge")?;
//! let layout = p5.layout(&layout::Request::default())?;
//! assert_eq!((layout.interfaces.len(), layout.efa_count()), (33, 32));
//! println!("{}", layout.draw());
//! # Ok(())
//! # }
//! ```
//!
//! # The modules
//!
//! | module | what it holds |
//! |---|---|
//! | [`catalog`] | instance types with EFA, and queries of them |
//! | [`layout`] | the network interfaces of an instance, and EC2's rules for them |
//! | [`spec`] | what a caller asks for: a cluster and its choices |
//! | [`plan`] | everything that a launch would use and make, and the policy for it |
//! | [`prices`] | what a plan costs per hour, from AWS's own price list |
//! | [`preflight`] | what can change between plan and launch |
//! | [`provision`] | makes what a plan lists, and removes it |
//! | [`cluster`] | a cluster as it stands in EC2, and the list of them |
//! | [`verify`] | compares a cluster, or one instance, with what it should be |
//! | [`launch`] | the parameters of a launch, as EC2 takes them |
//! | [`topology`] | where instances are connected in the network |
//! | [`run_command`] | runs a script on every node |
//! | [`handoff`] | the plan in other launchers' forms, and checks of their documents |
//! | [`services`] | everything of AWS that the verbs call, as one trait |
//! | [`ec2`], [`iam`], [`ssm`], [`account`] | the trait of each service, and its values |
//! | `aws` | these traits over the AWS SDK (feature `aws`) |
//! | [`clock`] | the time that waits go by |
//! | `testing` | parts for your own tests (feature `testing`) |
//! | [`types`] | values that have one meaning everywhere, such as [`types::CardIndex`] |
//! | [`error`] | the error, its codes, and what a failed call left behind |
//! | [`html`] | text as HTML for notebooks |
//! | [`svg`] | pictures of boxes and text, for notebooks and documents |
//! | [`text`] | text from elsewhere, as it may be shown |
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod account;
#[cfg_attr(not(feature = "aws"), allow(dead_code))]
mod answer;
#[cfg(feature = "aws")]
pub mod aws;
pub mod catalog;
mod client;
pub mod clock;
pub mod cluster;
pub mod ec2;
pub mod error;
// Without them only its table of causes is used.
#[cfg_attr(not(any(feature = "aws", feature = "testing", test)), allow(dead_code))]
mod failure;
#[cfg(test)]
mod fixtures;
pub mod handoff;
pub mod html;
pub mod iam;
pub mod launch;
pub mod layout;
pub mod plan;
pub mod preflight;
pub mod prices;
pub mod provision;
mod resource;
pub mod run_command;
pub mod services;
pub mod shell;
pub mod spec;
pub mod ssm;
pub mod svg;
mod tags;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod topology;
pub mod types;
mod utc;
pub mod verify;

#[cfg(feature = "aws")]
pub use aws::ConnectOptions;
pub use catalog::{Catalog, InstanceType};
pub use client::Client;
pub use cluster::Cluster;
pub use error::{Error, Result};
pub use layout::Layout;
pub use plan::Plan;
pub use spec::ClusterSpec;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
