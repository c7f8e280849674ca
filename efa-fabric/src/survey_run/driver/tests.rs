use super::*;
use crate::survey::{Measured, Mode};
use crate::survey_run::state::Status;

fn survey(count: usize, mode: Mode) -> Survey {
    let nodes = (0..count).map(|i| Node::new(format!("n{i}"))).collect();
    let options = Options {
        mode,
        ..Options::default()
    };
    Survey::new(nodes, "tcp", options).unwrap()
}

fn good(gbps: f64) -> Option<Sight> {
    Some(Sight::measured(Measured::new(20.0, gbps, gbps)))
}

fn bad(code: Code) -> Option<Sight> {
    let code = code.as_str();
    Some(Sight::failed(
        FailurePhase::Contact,
        code,
        1.0,
        code.to_owned(),
    ))
}

/// Drives a survey in which a pair has these sights.
fn drive(
    survey: &mut Survey,
    of: impl Fn(usize, usize) -> (Option<Sight>, Option<Sight>),
) -> usize {
    let mut asked = 0;
    while let Some(pairs) = survey.next_pairs() {
        for (a, b) in pairs {
            asked += 1;
            let (low, high) = of(a, b);
            survey.record((a, b), low, high, 1.0).unwrap();
        }
    }
    asked
}

#[test]
fn a_good_cluster_is_healthy() {
    let mut survey = survey(6, Mode::Full);
    drive(&mut survey, |_, _| (good(100.0), good(100.0)));
    let report = survey.report(1.0);
    assert!(
        report.is_healthy() && report.require_healthy().is_ok(),
        "{report}"
    );
    assert_eq!(report.rank_order().len(), 6);
    assert!(report.drain().is_empty() && report.slow_nodes().is_empty());
}

#[test]
fn a_slow_node_is_named() {
    let mut survey = survey(8, Mode::Full);
    drive(&mut survey, |a, b| {
        let gbps = if a == 5 || b == 5 { 50.0 } else { 100.0 };
        (good(gbps), good(gbps))
    });
    let report = survey.report(1.0);
    assert_eq!(report.drain(), ["n5"], "{report}");
    assert_eq!(report.slow_nodes(), ["n5"]);
    let error = report.require_healthy().unwrap_err();
    assert_eq!(error.code(), Code::Unhealthy);
    assert_eq!(error.context_value("drain"), Some("n5"));
}

#[test]
fn a_node_that_says_nothing_is_asked_twice() {
    let mut survey = survey(6, Mode::Full);
    let asked = std::cell::Cell::new(0);
    drive(&mut survey, |a, b| match (a, b) {
        (2, _) => {
            asked.set(asked.get() + 1);
            (None, bad(Code::Unreachable))
        }
        (_, 2) => {
            asked.set(asked.get() + 1);
            (bad(Code::Unreachable), None)
        }
        _ => (good(100.0), good(100.0)),
    });
    assert_eq!(asked.get(), 2);
    let report = survey.report(1.0);
    assert_eq!(report.unreachable_nodes(), ["n2"]);
    assert_eq!(report.drain(), ["n2"], "{report}");
    assert!(!report.is_healthy());
}

#[test]
fn nodes_that_never_came_are_not_asked() {
    let mut survey = survey(6, Mode::Full);
    survey.lost(1);
    let pairs_of_lost = std::cell::Cell::new(0);
    drive(&mut survey, |a, b| {
        pairs_of_lost.set(pairs_of_lost.get() + usize::from(a == 1 || b == 1));
        (good(100.0), good(100.0))
    });
    assert_eq!(pairs_of_lost.get(), 0);
    let report = survey.report(1.0);
    assert_eq!(
        (report.drain(), report.absent()),
        (vec![], vec!["n1".into()])
    );
    assert!(report.unreachable_nodes().is_empty(), "{report}");
}

