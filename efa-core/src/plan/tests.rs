use super::*;
use crate::catalog::Catalog;
use crate::ec2::{Direction, Rule};
use crate::spec::{PlacementGroupChoice, SecurityGroupChoice};
use crate::types::PlacementStrategy;

fn spec(instance_type: &str) -> ClusterSpec {
    ClusterSpec::new("train", instance_type, 2, "subnet-1", "ami-1")
}

fn seen(spec: &ClusterSpec) -> Observations {
    Observations {
        region: "us-east-1".to_owned(),
        instance_type: Catalog::bundled()
            .require(&spec.instance_type)
            .unwrap()
            .clone(),
        zones_that_offer: vec!["us-east-1a".to_owned(), "us-east-1b".to_owned()],
        subnet: Subnet {
            subnet_id: spec.subnet_id.clone(),
            vpc_id: "vpc-1".to_owned(),
            availability_zone: "us-east-1a".to_owned(),
            available_ip_address_count: 250,
            map_public_ip_on_launch: false,
        },
        image: Image {
            image_id: spec.image_id.clone(),
            name: "al2023".to_owned(),
            owner_id: "137112412989".to_owned(),
            architecture: Architecture::X86_64,
            ena_support: true,
            root_device_name: Some("/dev/xvda".to_owned()),
        },
        security_group: None,
        placement_group: None,
    }
}

fn group(tags: &[(&str, &str)], ingress: Vec<Rule>, egress: Vec<Rule>) -> SecurityGroup {
    SecurityGroup {
        group_id: "sg-1".to_owned(),
        group_name: "efa-sdk-train".to_owned(),
        vpc_id: "vpc-1".to_owned(),
        ingress,
        egress,
        tags: tags
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    }
}

fn all_with_itself() -> Vec<Rule> {
    vec![Rule::all_traffic_with_group("sg-1")]
}

#[test]
fn a_fresh_cluster_makes_both_groups_and_launches_the_layout() {
    let spec = spec("p5.48xlarge");
    let plan = decide(&spec, seen(&spec)).unwrap();
    assert_eq!(plan.layout.efa_count(), 32);
    assert!(plan.makes_groups());
    assert_eq!(
        plan.security_group.missing_self_rules,
        [Direction::Ingress, Direction::Egress]
    );
    assert_eq!(
        plan.placement_group.as_ref().map(|g| g.group_name.as_str()),
        Some("efa-sdk-train")
    );

    let request = plan.run_instances_request("sg-1", 0);
    assert_eq!(request.interfaces.len(), 33);
    assert_eq!((request.count, request.client_token.len() <= 64), (2, true));
    assert_eq!(request.tags["efa-sdk:cluster"], "train");
    assert_eq!(
        request.tags["efa-sdk:layout"],
        "0:0=interface 0:1=efa-only 1-31:0=efa-only"
    );
    assert!(request.root_volume.is_some());

    let text = plan.to_string();
    for line in [
        "+ security group",
        "+ placement group",
        "+ 2 x p5.48xlarge",
        "= subnet",
        "= image",
        "IMDSv2",
    ] {
        assert!(text.contains(line), "{line} is missing in:\n{text}");
    }
}

#[test]
fn the_fingerprint_covers_the_intent_and_not_what_exists() {
    let spec_ = spec("p5.48xlarge");
    let fresh = decide(&spec_, seen(&spec_)).unwrap();
    let mut half_made = seen(&spec_);
    half_made.security_group = Some(group(
        &[("efa-sdk:cluster", "train")],
        all_with_itself(),
        Vec::new(),
    ));
    half_made.subnet.available_ip_address_count = 100;
    let half_made = decide(&spec_, half_made).unwrap();
    assert_eq!(fresh.fingerprint, half_made.fingerprint);
    assert_eq!(
        half_made.security_group.missing_self_rules,
        [Direction::Egress]
    );
    assert_ne!(fresh, half_made);

    type Change = fn(&mut ClusterSpec);
    let changes: [Change; 6] = [
        |s| s.count = 3,
        |s| s.efa = Some(4),
        |s| s.name = "other".to_owned(),
        |s| s.user_data = Some("#!/bin/sh".to_owned()),
        |s| drop(s.tags.insert("a".to_owned(), "b".to_owned())),
        |s| s.profile = crate::Profile::IpBandwidth,
    ];
    for change in changes {
        let mut changed = spec_.clone();
        change(&mut changed);
        let plan = decide(&changed, seen(&changed)).unwrap();
        assert_ne!(plan.fingerprint, fresh.fingerprint, "{changed:?}");
        assert_ne!(plan.client_token("sg-1", 0), fresh.client_token("sg-1", 0));
    }
    assert_ne!(fresh.client_token("sg-1", 0), fresh.client_token("sg-2", 0));
    assert_ne!(fresh.client_token("sg-1", 0), fresh.client_token("sg-1", 1));
}

