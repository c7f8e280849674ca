//! A node of a survey, as it introduced itself.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::state::NodeState;

/// One node of a survey, as it introduced itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Node {
    /// A name that no other node of the survey has.
    pub name: String,
    /// Its address, where known.
    pub address: Option<String>,
    /// Rails that it offers for measuring; 0 where they are not distinguished.
    #[serde(default)]
    pub rails: usize,
    /// What an inspection of the node gave, as JSON: an `Inspection`, which is
    /// compared with that of others, or anything else.
    pub inspection: Option<String>,
    /// Its EC2 instance id, where whoever named the node knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Its id in a Ray cluster, which Ray's own commands take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ray_node_id: Option<String>,
    /// Its network nodes from the top level down, as EC2's DescribeInstanceTopology lists them;
    /// empty where unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_nodes: Vec<String>,
    /// What became of it in the survey; `Joined` until there is a report.
    #[serde(default)]
    pub state: NodeState,
}

impl Node {
    /// Creates a node of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

/// The same names, those that come twice with a number.
pub(super) fn distinct(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let number = |name: String| {
        let mut own = name.clone();
        let mut number = 2;
        while !taken.insert(own.clone()) {
            own = format!("{name}#{number}");
            number += 1;
        }
        own
    };
    names.into_iter().map(number).collect()
}

/// Gives each node a name of its own.
pub(super) fn name_apart(nodes: &mut [Node]) {
    let names = distinct(nodes.iter().map(|node| node.name.clone()));
    for (node, name) in nodes.iter_mut().zip(names) {
        node.name = name;
    }
}
