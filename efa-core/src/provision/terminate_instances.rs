//! TerminateInstances, and DescribeInstanceStatus until they are gone.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::destroy_report::Removal;
use super::states::{States, count};
use super::steps::{Poll, Steps, answered, timeout};
use crate::cluster::live_instances;
use crate::ec2::{Instance, InstanceState};
use crate::error::Result;
use crate::plan::instance_role;
use crate::resource;
use crate::tags;

/// After which time a termination that EC2 took and that has not begun is asked for again.
const STUCK: Duration = Duration::from_secs(5);

/// Terminates the cluster's instances and waits until EC2 calls them terminated: until then
/// their groups and interfaces cannot be removed.
///
/// Whether one of them had a role that we made.
pub(super) async fn terminate(steps: &Steps<'_>, removal: &mut Removal) -> Result<bool> {
    let name = removal.report.name.clone();
    let ended = end(steps, &name, &|_| true).await?;
    for instance in &ended {
        removal.removed(steps, resource::INSTANCE, &instance.instance_id);
    }
    let profile = instance_role::name(&name, steps.aws.region());
    let ours = |i: &Instance| i.tags.get(tags::INSTANCE_PROFILE) == Some(&profile);
    Ok(ended.iter().any(ours))
}

/// Terminates these instances of the cluster and waits until they are.
pub(super) async fn take_back(steps: &Steps<'_>, name: &str, ids: &[String]) -> Result<()> {
    let ours = |id: &str| ids.iter().any(|one| one == id);
    end(steps, name, &ours).await.map(drop)
}

/// Terminates the instances that `which` chooses by id, and waits until EC2 shows none of them
/// alive; those that it showed. What does not move is asked for again: an answer that EC2 does not
/// know an instance may mean that it does not see it everywhere yet.
async fn end(
    steps: &Steps<'_>,
    name: &str,
    which: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Vec<Instance>> {
    let mut watch = Watch::new(steps, name);
    let mut shown: Vec<Instance> = Vec::new();
    let mut shown_ids: HashSet<String> = HashSet::new();
    let mut asked: BTreeMap<String, Duration> = BTreeMap::new();
    loop {
        let mut live = live_instances(steps.aws, name).await?;
        live.retain(|instance| which(&instance.instance_id));
        if live.is_empty() {
            watch.end();
            return Ok(shown);
        }
        for instance in &live {
            if shown_ids.insert(instance.instance_id.clone()) {
                shown.push(instance.clone());
            }
        }
        let now = steps.now();
        let due = |i: &&Instance| {
            let asked = asked.get(&i.instance_id);
            i.state != InstanceState::ShuttingDown && asked.is_none_or(|at| *at + STUCK <= now)
        };
        let ids = ids_of(live.iter().filter(due));
        if !ids.is_empty() {
            match steps.changing()?.terminate_instances(&ids).await {
                // Listed, and not seen everywhere yet, or gone by now: the next poll shows it.
                Err(error) if answered(&error, &["InvalidInstanceID.NotFound"]) => {}
                result => {
                    result?;
                    asked.extend(ids.into_iter().map(|id| (id, now)));
                }
            }
        }
        watch.leave(&ids_of(live.iter())).await?;
    }
}

/// Waits for instances of the cluster that are shutting down already.
pub(super) async fn await_unfinished(steps: &Steps<'_>, name: &str) -> Result<()> {
    let mut watch = Watch::new(steps, name);
    loop {
        let instances = live_instances(steps.aws, name).await?;
        let ending = |i: &&Instance| i.state == InstanceState::ShuttingDown;
        let ids = ids_of(instances.iter().filter(ending));
        if ids.is_empty() {
            watch.end();
            return Ok(());
        }
        watch.leave(&ids).await?;
    }
}

fn ids_of<'i>(instances: impl Iterator<Item = &'i Instance>) -> Vec<String> {
    instances.map(|i| i.instance_id.clone()).collect()
}

/// One wait for instances that leave. While they do, their states are read and nothing else.
struct Watch<'s> {
    steps: &'s Steps<'s>,
    name: &'s str,
    poll: Poll,
    states: States,
    /// Whether all were reported gone before, and a full poll showed one.
    was_over: bool,
    /// How many were waited for at the last report.
    reported: usize,
}

impl<'s> Watch<'s> {
    fn new(steps: &'s Steps<'_>, name: &'s str) -> Self {
        Self {
            steps,
            name,
            poll: steps.poll(),
            states: States::Cheap,
            was_over: false,
            reported: 0,
        }
    }

    /// Waits while every one of these shuts down; then a full poll is due: they are gone, one does
    /// not leave, or EC2 does not show one.
    async fn leave(&mut self, ids: &[String]) -> Result<()> {
        loop {
            let shown = self.states.read(self.steps, ids).await?.unwrap_or_default();
            let leaving = count(&shown, &InstanceState::ShuttingDown);
            let gone = count(&shown, &InstanceState::Terminated);
            if gone == ids.len() && !self.was_over {
                self.was_over = true;
                return Ok(());
            }
            self.pause(gone.min(ids.len()), ids.len()).await?;
            if leaving == 0 || leaving + gone < ids.len() {
                return Ok(());
            }
        }
    }

    /// Reports that nothing is left to wait for, where a wait was reported.
    fn end(&self) {
        if self.reported > 0 {
            let detail = "all terminated".to_owned();
            self.steps
                .tell_waiting(self.name, detail, self.reported, self.reported);
        }
    }

    /// Sleeps until the next poll; the error of a wait that is over.
    async fn pause(&mut self, gone: usize, all: usize) -> Result<()> {
        let (steps, name, left) = (self.steps, self.name, all - gone);
        steps.tell_waiting(name, format!("{left} not yet terminated"), gone, all);
        self.reported = all;
        if steps.pause(&mut self.poll).await? {
            return Ok(());
        }
        let what = format!("{left} instances of '{name}' were not terminated");
        Err(timeout(&what, steps.wait.timeout))
    }
}
