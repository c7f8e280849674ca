//! Which parts of a machine could be read: what was not recorded is not absent.

use serde::{Deserialize, Serialize};

use super::root::NodeRoot;
use super::software::LIBRARY_DIRECTORIES;

/// Parts of a machine that were there to read. On the machine that runs the program a part that is
/// missing does not exist; in a recorded tree it may just not be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Seen {
    /// The PCI bus of sysfs.
    pub pci_bus: bool,
    /// Device files, under `/dev`.
    pub device_files: bool,
    /// A directory of shared libraries.
    pub libraries: bool,
}

impl Default for Seen {
    /// All of it: what older records mean, which do not report it.
    fn default() -> Self {
        Self {
            pci_bus: true,
            device_files: true,
            libraries: true,
        }
    }
}

impl Seen {
    pub(super) fn of(root: &NodeRoot) -> Self {
        // Elsewhere these files would not tell: what is missing there is not known.
        let is_live = root.is_live() && cfg!(target_os = "linux");
        Self {
            // A live machine may have no PCI bus; without sysfs nothing is known.
            pci_bus: root.exists("/sys/bus/pci/devices") || is_live && root.exists("/sys/bus"),
            device_files: is_live || root.exists("/dev"),
            libraries: is_live || LIBRARY_DIRECTORIES.iter().any(|path| root.exists(path)),
        }
    }
}
