//! Plans driven to their end, against simulated clusters.

use std::collections::HashSet;

use super::super::observation::{Concurrency, Failure, FailurePhase, Measured, PairObservation};
use super::super::options::Thresholds;
use super::super::simulate::{Cluster, Fault};
use super::super::verdict::{Subject, VerdictKind};
use super::*;
use crate::error::Code;

fn options(mode: Mode) -> Options {
    Options {
        mode,
        ..Options::default()
    }
}

fn quiet(nodes: usize) -> Cluster {
    Cluster {
        noise: 0.0,
        ..Cluster::healthy(nodes)
    }
}

#[test]
fn tiny_clusters_end() {
    for mode in [Mode::Full, Mode::Sampled, Mode::Ring] {
        for nodes in 0..6 {
            let run = quiet(nodes).survey(options(mode), 1).unwrap();
            assert!(run.rounds <= 8, "{mode:?} {nodes}: {}", run.rounds);
            assert_eq!(run.conclusion.drain, [] as [usize; 0]);
        }
    }
}

#[test]
fn stages_follow_each_other_and_rounds_are_disjoint() {
    let cluster = quiet(12).with(Fault::SlowNode { node: 5, loss: 0.3 });
    let mut plan = Plan::new(12, options(Mode::Sampled)).unwrap();
    let mut observations = Observations::new(12);
    let mut stages = Vec::new();
    while let Some(round) = plan.next(&observations) {
        let mut busy = HashSet::new();
        for &(a, b) in &round.pairs {
            assert!(a < b && busy.insert(a) && busy.insert(b));
            let slow = a == 5 || b == 5;
            let gbps = cluster.expected_gbps() * if slow { 0.7 } else { 1.0 };
            let m = Measured::new(20.0, gbps, gbps);
            observations
                .add(PairObservation::measured(a, b, None, &round, m))
                .unwrap();
        }
        assert_eq!(round.index, stages.len());
        stages.push(round.stage);
    }
    let count = |stage| stages.iter().filter(|&&s| s == stage).count();
    assert_eq!(
        (count(Stage::Base), count(Stage::Control)),
        (5, 1),
        "{stages:?}"
    );
    let alone = observations
        .as_slice()
        .iter()
        .filter(|o| o.concurrency == Concurrency::Alone && (o.a == 5 || o.b == 5));
    assert_eq!(alone.count(), 3);
    assert_eq!(plan.suspects(), [5]);
}

#[test]
fn a_sampled_survey_in_which_nothing_stands_out_goes_on_in_its_limit() {
    for (nodes, base, longest) in [
        (6, 4, 5),
        (8, 5, 7),
        (16, 6, 11),
        (64, 8, 11),
        (512, 11, 11),
    ] {
        let mut plan = Plan::new(nodes, options(Mode::Sampled)).unwrap();
        assert_eq!(plan.base_rounds(), base);
        let mut observations = Observations::new(nodes);
        let mut pairs = HashSet::new();
        let mut rounds = 0;
        while let Some(round) = plan.next(&observations) {
            rounds += 1;
            for &(a, b) in &round.pairs {
                assert!(
                    round.stage != Stage::Base || pairs.insert((a, b)),
                    "{a} {b}"
                );
                let m = Measured::new(20.0, 100.0, 100.0);
                observations
                    .add(PairObservation::measured(a, b, None, &round, m))
                    .unwrap();
            }
        }
        assert_eq!(
            (plan.base_rounds(), rounds),
            (longest, longest + 1),
            "{nodes}"
        );
        assert!(rounds <= plan.round_limit() && rounds <= plan.most_rounds());
        let named = plan.conclude(&observations).unstable_named_percent.unwrap() / 100.0;
        assert!(
            (named - (1.0 - 0.7f64.powi(longest as i32))).abs() < 0.02,
            "{named}"
        );
    }
    let given = Options {
        base_rounds: Some(6),
        ..options(Mode::Sampled)
    };
    let mut plan = Plan::new(64, given).unwrap();
    assert!(!plan.lengthen());
}

#[test]
fn a_single_late_node_after_a_longer_base_stays_in_the_limit() {
    for nodes in [8, 9, 16, 64] {
        let mut plan = Plan::new(nodes, options(Mode::Sampled)).unwrap();
        for base in [plan.base_rounds(), plan.longer(TURNS + 1)] {
            (plan.fresh_from, plan.is_one_late) = (base, true);
            let rounds = base + plan.turns_of_suspects() + LEAST_ALONE;
            assert!(rounds <= plan.round_limit(), "{nodes}: {rounds}");
        }
        // Several suspects are also measured with each other, and a fault needs more.
        plan.is_one_late = false;
        assert_eq!(plan.turns_of_suspects(), TURNS);
    }
}

