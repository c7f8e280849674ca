//! Values that the tests of several modules use.

use crate::catalog::Catalog;
use crate::ec2::{Image, Instance, InstanceState, Subnet, Tags};
use crate::plan::{self, Observations, Plan};
use crate::spec::ClusterSpec;

/// A running instance, with address `10.0.0.{launch_index}`.
pub(crate) fn instance(instance_id: &str, launch_index: u32) -> Instance {
    Instance {
        instance_id: instance_id.to_owned(),
        instance_type: "p5.48xlarge".to_owned(),
        state: InstanceState::Running,
        state_reason: None,
        image_id: "ami-1".to_owned(),
        subnet_id: Some("subnet-1".to_owned()),
        availability_zone: "us-east-1a".to_owned(),
        placement_group_name: None,
        private_ip_address: Some(format!("10.0.0.{launch_index}")),
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

/// One type of each class of layouts: 1, 2, 2 with one interface per card, 4, 8, 16, 17 and 32 cards,
/// and a type that the catalogue keeps by hand.
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
    ClusterSpec::new("train", instance_type, 2, "subnet-1", "ami-1")
}

/// What EC2 shows for a specification in an empty account.
pub(crate) fn seen(spec: &ClusterSpec) -> Observations {
    let found = Catalog::bundled().require(&spec.instance_type);
    let instance_type = found.unwrap().clone();
    let architecture = instance_type.architectures[0].clone();
    Observations {
        instance_type,
        region: "us-east-1".to_owned(),
        zones_that_offer: vec!["us-east-1a".to_owned(), "us-east-1b".to_owned()],
        account: "123456789012".to_owned(),
        partition: "aws".to_owned(),
        subnets: vec![subnet("subnet-1", "us-east-1a", 250)],
        image: Image {
            image_id: "ami-1".to_owned(),
            name: "al2023".to_owned(),
            owner_id: "137112412989".to_owned(),
            owner_alias: Some("amazon".to_owned()),
            creation_date: "2026-10-01T00:00:00.000Z".to_owned(),
            architecture,
            ena_support: true,
            root_device_name: Some("/dev/xvda".to_owned()),
            root_volume_size_gib: Some(8),
        },
        reservation: None,
        instance_profile: None,
        security_group: None,
        placement_group: None,
    }
}

pub(crate) fn subnet(subnet_id: &str, zone: &str, free: u32) -> Subnet {
    Subnet {
        subnet_id: subnet_id.to_owned(),
        vpc_id: "vpc-1".to_owned(),
        availability_zone: zone.to_owned(),
        available_ip_address_count: free,
        map_public_ip_on_launch: false,
        tags: Tags::new(),
    }
}

/// A plan of two instances of this type in an account where nothing of it exists.
pub(crate) fn plan(instance_type: &str) -> Plan {
    let spec = spec(instance_type);
    plan::decide(&spec, seen(&spec)).unwrap()
}

/// A plan for this specification, whose groups exist; the security group is `sg-1`.
pub(crate) fn prepared_plan(spec: &ClusterSpec) -> Plan {
    let plan = plan::decide(spec, seen(spec)).unwrap();
    plan.prepared("sg-1".to_owned())
}
