//! Capacity: markets, reservations, Capacity Blocks, and the lack of it.

use serde::{Deserialize, Serialize};

use crate::types::Tags;

/// EC2's codes for lack of capacity: the same launch may succeed later, or in another zone.
/// Origin: Karpenter's list of capacity errors, without those that are about the whole region.
pub(crate) const NO_CAPACITY: &[&str] = &[
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientReservedInstanceCapacity",
    "ReservationCapacityExceeded",
    "UnfulfillableCapacity",
];

/// A capacity reservation, as DescribeCapacityReservations shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CapacityReservation {
    /// `cr-…`
    pub capacity_reservation_id: String,
    /// The instance type's name.
    pub instance_type: String,
    /// The Availability Zone's name.
    pub availability_zone: String,
    /// `default` or `dedicated`.
    pub tenancy: String,
    /// EC2's state word, such as `active` or `scheduled`.
    pub state: String,
    /// `default` or `capacity-block`.
    pub reservation_type: String,
    /// `open` or `targeted`.
    pub instance_match_criteria: String,
    /// What its instances are billed as, such as `Linux/UNIX`.
    pub instance_platform: Option<String>,
    /// The account that owns it: another one's where it is shared.
    pub owner_id: String,
    /// How many instances it holds.
    pub total_instance_count: u32,
    /// How many of them are free.
    pub available_instance_count: u32,
    /// ARN of the placement group that it was made in.
    pub placement_group_arn: Option<String>,
    /// When it begins, ISO 8601 in UTC.
    pub start_date: Option<String>,
    /// When it ends, ISO 8601 in UTC; EC2 starts terminating a Capacity Block's instances 30
    /// minutes before.
    pub end_date: Option<String>,
}

impl CapacityReservation {
    /// Returns whether it is a Capacity Block.
    #[must_use]
    pub fn is_block(&self) -> bool {
        self.reservation_type == "capacity-block"
    }

    /// The market of a launch into it.
    pub(crate) fn market(&self) -> Market {
        let id = self.capacity_reservation_id.clone();
        if self.is_block() {
            Market::CapacityBlock(id)
        } else {
            Market::Reservation(id)
        }
    }
}

/// A Capacity Block that can be bought, as DescribeCapacityBlockOfferings shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CapacityBlockOffering {
    /// `cbo-…`, for PurchaseCapacityBlock.
    pub capacity_block_offering_id: String,
    /// The instance type's name.
    pub instance_type: String,
    /// The Availability Zone's name.
    pub availability_zone: String,
    /// How many instances.
    pub instance_count: u32,
    /// For how long, in hours.
    pub duration_hours: u32,
    /// When it begins, ISO 8601 in UTC.
    pub start_date: Option<String>,
    /// When it ends, ISO 8601 in UTC.
    pub end_date: Option<String>,
    /// What it costs in advance, as EC2 writes it.
    pub upfront_fee: Option<String>,
    /// The fee's currency, such as `USD`.
    pub currency_code: Option<String>,
}

/// The parameters of PurchaseCapacityBlock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PurchaseCapacityBlock {
    /// `cbo-…`
    pub capacity_block_offering_id: String,
    /// What its instances are billed as, such as `Linux/UNIX`.
    pub instance_platform: String,
    /// The tags of the reservation.
    pub tags: Tags,
}

/// A search for Capacity Blocks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CapacityBlockSearch {
    /// The instance type's name.
    pub instance_type: String,
    /// How many instances.
    pub instance_count: u32,
    /// For how long, in hours: a multiple of 24.
    pub duration_hours: u32,
}

impl CapacityBlockSearch {
    /// Creates a number of instances of a type, for a number of hours.
    pub fn new(instance_type: impl Into<String>, instance_count: u32, duration_hours: u32) -> Self {
        Self {
            instance_type: instance_type.into(),
            instance_count,
            duration_hours,
        }
    }
}

/// The market and capacity source of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Market {
    /// EC2's default: on demand, or in an open reservation that matches the launch, its
    /// placement group included.
    #[default]
    OnDemand,
    /// On demand, in any open reservation that matches.
    Open,
    /// On demand, in this reservation.
    Reservation(String),
    /// Spot, at most at the on-demand price.
    Spot,
    /// In this Capacity Block, by the id of its reservation.
    CapacityBlock(String),
    /// On demand, in the reservations of this resource group only, by its ARN.
    ReservationGroup(String),
}
