//! Surveys of clusters that were once judged wrong, the smallest of each kind.

use std::collections::BTreeMap;

use super::super::observation::{Failure, FailurePhase, Measured, PairObservation};
use super::super::random::Random;
use super::super::verdict::{Severity, Subject, Verdict, VerdictKind};
use super::*;

/// A measurement of a pair, the n-th of it, in a round of this many pairs: both rates, or none.
pub(super) type Measure<'a> = &'a mut dyn FnMut(Pair, usize, usize) -> Option<(f64, f64)>;

pub(super) fn survey(nodes: usize, options: Options, measure: Measure<'_>) -> Conclusion {
    let mut plan = Plan::new(nodes, options).unwrap();
    let mut seen = Observations::new(nodes);
    let mut times: BTreeMap<Pair, usize> = BTreeMap::new();
    while let Some(round) = plan.next(&seen) {
        for &(a, b) in &round.pairs {
            let time = times.entry((a, b)).or_default();
            let observation = match measure((a, b), *time, round.pairs.len()) {
                Some((forth, back)) => {
                    let m = Measured::new(20.0, forth, back);
                    PairObservation::measured(a, b, None, &round, m)
                }
                None => {
                    let failure = Failure::new(FailurePhase::Contact, "fabric.timeout", 10.0);
                    PairObservation::failed(a, b, None, &round, failure)
                }
            };
            *time += 1;
            seen.add(observation).unwrap();
        }
    }
    plan.conclude(&seen)
}

pub(super) fn options(mode: Mode, seed: u64) -> Options {
    Options {
        mode,
        seed,
        ..Options::default()
    }
}

/// Two directions of a rate with 2 % noise.
pub(super) fn near(gbps: f64, random: &mut Random) -> Option<(f64, f64)> {
    let mut noisy = || gbps * (0.02 * random.normal()).exp();
    Some((noisy(), noisy()))
}

pub(super) fn faults(conclusion: &Conclusion) -> Vec<(Subject, VerdictKind)> {
    conclusion.faults().map(|v| (v.subject, v.kind)).collect()
}

pub(super) fn said(conclusion: &Conclusion) -> Vec<&str> {
    let all = conclusion.verdicts.iter();
    all.map(|v| v.statement.as_str()).collect()
}

#[test]
fn a_bad_leaf_is_one_verdict_with_numbers_that_were_measured() {
    for (nodes, leaf) in [(12, 4), (16, 4), (32, 8), (64, 16), (9, 3)] {
        let mut random = Random::new(nodes as u64);
        let of = |node: usize| node / leaf;
        let mut measure = |(a, b): Pair, _, _| {
            let slow = of(a) != of(b) && (of(a) == 0 || of(b) == 0);
            near(if slow { 60.0 } else { 100.0 }, &mut random)
        };
        let labels = (0..nodes)
            .map(|node| format!("leaf-{}", of(node)))
            .collect();
        let with = Options {
            labels: Some(labels),
            ..options(Mode::Full, 0)
        };
        let found = survey(nodes, with, &mut measure);
        let expected = [(Subject::Group { group: 0 }, VerdictKind::SlowBandwidth)];
        assert_eq!(faults(&found), expected, "{:?}", said(&found));
        assert!(found.drain.is_empty());
        let evidence = &found.verdicts[0].evidence;
        assert_eq!(evidence.label.as_deref(), Some("leaf-0"));
        assert_eq!(evidence.nodes, (0..leaf).collect::<Vec<_>>());
        for (value, expected) in [(evidence.value, 60.0), (evidence.typical, 100.0)] {
            assert!((value.unwrap() - expected).abs() < 2.0, "{evidence:?}");
        }
    }
}

