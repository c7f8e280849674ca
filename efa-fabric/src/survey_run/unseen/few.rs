//! What is reported of two to four nodes, and of rails that are slow between all nodes.

use super::super::driver::Survey;
use super::super::node::Node;
use super::super::pair::Sight;
use super::super::report::Report;
use super::super::state::Status;
use crate::error::Code;
use crate::survey::{
    Confidence, Direction, Failure, FailurePhase, Measured, Options, Outcome, Verdict, VerdictKind,
};

/// A survey of nodes in which a direction has these rates by round.
fn surveyed(count: usize, options: Options, of: impl Fn(usize, usize, usize) -> f64) -> Report {
    let nodes = (0..count).map(|i| Node::new(format!("n{i}"))).collect();
    let mut survey = Survey::new(nodes, "tcp", options).unwrap();
    while let Some(pairs) = survey.next_pairs() {
        let round = survey.round().unwrap();
        for (a, b) in pairs {
            let measured = Measured::new(20.0, of(round, a, b), of(round, b, a));
            let sight = Some(Sight::measured(measured));
            survey.record((a, b), sight.clone(), sight, 1.0).unwrap();
        }
    }
    survey.report(1.0)
}

fn verdict(report: &Report, kind: VerdictKind) -> Option<&Verdict> {
    let mut verdicts = report.conclusion.verdicts.iter();
    verdicts.find(|verdict| verdict.kind == kind)
}

/// A number around 1 that is as good as random.
fn wobble(round: usize, from: usize, to: usize, most: f64) -> f64 {
    let mixed = (round * 31 + from * 7 + to * 3) * 2_654_435_761 % 1000;
    1.0 + most * (mixed as f64 / 500.0 - 1.0)
}

#[test]
fn rates_of_few_nodes_that_differ_are_a_finding_and_drain_nobody() {
    type Rate = fn(usize, usize, usize) -> f64;
    let cases: [(usize, Rate, &str, &str); 6] = [
        (
            2,
            |_, from, _| if from == 0 { 50.1 } else { 100.2 },
            "look at: n0 to n1, slower than the rest",
            "rates differ by more than measurements of the same pair do: n0 to n1 50.1, n1 to n0 100 Gbit/s \
             (medians of 4 measurements each); 2 nodes are too few to know which node or path is slow",
        ),
        (
            3,
            |_, from, to| if from + to == 1 { 33.1 } else { 99.8 },
            "look at: n0 to n1, n1 to n0, slower than the rest",
            "n0 to n1 33.1, n1 to n0 33.1, the other 4 directions 99.8 to 99.8 Gbit/s",
        ),
        (
            3,
            |_, from, to| if from == 2 || to == 2 { 33.1 } else { 99.8 },
            "look at: n2, which all slow pairs share",
            "look first at n2, which all slow pairs share; 3 nodes are too few to be sure",
        ),
        (
            4,
            |_, from, _| if from == 1 { 60.0 } else { 100.0 },
            "look at: n1, which sends all that is slow",
            "the other 9 directions 100 to 100 Gbit/s",
        ),
        (
            4,
            |_, _, to| if to == 3 { 60.0 } else { 100.0 },
            "look at: n3, which receives all that is slow",
            "n3, which receives all that is slow; 4 nodes",
        ),
        // With a noise of 5 %.
        (
            4,
            |round, from, to| {
                let slow = from == 0 || to == 0;
                wobble(round, from, to, 0.1) * if slow { 50.0 } else { 100.0 }
            },
            "look at: n0, which all slow pairs share",
            "look first at n0",
        ),
    ];
    for (count, rate, todo, said) in cases {
        let report = surveyed(count, Options::default(), rate);
        assert_eq!(
            (report.status(), report.status().exit_status()),
            (Status::Findings, 1),
            "{report}"
        );
        assert_eq!(report.action(), todo, "{report}");
        assert!(report.to_string().contains(said), "{report}");
        assert!(report.to_html().contains(said) && report.to_svg().contains(todo));
        assert!(report.drain().is_empty() && report.slow_nodes().is_empty());
        let error = report.require_healthy().unwrap_err();
        assert_eq!(error.code(), Code::Unhealthy);
        assert!(error.to_string().contains(said), "{error}");
        let found = verdict(&report, VerdictKind::RatesDiffer).unwrap();
        assert!(found.confidence < Confidence::High);
        assert_eq!(found.evidence.ways.len(), count * (count - 1));
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        let wrong = json.replace("\"from\":1,", "\"from\":9,");
        assert!(serde_json::from_str::<Report>(&wrong).is_err());
        let well = surveyed(count, Options::default(), |_, _, _| 100.0);
        assert_eq!(report.compare(&well).new_findings.len(), 1);
    }
    let sends = surveyed(4, Options::default(), cases[3].1);
    let found = verdict(&sends, VerdictKind::RatesDiffer).unwrap();
    assert_eq!(found.evidence.direction, Some(Direction::Sends));
}

