//! Whether instances reach what they install from, and AWS Systems Manager: the route out of their
//! subnet, and the VPC's endpoints.
//!
//! An instance with several network interfaces gets no public address at launch, so an internet
//! gateway alone is no way out for most EFA layouts (aws/aws-parallelcluster#7457,
//! terraform-aws-modules/terraform-aws-eks#3533).

use crate::ec2::{Ec2, Filter, RouteTable, Subnet, VpcEndpoint};
use crate::error::Result;
use crate::layout::{Layout, PublicIp};
use crate::spec::{CheckedSpec, InstanceProfileChoice};

/// The services that the agent of Systems Manager calls. Origin: AWS Systems Manager user guide,
/// "Improve the security of EC2 instances by using VPC endpoints".
const SSM_SERVICES: [&str; 2] = [".ssm", ".ssmmessages"];

/// What leads out of a VPC, as EC2 shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ways {
    pub(crate) route_tables: Vec<RouteTable>,
    pub(crate) endpoints: Vec<VpcEndpoint>,
}

/// Whether the instances of a subnet get out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WayOut {
    /// They do, and by what.
    Open(String),
    /// They do not, and why.
    Closed(String),
    /// The route leads where this crate does not look.
    Unknown(String),
}

/// What the instances must reach: nothing that is known, where neither a bootstrap installs
/// software nor a role is made for Systems Manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The bootstrap downloads the EFA installer and packages.
    bootstrap: bool,
    /// The role that is made lets Systems Manager manage the instance.
    ssm: bool,
}

impl Needs {
    pub(crate) fn of(spec: &CheckedSpec) -> Option<Self> {
        let needs = Self {
            bootstrap: spec.bootstrap.is_some(),
            ssm: matches!(spec.instance_profile, InstanceProfileChoice::Make(_)),
        };
        (needs.bootstrap || needs.ssm).then_some(needs)
    }

    /// What the instances cannot do without a way out.
    pub(crate) fn loss(self) -> &'static str {
        match (self.bootstrap, self.ssm) {
            (true, true) => {
                "the bootstrap can download nothing, and Systems Manager does not see the instances"
            }
            (true, false) => "the bootstrap can download nothing",
            _ => "Systems Manager does not see the instances",
        }
    }
}

/// What to do about a subnet without a way out.
const CURE: &str = "route 0.0.0.0/0 of the subnet to a NAT gateway, choose a subnet that \
     has such a route, or ask for public_ip where an internet gateway is there; for Systems Manager \
     alone, interface endpoints of ssm and ssmmessages are enough";

/// What to do about an IPv6-only subnet without a way out.
const IPV6_CURE: &str = "route ::/0 of the subnet to an egress-only internet gateway, or \
     64:ff9b::/96 to a NAT gateway with DNS64 on the subnet";

/// What to do about this subnet.
pub(crate) fn cure(subnet: &Subnet) -> &'static str {
    if subnet.ipv6_native { IPV6_CURE } else { CURE }
}

/// Reads what leads out of the VPC.
pub(crate) async fn look(ec2: &dyn Ec2, vpc_id: &str) -> Result<Ways> {
    let filter = [Filter::new("vpc-id", vpc_id)];
    Ok(Ways {
        route_tables: ec2.describe_route_tables(&filter).await?,
        endpoints: ec2.describe_vpc_endpoints(&filter).await?,
    })
}

/// Whether instances with this layout get out of the subnet to what they need.
pub(crate) fn judge(needs: Needs, layout: &Layout, subnet: &Subnet, ways: &Ways) -> WayOut {
    if subnet.ipv6_native {
        return judge_ipv6(subnet, ways);
    }
    if !needs.bootstrap && reaches_ssm_by_endpoints(ways) {
        return WayOut::Open("interface endpoints of Systems Manager".to_owned());
    }
    let id = &subnet.subnet_id;
    let Some(table) = table_of(subnet, &ways.route_tables) else {
        return WayOut::Unknown(format!("EC2 shows no route table for {id}"));
    };
    let of = format!("{} of {id}", table.route_table_id);
    let Some(target) = &table.default_route_target else {
        return WayOut::Closed(format!("{of} has no route to 0.0.0.0/0"));
    };
    match target.split('-').next() {
        Some("nat") => WayOut::Open(format!("{of} leads to {target}")),
        Some("igw") if has_public_ip(layout, subnet) => {
            WayOut::Open(format!("{of} leads to {target}, with a public address"))
        }
        Some("igw") => WayOut::Closed(format!(
            "{of} leads to {target}, and the instances have no public address{}",
            if layout.interfaces.len() > 1 {
                ": EC2 gives none at launch to several interfaces"
            } else {
                ""
            }
        )),
        _ => WayOut::Unknown(format!(
            "{of} leads to {target}; what is behind it is not checked"
        )),
    }
}

