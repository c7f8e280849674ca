//! The calls that this crate makes to Systems Manager, in the crate's own types.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Result, not_implemented};
use crate::types::open_string_enum;

open_string_enum! {
    /// The progress of a command on one instance.
    pub enum CommandStatus {
        /// Not yet received by the instance.
        Pending = "Pending",
        /// Running.
        InProgress = "InProgress",
        /// To be tried again.
        Delayed = "Delayed",
        /// Ended with exit code 0.
        Success = "Success",
        /// Being cancelled.
        Cancelling = "Cancelling",
        /// Cancelled.
        Cancelled = "Cancelled",
        /// Ran longer than it may.
        TimedOut = "TimedOut",
        /// Ended with another exit code.
        Failed = "Failed",
    }
}

/// A command's result on one instance, as GetCommandInvocation shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandInvocation {
    /// `i-…`
    pub instance_id: String,
    /// How far it is.
    pub status: CommandStatus,
    /// SSM's longer word, such as `DeliveryTimedOut` or `Undeliverable`.
    pub status_details: String,
    /// The exit code, once it ended.
    pub exit_code: Option<i32>,
    /// The first 24,000 characters of its standard output.
    pub stdout: String,
    /// The first 8,000 characters of its standard error.
    pub stderr: String,
}

/// The calls that this crate makes to Systems Manager.
#[async_trait]
#[allow(unused_variables)] // the defaults use no argument
pub trait Ssm: Send + Sync + std::fmt::Debug + 'static {
    /// Calls GetParameter; `None` when there is none of this name.
    async fn get_parameter(&self, name: &str) -> Result<Option<String>> {
        Err(not_implemented("GetParameter"))
    }
    /// Calls GetParametersByPath: the full names of at most 200 parameters directly below a path.
    async fn parameters_below(&self, path: &str) -> Result<Vec<String>> {
        Err(not_implemented("GetParametersByPath"))
    }
    /// Calls DescribeInstanceInformation: those of `instance_ids` whose agent is online, in batches
    /// of 50.
    async fn online_instances(&self, instance_ids: &[String]) -> Result<Vec<String>> {
        Err(not_implemented("DescribeInstanceInformation"))
    }
    /// Calls SendCommand with the document AWS-RunShellScript to at most 50 instances; the
    /// command's id.
    async fn send_command(
        &self,
        instance_ids: &[String],
        script: &str,
        timeout: Duration,
    ) -> Result<String> {
        Err(not_implemented("SendCommand"))
    }
    /// Calls ListCommandInvocations: every instance of a command and how far it is.
    async fn list_command_invocations(
        &self,
        command_id: &str,
    ) -> Result<Vec<(String, CommandStatus)>> {
        Err(not_implemented("ListCommandInvocations"))
    }
    /// Calls GetCommandInvocation.
    async fn get_command_invocation(
        &self,
        command_id: &str,
        instance_id: &str,
    ) -> Result<CommandInvocation> {
        Err(not_implemented("GetCommandInvocation"))
    }
    /// Calls CancelCommand.
    async fn cancel_command(&self, command_id: &str) -> Result<()> {
        Err(not_implemented("CancelCommand"))
    }
}
