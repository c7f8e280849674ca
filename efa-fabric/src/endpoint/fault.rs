//! What a failed operation means: the numbers of libfabric and of the efa provider as one kind.
//!
//! The same fault has the same kind on every libfabric: 1.17 reports `FI_EIO` for all that the
//! device reports, and negative numbers on the event queue; the provider's own number is the same
//! in all versions (prov/efa/src/efa_errno.h of 1.17.0 and 2.5.1; below 4096 it is the device's).

use crate::error::Code;

/// Why an operation failed, judging by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing came back from the peer.
    NeverAnswered,
    /// The peer had answered, and does no more.
    Lost,
    /// The peer's node answers, and the endpoint is not there any more.
    EndpointGone,
    /// The peer does not know this endpoint.
    UnknownPeer,
    /// The peer has posted no receive.
    NotReceiving,
    /// Memory that is addressed is not registered, or not for this.
    Registration,
    /// No memory can be locked.
    LockedMemory,
    /// Another cause.
    Other,
}

/// What the efa provider's numbers mean (see the head of this file).
const EFA: [(i32, Fault); 12] = [
    // Flushed: the queue pair was closed under it.
    (1, Fault::EndpointGone),
    (5, Fault::Registration),
    (7, Fault::Registration),
    (8, Fault::Lost),
    (9, Fault::EndpointGone),
    (10, Fault::NotReceiving),
    (13, Fault::Lost),
    (14, Fault::UnknownPeer),
    (15, Fault::NeverAnswered),
    (4112, Fault::LockedMemory),
    (4124, Fault::Lost),
    (4126, Fault::Lost),
];

impl Fault {
    /// The kind of a failure with this number of libfabric's, and with the provider's own where
    /// that is `efa`. The sign of either does not count.
    pub(super) fn from_numbers(number: i32, efa_number: Option<i32>, has_received: bool) -> Self {
        let own = efa_number.map(i32::unsigned_abs).and_then(|number| {
            let row = EFA.iter().find(|(row, _)| row.unsigned_abs() == number);
            row.map(|&(_, fault)| fault)
        });
        let fault = own.unwrap_or_else(|| Self::of_errno(number.saturating_abs()));
        match fault {
            // Devices distinguish the two by their own memory of the peer; this side knows better.
            Self::NeverAnswered if has_received => Self::Lost,
            fault => fault,
        }
    }

    fn of_errno(number: i32) -> Self {
        match number {
            libc::EHOSTUNREACH
            | libc::EHOSTDOWN
            | libc::ENETUNREACH
            | libc::ENETDOWN
            | libc::ETIMEDOUT => Self::NeverAnswered,
            libc::ECONNRESET
            | libc::ECONNABORTED
            | libc::ESHUTDOWN
            | libc::EPIPE
            | libc::ECANCELED => Self::Lost,
            libc::ECONNREFUSED | libc::ENOTCONN => Self::EndpointGone,
            libc::ENOMEM => Self::LockedMemory,
            _ => Self::Other,
        }
    }

    pub(super) const fn code(self) -> Code {
        match self {
            Self::NeverAnswered | Self::Lost | Self::EndpointGone | Self::UnknownPeer => {
                Code::Unreachable
            }
            Self::NotReceiving | Self::Registration | Self::LockedMemory | Self::Other => {
                Code::CallFailed
            }
        }
    }

    pub(super) const fn is_retryable(self) -> bool {
        matches!(self.code(), Code::Unreachable)
    }

    /// What to do about it, where that is known.
    pub(super) const fn cure(self) -> Option<&'static str> {
        Some(match self {
            Self::NeverAnswered => {
                "check that the peer is running and that the security group allows all traffic in and out to itself"
            }
            Self::Lost => {
                "the peer answered before: check that its process and its node still run, and the links of both devices"
            }
            Self::EndpointGone => {
                "the peer's endpoint is closed: check that its process still runs, and was not started again"
            }
            Self::UnknownPeer => {
                "the peer does not know this endpoint: each side must insert the other's address; use the same version of efa-fabric on both sides"
            }
            Self::NotReceiving => {
                "the peer posts no receives: check that its process still runs and is not stopped"
            }
            Self::Registration => {
                "memory is not registered for this access: use the same version of efa-fabric on both sides, and report this"
            }
            Self::LockedMemory => {
                "raise the limit of locked memory (`ulimit -l`), or free huge pages"
            }
            Self::Other => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_the_same_whatever_the_version_makes_of_it() {
        // What 1.17 and 2.x report as libfabric's number, the provider's number, the kind.
        for (old, new, own, fault) in [
            (libc::EIO, libc::EHOSTUNREACH, 15, Fault::NeverAnswered),
            (libc::EIO, libc::ECONNABORTED, 13, Fault::Lost),
            (libc::EIO, libc::ECONNABORTED, 4124, Fault::Lost),
            (libc::EIO, libc::ENOTCONN, 9, Fault::EndpointGone),
            (libc::EIO, libc::ENOTCONN, 14, Fault::UnknownPeer),
            (libc::EIO, libc::ECANCELED, 1, Fault::EndpointGone),
            (libc::EIO, libc::ENOMEM, 4112, Fault::LockedMemory),
            (libc::EIO, libc::EINVAL, 7, Fault::Registration),
            // FI_ENORX.
            (libc::EIO, 276, 10, Fault::NotReceiving),
        ] {
            assert_eq!(
                Fault::from_numbers(old, Some(own), false),
                fault,
                "{own} before 1.18"
            );
            assert_eq!(
                Fault::from_numbers(new, Some(own), false),
                fault,
                "{own} of 2.x"
            );
            assert_eq!(
                Fault::from_numbers(-new, Some(-own), false),
                fault,
                "{own} negative"
            );
        }
    }

    #[test]
    fn without_a_number_that_is_known_libfabric_s_own_counts() {
        for (number, own, fault) in [
            // The event queue of 1.17, "Unspecified error".
            (-libc::ENOMEM, Some(4096), Fault::LockedMemory),
            (libc::ENOMEM, None, Fault::LockedMemory),
            (libc::ECONNREFUSED, None, Fault::EndpointGone),
            (libc::ETIMEDOUT, None, Fault::NeverAnswered),
            (libc::EPIPE, None, Fault::Lost),
            (libc::EIO, None, Fault::Other),
            (libc::EIO, Some(4100), Fault::Other),
            (i32::MIN, Some(i32::MIN), Fault::Other),
        ] {
            assert_eq!(
                Fault::from_numbers(number, own, false),
                fault,
                "{number} {own:?}"
            );
        }
    }

    #[test]
    fn one_that_was_received_from_is_lost_and_not_behind_a_security_group() {
        for own in [15, 13, 4124] {
            let fault = Fault::from_numbers(libc::EIO, Some(own), true);
            assert_eq!(fault, Fault::Lost, "{own}");
            assert!(!fault.cure().unwrap().contains("security group"));
        }
        let fault = Fault::from_numbers(libc::EHOSTUNREACH, None, false);
        assert!(fault.cure().unwrap().contains("security group"));
    }

    #[test]
    fn every_kind_that_has_a_cause_has_a_cure_of_its_own() {
        let mut kinds: Vec<_> = EFA.iter().map(|&(_, fault)| fault).collect();
        kinds.dedup();
        let mut cures: Vec<_> = kinds.iter().map(|fault| fault.cure().unwrap()).collect();
        cures.sort_unstable();
        cures.dedup();
        assert_eq!(cures.len(), 7);
        assert!(Fault::Other.cure().is_none());
    }
}
