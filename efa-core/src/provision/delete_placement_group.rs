//! DeletePlacementGroup, once EC2 has noticed that it is empty.

use super::destroy_report::{DeletionCodes, Removal};
use super::steps::Steps;
use crate::error::{Error, Result};
use crate::resource;
use crate::tags;

const CODES: DeletionCodes = DeletionCodes {
    in_use: "InvalidPlacementGroup.InUse",
    gone: "InvalidPlacementGroup.Unknown",
};

/// Deletes every placement group that carries the cluster's tag; the error of one in use.
pub(super) async fn delete(steps: &Steps<'_>, removal: &mut Removal) -> Result<Option<Error>> {
    let filter = tags::cluster_filter(&removal.report.name);
    for group in steps.aws.describe_placement_groups(&[filter]).await? {
        let name = group.group_name.as_str();
        if group.state.starts_with("delet") {
            continue;
        }
        let result = steps.changing()?.delete_placement_group(name).await;
        let resource = (resource::PLACEMENT_GROUP, name);
        if let Some(in_use) = removal.deleted(steps, resource, &CODES, result)? {
            return Ok(Some(in_use));
        }
    }
    Ok(None)
}