#[test]
fn a_node_that_stops_answering_is_blamed_and_not_its_link() {
    let mut survey = survey(6, Mode::Full);
    let mut rounds = 0;
    let mut unanswered = 0;
    while let Some(pairs) = survey.next_pairs() {
        rounds += 1;
        for (a, b) in pairs {
            let (mut low, mut high) = (good(100.0), good(100.0));
            if rounds > 2 && (a == 3 || b == 3) {
                unanswered += 1;
                *(if a == 3 { &mut low } else { &mut high }) = None;
            }
            survey.record((a, b), low, high, 8.0).unwrap();
        }
    }
    assert_eq!(unanswered, 2);
    let report = survey.report(1.0);
    assert_eq!(
        (report.drain(), report.unreachable_nodes()),
        (vec!["n3".into()], vec!["n3".into()])
    );
    assert!(report.unreachable_links().is_empty(), "{report}");
    let failed = |o: &&PairObservation| matches!(o.outcome, Outcome::Failed(_));
    assert_eq!(
        report.observations.as_slice().iter().filter(failed).count(),
        1
    );
    assert!(report.to_string().contains("n3 gave no answer"), "{report}");
}

#[test]
fn a_node_with_which_all_others_stop_answering_is_taken_out_and_not_they() {
    for mode in [Mode::Full, Mode::Sampled] {
        let mut survey = survey(8, mode);
        while let Some(pairs) = survey.next_pairs() {
            for (a, b) in pairs {
                let of = |node: usize| {
                    if a != 3 && b != 3 || node == 3 {
                        good(100.0)
                    } else {
                        None
                    }
                };
                survey.record((a, b), of(a), of(b), 8.0).unwrap();
            }
        }
        let report = survey.report(1.0);
        assert_eq!(report.drain(), ["n3"], "{report}");
        let findings = report.findings();
        let said = "nodes stopped answering while they were measured with it: n";
        assert!(findings[0].starts_with("n3 answers, but "), "{report}");
        assert!(findings[0].contains(said), "{report}");
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
    // Two may be luck.
    let mut survey = survey(4, Mode::Full);
    while let Some(pairs) = survey.next_pairs() {
        for (a, b) in pairs {
            let is_lost = |node: usize| (a == 3 || b == 3) && node < 2;
            let of = |node: usize| if is_lost(node) { None } else { good(100.0) };
            survey.record((a, b), of(a), of(b), 8.0).unwrap();
        }
    }
    assert_eq!(survey.report(1.0).drain(), ["n0", "n1"]);
}

#[test]
fn the_side_that_knows_more_is_believed() {
    let cause = bad(Code::ProviderNotFound);
    for (low, high) in [
        (bad(Code::PeerFailed), cause.clone()),
        (cause.clone(), bad(Code::Unreachable)),
    ] {
        let Some(Outcome::Failed(failure)) = choose(low, high).map(|sight| sight.outcome) else {
            panic!("failed");
        };
        assert_eq!(failure.code, "fabric.provider_not_found");
    }
}

#[test]
fn a_pair_of_which_one_end_failed_failed() {
    for (low, high) in [
        (good(1.0), bad(Code::Deadline)),
        (bad(Code::PeerFailed), good(1.0)),
    ] {
        let seen = choose(low, high).map(|sight| sight.outcome);
        assert!(matches!(seen, Some(Outcome::Failed(_))));
    }
    for count in [3, 8] {
        let mut survey = survey(count, Mode::Full);
        drive(&mut survey, |a, b| match (a, b) {
            (1, _) => (bad(Code::Deadline), good(100.0)),
            (_, 1) => (good(100.0), bad(Code::Deadline)),
            _ => (good(100.0), good(100.0)),
        });
        let report = survey.report(1.0);
        assert_eq!(report.status(), Status::Findings, "{report}");
        assert_eq!(report.drain(), ["n1"], "{report}");
        assert!(report.to_string().contains("fabric.deadline"), "{report}");
    }
}

#[test]
fn what_is_no_number_leaves_its_nodes_unmeasured() {
    let mut survey = survey(3, Mode::Full);
    drive(&mut survey, |_, _| (good(f64::NAN), good(f64::NAN)));
    let report = survey.report(1.0);
    assert_eq!(report.status(), Status::NotSurveyed, "{report}");
    let states = report.nodes.iter().map(|node| &node.state);
    assert!(states.into_iter().all(|state| *state == NodeState::Joined));
}

#[test]
fn a_known_topology_orders_and_labels() {
    let below = |name: &str, spine: &str, leaf: &str| Node {
        network_nodes: vec![spine.into(), leaf.into()],
        ..Node::new(name)
    };
    let nodes = vec![
        below("a", "s1", "l1"),
        below("b", "s2", "l3"),
        below("c", "s1", "l2"),
        below("d", "s1", "l1"),
    ];
    let options = Options {
        mode: Mode::WithinGroups,
        ..Options::default()
    };
    let mut grouped = Survey::new(nodes.clone(), "efa", options.clone()).unwrap();
    assert_eq!(grouped.next_pairs(), Some(vec![(0, 3)]));
    let order = grouped.report(0.0).topology_order();
    assert_eq!(
        order,
        Some(["a", "d", "c", "b"].map(str::to_owned).to_vec())
    );

    let mut partly = nodes;
    partly[1].network_nodes.clear();
    assert!(Survey::new(partly.clone(), "efa", options).is_err());
    let plain = Survey::new(partly, "efa", Options::default()).unwrap();
    assert_eq!(plain.report(0.0).topology_order(), None);
}

#[test]
fn a_node_with_fewer_devices_is_taken_out() {
    let inspected = |efa_devices: usize| {
        let json = format!("{{\"efa_devices\": {efa_devices}, \"verdict\": \"usable\"}}");
        let mut node = Node::new(format!("n{efa_devices}"));
        node.inspection = Some(json);
        node
    };
    let nodes = [32, 32, 31, 32].map(inspected).to_vec();
    let mut survey = Survey::new(nodes, "efa", Options::default()).unwrap();
    drive(&mut survey, |_, _| (good(100.0), good(100.0)));
    let report = survey.report(1.0);
    assert_eq!(report.drain(), ["n31"], "{report}");
    let error = report.require_healthy().unwrap_err();
    let expected = "EFA devices: 31 on n31 where most have 32";
    assert!(error.to_string().contains(expected), "{error}");
    assert!(report.headline().contains("something is wrong"));
}

#[test]
fn a_survey_that_was_stopped_is_partial_and_not_healthy() {
    let mut survey = survey(4, Mode::Full);
    let pairs = survey.next_pairs().unwrap();
    survey.record(pairs[0], good(9.0), good(9.0), 1.0).unwrap();
    let report = survey.report(1.0);
    assert!(report.partial && !report.is_healthy());
    assert!(report.to_string().contains("stopped early"));
}

#[test]
fn wrong_pairs_are_refused_and_names_made_unique() {
    let nodes = ["a", "a", "b", "a"].map(Node::new).to_vec();
    let mut survey = Survey::new(nodes, "tcp", Options::default()).unwrap();
    let names: Vec<_> = survey.nodes().iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["a", "a#2", "b", "a#3"]);
    assert!(survey.record((0, 1), None, None, 0.0).is_err());
    let pairs = survey.next_pairs().unwrap();
    for pair in [(1, 0), (0, 0), (0, 4)] {
        assert!(survey.record(pair, None, None, 0.0).is_err());
    }
    for (done, &pair) in pairs.iter().enumerate() {
        assert_eq!((done, survey.progress(0.0).rounds), (done, 0));
        survey.record(pair, good(1.0), good(1.0), 0.0).unwrap();
        assert!(survey.record(pair, good(1.0), good(1.0), 0.0).is_err());
    }
    assert_eq!(survey.progress(0.0).rounds, 1);
}

