use efa_core::verify;

use super::*;
use crate::survey::simulate::{Cluster, Fault};
use crate::survey::{Mode, Options};
use crate::survey_run::{self, Inspection, Node, NodeState};

const COUNT: usize = 6;
const DEVICES: usize = 2;

fn id(number: usize) -> String {
    format!("i-{number:017x}")
}

fn instances() -> Vec<Instance> {
    (0..COUNT)
        .map(|n| Instance::new(id(n), Some(format!("10.0.0.{n}")), DEVICES))
        .collect()
}

fn compared(findings: serde_json::Value) -> verify::Report {
    serde_json::from_value(serde_json::json!({
        "name": "train", "fingerprint": "f0", "instances": COUNT, "interfaces": 3 * COUNT,
        "checks": 60, "findings": findings,
    }))
    .unwrap()
}

fn difference(check: &str, subject: &str) -> serde_json::Value {
    serde_json::json!([{
        "check": check, "subject": subject, "expected": "a", "actual": "b", "cure": "mend it",
    }])
}

fn usable(number: usize) -> Inspection {
    Inspection {
        instance_id: Some(id(number)),
        efa_devices: DEVICES,
        verdict: "usable".into(),
        ..Inspection::default()
    }
}

fn node(number: usize, found: Option<&Inspection>) -> Node {
    let mut node = Node::new(format!("host-{number}"));
    node.inspection = found.map(|found| serde_json::to_string(found).unwrap());
    node.state = NodeState::Measured;
    node
}

/// A survey over EFA of a cluster like this, in which every doctor is content.
fn measured(cluster: &Cluster, options: Options) -> survey_run::Report {
    let nodes = (0..COUNT).map(|n| node(n, Some(&usable(n)))).collect();
    let run = cluster.survey(options.clone(), 1).unwrap();
    let mut report =
        survey_run::Report::from_measurements(nodes, "efa", run.observations, run.conclusion);
    report.options = Some(options);
    report
}

fn healthy() -> survey_run::Report {
    measured(&Cluster::healthy(COUNT), Options::default())
}

fn evidence(ec2: Part<verify::Report>, survey: Part<survey_run::Report>) -> Evidence {
    Evidence {
        cluster: "train".into(),
        instances: instances(),
        ec2,
        survey,
    }
}

fn judged(change: impl FnOnce(&mut Evidence)) -> Report {
    let ec2 = Part::Seen(compared(serde_json::json!([])));
    let mut seen = evidence(ec2, Part::Seen(healthy()));
    change(&mut seen);
    Report::judge(seen)
}

fn in_survey(change: impl FnOnce(&mut survey_run::Report)) -> Report {
    judged(|seen| match &mut seen.survey {
        Part::Seen(survey) => change(survey),
        Part::NotSeen { .. } => unreachable!(),
    })
}

fn in_doctor(change: impl FnOnce(&mut Inspection)) -> Report {
    in_survey(|survey| {
        let mut found = usable(3);
        change(&mut found);
        survey.nodes[3] = node(3, Some(&found));
    })
}

fn absent() -> NodeState {
    NodeState::Absent {
        code: "fabric.deadline".into(),
        why: "it never joined".into(),
    }
}

#[test]
fn a_cluster_in_which_nothing_is_found_is_accepted() {
    let report = judged(|_| {});
    assert_eq!(report.judgement.verdict, Verdict::Accepted, "{report}");
    assert!(report.is_accepted() && report.require_accepted().is_ok());
    assert!(report.judgement.replace.is_empty());
    let statement = report.to_string();
    assert!(
        statement.starts_with("accepted: nothing was found\n"),
        "{statement}"
    );
    for number in 0..COUNT {
        assert!(
            statement.contains(&format!("{}  host-{number}", id(number))),
            "{statement}"
        );
    }
    assert!(
        statement.contains("not part of an acceptance: GPUs"),
        "{statement}"
    );
    let code = report.require_replaceable().unwrap_err().code();
    assert_eq!(code, Code::NothingToReplace);
}

