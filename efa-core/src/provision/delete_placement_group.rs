//! DeletePlacementGroup, once EC2 has noticed that it is empty.

use super::{DeletionCodes, DestroyReport, Steps, delete_when_free, resource};
use crate::error::Result;
use crate::tags;

const CODES: DeletionCodes = DeletionCodes {
    in_use: "InvalidPlacementGroup.InUse",
    gone: "InvalidPlacementGroup.Unknown",
};

/// Deletes every placement group that carries the cluster's tag.
pub(super) async fn delete(steps: &Steps<'_>, report: &mut DestroyReport) -> Result<()> {
    for group in steps
        .ec2
        .describe_placement_groups(&[tags::cluster_filter(&report.name)])
        .await?
    {
        let name = &group.group_name;
        let delete = || steps.removing().delete_placement_group(name);
        delete_when_free(
            steps,
            report,
            (resource::PLACEMENT_GROUP, name),
            &CODES,
            delete,
        )
        .await?;
    }
    Ok(())
}
