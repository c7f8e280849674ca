//! What the SDK's errors mean to a caller.

use aws_config::SdkConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::config::ProvideCredentials;
use aws_sdk_ec2::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;

use super::attempts::Counted;
use super::profiles;
use crate::error::{Code, Error, Result};
use crate::failure::{self, Attempts};

/// Whether a call that only reads took effect is not asked.
const NOT_COUNTED: Attempts = Attempts {
    sent: 1,
    refused: 0,
};

/// The answer, or `None` when the service refused with this code.
pub(super) fn absent<T>(answer: Result<T>, code: &str) -> Result<Option<T>> {
    match answer {
        Err(error) if error.ec2_code() == Some(code) => Ok(None),
        answer => answer.map(Some),
    }
}

/// Our error for a failed call of `action`, which was sent as `attempts` states; a call that only
/// reads is not counted.
pub(super) fn from_sdk<E>(
    error: SdkError<E>,
    action: &str,
    endpoint: &str,
    attempts: Option<&Counted<E>>,
) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let action = action_name(action);
    let answer = error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code)
        .map(str::to_owned);
    let ours = match (&error, &answer, unsigned(&error)) {
        (SdkError::ServiceError(service), Some(code), _) => {
            let message = service.err().message().unwrap_or("no message");
            let ours = failure::refused(&action, code, message);
            match error.request_id() {
                Some(id) => ours.with_context("request_id", id),
                None => ours,
            }
        }
        (SdkError::DispatchFailure(_), _, Some(why)) => Error::new(
            Code::Ec2NoCredentials,
            format!("{action} was not sent, no AWS credentials: {why}"),
        )
        .with_cure(GIVEN),
        (SdkError::TimeoutError(_) | SdkError::DispatchFailure(_), _, _) => {
            failure::unreachable(&action, endpoint, &root_cause(&error))
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
    let attempts = attempts.map_or(NOT_COUNTED, Counted::so_far);
    failure::of_call(ours, &action, endpoint, attempts).with_source(error)
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

/// Where credentials come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// Where the AWS CLI finds them.
    Found,
    Profile(&'a str),
    /// The caller's own object or configuration.
    Given,
    /// Of this ARN.
    Role(&'a str),
}

/// Refuses at once when there are no credentials, instead of at the first call.
pub(super) async fn check_credentials(config: &SdkConfig, source: Source<'_>) -> Result<()> {
    let Some(provider) = config.credentials_provider() else {
        return Err(no_credentials(source, "no provider is configured"));
    };
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error) => {
            let why = root_cause(&error);
            let nowhere = why.starts_with("no credentials found in chain");
            let refusal = match (source, profiles::of_environment()) {
                (Source::Found, Some(profile)) if nowhere => no_credentials(
                    Source::Profile(&profile),
                    "AWS_PROFILE names it, and it has none",
                ),
                (Source::Found, _) if nowhere => no_credentials(source, NOWHERE),
                (Source::Profile(_), _) if why.ends_with("provider was not enabled") => {
                    no_credentials(source, "it has none")
                }
                _ => no_credentials(source, &why),
            };
            Err(refusal.with_source(error))
        }
    }
}

fn no_credentials(source: Source<'_>, why: &str) -> Error {
    let whose = match source {
        Source::Found | Source::Given => String::new(),
        Source::Profile(name) => format!(" in profile '{name}'"),
        Source::Role(arn) => format!(" of role '{arn}'"),
    };
    let error = Error::new(
        Code::Ec2NoCredentials,
        format!("no AWS credentials{whose}: {}", why.trim_end_matches('.')),
    );
    match source {
        Source::Found => error.with_cure(
            "run 'aws configure' or 'aws sso login', set AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY, or give the instance a role",
        ),
        Source::Profile(name) => error
            .with_cure(profiles::cure(name, why))
            .with_context("profile", name),
        Source::Given => error.with_cure(GIVEN),
        Source::Role(arn) => error
            .with_cure(
                "check the role's ARN, that its trust policy names the caller and the external \
                 id, and that the caller may call sts:AssumeRole",
            )
            .with_context("role_arn", arn),
    }
}

/// Instead of the SDK's list of what it asked.
const NOWHERE: &str =
    "neither the environment, nor the AWS CLI's files, nor a role of this machine gave any";

const GIVEN: &str = "sign in again, or give credentials that are valid and can be refreshed";

/// Why a call could not be signed: nothing was sent then.
fn unsigned(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<CredentialsError>() {
            return Some(root_cause(error));
        }
        next = error.source();
    }
    None
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
