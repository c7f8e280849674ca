//! What a document names of the account: ids, or the format's own references.

use super::document::Node;
use crate::error::{Code, Error, Result};
use crate::plan::Plan;

/// What a launch template names: ids as text, or what the format puts in their place, such as
/// `{"Ref": "SecurityGroup"}`.
#[derive(Debug, Clone)]
pub(crate) struct References {
    /// The security group of every interface, by id.
    pub(crate) security_group: Node,
    /// The subnet of every interface, by id; `None` leaves it to the launcher.
    pub(crate) subnet: Option<Node>,
    /// The placement group, by name.
    pub(crate) placement_group: Option<Node>,
    /// The instance profile, by name.
    pub(crate) instance_profile: Option<Node>,
}

impl References {
    /// The plan's own: everything must exist.
    ///
    /// # Errors
    /// `handoff.not_prepared`.
    pub(crate) fn of(plan: &Plan) -> Result<Self> {
        check_prepared(plan)?;
        let placement_group = plan.placement_group.as_ref();
        let instance_profile = plan.instance_profile.as_ref();
        Ok(Self {
            security_group: security_group_id(plan)?.into(),
            subnet: Some(plan.subnet().subnet_id.as_str().into()),
            placement_group: placement_group.map(|group| group.group_name.as_str().into()),
            instance_profile: instance_profile.map(|profile| profile.name.as_str().into()),
        })
    }
}

/// Id of the plan's security group.
///
/// # Errors
/// `handoff.not_prepared` when it does not exist.
pub(crate) fn security_group_id(plan: &Plan) -> Result<&str> {
    let group = &plan.security_group;
    group
        .group_id
        .as_deref()
        .ok_or_else(|| missing("security_group", &group.group_name))
}

/// Everything that the plan would make beside the instances exists, with its rules.
///
/// # Errors
/// `handoff.not_prepared` for the first that does not.
pub(crate) fn check_prepared(plan: &Plan) -> Result<()> {
    security_group_id(plan)?;
    let group = &plan.security_group;
    let lacking: Vec<&str> = group
        .missing_self_rules
        .iter()
        .map(|direction| direction.as_str())
        .collect();
    if !lacking.is_empty() || !group.missing_ssh_cidrs.is_empty() {
        let mut lacking: Vec<String> = lacking
            .into_iter()
            .map(|direction| format!("{direction} rule with itself"))
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
    if let Some(group) = plan.placement_group.as_ref().filter(|group| !group.exists) {
        return Err(missing("placement_group", &group.group_name));
    }
    if let Some(profile) = plan.instance_profile.as_ref().filter(|p| !p.exists) {
        return Err(missing("instance_profile", &profile.name));
    }
    Ok(())
}

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
