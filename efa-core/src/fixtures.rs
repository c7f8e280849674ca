//! Values that the tests of several modules use.

use crate::ec2::{Instance, InstanceState, Tags};

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
