//! RunInstances: all instances of the plan in one launch, in the first subnet that has room.

use std::mem;

use super::no_capacity;
use super::progress::Action;
use super::steps::{SETTLING, Steps, answered, note};
use super::terminate_instances;
use crate::cluster::live_instances;
use crate::ec2::{Instance, Market, Tags};
use crate::error::{Code, Error, Leftover, Result};
use crate::failure::effect_unknown;
use crate::plan::{Launch, Plan};
use crate::resource;
use crate::tags;

/// How many launches of one plan, each terminated since, are looked past.
const LAUNCHES: u32 = 100;
/// EC2's answers for groups that it does not see everywhere yet.
const UNSEEN: &[&str] = &["InvalidGroup.NotFound", "InvalidPlacementGroup.Unknown"];

/// The cluster's live instances, all launched from this plan or one like it; an error when
/// others run, or when fewer run than planned and `grow` does not allow to add to them.
pub(super) async fn find_running(
    steps: &Steps<'_>,
    plan: &Plan,
    grow: bool,
    exists: &mut Vec<Leftover>,
) -> Result<Vec<Instance>> {
    let instances = live_instances(steps.aws, &plan.spec().name).await?;
    for instance in &instances {
        let state = instance.state.as_str();
        let kind = resource::INSTANCE;
        note(
            steps,
            exists,
            Action::Found,
            kind,
            &instance.instance_id,
            state,
        );
    }
    let (wanted, found) = (plan.spec().count as usize, instances.len());
    let least = plan.spec().least_count() as usize;
    let fits = |instance: &&Instance| fits(plan, instance, grow);
    let matching = instances.iter().filter(fits).count();
    if found == 0 || (matching == found && (least..=wanted).contains(&found)) {
        return Ok(instances);
    }
    // A launch for each reservation: what an interrupted call left out is launched.
    let adds = grow || plan.parts() > 1;
    if adds && matching == found && found < wanted {
        return Ok(instances);
    }
    Err(differs(plan, &instances, matching))
}

/// Why `apply` and `grow` leave the cluster as it is, with the call that leads to what is wanted.
fn differs(plan: &Plan, instances: &[Instance], matching: usize) -> Error {
    let name = &plan.spec().name;
    let (wanted, found) = (plan.spec().count as usize, instances.len());
    let error = |message: String| {
        Error::new(Code::ProvisionClusterDiffers, message)
            .with_context("name", name)
            .with_context("value", found)
            .with_context("limit", wanted)
    };
    let has = format!("cluster '{name}' has {found} instances");
    if instances.iter().all(|i| of_plan(plan, i)) {
        let sizes = error(format!("{has} of this plan, which asks for {wanted}"));
        if found < wanted {
            return sizes
                .with_cure(
                    "call grow: a second launch into the same placement group may find no \
                     capacity nearby; or destroy it and apply, so that one launch places all \
                     instances together",
                )
                .with_next_command(format!(
                    "grow to the plan, or destroy('{name}') and apply the plan"
                ));
        }
        return sizes
            .with_cure(format!(
                "the cluster has grown: plan with count={found}, or shrink it to {wanted}"
            ))
            .with_next_command(format!(
                "plan with count={found} to keep them all, or shrink('{name}', {wanted})"
            ));
    }
    let error = error(format!(
        "{has}, {matching} of them from this plan, which asks for {wanted}"
    ));
    let alike = found <= wanted && instances.iter().all(|i| like(plan, i));
    if alike {
        return error
            .with_cure(
                "its tags match the plan, the fingerprint does not: either something that no \
                 tag shows differs (user data, root volume, key pair), then destroy the cluster \
                 first or choose another name; or an earlier version of efa-sdk launched it, then \
                 call grow, which accepts these instances as they are",
            )
            .with_next_command(format!(
                "destroy('{name}') and apply the plan, or grow to it if only the version differs"
            ));
    }
    error
        .with_cure("destroy the cluster first, or choose another name")
        .with_next_command(format!(
            "destroy('{name}') and apply the plan, or plan under another name"
        ))
}

/// Whether the instance was launched from a plan of this intent, of whatever size.
fn of_plan(plan: &Plan, instance: &Instance) -> bool {
    instance.tags.get(tags::PLAN).map(String::as_str) == Some(plan.fingerprint())
}

fn fits(plan: &Plan, instance: &Instance, grow: bool) -> bool {
    of_plan(plan, instance) || (grow && like(plan, instance))
}

