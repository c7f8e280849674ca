use super::*;
use crate::survey::collective::Pattern;
use crate::survey::simulate::Fabric;
use crate::survey_run::Status;
use crate::survey_run::driver::patterns::Flows;
use crate::survey_run::sample::carried_out;

const ALL: [Pattern; 3] = [Pattern::Ring, Pattern::AllToAll, Pattern::Incast];

/// Nodes below one leaf: nothing but they themselves limits them.
fn wide() -> Fabric {
    Fabric::new(64, 100.0, 100.0)
}

#[test]
fn patterns_are_carried_out_after_the_pairs_each_step_three_times() {
    let mut steps = BTreeSet::new();
    let survey = carried_out(6, &wide(), &ALL, |task, sights| {
        steps.insert(task.name.clone());
        assert!(task.sends.len() + task.receives.len() > 0);
        assert_eq!(task.members.is_empty(), task.node != task.lead);
        Some(sights)
    });
    assert_eq!(steps.len(), 3 * (1 + 5 + 6));
    let report = survey.report(1.0);
    assert_eq!(report.status(), Status::Healthy, "{report}");
    assert!(!report.partial && report.collectives.iter().all(Collective::scales));
    let patterns: Vec<_> = report
        .collectives
        .iter()
        .map(|of| of.carried.pattern)
        .collect();
    assert_eq!(patterns, ALL);
}

#[test]
fn a_survey_without_its_patterns_is_partial() {
    let mut survey = carried_out(4, &wide(), &[], |_, sights| Some(sights));
    assert!(survey.next_flows("s").is_none());
    let error = survey.record_flows(BTreeMap::new(), 1.0).unwrap_err();
    assert_eq!(error.code(), Code::InvalidOption);
    assert!(!survey.report(1.0).partial);
    survey.flows = Flows::new(&[Pattern::Ring]);
    assert!(survey.report(1.0).partial && !survey.report(1.0).is_healthy());
    // Nor is it well if it only reports that it was not.
    let mut report = survey.report(1.0);
    report.partial = false;
    report.options.as_mut().unwrap().collectives = vec![Pattern::Ring];
    assert_eq!(report.status(), Status::NotSurveyed, "{report}");
}

#[test]
fn a_node_that_gives_no_answer_is_asked_once_more() {
    let mut missed = 0;
    let survey = carried_out(4, &wide(), &[Pattern::Ring], |task, sights| {
        let misses = task.node == 2 && task.name == "s/flows/1.0";
        missed += usize::from(misses);
        (!misses).then_some(sights)
    });
    let report = survey.report(1.0);
    assert_eq!((missed, report.status()), (1, Status::Healthy), "{report}");
    assert_eq!(report.collectives[0].carried.seen.len(), 12);
    assert!(report.remarks[0].contains("node-2 gave no answer in round"));
}

#[test]
fn a_node_that_is_lost_in_a_pattern_ends_it_and_the_next_goes_without() {
    let patterns = [Pattern::Ring, Pattern::AllToAll];
    let survey = carried_out(5, &wide(), &patterns, |task, sights| {
        (task.node != 3 || task.name == "s/flows/0.0").then_some(sights)
    });
    let report = survey.report(1.0);
    let lost = NodeState::Lost {
        round: 7,
        after_ms: 2000,
        partner: None,
        together: false,
        pattern: Some(Pattern::Ring),
    };
    assert_eq!(report.nodes[3].state, lost, "{report}");
    assert_eq!(
        (report.status(), report.drain()),
        (Status::Findings, vec!["node-3".into()])
    );
    let said = report.to_string();
    assert!(
        said.contains(
            "node-3 joined and was lost in round 8, 2.0 s after its start, in the ring of all"
        ),
        "{said}"
    );
    assert!(
        said.contains("it ended early, when node-3 stopped answering"),
        "{said}"
    );
    let [ring, all] = &report.collectives[..] else {
        panic!("{report}");
    };
    assert_eq!(
        (ring.carried.lost.as_slice(), ring.carried.seen.len()),
        (&[3][..], 10)
    );
    assert_eq!(all.carried.nodes, [0, 1, 2, 4]);
    assert!(all.scales() && !ring.is_measured());
    // What of the others was not measured to it is not held against them.
    assert!(ring.breaks.is_none());
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(
        serde_json::from_str::<crate::survey_run::Report>(&json).unwrap(),
        report
    );
}

#[test]
fn an_actor_that_dies_is_lost_at_once_and_ranks_that_are_interrupted_are_absent() {
    let mut survey = carried_out(4, &wide(), &[], |_, sights| Some(sights));
    survey.flows = Flows::new(&[Pattern::Ring, Pattern::Incast]);
    let tasks = survey.next_flows("s").unwrap();
    survey.lost(1);
    let of = |task: &FlowTask| (task.node, FlowSights::failed("fabric.unreachable"));
    let sights = tasks.iter().filter(|task| task.node != 1).map(of).collect();
    survey.record_flows(sights, 1.0).unwrap();
    let tasks = survey.next_flows("s").unwrap();
    assert_eq!(
        tasks.iter().map(|task| task.node).collect::<Vec<_>>(),
        [0, 2, 3]
    );
    let interrupted = |task: &FlowTask| (task.node, FlowSights::failed("fabric.interrupted"));
    survey
        .record_flows(tasks.iter().map(interrupted).collect(), 1.0)
        .unwrap();
    assert!(survey.next_flows("s").is_none());
    let report = survey.report(1.0);
    let states: Vec<_> = report
        .nodes
        .iter()
        .map(|node| node.state.as_str())
        .collect();
    assert_eq!(states, ["absent", "lost", "absent", "absent"]);
    assert_eq!(report.drain(), ["node-1"], "{report}");
}

#[test]
fn nodes_that_could_not_meet_meet_again() {
    let survey = carried_out(4, &wide(), &[Pattern::Ring], |task, sights| {
        Some(match task.name.ends_with(".0") {
            true => FlowSights::failed(Code::RendezvousFailed.as_str()),
            false => sights,
        })
    });
    let report = survey.report(1.0);
    assert_eq!(report.status(), Status::Healthy, "{report}");
}
