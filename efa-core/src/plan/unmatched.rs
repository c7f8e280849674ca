//! What a name or an id that matches nothing was meant to be: the nearest of what there is.

use super::placement;
use crate::ec2::{Ec2, Filter};
use crate::error::{Code, Error, Result};
use crate::spec::selector::{Selectable, Selector};
use crate::text::did_you_mean;
use crate::types::{ResourceKind, Tags};

/// The error for a selector that matches nothing within what these filters leave; a name that
/// begins like an id is called one.
pub(super) async fn unmatched(
    ec2: &dyn Ec2,
    kind: Selectable,
    selector: &Selector,
    within: &[Filter],
) -> Error {
    // The error is this one, whatever becomes of the list.
    let known = known(ec2, kind.of, within).await.unwrap_or_default();
    let error = not_found(ec2, kind.field, &selector.to_string());
    let prefix = kind.of.id_prefix();
    match selector {
        Selector::Tag(..) => error,
        Selector::Id(id) => {
            let ids = known.iter().map(|(id, _)| id.as_str());
            error.with_cure(did_you_mean(id, ids, NOT_THERE))
        }
        Selector::Name(name) if name.starts_with(prefix) => {
            let all = known
                .iter()
                .flat_map(|(id, name)| [Some(id), name.as_ref()]);
            let or = "check the id or the name, the region and the account";
            error.with_cure(format!(
                "it is taken for a name, since an id has 8 or 17 hexadecimal digits behind \
                 {prefix}: {}",
                did_you_mean(name, all.flatten().map(String::as_str), or)
            ))
        }
        Selector::Name(name) => {
            let names = known.iter().filter_map(|(_, name)| name.as_deref());
            error.with_cure(did_you_mean(name, names, NOT_THERE))
        }
    }
}

const NOT_THERE: &str = "check the id, the region and the account";

/// The error for something that does not exist.
pub(super) fn not_found(ec2: &dyn Ec2, field: &'static str, value: &str) -> Error {
    Error::new(
        Code::PlanResourceNotFound,
        format!("{field} '{value}' does not exist in {}", ec2.region()),
    )
    .with_cure(NOT_THERE)
    .with_context("field", field)
    .with_context("value", value)
    .with_context("region", ec2.region())
}

/// The error for a placement group that does not exist.
pub(super) async fn no_placement_group(ec2: &dyn Ec2, name: &str) -> Error {
    let known = ec2.describe_placement_groups(&[]).await.unwrap_or_default();
    // A group that another account shares is found by its id only.
    let found_by = known.iter().map(|group| match group.group_name == name {
        true => group.group_id.as_str(),
        false => group.group_name.as_str(),
    });
    placement::not_found(name, found_by)
}

/// Ids and names of what there is of a kind.
async fn known(
    ec2: &dyn Ec2,
    kind: ResourceKind,
    within: &[Filter],
) -> Result<Vec<(String, Option<String>)>> {
    let named = |tags: &Tags| tags.get("Name").cloned();
    Ok(match kind {
        ResourceKind::Vpc => {
            let all = ec2.describe_vpcs(within).await?.into_iter();
            all.map(|vpc| (vpc.vpc_id, named(&vpc.tags))).collect()
        }
        ResourceKind::Subnet => {
            let all = ec2.describe_subnets(within).await?.into_iter();
            all.map(|subnet| (subnet.subnet_id, named(&subnet.tags)))
                .collect()
        }
        ResourceKind::SecurityGroup => {
            let all = ec2.describe_security_groups(within).await?.into_iter();
            all.map(|group| (group.group_id, Some(group.group_name)))
                .collect()
        }
        _ => Vec::new(),
    })
}