/// Whether instances of an IPv6-only subnet reach Systems Manager: its usual endpoints have IPv4
/// addresses alone, which NAT64 and DNS64 reach (VPC user guide, "DNS64 and NAT64").
fn judge_ipv6(subnet: &Subnet, ways: &Ways) -> WayOut {
    let id = &subnet.subnet_id;
    let Some(table) = table_of(subnet, &ways.route_tables) else {
        return WayOut::Unknown(format!("EC2 shows no route table for {id}"));
    };
    let of = format!("{} of IPv6-only {id}", table.route_table_id);
    let nat64 = table.nat64_route_target.as_deref();
    match (nat64, table.default_ipv6_route_target.as_deref()) {
        (Some(nat), _) if nat.starts_with("nat-") && subnet.enable_dns64 => {
            WayOut::Open(format!("{of} leads to {nat} by NAT64"))
        }
        _ if reaches_ssm_by_endpoints(ways) => WayOut::Unknown(
            "whether the interface endpoints of Systems Manager take IPv6 is not checked"
                .to_owned(),
        ),
        (_, Some(target)) => WayOut::Unknown(format!(
            "{of} leads to {target}; whether the agent is configured to use the dual-stack \
             endpoints is not known"
        )),
        (Some(nat), None) => WayOut::Closed(format!(
            "{of} has NAT64 by {nat} without DNS64, and no route to ::/0"
        )),
        (None, None) => WayOut::Closed(format!("{of} has no route to ::/0")),
    }
}

/// The warnings of a plan: one where a subnet has no way out, or where it could not be read.
pub(crate) fn warnings(
    spec: &CheckedSpec,
    layout: &Layout,
    subnets: &[Subnet],
    seen: Option<&std::result::Result<Ways, String>>,
) -> Vec<String> {
    let Some(needs) = Needs::of(spec) else {
        return Vec::new();
    };
    match seen {
        None => Vec::new(),
        Some(Err(why)) => vec![format!(
            "whether the instances have a way out to the internet could not be read: {why}"
        )],
        Some(Ok(ways)) => subnets
            .iter()
            .filter_map(|subnet| match judge(needs, layout, subnet, ways) {
                WayOut::Closed(why) => Some(format!("{why}: {}; {}", needs.loss(), cure(subnet))),
                WayOut::Open(_) | WayOut::Unknown(_) => None,
            })
            .collect(),
    }
}

fn reaches_ssm_by_endpoints(ways: &Ways) -> bool {
    SSM_SERVICES.iter().all(|service| {
        ways.endpoints
            .iter()
            .any(|e| e.service_name.ends_with(service) && e.state == "available")
    })
}

/// The subnet's own table, else the VPC's main one.
fn table_of<'a>(subnet: &Subnet, tables: &'a [RouteTable]) -> Option<&'a RouteTable> {
    let own = |t: &&RouteTable| t.subnet_ids.contains(&subnet.subnet_id);
    let main = |t: &&RouteTable| t.is_main && t.vpc_id == subnet.vpc_id;
    tables.iter().find(own).or_else(|| tables.iter().find(main))
}

