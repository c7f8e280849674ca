//! DescribeInstances until all instances run.

use super::progress::Action;
use super::steps::{Steps, timeout};
use crate::ec2::{Instance, InstanceState};
use crate::error::{Code, Error, Result};
use crate::resource;
use crate::tags;

/// Waits until every one of `instance_ids` runs; fails at once when one is on its way out.
pub(super) async fn await_running(
    steps: &Steps<'_>,
    name: &str,
    instance_ids: &[String],
) -> Result<()> {
    let mut poll = steps.poll();
    loop {
        // Those that are terminated too: a launch that fails late goes there from pending.
        let instances = steps
            .aws
            .describe_instances(&[tags::cluster_filter(name)])
            .await?;
        let ours = || {
            instances
                .iter()
                .filter(|instance| instance_ids.contains(&instance.instance_id))
        };
        if let Some(lost) =
            ours().find(|i| !matches!(i.state, InstanceState::Pending | InstanceState::Running))
        {
            return Err(Error::new(
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
            .with_cure("destroy the cluster and apply again")
            .with_context("instance_id", &lost.instance_id)
            .with_context("state", &lost.state));
        }
        let running = ours()
            .filter(|instance| instance.state == InstanceState::Running)
            .count();
        if let Some(stray) = stray(&instances, instance_ids) {
            return Err(stray);
        }
        if running == instance_ids.len() {
            return Ok(());
        }
        let detail = format!("{running} of {} running", instance_ids.len());
        steps.tell(Action::Waiting, resource::INSTANCE, name, detail);
        if !steps.pause(&mut poll).await? {
            let what = format!(
                "only {running} of {} instances of '{name}' were running",
                instance_ids.len()
            );
            return Err(timeout(&what, steps.wait.timeout));
        }
    }
}

/// A launch of the cluster that EC2 did not show before: of an `apply` that was interrupted, or
/// of another one at the same time.
fn stray(instances: &[Instance], instance_ids: &[String]) -> Option<Error> {
    let live = |i: &&Instance| {
        matches!(i.state, InstanceState::Pending | InstanceState::Running)
            && !instance_ids.contains(&i.instance_id)
    };
    let found = instances.iter().find(live)?;
    let error = Error::new(
        Code::ProvisionClusterDiffers,
        format!(
            "instance {} belongs to the cluster and to no launch of this apply",
            found.instance_id
        ),
    )
    .with_cure("destroy the cluster, which removes it too, and apply again");
    Some(error.with_context("instance_id", &found.instance_id))
}
