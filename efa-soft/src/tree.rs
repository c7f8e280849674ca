//! The tree of sysfs: finding devices in one, and making one where there is none.

use std::ffi::CString;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::addresses;
use crate::control::COUNTERS;
use crate::settings::{Settings, hexadecimal};

/// Devices of a host at most.
pub(crate) const MAX_DEVICES: usize = 32;
/// PCI vendor of EFA.
const VENDOR: u64 = 0x1d0f;

/// A device that a tree shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Such as `rdmap16s27`.
    pub(crate) name: String,
    /// Such as `uverbs0`.
    pub(crate) uverbs: String,
    pub(crate) ip: Ipv4Addr,
    /// Index on its host, from the GID.
    pub(crate) index: u8,
    /// PCI device id.
    pub(crate) part: u64,
}

/// The EFA devices of the tree at `root`, by the number of their uverbs. One whose GID is not that of
/// a soft device is left out.
pub(crate) fn scan(root: &Path) -> Vec<Found> {
    let Ok(folder) = fs::read_dir(root.join("class/infiniband_verbs")) else {
        return Vec::new();
    };
    let mut numbers: Vec<u32> = folder
        .filter_map(|entry| {
            entry
                .ok()?
                .file_name()
                .to_str()?
                .strip_prefix("uverbs")?
                .parse()
                .ok()
        })
        .collect();
    numbers.sort_unstable();
    numbers
        .into_iter()
        .filter_map(|number| found(root, number))
        .take(MAX_DEVICES)
        .collect()
}

fn found(root: &Path, number: u32) -> Option<Found> {
    let uverbs = format!("uverbs{number}");
    let verbs = root.join("class/infiniband_verbs").join(&uverbs);
    let read = |path: PathBuf| Some(fs::read_to_string(path).ok()?.trim().to_owned());
    let name = read(verbs.join("ibdev"))?;
    if name.is_empty() || name.len() > 60 || name.contains('/') {
        return None;
    }
    let device = root.join("class/infiniband").join(&name);
    if hexadecimal(&read(device.join("device/vendor"))?)? != VENDOR {
        return None;
    }
    let part = hexadecimal(&read(device.join("device/device"))?)?;
    let (ip, index) = addresses::of_gid(&parse_gid(&read(device.join("ports/1/gids/0"))?)?)?;
    ((index as usize) < MAX_DEVICES).then_some(Found {
        name,
        uverbs,
        ip,
        index,
        part,
    })
}

/// A GID as sysfs writes it: eight groups of four digits.
fn parse_gid(text: &str) -> Option<[u8; 16]> {
    let mut raw = [0; 16];
    let mut groups = text.split(':');
    for pair in raw.chunks_exact_mut(2) {
        let group = groups.next()?;
        let value = u16::from_str_radix(group, 16)
            .ok()
            .filter(|_| group.len() == 4)?;
        pair.copy_from_slice(&value.to_be_bytes());
    }
    groups.next().is_none().then_some(raw)
}

fn groups(bytes: &[u8]) -> String {
    let text = |pair: &[u8]| format!("{:02x}{:02x}", pair[0], pair[1]);
    bytes
        .chunks_exact(2)
        .map(text)
        .collect::<Vec<_>>()
        .join(":")
}

/// Makes a tree with the devices of the settings. `efa_sdk.testing.SoftEfa` makes better ones, which
/// fit an instance type; this one is enough for libfabric.
pub(crate) fn make(root: &Path, settings: &Settings) -> io::Result<()> {
    let count = settings.devices.unwrap_or(1).min(MAX_DEVICES);
    for index in 0..count {
        let bus = 16 + 16 * (index / 4);
        let slot = 27 + index % 4;
        let pci = format!("0000:{bus:02x}:{slot:02x}.0");
        let name = format!("rdmap{bus}s{slot}");
        let ip = settings.ip.get(index).or(settings.ip.last()).copied();
        let part = settings
            .parts
            .get(index)
            .or(settings.parts.last())
            .copied()
            .unwrap_or(0xefa2);
        let device = Making {
            root,
            pci,
            bus,
            name,
            index,
            part,
            gbps: settings.gbps,
        };
        device.make(ip.unwrap_or(Ipv4Addr::LOCALHOST))?;
    }
    Ok(())
}

struct Making<'a> {
    root: &'a Path,
    pci: String,
    bus: usize,
    name: String,
    index: usize,
    part: u64,
    gbps: u64,
}

