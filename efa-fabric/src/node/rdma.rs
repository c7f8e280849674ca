//! RDMA devices in sysfs, and the verbs devices through which programs use them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::pci::{EfaGeneration, PciDevice, nearest};
use super::root::NodeRoot;

const CLASS: &str = "/sys/class/infiniband";
const VERBS_CLASS: &str = "/sys/class/infiniband_verbs";
const DEVICES: &str = "/dev/infiniband";
/// Counters of one device that are read; the driver has about 40.
const MAX_COUNTERS: usize = 512;

/// An RDMA device that is not EFA, such as a Mellanox card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RdmaDevice {
    /// The name in `/sys/class/infiniband`, such as `mlx5_0`.
    pub name: String,
    /// Vendor id, such as `0x15b3`.
    pub vendor: Option<String>,
    /// Device id.
    pub device: Option<String>,
    /// The driver.
    pub driver: Option<String>,
    /// The PCI address.
    pub pci_address: Option<String>,
}

/// An EFA device as the kernel's driver shows it, from `/sys/class/infiniband`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EfaDevice {
    /// The name, such as `rdmap0s6`: libfabric's domain is this and `-rdm`.
    pub name: String,
    /// The PCI address.
    pub pci_address: Option<String>,
    /// The bridge on the PCI path right above the device, or the host bridge. Devices with the
    /// same one sit together; whether they are one Nitro card is not reported by the kernel.
    pub pci_group: Option<String>,
    /// NUMA node.
    pub numa_node: Option<u32>,
    /// The generation by PCI id.
    pub generation: Option<EfaGeneration>,
    /// The driver that is bound to it.
    pub driver: Option<String>,
    /// State of its port, such as `ACTIVE`.
    pub port_state: Option<String>,
    /// Rate of its port in Gbit/s, from `ports/1/rate`.
    pub rate_gbps: Option<f64>,
    /// Its verbs device, such as `uverbs0`.
    pub uverbs: Option<String>,
    /// What gives peer-to-peer access to device memory, such as `NVIDIA`: the driver's file
    /// `p2p`. Empty text means none, `None` that the driver has no such file (before 2.6.0).
    pub p2p: Option<String>,
    /// The GUID of the node.
    pub node_guid: Option<String>,
    /// Counters of the port and of the device (`hw_counters`), by name.
    pub counters: BTreeMap<String, u64>,
    /// PCI addresses of the GPUs whose PCI path has most in common: all that are equally near.
    pub nearest_gpus: Vec<String>,
}

/// The result of opening a device for reading and writing, as libibverbs does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Access {
    /// It opened.
    Openable,
    /// There is no such file: not mounted into a container, or udev did not make it.
    Missing,
    /// It is there and did not open.
    Denied {
        /// The error number, such as 13 for `EACCES`.
        errno: i32,
    },
}

/// A verbs device. Up to libfabric 2.6.0 a single one that does not open hides every EFA device,
/// even if it belongs to another kind of card (ofiwg/libfabric#12708).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Uverbs {
    /// The name, such as `uverbs0`.
    pub name: String,
    /// The RDMA device that it belongs to; `None` for a file in `/dev/infiniband` that sysfs
    /// does not have.
    pub ibdev: Option<String>,
    /// Where it should be, such as `/dev/infiniband/uverbs0`.
    pub path: String,
    /// Whether this process can open it.
    pub access: Access,
}

/// The file `p2p` of an EFA device; see [`EfaDevice::p2p`].
pub(crate) fn p2p(root: &NodeRoot, device: &str) -> Option<String> {
    // Not a path that a domain's name could lead elsewhere.
    let is_name = !device.is_empty() && !device.contains(['/', '\0']) && device != "..";
    let bytes = root.bytes(&format!("{CLASS}/{device}/device/p2p"), 64);
    bytes
        .filter(|_| is_name)
        .map(|text| String::from_utf8_lossy(&text).trim().to_owned())
}

/// The EFA devices by PCI address, and the others by name.
pub(super) fn read_devices(
    root: &NodeRoot,
    gpus: &[PciDevice],
    uverbs: &[Uverbs],
) -> (Vec<EfaDevice>, Vec<RdmaDevice>) {
    let (mut efa, mut others) = (Vec::new(), Vec::new());
    for name in root.names(CLASS) {
        let directory = format!("{CLASS}/{name}");
        let pci = PciDevice::read(root, &format!("{directory}/device"));
        let generation = pci.as_ref().and_then(|pci| pci.generation);
        let driver = pci.as_ref().and_then(|pci| pci.driver.clone());
        // The driver decides for ids that are not known here, the id where the link is lost.
        if generation.is_none() && driver.as_deref() != Some("efa") {
            others.push(RdmaDevice {
                name,
                vendor: pci.as_ref().and_then(|pci| pci.vendor.clone()),
                device: pci.as_ref().and_then(|pci| pci.device.clone()),
                driver,
                pci_address: pci.map(|pci| pci.address),
            });
            continue;
        }
        let path = pci.as_ref().map_or(&[][..], |pci| &pci.path);
        efa.push(EfaDevice {
            pci_group: path.len().checked_sub(2).map(|at| path[at].clone()),
            nearest_gpus: nearest(path, gpus),
            numa_node: pci.as_ref().and_then(|pci| pci.numa_node),
            port_state: root
                .line(&format!("{directory}/ports/1/state"))
                .map(|line| port_state(&line).to_owned()),
            rate_gbps: root
                .line(&format!("{directory}/ports/1/rate"))
                .and_then(|line| rate_gbps(&line)),
            uverbs: uverbs
                .iter()
                .find(|verbs| verbs.ibdev.as_deref() == Some(&name))
                .map(|verbs| verbs.name.clone()),
            p2p: p2p(root, &name),
            node_guid: root.line(&format!("{directory}/node_guid")),
            counters: counters(root, &name),
            pci_address: pci.map(|pci| pci.address),
            generation,
            driver,
            name,
        });
    }
    efa.sort_by(|a, b| (&a.pci_address, &a.name).cmp(&(&b.pci_address, &b.name)));
    (efa, others)
}

