//! Warnings of a healthy report: who reads one line sees them, and no list of faults has them.

use super::super::driver::Survey;
use super::super::node::Node;
use super::super::pair::Sight;
use super::super::report::Report;
use super::super::state::Status;
use crate::survey::{
    Confidence, Evidence, Measured, Options, Quantity, Severity, Subject, Verdict, VerdictKind,
};

/// A survey of 16 nodes in which pairs with node 1 have this latency and all others 20 µs.
fn surveyed(latency_us: f64) -> Report {
    let nodes = (0..16).map(|i| Node::new(format!("n{i}"))).collect();
    let mut survey = Survey::new(nodes, "tcp", Options::default()).unwrap();
    while let Some(pairs) = survey.next_pairs() {
        for (a, b) in pairs {
            let latency = if a == 1 || b == 1 { latency_us } else { 20.0 };
            let sight = Some(Sight::measured(Measured::new(latency, 100.0, 100.0)));
            survey.record((a, b), sight.clone(), sight, 1.0).unwrap();
        }
    }
    survey.report(1.0)
}

#[test]
fn a_warning_about_latency_is_in_the_first_line_and_no_fault() {
    let report = surveyed(29.6);
    assert_eq!(report.status(), Status::Healthy, "{report}");
    assert_eq!(report.problems().len(), 1, "{report}");
    let todo = "nothing to take out; 1 warning to review: n1 has 48 % more latency";
    assert_eq!(report.action(), todo);
    assert!(report.to_html().contains(todo), "{report}");
    let said = "no fault was found, 1 warning; ";
    assert!(report.headline().contains(said), "{report}");
    assert!(report.slow_nodes().is_empty() && report.drain().is_empty());
    let evidence = &report.conclusion.verdicts[0].evidence;
    assert!(evidence.z > Some(3.5), "{evidence:?}");
    assert!(evidence.change_percent > Some(47.0), "{evidence:?}");
    // Beyond half as much again it is a fault, and all of these agree again.
    let report = surveyed(31.0);
    assert_eq!(report.status(), Status::Findings, "{report}");
    assert_eq!(
        (report.drain(), report.slow_nodes()),
        (vec!["n1".into()], vec!["n1".into()])
    );
    assert_eq!(report.action(), "take out: n1");
}

#[test]
fn a_remark_about_a_link_or_node_is_in_no_list_of_faults() {
    let mut report = surveyed(20.0);
    let remark = |subject| {
        let evidence = Evidence {
            quantity: Some(Quantity::Bandwidth),
            change_percent: Some(-20.0),
            value: Some(80.0),
            observations: 1,
            typical: Some(100.0),
            compared: 30,
            z: Some(-5.1),
            ..Evidence::default()
        };
        let kind = VerdictKind::SlowBandwidth;
        Verdict::new(subject, kind, Severity::Info, Confidence::Low, evidence)
    };
    report.conclusion.verdicts = vec![
        remark(Subject::Link { a: 2, b: 5 }),
        remark(Subject::Node { node: 7 }),
    ];
    assert!(report.is_healthy() && report.problems().is_empty());
    assert!(report.slow_links().is_empty() && report.slow_nodes().is_empty());
    let said = "(median 80.0 Gbit/s of 1 measurement, against 100 of 30; z -5.1)";
    assert!(report.findings()[0].contains(said), "{report}");
    report.conclusion.verdicts[0].severity = Severity::Fault;
    assert_eq!(report.slow_links(), [("n2".into(), "n5".into())]);
}

#[test]
fn rates_inside_and_across_groups_are_in_text_html_and_json() {
    let nodes = (0..16).map(|i| Node::new(format!("n{i}"))).collect();
    let options = Options {
        labels: Some((0..16).map(|i| format!("l{}", i / 8)).collect()),
        ..Options::default()
    };
    let mut survey = Survey::new(nodes, "tcp", options).unwrap();
    while let Some(pairs) = survey.next_pairs() {
        for (a, b) in pairs {
            let gbps = if a / 8 == b / 8 { 100.0 } else { 5.0 };
            let sight = Some(Sight::measured(Measured::new(20.0, gbps, gbps)));
            survey.record((a, b), sight.clone(), sight, 1.0).unwrap();
        }
    }
    let report = survey.report(1.0);
    let said = "rates inside groups 100 Gbit/s (median of 112 directions of pairs), across groups \
                5.00 Gbit/s (median of 128 directions of pairs), which is 5.00 % of that";
    assert!(report.to_string().contains(said), "{report}");
    assert!(report.to_html().contains(said), "{report}");
    let json = serde_json::to_string(&report).unwrap();
    assert!(json.contains("\"group_rates\":{\"inside_gbps\":"), "{json}");
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    assert_eq!(report.status(), Status::Healthy, "{report}");
    let todo = "nothing to take out; 1 warning to review: 95 % less is reached between groups \
                than inside of them";
    assert_eq!(report.action(), todo);
    assert!(surveyed(20.0).rates_of_groups().is_none());
}
