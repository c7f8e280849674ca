use super::*;
use crate::probe::doubles::{Broken, Memory};

fn task(node: usize) -> FlowTask {
    let end = |peer: usize| FlowEnd { peer, rails: 0 };
    FlowTask {
        name: "step".into(),
        node,
        lead: 0,
        members: if node == 0 { vec![1, 2] } else { Vec::new() },
        sends: vec![end((node + 1) % 3)],
        receives: vec![end((node + 2) % 3)],
    }
}

fn options(deadline: Duration) -> PairOptions {
    let mut options = PairOptions::new("tcp");
    (options.connect_timeout, options.deadline) = (deadline, deadline);
    options
}

const LONG: Duration = Duration::from_secs(600);

#[test]
fn all_begin_when_all_are_ready_and_end_when_all_have_measured() {
    let (tasks, options) = ([0, 1, 2].map(task), options(LONG));
    let lines = [0, 1, 2].map(|_| StartLine::new(2));
    let mut exchange = Memory::default();
    let mut nodes = [0, 1, 2].map(|node| Meeting::new(&tasks[node], &lines[node], &options));
    let mut look = |nodes: &mut [Meeting<'_>; 3]| {
        // Twice: what one leaves the others find.
        for node in nodes.iter_mut() {
            node.look(&mut exchange).unwrap();
        }
        for node in nodes.iter_mut() {
            node.look(&mut exchange).unwrap();
        }
    };
    look(&mut nodes);
    assert!(nodes.iter().all(|node| !node.said_ready && !node.has_begun));
    // Their own flows are warm, first of two nodes and then of the last.
    for node in [0, 1] {
        lines[node].arrive();
    }
    look(&mut nodes);
    assert!(nodes[1].said_ready && nodes.iter().all(|node| !node.has_begun));
    lines[2].arrive();
    look(&mut nodes);
    assert!(nodes.iter().all(|node| node.has_begun && !node.is_over));
    for node in [2, 0] {
        lines[node].record(1, 2);
    }
    look(&mut nodes);
    assert!(lines.iter().all(|line| !line.is_over()) && nodes[0].is_awaited());
    lines[1].record(1, 2);
    look(&mut nodes);
    assert!(nodes.iter().all(|node| node.is_over));
    assert!(lines.iter().all(StartLine::is_over) && !nodes[0].is_awaited());
    assert!(exchange.0.is_empty(), "{:?}", exchange.0.keys());
}

#[test]
fn a_node_whose_flows_fail_keeps_nobody() {
    let (tasks, options) = ([0, 1].map(task), options(LONG));
    let lines = [0, 1].map(|_| StartLine::new(2));
    let mut exchange = Memory::default();
    let [mut lead, mut member] =
        [0, 1].map(|node| Meeting::new(&tasks[node], &lines[node], &options));
    lines[0].arrive();
    lines[1].leave();
    member.look(&mut exchange).unwrap();
    assert!(member.said_ready && member.said_measured);
    lead.unready.remove(&2);
    lead.unmeasured.remove(&2);
    lead.look(&mut exchange).unwrap();
    assert!(lead.has_begun && !lead.is_over);
    lines[0].record(1, 2);
    lead.look(&mut exchange).unwrap();
    assert!(lead.is_over);
}

#[test]
fn the_lead_goes_on_without_a_silent_node() {
    let (task, options) = (task(0), options(Duration::ZERO));
    let line = StartLine::new(2);
    let mut exchange = Memory::default();
    let mut lead = Meeting::new(&task, &line, &options);
    lead.look(&mut exchange).unwrap();
    assert!(lead.has_begun && exchange.0.contains_key("step/go/0/to/1"));
    line.arrive();
    line.record(1, 2);
    lead.look(&mut exchange).unwrap();
    assert!(lead.is_over && line.is_over());
}

#[test]
fn an_exchange_that_fails_is_a_failure_of_the_meeting() {
    let (task, options, line) = (task(1), options(LONG), StartLine::new(1));
    let mut member = Meeting::new(&task, &line, &options);
    let error = member.look(&mut Broken).unwrap_err();
    assert_eq!(error.code(), Code::RendezvousFailed);
    let sights = FlowSights::failed(error.code().as_str());
    assert!(sights.is_not_met() && !sights.is_interrupted());
    assert_eq!(sights.to(2).1.as_deref(), Some("fabric.rendezvous_failed"));
}

#[test]
fn each_rail_of_each_flow_is_an_end() {
    let mut options = options(LONG);
    options.rails = [0, 1, 2]
        .map(|n| Rail::new(format!("rail{n}"), "tcp"))
        .into();
    let mut task = task(1);
    task.sends[0].rails = 2;
    task.receives[0].rails = 3;
    let ends = ends(&task, &options);
    let names: Vec<&str> = ends.iter().map(|end| end.name.as_str()).collect();
    let expected = [
        "step/1-2/0",
        "step/1-2/1",
        "step/0-1/0",
        "step/0-1/1",
        "step/0-1/2",
    ];
    assert_eq!(names, expected);
    assert_eq!(ends.iter().filter(|end| end.sends).count(), 2);
    assert!(ends.iter().all(|end| end.rail.is_some()));
    // A flow of which one rail failed has no rate.
    let failed = || Err(Error::new(Code::Unreachable, "no"));
    let results = ends.iter().map(|_| failed()).collect();
    let seen = seen_by(&task, &ends, results);
    assert_eq!(seen.to(2), (None, Some("fabric.unreachable".into())));
}
