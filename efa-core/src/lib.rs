//! Plan, provision and verify EC2 clusters with Elastic Fabric Adapter (EFA).
//!
//! One flow, no stage reaching back:
//!
//! | stage | type | what it decides |
//! |---|---|---|
//! | catalog | [`Catalog`], [`InstanceType`] | which types have EFA, and how much |
//! | layout | [`Layout`] | which interface goes to which network card and device index |
//! | plan | [`ClusterSpec`] → [`Plan`] | what exists and what would be made |
//! | provision | [`Client::apply`], [`Client::destroy`] | makes it, removes it |
//! | verify | [`VerifyReport`] | whether what came up is what was planned |
//!
//! Catalog, layout, plan and verify are pure. EC2 is behind the trait [`Ec2`]; its
//! implementation over aws-sdk-ec2 is the default feature `aws`.
//!
//! ```
//! use efa_core::{Catalog, LayoutRequest};
//!
//! # fn main() -> efa_core::Result<()> {
//! let p5 = Catalog::bundled().require("p5.48xlarge")?;
//! let layout = p5.layout(&LayoutRequest::default())?;
//! assert_eq!((layout.interfaces.len(), layout.efa_count()), (33, 32));
//! println!("{}", layout.draw());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod bootstrap;
mod catalog;
mod client;
mod cluster;
mod ec2;
mod error;
mod html;
mod layout;
mod placement;
mod plan;
mod progress;
mod provision;
mod security_group;
mod spec;
mod tags;
mod types;
mod verify;

pub use bootstrap::{Bootstrap, EfaInstaller};
pub use catalog::{
    Catalog, CatalogSource, Gpu, InstanceType, NetworkCard, NeuronDevice, Origin, Query,
    instance_type_table,
};
pub use client::Client;
pub use cluster::{Cluster, Expected};
#[cfg(feature = "aws")]
pub use ec2::aws::{AccessKey, AwsEc2, ConnectOptions};
pub use ec2::{
    Address, AttachedInterface, CreateSecurityGroup, Direction, Ec2, Filter, FreeInterface, Image,
    Instance, InstanceState, Offering, Peer, PlacementGroup, RootVolume, Rule, RunInstances,
    SecurityGroup, Subnet, Tags,
};
pub use error::{Code, Error, ErrorKind, Leftover, Result};
pub use layout::{
    Layout, LayoutRequest, NetworkInterface, Profile, PublicIp, Violation, parse_notation,
    violations,
};
pub use placement::PlannedPlacementGroup;
pub use plan::{Plan, PlanDifference};
pub use progress::{Action, Event};
pub use provision::{DestroyReport, Wait};
pub use security_group::PlannedSecurityGroup;
pub use spec::{ClusterSpec, PlacementGroupChoice, SecurityGroupChoice};
pub use types::{
    Architecture, CardIndex, DeviceIndex, Gbps, InterfaceType, PlacementStrategy, RdmaSupport,
    UsageClass,
};
pub use verify::{Finding, VerifyReport};