#[test]
fn what_contradicts_is_refused_with_the_cure() {
    type Break = fn(&mut ClusterSpec, &mut Observations);
    let cases: &[(&str, &str, Break)] = &[
        ("not offered in us-east-1a", "us-east-1c", |_, o| {
            o.zones_that_offer = vec!["us-east-1c".into()]
        }),
        ("not offered", "another region", |_, o| {
            o.zones_that_offer.clear()
        }),
        ("is for arm64", "of that architecture", |_, o| {
            o.image.architecture = Architecture::Arm64
        }),
        ("ENA support", "Amazon Linux", |_, o| {
            o.image.ena_support = false
        }),
        (
            "has 1 free addresses, the plan needs 2",
            "larger subnet",
            |_, o| o.subnet.available_ip_address_count = 1,
        ),
        ("not tagged as this cluster's", "security_group", |_, o| {
            o.security_group = Some(group(&[], all_with_itself(), all_with_itself()));
        }),
        (
            "not tagged as this cluster's",
            "another cluster name",
            |_, o| {
                o.security_group = Some(group(
                    &[("efa-sdk:cluster", "other")],
                    Vec::new(),
                    Vec::new(),
                ));
            },
        ),
        (
            "lacks the all-protocol egress rule",
            "aws ec2 authorize-security-group-egress --group-id sg-1",
            |s, o| {
                s.security_group = SecurityGroupChoice::Use("sg-1".into());
                // What many recipes have: everything out to anywhere, which EFA is not.
                let anywhere = Rule {
                    peer: crate::ec2::Peer::Cidr("0.0.0.0/0".into()),
                    ..Rule::all_traffic_with_group("sg-1")
                };
                o.security_group = Some(group(&[], all_with_itself(), vec![anywhere]));
            },
        ),
        (
            "lacks the all-protocol ingress and egress rule",
            "authorize-security-group-ingress",
            |s, o| {
                s.security_group = SecurityGroupChoice::Use("sg-1".into());
                let tcp_only = Rule {
                    ip_protocol: "tcp".into(),
                    ..Rule::all_traffic_with_group("sg-1")
                };
                o.security_group = Some(group(&[], vec![tcp_only], Vec::new()));
            },
        ),
        (
            "is in vpc-1, but subnet subnet-1 is in vpc-2",
            "same VPC",
            |s, o| {
                s.security_group = SecurityGroupChoice::Use("sg-1".into());
                o.security_group = Some(group(&[], all_with_itself(), all_with_itself()));
                o.subnet.vpc_id = "vpc-2".into();
            },
        ),
        ("strategy spread", "cluster placement group", |s, o| {
            s.placement_group = PlacementGroupChoice::Use("mine".into());
            o.placement_group = Some(placement_group(PlacementStrategy::Spread, &[]));
        }),
        ("exists and is not tagged", "placement_group", |_, o| {
            o.placement_group = Some(placement_group(PlacementStrategy::Cluster, &[]));
        }),
        (
            "cannot be in a cluster placement group",
            "no placement group",
            |s, o| {
                s.instance_type = "vt1.24xlarge".into();
                o.instance_type = Catalog::bundled().require("vt1.24xlarge").unwrap().clone();
            },
        ),
    ];
    for (message, cure, break_it) in cases {
        let mut spec = spec("p5.48xlarge");
        let mut seen = seen(&spec);
        break_it(&mut spec, &mut seen);
        let error = decide(&spec, seen).unwrap_err();
        assert_eq!(error.code(), Code::PlanConflict, "{error}");
        assert!(
            error.message().contains(message),
            "'{message}' is not in: {error}"
        );
        assert!(
            error.cure().unwrap().contains(cure),
            "'{cure}' is not in: {error}"
        );
    }
}

