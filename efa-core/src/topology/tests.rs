use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::fixtures::instance;

fn place(id: &str, nodes: &[&str], block: Option<&str>) -> InstanceTopology {
    InstanceTopology {
        instance_id: id.to_owned(),
        availability_zone: "us-east-1a".to_owned(),
        network_nodes: nodes.iter().map(|&node| node.to_owned()).collect(),
        capacity_block_id: block.map(str::to_owned),
    }
}

fn ids(topology: &Topology) -> Vec<&str> {
    let nodes = topology.nodes.iter();
    nodes.map(|node| node.instance_id.as_str()).collect()
}

/// Two racks below one spine, one rack below another, and one instance that EC2 knows not.
fn small() -> Topology {
    let instances: Vec<Instance> = (0..5).map(|n| instance(&format!("i-{n}"), n)).collect();
    let seen = [
        place("i-3", &["nn-1", "nn-2", "nn-4"], None),
        place("i-0", &["nn-1", "nn-2", "nn-5"], None),
        place("i-2", &["nn-1", "nn-3", "nn-6"], Some("cb-1")),
        place("i-4", &["nn-1", "nn-2", "nn-4"], None),
        place("i-9", &["nn-0"], None),
    ];
    Topology::rank("train", &instances, &seen)
}

#[test]
fn ranks_follow_the_tree_and_unknown_ones_come_last() {
    let topology = small();
    assert_eq!(ids(&topology), ["i-3", "i-4", "i-0", "i-2", "i-1"]);
    let groups: Vec<usize> = topology.groups().iter().map(|group| group.len()).collect();
    assert_eq!(groups, [2, 1, 1, 1]);
    assert_eq!(topology.notes.len(), 1);
    assert!(topology.notes[0].contains("i-1,"), "{topology}");
}

#[test]
fn distance_counts_levels_from_the_bottom() {
    let topology = small();
    for (a, b, levels) in [
        (0, 0, Some(0)),
        (0, 1, Some(0)),
        (0, 2, Some(1)),
        (2, 3, Some(2)),
        (3, 2, Some(2)),
        (0, 4, None),
        (4, 4, None),
        (0, 5, None),
    ] {
        assert_eq!(topology.distance(a, b), levels, "{a} {b}");
    }
    let instances = [instance("i-0", 0), instance("i-1", 1)];
    let apart = [place("i-0", &["a", "b"], None), place("i-1", &["c"], None)];
    assert_eq!(
        Topology::rank("x", &instances, &apart).distance(0, 1),
        Some(2)
    );
}

#[test]
fn a_capacity_block_stays_together_below_a_parent() {
    let instances: Vec<Instance> = (0..6).map(|n| instance(&format!("i-{n}"), n)).collect();
    let seen = [
        place("i-0", &["top", "a"], Some("cb-2")),
        place("i-1", &["top", "b"], Some("cb-3")),
        place("i-2", &["top", "c"], Some("cb-2")),
        place("i-3", &["top", "d"], None),
        place("i-4", &["top", "b"], Some("cb-4")),
        place("i-5", &["top", "b"], Some("cb-3")),
    ];
    let topology = Topology::rank("ultra", &instances, &seen);
    assert_eq!(ids(&topology), ["i-3", "i-0", "i-2", "i-1", "i-5", "i-4"]);
}

#[test]
fn ties_go_by_launch_index_then_id() {
    let instances = [instance("i-a", 2), instance("i-b", 1), instance("i-c", 1)];
    let seen = ["i-a", "i-b", "i-c"].map(|id| place(id, &["rack"], None));
    for seen in [&seen[..], &[]] {
        let topology = Topology::rank("ties", &instances, seen);
        assert_eq!(ids(&topology), ["i-b", "i-c", "i-a"]);
        let groups = if seen.is_empty() { 3 } else { 1 };
        assert_eq!(topology.groups().len(), groups);
    }
}

#[test]
fn only_running_instances_are_ranked() {
    let mut instances = [instance("i-0", 0), instance("i-1", 1)];
    instances[0].state = InstanceState::Pending;
    let topology = Topology::rank("train", &instances, &[place("i-1", &["a"], None)]);
    assert_eq!((ids(&topology), topology.nodes[0].rank), (vec!["i-1"], 0));
    assert!(topology.notes[0].starts_with("i-0 is pending, not ranked"));
}

#[test]
fn hostfiles_are_in_rank_order() {
    let mut topology = small();
    topology.nodes.truncate(3);
    assert_eq!(topology.hostfile(None), "10.0.0.3\n10.0.0.4\n10.0.0.0\n");
    topology.nodes[1].private_ip_address = None;
    let lines = "10.0.0.3 slots=8\n10.0.0.0 slots=8\n";
    assert_eq!(topology.hostfile(Some(8)), lines);
}

