//! Whether a cluster gets a cluster placement group, and which.

use serde::{Deserialize, Serialize};

use super::capacity::{PlannedCapacity, ReservedGroup};
use super::unmatched;
use crate::catalog::InstanceType;
use crate::ec2::{Market, PlacementGroup};
use crate::error::{Code, Error, Result};
use crate::spec::{CheckedSpec, PlacementGroupChoice};
use crate::tags;
use crate::types::{PlacementStrategy, ResourceKind};

/// A cluster placement group of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedPlacementGroup {
    /// Its name.
    pub group_name: String,
    /// `pg-…`, where the specification names it so and the launch does too: the only way to use a
    /// group that another account shares.
    pub group_id: Option<String>,
    /// The account that owns it; absent while it does not exist.
    pub owner_id: Option<String>,
    /// Whether it exists already.
    pub exists: bool,
    /// Whether efa-sdk created it, so that `destroy` removes it.
    pub ours: bool,
}

impl PlannedPlacementGroup {
    /// How a launch names it: by id where the specification does.
    pub(crate) fn launch_name(&self) -> &str {
        self.group_id.as_deref().unwrap_or(&self.group_name)
    }
}

/// Which placement group is looked for: by name or id, and whether it must exist.
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
pub(crate) fn wanted(
    spec: &CheckedSpec,
    capacity: &PlannedCapacity,
    account: &str,
) -> Result<Wanted> {
    let reserved = capacity.placement_group(account);
    match &spec.placement_group {
        PlacementGroupChoice::None => match reserved {
            None | Some(ReservedGroup::Foreign { .. }) => Ok(Wanted::None),
            Some(ReservedGroup::Own(name)) => Err(conflict(format!(
                "the capacity reservation is in placement group {name}, the plan wants none"
            ))
            .with_cure("leave the placement at its default")
            .with_context("field", "placement")),
        },
        PlacementGroupChoice::Use(name) if capacity.is_capacity_block() => Err(conflict(format!(
            "placement group {name} together with a Capacity Block, which places its instances \
             itself"
        ))
        .with_cure("leave the placement group out")
        .with_context("field", "placement_group_name")
        .with_context("value", name)),
        // What an id names is known once it is looked up.
        PlacementGroupChoice::Use(id) if ResourceKind::PlacementGroup.is_id(id) => {
            Ok(Wanted::Existing(id.clone()))
        }
        PlacementGroupChoice::Use(name) => match reserved {
            Some(ReservedGroup::Own(own)) if own != name => Err(not_the_reserved(name, own)),
            Some(ReservedGroup::Foreign { name: own, owner }) => {
                Err(not_the_reserved(name, &format!("{own} of account {owner}")))
            }
            _ => Ok(Wanted::Existing(name.clone())),
        },
        PlacementGroupChoice::Make => Ok(match (&capacity.market, reserved) {
            (_, Some(ReservedGroup::Own(name))) => Wanted::Existing(name.to_owned()),
            // The launch names none: the reservation places its instances.
            (_, Some(ReservedGroup::Foreign { .. })) => Wanted::None,
            (Market::OnDemand | Market::Spot, None) => {
                Wanted::Ours(tags::default_group_name(&spec.name))
            }
            (_, None) => Wanted::None,
        }),
    }
}

fn not_the_reserved(name: &str, reserved: &str) -> Error {
    conflict(format!(
        "placement group {name} is not the one that the capacity reservation was made in \
         ({reserved})"
    ))
    .with_cure("leave the placement group out: the reservation places its instances")
    .with_context("field", "placement_group_name")
    .with_context("value", name)
}

/// What may go wrong with a placement group that is legal: a reservation outside of every group
/// launches into one only where its capacity happens to be near
/// (awslabs/awsome-distributed-ai#1267).
pub(crate) fn warn(spec: &CheckedSpec, capacity: &PlannedCapacity) -> Option<String> {
    let PlacementGroupChoice::Use(group) = &spec.placement_group else {
        return None;
    };
    let Market::Reservation(id) = &capacity.market else {
        return None;
    };
    let reservation = capacity.reservation.as_ref()?;
    reservation.placement_group_arn.is_none().then(|| {
        format!(
            "{id} was not made in placement group {group}: where the reserved capacity is not \
             near each other, EC2 answers InsufficientInstanceCapacity although the reservation \
             is free; make the reservation in the group, or leave the group out"
        )
    })
}

/// Decides the placement group of a plan from what exists under the name in question.
pub(crate) fn plan_placement_group(
    spec: &CheckedSpec,
    instance_type: &InstanceType,
    capacity: &PlannedCapacity,
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
            return Err(unmatched::no_group(&group_name, []));
        }
        return Ok(Some(PlannedPlacementGroup {
            group_name,
            group_id: None,
            owner_id: None,
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
    let reserved = capacity.reservation.as_ref();
    if let (Some(arn), Some(reserved)) = (
        &group.group_arn,
        reserved.and_then(|r| r.placement_group_arn.as_ref()),
    ) && arn != reserved
    {
        return Err(not_the_reserved(&group_name, reserved));
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
    let by_id = ResourceKind::PlacementGroup.is_id(&group_name);
    let owner_id = group
        .group_arn
        .as_deref()
        .and_then(|arn| arn.split(':').nth(4));
    Ok(Some(PlannedPlacementGroup {
        group_name: group.group_name.clone(),
        group_id: by_id.then_some(group_name),
        owner_id: owner_id.map(str::to_owned),
        exists: true,
        ours,
    }))
}

fn conflict(message: String) -> Error {
    Error::new(Code::PlanConflict, message)
}
