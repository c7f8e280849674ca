//! Removes what was made for a cluster: the order of the steps.

use super::destroy_report::DestroyReport;
use super::steps::Steps;
use super::{
    delete_instance_profile, delete_network_interface, delete_placement_group,
    delete_security_group, release_address, terminate_instances,
};
use crate::cluster::live_instances;
use crate::error::{Leftover, Result};
use crate::plan::instance_role;
use crate::resource;
use crate::tags::{self, is_ours};
use crate::types::ClusterName;

/// Removes everything that carries the cluster's tag, and only that.
pub(crate) async fn destroy(steps: &Steps<'_>, name: &str) -> Result<DestroyReport> {
    ClusterName::new(name)?;
    let mut report = DestroyReport {
        name: name.to_owned(),
        removed: Vec::new(),
        notes: Vec::new(),
    };
    match remove(steps, &mut report).await {
        Ok(()) => Ok(report),
        Err(error) => {
            let left = remaining(steps, name).await;
            let next = format!("destroy('{name}') again to finish");
            Err(steps.explain(error, left, next))
        }
    }
}

/// What still carries the cluster's tag, as far as it can be read.
async fn remaining(steps: &Steps<'_>, name: &str) -> Vec<Leftover> {
    let aws = steps.aws;
    let filter = [tags::cluster_filter(name)];
    let mut left = Vec::new();
    let mut put = |resource_type: &str, id: String| {
        left.push(Leftover {
            resource_type: resource_type.to_owned(),
            id,
        });
    };
    for instance in live_instances(aws, name).await.unwrap_or_default() {
        put(resource::INSTANCE, instance.instance_id);
    }
    for address in aws.describe_addresses(&filter).await.unwrap_or_default() {
        put(resource::ADDRESS, address.allocation_id);
    }
    let groups = aws.describe_placement_groups(&filter).await;
    for group in groups.unwrap_or_default() {
        put(resource::PLACEMENT_GROUP, group.group_name);
    }
    let groups = aws.describe_security_groups(&filter).await;
    for group in groups.unwrap_or_default() {
        put(resource::SECURITY_GROUP, group.group_id);
    }
    let role = instance_role::name(name, aws.region());
    if let Ok(Some(profile)) = aws.get_instance_profile(&role).await
        && is_ours(&profile.tags, name)
    {
        put(resource::INSTANCE_PROFILE, role.clone());
    }
    if let Ok(Some(found)) = aws.get_role(&role).await
        && is_ours(&found.tags, name)
    {
        put(resource::ROLE, role);
    }
    left
}

/// The steps of [`destroy`]: what something else is used by goes first, EC2 refuses any other
/// order. A group that is still used may be used by an instance that EC2 did not show yet, so
/// every round looks at all of it again.
async fn remove(steps: &Steps<'_>, report: &mut DestroyReport) -> Result<()> {
    let mut poll = steps.poll();
    let mut made_role = false;
    loop {
        made_role |= terminate_instances::terminate(steps, report).await?;
        release_address::release(steps, report).await?;
        delete_network_interface::delete(steps, report).await?;
        let in_use = match delete_placement_group::delete(steps, report).await? {
            None => delete_security_group::delete(steps, report).await?,
            in_use => in_use,
        };
        let Some(error) = in_use else {
            return delete_instance_profile::delete(steps, report, made_role).await;
        };
        if !steps.pause(&mut poll).await? {
            return Err(error);
        }
    }
}
