//! DeleteSecurityGroup, once EC2 has noticed that nothing uses it.

use super::destroy_report::{DeletionCodes, Removal};
use super::steps::Steps;
use crate::error::{Error, Result};
use crate::resource;
use crate::tags;

const CODES: DeletionCodes = DeletionCodes {
    in_use: "DependencyViolation",
    gone: "InvalidGroup.NotFound",
};

/// Deletes every security group that carries the cluster's tag; the error of one in use.
pub(super) async fn delete(steps: &Steps<'_>, removal: &mut Removal) -> Result<Option<Error>> {
    let filter = tags::cluster_filter(&removal.report.name);
    for group in steps.aws.describe_security_groups(&[filter]).await? {
        let id = group.group_id.as_str();
        let result = steps.changing()?.delete_security_group(id).await;
        let resource = (resource::SECURITY_GROUP, id);
        if let Some(in_use) = removal.deleted(steps, resource, &CODES, result)? {
            return Ok(Some(in_use));
        }
    }
    Ok(None)
}
