//! CreateSecurityGroup and AuthorizeSecurityGroup{Ingress,Egress}: the group that lets EFA traffic pass.

use super::progress::Action;
use super::steps::{Steps, answered, note};
use crate::ec2::{Direction, Rule, SecurityGroup};
use crate::error::{Code, Error, Leftover, Result};
use crate::plan::security_group::{
    check_self_rules, missing_self_rules, missing_ssh_cidrs, ssh_rule,
};
use crate::plan::{Plan, find_security_group, select_security_group};
use crate::resource;
use crate::spec::SecurityGroupChoice;
use crate::spec::selector;
use crate::tags;

/// Makes the plan's group and its self rules where they are missing; its id.
pub(super) async fn ensure(
    steps: &Steps<'_>,
    plan: &Plan,
    exists: &mut Vec<Leftover>,
) -> Result<String> {
    let vpc_id = &plan.subnet().vpc_id;
    let group = match &plan.spec().security_group {
        SecurityGroupChoice::Use(named) => {
            let group =
                select_security_group(steps.aws, named, selector::SECURITY_GROUP, vpc_id).await?;
            check_self_rules(&group)?;
            tell_found(steps, &group);
            return Ok(group.group_id);
        }
        SecurityGroupChoice::Adopt(named) => {
            let group =
                select_security_group(steps.aws, named, selector::SECURITY_GROUP, vpc_id).await?;
            tell_found(steps, &group);
            group
        }
        SecurityGroupChoice::Make => find_or_create(steps, plan, exists).await?,
    };
    for direction in missing_self_rules(&group) {
        let rule = Rule::all_traffic_with_group(&group.group_id);
        authorize(steps, &group.group_id, direction, &rule).await?;
    }
    for cidr in missing_ssh_cidrs(plan.spec(), &group) {
        authorize(steps, &group.group_id, Direction::Ingress, &ssh_rule(&cidr)).await?;
    }
    Ok(group.group_id)
}

fn tell_found(steps: &Steps<'_>, group: &SecurityGroup) {
    let detail = "named in the specification";
    steps.tell(
        Action::Found,
        resource::SECURITY_GROUP,
        &group.group_id,
        detail,
    );
}

async fn find_or_create(
    steps: &Steps<'_>,
    plan: &Plan,
    exists: &mut Vec<Leftover>,
) -> Result<SecurityGroup> {
    match find_ours(steps, plan).await? {
        Some(group) => {
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
        None => create(steps, plan, exists).await,
    }
}

/// The group of this name, which must be this cluster's: someone else may have taken the name
/// since the plan was made.
async fn find_ours(steps: &Steps<'_>, plan: &Plan) -> Result<Option<SecurityGroup>> {
    let found = find_security_group(
        steps.aws,
        &plan.security_group().group_name,
        &plan.subnet().vpc_id,
    )
    .await?;
    match found {
        Some(group) if !tags::is_ours(&group.tags, &plan.spec().name) => Err(Error::new(
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
    match steps.changing()?.create_security_group(&request).await {
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
        Err(error) if answered(&error, &["InvalidGroup.Duplicate"]) => {
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

async fn authorize(
    steps: &Steps<'_>,
    group_id: &str,
    direction: Direction,
    rule: &Rule,
) -> Result<()> {
    let unseen = |error: &Error| answered(error, &["InvalidGroup.NotFound"]);
    let result = steps
        .settle(unseen, |aws| {
            aws.authorize_security_group(group_id, direction, rule)
        })
        .await;
    match result {
        // Another `apply` of the same plan was faster.
        Err(error) if answered(&error, &["InvalidPermission.Duplicate"]) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            let detail = format!("{} of {rule}", direction.as_str());
            steps.tell(Action::Changed, resource::SECURITY_GROUP, group_id, detail);
            Ok(())
        }
    }
}
