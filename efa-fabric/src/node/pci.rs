//! PCI devices of a machine: which are EFA, which are GPUs, which are near one another.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::root::NodeRoot;

/// Vendor of EFA devices.
const AMAZON: &str = "0x1d0f";
/// Vendor of GPUs that the inventory lists.
const NVIDIA: &str = "0x10de";

/// The generation of an EFA device, after its PCI device id: `0xefa1` is `efa1`.
///
/// The ids are those of the kernel's table (drivers/infiniband/hw/efa/efa_main.c); an id of the
/// form `0xefaN` that is newer than this crate is a generation without known requirements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct EfaGeneration(u8);

impl EfaGeneration {
    /// Returns the generation of a PCI vendor and device id as sysfs writes them, such as `0x1d0f`
    /// and `0xefa1`; `None` for other devices.
    #[must_use]
    pub fn from_ids(vendor: &str, device: &str) -> Option<Self> {
        let number = device.strip_prefix("0xefa")?;
        (vendor == AMAZON && number.len() == 1)
            .then(|| u8::from_str_radix(number, 16).ok().map(Self))
            .flatten()
    }

    /// Returns the number: 1 for `efa1`.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Returns the first rdma-core whose efa provider knows the id (rdma-core, providers/efa).
    #[must_use]
    pub const fn minimum_rdma_core(self) -> Option<u32> {
        match self.0 {
            0 => Some(24),
            1 => Some(31),
            2 => Some(43),
            3 => Some(53),
            4 => Some(64),
            _ => None,
        }
    }

    /// Returns the first version of Amazon's kernel driver that knows the id; `None` where not
    /// known, and for `efa0`, which all know.
    #[must_use]
    pub const fn minimum_driver(self) -> Option<(u32, u32)> {
        match self.0 {
            1 => Some((1, 9)),
            2 => Some((2, 1)),
            3 => Some((2, 12)),
            _ => None,
        }
    }
}

impl fmt::Display for EfaGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "efa{:x}", self.0)
    }
}

impl From<EfaGeneration> for String {
    fn from(generation: EfaGeneration) -> Self {
        generation.to_string()
    }
}

impl TryFrom<String> for EfaGeneration {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::from_ids(AMAZON, &format!("0x{text}"))
            .ok_or_else(|| format!("{text:?} is not a generation of EFA"))
    }
}

/// A PCI device, from `/sys/bus/pci/devices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PciDevice {
    /// `domain:bus:device.function`, such as `0000:00:06.0`.
    pub address: String,
    /// Vendor id, such as `0x1d0f`.
    pub vendor: Option<String>,
    /// Device id, such as `0xefa1`.
    pub device: Option<String>,
    /// The generation, of EFA devices.
    pub generation: Option<EfaGeneration>,
    /// The driver that is bound to it.
    pub driver: Option<String>,
    /// NUMA node; `None` where the kernel reports -1 or nothing.
    pub numa_node: Option<u32>,
    /// The PCI addresses on the way to it: the host bridge (`pci0000:00`), bridges, itself.
    pub path: Vec<String>,
}

impl PciDevice {
    /// Reads the device whose directory is at this path of the machine.
    pub(super) fn read(root: &NodeRoot, directory: &str) -> Option<Self> {
        let path = pci_path(root, directory)?;
        let address = path.last()?.clone();
        let file = |name: &str| root.line(&format!("{directory}/{name}"));
        let (vendor, device) = (file("vendor"), file("device"));
        Some(Self {
            generation: vendor
                .as_deref()
                .zip(device.as_deref())
                .and_then(|(vendor, device)| EfaGeneration::from_ids(vendor, device)),
            address,
            vendor,
            device,
            driver: root.link_name(&format!("{directory}/driver")),
            // The kernel writes -1 where it does not know, which is no u32.
            numa_node: root.number(&format!("{directory}/numa_node")),
            path,
        })
    }
}

/// The EFA devices and the GPUs on the PCI bus, by address.
pub(super) fn read_bus(root: &NodeRoot) -> (Vec<PciDevice>, Vec<PciDevice>) {
    let bus = "/sys/bus/pci/devices";
    let (mut efa, mut gpus) = (Vec::new(), Vec::new());
    for name in root.names(bus) {
        let directory = format!("{bus}/{name}");
        let file = |name: &str| root.line(&format!("{directory}/{name}"));
        let Some(vendor) = file("vendor") else {
            continue;
        };
        // Class 0x03 is a display controller, which data centre GPUs are as well (PCI code and
        // id assignment).
        let is_gpu = vendor == NVIDIA && file("class").is_some_and(|c| c.starts_with("0x03"));
        if vendor != AMAZON && !is_gpu {
            continue;
        }
        let Some(device) = PciDevice::read(root, &directory) else {
            continue;
        };
        if is_gpu {
            gpus.push(device);
        } else if device.generation.is_some() {
            efa.push(device);
        }
    }
    (efa, gpus)
}