#[test]
fn a_bad_node_and_a_bad_link_are_named_next_to_a_bad_leaf() {
    let mut random = Random::new(5);
    let mut measure = |(a, b): Pair, _, _| {
        let of = |node: usize| node / 8;
        let mut gbps = 100.0;
        if of(a) != of(b) && (of(a) == 0 || of(b) == 0) {
            gbps *= 0.6;
        }
        if a == 20 || b == 20 {
            gbps *= 0.7;
        }
        if (a, b) == (10, 30) {
            gbps *= 0.6;
        }
        near(gbps, &mut random)
    };
    let with = Options {
        labels: Some((0..32).map(|node| format!("leaf-{}", node / 8)).collect()),
        ..options(Mode::Full, 0)
    };
    let found = survey(32, with, &mut measure);
    assert_eq!(found.drain, [20], "{:?}", said(&found));
    let kinds = faults(&found);
    assert_eq!(kinds.len(), 3, "{:?}", said(&found));
    for subject in [Subject::Group { group: 0 }, Subject::Link { a: 10, b: 30 }] {
        assert!(kinds.contains(&(subject, VerdictKind::SlowBandwidth)));
    }
}

#[test]
fn two_populations_are_distinguished() {
    for (nodes, mode) in [
        (16, Mode::Full),
        (16, Mode::Sampled),
        (64, Mode::Sampled),
        (11, Mode::Full),
    ] {
        let mut random = Random::new(3);
        let mut measure = |(a, b): Pair, _, _| {
            let slow = a % 2 == 1 || b % 2 == 1;
            near(if slow { 50.0 } else { 100.0 }, &mut random)
        };
        let found = survey(nodes, options(mode, 1), &mut measure);
        let expected = [(Subject::Cluster, VerdictKind::Populations)];
        assert_eq!(faults(&found), expected, "{:?}", said(&found));
        let odd: Vec<usize> = (0..nodes).filter(|node| node % 2 == 1).collect();
        assert_eq!(found.verdicts[0].evidence.nodes, odd);
        assert!(!found.is_healthy() && found.drain.is_empty());
    }
}

#[test]
fn single_failures_are_seen_and_are_no_faults() {
    for seed in 0..12 {
        let mut random = Random::new(seed);
        let mut count = 0;
        let mut measure = |_: Pair, _, _| {
            count += 1;
            let fails = [3, 9, 17].contains(&count);
            near(100.0, &mut random).filter(|_| !fails)
        };
        let found = survey(16, options(Mode::Sampled, seed), &mut measure);
        assert!(found.is_healthy(), "{:?}", said(&found));
        let once = |v: &&super::super::Verdict| v.kind == VerdictKind::SeenOnce;
        assert!(
            found.verdicts.iter().any(|v| once(&v)),
            "{:?}",
            said(&found)
        );
        let worse = found
            .verdicts
            .iter()
            .filter(|v| v.severity > Severity::Info);
        assert_eq!(worse.count(), 0, "{:?}", said(&found));
    }
}

#[test]
fn a_failed_measurement_of_a_suspect_does_not_save_it() {
    for (nodes, mode) in [(8, Mode::Full), (8, Mode::Sampled), (16, Mode::Sampled)] {
        for failing in 1..=3 {
            let mut random = Random::new(failing);
            let mut alone = 0;
            let mut measure = |(a, b): Pair, _, pairs| {
                let slow = a == 3 || b == 3;
                alone += u64::from(slow && pairs == 1);
                let fails = slow && pairs == 1 && alone == failing;
                near(if slow { 70.0 } else { 100.0 }, &mut random).filter(|_| !fails)
            };
            let found = survey(nodes, options(mode, 0), &mut measure);
            assert_eq!(found.drain, [3], "{failing} {:?}", said(&found));
        }
    }
}

#[test]
fn a_slow_node_is_named_where_everybody_is_faster_alone() {
    for (nodes, mode) in [(8, Mode::Full), (8, Mode::Sampled), (16, Mode::Sampled)] {
        let mut random = Random::new(4);
        let mut measure = |(a, b): Pair, _, pairs| {
            let alone = if pairs == 1 { 1.5 } else { 1.0 };
            let gbps = if a == 3 || b == 3 { 70.0 } else { 100.0 };
            near(gbps * alone, &mut random)
        };
        let found = survey(nodes, options(mode, 0), &mut measure);
        assert_eq!(found.drain, [3], "{nodes} {mode:?} {:?}", said(&found));
    }
}

