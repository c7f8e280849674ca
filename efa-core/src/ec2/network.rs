//! Networks, and who may talk in them: VPCs, subnets, routes, security groups, addresses.

use serde::{Deserialize, Serialize};

use crate::types::Tags;

/// A VPC, as DescribeVpcs shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Vpc {
    /// `vpc-…`
    pub vpc_id: String,
    /// Its primary IPv4 range.
    pub cidr_block: String,
    /// Whether it is the region's default VPC.
    pub is_default: bool,
    /// `default` or `dedicated`: of what is launched in it without a tenancy of its own.
    pub instance_tenancy: String,
    /// The account that owns it: another one's where it is shared.
    pub owner_id: String,
    /// Its tags.
    pub tags: Tags,
}

/// A subnet, as DescribeSubnets shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subnet {
    /// `subnet-…`
    pub subnet_id: String,
    /// `vpc-…`
    pub vpc_id: String,
    /// The Availability Zone's name.
    pub availability_zone: String,
    /// Free IPv4 addresses; 0 where it is IPv6-only.
    pub available_ip_address_count: u32,
    /// Whether it is IPv6-only: what is launched in it gets no IPv4 address.
    pub ipv6_native: bool,
    /// Whether its DNS resolver gives IPv4-only names an IPv6 address (`EnableDns64`).
    pub enable_dns64: bool,
    /// Whether the subnet gives launched instances a public address.
    pub map_public_ip_on_launch: bool,
    /// The account that owns it: another one's where it is shared.
    pub owner_id: String,
    /// Its tags.
    pub tags: Tags,
}

/// A route table, as DescribeRouteTables shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RouteTable {
    /// `rtb-…`
    pub route_table_id: String,
    /// `vpc-…`
    pub vpc_id: String,
    /// Whether it is of every subnet of the VPC that has none of its own.
    pub is_main: bool,
    /// The subnets that it is associated with.
    pub subnet_ids: Vec<String>,
    /// The id that its active route to 0.0.0.0/0 leads to: `nat-…`, `igw-…`, `tgw-…`, `eni-…`.
    pub default_route_target: Option<String>,
    /// The id that its active route to ::/0 leads to: `eigw-…`, `igw-…`, `tgw-…`.
    pub default_ipv6_route_target: Option<String>,
    /// The id that its active route to 64:ff9b::/96 leads to, by which NAT64 goes: `nat-…`.
    pub nat64_route_target: Option<String>,
}

/// A VPC endpoint, as DescribeVpcEndpoints shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VpcEndpoint {
    /// `vpce-…`
    pub vpc_endpoint_id: String,
    /// Such as `com.amazonaws.us-east-1.ssm`.
    pub service_name: String,
    /// EC2's state word, in lower case, such as `available`.
    pub state: String,
}

/// The peer that a security-group rule lets traffic come from or go to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Peer {
    /// Members of a security group, by its id.
    SecurityGroup(String),
    /// An IPv4 or IPv6 range.
    Cidr(String),
    /// A prefix list, by its id.
    PrefixList(String),
}

/// One security-group rule: a protocol, ports, and one peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    /// `-1` for all protocols, else `tcp`, `udp`, `icmp` or a number.
    pub ip_protocol: String,
    /// First port; absent for all protocols.
    pub from_port: Option<i32>,
    /// Last port; absent for all protocols.
    pub to_port: Option<i32>,
    /// The other side.
    pub peer: Peer,
}

impl Rule {
    /// Returns all protocols, to or from the members of `group_id`: what EFA needs.
    pub fn all_traffic_with_group(group_id: impl Into<String>) -> Self {
        Self {
            ip_protocol: "-1".to_owned(),
            from_port: None,
            to_port: None,
            peer: Peer::SecurityGroup(group_id.into()),
        }
    }

    /// Returns whether the rule allows all protocols with the members of `group_id`.
    #[must_use]
    pub fn allows_all_traffic_with_group(&self, group_id: &str) -> bool {
        self.ip_protocol == "-1" && self.peer == Peer::SecurityGroup(group_id.to_owned())
    }
}

impl std::fmt::Display for Rule {
    /// Such as `all protocols with sg-1` or `tcp 22 with 10.0.0.0/8`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.ip_protocol.as_str() {
            "-1" => f.write_str("all protocols")?,
            protocol => f.write_str(protocol)?,
        }
        match (self.from_port, self.to_port) {
            (Some(from), Some(to)) if from == to => write!(f, " {from}")?,
            (Some(from), Some(to)) => write!(f, " {from}-{to}")?,
            _ => {}
        }
        match &self.peer {
            Peer::SecurityGroup(peer) | Peer::Cidr(peer) | Peer::PrefixList(peer) => {
                write!(f, " with {peer}")
            }
        }
    }
}

/// A security group, as DescribeSecurityGroups shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// `sg-…`
    pub group_id: String,
    /// Its name, unique in the VPC.
    pub group_name: String,
    /// `vpc-…`
    pub vpc_id: String,
    /// Rules for incoming traffic.
    pub ingress: Vec<Rule>,
    /// Rules for outgoing traffic.
    pub egress: Vec<Rule>,
    /// Its tags.
    pub tags: Tags,
}

/// A network interface by itself, as DescribeNetworkInterfaces shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FreeInterface {
    /// `eni-…`
    pub network_interface_id: String,
    /// EC2's status word; `available` means attached to nothing.
    pub status: String,
}

/// An Elastic IP address, as DescribeAddresses shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    /// `eipalloc-…`
    pub allocation_id: String,
    /// `eipassoc-…`, where it is associated.
    pub association_id: Option<String>,
    /// The address.
    pub public_ip: String,
    /// The instance that it is associated with.
    pub instance_id: Option<String>,
    /// The interface that it is associated with.
    pub network_interface_id: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// A CreateSecurityGroup request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CreateSecurityGroup {
    /// The group's name.
    pub group_name: String,
    /// What it is for.
    pub description: String,
    /// `vpc-…`
    pub vpc_id: String,
    /// Tags from birth.
    pub tags: Tags,
}

impl CreateSecurityGroup {
    /// Creates a group without tags.
    pub fn new(
        group_name: impl Into<String>,
        description: impl Into<String>,
        vpc_id: impl Into<String>,
    ) -> Self {
        Self {
            group_name: group_name.into(),
            description: description.into(),
            vpc_id: vpc_id.into(),
            tags: Tags::new(),
        }
    }
}

/// The direction of a security-group rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// Incoming.
    Ingress,
    /// Outgoing.
    Egress,
}

impl Direction {
    /// Returns EC2's word, `ingress` or `egress`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}