/// Whether the instance differs from the plan's in nothing but the size of the cluster.
fn like(plan: &Plan, instance: &Instance) -> bool {
    let place = |key: &str| instance.tags.get(key).map_or("", String::as_str);
    let data = plan.launch_data(place(tags::SECURITY_GROUP), place(tags::SUBNET));
    let mut planned = data.instance_tags().cloned().unwrap_or_default();
    let mut found: Tags = instance.tags.clone();
    for key in [
        tags::PLAN,
        tags::COUNT,
        tags::NAME,
        tags::REPLACES,
        tags::EXPIRES_AT,
    ] {
        planned.remove(key);
        found.remove(key);
    }
    found.retain(|key, _| !key.starts_with("aws:"));
    planned == found
}

/// Where instances join.
pub(super) struct Place<'a> {
    pub(super) group_id: &'a str,
    pub(super) running: &'a [Instance],
    pub(super) grow: bool,
}

/// Launches what is missing; the ids of all instances of the cluster. The subnets of `refusals`
/// are not tried again.
pub(super) async fn ensure(
    steps: &Steps<'_>,
    plan: &Plan,
    place: &Place<'_>,
    refusals: &mut Vec<(String, Error)>,
    exists: &mut Vec<Leftover>,
) -> Result<Vec<String>> {
    let running = place.running;
    let mut ids: Vec<String> = running.iter().map(|i| i.instance_id.clone()).collect();
    let have = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    let least = plan.spec().least_count();
    if have >= plan.spec().count || (!place.grow && have >= least) {
        return Ok(ids);
    }
    let mut subnets = subnets(plan, running);
    subnets.retain(|subnet| !refusals.iter().any(|(refused, _)| refused == subnet));
    for (index, subnet_id) in subnets.iter().enumerate() {
        let mut launches = missing(plan, place, subnet_id);
        let checked = match refusals.is_empty() {
            true => dry_run_all(steps, plan, &launches).await,
            false => Ok(()),
        };
        let more = index + 1 < subnets.len();
        let launched = match checked {
            Ok(()) => launch_all(steps, plan, &mut launches, &ids, more, exists).await,
            Err(error) => Err(error),
        };
        match launched {
            Ok(launched) => {
                ids.extend(launched);
                return Ok(ids);
            }
            Err(error) if no_capacity::may_fit_elsewhere(&error) => {
                let detail = error.ec2_code().unwrap_or_default().to_owned();
                steps.tell(Action::Refused, resource::SUBNET, *subnet_id, detail);
                refusals.push(((*subnet_id).to_owned(), error));
            }
            Err(error) => return Err(error),
        }
    }
    Err(no_capacity::no_capacity_error(plan, mem::take(refusals)))
}

/// The launches of what is missing, one for each reservation that lacks instances.
fn missing<'a>(plan: &Plan, place: &Place<'a>, subnet_id: &'a str) -> Vec<Launch<'a>> {
    let parts = plan.parts();
    let launches = (0..parts).map(|part| {
        let of_part = |i: &&Instance| {
            let market = plan.capacity().market_of(part);
            let id = match &market {
                Market::Reservation(id) | Market::CapacityBlock(id) => Some(id),
                _ => None,
            };
            parts == 1 || i.capacity_reservation_id.as_ref() == id
        };
        let have = place.running.iter().filter(of_part).count();
        let have = u32::try_from(have).unwrap_or(u32::MAX);
        let mut launch = plan.launch(place.group_id, subnet_id);
        launch.part = part;
        launch.count = plan.count_of(part).saturating_sub(have);
        let least = if parts == 1 {
            plan.spec().least_count()
        } else {
            plan.count_of(part)
        };
        launch.minimum_count = least.saturating_sub(have).max(1);
        launch
    });
    launches.filter(|launch| launch.count > 0).collect()
}

async fn dry_run_all(steps: &Steps<'_>, plan: &Plan, launches: &[Launch<'_>]) -> Result<()> {
    for launch in launches {
        dry_run(steps, plan, launch).await?;
    }
    Ok(())
}

