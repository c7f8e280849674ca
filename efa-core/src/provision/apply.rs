//! Makes what a plan says: the order of the steps.

use super::steps::{SETTLING, Steps};
use super::{
    associate_address, await_instances, create_instance_profile, create_placement_group,
    create_security_group, run_instances, terminate_instances,
};
use crate::cluster::Cluster;
use crate::error::{Code, Error, Leftover, Result};
use crate::plan::Plan;

/// Makes what is missing of `plan` and waits until all instances run. With `grow`, instances
/// that are missing of a smaller cluster are launched into it.
pub(crate) async fn apply(steps: &Steps<'_>, plan: &Plan, grow: bool) -> Result<Cluster> {
    check_region(steps, plan)?;
    terminate_instances::await_unfinished(steps, &plan.spec().name).await?;
    let mut exists = Vec::new();
    let result = make(steps, plan, grow, &mut exists).await;
    let next = format!(
        "apply the same plan again to finish, or destroy('{}') to remove what exists",
        plan.spec().name
    );
    result.map_err(|error| steps.explain(error, exists, next))
}

fn check_region(steps: &Steps<'_>, plan: &Plan) -> Result<()> {
    let region = steps.aws.region();
    if plan.region() == region {
        return Ok(());
    }
    Err(Error::new(
        Code::PlanConflict,
        format!(
            "the plan is for {}, the client calls {region}",
            plan.region()
        ),
    )
    .with_cure("use a client of the plan's region, or plan again")
    .with_context("field", "region")
    .with_context("value", region)
    .with_context("limit", plan.region()))
}

/// Makes what is missing of `plan` beside the instances; the plan with it.
pub(crate) async fn prepare(steps: &Steps<'_>, plan: &Plan) -> Result<Plan> {
    check_region(steps, plan)?;
    let mut exists = Vec::new();
    let result = make_groups(steps, plan, &mut exists).await;
    let next = format!(
        "prepare the same plan again to finish, or destroy('{}') to remove what exists",
        plan.spec().name
    );
    match result {
        Ok(group_id) => Ok(plan.clone().prepared(group_id)),
        Err(error) => Err(steps.explain(error, exists, next)),
    }
}

/// What instances need; the security group's id.
async fn make_groups(steps: &Steps<'_>, plan: &Plan, exists: &mut Vec<Leftover>) -> Result<String> {
    let group_id = create_security_group::ensure(steps, plan, exists).await?;
    create_placement_group::ensure(steps, plan, exists).await?;
    create_instance_profile::ensure(steps, plan, exists).await?;
    Ok(group_id)
}

/// The steps of [`apply`] in order; `exists` lists what is there when a step fails.
async fn make(
    steps: &Steps<'_>,
    plan: &Plan,
    grow: bool,
    exists: &mut Vec<Leftover>,
) -> Result<Cluster> {
    let name = &plan.spec().name;
    let running = run_instances::find_running(steps, plan, grow, exists).await?;
    let group_id = make_groups(steps, plan, exists).await?;
    let instance_ids = run_instances::ensure(steps, plan, &group_id, running, grow, exists).await?;
    await_instances::await_running(steps, name, &instance_ids).await?;
    if plan.wants_elastic_ips() {
        associate_address::ensure(steps, plan, &instance_ids, exists).await?;
    }
    whole_cluster(steps, plan, &instance_ids).await
}

/// The cluster, once EC2's listings show all of it; after a while, what they show.
async fn whole_cluster(steps: &Steps<'_>, plan: &Plan, ids: &[String]) -> Result<Cluster> {
    let name = plan.name();
    let mut poll = steps.poll_for(SETTLING.min(steps.wait.timeout));
    loop {
        let found = Cluster::find(steps.aws, name).await?;
        let whole = |cluster: &Cluster| {
            ids.len() == cluster.instances.len()
                && cluster.security_group.is_some()
                && cluster.placement_group.is_some() == plan.placement_group().is_some()
        };
        if found.as_ref().is_some_and(whole) || !steps.pause(&mut poll).await? {
            return found.ok_or_else(|| crate::cluster::not_found(name, steps.aws.region()));
        }
    }
}
