//! One check of the doctor and what it found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// EFA cannot be used because of this.
    Failed,
    /// EFA may work; this costs speed, or fails later.
    Warning,
    /// The check could not be made.
    Unknown,
    /// Worth knowing, nothing to do.
    Info,
    /// Checked, and as it should be.
    Ok,
    /// Does not apply to this machine, or an earlier finding makes it pointless.
    NotApplicable,
}

impl Status {
    /// Returns the word, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Info => "info",
            Self::Ok => "ok",
            Self::NotApplicable => "not_applicable",
        }
    }

    /// The place in a list that has the worst first.
    pub(crate) const fn rank(self) -> u8 {
        match self {
            Self::Failed => 0,
            Self::Warning => 1,
            Self::Unknown => 2,
            Self::Info => 3,
            Self::Ok => 4,
            Self::NotApplicable => 5,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The evidence of a finding: a file and its content, a variable, a line of libfabric's log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// A path, `environment NAME`, or the place in the log.
    pub source: String,
    /// What was there.
    pub value: String,
}

impl Evidence {
    pub(crate) fn new(source: impl fmt::Display, value: impl fmt::Display) -> Self {
        Self {
            source: source.to_string(),
            value: value.to_string(),
        }
    }
}

macro_rules! checks {
    ($($(#[$doc:meta])* $variant:ident = $id:literal, $question:literal;)+) => {
        /// Every check, in order of the decision: the first that fails is the cause.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Check { $($variant,)+ }

        impl Check {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)+];

            pub(crate) const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }

            const fn question(self) -> &'static str {
                match self { $(Self::$variant => $question,)+ }
            }
        }
    };
}

checks! {
    EnvironmentKiller = "environment.killer",
        "does a variable make libfabric abort the process with SIGABRT?";
    LibfabricFound = "libfabric.found",
        "is there a libfabric that loads?";
    LibfabricCrash = "libfabric.crash",
        "does libfabric answer, without a crash and in time?";
    LibfabricCopies = "libfabric.copies",
        "are two copies of libfabric in one process?";
    LibfabricVersion = "libfabric.version",
        "is libfabric new enough?";
    LibfabricEfaProvider = "libfabric.efa_provider",
        "is the efa provider compiled in? (before 2.1 that looks the same as no device)";
    EnvironmentFiProvider = "environment.fi_provider",
        "does FI_PROVIDER include efa, spelled correctly?";
    EnvironmentFiEfaIface = "environment.fi_efa_iface",
        "does FI_EFA_IFACE name devices that exist?";
    EnvironmentIneffective = "environment.ineffective",
        "is a variable set that no libfabric reads?";
    PciDevices = "pci.devices",
        "is an EFA device on the PCI bus?";
    PciCount = "pci.count",
        "are there as many as this instance type has?";
    DriverOfed = "driver.ofed",
        "does NVIDIA's OFED (MOFED) conflict with the efa driver?";
    DriverModule = "driver.module",
        "is the kernel module efa loaded?";
    DriverUverbs = "driver.uverbs",
        "is the kernel module ib_uverbs loaded?";
    DriverDeviceId = "driver.device_id",
        "does the efa driver know this generation of the device?";
    RdmaDevices = "rdma.devices",
        "has the driver made an RDMA device for each EFA device?";
    RdmaPorts = "rdma.ports",
        "are the ports active?";
    KubernetesResource = "kubernetes.efa_resource",
        "was this pod given EFA devices?";
    ContainerDevices = "container.devices",
        "does this container have /dev/infiniband?";
    VerbsNodes = "verbs.nodes",
        "has every EFA device its /dev/infiniband/uverbs*?";
    VerbsUnopenable = "verbs.unopenable",
        "can every /dev/infiniband/uverbs* be opened, EFA or not?";
    VerbsRdmaCore = "verbs.rdma_core",
        "does rdma-core know this generation of the device?";
    VerbsLibefa = "verbs.libefa",
        "is rdma-core's efa driver installed?";
    Hints = "libfabric.hints",
        "does EFA appear when one requirement is dropped?";
    Unexplained = "libfabric.no_efa",
        "does libfabric offer EFA?";
    LimitsMemlock = "limits.memlock",
        "can enough memory be locked?";
    LimitsHugepages = "limits.hugepages",
        "are there huge pages?";
    LimitsShm = "limits.shm",
        "is /dev/shm large enough?";
    LimitsProcessVm = "limits.process_vm",
        "can processes read each other's memory? (shared memory transfers)";
    ForkSupport = "fork.support",
        "can a process fork after it opened EFA?";
    NcclPlugin = "nccl.plugin",
        "would NCCL load its libfabric plugin, given its variables and the loader's search path?";
    CountersRetransmissions = "counters.retransmissions",
        "have packets been retransmitted?";
    CountersUnresponsive = "counters.unresponsive",
        "have peers stopped answering?";
}

