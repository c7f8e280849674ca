//! Makes what a plan says, and removes what we made: one file per EC2 verb.
//!
//! There is no state file. Everything carries the cluster's tag from the call that makes it,
//! and every step looks before it makes, so that `apply` after an interrupted `apply` finishes
//! it, and `destroy` at any moment finds all of it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::ec2::Ec2;
use crate::error::{Code, Error, Leftover, Result};
use crate::plan::Plan;
use crate::progress::{Action, Event};

mod associate_address;
mod await_instances;
mod create_placement_group;
mod create_security_group;
mod delete_network_interface;
mod delete_placement_group;
mod delete_security_group;
mod release_address;
mod run_instances;
mod terminate_instances;

/// EC2's resource types, as its tags and this crate's events spell them.
pub(crate) mod resource {
    pub(crate) const ADDRESS: &str = "elastic-ip";
    pub(crate) const INSTANCE: &str = "instance";
    pub(crate) const NETWORK_INTERFACE: &str = "network-interface";
    pub(crate) const PLACEMENT_GROUP: &str = "placement-group";
    pub(crate) const SECURITY_GROUP: &str = "security-group";
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

/// What every step needs: EC2, patience, and someone to tell.
pub(crate) struct Steps<'a> {
    pub(crate) ec2: &'a dyn Ec2,
    pub(crate) wait: Wait,
    pub(crate) progress: &'a (dyn Fn(&Event) + Send + Sync),
    /// Whether a call of `destroy` that changes something was sent.
    pub(crate) touched: AtomicBool,
}

impl Steps<'_> {
    /// The way to EC2 for calls that remove something.
    fn removing(&self) -> &dyn Ec2 {
        self.touched.store(true, Ordering::Relaxed);
        self.ec2
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
        Poll {
            deadline: Instant::now().checked_add(self.wait.timeout),
            next: self.wait.first_poll,
        }
    }
}

/// Paces the looks of one wait.
struct Poll {
    /// `None` where the clock does not reach so far.
    deadline: Option<Instant>,
    next: Duration,
}

impl Poll {
    /// Sleeps until the next look; false when the time is up.
    async fn pause(&mut self) -> bool {
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() + self.next > deadline)
        {
            return false;
        }
        tokio::time::sleep(self.next).await;
        self.next = (self.next + self.next / 2).min(LONGEST_POLL);
        true
    }
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

/// Makes what is missing of `plan` and waits until all instances run.
pub(crate) async fn apply(steps: &Steps<'_>, plan: &Plan) -> Result<Cluster> {
    if plan.region != steps.ec2.region() {
        return Err(Error::new(
            Code::PlanConflict,
            format!(
                "the plan is for {}, the client calls {}",
                plan.region,
                steps.ec2.region()
            ),
        )
        .with_cure("use a client of the plan's region, or plan again")
        .with_context("field", "region")
        .with_context("value", steps.ec2.region())
        .with_context("limit", &plan.region));
    }
    terminate_instances::await_unfinished(steps, &plan.spec.name).await?;
    let mut exists = Vec::new();
    let result = match run_instances::find_running(steps, plan, &mut exists).await {
        Ok(running) => make(steps, plan, running, &mut exists)
            .await
            .map_err(Error::changed_aws),
        Err(error) => Err(error),
    };
    result.map_err(|error| error.with_leftovers(exists))
}

/// The changing steps of [`apply`] in order; `running` are the instances that run already, and
/// `exists` lists what is there when a step fails.
async fn make(
    steps: &Steps<'_>,
    plan: &Plan,
    running: Option<Vec<String>>,
    exists: &mut Vec<Leftover>,
) -> Result<Cluster> {
    let group_id = create_security_group::ensure(steps, plan, exists).await?;
    create_placement_group::ensure(steps, plan, exists).await?;
    let instance_ids = match running {
        Some(ids) => ids,
        None => run_instances::launch(steps, plan, &group_id, exists).await?,
    };
    await_instances::await_running(steps, &plan.spec.name, &instance_ids).await?;
    if plan.wants_elastic_ips() {
        associate_address::ensure(steps, plan, exists).await?;
    }
    let cluster = Cluster::find(steps.ec2, &plan.spec.name).await?;
    cluster.ok_or_else(|| crate::cluster::not_found(&plan.spec.name, steps.ec2.region()))
}

/// What `destroy` removed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DestroyReport {
    /// Name of the cluster.
    pub name: String,
    /// What was removed, in order; empty when nothing carried the cluster's tag.
    pub removed: Vec<Leftover>,
}

impl std::fmt::Display for DestroyReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
    };
    match remove(steps, &mut report).await {
        Ok(()) => Ok(report),
        Err(error) => {
            let touched = steps.touched.load(Ordering::Relaxed);
            let error = if touched { error.changed_aws() } else { error };
            Err(error.with_leftovers(remaining(steps, name).await.unwrap_or_default()))
        }
    }
}

/// What still carries the cluster's tag.
async fn remaining(steps: &Steps<'_>, name: &str) -> Result<Vec<Leftover>> {
    let filter = [crate::tags::cluster_filter(name)];
    let instances = crate::cluster::live_instances(steps.ec2, name).await?;
    let addresses = steps.ec2.describe_addresses(&filter).await?;
    let placement_groups = steps.ec2.describe_placement_groups(&filter).await?;
    let security_groups = steps.ec2.describe_security_groups(&filter).await?;
    let leftover = |resource_type: &str, id: String| Leftover {
        resource_type: resource_type.to_owned(),
        id,
    };
    let instances = instances
        .into_iter()
        .map(|i| leftover(resource::INSTANCE, i.instance_id));
    let addresses = addresses
        .into_iter()
        .map(|a| leftover(resource::ADDRESS, a.allocation_id));
    let placement = placement_groups
        .into_iter()
        .map(|g| leftover(resource::PLACEMENT_GROUP, g.group_name));
    let security = security_groups
        .into_iter()
        .map(|g| leftover(resource::SECURITY_GROUP, g.group_id));
    Ok(instances
        .chain(addresses)
        .chain(placement)
        .chain(security)
        .collect())
}

/// The steps of [`destroy`]: what something else is used by goes first, EC2 refuses any other
/// order.
async fn remove(steps: &Steps<'_>, report: &mut DestroyReport) -> Result<()> {
    terminate_instances::terminate(steps, report).await?;
    release_address::release(steps, report).await?;
    delete_network_interface::delete(steps, report).await?;
    delete_placement_group::delete(steps, report).await?;
    delete_security_group::delete(steps, report).await
}

/// A call that deletes one resource.
type Deletion<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// EC2's codes that a deletion answers.
struct DeletionCodes {
    /// It is still used, which EC2 may say for minutes after the last user went.
    in_use: &'static str,
    /// It is gone, by another call or by one whose reply was lost.
    gone: &'static str,
}

/// Deletes a resource as soon as EC2 agrees that nothing uses it.
async fn delete_when_free<'a>(
    steps: &Steps<'_>,
    report: &mut DestroyReport,
    (resource_type, id): (&str, &str),
    codes: &DeletionCodes,
    delete: impl Fn() -> Deletion<'a> + Send,
) -> Result<()> {
    let mut poll = steps.poll();
    loop {
        match delete().await {
            Ok(()) => {
                report.removed(steps, resource_type, id);
                return Ok(());
            }
            Err(error) if error.ec2_code() == Some(codes.gone) => return Ok(()),
            Err(error) if error.ec2_code() == Some(codes.in_use) => {
                steps.tell(Action::Waiting, resource_type, id, "in use");
                if !poll.pause().await {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
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
