//! Why libfabric offers nothing, in words: functions of values.

use crate::ffi;
use crate::node::{Access, Uverbs};

/// Capabilities that memory operations are made of (fi_getinfo(3)).
const OPERATION_CAPABILITIES: [(u64, &str); 8] = [
    (ffi::FI_RMA, "FI_RMA"),
    (ffi::FI_TAGGED, "FI_TAGGED"),
    (ffi::FI_READ, "FI_READ"),
    (ffi::FI_WRITE, "FI_WRITE"),
    (ffi::FI_REMOTE_READ, "FI_REMOTE_READ"),
    (ffi::FI_REMOTE_WRITE, "FI_REMOTE_WRITE"),
    (ffi::FI_SEND, "FI_SEND"),
    (ffi::FI_RECV, "FI_RECV"),
];

/// What an operation that is not offered lacks, and what to do about that. `demanded` are its
/// capabilities, `offered` those that the provider has unasked, named in `has`.
pub(super) fn operation(demanded: u64, offered: u64, has: &str) -> (String, &'static str) {
    let lacks: Vec<_> = OPERATION_CAPABILITIES
        .iter()
        .filter(|(bit, _)| demanded & !offered & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    if lacks.is_empty() {
        return (
            format!("refuses it, though it has the capabilities ({has}): a mode conflicts with it"),
            "run with FI_LOG_LEVEL=info, and libfabric's log names the mode; or measure another operation, fabric or provider",
        );
    }
    (
        format!("lacks {}: it has {has}", lacks.join(", ")),
        "measure another operation, fabric or provider",
    )
}

/// What to do where libfabric offers no `efa`, on a machine with this many EFA devices on its PCI
/// bus, this many of them with an RDMA device, and these verbs devices.
pub(super) fn efa(on_pci: usize, devices: usize, uverbs: &[Uverbs]) -> String {
    let of_sysfs = || uverbs.iter().filter(|verbs| verbs.ibdev.is_some());
    let denied = of_sysfs().find_map(|verbs| match verbs.access {
        Access::Denied { errno } => Some((verbs, errno)),
        _ => None,
    });
    let ask = "`python -m efa_sdk.doctor` names the cause";
    if let Some((verbs, errno)) = denied {
        return format!(
            "let this process open {} ({}): up to libfabric 2.6.0 one verbs device that does not open hides every EFA device; {ask}",
            verbs.path,
            std::io::Error::from_raw_os_error(errno)
        );
    }
    if let Some(verbs) = of_sysfs().find(|verbs| verbs.access == Access::Missing)
        && devices > 0
    {
        return format!(
            "give this process {}, which is missing: without it libfabric cannot use the device; {ask}",
            verbs.path
        );
    }
    match devices {
        0 if on_pci == 0 => {
            format!("launch with an EFA interface: this machine shows none on its PCI bus; {ask}")
        }
        0 => format!("load the efa driver: {on_pci} EFA devices have no RDMA device; {ask}"),
        _ => format!(
            "look at rdma-core and the environment: the kernel has {devices} EFA devices that libfabric does not offer; {ask}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_named_and_what_is_not_is_no_reason() {
        let read = ffi::FI_RMA | ffi::FI_READ | ffi::FI_REMOTE_READ | ffi::FI_MSG;
        let (text, _) = operation(read, ffi::FI_MSG, "FI_MSG");
        assert_eq!(text, "lacks FI_RMA, FI_READ, FI_REMOTE_READ: it has FI_MSG");
        let (text, _) = operation(read, read & !ffi::FI_REMOTE_READ, "FI_MSG, FI_RMA");
        assert_eq!(text, "lacks FI_REMOTE_READ: it has FI_MSG, FI_RMA");
        let (text, cure) = operation(read, read | ffi::FI_HMEM, "FI_MSG, FI_RMA");
        assert!(!text.contains("lacks"), "{text}");
        assert!(cure.contains("FI_LOG_LEVEL"), "{cure}");
    }

    #[test]
    fn the_cure_fits_what_the_machine_has() {
        let verbs = |access| {
            [Uverbs {
                name: "uverbs0".into(),
                ibdev: Some("rdmap0s6".into()),
                path: "/dev/infiniband/uverbs0".into(),
                access,
            }]
        };
        let denied = verbs(Access::Denied { errno: libc::EPERM });
        let (missing, open) = (verbs(Access::Missing), verbs(Access::Openable));
        for (pci, devices, verbs, expected) in [
            (0, 0, &[][..], "launch with an EFA interface"),
            (4, 0, &[], "load the efa driver: 4 EFA devices"),
            (
                4,
                4,
                &denied,
                "open /dev/infiniband/uverbs0 (Operation not permitted",
            ),
            // Of another kind of card: it hides EFA all the same.
            (4, 3, &denied, "open /dev/infiniband/uverbs0"),
            (1, 1, &missing, "give this process /dev/infiniband/uverbs0"),
            (
                1,
                1,
                &open,
                "rdma-core and the environment: the kernel has 1",
            ),
        ] {
            let cure = efa(pci, devices, verbs);
            assert!(cure.contains(expected), "{cure}");
            assert!(cure.contains("efa_sdk.doctor"), "{cure}");
            assert_eq!(cure.contains("driver"), devices == 0 && pci > 0, "{cure}");
        }
    }
}
