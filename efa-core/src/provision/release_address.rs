//! ReleaseAddress: the cluster's Elastic IPs.

use super::{DestroyReport, Steps, resource};
use crate::error::Result;
use crate::tags;

/// Releases every Elastic IP that carries the cluster's tag.
pub(super) async fn release(steps: &Steps<'_>, report: &mut DestroyReport) -> Result<()> {
    for address in steps
        .ec2
        .describe_addresses(&[tags::cluster_filter(&report.name)])
        .await?
    {
        steps.ec2.release_address(&address).await?;
        report.removed(steps, resource::ADDRESS, &address.allocation_id);
    }
    Ok(())
}
