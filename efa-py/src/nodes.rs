//! What `clusters`, `topology` and `run_command` give: data about the nodes of a cluster.

use std::collections::BTreeMap;

use efa_core as core;
use pyo3::prelude::*;

use crate::argument::given;
use crate::choices;
use crate::cluster::resources;
use crate::convert::seconds;
use crate::rows::{Rows, rows};
use crate::value::value_class;

value_class! {
    /// The resources of one cluster.
    ClusterSummary(core::cluster::Summary) {
        /// Its name.
        name: String = |summary| summary.name.clone();
        /// The types of its instances.
        instance_types: Vec<String> = |summary| summary.instance_types.iter().cloned().collect();
        /// The zones that they are in.
        availability_zones: Vec<String> = |summary| {
            summary.availability_zones.iter().cloned().collect()
        };
        /// How many instances are in each state.
        instances: BTreeMap<String, u32> = |summary| {
            summary.instances.iter().map(|(state, count)| (state.to_string(), *count)).collect()
        };
        /// When the first node ends itself, as `2026-11-30T12:00:00Z`; None where none does.
        expires_at: Option<String> = |summary| summary.expires_at.clone();
        /// Pairs of resource type and id: everything that carries the cluster's tag.
        resources: Vec<(String, String)> = |summary| resources(&summary.resources);
    }
    repr = |summary| format!("<ClusterSummary of '{}'>", summary.name);
    str = ToString::to_string;
    html = core::cluster::Summary::to_html;
}

value_class! {
    /// One instance and its place in the network.
    RankedInstance(core::topology::RankedInstance) {
        /// 0 to N-1, by nearness.
        rank: u32 = |node| node.rank;
        /// `i-…`
        instance_id: String = |node| node.instance_id.clone();
        /// Its primary private address.
        private_ip_address: Option<String> = |node| node.private_ip_address.clone();
        /// The Availability Zone's name.
        availability_zone: String = |node| node.availability_zone.clone();
        /// Network nodes from the top down.
        network_nodes: Vec<String> = |node| node.network_nodes.clone();
        /// The Capacity Block's or UltraServer's domain.
        capacity_block_id: Option<String> = |node| node.capacity_block_id.clone();
    }
    repr = |node| format!("<RankedInstance {} {}>", node.rank, node.instance_id);
}

value_class! {
    /// The places of a cluster's running instances in the network, by rank.
    Topology(core::topology::Topology) {
        /// Name of the cluster.
        name: String = |topology| topology.name.clone();
        /// The instances, rank 0 first.
        nodes: Rows<RankedInstance> = |topology| rows(&topology.nodes);
        /// What could not be ranked, and why.
        notes: Vec<String> = |topology| topology.notes.clone();
        /// The instances below each bottom network node, nearest groups side by side.
        groups: Vec<Vec<RankedInstance>> = |topology| {
            let owned = |group: &[core::topology::RankedInstance]| {
                group.iter().cloned().map(RankedInstance).collect()
            };
            topology.groups().into_iter().map(owned).collect()
        };
    }
    repr = |topology| {
        let nodes = topology.nodes.len();
        format!("<Topology of '{}': {nodes} instances>", topology.name)
    };
    str = ToString::to_string;
    html = core::topology::Topology::to_html;
}

#[pymethods]
impl Topology {
    /// Returns one private address per line in rank order, as mpirun's hostfile; with slots as Open
    /// MPI writes them.
    #[pyo3(signature = (slots: "int | None" = None))]
    fn hostfile(&self, #[pyo3(from_py_with = given)] slots: Option<u32>) -> String {
        self.0.hostfile(slots)
    }

    /// Levels from the bottom up to a network node that the ranks `a` and `b` share, 0 for the same
    /// bottom node; None when it is not known.
    #[pyo3(signature = (a: "int", b: "int"))]
    fn distance(
        &self,
        #[pyo3(from_py_with = given)] a: u32,
        #[pyo3(from_py_with = given)] b: u32,
    ) -> Option<usize> {
        self.0.distance(a, b)
    }
}

value_class! {
    /// The outcome of a script on one node.
    NodeOutput(core::run_command::NodeOutput) {
        /// `i-…`
        instance_id: String = |node| node.instance_id.clone();
        /// Its primary private address.
        private_ip_address: Option<String> = |node| node.private_ip_address.clone();
        /// `success`, `failed`, `timed out`, `cancelled`, `not finished` or `not online`.
        status: choices::CommandStatus = |node| node.status.as_str().into();
        /// SSM's longer word, or what to do.
        detail: String = |node| node.detail.clone();
        /// The exit code, where the script ended.
        exit_code: Option<i32> = |node| node.exit_code;
        /// The first 24,000 characters of its output.
        stdout: String = |node| node.stdout.clone();
        /// The first 8,000 characters of its error output.
        stderr: String = |node| node.stderr.clone();
        /// Whether SSM cut one of them off.
        truncated: bool = |node| node.truncated;
    }
    repr = |node| {
        let status = node.status.as_str();
        format!("<NodeOutput {} {status}>", node.instance_id)
    };
}

value_class! {
    /// The outcome of a script on every node of a cluster.
    CommandReport(core::run_command::Report) {
        /// Name of the cluster.
        name: String = |report| report.name.clone();
        /// SSM's ids of the commands, one per 50 nodes.
        command_ids: Vec<String> = |report| report.command_ids.clone();
        /// The nodes, by launch index.
        nodes: Rows<NodeOutput> = |report| rows(&report.nodes);
        /// Whether it ended with exit code 0 on all.
        succeeded: bool = core::run_command::Report::succeeded;
        /// The nodes where it did not.
        failed: Vec<NodeOutput> = |report| {
            report.failed().into_iter().cloned().map(NodeOutput).collect()
        };
    }
    repr = |report| {
        let failed = report.failed().len();
        format!(
            "<CommandReport of '{}': {failed} of {} nodes failed>",
            report.name,
            report.nodes.len()
        )
    };
    str = ToString::to_string;
    html = core::run_command::Report::to_html;
}

/// The options of `run_command`.
pub(crate) fn command_options(
    deadline_s: f64,
    wait_online_s: f64,
) -> PyResult<core::run_command::Options> {
    let mut options = core::run_command::Options::default();
    options.deadline = seconds("deadline_s", deadline_s)?;
    options.wait_online = seconds("wait_online_s", wait_online_s)?;
    Ok(options)
}
