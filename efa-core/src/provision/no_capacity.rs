//! What EC2 answers when a zone has no room, and what we make of all zones' answers.

use crate::ec2::NO_CAPACITY;
use crate::error::{Code, Error};
use crate::plan::Plan;

/// EC2's further codes for "not here, perhaps elsewhere", besides those for lack of capacity.
const ELSEWHERE: &[&str] = &[
    "InsufficientFreeAddressesInSubnet",
    "SpotMaxPriceTooLow",
    "Unsupported",
];

/// Whether another zone may have what this one has not.
pub(super) fn may_fit_elsewhere(error: &Error) -> bool {
    error
        .ec2_code()
        .is_some_and(|code| NO_CAPACITY.contains(&code) || ELSEWHERE.contains(&code))
}

/// The error of a launch that no subnet had room for; a single refusal stays what it is.
pub(super) fn no_capacity_error(plan: &Plan, mut refusals: Vec<(String, Error)>) -> Error {
    let zone_of = |subnet_id: &str| {
        let found = plan.subnets().iter().find(|s| s.subnet_id == subnet_id);
        found.map_or("its zone", |subnet| subnet.availability_zone.as_str())
    };
    let tried: Vec<String> = refusals
        .iter()
        .map(|(subnet, error)| {
            let late = error.context_value("state_reason");
            let code = error.ec2_code().or(late).unwrap_or_default();
            format!("{subnet} in {} ({code})", zone_of(subnet))
        })
        .collect();
    let mut elsewhere: Vec<String> = refusals.iter().flat_map(|(_, e)| zones_named(e)).collect();
    elsewhere.sort();
    elsewhere.dedup();
    let cure = if elsewhere.is_empty() {
        "try another zone, type or time, a capacity reservation, or a Capacity Block".to_owned()
    } else {
        format!(
            "EC2 names {}: add subnets there, or use a capacity reservation or Capacity Block",
            elsewhere.join(", ")
        )
    };
    let last = refusals.pop().map(|(_, error)| error);
    let message = last
        .as_ref()
        .map(|e| e.message().to_owned())
        .unwrap_or_default();
    let mut error = Error::new(
        Code::ProvisionNoCapacity,
        format!(
            "no capacity for {} x {} in {}: {message}",
            plan.spec().count,
            plan.spec().instance_type,
            tried.join(", ")
        ),
    )
    .with_cure(cure)
    .with_context("instance_type", &plan.spec().instance_type)
    .with_context("tried", tried.join(", "))
    .with_context("zones_named_by_ec2", elsewhere.join(", "))
    .retryable(true);
    if let Some(last) = last {
        for (key, value) in last.context() {
            error = error.with_context(key, value);
        }
        error = error.with_source(last);
    }
    error
}

/// The zones that EC2's message recommends: "… or choosing us-east-1a, us-east-1b."
fn zones_named(error: &Error) -> Vec<String> {
    let message = error.context_value("ec2_message").unwrap_or_default();
    let Some((_, list)) = message.split_once("choosing ") else {
        return Vec::new();
    };
    list.split([',', ' '])
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| is_zone(word))
        .map(str::to_owned)
        .collect()
}

/// `us-east-1a`, `us-west-2-lax-1a`: words with hyphens that end in a digit and a letter.
fn is_zone(word: &str) -> bool {
    let mut last = word.bytes().rev();
    word.contains('-')
        && last.next().is_some_and(|b| b.is_ascii_lowercase())
        && last.next().is_some_and(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read_from_ec2s_words() {
        let message = "We currently do not have sufficient p4d.24xlarge capacity in the \
            Availability Zone you requested (us-east-1d). Our system will be working on \
            provisioning additional capacity. You can currently get p4d.24xlarge capacity by not \
            specifying an Availability Zone in your request or choosing us-east-1a, us-east-1b.";
        let error = Error::new(Code::Ec2Refused, "").with_context("ec2_message", message);
        assert_eq!(zones_named(&error), ["us-east-1a", "us-east-1b"]);
        let silent = Error::new(Code::Ec2Refused, "").with_context("ec2_message", "no capacity");
        assert!(zones_named(&silent).is_empty());
    }
}
