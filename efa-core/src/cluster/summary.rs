//! The clusters of a region, found by our tag alone: half-made ones show too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ec2::{
    Address, Ec2, Filter, Instance, InstanceState, PlacementGroup, SecurityGroup, Tags,
};
use crate::error::{Leftover, Result};
use crate::resource;
use crate::tags;

/// The resources of one cluster in the region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// Its name: the value of the tag `efa-sdk:cluster`.
    pub name: String,
    /// The types of its instances.
    pub instance_types: BTreeSet<String>,
    /// The Availability Zones of its instances.
    pub availability_zones: BTreeSet<String>,
    /// How many of its instances are in each state; terminated ones are not counted.
    pub instances: BTreeMap<InstanceState, u32>,
    /// When its first instance ends itself, in AWS's form; `None` where none does.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// All that carries its tag, instances included: `destroy` removes it.
    pub resources: Vec<Leftover>,
}

/// Everything of the region that carries our tag and is not terminated, by cluster: four calls.
pub(crate) async fn list_clusters(ec2: &dyn Ec2) -> Result<Vec<Summary>> {
    let ours = [Filter::new("tag-key", tags::CLUSTER)];
    Ok(summarise(
        &ec2.describe_instances(&ours).await?,
        &ec2.describe_addresses(&ours).await?,
        &ec2.describe_placement_groups(&ours).await?,
        &ec2.describe_security_groups(&ours).await?,
    ))
}

/// Groups what carries our tag by the tag's value, in order of name.
fn summarise(
    instances: &[Instance],
    addresses: &[Address],
    placement_groups: &[PlacementGroup],
    security_groups: &[SecurityGroup],
) -> Vec<Summary> {
    let mut clusters = Clusters::default();
    for i in instances {
        if i.state == InstanceState::Terminated {
            continue;
        }
        if let Some(cluster) = clusters.add(&i.tags, resource::INSTANCE, &i.instance_id) {
            cluster.instance_types.insert(i.instance_type.clone());
            let zones = &mut cluster.availability_zones;
            zones.insert(i.availability_zone.clone());
            *cluster.instances.entry(i.state.clone()).or_default() += 1;
            let known = cluster.expires_at.iter().map(String::as_str);
            let expiry = i.tags.get(tags::EXPIRES_AT).map(String::as_str);
            cluster.expires_at = known.chain(expiry).min().map(str::to_owned);
        }
    }
    for address in addresses {
        clusters.add(&address.tags, resource::ADDRESS, &address.allocation_id);
    }
    for group in placement_groups {
        clusters.add(&group.tags, resource::PLACEMENT_GROUP, &group.group_name);
    }
    for group in security_groups {
        clusters.add(&group.tags, resource::SECURITY_GROUP, &group.group_id);
    }
    clusters.0.into_values().collect()
}

#[derive(Default)]
struct Clusters(BTreeMap<String, Summary>);

impl Clusters {
    /// Adds a resource to the cluster that its tags name; `None` where they name none.
    fn add(&mut self, tags: &Tags, resource_type: &str, id: &str) -> Option<&mut Summary> {
        let name = tags.get(tags::CLUSTER)?;
        let cluster = self.0.entry(name.clone()).or_default();
        cluster.name.clone_from(name);
        cluster.resources.push(Leftover {
            resource_type: resource_type.to_owned(),
            id: id.to_owned(),
        });
        Some(cluster)
    }
}

impl Summary {
    /// Returns the text form as HTML, for notebooks.
    #[must_use]
    pub fn to_html(&self) -> String {
        crate::html::preformatted(&self.to_string())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster '{}': ", self.name)?;
        if self.instances.is_empty() {
            write!(f, "no instances")?;
        } else {
            let states = self.instances.iter();
            let states: Vec<String> = states.map(|(state, n)| format!("{n} {state}")).collect();
            let join = |set: &BTreeSet<String>| Vec::from_iter(set.clone()).join(", ");
            let types = join(&self.instance_types);
            let zones = join(&self.availability_zones);
            write!(f, "{} ({types} in {zones})", states.join(", "))?;
        }
        if let Some(at) = &self.expires_at {
            write!(f, ", expires at {at}")?;
        }
        for resource in &self.resources {
            if resource.resource_type != resource::INSTANCE {
                write!(f, ", {} {}", resource.resource_type, resource.id)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::types::PlacementStrategy;

    fn tagged(cluster: &str) -> Tags {
        Tags::from([(tags::CLUSTER.to_owned(), cluster.to_owned())])
    }

    fn instance(cluster: &str, n: u32, state: InstanceState) -> Instance {
        Instance {
            state,
            tags: tagged(cluster),
            ..fixtures::instance(&format!("i-{n}"), n)
        }
    }

    fn security_group(id: &str, tags: Tags) -> SecurityGroup {
        SecurityGroup {
            group_id: id.to_owned(),
            group_name: id.to_owned(),
            vpc_id: "vpc-1".to_owned(),
            ingress: Vec::new(),
            egress: Vec::new(),
            tags,
        }
    }

    fn region() -> Vec<Summary> {
        let mut other_zone = instance("train", 2, InstanceState::Pending);
        other_zone.availability_zone = "us-east-1b".to_owned();
        other_zone.instance_type = "p4d.24xlarge".to_owned();
        summarise(
            &[
                instance("train", 0, InstanceState::Running),
                instance("train", 1, InstanceState::Running),
                other_zone,
                instance("train", 3, InstanceState::Terminated),
                instance("gone", 4, InstanceState::Terminated),
            ],
            &[Address {
                allocation_id: "eipalloc-1".to_owned(),
                association_id: None,
                public_ip: "192.0.2.1".to_owned(),
                instance_id: None,
                network_interface_id: None,
                tags: tagged("half"),
            }],
            &[PlacementGroup {
                group_id: "pg-1".to_owned(),
                group_arn: None,
                group_name: "efa-sdk-train".to_owned(),
                strategy: PlacementStrategy::Cluster,
                state: "available".to_owned(),
                tags: tagged("train"),
            }],
            &[
                security_group("sg-1", tagged("train")),
                security_group("sg-2", tagged("half")),
                security_group("sg-3", Tags::new()),
            ],
        )
    }

    #[test]
    fn clusters_are_grouped_by_tag_and_half_made_ones_show() {
        let clusters = region();
        let text: Vec<String> = clusters.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "cluster 'half': no instances, elastic-ip eipalloc-1, security-group sg-2",
                "cluster 'train': 1 pending, 2 running (p4d.24xlarge, p5.48xlarge in us-east-1a, \
                 us-east-1b), placement-group efa-sdk-train, security-group sg-1",
            ]
        );
        let instances = clusters[1].resources.iter();
        let instances = instances.filter(|r| r.resource_type == resource::INSTANCE);
        assert_eq!(instances.count(), 3);
    }

    #[test]
    fn summaries_survive_json() {
        let clusters = region();
        let json = serde_json::to_string(&clusters).unwrap();
        assert!(json.contains(r#""running":2"#), "{json}");
        let read: Vec<Summary> = serde_json::from_str(&json).unwrap();
        assert_eq!(read, clusters);
    }
}
