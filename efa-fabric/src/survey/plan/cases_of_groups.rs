//! Surveys of nodes with labels: what is a group's, what is a path's, and what is the network's.

use super::super::random::Random;
use super::super::verdict::{Direction, Severity, Subject, Verdict, VerdictKind};
use super::cases::{faults, near, options, said, survey};
use super::*;

/// A survey of groups of this many nodes in which the path between two groups has these rates, from
/// the first to the second and back, with 2 % noise.
fn of_groups(nodes: usize, size: usize, mode: Mode, rate: fn(usize, usize) -> f64) -> Conclusion {
    with_rates(nodes, size, mode, |(a, b)| rate(a / size, b / size))
}

fn with_rates(nodes: usize, size: usize, mode: Mode, rate: impl Fn(Pair) -> f64) -> Conclusion {
    let mut random = Random::new(nodes as u64);
    let labels = (0..nodes).map(|node| format!("l{}", node / size)).collect();
    let with = Options {
        labels: Some(labels),
        ..options(mode, 1)
    };
    survey(nodes, with, &mut |(a, b), _, _| {
        let (forth, back) = near(1.0, &mut random)?;
        Some((forth * rate((a, b)), back * rate((b, a))))
    })
}

/// The only fault, which takes nobody out.
fn the_fault(found: &Conclusion, subject: Subject) -> &Verdict {
    let expected = [(subject, VerdictKind::SlowBandwidth)];
    assert_eq!(faults(found), expected, "{:?}", said(found));
    assert!(found.drain.is_empty());
    assert!(found.noise_percent < Some(5.0), "{:?}", found.noise_percent);
    &found.verdicts[0]
}

fn shows(verdict: &Verdict, value: f64, typical: f64) {
    let e = &verdict.evidence;
    for (value, expected) in [(e.value, value), (e.typical, typical)] {
        assert!((value.unwrap() / expected - 1.0).abs() < 0.03, "{e:?}");
    }
}

#[test]
fn a_slow_path_between_two_groups_is_the_path_and_no_group() {
    for nodes in [12, 16, 20] {
        let found = of_groups(nodes, 4, Mode::Full, |from, to| {
            if from + to == 1 { 50.0 } else { 100.0 }
        });
        let fault = the_fault(&found, Subject::GroupPath { a: 0, b: 1 });
        shows(fault, 50.0, 100.0);
        let e = &fault.evidence;
        // Measuring slow pairs again adds none: 16 pairs, both directions.
        assert_eq!((e.observations, e.direction), (32, Some(Direction::Both)));
        let start = "the path between the groups l0 and l1 has 50 % less bandwidth than the paths \
                     between other groups (median ";
        assert!(fault.statement.starts_with(start), "{}", fault.statement);
    }
}

#[test]
fn a_group_that_only_sends_less_is_shown_by_what_it_sends() {
    for nodes in [12, 16, 20] {
        let found = of_groups(nodes, 4, Mode::Full, |from, to| {
            if from == 0 && to != 0 { 50.0 } else { 100.0 }
        });
        let fault = the_fault(&found, Subject::Group { group: 0 });
        shows(fault, 50.0, 100.0);
        assert_eq!(fault.evidence.direction, Some(Direction::Sends));
        let start = "the group l0 has 50 % less bandwidth in what it sends than the median";
        assert!(fault.statement.starts_with(start), "{}", fault.statement);
    }
}

#[test]
fn one_direction_between_groups_is_a_fault_of_that_path_and_no_noise() {
    for (nodes, size) in [(16, 8), (33, 17)] {
        for mode in [Mode::Full, Mode::Sampled] {
            let found = of_groups(
                nodes,
                size,
                mode,
                |from, to| {
                    if from < to { 5.0 } else { 100.0 }
                },
            );
            let fault = the_fault(&found, Subject::GroupPath { a: 0, b: 1 });
            shows(fault, 5.0, 100.0);
            let start =
                "the path from the group l0 to l1 has 95 % less bandwidth than the way back";
            assert!(fault.statement.starts_with(start), "{}", fault.statement);
        }
    }
}

#[test]
fn a_group_that_is_slow_inside_is_named() {
    for (nodes, size) in [(16, 4), (33, 4), (16, 8)] {
        let found = of_groups(nodes, size, Mode::Full, |from, to| {
            if from == 0 && to == 0 { 50.0 } else { 100.0 }
        });
        let fault = the_fault(&found, Subject::GroupPath { a: 0, b: 0 });
        shows(fault, 50.0, 100.0);
        let said = &fault.statement;
        assert!(
            said.starts_with("the inside of the group l0 has "),
            "{said}"
        );
        let than = " % less bandwidth than that of the other groups (median ";
        assert!(said.contains(than), "{said}");
    }
}