impl Making<'_> {
    fn make(&self, ip: Ipv4Addr) -> io::Result<()> {
        let Self {
            root,
            pci,
            bus,
            name,
            index,
            ..
        } = self;
        let pci_folder = root.join(format!("devices/pci0000:{bus:02x}/{pci}"));
        let device = pci_folder.join("infiniband").join(name);
        self.pci_files(&pci_folder)?;
        self.device_files(&device, ip)?;
        let uverbs = format!("uverbs{index}");
        let verbs = pci_folder.join("infiniband_verbs").join(&uverbs);
        write(
            &verbs,
            &[("ibdev", name.clone()), ("abi_version", "1".to_owned())],
        )?;
        link("../..", &verbs.join("device"))?;
        link("../..", &device.join("device"))?;
        link("../../../bus/pci/drivers/efa", &pci_folder.join("driver"))?;
        let bus_target = format!("../../../devices/pci0000:{bus:02x}/{pci}");
        link(&bus_target, &root.join("bus/pci/devices").join(pci))?;
        link(
            &format!("../{bus_target}"),
            &root.join("bus/pci/drivers/efa").join(pci),
        )?;
        let class = |class: &str, entry: &str| {
            let target = format!("../../devices/pci0000:{bus:02x}/{pci}/{class}/{entry}");
            link(&target, &root.join("class").join(class).join(entry))
        };
        class("infiniband", name)?;
        class("infiniband_verbs", &uverbs)?;
        let one = |name, text: &str| [(name, text.to_owned())];
        write(
            &root.join("class/infiniband_verbs"),
            &one("abi_version", "6"),
        )?;
        write(&root.join("module/efa"), &one("initstate", "live"))?;
        write(&root.join("module/ib_uverbs"), &one("initstate", "live"))?;
        if let Some(above) = root.parent() {
            device_file(&above.join("dev/infiniband"), &uverbs)?;
        }
        Ok(())
    }

    fn pci_files(&self, folder: &Path) -> io::Result<()> {
        let part = format!("{:#x}", self.part);
        let file = |name, text: &str| (name, text.to_owned());
        write(
            folder,
            &[
                file("vendor", "0x1d0f"),
                file("device", &part),
                file("subsystem_vendor", "0x1d0f"),
                file("subsystem_device", &part),
                file("class", "0x020000"),
                file("numa_node", "0"),
                file("max_link_speed", "16.0 GT/s PCIe"),
                file("max_link_width", "16"),
            ],
        )
    }

    fn device_files(&self, device: &Path, ip: Ipv4Addr) -> io::Result<()> {
        let gid = addresses::gid(ip, u8::try_from(self.index).unwrap_or(0));
        let file = |name, text: &str| (name, text.to_owned());
        write(
            device,
            &[
                file("node_guid", &groups(&gid[8..])),
                file("node_type", "7: unspecified"),
                file("fw_ver", "0.0.0.0"),
            ],
        )?;
        let port = device.join("ports/1");
        write(
            &port,
            &[
                file("state", "4: ACTIVE"),
                file("phys_state", "5: LinkUp"),
                file("rate", &format!("{} Gb/sec (4X HDR)", self.gbps)),
                file("lid", "0x0"),
                file("link_layer", "Unspecified"),
            ],
        )?;
        write(&port.join("gids"), &[file("0", &groups(&gid))])?;
        write(&port.join("pkeys"), &[file("0", "0xffff")])?;
        let counters: Vec<_> = COUNTERS.iter().map(|name| file(*name, "0")).collect();
        write(&port.join("hw_counters"), &counters)?;
        write(&port.join("hw_counters"), &[file("lifespan", "12")])
    }
}

/// Makes a folder and writes files of one line into it.
fn write(folder: &Path, files: &[(&str, String)]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, text) in files {
        let newline = if text.is_empty() { "" } else { "\n" };
        fs::write(folder.join(name), format!("{text}{newline}"))?;
    }
    Ok(())
}

/// Makes what stands for `/dev/infiniband/uverbsN`: a character device, as UCX and Mooncake want it, where
/// this process may make one (it is the null device); else an empty file, which libfabric never looks at.
fn device_file(folder: &Path, name: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let path = folder.join(name);
    let Ok(text) = CString::new(path.as_os_str().as_bytes()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // SAFETY: a C string; makes a node of the file system or fails.
    let made = unsafe { libc::mknod(text.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, 3)) };
    if made == 0 || path.exists() {
        Ok(())
    } else {
        fs::write(path, "")
    }
}

fn link(target: &str, at: &Path) -> io::Result<()> {
    if let Some(folder) = at.parent() {
        fs::create_dir_all(folder)?;
    }
    match symlink(target, at) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &'static [(&str, &str)]) -> Settings {
        Settings::read(|name| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_is_made_is_found() {
        let above = std::env::temp_dir().join(format!("efa-soft-tree-{}", std::process::id()));
        let root = above.join("sys");
        assert_eq!(scan(&root), []);
        let six = settings(&[
            ("SOFT_EFA_DEVICES", "6"),
            ("SOFT_EFA_IP", "10.0.0.1,10.0.0.2"),
            ("SOFT_EFA_PART", "efa3,efa1"),
        ]);
        make(&root, &six).expect("a writable temporary folder");
        let devices = scan(&root);
        assert!(above.join("dev/infiniband/uverbs5").exists());
        fs::remove_dir_all(&above).expect("made above");
        assert_eq!(devices.len(), 6);
        let names: Vec<_> = devices.iter().map(|device| device.name.as_str()).collect();
        assert_eq!(
            names[..5],
            [
                "rdmap16s27",
                "rdmap16s28",
                "rdmap16s29",
                "rdmap16s30",
                "rdmap32s27"
            ]
        );
        assert_eq!(
            (devices[0].ip, devices[0].part),
            (Ipv4Addr::new(10, 0, 0, 1), 0xefa3)
        );
        assert_eq!(
            (devices[5].ip, devices[5].part),
            (Ipv4Addr::new(10, 0, 0, 2), 0xefa1)
        );
        assert_eq!(
            (devices[5].index, devices[5].uverbs.as_str()),
            (5, "uverbs5")
        );
    }

    #[test]
    fn gids_are_read_strictly() {
        assert!(parse_gid("fe80:0000:0000:0000:0600:7f00:0001:fa00").is_some());
        for text in [
            "",
            "fe80::1",
            "fe80:0000:0000:0000:0600:7f00:0001:fa00:0000",
            "fe80:0:0:0:0:0:0:0",
        ] {
            assert_eq!(parse_gid(text), None, "{text}");
        }
    }
}
