//! A cluster as it is in EC2, found by its tags, and what those tags record of its plan.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ec2::{Ec2, Filter, Instance, InstanceState, PlacementGroup, SecurityGroup};
use crate::error::{Code, Error, Result};
use crate::layout::{self, NetworkInterface, PublicIp};
use crate::plan::Plan;
use crate::spec::Capacity;
use crate::tags;
use crate::text::nearest;

mod summary;

pub use summary::Summary;

pub(crate) use summary::list_clusters;

/// A cluster as it stands in EC2.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// The region that it was found in.
    pub region: String,
    /// Its instances that are not terminated, by launch index.
    pub instances: Vec<Instance>,
    /// The security group that its tags name.
    pub security_group: Option<SecurityGroup>,
    /// The placement group that its tags name.
    pub placement_group: Option<PlacementGroup>,
}

/// The intended state of a cluster: from a plan, or from the tags that `apply` wrote.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Expected {
    /// Name of the cluster.
    pub name: String,
    /// The plan's fingerprint.
    pub fingerprint: String,
    /// How many instances.
    pub count: u32,
    /// The instance type's name.
    pub instance_type: String,
    /// The subnets that the instances may be in, all in the same one.
    pub subnet_ids: Vec<String>,
    /// `ami-…`, or `launcher` where whoever launches chooses it.
    pub image_id: String,
    /// `sg-…` of every interface; `None` in a plan whose group is yet to be made.
    pub security_group_id: Option<String>,
    /// Name of the placement group, if any.
    pub placement_group_name: Option<String>,
    /// How instances get a public address.
    pub public_ip: PublicIp,
    /// The market, or the id of the reservation.
    pub capacity: Capacity,
    /// Name of the IAM instance profile, if any, or `launcher`.
    pub instance_profile_name: Option<String>,
    /// The ranges that may reach port 22.
    pub ssh_cidrs: Vec<String>,
    /// The interfaces of each instance.
    pub interfaces: Vec<NetworkInterface>,
}

impl Cluster {
    /// Finds the cluster of this name; `None` when no live instance carries its tag.
    pub(crate) async fn find(ec2: &dyn Ec2, name: &str) -> Result<Option<Self>> {
        let instances = live_instances(ec2, name).await?;
        let Some(first) = instances.first() else {
            return Ok(None);
        };
        let security_group = match first.tags.get(tags::SECURITY_GROUP) {
            Some(id) => ec2
                .describe_security_groups(&[Filter::new("group-id", id)])
                .await?
                .into_iter()
                .next(),
            None => None,
        };
        let placement_group = match first.tags.get(tags::PLACEMENT_GROUP) {
            Some(group) => crate::plan::find_placement_group(ec2, group).await?,
            None => None,
        };
        Ok(Some(Self {
            name: name.to_owned(),
            region: ec2.region().to_owned(),
            instances,
            security_group,
            placement_group,
        }))
    }

    /// Returns when its first instance ends itself, in AWS's form; `None` where none does.
    #[must_use]
    pub fn expires_at(&self) -> Option<&str> {
        let instances = self.instances.iter();
        let expiries = instances.filter_map(|i| i.tags.get(tags::EXPIRES_AT));
        expiries.map(String::as_str).min()
    }

    /// Returns the addresses that the instances reach each other by, by launch index.
    #[must_use]
    pub fn private_ip_addresses(&self) -> Vec<&str> {
        self.instances
            .iter()
            .filter_map(Instance::address)
            .collect()
    }
}

/// The instances that carry the cluster's tag and are not terminated, by launch index.
pub(crate) async fn live_instances(ec2: &dyn Ec2, name: &str) -> Result<Vec<Instance>> {
    let mut instances = ec2
        .describe_instances(&[tags::cluster_filter(name)])
        .await?;
    instances.retain(|instance| instance.state != InstanceState::Terminated);
    instances
        .sort_by(|a, b| (a.launch_index, &a.instance_id).cmp(&(b.launch_index, &b.instance_id)));
    Ok(instances)
}

/// The Name tag states nothing about the plan, and people change it; a cluster that has grown has
/// the plan and count of each launch, and one that was extended in between its expiry.
const MAY_DIFFER: &[&str] = &[
    tags::NAME,
    tags::PLAN,
    tags::COUNT,
    tags::REPLACES,
    tags::EXPIRES_AT,
];

