//! Which market a launch uses, and whether a capacity reservation can serve it.

use serde::{Deserialize, Serialize};

use crate::catalog::InstanceType;
use crate::ec2::{CapacityReservation, Market};
use crate::error::{Code, Error, Result};
use crate::spec::{Capacity, CheckedSpec, Tenancy};

/// EC2's word for a Capacity Block among the types of reservation.
const CAPACITY_BLOCK: &str = "capacity-block";

/// The capacity of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedCapacity {
    /// The market and the reservation of the launch.
    pub market: Market,
    /// `dedicated`, where the reservation has it.
    pub tenancy: Option<String>,
    /// The reservation or Capacity Block, as it was when the plan was made.
    pub reservation: Option<CapacityReservation>,
}

impl PlannedCapacity {
    /// The placement group that the reservation was made in.
    pub(crate) fn placement_group(&self, account: &str) -> Option<ReservedGroup<'_>> {
        let arn = self.reservation.as_ref()?.placement_group_arn.as_deref()?;
        let name = arn.rsplit('/').next()?;
        Some(match arn.split(':').nth(4) {
            Some(owner) if owner != account => ReservedGroup::Foreign { name, owner },
            _ => ReservedGroup::Own(name),
        })
    }

    /// Whether EC2 itself places the instances together.
    pub(crate) fn is_capacity_block(&self) -> bool {
        matches!(self.market, Market::CapacityBlock(_))
    }
}

/// The placement group that a capacity reservation was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReservedGroup<'a> {
    /// The caller's, by name.
    Own(&'a str),
    /// Another account's: its name means nothing in the caller's, and the reservation itself
    /// places the instances in it (aws/aws-parallelcluster#7252).
    Foreign { name: &'a str, owner: &'a str },
}

/// Decides the capacity of a plan; a reservation that the specification names must exist.
pub(crate) fn plan_capacity(
    spec: &CheckedSpec,
    instance_type: &InstanceType,
    reservation: Option<CapacityReservation>,
) -> Result<PlannedCapacity> {
    if spec.capacity == Capacity::Spot && !instance_type.supports_spot() {
        return Err(refused(
            format!("{} is not sold as spot", instance_type.name),
            "ask for on-demand, a reservation or a Capacity Block",
            "spot",
        ));
    }
    let market = match (&spec.capacity, &reservation) {
        (Capacity::OnDemand, _) => Market::OnDemand,
        (Capacity::Spot, _) => Market::Spot,
        (Capacity::Open, _) => Market::Open,
        (Capacity::Reservation(id), Some(found)) => {
            check_reservation(spec, found)?;
            if found.reservation_type == CAPACITY_BLOCK {
                Market::CapacityBlock(id.clone())
            } else {
                Market::Reservation(id.clone())
            }
        }
        (Capacity::Reservation(id), None) => {
            return Err(refused(
                format!("capacity reservation {id} does not exist"),
                "check the id, the region and the account",
                id,
            ));
        }
    };
    let tenancy = tenancy(spec, reservation.as_ref())?;
    Ok(PlannedCapacity {
        market,
        tenancy,
        reservation,
    })
}

/// The tenancy of a launch; `None` for EC2's default. A reservation is of one tenancy (EC2 user
/// guide, "Capacity Reservations").
fn tenancy(spec: &CheckedSpec, reserved: Option<&CapacityReservation>) -> Result<Option<String>> {
    let asked = spec.tenancy.map(Tenancy::as_str);
    if let (Some(asked), Some(reserved)) = (asked, reserved)
        && reserved.tenancy != asked
    {
        let id = &reserved.capacity_reservation_id;
        return Err(refused(
            format!(
                "{id} has tenancy {}, the plan asks for {asked}",
                reserved.tenancy
            ),
            "leave the tenancy out",
            id,
        ));
    }
    let tenancy = reserved.map(|found| found.tenancy.as_str()).or(asked);
    Ok(tenancy
        .filter(|tenancy| *tenancy == Tenancy::Dedicated.as_str())
        .map(str::to_owned))
}

fn check_reservation(spec: &CheckedSpec, found: &CapacityReservation) -> Result<()> {
    let id = &found.capacity_reservation_id;
    if found.instance_type != spec.instance_type {
        return Err(refused(
            format!(
                "{id} is for {}, the cluster is of {}",
                found.instance_type, spec.instance_type
            ),
            "choose one of the two",
            id,
        ));
    }
    if !matches!(found.state.as_str(), "active" | "scheduled" | "pending") {
        return Err(refused(
            format!("{id} is {}", found.state),
            "name a reservation that is active or scheduled",
            id,
        ));
    }
    let (needed, limit) = match found.state.as_str() {
        "active" => (spec.least_count(), found.available_instance_count),
        _ => (spec.least_count(), found.total_instance_count),
    };
    if needed > limit {
        return Err(refused(
            format!(
                "{id} has room for {limit} of {} instances, the plan needs {needed}",
                found.total_instance_count
            ),
            "ask for fewer, or wait: the place of a terminated instance takes minutes to free",
            id,
        )
        .with_context("limit", limit));
    }
    Ok(())
}

fn refused(message: String, cure: &str, value: &str) -> Error {
    Error::new(Code::PlanConflict, message)
        .with_cure(cure)
        .with_context("field", "capacity")
        .with_context("value", value)
}
