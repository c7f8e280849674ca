//! Which market a launch uses, and whether a capacity reservation can serve it.

use serde::{Deserialize, Serialize};

use super::reservation_group::{self, refused};
use super::unmatched::NOT_THERE;
use crate::catalog::InstanceType;
use crate::ec2::{CapacityReservation, Market};
use crate::error::{Error, Result};
use crate::spec::{Capacity, CheckedSpec, Tenancy};

/// The capacity of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedCapacity {
    /// The market and the reservation of the launch.
    pub market: Market,
    /// `dedicated`, where the reservation has it.
    pub tenancy: Option<String>,
    /// The reservation or Capacity Block, or the first of several, as it was when the plan was made.
    pub reservation: Option<CapacityReservation>,
    /// The others of several, or of a resource group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_reservations: Vec<CapacityReservation>,
}

impl PlannedCapacity {
    /// Returns all reservations and Capacity Blocks, in the order of the specification.
    pub fn reservations(&self) -> impl Iterator<Item = &CapacityReservation> {
        self.reservation.iter().chain(&self.further_reservations)
    }

    /// The market of the launch of a part.
    pub(crate) fn market_of(&self, part: usize) -> Market {
        match &self.market {
            Market::Reservation(_) | Market::CapacityBlock(_) => {
                let of_part = self.reservations().nth(part);
                of_part.map_or_else(|| self.market.clone(), CapacityReservation::market)
            }
            market => market.clone(),
        }
    }

    /// The zones that the reservations are in, each once; empty without one.
    pub(crate) fn zones(&self) -> Vec<&str> {
        let mut zones: Vec<&str> = self
            .reservations()
            .map(|one| one.availability_zone.as_str())
            .collect();
        zones.sort_unstable();
        zones.dedup();
        zones
    }

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
        matches!(self.market, Market::CapacityBlock(_)) || self.reservations().any(|r| r.is_block())
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

/// Decides the capacity of a plan; every reservation that the specification names must exist, and be
/// in the order of the specification.
pub(crate) fn plan_capacity(
    spec: &CheckedSpec,
    instance_type: &InstanceType,
    mut found: Vec<CapacityReservation>,
) -> Result<PlannedCapacity> {
    if spec.capacity == Capacity::Spot && !instance_type.supports_spot() {
        return Err(refused(
            format!("{} is not sold as spot", instance_type.name),
            "ask for on-demand, a reservation or a Capacity Block",
            "spot",
        ));
    }
    if let Capacity::ReservationGroup(arn) = &spec.capacity {
        found = reservation_group::members(spec, arn, found)?;
    }
    let named = spec.capacity.reserved(spec.count);
    let known = |id: &str| found.iter().find(|one| one.capacity_reservation_id == id);
    for (id, count) in &named {
        let Some(reservation) = known(id) else {
            return Err(no_reservation(id));
        };
        check_reservation(spec, reservation, spec.least_count().min(*count))?;
    }
    if !named.is_empty() {
        check_alike(&found)?;
    }
    let market = match (&spec.capacity, found.first()) {
        (Capacity::ReservationGroup(arn), _) => Market::ReservationGroup(arn.clone()),
        (Capacity::Spot, _) => Market::Spot,
        (Capacity::Open, _) => Market::Open,
        (_, Some(first)) => first.market(),
        (_, None) => Market::OnDemand,
    };
    let tenancy = tenancy(spec, found.first())?;
    let mut found = found.into_iter();
    Ok(PlannedCapacity {
        market,
        tenancy,
        reservation: found.next(),
        further_reservations: found.collect(),
    })
}

/// The error for a reservation that does not exist.
pub(super) fn no_reservation(id: &str) -> Error {
    refused(
        format!("capacity reservation {id} does not exist"),
        NOT_THERE,
        id,
    )
}

/// One cluster is in one subnet and one placement group.
fn check_alike(all: &[CapacityReservation]) -> Result<()> {
    let Some((first, others)) = all.split_first() else {
        return Ok(());
    };
    for other in others {
        let differ = [
            ("zone", &first.availability_zone, &other.availability_zone),
            ("tenancy", &first.tenancy, &other.tenancy),
        ];
        let group = |one: &CapacityReservation| one.placement_group_arn.clone().unwrap_or_default();
        let platform =
            |one: &CapacityReservation| one.instance_platform.clone().unwrap_or_default();
        let (of_first, of_other) = (group(first), group(other));
        let (platform_of_first, platform_of_other) = (platform(first), platform(other));
        let groups = [
            ("placement group", &of_first, &of_other),
            ("platform", &platform_of_first, &platform_of_other),
        ];
        for (what, one, another) in differ.into_iter().chain(groups) {
            if one != another {
                let of = |value: &String| match value.as_str() {
                    "" => "none".to_owned(),
                    value => value.to_owned(),
                };
                return Err(refused(
                    format!(
                        "{} and {} differ in {what}: {} and {}",
                        first.capacity_reservation_id,
                        other.capacity_reservation_id,
                        of(one),
                        of(another)
                    ),
                    "name reservations that are alike: a cluster is in one subnet, and in one \
                     placement group or none",
                    &other.capacity_reservation_id,
                ));
            }
        }
    }
    Ok(())
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

fn check_reservation(spec: &CheckedSpec, found: &CapacityReservation, needed: u32) -> Result<()> {
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
    let limit = match found.state.as_str() {
        "active" => found.available_instance_count,
        _ => found.total_instance_count,
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
