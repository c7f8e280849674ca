//! Where a cluster goes, and who may reach it.

use std::net::IpAddr;

use super::choices::SecurityGroupChoice;
use super::selector::{self, Selector};
use crate::error::{Error, Result};
use crate::tags;

pub(super) fn check_places(subnets: &[Selector], vpc: Option<&Selector>) -> Result<()> {
    if subnets.is_empty() && vpc.is_none() {
        return Err(Error::invalid_spec(
            "subnet",
            "",
            "a subnet, several, or a VPC",
            "state where the cluster goes: nothing is launched in a default place",
        ));
    }
    for subnet in subnets {
        subnet.check(selector::SUBNET)?;
    }
    vpc.map_or(Ok(()), |vpc| vpc.check(selector::VPC))
}

/// Checks the security group and the ranges that may reach port 22 of one that is made.
pub(super) fn check_access(group: &SecurityGroupChoice, ssh_cidrs: &[String]) -> Result<()> {
    let made = match group {
        SecurityGroupChoice::Make => true,
        SecurityGroupChoice::Use(group) | SecurityGroupChoice::Adopt(group) => {
            group.check(selector::SECURITY_GROUP)?;
            false
        }
    };
    let noted = ssh_cidrs.join(" ").len();
    if noted > tags::VALUE_LIMIT {
        return Err(Error::invalid_spec(
            "ssh_cidrs",
            format_args!("{noted} characters"),
            format_args!(
                "{} characters in all, which go into a tag",
                tags::VALUE_LIMIT
            ),
            "give fewer, larger ranges",
        ));
    }
    for cidr in ssh_cidrs {
        if !is_cidr(cidr) {
            return Err(Error::invalid_spec(
                "ssh_cidrs",
                cidr,
                "IPv4 or IPv6 ranges without bits behind the prefix, such as 203.0.113.7/32",
                "give the range that you connect from",
            ));
        }
        if !made {
            return Err(Error::invalid_spec(
                "ssh_cidrs",
                cidr,
                "left out with an existing security group",
                "open the port in that group yourself, or let efa-sdk create a group",
            ));
        }
    }
    Ok(())
}

/// `address/prefix length` of either family, as EC2 writes it: EC2 clears the bits behind the
/// prefix, and would then show another rule than was asked for.
fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let (Ok(address), Ok(length)) = (address.parse::<IpAddr>(), length.parse::<u32>()) else {
        return false;
    };
    let no_bits_behind = match address {
        IpAddr::V4(v4) => length <= 32 && v4.to_bits().checked_shl(length).unwrap_or(0) == 0,
        IpAddr::V6(v6) => length <= 128 && v6.to_bits().checked_shl(length).unwrap_or(0) == 0,
    };
    no_bits_behind && text == format!("{address}/{length}")
}
