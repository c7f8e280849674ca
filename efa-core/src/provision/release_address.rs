//! ReleaseAddress: the cluster's Elastic IPs.

use super::{DestroyReport, Steps, resource};
use crate::ec2::{Address, Ec2};
use crate::error::Result;
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
    for address in steps.ec2.describe_addresses(&[filter]).await? {
        if let Some(association) = &address.association_id {
            unless_gone(steps.removing().disassociate_address(association).await)?;
        }
        release_one(steps.removing(), &address).await?;
        report.removed(steps, resource::ADDRESS, &address.allocation_id);
    }
    Ok(())
}

/// Releases one address that is not associated.
pub(super) async fn release_one(ec2: &dyn Ec2, address: &Address) -> Result<()> {
    unless_gone(ec2.release_address(&address.allocation_id).await)
}

fn unless_gone(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.ec2_code().is_some_and(|code| GONE.contains(&code)) => Ok(()),
        result => result,
    }
}