/// All of these launches or none: where one is refused, the instances of those before it are taken
/// back. The ids.
async fn launch_all(
    steps: &Steps<'_>,
    plan: &Plan,
    launches: &mut [Launch<'_>],
    before: &[String],
    more_subnets: bool,
    exists: &mut Vec<Leftover>,
) -> Result<Vec<String>> {
    let mut new: Vec<String> = Vec::new();
    for launch in launches {
        let mut launched = launch_instances(steps, plan, launch).await;
        if let Err(error) = &launched
            && no_capacity::may_fit_elsewhere(error)
            && effect_unknown(error)
            && more_subnets
        {
            let known = [before, &new].concat();
            launched = settle_launch(steps, plan, launch, &known).await;
        }
        match launched {
            Ok(launched) => {
                for instance in &launched {
                    let (kind, id) = (resource::INSTANCE, &instance.instance_id);
                    let detail = &instance.instance_type;
                    note(steps, exists, Action::Created, kind, id, detail);
                }
                new.extend(launched.into_iter().map(|instance| instance.instance_id));
            }
            Err(error) if !new.is_empty() && !effect_unknown(&error) => {
                terminate_instances::take_back(steps, plan.name(), &new).await?;
                exists.retain(|one| !new.contains(&one.id));
                return Err(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(new)
}

/// The subnets to try: instances that join others go where these are.
fn subnets<'a>(plan: &'a Plan, running: &'a [Instance]) -> Vec<&'a str> {
    let place = running.first().and_then(|i| i.subnet_id.as_deref());
    match place {
        Some(subnet) => vec![subnet],
        None => plan
            .subnets()
            .iter()
            .map(|s| s.subnet_id.as_str())
            .collect(),
    }
}

/// What became of a launch of which one attempt had no answer: its instances, or the refusal of
/// an attempt that had one. Until that is known, another zone must not be tried: the cluster
/// would be launched twice.
async fn settle_launch(
    steps: &Steps<'_>,
    plan: &Plan,
    launch: &mut Launch<'_>,
    before: &[String],
) -> Result<Vec<Instance>> {
    let mut poll = steps.poll_for(SETTLING.min(steps.wait.timeout));
    loop {
        let mut found = live_instances(steps.aws, &plan.spec().name).await?;
        found.retain(|i| !before.contains(&i.instance_id));
        if !found.is_empty() {
            return Ok(found);
        }
        let more = steps.pause(&mut poll).await?;
        // The same token: where the first attempt launched, EC2 answers with its instances.
        match launch_instances(steps, plan, launch).await {
            Err(error) if no_capacity::may_fit_elsewhere(&error) && effect_unknown(&error) => {
                if !more {
                    let why = format!("a launch that was never answered: {}", error.message());
                    return Err(unsettled(why, &error));
                }
            }
            Err(error) if no_capacity::may_fit_elsewhere(&error) => {
                let mut found = live_instances(steps.aws, &plan.spec().name).await?;
                found.retain(|i| !before.contains(&i.instance_id));
                return match found.is_empty() {
                    true => Err(error),
                    false => Ok(found),
                };
            }
            launched => return launched,
        }
    }
}

/// The launch may have happened, and no other zone can be tried.
fn unsettled(why: String, last: &Error) -> Error {
    let mut error = Error::new(Code::ProvisionTimeout, why)
        .with_cure("apply the same plan again: its client token prevents a second launch there")
        .retryable(true);
    for (key, value) in last.context() {
        error = error.with_context(key, value);
    }
    error
}

/// The subnet of one of these instances, as EC2 shows it.
pub(super) async fn subnet_of(
    steps: &Steps<'_>,
    name: &str,
    ids: &[String],
) -> Result<Option<String>> {
    let shown = steps
        .aws
        .describe_instances(&[tags::cluster_filter(name)])
        .await?;
    let ours = |i: &&Instance| ids.contains(&i.instance_id);
    let tag = |i: &Instance| i.tags.get(tags::SUBNET).cloned();
    let of = |i: &Instance| i.subnet_id.clone().or_else(|| tag(i));
    Ok(shown.iter().filter(ours).find_map(of))
}

/// EC2's check of the very request that is sent next.
async fn dry_run(steps: &Steps<'_>, plan: &Plan, launch: &Launch<'_>) -> Result<()> {
    let request = plan.run_instances_request(launch);
    let request = &request;
    steps
        .settle(
            |error| unseen(plan, error),
            |aws| aws.dry_run_instances(request),
        )
        .await
}

async fn launch_instances(
    steps: &Steps<'_>,
    plan: &Plan,
    launch: &mut Launch<'_>,
) -> Result<Vec<Instance>> {
    loop {
        let request = plan.run_instances_request(launch);
        let request = &request;
        let launched = steps
            .settle(
                |error| unseen(plan, error),
                |aws| aws.run_instances(request),
            )
            .await;
        match launched {
            // The token belongs to a launch of this plan that was destroyed since.
            Err(error)
                if answered(&error, &["IdempotentInstanceTerminated"])
                    && launch.number < LAUNCHES =>
            {
                launch.number += 1;
            }
            result => return result,
        }
    }
}

/// Whether a launch fails because something that we made moments ago is not seen yet.
fn unseen(plan: &Plan, error: &Error) -> bool {
    let profile = plan.instance_profile();
    let made_profile = profile.is_some_and(|profile| profile.role.is_some());
    let invalid_profile = error
        .context_value("ec2_message")
        .is_some_and(|message| message.contains("Invalid IAM Instance Profile"));
    answered(error, UNSEEN) || (made_profile && invalid_profile)
}
