//! What the SDK's errors mean to a caller.

use aws_config::SdkConfig;
use aws_sdk_ec2::config::ProvideCredentials;
use aws_sdk_ec2::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;

use crate::error::{Code, Error, Result};

/// Codes for "not now, not here": the same call may succeed later or elsewhere.
/// Origin: Karpenter's list of capacity errors; throttling and server faults of EC2, IAM, Systems
/// Manager, STS and Service Quotas.
const RETRYABLE: &[&str] = &[
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientReservedInstanceCapacity",
    "ReservationCapacityExceeded",
    "UnfulfillableCapacity",
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

/// The answer, or `None` when the service refused with this code.
pub(super) fn absent<T>(answer: Result<T>, code: &str) -> Result<Option<T>> {
    match answer {
        Err(error) if error.ec2_code() == Some(code) => Ok(None),
        answer => answer.map(Some),
    }
}

/// Our error for a failed call of `action`.
pub(super) fn from_sdk<E>(error: SdkError<E>, action: &str, endpoint: &str) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let changes = !["describe_", "get_", "list_"]
        .iter()
        .any(|read| action.starts_with(read));
    let action = action_name(action);
    let answer = error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code);
    let took_effect = if answer.is_some_and(is_refusal) {
        "no"
    } else {
        "unknown"
    };
    let ours = match &error {
        SdkError::ServiceError(service) if service.err().code().is_some() => {
            let code = service.err().code().unwrap_or_default();
            let message = service.err().message().unwrap_or("no message");
            let mut ours = Error::new(
                Code::Ec2Refused,
                format!("{action} refused: {code}: {message}"),
            )
            .with_context("ec2_code", code)
            .with_context("ec2_message", message)
            .retryable(RETRYABLE.contains(&code));
            if let Some((_, cure)) = CURES.iter().find(|(codes, _)| codes.contains(&code)) {
                ours = ours.with_cure(*cure);
            }
            if let Some(id) = error.request_id() {
                ours = ours.with_context("request_id", id);
            }
            ours
        }
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => {
            let cause = root_cause(&error);
            Error::new(
                Code::Ec2Unreachable,
                format!("{action} got no answer from {endpoint}: {cause}"),
            )
            .with_cure("check the network, the region and the endpoint")
            .retryable(true)
        }
        _ => {
            let cause = DisplayErrorContext(&error).to_string();
            Error::new(
                Code::Ec2UnexpectedAnswer,
                format!(
                    "{action} got an answer from {endpoint} that is not AWS's: {}",
                    one_line(&cause)
                ),
            )
            .with_cure("check the endpoint: a proxy may have answered")
        }
    };
    let ours = if changes {
        ours.with_context("took_effect", took_effect)
    } else {
        ours
    };
    ours.with_context("action", action)
        .with_context("endpoint", endpoint)
        .with_source(error)
}

/// Whether the code says that the call changed nothing. "It exists already" may be the answer to
/// the second sending of a call whose first took effect; a fault of the server says nothing.
fn is_refusal(code: &str) -> bool {
    let existed = code.contains("Duplicate") || code.contains("AlreadyExists");
    let fault =
        code.starts_with("Internal") || code.starts_with("Service") || code == "Unavailable";
    !existed && !fault
}

/// `describe_instances` as AWS spells it.
fn action_name(method: &str) -> String {
    method
        .split('_')
        .map(|word| {
            let (head, tail) = word.split_at(1);
            head.to_uppercase() + tail
        })
        .collect()
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    one_line(&deepest.to_string())
}

fn one_line(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(400).collect()
}

/// Refuses at once when there are no credentials, instead of at the first call.
pub(super) async fn check_credentials(config: &SdkConfig, profile: Option<&str>) -> Result<()> {
    let whose = profile.map_or_else(String::new, |name| format!(" in profile '{name}'"));
    let missing = |why: &str| {
        let error = Error::new(
            Code::Ec2NoCredentials,
            format!("no AWS credentials{whose}: {}", why.trim_end_matches('.')),
        );
        match profile {
            Some(name) => error
                .with_cure("check the profile's name and sign it in, or leave it out")
                .with_context("profile", name),
            None => error.with_cure(
                "run 'aws configure' or 'aws sso login', set AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, or give the instance a role",
            ),
        }
    };
    let Some(provider) = config.credentials_provider() else {
        return Err(missing("no provider is configured"));
    };
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error) => {
            let why = root_cause(&error);
            Err(missing(&why).with_source(error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_named_as_aws_names_them() {
        assert_eq!(
            action_name("describe_instance_types"),
            "DescribeInstanceTypes"
        );
        assert_eq!(action_name("run_instances"), "RunInstances");
        assert_eq!(action_name("get_instance_profile"), "GetInstanceProfile");
    }

    #[test]
    fn only_the_named_code_means_absent() {
        let refused = || {
            Err::<(), _>(
                Error::new(Code::Ec2Refused, "no").with_context("ec2_code", "NoSuchEntity"),
            )
        };
        assert_eq!(absent(refused(), "NoSuchEntity").unwrap(), None);
        assert!(absent(refused(), "ParameterNotFound").is_err());
        assert_eq!(absent(Ok(7), "NoSuchEntity").unwrap(), Some(7));
    }

    #[test]
    fn a_cause_is_one_short_line() {
        assert_eq!(one_line("a\n  b\tc"), "a b c");
        assert_eq!(one_line(&"x".repeat(900)).len(), 400);
    }
}
