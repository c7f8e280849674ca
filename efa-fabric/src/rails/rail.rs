//! What is measured: the network devices of a machine.

use serde::{Deserialize, Serialize};

use crate::info::Nic;
use crate::node::{EfaDevice, Node};

/// One network device as a way out of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rail {
    /// The device, such as `rdmap79s0`.
    pub device: String,
    /// libfabric's provider: `efa`, or another that stands in for it.
    pub provider: String,
    /// libfabric's domain; `None` for any of the provider.
    pub domain: Option<String>,
    /// The PCI address.
    pub pci_address: Option<String>,
    /// The bridge that the device is under; see [`EfaDevice::pci_group`].
    pub pci_group: Option<String>,
    /// NUMA node of the card.
    pub numa_node: Option<u32>,
    /// Gbit/s that it should reach in one direction: what its port states, else what its
    /// instance type has.
    pub expected_gbps: Option<f64>,
}

impl Rail {
    /// Creates a rail of which nothing but the name and the provider is known.
    pub fn new(device: impl Into<String>, provider: impl Into<String>) -> Self {
        Self {
            device: device.into(),
            provider: provider.into(),
            domain: None,
            pci_address: None,
            pci_group: None,
            numa_node: None,
            expected_gbps: None,
        }
    }

    fn from_device(device: &EfaDevice, node: &Node, provider: &str) -> Self {
        let by_type = || node.expected.as_ref()?.efa_gbps;
        Self {
            pci_address: device.pci_address.clone(),
            pci_group: device.pci_group.clone(),
            numa_node: device.numa_node,
            expected_gbps: device.rate_gbps.or_else(by_type),
            ..Self::new(device.name.clone(), provider)
        }
    }
}

/// Returns the rails of a machine: every device that libfabric offers with its provider `efa`, with
/// what the inventory knows of it. Devices that only the inventory has are no rails: libfabric
/// cannot use them.
#[must_use]
pub fn list(node: &Node, nics: &[Nic]) -> Vec<Rail> {
    nics.iter()
        .filter(|nic| nic.provider.eq_ignore_ascii_case("efa"))
        .map(|nic| {
            let known = match node.efa_device(&nic.name) {
                Some(device) => Rail::from_device(device, node, &nic.provider),
                // In a container sysfs may be hidden; libfabric then knows more.
                None => Rail {
                    pci_address: nic.info.pci_address.clone(),
                    expected_gbps: nic.info.link_speed_bps.map(|speed| speed as f64 / 1e9),
                    ..Rail::new(nic.name.clone(), nic.provider.clone())
                },
            };
            Rail {
                domain: Some(nic.name.clone()),
                ..known
            }
        })
        .collect()
}

/// Returns one rail for every EFA device of a machine, over a provider that stands in for `efa`,
/// such as `tcp`: to try, without EFA, what reads such a report. All rails then share one network.
#[must_use]
pub fn simulated(node: &Node, provider: &str) -> Vec<Rail> {
    node.efa_devices
        .iter()
        .map(|device| Rail::from_device(device, node, provider))
        .collect()
}
