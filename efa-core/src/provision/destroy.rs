//! Removes what was made for a cluster: the order of the steps.

use super::destroy_report::{DestroyReport, Removal};
use super::next::{Verb, next_command};
use super::steps::{SETTLING, Steps, timeout};
use super::{
    delete_instance_profile, delete_network_interface, delete_placement_group,
    delete_security_group, leftovers, release_address, terminate_instances,
};
use crate::error::Result;
use crate::types::ClusterName;

/// Removes everything that carries the cluster's tag, and only that.
pub(crate) async fn destroy(steps: &Steps<'_>, name: &str) -> Result<DestroyReport> {
    ClusterName::new(name)?;
    let mut removal = Removal::new(name);
    match remove(steps, &mut removal).await {
        Ok(()) => Ok(removal.report),
        Err(error) => {
            let next = next_command(&error, name, Verb::Destroy);
            let known = leftovers::look(steps, name, true).await;
            Err(steps.explain(error, known.resources, &known.unread, next))
        }
    }
}

/// The steps of [`destroy`]: what something else is used by goes first, EC2 refuses any other
/// order. A group that is still used may be used by an instance that EC2 did not show yet, and
/// what EC2 lists and does not know may be there, so every round looks at all of it again.
async fn remove(steps: &Steps<'_>, removal: &mut Removal) -> Result<()> {
    let mut poll = steps.poll();
    let settled = steps.now() + SETTLING;
    let mut made_role = false;
    loop {
        removal.doubtful = false;
        made_role |= terminate_instances::terminate(steps, removal).await?;
        let mut in_use = release_address::release(steps, removal).await?;
        delete_network_interface::delete(steps, removal).await?;
        if in_use.is_none() {
            in_use = delete_placement_group::delete(steps, removal).await?;
        }
        if in_use.is_none() {
            in_use = delete_security_group::delete(steps, removal).await?;
        }
        if in_use.is_none() {
            delete_instance_profile::delete(steps, removal, made_role).await?;
            if !removal.doubtful {
                return Ok(());
            }
        }
        if !steps.pause(&mut poll).await? || (in_use.is_none() && steps.now() > settled) {
            let name = &removal.report.name;
            let what = format!("EC2 lists resources of '{name}' but does not recognize them");
            return Err(in_use.unwrap_or_else(|| timeout(&what, steps.wait.timeout)));
        }
    }
}
