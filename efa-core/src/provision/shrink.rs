//! Takes nodes out of a cluster for good: CreateTags with the new count, then TerminateInstances.

use super::next::Verb;
use super::nodes::{self, Nodes};
use super::progress::Action;
use super::steps::{Steps, answered};
use crate::cluster::Cluster;
use crate::ec2::{Instance, Tags};
use crate::error::{Code, Error, Leftover, Result};
use crate::resource;
use crate::tags;

/// To what a cluster shrinks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shrink {
    /// To this many nodes: the last ones go, in the order of [`Cluster::instances`].
    To(u32),
    /// By these nodes, by instance id.
    Without(Vec<String>),
}

/// Takes nodes out of the cluster of this name. What stays states how many it is from before the
/// first node ends, so that an interrupted call is finished by the next one.
pub(crate) async fn shrink(steps: &Steps<'_>, name: &str, to: &Shrink) -> Result<Cluster> {
    let mut exists = Vec::new();
    match take_out(steps, name, to, &mut exists).await {
        Ok(cluster) => Ok(cluster),
        Err(error) => Err(nodes::explained(steps, name, Verb::Shrink, error, exists).await),
    }
}

async fn take_out(
    steps: &Steps<'_>,
    name: &str,
    to: &Shrink,
    exists: &mut Vec<Leftover>,
) -> Result<Cluster> {
    let found = nodes::find(steps, name).await?;
    let out = match to {
        Shrink::To(count) => beyond(&found, name, *count)?,
        Shrink::Without(ids) => found.named(name, ids, &|_| false)?,
    };
    let stays = |i: &&Instance| !out.contains(&i.instance_id);
    let left: Vec<&Instance> = found.live.iter().filter(stays).collect();
    let count = left.len().to_string();
    let outdated = |i: &&&Instance| i.tags.get(tags::COUNT) != Some(&count);
    let retag: Vec<String> = left
        .iter()
        .filter(outdated)
        .map(|i| i.instance_id.clone())
        .collect();
    if !retag.is_empty() {
        let tags = Tags::from([(tags::COUNT.to_owned(), count)]);
        let (retag, tags) = (&retag, &tags);
        let unseen = |error: &Error| answered(error, &["InvalidInstanceID.NotFound"]);
        steps
            .settle(unseen, |aws| aws.create_tags(retag, tags))
            .await?;
        let detail = format!("{} of them", left.len());
        steps.tell(Action::Changed, resource::INSTANCE, name, detail);
    }
    let ids: Vec<String> = left.iter().map(|i| i.instance_id.clone()).collect();
    let out = [out, found.ended.clone()].concat();
    nodes::take_out(steps, left[0], &out, &ids, exists).await
}

/// The nodes beyond the first `count`.
fn beyond(found: &Nodes, name: &str, count: u32) -> Result<Vec<String>> {
    let (keep, have) = (count as usize, found.live.len());
    if keep == 0 || keep > have {
        let error = Error::new(
            Code::PlanConflict,
            format!("count is {count}, must be 1 to {have}, the nodes of cluster '{name}'"),
        );
        return Err(error
            .with_cure("destroy the cluster to have none, grow to a larger plan to have more")
            .with_context("field", "count")
            .with_context("value", count)
            .with_context("limit", have));
    }
    Ok(found.ids().split_off(keep))
}
