//! CreatePlacementGroup: instances close together.

use super::progress::Action;
use super::steps::{Steps, note};
use crate::error::{Code, Error, Leftover, Result};
use crate::plan::{Plan, find_placement_group};
use crate::resource;
use crate::tags;

/// Makes the plan's placement group where it is missing.
pub(super) async fn ensure(
    steps: &Steps<'_>,
    plan: &Plan,
    exists: &mut Vec<Leftover>,
) -> Result<()> {
    let Some(planned) = plan.placement_group() else {
        return Ok(());
    };
    if !planned.ours {
        let (kind, detail) = (resource::PLACEMENT_GROUP, "not created by efa-sdk");
        steps.tell(Action::Found, kind, &planned.group_name, detail);
        return Ok(());
    }
    if find_ours(steps, plan, &planned.group_name).await? {
        note(
            steps,
            exists,
            Action::Found,
            resource::PLACEMENT_GROUP,
            &planned.group_name,
            "cluster",
        );
        return Ok(());
    }
    match steps
        .changing()?
        .create_cluster_placement_group(&planned.group_name, &plan.shared_tags())
        .await
    {
        Ok(()) => {
            note(
                steps,
                exists,
                Action::Created,
                resource::PLACEMENT_GROUP,
                &planned.group_name,
                "cluster",
            );
            Ok(())
        }
        // The call has no ClientToken: a retry after a lost reply, or another `apply`, finds its own.
        Err(error) if error.ec2_code() == Some("InvalidPlacementGroup.Duplicate") => {
            if find_ours(steps, plan, &planned.group_name).await? {
                note(
                    steps,
                    exists,
                    Action::Found,
                    resource::PLACEMENT_GROUP,
                    &planned.group_name,
                    "cluster",
                );
                Ok(())
            } else {
                Err(error)
            }
        }
        Err(error) => Err(error),
    }
}

async fn find_ours(steps: &Steps<'_>, plan: &Plan, group_name: &str) -> Result<bool> {
    let Some(group) = find_placement_group(steps.aws, group_name).await? else {
        return Ok(false);
    };
    if tags::is_ours(&group.tags, &plan.spec().name) {
        return Ok(true);
    }
    Err(Error::new(
        Code::PlanConflict,
        format!("placement group {group_name} is not tagged as this cluster's"),
    )
    .with_cure("plan again")
    .with_context("value", group_name))
}