#[test]
fn few_nodes_that_agree_claim_no_more_than_that() {
    for count in 2..5 {
        let report = surveyed(count, Options::default(), |_, from, _| {
            if from == 0 { 98.2 } else { 101.3 }
        });
        assert_eq!(report.status(), Status::Healthy, "{report}");
        let measured = count * (count - 1);
        let rates = format!("rates are 98.2 to 101 Gbit/s ({measured} measurements)");
        assert_eq!(
            report.action(),
            format!(
                "nothing to take out: nothing failed, and {count} nodes are too few to identify a slow one: \
                 {rates}; whether all are slow cannot be known without expected_gbps"
            )
        );
        assert!(
            report
                .headline()
                .contains(&format!(": nothing failed, {rates}; ")),
            "{report}"
        );
        let unknown = report.unknown();
        assert!(unknown[0].starts_with("whether all nodes are slower than they should be"));
        assert!(unknown[1].starts_with(&format!("whether one of {count} nodes has less")));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["unknown"][0], unknown[0]);
        assert_eq!(json["status"], "healthy");
    }
    let large = surveyed(6, Options::default(), |_, _, _| 100.0);
    assert_eq!(large.unknown().len(), 1, "{large}");
}

#[test]
fn noise_is_no_difference_and_is_said() {
    // Half of the first measurements of one direction, and no more.
    let report = surveyed(3, Options::default(), |round, from, to| {
        match (round, from, to) {
            (0..3, 0, 1) => 50.0,
            _ => 100.0,
        }
    });
    assert_eq!(report.status(), Status::Healthy, "{report}");
    assert_eq!(report.rounds, 12);
    let said = "rates are 100 to 100 Gbit/s (medians of 24 measurements, single ones from 50.0)";
    assert!(report.action().contains(said), "{report}");
    // As much as pairs differ, they do so with themselves.
    let noisy = |round, from, to| 60.0 * wobble(round, from, to, 0.8);
    for count in 2..5 {
        let report = surveyed(count, Options::default(), noisy);
        assert!(
            verdict(&report, VerdictKind::RatesDiffer).is_none(),
            "{report}"
        );
        let is_repeated = report.action().contains("single ones from");
        assert!(is_repeated || count < 4, "{report}");
    }
    // The medians differ too, and by what measurements of one direction do.
    let report = surveyed(2, Options::default(), |round, from, _| match from {
        0 => [40.0, 60.0, 90.0, 60.0][round],
        _ => [100.0, 100.0, 60.0, 100.0][round],
    });
    assert_eq!(report.status(), Status::Healthy, "{report}");
    let said = "differ by 40.0 %, which the measured noise explains: measurements of one direction \
                vary by 34.4 %";
    for text in [report.action(), report.to_string(), report.to_html()] {
        assert!(text.contains(said), "{text}");
    }
    let unknown = report.unknown();
    assert!(unknown.iter().any(|of| of.contains(said)), "{unknown:?}");
    assert!(report.action().contains("without expected_gbps"));
    // Rates that agree need no such explanation.
    let alike = surveyed(2, Options::default(), |_, _, _| 100.0);
    assert!(!alike.to_string().contains("noise explains"), "{alike}");
}

#[test]
fn what_was_measured_once_differs_until_it_is_measured_again() {
    let nodes = vec![Node::new("a"), Node::new("b")];
    let mut survey = Survey::new(nodes, "tcp", Options::default()).unwrap();
    let pairs = survey.next_pairs().unwrap();
    let sight = Some(Sight::measured(Measured::new(20.0, 50.0, 100.0)));
    survey.record(pairs[0], sight.clone(), sight, 1.0).unwrap();
    let report = survey.report(1.0);
    let said = "rates differ: a to b 50.0, b to a 100 Gbit/s (each measured once)";
    assert!(report.to_string().contains(said), "{report}");
    assert_eq!(report.status(), Status::NotSurveyed, "{report}");
}

