//! What the process may take, forks, and what the devices have counted.

use super::finding::{Check, Finding, Status};
use super::scene::Scene;
use crate::node::Limit;

const FI_EFA: &str = "https://ofiwg.github.io/libfabric/main/man/fi_efa.7.html";
const MEMLOCK: &str = "https://github.com/aws/aws-ofi-nccl/issues/44";
const COUNTERS: &str =
    "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-working-monitor.html";
const YAMA: &str = "https://docs.kernel.org/admin-guide/LSM/Yama.html";
const SHM: &str = "https://docs.docker.com/reference/cli/docker/container/run/#options";

const MIB: u64 = 1 << 20;
/// Systems start with 64 KiB or 8 MiB; receive buffers of one endpoint are already more.
const TOO_LITTLE_LOCKED: u64 = 16 * MIB;
/// What AWS's samples warn below (awsome-distributed-training).
const ENOUGH_LOCKED: u64 = 16 << 30;
/// What container runtimes give by default, in MiB.
const DEFAULT_SHM_MIB: u64 = 64;

/// `limits.memlock`.
pub(crate) fn memlock(scene: &Scene<'_>) -> Finding {
    let check = Check::LimitsMemlock;
    if !scene.has_efa() {
        return Finding::skipped(check, "there is no EFA device to lock memory for");
    }
    let limits = &scene.node.limits;
    let Some(limit) = limits.memlock_bytes else {
        return Finding::new(
            check,
            Status::Unknown,
            "the limit of locked memory is not known",
        )
        .evidence("/proc/self/limits", "no line 'Max locked memory'");
    };
    let Limit::Of(bytes) = limit else {
        return Finding::ok(check, "memory may be locked without limit");
    };
    if limits.may_lock_all == Some(true) {
        return Finding::ok(check, "CAP_IPC_LOCK lifts the limit of locked memory");
    }
    let size = size_text(bytes);
    if bytes >= ENOUGH_LOCKED {
        return Finding::ok(check, format!("{size} of memory may be locked"));
    }
    let status = if bytes < TOO_LITTLE_LOCKED {
        Status::Failed
    } else {
        Status::Warning
    };
    let can_raise = limits.memlock_hard_bytes == Some(Limit::Unlimited);
    Finding::new(check, status, format!("only {size} of memory may be locked"))
        .evidence("/proc/self/limits, Max locked memory", format!("{bytes} bytes"))
        .cause(
            "EFA locks every buffer that it sends from or receives into; libfabric offers the \
             device, and fi_enable or the first registration fails with -12",
        )
        .cure(if can_raise {
            "ulimit -l unlimited before the program starts; the hard limit allows it"
        } else if scene.node.container.is_container() {
            "raise it for the container: --ulimit memlock=-1, or in the runtime's unit LimitMEMLOCK=infinity"
        } else {
            "'* soft memlock unlimited' and hard in /etc/security/limits.d, then log in again; \
             LimitMEMLOCK=infinity for services"
        })
        .reference(MEMLOCK)
}

/// `limits.hugepages`.
pub(crate) fn hugepages(scene: &Scene<'_>) -> Finding {
    let check = Check::LimitsHugepages;
    if !scene.has_efa() {
        return Finding::skipped(check, "there is no EFA device to use them");
    }
    let limits = &scene.node.limits;
    match (limits.hugepages_free, limits.hugepages_total) {
        (Some(free), total) if free > 0 => Finding::ok(
            check,
            match total {
                Some(total) => format!("{free} of {total} huge pages are free"),
                None => format!("{free} huge pages are free"),
            },
        ),
        (Some(_), total) => Finding::new(
            check,
            Status::Info,
            match total {
                Some(total) if total > 0 => format!("all {total} huge pages are taken"),
                _ => "there are no huge pages".to_owned(),
            },
        )
        .evidence("/proc/meminfo, HugePages_Free", 0)
        .cause("libfabric takes ordinary pages for its buffers then")
        .reference(FI_EFA),
        // They are never needed, so that not knowing them leaves no verdict open.
        (None, _) => Finding::new(
            check,
            Status::Info,
            "how many huge pages there are is not known",
        )
        .evidence("/proc/meminfo", "not recorded, or without HugePages_Free"),
    }
}

/// `limits.shm`.
pub(crate) fn shm(scene: &Scene<'_>) -> Finding {
    let check = Check::LimitsShm;
    if !scene.has_efa() {
        return Finding::skipped(check, "there is no EFA device to bypass");
    }
    let Some(size) = scene.node.limits.shm_mib else {
        // libfabric is not asked for a recorded tree, so that this decides no verdict there.
        return match scene.node.is_recorded() {
            true => Finding::new(check, Status::Info, "not recorded: the size of /dev/shm"),
            false => Finding::new(check, Status::Unknown, "the size of /dev/shm is not known"),
        };
    };
    if size > DEFAULT_SHM_MIB {
        return Finding::ok(check, format!("/dev/shm has {size} MiB"));
    }
    Finding::new(check, Status::Warning, format!("/dev/shm has only {size} MiB"))
        .evidence("/dev/shm", format!("{size} MiB"))
        .cause("container runtimes give 64 MiB; libfabric's shm and NCCL put buffers of each process there")
        .cure("--shm-size=8g; in Kubernetes an emptyDir with medium Memory at /dev/shm")
        .reference(SHM)
}

