//! Runs a script on every node of a cluster through Systems Manager (SSM), with a deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::error::{Code, Error, Result};
use crate::provision::{Action, Event};
use crate::resource;
use crate::ssm::{CommandInvocation, CommandStatus, Ssm};

mod report;
pub use report::{NodeOutput, NodeStatus, Report};
use report::{Outcome, may_come_online};

/// SendCommand takes at most this many instance ids.
const BATCH: usize = 50;
/// Longest script, in bytes.
const SCRIPT_LIMIT: usize = 64 * 1024;
/// The longest `executionTimeout` that the document AWS-RunShellScript takes: 48 hours.
const LONGEST: Duration = Duration::from_secs(172_800);
const FIRST_POLL: Duration = Duration::from_millis(500);
const LONGEST_POLL: Duration = Duration::from_secs(5);
/// How long SSM may take to report what it knows: after a cancellation, and in the answers about
/// single instances, which come later than the list.
const SETTLE: Duration = Duration::from_secs(10);
/// SSM's code for an invocation that it does not show yet.
const NOT_THERE_YET: &str = "InvocationDoesNotExist";

/// The time to wait for the agents and for the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// From sending the script until it is cancelled: 1 s to 48 h.
    pub deadline: Duration,
    /// How long the SSM agents may take to come online before the script is sent to those that
    /// are: up to 48 h, 0 to look once.
    pub wait_online: Duration,
}

impl Default for Options {
    /// 10 minutes for the script, 5 minutes for the agents.
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10 * 60),
            wait_online: Duration::from_secs(5 * 60),
        }
    }
}

/// Runs `script` as root on every instance of the cluster and collects what it prints.
///
/// Calls: looks until all agents are online, one SendCommand per 50 instances, one
/// ListCommandInvocations per such batch and look, then one GetCommandInvocation per instance, one
/// after the other. Dropping the future leaves the script running until its deadline.
pub(crate) async fn run_script(
    ssm: &dyn Ssm,
    clock: &dyn Clock,
    cluster: &Cluster,
    script: &str,
    options: &Options,
    progress: &(dyn Fn(&Event) + Send + Sync),
) -> Result<Report> {
    check_request(script, options)?;
    let mut run = Run {
        ssm,
        clock,
        progress,
        sent: Vec::new(),
    };
    let online = run.await_online(cluster, options.wait_online).await?;
    let mut outputs = match run.execute(&online, script, options.deadline).await {
        Ok(outputs) => outputs,
        Err(error) => {
            run.cancel_all_quietly().await;
            let ids = run.command_ids().join(", ");
            return Err(error.changed_aws().with_context("command_ids", ids));
        }
    };
    let nodes = cluster.instances.iter();
    Ok(Report {
        name: cluster.name.clone(),
        command_ids: run.command_ids(),
        nodes: nodes
            .map(|instance| {
                let output = outputs.remove(&instance.instance_id);
                output.map_or_else(
                    || NodeOutput::not_online(instance),
                    |output| output.into_output(instance),
                )
            })
            .collect(),
    })
}

/// Refuses what SSM would refuse or misunderstand.
fn check_request(script: &str, options: &Options) -> Result<()> {
    let refuse = |field, value: String, limit: &str, cure: &str| {
        Err(Error::new(
            Code::PlanInvalidSpec,
            format!("{field} {value}, must {limit}"),
        )
        .with_cure(cure)
        .with_context("field", field)
        .with_context("value", value)
        .with_context("limit", limit))
    };
    if script.trim().is_empty() {
        return refuse(
            "script",
            "is empty".to_owned(),
            "not be",
            "give a shell script",
        );
    }
    if let Some(at) = script.find('\0') {
        let value = format!("has a NUL at byte {at}");
        return refuse("script", value, "have none", "give text, not a binary file");
    }
    if script.len() > SCRIPT_LIMIT {
        let value = format!("is {} bytes long", script.len());
        let cure = "put it where the nodes can fetch it, and send a script that does";
        return refuse("script", value, "be at most 65536", cure);
    }
    for (field, value, least) in [
        ("deadline", options.deadline, Duration::from_secs(1)),
        ("wait_online", options.wait_online, Duration::ZERO),
    ] {
        if !(least..=LONGEST).contains(&value) {
            let value = format!("is {} s", value.as_secs_f64());
            let limit = format!("be {} to {} s", least.as_secs(), LONGEST.as_secs());
            return refuse(field, value, &limit, "give a time in that range");
        }
    }
    Ok(())
}

/// A command that was sent.
struct Sent {
    command_id: String,
    instance_ids: Vec<String>,
    /// Those of `instance_ids` that have not ended.
    unfinished: BTreeSet<String>,
}

struct Run<'a> {
    ssm: &'a dyn Ssm,
    clock: &'a dyn Clock,
    progress: &'a (dyn Fn(&Event) + Send + Sync),
    sent: Vec<Sent>,
}

