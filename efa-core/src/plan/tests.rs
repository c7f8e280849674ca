mod refusals;
mod reserved;
mod stored;

use super::*;
use crate::catalog::Catalog;
use crate::ec2::{CapacityReservation, Direction, PlacementGroup, Rule, SecurityGroup};
use crate::fixtures::{decide_plan, seen, subnet};
use crate::iam::InstanceProfile;
use crate::launch::UserData;
use crate::spec::{
    Capacity, ClusterSpec, ImageChoice, InstanceProfileChoice, InstanceRole, PlacementGroupChoice,
    SecurityGroupChoice, Selector,
};
use crate::types::{Architecture, PlacementStrategy};

fn spec(instance_type: &str) -> ClusterSpec {
    ClusterSpec::new("train", instance_type, 2, "subnet-00000001", "ami-00000001")
}

fn reservation(kind: &str) -> CapacityReservation {
    CapacityReservation {
        capacity_reservation_id: "cr-1".to_owned(),
        instance_type: "p5.48xlarge".to_owned(),
        availability_zone: "us-east-1b".to_owned(),
        tenancy: "dedicated".to_owned(),
        state: "active".to_owned(),
        reservation_type: kind.to_owned(),
        instance_match_criteria: "targeted".to_owned(),
        instance_platform: Some("Linux/UNIX".to_owned()),
        owner_id: "123456789012".to_owned(),
        total_instance_count: 4,
        available_instance_count: 2,
        placement_group_arn: None,
        start_date: None,
        end_date: None,
    }
}