#[test]
fn a_silent_node_costs_one_deadline() {
    let mut plan = Plan::new(16, Options::default()).unwrap();
    let mut observations = Observations::new(16);
    let mut asked = 0;
    while let Some(round) = plan.next(&observations) {
        for &(a, b) in &round.pairs {
            let seen = if a == 3 || b == 3 {
                asked += 1;
                let failure = Failure::new(FailurePhase::Join, "fabric.deadline", 30.0);
                PairObservation::failed(a, b, None, &round, failure.with_silent(3))
            } else {
                let m = Measured::new(20.0, 100.0, 100.0);
                PairObservation::measured(a, b, None, &round, m)
            };
            observations.add(seen).unwrap();
        }
    }
    assert_eq!(asked, 1);
    assert_eq!(plan.conclude(&observations).drain, [3]);
}

#[test]
fn a_dead_node_costs_six_rounds_and_a_dead_link_is_not_a_node() {
    let run = quiet(16)
        .with(Fault::DeadNode { node: 9 })
        .survey(options(Mode::Full), 1)
        .unwrap();
    // Five partners, and one of them again.
    assert_eq!((run.deadlines, run.conclusion.drain), (6, vec![9]));
    let fault = Fault::DeadLink { pair: (2, 9) };
    let run = quiet(16)
        .with(fault)
        .survey(options(Mode::Full), 1)
        .unwrap();
    assert!(run.names(&fault));
    assert_eq!(run.conclusion.drain, [] as [usize; 0]);
}

#[test]
fn groups_and_labels() {
    let labels = |n: usize| Some((0..n).map(|i| format!("nn-{}", i % 2)).collect());
    for mode in [Mode::WithinGroups, Mode::BetweenGroups] {
        let error = Plan::new(8, options(mode)).unwrap_err();
        assert_eq!(error.code(), Code::InvalidOption);
        let with = Options {
            labels: labels(12),
            ..options(mode)
        };
        let fault = Fault::SlowNode { node: 7, loss: 0.3 };
        let run = quiet(12).with(fault).survey(with, 1).unwrap();
        assert_eq!(run.conclusion.drain, [7], "{mode:?}");
    }
    let short = Options {
        labels: labels(3),
        ..Options::default()
    };
    assert_eq!(Plan::new(8, short).unwrap_err().code(), Code::InvalidOption);
}

#[test]
fn a_small_cluster_is_compared_with_what_is_expected() {
    let with = Options {
        expected_gbps: Some(400.0),
        ..Options::default()
    };
    let run = quiet(3)
        .with(Fault::SlowNode { node: 2, loss: 0.3 })
        .survey(with, 1)
        .unwrap();
    let said: Vec<_> = run
        .conclusion
        .verdicts
        .iter()
        .map(|v| (v.subject, v.kind))
        .collect();
    assert!(
        said.contains(&(Subject::Node { node: 2 }, VerdictKind::BelowExpected)),
        "{said:?}"
    );
}

#[test]
fn names_take_the_place_of_numbers() {
    let run = quiet(8)
        .with(Fault::SlowNode { node: 6, loss: 0.3 })
        .survey(options(Mode::Full), 1)
        .unwrap();
    let names: Vec<String> = (0..8).map(|i| format!("ip-10-0-0-{i}")).collect();
    let verdict = &run.conclusion.verdicts[0];
    assert!(
        verdict.statement.starts_with(
            "node 6 has 30 % less bandwidth than the median of the other nodes (median 280 Gbit/s"
        ),
        "{}",
        verdict.statement
    );
    assert!(
        verdict
            .statement_with(&names)
            .starts_with("ip-10-0-0-6 has")
    );
}

#[test]
fn a_rail_is_named_where_the_others_of_its_node_are_a_little_slower() {
    let (node, rail) = (2, 1);
    let (most, some) = (0.6, 0.1);
    let cluster = Cluster {
        rails: 2,
        ..quiet(5)
    };
    let cluster = cluster
        .with(Fault::SlowRailSender {
            node,
            rail,
            loss: most,
        })
        .with(Fault::SlowRail {
            node,
            rail: 0,
            loss: some,
        });
    let thresholds = Thresholds {
        loss: 0.4,
        ..Thresholds::default()
    };
    let conclusion = cluster
        .survey(
            Options {
                thresholds,
                ..Options::default()
            },
            1,
        )
        .unwrap()
        .conclusion;
    let faults: Vec<Subject> = conclusion.faults().map(|v| v.subject).collect();
    assert_eq!(faults, [Subject::Rail { node, rail }], "{conclusion:?}");
}
