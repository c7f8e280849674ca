//! What the checks look at: the machine, the caller's environment and libfabric's answer.

use super::environment::Environment;
use crate::fabric_log::{Fingerprint, FingerprintKind};
use crate::isolated::{Answer, Outcome};
use crate::node::{EfaGeneration, Expected, Node};
use efa_core::Catalog;
use efa_core::catalog::Lookup;
use efa_core::types::RdmaSupport;

/// Everything that the checks look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) node: &'a Node,
    /// `None` where none was recorded: that is not an empty one.
    pub(crate) environment: Option<&'a Environment>,
    /// `None` where libfabric was not asked.
    pub(crate) answer: Option<&'a Answer>,
    /// `None` for instance types that are not known, and for those without EFA.
    pub(crate) expected: Option<&'a Expected>,
}

impl<'a> Scene<'a> {
    /// A variable of the process that is to use EFA; `None` as well where none is recorded.
    pub(crate) fn variable(&self, name: &str) -> Option<&'a str> {
        self.environment?.get(name).map(String::as_str)
    }

    /// Whether the hardware is there, by PCI or by RDMA.
    pub(crate) fn has_efa(&self) -> bool {
        self.efa_count() > 0
    }

    /// How many EFA devices there are, by PCI or by RDMA.
    pub(crate) fn efa_count(&self) -> usize {
        self.node.pci_efa.len().max(self.node.efa_devices.len())
    }

    /// Why this machine is not meant to have EFA. A type that the catalog does not have is not
    /// one without EFA.
    pub(crate) fn by_design(&self) -> Option<String> {
        if self.has_efa() || self.expected.is_some() {
            return None;
        }
        let Some(name) = &self.node.instance_type else {
            let vendor = self.node.system_vendor.as_ref()?;
            return (!vendor.starts_with("Amazon") && vendor != "Xen")
                .then(|| format!("it is not an EC2 instance, its maker is {vendor}"));
        };
        (Catalog::bundled().look_up(name) == Lookup::NoEfa).then(|| {
            format!(
                "{name} has no EFA, by EC2's list of {}",
                Catalog::bundled_date()
            )
        })
    }

    /// The instance type, where it is given or read, and nothing is known of its EFA.
    pub(crate) fn unknown_type(&self) -> Option<&'a str> {
        let name = self.node.instance_type.as_deref()?;
        let lookup = Catalog::bundled().look_up(name);
        let is_unknown = matches!(lookup, Lookup::Unknown | Lookup::Misspelt);
        (self.expected.is_none() && is_unknown).then_some(name)
    }

    /// Whether the devices can read remote memory: what the device reports, else what libfabric
    /// offers on it, else what is published of the instance type.
    pub(crate) fn rdma_read(&self) -> (RdmaSupport, String) {
        if self
            .fingerprint(FingerprintKind::BadUseDeviceRdma)
            .is_some()
        {
            return (
                RdmaSupport::No,
                "libfabric ended its process for it".to_owned(),
            );
        }
        if let Some(said) = self.answer.and_then(|answer| answer.rdma_read) {
            let support = if said {
                RdmaSupport::Yes
            } else {
                RdmaSupport::No
            };
            return (support, "the device reports it".to_owned());
        }
        // efa-direct claims FI_RMA for devices with both read and write only.
        let infos = self.answer.and_then(|answer| answer.efa_infos.as_ref());
        let claims = infos.into_iter().flatten().any(|info| {
            info.fabric == "efa-direct" && info.capabilities.iter().any(|c| c == "FI_RMA")
        });
        if claims {
            return (
                RdmaSupport::Yes,
                "libfabric offers FI_RMA on efa-direct".to_owned(),
            );
        }
        match self.node.instance_type.as_deref() {
            None => (
                RdmaSupport::Unknown,
                "the machine does not report its instance type".to_owned(),
            ),
            Some(name) => match Catalog::bundled().look_up(name) {
                Lookup::Efa(row) => (
                    row.rdma_read,
                    format!("{name}, by the EC2 User Guide's table of early 2026"),
                ),
                _ => (
                    RdmaSupport::Unknown,
                    format!(
                        "{name} is not in the catalog of {}",
                        Catalog::bundled_date()
                    ),
                ),
            },
        }
    }

    /// The answer, if libfabric went through all questions.
    pub(crate) fn answered(&self) -> Option<&Answer> {
        self.answer
            .filter(|answer| answer.outcome == Outcome::Answered)
    }

    /// Whether libfabric offered EFA, which proves much of what the checks ask.
    pub(crate) fn offers_efa(&self) -> bool {
        self.answered()
            .and_then(|answer| answer.efa_infos.as_ref())
            .is_some_and(|infos| !infos.is_empty())
    }

    /// The first line of the log with this meaning.
    pub(crate) fn fingerprint(&self, kind: FingerprintKind) -> Option<&Fingerprint> {
        self.answer?.log.first(kind)
    }

    /// The newest rdma-core that a device here needs, and which generation it is.
    pub(crate) fn needed_rdma_core(&self) -> Option<(u32, EfaGeneration)> {
        let of_pci = self.node.pci_efa.iter().filter_map(|pci| pci.generation);
        let of_rdma = self.node.efa_devices.iter().filter_map(|d| d.generation);
        of_pci
            .chain(of_rdma)
            .filter_map(|generation| Some((generation.minimum_rdma_core()?, generation)))
            .max()
    }

    /// Whether the kernel has this module; `None` where it is not known.
    pub(crate) fn is_loaded(&self, module: &str) -> Option<bool> {
        self.node.module(module)?.loaded
    }
}
