use proptest::prelude::*;

use super::super::observation::{Measured, Observations, PairObservation};
use super::super::options::{Mode, Options};
use super::super::plan::Plan;
use super::super::simulate::Fabric;
use super::*;

/// 16 nodes below leaves of eight, with uplinks for this many of them at full rate.
fn fabric(uplink: usize) -> Fabric {
    Fabric {
        leaf: 8,
        node_gbps: 100.0,
        uplink_gbps: 100.0 * uplink as f64,
    }
}

/// What the pairs of a survey measure: all of a round at the same time, one direction after the
/// other.
fn survey(fabric: &Fabric, mode: Mode) -> Observations {
    let options = Options {
        mode,
        ..Options::default()
    };
    let mut plan = Plan::new(16, options).unwrap();
    let mut seen = Observations::new(16);
    while let Some(round) = plan.next(&seen) {
        let forth = fabric.rates(&round.pairs);
        let turned: Vec<Flow> = round.pairs.iter().map(|&(a, b)| (b, a)).collect();
        let back = fabric.rates(&turned);
        for (at, &(a, b)) in round.pairs.iter().enumerate() {
            let m = Measured::new(20.0, forth[at], back[at]);
            seen.add(PairObservation::measured(a, b, None, &round, m))
                .unwrap();
        }
    }
    seen
}

fn carry_out(fabric: &Fabric, steps: &[Step]) -> Vec<FlowSeen> {
    let seen = |step: &Step| {
        let rates = fabric.rates(&step.flows);
        let of = step.flows.iter().zip(rates);
        let seen = of.map(|(flow, gbps)| FlowSeen::new(step.index, *flow, Some(gbps)));
        seen.collect::<Vec<_>>()
    };
    steps.iter().flat_map(seen).collect()
}

fn in_order() -> Vec<usize> {
    (0..16).collect()
}

/// Neighbours are below different leaves.
fn interleaved() -> Vec<usize> {
    (0..8).flat_map(|at| [at, at + 8]).collect()
}

fn labels() -> Vec<String> {
    (0..16).map(|node| format!("leaf-{}", node / 8)).collect()
}

fn told(fabric: &Fabric, pairs: &Observations, pattern: Pattern, nodes: &[usize]) -> Collective {
    let steps = steps(pattern, nodes);
    let seen = carry_out(fabric, &steps);
    judge(pattern, &steps, &seen, pairs, Some(&labels()))
}

#[test]
fn a_fabric_with_room_for_all_keeps_what_its_pairs_promise() {
    let fabric = fabric(8);
    let pairs = survey(&fabric, Mode::Full);
    for pattern in [Pattern::Ring, Pattern::AllToAll, Pattern::Incast] {
        let found = told(&fabric, &pairs, pattern, &interleaved());
        assert!(found.scales(), "{found:?}");
        for gbps in [found.measured_gbps, found.expected_gbps] {
            assert!((gbps.unwrap() - 100.0).abs() < 1e-6, "{found:?}");
        }
    }
}

#[test]
fn a_ring_across_leaves_breaks_where_pairs_are_fine() {
    let fabric = fabric(4);
    // Each pair of the survey alone: nothing shares an uplink.
    let mut pairs = Observations::new(16);
    for round in 0..15 {
        for (a, b) in super::super::schedule::full(16).round(round) {
            let one = super::super::round::Round::new(
                round,
                super::super::round::Stage::Alone,
                vec![(a, b)],
            );
            let m = Measured::new(20.0, fabric.rates(&[(a, b)])[0], fabric.rates(&[(b, a)])[0]);
            pairs
                .add(PairObservation::measured(a, b, None, &one, m))
                .unwrap();
        }
    }
    let across = told(&fabric, &pairs, Pattern::Ring, &interleaved());
    assert_eq!(across.breaks, Some(Breaks::Everywhere), "{across:?}");
    assert!((across.measured_gbps.unwrap() - 50.0).abs() < 1e-6);
    assert!((across.expected_gbps.unwrap() - 100.0).abs() < 1e-6);
    // In the order of the leaves only two flows pass an uplink.
    let within = told(&fabric, &pairs, Pattern::Ring, &in_order());
    assert!(within.scales(), "{within:?}");
    // The shifts of all to all in that order pass it with one to eight.
    let all = told(&fabric, &pairs, Pattern::AllToAll, &in_order());
    assert!(
        !all.scales() && all.measured_gbps < all.expected_gbps,
        "{all:?}"
    );
    assert!(told(&fabric, &pairs, Pattern::Incast, &in_order()).scales());
}

#[test]
fn what_breaks_is_named() {
    let pairs = survey(&fabric(8), Mode::Full);
    let steps = steps(Pattern::AllToAll, &in_order());
    let seen_with = |slow: &dyn Fn(Flow) -> bool| -> Vec<FlowSeen> {
        let flows = steps
            .iter()
            .flat_map(|step| step.flows.iter().map(|flow| (step.index, *flow)));
        let gbps = |flow| if slow(flow) { 60.0 } else { 99.0 };
        flows
            .map(|(step, flow)| FlowSeen::new(step, flow, Some(gbps(flow))))
            .collect()
    };
    let leaf = |node: usize| node / 8;
    for (slow, expected) in [
        (&(|_| true) as &dyn Fn(Flow) -> bool, Breaks::Everywhere),
        (&|(from, to)| leaf(from) != leaf(to), Breaks::AcrossGroups),
        (&|(from, to)| from == 5 || to == 5, Breaks::Node(5)),
        (&|flow| flow == (2, 9), Breaks::Flows(vec![(2, 9)])),
    ] {
        let found = judge(
            Pattern::AllToAll,
            &steps,
            &seen_with(slow),
            &pairs,
            Some(&labels()),
        );
        assert_eq!(found.breaks, Some(expected));
        assert!(!found.scales());
    }
    let well = judge(
        Pattern::AllToAll,
        &steps,
        &seen_with(&|_| false),
        &pairs,
        None,
    );
    assert!(well.scales(), "{well:?}");
}

