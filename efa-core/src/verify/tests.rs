use super::*;
use crate::catalog::Catalog;
use crate::ec2::{PlacementGroup, Rule, SecurityGroup, Tags};
use crate::layout;
use crate::spec::Capacity;
use crate::types::InterfaceType;

fn expected() -> Expected {
    let layout = Catalog::bundled()
        .require("p5.48xlarge")
        .unwrap()
        .layout(&layout::Request::default())
        .unwrap();
    Expected {
        name: "train".to_owned(),
        fingerprint: "0123456789abcdef".to_owned(),
        count: 2,
        instance_type: "p5.48xlarge".to_owned(),
        subnet_ids: vec!["subnet-00000001".to_owned()],
        capacity: Capacity::OnDemand,
        instance_profile_name: None,
        ssh_cidrs: Vec::new(),
        image_id: "ami-00000001".to_owned(),
        security_group_id: Some("sg-1".to_owned()),
        placement_group_name: Some("efa-sdk-train".to_owned()),
        public_ip: PublicIp::None,
        interfaces: layout.interfaces,
    }
}

fn as_planned(expected: &Expected) -> Cluster {
    let attached = |i: &crate::layout::NetworkInterface| AttachedInterface {
        network_interface_id: format!("eni-{}-{}", i.network_card_index, i.device_index),
        network_card_index: i.network_card_index,
        device_index: i.device_index,
        interface_type: i.interface_type.clone(),
        subnet_id: expected.subnet_ids[0].clone(),
        group_ids: vec!["sg-1".to_owned()],
        private_ip_address: i.interface_type.carries_ip().then(|| "10.0.0.9".to_owned()),
        ipv6_addresses: Vec::new(),
        public_ip: None,
        delete_on_termination: true,
    };
    let instance = |n: u32| Instance {
        instance_id: format!("i-{n}"),
        instance_type: expected.instance_type.clone(),
        state: InstanceState::Running,
        state_reason: None,
        image_id: expected.image_id.clone(),
        subnet_id: Some(expected.subnet_ids[0].clone()),
        availability_zone: "us-east-1a".to_owned(),
        placement_group_name: expected.placement_group_name.clone(),
        private_ip_address: Some(format!("10.0.0.{n}")),
        ipv6_address: None,
        public_ip_address: None,
        imds_v2_required: true,
        lifecycle: None,
        capacity_reservation_id: None,
        iam_instance_profile_arn: None,
        launch_index: n,
        interfaces: expected.interfaces.iter().map(attached).collect(),
        tags: Tags::new(),
    };
    let rules = vec![Rule::all_traffic_with_group("sg-1")];
    Cluster {
        name: expected.name.clone(),
        region: "us-east-1".to_owned(),
        instances: (0..expected.count).map(instance).collect(),
        security_group: Some(SecurityGroup {
            group_id: "sg-1".to_owned(),
            group_name: "efa-sdk-train".to_owned(),
            vpc_id: "vpc-1".to_owned(),
            ingress: rules.clone(),
            egress: rules,
            tags: Tags::new(),
        }),
        placement_group: Some(PlacementGroup {
            group_id: "pg-1".to_owned(),
            group_arn: None,
            group_name: "efa-sdk-train".to_owned(),
            strategy: PlacementStrategy::Cluster,
            state: "available".to_owned(),
            tags: Tags::new(),
        }),
    }
}

#[test]
fn a_cluster_as_planned_has_no_findings() {
    let expected = expected();
    let report = compare_cluster(&expected, &as_planned(&expected));
    assert!(report.is_as_planned(), "{report}");
    assert_eq!((report.instances, report.interfaces), (2, 66));
    assert!(report.checks > 200, "{}", report.checks);
    assert!(report.to_string().contains("as planned"));
}

