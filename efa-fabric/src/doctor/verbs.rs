//! From RDMA devices to programs: device files, containers, rdma-core.

use super::finding::{Check, Evidence, Finding, Status};
use super::hardware;
use super::scene::Scene;
use crate::fabric_log::FingerprintKind;
use crate::library::Version;
use crate::node::{Access, Uverbs};

/// The last libfabric in which one verbs device hides the others; 2.6.0 reports itself as 2.6.
const LAST_THAT_HIDES: Version = Version { major: 2, minor: 6 };
const HIDES_ALL: &str = "https://github.com/ofiwg/libfabric/issues/12708";
const DEVICE_PLUGIN: &str = "https://docs.aws.amazon.com/eks/latest/userguide/node-efa.html";
const RDMA_CORE: &str = "https://github.com/linux-rdma/rdma-core/tree/master/providers/efa";
const DOCKER_DEVICE: &str = "https://docs.docker.com/reference/cli/docker/container/run/#device";
const KERNEL_VERBS: &str = "https://docs.kernel.org/infiniband/user_verbs.html";

/// How many of the EFA devices have a file under `/dev/infiniband`.
struct Files<'a> {
    missing: Vec<&'a Uverbs>,
    there: usize,
    /// EFA devices for which sysfs lists no verbs device.
    unlisted: Vec<&'a str>,
}

fn files<'a>(scene: &Scene<'a>) -> Files<'a> {
    let node = scene.node;
    let mut files = Files {
        missing: Vec::new(),
        there: 0,
        unlisted: Vec::new(),
    };
    for device in &node.efa_devices {
        let verbs = node
            .uverbs
            .iter()
            .find(|verbs| verbs.ibdev.as_deref() == Some(&device.name));
        match verbs {
            None => files.unlisted.push(&device.name),
            Some(verbs) if verbs.access == Access::Missing => files.missing.push(verbs),
            Some(_) => files.there += 1,
        }
    }
    files
}

/// Whether a recorded tree has no device files at all: then they are not missing.
fn files_are_not_recorded(scene: &Scene<'_>) -> bool {
    scene.node.is_recorded() && !scene.node.seen.device_files
}

fn all_are_missing(scene: &Scene<'_>) -> bool {
    let files = files(scene);
    files.there == 0 && !scene.node.efa_devices.is_empty()
}

/// Without ib_uverbs there is no file to have, wherever the process runs.
fn has_no_uverbs(scene: &Scene<'_>) -> bool {
    hardware::driver_uverbs(scene).status == Status::Failed
}

/// `kubernetes.efa_resource`: a pod gets its device files from the device plugin.
pub(crate) fn kubernetes_resource(scene: &Scene<'_>) -> Finding {
    let check = Check::KubernetesResource;
    if !scene.node.container.is_kubernetes() {
        return Finding::skipped(check, "this is not a Kubernetes pod");
    }
    if scene.node.efa_devices.is_empty() {
        return Finding::skipped(check, "there is no EFA device to give");
    }
    if files_are_not_recorded(scene) {
        return Finding::not_recorded(check, "/dev/infiniband");
    }
    if has_no_uverbs(scene) {
        return Finding::skipped(check, "ib_uverbs comes first");
    }
    if !all_are_missing(scene) {
        return Finding::ok(check, "the pod was given EFA devices");
    }
    missing(
        Finding::failed(check, "this pod was given no EFA device"),
        scene,
    )
    .cause(
        "the container does not ask for the resource vpc.amazonaws.com/efa, or the device plugin \
         does not run on the node",
    )
    .cure(
        "set vpc.amazonaws.com/efa in the container's resources.limits together with \
         hugepages-2Mi; check that aws-efa-k8s-device-plugin knows this instance type. Do not \
         mount \
         /dev/infiniband from the host instead: devices outside the pod's device cgroup hide EFA",
    )
    .reference(DEVICE_PLUGIN)
}

/// `container.devices`.
pub(crate) fn container_devices(scene: &Scene<'_>) -> Finding {
    let check = Check::ContainerDevices;
    let container = &scene.node.container;
    if !container.is_container() || container.is_kubernetes() {
        return Finding::skipped(check, "this is not a plain container");
    }
    if scene.node.efa_devices.is_empty() {
        return Finding::skipped(check, "there is no EFA device to hand in");
    }
    if files_are_not_recorded(scene) {
        return Finding::not_recorded(check, "/dev/infiniband");
    }
    if has_no_uverbs(scene) {
        return Finding::skipped(check, "ib_uverbs comes first");
    }
    if !all_are_missing(scene) {
        return Finding::ok(check, "the container has EFA devices");
    }
    missing(
        Finding::failed(check, "this container has no /dev/infiniband/uverbs* of EFA"),
        scene,
    )
    .cause("the host has EFA devices, and the container was started without their files")
    .cure("start it with --device /dev/infiniband/uverbsN for each EFA device, and --ulimit memlock=-1")
    .reference(DOCKER_DEVICE)
}

