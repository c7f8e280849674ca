//! Makes what a plan says, and removes what we made: one file per EC2 verb.
//!
//! There is no state file. Everything carries the cluster's tag from the call that makes it,
//! and every step looks before it makes, so that `apply` after an interrupted `apply` finishes
//! it, and `destroy` at any moment finds all of it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::client::Aws;
use crate::clock::Clock;
use crate::cluster::{Cluster, live_instances};
use crate::error::{Code, Error, Leftover, Result};
use crate::instance_role;
use crate::plan::Plan;
use crate::progress::{Action, Event};
use crate::tags::is_ours;

mod associate_address;
mod await_instances;
mod create_instance_profile;
mod create_placement_group;
mod create_security_group;
mod delete_instance_profile;
mod delete_network_interface;
mod delete_placement_group;
mod delete_security_group;
mod no_capacity;
mod release_address;
mod run_instances;
mod terminate_instances;

/// EC2's resource types, as its tags and this crate's events spell them.
pub(crate) mod resource {
    pub(crate) const ADDRESS: &str = "elastic-ip";
    pub(crate) const INSTANCE: &str = "instance";
    pub(crate) const INSTANCE_PROFILE: &str = "instance-profile";
    pub(crate) const NETWORK_INTERFACE: &str = "network-interface";
    pub(crate) const PLACEMENT_GROUP: &str = "placement-group";
    pub(crate) const ROLE: &str = "role";
    pub(crate) const SECURITY_GROUP: &str = "security-group";
    pub(crate) const SUBNET: &str = "subnet";
}

/// How long to wait for EC2, and how often to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wait {
    /// Limit of each wait: for instances to run, to terminate, for a group to be free.
    pub timeout: Duration,
    /// Time between the first two looks; it grows by half each time, up to 10 s.
    pub first_poll: Duration,
}

impl Default for Wait {
    /// 15 minutes, looking first after half a second.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15 * 60),
            first_poll: Duration::from_millis(500),
        }
    }
}

const LONGEST_POLL: Duration = Duration::from_secs(10);

/// How long EC2 and IAM may take to see everywhere what was made moments ago.
const SETTLING: Duration = Duration::from_secs(60);

/// What every step needs: AWS, a clock, patience, someone to tell, and someone who may say stop.
pub(crate) struct Steps<'a> {
    aws: &'a dyn Aws,
    clock: &'a dyn Clock,
    wait: Wait,
    progress: &'a (dyn Fn(&Event) + Send + Sync),
    cancel: Cancel,
    /// Whether a call that changes something was sent.
    changed: AtomicBool,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(
        aws: &'a dyn Aws,
        clock: &'a dyn Clock,
        wait: Wait,
        progress: &'a (dyn Fn(&Event) + Send + Sync),
        cancel: Cancel,
    ) -> Self {
        Self {
            aws,
            clock,
            wait,
            progress,
            cancel,
            changed: AtomicBool::new(false),
        }
    }

    /// The way to AWS for calls that change something: the safe point between two of them.
    fn changing(&self) -> Result<&'a dyn Aws> {
        self.check_cancelled()?;
        self.changed.store(true, Ordering::Relaxed);
        Ok(self.aws)
    }

    fn check_cancelled(&self) -> Result<()> {
        if !self.cancel.is_cancelled() {
            return Ok(());
        }
        Err(Error::new(
            Code::ProvisionCancelled,
            "stopped between two calls, as asked",
        )
        .with_cure("apply the same plan again to finish, or destroy the cluster"))
    }

    fn tell(
        &self,
        action: Action,
        resource_type: &str,
        id: impl Into<String>,
        detail: impl Into<String>,
    ) {
        (self.progress)(&Event {
            action,
            resource_type: resource_type.to_owned(),
            id: id.into(),
            detail: detail.into(),
        });
    }

    fn poll(&self) -> Poll {
        self.poll_for(self.wait.timeout)
    }

    fn poll_for(&self, limit: Duration) -> Poll {
        Poll {
            deadline: self.clock.now().checked_add(limit),
            next: self.wait.first_poll,
        }
    }

    /// Sleeps until the next look of a wait; false when its time is up.
    async fn pause(&self, poll: &mut Poll) -> Result<bool> {
        let late = |deadline| self.clock.now() + poll.next > deadline;
        if poll.deadline.is_some_and(late) {
            return Ok(false);
        }
        self.cancel.sleep(self.clock, poll.next).await;
        self.check_cancelled()?;
        poll.next = (poll.next + poll.next / 2).min(LONGEST_POLL);
        Ok(true)
    }

    /// Makes a changing call, again while `unseen` says that it failed because AWS does not see
    /// everywhere yet what was made moments ago.
    async fn settle<T>(
        &self,
        unseen: impl Fn(&Error) -> bool + Send,
        call: impl Fn(&'a dyn Aws) -> Call<'a, T> + Send,
    ) -> Result<T> {
        let mut poll = self.poll_for(SETTLING.min(self.wait.timeout));
        loop {
            match call(self.changing()?).await {
                Err(error) if unseen(&error) => {
                    if !self.pause(&mut poll).await? {
                        return Err(error);
                    }
                }
                result => return result,
            }
        }
    }

    /// The error of a verb, with what it must say: what may have changed, what exists, and what
    /// to do next.
    fn explain(&self, error: Error, exists: Vec<Leftover>, next: String) -> Error {
        let error = error.with_leftovers(exists).with_next_command(next);
        if self.changed.load(Ordering::Relaxed) {
            error.changed_aws()
        } else {
            error
        }
    }
}

