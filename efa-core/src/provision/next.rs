//! Which call comes after a failed verb: the one that its cure leads to.

use crate::error::{Code, Error};
use crate::failure::{Next, of_code};

/// The verbs that change AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Prepare,
    Apply,
    Grow,
    Destroy,
    Replace,
    Shrink,
    Extend,
}

impl Verb {
    fn again(self, name: &str) -> String {
        match self {
            Self::Prepare => "prepare the same plan again".to_owned(),
            Self::Apply => "apply the same plan again".to_owned(),
            Self::Grow => "grow to the same plan again".to_owned(),
            Self::Replace => format!("replace('{name}', nodes=…) the same nodes again"),
            Self::Shrink => format!("shrink('{name}', …) in the same way again"),
            Self::Extend => format!("extend('{name}', …) again"),
            Self::Destroy => format!("destroy('{name}') again"),
        }
    }
}

/// The call that comes after `error` of `verb`.
pub(super) fn next_command(error: &Error, name: &str, verb: Verb) -> String {
    if let Some(said) = error.next_command() {
        return said.to_owned();
    }
    let again = verb.again(name);
    let (next, mend) = match (error.code(), reason(error)) {
        (Code::ProvisionNoCapacity, _) => (Next::Later, false),
        (Code::ProvisionInstanceLost, None) => (Next::Destroy, true),
        (_, Some(code)) => {
            let cause = of_code(code);
            (cause.next, !cause.retry)
        }
        (Code::PlanConflict | Code::PlanResourceNotFound | Code::PlanInvalidSpec, None) => {
            (Next::PlanAgain, false)
        }
        (_, None) => (Next::Again, false),
    };
    if verb == Verb::Destroy {
        return match next {
            Next::Later => format!("{again} later"),
            Next::Mended => format!("once that is done, {again} to finish"),
            Next::Again | Next::PlanAgain | Next::Destroy => format!("{again} to finish"),
        };
    }
    let remove = format!("destroy('{name}') to remove what exists");
    match next {
        Next::Again => format!("{again} to finish, or {remove}"),
        Next::Later => format!("{again} later, or {remove}"),
        Next::Mended => format!("once that is done, {again} to finish, or {remove}"),
        Next::PlanAgain => format!("plan with that changed and apply it, or {remove}"),
        Next::Destroy if mend => format!("once that is done, destroy('{name}') and {again}"),
        Next::Destroy => format!("destroy('{name}') and {again}"),
    }
}

/// AWS's word for why: the code of its refusal, or of the state of an instance that was lost.
fn reason(error: &Error) -> Option<&str> {
    error
        .context_value("state_reason")
        .or_else(|| error.ec2_code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::refused;

    #[test]
    fn the_next_call_follows_from_the_cause() {
        for (code, expected) in [
            ("VcpuLimitExceeded", "once that is done, apply the same"),
            ("InvalidKeyPair.NotFound", "plan with that changed"),
            ("PendingVerification", "apply the same plan again later"),
            ("RequestLimitExceeded", "apply the same plan again later"),
            ("UnauthorizedOperation", "once that is done, apply the same"),
            (
                "InvalidPermission.Duplicate",
                "apply the same plan again to",
            ),
        ] {
            let error = refused("RunInstances", code, "no");
            let next = next_command(&error, "train", Verb::Apply);
            assert!(next.starts_with(expected), "{code}: {next}");
            assert!(next.contains("destroy('train')"), "{code}: {next}");
            let next = next_command(&error, "train", Verb::Destroy);
            assert!(next.contains("destroy('train') again"), "{code}: {next}");
            assert!(!next.contains("apply"), "{code}: {next}");
        }
    }

    #[test]
    fn a_lost_instance_is_launched_again_once_its_cause_is_gone() {
        for (reason, expected) in [
            (
                "Client.InvalidKMSKey.InvalidState",
                "once that is done, destroy('train') and apply",
            ),
            ("Server.InternalError", "destroy('train') and apply"),
        ] {
            let error = Error::new(Code::ProvisionInstanceLost, "lost")
                .with_context("state_reason", reason);
            let next = next_command(&error, "train", Verb::Apply);
            assert!(next.starts_with(expected), "{reason}: {next}");
        }
        let differs = Error::new(Code::ProvisionClusterDiffers, "differs")
            .with_next_command("shrink('train', 2)".to_owned());
        let next = next_command(&differs, "train", Verb::Apply);
        assert_eq!(next, "shrink('train', 2)", "the cause knows better");
    }
}