/// The part of a device's real directory that is PCI: from the host bridge to the device.
fn pci_path(root: &NodeRoot, directory: &str) -> Option<Vec<String>> {
    let real = root.resolve(directory)?;
    let names: Vec<String> = real
        .iter()
        .filter_map(|name| name.to_str().map(str::to_owned))
        .collect();
    let last = names.iter().rposition(|name| is_pci_address(name))?;
    let first = names
        .iter()
        .position(|name| (name.starts_with("pci") && name.contains(':')) || is_pci_address(name))?;
    Some(names[first..=last].to_vec())
}

/// Whether a name has the form `0000:00:06.0`. Domains may have more than four digits.
fn is_pci_address(name: &str) -> bool {
    let hex = |text: &str, length: std::ops::RangeInclusive<usize>| {
        length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let mut parts = name.split(':');
    let (Some(domain), Some(bus), Some(rest), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    rest.split_once('.').is_some_and(|(device, function)| {
        hex(domain, 4..=8) && hex(bus, 2..=2) && hex(device, 2..=2) && hex(function, 1..=1)
    })
}

/// The GPUs whose PCI path has most in common with this one, at least the host bridge: all that
/// are equally near, by address.
pub(super) fn nearest(path: &[String], gpus: &[PciDevice]) -> Vec<String> {
    let shared = |gpu: &PciDevice| {
        path.iter()
            .zip(&gpu.path)
            .take_while(|(one, other)| one == other)
            .count()
    };
    let most = gpus.iter().map(shared).max().unwrap_or(0);
    gpus.iter()
        .filter(|gpu| most > 0 && shared(gpu) == most)
        .map(|gpu| gpu.address.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(path: &[&str]) -> PciDevice {
        PciDevice {
            address: path.last().unwrap().to_string(),
            vendor: None,
            device: None,
            generation: None,
            driver: None,
            numa_node: None,
            path: strings(path),
        }
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn generations_are_read_from_ids() {
        for (vendor, device, expected) in [
            ("0x1d0f", "0xefa0", Some("efa0")),
            ("0x1d0f", "0xefa4", Some("efa4")),
            ("0x1d0f", "0xefa9", Some("efa9")),
            ("0x1d0f", "0xec20", None), // ENA
            ("0x1d0f", "0xefa", None),
            ("0x1d0f", "0xefa11", None),
            ("0x1d0f", "0xefa\u{e9}", None),
            ("0x15b3", "0xefa1", None),
        ] {
            let generation = EfaGeneration::from_ids(vendor, device);
            assert_eq!(
                generation.map(|g| g.to_string()).as_deref(),
                expected,
                "{vendor} {device}"
            );
        }
        let efa3 = EfaGeneration::from_ids("0x1d0f", "0xefa3").unwrap();
        assert_eq!(
            (efa3.minimum_rdma_core(), efa3.minimum_driver()),
            (Some(53), Some((2, 12)))
        );
        let json = serde_json::to_string(&efa3).unwrap();
        assert_eq!(json, "\"efa3\"");
        assert_eq!(serde_json::from_str::<EfaGeneration>(&json).unwrap(), efa3);
        assert!(serde_json::from_str::<EfaGeneration>("\"ena\"").is_err());
    }

    #[test]
    fn pci_addresses_are_distinguished_from_other_names() {
        for (name, expected) in [
            ("0000:00:06.0", true),
            ("10000:e1:00.0", true),
            ("pci0000:00", false),
            ("0000:00:06", false),
            ("0000:00:6.0", false),
            ("0000:00:06.0:1", false),
            ("infiniband", false),
            ("", false),
        ] {
            assert_eq!(is_pci_address(name), expected, "{name}");
        }
    }

    #[test]
    fn the_nearest_gpus_share_most_of_the_path() {
        let near = gpu(&["pci0000:10", "0000:10:01.0", "0000:11:00.0"]);
        let twin = gpu(&["pci0000:10", "0000:10:01.0", "0000:12:00.0"]);
        let far = gpu(&["pci0000:10", "0000:10:02.0", "0000:13:00.0"]);
        let other = gpu(&["pci0000:90", "0000:91:00.0"]);
        let all = [near, twin, far, other];
        for (path, expected) in [
            (
                &["pci0000:10", "0000:10:01.0", "0000:14:00.0"][..],
                &["0000:11:00.0", "0000:12:00.0"][..],
            ),
            (&["pci0000:90", "0000:90:1b.0"], &["0000:91:00.0"]),
            (
                &["pci0000:10", "0000:10:03.0"],
                &["0000:11:00.0", "0000:12:00.0", "0000:13:00.0"],
            ),
            (&["pci0000:a0", "0000:a0:01.0"], &[]),
            (&[], &[]),
        ] {
            assert_eq!(nearest(&strings(path), &all), expected, "{path:?}");
        }
        assert!(nearest(&strings(&["pci0000:10"]), &[]).is_empty());
    }
}
