//! Commands that were sent to instances, and what came of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::ssm::CommandStatus;

/// The outcome of a script on an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandOutcome {
    /// How long it runs.
    pub takes: Duration,
    /// Its exit code.
    pub exit_code: i32,
    /// What it prints.
    pub stdout: String,
    /// What it prints as errors.
    pub stderr: String,
}

impl Default for CommandOutcome {
    /// Success after one second, without output.
    fn default() -> Self {
        Self {
            takes: Duration::from_secs(1),
            exit_code: 0,
            stdout: String::new(),
            stderr: String::new(),
        }
    }
}

type Script = Arc<dyn Fn(&str, &str) -> CommandOutcome + Send + Sync>;

/// A command, and what it does on each instance.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) at: Duration,
    pub(super) limit: Duration,
    pub(super) cancelled: Option<Duration>,
    pub(super) outcomes: Vec<(String, CommandOutcome)>,
}

/// All commands of a region.
#[derive(Default, Clone)]
pub(super) struct Commands {
    pub(super) script: Option<Script>,
    pub(super) sent: Vec<Sent>,
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Commands").field(&self.sent).finish()
    }
}

impl Sent {
    /// How far the script is on one instance.
    pub(super) fn status(&self, outcome: &CommandOutcome, now: Duration) -> CommandStatus {
        let stopped = self.cancelled.unwrap_or(Duration::MAX);
        let end = (self.at + outcome.takes).min(self.at + self.limit);
        if end <= now && end <= stopped {
            return match (outcome.takes <= self.limit, outcome.exit_code) {
                (false, _) => CommandStatus::TimedOut,
                (true, 0) => CommandStatus::Success,
                (true, _) => CommandStatus::Failed,
            };
        }
        if stopped <= now {
            return CommandStatus::Cancelled;
        }
        CommandStatus::InProgress
    }
}
