//! Limits that stop EFA or shared memory from working.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::root::NodeRoot;

/// Most that a limit can be, such as locked memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Limit {
    /// No limit.
    Unlimited,
    /// This much.
    Of(u64),
}

impl Limit {
    /// Returns whether this much is allowed.
    #[must_use]
    pub const fn allows(self, amount: u64) -> bool {
        match self {
            Self::Unlimited => true,
            Self::Of(limit) => amount <= limit,
        }
    }
}

/// Limits of this process and this machine; `None` where they cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Memory that this process may lock, in bytes: the soft limit of `/proc/self/limits`.
    pub memlock_bytes: Option<Limit>,
    /// The hard limit, up to which a process can raise its own.
    pub memlock_hard_bytes: Option<Limit>,
    /// Whether this process has CAP_IPC_LOCK, which lifts the limit (capabilities(7),
    /// drivers/infiniband/core/umem.c).
    pub may_lock_all: Option<bool>,
    /// Huge pages of the default size that are free.
    pub hugepages_free: Option<u64>,
    /// Huge pages of the default size.
    pub hugepages_total: Option<u64>,
    /// Their size in KiB.
    pub hugepage_kib: Option<u64>,
    /// Size of `/dev/shm` in MiB; only of the live machine.
    pub shm_mib: Option<u64>,
    /// Processes and threads that the cgroup of this process may have.
    pub pids_maximum: Option<Limit>,
    /// Processes and threads that it has.
    pub pids_current: Option<u64>,
    /// Yama's `ptrace_scope`: above 0 the `shm` provider cannot copy between unrelated
    /// processes with `process_vm_readv`.
    pub ptrace_scope: Option<u32>,
    /// Mode of seccomp: 0 off, 1 strict, 2 filter.
    pub seccomp: Option<u32>,
}

pub(super) fn read(root: &NodeRoot) -> Limits {
    let process_limits = root.text("/proc/self/limits").unwrap_or_default();
    let memory = root.text("/proc/meminfo").unwrap_or_default();
    let status = root.text("/proc/self/status").unwrap_or_default();
    let cgroup = root.text("/proc/self/cgroup").unwrap_or_default();
    let (soft, hard) = memlock(&process_limits);
    let pids = |file: &str| {
        pids_directories(&cgroup)
            .iter()
            .find_map(|directory| root.line(&format!("{directory}/{file}")))
    };
    Limits {
        memlock_bytes: soft,
        memlock_hard_bytes: hard,
        may_lock_all: may_lock_all(&status),
        hugepages_free: field(&memory, "HugePages_Free:"),
        hugepages_total: field(&memory, "HugePages_Total:"),
        hugepage_kib: field(&memory, "Hugepagesize:"),
        shm_mib: root
            .is_live()
            .then(|| crate::system::filesystem_bytes(Path::new("/dev/shm")))
            .flatten()
            .map(|bytes| bytes >> 20),
        pids_maximum: pids("pids.max").and_then(|line| limit(&line)),
        pids_current: pids("pids.current").and_then(|line| line.parse().ok()),
        ptrace_scope: root.number("/proc/sys/kernel/yama/ptrace_scope"),
        seccomp: field(&status, "Seccomp:"),
    }
}

/// Bit 14, CAP_IPC_LOCK, of the hexadecimal number behind `CapEff:`.
fn may_lock_all(status: &str) -> Option<bool> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(mask & (1 << 14) != 0)
}

/// Soft and hard limit of the line `Max locked memory  65536  65536  bytes`.
fn memlock(limits: &str) -> (Option<Limit>, Option<Limit>) {
    let mut values = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"))
        .unwrap_or_default()
        .split_whitespace()
        .map(limit);
    (values.next().flatten(), values.next().flatten())
}

fn limit(text: &str) -> Option<Limit> {
    match text {
        "unlimited" | "max" => Some(Limit::Unlimited),
        number => number.parse().ok().map(Limit::Of),
    }
}

/// The first number of the line that begins with this name.
fn field<T: std::str::FromStr>(text: &str, name: &str) -> Option<T> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Where the limits of the cgroup may lie, for version 2 (`0::/path`) and version 1
/// (`5:pids:/path`). Inside a container the path is one of the host, and the mount has the
/// container's own at its root.
fn pids_directories(cgroup: &str) -> Vec<String> {
    let mut directories = Vec::new();
    for line in cgroup.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let mount = match controllers {
            "" => "/sys/fs/cgroup",
            list if list.split(',').any(|name| name == "pids") => "/sys/fs/cgroup/pids",
            _ => continue,
        };
        directories.push(format!("{mount}{}", path.trim_end_matches('/')));
        directories.push(mount.to_owned());
    }
    directories
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_memory_is_soft_and_hard() {
        let line = |soft: &str, hard: &str| {
            format!("Max cpu time  1  2  seconds\nMax locked memory         {soft}  {hard}  bytes")
        };
        for (text, expected) in [
            (
                line("65536", "unlimited"),
                (Some(Limit::Of(65_536)), Some(Limit::Unlimited)),
            ),
            (line("lots", "7"), (None, Some(Limit::Of(7)))),
            ("Max locked memory".to_owned(), (None, None)),
            (String::new(), (None, None)),
        ] {
            assert_eq!(memlock(&text), expected, "{text}");
        }
        assert!(Limit::Unlimited.allows(u64::MAX) && Limit::Of(5).allows(5));
        assert!(!Limit::Of(5).allows(6));
    }

    #[test]
    fn fields_are_found_by_name() {
        let text = "HugePages_Total:    5128\nHugePages_Free:     x\nHugepagesize:       2048 kB\n";
        assert_eq!(field::<u64>(text, "HugePages_Total:"), Some(5128));
        assert_eq!(field::<u64>(text, "HugePages_Free:"), None);
        assert_eq!(field::<u64>(text, "Hugepagesize:"), Some(2048));
        assert_eq!(field::<u64>(text, "Seccomp:"), None);
    }

    #[test]
    fn cgroups_of_both_versions_are_found() {
        for (text, expected) in [
            ("0::/\n", vec!["/sys/fs/cgroup", "/sys/fs/cgroup"]),
            (
                "0::/kubepods/pod1",
                vec!["/sys/fs/cgroup/kubepods/pod1", "/sys/fs/cgroup"],
            ),
            (
                "5:cpu,pids:/docker/1\n4:memory:/docker/1",
                vec!["/sys/fs/cgroup/pids/docker/1", "/sys/fs/cgroup/pids"],
            ),
            ("nonsense", vec![]),
        ] {
            assert_eq!(pids_directories(text), expected, "{text}");
        }
    }
}
