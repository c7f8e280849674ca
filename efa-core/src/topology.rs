//! Which instances of a cluster are near each other in the network, and the ranks that follow.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cluster::Cluster;
use crate::ec2::{Ec2, Instance, InstanceState, InstanceTopology};
use crate::error::Result;

/// The running instances of a cluster, ranked so that neighbours in rank are near in the network.
///
/// Origin: EC2's DescribeInstanceTopology, which knows running instances of some types only. EC2
/// may leave out the Capacity Block of an instance that has just been launched.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Topology {
    /// The cluster's name.
    pub name: String,
    /// The running instances, by rank.
    pub nodes: Vec<RankedInstance>,
    /// What could not be ranked, and why.
    pub notes: Vec<String>,
}

/// An instance with its place in the network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RankedInstance {
    /// Its rank, from 0.
    pub rank: u32,
    /// `i-…`
    pub instance_id: String,
    /// Its primary private address.
    pub private_ip_address: Option<String>,
    /// The Availability Zone's name.
    pub availability_zone: String,
    /// Network nodes from the top down; empty where EC2 reports none. EC2 hashes their names per
    /// account.
    pub network_nodes: Vec<String>,
    /// The UltraServer's domain, where it is in one.
    pub capacity_block_id: Option<String>,
}

impl Topology {
    /// Ranks the running ones of `instances` by what EC2 has `seen`.
    ///
    /// The instances below any one network node have consecutive ranks, so the longer the path
    /// that two share, the nearer their ranks. Within that order a Capacity Block stays together:
    /// next to each other are its instances below one node, and its nodes below one parent. Ties go
    /// by launch index, then by id; instances without data from EC2 come last. The order of the
    /// arguments does not matter.
    #[must_use]
    pub fn rank(name: &str, instances: &[Instance], seen: &[InstanceTopology]) -> Self {
        let seen: HashMap<&str, &InstanceTopology> = seen
            .iter()
            .map(|place| (place.instance_id.as_str(), place))
            .collect();
        let blocks = blocks_by_path(seen.values().copied());
        let (mut running, waiting): (Vec<&Instance>, Vec<&Instance>) = instances
            .iter()
            .partition(|instance| instance.state == InstanceState::Running);
        running.sort_by_cached_key(|instance| {
            let place = seen.get(instance.instance_id.as_str());
            let nodes = place.map_or(&[][..], |place| &place.network_nodes);
            let path: Vec<_> = (1..=nodes.len())
                .map(|depth| (blocks.get(&nodes[..depth]).copied(), &nodes[depth - 1]))
                .collect();
            (
                nodes.is_empty(),
                path,
                place.and_then(|place| place.capacity_block_id.as_ref()),
                instance.launch_index,
                &instance.instance_id,
            )
        });
        let nodes: Vec<RankedInstance> = (0..)
            .zip(running)
            .map(|(rank, instance)| {
                let place = seen.get(instance.instance_id.as_str());
                RankedInstance {
                    rank,
                    instance_id: instance.instance_id.clone(),
                    private_ip_address: instance.address().map(str::to_owned),
                    availability_zone: instance.availability_zone.clone(),
                    network_nodes: place.map_or_else(Vec::new, |p| p.network_nodes.clone()),
                    capacity_block_id: place.and_then(|p| p.capacity_block_id.clone()),
                }
            })
            .collect();
        Self {
            name: name.to_owned(),
            notes: notes(&nodes, waiting),
            nodes,
        }
    }

    /// Returns one private address per line in rank order, with `slots` as ` slots=8`: Open MPI's
    /// form of a host file. MPICH's form is `10.0.0.1:8`. Instances without an address are left
    /// out.
    #[must_use]
    pub fn hostfile(&self, slots: Option<u32>) -> String {
        let slots = slots.map_or_else(String::new, |slots| format!(" slots={slots}"));
        self.nodes
            .iter()
            .filter_map(|node| node.private_ip_address.as_deref())
            .map(|address| format!("{address}{slots}\n"))
            .collect()
    }

    /// Returns the instances below each bottom network node, in rank order. An instance without
    /// topology data is a group by itself.
    #[must_use]
    pub fn groups(&self) -> Vec<&[RankedInstance]> {
        self.nodes
            .chunk_by(|a, b| !a.network_nodes.is_empty() && a.network_nodes == b.network_nodes)
            .collect()
    }

