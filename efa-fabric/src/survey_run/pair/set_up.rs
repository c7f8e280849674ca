//! Failures of a pair that are of the set-up of its nodes, and no evidence against hardware.

use std::sync::Arc;

use crate::endpoint::{Endpoint, EndpointOptions};
use crate::error::{Code, Error};
use crate::library::Library;

/// Codes of errors that are always of the set-up.
const OF_SET_UP: [Code; 9] = [
    Code::LibraryNotFound,
    Code::LibraryInvalid,
    Code::LibraryTooOld,
    Code::KillerEnvironment,
    Code::ChildUnusable,
    Code::ProviderNotFound,
    Code::GpuUnavailable,
    Code::BadSize,
    Code::InvalidOption,
];

/// Why this node's set-up keeps it from measuring any pair, of the first of these endpoints; `None`
/// where one opens, or fails for another reason, which a pair then states.
pub(super) fn obstacle(
    library: &Arc<Library>,
    endpoints: impl Iterator<Item = EndpointOptions>,
) -> Option<Error> {
    let mut first = None;
    for endpoint in endpoints {
        let failed = Endpoint::open(library, &endpoint).err();
        first.get_or_insert(failed.filter(is_of_set_up)?);
    }
    first
}

/// Whether this is what the peer reports of its own set-up: this side had opened nothing by then, and may
/// have the same fault.
pub(super) fn may_be_of_both(error: &Error) -> bool {
    let said = error.context_value("peer_code");
    let mut all = OF_SET_UP.iter().chain([&Code::CallFailed]);
    said.is_some_and(|said| all.any(|code| code.as_str() == said))
}

/// Whether the set-up of this node, or of the two together, is why the pair was not measured: the
/// error came before any of the peer's messages. What the peer reported of itself is not of this node.
pub(super) fn is_of_set_up(error: &Error) -> bool {
    let is_the_peer_s = error.context_value("peer_code").is_some();
    match error.code() {
        Code::VersionMismatch | Code::UnsupportedOperation => true,
        _ if is_the_peer_s => false,
        Code::CallFailed => is_limit_of_machine(error),
        code => OF_SET_UP.contains(&code),
    }
}

/// Whether a call into libfabric failed for want of what the machine grants a process: locked
/// memory, permission for a device, files, an address, a name that is taken.
fn is_limit_of_machine(error: &Error) -> bool {
    const OF_MACHINE: [i32; 8] = [
        libc::ENOMEM,
        libc::EACCES,
        libc::EPERM,
        libc::EMFILE,
        libc::ENFILE,
        libc::EBUSY,
        libc::EADDRNOTAVAIL,
        libc::ENOSYS,
    ];
    let number = error.context_value("fi_errno");
    let number = number.and_then(|number| number.parse::<i32>().ok());
    let call = error.context_value("call").unwrap_or_default();
    number.is_some_and(|number| {
        OF_MACHINE.contains(&number) && (call.starts_with("fi_") || number == libc::ENOMEM)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Sight, Test, phase};
    use super::*;
    use crate::survey::Outcome;

    #[test]
    fn a_peer_s_set_up_error_may_be_of_both() {
        let is = |code: Code, of: Code| {
            let error = Error::new(code, "the peer failed");
            may_be_of_both(&error.with_context("peer_code", of.as_str()))
        };
        assert!(is(Code::PeerFailed, Code::ProviderNotFound));
        assert!(is(Code::PeerFailed, Code::CallFailed));
        assert!(!is(Code::PeerFailed, Code::Deadline));
        let own = Error::new(Code::ProviderNotFound, "no efa");
        assert!(!may_be_of_both(&own));
    }

    #[test]
    fn set_up_errors_are_told_from_those_of_hardware_and_of_the_peer() {
        let called = |call: &str, number: i32| {
            Error::new(Code::CallFailed, format!("{call} failed"))
                .with_context("call", call)
                .with_context("fi_errno", number)
        };
        let of = |error: &Error| {
            let phase = phase(Test::LowToHigh, error);
            let code = error.code().as_str();
            let sight = Sight::failed(phase, code, 1.0, error.to_string());
            let Outcome::Failed(failure) = &sight.outcome else {
                panic!("{error}");
            };
            (sight.set_up_error().is_some(), failure.is_mismatch())
        };
        for (error, expected) in [
            (Error::new(Code::ProviderNotFound, "no efa"), (true, false)),
            (Error::new(Code::GpuUnavailable, "no CUDA"), (true, false)),
            (called("fi_mr_reg", libc::ENOMEM), (true, false)),
            (called("provider", libc::ENOMEM), (true, false)),
            (called("fi_domain", libc::EACCES), (true, false)),
            (called("fi_enable", libc::EBUSY), (true, false)),
            (called("fi_domain", libc::EIO), (false, false)),
            (called("send", libc::EPERM), (false, false)),
            (Error::new(Code::CallFailed, "no number"), (false, false)),
            (
                Error::new(Code::VersionMismatch, "1.17, 2.5"),
                (false, true),
            ),
            (Error::new(Code::UnsupportedOperation, "shm"), (false, true)),
            (Error::new(Code::Unreachable, "gone"), (false, false)),
        ] {
            assert_eq!(of(&error), expected, "{error}");
            let said = error.with_context("peer_code", "fabric.provider_not_found");
            assert!(!of(&said).0, "it is the peer's: {said}");
        }
    }
}
