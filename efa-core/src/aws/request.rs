//! Parts of EC2 requests in the SDK's form.

use std::fmt::Display;

use aws_sdk_ec2::types as sdk;

use crate::ec2::{Filter, Peer, Rule, Tags};
use crate::error::{Code, Error, Result};

/// A count or an index as EC2's API has them.
///
/// # Errors
/// `plan.invalid_spec` for one that does not fit.
pub(super) fn number<N>(field: &'static str, value: N) -> Result<i32>
where
    N: Copy + Display + TryInto<i32>,
{
    value.try_into().map_err(|_| {
        Error::new(
            Code::PlanInvalidSpec,
            format!("{field} is {value}, must be 0 to {}", i32::MAX),
        )
        .with_cure("choose a smaller number")
        .with_context("field", field)
        .with_context("value", value)
        .with_context("limit", i32::MAX)
    })
}

/// A part of a request that the SDK has put together.
///
/// # Errors
/// `plan.invalid_spec` where it lacks something that it must have.
pub(super) fn built<T, E: Display>(
    part: std::result::Result<T, E>,
    field: &'static str,
) -> Result<T> {
    part.map_err(|error| {
        Error::new(
            Code::PlanInvalidSpec,
            format!("{field} cannot be sent: {error}"),
        )
        .with_context("field", field)
    })
}

pub(super) fn filters(filters: &[Filter]) -> Option<Vec<sdk::Filter>> {
    let convert = |filter: &Filter| {
        sdk::Filter::builder()
            .name(&filter.name)
            .set_values(Some(filter.values.clone()))
            .build()
    };
    (!filters.is_empty()).then(|| filters.iter().map(convert).collect())
}

pub(super) fn tag_specification(
    resource_type: sdk::ResourceType,
    tags: &Tags,
) -> sdk::TagSpecification {
    sdk::TagSpecification::builder()
        .resource_type(resource_type)
        .set_tags(Some(tag_list(tags)))
        .build()
}

pub(super) fn tag_list(tags: &Tags) -> Vec<sdk::Tag> {
    let tag = |(key, value): (&String, &String)| sdk::Tag::builder().key(key).value(value).build();
    tags.iter().map(tag).collect()
}

/// The tags of what a call makes; nothing where there is none: EC2 refuses a specification
/// without tags.
pub(super) fn tag_specifications(
    resource_type: sdk::ResourceType,
    tags: &Tags,
) -> Option<Vec<sdk::TagSpecification>> {
    (!tags.is_empty()).then(|| vec![tag_specification(resource_type, tags)])
}

pub(super) fn ip_permission(rule: &Rule) -> sdk::IpPermission {
    let permission = sdk::IpPermission::builder()
        .ip_protocol(&rule.ip_protocol)
        .set_from_port(rule.from_port)
        .set_to_port(rule.to_port);
    match &rule.peer {
        Peer::SecurityGroup(id) => {
            permission.user_id_group_pairs(sdk::UserIdGroupPair::builder().group_id(id).build())
        }
        Peer::Cidr(cidr) if cidr.contains(':') => {
            permission.ipv6_ranges(sdk::Ipv6Range::builder().cidr_ipv6(cidr).build())
        }
        Peer::Cidr(cidr) => permission.ip_ranges(sdk::IpRange::builder().cidr_ip(cidr).build()),
        Peer::PrefixList(id) => {
            permission.prefix_list_ids(sdk::PrefixListId::builder().prefix_list_id(id).build())
        }
    }
    .build()
}
