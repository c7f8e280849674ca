//! Specifications that contradict themselves, or what there is.

use super::*;

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
        let error = decide_plan(&spec, seen).unwrap_err();
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