#[test]
fn an_expected_rate_says_more_than_a_comparison() {
    let options = |gbps| Options {
        expected_gbps: Some(gbps),
        ..Options::default()
    };
    let uneven = |_, from, _| if from == 0 { 50.0 } else { 100.0 };
    let well = surveyed(3, options(50.0), uneven);
    assert_eq!(well.status(), Status::Healthy, "{well}");
    assert_eq!(well.rounds, 3);
    // The faster direction does not make up for the slower one.
    for count in [2, 3] {
        let report = surveyed(count, options(75.0), uneven);
        assert_eq!(report.status(), Status::Findings, "{report}");
        assert!(
            report.to_string().contains("50.0 of 75.0 Gbit/s expected"),
            "{report}"
        );
    }
}

#[test]
fn pairs_across_groups_are_compared_with_such() {
    let options = || Options {
        labels: Some(["a", "a", "b", "b"].map(str::to_owned).to_vec()),
        ..Options::default()
    };
    let across = |_, from: usize, to: usize| if from / 2 == to / 2 { 100.0 } else { 50.0 };
    let report = surveyed(4, options(), across);
    assert_eq!(report.status(), Status::Healthy, "{report}");
    let report = surveyed(4, options(), |round, from, to| match (from, to) {
        (0, 2) | (2, 0) => 20.0,
        _ => across(round, from, to),
    });
    assert_eq!(
        report.action(),
        "look at: n0 to n2, n2 to n0, slower than the rest"
    );
}

/// A survey with three rails of which each has this rate; 0 where it fails.
fn railed(count: usize, options: Options, of: impl Fn(u16, usize, usize) -> f64) -> Report {
    let nodes = (0..count).map(|i| Node::new(format!("n{i}"))).collect();
    let mut survey = Survey::new(nodes, "efa", options).unwrap();
    while let Some(pairs) = survey.next_pairs() {
        for (a, b) in pairs {
            let rates: Vec<_> = (0..3)
                .map(|rail| (of(rail, a, b), of(rail, b, a)))
                .collect();
            let sum = |get: fn(&(f64, f64)) -> f64| rates.iter().map(get).sum();
            let mut sight =
                Sight::measured(Measured::new(20.0, sum(|rate| rate.0), sum(|rate| rate.1)));
            let rails = rates.iter().map(|&(up, down)| match up > 0.0 {
                true => Outcome::Measured(Measured::new(20.0, up, down)),
                false => {
                    let code = "fabric.timeout";
                    Outcome::Failed(Failure::new(FailurePhase::Bandwidth, code, 1.0))
                }
            });
            sight.rails = rails.collect();
            survey
                .record((a, b), Some(sight.clone()), Some(sight), 1.0)
                .unwrap();
        }
    }
    survey.report(1.0)
}

#[test]
fn a_rail_that_is_slow_between_all_nodes_is_a_warning() {
    for count in [2, 3, 8] {
        let slow = |rail, _, _| if rail == 2 { 50.1 } else { 100.2 };
        let report = railed(count, Options::default(), slow);
        let said = "rail 2 carries 50.1 Gbit/s, the others 100 (medians of ";
        assert!(report.problems()[0].starts_with(said), "{report}");
        assert_eq!(report.problems().len(), 1, "{report}");
        let todo = "nothing to take out; 1 warning to review: rail 2 is slower than the others";
        assert_eq!(report.action(), todo);
        assert!(report.drain().is_empty());
        let well = railed(count, Options::default(), |_, _, _| 100.0);
        assert!(well.problems().is_empty(), "{well}");
        assert_eq!(report.compare(&well).new_findings.len(), 1);
        // What is expected of a rail shows more.
        let options = Options {
            expected_rail_gbps: Some(50.0),
            ..Options::default()
        };
        assert!(railed(count, options, slow).problems().is_empty());
    }
    // That of one node is a finding of that node.
    let of_node = railed(8, Options::default(), |rail, from, to| {
        if rail == 1 && (from == 3 || to == 3) {
            50.0
        } else {
            100.0
        }
    });
    assert_eq!(of_node.drain(), ["n3"], "{of_node}");
    assert!(
        verdict(&of_node, VerdictKind::UnevenRail).is_none(),
        "{of_node}"
    );
    let of_few = railed(3, Options::default(), |rail, from, to| {
        if rail == 1 && (from == 2 || to == 2) {
            50.0
        } else {
            100.0
        }
    });
    assert_eq!(of_few.action(), "look at: n2, which all slow pairs share");
    let said =
        "rates of rail 1 differ by more than measurements of the same pair do: n0 to n2 50.0";
    assert!(of_few.to_string().contains(said), "{of_few}");
    // Without a rail all of them together carry less: that is stated of the rail.
    let dead = railed(4, Options::default(), |rail, from, to| {
        if rail == 1 && (from == 3 || to == 3) {
            0.0
        } else {
            100.0
        }
    });
    assert_eq!(dead.drain(), ["n3"], "{dead}");
    assert!(verdict(&dead, VerdictKind::RatesDiffer).is_none(), "{dead}");
    // Where two of three are slow, they are compared with the third.
    let two = railed(
        6,
        Options::default(),
        |rail, _, _| if rail == 0 { 100.0 } else { 50.0 },
    );
    let slow: Vec<String> = two
        .problems()
        .iter()
        .map(|said| said[..6].to_owned())
        .collect();
    assert_eq!(slow, ["rail 1", "rail 2"], "{two}");
}

