//! What a cluster cannot have in an IPv6-only subnet, where EC2 gives IPv6 addresses and no others.

use crate::ec2::Subnet;
use crate::error::{Code, Error};
use crate::layout::{Layout, PublicIp};
use crate::spec::{CheckedSpec, HostNames};

const OR_DUAL_STACK: &str = "or choose a subnet with an IPv4 range: one with both will do";

/// Why the cluster does not go into this IPv6-only subnet: the first reason; `None` where it does.
pub(super) fn refusal(spec: &CheckedSpec, layout: &Layout, subnet: &Subnet) -> Option<Error> {
    let asks = |i: &crate::layout::NetworkInterface| i.associate_public_ip_address == Some(true);
    let public_ip = layout.public_ip != PublicIp::None || layout.interfaces.iter().any(asks);
    let further = layout
        .interfaces
        .iter()
        .any(|i| i.ipv4_address_count.is_some() || i.ipv4_prefix_count.is_some());
    let (field, why, cure) = if public_ip {
        let why = "takes no public IPv4 address and no Elastic IP";
        (
            "public_ip",
            why,
            "leave public_ip out: IPv6 addresses are public ones",
        )
    } else if further {
        let why = "has no further IPv4 addresses and prefixes for interfaces";
        ("interfaces", why, "take them out of interfaces")
    } else if spec.host_names == Some(HostNames::IpName) {
        // EC2 user guide, "EC2 instance hostnames and domains".
        let why = "has host names by instance id alone";
        (
            "host_names",
            why,
            "leave host_names out, or set resource-name",
        )
    } else if spec.bootstrap.is_some() {
        let why = "does not reach the IPv4 addresses that the bootstrap asks for metadata";
        (
            "bootstrap",
            why,
            "choose an image with the EFA software, and leave bootstrap out",
        )
    } else if spec.expires_after.is_some() {
        let why = "does not reach the IPv4 address that the timer asks for metadata";
        ("expires_after", why, "leave expires_after out")
    } else {
        return None;
    };
    let id = &subnet.subnet_id;
    let error = Error::new(Code::PlanConflict, format!("{id} is IPv6-only: it {why}"))
        .with_cure(format!("{cure}, {OR_DUAL_STACK}"))
        .with_context("field", field)
        .with_context("value", id);
    Some(error)
}

/// Port 22 that is open to IPv4 ranges alone is reached by nobody.
pub(super) fn warn(spec: &CheckedSpec, subnets: &[Subnet]) -> Option<String> {
    let ipv4 = |cidr: &String| !cidr.contains(':');
    let unreached = !spec.ssh_cidrs.is_empty() && spec.ssh_cidrs.iter().all(ipv4);
    let only = subnets.iter().find(|subnet| subnet.ipv6_native)?;
    unreached.then(|| {
        format!(
            "{} is IPv6-only, and ssh_cidrs has no IPv6 range: port 22 stays shut there",
            only.subnet_id
        )
    })
}
