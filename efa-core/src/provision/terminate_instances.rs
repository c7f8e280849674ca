//! TerminateInstances, and waiting until they are gone.

use super::destroy_report::DestroyReport;
use super::progress::Action;
use super::steps::{Steps, answered, timeout};
use crate::cluster::live_instances;
use crate::ec2::{Instance, InstanceState};
use crate::error::Result;
use crate::plan::instance_role;
use crate::resource;
use crate::tags;

/// Terminates the cluster's instances and waits until EC2 calls them terminated: until then
/// their groups and interfaces cannot be removed.
///
/// Whether one of them had a role that we made.
pub(super) async fn terminate(steps: &Steps<'_>, report: &mut DestroyReport) -> Result<bool> {
    let name = report.name.clone();
    let instances = live_instances(steps.aws, &name).await?;
    let ids: Vec<String> = instances
        .iter()
        .filter(|instance| instance.state != InstanceState::ShuttingDown)
        .map(|instance| instance.instance_id.clone())
        .collect();
    if !ids.is_empty() {
        match steps.changing()?.terminate_instances(&ids).await {
            // Listed, and not seen everywhere yet: the next round terminates them.
            Err(error) if answered(&error, &["InvalidInstanceID.NotFound"]) => {}
            result => result?,
        }
    }
    await_gone(steps, &name, |_| true).await?;
    for instance in &instances {
        report.removed(steps, resource::INSTANCE, &instance.instance_id);
    }
    let profile = instance_role::name(&name, steps.aws.region());
    let ours = |i: &Instance| i.tags.get(tags::INSTANCE_PROFILE) == Some(&profile);
    Ok(instances.iter().any(ours))
}

/// Waits for instances of the cluster that are shutting down already.
pub(super) async fn await_unfinished(steps: &Steps<'_>, name: &str) -> Result<()> {
    await_gone(steps, name, |state| *state == InstanceState::ShuttingDown).await
}

async fn await_gone(
    steps: &Steps<'_>,
    name: &str,
    counts: impl Fn(&InstanceState) -> bool,
) -> Result<()> {
    let mut poll = steps.poll();
    loop {
        let instances = live_instances(steps.aws, name).await?;
        let left = instances
            .iter()
            .filter(|instance| counts(&instance.state))
            .count();
        if left == 0 {
            return Ok(());
        }
        steps.tell(
            Action::Waiting,
            resource::INSTANCE,
            name,
            format!("{left} not yet terminated"),
        );
        if !steps.pause(&mut poll).await? {
            return Err(timeout(
                &format!("{left} instances of '{name}' were not terminated"),
                steps.wait.timeout,
            ));
        }
    }
}