/// A call to AWS under way.
type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Whether AWS answered with one of these codes.
fn answered(error: &Error, codes: &[&str]) -> bool {
    error.ec2_code().is_some_and(|code| codes.contains(&code))
}

/// Paces the looks of one wait.
struct Poll {
    /// `None` where the clock does not reach so far.
    deadline: Option<Duration>,
    next: Duration,
}

fn timeout(what: &str, waited: Duration) -> Error {
    Error::new(
        Code::ProvisionTimeout,
        format!("{what} within {} s", waited.as_secs()),
    )
    .with_cure(
        "look at the instances' state reasons, then apply or destroy again with a longer wait",
    )
    .with_context("limit", format_args!("{} s", waited.as_secs()))
    .retryable(true)
}

/// Makes what is missing of `plan` and waits until all instances run. With `grow`, instances
/// that are missing of a smaller cluster are launched into it.
pub(crate) async fn apply(steps: &Steps<'_>, plan: &Plan, grow: bool) -> Result<Cluster> {
    check_region(steps, plan)?;
    terminate_instances::await_unfinished(steps, &plan.spec.name).await?;
    let mut exists = Vec::new();
    let result = make(steps, plan, grow, &mut exists).await;
    let next = format!(
        "apply the same plan again to finish, or destroy('{}') to remove what exists",
        plan.spec.name
    );
    result.map_err(|error| steps.explain(error, exists, next))
}

fn check_region(steps: &Steps<'_>, plan: &Plan) -> Result<()> {
    let region = steps.aws.region();
    if plan.region == region {
        return Ok(());
    }
    Err(Error::new(
        Code::PlanConflict,
        format!("the plan is for {}, the client calls {region}", plan.region),
    )
    .with_cure("use a client of the plan's region, or plan again")
    .with_context("field", "region")
    .with_context("value", region)
    .with_context("limit", &plan.region))
}

/// Makes what is missing of `plan` beside the instances; the plan with it.
pub(crate) async fn prepare(steps: &Steps<'_>, plan: &Plan) -> Result<Plan> {
    check_region(steps, plan)?;
    let mut exists = Vec::new();
    let result = make_groups(steps, plan, &mut exists).await;
    let next = format!(
        "prepare the same plan again to finish, or destroy('{}') to remove what exists",
        plan.spec.name
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
    let name = &plan.spec.name;
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
                && cluster.placement_group.is_some() == plan.placement_group.is_some()
        };
        if found.as_ref().is_some_and(whole) || !steps.pause(&mut poll).await? {
            return found.ok_or_else(|| crate::cluster::not_found(name, steps.aws.region()));
        }
    }
}

/// What `destroy` removed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DestroyReport {
    /// Name of the cluster.
    pub name: String,
    /// What was removed, in order; empty when nothing carried the cluster's tag.
    pub removed: Vec<Leftover>,
    /// What could not be looked at, such as IAM without the permission to.
    pub notes: Vec<String>,
}

impl std::fmt::Display for DestroyReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        if self.removed.is_empty() {
            return writeln!(f, "nothing is tagged efa-sdk:cluster={}", self.name);
        }
        writeln!(
            f,
            "cluster '{}': removed {} resources",
            self.name,
            self.removed.len()
        )?;
        for resource in &self.removed {
            writeln!(f, "  {} {}", resource.resource_type, resource.id)?;
        }
        Ok(())
    }
}

