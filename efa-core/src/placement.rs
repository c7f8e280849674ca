//! Whether a cluster gets a cluster placement group, and which.

use serde::{Deserialize, Serialize};

use crate::catalog::InstanceType;
use crate::ec2::PlacementGroup;
use crate::error::{Code, Error, Result};
use crate::spec::{ClusterSpec, PlacementGroupChoice};
use crate::tags;
use crate::types::PlacementStrategy;

/// A cluster placement group of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlannedPlacementGroup {
    /// Its name.
    pub group_name: String,
    /// Whether it exists already.
    pub exists: bool,
    /// Whether it is ours: made by us, and removed by `destroy`.
    pub ours: bool,
}

/// Decides the placement group of a plan from what exists under the name in question.
pub(crate) fn decide(
    spec: &ClusterSpec,
    instance_type: &InstanceType,
    existing: Option<&PlacementGroup>,
) -> Result<Option<PlannedPlacementGroup>> {
    let group_name = match &spec.placement_group {
        PlacementGroupChoice::None => return Ok(None),
        PlacementGroupChoice::Use(name) => name.clone(),
        PlacementGroupChoice::Make => tags::default_group_name(&spec.name),
    };
    if !instance_type.supports_cluster_placement() {
        return Err(conflict(format!(
            "{} cannot be in a cluster placement group",
            instance_type.name
        ))
        .with_cure("ask for no placement group: placement \"none\"")
        .with_context("instance_type", &instance_type.name)
        .with_context("field", "placement"));
    }
    let Some(group) = existing else {
        return Ok(Some(PlannedPlacementGroup {
            group_name,
            exists: false,
            ours: true,
        }));
    };
    if group.strategy != PlacementStrategy::Cluster {
        return Err(conflict(format!(
            "placement group {group_name} has strategy {}, EFA wants cluster",
            group.strategy
        ))
        .with_cure("name a cluster placement group, or let one be made")
        .with_context("field", "placement_group_name")
        .with_context("value", &group_name));
    }
    let ours = group
        .tags
        .get(tags::CLUSTER)
        .is_some_and(|cluster| *cluster == spec.name);
    if spec.placement_group == PlacementGroupChoice::Make && !ours {
        return Err(conflict(format!(
            "a placement group named {group_name} exists and is not tagged as this cluster's"
        ))
        .with_cure("give it as placement_group_name to use it, or choose another cluster name")
        .with_context("field", "placement_group_name")
        .with_context("value", &group_name));
    }
    Ok(Some(PlannedPlacementGroup {
        group_name,
        exists: true,
        ours,
    }))
}

fn conflict(message: String) -> Error {
    Error::new(Code::PlanConflict, message)
}