#[test]
fn one_lucky_measurement_does_not_clear_a_node_at_half_the_rate() {
    for (nodes, mode) in [(6, Mode::Full), (8, Mode::Full), (8, Mode::Sampled)] {
        let mut random = Random::new(6);
        let mut lucky = None;
        let mut measure = |(a, b): Pair, time, _| {
            let slow = a == 3 || b == 3;
            let is_lucky = slow && time == 0 && *lucky.get_or_insert((a, b)) == (a, b);
            near(if slow && !is_lucky { 50.0 } else { 100.0 }, &mut random)
        };
        let found = survey(nodes, options(mode, 0), &mut measure);
        assert_eq!(found.drain, [3], "{nodes} {mode:?} {:?}", said(&found));
    }
}

#[test]
fn a_node_that_fails_or_halves_in_part_is_unstable_and_its_links_are_not_blamed() {
    for seed in 0..6 {
        for fails in [true, false] {
            let mut random = Random::new(seed);
            let mut measure = |(a, b): Pair, _, _| {
                let bad = (a == 3 || b == 3) && random.unit() < 0.4;
                let gbps = if bad && !fails { 50.0 } else { 100.0 };
                near(gbps, &mut random).filter(|_| !(bad && fails))
            };
            let found = survey(16, options(Mode::Full, seed), &mut measure);
            let expected = [(Subject::Node { node: 3 }, VerdictKind::Unstable)];
            assert_eq!(
                faults(&found),
                expected,
                "{seed} {fails} {:?}",
                said(&found)
            );
            assert_eq!(found.drain, [3]);
            let evidence = &found.verdicts[0].evidence;
            let bad = if fails {
                evidence.failed
            } else {
                evidence.slow
            };
            assert_eq!(bad + evidence.observations, evidence.tried, "{evidence:?}");
        }
    }
}

#[test]
fn leaves_without_labels_are_structure_and_nobody_is_drained() {
    let second = |nodes: usize, small: usize| move |node: usize| node >= nodes - small;
    for (nodes, small) in [(16, 4), (16, 8), (8, 2), (12, 3), (24, 8)] {
        for (mode, seeds) in [(Mode::Full, 1), (Mode::Sampled, 3)] {
            for seed in 0..seeds {
                let mut random = Random::new(seed + 40);
                let of = second(nodes, small);
                let mut measure = |(a, b): Pair, _, _| {
                    near(if of(a) == of(b) { 100.0 } else { 60.0 }, &mut random)
                };
                let found = survey(nodes, options(mode, seed), &mut measure);
                assert!(
                    found.is_healthy(),
                    "{nodes} {small} {mode:?} {:?}",
                    said(&found)
                );
                assert!(found.drain.is_empty());
                for verdict in &found.verdicts {
                    // Noise is 2 %: nothing was measured far from 60 and 100.
                    let evidence = &verdict.evidence;
                    for gbps in [evidence.value, evidence.typical].into_iter().flatten() {
                        let off = (gbps - 60.0).abs().min((gbps - 100.0).abs());
                        assert!(off < 5.0, "{}", verdict.statement);
                    }
                }
            }
        }
    }
}

#[test]
fn a_bad_quarter_is_named_whole() {
    let mut random = Random::new(9);
    let mut measure = |(a, b): Pair, _, _| {
        let slow = a % 4 == 1 || b % 4 == 1;
        near(if slow { 80.0 } else { 100.0 }, &mut random)
    };
    let found = survey(128, options(Mode::Sampled, 1), &mut measure);
    let bad: Vec<usize> = (0..128).filter(|node| node % 4 == 1).collect();
    assert_eq!(found.drain, bad, "{:?}", said(&found));
}

