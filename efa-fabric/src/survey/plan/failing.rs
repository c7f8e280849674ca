//! Surveys of nodes that do not reach each other, and why: sets that are apart, dead nodes, bad
//! moments.

use std::collections::BTreeMap;

use super::super::observation::{Failure, FailurePhase, Measured, PairObservation};
use super::super::verdict::{Subject, VerdictKind};
use super::*;

/// An attempt at a pair: its nodes, which attempt of it, and the round.
type Fails<'a> = &'a dyn Fn(Pair, usize, usize) -> bool;

fn survey(nodes: usize, mode: Mode, seed: u64, fails: Fails<'_>) -> Conclusion {
    let options = Options {
        mode,
        seed,
        ..Options::default()
    };
    survey_with(nodes, options, fails)
}

fn survey_with(nodes: usize, options: Options, fails: Fails<'_>) -> Conclusion {
    let mut plan = Plan::new(nodes, options).unwrap();
    let mut seen = Observations::new(nodes);
    let mut times: BTreeMap<Pair, usize> = BTreeMap::new();
    while let Some(round) = plan.next(&seen) {
        assert!(round.index < plan.most_rounds());
        for &(a, b) in &round.pairs {
            let time = times.entry((a, b)).or_default();
            let observation = if fails((a, b), *time, round.index) {
                let failure = Failure::new(FailurePhase::Bandwidth, "fabric.deadline", 3.2);
                PairObservation::failed(a, b, None, &round, failure)
            } else {
                let m = Measured::new(20.0, 100.0, 100.0);
                PairObservation::measured(a, b, None, &round, m)
            };
            *time += 1;
            seen.add(observation).unwrap();
        }
    }
    plan.conclude(&seen)
}

const MODES: [Mode; 2] = [Mode::Full, Mode::Sampled];

fn faults(conclusion: &Conclusion) -> Vec<(Subject, VerdictKind)> {
    conclusion.faults().map(|v| (v.subject, v.kind)).collect()
}

fn said(conclusion: &Conclusion) -> Vec<&str> {
    let all = conclusion.verdicts.iter();
    all.map(|v| v.statement.as_str()).collect()
}

type Blocked = fn(usize, Pair) -> bool;
const SHAPES: [(&str, Blocked); 4] = [
    ("halves", |n, (a, b)| (a < n / 2) != (b < n / 2)),
    ("quarter", |n, (a, b)| (a < n / 4) != (b < n / 4)),
    ("racks", |n, (a, b)| {
        let racks = [a * 3 / n, b * 3 / n];
        racks == [0, 1] || racks == [1, 0]
    }),
    ("three", |n, (a, b)| a * 3 / n != b * 3 / n),
];

const PARTITION: (Subject, VerdictKind) = (Subject::Cluster, VerdictKind::Partition);

fn dead(node: usize) -> (Subject, VerdictKind) {
    (Subject::Node { node }, VerdictKind::Unreachable)
}

#[test]
fn sets_that_do_not_reach_each_other_are_one_finding_and_drain_nobody() {
    let ways = [(Mode::Full, 0), (Mode::Sampled, 0), (Mode::Sampled, 1)];
    for (nodes, ways) in [(8, &ways[..]), (9, &ways), (16, &ways), (33, &ways[2..])] {
        for (what, blocked) in SHAPES {
            for &(mode, seed) in ways {
                let found = survey(nodes, mode, seed, &|pair, _, _| blocked(nodes, pair));
                let which = format!("{what} of {nodes}, {mode:?} {seed}: {:?}", said(&found));
                assert!(found.drain.is_empty(), "{which}");
                assert_eq!(faults(&found), [PARTITION], "{which}");
            }
        }
    }
    let halves = survey(8, Mode::Full, 0, &|pair, _, _| SHAPES[0].1(8, pair));
    let said = "two sets of nodes do not reach each other, and work inside: \
                (node 0, node 1, node 2, node 3) and (node 4, node 5, node 6, node 7); ";
    let first = &halves.verdicts[0];
    assert!(first.statement.starts_with(said), "{}", first.statement);
    assert_eq!(first.evidence.sets, [[0, 1, 2, 3], [4, 5, 6, 7]]);
}

#[test]
fn a_node_that_fails_with_its_own_set_too_is_dead() {
    for mode in MODES {
        let halves = |(a, b): Pair| (a < 8) != (b < 8);
        let found = survey(16, mode, 0, &|pair, _, _| {
            halves(pair) || pair.0 == 3 || pair.1 == 3
        });
        assert_eq!(found.drain, [3], "{mode:?} {:?}", said(&found));
        assert_eq!(faults(&found), [PARTITION, dead(3)], "{:?}", said(&found));
        // Two such are no set: they do not reach each other.
        for nodes in [8, 16] {
            let is_dead = |node| node == 2 || node == 5;
            let found = survey(nodes, mode, 0, &|(a, b), _, _| is_dead(a) || is_dead(b));
            assert_eq!(faults(&found), [dead(2), dead(5)], "{:?}", said(&found));
        }
    }
}

