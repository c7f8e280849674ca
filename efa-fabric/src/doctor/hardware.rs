//! From the PCI bus to RDMA devices: hardware and kernel.

use super::finding::{Check, Finding, Status};
use super::scene::Scene;
use efa_core::Catalog;

const EFA_GUIDE: &str = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-start.html";
const EFA_TYPES: &str = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa.html";
const DRIVER: &str = "https://github.com/amzn/amzn-drivers/tree/master/kernel/linux/efa";
const PCI: &str = "/sys/bus/pci/devices";
const RDMA: &str = "/sys/class/infiniband";
const NO_EFA: &str = "no device with vendor 0x1d0f and a device id 0xefa*";
const OFED: &str = "https://github.com/amzn/amzn-drivers/issues/308";

/// `pci.devices`.
pub(crate) fn pci_devices(scene: &Scene<'_>) -> Finding {
    let check = Check::PciDevices;
    let count = scene.efa_count();
    if count > 0 {
        let listed = match scene.node.pci_efa.first().and_then(|pci| pci.generation) {
            Some(generation) => format!("{count} x {generation}"),
            None => format!("{count}, by their RDMA devices"),
        };
        return Finding::ok(check, format!("EFA devices: {listed}")).evidence(PCI, listed);
    }
    if let Some(reason) = scene.by_design() {
        return Finding::skipped(check, format!("no EFA device is expected: {reason}"));
    }
    if !scene.node.seen.pci_bus {
        return match scene.node.is_recorded() {
            true => Finding::not_recorded(check, PCI),
            false => Finding::new(check, Status::Unknown, "the PCI bus cannot be read")
                .evidence(PCI, "not there"),
        };
    }
    if let Some(name) = scene.unknown_type() {
        return Finding::new(
            check,
            Status::Unknown,
            format!("no EFA device, and whether {name} takes EFA is not known"),
        )
        .evidence(PCI, NO_EFA)
        .cause(unknown_type(name))
        .cure(
            "if the type has EFA, launch with interfaces of type efa or efa-only; an efa-sdk with \
             newer data knows it",
        )
        .reference(EFA_TYPES);
    }
    let finding = Finding::failed(check, "no EFA device on the PCI bus")
        .evidence(PCI, NO_EFA)
        .reference(EFA_GUIDE);
    match scene.expected {
        Some(expected) => finding
            .cause(format!(
                "{} takes {} EFA interfaces, and this instance was launched with none, or is a \
                 virtual machine inside one that was not given them",
                expected.instance_type, expected.efa_count
            ))
            .cure(
                "launch with interfaces of type efa or efa-only: EFA is not added to a running \
                 instance",
            ),
        None => finding
            .cause("the machine has no EFA, and does not report its instance type")
            .cure(
                "name the instance type to learn whether it should have EFA, and launch with \
                 interfaces of type efa or efa-only",
            ),
    }
}

/// `pci.count`: fewer than the instance type takes cost bandwidth, and may be on purpose.
pub(crate) fn pci_count(scene: &Scene<'_>) -> Finding {
    let check = Check::PciCount;
    let count = scene.efa_count();
    if count == 0 {
        return Finding::skipped(check, "there is no EFA device to count");
    }
    let Some(expected) = scene.expected else {
        let finding = Finding::new(
            check,
            Status::Unknown,
            format!("{count} EFA devices; how many the instance type takes is not known"),
        );
        return match scene.node.instance_type.as_deref() {
            None => finding
                .cause("the machine does not report its instance type")
                .cure("name the instance type"),
            Some(name) if scene.unknown_type().is_some() => finding
                .cause(unknown_type(name))
                .cure("compare with EC2's documentation of the type; an efa-sdk with newer data knows it")
                .reference(EFA_TYPES),
            Some(name) => finding
                .cause(format!(
                    "{name} has no EFA by EC2's list of {}",
                    Catalog::bundled_date()
                ))
                .cure("check the instance type that was given"),
        };
    };
    let (name, wanted) = (&expected.instance_type, expected.efa_count as usize);
    if count == wanted {
        return Finding::ok(check, format!("{count} EFA devices, all that {name} takes"));
    }
    let addresses: Vec<_> = scene
        .node
        .pci_efa
        .iter()
        .map(|pci| pci.address.as_str())
        .collect();
    let finding = Finding::new(
        check,
        Status::Warning,
        format!("{count} EFA devices, where {name} takes {wanted}"),
    )
    .evidence(PCI, addresses.join(" "))
    .reference(EFA_TYPES);
    if count > wanted {
        return finding
            .cause("the instance type is another one, or newer than the list of types here")
            .cure("check the instance type that was given");
    }
    finding
        .cause(
            "the instance was launched with fewer interfaces, or devices are still coming up, as \
             on p5en some seconds after boot",
        )
        .cure("check again after 15 s; then launch with an EFA interface on every network card")
}

