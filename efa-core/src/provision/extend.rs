//! Moves the time at which a cluster ends itself: CreateTags on its instances, which read it.

use std::time::Duration;

use super::next::Verb;
use super::nodes;
use super::progress::Action;
use super::steps::{SETTLING, Steps, answered};
use crate::cluster::{Cluster, not_found};
use crate::ec2::{Instance, Tags};
use crate::error::{Code, Error, Result};
use crate::plan::check_ends_before;
use crate::resource;
use crate::spec::check_expiry;
use crate::tags;
use crate::utc;

/// Lets the cluster of this name live for `after`, from now.
pub(crate) async fn extend(steps: &Steps<'_>, name: &str, after: Duration) -> Result<Cluster> {
    check_expiry(after)?;
    match retag(steps, name, after).await {
        Ok(cluster) => Ok(cluster),
        Err(error) => Err(nodes::explained(steps, name, Verb::Extend, error, Vec::new()).await),
    }
}

async fn retag(steps: &Steps<'_>, name: &str, after: Duration) -> Result<Cluster> {
    let found = nodes::find(steps, name).await?;
    let lasting = |i: &&Instance| !i.tags.contains_key(tags::EXPIRES_AT);
    if let Some(instance) = found.live.iter().find(lasting) {
        let id = &instance.instance_id;
        return Err(Error::new(
            Code::PlanConflict,
            format!("instance {id} of cluster '{name}' was launched without expires_after"),
        )
        .with_cure("destroy the cluster when it is done, or launch one with expires_after")
        .with_context("field", "name")
        .with_context("value", name)
        .with_context("instance_id", id));
    }
    let at = utc::text(steps.unix_time_s().saturating_add(after.as_secs()));
    check_block(steps, &found.live, &at).await?;
    let (ids, tags) = (
        &found.ids(),
        &Tags::from([(tags::EXPIRES_AT.to_owned(), at.clone())]),
    );
    let unseen = |error: &Error| answered(error, &["InvalidInstanceID.NotFound"]);
    steps
        .settle(unseen, |aws| aws.create_tags(ids, tags))
        .await?;
    let detail = format!("expires at {at}");
    steps.tell(Action::Changed, resource::INSTANCE, name, detail);
    let mut poll = steps.poll_for(SETTLING.min(steps.wait.timeout));
    loop {
        let shown = Cluster::find(steps.aws, name).await?;
        let moved = |i: &Instance| i.tags.get(tags::EXPIRES_AT) == Some(&at);
        let all = |cluster: &Cluster| cluster.instances.iter().all(moved);
        if shown.as_ref().is_some_and(all) || !steps.pause(&mut poll).await? {
            return shown.ok_or_else(|| not_found(name, steps.aws.region()));
        }
    }
}

/// The Capacity Block that an instance is in must not end before.
async fn check_block(steps: &Steps<'_>, instances: &[Instance], at: &str) -> Result<()> {
    let in_block = |i: &&Instance| i.lifecycle.as_deref() == Some("capacity-block");
    let Some(id) = instances
        .iter()
        .find(in_block)
        .and_then(|i| i.capacity_reservation_id.as_deref())
    else {
        return Ok(());
    };
    // EC2 has no filter on the id of a reservation.
    let blocks = steps.aws.describe_capacity_reservations(&[]).await?;
    let block = blocks.iter().find(|b| b.capacity_reservation_id == id);
    check_ends_before(at, block.and_then(|b| b.end_date.as_deref()))
}
