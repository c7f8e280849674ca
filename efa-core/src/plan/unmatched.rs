//! What a name or an id that matches nothing was meant to be: the nearest of what there is.

use super::instance_role;
use crate::ec2::{Ec2, Filter};
use crate::error::{Code, Error, Result};
use crate::iam::InstanceProfile;
use crate::services::Aws;
use crate::spec::LaunchTemplateBase;
use crate::spec::selector::{Selectable, Selector};
use crate::ssm::Ssm;
use crate::text::{did_you_mean, nearest};
use crate::types::{Architecture, ResourceKind, Tags};

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
            let or = match kind.of {
                ResourceKind::Subnet => subnets_of_zone(ec2, name, within).await,
                _ => None,
            };
            error.with_cure(did_you_mean(
                name,
                names,
                or.as_deref().unwrap_or(NOT_THERE),
            ))
        }
    }
}

pub(super) const NOT_THERE: &str = "check the id, the region and the account";

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

/// The error for a group that the caller names and that does not exist, next to those that do.
pub(super) fn no_group<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    let cure = "check the name, the region and the account; a group that another account shares \
                is named by its id (pg-…)";
    Error::new(
        Code::PlanResourceNotFound,
        format!("placement group '{name}' does not exist"),
    )
    .with_cure(did_you_mean(name, known, cure))
    .with_context("field", "placement_group_name")
    .with_context("value", name)
}

/// The error for a placement group that does not exist, next to those of the account.
pub(super) async fn no_placement_group(ec2: &dyn Ec2, name: &str) -> Error {
    let known = ec2.describe_placement_groups(&[]).await.unwrap_or_default();
    // A group that another account shares is found by its id only.
    let found_by = known.iter().map(|group| match group.group_name == name {
        true => group.group_id.as_str(),
        false => group.group_name.as_str(),
    });
    no_group(name, found_by)
}

/// The cure where a zone is named for a subnet, or what is nearly one: subnets of the zone.
async fn subnets_of_zone(ec2: &dyn Ec2, name: &str, within: &[Filter]) -> Option<String> {
    let subnets = ec2.describe_subnets(within).await.unwrap_or_default();
    let zones = subnets
        .iter()
        .map(|subnet| subnet.availability_zone.as_str());
    let zone = *nearest(name, zones).first()?;
    let ids = subnets
        .iter()
        .filter(|subnet| subnet.availability_zone == zone)
        .map(|subnet| subnet.subnet_id.as_str());
    let ids: Vec<&str> = ids.take(3).collect();
    let cure = format!("{zone} is a zone: name a subnet in it, such as");
    Some(format!("{cure} {}", ids.join(", ")))
}

/// The error for an instance profile that does not exist; the name of a role is not one.
pub(super) async fn no_instance_profile(aws: &dyn Aws, name: &str) -> Error {
    let error = instance_role::no_profile(name);
    let known = aws.list_instance_profiles().await.unwrap_or_default();
    let has_role = |one: &&InstanceProfile| one.role_names.iter().any(|role| role == name);
    if let Some(profile) = known.iter().find(has_role) {
        let profile = &profile.instance_profile_name;
        return error.with_cure(format!(
            "{name} is a role: did you mean {profile}, an instance profile that has it?"
        ));
    }
    if let Ok(Some(_)) = aws.get_role(name).await {
        return error.with_cure(format!(
            "{name} is a role, and instances take an instance profile: make one and add the role"
        ));
    }
    let names = known.iter().map(|one| one.instance_profile_name.as_str());
    error.with_cure(did_you_mean(name, names, instance_role::NO_PROFILE))
}

/// The error for a launch template, or a version of it, that does not exist.
pub(super) async fn no_launch_template(ec2: &dyn Ec2, base: &LaunchTemplateBase) -> Error {
    let names = ec2.launch_template_names().await.unwrap_or_default();
    let (name, version) = (&base.template, &base.version);
    let cure = if names.contains(name) {
        format!("{name} has no version {version}: give another, $Default or $Latest")
    } else {
        let or = "check the id or the name, the version, the region and the account";
        did_you_mean(name, names.iter().map(String::as_str), or)
    };
    Error::new(
        Code::PlanResourceNotFound,
        format!(
            "launch template '{base}' does not exist in {}",
            ec2.region()
        ),
    )
    .with_cure(cure)
    .with_context("field", "launch_template")
    .with_context("value", base)
}

/// The error for an image that does not exist.
pub(super) fn no_image(ec2: &dyn Ec2, what: &str) -> Error {
    Error::new(
        Code::PlanResourceNotFound,
        format!("image '{what}' does not exist in {}", ec2.region()),
    )
    .with_cure("check the image, its architecture, the region and the account")
    .with_context("field", "image")
    .with_context("value", what)
    .with_context("region", ec2.region())
}

/// The error for a parameter that does not exist, next to its neighbours.
pub(super) async fn no_parameter(ec2: &dyn Ec2, ssm: &dyn Ssm, name: &str) -> Error {
    let error = no_image(ec2, &format!("ssm:{name}"));
    let above = match name.rsplit_once('/') {
        Some((above, _)) if !above.is_empty() => above,
        _ => "/",
    };
    let known = ssm.parameters_below(above).await.unwrap_or_default();
    match nearest(name, known.iter().map(String::as_str)).as_slice() {
        [] => error,
        near => error.with_cure(format!("did you mean ssm:{}?", near.join(", ssm:"))),
    }
}

/// The error for an image that its owner does not have: where one has the name, why it does not
/// serve, else one whose name is near as far as the pattern has no wildcard.
pub(super) async fn no_image_of_name(
    ec2: &dyn Ec2,
    owner: &str,
    name: &str,
    architecture: &Architecture,
) -> Error {
    let error = no_image(ec2, &format!("{owner}/{name} for {architecture}"));
    let owners = [owner.to_owned()];
    let by_name = [Filter::new("name", name)];
    let named = ec2.describe_images(&owners, &by_name).await;
    if let Some(other) = named.unwrap_or_default().first() {
        return error.with_cure(format!(
            "'{}' is for {} and {}: choose one for {architecture} that is available",
            other.name, other.architecture, other.state
        ));
    }
    let start = name.split(['*', '?']).next().unwrap_or_default();
    let length = start.chars().count();
    let is_pattern = start.len() < name.len();
    // The first half narrows the list: an owner can have thousands of images.
    let half: String = start.chars().take(length / 2).collect();
    if half.len() < LEAST_START {
        return error;
    }
    let near = [
        Filter::new("name", format!("{half}*")),
        Filter::new("architecture", architecture.as_str()),
        Filter::new("state", "available"),
    ];
    let mut images = ec2
        .describe_images(&owners, &near)
        .await
        .unwrap_or_default();
    images.sort_by(|a, b| b.creation_date.cmp(&a.creation_date));
    let compared: Vec<String> = images
        .iter()
        .map(|image| match is_pattern {
            true => image.name.chars().take(length).collect(),
            false => image.name.clone(),
        })
        .collect();
    let found = nearest(start, compared.iter().map(String::as_str));
    let of_name = |text: &&str| compared.iter().position(|one| one == text);
    match found.first().and_then(of_name) {
        Some(at) => error.with_cure(format!("did you mean '{owner}/{}'?", images[at].name)),
        None => error,
    }
}

/// With fewer letters, an owner's list is not narrowed.
const LEAST_START: usize = 3;

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