/// Why nothing is known of a type.
fn unknown_type(name: &str) -> String {
    let nearest = Catalog::bundled().nearest(name);
    let near = match nearest.as_slice() {
        [] => String::new(),
        _ => format!("; names like it are {}", nearest.join(", ")),
    };
    format!(
        "{name} is not in the list of instance types here, which is of {}{near}",
        Catalog::bundled_date()
    )
}

/// `driver.ofed`: NVIDIA's OFED replaces the kernel's RDMA core. An efa driver that was built for
/// another core does not load, or loads and cannot register its devices.
pub(crate) fn driver_ofed(scene: &Scene<'_>) -> Finding {
    let check = Check::DriverOfed;
    if !scene.has_efa() {
        return Finding::skipped(check, "there is no EFA device to drive");
    }
    match scene.is_loaded("mlx_compat") {
        Some(true) => {}
        Some(false) => return Finding::ok(check, "the kernel's own RDMA core is loaded"),
        None => {
            return Finding::new(
                check,
                Status::Unknown,
                "the kernel's modules cannot be read",
            )
            .evidence("/proc/modules, /sys/module", "not readable");
        }
    }
    let efa = &scene.node.efa_devices;
    if !efa.is_empty() {
        return Finding::new(
            check,
            Status::Info,
            "NVIDIA's OFED is loaded, and the efa driver works with it",
        )
        .evidence("/sys/module/mlx_compat", "there");
    }
    let title = match scene.is_loaded("efa") {
        Some(true) => "the efa driver cannot register its devices with NVIDIA's OFED",
        _ => "NVIDIA's OFED is loaded, and the efa driver does not load with it",
    };
    Finding::failed(check, title)
        .evidence("/sys/module/mlx_compat", "there")
        .evidence(
            RDMA,
            format!("{} of {} EFA devices", efa.len(), scene.node.pci_efa.len()),
        )
        .cause(
            "NVIDIA's OFED (MOFED, DOCA) replaces ib_core and ib_uverbs; an efa driver that was \
             built for the kernel's own disagrees with them about symbols",
        )
        .cure(
            "dmesg | grep -E 'efa|symbol'; remove OFED, which EFA does not need, and reboot, or \
             build the efa driver again against it with the EFA installer",
        )
        .reference(OFED)
}

/// `driver.module`.
pub(crate) fn driver_module(scene: &Scene<'_>) -> Finding {
    let check = Check::DriverModule;
    if !scene.has_efa() {
        return Finding::skipped(check, "there is no EFA device to drive");
    }
    let loaded = scene.is_loaded("efa");
    if loaded == Some(true) || !scene.node.efa_devices.is_empty() {
        return Finding::ok(
            check,
            match driver_version(scene) {
                Some(version) => format!("the efa driver {version} is loaded"),
                None => "the kernel's own efa driver is loaded".to_owned(),
            },
        );
    }
    if loaded.is_none() {
        return Finding::new(
            check,
            Status::Unknown,
            "the kernel's modules cannot be read",
        )
        .evidence("/proc/modules, /sys/module", "not readable");
    }
    Finding::failed(check, "the kernel module efa is not loaded")
        .evidence("/proc/modules, /sys/module/efa", "not there")
        .cause(
            "the EFA installer did not run, or the kernel was replaced and the module was not \
             built again for it (DKMS)",
        )
        .cure("modprobe efa; if that fails, run the EFA installer for this kernel and reboot")
        .reference(EFA_GUIDE)
}

