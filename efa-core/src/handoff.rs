//! The same plan in the form that other launchers read, and the other way round: what is wrong
//! with the EFA part of a document that exists.
//!
//! Every writer is a pure function of a [`Plan`](crate::Plan) and options, and deterministic. What
//! a document needs from the account (such as a security group's id) is the plan's; where it does
//! not exist yet the writer refuses with `handoff.not_prepared`, unless the format makes it itself.
//!
//! | module | job |
//! |---|---|
//! | `launch_template` | `LaunchTemplateData`, which several formats share, and CreateLaunchTemplate's request |
//! | `karpenter` | EC2NodeClass, NodePool, workloads, and the device plugin's Helm values |
//! | `eksctl` | a managed node group, where eksctl derives the right interfaces |
//! | `cloudformation` | the whole stack as a CloudFormation template |
//! | `terraform` | `aws_launch_template` in Terraform's JSON syntax |
//! | `cli` | the AWS CLI's commands, as a script |
//! | `ray` | Ray's cluster YAML |
//! | `prepared` | what of a plan exists, for documents that name it |
//! | `provenance` | which planner, profile and catalog a document is from |
//! | `document` | ordered values, and YAML with comments above keys |
//! | `read` | text of any format as values |
//! | `interfaces` | the interfaces of a document, back in our own type |
//! | `check` | findings in an existing document, format by format |

mod check;
mod cli;
mod cloudformation;
mod document;
mod eksctl;
mod interfaces;
mod karpenter;
mod launch_template;
mod prepared;
mod provenance;
mod ray;
mod read;
mod terraform;

pub use check::{
    DocumentFinding, DocumentFormat, DocumentReport, DocumentStatus, Severity, Unread, check,
};
pub use cloudformation::{CloudFormationOptions, TemplateFormat};
pub use eksctl::{EksctlOptions, TESTED_EKSCTL_VERSION};
pub use karpenter::{
    KarpenterInterfaces, KarpenterOptions, KarpenterWorkload, TESTED_KARPENTER_VERSION,
};
pub use launch_template::{LaunchTemplateFor, LaunchTemplateOptions};
pub use ray::{RayClusterOptions, TESTED_RAY_VERSION};

#[cfg(test)]
mod tests;