#[test]
fn noise_is_measured_and_said() {
    for noise in [0.02, 0.1] {
        let mut random = Random::new(2);
        let mut measure = |_: Pair, _, _| {
            let mut noisy = || 100.0 * (noise * random.normal()).exp();
            Some((noisy(), noisy()))
        };
        let found = survey(16, options(Mode::Full, 0), &mut measure);
        let percent = found.noise_percent.unwrap();
        assert!((percent / 100.0 / noise - 1.0).abs() < 0.25, "{percent}");
        assert!(found.detectable_percent.unwrap() >= 10.0);
    }
}

#[test]
fn every_number_of_a_node_is_the_median_of_its_own_measurements() {
    let mut random = Random::new(1);
    let mut of_node = Vec::new();
    let mut measure = |(a, b): Pair, _, pairs| {
        let slow = a == 5 || b == 5;
        let rates = near(if slow { 75.0 } else { 100.0 }, &mut random)?;
        if slow && pairs > 1 {
            of_node.extend([rates.0, rates.1]);
        }
        Some(rates)
    };
    let found = survey(16, options(Mode::Full, 0), &mut measure);
    assert_eq!(found.drain, [5]);
    let evidence = &found.verdicts[0].evidence;
    assert_eq!(evidence.observations, of_node.len());
    let median = crate::median::median(&mut of_node).unwrap();
    assert!((evidence.value.unwrap() - median).abs() < 1e-9);
}

/// A node at a rate with all others but these.
fn slow_with_most(nodes: usize, mode: Mode, good: &[usize], seed: u64) -> Conclusion {
    let mut random = Random::new(seed);
    let mut measure = |(a, b): Pair, _, _| {
        let other = [a, b].into_iter().find(|&node| node != 1);
        let is_slow = (a == 1 || b == 1) && other.is_some_and(|other| !good.contains(&other));
        near(if is_slow { 50.0 } else { 100.0 }, &mut random)
    };
    survey(nodes, options(mode, seed), &mut measure)
}

#[test]
fn a_good_pair_does_not_clear_a_node_that_is_slow_with_all_others() {
    for (nodes, mode, good) in [
        (6, Mode::Full, &[0][..]),
        (8, Mode::Full, &[0, 2]),
        (16, Mode::Full, &[0]),
        (33, Mode::Full, &[0]),
        (8, Mode::Sampled, &[0]),
        (16, Mode::Sampled, &[0]),
    ] {
        for seed in 0..4 {
            let found = slow_with_most(nodes, mode, good, seed);
            assert_eq!(found.drain, [1], "{nodes} {mode:?} {:?}", said(&found));
        }
    }
}

#[test]
fn a_node_that_is_slow_with_many_but_good_with_several_is_not_healthy() {
    for mode in [Mode::Full, Mode::Sampled] {
        for (nodes, good) in [
            (6, &[0, 2][..]),
            (8, &[0, 2, 3]),
            (9, &[0, 2, 3]),
            (16, &[0, 2, 3]),
        ] {
            for seed in 0..3 {
                let found = slow_with_most(nodes, mode, good, seed);
                // The node, or the links to those with which it is slow.
                let only = |v: &Verdict| match v.subject {
                    Subject::Node { node } => node == 1,
                    Subject::Link { a, b } => {
                        (a == 1 && !good.contains(&b)) || (b == 1 && !good.contains(&a))
                    }
                    _ => false,
                };
                let faults: Vec<&Verdict> = found.faults().collect();
                let all = said(&found);
                assert!(!faults.is_empty(), "{nodes} {mode:?} {seed} {all:?}");
                assert!(faults.iter().all(|v| only(v)), "{nodes} {mode:?} {all:?}");
            }
        }
    }
}

/// Leaves of these sizes, 60 % across; node 0 has a share of every rate.
fn of_leaves(sizes: &[usize], share: f64, mode: Mode, seed: u64) -> Conclusion {
    let leaf = sizes.iter().enumerate();
    let leaf = leaf.flat_map(|(leaf, &size)| std::iter::repeat_n(leaf, size));
    let leaf: Vec<usize> = leaf.collect();
    let mut random = Random::new(seed);
    let mut measure = |(a, b): Pair, _, _| {
        let level = if leaf[a] == leaf[b] { 100.0 } else { 60.0 };
        near(if a == 0 { share * level } else { level }, &mut random)
    };
    survey(leaf.len(), options(mode, seed), &mut measure)
}

