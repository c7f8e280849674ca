//! What AWS's refusals mean to a caller: one set of errors for every implementation of the calls.

use crate::error::{Code, Error};

mod causes;

pub(crate) use causes::{Next, of_code};

/// How often a call was sent, and how often AWS answered that it changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempts {
    pub(crate) sent: u32,
    pub(crate) refused: u32,
}

impl Attempts {
    /// One attempt, which came to this error.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn one(error: &Error) -> Self {
        Self {
            sent: 1,
            refused: u32::from(error.ec2_code().is_some_and(is_refusal)),
        }
    }

    /// Attempts that may have taken effect.
    const fn unanswered(self) -> u32 {
        self.sent.saturating_sub(self.refused)
    }
}

/// AWS answered `action` with an error of its own.
pub(crate) fn refused(action: &str, code: &str, message: &str) -> Error {
    let cause = of_code(code);
    Error::new(
        Code::Ec2Refused,
        format!("{action} refused: {code}: {message}"),
    )
    .with_cure(cause.cure)
    .with_context("ec2_code", code)
    .with_context("ec2_message", message)
    .retryable(cause.retry)
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

/// The error with what every failed call reports: its action and endpoint, and whether a call that
/// changes something may have taken effect: unknown unless AWS answered every attempt.
pub(crate) fn of_call(error: Error, action: &str, endpoint: &str, attempts: Attempts) -> Error {
    let reads = ["Describe", "Get", "List"];
    let error = if reads.iter().any(|read| action.starts_with(read)) {
        error
    } else if attempts.unanswered() == 0 {
        error.with_context("took_effect", "no")
    } else {
        let error = error.with_context("took_effect", "unknown");
        match attempts.sent {
            0 | 1 => error,
            sent => error
                .with_context("attempts", sent)
                .with_context("attempts_unanswered", attempts.unanswered()),
        }
    };
    error
        .with_context("action", action)
        .with_context("endpoint", endpoint)
}

/// Whether it is unknown what became of the call that failed with this error.
pub(crate) fn effect_unknown(error: &Error) -> bool {
    error.context_value("took_effect") == Some("unknown")
}

/// Whether the code means that the call changed nothing. "It exists already" may be the answer to
/// the second sending of a call whose first took effect; a fault of the server reports nothing.
pub(crate) fn is_refusal(code: &str) -> bool {
    let existed = code.contains("Duplicate") || code.contains("AlreadyExists");
    let fault = [
        "Internal",
        "ServerInternal",
        "Service",
        "Unavailable",
        "RequestTimeout",
    ];
    let fault = fault.iter().any(|fault| code.starts_with(fault));
    !existed && !fault
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(action: &str, code: &str, earlier_lost: u32) -> Error {
        let error = refused(action, code, "no");
        let one = Attempts::one(&error);
        let attempts = Attempts {
            sent: one.sent + earlier_lost,
            ..one
        };
        of_call(error, action, "here", attempts)
    }

    #[test]
    fn only_a_refusal_says_that_nothing_changed() {
        for (action, code, expected) in [
            ("RunInstances", "InsufficientInstanceCapacity", Some("no")),
            ("RunInstances", "InternalError", Some("unknown")),
            ("RunInstances", "ServerInternal", Some("unknown")),
            (
                "CreateSecurityGroup",
                "InvalidGroup.Duplicate",
                Some("unknown"),
            ),
            ("DescribeVpcs", "UnauthorizedOperation", None),
        ] {
            let error = failed(action, code, 0);
            assert_eq!(error.context_value("took_effect"), expected, "{code}");
            assert_eq!(error.context_value("action"), Some(action));
        }
        let lost = unreachable("RunInstances", "here", "timed out");
        let attempts = Attempts::one(&lost);
        let lost = of_call(lost, "RunInstances", "here", attempts);
        assert_eq!(lost.context_value("took_effect"), Some("unknown"));
        assert!(lost.is_retryable());
    }

    #[test]
    fn a_refusal_after_a_lost_attempt_says_nothing_of_the_first() {
        for code in [
            "RequestLimitExceeded",
            "RequestExpired",
            "UnauthorizedOperation",
            "InsufficientInstanceCapacity",
            "InvalidInstanceID.NotFound",
        ] {
            let error = failed("TerminateInstances", code, 1);
            assert!(effect_unknown(&error), "{code}");
            assert_eq!(error.context_value("attempts"), Some("2"));
            assert_eq!(error.context_value("attempts_unanswered"), Some("1"));
        }
    }
}
