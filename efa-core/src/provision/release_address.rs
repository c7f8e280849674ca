//! ReleaseAddress: the cluster's Elastic IPs.

use super::destroy_report::DestroyReport;
use super::steps::{Steps, answered};
use crate::ec2::Address;
use crate::error::Result;
use crate::resource;
use crate::services::Aws;
use crate::tags;

/// EC2's words for an address or association that is gone: by another call, or by one whose
/// reply was lost.
const GONE: [&str; 2] = [
    "InvalidAllocationID.NotFound",
    "InvalidAssociationID.NotFound",
];

/// Releases every Elastic IP that carries the cluster's tag.
pub(super) async fn release(steps: &Steps<'_>, report: &mut DestroyReport) -> Result<()> {
    let filter = tags::cluster_filter(&report.name);
    for address in steps.aws.describe_addresses(&[filter]).await? {
        if let Some(association) = &address.association_id {
            unless_gone(steps.changing()?.disassociate_address(association).await)?;
        }
        release_one(steps.changing()?, &address).await?;
        report.removed(steps, resource::ADDRESS, &address.allocation_id);
    }
    Ok(())
}

/// Releases one address that is not associated.
pub(super) async fn release_one(aws: &dyn Aws, address: &Address) -> Result<()> {
    unless_gone(aws.release_address(&address.allocation_id).await)
}

fn unless_gone(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if answered(&error, &GONE) => Ok(()),
        result => result,
    }
}
