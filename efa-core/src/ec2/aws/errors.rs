//! What the SDK's errors mean to a caller.

use aws_config::SdkConfig;
use aws_sdk_ec2::config::ProvideCredentials;
use aws_sdk_ec2::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;

use crate::error::{Code, Error, Result};

/// EC2's codes for "not now, not here": the same call may succeed later or elsewhere.
/// Origin: Karpenter's list of capacity errors and EC2's throttling codes.
const RETRYABLE: &[&str] = &[
    "InsufficientInstanceCapacity",
    "InsufficientHostCapacity",
    "InsufficientReservedInstanceCapacity",
    "ReservationCapacityExceeded",
    "UnfulfillableCapacity",
    "RequestLimitExceeded",
    "Throttling",
    "InternalError",
    "InternalFailure",
    "Unavailable",
    "ServiceUnavailable",
];

/// What to do about a code of EC2, where it is always the same.
const CURES: &[(&str, &str)] = &[
    (
        "UnauthorizedOperation",
        "ask for the named action in your IAM policy",
    ),
    (
        "AuthFailure",
        "check the access key, the secret and the clock",
    ),
    ("RequestExpired", "check the clock, or sign in again"),
    (
        "InsufficientInstanceCapacity",
        "try another zone or time, or a capacity reservation",
    ),
    (
        "VcpuLimitExceeded",
        "raise the vCPU quota of this instance family in Service Quotas",
    ),
    (
        "InstanceLimitExceeded",
        "raise the instance quota in Service Quotas",
    ),
    (
        "AddressLimitExceeded",
        "raise the Elastic IP quota, or plan without public addresses",
    ),
    (
        "RequestLimitExceeded",
        "call again later: EC2 limits the rate of requests",
    ),
    ("OptInRequired", "enable the region or zone in your account"),
];

/// Our error for a failed call of `action`.
pub(super) fn from_sdk<E>(error: SdkError<E>, action: &str, endpoint: &str) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let action = action_name(action);
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
            if let Some((_, cure)) = CURES.iter().find(|(known, _)| *known == code) {
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
                    "{action} got an answer from {endpoint} that is not EC2's: {}",
                    one_line(&cause)
                ),
            )
            .with_cure("check the endpoint: a proxy may have answered")
        }
    };
    ours.with_context("action", action)
        .with_context("endpoint", endpoint)
        .with_source(error)
}

/// `describe_instances` as EC2 spells it.
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
    fn actions_are_named_as_ec2_names_them() {
        assert_eq!(
            action_name("describe_instance_types"),
            "DescribeInstanceTypes"
        );
        assert_eq!(action_name("run_instances"), "RunInstances");
    }

    #[test]
    fn a_cause_is_one_short_line() {
        assert_eq!(one_line("a\n  b\tc"), "a b c");
        assert_eq!(one_line(&"x".repeat(900)).len(), 400);
    }
}
