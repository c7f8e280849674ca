//! Values that the tests of several modules use.

use crate::catalog::Catalog;
use crate::ec2::{
    CapacityReservation, Image, Instance, InstanceState, SecurityGroup, Subnet, Tags, Vpc,
};
use crate::error::Result;
use crate::launch::VolumeType;
use crate::plan::{self, Observations, Plan};
use crate::spec::{
    Capacity, CheckedSpec, ClusterSpec, InstanceProfileChoice, InstanceRole, PlacementGroupChoice,
    Selector, Tenancy, Volume,
};

/// Whether the picture of this name in the documentation is this one; with `EFA_WRITE_PICTURES` in
/// the environment, makes it so.
pub(crate) fn documented(name: &str, svg: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/images");
    let path = std::path::Path::new(folder).join(name);
    if std::env::var_os("EFA_WRITE_PICTURES").is_some() {
        std::fs::write(&path, svg).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == svg,
        "{name} is another: EFA_WRITE_PICTURES=1 cargo test -p efa-core --lib picture"
    );
}

/// A running instance, with address `10.0.0.{launch_index}`.
pub(crate) fn instance(instance_id: &str, launch_index: u32) -> Instance {
    Instance {
        instance_id: instance_id.to_owned(),
        instance_type: "p5.48xlarge".to_owned(),
        state: InstanceState::Running,
        state_reason: None,
        image_id: "ami-00000001".to_owned(),
        subnet_id: Some("subnet-00000001".to_owned()),
        availability_zone: "us-east-1a".to_owned(),
        placement_group_name: None,
        private_ip_address: Some(format!("10.0.0.{launch_index}")),
        ipv6_address: None,
        public_ip_address: None,
        imds_v2_required: true,
        lifecycle: None,
        capacity_reservation_id: None,
        iam_instance_profile_arn: None,
        launch_index,
        interfaces: Vec::new(),
        tags: Tags::new(),
    }
}

/// One type of each class of layouts: 1, 2, 2 with one interface per card, 4, 8, 16, 17 and 32
/// cards, and a type that the catalog keeps by hand.
pub(crate) const LAYOUT_CLASSES: [&str; 9] = [
    "c7i.48xlarge",
    "hpc7a.96xlarge",
    "hpc6id.32xlarge",
    "p4d.24xlarge",
    "p6-b200.48xlarge",
    "p5en.48xlarge",
    "p6-b300.48xlarge",
    "p5.48xlarge",
    "p6e-gb200.36xlarge",
];

/// Two of a type, by ids.
pub(crate) fn spec(instance_type: &str) -> ClusterSpec {
    ClusterSpec::new("train", instance_type, 2, "subnet-00000001", "ami-00000001")
}

/// What EC2 shows for a specification in an empty account.
pub(crate) fn seen(spec: &ClusterSpec) -> Observations {
    let found = Catalog::bundled().require(&spec.instance_type);
    let instance_type = found.unwrap().clone();
    let architecture = instance_type.architectures[0].clone();
    Observations {
        instance_type,
        region: "us-east-1".to_owned(),
        now_s: 1_796_040_000,
        zones_that_offer: vec!["us-east-1a".to_owned(), "us-east-1b".to_owned()],
        account: "123456789012".to_owned(),
        partition: "aws".to_owned(),
        subnets: vec![subnet("subnet-00000001", "us-east-1a", 250)],
        vpc: Some(Vpc {
            vpc_id: "vpc-1".to_owned(),
            cidr_block: "10.0.0.0/16".to_owned(),
            is_default: false,
            instance_tenancy: "default".to_owned(),
            owner_id: "123456789012".to_owned(),
            tags: Tags::new(),
        }),
        ways: None,
        image: Image {
            image_id: "ami-00000001".to_owned(),
            name: "al2023".to_owned(),
            owner_id: "137112412989".to_owned(),
            owner_alias: Some("amazon".to_owned()),
            creation_date: "2026-10-01T00:00:00.000Z".to_owned(),
            architecture,
            ena_support: true,
            state: "available".to_owned(),
            platform_details: Some("Linux/UNIX".to_owned()),
            root_device_name: Some("/dev/xvda".to_owned()),
            root_volume_size_gib: Some(8),
        },
        reservations: Vec::new(),
        instance_profile: None,
        security_group: None,
        further_groups: Default::default(),
        placement_group: None,
    }
}

pub(crate) fn subnet(subnet_id: &str, zone: &str, free: u32) -> Subnet {
    Subnet {
        subnet_id: subnet_id.to_owned(),
        vpc_id: "vpc-1".to_owned(),
        availability_zone: zone.to_owned(),
        available_ip_address_count: free,
        ipv6_native: false,
        enable_dns64: false,
        map_public_ip_on_launch: false,
        owner_id: "123456789012".to_owned(),
        tags: Tags::new(),
    }
}

/// The plan that is decided from what EC2 shows.
pub(crate) fn decide_plan(spec: &ClusterSpec, seen: Observations) -> Result<Plan> {
    plan::decide_plan(&CheckedSpec::parse(spec)?, seen)
}

