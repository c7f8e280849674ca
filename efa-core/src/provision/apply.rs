//! Makes what a plan lists: the order of the steps.

use super::associate_address::Owner;
use super::await_instances::Started;
use super::leftovers;
use super::next::{Verb, next_command};
use super::progress::Action;
use super::run_instances::Place;
use super::steps::{SETTLING, Steps};
use super::{
    associate_address, await_instances, create_instance_profile, create_placement_group,
    create_security_group, run_instances, terminate_instances,
};
use crate::cluster::Cluster;
use crate::ec2::Instance;
use crate::error::{Code, Error, Leftover, Result};
use crate::plan::Plan;
use crate::resource;

/// Makes what is missing of `plan` and waits until all instances run. With `grow`, instances
/// that are missing of a smaller cluster are launched into it.
pub(crate) async fn apply(steps: &Steps<'_>, plan: &Plan, grow: bool) -> Result<Cluster> {
    check_region(steps, plan)?;
    let verb = if grow { Verb::Grow } else { Verb::Apply };
    check_account(steps, plan, verb).await?;
    let mut exists = Vec::new();
    match make(steps, plan, grow, &mut exists).await {
        Ok(cluster) => Ok(cluster),
        Err(error) => Err(explained(steps, plan, verb, error, exists).await),
    }
}

/// The error of a verb that makes, with what exists looked up.
async fn explained(
    steps: &Steps<'_>,
    plan: &Plan,
    verb: Verb,
    error: Error,
    exists: Vec<Leftover>,
) -> Error {
    let name = &plan.spec().name;
    let next = next_command(&error, name, verb);
    // Whoever asks to stop has received the answer to every call.
    if error.code() == Code::ProvisionCancelled {
        return steps.explain(error, exists, &[], next);
    }
    let role = plan.instance_profile().is_some_and(|p| p.role.is_some());
    let known = leftovers::look_after(steps, name, role, &error, exists).await;
    steps.explain(error, known.resources, &known.unread, next)
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

/// Refuses a plan of another account: its ids mean other things here, or nothing.
async fn check_account(steps: &Steps<'_>, plan: &Plan, verb: Verb) -> Result<()> {
    let caller = match steps.aws.caller_identity().await {
        Ok(caller) => caller,
        Err(error) => return Err(explained(steps, plan, verb, error, Vec::new()).await),
    };
    if plan.account() == caller.account && plan.partition() == caller.partition() {
        return Ok(());
    }
    Err(Error::new(
        Code::PlanConflict,
        format!(
            "the plan is for account {}, the caller is of {}",
            plan.account(),
            caller.account
        ),
    )
    .with_cure("use credentials of the plan's account, or plan again")
    .with_context("field", "account")
    .with_context("value", &caller.account)
    .with_context("limit", plan.account()))
}

/// Refuses a launch whose instances would end as soon as they start.
fn check_expiry(steps: &Steps<'_>, plan: &Plan) -> Result<()> {
    let now = crate::utc::text(steps.unix_time_s());
    // Both are in one form, whose order is that of time.
    let Some(at) = plan.expires_at().filter(|at| *at <= now.as_str()) else {
        return Ok(());
    };
    Err(Error::new(
        Code::PlanConflict,
        format!("the plan's cluster expired at {at}"),
    )
    .with_cure("plan again: expires_after counts from when the plan is made")
    .with_context("field", "expires_after")
    .with_context("value", at)
    .with_context("limit", now))
}

/// Makes what is missing of `plan` besides the instances; returns the plan with it.
pub(crate) async fn prepare(steps: &Steps<'_>, plan: &Plan) -> Result<Plan> {
    check_region(steps, plan)?;
    check_account(steps, plan, Verb::Prepare).await?;
    let mut exists = Vec::new();
    match make_groups(steps, plan, &mut exists).await {
        Ok(group_id) => Ok(plan.clone().prepared(group_id)),
        Err(error) => Err(explained(steps, plan, Verb::Prepare, error, exists).await),
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
    terminate_instances::await_unfinished(steps, name).await?;
    let running = run_instances::find_running(steps, plan, grow, exists).await?;
    if running.len() < plan.spec().least_count() as usize {
        check_expiry(steps, plan)?;
    }
    let group_id = make_groups(steps, plan, exists).await?;
    let instance_ids = launch(steps, plan, &group_id, &running, grow, exists).await?;
    if plan.wants_elastic_ips() {
        let owner = Owner {
            name,
            tags: &plan.shared_tags(),
        };
        associate_address::ensure(steps, &owner, &instance_ids, exists).await?;
    }
    whole_cluster(steps, plan, &instance_ids).await
}

/// Launches what is missing and waits until all of it runs; the ids of all instances. Where EC2
/// finds after the launch that a zone has no room, what it launched there is taken back, and the
/// next subnet is tried.
async fn launch(
    steps: &Steps<'_>,
    plan: &Plan,
    group_id: &str,
    running: &[Instance],
    grow: bool,
    exists: &mut Vec<Leftover>,
) -> Result<Vec<String>> {
    let (name, least) = (&plan.spec().name, plan.spec().least_count() as usize);
    let mut refusals = Vec::new();
    loop {
        let place = Place {
            group_id,
            running,
            grow,
        };
        let mut ids = run_instances::ensure(steps, plan, &place, &mut refusals, exists).await?;
        let refused = loop {
            match await_instances::await_running(steps, name, &ids, &[]).await? {
                Started::All => return Ok(ids),
                Started::NoRoom { lost, error } => {
                    if ids.len() - lost.len() < least {
                        break error;
                    }
                    ids.retain(|id| !lost.contains(id));
                }
            }
        };
        let new: Vec<String> = ids
            .into_iter()
            .filter(|id| !running.iter().any(|i| i.instance_id == *id))
            .collect();
        let subnet = run_instances::subnet_of(steps, name, &new).await?;
        terminate_instances::take_back(steps, name, &new).await?;
        exists.retain(|one| !new.contains(&one.id));
        let subnet = subnet.unwrap_or_else(|| plan.subnet().subnet_id.clone());
        steps.tell(
            Action::Refused,
            resource::SUBNET,
            &subnet,
            refused.message(),
        );
        refusals.push((subnet, refused));
    }
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