/// `limits.process_vm`: ways around exist, so that this never fails.
pub(crate) fn process_vm(scene: &Scene<'_>) -> Finding {
    let check = Check::LimitsProcessVm;
    if !scene.has_efa() {
        return Finding::skipped(check, "there is no EFA device to bypass");
    }
    let limits = &scene.node.limits;
    match limits.ptrace_scope {
        Some(scope) if scope > 0 => Finding::new(
            check,
            Status::Info,
            "processes of one job may not read each other's memory: transfers within the node \
             are copied twice",
        )
        .evidence("/proc/sys/kernel/yama/ptrace_scope", scope)
        .cure("sysctl kernel.yama.ptrace_scope=0, where the speed within a node matters")
        .reference(YAMA),
        _ if limits.seccomp == Some(2) => Finding::new(
            check,
            Status::Info,
            "system calls are filtered; whether process_vm_readv is among them is not known",
        )
        .evidence("/proc/self/status, Seccomp", 2)
        .reference(YAMA),
        Some(_) => Finding::ok(check, "processes may read each other's memory"),
        None if scene.node.is_recorded() => Finding::new(
            check,
            Status::Info,
            "not recorded: /proc/sys/kernel/yama/ptrace_scope",
        ),
        None => Finding::ok(check, "the kernel has no restriction of Yama"),
    }
}

/// `fork.support`.
pub(crate) fn fork(scene: &Scene<'_>) -> Finding {
    let check = Check::ForkSupport;
    if !scene.has_efa() {
        return Finding::skipped(check, "there is no EFA device that a fork would disturb");
    }
    let variable = ["FI_EFA_FORK_SAFE", "RDMAV_FORK_SAFE", "IBV_FORK_SAFE"]
        .into_iter()
        .find(|name| scene.variable(name).is_some());
    if let Some(name) = variable {
        return Finding::ok(check, format!("{name} is set"));
    }
    let kernel = scene.node.kernel.as_deref();
    let rdma_core = scene.node.software.rdma_core;
    match (kernel.and_then(release), rdma_core) {
        (Some(release), Some(version)) if release >= (5, 13) && version >= 35 => {
            Finding::ok(check, "the kernel copies locked pages at a fork")
        }
        (Some(_), Some(_)) => Finding::new(
            check,
            Status::Info,
            "a fork after EFA was opened aborts the process",
        )
        .evidence("/proc/sys/kernel/osrelease", kernel.unwrap_or_default())
        .evidence("rdma-core", rdma_core.unwrap_or_default())
        .cause("forks are harmless from Linux 5.13 with rdma-core 35")
        .cure("start workers with 'spawn' (multiprocessing, DataLoader), or set FI_EFA_FORK_SAFE=1")
        .reference(FI_EFA),
        // Where a fork harms it is for the program to avoid; not knowing it stops nobody.
        _ => Finding::new(
            check,
            Status::Info,
            "whether a fork is safe is not known: the versions of the kernel and of rdma-core are \
             not",
        ),
    }
}

/// `counters.retransmissions`: SRD sends lost packets again, so that some are no fault.
pub(crate) fn retransmissions(scene: &Scene<'_>) -> Finding {
    counted(
        scene,
        Check::CountersRetransmissions,
        &["retrans_pkts", "retrans_timeout_events"],
        "packets were retransmitted since the driver was loaded",
        "nothing was retransmitted",
    )
}

/// `counters.unresponsive`: a peer that was ended counts as well.
pub(crate) fn unresponsive(scene: &Scene<'_>) -> Finding {
    counted(
        scene,
        Check::CountersUnresponsive,
        &["unresponsive_remote_events", "impaired_remote_conn_events"],
        "peers stopped answering since the driver was loaded",
        "every peer answered",
    )
}

fn counted(scene: &Scene<'_>, check: Check, names: &[&str], bad: &str, good: &str) -> Finding {
    let values: Vec<(String, u64)> = scene
        .node
        .efa_devices
        .iter()
        .flat_map(|device| {
            names.iter().filter_map(|name| {
                let value = *device.counters.get(*name)?;
                Some((format!("{} {name}", device.name), value))
            })
        })
        .collect();
    if scene.node.efa_devices.is_empty() {
        return Finding::skipped(check, "there is no EFA device to count");
    }
    if values.is_empty() {
        // Old counts are a hint at most, so that not having them leaves no verdict open.
        return Finding::new(
            check,
            Status::Info,
            "not known: drivers before 2.17 do not count this, or it is not recorded",
        );
    }
    let found: Vec<_> = values.iter().filter(|(_, value)| *value > 0).collect();
    if found.is_empty() {
        return Finding::ok(check, good);
    }
    found
        .iter()
        .take(8)
        .fold(
            Finding::new(
                check,
                Status::Info,
                format!("{bad}: {} counters are not 0", found.len()),
            ),
            |finding, (source, value)| finding.evidence(source, value),
        )
        .cause("the counters never decrease, so they hold the whole history")
        .cure("compare them before and after a job: what grows points to a path or a peer")
        .reference(COUNTERS)
}

/// The first two numbers of a kernel's release such as `6.1.102-111.187.amzn2023.x86_64`.
fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(['.', '-']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn size_text(bytes: u64) -> String {
    match bytes {
        0..MIB => format!("{} KiB", bytes >> 10),
        MIB..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_and_sizes() {
        assert_eq!(release("6.1.102-111.187.amzn2023.x86_64"), Some((6, 1)));
        assert_eq!(release("5.10-rc1"), Some((5, 10)));
        assert_eq!(release("next"), None);
        assert_eq!(size_text(65_536), "64 KiB");
        assert_eq!(size_text(8 << 20), "8 MiB");
        assert_eq!(size_text(2 << 30), "2 GiB");
    }
}
