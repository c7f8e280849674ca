//! What a new fake has: a default VPC, a subnet per zone, and images of Amazon.

use super::account::ACCOUNT;
use super::state::State;
use crate::ec2::Peer;
use crate::ec2::{Image, RouteTable, Rule, SecurityGroup, Subnet, Tags, Vpc};
use crate::types::Architecture;

/// Free addresses of a /20, less those that AWS keeps.
const FREE_ADDRESSES: u32 = 4091;

/// Fills an empty region.
pub(super) fn furnish(state: &mut State) {
    let vpc_id = state.id("vpc");
    state.vpcs.push(Vpc {
        vpc_id: vpc_id.clone(),
        cidr_block: "172.31.0.0/16".to_owned(),
        is_default: true,
        instance_tenancy: "default".to_owned(),
        owner_id: ACCOUNT.to_owned(),
        tags: Tags::new(),
    });
    for zone in state.zones.clone() {
        let subnet = Subnet {
            subnet_id: state.id("subnet"),
            vpc_id: vpc_id.clone(),
            availability_zone: zone,
            available_ip_address_count: FREE_ADDRESSES,
            ipv6_native: false,
            enable_dns64: false,
            map_public_ip_on_launch: false,
            owner_id: ACCOUNT.to_owned(),
            tags: Tags::new(),
        };
        state.subnets.push(subnet);
    }
    // No resource of its own: ids count what calls make.
    state.route_tables.push(RouteTable {
        route_table_id: "rtb-0f000000000000001".to_owned(),
        vpc_id: vpc_id.clone(),
        is_main: true,
        subnet_ids: Vec::new(),
        default_route_target: Some("nat-0f000000000000001".to_owned()),
        default_ipv6_route_target: None,
        nat64_route_target: None,
    });
    let group_id = state.id("sg");
    state.security_groups.push(SecurityGroup {
        ingress: vec![Rule::all_traffic_with_group(&group_id)],
        egress: vec![anywhere()],
        group_name: "default".to_owned(),
        group_id,
        vpc_id,
        tags: Tags::new(),
    });
    for architecture in [Architecture::X86_64, Architecture::Arm64] {
        images(state, &architecture);
    }
}

/// The rule that every new security group has: all protocols, to anywhere.
pub(super) fn anywhere() -> Rule {
    Rule {
        ip_protocol: "-1".to_owned(),
        from_port: None,
        to_port: None,
        peer: Peer::Cidr("0.0.0.0/0".to_owned()),
    }
}

/// Amazon Linux 2023 and the Deep Learning Base images, with the SSM parameters that name them.
fn images(state: &mut State, architecture: &Architecture) {
    let word = architecture.as_str().to_owned();
    let al2023 = add(
        state,
        format!("al2023-ami-2023.9.20261001.0-kernel-6.1-{word}"),
        architecture,
        8,
    );
    let parameter =
        format!("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{word}");
    state.parameters.insert(parameter, al2023);
    let title = match architecture {
        Architecture::Arm64 => "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI",
        _ => "Deep Learning Base OSS Nvidia Driver GPU AMI",
    };
    for (system, short) in [
        ("Amazon Linux 2023", "amazon-linux-2023"),
        ("Ubuntu 22.04", "ubuntu-22.04"),
        ("Ubuntu 24.04", "ubuntu-24.04"),
    ] {
        let image = add(
            state,
            format!("{title} ({system}) 20261001"),
            architecture,
            75,
        );
        let parameter = format!(
            "/aws/service/deeplearning/ami/{word}/base-oss-nvidia-driver-gpu-{short}/latest/ami-id"
        );
        state.parameters.insert(parameter, image);
    }
}

fn add(state: &mut State, name: String, architecture: &Architecture, size_gib: u32) -> String {
    let root = if name.contains("Ubuntu") {
        "/dev/sda1"
    } else {
        "/dev/xvda"
    };
    let image = Image {
        image_id: state.id("ami"),
        name,
        owner_id: "137112412989".to_owned(),
        owner_alias: Some("amazon".to_owned()),
        creation_date: "2026-10-01T00:00:00.000Z".to_owned(),
        architecture: architecture.clone(),
        ena_support: true,
        state: "available".to_owned(),
        platform_details: Some("Linux/UNIX".to_owned()),
        root_device_name: Some(root.to_owned()),
        root_volume_size_gib: Some(size_gib),
    };
    let id = image.image_id.clone();
    state.images.push(image);
    id
}