    /// Returns how many levels of the network lie below the lowest node that the instances of two
    /// ranks share: 0 below one bottom node, the depth of the tree where they share none. `None`
    /// for a rank that does not exist or an instance without topology data.
    #[must_use]
    pub fn distance(&self, a: u32, b: u32) -> Option<usize> {
        let path = |rank: u32| {
            let node = self.nodes.get(usize::try_from(rank).ok()?)?;
            (!node.network_nodes.is_empty()).then_some(&node.network_nodes)
        };
        let (a, b) = (path(a)?, path(b)?);
        Some(a.len().max(b.len()) - shared_levels(a, b))
    }

    /// Returns the text form as HTML, for notebooks.
    #[must_use]
    pub fn to_html(&self) -> String {
        crate::html::preformatted(&self.to_string())
    }
}

/// The first Capacity Block, in order of id, below each path of network nodes that has one.
fn blocks_by_path<'a>(
    places: impl Iterator<Item = &'a InstanceTopology>,
) -> BTreeMap<&'a [String], &'a str> {
    let mut blocks = BTreeMap::new();
    for place in places {
        let Some(block) = place.capacity_block_id.as_deref() else {
            continue;
        };
        for depth in 1..=place.network_nodes.len() {
            let first = blocks.entry(&place.network_nodes[..depth]).or_insert(block);
            *first = block.min(first);
        }
    }
    blocks
}

fn notes(nodes: &[RankedInstance], mut waiting: Vec<&Instance>) -> Vec<String> {
    let unplaced: Vec<&str> = nodes
        .iter()
        .filter(|node| node.network_nodes.is_empty())
        .map(|node| node.instance_id.as_str())
        .collect();
    let mut notes = Vec::new();
    if !unplaced.is_empty() {
        notes.push(format!(
            "EC2 has no topology of {}, ranked last by launch index: it supports some instance \
             types only, and new instances after a while",
            unplaced.join(", ")
        ));
    }
    waiting.sort_by_key(|instance| (instance.launch_index, &instance.instance_id));
    notes.extend(waiting.iter().map(|instance| {
        format!(
            "{} is {}, not ranked: EC2 has the topology of running instances only",
            instance.instance_id, instance.state
        )
    }));
    notes
}

fn shared_levels(a: &[String], b: &[String]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// DescribeInstanceTopology of the cluster's running instances, ranked.
pub(crate) async fn read_topology(ec2: &dyn Ec2, cluster: &Cluster) -> Result<Topology> {
    let running: Vec<String> = cluster
        .instances
        .iter()
        .filter(|instance| instance.state == InstanceState::Running)
        .map(|instance| instance.instance_id.clone())
        .collect();
    let seen = match running.as_slice() {
        // Without ids EC2 would describe every instance of the region.
        [] => Vec::new(),
        running => ec2.describe_instance_topology(running).await?,
    };
    Ok(Topology::rank(&cluster.name, &cluster.instances, &seen))
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let placed = |group: &&&[RankedInstance]| !group[0].network_nodes.is_empty();
        let groups = self.groups();
        writeln!(
            f,
            "topology of '{}': {} instances, {} bottom network nodes",
            self.name,
            self.nodes.len(),
            groups.iter().filter(placed).count()
        )?;
        let mut above: &[String] = &[];
        for group in groups {
            let path = group[0].network_nodes.as_slice();
            if path.is_empty() && (!above.is_empty() || group[0].rank == 0) {
                writeln!(f, "  without topology data")?;
            }
            for (depth, node) in path.iter().enumerate().skip(shared_levels(above, path)) {
                writeln!(f, "  {:indent$}{node}", "", indent = 2 * depth)?;
            }
            for node in group {
                write!(
                    f,
                    "  {:indent$}rank {} {} {} {}",
                    "",
                    node.rank,
                    node.instance_id,
                    node.private_ip_address.as_deref().unwrap_or("-"),
                    node.availability_zone,
                    indent = 2 * path.len().max(1)
                )?;
                match &node.capacity_block_id {
                    Some(block) => writeln!(f, " {block}")?,
                    None => writeln!(f)?,
                }
            }
            above = path;
        }
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
