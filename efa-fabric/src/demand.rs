//! What is asked of libfabric for an operation: a function of values, without libfabric.
//!
//! Capabilities are demands, and a provider that lacks one offers nothing: only what the
//! operation uses is asked for. Modes and memory registration modes state what this crate can do,
//! so they are generous (fi_getinfo(3), fi_domain(3)). `FI_LOCAL_COMM` and `FI_REMOTE_COMM` stay
//! unset, since together they leave `shm` with nothing to offer, but for [`remote_only`]. No order
//! of messages is asked for, which would exclude `efa-direct`.

use std::ffi::c_int;

use crate::ffi;
use crate::library::Version;
use crate::operation::Operation;

/// The bits of the hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) caps: u64,
    pub(crate) mode: u64,
    pub(crate) mr_mode: c_int,
    /// Default flags of operations.
    pub(crate) op_flags: u64,
}

/// The hints for an operation.
///
/// Messages carry acknowledgements in every case. For memory operations the modifiers are named
/// one by one, since none would mean all: a device that reads but does not write serves reads.
/// Both sides ask for both ends of the operation, so that either may act.
///
/// `FI_HMEM` leaves out every provider that needs to touch the buffers and cannot; that
/// registration is then demanded (`FI_MR_HMEM`) is offered with it.
pub(crate) fn demand(operation: Operation, is_device_memory: bool) -> Demand {
    let both = ffi::FI_SEND | ffi::FI_RECV;
    let (caps, op_flags) = match operation {
        Operation::Message => (0, 0),
        Operation::Tagged => (ffi::FI_TAGGED, 0),
        Operation::Write => (
            ffi::FI_RMA | both | ffi::FI_WRITE | ffi::FI_REMOTE_WRITE,
            ffi::FI_DELIVERY_COMPLETE,
        ),
        Operation::WriteData => (ffi::FI_RMA | both | ffi::FI_WRITE | ffi::FI_REMOTE_WRITE, 0),
        Operation::Read => (ffi::FI_RMA | both | ffi::FI_READ | ffi::FI_REMOTE_READ, 0),
    };
    // efa-direct demands it for any memory operation where the device or the build has no
    // unsolicited write receives (prov/efa/src/efa_user_info.c).
    let consumes = match operation.is_rma() {
        true => ffi::FI_MODE_RX_CQ_DATA,
        false => 0,
    };
    let (hmem, hmem_mode) = match is_device_memory {
        false => (0, 0),
        true => (ffi::FI_HMEM, ffi::FI_MR_HMEM),
    };
    Demand {
        caps: ffi::FI_MSG | caps | hmem,
        mode: ffi::FI_MODE_CONTEXT | ffi::FI_MODE_CONTEXT2 | consumes,
        mr_mode: ffi::FI_MR_LOCAL
            | ffi::FI_MR_VIRT_ADDR
            | ffi::FI_MR_ALLOCATED
            | ffi::FI_MR_PROV_KEY
            | ffi::FI_MR_ENDPOINT
            | hmem_mode,
        op_flags,
    }
}

/// `FI_REMOTE_COMM` where it is the only way to keep `efa` from moving messages of one machine
/// through shared memory: before 1.21 there is no endpoint option for that, and an endpoint
/// without `FI_LOCAL_COMM` does not use it (prov/efa/src/rxr/rxr_ep.c, `rxr_ep_use_shm_for_tx`).
pub(crate) fn remote_only(provider: Option<&str>, library: Version) -> u64 {
    let is_efa = provider.is_some_and(|name| name.eq_ignore_ascii_case("efa"));
    match is_efa && library < SHARED_MEMORY_OPTION {
        true => ffi::FI_REMOTE_COMM,
        false => 0,
    }
}

/// `FI_OPT_SHARED_MEMORY_PERMITTED` is there since this version (fi_endpoint(3)).
pub(crate) const SHARED_MEMORY_OPTION: Version = Version {
    major: 1,
    minor: 21,
};

