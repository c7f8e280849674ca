use proptest::prelude::*;

use super::super::observation::{Measured, Observations, PairObservation};
use super::super::options::{Mode, Options};
use super::super::plan::Plan;
use super::super::random::Random;
use super::super::simulate::Fabric;
use super::*;

/// 16 nodes below leaves of eight, with uplinks for this many of them at full rate.
fn fabric(uplink: usize) -> Fabric {
    Fabric::new(8, 100.0, 100.0 * uplink as f64)
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

/// What carrying this pattern out over these nodes, in their order, comes to.
fn judged(
    pattern: Pattern,
    nodes: &[usize],
    seen: Vec<FlowSeen>,
    pairs: &Observations,
) -> Collective {
    let carried = Carried {
        seen,
        ..Carried::new(pattern, nodes.to_vec())
    };
    let found = judge(carried, pairs, Some(0.0), Some(&labels()));
    found
        .require_valid_for(pairs, Some(0.0), Some(&labels()))
        .unwrap();
    found
}

fn outcome_of(
    fabric: &Fabric,
    pairs: &Observations,
    pattern: Pattern,
    nodes: &[usize],
) -> Collective {
    let seen = carry_out(fabric, &steps(pattern, nodes, Some(&labels())));
    judged(pattern, nodes, seen, pairs)
}

/// Each flow of each step, with its rate.
fn seen(
    pattern: Pattern,
    nodes: &[usize],
    mut gbps: impl FnMut(Flow) -> Option<f64>,
) -> Vec<FlowSeen> {
    let mut all = Vec::new();
    for step in steps(pattern, nodes, Some(&labels())) {
        for flow in step.flows {
            all.push(FlowSeen::new(step.index, flow, gbps(flow)));
        }
    }
    all
}

#[test]
fn a_fabric_with_room_for_all_keeps_what_its_pairs_promise() {
    let fabric = fabric(8);
    let pairs = survey(&fabric, Mode::Full);
    for pattern in [Pattern::Ring, Pattern::AllToAll, Pattern::Incast] {
        let found = outcome_of(&fabric, &pairs, pattern, &interleaved());
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
    let across = outcome_of(&fabric, &pairs, Pattern::Ring, &interleaved());
    assert_eq!(across.breaks, Some(Breaks::Everywhere), "{across:?}");
    assert!((across.measured_gbps.unwrap() - 50.0).abs() < 1e-6);
    assert!((across.expected_gbps.unwrap() - 100.0).abs() < 1e-6);
    // In the order of the leaves only two flows pass an uplink.
    let within = outcome_of(&fabric, &pairs, Pattern::Ring, &in_order());
    assert!(within.scales(), "{within:?}");
    // The shifts of all to all in that order pass it with one to eight.
    let all = outcome_of(&fabric, &pairs, Pattern::AllToAll, &in_order());
    assert!(
        !all.scales() && all.measured_gbps < all.expected_gbps,
        "{all:?}"
    );
    assert!(outcome_of(&fabric, &pairs, Pattern::Incast, &in_order()).scales());
}

#[test]
fn what_breaks_is_named() {
    let pairs = survey(&fabric(8), Mode::Full);
    let nodes = in_order();
    let leaf = |node: usize| node / 8;
    let with = |slow: &dyn Fn(Flow) -> bool, labels: Option<&[String]>| {
        let gbps = |flow| Some(if slow(flow) { 60.0 } else { 99.0 });
        let carried = Carried {
            seen: seen(Pattern::AllToAll, &nodes, gbps),
            ..Carried::new(Pattern::AllToAll, nodes.clone())
        };
        judge(carried, &pairs, Some(0.02), labels)
    };
    let labels = labels();
    let across: &dyn Fn(Flow) -> bool = &|(from, to)| leaf(from) != leaf(to);
    for (slow, expected) in [
        (&(|_| true) as &dyn Fn(Flow) -> bool, Breaks::Everywhere),
        (across, Breaks::AcrossGroups),
        (&|(from, to)| from == 5 || to == 5, Breaks::Node(5)),
        (&|flow| flow == (2, 9), Breaks::Flows(vec![(2, 9)])),
    ] {
        let found = with(slow, Some(&labels));
        assert_eq!(found.breaks, Some(expected));
        assert!(!found.scales() && found.is_measured());
    }
    // Without labels the two sides are found.
    let sides = vec![(0..8).collect(), (8..16).collect()];
    assert_eq!(with(across, None).breaks, Some(Breaks::BetweenSets(sides)));
    assert!(with(&|_| false, None).scales());
}

#[test]
fn what_was_not_measured_is_not_claimed() {
    let fabric = fabric(8);
    let pairs = survey(&fabric, Mode::Sampled);
    let found = outcome_of(&fabric, &pairs, Pattern::AllToAll, &in_order());
    assert!(
        found.compared < found.flows && found.expected_gbps.is_none(),
        "{found:?}"
    );
    assert!(found.breaks.is_none() && !found.scales() && found.is_measured());

    let full = survey(&fabric, Mode::Full);
    let of =
        |seen: Vec<FlowSeen>, pairs: &Observations| judged(Pattern::Ring, &in_order(), seen, pairs);
    let nothing = of(Vec::new(), &full);
    assert_eq!((nothing.measured_gbps, nothing.measured), (None, 0));
    assert!(!nothing.is_measured() && !nothing.scales());
    let failed = seen(Pattern::Ring, &in_order(), |_| None);
    let failed = of(failed, &full);
    assert_eq!((failed.failed, failed.flows), (3 * 16, 16));
    assert!(!failed.is_measured());
    let unknown = of(
        seen(Pattern::Ring, &in_order(), |_| Some(9.0)),
        &Observations::new(16),
    );
    assert_eq!((unknown.compared, unknown.expected_gbps), (0, None));
    assert!(!unknown.is_measured() && unknown.breaks.is_none());
    // One that fails once is measured the other times.
    let mut once = seen(Pattern::Ring, &in_order(), |_| Some(99.0));
    once[5].gbps = None;
    let once = of(once, &full);
    assert_eq!((once.failed, once.measured_gbps), (1, Some(99.0)));
    assert!(once.scales());
    // Too few nodes: nothing is carried out.
    let few = judge(Carried::new(Pattern::Incast, vec![3, 4]), &full, None, None);
    assert!(few.flows == 0 && !few.is_measured());
}

#[test]
fn noise_is_no_loss() {
    let pairs = survey(&fabric(8), Mode::Full);
    let mut random = Random::new(7);
    let mut noisy = |noise: f64, slow: &dyn Fn(Flow) -> bool| {
        let gbps = |flow| {
            let of = if slow(flow) { 50.0 } else { 100.0 };
            Some(of * (noise * random.normal()).exp())
        };
        let carried = Carried {
            seen: seen(Pattern::AllToAll, &in_order(), gbps),
            ..Carried::new(Pattern::AllToAll, in_order())
        };
        judge(carried, &pairs, Some(noise), None)
    };
    for _ in 0..20 {
        assert_eq!(noisy(0.15, &|_| false).breaks, None);
        let found = noisy(0.05, &|(from, to)| from == 3 || to == 3);
        assert_eq!(found.breaks, Some(Breaks::Node(3)));
    }
    // What is common to all shows in more noise than what is one flow's.
    let shared = noisy(0.15, &|_| true);
    assert_eq!(
        (shared.breaks, shared.least_loss.unwrap() > 0.6),
        (Some(Breaks::Everywhere), true)
    );
    // So much hides everything, and nothing is claimed.
    let blind = noisy(0.3, &|_| false);
    assert!(!blind.scales() && !blind.is_measured());
    // More noise hides more, which is reported.
    let hidden = noisy(0.15, &|(from, _)| from == 3);
    assert!(hidden.least_loss.unwrap() > 0.6, "{:?}", hidden.least_loss);
    assert_eq!(hidden.breaks, None);
}

#[test]
fn a_receiver_is_judged_by_what_it_takes_in_all() {
    let pairs = survey(&fabric(8), Mode::Full);
    let steps = steps(Pattern::Incast, &in_order(), None);
    assert_eq!(steps.len(), REPEATS * 16);
    assert!(steps.iter().all(|step| step.flows.len() == SENDERS));
    let with = |share: &dyn Fn(usize) -> f64| {
        let gbps = |flow: Flow| {
            // Half of them have hardly anything.
            let even = if flow.0.is_multiple_of(2) { 1.9 } else { 0.1 };
            Some(even * share(flow.1) * 100.0 / SENDERS as f64)
        };
        let seen = seen(Pattern::Incast, &in_order(), gbps);
        judged(Pattern::Incast, &in_order(), seen, &pairs)
    };
    let uneven = with(&|_| 0.95);
    assert!(uneven.scales(), "{uneven:?}");
    let slow = with(&|to| if to == 3 { 0.5 } else { 1.0 });
    assert_eq!(slow.breaks, Some(Breaks::Receivers(vec![3])));
    assert_eq!(with(&|_| 0.5).breaks, Some(Breaks::Everywhere));
}

/// Labels of groups with these numbers of nodes.
fn groups_of(sizes: &[usize]) -> Vec<String> {
    let name = |group: usize| char::from(b'a' + group as u8).to_string();
    let of = |(group, size): (usize, &usize)| vec![name(group); *size];
    sizes.iter().enumerate().flat_map(of).collect()
}

#[test]
fn rings_within_groups_and_between_them() {
    let (within, between) = (Pattern::RingWithinGroups, Pattern::RingBetweenGroups);
    for (pattern, sizes, expected) in [
        (
            within,
            &[3, 2, 1][..],
            vec![(0, 1), (1, 2), (2, 0), (3, 4), (4, 3)],
        ),
        (between, &[2, 2], vec![(0, 2), (2, 0), (1, 3), (3, 1)]),
        // The third node of a has no counterpart.
        (
            between,
            &[3, 2, 1],
            vec![(0, 3), (3, 5), (5, 0), (1, 4), (4, 1)],
        ),
        (within, &[1, 1, 1], vec![]),
        (between, &[4], vec![]),
    ] {
        let labels = groups_of(sizes);
        let nodes: Vec<usize> = (0..labels.len()).collect();
        let taking_part = members(pattern, &nodes, Some(&labels));
        let steps = steps(pattern, &taking_part, Some(&labels));
        let flows: Vec<Flow> = steps.iter().flat_map(|step| step.flows.clone()).collect();
        assert_eq!(flows, expected.repeat(REPEATS), "{pattern:?} {sizes:?}");
        let senders: BTreeSet<usize> = flows.iter().map(|flow| flow.0).collect();
        assert_eq!(taking_part, senders.into_iter().collect::<Vec<_>>());
        // Of nodes whose groups are unknown there are none.
        assert!(members(pattern, &nodes, Some(&labels[1..])).is_empty());
        assert!(members(pattern, &nodes, None).is_empty());
    }
}

#[test]
fn all_to_all_and_incast_by_group() {
    let (within, between) = (
        Pattern::AllToAllWithinGroups,
        Pattern::AllToAllBetweenGroups,
    );
    let into = Pattern::IncastIntoGroups;
    for (pattern, sizes, expected) in [
        (
            within,
            &[3, 2, 1][..],
            vec![
                vec![(0, 1), (1, 2), (2, 0), (3, 4), (4, 3)],
                vec![(0, 2), (1, 0), (2, 1)],
            ],
        ),
        (
            between,
            &[2, 2],
            vec![
                vec![(1, 2), (3, 0)],
                vec![(0, 2), (1, 3), (2, 0), (3, 1)],
                vec![(0, 3), (2, 1)],
            ],
        ),
        // Only one node is outside of the group of two.
        (into, &[2, 1], vec![vec![(0, 2), (1, 2)]]),
        (
            into,
            &[2, 2],
            vec![
                vec![(2, 0), (3, 0)],
                vec![(2, 1), (3, 1)],
                vec![(0, 2), (1, 2)],
                vec![(0, 3), (1, 3)],
            ],
        ),
        (within, &[1, 1, 1], vec![]),
        (between, &[4], vec![]),
        (into, &[4], vec![]),
        (into, &[1, 1], vec![]),
    ] {
        let labels = groups_of(sizes);
        let nodes: Vec<usize> = (0..labels.len()).collect();
        let taking_part = members(pattern, &nodes, Some(&labels));
        let steps = steps(pattern, &taking_part, Some(&labels));
        let flows = steps.into_iter().map(|mut step| {
            step.flows.sort_unstable();
            step.flows
        });
        let flows: Vec<Vec<Flow>> = flows.collect();
        assert_eq!(
            flows,
            vec![expected; REPEATS].concat(),
            "{pattern:?} {sizes:?}"
        );
        assert!(members(pattern, &nodes, None).is_empty());
    }
    // Every flow between groups comes once, in few shifts of a large cluster none twice.
    let labels = groups_of(&[3, 4, 2]);
    let nodes: Vec<usize> = (0..9).collect();
    let once = &steps(between, &nodes, Some(&labels))[..8];
    let flows: BTreeSet<Flow> = once.iter().flat_map(|step| step.flows.clone()).collect();
    let crossing = |from: usize| labels.iter().filter(|to| **to != labels[from]).count();
    assert_eq!(flows.len(), (0..9).map(crossing).sum::<usize>());
}

#[test]
fn the_group_that_breaks_a_ring_is_named() {
    let labels = groups_of(&[4, 4, 4, 4]);
    let pairs = survey(&fabric(8), Mode::Full);
    let group = |node: usize| labels[node].as_str();
    let outcome = |pattern, labels: &[String], slow: &dyn Fn(Flow) -> bool| {
        let nodes = members(pattern, &in_order(), Some(labels));
        let mut carried = Carried::new(pattern, nodes.clone());
        for step in steps(pattern, &nodes, Some(labels)) {
            let rate = |flow| Some(if slow(flow) { 60.0 } else { 99.0 });
            let seen = step
                .flows
                .iter()
                .map(|&flow| FlowSeen::new(step.index, flow, rate(flow)));
            carried.seen.extend(seen);
        }
        let found = judge(carried, &pairs, Some(0.02), Some(labels));
        found
            .require_valid_for(&pairs, Some(0.02), Some(labels))
            .unwrap();
        found
    };
    let of = |pattern, slow: &dyn Fn(Flow) -> bool| outcome(pattern, &labels, slow).breaks.unwrap();
    let (within, between) = (Pattern::RingWithinGroups, Pattern::RingBetweenGroups);
    let names = |of: &[&str]| of.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();

    let in_b_and_d = |(from, _): Flow| ["b", "d"].contains(&group(from));
    assert_eq!(
        of(within, &|(from, _)| group(from) == "b"),
        Breaks::WithinGroups(names(&["b"]))
    );
    assert_eq!(
        of(within, &in_b_and_d),
        Breaks::WithinGroups(names(&["b", "d"]))
    );
    assert_eq!(of(within, &|_| true), Breaks::Everywhere);
    assert_eq!(
        of(within, &|flow| [flow.0, flow.1].contains(&6)),
        Breaks::Node(6)
    );

    let touches_b = |(from, to): Flow| group(from) == "b" || group(to) == "b";
    assert_eq!(of(between, &touches_b), Breaks::Group("b".into()));
    let way = |(from, to): Flow| (group(from), group(to)) == ("b", "c");
    assert_eq!(
        of(between, &way),
        Breaks::GroupFlows(vec![("b".into(), "c".into())])
    );
    assert_eq!(
        of(between, &|flow| [flow.0, flow.1].contains(&6)),
        Breaks::Node(6)
    );
    assert_eq!(of(between, &|_| true), Breaks::Everywhere);
    // Nothing distinguishes the two nodes of a group, and neither is named.
    let pairs_of_nodes = groups_of(&[2; 8]);
    let of_two = outcome(within, &pairs_of_nodes, &|flow| {
        [flow.0, flow.1].contains(&2)
    });
    assert_eq!(of_two.breaks, Some(Breaks::WithinGroups(names(&["b"]))));

    let well = outcome(within, &labels, &|_| false);
    assert!(well.scales(), "{well:?}");
    assert_eq!((well.measured_gbps, well.flows), (Some(99.0), 16));

    // The same of other shapes.
    let (within, between) = (
        Pattern::AllToAllWithinGroups,
        Pattern::AllToAllBetweenGroups,
    );
    assert_eq!(
        of(within, &|(from, _)| group(from) == "b"),
        Breaks::WithinGroups(names(&["b"]))
    );
    assert_eq!(of(between, &touches_b), Breaks::Group("b".into()));
    assert!(outcome(between, &labels, &|_| false).scales());
    let into = outcome(Pattern::IncastIntoGroups, &labels, &|_| true);
    assert_eq!(into.receivers(), 16);
    assert!(into.measured_gbps > into.expected_gbps, "{into:?}");
}

#[test]
fn what_no_driver_saw_is_refused() {
    let pairs = survey(&fabric(8), Mode::Full);
    let good = judged(
        Pattern::Ring,
        &in_order(),
        seen(Pattern::Ring, &in_order(), |_| Some(99.0)),
        &pairs,
    );
    let check = |found: &Collective| found.require_valid_for(&pairs, Some(0.0), Some(&labels()));
    let cases: [fn(&mut Collective); 10] = [
        |c| c.carried.nodes[3] = 16,
        |c| c.carried.nodes[3] = 2,
        |c| c.carried.lost = vec![16],
        |c| c.carried.seen[0].flow = (0, 2),
        |c| c.carried.seen[1] = c.carried.seen[0].clone(),
        |c| c.carried.seen[1].step = 3,
        |c| c.carried.seen[1].gbps = Some(-1.0),
        |c| c.measured_gbps = Some(100.0),
        |c| c.compared = 15,
        |c| c.breaks = Some(Breaks::Node(99)),
    ];
    for change in cases {
        let mut other = good.clone();
        change(&mut other);
        assert_eq!(
            check(&other).unwrap_err().code(),
            Code::InvalidOption,
            "{other:?}"
        );
    }
    let json = serde_json::to_string(&good).unwrap();
    check(&serde_json::from_str(&json).unwrap()).unwrap();
}

proptest! {
    #[test]
    fn in_a_shift_every_node_sends_once_and_receives_once(count in 2usize..40, seed: u64) {
        let first = (seed % 1000) as usize;
        let nodes: Vec<usize> = (first..first + count).collect();
        for pattern in [Pattern::Ring, Pattern::AllToAll] {
            for step in steps(pattern, &nodes, None) {
                let senders: BTreeSet<usize> = step.flows.iter().map(|flow| flow.0).collect();
                let receivers: BTreeSet<usize> = step.flows.iter().map(|flow| flow.1).collect();
                prop_assert_eq!(step.flows.len(), count);
                prop_assert_eq!((senders.len(), receivers.len()), (count, count));
                prop_assert!(step.flows.iter().all(|flow| flow.0 != flow.1));
            }
        }
        for step in steps(Pattern::Incast, &nodes, None) {
            let receivers: BTreeSet<usize> = step.flows.iter().map(|flow| flow.1).collect();
            prop_assert_eq!(receivers.len(), 1);
            prop_assert!(step.flows.iter().all(|flow| flow.0 != flow.1));
        }
        prop_assert!(steps(Pattern::AllToAll, &nodes, None).len() <= REPEATS * MOST_STEPS);
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