#[test]
fn what_was_not_measured_is_not_claimed() {
    let fabric = fabric(8);
    let pairs = survey(&fabric, Mode::Sampled);
    let found = told(&fabric, &pairs, Pattern::AllToAll, &in_order());
    assert!(
        found.compared < found.flows && found.expected_gbps.is_none(),
        "{found:?}"
    );
    assert!(found.breaks.is_none() && !found.scales());

    let steps = steps(Pattern::Ring, &in_order());
    let nothing = judge(
        Pattern::Ring,
        &steps,
        &[],
        &survey(&fabric, Mode::Full),
        None,
    );
    assert!(nothing.measured_gbps.is_none() && nothing.compared == 0 && !nothing.scales());
    let failed: Vec<FlowSeen> = steps
        .iter()
        .flat_map(|step| {
            step.flows
                .iter()
                .map(|flow| FlowSeen::new(step.index, *flow, None))
        })
        .collect();
    let failed = judge(Pattern::Ring, &steps, &failed, &Observations::new(16), None);
    assert_eq!((failed.failed, failed.measured_gbps), (failed.flows, None));
    assert!(!failed.scales());
}

#[test]
fn a_receiver_is_judged_by_what_it_takes_in_all() {
    let pairs = survey(&fabric(8), Mode::Full);
    let steps = steps(Pattern::Incast, &in_order());
    assert_eq!(steps.len(), 16);
    assert!(steps.iter().all(|step| step.flows.len() == SENDERS));
    let seen = |share: &dyn Fn(usize) -> f64| -> Vec<FlowSeen> {
        let flows = steps
            .iter()
            .flat_map(|step| step.flows.iter().map(|flow| (step.index, *flow)));
        flows
            .map(|(step, flow)| {
                // Half of them have hardly anything.
                let even = if flow.0 % 2 == 0 { 1.9 } else { 0.1 };
                FlowSeen::new(
                    step,
                    flow,
                    Some(even * share(flow.1) * 100.0 / SENDERS as f64),
                )
            })
            .collect()
    };
    let uneven = judge(Pattern::Incast, &steps, &seen(&|_| 0.95), &pairs, None);
    assert!(uneven.scales(), "{uneven:?}");
    let slow = seen(&|to| if to == 3 { 0.5 } else { 1.0 });
    let slow = judge(Pattern::Incast, &steps, &slow, &pairs, None);
    assert!(
        matches!(&slow.breaks, Some(Breaks::Flows(flows)) if flows.iter().all(|f| f.1 == 3)),
        "{slow:?}"
    );
}

proptest! {
    #[test]
    fn in_a_shift_every_node_sends_once_and_receives_once(count in 2usize..40, seed: u64) {
        let first = (seed % 1000) as usize;
        let nodes: Vec<usize> = (first..first + count).collect();
        for pattern in [Pattern::Ring, Pattern::AllToAll] {
            for step in steps(pattern, &nodes) {
                let senders: BTreeSet<usize> = step.flows.iter().map(|flow| flow.0).collect();
                let receivers: BTreeSet<usize> = step.flows.iter().map(|flow| flow.1).collect();
                prop_assert_eq!(step.flows.len(), count);
                prop_assert_eq!((senders.len(), receivers.len()), (count, count));
                prop_assert!(step.flows.iter().all(|flow| flow.0 != flow.1));
            }
        }
        for step in steps(Pattern::Incast, &nodes) {
            let receivers: BTreeSet<usize> = step.flows.iter().map(|flow| flow.1).collect();
            prop_assert_eq!(receivers.len(), 1);
            prop_assert!(step.flows.iter().all(|flow| flow.0 != flow.1));
        }
        prop_assert!(steps(Pattern::AllToAll, &nodes).len() <= MOST_STEPS);
    }

    #[test]
    fn nothing_carries_more_than_it_can(
        flows in proptest::collection::vec((0usize..16, 0usize..16), 1..30),
        uplink in 1usize..8,
    ) {
        let flows: Vec<Flow> = flows.into_iter().filter(|flow| flow.0 != flow.1).collect();
        let fabric = fabric(uplink);
        let rates = fabric.rates(&flows);
        let sum = |of: &dyn Fn(&Flow) -> bool| -> f64 {
            flows.iter().zip(&rates).filter(|(flow, _)| of(flow)).map(|(_, gbps)| gbps).sum()
        };
        for node in 0..16 {
            prop_assert!(sum(&|flow| flow.0 == node) <= 100.0 + 1e-6);
            prop_assert!(sum(&|flow| flow.1 == node) <= 100.0 + 1e-6);
        }
        for leaf in 0..2 {
            let up = |flow: &Flow| flow.0 / 8 == leaf && flow.1 / 8 != leaf;
            prop_assert!(sum(&up) <= fabric.uplink_gbps + 1e-6);
        }
        prop_assert!(rates.iter().all(|gbps| *gbps > 0.0));
    }
}
