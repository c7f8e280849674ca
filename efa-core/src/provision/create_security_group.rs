//! CreateSecurityGroup and AuthorizeSecurityGroup{Ingress,Egress}: the group that lets EFA traffic pass.

use super::{Steps, note, resource};
use crate::ec2::{Direction, Filter, Rule, SecurityGroup};
use crate::error::{Code, Error, Leftover, Result};
use crate::plan::{Plan, find_security_group};
use crate::progress::Action;
use crate::security_group::{check_self_rules, missing_self_rules};
use crate::spec::SecurityGroupChoice;
use crate::tags;

/// Makes the plan's group and its self rules where they are missing; its id.
pub(super) async fn ensure(
    steps: &Steps<'_>,
    plan: &Plan,
    exists: &mut Vec<Leftover>,
) -> Result<String> {
    if let SecurityGroupChoice::Use(id) = &plan.spec.security_group {
        let filter = Filter::new("group-id", id);
        let found = steps.ec2.describe_security_groups(&[filter]).await?;
        let group = found.first().ok_or_else(|| {
            Error::new(
                Code::PlanResourceNotFound,
                format!("security group {id} is gone since the plan was made"),
            )
            .with_cure("plan again")
            .with_context("value", id)
        })?;
        check_self_rules(group)?;
        let detail = "named in the specification";
        steps.tell(Action::Found, resource::SECURITY_GROUP, id, detail);
        return Ok(id.clone());
    }
    let group = match find_ours(steps, plan).await? {
        Some(group) => {
            note(
                steps,
                exists,
                Action::Found,
                resource::SECURITY_GROUP,
                &group.group_id,
                &group.group_name,
            );
            group
        }
        None => create(steps, plan, exists).await?,
    };
    let (group_id, missing) = (group.group_id.clone(), missing_self_rules(&group));
    for direction in missing {
        authorize(steps, &group_id, direction).await?;
    }
    Ok(group_id)
}

/// The group of this name, which must be this cluster's: someone else may have taken the name
/// since the plan was made.
async fn find_ours(steps: &Steps<'_>, plan: &Plan) -> Result<Option<SecurityGroup>> {
    let found = find_security_group(
        steps.ec2,
        &plan.security_group.group_name,
        &plan.subnet.vpc_id,
    )
    .await?;
    match found {
        Some(group) if group.tags.get(tags::CLUSTER) != Some(&plan.spec.name) => Err(Error::new(
            Code::PlanConflict,
            format!(
                "security group {} ({}) is not tagged as this cluster's",
                group.group_name, group.group_id
            ),
        )
        .with_cure("plan again")
        .with_context("value", &group.group_id)),
        found => Ok(found),
    }
}

async fn create(
    steps: &Steps<'_>,
    plan: &Plan,
    exists: &mut Vec<Leftover>,
) -> Result<SecurityGroup> {
    let request = plan.create_security_group_request();
    match steps.ec2.create_security_group(&request).await {
        Ok(group_id) => {
            note(
                steps,
                exists,
                Action::Created,
                resource::SECURITY_GROUP,
                &group_id,
                &request.group_name,
            );
            Ok(SecurityGroup {
                group_id,
                group_name: request.group_name,
                vpc_id: request.vpc_id,
                ingress: Vec::new(),
                egress: Vec::new(),
                tags: request.tags,
            })
        }
        // The call has no ClientToken: a retry after a lost reply, or another `apply`, finds its own.
        Err(error) if error.ec2_code() == Some("InvalidGroup.Duplicate") => {
            let group = find_ours(steps, plan).await?.ok_or(error)?;
            note(
                steps,
                exists,
                Action::Found,
                resource::SECURITY_GROUP,
                &group.group_id,
                &group.group_name,
            );
            Ok(group)
        }
        Err(error) => Err(error),
    }
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
