use super::*;
use crate::catalog::Catalog;
use crate::ec2::{CapacityReservation, Direction, PlacementGroup, Rule, SecurityGroup};
use crate::fixtures::{decide, seen, subnet};
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
    let plan = decide(&spec, seen(&spec)).unwrap();
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
    let fresh = decide(&spec_, seen(&spec_)).unwrap();
    let mut half_made = seen(&spec_);
    half_made.security_group = Some(group(
        &[("efa-sdk:cluster", "train")],
        all_with_itself(),
        Vec::new(),
    ));
    half_made.subnets[0].available_ip_address_count = 100;
    let half_made = decide(&spec_, half_made).unwrap();
    assert_eq!(fresh.fingerprint(), half_made.fingerprint());
    assert_eq!(
        half_made.security_group().missing_self_rules,
        [Direction::Egress]
    );
    assert_ne!(fresh, half_made);

    type Change = fn(&mut ClusterSpec);
    let mut larger = spec_.clone();
    (larger.count, larger.minimum_count) = (3, Some(2));
    let larger = decide(&larger, seen(&larger)).unwrap();
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
        let plan = decide(&changed, seen(&changed)).unwrap();
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
            |_, o| o.subnets[0].available_ip_address_count = 1,
        ),
        ("no public IPv4 address", "public_ip out", |s, o| {
            o.subnets[0].ipv6_native = true;
            s.public_ip = PublicIp::ElasticIp;
        }),
        ("by instance id alone", "resource-name", |s, o| {
            o.subnets[0].ipv6_native = true;
            s.host_names = Some(crate::spec::HostNames::IpName);
        }),
        ("the bootstrap asks", "leave bootstrap out", |s, o| {
            o.subnets[0].ipv6_native = true;
            s.bootstrap = Some(crate::spec::Bootstrap::default());
        }),
        ("the timer asks", "leave expires_after out", |s, o| {
            o.subnets[0].ipv6_native = true;
            s.expires_after = Some(std::time::Duration::from_secs(3600));
        }),
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
            "lacks the self-referencing all-protocol egress rule",
            "aws ec2 authorize-security-group-egress --group-id sg-00000001",
            |s, o| {
                s.security_group = SecurityGroupChoice::Use(Selector::Id("sg-00000001".into()));
                // What many recipes have: everything out to anywhere, which EFA is not.
                let anywhere = Rule {
                    peer: crate::ec2::Peer::Cidr("0.0.0.0/0".into()),
                    ..Rule::all_traffic_with_group("sg-00000001")
                };
                o.security_group = Some(group(&[], all_with_itself(), vec![anywhere]));
            },
        ),
        (
            "lacks the self-referencing all-protocol ingress and egress rule",
            "authorize-security-group-ingress",
            |s, o| {
                s.security_group = SecurityGroupChoice::Use(Selector::Id("sg-00000001".into()));
                let tcp_only = Rule {
                    ip_protocol: "tcp".into(),
                    ..Rule::all_traffic_with_group("sg-00000001")
                };
                o.security_group = Some(group(&[], vec![tcp_only], Vec::new()));
            },
        ),
        (
            "is in vpc-1, but subnet subnet-00000001 is in vpc-2",
            "same VPC",
            |s, o| {
                s.security_group = SecurityGroupChoice::Use(Selector::Id("sg-00000001".into()));
                o.security_group = Some(group(&[], all_with_itself(), all_with_itself()));
                o.subnets[0].vpc_id = "vpc-2".into();
            },
        ),
        ("cr-1 does not exist", "check the id", |s, _| {
            s.capacity = Capacity::Reservation("cr-1".into());
        }),
        ("cr-1 is for p4d.24xlarge", "one of the two", |s, o| {
            s.capacity = Capacity::Reservation("cr-1".into());
            let mut other = reservation("default");
            other.instance_type = "p4d.24xlarge".into();
            o.reservations = vec![other];
        }),
        ("cr-1 is expired", "active or scheduled", |s, o| {
            s.capacity = Capacity::Reservation("cr-1".into());
            let mut over = reservation("capacity-block");
            over.state = "expired".into();
            o.reservations = vec![over];
        }),
        ("cr-1 has room for 2 of 4", "minutes to free", |s, o| {
            s.capacity = Capacity::Reservation("cr-1".into());
            s.count = 3;
            o.reservations = vec![reservation("default")];
        }),
        (
            "the reservation in us-east-1b",
            "a subnet in us-east-1b",
            |s, o| {
                s.capacity = Capacity::Reservation("cr-1".into());
                o.reservations = vec![reservation("default")];
            },
        ),
        (
            "together with a Capacity Block",
            "leave the placement group out",
            |s, o| {
                s.capacity = Capacity::Reservation("cr-1".into());
                s.placement_group = PlacementGroupChoice::Use("mine".into());
                o.reservations = vec![reservation("capacity-block")];
                o.subnets = vec![subnet("subnet-00000002", "us-east-1b", 250)];
            },
        ),
        (
            "made in (theirs)",
            "leave the placement group out",
            |s, o| {
                s.placement_group = PlacementGroupChoice::Use("mine".into());
                reserve(
                    s,
                    o,
                    Some("arn:aws:ec2:us-east-1:123456789012:placement-group/theirs"),
                );
            },
        ),
        (
            "made in (theirs of account 210987654321)",
            "the reservation places",
            |s, o| {
                s.placement_group = PlacementGroupChoice::Use("theirs".into());
                reserve(
                    s,
                    o,
                    Some("arn:aws:ec2:us-east-1:210987654321:placement-group/theirs"),
                );
            },
        ),
        ("image ami-00000001 is pending", "wait until", |_, o| {
            o.image.state = "pending".into();
        }),
        ("image ami-00000001 is Windows", "Linux image", |_, o| {
            o.image.platform_details = Some("Windows".into());
        }),
        (
            "cr-1 is for Red Hat Enterprise Linux, image ami-00000001 is Linux/UNIX",
            "platform",
            |s, o| {
                reserve(s, o, None);
                let found = o.reservations.first_mut().unwrap();
                found.instance_platform = Some("Red Hat Enterprise Linux".into());
            },
        ),
        (
            "c7g.16xlarge takes no EFA as a Dedicated Instance",
            "tenancy default",
            |s, o| {
                s.instance_type = "c7g.16xlarge".into();
                o.instance_type = Catalog::bundled().require("c7g.16xlarge").unwrap().clone();
                o.image.architecture = Architecture::Arm64;
                o.vpc.as_mut().unwrap().instance_tenancy = "dedicated".into();
            },
        ),
        (
            "cr-1 has tenancy default, but vpc-1",
            "VPC with tenancy default",
            |s, o| {
                reserve(s, o, None);
                o.reservations.first_mut().unwrap().tenancy = "default".into();
                o.vpc.as_mut().unwrap().instance_tenancy = "dedicated".into();
            },
        ),
        ("is not sold as spot", "on-demand", |s, o| {
            s.capacity = Capacity::Spot;
            o.instance_type.usage_classes.clear();
        }),
        (
            "none of 2 subnets can take the cluster",
            "us-east-1a",
            |_, o| {
                o.subnets = vec![
                    subnet("subnet-00000001", "us-east-1e", 9),
                    subnet("subnet-00000002", "us-east-1b", 1),
                ];
            },
        ),
        ("in several VPCs", "name the VPC", |_, o| {
            o.subnets.push(subnet("subnet-00000002", "us-east-1b", 250));
            o.subnets[1].vpc_id = "vpc-2".into();
        }),
        (
            "is owned by 137112412989, not by Amazon",
            "by its id",
            |s, o| {
                s.image = ImageChoice::AmazonLinux2023;
                o.image.owner_alias = None;
            },
        ),
        (
            "smaller than the 8 GiB of image",
            "larger volume",
            |s, _| {
                s.volume_size_gib = Some(7);
            },
        ),
        (
            "instance profile 'p' does not exist",
            "let one be made",
            |s, _| {
                s.instance_profile = InstanceProfileChoice::Use("p".into());
            },
        ),
        ("instance profile 'p' has no role", "add a role", |s, o| {
            s.instance_profile = InstanceProfileChoice::Use("p".into());
            o.instance_profile = Some(profile("p", &[], &[]));
        }),
        (
            "exists and is not tagged",
            "another cluster name",
            |s, o| {
                s.instance_profile = InstanceProfileChoice::Make(InstanceRole::default());
                o.instance_profile = Some(profile("efa-sdk-us-east-1-train", &["r"], &[]));
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

/// Plans in a reservation that was made in this placement group.
fn reserve(spec: &mut ClusterSpec, seen: &mut Observations, group_arn: Option<&str>) {
    spec.capacity = Capacity::Reservation("cr-1".into());
    let mut found = reservation("default");
    found.placement_group_arn = group_arn.map(str::to_owned);
    seen.reservations = vec![found];
    seen.subnets = vec![subnet("subnet-00000002", "us-east-1b", 250)];
}

#[test]
fn what_others_own_is_used_as_they_share_it() {
    // The reservation of another account's group places its instances.
    let mut spec_ = spec("p5.48xlarge");
    let mut observed = seen(&spec_);
    let arn = "arn:aws:ec2:us-east-1:210987654321:placement-group/theirs";
    reserve(&mut spec_, &mut observed, Some(arn));
    for choice in [PlacementGroupChoice::Make, PlacementGroupChoice::None] {
        spec_.placement_group = choice;
        let plan = decide(&spec_, observed.clone()).unwrap();
        assert_eq!(plan.placement_group(), None);
    }

    // A shared group is named by its id, from the plan to the launch.
    let id = "pg-0123456789abcdef0";
    let mut spec_ = spec("p5.48xlarge");
    spec_.placement_group = PlacementGroupChoice::Use(id.to_owned());
    let mut observed = seen(&spec_);
    let mut shared = placement_group(PlacementStrategy::Cluster, &[]);
    shared.group_id = id.to_owned();
    shared.group_arn = Some(arn.to_owned());
    shared.group_name = "theirs".to_owned();
    observed.placement_group = Some(shared);
    let plan = decide(&spec_, observed).unwrap();
    let planned = plan.placement_group().unwrap();
    assert_eq!(planned.group_name, "theirs");
    assert_eq!(planned.owner_id.as_deref(), Some("210987654321"));
    let request = plan.run_instances_request(&plan.launch("sg-00000001", "subnet-00000001"));
    let placement = request.data.placement.as_ref().unwrap();
    assert_eq!(placement.group_id.as_deref(), Some(id));
    assert_eq!(placement.group_name, None);
    assert_eq!(
        request.data.instance_tags().unwrap()["efa-sdk:placement-group"],
        id
    );
    assert_eq!(Plan::from_json(&plan.to_json()).unwrap(), plan);
}

#[test]
fn a_targeted_reservation_may_be_used_in_a_group_of_ones_own() {
    let mut spec = spec("p5.48xlarge");
    let mut observed = seen(&spec);
    spec.placement_group = PlacementGroupChoice::Use("mine".to_owned());
    reserve(&mut spec, &mut observed, None);
    observed.placement_group = Some(placement_group(PlacementStrategy::Cluster, &[]));
    let plan = decide(&spec, observed).unwrap();
    assert!(plan.placement_group().is_some_and(|g| g.exists));
    let warned = plan.warnings().join("\n");
    assert!(
        warned.contains("was not made in placement group mine"),
        "{warned}"
    );
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
fn reserved_capacity_says_where_and_with_which_group() {
    let mut spec = spec("p5.48xlarge");
    spec.capacity = Capacity::Reservation("cr-1".into());
    let plan = |kind: &str, group_arn: Option<&str>| {
        let mut seen = seen(&spec);
        seen.subnets
            .push(subnet("subnet-00000002", "us-east-1b", 250));
        let mut found = reservation(kind);
        found.placement_group_arn = group_arn.map(str::to_owned);
        seen.reservations = vec![found];
        seen.placement_group = group_arn.map(|_| placement_group(PlacementStrategy::Cluster, &[]));
        decide(&spec, seen).unwrap()
    };
    let request =
        |plan: &Plan| plan.run_instances_request(&plan.launch("sg-00000001", "subnet-00000002"));

    let block = plan("capacity-block", None);
    assert_eq!(block.subnet().subnet_id, "subnet-00000002");
    assert_eq!(block.rejected_subnets().len(), 1);
    assert_eq!(
        block.placement_group(),
        None,
        "a Capacity Block places its instances"
    );
    assert_eq!(
        block.capacity().market,
        Market::CapacityBlock("cr-1".into())
    );
    let placement = request(&block).data.placement.unwrap();
    assert_eq!(placement.tenancy.as_deref(), Some("dedicated"));

    let reserved = plan("default", None);
    assert_eq!(
        reserved.placement_group(),
        None,
        "the reservation was made in none"
    );
    assert_eq!(
        reserved.capacity().market,
        Market::Reservation("cr-1".into())
    );

    let arn = "arn:aws:ec2:us-east-1:123456789012:placement-group/mine";
    let grouped = plan("default", Some(arn))
        .placement_group()
        .cloned()
        .unwrap();
    assert_eq!(
        (grouped.group_name.as_str(), grouped.exists, grouped.ours),
        ("mine", true, false)
    );
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
        let plan = decide(spec, seen).unwrap();
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
        let plan = decide(&spec, seen).unwrap();
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
        decide(&spec("p5.48xlarge"), quiet).unwrap().warnings(),
        Vec::<String>::new()
    );
}

#[test]
fn an_adopted_group_is_repaired_and_ssh_needs_a_range() {
    let mut spec_ = spec("p5.48xlarge");
    spec_.security_group = SecurityGroupChoice::Adopt(Selector::Id("sg-00000001".into()));
    let mut seen_ = seen(&spec_);
    seen_.security_group = Some(group(&[], Vec::new(), Vec::new()));
    let plan = decide(&spec_, seen_).unwrap();
    assert_eq!(plan.security_group().missing_self_rules.len(), 2);
    assert!(!plan.security_group().ours);

    let mut spec_ = spec("p5.48xlarge");
    assert!(
        decide(&spec_, seen(&spec_))
            .unwrap()
            .security_group()
            .missing_ssh_cidrs
            .is_empty()
    );
    spec_.ssh_cidrs = vec!["203.0.113.7/32".into()];
    let plan = decide(&spec_, seen(&spec_)).unwrap();
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
    let plan = decide(&spec, seen).unwrap();
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
    let plan = decide(&spec_, seen(&spec_)).unwrap();
    assert_eq!(
        (plan.layout().profile, plan.layout().public_ip),
        (None, PublicIp::ElasticIp)
    );
    assert!(plan.to_string().contains("+ 2 Elastic IPs"), "{plan}");

    spec_.interfaces = Some(vec![efa(0, 0), efa(1, 1)]);
    let error = decide(&spec_, seen(&spec_)).unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::Layout, "{error}");
}

#[test]
fn a_stored_plan_is_read_back_and_a_changed_one_refused() {
    let spec = spec("p5.48xlarge");
    let plan = decide(&spec, seen(&spec)).unwrap();
    let json = plan.to_json();
    assert_eq!(Plan::from_json(&json).unwrap(), plan);

    for (what, with) in [
        ("\"count\": 2", "\"count\": 200"),
        ("\"format\": 3", "\"format\": 2"),
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

/// The stored form with a change, and the checksum of the changed form.
fn stored_with(plan: &Plan, change: impl Fn(&mut Value)) -> String {
    let mut form = form(plan);
    change(&mut form);
    let digest = hex::encode(Sha256::digest(form.to_string().as_bytes()));
    form[DIGEST] = Value::String(digest);
    form.to_string()
}

#[test]
fn a_plan_is_read_as_it_is_decided_or_not_at_all() {
    let spec = spec("p5.48xlarge");
    let plan = decide(&spec, seen(&spec)).unwrap();
    assert_eq!(Plan::from_json(&stored_with(&plan, |_| {})).unwrap(), plan);
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 4] = [
        ("count", |form| form["spec"]["count"] = 0.into()),
        ("no subnet", |form| form["subnets"] = json!([])),
        ("user_data", |form| {
            form["spec"]["user_data"] = "x".repeat(20_000).into();
        }),
        ("instance_store", |form| {
            let mut bootstrap = json!(Bootstrap::default());
            bootstrap["instance_store"] = "scratch".into();
            form["spec"]["bootstrap"] = bootstrap;
        }),
    ];
    for (message, change) in changes {
        let error = Plan::from_json(&stored_with(&plan, change)).unwrap_err();
        assert_eq!(error.code(), Code::PlanUnreadable, "{error}");
        assert!(error.message().contains(message), "{error}");
    }
}

#[test]
fn a_plan_that_does_not_follow_from_its_specification_is_refused() {
    let mut spec = spec("p5.48xlarge");
    spec.instance_profile = InstanceProfileChoice::Use("nodes".to_owned());
    let mut observed = seen(&spec);
    observed.instance_profile = Some(profile("nodes", &["node"], &[]));
    let plan = decide(&spec, observed).unwrap();
    assert_eq!(Plan::from_json(&stored_with(&plan, |_| {})).unwrap(), plan);
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 16] = [
        ("account", |form| form["account"] = "me".into()),
        ("instance_type", |form| {
            form["spec"]["instance_type"] = "p4d.24xlarge".into();
        }),
        ("layout", |form| {
            let first = form["layout"]["interfaces"][0].clone();
            form["layout"]["interfaces"] = json!([first]);
        }),
        ("layout", |form| {
            form["layout"]["interfaces"].as_array_mut().unwrap().pop();
        }),
        ("layout", |form| form["spec"]["efa"] = 1.into()),
        ("image", |form| {
            form["image"]["image_id"] = "ami-other".into()
        }),
        ("image", |form| form["image"]["ena_support"] = false.into()),
        ("capacity", |form| form["spec"]["capacity"] = "spot".into()),
        ("subnets", |form| {
            form["subnets"][0]["subnet_id"] = "subnet-other".into();
        }),
        ("root_volume", |form| {
            form["root_volume"]["volume_size_gib"] = 9000.into();
        }),
        ("security_group", |form| {
            form["security_group"]["group_name"] = "open-to-all".into();
        }),
        ("placement_group", |form| {
            form["placement_group"] = Value::Null
        }),
        ("placement_group", |form| {
            form["placement_group"]["group_name"] = "another".into();
        }),
        ("instance_profile", |form| {
            form["instance_profile"]["name"] = "admin".into();
        }),
        ("instance_profile", |form| {
            form["instance_profile"] = Value::Null
        }),
        ("fingerprint", |form| {
            form["fingerprint"] = "0123456789abcdef".into()
        }),
    ];
    for (field, change) in changes {
        let error = Plan::from_json(&stored_with(&plan, change)).unwrap_err();
        assert_eq!(error.code(), Code::PlanUnreadable, "{error}");
        assert_eq!(error.context_value("field"), Some(field), "{error}");
    }
}

#[test]
fn a_caller_may_pass_the_profiles_own_role_only() {
    let mut spec = spec("c5n.18xlarge");
    spec.instance_profile = InstanceProfileChoice::Use("nodes".to_owned());
    let passed = |profile: InstanceProfile| {
        let mut observed = seen(&spec);
        observed.instance_profile = Some(profile);
        let plan = decide(&spec, observed).unwrap();
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
    let plan = decide(&spec, seen(&spec)).unwrap();
    let script = bootstrap.user_data("train").unwrap();
    let data = plan.launch_data("sg-00000001", "subnet-00000001");
    assert_eq!(data.user_data, Some(UserData::Text(script)));

    bootstrap.extra_script = Some("true\n".repeat(4_000));
    spec.bootstrap = Some(bootstrap.clone());
    let plan = decide(&spec, seen(&spec)).unwrap();
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
        decide(&spec, seen(&spec))
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
