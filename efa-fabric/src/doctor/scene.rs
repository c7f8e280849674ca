//! What the checks look at: the machine, the caller's environment and libfabric's answer.

use super::environment::Environment;
use crate::fabric_log::{Fingerprint, FingerprintKind};
use crate::isolated::{Answer, Outcome};
use crate::node::{EfaGeneration, Expected, Node};

/// Everything that the checks look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) node: &'a Node,
    pub(crate) environment: &'a Environment,
    /// `None` where libfabric was not asked.
    pub(crate) answer: Option<&'a Answer>,
    /// `None` for instance types that are not known, and for those without EFA.
    pub(crate) expected: Option<&'a Expected>,
}

impl Scene<'_> {
    /// Whether the hardware is there, by PCI or by RDMA.
    pub(crate) fn has_efa(&self) -> bool {
        self.efa_count() > 0
    }

    /// How many EFA devices there are, by PCI or by RDMA.
    pub(crate) fn efa_count(&self) -> usize {
        self.node.pci_efa.len().max(self.node.efa_devices.len())
    }

    /// Why this machine is not meant to have EFA.
    pub(crate) fn by_design(&self) -> Option<String> {
        if self.has_efa() || self.expected.is_some() {
            return None;
        }
        match (&self.node.instance_type, &self.node.system_vendor) {
            (Some(name), _) => Some(format!("no EFA type called {name} is known")),
            (None, Some(vendor)) if !vendor.starts_with("Amazon") && vendor != "Xen" => {
                Some(format!("it is not an EC2 instance, its maker is {vendor}"))
            }
            _ => None,
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

    /// Whether the kernel has this module; `None` where it cannot be told.
    pub(crate) fn is_loaded(&self, module: &str) -> Option<bool> {
        self.node.module(module)?.loaded
    }
}
