//! The inventory of a machine: EFA devices, and everything on the node that they need.
//!
//! [`Node::read`] looks at files below a [`NodeRoot`] and never fails: what cannot be read is
//! unknown. It runs no program and loads no library. The neighbours: [`rails`](crate::rails) pairs the
//! devices with what libfabric offers.
//!
//! Paths and meanings are those of the kernel's documentation (Documentation/ABI/stable/
//! sysfs-class-infiniband, Documentation/infiniband/user_verbs.rst) and of Amazon's driver.

mod container;
mod cpu_list;
mod environ;
mod expected;
mod limits;
mod pci;
mod rdma;
mod root;
mod seen;
mod software;
mod text;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use container::Container;
pub use environ::parse_environment;
pub use expected::Expected;
pub use limits::{Limit, Limits};
pub use pci::{EfaGeneration, PciDevice};
pub use rdma::{Access, EfaDevice, RdmaDevice, Uverbs};
pub(crate) use rdma::{counters, p2p};
pub use root::NodeRoot;
pub use seen::Seen;
pub use software::{KernelModule, LinkerDirectory, NcclPlugin, Software};

/// A machine, according to its files. `Display` is a short text with a table of the devices.
///
/// ```
/// use efa_fabric::node::{Node, NodeRoot};
///
/// let node = Node::read(&NodeRoot::new("/"));
/// println!("{node}");
/// assert!(node.efa_devices.len() <= node.uverbs.len() || node.uverbs.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Node {
    /// The directory that was read.
    pub root: String,
    /// Name of the machine.
    pub hostname: Option<String>,
    /// Release of the kernel.
    pub kernel: Option<String>,
    /// Maker of the machine, from DMI: `Amazon EC2` on EC2.
    pub system_vendor: Option<String>,
    /// Name of the product, from DMI.
    pub product_name: Option<String>,
    /// The instance type; `None` if the maker is not EC2.
    pub instance_type: Option<String>,
    /// The instance id, from the asset tag of DMI.
    pub instance_id: Option<String>,
    /// What the instance type should have; `None` for types without EFA, and off EC2.
    pub expected: Option<Expected>,
    /// EFA devices on the PCI bus, with or without a driver, by address.
    pub pci_efa: Vec<PciDevice>,
    /// EFA devices that the kernel's driver made usable, by PCI address.
    pub efa_devices: Vec<EfaDevice>,
    /// Other RDMA devices, by name: p6-b200 has two that are not EFA.
    pub other_rdma_devices: Vec<RdmaDevice>,
    /// NVIDIA GPUs on the PCI bus, by address.
    pub gpus: Vec<PciDevice>,
    /// Verbs devices of all RDMA devices, by number.
    pub uverbs: Vec<Uverbs>,
    /// The kernel modules that matter, loaded or not.
    pub modules: Vec<KernelModule>,
    /// Limits.
    pub limits: Limits,
    /// Installed software.
    pub software: Software,
    /// Hints of a container.
    pub container: Container,
    /// What of the machine could be read: a part that was not recorded states nothing.
    #[serde(default)]
    pub seen: Seen,
}

/// The maker of an EC2 instance, as DMI has it.
const EC2: &str = "Amazon EC2";

impl NodeRoot {
    /// Returns the instance type that DMI has; `None` if the maker is not EC2.
    #[must_use]
    pub fn instance_type(&self) -> Option<String> {
        let vendor = self.line("/sys/class/dmi/id/sys_vendor")?;
        // Old machines on Xen report `HVM domU`.
        self.line("/sys/class/dmi/id/product_name")
            .filter(|name| vendor == EC2 && name.contains('.') && !name.contains(' '))
    }
}

impl Node {
    /// Reads a machine. What cannot be read is unknown; there is no error.
    #[must_use]
    pub fn read(root: &NodeRoot) -> Self {
        Self::read_for(root, &BTreeMap::new())
    }

    /// Reads a machine, and where a process with this environment would look for NCCL's plugin.
    #[must_use]
    pub fn read_for(root: &NodeRoot, environment: &BTreeMap<String, String>) -> Self {
        let dmi = |name: &str| root.line(&format!("/sys/class/dmi/id/{name}"));
        let (system_vendor, product_name) = (dmi("sys_vendor"), dmi("product_name"));
        let on_ec2 = system_vendor.as_deref() == Some(EC2);
        let instance_type = root.instance_type();
        let (pci_efa, gpus) = pci::read_bus(root);
        let uverbs = rdma::read_uverbs(root);
        let (efa_devices, other_rdma_devices) = rdma::read_devices(root, &gpus, &uverbs);
        Self {
            root: root.path().display().to_string(),
            hostname: root.line("/proc/sys/kernel/hostname"),
            kernel: root.line("/proc/sys/kernel/osrelease"),
            expected: instance_type.as_deref().and_then(Expected::for_type),
            instance_id: dmi("board_asset_tag").filter(|tag| on_ec2 && tag.starts_with("i-")),
            system_vendor,
            product_name,
            instance_type,
            pci_efa,
            efa_devices,
            other_rdma_devices,
            gpus,
            uverbs,
            modules: software::read_modules(root),
            limits: limits::read(root),
            software: software::read(root, environment),
            container: container::read(root),
            seen: Seen::of(root),
        }
    }

    /// Returns whether this is a recorded tree, in which what is missing may just not be recorded.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        !NodeRoot::new(&self.root).is_live()
    }

    /// Returns the EFA device of this name; a domain of libfabric (`rdmap0s6-rdm`) is one of its
    /// device.
    #[must_use]
    pub fn efa_device(&self, name: &str) -> Option<&EfaDevice> {
        let base = name
            .strip_suffix("-rdm")
            .or_else(|| name.strip_suffix("-dgrm"))
            .unwrap_or(name);
        self.efa_devices.iter().find(|device| device.name == base)
    }

    /// Returns the kernel module of this name, of those that are looked for.
    #[must_use]
    pub fn module(&self, name: &str) -> Option<&KernelModule> {
        self.modules.iter().find(|module| module.name == name)
    }
}
