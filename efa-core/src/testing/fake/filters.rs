//! EC2's filters: every one must match, each by any of its values, wildcards included.

use super::refusal::{Answer, refuse};
use super::state::Leftover;
use crate::catalog::{InstanceType, matches_pattern};
use crate::ec2::{
    Address, CapacityReservation, Filter, Image, Instance, Offering, PlacementGroup, SecurityGroup,
    Subnet, Tags, Vpc,
};

/// A resource that can be listed by filter.
pub(super) trait Filtered {
    /// The values that the filter of this name looks at; `None` where there is no such filter.
    fn values(&self, filter: &str) -> Option<Vec<String>>;

    /// Its tags.
    fn tags(&self) -> &Tags;
}

/// Those that every filter matches; an unknown filter is refused, as EC2 does.
pub(super) fn select<T: Filtered + Clone>(
    all: impl IntoIterator<Item = T>,
    filters: &[Filter],
) -> Answer<Vec<T>> {
    let mut found = Vec::new();
    for one in all {
        let mut fits = true;
        for filter in filters {
            fits &= matches(&one, filter)?;
        }
        if fits {
            found.push(one);
        }
    }
    Ok(found)
}

fn matches<T: Filtered>(one: &T, filter: &Filter) -> Answer<bool> {
    let seen = if let Some(key) = filter.name.strip_prefix("tag:") {
        one.tags().get(key).cloned().into_iter().collect()
    } else if filter.name == "tag-key" {
        one.tags().keys().cloned().collect()
    } else {
        match one.values(&filter.name) {
            Some(values) => values,
            None => {
                let message = format!("The filter '{}' is invalid", filter.name);
                return refuse("InvalidParameterValue", message);
            }
        }
    };
    Ok(filter
        .values
        .iter()
        .any(|pattern| seen.iter().any(|value| matches_pattern(pattern, value))))
}

fn one(value: impl ToString) -> Vec<String> {
    vec![value.to_string()]
}

static NO_TAGS: Tags = Tags::new();

impl Filtered for InstanceType {
    fn values(&self, filter: &str) -> Option<Vec<String>> {
        match filter {
            "instance-type" => Some(one(&self.name)),
            "network-info.efa-supported" => Some(one(self.efa_supported)),
            _ => None,
        }
    }

    fn tags(&self) -> &Tags {
        &NO_TAGS
    }
}

impl Filtered for Offering {
    fn values(&self, filter: &str) -> Option<Vec<String>> {
        match filter {
            "instance-type" => Some(one(&self.instance_type)),
            "location" => Some(one(&self.availability_zone)),
            _ => None,
        }
    }

    fn tags(&self) -> &Tags {
        &NO_TAGS
    }
}

impl Filtered for Vpc {
    fn values(&self, filter: &str) -> Option<Vec<String>> {
        match filter {
            "vpc-id" => Some(one(&self.vpc_id)),
            "is-default" => Some(one(self.is_default)),
            _ => None,
        }
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Filtered for Subnet {
    fn values(&self, filter: &str) -> Option<Vec<String>> {
        match filter {
            "subnet-id" => Some(one(&self.subnet_id)),
            "vpc-id" => Some(one(&self.vpc_id)),
            "availability-zone" => Some(one(&self.availability_zone)),
            _ => None,
        }
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Filtered for Image {
    fn values(&self, filter: &str) -> Option<Vec<String>> {
        match filter {
            "image-id" => Some(one(&self.image_id)),
            "name" => Some(one(&self.name)),
            "architecture" => Some(one(self.architecture.as_str())),
            "state" => Some(one("available")),
            _ => None,
        }
    }

    fn tags(&self) -> &Tags {
        &NO_TAGS
    }
}

impl Filtered for SecurityGroup {
    fn values(&self, filter: &str) -> Option<Vec<String>> {
        match filter {
            "group-id" => Some(one(&self.group_id)),
            "group-name" => Some(one(&self.group_name)),
            "vpc-id" => Some(one(&self.vpc_id)),
            _ => None,
        }
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Filtered for PlacementGroup {
    fn values(&self, filter: &str) -> Option<Vec<String>> {
        match filter {
            "group-name" => Some(one(&self.group_name)),
            "strategy" => Some(one(self.strategy.as_str())),
            "state" => Some(one(&self.state)),
            _ => None,
        }
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Filtered for Instance {
    fn values(&self, filter: &str) -> Option<Vec<String>> {
        match filter {
            "instance-id" => Some(one(&self.instance_id)),
            "instance-type" => Some(one(&self.instance_type)),
            "instance-state-name" => Some(one(self.state.as_str())),
            "subnet-id" => Some(self.subnet_id.iter().cloned().collect()),
            "instance.group-id" => Some(
                self.interfaces
                    .iter()
                    .flat_map(|interface| interface.group_ids.clone())
                    .collect(),
            ),
            _ => None,
        }
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Filtered for Address {
    fn values(&self, filter: &str) -> Option<Vec<String>> {
        match filter {
            "allocation-id" => Some(one(&self.allocation_id)),
            "public-ip" => Some(one(&self.public_ip)),
            "instance-id" => Some(self.instance_id.iter().cloned().collect()),
            _ => None,
        }
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Filtered for Leftover {
    fn values(&self, filter: &str) -> Option<Vec<String>> {
        match filter {
            "network-interface-id" => Some(one(&self.interface.network_interface_id)),
            "status" => Some(one(&self.interface.status)),
            "group-id" => Some(self.group_ids.clone()),
            _ => None,
        }
    }

    fn tags(&self) -> &Tags {
        &self.tags
    }
}

impl Filtered for CapacityReservation {
    fn values(&self, filter: &str) -> Option<Vec<String>> {
        match filter {
            "instance-type" => Some(one(&self.instance_type)),
            "availability-zone" => Some(one(&self.availability_zone)),
            "state" => Some(one(&self.state)),
            _ => None,
        }
    }

    fn tags(&self) -> &Tags {
        &NO_TAGS
    }
}