impl Expected {
    /// Returns what the cluster should be according to the tags of its instances.
    ///
    /// # Errors
    /// `verify.tags_unreadable` when a tag is missing, malformed, or differs between instances.
    pub fn from_cluster(cluster: &Cluster) -> Result<Self> {
        let Some(first) = cluster.instances.first() else {
            return Err(not_found(&cluster.name, &cluster.region));
        };
        for other in &cluster.instances {
            for key in tags::OURS.iter().filter(|key| !MAY_DIFFER.contains(key)) {
                if other.tags.get(*key) != first.tags.get(*key) {
                    return Err(unreadable(key, "differs between instances")
                        .with_context("instance_id", &other.instance_id));
                }
            }
        }
        let tag = |key: &'static str| {
            first
                .tags
                .get(key)
                .cloned()
                .ok_or_else(|| unreadable(key, "is missing"))
        };
        let mut latest = (0, String::new());
        for instance in &cluster.instances {
            let tag = |key| {
                instance
                    .tags
                    .get(key)
                    .ok_or_else(|| unreadable(key, "is missing"))
            };
            let count: u32 = tag(tags::COUNT)?
                .parse()
                .map_err(|_| unreadable(tags::COUNT, "is not a number"))?;
            latest = latest.max((count, tag(tags::PLAN)?.clone()));
        }
        let (count, fingerprint) = latest;
        Ok(Self {
            name: cluster.name.clone(),
            fingerprint,
            count,
            instance_type: tag(tags::INSTANCE_TYPE)?,
            subnet_ids: vec![tag(tags::SUBNET)?],
            image_id: tag(tags::IMAGE)?,
            security_group_id: Some(tag(tags::SECURITY_GROUP)?),
            placement_group_name: first.tags.get(tags::PLACEMENT_GROUP).map(|tag| {
                // The tag has the id of a group that another account shares.
                let found = cluster.placement_group.as_ref();
                let by_id = found.filter(|group| group.group_id == *tag);
                by_id.map_or(tag, |group| &group.group_name).clone()
            }),
            public_ip: tag(tags::PUBLIC_IP)?
                .parse()
                .map_err(|_| unreadable(tags::PUBLIC_IP, "is not a known choice"))?,
            capacity: tag(tags::CAPACITY)?
                .parse()
                .map_err(|_| unreadable(tags::CAPACITY, "is not a known choice"))?,
            instance_profile_name: first.tags.get(tags::INSTANCE_PROFILE).cloned(),
            ssh_cidrs: first
                .tags
                .get(tags::SSH_CIDRS)
                .map(|cidrs| cidrs.split(' ').map(str::to_owned).collect())
                .unwrap_or_default(),
            interfaces: layout::parse_notation(&tag(tags::LAYOUT)?)
                .map_err(|error| unreadable(tags::LAYOUT, error.message()))?,
        })
    }
}

impl From<&Plan> for Expected {
    fn from(plan: &Plan) -> Self {
        Self {
            name: plan.spec().name.clone(),
            fingerprint: plan.fingerprint().to_owned(),
            count: plan.spec().count,
            instance_type: plan.spec().instance_type.clone(),
            subnet_ids: plan.subnets().iter().map(|s| s.subnet_id.clone()).collect(),
            image_id: plan.image().image_id.clone(),
            security_group_id: plan.security_group().group_id.clone(),
            placement_group_name: plan.placement_group().map(|group| group.group_name.clone()),
            public_ip: plan.layout().public_ip,
            capacity: plan.spec().capacity.clone(),
            instance_profile_name: plan.instance_profile().map(|p| p.name.clone()),
            ssh_cidrs: plan.spec().ssh_cidrs.clone(),
            interfaces: plan.layout().interfaces.clone(),
        }
    }
}

/// As [`not_found`], with the names that the region's clusters have and that are near.
pub(crate) async fn not_found_near(ec2: &dyn Ec2, name: &str) -> Error {
    let error = not_found(name, ec2.region());
    // Without the listing the error is the same, and shows less.
    let clusters = list_clusters(ec2).await.unwrap_or_default();
    let names = clusters.iter().map(|cluster| cluster.name.as_str());
    match nearest(name, names.filter(|other| *other != name)).as_slice() {
        [] => error,
        near => error.with_cure(format!("did you mean {}?", near.join(", "))),
    }
}

/// Refuses the name of a cluster that nothing is tagged with, where one of the region has the same
/// letters in another case.
pub(crate) async fn refuse_other_case(ec2: &dyn Ec2, name: &str) -> Result<()> {
    let clusters = list_clusters(ec2).await.unwrap_or_default();
    let same = |other: &str| other != name && other.eq_ignore_ascii_case(name);
    if clusters.iter().any(|cluster| cluster.name == name) {
        return Ok(());
    }
    let Some(other) = clusters.iter().find(|cluster| same(&cluster.name)) else {
        return Ok(());
    };
    let region = ec2.region();
    Err(Error::new(
        Code::VerifyClusterNotFound,
        format!("nothing in {region} is tagged efa-sdk:cluster={name}, and nothing was removed"),
    )
    .with_cure(format!("did you mean {}?", other.name))
    .with_context("name", name)
    .with_context("region", region))
}

/// No live instance carries the cluster's tag.
pub(crate) fn not_found(name: &str, region: &str) -> Error {
    Error::new(
        Code::VerifyClusterNotFound,
        format!("no running instance in {region} is tagged efa-sdk:cluster={name}"),
    )
    .with_cure("check the name, the region and the account, or apply the plan first")
    .with_context("name", name)
    .with_context("region", region)
}

fn unreadable(key: &'static str, why: &str) -> Error {
    Error::new(
        Code::VerifyTagsUnreadable,
        format!("tag {key} {why}, so the cluster's plan is unknown"),
    )
    .with_cure("verify against the plan itself")
    .with_context("tag", key)
}

impl Cluster {
    /// Returns the text form as HTML, for notebooks.
    #[must_use]
    pub fn to_html(&self) -> String {
        crate::html::preformatted(&self.to_string())
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "cluster '{}' in {}: {} instances{}",
            self.name,
            self.region,
            self.instances.len(),
            self.expires_at()
                .map_or_else(String::new, |at| format!(", expires at {at}"))
        )?;
        for instance in &self.instances {
            let efa = instance
                .interfaces
                .iter()
                .filter(|i| i.interface_type.is_efa())
                .count();
            writeln!(
                f,
                "  {} {} {} {} {} {} interfaces, {efa} EFA",
                instance.instance_id,
                instance.instance_type,
                instance.availability_zone,
                instance.state,
                instance.address().unwrap_or("-"),
                instance.interfaces.len(),
            )?;
        }
        Ok(())
    }
}