#[test]
fn groups_that_are_not_tried_with_each_other_are_no_sets() {
    for mode in [Mode::WithinGroups, Mode::BetweenGroups] {
        let labels = (0..24).map(|node| format!("leaf-{}", node / 4)).collect();
        let options = Options {
            mode,
            labels: Some(labels),
            ..Options::default()
        };
        let found = survey_with(24, options, &|(a, b), _, _| a == 5 || b == 5);
        assert_eq!(faults(&found), [dead(5)], "{mode:?} {:?}", said(&found));
    }
}

#[test]
fn a_node_that_failed_once_with_each_is_tried_again() {
    for nodes in [3, 4, 5, 6, 8, 9, 16] {
        for mode in MODES {
            let is_of = |(a, b): Pair| a == 1 || b == 1;
            let once = survey(nodes, mode, 0, &|pair, time, _| is_of(pair) && time == 0);
            // It may still be one that fails in part.
            assert!(!faults(&once).contains(&dead(1)), "{:?}", said(&once));
            assert!(nodes > 5 || once.drain.is_empty(), "{:?}", said(&once));
            let always = survey(nodes, mode, 0, &|pair, _, _| is_of(pair));
            assert_eq!(
                faults(&always),
                [dead(1)],
                "{nodes} {mode:?} {:?}",
                said(&always)
            );
        }
    }
}

#[test]
fn a_node_that_fails_with_everyone_since_a_round_is_lost_and_its_links_are_not_bad() {
    for (nodes, mode) in [(16, Mode::Full), (16, Mode::Sampled), (24, Mode::Sampled)] {
        for last in [3, 6, 8, 10] {
            let since = |(a, b): Pair, _, round| (a == 3 || b == 3) && round >= last;
            let found = survey(nodes, mode, 0, &since);
            let [(Subject::Node { node: 3 }, kind)] = faults(&found)[..] else {
                panic!("{nodes} {mode:?} {last}: {:?}", said(&found));
            };
            // Of few measurements since, it may be one that fails in part.
            let is_late = mode == Mode::Sampled && last > 6;
            assert!(is_late || kind == VerdictKind::Unreachable);
            assert_eq!(found.drain, [3]);
        }
    }
    let found = survey(16, Mode::Full, 0, &|(a, b), _, at| {
        (a == 3 || b == 3) && at >= 6
    });
    let said = "node 3 worked until round 6 and since then failed with every one of 11 nodes";
    let first = &found.verdicts[0];
    assert!(first.statement.starts_with(said), "{}", first.statement);
    assert_eq!(first.evidence.worked_in, Some(5));
}

#[test]
fn a_pair_that_never_works_is_a_fault_among_few_nodes_too() {
    for nodes in [3, 4, 5, 6, 8] {
        for (mode, seed) in [(Mode::Full, 0), (Mode::Sampled, 0), (Mode::Sampled, 1)] {
            let mut was_tried = std::cell::Cell::new(false);
            let found = survey(nodes, mode, seed, &|pair, _, _| {
                was_tried.set(was_tried.get() || pair == (0, 1));
                pair == (0, 1)
            });
            let link = (Subject::Link { a: 0, b: 1 }, VerdictKind::Unreachable);
            let expected = if *was_tried.get_mut() {
                vec![link]
            } else {
                Vec::new()
            };
            assert_eq!(
                faults(&found),
                expected,
                "{nodes} {mode:?} {:?}",
                said(&found)
            );
        }
    }
}

#[test]
fn a_node_that_was_away_for_some_rounds_and_works_since_is_a_warning() {
    for nodes in [6, 8, 16, 33] {
        for mode in MODES {
            for end in [4, 6, 8] {
                let is_away =
                    |(a, b): Pair, _, round| (a == 1 || b == 1) && (1..end).contains(&round);
                let found = survey(nodes, mode, 0, &is_away);
                let all = said(&found);
                assert!(found.drain.is_empty(), "{nodes} {mode:?} {end} {all:?}");
                assert_eq!(found.faults().count(), 0, "{nodes} {mode:?} {all:?}");
                assert!(!all.is_empty(), "{nodes} {mode:?} {end}");
            }
        }
    }
    let found = survey(8, Mode::Full, 0, &|(a, b), _, round| {
        (a == 1 || b == 1) && (1..6).contains(&round)
    });
    let said_of_it = said(&found)[0];
    let expected = "node 1 failed in rounds 2 to 6, in 5 of ";
    assert!(said_of_it.starts_with(expected), "{said_of_it}");
    let end = "(fabric.deadline), and works since: run the survey again";
    assert!(said_of_it.ends_with(end), "{said_of_it}");
}