/// The counters of a device now; those of the port win where both have a name.
pub(crate) fn counters(root: &NodeRoot, device: &str) -> BTreeMap<String, u64> {
    let mut counters = BTreeMap::new();
    for directory in ["hw_counters", "ports/1/hw_counters"] {
        let directory = format!("{CLASS}/{device}/{directory}");
        for name in root.names(&directory).into_iter().take(MAX_COUNTERS) {
            // `lifespan` is a setting that lies among the counters.
            if name == "lifespan" {
                continue;
            }
            if let Some(value) = root.number(&format!("{directory}/{name}")) {
                counters.insert(name, value);
            }
        }
    }
    counters
}

/// The verbs devices of sysfs and of `/dev/infiniband`, by number, each opened once.
pub(super) fn read_uverbs(root: &NodeRoot) -> Vec<Uverbs> {
    let listed = root.names(VERBS_CLASS);
    let known: BTreeSet<&String> = listed.iter().collect();
    let stray: Vec<String> = root
        .names(DEVICES)
        .into_iter()
        .filter(|name| !known.contains(name))
        .collect();
    listed
        .iter()
        .chain(&stray)
        .filter(|name| is_uverbs(name))
        .map(|name| {
            let path = format!("{DEVICES}/{name}");
            Uverbs {
                ibdev: root.line(&format!("{VERBS_CLASS}/{name}/ibdev")),
                access: access(root, &path),
                name: name.clone(),
                path,
            }
        })
        .collect()
}

fn access(root: &NodeRoot, path: &str) -> Access {
    match root.open_read_write(path) {
        Ok(_) => Access::Openable,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Access::Missing,
        Err(error) => Access::Denied {
            errno: error.raw_os_error().unwrap_or(0),
        },
    }
}

fn is_uverbs(name: &str) -> bool {
    name.strip_prefix("uverbs")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// `ACTIVE` of `4: ACTIVE`.
fn port_state(line: &str) -> &str {
    line.split_once(": ").map_or(line, |(_, state)| state)
}

/// 100 of `100 Gb/sec (4X EDR)`; `None` for other units, and for 0, which drivers write when
/// they do not know.
fn rate_gbps(line: &str) -> Option<f64> {
    let (number, rest) = line.split_once(' ')?;
    let rate: f64 = number.parse().ok()?;
    (rest.starts_with("Gb/sec") && rate.is_finite() && rate > 0.0).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_from_the_kernel_s_text() {
        for (line, expected) in [
            ("100 Gb/sec (4X EDR)", Some(100.0)),
            ("2.5 Gb/sec (1X SDR)", Some(2.5)),
            ("400 Gb/sec", Some(400.0)),
            ("0 Gb/sec", None),
            ("-1 Gb/sec", None),
            ("inf Gb/sec", None),
            ("NaN Gb/sec", None),
            ("100 Mb/sec", None),
            ("100", None),
            ("fast", None),
            ("", None),
        ] {
            assert_eq!(rate_gbps(line), expected, "{line}");
        }
    }

    #[test]
    fn states_lose_their_number() {
        for (line, expected) in [("4: ACTIVE", "ACTIVE"), ("1: DOWN", "DOWN"), ("odd", "odd")] {
            assert_eq!(port_state(line), expected);
        }
    }

    #[test]
    fn peer_to_peer_is_read_of_one_device_and_nowhere_else() {
        use crate::gpu::{GpuDirect, Observed, judge};
        let root = std::env::temp_dir().join(format!("efa-p2p-{}", std::process::id()));
        let devices = [
            ("rdmap0s1", Some("NVIDIA\n"), GpuDirect::Unknown),
            ("rdmap0s2", Some("NVIDIA peermem\n"), GpuDirect::Unknown),
            ("rdmap0s3", Some("\n"), GpuDirect::Disproven),
            ("rdmap0s4", Some("NEURON\n"), GpuDirect::Disproven),
            ("rdmap0s5", None, GpuDirect::Unknown),
        ];
        for (name, text, _) in devices {
            let directory = root.join(format!("sys/class/infiniband/{name}/device"));
            std::fs::create_dir_all(&directory).unwrap();
            if let Some(text) = text {
                std::fs::write(directory.join("p2p"), text).unwrap();
            }
        }
        let tree = NodeRoot::new(&root);
        for (name, text, expected) in devices {
            let found = p2p(&tree, name);
            assert_eq!(found.as_deref(), text.map(str::trim), "{name}");
            let seen = Observed {
                provider: "efa".into(),
                fabric: "efa".into(),
                device: Some(name.into()),
                p2p: found,
                ..Observed::default()
            };
            assert_eq!(judge(&seen).0, expected, "{name}");
        }
        for other in ["", "rdmap0s9", "../infiniband/rdmap0s1", "..", "lo/.."] {
            assert_eq!(p2p(&tree, other), None, "{other}");
        }
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn only_verbs_devices_count() {
        for (name, expected) in [
            ("uverbs0", true),
            ("uverbs192", true),
            ("uverbs", false),
            ("uverbsx", false),
            ("rdma_cm", false),
            ("abi_version", false),
        ] {
            assert_eq!(is_uverbs(name), expected, "{name}");
        }
    }
}
