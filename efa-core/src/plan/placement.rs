//! Whether a cluster gets a cluster placement group, and which.

use serde::{Deserialize, Serialize};

use super::capacity::PlannedCapacity;
use crate::catalog::InstanceType;
use crate::ec2::{Market, PlacementGroup};
use crate::error::{Code, Error, Result};
use crate::spec::{CheckedSpec, PlacementGroupChoice};
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

/// Which placement group is looked for: by name, and whether it must exist.
pub(crate) enum Wanted {
    /// None at all.
    None,
    /// The caller's, or the reservation's own.
    Existing(String),
    /// One that we make.
    Ours(String),
}

/// What a plan wants before anything is looked up. A new group never fits capacity that was
/// reserved without it: EC2 then has none although the reservation is free
/// (terraform-aws-eks#3730).
pub(crate) fn wanted(spec: &CheckedSpec, capacity: &PlannedCapacity) -> Result<Wanted> {
    let reserved = capacity.placement_group_name();
    match &spec.placement_group {
        PlacementGroupChoice::None => match reserved {
            None => Ok(Wanted::None),
            Some(name) => Err(conflict(format!(
                "the capacity reservation is in placement group {name}, the plan wants none"
            ))
            .with_cure("leave the placement at its default")
            .with_context("field", "placement")),
        },
        PlacementGroupChoice::Use(name) if capacity.is_capacity_block() => Err(conflict(format!(
            "placement group {name} beside a Capacity Block, which places its instances itself"
        ))
        .with_cure("leave the placement group out")
        .with_context("field", "placement_group_name")
        .with_context("value", name)),
        PlacementGroupChoice::Use(name) => match capacity.market {
            Market::Reservation(_) if reserved != Some(name.as_str()) => Err(conflict(format!(
                "placement group {name} is not the one that the capacity reservation was made in ({})",
                reserved.unwrap_or("none")
            ))
            .with_cure("leave the placement group out, or make the reservation in it")
            .with_context("field", "placement_group_name")
            .with_context("value", name)),
            _ => Ok(Wanted::Existing(name.clone())),
        },
        PlacementGroupChoice::Make => Ok(match (&capacity.market, reserved) {
            (_, Some(name)) => Wanted::Existing(name.to_owned()),
            (Market::OnDemand | Market::Spot, None) => {
                Wanted::Ours(tags::default_group_name(&spec.name))
            }
            (_, None) => Wanted::None,
        }),
    }
}

/// Decides the placement group of a plan from what exists under the name in question.
pub(crate) fn plan_placement_group(
    spec: &CheckedSpec,
    instance_type: &InstanceType,
    wanted: Wanted,
    existing: Option<&PlacementGroup>,
) -> Result<Option<PlannedPlacementGroup>> {
    let (group_name, make) = match wanted {
        Wanted::None => return Ok(None),
        Wanted::Existing(name) => (name, false),
        Wanted::Ours(name) => (name, true),
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
        if !make {
            return Err(Error::new(
                Code::PlanResourceNotFound,
                format!("placement group '{group_name}' does not exist"),
            )
            .with_cure("check the name, the region and the account")
            .with_context("field", "placement_group_name")
            .with_context("value", &group_name));
        }
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
    let ours = tags::is_ours(&group.tags, &spec.name);
    if make && !ours {
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
