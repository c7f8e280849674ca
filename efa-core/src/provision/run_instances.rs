//! RunInstances: all instances of the plan in one all-or-nothing launch.

use super::{Steps, note, resource};
use crate::cluster::live_instances;
use crate::ec2::Instance;
use crate::error::{Code, Error, Leftover, Result};
use crate::plan::Plan;
use crate::progress::Action;
use crate::tags;

/// How many launches of one plan, each terminated since, are looked past.
const LAUNCHES: u32 = 100;

/// The ids of the cluster's instances if they were launched from this very plan and all live.
pub(super) async fn find_running(
    steps: &Steps<'_>,
    plan: &Plan,
    exists: &mut Vec<Leftover>,
) -> Result<Option<Vec<String>>> {
    let instances = live_instances(steps.ec2, &plan.spec.name).await?;
    if instances.is_empty() {
        return Ok(None);
    }
    for instance in &instances {
        note(
            steps,
            exists,
            Action::Found,
            resource::INSTANCE,
            &instance.instance_id,
            instance.state.as_str(),
        );
    }
    let of_this_plan =
        |instance: &&Instance| instance.tags.get(tags::PLAN) == Some(&plan.fingerprint);
    let matching = instances.iter().filter(of_this_plan).count();
    if matching != instances.len() || matching != plan.spec.count as usize {
        return Err(Error::new(
            Code::ProvisionClusterDiffers,
            format!(
                "cluster '{}' has {} instances, {matching} of them from this plan, which asks for {}",
                plan.spec.name,
                instances.len(),
                plan.spec.count
            ),
        )
        .with_cure("destroy the cluster first, or choose another name")
        .with_context("name", &plan.spec.name)
        .with_context("value", instances.len())
        .with_context("limit", plan.spec.count));
    }
    Ok(Some(
        instances
            .into_iter()
            .map(|instance| instance.instance_id)
            .collect(),
    ))
}

/// Launches all instances of the plan; their ids.
pub(super) async fn launch(
    steps: &Steps<'_>,
    plan: &Plan,
    security_group_id: &str,
    exists: &mut Vec<Leftover>,
) -> Result<Vec<String>> {
    let mut launch = 0;
    let instances = loop {
        let request = plan.run_instances_request(security_group_id, launch);
        match steps.ec2.run_instances(&request).await {
            Ok(instances) => break instances,
            // The token belongs to a launch of this plan that was destroyed since.
            Err(error)
                if error.ec2_code() == Some("IdempotentInstanceTerminated")
                    && launch < LAUNCHES =>
            {
                launch += 1
            }
            Err(error) => return Err(error),
        }
    };
    for instance in &instances {
        note(
            steps,
            exists,
            Action::Created,
            resource::INSTANCE,
            &instance.instance_id,
            &instance.instance_type,
        );
    }
    Ok(instances
        .into_iter()
        .map(|instance| instance.instance_id)
        .collect())
}
