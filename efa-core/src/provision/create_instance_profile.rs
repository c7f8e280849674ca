//! CreateRole, its policies, and CreateInstanceProfile: what lets SSM manage the instances.

use super::progress::Action;
use super::steps::{Steps, answered, note};
use crate::error::{Code, Error, Leftover, Result};
use crate::iam::{CreateRole, Iam, Role};
use crate::plan::Plan;
use crate::plan::instance_role::{POLICY_NAME, TRUST_POLICY, inline_policy, ssm_policy_arn};
use crate::resource;
use crate::spec::InstanceRole;
use crate::tags;

/// IAM's words for what another call made, and for what it does not see yet.
const EXISTS: &[&str] = &["EntityAlreadyExists", "EntityAlreadyExistsException"];
const UNSEEN: &[&str] = &["NoSuchEntity", "NoSuchEntityException"];

/// Makes the plan's role and instance profile where they are missing.
pub(super) async fn ensure(
    steps: &Steps<'_>,
    plan: &Plan,
    exists: &mut Vec<Leftover>,
) -> Result<()> {
    let Some(planned) = plan.instance_profile() else {
        return Ok(());
    };
    let name = planned.name.as_str();
    let Some(role) = &planned.role else {
        let detail = "named in the specification";
        steps.tell(Action::Found, resource::INSTANCE_PROFILE, name, detail);
        return Ok(());
    };
    let partition = plan.partition();
    ensure_role(steps, plan, name, role, exists).await?;
    let managed = ssm_policy_arn(partition);
    if !attached(steps, name).await?.contains(&managed) {
        let (arn, unseen) = (managed.as_str(), |error: &Error| answered(error, UNSEEN));
        steps
            .settle(unseen, |aws| aws.attach_role_policy(name, arn))
            .await?;
        steps.tell(Action::Changed, resource::ROLE, name, arn);
    }
    if let Some(document) = inline_policy(role, partition, plan.bootstrap_statement())
        && !inline(steps, name).await?.iter().any(|p| p == POLICY_NAME)
    {
        let (document, unseen) = (document.as_str(), |error: &Error| answered(error, UNSEEN));
        steps
            .settle(unseen, |aws| {
                aws.put_role_policy(name, POLICY_NAME, document)
            })
            .await?;
        let detail = format!("policy {POLICY_NAME}");
        steps.tell(Action::Changed, resource::ROLE, name, detail);
    }
    ensure_profile(steps, plan, name, exists).await
}

async fn attached(steps: &Steps<'_>, name: &str) -> Result<Vec<String>> {
    seen(steps.aws.list_attached_role_policies(name).await)
}

async fn inline(steps: &Steps<'_>, name: &str) -> Result<Vec<String>> {
    seen(steps.aws.list_role_policies(name).await)
}

/// A list of what IAM may not see yet.
fn seen(list: Result<Vec<String>>) -> Result<Vec<String>> {
    match list {
        Err(error) if answered(&error, UNSEEN) => Ok(Vec::new()),
        list => list,
    }
}

async fn ensure_role(
    steps: &Steps<'_>,
    plan: &Plan,
    name: &str,
    wanted: &InstanceRole,
    exists: &mut Vec<Leftover>,
) -> Result<()> {
    let iam: &dyn Iam = steps.aws;
    let mut found = iam.get_role(name).await?;
    if found.is_none() {
        let request = CreateRole {
            role_name: name.to_owned(),
            trust_policy: TRUST_POLICY.to_owned(),
            permissions_boundary: wanted.permissions_boundary.clone(),
            tags: plan.shared_tags(),
        };
        match steps.changing()?.create_role(&request).await {
            Ok(()) => {
                note(steps, exists, Action::Created, resource::ROLE, name, "");
                return Ok(());
            }
            // A retry after a lost reply, or another `apply`, finds its own.
            Err(error) if answered(&error, EXISTS) => {
                found = Some(iam.get_role(name).await?.ok_or(error)?);
            }
            Err(error) => return Err(error),
        }
    }
    let ours = |role: &Role| tags::is_ours(&role.tags, &plan.spec().name);
    let is_ours = found.as_ref().is_some_and(ours);
    found_ours(steps, exists, resource::ROLE, name, is_ours)?;
    let boundary = found.and_then(|role| role.permissions_boundary);
    if boundary == wanted.permissions_boundary {
        return Ok(());
    }
    let shown = |arn: &Option<String>| arn.clone().unwrap_or_else(|| "none".to_owned());
    let (has, wants) = (shown(&boundary), shown(&wanted.permissions_boundary));
    Err(Error::new(
        Code::PlanConflict,
        format!("role {name} has the permissions boundary {has}, and the plan's is {wants}"),
    )
    .with_cure("destroy the cluster, which removes the role, and apply again")
    .with_context("field", "permissions_boundary")
    .with_context("value", has)
    .with_context("limit", wants))
}

async fn ensure_profile(
    steps: &Steps<'_>,
    plan: &Plan,
    name: &str,
    exists: &mut Vec<Leftover>,
) -> Result<()> {
    let iam: &dyn Iam = steps.aws;
    let mut found = iam.get_instance_profile(name).await?;
    let kind = resource::INSTANCE_PROFILE;
    if found.is_none() {
        let tags = plan.shared_tags();
        let (tags, unseen) = (&tags, |error: &Error| answered(error, UNSEEN));
        let made = steps.settle(unseen, |aws| aws.create_instance_profile(name, tags));
        match made.await {
            Ok(()) => note(steps, exists, Action::Created, kind, name, ""),
            Err(error) if answered(&error, EXISTS) => {
                found = Some(iam.get_instance_profile(name).await?.ok_or(error)?);
            }
            Err(error) => return Err(error),
        }
    }
    let has_role = found
        .as_ref()
        .is_some_and(|profile| profile.role_names.iter().any(|role| role == name));
    if let Some(profile) = found {
        let ours = tags::is_ours(&profile.tags, &plan.spec().name);
        found_ours(steps, exists, kind, name, ours)?;
    }
    if has_role {
        return Ok(());
    }
    let unseen = |error: &Error| answered(error, UNSEEN);
    let added = steps
        .settle(unseen, |aws| aws.add_role_to_instance_profile(name, name))
        .await;
    match added {
        // The role is in it already: a lost reply, or another `apply`.
        Err(error) if !answered(&error, &["LimitExceeded", "LimitExceededException"]) => Err(error),
        _ => {
            steps.tell(Action::Changed, kind, name, format!("role {name}"));
            Ok(())
        }
    }
}

fn found_ours(
    steps: &Steps<'_>,
    exists: &mut Vec<Leftover>,
    kind: &str,
    name: &str,
    ours: bool,
) -> Result<()> {
    if ours {
        note(steps, exists, Action::Found, kind, name, "");
        return Ok(());
    }
    Err(Error::new(
        Code::PlanConflict,
        format!("{kind} {name} is not tagged as this cluster's"),
    )
    .with_cure("choose another cluster name")
    .with_context("field", "instance_profile")
    .with_context("value", name))
}
