//! CreateSecurityGroup and AuthorizeSecurityGroup{Ingress,Egress}: the group that lets EFA traffic pass.

use super::{Steps, note, resource};
use crate::ec2::{Direction, Rule, SecurityGroup};
use crate::error::{Code, Error, Leftover, Result};
use crate::plan::{Plan, find_security_group, missing_self_rules};
use crate::progress::Action;
use crate::spec::SecurityGroupChoice;
use crate::tags;

/// Makes the plan's group and its self rules where they are missing; its id.
pub(super) async fn ensure(
    steps: &Steps<'_>,
    plan: &Plan,
    exists: &mut Vec<Leftover>,
) -> Result<String> {
    if let SecurityGroupChoice::Use(id) = &plan.spec.security_group {
        steps.tell(
            Action::Found,
            resource::SECURITY_GROUP,
            id,
            "named in the specification",
        );
        return Ok(id.clone());
    }
    let found = find_security_group(
        steps.ec2,
        &plan.security_group.group_name,
        &plan.subnet.vpc_id,
    )
    .await?;
    let (group_id, missing) = match found {
        Some(group) => {
            check_ours(plan, &group)?;
            note(
                steps,
                exists,
                Action::Found,
                resource::SECURITY_GROUP,
                &group.group_id,
                &group.group_name,
            );
            let missing = missing_self_rules(&group);
            (group.group_id, missing)
        }
        None => {
            let request = plan.create_security_group_request();
            let group_id = steps.ec2.create_security_group(&request).await?;
            note(
                steps,
                exists,
                Action::Created,
                resource::SECURITY_GROUP,
                &group_id,
                &request.group_name,
            );
            (group_id, vec![Direction::Ingress, Direction::Egress])
        }
    };
    for direction in missing {
        authorize(steps, &group_id, direction).await?;
    }
    Ok(group_id)
}

/// The name may have been taken by someone else since the plan was made.
fn check_ours(plan: &Plan, group: &SecurityGroup) -> Result<()> {
    if group.tags.get(tags::CLUSTER) == Some(&plan.spec.name) {
        return Ok(());
    }
    Err(Error::new(
        Code::PlanConflict,
        format!(
            "security group {} ({}) is not tagged as this cluster's",
            group.group_name, group.group_id
        ),
    )
    .with_cure("plan again")
    .with_context("value", &group.group_id))
}

async fn authorize(steps: &Steps<'_>, group_id: &str, direction: Direction) -> Result<()> {
    let rule = Rule::all_traffic_with_group(group_id);
    match steps
        .ec2
        .authorize_security_group(group_id, direction, &rule)
        .await
    {
        Ok(()) => {
            let detail = format!("{} of all protocols with itself", direction.as_str());
            steps.tell(Action::Changed, resource::SECURITY_GROUP, group_id, detail);
            Ok(())
        }
        // Another `apply` of the same plan was faster.
        Err(error) if error.ec2_code() == Some("InvalidPermission.Duplicate") => Ok(()),
        Err(error) => Err(error),
    }
}