/// A plan of two instances of this type in an account where nothing of it exists.
pub(crate) fn plan(instance_type: &str) -> Plan {
    let spec = spec(instance_type);
    decide_plan(&spec, seen(&spec)).unwrap()
}

/// A plan for this specification, whose groups exist; the security group is `sg-1`.
pub(crate) fn prepared_plan(spec: &ClusterSpec) -> Plan {
    let plan = decide_plan(spec, seen(spec)).unwrap();
    plan.prepared("sg-1".to_owned())
}

/// A prepared plan of instances that end themselves.
#[cfg_attr(not(feature = "aws"), allow(dead_code))]
pub(crate) fn expiring_plan() -> Plan {
    let mut spec = spec("p5.48xlarge");
    spec.expires_after = Some(std::time::Duration::from_secs(3600));
    prepared_plan(&spec)
}

/// A reservation of this kind (`default` or `capacity-block`) in the zone of `subnet-00000001`, with
/// dedicated tenancy.
pub(crate) fn reservation(kind: &str, instance_type: &str) -> CapacityReservation {
    CapacityReservation {
        capacity_reservation_id: "cr-1".to_owned(),
        instance_type: instance_type.to_owned(),
        availability_zone: "us-east-1a".to_owned(),
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

/// A prepared plan of each class of layouts in each market, and plans with everything that a
/// launch can have, or nothing of it. The security group is `sg-1`, the subnet `subnet-00000001`.
pub(crate) fn every_launch() -> Vec<Plan> {
    type Change = fn(&mut ClusterSpec, &mut Observations);
    let changes: [Change; 12] = [
        |_, _| {},
        |spec, _| spec.capacity = Capacity::Open,
        |spec, _| spec.capacity = Capacity::Spot,
        |spec, seen| {
            spec.capacity = Capacity::Reservation("cr-1".to_owned());
            seen.reservations = vec![reservation("default", &spec.instance_type)];
        },
        |spec, seen| {
            spec.capacity = Capacity::Reservation("cr-1".to_owned());
            seen.reservations = vec![reservation("capacity-block", &spec.instance_type)];
        },
        |spec, seen| {
            spec.minimum_count = Some(1);
            spec.key_name = Some("me".to_owned());
            spec.user_data = Some("#!/bin/sh\necho 'up'".to_owned());
            spec.instance_profile = InstanceProfileChoice::Make(InstanceRole::default());
            spec.tags.insert("team".to_owned(), "it's $HOME".to_owned());
            let mut own = seen.instance_type.layout(&spec.layout_request()).unwrap();
            own.interfaces[0].ipv4_address_count = Some(2);
            spec.interfaces = Some(own.interfaces);
        },
        |spec, _| {
            spec.volume.iops = Some(6_000);
            spec.volume.throughput_mib_s = Some(500);
            spec.volume.kms_key_id = Some("alias/train".to_owned());
            let mut scratch = Volume::new("/dev/sdf", 2_000);
            scratch.options.volume_type = Some(VolumeType::Io2);
            scratch.options.iops = Some(64_000);
            spec.volumes = vec![scratch, Volume::new("/dev/sdg", 100)];
        },
        |spec, seen| {
            let group = |id: &str| SecurityGroup {
                group_id: id.to_owned(),
                group_name: id.to_owned(),
                vpc_id: "vpc-1".to_owned(),
                ingress: Vec::new(),
                egress: Vec::new(),
                tags: Tags::new(),
            };
            spec.further_security_groups = vec![Selector::Id("sg-00000002".to_owned())];
            spec.ena_security_groups = vec![Selector::Id("sg-00000003".to_owned())];
            seen.further_groups.all = vec![group("sg-00000002")];
            seen.further_groups.ena = vec![group("sg-00000003")];
            spec.name_tag = Some("trainer".to_owned());
            spec.interface_tags
                .insert("network".to_owned(), "fabric".to_owned());
        },
        |spec, seen| {
            let default = seen.instance_type.default_threads_per_core();
            spec.threads_per_core = default.map(|_| 1);
            spec.tenancy = Some(Tenancy::Dedicated);
            spec.metadata_hop_limit = Some(1);
            spec.metadata_tags = true;
            spec.host_names = Some(crate::spec::HostNames::ResourceName);
        },
        |spec, seen| {
            seen.subnets[0].ipv6_native = true;
            spec.host_names = Some(crate::spec::HostNames::ResourceName);
        },
        |spec, _| {
            spec.capacity = Capacity::Spot;
            spec.spot_maximum_price = Some("12.5".to_owned());
        },
        |spec, seen| {
            spec.placement_group = PlacementGroupChoice::None;
            seen.image.root_device_name = None;
        },
    ];
    let mut plans = Vec::new();
    for instance_type in LAYOUT_CLASSES {
        for change in changes {
            let mut spec = spec(instance_type);
            let mut seen = seen(&spec);
            change(&mut spec, &mut seen);
            match decide_plan(&spec, seen) {
                Ok(plan) => plans.push(plan.prepared("sg-1".to_owned())),
                // Some types are not sold as spot.
                Err(error) => assert_eq!(spec.capacity, Capacity::Spot, "{error}"),
            }
        }
    }
    plans
}
