//! ReleaseAddress: the cluster's Elastic IPs.

use super::destroy_report::Removal;
use super::progress::Action;
use super::steps::{Steps, answered};
use crate::ec2::Address;
use crate::error::{Error, Result};
use crate::resource;
use crate::services::Aws;
use crate::tags;

/// EC2's words for an address or association that is gone, or not seen yet.
const GONE: &[&str] = &[
    "InvalidAllocationID.NotFound",
    "InvalidAssociationID.NotFound",
];
/// EC2's words for an address that is associated: by now, or by what a list does not show yet.
const IN_USE: &[&str] = &["InvalidIPAddress.InUse"];

/// Releases every Elastic IP that carries the cluster's tag; the error of one in use.
pub(super) async fn release(steps: &Steps<'_>, removal: &mut Removal) -> Result<Option<Error>> {
    let filter = tags::cluster_filter(&removal.report.name);
    let mut in_use = None;
    for address in steps.aws.describe_addresses(&[filter]).await? {
        if let Some(association) = &address.association_id {
            let answer = steps.changing()?.disassociate_address(association).await;
            removal.unless_gone(GONE, answer)?;
        }
        let id = &address.allocation_id;
        match steps.changing()?.release_address(id).await {
            Err(error) if answered(&error, IN_USE) => {
                steps.tell(Action::Waiting, resource::ADDRESS, id, "in use");
                in_use = Some(error);
            }
            answer => {
                removal.unless_gone(GONE, answer)?;
                removal.removed(steps, resource::ADDRESS, id);
            }
        }
    }
    Ok(in_use)
}

/// What became of releasing an address that nothing seems to use.
pub(super) enum Release {
    Done,
    /// Another `apply` of the same plan has associated it meanwhile.
    InUse,
    /// EC2 does not know it, though it is listed: gone, or not seen yet.
    Unknown,
}

/// Releases one address that nothing seems to use.
pub(super) async fn release_unused(aws: &dyn Aws, address: &Address) -> Result<Release> {
    match aws.release_address(&address.allocation_id).await {
        Err(error) if answered(&error, IN_USE) => Ok(Release::InUse),
        Err(error) if answered(&error, GONE) => Ok(Release::Unknown),
        answer => answer.map(|()| Release::Done),
    }
}