/// Returns the id and the question of every check, in order of the decision.
#[must_use]
pub fn checks() -> Vec<(&'static str, &'static str)> {
    Check::ALL
        .iter()
        .map(|check| (check.id(), check.question()))
        .collect()
}

/// The finding of one check.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// The stable dotted name of the check; [`checks`] has all.
    pub id: String,
    /// How it ended.
    pub status: Status,
    /// One line.
    pub title: String,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// Why it is so, where that is known.
    pub cause: Option<String>,
    /// What to do.
    pub cure: Option<String>,
    /// A page, an issue or a man page about it.
    pub reference: Option<String>,
}

impl Finding {
    pub(crate) fn new(check: Check, status: Status, title: impl Into<String>) -> Self {
        Self {
            id: check.id().to_owned(),
            status,
            title: title.into(),
            evidence: Vec::new(),
            cause: None,
            cure: None,
            reference: None,
        }
    }

    pub(crate) fn ok(check: Check, title: impl Into<String>) -> Self {
        Self::new(check, Status::Ok, title)
    }

    pub(crate) fn failed(check: Check, title: impl Into<String>) -> Self {
        Self::new(check, Status::Failed, title)
    }

    pub(crate) fn skipped(check: Check, title: impl Into<String>) -> Self {
        Self::new(check, Status::NotApplicable, title)
    }

    /// A recorded tree lacks what the check needs: that is not known, and not absent.
    pub(crate) fn not_recorded(check: Check, what: &str) -> Self {
        Self::new(check, Status::Unknown, format!("not recorded: {what}"))
            .cause("this is a recorded tree, in which what is missing is not known")
            .cure("record it, or run the doctor on the machine")
    }

    pub(crate) fn evidence(mut self, source: impl fmt::Display, value: impl fmt::Display) -> Self {
        self.evidence.push(Evidence::new(source, value));
        self
    }

    pub(crate) fn all_evidence(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub(crate) fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    pub(crate) fn reference(mut self, reference: &str) -> Self {
        self.reference = Some(reference.to_owned());
        self
    }

    pub(crate) fn is(&self, check: Check) -> bool {
        self.id == check.id()
    }

    /// The place of the check in the order of the decision.
    pub(crate) fn step(&self) -> usize {
        Check::ALL
            .iter()
            .position(|check| self.is(*check))
            .unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_pinned() {
        let ids: Vec<_> = checks().iter().map(|(id, _)| *id).collect();
        assert_eq!(
            ids,
            [
                "environment.killer",
                "libfabric.found",
                "libfabric.crash",
                "libfabric.copies",
                "libfabric.version",
                "libfabric.efa_provider",
                "environment.fi_provider",
                "environment.fi_efa_iface",
                "environment.ineffective",
                "pci.devices",
                "pci.count",
                "driver.ofed",
                "driver.module",
                "driver.uverbs",
                "driver.device_id",
                "rdma.devices",
                "rdma.ports",
                "kubernetes.efa_resource",
                "container.devices",
                "verbs.nodes",
                "verbs.unopenable",
                "verbs.rdma_core",
                "verbs.libefa",
                "libfabric.hints",
                "libfabric.no_efa",
                "limits.memlock",
                "limits.hugepages",
                "limits.shm",
                "limits.process_vm",
                "fork.support",
                "nccl.plugin",
                "counters.retransmissions",
                "counters.unresponsive",
            ]
        );
    }

    #[test]
    fn the_worst_is_first() {
        let mut statuses = [
            Status::NotApplicable,
            Status::Ok,
            Status::Info,
            Status::Unknown,
            Status::Warning,
            Status::Failed,
        ];
        statuses.sort_by_key(|status| status.rank());
        let words: Vec<_> = statuses.iter().map(|status| status.as_str()).collect();
        assert_eq!(
            words,
            [
                "failed",
                "warning",
                "unknown",
                "info",
                "ok",
                "not_applicable"
            ]
        );
    }
}