#[test]
fn reports_survive_json_and_escape_names() {
    let nodes = vec![Node::new("<b>&\"x"), Node::new("y")];
    let mut survey = Survey::new(nodes, "tcp", Options::default()).unwrap();
    drive(&mut survey, |_, _| (good(12.5), good(12.5)));
    let report = survey.report(1.0);
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let html = report.to_html();
    assert!(html.contains("&lt;b&gt;&amp;&quot;x") && !html.contains("<b>&"));
    assert!(html.contains("12.5 Gbit/s") && !html.contains("<script"));
    assert_eq!(html.matches("<div").count(), html.matches("</div>").count());
}

/// Rounds of base rounds, and whether that is all, after each round.
fn states(count: usize, gbps: impl Fn(usize, usize) -> f64) -> Vec<(usize, usize, bool)> {
    let mut survey = survey(count, Mode::Full);
    let mut states = Vec::new();
    while let Some(pairs) = survey.next_pairs() {
        for pair in pairs {
            let (up, down) = (gbps(pair.0, pair.1), gbps(pair.1, pair.0));
            let sight = Sight::measured(Measured::new(20.0, up, down));
            let is_last = survey.open.len() == 1;
            survey
                .record(pair, Some(sight.clone()), Some(sight), 1.0)
                .unwrap();
            let state = survey.progress(1.0);
            assert!(is_last || !state.over);
            if is_last {
                states.push((state.rounds, state.base_rounds, state.over));
            }
        }
    }
    states
}

