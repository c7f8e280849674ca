//! Systems Manager's Run Command on instances whose role lets the agent register.

use std::time::Duration;

use super::account::ACCOUNT;
use super::commands::{CommandOutcome, Sent};
use super::refusal::{Answer, refuse};
use super::state::State;
use crate::ec2::InstanceState;
use crate::ssm::{CommandInvocation, CommandStatus};

impl State {
    /// Those of `ids` whose agent is online: running, with a role that lets it register.
    pub(super) fn online(&self, ids: &[String]) -> Vec<String> {
        let running = self.live().filter(|instance| {
            instance.state == InstanceState::Running
                && ids.contains(&instance.instance_id)
                && instance
                    .iam_instance_profile_arn
                    .as_ref()
                    .is_some_and(|arn| self.identities.may_register(arn))
        });
        running
            .map(|instance| instance.instance_id.clone())
            .collect()
    }

    pub(super) fn send_command(
        &mut self,
        ids: &[String],
        script: &str,
        limit: Duration,
    ) -> Answer<String> {
        let online = self.online(ids);
        let offline: Vec<&str> = ids
            .iter()
            .filter(|id| !online.contains(id))
            .map(String::as_str)
            .collect();
        if !offline.is_empty() {
            let message = format!(
                "Instances [[{}]] not in a valid state for account {ACCOUNT}",
                offline.join(", ")
            );
            return refuse("InvalidInstanceId", message);
        }
        let outcome = |id: &str| match &self.commands.script {
            Some(does) => does(id, script),
            None => CommandOutcome::default(),
        };
        let outcomes = ids.iter().map(|id| (id.clone(), outcome(id))).collect();
        let id = self.id("cmd");
        self.commands.sent.push(Sent {
            id: id.clone(),
            at: self.now,
            limit,
            cancelled: None,
            outcomes,
        });
        Ok(id)
    }

    pub(super) fn invocations(&self, command_id: &str) -> Vec<(String, CommandStatus)> {
        let mut sent = self.commands.sent.iter();
        let Some(sent) = sent.find(|sent| sent.id == command_id) else {
            return Vec::new();
        };
        let outcomes = sent.outcomes.iter();
        outcomes
            .map(|(id, outcome)| (id.clone(), sent.status(outcome, self.now)))
            .collect()
    }

    pub(super) fn invocation(
        &self,
        command_id: &str,
        instance_id: &str,
    ) -> Answer<CommandInvocation> {
        let sent = self.commands.sent.iter().find(|sent| sent.id == command_id);
        let found = sent.and_then(|sent| {
            let (_, outcome) = sent.outcomes.iter().find(|(id, _)| id == instance_id)?;
            Some((sent, outcome))
        });
        let Some((sent, outcome)) = found else {
            let message = "The command ID and managed node ID you specified didn't match any \
                           invocations. Verify the command ID and the managed node ID and try \
                           again.";
            return refuse("InvocationDoesNotExist", message);
        };
        let status = sent.status(outcome, self.now);
        let ended = matches!(status, CommandStatus::Success | CommandStatus::Failed);
        let printed = |text: &String| {
            if ended { text.clone() } else { String::new() }
        };
        let details = match status {
            CommandStatus::TimedOut => "ExecutionTimedOut",
            ref status => status.as_str(),
        };
        Ok(CommandInvocation {
            instance_id: instance_id.to_owned(),
            status_details: details.to_owned(),
            exit_code: match status {
                CommandStatus::TimedOut => Some(137),
                _ => ended.then_some(outcome.exit_code),
            },
            stdout: printed(&outcome.stdout),
            stderr: printed(&outcome.stderr),
            status,
        })
    }

    pub(super) fn cancel_command(&mut self, command_id: &str) -> Answer<()> {
        let now = self.now;
        let mut sent = self.commands.sent.iter_mut();
        let Some(sent) = sent.find(|sent| sent.id == command_id) else {
            let message = "The specified command ID isn't valid. Verify the ID and try again.";
            return refuse("InvalidCommandId", message);
        };
        sent.cancelled.get_or_insert(now);
        Ok(())
    }
}