#[test]
fn each_drift_is_exactly_one_finding() {
    type Drift = fn(&mut Cluster);
    let cases: &[(&str, &str, Drift)] = &[
        ("count", "1", |c| c.instances.truncate(1)),
        ("state", "stopped", |c| {
            c.instances[0].state = InstanceState::Stopped
        }),
        ("instance_type", "p5.4xlarge", |c| {
            c.instances[0].instance_type = "p5.4xlarge".into()
        }),
        ("image", "ami-00000002", |c| {
            c.instances[1].image_id = "ami-00000002".into()
        }),
        ("capacity", "spot", |c| {
            c.instances[1].lifecycle = Some("spot".into())
        }),
        ("instance_profile", "other", |c| {
            c.instances[0].iam_instance_profile_arn =
                Some("arn:aws:iam::123456789012:instance-profile/other".into())
        }),
        ("imds_v2_required", "false", |c| {
            c.instances[1].imds_v2_required = false
        }),
        ("placement_group", "none", |c| {
            c.instances[1].placement_group_name = None
        }),
        ("availability_zone", "2", |c| {
            c.instances[1].availability_zone = "us-east-1b".into()
        }),
        // One EFA of 32 is missing, or is a plain ENA interface: what -61 and slow jobs come from.
        ("interface", "missing", |c| {
            drop(c.instances[0].interfaces.pop())
        }),
        ("interface", "interface", |c| {
            let other = &mut c.instances[0].interfaces[5];
            other.interface_type = InterfaceType::Interface;
            other.private_ip_address = Some("10.0.0.9".into());
        }),
        ("address", "none", |c| {
            c.instances[0].interfaces[0].private_ip_address = None
        }),
        ("interface", "efa", |c| {
            let mut extra = c.instances[0].interfaces[0].clone();
            (extra.device_index, extra.interface_type) = (DeviceIndex::new(7), InterfaceType::Efa);
            c.instances[0].interfaces.push(extra);
        }),
        ("subnet", "subnet-00000002", |c| {
            c.instances[0].interfaces[3].subnet_id = "subnet-00000002".into()
        }),
        ("security_group", "sg-9", |c| {
            c.instances[0].interfaces[3].group_ids = vec!["sg-9".into()]
        }),
        ("delete_on_termination", "false", |c| {
            c.instances[0].interfaces[3].delete_on_termination = false
        }),
        ("public_ip", "true", |c| {
            c.instances[0].interfaces[0].public_ip = Some("192.0.2.1".into())
        }),
        ("security_group_exists", "false", |c| {
            c.security_group = None
        }),
        ("security_group_rule", "lacks egress", |c| {
            c.security_group.as_mut().unwrap().egress.clear();
        }),
        ("security_group_rule", "lacks ingress and egress", |c| {
            let group = c.security_group.as_mut().unwrap();
            group.ingress.clear();
            group.egress.clear();
        }),
        ("security_group_rule", "tcp 22 with 0.0.0.0/0", |c| {
            let group = c.security_group.as_mut().unwrap();
            group.tags.insert("efa-sdk:cluster".into(), "train".into());
            group.ingress.push(ssh_rule("0.0.0.0/0"));
        }),
        ("placement_group_strategy", "missing", |c| {
            c.placement_group = None
        }),
        ("placement_group_strategy", "spread", |c| {
            c.placement_group.as_mut().unwrap().strategy = PlacementStrategy::Spread;
        }),
    ];
    let expected = expected();
    for (check, actual, drift) in cases {
        let mut cluster = as_planned(&expected);
        drift(&mut cluster);
        let report = compare_cluster(&expected, &cluster);
        let found: Vec<_> = report
            .findings
            .iter()
            .map(|f| (f.check.as_str(), f.actual.as_str()))
            .collect();
        assert_eq!(found, [(*check, *actual)], "{report}");
        assert!(!report.findings[0].cure.is_empty() && report.to_string().contains(actual));
    }
}

#[test]
fn a_planned_public_address_must_be_there() {
    let mut expected = expected();
    expected.public_ip = PublicIp::ElasticIp;
    let mut cluster = as_planned(&expected);
    cluster.instances[0].interfaces[0].public_ip = Some("192.0.2.1".to_owned());
    let report = compare_cluster(&expected, &cluster);
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|f| (f.check.as_str(), f.subject.as_str()))
        .collect();
    assert_eq!(found, [("public_ip", "i-1")]);
}

#[test]
fn what_the_launcher_chooses_is_not_compared() {
    let mut expected = expected();
    let cluster = as_planned(&expected);
    expected.image_id = "ami-of-before".to_owned();
    expected.instance_profile_name = Some("profile-of-before".to_owned());
    let differing = compare_cluster(&expected, &cluster);
    assert_eq!(differing.findings.len(), 4, "{differing}");
    expected.image_id = tags::BY_LAUNCHER.to_owned();
    expected.instance_profile_name = Some(tags::BY_LAUNCHER.to_owned());
    let report = compare_cluster(&expected, &cluster);
    assert!(report.is_as_planned(), "{report}");
}