/// `driver.uverbs`.
pub(crate) fn driver_uverbs(scene: &Scene<'_>) -> Finding {
    let check = Check::DriverUverbs;
    if driver_module(scene).status != Status::Ok {
        return Finding::skipped(check, "the efa driver comes first");
    }
    let loaded = scene.is_loaded("ib_uverbs");
    if loaded == Some(true) || !scene.node.uverbs.is_empty() {
        return Finding::ok(check, "ib_uverbs is loaded");
    }
    if loaded.is_none() {
        return Finding::not_recorded(check, "/proc/modules");
    }
    Finding::failed(check, "the kernel module ib_uverbs is not loaded")
        .evidence("/proc/modules, /sys/module/ib_uverbs", "not there")
        .cause("without it there is no /dev/infiniband/uverbs* for libfabric to open")
        .cure("modprobe ib_uverbs, and name it in /etc/modules-load.d for the next boot")
        .reference(EFA_GUIDE)
}

/// `driver.device_id`: a driver leaves alone what its table does not list.
pub(crate) fn driver_device_id(scene: &Scene<'_>) -> Finding {
    let check = Check::DriverDeviceId;
    let pci = &scene.node.pci_efa;
    if driver_module(scene).status != Status::Ok || pci.is_empty() {
        return Finding::skipped(check, "the efa driver comes first");
    }
    let taken_by_other = pci.iter().find_map(|pci| {
        let driver = pci.driver.as_deref().filter(|driver| *driver != "efa")?;
        Some((pci, driver))
    });
    if let Some((pci, driver)) = taken_by_other {
        return Finding::failed(
            check,
            format!("{} is bound to the driver {driver}", pci.address),
        )
        .evidence(format_args!("{PCI}/{}/driver", pci.address), driver)
        .cause("a device that is set aside for a virtual machine cannot be used on the host")
        .cure("bind the device to the driver efa")
        .reference(DRIVER);
    }
    let unbound: Vec<_> = pci.iter().filter(|pci| pci.driver.is_none()).collect();
    // Where the link is not there to read, the RDMA device shows that the driver took it.
    let Some(first) = unbound
        .first()
        .filter(|_| scene.node.efa_devices.len() < pci.len())
    else {
        return Finding::ok(check, "the efa driver took every EFA device");
    };
    let version = driver_version(scene);
    let finding = Finding::failed(
        check,
        format!(
            "the efa driver left {} of {} EFA devices alone",
            unbound.len(),
            pci.len()
        ),
    )
    .evidence(format_args!("{PCI}/{}/driver", first.address), "not there")
    .evidence("/sys/module/efa/version", version.unwrap_or("not there"))
    .reference(DRIVER);
    let Some(generation) = first.generation else {
        return finding.cure("dmesg | grep efa");
    };
    match (version.and_then(two_numbers), generation.minimum_driver()) {
        (Some(have), Some(need)) if have < need => finding
            .cause(format!(
                "the driver knows {generation} from {}.{}, and {} is loaded",
                need.0,
                need.1,
                version.unwrap_or_default()
            ))
            .cure("install the current EFA installer, or a newer kernel, and reboot"),
        (Some(_), None) if generation.number() > 0 => finding
            .cause(format!(
                "which driver knows {generation} is not known here: it is newer than this one, or \
                 starting the device failed"
            ))
            .cure("dmesg | grep efa; install the current EFA installer and reboot"),
        (Some(_), _) => finding
            .cause(format!(
                "the driver should know {generation}: starting the device failed"
            ))
            .cure("dmesg | grep efa; reboot, and replace the instance if it persists"),
        (None, _) => finding
            .cause(format!(
                "the kernel's own driver is older than {generation}, or starting the device failed"
            ))
            .cure("dmesg | grep efa; install the current EFA installer, or a newer kernel"),
    }
}