#[test]
fn text_form() {
    let topology = small();
    assert_eq!(
        topology.to_string(),
        "\
topology of 'train': 5 instances, 3 bottom network nodes
  nn-1
    nn-2
      nn-4
        rank 0 i-3 10.0.0.3 us-east-1a
        rank 1 i-4 10.0.0.4 us-east-1a
      nn-5
        rank 2 i-0 10.0.0.0 us-east-1a
    nn-3
      nn-6
        rank 3 i-2 10.0.0.2 us-east-1a cb-1
  without topology data
    rank 4 i-1 10.0.0.1 us-east-1a
  note: EC2 has no topology of i-1, ranked last by launch index: it supports some instance types \
         only, and new instances after a while
"
    );
    let none = Topology::rank("train", &[instance("i-0", 0), instance("i-1", 1)], &[]);
    assert_eq!(none.to_string().matches("without").count(), 1, "{none}");
    assert!(topology.to_html().contains("&#39;train&#39;"));
    let json = serde_json::to_string(&topology).unwrap();
    assert_eq!(
        serde_json::from_str::<Topology>(&json).unwrap(),
        topology,
        "{json}"
    );
}

/// Instances in a random tree: a node is named by its whole path, so it has one parent. Depths
/// differ, blocks cross nodes, launch indices repeat, some instances are unknown to EC2.
fn any_cluster() -> impl Strategy<Value = Vec<(Instance, Option<InstanceTopology>)>> {
    let node = (
        0u32..6,
        vec(0u32..3, 0..4),
        prop::option::of(0u32..3),
        0..8,
        0..8,
    );
    vec(node, 0..40).prop_map(|nodes| {
        let nodes = nodes.into_iter().enumerate();
        nodes
            .map(|(n, (launch_index, path, block, known, running))| {
                let id = format!("i-{n:03}");
                let nodes: Vec<String> = (1..=path.len())
                    .map(|depth| format!("nn{:?}", &path[..depth]))
                    .collect();
                let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
                let block = block.map(|block| format!("cb-{block}"));
                let seen = (known > 0).then(|| place(&id, &nodes, block.as_deref()));
                let mut instance = instance(&id, launch_index);
                if running == 0 {
                    instance.state = InstanceState::Pending;
                }
                (instance, seen)
            })
            .collect()
    })
}

fn rank(cluster: &[(Instance, Option<InstanceTopology>)]) -> Topology {
    let (instances, seen): (Vec<_>, Vec<_>) = cluster.iter().cloned().unzip();
    let seen: Vec<InstanceTopology> = seen.into_iter().flatten().collect();
    Topology::rank("any", &instances, &seen)
}

proptest! {
    #[test]
    fn the_order_of_the_input_does_not_matter(
        (cluster, shuffled) in any_cluster().prop_flat_map(|c| (Just(c.clone()), Just(c).prop_shuffle()))
    ) {
        prop_assert_eq!(rank(&cluster), rank(&shuffled));
    }

    #[test]
    fn every_running_instance_has_one_rank(mut cluster in any_cluster()) {
        let topology = rank(&cluster);
        cluster.retain(|(instance, _)| instance.state == InstanceState::Running);
        let ranks: Vec<u32> = topology.nodes.iter().map(|node| node.rank).collect();
        prop_assert_eq!(ranks, (0..).take(cluster.len()).collect::<Vec<u32>>());
        let ranked: BTreeSet<&str> = ids(&topology).into_iter().collect();
        let all: BTreeSet<&str> = cluster.iter().map(|(i, _)| i.instance_id.as_str()).collect();
        prop_assert_eq!(ranked, all);
        prop_assert_eq!(topology.groups().concat(), topology.nodes);
    }

    #[test]
    fn instances_below_a_node_have_consecutive_ranks(cluster in any_cluster()) {
        let topology = rank(&cluster);
        let nodes: BTreeSet<&String> =
            topology.nodes.iter().flat_map(|instance| &instance.network_nodes).collect();
        for node in nodes {
            let below: Vec<u32> = topology.nodes.iter()
                .filter(|instance| instance.network_nodes.contains(node))
                .map(|instance| instance.rank)
                .collect();
            let first = below[0];
            prop_assert_eq!(&below, &(first..).take(below.len()).collect::<Vec<u32>>(), "{}", node);
        }
        let unknown = topology.nodes.iter().map(|instance| instance.network_nodes.is_empty());
        prop_assert!(unknown.is_sorted(), "{}", topology);
    }

    #[test]
    fn distance_is_an_ultrametric(cluster in any_cluster()) {
        let topology = rank(&cluster);
        let depth = |n: u32| topology.nodes[n as usize].network_nodes.len();
        let known = topology.nodes.iter().filter(|i| !i.network_nodes.is_empty()).count() as u32;
        for a in 0..known {
            for b in 0..known {
                prop_assert_eq!(topology.distance(a, b), topology.distance(b, a));
                for c in (0..known).filter(|&c| depth(a) == depth(b) && depth(b) == depth(c)) {
                    let longest = topology.distance(a, b).max(topology.distance(b, c));
                    prop_assert!(topology.distance(a, c) <= longest);
                }
            }
        }
    }
}
