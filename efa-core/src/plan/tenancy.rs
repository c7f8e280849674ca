//! Whether the instances run on hardware of their own, and what does not work there.

use super::capacity::PlannedCapacity;
use crate::catalog::InstanceType;
use crate::ec2::Vpc;
use crate::error::{Code, Error, Result};
use crate::layout::Layout;

/// Types that cannot be Dedicated Instances, nor on Dedicated Hosts, with an EFA attached.
/// Origin: "EFA limitations" of the Amazon EC2 user guide.
const NO_EFA_WHEN_DEDICATED: [&str; 3] = ["c7g.16xlarge", "m7g.16xlarge", "r7g.16xlarge"];

const DEDICATED: &str = "dedicated";

/// Whether a launch makes Dedicated Instances, if the VPC could be read.
pub(crate) fn is_dedicated(capacity: &PlannedCapacity, vpc: Option<&Vpc>) -> bool {
    let of_vpc = vpc.map(|vpc| vpc.instance_tenancy.as_str());
    [of_vpc, capacity.tenancy.as_deref()].contains(&Some(DEDICATED))
}

/// Refuses what dedicated tenancy makes impossible, and warns of what it costs. `vpc` is absent
/// where it could not be read.
pub(crate) fn require_fit(
    instance_type: &InstanceType,
    layout: &Layout,
    capacity: &PlannedCapacity,
    vpc: Option<&Vpc>,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let of_vpc = vpc.filter(|vpc| vpc.instance_tenancy == DEDICATED);
    let reserved = capacity.reservation.as_ref();
    if let (Some(vpc), Some(reservation)) = (of_vpc, reserved)
        && reservation.tenancy != DEDICATED
    {
        return Err(refused(format!(
            "{} has tenancy {}, but {} gives every instance tenancy dedicated",
            reservation.capacity_reservation_id, reservation.tenancy, vpc.vpc_id
        ))
        .with_cure("choose a VPC with tenancy default, or a reservation with tenancy dedicated")
        .with_context("field", "capacity")
        .with_context("value", &reservation.capacity_reservation_id));
    }
    let why = match (of_vpc, capacity.tenancy.as_deref()) {
        (Some(vpc), _) => format!("{} has tenancy dedicated", vpc.vpc_id),
        (None, Some(DEDICATED)) => "the launch has tenancy dedicated".to_owned(),
        (None, _) => return Ok(()),
    };
    let name = instance_type.name.as_str();
    if layout.efa_count() > 0 && NO_EFA_WHEN_DEDICATED.contains(&name) {
        return Err(refused(format!(
            "{why}, and {name} takes no EFA as a Dedicated Instance"
        ))
        .with_cure("choose a VPC and capacity with tenancy default, or another instance type")
        .with_context("field", "instance_type")
        .with_context("value", name)
        .with_context("limit", "tenancy default"));
    }
    if of_vpc.is_some() {
        warnings.push(format!(
            "{why}: the instances are Dedicated Instances, which cost more and have no shared \
             capacity"
        ));
    }
    Ok(())
}

fn refused(message: String) -> Error {
    Error::new(Code::PlanConflict, message)
}