/// The fabric to ask for by name.
///
/// From 2.1, `efa-direct` comes first in the list of efa: its messages end at the MTU, so it
/// must be named. Before 1.15, fabrics of the provider have other names
/// (prov/efa/src/efa_fabric.c).
pub(crate) fn fabric<'a>(
    provider: &str,
    library: Version,
    named: Option<&'a str>,
) -> Option<&'a str> {
    let first_named = Version {
        major: 1,
        minor: 15,
    };
    named.or((provider.eq_ignore_ascii_case("efa") && library >= first_named).then_some("efa"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: u64 = ffi::FI_MSG;
    const BOTH: u64 = ffi::FI_SEND | ffi::FI_RECV;

    #[test]
    fn capabilities_are_the_least_that_the_operation_uses() {
        let cases = [
            (Operation::Message, MESSAGES),
            (Operation::Tagged, MESSAGES | ffi::FI_TAGGED),
            (
                Operation::Write,
                MESSAGES | BOTH | ffi::FI_RMA | ffi::FI_WRITE | ffi::FI_REMOTE_WRITE,
            ),
            (
                Operation::WriteData,
                MESSAGES | BOTH | ffi::FI_RMA | ffi::FI_WRITE | ffi::FI_REMOTE_WRITE,
            ),
            (
                Operation::Read,
                MESSAGES | BOTH | ffi::FI_RMA | ffi::FI_READ | ffi::FI_REMOTE_READ,
            ),
        ];
        assert_eq!(cases.len(), Operation::ALL.len());
        for (operation, caps) in cases {
            let demand = demand(operation, false);
            assert_eq!(demand.caps, caps, "{operation}");
            let never = ffi::FI_HMEM | ffi::FI_LOCAL_COMM | ffi::FI_REMOTE_COMM | ffi::FI_SOURCE;
            assert_eq!(demand.caps & never, 0, "{operation}");
        }
    }

    #[test]
    fn device_memory_adds_its_capability_and_mode_and_nothing_else() {
        for &operation in Operation::ALL {
            let (host, device) = (demand(operation, false), demand(operation, true));
            assert_eq!(device.caps, host.caps | ffi::FI_HMEM);
            assert_eq!(device.mr_mode, host.mr_mode | ffi::FI_MR_HMEM);
            assert_eq!((device.mode, device.op_flags), (host.mode, host.op_flags));
            assert_eq!(host.mr_mode & ffi::FI_MR_HMEM, 0);
        }
    }

    #[test]
    fn only_tagged_messages_exclude_efa_direct_by_capability() {
        // What efa-direct has (fi_efa(7)): MSG, RMA, SOURCE, HMEM.
        for &operation in Operation::ALL {
            let tagged = demand(operation, false).caps & ffi::FI_TAGGED != 0;
            assert_eq!(tagged, operation == Operation::Tagged);
        }
    }

    #[test]
    fn modes_say_what_this_crate_can_do() {
        for &operation in Operation::ALL {
            let demand = demand(operation, false);
            let contexts = ffi::FI_MODE_CONTEXT | ffi::FI_MODE_CONTEXT2;
            assert_eq!(demand.mode & contexts, contexts);
            let consumes = demand.mode & ffi::FI_MODE_RX_CQ_DATA != 0;
            assert_eq!(consumes, operation.is_rma(), "{operation}");
            let efa_direct = ffi::FI_MR_LOCAL
                | ffi::FI_MR_VIRT_ADDR
                | ffi::FI_MR_ALLOCATED
                | ffi::FI_MR_PROV_KEY;
            assert_eq!(demand.mr_mode & efa_direct, efa_direct);
            let complete = demand.op_flags == ffi::FI_DELIVERY_COMPLETE;
            assert_eq!(complete, operation == Operation::Write);
        }
    }

    #[test]
    fn efa_without_the_option_is_kept_to_the_network_by_a_capability() {
        let version = |major, minor| Version { major, minor };
        for (provider, library, expected) in [
            (Some("efa"), version(1, 17), ffi::FI_REMOTE_COMM),
            (Some("EFA"), version(1, 20), ffi::FI_REMOTE_COMM),
            (Some("efa"), version(1, 21), 0),
            (Some("efa"), version(2, 5), 0),
            (Some("tcp"), version(1, 17), 0),
            (Some("shm"), version(1, 17), 0),
            (None, version(1, 17), 0),
        ] {
            assert_eq!(remote_only(provider, library), expected, "{provider:?}");
        }
    }

    #[test]
    fn efa_is_named_from_1_15_on() {
        let version = |major, minor| Version { major, minor };
        let cases = [
            ("efa", version(1, 14), None, None),
            ("efa", version(1, 15), None, Some("efa")),
            ("EFA", version(2, 6), None, Some("efa")),
            ("efa", version(2, 6), Some("efa-direct"), Some("efa-direct")),
            ("tcp", version(2, 6), None, None),
            ("tcp", version(2, 6), Some("10.0.0.0/8"), Some("10.0.0.0/8")),
        ];
        for (provider, library, named, expected) in cases {
            assert_eq!(fabric(provider, library, named), expected, "{provider}");
        }
    }
}