fn placement_group(strategy: PlacementStrategy, tags: &[(&str, &str)]) -> PlacementGroup {
    PlacementGroup {
        group_id: "pg-1".to_owned(),
        group_name: "mine".to_owned(),
        strategy,
        state: "available".to_owned(),
        tags: tags
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    }
}

#[test]
fn groups_that_are_there_are_used() {
    let mut spec = spec("p5.48xlarge");
    spec.security_group = SecurityGroupChoice::Use("sg-1".to_owned());
    spec.placement_group = PlacementGroupChoice::Use("mine".to_owned());
    let mut seen = seen(&spec);
    seen.security_group = Some(group(&[], all_with_itself(), all_with_itself()));
    seen.placement_group = Some(placement_group(PlacementStrategy::Cluster, &[]));
    let plan = decide(&spec, seen).unwrap();
    assert!(!plan.makes_groups());
    assert!(!plan.security_group.ours && plan.placement_group.as_ref().is_some_and(|g| !g.ours));
    assert!(
        plan.to_string().contains("= security group   sg-1"),
        "{plan}"
    );
}

#[test]
fn own_interfaces_meet_the_layout_rules() {
    let mut spec_ = spec("c5n.18xlarge");
    let efa = |card, device| crate::NetworkInterface::new(card, device, crate::InterfaceType::Efa);
    spec_.interfaces = Some(vec![efa(0, 0)]);
    spec_.public_ip = PublicIp::ElasticIp;
    let plan = decide(&spec_, seen(&spec_)).unwrap();
    assert_eq!(
        (plan.layout.profile, plan.layout.public_ip),
        (None, PublicIp::ElasticIp)
    );
    assert!(plan.to_string().contains("+ 2 Elastic IPs"), "{plan}");

    spec_.interfaces = Some(vec![efa(0, 0), efa(1, 1)]);
    let error = decide(&spec_, seen(&spec_)).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Layout, "{error}");
}

#[test]
fn a_stored_plan_is_read_back_and_a_changed_one_refused() {
    let spec = spec("p5.48xlarge");
    let plan = decide(&spec, seen(&spec)).unwrap();
    let json = plan.to_json();
    assert_eq!(Plan::from_json(&json).unwrap(), plan);

    for (what, with) in [
        ("\"count\": 2", "\"count\": 200"),
        ("\"format\": 1", "\"format\": 2"),
        ("\"region\": \"us-east-1\"", "\"region\": \"eu-west-1\""),
        ("efa-only", "efa"),
        ("{", ""),
    ] {
        let changed = json.replacen(what, with, 1);
        assert_ne!(changed, json, "{what}");
        assert_eq!(
            Plan::from_json(&changed).unwrap_err().code(),
            Code::PlanUnreadable,
            "{what}"
        );
    }
}

#[test]
fn plans_say_where_they_differ() {
    let spec_ = spec("p5.48xlarge");
    let plan = decide(&spec_, seen(&spec_)).unwrap();
    assert_eq!(plan.diff(&plan), []);

    let mut larger = spec_.clone();
    larger.count = 3;
    larger.tags.insert("team".to_owned(), "x".to_owned());
    larger.efa = Some(31);
    let larger = decide(&larger, seen(&spec_)).unwrap();
    let found = plan.diff(&larger);
    let at = |path: &str| {
        found
            .iter()
            .find(|d| d.path == path)
            .map(|d| (d.left.as_deref(), d.right.as_deref()))
    };
    assert_eq!(at("spec.count"), Some((Some("2"), Some("3"))));
    assert_eq!(at("spec.tags.team"), Some((None, Some("\"x\""))));
    assert!(
        at("layout.interfaces.32").is_some_and(|(left, right)| left.is_some() && right.is_none())
    );
    assert!(at("fingerprint").is_some() && at("region").is_none());
}
