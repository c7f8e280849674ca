//! Capacity Blocks that are bought.

use super::account::ACCOUNT;
use super::refusal::{Answer, refuse};
use super::state::State;
use crate::ec2::{CapacityReservation, PurchaseCapacityBlock};

impl State {
    /// The reservation of a block that is bought now; its offering is listed no more. That a second
    /// purchase of an offering is refused is this fake's assumption: AWS does not report it.
    pub(super) fn purchase(
        &mut self,
        request: &PurchaseCapacityBlock,
    ) -> Answer<CapacityReservation> {
        let id = &request.capacity_block_offering_id;
        let mut offerings = self.block_offerings.iter();
        let Some(number) = offerings.position(|one| one.capacity_block_offering_id == *id) else {
            let message = format!("The Capacity Block offering '{id}' is not available");
            return refuse("InvalidParameterValue", message);
        };
        let offering = self.block_offerings.remove(number);
        let reservation = CapacityReservation {
            capacity_reservation_id: self.id("cr"),
            instance_type: offering.instance_type,
            availability_zone: offering.availability_zone,
            tenancy: "default".to_owned(),
            state: "payment-pending".to_owned(),
            reservation_type: "capacity-block".to_owned(),
            instance_match_criteria: "targeted".to_owned(),
            instance_platform: Some(request.instance_platform.clone()),
            owner_id: ACCOUNT.to_owned(),
            total_instance_count: offering.instance_count,
            available_instance_count: 0,
            placement_group_arn: None,
            start_date: offering.start_date,
            end_date: offering.end_date,
        };
        let tags = request.tags.clone();
        let id = reservation.capacity_reservation_id.clone();
        self.reservation_tags.insert(id, tags);
        self.reservations.push(reservation.clone());
        Ok(reservation)
    }
}