/// `rdma.devices`.
pub(crate) fn rdma_devices(scene: &Scene<'_>) -> Finding {
    let check = Check::RdmaDevices;
    if driver_module(scene).status != Status::Ok {
        return Finding::skipped(check, "the efa driver comes first");
    }
    let (pci, efa) = (scene.node.pci_efa.len(), &scene.node.efa_devices);
    let others = scene.node.other_rdma_devices.len();
    let all_were_taken = driver_device_id(scene).status != Status::Failed;
    let names: Vec<_> = efa.iter().map(|device| device.name.as_str()).collect();
    if efa.is_empty() {
        if !all_were_taken {
            return Finding::skipped(check, "the efa driver did not take the devices");
        }
        return Finding::failed(check, "the efa driver has made no RDMA device")
            .evidence(RDMA, format!("no EFA device, {others} others"))
            .cause("the driver took the devices and could not register them")
            .cure(
                "dmesg | grep -E 'efa|infiniband'; in a container, check that it sees the host's \
                 /sys",
            )
            .reference(DRIVER);
    }
    if efa.len() < pci && all_were_taken {
        return Finding::new(
            check,
            Status::Warning,
            format!("{} of {pci} EFA devices have an RDMA device", efa.len()),
        )
        .evidence(RDMA, names.join(" "))
        .cause("the driver could not register the others")
        .cure("dmesg | grep -E 'efa|infiniband'")
        .reference(DRIVER);
    }
    let others = match others {
        0 => String::new(),
        n => format!(", besides {n} RDMA devices of other drivers"),
    };
    Finding::ok(check, format!("{} EFA devices{others}", efa.len())).evidence(RDMA, names.join(" "))
}

/// `rdma.ports`.
pub(crate) fn rdma_ports(scene: &Scene<'_>) -> Finding {
    let check = Check::RdmaPorts;
    let efa = &scene.node.efa_devices;
    let states: Vec<_> = efa
        .iter()
        .filter_map(|device| Some((&device.name, device.port_state.as_deref()?)))
        .collect();
    if efa.is_empty() {
        return Finding::skipped(check, "there is no RDMA device of EFA");
    }
    if states.is_empty() {
        return Finding::new(check, Status::Unknown, "no state of a port can be read").evidence(
            format_args!("{RDMA}/*/ports/1/state"),
            "not recorded, or not readable",
        );
    }
    let down: Vec<_> = states
        .iter()
        .filter(|(_, state)| *state != "ACTIVE")
        .collect();
    if down.is_empty() {
        return match efa.len() - states.len() {
            0 => Finding::ok(check, "every port is active"),
            n => Finding::new(
                check,
                Status::Unknown,
                format!("the state of {n} of {} ports cannot be read", efa.len()),
            ),
        };
    }
    // Without a single link nothing can be sent, whatever libfabric offers.
    let (status, title) = match down.len() == efa.len() {
        true if efa.len() == 1 => (Status::Failed, "the only port is not active".to_owned()),
        true => (
            Status::Failed,
            format!("none of {} ports is active", efa.len()),
        ),
        false => (
            Status::Warning,
            format!("{} of {} ports are not active", down.len(), states.len()),
        ),
    };
    down.iter()
        .fold(
            Finding::new(check, status, title),
            |finding, (name, state)| {
                finding.evidence(format_args!("{RDMA}/{name}/ports/1/state"), state)
            },
        )
        .cause("the device lost its link, or is being reset")
        .cure("dmesg | grep efa; replace the instance if it persists")
        .reference(DRIVER)
}

fn driver_version<'a>(scene: &Scene<'a>) -> Option<&'a str> {
    scene.node.module("efa")?.version.as_deref()
}

/// The first two numbers of a version such as `2.10.0g`.
fn two_numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|part| {
        let end = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        part[..end].parse().ok()
    });
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driver_versions() {
        assert_eq!(two_numbers("2.10.0g"), Some((2, 10)));
        assert_eq!(two_numbers("1.9g"), Some((1, 9)));
        assert_eq!(two_numbers("x"), None);
        assert_eq!(two_numbers("2"), None);
    }
}
