//! DeleteInstanceProfile and DeleteRole, emptied first.

use super::destroy_report::Removal;
use super::steps::{Steps, answered};
use crate::error::{Error, Result};
use crate::plan::instance_role;
use crate::resource;
use crate::services::Aws;
use crate::tags;

const GONE: &[&str] = &["NoSuchEntity", "NoSuchEntityException"];
const NOT_ALLOWED: &[&str] = &["AccessDenied", "AccessDeniedException"];

/// Deletes the cluster's instance profile and role, if we made them. With `made`, they are known
/// to be there.
pub(super) async fn delete(steps: &Steps<'_>, removal: &mut Removal, made: bool) -> Result<()> {
    let name = instance_role::name(&removal.report.name, steps.aws.region());
    match delete_profile(steps, removal, &name).await {
        Ok(()) => delete_role(steps, removal, &name).await,
        // Who may not look at IAM has made nothing there; someone else may have.
        Err(error) if !made && answered(&error, NOT_ALLOWED) && was_read(&error) => {
            removal.report.notes.push(format!(
                "IAM was not checked ({}): if this cluster was made with an instance role, \
                 {name} is still there",
                error.message()
            ));
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn was_read(error: &Error) -> bool {
    error
        .context_value("action")
        .is_some_and(|action| action.starts_with("Get"))
}

async fn delete_profile(steps: &Steps<'_>, removal: &mut Removal, name: &str) -> Result<()> {
    let Some(profile) = steps.aws.get_instance_profile(name).await? else {
        return Ok(());
    };
    if !tags::is_ours(&profile.tags, &removal.report.name) {
        return Ok(());
    }
    for role in &profile.role_names {
        let aws = steps.changing()?;
        let answer = aws.remove_role_from_instance_profile(name, role).await;
        removal.unless_gone(GONE, answer)?;
    }
    let answer = steps.changing()?.delete_instance_profile(name).await;
    if emptied_in_vain(removal, &answer) {
        return Ok(());
    }
    removal.unless_gone(GONE, answer)?;
    removal.removed(steps, resource::INSTANCE_PROFILE, name);
    Ok(())
}

async fn delete_role(steps: &Steps<'_>, removal: &mut Removal, name: &str) -> Result<()> {
    let Some(role) = steps.aws.get_role(name).await? else {
        return Ok(());
    };
    if !tags::is_ours(&role.tags, &removal.report.name) {
        return Ok(());
    }
    let aws: &dyn Aws = steps.aws;
    for arn in aws.list_attached_role_policies(name).await? {
        let answer = steps.changing()?.detach_role_policy(name, &arn).await;
        removal.unless_gone(GONE, answer)?;
    }
    for policy in aws.list_role_policies(name).await? {
        let answer = steps.changing()?.delete_role_policy(name, &policy).await;
        removal.unless_gone(GONE, answer)?;
    }
    let answer = steps.changing()?.delete_role(name).await;
    if emptied_in_vain(removal, &answer) {
        return Ok(());
    }
    removal.unless_gone(GONE, answer)?;
    removal.removed(steps, resource::ROLE, name);
    Ok(())
}

/// Whether IAM still sees what it did not know a moment ago: the next round removes it.
fn emptied_in_vain(removal: &Removal, answer: &Result<()>) -> bool {
    let full = |error: &Error| answered(error, &["DeleteConflict", "DeleteConflictException"]);
    removal.doubtful && answer.as_ref().is_err_and(full)
}
