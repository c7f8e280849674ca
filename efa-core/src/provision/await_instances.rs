//! DescribeInstanceStatus while instances start, and DescribeInstances once they have.

use std::collections::HashSet;

use super::states::{States, count};
use super::steps::{Steps, timeout};
use crate::ec2::{Instance, InstanceState};
use crate::error::{Code, Error, Result};
use crate::failure::of_code;
use crate::tags;

/// EC2's reason for an instance that it has no room for after all.
const NO_ROOM: &str = "Server.InsufficientInstanceCapacity";

/// What became of a launch.
pub(super) enum Started {
    /// All instances run.
    All,
    /// EC2 took these back: it has no room for them after all.
    NoRoom { lost: Vec<String>, error: Error },
}

/// Waits until every one of `instance_ids` runs, besides `others` of the cluster; fails at once
/// when one is on its way out. While they start, their states are read and nothing else.
pub(super) async fn await_running(
    steps: &Steps<'_>,
    name: &str,
    instance_ids: &[String],
    others: &[String],
) -> Result<Started> {
    let wanted = instance_ids.len();
    let mut poll = steps.poll();
    let mut states = States::Cheap;
    let tell = |running: usize| {
        let detail = format!("{running} of {wanted} running");
        steps.tell_waiting(name, detail, running, wanted);
    };
    loop {
        let running = match starting(&mut states, steps, instance_ids).await? {
            Some(running) => running,
            None => match read_in_full(steps, name, instance_ids, others).await? {
                Seen::End(started) => {
                    if matches!(started, Started::All) {
                        tell(wanted);
                    }
                    return Ok(started);
                }
                Seen::Starting(running) => running,
            },
        };
        tell(running);
        if !steps.pause(&mut poll).await? {
            let what = format!("only {running} of {wanted} instances of '{name}' were running");
            return Err(timeout(&what, steps.wait.timeout));
        }
    }
}

/// How many run of those that start; `None` once all run or one does not start, which only a full
/// read reports.
async fn starting(states: &mut States, steps: &Steps<'_>, ids: &[String]) -> Result<Option<usize>> {
    let Some(shown) = states.read(steps, ids).await? else {
        return Ok(None);
    };
    let running = count(&shown, &InstanceState::Running);
    let all_start = running + count(&shown, &InstanceState::Pending) == shown.len();
    Ok((all_start && running < ids.len()).then_some(running))
}

/// What a full read shows.
enum Seen {
    End(Started),
    /// This many run; the others start or are not shown yet.
    Starting(usize),
}

async fn read_in_full(
    steps: &Steps<'_>,
    name: &str,
    instance_ids: &[String],
    others: &[String],
) -> Result<Seen> {
    // Those that are terminated too: a launch that fails late goes there from pending.
    let instances = steps
        .aws
        .describe_instances(&[tags::cluster_filter(name)])
        .await?;
    let ids: HashSet<&String> = instance_ids.iter().collect();
    let ours = || {
        instances
            .iter()
            .filter(|instance| ids.contains(&instance.instance_id))
    };
    let lost = |i: &&Instance| !matches!(i.state, InstanceState::Pending | InstanceState::Running);
    let lost: Vec<&Instance> = ours().filter(lost).collect();
    if let Some(other) = lost.iter().find(|i| reason(i) != Some(NO_ROOM)) {
        return Err(instance_lost(other));
    }
    if let Some(first) = lost.first() {
        return Ok(Seen::End(Started::NoRoom {
            error: instance_lost(first),
            lost: lost.iter().map(|i| i.instance_id.clone()).collect(),
        }));
    }
    let running = ours()
        .filter(|instance| instance.state == InstanceState::Running)
        .count();
    if let Some(stray) = stray(&instances, &[instance_ids, others]) {
        return Err(stray);
    }
    if running == instance_ids.len() {
        return Ok(Seen::End(Started::All));
    }
    Ok(Seen::Starting(running))
}

/// The code of the instance's state reason: EC2's message begins with it.
fn reason(instance: &Instance) -> Option<&str> {
    let reason = instance.state_reason.as_deref()?;
    Some(reason.split_once(':').map_or(reason, |(code, _)| code))
}

fn instance_lost(lost: &Instance) -> Error {
    let error = Error::new(
        Code::ProvisionInstanceLost,
        format!(
            "instance {} is {} instead of running: {}",
            lost.instance_id,
            lost.state,
            lost.state_reason
                .as_deref()
                .unwrap_or("EC2 gives no reason")
        ),
    )
    .with_context("instance_id", &lost.instance_id)
    .with_context("state", &lost.state);
    match reason(lost) {
        Some(code) => {
            let cause = of_code(code);
            error
                .with_cure(cause.cure)
                .with_context("state_reason", code)
                .retryable(cause.retry)
        }
        None => error.with_cure("look in CloudTrail for who or what ended it, and launch again"),
    }
}

/// A launch of the cluster that EC2 did not show before: of an `apply` that was interrupted, or
/// of another one at the same time.
fn stray(instances: &[Instance], known: &[&[String]]) -> Option<Error> {
    let known: HashSet<&String> = known.iter().copied().flatten().collect();
    let live = |i: &&Instance| {
        matches!(i.state, InstanceState::Pending | InstanceState::Running)
            && !known.contains(&i.instance_id)
    };
    let found = instances.iter().find(live)?;
    let error = Error::new(
        Code::ProvisionClusterDiffers,
        format!(
            "instance {} belongs to the cluster but to no launch of this apply",
            found.instance_id
        ),
    )
    .with_cure("destroy the cluster, which removes it too, and apply again");
    Some(error.with_context("instance_id", &found.instance_id))
}