/// A survey of nodes of which the last ones are absent; each attempt is measured or fails.
fn attempted(count: usize, absent: &[usize], of: impl Fn(usize) -> Option<(f64, f64)>) -> Report {
    let nodes = (0..count).map(|i| Node::new(format!("n{i}"))).collect();
    let mut survey = Survey::new(nodes, "tcp", Options::default()).unwrap();
    for &node in absent {
        survey.absent(node, "fabric.deadline", "it never joined".into());
    }
    let mut attempt = 0;
    while let Some(pairs) = survey.next_pairs() {
        for pair in pairs {
            let sight = match of(attempt) {
                Some((up, down)) => Sight::measured(Measured::new(20.0, up, down)),
                None => {
                    let (phase, code) = (FailurePhase::Bandwidth, "fabric.deadline");
                    Sight::failed(phase, code, 3.2, "deadline".to_owned())
                }
            };
            attempt += 1;
            let sight = Some(sight);
            survey.record(pair, sight.clone(), sight, 3.2).unwrap();
        }
    }
    survey.report(1.0)
}

#[test]
fn one_measurement_is_no_difference_and_no_health() {
    let apart = Some((5.03, 7.22));
    // It worked once only: nothing is known of noise, and the pair fails mostly.
    let once = attempted(2, &[], |attempt| apart.filter(|_| attempt == 1));
    assert_eq!(once.status(), Status::Findings, "{once}");
    assert_eq!(once.action(), "look at: the link between n0 and n1");
    let differs = verdict(&once, VerdictKind::RatesDiffer).unwrap();
    assert_eq!(differs.severity, crate::survey::Severity::Warning);
    assert!(!once.to_string().contains("than others"), "{once}");
    // What was first measured late is repeated all the same.
    let late = attempted(2, &[], |attempt| apart.filter(|_| attempt > 0));
    let said = "rates differ by more than measurements of the same pair do";
    assert!(late.to_string().contains(said), "{late}");
    let noisy = |attempt: usize| match attempt {
        0 => None,
        n if n % 2 == 0 => Some((7.22, 5.03)),
        _ => apart,
    };
    let noisy = attempted(2, &[], noisy);
    assert!(
        verdict(&noisy, VerdictKind::RatesDiffer).is_none(),
        "{noisy}"
    );
    assert!(
        noisy
            .to_string()
            .contains("attempts, seen once, not a fault"),
        "{noisy}"
    );
}

#[test]
fn a_pair_that_is_left_is_tried_again_and_is_no_cluster() {
    let once = attempted(3, &[2], |attempt| Some((7.0, 7.0)).filter(|_| attempt > 0));
    assert_eq!(once.status(), Status::NotSurveyed, "{once}");
    let worked = attempted(2, &[], |attempt| Some((7.0, 7.0)).filter(|_| attempt > 0));
    assert_eq!(worked.status(), Status::Healthy, "{worked}");
    assert!(!worked.to_string().contains("nothing failed"), "{worked}");
    let never = attempted(3, &[2], |_| None);
    assert!(!never.to_string().contains("security group"), "{never}");
    assert!(
        never
            .action()
            .starts_with("look at: the link between n0 and n1; "),
        "{never}"
    );
    let all = attempted(4, &[], |_| None);
    let said = "no pair of nodes could be measured, though first messages passed \
                (measuring rates: fabric.deadline after 3.2 s)";
    assert!(all.to_string().contains(said), "{all}");
}
