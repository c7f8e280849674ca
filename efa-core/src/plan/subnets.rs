//! Which of the subnets that a specification names could take the cluster, and in which order.

use serde::{Deserialize, Serialize};

use super::ipv6;
use crate::ec2::Subnet;
use crate::error::{Code, Error, Result};
use crate::layout::Layout;
use crate::spec::CheckedSpec;
use crate::spec::Selector;

/// A subnet that cannot take the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RejectedSubnet {
    /// `subnet-…`
    pub subnet_id: String,
    /// Why not.
    pub reason: String,
    /// What would change that.
    pub cure: String,
}

/// The subnets that could take the cluster, best first: one at least.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Subnet>", into = "Vec<Subnet>")]
pub(crate) struct UsableSubnets(Vec<Subnet>);

impl UsableSubnets {
    pub(crate) fn first(&self) -> &Subnet {
        // `try_from` takes no empty list.
        &self.0[0]
    }

    pub(crate) fn all(&self) -> &[Subnet] {
        &self.0
    }
}

impl TryFrom<Vec<Subnet>> for UsableSubnets {
    type Error = &'static str;

    fn try_from(subnets: Vec<Subnet>) -> std::result::Result<Self, &'static str> {
        if subnets.is_empty() {
            return Err("it has no subnet");
        }
        Ok(Self(subnets))
    }
}

impl From<UsableSubnets> for Vec<Subnet> {
    fn from(subnets: UsableSubnets) -> Self {
        subnets.0
    }
}

/// What a subnet must fit.
pub(crate) struct Demand<'a> {
    pub(crate) spec: &'a CheckedSpec,
    pub(crate) layout: &'a Layout,
    pub(crate) region: &'a str,
    pub(crate) zones_that_offer: &'a [String],
    /// The zones of the capacity reservations; empty without one.
    pub(crate) reserved_zones: Vec<&'a str>,
}

/// Splits the subnets into those that could take the cluster, best first, and the others.
pub(crate) fn rank_subnets(
    demand: &Demand<'_>,
    seen: Vec<Subnet>,
) -> Result<(UsableSubnets, Vec<RejectedSubnet>)> {
    let (mut usable, mut refusals) = (Vec::new(), Vec::new());
    for subnet in seen {
        match demand.refusal(&subnet) {
            None => usable.push(subnet),
            Some(refusal) => refusals.push((subnet.subnet_id, refusal)),
        }
    }
    if usable.is_empty() {
        return Err(demand.none(refusals));
    }
    // Ids state an order; other selectors do not.
    let position = |subnet: &Subnet| {
        let named = |s: &Selector| matches!(s, Selector::Id(id) if *id == subnet.subnet_id);
        demand.spec.subnets.iter().position(named)
    };
    usable.sort_by(|a, b| {
        let order = |s: &Subnet| position(s).unwrap_or(usize::MAX);
        order(a)
            .cmp(&order(b))
            .then(
                b.available_ip_address_count
                    .cmp(&a.available_ip_address_count),
            )
            .then_with(|| a.subnet_id.cmp(&b.subnet_id))
    });
    let vpc = usable[0].vpc_id.clone();
    if let Some(other) = usable.iter().find(|subnet| subnet.vpc_id != vpc) {
        return Err(Error::new(
            Code::PlanConflict,
            format!(
                "the subnets are in several VPCs, {vpc} and {}; a security group is in one",
                other.vpc_id
            ),
        )
        .with_cure("name the VPC too, or subnets of one VPC")
        .with_context("field", "subnet")
        .with_context("value", &other.subnet_id));
    }
    let reject = |(subnet_id, error): (String, Error)| RejectedSubnet {
        subnet_id,
        reason: error.message().to_owned(),
        cure: error.cure().unwrap_or_default().to_owned(),
    };
    let mut rejected: Vec<RejectedSubnet> = refusals.into_iter().map(reject).collect();
    rejected.sort_by(|a, b| a.subnet_id.cmp(&b.subnet_id));
    Ok((UsableSubnets(usable), rejected))
}

impl Demand<'_> {
    fn refusal(&self, subnet: &Subnet) -> Option<Error> {
        let zone = &subnet.availability_zone;
        let refuse = |message: String, cure: String| {
            Error::new(Code::PlanConflict, message)
                .with_cure(cure)
                .with_context("field", "subnet")
                .with_context("instance_type", &self.spec.instance_type)
                .with_context("availability_zone", zone)
        };
        let reserved = self.reserved_zones.join(", ");
        if !reserved.is_empty() && !self.reserved_zones.contains(&zone.as_str()) {
            let message = format!(
                "{} is in {zone}, the reservation in {reserved}",
                subnet.subnet_id
            );
            let error = refuse(message, format!("choose a subnet in {reserved}"));
            return Some(error.with_context("value", &subnet.subnet_id));
        }
        if !self.zones_that_offer.contains(zone) {
            let cure = if self.zones_that_offer.is_empty() {
                format!(
                    "{} has no zone that offers it: choose another region",
                    self.region
                )
            } else {
                format!("choose a subnet in {}", self.zones_that_offer.join(", "))
            };
            let message = format!(
                "{} is not offered in {zone}, the zone of {}",
                self.spec.instance_type, subnet.subnet_id
            );
            return Some(refuse(message, cure).with_context("value", &subnet.subnet_id));
        }
        if subnet.ipv6_native {
            return ipv6::refusal(self.spec, self.layout, subnet);
        }
        let each = self.layout.private_ip_address_count();
        let needed = u64::from(self.spec.least_count()) * each;
        let free = subnet.available_ip_address_count;
        if needed > u64::from(free) {
            let message = format!(
                "{} has {free} free addresses, the plan needs {needed} ({each} per instance)",
                subnet.subnet_id
            );
            let cure = "choose a larger subnet, fewer instances, or the save-ips profile";
            let error = refuse(message, cure.to_owned());
            return Some(
                error
                    .with_context("value", needed)
                    .with_context("limit", free),
            );
        }
        None
    }

    /// The error when no subnet is left: the reason of the only one, or all of them.
    fn none(&self, mut refusals: Vec<(String, Error)>) -> Error {
        if refusals.len() == 1
            && let Some((_, only)) = refusals.pop()
        {
            return only;
        }
        let (ids, reasons): (Vec<&str>, Vec<&str>) = refusals
            .iter()
            .map(|(id, error)| (id.as_str(), error.message()))
            .unzip();
        let error = match refusals.first() {
            None => Error::new(
                Code::PlanResourceNotFound,
                format!("no subnet in {} matches", self.region),
            )
            .with_cure("check the ids, tags and names, the VPC, the region and the account"),
            Some((_, first)) => Error::new(
                Code::PlanConflict,
                format!(
                    "none of {} subnets can take the cluster: {}",
                    ids.len(),
                    reasons.join("; ")
                ),
            )
            .with_cure(first.cure().unwrap_or_default()),
        };
        error
            .with_context("field", "subnet")
            .with_context("value", ids.join(" "))
            .with_context("instance_type", &self.spec.instance_type)
    }
}
