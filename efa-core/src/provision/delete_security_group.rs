//! DeleteSecurityGroup, once EC2 has noticed that nothing uses it.

use super::{DeletionCodes, DestroyReport, Steps, delete_when_free, resource};
use crate::error::Result;
use crate::tags;

const CODES: DeletionCodes = DeletionCodes {
    in_use: "DependencyViolation",
    gone: "InvalidGroup.NotFound",
};

/// Deletes every security group that carries the cluster's tag.
pub(super) async fn delete(steps: &Steps<'_>, report: &mut DestroyReport) -> Result<()> {
    for group in steps
        .ec2
        .describe_security_groups(&[tags::cluster_filter(&report.name)])
        .await?
    {
        let id = &group.group_id;
        let delete = || steps.removing().delete_security_group(id);
        delete_when_free(
            steps,
            report,
            (resource::SECURITY_GROUP, id),
            &CODES,
            delete,
        )
        .await?;
    }
    Ok(())
}
