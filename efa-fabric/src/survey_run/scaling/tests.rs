use super::*;
use crate::survey::Options;
use crate::survey::simulate::Fabric;
use crate::survey_run::Status;
use crate::survey_run::driver::Survey;
use crate::survey_run::node::Node;
use crate::survey_run::sample::carried_out;

/// Two leaves of four, with uplinks for this many nodes at full rate.
fn surveyed(uplink: usize, patterns: &[Pattern]) -> Report {
    let fabric = Fabric::new(4, 100.0, 100.0 * uplink as f64);
    carried_out(8, &fabric, patterns, |_, sights| Some(sights)).report(1.0)
}

#[test]
fn a_cluster_that_scales_is_healthy_and_says_so() {
    let report = surveyed(4, &[Pattern::Ring, Pattern::AllToAll, Pattern::Incast]);
    assert_eq!(report.status(), Status::Healthy, "{report}");
    assert!(report.problems().is_empty());
    for said in [
        "ring of 8 nodes: 100 Gbit/s bus bandwidth (the slowest of 8 flows, median of 3 times), 100 expected from the pairs; it keeps what the pairs promise; a loss of 20.0 % or more could be distinguished from noise",
        "incast of 8 nodes: 100 Gbit/s to a node (median of 8 receivers, each 3 times), 100 expected",
    ] {
        assert!(report.to_string().contains(said), "{report}");
    }
    let metrics = report.to_openmetrics();
    for line in [
        "efa_survey_collective_scales{pattern=\"all_to_all\"} 1\n",
        "efa_survey_collective_expected_bits_per_second{pattern=\"ring\"} 100000000000\n",
        "efa_survey_collective_compared_flows{pattern=\"incast\"} 56\n",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
}

#[test]
fn an_uplink_that_no_pair_shows_breaks_all_to_all_between_the_leaves() {
    let report = surveyed(1, &[Pattern::Ring, Pattern::AllToAll]);
    assert_eq!(
        (report.status(), report.drain().len()),
        (Status::Findings, 0),
        "{report}"
    );
    let [ring, all] = &report.collectives[..] else {
        panic!("{report}");
    };
    // One flow each way passes the uplink.
    assert!(ring.scales() && all.breaks.is_some());
    let todo = "look at: the all-to-all, which breaks between {node-0, node-1, node-2, node-3} and {node-4, ";
    assert!(report.action().starts_with(todo), "{}", report.action());
    let error = report.require_healthy().unwrap_err().to_string();
    assert!(
        error.contains("all-to-all of 8 nodes: 43.8 Gbit/s"),
        "{error}"
    );
    let (html, metrics) = (report.to_html(), report.to_openmetrics());
    assert!(
        html.contains("<th class=\"from bad\">all-to-all</th>"),
        "{html}"
    );
    assert!(metrics.contains("efa_survey_collective_scales{pattern=\"all_to_all\"} 0\n"));
    assert!(report.summaries_by_node()[0].action.starts_with(todo));
}

#[test]
fn every_subset_has_words() {
    let mut report = surveyed(4, &[Pattern::AllToAll]);
    for (breaks, words) in [
        (
            Breaks::Everywhere,
            "breaks everywhere: 3 of 56 flows have 50.0 Gbit/s (median) where the pairs alone have 100: nodes are slower",
        ),
        (
            Breaks::AcrossGroups,
            "breaks between groups and not within them: 3 of 56",
        ),
        (
            Breaks::WithinGroups(vec!["leaf-1".into(), "leaf-3".into()]),
            "breaks within leaf-1, leaf-3 and not elsewhere: 3 of",
        ),
        (Breaks::Node(5), "breaks at node-5: 3 of"),
        (
            Breaks::Group("leaf-1".into()),
            "breaks between leaf-1 and other groups, not between those: 3 of",
        ),
        (
            Breaks::GroupFlows(vec![("leaf-1".into(), "leaf-2".into())]),
            "breaks from leaf-1 to leaf-2: 3 of",
        ),
        (
            Breaks::BetweenSets(vec![vec![0, 1], (2..12).collect()]),
            "breaks between {node-0, node-1} and {node-2, node-3, node-4, node-5, node-6, node-7, ?, ? and 2 more}, not within them: ",
        ),
        (
            Breaks::Receivers(vec![3]),
            "breaks where many send to node-3 at the same time: ",
        ),
        (
            Breaks::Flows(vec![(0, 1), (2, 3)]),
            "breaks from node-0 to node-1, node-2 to node-3: 3 ",
        ),
    ] {
        let of = &mut report.collectives[0];
        (of.slow, of.slow_gbps, of.slow_expected_gbps) = (3, Some(50.0), Some(100.0));
        of.breaks = Some(breaks);
        let (severity, said) = report.scaling(&report.collectives[0]);
        assert_eq!(severity, Severity::Fault);
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn rings_of_groups_are_those_of_the_leaves() {
    let patterns = [Pattern::RingWithinGroups, Pattern::RingBetweenGroups];
    let report = surveyed(1, &patterns);
    let [within, between] = &report.collectives[..] else {
        panic!("{report}");
    };
    assert!(within.scales(), "{report}");
    assert_eq!(between.breaks, Some(Breaks::Everywhere), "{report}");
    for said in [
        "ring within groups of 8 nodes: 100 Gbit/s bus bandwidth of the slowest of 2 rings (the slowest of 8 flows, median of 3 times), 100 expected from the pairs; it keeps",
        "ring between groups of 8 nodes: 25.0 Gbit/s bus bandwidth of the slowest of 4 rings (",
        &format!("\n{:19}  {:>15}  {:>15}", "ring within groups", 8, 100),
    ] {
        assert!(report.to_string().contains(said), "{report}");
    }
    let todo = "look at: the ring between groups, which breaks everywhere";
    assert_eq!(report.action(), todo);
    assert!(
        report
            .to_html()
            .contains("<th class=\"from bad\">ring between groups</th>")
    );
    let metrics = report.to_openmetrics();
    for line in [
        "efa_survey_collective_scales{pattern=\"ring_within_groups\"} 1\n",
        "efa_survey_collective_bits_per_second{pattern=\"ring_between_groups\"} 25000000000\n",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let forged = json.replace("\"leaf-0\"", "\"leaf-1\"");
    assert!(
        serde_json::from_str::<Report>(&forged).is_err(),
        "other rings"
    );
    let better = surveyed(4, &patterns).compare(&report);
    assert_eq!(
        (better.new_findings.len(), better.gone_findings.len()),
        (0, 1),
        "{better}"
    );
    assert!(
        better
            .to_string()
            .contains("the ring between groups has 100"),
        "{better}"
    );
}

#[test]
fn all_to_all_and_incast_of_groups_are_those_of_the_leaves() {
    let report = surveyed(
        1,
        &[
            Pattern::AllToAllWithinGroups,
            Pattern::AllToAllBetweenGroups,
            Pattern::IncastIntoGroups,
        ],
    );
    let breaks: Vec<_> = report.collectives.iter().map(|of| &of.breaks).collect();
    let everywhere = Some(Breaks::Everywhere);
    assert_eq!(breaks, [&None, &everywhere, &None], "{report}");
    for said in [
        "all-to-all within groups of 8 nodes: 100 Gbit/s bus bandwidth (the slowest flow of each shift, 24 flows in all,",
        "all-to-all between groups of 8 nodes: ",
        "incast into groups of 8 nodes: 100 Gbit/s to a node (median of 8 receivers, each 3 times), 100 expected",
    ] {
        assert!(report.to_string().contains(said), "{report}");
    }
    let metric = "efa_survey_collective_scales{pattern=\"all_to_all_between_groups\"} 0\n";
    assert!(report.to_openmetrics().contains(metric), "{report}");
    let html = "<th class=\"from bad\">all-to-all between groups</th>";
    assert!(report.to_html().contains(html));
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let better = surveyed(
        4,
        &[
            Pattern::AllToAllWithinGroups,
            Pattern::AllToAllBetweenGroups,
            Pattern::IncastIntoGroups,
        ],
    );
    assert_eq!(better.compare(&report).gone_findings.len(), 1);
    let fabric = Fabric::new(4, 100.0, 400.0);
    let one = carried_out(4, &fabric, &[Pattern::IncastIntoGroups], |_, sights| {
        Some(sights)
    });
    let said = "the incast into groups was not carried out: it takes two groups";
    assert!(one.report(1.0).to_string().contains(said));
}

#[test]
fn groups_that_make_no_ring_are_not_well() {
    let fabric = Fabric::new(4, 100.0, 400.0);
    for (count, pattern, said) in [
        (
            4,
            Pattern::RingBetweenGroups,
            "the ring between groups was not carried out: it takes two groups",
        ),
        (
            5,
            Pattern::RingWithinGroups,
            "measured and left out, as no other node has their group: node-4",
        ),
        (
            6,
            Pattern::RingBetweenGroups,
            "measured and left out, as no other group has as many nodes: node-2, node-3;",
        ),
    ] {
        let report = carried_out(count, &fabric, &[pattern], |_, sights| Some(sights)).report(1.0);
        assert!(report.to_string().contains(said), "{report}");
        assert_eq!(report.is_healthy(), count > 4, "{report}");
    }
    let alone = Fabric::new(1, 100.0, 400.0);
    let within = [Pattern::RingWithinGroups];
    let mut report = carried_out(3, &alone, &within, |_, sights| Some(sights)).report(1.0);
    let said = "the ring within groups was not carried out: no group has two nodes";
    assert!(report.to_string().contains(said), "{report}");
    assert_eq!(report.status(), Status::NotSurveyed);
    // A rank that never came, whose group nobody knows.
    report.options.as_mut().unwrap().labels = None;
    assert!(
        report
            .to_string()
            .contains("the groups of the nodes are not known"),
        "{report}"
    );
    let options = Options {
        collectives: within.to_vec(),
        ..Options::default()
    };
    let nodes = |network: &[&str]| {
        let named = network.iter().enumerate().map(|(number, network)| {
            let mut node = Node::new(format!("node-{number}"));
            node.network_nodes
                .extend((!network.is_empty()).then(|| (*network).to_owned()));
            node
        });
        named.collect::<Vec<_>>()
    };
    let error = Survey::new(nodes(&["", ""]), "tcp", options.clone()).unwrap_err();
    assert_eq!(error.context_value("option"), Some("labels"), "{error}");
    assert!(Survey::new(nodes(&["nn-1", ""]), "tcp", options).is_ok());
}

#[test]
fn what_was_not_measured_is_said() {
    let mut report = surveyed(4, &[Pattern::Ring]);
    let of = &mut report.collectives[0];
    (of.measured, of.compared, of.failed, of.measured_gbps) = (7, 6, 4, None);
    let (severity, said) = report.scaling(&report.collectives[0]);
    assert_eq!(severity, Severity::Warning);
    for part in [
        "not measured as a whole",
        "7 of its 8 flows were measured, nothing is known of the others",
        "the pairs of 6 flows were measured alone, the others are compared with nothing",
        "4 of 24 times a flow failed",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("keeps"));
    assert_eq!(report.status(), Status::NotSurveyed, "{report}");

    let fabric = Fabric::new(4, 100.0, 100.0);
    let two = carried_out(2, &fabric, &[Pattern::Incast], |_, sights| Some(sights)).report(1.0);
    let said = "the incast was not carried out: it takes 3 nodes that were measured and answer, and there were 2";
    assert!(two.problems().contains(&said.to_owned()), "{two}");
    assert_eq!(two.status(), Status::NotSurveyed);
}

#[test]
fn what_changed_is_named() {
    let (well, broken) = (
        surveyed(4, &[Pattern::AllToAll]),
        surveyed(1, &[Pattern::AllToAll]),
    );
    let comparison = broken.compare(&well);
    assert_eq!(comparison.new_findings.len(), 1, "{comparison}");
    assert!(comparison.new_findings[0].starts_with("all-to-all of 8 nodes: "));
    let moved = &comparison.moved[0];
    assert_eq!(
        (moved.node.as_deref(), &*moved.direction),
        (None, "all-to-all")
    );
    assert!(
        comparison
            .to_string()
            .contains("moved: the all-to-all has 43.8"),
        "{comparison}"
    );
    assert!(broken.compare(&broken).is_same());
}

#[test]
fn a_report_whose_patterns_do_not_follow_from_its_flows_is_refused() {
    let report = surveyed(4, &[Pattern::Ring]);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        serde_json::from_value::<Report>(json.clone()).unwrap(),
        report
    );
    for (path, value) in [
        ("/collectives/0/carried/nodes/3", serde_json::json!(9)),
        (
            "/collectives/0/carried/seen/3/gbps",
            serde_json::json!(-1.0),
        ),
        (
            "/collectives/0/carried/seen/3/flow",
            serde_json::json!([0, 5]),
        ),
        ("/collectives/0/measured_gbps", serde_json::json!(500.0)),
        (
            "/collectives/0/breaks",
            serde_json::json!({"node": 1_000_000}),
        ),
        ("/options/collectives", serde_json::json!(["ring", "ring"])),
    ] {
        let mut json = json.clone();
        *json.pointer_mut(path).unwrap() = value;
        assert!(serde_json::from_value::<Report>(json).is_err(), "{path}");
    }
    let older = serde_json::to_value(surveyed(4, &[])).unwrap();
    assert!(older.get("collectives").is_none() && older["options"].get("collectives").is_none());
}