#[test]
fn progress_is_full_when_nothing_is_left_and_not_before() {
    let even = states(2, |_, _| 100.0);
    assert_eq!(even, [(1, 1, true)]);
    // Repeats are known as soon as the first rates are.
    let uneven = states(2, |from, _| if from == 0 { 50.0 } else { 100.0 });
    let expected = [(1, 4, false), (2, 4, false), (3, 4, false), (4, 4, true)];
    assert_eq!(uneven, expected);
    for slow in [None, Some(2)] {
        let gbps = |from, to| match slow {
            Some(slow) if from == slow || to == slow => 50.0,
            _ => 100.0,
        };
        let states = states(8, gbps);
        let (last, before) = states.split_last().unwrap();
        assert!(last.2 && before.iter().all(|state| !state.2), "{states:?}");
        assert_eq!(last.0, states.len());
        assert!(slow.is_none() || last.0 > last.1, "{states:?}");
    }
}

#[test]
fn a_round_that_ends_without_its_second_attempts_counts_once() {
    let mut survey = survey(6, Mode::Full);
    let pairs = survey.next_pairs().unwrap();
    for &pair in &pairs {
        survey.record(pair, None, None, 1.0).unwrap();
    }
    let before = survey.progress(1.0);
    assert_eq!((before.rounds, before.over), (0, false));
    for node in 0..6 {
        survey.lost(node);
    }
    assert_eq!(survey.next_pairs(), None);
    let after = survey.progress(1.0);
    assert_eq!((after.rounds, after.over), (1, true));
}

#[test]
fn a_survey_with_nobody_to_measure_with_ends_at_once_and_names_all_that_are_absent() {
    for count in [2, 3, 6, 7, 500] {
        let mut survey = survey(count, Mode::Full);
        for node in 1..count {
            survey.absent(node, "fabric.deadline", "it never joined".to_owned());
        }
        assert_eq!(survey.next_pairs(), None);
        // With an odd number of nodes, one of them is in no pair of the first round.
        assert!(survey.progress(1.0).rounds <= 2, "{count}");
        assert_eq!(survey.notified.len(), count - 1);
        let report = survey.report(1.0);
        assert_eq!(report.status(), Status::NotSurveyed, "{report}");
        assert_eq!(
            (report.absent().len(), report.drain().len()),
            (count - 1, 0)
        );
        assert!(!report.partial);
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
}
