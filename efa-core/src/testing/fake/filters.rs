//! EC2's filters: every one must match, each by any of its values, wildcards included.

use super::refusal::{Answer, refuse};
use super::state::{Endpoint, KeyPair, Leftover};
use crate::catalog::{InstanceType, matches_pattern};
use crate::ec2::{
    Address, CapacityReservation, Filter, Image, Instance, Offering, PlacementGroup, RouteTable,
    SecurityGroup, Subnet, Tags, Vpc,
};

/// A resource that can be listed by filter.
pub(super) trait Filtered {
    /// The filters besides those by tag.
    const FILTERS: &'static [&'static str];

    /// The values that one of these filters looks at.
    fn values(&self, filter: &str) -> Vec<String>;

    /// Its tags, where it can have any.
    fn tags(&self) -> &Tags {
        &NO_TAGS
    }
}

/// Those that every filter matches; an unknown filter is refused, as EC2 does.
pub(super) fn select<'a, T: Filtered + Clone + 'a>(
    all: impl IntoIterator<Item = &'a T>,
    filters: &[Filter],
) -> Answer<Vec<T>> {
    let by_tag = |name: &str| name == "tag-key" || name.starts_with("tag:");
    let unknown = |filter: &&Filter| !by_tag(&filter.name) && !T::FILTERS.contains(&&*filter.name);
    if let Some(filter) = filters.iter().find(unknown) {
        let message = format!("The filter '{}' is invalid", filter.name);
        return refuse("InvalidParameterValue", message);
    }
    let fits = |one: &&T| filters.iter().all(|filter| matches(*one, filter));
    Ok(all.into_iter().filter(fits).cloned().collect())
}

fn matches<T: Filtered>(one: &T, filter: &Filter) -> bool {
    let seen = match filter.name.strip_prefix("tag:") {
        Some(key) => one.tags().get(key).cloned().into_iter().collect(),
        None if filter.name == "tag-key" => one.tags().keys().cloned().collect(),
        None => one.values(&filter.name),
    };
    let values = filter.values.iter();
    let mut matching = values.filter(|pattern| seen.iter().any(|v| matches_pattern(pattern, v)));
    matching.next().is_some()
}

fn one(value: impl ToString) -> Vec<String> {
    vec![value.to_string()]
}

/// A resource whose tags are kept next to it.
#[derive(Clone)]
pub(super) struct Tagged<T>(pub(super) Tags, pub(super) T);

impl<T: Filtered> Filtered for Tagged<T> {
    const FILTERS: &'static [&'static str] = T::FILTERS;

    fn values(&self, filter: &str) -> Vec<String> {
        self.1.values(filter)
    }

    fn tags(&self) -> &Tags {
        &self.0
    }
}

static NO_TAGS: Tags = Tags::new();

impl Filtered for InstanceType {
    const FILTERS: &'static [&'static str] = &["instance-type", "network-info.efa-supported"];

    fn values(&self, filter: &str) -> Vec<String> {
        match filter {
            "instance-type" => one(&self.name),
            "network-info.efa-supported" => one(self.efa_supported),
            _ => Vec::new(),
        }
    }
}

impl Filtered for Offering {
    const FILTERS: &'static [&'static str] = &["instance-type", "location"];

    fn values(&self, filter: &str) -> Vec<String> {
        match filter {
            "instance-type" => one(&self.instance_type),
            "location" => one(&self.availability_zone),
            _ => Vec::new(),
        }
    }
}

impl Filtered for Vpc {
    const FILTERS: &'static [&'static str] = &["vpc-id", "is-default"];

    fn values(&self, filter: &str) -> Vec<String> {
        match filter {
            "vpc-id" => one(&self.vpc_id),
            "is-default" => one(self.is_default),
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Filtered for Subnet {
    const FILTERS: &'static [&'static str] = &["subnet-id", "vpc-id", "availability-zone"];

    fn values(&self, filter: &str) -> Vec<String> {
        match filter {
            "subnet-id" => one(&self.subnet_id),
            "vpc-id" => one(&self.vpc_id),
            "availability-zone" => one(&self.availability_zone),
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Filtered for Image {
    const FILTERS: &'static [&'static str] = &["image-id", "name", "architecture", "state"];

    fn values(&self, filter: &str) -> Vec<String> {
        match filter {
            "image-id" => one(&self.image_id),
            "name" => one(&self.name),
            "architecture" => one(self.architecture.as_str()),
            "state" => one(&self.state),
            _ => Vec::new(),
        }
    }
}

impl Filtered for KeyPair {
    const FILTERS: &'static [&'static str] = &["key-name"];

    fn values(&self, _: &str) -> Vec<String> {
        one(&self.0)
    }
}

impl Filtered for RouteTable {
    const FILTERS: &'static [&'static str] = &["vpc-id"];

    fn values(&self, _: &str) -> Vec<String> {
        one(&self.vpc_id)
    }
}

impl Filtered for Endpoint {
    const FILTERS: &'static [&'static str] = &["vpc-id"];

    fn values(&self, _: &str) -> Vec<String> {
        one(&self.vpc_id)
    }
}

impl Filtered for SecurityGroup {
    const FILTERS: &'static [&'static str] = &["group-id", "group-name", "vpc-id"];

    fn values(&self, filter: &str) -> Vec<String> {
        match filter {
            "group-id" => one(&self.group_id),
            "group-name" => one(&self.group_name),
            "vpc-id" => one(&self.vpc_id),
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Filtered for PlacementGroup {
    const FILTERS: &'static [&'static str] = &["group-name", "strategy", "state"];

    fn values(&self, filter: &str) -> Vec<String> {
        match filter {
            "group-name" => one(&self.group_name),
            "strategy" => one(self.strategy.as_str()),
            "state" => one(&self.state),
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Filtered for Instance {
    const FILTERS: &'static [&'static str] = &[
        "instance-id",
        "instance-type",
        "instance-state-name",
        "subnet-id",
        "instance.group-id",
    ];

    fn values(&self, filter: &str) -> Vec<String> {
        match filter {
            "instance-id" => one(&self.instance_id),
            "instance-type" => one(&self.instance_type),
            "instance-state-name" => one(self.state.as_str()),
            "subnet-id" => self.subnet_id.iter().cloned().collect(),
            "instance.group-id" => self
                .interfaces
                .iter()
                .flat_map(|interface| interface.group_ids.clone())
                .collect(),
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Filtered for Address {
    const FILTERS: &'static [&'static str] = &["allocation-id", "public-ip", "instance-id"];

    fn values(&self, filter: &str) -> Vec<String> {
        match filter {
            "allocation-id" => one(&self.allocation_id),
            "public-ip" => one(&self.public_ip),
            "instance-id" => self.instance_id.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Filtered for Leftover {
    const FILTERS: &'static [&'static str] = &["network-interface-id", "status", "group-id"];

    fn values(&self, filter: &str) -> Vec<String> {
        match filter {
            "network-interface-id" => one(&self.interface.network_interface_id),
            "status" => one(&self.interface.status),
            "group-id" => self.group_ids.clone(),
            _ => Vec::new(),
        }
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Filtered for CapacityReservation {
    const FILTERS: &'static [&'static str] = &["instance-type", "availability-zone", "state"];

    fn values(&self, filter: &str) -> Vec<String> {
        match filter {
            "instance-type" => one(&self.instance_type),
            "availability-zone" => one(&self.availability_zone),
            "state" => one(&self.state),
            _ => Vec::new(),
        }
    }
}
