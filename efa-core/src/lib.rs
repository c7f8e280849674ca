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

mod account;
#[cfg(feature = "aws")]
mod aws;
mod bootstrap;
mod caller_policy;
mod cancel;
mod capacity;
mod catalog;
mod client;
pub mod clock;
mod cluster;
mod cluster_list;
mod ec2;
pub mod error;
#[cfg(any(feature = "aws", feature = "testing", test))]
mod failure;
#[cfg(test)]
mod fixtures;
mod handoff;
mod html;
mod iam;
mod image;
mod instance_role;
pub mod launch;
mod layout;
mod placement;
mod plan;
mod preflight;
mod progress;
mod provision;
mod quotas;
mod run_command;
mod security_group;
mod selector;
mod shell;
mod spec;
mod ssm;
mod subnets;
mod tags;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod topology;
mod types;
mod verify;
mod volume;

pub use account::{Account, CallerIdentity};
#[cfg(feature = "aws")]
pub use aws::{AccessKey, AwsSdk, ConnectOptions};
pub use bootstrap::{Bootstrap, EfaInstaller};
pub use cancel::Cancel;
pub use capacity::PlannedCapacity;
pub use catalog::{
    Catalog, CatalogSource, Gpu, InstanceType, NetworkCard, NeuronDevice, Origin, Query,
    instance_type_table,
};
pub use client::{Aws, Client};
pub use cluster::{Cluster, Expected};
pub use cluster_list::ClusterSummary;
pub use ec2::{
    Address, AttachedInterface, CapacityBlockOffering, CapacityBlockSearch, CapacityReservation,
    CreateSecurityGroup, Direction, Ec2, Filter, FreeInterface, Image, Instance, InstanceState,
    InstanceTopology, Market, Offering, Peer, PlacementGroup, RootVolume, Rule, RunInstances,
    SecurityGroup, Subnet, Tags, Vpc,
};
pub use error::{Code, Error, ErrorKind, Leftover, Result};
pub use handoff::{
    CloudFormationOptions, DocumentFinding, DocumentFormat, DocumentReport, EksctlOptions,
    KarpenterInterfaces, KarpenterOptions, KarpenterWorkload, LaunchTemplateFor, RayClusterOptions,
    Severity, TESTED_EKSCTL_VERSION, TESTED_KARPENTER_VERSION, TESTED_RAY_VERSION, TemplateFormat,
    check,
};
pub use iam::{Iam, InstanceProfile, Role};
pub use instance_role::PlannedInstanceProfile;
pub use layout::{
    Layout, LayoutRequest, NetworkInterface, Profile, PublicIp, Violation, parse_notation,
    violations,
};
pub use placement::PlannedPlacementGroup;
pub use plan::{Launch, Plan, PlanDifference};
pub use preflight::{Check, CheckStatus, PreflightReport};
pub use progress::{Action, Event};
pub use provision::{DestroyReport, Wait};
pub use run_command::{CommandReport, NodeOutput, NodeStatus, RunCommandOptions};
pub use security_group::PlannedSecurityGroup;
pub use selector::Selector;
pub use spec::{
    Capacity, ClusterSpec, DeepLearningSystem, ImageChoice, InstanceProfileChoice, InstanceRole,
    PlacementGroupChoice, SecurityGroupChoice,
};
pub use ssm::{CommandInvocation, CommandStatus, Ssm};
pub use subnets::RejectedSubnet;
pub use topology::{RankedInstance, Topology};
pub use types::{
    Architecture, CardIndex, DeviceIndex, Gbps, InterfaceType, PlacementStrategy, RdmaSupport,
    UsageClass,
};
pub use verify::{Finding, InstanceReport, VerifyReport};