/// Removes everything that carries the cluster's tag, and only that.
pub(crate) async fn destroy(steps: &Steps<'_>, name: &str) -> Result<DestroyReport> {
    crate::spec::check_name(name)?;
    let mut report = DestroyReport {
        name: name.to_owned(),
        removed: Vec::new(),
        notes: Vec::new(),
    };
    match remove(steps, &mut report).await {
        Ok(()) => Ok(report),
        Err(error) => {
            let left = remaining(steps, name).await;
            let next = format!("destroy('{name}') again to finish");
            Err(steps.explain(error, left, next))
        }
    }
}

/// What still carries the cluster's tag, as far as it can be read.
async fn remaining(steps: &Steps<'_>, name: &str) -> Vec<Leftover> {
    let aws = steps.aws;
    let filter = [crate::tags::cluster_filter(name)];
    let mut left = Vec::new();
    let mut put = |resource_type: &str, id: String| {
        left.push(Leftover {
            resource_type: resource_type.to_owned(),
            id,
        });
    };
    for instance in live_instances(aws, name).await.unwrap_or_default() {
        put(resource::INSTANCE, instance.instance_id);
    }
    for address in aws.describe_addresses(&filter).await.unwrap_or_default() {
        put(resource::ADDRESS, address.allocation_id);
    }
    let groups = aws.describe_placement_groups(&filter).await;
    for group in groups.unwrap_or_default() {
        put(resource::PLACEMENT_GROUP, group.group_name);
    }
    let groups = aws.describe_security_groups(&filter).await;
    for group in groups.unwrap_or_default() {
        put(resource::SECURITY_GROUP, group.group_id);
    }
    let role = instance_role::name(name, aws.region());
    if let Ok(Some(profile)) = aws.get_instance_profile(&role).await
        && is_ours(&profile.tags, name)
    {
        put(resource::INSTANCE_PROFILE, role.clone());
    }
    if let Ok(Some(found)) = aws.get_role(&role).await
        && is_ours(&found.tags, name)
    {
        put(resource::ROLE, role);
    }
    left
}

/// The steps of [`destroy`]: what something else is used by goes first, EC2 refuses any other
/// order. A group that is still used may be used by an instance that EC2 did not show yet, so
/// every round looks at all of it again.
async fn remove(steps: &Steps<'_>, report: &mut DestroyReport) -> Result<()> {
    let mut poll = steps.poll();
    let mut made_role = false;
    loop {
        made_role |= terminate_instances::terminate(steps, report).await?;
        release_address::release(steps, report).await?;
        delete_network_interface::delete(steps, report).await?;
        let in_use = match delete_placement_group::delete(steps, report).await? {
            None => delete_security_group::delete(steps, report).await?,
            in_use => in_use,
        };
        let Some(error) = in_use else {
            return delete_instance_profile::delete(steps, report, made_role).await;
        };
        if !steps.pause(&mut poll).await? {
            return Err(error);
        }
    }
}

/// EC2's codes that a deletion answers.
struct DeletionCodes {
    /// It is still used, which EC2 may say for minutes after the last user went.
    in_use: &'static str,
    /// It is gone, by another call or by one whose reply was lost.
    gone: &'static str,
}

impl DestroyReport {
    /// Notes the result of deleting one resource; the error when it is still used.
    fn deleted(
        &mut self,
        steps: &Steps<'_>,
        (resource_type, id): (&str, &str),
        codes: &DeletionCodes,
        result: Result<()>,
    ) -> Result<Option<Error>> {
        match result {
            Ok(()) => self.removed(steps, resource_type, id),
            // It was listed a moment ago: an earlier sending of this call took effect.
            Err(error) if answered(&error, &[codes.gone]) => {
                self.removed(steps, resource_type, id);
            }
            Err(error) if answered(&error, &[codes.in_use]) => {
                steps.tell(Action::Waiting, resource_type, id, "in use");
                return Ok(Some(error));
            }
            Err(error) => return Err(error),
        }
        Ok(None)
    }
}

impl DestroyReport {
    fn removed(&mut self, steps: &Steps<'_>, resource_type: &str, id: &str) {
        steps.tell(Action::Removed, resource_type, id, "");
        self.removed.push(Leftover {
            resource_type: resource_type.to_owned(),
            id: id.to_owned(),
        });
    }
}

/// Notes that a resource of the cluster exists, and tells of it.
fn note(
    steps: &Steps<'_>,
    exists: &mut Vec<Leftover>,
    action: Action,
    resource_type: &str,
    id: &str,
    detail: &str,
) {
    steps.tell(action, resource_type, id, detail);
    exists.push(Leftover {
        resource_type: resource_type.to_owned(),
        id: id.to_owned(),
    });
}