#[test]
fn leaves_without_labels_do_not_hide_a_slow_node() {
    for sizes in [&[10, 6, 4][..], &[8, 8], &[4; 4]] {
        for share in [0.7, 0.5, 0.2] {
            let found = of_leaves(sizes, share, Mode::Full, 1);
            assert_eq!(found.drain, [0], "{sizes:?} {share} {:?}", said(&found));
        }
        let found = of_leaves(sizes, 1.0, Mode::Full, 1);
        assert!(found.drain.is_empty(), "{sizes:?} {:?}", said(&found));
        let levels = found.verdicts.iter();
        let mut levels = levels.filter(|v| v.kind == VerdictKind::Structure);
        assert!(levels.next().is_some(), "{sizes:?} {:?}", said(&found));
    }
}

#[test]
fn levels_that_no_leaves_explain_are_not_said_to_hide_nothing() {
    let mut random = Random::new(3);
    let mut measure = |(a, b): Pair, _, _| {
        let is_low = Random::new((100 * a + b) as u64).unit() < 0.25;
        near(if is_low { 60.0 } else { 100.0 }, &mut random)
    };
    let found = survey(16, options(Mode::Full, 3), &mut measure);
    assert!(found.noise_percent.is_some() && found.drain.is_empty());
    assert_eq!(found.detectable_percent, None, "{:?}", said(&found));
}

#[test]
fn the_nodes_of_a_small_leaf_meet_each_other_before_any_is_taken_out() {
    for sizes in [[37, 3], [61, 3], [35, 5]] {
        for seed in 0..3 {
            let found = of_leaves(&sizes, 1.0, Mode::Sampled, seed);
            assert!(found.drain.is_empty(), "{sizes:?} {:?}", said(&found));
        }
    }
}

#[test]
fn a_node_whose_rates_are_anything_is_unstable() {
    let mut named = 0;
    for seed in 0..10 {
        let mut random = Random::new(seed);
        let mut measure = |(a, b): Pair, _, _| {
            let mut share = || match a == 3 || b == 3 {
                true => 0.4 + 0.6 * random.unit(),
                false => 1.0,
            };
            let (forth, back) = (share(), share());
            near(100.0, &mut random).map(|(x, y)| (forth * x, back * y))
        };
        let found = survey(16, options(Mode::Full, seed), &mut measure);
        named += usize::from(found.drain == [3]);
    }
    assert!(named >= 8, "{named}");
}

/// Latency that varies much, as in shared clouds: what is stated of it is what its numbers show.
#[test]
fn no_verdict_is_contradicted_by_its_own_numbers() {
    let mut said_of_latency = 0;
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let mut plan = Plan::new(8, options(Mode::Full, seed)).unwrap();
        let mut seen = Observations::new(8);
        while let Some(round) = plan.next(&seen) {
            for &(a, b) in &round.pairs {
                let latency = 20.0 * (0.5 * random.normal()).exp();
                let (forth, back) = near(100.0, &mut random).unwrap();
                let m = Measured::new(latency, forth, back);
                seen.add(PairObservation::measured(a, b, None, &round, m))
                    .unwrap();
            }
        }
        for verdict in plan.conclude(&seen).verdicts {
            let e = &verdict.evidence;
            let (Some(change), Some(alone)) = (e.change_percent, e.alone_change_percent) else {
                continue;
            };
            said_of_latency += 1;
            match verdict.kind {
                VerdictKind::HighLatency => {
                    assert!(change > 0.0 && alone > 0.0, "{}", verdict.statement);
                }
                VerdictKind::Contention => assert!(change > alone, "{}", verdict.statement),
                _ => {}
            }
        }
    }
    assert!(said_of_latency > 0);
}