/// `verbs.nodes`: files that are missing hide the device that they belong to.
pub(crate) fn nodes(scene: &Scene<'_>) -> Finding {
    let check = Check::VerbsNodes;
    let files = files(scene);
    let total = scene.node.efa_devices.len();
    if total == 0 {
        return Finding::skipped(check, "there is no RDMA device that needs one");
    }
    if files_are_not_recorded(scene) {
        return Finding::not_recorded(check, "/dev/infiniband");
    }
    if has_no_uverbs(scene) {
        return Finding::skipped(check, "ib_uverbs comes first");
    }
    if files.there == total {
        return Finding::ok(check, "every EFA device has its file").evidence(
            "/dev/infiniband",
            format!("{} files, {total} of EFA", scene.node.uverbs.len()),
        );
    }
    let in_container = scene.node.container.is_container();
    if files.there == 0 {
        if in_container {
            return Finding::skipped(check, "the container comes first");
        }
        return missing(
            Finding::failed(check, "no EFA device has a file in /dev/infiniband"),
            scene,
        )
        .cause("ib_uverbs was not loaded when the devices came up, or udev does not run")
        .cure("modprobe ib_uverbs; udevadm trigger --subsystem-match=infiniband_verbs")
        .reference(KERNEL_VERBS);
    }
    let title = format!("{} of {total} EFA devices have a file", files.there);
    if in_container {
        // A share of a node's devices is what a pod asks for.
        return Finding::new(check, Status::Info, title);
    }
    missing(Finding::new(check, Status::Warning, title), scene)
        .cause("udev did not make the others, or something removed them")
        .cure("udevadm trigger --subsystem-match=infiniband_verbs")
        .reference(KERNEL_VERBS)
}

/// `verbs.unopenable`: one file that does not open, even of another kind of card, hides all.
pub(crate) fn unopenable(scene: &Scene<'_>) -> Finding {
    let check = Check::VerbsUnopenable;
    if scene.node.efa_devices.is_empty() {
        return Finding::skipped(check, "there is no EFA device to hide");
    }
    if files_are_not_recorded(scene) {
        return Finding::not_recorded(check, "/dev/infiniband");
    }
    // Files that sysfs does not list are not looked at by libibverbs.
    let denied: Vec<(&Uverbs, i32)> = scene
        .node
        .uverbs
        .iter()
        .filter_map(|verbs| match verbs.access {
            Access::Denied { errno } if verbs.ibdev.is_some() => Some((verbs, errno)),
            _ => None,
        })
        .collect();
    let line = scene
        .fingerprint(FingerprintKind::OpenDeviceFailed)
        .or(scene.fingerprint(FingerprintKind::DeviceSetupFailed));
    if denied.is_empty() && line.is_none() {
        let is_there = |verbs: &Uverbs| verbs.access != Access::Missing;
        return match scene.node.uverbs.iter().any(is_there) {
            false => Finding::skipped(check, "there is no file to open"),
            true => Finding::ok(check, "every file in /dev/infiniband opens"),
        };
    }
    let evidence = denied
        .iter()
        .map(|(verbs, errno)| {
            Evidence::new(
                &verbs.path,
                format!(
                    "{} ({})",
                    std::io::Error::from_raw_os_error(*errno),
                    verbs.ibdev.as_deref().unwrap_or("not in sysfs")
                ),
            )
        })
        .chain(line.map(|line| Evidence::new("libfabric's log", &line.evidence)));
    let title = match denied.as_slice() {
        [] => "libfabric could not open a verbs device".to_owned(),
        [(only, _)] => format!("{} does not open", only.path),
        [(first, _), ..] => format!("{} and {} more do not open", first.path, denied.len() - 1),
    };
    let finding = Finding::new(check, severity(scene, &denied), title)
        .all_evidence(evidence)
        .cause(
            "up to libfabric 2.6.0 a single verbs device that does not open, even one that is not \
             EFA, hides every EFA device",
        )
        .reference(HIDES_ALL);
    if scene.node.container.is_kubernetes() {
        return finding.cure(
            "do not mount /dev/infiniband from the host: let the EFA device plugin put only the \
             pod's own devices there",
        );
    }
    // Where the files open, it is not the container that keeps them.
    if scene.node.container.is_container() && !denied.is_empty() {
        return finding.cure(
            "pass in only the devices of EFA with --device, or allow all that are there; or take \
             a libfabric after 2.6.0",
        );
    }
    finding.cure(match denied.iter().find(|(_, errno)| !is_permission(*errno)) {
        Some((verbs, _)) => format!(
            "dmesg | grep -E 'efa|infiniband|{}': the file exists but its device does not answer; \
             load its driver again, or replace the instance; or take a libfabric after 2.6.0",
            verbs.ibdev.as_deref().unwrap_or_default()
        ),
        None if denied.is_empty() => {
            "dmesg | grep -E 'efa|infiniband': the files open, and libibverbs could not set the \
             device up; check that rdma-core and the efa driver fit together"
                .to_owned()
        }
        None => "let this user open the files (udev rule, group, SELinux), or unload the driver of \
                 the card that is not EFA; or take a libfabric after 2.6.0"
            .to_owned(),
    })
}

