//! The connection to AWS; below it, each service's trait over its SDK: requests out, this crate's
//! own types back.

mod account;
mod attempts;
mod call;
mod call_log;
mod capacity;
mod convert;
mod ec2;
mod errors;
mod iam;
mod launch;
mod options;
mod pace;
mod profiles;
mod reading;
mod request;
mod retry;
mod sdk;
mod ssm;
mod template;

/// What the AWS SDK for Rust calls so, for [`AwsSdk::from_config`] and
/// [`ConnectOptions::credentials`].
pub use aws_config::SdkConfig;
/// What gives credentials, as [`ConnectOptions::credentials`] takes it.
pub use aws_sdk_ec2::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
pub use call_log::LOG_TARGET;
pub use options::{AccessKey, AssumeRole, ConnectOptions};
pub use sdk::AwsSdk;
