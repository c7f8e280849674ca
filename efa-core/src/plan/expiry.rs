//! When the instances of a plan end themselves.

use super::PlannedCapacity;
use crate::error::{Code, Error, Result};
use crate::spec::CheckedSpec;
use crate::utc;

/// The time, counted from when the plan is made; `None` for a cluster that does not end itself.
pub(super) fn plan_expiry(
    spec: &CheckedSpec,
    now_s: u64,
    capacity: &PlannedCapacity,
) -> Result<Option<String>> {
    let Some(after) = spec.expires_after else {
        return Ok(None);
    };
    let at = utc::text(now_s.saturating_add(after.as_secs()));
    check_block(&at, capacity)?;
    Ok(Some(at))
}

/// Whether a stored time follows from the specification.
pub(super) fn follows(spec: &CheckedSpec, at: Option<&str>, capacity: &PlannedCapacity) -> bool {
    match (spec.expires_after, at) {
        (None, None) => true,
        (Some(_), Some(at)) => utc::parse(at).is_some() && check_block(at, capacity).is_ok(),
        _ => false,
    }
}

fn check_block(at: &str, capacity: &PlannedCapacity) -> Result<()> {
    for block in capacity.reservations().filter(|one| one.is_block()) {
        check_ends_before(at, block.end_date.as_deref())?;
    }
    Ok(())
}

/// A cluster ends before its Capacity Block does: EC2 begins to end the instances 30 minutes before
/// the block's end.
///
/// # Errors
/// `plan.conflict`.
pub(crate) fn check_ends_before(at: &str, block_end: Option<&str>) -> Result<()> {
    let Some(end) = block_end else { return Ok(()) };
    let (Some(at_s), Some(end_s)) = (utc::parse(at), utc::parse(end)) else {
        return Ok(());
    };
    if at_s <= end_s {
        return Ok(());
    }
    Err(Error::new(
        Code::PlanConflict,
        format!("the cluster would expire at {at}, its Capacity Block ends at {end}"),
    )
    .with_cure("choose an earlier time, or no expiry: EC2 ends the instances with the block")
    .with_context("field", "expires_after")
    .with_context("value", at)
    .with_context("limit", end))
}
