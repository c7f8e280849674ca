//! Reports for the tests of what draws them.

use super::driver::Survey;
use super::node::Node;
use super::report::Report;
use crate::survey::Options;
use crate::survey::simulate::{Cluster, Fault};

fn nodes(count: usize) -> Vec<Node> {
    let name = |number: usize| Node::new(format!("node-{number}"));
    (0..count).map(name).collect()
}

/// A survey that did not begin.
pub(super) fn unmeasured(count: usize) -> Report {
    let survey = Survey::new(nodes(count), "tcp", Options::default()).unwrap();
    survey.report(0.0)
}

/// Node 5 has half of the others' rate, and nodes 1 and 2 do not reach each other.
pub(super) fn bad_cluster(count: usize) -> Report {
    let mut cluster = Cluster::healthy(count)
        .with(Fault::SlowNode { node: 5, loss: 0.5 })
        .with(Fault::DeadLink { pair: (1, 2) });
    cluster.rails = 1;
    let run = cluster.survey(Options::default(), 1).unwrap();
    Report::from_measurements(nodes(count), "model", run.observations, run.conclusion)
}