/// Whether opening failed for want of a permission, and not because of the device behind the file.
const fn is_permission(errno: i32) -> bool {
    matches!(errno, libc::EACCES | libc::EPERM)
}

/// What files that do not open cost: after libfabric 2.6 only their own devices.
fn severity(scene: &Scene<'_>, denied: &[(&Uverbs, i32)]) -> Status {
    let library = scene.answer.and_then(|answer| answer.library.as_ref());
    if library.is_none_or(|library| library.version <= LAST_THAT_HIDES) || denied.is_empty() {
        return Status::Failed;
    }
    let of_efa = denied
        .iter()
        .filter(|(verbs, _)| {
            let name = verbs.ibdev.as_deref().unwrap_or_default();
            scene.node.efa_device(name).is_some()
        })
        .count();
    match of_efa {
        0 => Status::Info,
        n if n == scene.node.efa_devices.len() => Status::Failed,
        _ => Status::Warning,
    }
}

/// `verbs.rdma_core`.
pub(crate) fn rdma_core(scene: &Scene<'_>) -> Finding {
    let check = Check::VerbsRdmaCore;
    if !scene.has_efa() {
        return Finding::skipped(check, "there is no EFA device to know");
    }
    let Some((needed, generation)) = scene.needed_rdma_core() else {
        let named = scene.node.pci_efa.iter().find_map(|pci| pci.generation);
        return Finding::new(
            check,
            Status::Unknown,
            match named {
                Some(new) => format!("which rdma-core knows {new} is not known here"),
                None => "the generation of the EFA devices is not known".to_owned(),
            },
        )
        .cause("the device is newer than the list of generations of this efa-sdk, or not recorded")
        .cure("run the current EFA installer, whose rdma-core knows current devices");
    };
    let Some(version) = scene.node.software.rdma_core else {
        return Finding::new(
            check,
            Status::Unknown,
            "the version of rdma-core is not known",
        )
        .evidence("libibverbs.so.1.*", "not in the usual directories");
    };
    let evidence = Evidence::new("libibverbs.so.1.*", version);
    if version >= needed {
        return Finding::ok(check, format!("rdma-core {version} knows {generation}"))
            .all_evidence([evidence]);
    }
    Finding::failed(
        check,
        format!("rdma-core {version} is too old for {generation}"),
    )
    .all_evidence([evidence])
    .cause(format!("{generation} is known to rdma-core from {needed}"))
    .cure("run the current EFA installer, or upgrade rdma-core; in a container, in its image")
    .reference(RDMA_CORE)
}

/// `verbs.libefa`.
pub(crate) fn libefa(scene: &Scene<'_>) -> Finding {
    let check = Check::VerbsLibefa;
    if !scene.has_efa() {
        return Finding::skipped(check, "there is no EFA device to drive");
    }
    if !scene.node.seen.libraries {
        return Finding::not_recorded(check, "directories of shared libraries");
    }
    let software = &scene.node.software;
    let library = software.verbs_provider_libraries.first();
    let config = &software.verbs_provider_config;
    let mut finding = match (library, config) {
        (Some(library), Some(_)) => {
            return Finding::ok(check, "rdma-core's efa driver is installed")
                .evidence(library, "there");
        }
        (None, _) => Finding::failed(check, "rdma-core's efa driver is not installed")
            .evidence("libefa-rdmav*.so", "not in the usual directories")
            .cause("without it libibverbs sees the devices and cannot use them"),
        (Some(library), None) => {
            Finding::failed(check, "rdma-core is not configured for its efa driver")
                .evidence(library, "there")
                .evidence("/etc/libibverbs.d/efa.driver", "not there")
                .cause("libibverbs loads the drivers that files in /etc/libibverbs.d name")
        }
    };
    if let Some(line) = scene.fingerprint(FingerprintKind::NoVerbsDevices) {
        finding = finding.evidence("libfabric's log", &line.evidence);
    }
    finding
        .cure("run the EFA installer, or install ibverbs-providers (Debian) or libibverbs (RPM)")
        .reference(RDMA_CORE)
}

fn missing(finding: Finding, scene: &Scene<'_>) -> Finding {
    let files = files(scene);
    let finding = files
        .missing
        .iter()
        .take(4)
        .fold(finding, |finding, verbs| {
            finding.evidence(&verbs.path, "not there")
        });
    files
        .unlisted
        .iter()
        .take(4)
        .fold(finding, |finding, name| {
            finding.evidence(
                "/sys/class/infiniband_verbs/uverbs*/ibdev",
                format!("none names {name}"),
            )
        })
}
