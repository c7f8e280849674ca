//! Reports for the tests of what draws them.

use std::collections::BTreeMap;

use super::driver::Survey;
use super::flows::{FlowSights, FlowTask};
use super::node::Node;
use super::pair::Sight;
use super::report::Report;
use crate::survey::collective::{Flow, Pattern};
use crate::survey::simulate::{Cluster, Fabric, Fault};
use crate::survey::{
    Confidence, Evidence, Failure, FailurePhase, Measured, Options, PairObservation, Round,
    Severity, Stage, Subject, Verdict, VerdictKind,
};

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

/// The same of enough nodes that to survey them takes long: each pair once.
pub(super) fn large(count: usize) -> Report {
    let mut report = unmeasured(count);
    let round = Round::new(0, Stage::Base, Vec::new());
    for a in 0..count {
        for b in a + 1..count {
            let gbps = if a == 5 || b == 5 { 50.0 } else { 100.0 };
            let seen = if (a, b) == (1, 2) {
                let failure = Failure::new(FailurePhase::Contact, "fabric.unreachable", 1.0);
                PairObservation::failed(a, b, None, &round, failure)
            } else {
                PairObservation::measured(a, b, None, &round, Measured::new(20.0, gbps, gbps))
            };
            report.observations.add(seen).unwrap();
        }
    }
    report.conclusion.drain = vec![5];
    report.conclusion.verdicts = vec![Verdict::new(
        Subject::Node { node: 5 },
        VerdictKind::SlowBandwidth,
        Severity::Fault,
        Confidence::High,
        Evidence::default(),
    )];
    report
}

/// A survey of this many nodes that carries these patterns out on this fabric. Each pair is
/// measured by itself; leaves are the labels where a pattern takes groups; `change` has the last
/// word on what a node saw of a step.
pub(super) fn carried_out(
    count: usize,
    fabric: &Fabric,
    patterns: &[Pattern],
    mut change: impl FnMut(&FlowTask, FlowSights) -> Option<FlowSights>,
) -> Survey {
    let of_groups = patterns.iter().any(|pattern| pattern.is_of_groups());
    let leaf = |node: usize| format!("leaf-{}", node / fabric.leaf);
    let options = Options {
        collectives: patterns.to_vec(),
        labels: of_groups.then(|| (0..count).map(leaf).collect()),
        ..Options::default()
    };
    let mut survey = Survey::new(nodes(count), "tcp", options).unwrap();
    while let Some(pairs) = survey.next_pairs() {
        for (a, b) in pairs {
            let (up, down) = (fabric.rates(&[(a, b)])[0], fabric.rates(&[(b, a)])[0]);
            let sight = Some(Sight::measured(Measured::new(20.0, up, down)));
            survey.record((a, b), sight.clone(), sight, 1.0).unwrap();
        }
    }
    while let Some(tasks) = survey.next_flows("s") {
        let sent = |task: &FlowTask| task.sends.iter().map(|end| (task.node, end.peer)).collect();
        let flows: Vec<Vec<Flow>> = tasks.iter().map(sent).collect();
        let mut rates = fabric.rates(&flows.concat()).into_iter();
        let mut sights = BTreeMap::new();
        for (task, flows) in tasks.iter().zip(flows) {
            let of_node = flows.iter().map(|flow| (flow.1, rates.next().unwrap()));
            let sight = FlowSights::measured(of_node.collect::<Vec<_>>());
            sights.extend(change(task, sight).map(|sight| (task.node, sight)));
        }
        survey.record_flows(sights, 2.0).unwrap();
    }
    survey
}
