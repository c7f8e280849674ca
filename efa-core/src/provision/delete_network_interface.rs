//! DeleteNetworkInterface: interfaces that outlived their instance.

use super::destroy_report::Removal;
use super::steps::Steps;
use crate::ec2::Filter;
use crate::error::Result;
use crate::resource;
use crate::tags;

/// Deletes every unattached interface that carries the cluster's tag.
pub(super) async fn delete(steps: &Steps<'_>, removal: &mut Removal) -> Result<()> {
    let filters = [
        tags::cluster_filter(&removal.report.name),
        Filter::new("status", "available"),
    ];
    for interface in steps.aws.describe_network_interfaces(&filters).await? {
        match steps
            .changing()?
            .delete_network_interface(&interface.network_interface_id)
            .await
        {
            Ok(()) => removal.removed(
                steps,
                resource::NETWORK_INTERFACE,
                &interface.network_interface_id,
            ),
            // EC2 itself was still removing it, as the next poll shows.
            Err(error) if error.ec2_code() == Some("InvalidNetworkInterfaceID.NotFound") => {
                removal.doubtful = true;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
