//! The nodes of a cluster that a verb takes out: which there are, and what stays.

use super::associate_address::{self, Owner};
use super::next::{Verb, next_command};
use super::steps::{SETTLING, Steps};
use super::{leftovers, terminate_instances};
use crate::cluster::{Cluster, not_found, not_found_near};
use crate::ec2::{Instance, InstanceState};
use crate::error::{Code, Error, Leftover, Result};
use crate::layout::PublicIp;
use crate::tags;
use crate::types::ClusterName;

/// The instances of a cluster, as they are before nodes are taken out.
pub(super) struct Nodes {
    /// Those that are not about to end, by launch index.
    pub(super) live: Vec<Instance>,
    /// The ids of those that have ended or are about to, as long as EC2 shows them.
    pub(super) ended: Vec<String>,
}

/// The instances of the cluster of this name.
pub(super) async fn find(steps: &Steps<'_>, name: &str) -> Result<Nodes> {
    ClusterName::new(name)?;
    let filter = [tags::cluster_filter(name)];
    let shown = steps.aws.describe_instances(&filter).await?;
    let gone = |i: &Instance| {
        matches!(
            i.state,
            InstanceState::ShuttingDown | InstanceState::Terminated
        )
    };
    let (ended, mut live): (Vec<Instance>, Vec<Instance>) = shown.into_iter().partition(gone);
    if live.is_empty() {
        return Err(not_found_near(steps.aws, name).await);
    }
    live.sort_by(|a, b| (a.launch_index, &a.instance_id).cmp(&(b.launch_index, &b.instance_id)));
    Ok(Nodes {
        live,
        ended: ended.into_iter().map(|i| i.instance_id).collect(),
    })
}

impl Nodes {
    /// Which of the live ones are named: every name must be of the cluster, and not all of it.
    /// Names that `replaced` states to be replaced already may be of nodes that are gone.
    pub(super) fn named(
        &self,
        name: &str,
        names: &[String],
        replaced: &dyn Fn(&Instance) -> bool,
    ) -> Result<Vec<String>> {
        let (new, old): (Vec<&Instance>, Vec<&Instance>) =
            self.live.iter().partition(|i| replaced(i));
        let live = |node: &String| old.iter().any(|i| is_called(i, node));
        let known = |node: &String| !new.is_empty() || live(node) || self.ended.contains(node);
        let unknown = names.iter().find(|node| !known(node));
        if names.is_empty() || unknown.is_some() {
            let shown = unknown.map_or("none", String::as_str);
            return Err(Error::new(
                Code::PlanResourceNotFound,
                format!("node '{shown}' is not an instance of cluster '{name}'"),
            )
            .with_cure("name instance ids of the cluster, as describe shows them")
            .with_context("field", "nodes")
            .with_context("value", shown));
        }
        let called = |i: &&&Instance| names.iter().any(|node| is_called(i, node));
        let named: Vec<String> = old
            .iter()
            .filter(called)
            .map(|i| i.instance_id.clone())
            .collect();
        if named.len() == self.live.len() {
            return Err(Error::new(
                Code::PlanConflict,
                format!("all {} nodes of cluster '{name}' are named", named.len()),
            )
            .with_cure("destroy the cluster, and apply its plan again")
            .with_context("field", "nodes")
            .with_context("value", named.len()));
        }
        Ok(named)
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.live.iter().map(|i| i.instance_id.clone()).collect()
    }
}

/// Whether a node is this instance: by its id, its private or IPv6 address, or a host name that EC2 gives
/// (`ip-10-0-0-5.ec2.internal`, `i-0123456789abcdef0.ec2.internal`).
fn is_called(instance: &Instance, node: &str) -> bool {
    let host = node.split('.').next().unwrap_or_default();
    let address = instance.address();
    let by_address = |ip: &str| node == ip || host == format!("ip-{}", ip.replace('.', "-"));
    host == instance.instance_id || address.is_some_and(by_address)
}

/// Terminates `ids`; then the cluster is these `left`, each with its Elastic IP where the cluster
/// has them.
pub(super) async fn take_out(
    steps: &Steps<'_>,
    model: &Instance,
    ids: &[String],
    left: &[String],
    exists: &mut Vec<Leftover>,
) -> Result<Cluster> {
    let name = model.tags.get(tags::CLUSTER).map_or("", String::as_str);
    if !ids.is_empty() {
        terminate_instances::take_back(steps, name, ids).await?;
    }
    let public_ip = model.tags.get(tags::PUBLIC_IP).map(String::as_str);
    if public_ip == Some(PublicIp::ElasticIp.as_str()) {
        let mut tags = model.tags.clone();
        tags.retain(|key, _| key == tags::CLUSTER || !key.starts_with(tags::PREFIX));
        tags.retain(|key, _| !key.starts_with("aws:"));
        let owner = Owner { name, tags: &tags };
        associate_address::ensure(steps, &owner, left, exists).await?;
    }
    let mut poll = steps.poll_for(SETTLING.min(steps.wait.timeout));
    loop {
        let found = Cluster::find(steps.aws, name).await?;
        let whole = |cluster: &Cluster| cluster.instances.len() == left.len();
        if found.as_ref().is_some_and(whole) || !steps.pause(&mut poll).await? {
            return found.ok_or_else(|| not_found(name, steps.aws.region()));
        }
    }
}

/// The error of a verb that takes nodes out, with what exists looked up.
pub(super) async fn explained(
    steps: &Steps<'_>,
    name: &str,
    verb: Verb,
    error: Error,
    exists: Vec<Leftover>,
) -> Error {
    let next = next_command(&error, name, verb);
    let known = leftovers::look_after(steps, name, false, &error, exists).await;
    steps.explain(error, known.resources, &known.unread, next)
}
