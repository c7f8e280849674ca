//! What a script did on every node, and its text form.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ec2::{Instance, InstanceState};
use crate::ssm::{CommandInvocation, CommandStatus};

/// SSM keeps this many characters of a node's output; its agent counts bytes.
const STDOUT_LIMIT: usize = 24_000;
const STDERR_LIMIT: usize = 8_000;
/// What the agent ends an output with that it cut.
const TRUNCATED: &str = "--output truncated--";
/// The text form shows this many lines from the end of an output.
const LINES_SHOWN: usize = 20;
const AGENT_CURE: &str = "its SSM agent is not online: the instance needs an instance profile with \
    the policy AmazonSSMManagedInstanceCore, a route to the endpoints of SSM, and an image with \
    the agent";

/// The results of a script on the nodes of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The cluster's name.
    pub name: String,
    /// SSM's ids of the commands, one per 50 nodes that were online.
    pub command_ids: Vec<String>,
    /// Every instance of the cluster, by launch index.
    pub nodes: Vec<NodeOutput>,
}

/// The outcome of a script on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NodeStatus {
    /// With exit code 0.
    Success,
    /// With another exit code, or SSM could not run it.
    Failed,
    /// SSM ended it, or could not deliver it in time.
    TimedOut,
    /// Someone else cancelled it.
    Cancelled,
    /// It had not ended at the deadline and was cancelled, or SSM shows no result.
    NotFinished,
    /// It was not sent: the node's agent was not online.
    NotOnline,
}

impl NodeStatus {
    /// Returns the words that are printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
            Self::NotFinished => "not finished",
            Self::NotOnline => "not online",
        }
    }
}

impl fmt::Display for NodeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The result of a script on one node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeOutput {
    /// `i-…`
    pub instance_id: String,
    /// Its private IPv4 address, in an IPv6-only subnet its IPv6 address.
    pub private_ip_address: Option<String>,
    /// How the script ended.
    pub status: NodeStatus,
    /// Why there is no more: SSM's longer word, such as `Undeliverable`, or the cure.
    pub detail: String,
    /// The exit code, where the script ended by itself.
    pub exit_code: Option<i32>,
    /// The beginning of its standard output: SSM keeps 24,000 characters.
    pub stdout: String,
    /// The beginning of its standard error: SSM keeps 8,000 characters.
    pub stderr: String,
    /// Whether SSM cut `stdout` or `stderr`.
    pub truncated: bool,
}

impl NodeOutput {
    pub(super) fn not_online(instance: &Instance) -> Self {
        Self {
            instance_id: instance.instance_id.clone(),
            private_ip_address: instance.address().map(str::to_owned),
            status: NodeStatus::NotOnline,
            detail: if may_come_online(instance) {
                AGENT_CURE.to_owned()
            } else {
                format!("the instance is {}", instance.state)
            },
            exit_code: None,
            stdout: String::new(),
            stderr: String::new(),
            truncated: false,
        }
    }
}

/// What is known of one instance when all is over.
pub(super) struct Outcome {
    pub(super) invocation: Option<CommandInvocation>,
    /// How long after sending we cancelled the command on this instance.
    pub(super) cancelled_after: Option<Duration>,
}

/// Whether the instance can still get an agent that is online.
pub(super) fn may_come_online(instance: &Instance) -> bool {
    matches!(
        instance.state,
        InstanceState::Pending | InstanceState::Running
    )
}

impl Outcome {
    /// The outcome as what the script did on `instance`.
    pub(super) fn into_output(self, instance: &Instance) -> NodeOutput {
        let status = self.status();
        let invocation = self.invocation.unwrap_or_else(|| CommandInvocation {
            instance_id: instance.instance_id.clone(),
            status: CommandStatus::Pending,
            status_details: "SSM shows no result".to_owned(),
            exit_code: None,
            stdout: String::new(),
            stderr: String::new(),
        });
        NodeOutput {
            instance_id: instance.instance_id.clone(),
            private_ip_address: instance.address().map(str::to_owned),
            status,
            detail: match (status, self.cancelled_after) {
                (NodeStatus::NotFinished, Some(deadline)) => {
                    format!("cancelled after {} s", deadline.as_secs_f64())
                }
                _ => invocation.status_details,
            },
            exit_code: invocation.exit_code,
            truncated: is_cut(&invocation.stdout, STDOUT_LIMIT)
                || is_cut(&invocation.stderr, STDERR_LIMIT),
            stdout: invocation.stdout,
            stderr: invocation.stderr,
        }
    }

    fn status(&self) -> NodeStatus {
        match self.invocation.as_ref().map(|i| &i.status) {
            Some(CommandStatus::Success) => NodeStatus::Success,
            Some(CommandStatus::Failed) => NodeStatus::Failed,
            Some(CommandStatus::TimedOut) => NodeStatus::TimedOut,
            Some(CommandStatus::Cancelled) if self.cancelled_after.is_none() => {
                NodeStatus::Cancelled
            }
            _ => NodeStatus::NotFinished,
        }
    }
}

fn is_cut(output: &str, limit: usize) -> bool {
    output.len() >= limit || output.trim_end().ends_with(TRUNCATED)
}

impl Report {
    /// Returns whether the script ended with exit code 0 on every node.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.failed().is_empty()
    }

    /// Returns the nodes on which it did not.
    #[must_use]
    pub fn failed(&self) -> Vec<&NodeOutput> {
        let nodes = self.nodes.iter();
        nodes
            .filter(|node| node.status != NodeStatus::Success)
            .collect()
    }

    /// Returns the text form as HTML, for notebooks.
    #[must_use]
    pub fn to_html(&self) -> String {
        crate::html::preformatted(&self.to_string())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "script on cluster '{}': success on {} of {} nodes",
            self.name,
            self.nodes.len() - self.failed().len(),
            self.nodes.len()
        )?;
        for node in &self.nodes {
            for line in node.to_string().lines() {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for NodeOutput {
    /// One line; below it the last lines of the outputs, where the script did not succeed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.private_ip_address.as_deref().unwrap_or("-");
        write!(f, "{} {address} {}", self.instance_id, self.status)?;
        if self.status == NodeStatus::Success {
            return writeln!(f);
        }
        if let Some(code) = self.exit_code {
            write!(f, ", exit code {code}")?;
        }
        // Mostly SSM's longer word is the status again.
        if !self.detail.eq_ignore_ascii_case(self.status.as_str()) && !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        writeln!(f)?;
        last_lines(f, "stdout", &self.stdout)?;
        last_lines(f, "stderr", &self.stderr)?;
        if self.truncated {
            writeln!(
                f,
                "  SSM cut the output: it keeps {STDOUT_LIMIT} characters of stdout and \
                 {STDERR_LIMIT} of stderr"
            )?;
        }
        Ok(())
    }
}

fn last_lines(f: &mut fmt::Formatter<'_>, stream: &str, text: &str) -> fmt::Result {
    let lines: Vec<&str> = text.trim().lines().collect();
    let hidden = lines.len().saturating_sub(LINES_SHOWN);
    if hidden > 0 {
        writeln!(f, "  {stream}: ({hidden} lines before)")?;
    }
    for line in &lines[hidden..] {
        writeln!(f, "  {stream}: {line}")?;
    }
    Ok(())
}
