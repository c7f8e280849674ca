//! EC2's own check of the launch, before anything of it is made.

use super::check::{Check, Status, new_check, unknown};
use crate::cluster::live_instances;
use crate::error::Result;
use crate::launch::RunInstances;
use crate::plan::{Plan, find_security_group};
use crate::services::Aws;

const NAME: &str = "dry_run";

/// Asks EC2 whether it would take the request that `apply` sends. What `apply` makes first does
/// not exist yet: the VPC's default group stands in for the security group, and a new placement
/// group or instance profile is left out, which the detail states.
pub(super) async fn try_launch(aws: &dyn Aws, plan: &Plan) -> Result<Check> {
    if !live_instances(aws, plan.name()).await?.is_empty() {
        let why = "the cluster is already running".to_owned();
        return Ok(new_check(NAME, Status::Skipped, why, None));
    }
    let mut without = Vec::new();
    let group = match &plan.security_group().group_id {
        Some(group) => group.clone(),
        None => match default_group(aws, plan).await? {
            Some(group) => {
                without.push(format!(
                    "with default security group {group} for the one that is yet to be made"
                ));
                group
            }
            None => {
                let why = "the security group is yet to be made, and the VPC shows no default \
                           group to stand in for it";
                return Ok(unknown(NAME, why.to_owned()));
            }
        },
    };
    let request = request(plan, &group, &mut without);
    Ok(match aws.dry_run_instances(&request).await {
        Ok(()) => {
            let mut detail = "EC2 would take the request".to_owned();
            if !without.is_empty() {
                detail += &format!(" ({})", without.join(", "));
            }
            new_check(NAME, Status::Passed, detail, None)
        }
        Err(error) => new_check(
            NAME,
            Status::Failed,
            error.message().to_owned(),
            error
                .cure()
                .or(Some("change the specification and plan again")),
        ),
    })
}

async fn default_group(aws: &dyn Aws, plan: &Plan) -> Result<Option<String>> {
    let found = find_security_group(aws, "default", &plan.subnet().vpc_id).await?;
    Ok(found.map(|group| group.group_id))
}

/// The request of `apply`, without what does not exist yet.
fn request(plan: &Plan, group_id: &str, without: &mut Vec<String>) -> RunInstances {
    let mut request = plan.run_instances_request(&plan.launch(group_id, &plan.subnet().subnet_id));
    let before = without.len();
    if let Some(group) = plan.placement_group().filter(|group| !group.exists) {
        without.push(format!("without placement group {}", group.group_name));
        let tenancy = request.data.tenancy().map(str::to_owned);
        request.data.placement = crate::plan::launch::placement_of(None, tenancy);
    }
    if let Some(profile) = plan.instance_profile().filter(|profile| !profile.exists) {
        without.push(format!("without instance profile {}", profile.name));
        request.data.iam_instance_profile = None;
    }
    if without.len() > before {
        // Another request than the launch's, so another token.
        request.client_token += "-dry";
    }
    request
}