/// At launch, or by an Elastic IP right after it.
fn has_public_ip(layout: &Layout, subnet: &Subnet) -> bool {
    let asked = |i: &crate::layout::NetworkInterface| i.associate_public_ip_address;
    match layout.public_ip {
        PublicIp::ElasticIp | PublicIp::LoneEfa => true,
        _ => match layout.interfaces.as_slice() {
            [only] => asked(only).unwrap_or(subnet.map_public_ip_on_launch),
            several => several.iter().any(|i| asked(i) == Some(true)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn ways(target: Option<&str>, services: &[&str]) -> Ways {
        Ways {
            route_tables: vec![RouteTable {
                route_table_id: "rtb-1".to_owned(),
                vpc_id: "vpc-1".to_owned(),
                is_main: true,
                subnet_ids: Vec::new(),
                default_route_target: target.map(str::to_owned),
                default_ipv6_route_target: None,
                nat64_route_target: None,
            }],
            endpoints: services
                .iter()
                .map(|service| VpcEndpoint {
                    vpc_endpoint_id: "vpce-1".to_owned(),
                    service_name: format!("com.amazonaws.us-east-1.{service}"),
                    state: "available".to_owned(),
                })
                .collect(),
        }
    }

    fn judged(bootstrap: bool, instance_type: &str, at: &Subnet, ways: &Ways) -> WayOut {
        let needs = Needs {
            bootstrap,
            ssm: true,
        };
        judge(needs, fixtures::plan(instance_type).layout(), at, ways)
    }

    #[test]
    fn a_way_out_is_a_nat_gateway_or_a_public_address() {
        let mut at = fixtures::subnet("subnet-00000001", "us-east-1a", 10);
        let (p5, single) = ("p5.48xlarge", "c5n.18xlarge");
        for (instance_type, target, maps, expected) in [
            (p5, None, true, "closed"),
            (p5, Some("igw-1"), true, "closed"),
            (p5, Some("nat-1"), false, "open"),
            (p5, Some("tgw-1"), false, "unknown"),
            (p5, Some("eni-1"), false, "unknown"),
            (single, Some("igw-1"), false, "closed"),
        ] {
            at.map_public_ip_on_launch = maps;
            let found = match judged(true, instance_type, &at, &ways(target, &["s3"])) {
                WayOut::Open(_) => "open",
                WayOut::Closed(_) => "closed",
                WayOut::Unknown(_) => "unknown",
            };
            assert_eq!(found, expected, "{instance_type} {target:?}");
        }
    }

    #[test]
    fn an_ipv6_only_subnet_gets_out_by_nat64_for_sure() {
        let mut at = fixtures::subnet("subnet-00000001", "us-east-1a", 0);
        at.ipv6_native = true;
        for (nat64, dns64, route, services, expected) in [
            (None, false, None, &[][..], "closed"),
            (Some("nat-1"), false, None, &[], "closed"),
            (Some("nat-1"), true, None, &[], "open"),
            (Some("eni-1"), true, Some("eigw-1"), &[], "unknown"),
            (None, true, Some("eigw-1"), &[], "unknown"),
            (None, false, None, &["ssm", "ssmmessages"], "unknown"),
        ] {
            at.enable_dns64 = dns64;
            let mut seen = ways(Some("nat-1"), services);
            seen.route_tables[0].nat64_route_target = nat64.map(str::to_owned);
            seen.route_tables[0].default_ipv6_route_target = route.map(str::to_owned);
            let way = judged(false, "p5.48xlarge", &at, &seen);
            let found = match &way {
                WayOut::Open(_) => "open",
                WayOut::Closed(_) => "closed",
                WayOut::Unknown(_) => "unknown",
            };
            assert_eq!(found, expected, "{way:?}");
        }
        assert!(cure(&at).contains("::/0"));
    }

    #[test]
    fn endpoints_are_enough_for_systems_manager_alone() {
        let at = fixtures::subnet("subnet-00000001", "us-east-1a", 10);
        let both = ways(None, &["ssm", "ssmmessages"]);
        let open = |way: &WayOut| matches!(way, WayOut::Open(_));
        assert!(open(&judged(false, "p5.48xlarge", &at, &both)));
        assert!(!open(&judged(true, "p5.48xlarge", &at, &both)));
        let one = ways(None, &["ssm"]);
        assert!(!open(&judged(false, "p5.48xlarge", &at, &one)));
    }

    #[test]
    fn a_subnets_own_table_comes_before_the_main_one() {
        let at = fixtures::subnet("subnet-00000001", "us-east-1a", 10);
        let mut seen = ways(Some("nat-1"), &[]);
        let mut own = seen.route_tables[0].clone();
        own.is_main = false;
        own.subnet_ids = vec!["subnet-00000001".to_owned()];
        own.default_route_target = None;
        seen.route_tables.push(own);
        let way = judged(true, "p5.48xlarge", &at, &seen);
        assert!(matches!(way, WayOut::Closed(_)), "{way:?}");
    }
}