#[test]
fn less_between_all_groups_is_the_network_and_is_stated() {
    for (across, warns) in [(5.0, true), (30.0, true), (60.0, false)] {
        for (nodes, size, mode) in [(16, 8, Mode::Full), (32, 4, Mode::Sampled)] {
            let found = with_rates(nodes, size, mode, |(a, b)| {
                if a / size == b / size { 100.0 } else { across }
            });
            assert!(faults(&found).is_empty(), "{:?}", said(&found));
            let kinds = found.verdicts.iter().map(|v| v.kind);
            let kinds: Vec<_> = kinds
                .filter(|k| *k == VerdictKind::Oversubscribed)
                .collect();
            assert_eq!(kinds.len(), usize::from(warns), "{:?}", said(&found));
            let rates = found.group_rates.unwrap();
            let share = rates.share().unwrap();
            assert!((share / (across / 100.0) - 1.0).abs() < 0.05, "{rates:?}");
            assert!(rates.inside_ways > 0 && rates.across_ways > rates.inside_ways);
        }
    }
}

#[test]
fn slow_nodes_and_pairs_are_no_slow_paths() {
    // One node of three, with everybody: the rest of its group is well.
    let found = with_rates(9, 3, Mode::Full, |(a, b)| {
        if a == 1 || b == 1 { 50.0 } else { 100.0 }
    });
    let node = [(Subject::Node { node: 1 }, VerdictKind::SlowBandwidth)];
    assert_eq!(faults(&found), node, "{:?}", said(&found));
    // Pairs that take a slower path, wherever they are.
    for seed in 0..8 {
        let found = with_rates(16, 4, Mode::Sampled, |(a, b)| {
            let (low, high) = (a.min(b), a.max(b));
            let mixed = (low * 31 + high * 17 + seed * 7919) * 2_654_435_761 % 1000;
            if mixed < 150 { 70.0 } else { 100.0 }
        });
        let is_path = |v: &&Verdict| matches!(v.subject, Subject::GroupPath { .. });
        assert_eq!(found.verdicts.iter().find(is_path), None);
    }
}

#[test]
fn two_levels_that_only_the_fit_sees_are_not_stated() {
    for seed in 0..6 {
        let mut random = Random::new(seed);
        let with = Options {
            labels: Some((0..16).map(|node| format!("l{}", node / 8)).collect()),
            ..options(Mode::Sampled, seed)
        };
        let found = survey(16, with, &mut |(a, b), _, _| {
            let (forth, back) = near(100.0, &mut random)?;
            let of = |gbps: f64, is_slow| if is_slow { gbps / 20.0 } else { gbps };
            Some((of(forth, a < 8 && b >= 8), back))
        });
        for verdict in found
            .verdicts
            .iter()
            .filter(|v| v.kind == VerdictKind::Structure)
        {
            let e = &verdict.evidence;
            assert!(e.value.unwrap() < 0.87 * e.typical.unwrap(), "{e:?}");
        }
    }
}

#[test]
fn a_group_of_two_is_named_where_they_are_fast_with_each_other() {
    for nodes in [16, 33] {
        let found = of_groups(nodes, 2, Mode::Full, |from, to| {
            if (from == 0) == (to == 0) {
                100.0
            } else {
                50.0
            }
        });
        let fault = the_fault(&found, Subject::Group { group: 0 });
        shows(fault, 50.0, 100.0);
        // Two slow nodes are two slow nodes, whatever their label.
        let found = of_groups(nodes, 2, Mode::Full, |from, to| {
            if from == 0 || to == 0 { 50.0 } else { 100.0 }
        });
        assert_eq!(found.drain, [0, 1], "{:?}", said(&found));
    }
}

#[test]
fn a_slow_link_that_is_compared_with_nothing_of_its_kind_has_numbers_all_the_same() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let with = Options {
            labels: Some((0..16).map(|node| format!("l{}", node / 4)).collect()),
            ..options(Mode::Sampled, seed)
        };
        let found = survey(16, with, &mut |(a, b), _, _| {
            near(if a < 4 && b < 4 { 50.0 } else { 100.0 }, &mut random)
        });
        for verdict in &found.verdicts {
            let e = &verdict.evidence;
            let is_slow = verdict.kind == VerdictKind::SlowBandwidth;
            let has_numbers = e.value.is_some() && e.typical.is_some() && e.observations > 0;
            assert!(!is_slow || has_numbers, "{seed} {}", verdict.statement);
        }
    }
}

#[test]
fn the_nodes_of_a_small_leaf_that_nobody_labeled_are_in_the_sentence() {
    for (across, severity) in [(50.0, Severity::Info), (10.0, Severity::Warning)] {
        let mut random = Random::new(3);
        let found = survey(16, options(Mode::Full, 0), &mut |(a, b), _, _| {
            let is_inside = (a < 2) == (b < 2);
            near(if is_inside { 100.0 } else { across }, &mut random)
        });
        let [verdict] = &found.verdicts[..] else {
            panic!("{:?}", said(&found));
        };
        assert_eq!(
            (verdict.kind, verdict.severity),
            (VerdictKind::Structure, severity)
        );
        let nodes =
            "mostly those between node 0, node 1 and the others, which no single node explains";
        assert!(verdict.statement.contains(nodes), "{}", verdict.statement);
    }
}
