//! What of a plan exists, for documents that name it.

use crate::error::{Code, Error, Result};
use crate::plan::Plan;

/// Id of the plan's security group.
///
/// # Errors
/// `handoff.not_prepared` when it does not exist.
pub(crate) fn security_group_id(plan: &Plan) -> Result<&str> {
    let group = plan.security_group();
    group
        .group_id
        .as_deref()
        .ok_or_else(|| missing("security_group", &group.group_name))
}

/// Everything that the plan would make besides the instances exists, with its rules.
///
/// # Errors
/// `handoff.not_prepared` for the first that does not.
pub(crate) fn check_prepared(plan: &Plan) -> Result<()> {
    security_group_id(plan)?;
    let group = plan.security_group();
    let lacking: Vec<&str> = group
        .missing_self_rules
        .iter()
        .map(|direction| direction.as_str())
        .collect();
    if !lacking.is_empty() || !group.missing_ssh_cidrs.is_empty() {
        let mut lacking: Vec<String> = lacking
            .into_iter()
            .map(|direction| format!("self-referencing {direction} rule"))
            .collect();
        lacking.extend(group.missing_ssh_cidrs.iter().cloned());
        return Err(not_prepared(
            "security_group",
            &group.group_name,
            format!(
                "security group {} lacks: {}",
                group.group_name,
                lacking.join(", ")
            ),
        ));
    }
    if let Some(group) = plan.placement_group().filter(|group| !group.exists) {
        return Err(missing("placement_group", &group.group_name));
    }
    if let Some(profile) = plan.instance_profile().filter(|p| !p.exists) {
        return Err(missing("instance_profile", &profile.name));
    }
    Ok(())
}

/// A document outlives the time at which the plan's cluster ends itself.
///
/// # Errors
/// `handoff.not_possible` for a plan with an expiry.
pub(crate) fn check_lasting(plan: &Plan) -> Result<()> {
    if plan.parts() > 1 {
        let capacity = plan.spec().capacity.to_string();
        return Err(Error::new(
            Code::HandoffNotPossible,
            "a document has one launch, and the cluster takes one for each reservation",
        )
        .with_cure(
            "plan a cluster for each reservation, or launch by apply or the AWS CLI's script",
        )
        .with_context("field", "capacity")
        .with_context("value", capacity));
    }
    let Some(at) = plan.expires_at() else {
        return Ok(());
    };
    Err(Error::new(
        Code::HandoffNotPossible,
        format!("what is launched from the document after {at} would end at once"),
    )
    .with_cure("plan without expires_after, or launch by apply or the AWS CLI's script")
    .with_context("field", "expires_after")
    .with_context("value", at))
}

/// A launcher that needs IPv4 addresses, or may.
///
/// # Errors
/// `handoff.not_possible` for a plan whose subnet is IPv6-only.
pub(crate) fn check_ipv4(plan: &Plan, why: &str) -> Result<()> {
    let id = &plan.subnet().subnet_id;
    if !plan.is_ipv6_only(id) {
        return Ok(());
    }
    Err(Error::new(
        Code::HandoffNotPossible,
        format!("{id} is IPv6-only, and {why}"),
    )
    .with_cure("plan with a subnet that has an IPv4 range, or launch by apply")
    .with_context("field", "subnet")
    .with_context("value", id))
}

/// Why a plan with an IPv6-only subnet is for no node of EKS.
pub(crate) const EKS_IPV6: &str =
    "whether EKS takes nodes without an IPv4 address is not known here";

fn missing(field: &'static str, name: &str) -> Error {
    let kind = field.replace('_', " ");
    not_prepared(field, name, format!("{kind} {name} does not exist yet"))
}

fn not_prepared(field: &'static str, name: &str, message: String) -> Error {
    Error::new(Code::HandoffNotPrepared, message)
        .with_cure(
            "write what Client.prepare(plan) gives: it makes the groups and no instance; or choose \
             a format that makes them itself (CloudFormation, AWS CLI)",
        )
        .with_context("field", field)
        .with_context("value", name)
}
