//! What the fake refuses, with the codes and texts that AWS and the EC2 stand-in have.
//!
//! Where each rule comes from stands in `docs/stand-in.md`, under "What it refuses".

/// AWS's own error code and text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) message: String,
}

pub(super) type Answer<T> = Result<T, Refusal>;

/// A refusal with this code and text.
pub(super) fn refusal(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal {
        code,
        message: message.into(),
    }
}

/// Refuses with this code and text.
pub(super) fn refuse<T>(code: &'static str, message: impl Into<String>) -> Answer<T> {
    Err(refusal(code, message))
}

pub(super) fn unknown_group(id: &str) -> Refusal {
    let message = format!("The security group '{id}' does not exist");
    refusal("InvalidGroup.NotFound", message)
}

pub(super) fn unknown_placement_group(name: &str) -> Refusal {
    let message = format!("The placement group '{name}' is unknown.");
    refusal("InvalidPlacementGroup.Unknown", message)
}

pub(super) fn unknown_instance(id: &str) -> Refusal {
    let message = format!("The instance ID '{id}' does not exist");
    refusal("InvalidInstanceID.NotFound", message)
}

pub(super) fn unknown_allocation(id: &str) -> Refusal {
    let message = format!("The allocation ID '{id}' does not exist");
    refusal("InvalidAllocationID.NotFound", message)
}

pub(super) fn unknown_interface(id: &str) -> Refusal {
    let message = format!("The networkInterface ID '{id}' does not exist");
    refusal("InvalidNetworkInterfaceID.NotFound", message)
}

pub(super) fn no_such_entity(kind: &str, name: &str) -> Refusal {
    let message = format!("The {kind} with name {name} cannot be found.");
    refusal("NoSuchEntity", message)
}

pub(super) fn reservation_full() -> Refusal {
    refusal(
        "ReservationCapacityExceeded",
        "The requested reservation does not have sufficient compatible and available capacity for \
         this request.",
    )
}

pub(super) fn no_capacity(name: &str, zone: &str, others: &[&str]) -> Refusal {
    let mut message = format!(
        "We currently do not have sufficient {name} capacity in the Availability Zone you \
         requested ({zone}). Our system will be working on provisioning additional capacity."
    );
    if !others.is_empty() {
        message += &format!(
            " You can currently get {name} capacity by not specifying an Availability Zone in your \
             request or choosing {}.",
            others.join(", ")
        );
    }
    refusal("InsufficientInstanceCapacity", message)
}
