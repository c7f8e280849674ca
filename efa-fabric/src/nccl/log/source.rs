//! Who wrote a line: the programs whose lines stand in logs of jobs, and tools whose output is
//! pasted into reports.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! sources {
    ($($(#[$doc:meta])* $variant:ident = $id:literal, $title:literal;)+) => {
        /// Whose lines a log has.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[non_exhaustive]
        pub enum Source { $($(#[$doc])* #[serde(rename = $id)] $variant,)+ }

        impl Source {
            /// Every source.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the word, as in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }

            /// Returns its name as people write it.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

sources! {
    /// NCCL and its network plugin.
    Nccl = "nccl", "NCCL";
    /// NCCL's device-initiated networking: GIN and GDAKI.
    NcclGin = "nccl_gin", "NCCL GIN";
    /// NCCL's one-sided operations.
    NcclRma = "nccl_rma", "NCCL RMA";
    /// Reports of NCCL's active diagnostics.
    NcclDiagnostics = "nccl_diagnostics", "NCCL diagnostics";
    /// AWS Neuron: its copy of NCCL (`CCOM`) and its runtime.
    Neuron = "neuron", "Neuron";
    /// NVSHMEM.
    Nvshmem = "nvshmem", "NVSHMEM";
    /// NIXL.
    Nixl = "nixl", "NIXL";
    /// UCX.
    Ucx = "ucx", "UCX";
    /// Open MPI.
    OpenMpi = "open_mpi", "Open MPI";
    /// libfabric's own log.
    Libfabric = "libfabric", "libfabric";
    /// `PyTorch`'s process groups.
    Torch = "torch", "PyTorch";
    /// vLLM.
    Vllm = "vllm", "vLLM";
    /// `SGLang`.
    Sglang = "sglang", "SGLang";
    /// The Python interpreter, or a program that logs in no known manner.
    Program = "program", "the program";
    /// The kernel: `dmesg` or syslog.
    Kernel = "kernel", "the kernel";
    /// `fi_info`.
    FiInfo = "fi_info", "fi_info";
    /// `fi_pingpong`.
    FiPingpong = "fi_pingpong", "fi_pingpong";
    /// `ibv_devinfo`.
    IbvDevinfo = "ibv_devinfo", "ibv_devinfo";
    /// `lspci`.
    Lspci = "lspci", "lspci";
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