/// Each part: what it found (nothing, a warning, a fault), or that it did not run.
#[test]
fn the_verdict_of_every_combination_of_parts() {
    type Ec2 = (Option<&'static str>, u8);
    const EC2: [Ec2; 4] = [
        (Some(""), 0),
        (Some("public_ip"), 1),
        (Some("security_group_rule"), 3),
        (None, 2),
    ];
    let doctors: [(&str, u8); 4] = [
        ("usable", 0),
        ("warns", 1),
        ("not_usable", 3),
        ("unknown", 2),
    ];
    let slow = Cluster::healthy(COUNT).with(Fault::SlowNode { node: 4, loss: 0.5 });
    let surveys: [(Option<survey_run::Report>, u8); 4] = [
        (Some(healthy()), 0),
        (
            {
                let mut survey = healthy();
                survey.remarks = vec!["host-1 gave no answer until asked again".into()];
                Some(survey)
            },
            1,
        ),
        (Some(measured(&slow, Options::default())), 3),
        (None, 2),
    ];
    let mut combinations = 0;
    for (check, ec2_weight) in EC2 {
        for (doctor, doctor_weight) in doctors {
            for (survey, survey_weight) in &surveys {
                let ec2 = match check {
                    None => Part::NotSeen {
                        why: "throttled".into(),
                    },
                    Some("") => Part::Seen(compared(serde_json::json!([]))),
                    Some(check) => Part::Seen(compared(difference(check, "sg-1"))),
                };
                // Without a survey nothing is known of the doctors.
                let doctor_weight = if survey.is_some() { doctor_weight } else { 0 };
                let survey = match survey.clone() {
                    None => Part::NotSeen {
                        why: "Ray is gone".into(),
                    },
                    Some(mut survey) => {
                        let mut found = usable(2);
                        match doctor {
                            "warns" => found.warnings = vec!["no huge pages".into()],
                            verdict => found.verdict = verdict.into(),
                        }
                        survey.nodes[2] = node(2, Some(&found));
                        Part::Seen(survey)
                    }
                };
                let report = Report::judge(evidence(ec2, survey));
                let expected = match ec2_weight.max(doctor_weight).max(*survey_weight) {
                    0 => Verdict::Accepted,
                    1 => Verdict::AcceptedWithWarnings,
                    2 => Verdict::CouldNotBeJudged,
                    _ => Verdict::Refused,
                };
                let verdict = report.judgement.verdict;
                assert_eq!(
                    verdict, expected,
                    "{check:?} {doctor} {survey_weight}: {report}"
                );
                assert_eq!(verdict.exit_status() == 0, verdict.is_accepted());
                let unseen = [ec2_weight, doctor_weight, *survey_weight].contains(&2);
                assert_eq!(
                    !report.judgement.not_looked_at.is_empty(),
                    unseen,
                    "{report}"
                );
                let json = serde_json::to_string(&report).unwrap();
                assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
                combinations += 1;
            }
        }
    }
    assert_eq!(combinations, 64);
}

#[test]
fn evidence_against_a_node_names_its_instance() {
    let slow = Cluster::healthy(COUNT).with(Fault::SlowNode { node: 4, loss: 0.5 });
    let report = judged(|seen| seen.survey = Part::Seen(measured(&slow, Options::default())));
    assert_eq!(report.judgement.replace, [id(4)]);
    assert_eq!(report.require_replaceable().unwrap(), [id(4)]);
    let statement = report.to_string();
    assert!(
        statement.starts_with(&format!("refused: replace {}\n", id(4))),
        "{statement}"
    );
    let against = &report.judgement.against[0];
    assert_eq!(against.source, Source::Survey);
    assert!(against.statement.contains(&id(4)) && !against.statement.contains("host-4"));
    let error = report.require_accepted().unwrap_err();
    assert_eq!(error.code(), Code::Unhealthy);
    assert_eq!(error.context_value("replace"), Some(id(4).as_str()));
    assert!(report.to_html().contains(&format!("replace {}", id(4))));
}

#[test]
fn a_difference_from_the_plan_is_replaced_only_where_that_ends_it() {
    for (check, verdict, replace) in [
        ("interface", Verdict::Refused, vec![id(1)]),
        ("state", Verdict::Refused, vec![id(1)]),
        ("security_group", Verdict::Refused, vec![]),
        ("a check of the future", Verdict::Refused, vec![]),
        (
            "delete_on_termination",
            Verdict::AcceptedWithWarnings,
            vec![],
        ),
    ] {
        let subject = format!("{} card 1 device 1", id(1));
        let report = judged(|seen| seen.ec2 = Part::Seen(compared(difference(check, &subject))));
        let j = &report.judgement;
        assert_eq!((j.verdict, &j.replace), (verdict, &replace), "{check}");
        assert!(
            report
                .to_string()
                .contains(&format!("EC2: {check} of {subject}"))
        );
    }
    // The cluster itself is no instance.
    let report = judged(|seen| seen.ec2 = Part::Seen(compared(difference("state", "train"))));
    assert!(report.judgement.replace.is_empty());
}

#[test]
fn what_was_not_looked_at_is_never_accepted() {
    let cases: Vec<(Report, &str)> = vec![
        (
            judged(|seen| seen.instances.clear()),
            "EC2 shows no instance of the cluster",
        ),
        (
            judged(|seen| seen.instances.push(Instance::new(id(9), None, DEVICES))),
            "no node of the survey is this instance",
        ),
        (
            judged(|seen| seen.cluster = "other".into()),
            "the comparison is of the cluster 'train'",
        ),
        (
            judged(|seen| match &mut seen.ec2 {
                Part::Seen(ec2) => ec2.checks = 0,
                Part::NotSeen { .. } => unreachable!(),
            }),
            "nothing was compared",
        ),
        (
            in_survey(|survey| survey.provider = "tcp".into()),
            "the survey measured the provider tcp",
        ),
        (
            in_survey(|survey| survey.partial = true),
            "the survey was stopped early",
        ),
        (
            in_survey(|survey| {
                survey.nodes[5].state = absent();
                survey.silent = vec![5];
            }),
            "it took no part in the survey: it never joined",
        ),
        (
            in_survey(|survey| survey.nodes[5] = node(5, None)),
            "no node of the survey is",
        ),
        (
            in_survey(|survey| {
                survey.nodes[5] = node(5, None);
                survey.nodes[5].instance_id = Some(id(5));
            }),
            "its doctor gave no answer",
        ),
        (
            in_survey(|survey| survey.nodes[5].inspection = Some("{\"gpus\": 8}".into())),
            "no node of the survey is",
        ),
        (
            in_doctor(|found| found.verdict = "unknown".into()),
            "could not make every check",
        ),
        (
            in_doctor(|found| found.verdict = "splendid".into()),
            "'splendid', which is not known",
        ),
    ];
    for (report, statement) in cases {
        let j = &report.judgement;
        assert_eq!(
            j.verdict,
            Verdict::CouldNotBeJudged,
            "{statement}: {report}"
        );
        assert!(
            j.not_looked_at.iter().any(|one| one.contains(statement)),
            "{statement}: {report}"
        );
        assert!(j.replace.is_empty());
        let error = report.require_accepted().unwrap_err();
        assert_eq!(error.code(), Code::NotSurveyed);
        assert!(error.to_string().contains(statement), "{error}");
    }
}

#[test]
fn a_doctor_speaks_against_its_own_instance() {
    for (report, statement) in [
        (
            in_doctor(|found| {
                found.verdict = "not_usable".into();
                found.failed = Some("no /dev/infiniband".into());
            }),
            format!("EFA cannot be used on {}: no /dev/infiniband", id(3)),
        ),
        (
            in_doctor(|found| found.verdict = "no_efa_by_design".into()),
            format!("{} finds no EFA, and EC2 shows 2 EFA interfaces", id(3)),
        ),
        (
            in_doctor(|found| found.efa_devices = 1),
            format!("{} has 1 EFA devices, and EC2 shows 2 interfaces", id(3)),
        ),
    ] {
        assert_eq!(report.judgement.verdict, Verdict::Refused);
        assert!(
            report
                .judgement
                .against
                .iter()
                .any(|f| f.statement == statement),
            "{report}"
        );
        // The others have it, so that the survey takes it out.
        assert_eq!(report.judgement.replace, [id(3)]);
    }
    let all = in_survey(|survey| {
        for number in 0..COUNT {
            let mut found = usable(number);
            found.verdict = "not_usable".into();
            survey.nodes[number] = node(number, Some(&found));
        }
    });
    assert_eq!(all.judgement.verdict, Verdict::Refused);
    assert!(
        all.judgement.replace.is_empty(),
        "a set-up error replaces nobody: {all}"
    );
    let statement = "refused: no evidence points to a single instance";
    assert!(all.to_string().starts_with(statement), "{all}");
}

#[test]
fn what_a_complete_survey_cannot_tell_is_a_warning() {
    let options = Options {
        mode: Mode::Ring,
        ..Options::default()
    };
    let ring = measured(&Cluster::healthy(COUNT), options);
    let report = judged(|seen| seen.survey = Part::Seen(ring));
    assert_eq!(
        report.judgement.verdict,
        Verdict::AcceptedWithWarnings,
        "{report}"
    );
    let statement = "of 15 links were tried, nothing is known of the others";
    assert!(report.to_string().contains(statement), "{report}");
    let blind = in_survey(|survey| survey.conclusion.noise_percent = None);
    assert!(
        blind.to_string().contains("too few to identify a slow one"),
        "{blind}"
    );
    let expected = in_survey(|survey| {
        survey.conclusion.noise_percent = None;
        survey.options.as_mut().unwrap().expected_gbps = Some(100.0);
    });
    assert_eq!(expected.judgement.verdict, Verdict::Accepted, "{expected}");
}

#[test]
fn nodes_are_found_by_what_they_say_of_themselves_then_by_address() {
    let by_address = in_survey(|survey| {
        let mut found = usable(2);
        found.instance_id = None;
        survey.nodes[2] = node(2, Some(&found));
        survey.nodes[2].address = Some("10.0.0.2".into());
    });
    assert_eq!(
        by_address.judgement.verdict,
        Verdict::Accepted,
        "{by_address}"
    );
    // Two nodes that report to be one instance leave the other without any.
    let twice = in_survey(|survey| {
        survey.nodes[2] = node(2, Some(&usable(1)));
        survey.nodes[2].address = Some("10.0.0.2".into());
    });
    assert_eq!(twice.judgement.verdict, Verdict::CouldNotBeJudged);
    assert!(
        twice.judgement.not_looked_at[0].starts_with(&id(2)),
        "{twice}"
    );
    let unknown = in_survey(|survey| {
        survey.nodes[2] = node(2, Some(&usable(77)));
    });
    let statement = "host-2 was surveyed and is not known as an instance of the cluster";
    assert!(unknown.to_string().contains(statement), "{unknown}");
}

#[test]
fn a_saved_report_is_judged_again() {
    let path = std::env::temp_dir().join(format!("efa-acceptance-{}.json", std::process::id()));
    let report = in_survey(|survey| survey.partial = true).finished(1_796_004_000);
    report.save(&path).unwrap();
    assert_eq!(Report::load(&path).unwrap(), report);
    assert!(report.to_string().contains("judged 2026-11-30T02:00:00Z"));
    let edited = std::fs::read_to_string(&path).unwrap();
    let edited = edited.replace("could_not_be_judged", "accepted");
    std::fs::write(&path, edited).unwrap();
    let verdict = Report::load(&path).unwrap().judgement.verdict;
    assert_eq!(verdict, Verdict::CouldNotBeJudged);
    std::fs::write(&path, "{}").unwrap();
    assert_eq!(Report::load(&path).unwrap_err().code(), Code::InvalidOption);
    std::fs::remove_file(&path).unwrap();
    let mut json = serde_json::to_value(&report).unwrap();
    json["finished_unix_s"] = u64::MAX.into();
    assert!(serde_json::from_value::<Report>(json).is_err());
}
