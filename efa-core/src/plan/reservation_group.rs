//! The capacity reservations of a resource group that a plan can use.

use std::collections::BTreeMap;

use crate::ec2::CapacityReservation;
use crate::error::{Code, Error, Result};
use crate::spec::{CheckedSpec, Tenancy};

/// The group's reservations in zones that have room for the whole cluster. A launch is of one kind of
/// reservation (EC2 user guide, "Launch instances into Capacity Reservations in a group",
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/cr-groups-launch.html>): Capacity Blocks in
/// the group are not used.
pub(super) fn members(
    spec: &CheckedSpec,
    arn: &str,
    of_type: Vec<CapacityReservation>,
) -> Result<Vec<CapacityReservation>> {
    let name = &spec.instance_type;
    if of_type.is_empty() {
        return Err(refused(
            format!("no capacity reservation of {name} that EC2 shows is in {arn}"),
            "check the ARN, the region and the account, and add reservations of the type",
            arn,
        ));
    }
    let asked = spec.tenancy.unwrap_or(Tenancy::Default).as_str();
    let (usable, others): (Vec<_>, Vec<_>) = of_type.into_iter().partition(|one| {
        !one.is_block()
            && one.state == "active"
            && one.tenancy == asked
            && one.placement_group_arn.is_none()
    });
    if usable.is_empty() {
        let why = others.iter().map(|one| {
            let id = &one.capacity_reservation_id;
            match (&one.placement_group_arn, one.is_block()) {
                (_, true) => format!("{id} is a Capacity Block"),
                (Some(group), _) => format!("{id} was made in {group}"),
                (None, _) => format!("{id} is {} with tenancy {}", one.state, one.tenancy),
            }
        });
        return Err(refused(
            format!(
                "{arn} has no active reservation of {name} with tenancy {asked} outside of \
                 placement groups: {}",
                why.collect::<Vec<_>>().join("; ")
            ),
            "name reservations or Capacity Blocks themselves, with their counts: cr-…:8,cr-…:8",
            arn,
        ));
    }
    let mut free: BTreeMap<String, u32> = BTreeMap::new();
    for one in &usable {
        *free.entry(one.availability_zone.clone()).or_default() += one.available_instance_count;
    }
    let needed = spec.least_count();
    let most = free.values().copied().max().unwrap_or_default();
    let fits = |one: &CapacityReservation| {
        let free = free.get(&one.availability_zone);
        free.is_some_and(|free| *free >= needed)
    };
    let fitting: Vec<_> = usable.into_iter().filter(fits).collect();
    if fitting.is_empty() {
        return Err(refused(
            format!("{arn} has room for {most} instances in one zone, the plan needs {needed}"),
            "ask for fewer, or wait: the place of a terminated instance takes minutes to free",
            arn,
        )
        .with_context("limit", most));
    }
    Ok(fitting)
}

/// The error of capacity that a plan cannot use.
pub(super) fn refused(message: String, cure: &str, value: &str) -> Error {
    Error::new(Code::PlanConflict, message)
        .with_cure(cure)
        .with_context("field", "capacity")
        .with_context("value", value)
}
