//! EC2's answers about capacity and topology in this crate's types.

use aws_sdk_ec2::types as sdk;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::convert::{index, non_empty, present};
use crate::ec2::{CapacityBlockOffering, CapacityReservation, InstanceTopology};
use crate::error::Result;

/// ISO 8601 in UTC.
fn iso(date: Option<DateTime>) -> Option<String> {
    date.and_then(|date| date.fmt(Format::DateTime).ok())
}

pub(super) fn reservation(reservation: sdk::CapacityReservation) -> Result<CapacityReservation> {
    let word = |word: Option<&str>, default: &str| word.unwrap_or(default).to_owned();
    Ok(CapacityReservation {
        tenancy: word(reservation.tenancy.as_ref().map(|t| t.as_str()), "default"),
        state: word(reservation.state.as_ref().map(|s| s.as_str()), ""),
        // Absent in answers that are older than Capacity Blocks.
        reservation_type: word(
            reservation.reservation_type.as_ref().map(|t| t.as_str()),
            "default",
        ),
        instance_match_criteria: word(
            reservation
                .instance_match_criteria
                .as_ref()
                .map(|c| c.as_str()),
            "open",
        ),
        instance_platform: reservation
            .instance_platform
            .map(|platform| platform.as_str().to_owned()),
        owner_id: reservation.owner_id.unwrap_or_default(),
        capacity_reservation_id: present(
            reservation.capacity_reservation_id,
            "CapacityReservationId",
        )?,
        instance_type: present(reservation.instance_type, "InstanceType")?,
        availability_zone: present(reservation.availability_zone, "AvailabilityZone")?,
        total_instance_count: index(reservation.total_instance_count, "TotalInstanceCount")?,
        available_instance_count: index(
            reservation.available_instance_count,
            "AvailableInstanceCount",
        )?,
        placement_group_arn: non_empty(reservation.placement_group_arn),
        start_date: iso(reservation.start_date),
        end_date: iso(reservation.end_date),
    })
}

pub(super) fn group_arn(group: sdk::CapacityReservationGroup) -> Result<String> {
    present(group.group_arn, "GroupArn")
}

pub(super) fn block_offering(
    offering: sdk::CapacityBlockOffering,
) -> Result<CapacityBlockOffering> {
    Ok(CapacityBlockOffering {
        capacity_block_offering_id: present(
            offering.capacity_block_offering_id,
            "CapacityBlockOfferingId",
        )?,
        instance_type: present(offering.instance_type, "InstanceType")?,
        availability_zone: present(offering.availability_zone, "AvailabilityZone")?,
        instance_count: index(offering.instance_count, "InstanceCount")?,
        duration_hours: index(
            offering.capacity_block_duration_hours,
            "CapacityBlockDurationHours",
        )?,
        start_date: iso(offering.start_date),
        end_date: iso(offering.end_date),
        upfront_fee: non_empty(offering.upfront_fee),
        currency_code: non_empty(offering.currency_code),
    })
}

pub(super) fn topology(topology: sdk::InstanceTopology) -> Result<InstanceTopology> {
    Ok(InstanceTopology {
        instance_id: present(topology.instance_id, "InstanceId")?,
        availability_zone: topology.availability_zone.unwrap_or_default(),
        network_nodes: topology.network_nodes.unwrap_or_default(),
        capacity_block_id: non_empty(topology.capacity_block_id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> aws_sdk_ec2::types::builders::CapacityReservationBuilder {
        sdk::CapacityReservation::builder()
            .capacity_reservation_id("cr-1")
            .instance_type("p5.48xlarge")
            .availability_zone("us-east-1a")
            .total_instance_count(4)
            .available_instance_count(3)
    }

    #[test]
    fn dates_are_iso_and_what_the_sdk_does_not_know_survives() {
        let ours = reservation(
            block()
                .reservation_type(sdk::CapacityReservationType::from("lease"))
                .state(sdk::CapacityReservationState::Active)
                .end_date(DateTime::from_secs(1_800_000_000))
                .build(),
        )
        .unwrap();
        assert_eq!(ours.reservation_type, "lease");
        assert_eq!(ours.state, "active");
        assert_eq!(ours.end_date.as_deref(), Some("2027-01-15T08:00:00Z"));
        assert_eq!(ours.start_date, None);
        assert_eq!(
            (ours.tenancy.as_str(), ours.available_instance_count),
            ("default", 3)
        );
    }

    #[test]
    fn a_reservation_without_its_free_count_is_refused() {
        let error = reservation(block().set_available_instance_count(None).build()).unwrap_err();
        assert_eq!(error.context_value("field"), Some("AvailableInstanceCount"));
    }
}