fn group(tags: &[(&str, &str)], ingress: Vec<Rule>, egress: Vec<Rule>) -> SecurityGroup {
    SecurityGroup {
        group_id: "sg-00000001".to_owned(),
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
    vec![Rule::all_traffic_with_group("sg-00000001")]
}

#[test]
fn a_fresh_cluster_makes_both_groups_and_launches_the_layout() {
    let spec = spec("p5.48xlarge");
    let plan = decide_plan(&spec, seen(&spec)).unwrap();
    assert_eq!(plan.layout().efa_count(), 32);
    assert!(plan.makes_groups());
    assert_eq!(
        plan.security_group().missing_self_rules,
        [Direction::Ingress, Direction::Egress]
    );
    assert_eq!(
        plan.placement_group().map(|g| g.group_name.as_str()),
        Some("efa-sdk-train")
    );

    let request = plan.run_instances_request(&plan.launch("sg-00000001", "subnet-00000001"));
    assert_eq!(request.data.network_interfaces.len(), 33);
    assert_eq!(
        (request.max_count, request.client_token.len() <= 64),
        (2, true)
    );
    let tags = request.data.instance_tags().unwrap();
    assert_eq!(tags["efa-sdk:cluster"], "train");
    assert_eq!(
        tags["efa-sdk:layout"],
        "0:0=interface 0:1=efa-only 1-31:0=efa-only"
    );
    assert_eq!(request.data.block_device_mappings.len(), 1);

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

fn token(plan: &Plan, group: &str, subnet: &str, number: u32) -> String {
    let mut launch = plan.launch(group, subnet);
    launch.number = number;
    plan.run_instances_request(&launch).client_token
}

#[test]
fn the_fingerprint_covers_the_intent_and_not_what_exists() {
    let spec_ = spec("p5.48xlarge");
    let fresh = decide_plan(&spec_, seen(&spec_)).unwrap();
    let mut half_made = seen(&spec_);
    half_made.security_group = Some(group(
        &[("efa-sdk:cluster", "train")],
        all_with_itself(),
        Vec::new(),
    ));
    half_made.subnets[0].available_ip_address_count = 100;
    let half_made = decide_plan(&spec_, half_made).unwrap();
    assert_eq!(fresh.fingerprint(), half_made.fingerprint());
    assert_eq!(
        half_made.security_group().missing_self_rules,
        [Direction::Egress]
    );
    assert_ne!(fresh, half_made);

    type Change = fn(&mut ClusterSpec);
    let mut larger = spec_.clone();
    (larger.count, larger.minimum_count) = (3, Some(2));
    let larger = decide_plan(&larger, seen(&larger)).unwrap();
    assert_eq!(
        larger.fingerprint(),
        fresh.fingerprint(),
        "clusters grow and shrink"
    );
    let first = token(&fresh, "sg-00000001", "subnet-00000001", 0);
    assert_ne!(token(&larger, "sg-00000001", "subnet-00000001", 0), first);

    let changes: [Change; 5] = [
        |s| s.efa = Some(4),
        |s| s.name = "other".to_owned(),
        |s| s.user_data = Some("#!/bin/sh".to_owned()),
        |s| drop(s.tags.insert("a".to_owned(), "b".to_owned())),
        |s| s.profile = crate::layout::Profile::IpBandwidth,
    ];
    for change in changes {
        let mut changed = spec_.clone();
        change(&mut changed);
        let plan = decide_plan(&changed, seen(&changed)).unwrap();
        assert_ne!(plan.fingerprint(), fresh.fingerprint(), "{changed:?}");
        assert_ne!(token(&plan, "sg-00000001", "subnet-00000001", 0), first);
    }
    let tokens = [
        first,
        token(&fresh, "sg-00000002", "subnet-00000001", 0),
        token(&fresh, "sg-00000001", "subnet-00000002", 0),
        token(&fresh, "sg-00000001", "subnet-00000001", 1),
    ];
    assert_eq!(
        tokens
            .iter()
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        4
    );
    assert_eq!(
        token(&half_made, "sg-00000001", "subnet-00000001", 0),
        tokens[0]
    );
}

/// Plans in a reservation that was made in this placement group.
fn reserve(spec: &mut ClusterSpec, seen: &mut Observations, group_arn: Option<&str>) {
    spec.capacity = Capacity::Reservation("cr-1".into());
    let mut found = reservation("default");
    found.placement_group_arn = group_arn.map(str::to_owned);
    seen.reservations = vec![found];
    seen.subnets = vec![subnet("subnet-00000002", "us-east-1b", 250)];
}

fn profile(name: &str, roles: &[&str], tags: &[(&str, &str)]) -> InstanceProfile {
    InstanceProfile {
        instance_profile_name: name.to_owned(),
        arn: format!("arn:aws:iam::123456789012:instance-profile/{name}"),
        role_names: roles.iter().map(|r| (*r).to_owned()).collect(),
        role_arns: roles
            .iter()
            .map(|r| format!("arn:aws:iam::123456789012:role/team/{r}"))
            .collect(),
        tags: tags
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    }
}

#[test]
fn subnets_are_tried_in_the_order_of_their_ids_or_of_their_room() {
    let spec_ = spec("p5.48xlarge");
    let order = |spec: &ClusterSpec| {
        let mut seen = seen(spec);
        seen.subnets = vec![
            subnet("subnet-00000001", "us-east-1a", 10),
            subnet("subnet-00000002", "us-east-1b", 200),
            subnet("subnet-00000003", "us-east-1c", 250),
        ];
        let plan = decide_plan(spec, seen).unwrap();
        assert_eq!(plan.rejected_subnets()[0].subnet_id, "subnet-00000003");
        plan.subnets()
            .iter()
            .map(|s| s.subnet_id.clone())
            .collect::<Vec<_>>()
    };
    let ids = ["subnet-00000001", "subnet-00000002"].map(|id| Selector::Id(id.to_owned()));
    assert_eq!(
        order(&spec_.clone().in_subnets(ids)),
        ["subnet-00000001", "subnet-00000002"]
    );
    let tag = Selector::subnet("Name=private").unwrap();
    assert_eq!(
        order(&spec_.in_subnets([tag])),
        ["subnet-00000002", "subnet-00000001"]
    );
}

#[test]
fn what_is_seldom_wanted_produces_a_warning() {
    type Change = fn(&mut ClusterSpec, &mut Observations);
    let cases: &[(&str, Change)] = &[
        ("no EFA software", |_, _| {}),
        ("less than the 200 GiB recommended", |s, _| {
            s.volume_size_gib = Some(100)
        }),
        ("neither your account nor Amazon's", |_, o| {
            o.image.owner_alias = None
        }),
        ("take spot instances back", |s, _| {
            s.capacity = Capacity::Spot
        }),
        ("user_data begins with no line", |s, _| {
            s.user_data = Some("IyEvYmluL3NoCg==".into())
        }),
        ("the whole Internet", |s, _| {
            s.ssh_cidrs = vec!["0.0.0.0/0".into()]
        }),
        ("cr-1 is scheduled: it begins at 2026-12-01", |s, o| {
            s.capacity = Capacity::Reservation("cr-1".into());
            let mut later = reservation("capacity-block");
            later.state = "scheduled".into();
            later.start_date = Some("2026-12-01T11:30:00Z".into());
            o.reservations = vec![later];
            o.subnets = vec![subnet("subnet-00000002", "us-east-1b", 250)];
        }),
    ];
    for (warning, change) in cases {
        let mut spec = spec("p5.48xlarge");
        let mut seen = seen(&spec);
        change(&mut spec, &mut seen);
        let plan = decide_plan(&spec, seen).unwrap();
        assert!(
            plan.to_string().contains("  ! ")
                && plan.warnings().iter().any(|w| w.contains(warning)),
            "'{warning}' is not in {:?}",
            plan.warnings()
        );
    }
    let mut quiet = seen(&spec("p5.48xlarge"));
    quiet.image.name = "Deep Learning Base OSS Nvidia Driver GPU AMI".into();
    assert_eq!(
        decide_plan(&spec("p5.48xlarge"), quiet).unwrap().warnings(),
        Vec::<String>::new()
    );
}

#[test]
fn an_adopted_group_is_repaired_and_ssh_needs_a_range() {
    let mut spec_ = spec("p5.48xlarge");
    spec_.security_group = SecurityGroupChoice::Adopt(Selector::Id("sg-00000001".into()));
    let mut seen_ = seen(&spec_);
    seen_.security_group = Some(group(&[], Vec::new(), Vec::new()));
    let plan = decide_plan(&spec_, seen_).unwrap();
    assert_eq!(plan.security_group().missing_self_rules.len(), 2);
    assert!(!plan.security_group().ours);

    let mut spec_ = spec("p5.48xlarge");
    assert!(
        decide_plan(&spec_, seen(&spec_))
            .unwrap()
            .security_group()
            .missing_ssh_cidrs
            .is_empty()
    );
    spec_.ssh_cidrs = vec!["203.0.113.7/32".into()];
    let plan = decide_plan(&spec_, seen(&spec_)).unwrap();
    assert!(
        plan.to_string().contains("(SSH) from 203.0.113.7/32"),
        "{plan}"
    );
}

fn placement_group(strategy: PlacementStrategy, tags: &[(&str, &str)]) -> PlacementGroup {
    PlacementGroup {
        group_id: "pg-1".to_owned(),
        group_arn: None,
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
    spec.security_group = SecurityGroupChoice::Use(Selector::Id("sg-00000001".into()));
    spec.placement_group = PlacementGroupChoice::Use("mine".to_owned());
    let mut seen = seen(&spec);
    seen.security_group = Some(group(&[], all_with_itself(), all_with_itself()));
    seen.placement_group = Some(placement_group(PlacementStrategy::Cluster, &[]));
    let plan = decide_plan(&spec, seen).unwrap();
    assert!(!plan.makes_groups());
    assert!(!plan.security_group().ours && plan.placement_group().is_some_and(|g| !g.ours));
    assert!(
        plan.to_string().contains("= security group   sg-00000001"),
        "{plan}"
    );
}

#[test]
fn own_interfaces_meet_the_layout_rules() {
    let mut spec_ = spec("c5n.18xlarge");
    let efa = |card, device| {
        crate::layout::NetworkInterface::new(card, device, crate::types::InterfaceType::Efa)
    };
    spec_.interfaces = Some(vec![efa(0, 0)]);
    spec_.public_ip = PublicIp::ElasticIp;
    let plan = decide_plan(&spec_, seen(&spec_)).unwrap();
    assert_eq!(
        (plan.layout().profile, plan.layout().public_ip),
        (None, PublicIp::ElasticIp)
    );
    assert!(plan.to_string().contains("+ 2 Elastic IPs"), "{plan}");

    spec_.interfaces = Some(vec![efa(0, 0), efa(1, 1)]);
    let error = decide_plan(&spec_, seen(&spec_)).unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::Layout, "{error}");
}

#[test]
fn a_caller_may_pass_the_profiles_own_role_only() {
    let mut spec = spec("c5n.18xlarge");
    spec.instance_profile = InstanceProfileChoice::Use("nodes".to_owned());
    let passed = |profile: InstanceProfile| {
        let mut observed = seen(&spec);
        observed.instance_profile = Some(profile);
        let plan = decide_plan(&spec, observed).unwrap();
        let policy: Value = serde_json::from_str(&plan.caller_policy()).unwrap();
        let statements = policy["Statement"].as_array().unwrap().clone();
        let of = |sid: &str| {
            let found = statements.iter().find(|s| s["Sid"] == sid).unwrap();
            found["Resource"].as_str().unwrap().to_owned()
        };
        (of("PassRole"), of("ReadInstanceProfile"))
    };
    let known = profile("nodes", &["node"], &[]);
    let mut unsaid = known.clone();
    unsaid.role_arns.clear();
    assert_eq!(passed(known).0, "arn:aws:iam::123456789012:role/team/node");
    let (role, of_profile) = passed(unsaid);
    assert_eq!(role, "arn:aws:iam::123456789012:role/node");
    assert_eq!(
        of_profile,
        "arn:aws:iam::123456789012:instance-profile/nodes"
    );
}

#[test]
fn user_data_that_is_too_long_is_compressed() {
    let mut spec = spec("p5.48xlarge");
    let mut bootstrap = Bootstrap {
        extra_script: Some("touch /tmp/x".to_owned()),
        ..Bootstrap::default()
    };
    spec.bootstrap = Some(bootstrap.clone());
    let plan = decide_plan(&spec, seen(&spec)).unwrap();
    let script = bootstrap.user_data("train").unwrap();
    let data = plan.launch_data("sg-00000001", "subnet-00000001");
    assert_eq!(data.user_data, Some(UserData::Text(script)));

    bootstrap.extra_script = Some("true\n".repeat(4_000));
    spec.bootstrap = Some(bootstrap.clone());
    let plan = decide_plan(&spec, seen(&spec)).unwrap();
    let script = bootstrap.user_data("train").unwrap();
    assert_eq!(plan.user_data(), Some(script.as_str()));
    let packed = UserData::compressed(&script);
    let line = format!(
        "user data      {} bytes, {} with gzip\n",
        script.len(),
        packed.as_bytes().len()
    );
    assert!(plan.to_string().contains(&line), "{plan}");
    let data = plan.launch_data("sg-00000001", "subnet-00000001");
    assert_eq!(data.user_data, Some(packed));
    assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
}

#[test]
fn an_instance_store_is_mounted_where_there_is_one() {
    let asked = |instance_type: &str, change: &dyn Fn(&mut ClusterSpec)| {
        let mut spec = spec(instance_type);
        spec.bootstrap = Some(Bootstrap {
            instance_store: Some("/scratch".to_owned()),
            ..Bootstrap::default()
        });
        change(&mut spec);
        decide_plan(&spec, seen(&spec))
    };
    let text = asked("p5.48xlarge", &|_| {}).unwrap().to_string();
    assert!(text.contains("instance store at /scratch"), "{text}");
    // EC2 states nothing about its storage: the bootstrap looks.
    assert!(asked("p6e-gb200.36xlarge", &|_| {}).is_ok());
    let of_image = |spec: &mut ClusterSpec| {
        spec.image = ImageChoice::DeepLearning(crate::spec::DeepLearningSystem::Ubuntu2204);
    };
    for refused in [
        asked("c5n.18xlarge", &|_| {}),
        asked("p5.48xlarge", &of_image),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.code(), Code::PlanConflict);
        assert_eq!(error.context_value("field"), Some("instance_store"));
    }
}

#[test]
fn plans_say_where_they_differ() {
    let spec_ = spec("p5.48xlarge");
    let plan = decide_plan(&spec_, seen(&spec_)).unwrap();
    assert_eq!(plan.diff(&plan), []);

    let mut larger = spec_.clone();
    larger.count = 3;
    larger.tags.insert("team".to_owned(), "x".to_owned());
    larger.efa = Some(31);
    let larger = decide_plan(&larger, seen(&spec_)).unwrap();
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
