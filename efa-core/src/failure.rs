//! What AWS's refusals mean to a caller: one set of errors for every implementation of the calls.

use crate::ec2::NO_CAPACITY;
use crate::error::{Code, Error};

/// Codes for "not now", beside those for lack of capacity: the same call may succeed later.
/// Origin: throttling and server faults of EC2, IAM, Systems Manager, STS and Service Quotas.
const RETRYABLE: &[&str] = &[
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "ConcurrentModification",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ServiceException",
    "ServiceFailure",
    "Unavailable",
    "ServiceUnavailable",
];

/// What to do about a code, where it is always the same.
const CURES: &[(&[&str], &str)] = &[
    (
        &[
            "UnauthorizedOperation",
            "AccessDenied",
            "AccessDeniedException",
        ],
        "ask for the named action in your IAM policy",
    ),
    (
        &[
            "AuthFailure",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "SignatureDoesNotMatch",
        ],
        "check the access key, the secret and the clock",
    ),
    (
        &["RequestExpired", "ExpiredToken", "ExpiredTokenException"],
        "check the clock, or sign in again",
    ),
    (
        &["InsufficientInstanceCapacity"],
        "try another zone or time, or a capacity reservation",
    ),
    (
        &["ReservationCapacityExceeded"],
        "launch fewer instances, or wait until some of the reservation are free again",
    ),
    (
        &["Unsupported"],
        "try another zone: not every zone offers every instance type and configuration",
    ),
    (
        &["VcpuLimitExceeded"],
        "raise the vCPU quota of this instance family in Service Quotas",
    ),
    (
        &["MaxSpotInstanceCountExceeded"],
        "raise the Spot quota of this instance family in Service Quotas",
    ),
    (
        &["InstanceLimitExceeded"],
        "raise the instance quota in Service Quotas",
    ),
    (
        &["AddressLimitExceeded"],
        "raise the Elastic IP quota, or plan without public addresses",
    ),
    (
        &["LimitExceeded"],
        "raise the named IAM quota in Service Quotas, or remove what is not used",
    ),
    (
        &["InsufficientFreeAddressesInSubnet"],
        "choose a larger subnet, or free addresses in this one",
    ),
    (
        &[
            "RequestLimitExceeded",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
        ],
        "call again later: AWS limits the rate of requests",
    ),
    (
        &["OptInRequired"],
        "enable the region or zone in your account",
    ),
];

/// AWS answered `action` with an error of its own.
pub(crate) fn refused(action: &str, code: &str, message: &str) -> Error {
    let error = Error::new(
        Code::Ec2Refused,
        format!("{action} refused: {code}: {message}"),
    )
    .with_context("ec2_code", code)
    .with_context("ec2_message", message)
    .retryable(NO_CAPACITY.contains(&code) || RETRYABLE.contains(&code));
    match CURES.iter().find(|(codes, _)| codes.contains(&code)) {
        Some((_, cure)) => error.with_cure(*cure),
        None => error,
    }
}

/// `action` was sent, and no answer came.
pub(crate) fn unreachable(action: &str, endpoint: &str, cause: &str) -> Error {
    Error::new(
        Code::Ec2Unreachable,
        format!("{action} got no answer from {endpoint}: {cause}"),
    )
    .with_cure("check the network, the region and the endpoint")
    .retryable(true)
}

/// The error with what every failed call says: its action and endpoint, and whether a call that
/// changes something may have taken effect.
pub(crate) fn of_call(error: Error, action: &str, endpoint: &str) -> Error {
    let reads = ["Describe", "Get", "List"];
    let error = if reads.iter().any(|read| action.starts_with(read)) {
        error
    } else {
        let refused = error.ec2_code().is_some_and(is_refusal);
        error.with_context("took_effect", if refused { "no" } else { "unknown" })
    };
    error
        .with_context("action", action)
        .with_context("endpoint", endpoint)
}

/// Whether the code says that the call changed nothing. "It exists already" may be the answer to
/// the second sending of a call whose first took effect; a fault of the server says nothing.
fn is_refusal(code: &str) -> bool {
    let existed = code.contains("Duplicate") || code.contains("AlreadyExists");
    let fault =
        code.starts_with("Internal") || code.starts_with("Service") || code == "Unavailable";
    !existed && !fault
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_says_that_nothing_changed() {
        for (action, code, expected) in [
            ("RunInstances", "InsufficientInstanceCapacity", Some("no")),
            ("RunInstances", "InternalError", Some("unknown")),
            (
                "CreateSecurityGroup",
                "InvalidGroup.Duplicate",
                Some("unknown"),
            ),
            ("DescribeVpcs", "UnauthorizedOperation", None),
        ] {
            let error = of_call(refused(action, code, "no"), action, "here");
            assert_eq!(error.context_value("took_effect"), expected, "{code}");
            assert_eq!(error.context_value("action"), Some(action));
        }
        let lost = unreachable("RunInstances", "here", "timed out");
        let lost = of_call(lost, "RunInstances", "here");
        assert_eq!(lost.context_value("took_effect"), Some("unknown"));
        assert!(lost.is_retryable());
    }
}