impl Run<'_> {
    /// The instances whose agent came online in time, by launch index.
    async fn await_online(&self, cluster: &Cluster, wait: Duration) -> Result<Vec<String>> {
        let until = self.clock.now() + wait;
        let mut pace = FIRST_POLL;
        let candidates: Vec<String> = cluster
            .instances
            .iter()
            .filter(|instance| may_come_online(instance))
            .map(|instance| instance.instance_id.clone())
            .collect();
        let mut missing = candidates.clone();
        let mut waited = false;
        while !missing.is_empty() {
            let online = self.ssm.online_instances(&missing).await?;
            missing.retain(|id| !online.contains(id));
            waited |= !missing.is_empty();
            let (all, online) = (candidates.len(), candidates.len() - missing.len());
            if waited {
                let name = &cluster.name;
                self.tell_waiting(resource::INSTANCE, name, "SSM agents online", online, all);
            }
            if missing.is_empty() || !self.pause(&mut pace, until).await {
                break;
            }
        }
        Ok(candidates
            .into_iter()
            .filter(|id| !missing.contains(id))
            .collect())
    }

    /// Sends the script, waits for its end, cancels it at the deadline; the outcome by instance.
    async fn execute(
        &mut self,
        online: &[String],
        script: &str,
        deadline: Duration,
    ) -> Result<BTreeMap<String, Outcome>> {
        let until = self.clock.now() + deadline;
        for batch in online.chunks(BATCH) {
            let command_id = self.ssm.send_command(batch, script, deadline).await?;
            let detail = format!("{} instances", batch.len());
            self.tell(Action::Created, COMMAND, &command_id, detail);
            self.sent.push(Sent {
                command_id,
                instance_ids: batch.to_vec(),
                unfinished: batch.iter().cloned().collect(),
            });
        }
        let mut cancelled = BTreeSet::new();
        if !self.await_ended(until).await? {
            for sent in self.unfinished() {
                self.ssm.cancel_command(&sent.command_id).await?;
                self.tell(Action::Removed, COMMAND, &sent.command_id, "cancelled");
                cancelled.extend(sent.unfinished.iter().cloned());
            }
            self.await_ended(self.clock.now() + SETTLE).await?;
        }
        let until = self.clock.now() + SETTLE;
        let mut outcomes = BTreeMap::new();
        for sent in &self.sent {
            for id in &sent.instance_ids {
                let outcome = Outcome {
                    invocation: self.read(sent, id, until).await?,
                    cancelled_after: cancelled.contains(id).then_some(deadline),
                };
                outcomes.insert(id.clone(), outcome);
            }
        }
        Ok(outcomes)
    }

    /// Looks until every command has ended on every instance; false when the time is up.
    async fn await_ended(&mut self, until: Duration) -> Result<bool> {
        let mut pace = FIRST_POLL;
        let mut waited = false;
        loop {
            for sent in &mut self.sent {
                if sent.unfinished.is_empty() {
                    continue;
                }
                match self.ssm.list_command_invocations(&sent.command_id).await {
                    Ok(statuses) => {
                        for (id, _) in statuses.iter().filter(|(_, status)| has_ended(status)) {
                            sent.unfinished.remove(id);
                        }
                    }
                    // The script runs on: the next poll may show more.
                    Err(error) if error.is_retryable() => {}
                    Err(error) => return Err(error),
                }
            }
            let all_ended = self.unfinished().next().is_none();
            if waited || !all_ended {
                for sent in &self.sent {
                    let all = sent.instance_ids.len();
                    let ended = all - sent.unfinished.len();
                    self.tell_waiting(COMMAND, &sent.command_id, "ended", ended, all);
                }
            }
            if all_ended {
                return Ok(true);
            }
            waited = true;
            if !self.pause(&mut pace, until).await {
                return Ok(false);
            }
        }
    }

    /// The result on one instance, as soon as SSM shows what its list has shown already; `None`
    /// where it shows nothing until `until`.
    async fn read(
        &self,
        sent: &Sent,
        instance_id: &str,
        until: Duration,
    ) -> Result<Option<CommandInvocation>> {
        let ended = !sent.unfinished.contains(instance_id);
        let mut pace = FIRST_POLL;
        loop {
            let answer = self
                .ssm
                .get_command_invocation(&sent.command_id, instance_id)
                .await;
            let latest = match answer {
                Ok(invocation) if !ended || has_ended(&invocation.status) => {
                    return Ok(Some(invocation));
                }
                Ok(invocation) => Some(invocation),
                Err(error) if error.ec2_code() == Some(NOT_THERE_YET) => None,
                Err(error) => return Err(error),
            };
            if !self.pause(&mut pace, until).await {
                return Ok(latest);
            }
        }
    }

    /// Stops what was sent before a failed call, where SSM permits it.
    async fn cancel_all_quietly(&self) {
        for sent in self.unfinished() {
            let _ = self.ssm.cancel_command(&sent.command_id).await;
        }
    }

    /// Sleeps until the next poll, each time half as long again; false when `until` has come.
    async fn pause(&self, pace: &mut Duration, until: Duration) -> bool {
        let left = until.saturating_sub(self.clock.now());
        if left.is_zero() {
            return false;
        }
        self.clock.sleep(left.min(*pace)).await;
        *pace = (*pace + *pace / 2).min(LONGEST_POLL);
        true
    }

    fn unfinished(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(|sent| !sent.unfinished.is_empty())
    }

    fn command_ids(&self) -> Vec<String> {
        let sent = self.sent.iter();
        sent.map(|sent| sent.command_id.clone()).collect()
    }

    fn tell(&self, action: Action, resource_type: &str, id: &str, detail: impl Into<String>) {
        (self.progress)(&Event::new(action, resource_type, id, detail));
    }

    fn tell_waiting(&self, resource_type: &str, id: &str, what: &str, done: usize, total: usize) {
        let detail = format!("{done} of {total} {what}");
        let event = Event::new(Action::Waiting, resource_type, id, detail);
        (self.progress)(&event.counted(done, total));
    }
}

/// The resource type of a command in our events.
const COMMAND: &str = "command";

fn has_ended(status: &CommandStatus) -> bool {
    matches!(
        status,
        CommandStatus::Success
            | CommandStatus::Failed
            | CommandStatus::TimedOut
            | CommandStatus::Cancelled
    )
}

#[cfg(test)]
mod tests;
