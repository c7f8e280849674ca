//! The one table of what an NCCL log can complain about: lines, cause, cure, origin.
//!
//! Line shapes were read in NVIDIA/nccl (2.4 to 2.30: `src/net.cc`, `src/plugin/`, `src/debug.cc`,
//! `src/bootstrap.cc`) and aws/aws-ofi-nccl (1.4 to 1.21: `src/nccl_ofi_net`, `src/platform-aws`,
//! `src/nccl_ofi_rdma`, `src/nccl_ofi_ofiutils`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// The job does not use EFA, or broke, because of this.
    Failed,
    /// EFA is used; this costs speed, or is likely to fail later.
    Warning,
    /// Worth knowing, nothing to do.
    Note,
}

impl Severity {
    /// Returns the word, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where in a job a cause belongs, which decides what it means for a process that is on EFA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Explains why a network other than EFA was chosen; without meaning once EFA was.
    Choice,
    /// Concerns the job whatever the network is.
    Job,
    /// The process or the job ended there.
    End,
}

macro_rules! causes {
    ($(
        $(#[$doc:meta])*
        $variant:ident = $id:literal, $severity:ident, $stage:ident,
        lines: $lines:expr,
        cause: $cause:literal,
        cure: $cure:literal,
        reference: $reference:literal;
    )+) => {
        /// A cause of trouble, most fundamental first: where several apply, the first is the
        /// reason.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[non_exhaustive]
        pub enum Cause { $($(#[$doc])* #[serde(rename = $id)] $variant,)+ }

        impl Cause {
            /// Every cause, in order of precedence.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the stable id, such as `plugin_not_found`; ids are added, never renamed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }

            /// Returns how bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }

            pub(super) const fn stage(self) -> Stage {
                match self { $(Self::$variant => Stage::$stage,)+ }
            }

            /// Returns what it is, in one sentence.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$variant => $cause,)+ }
            }

            /// Returns the severity, by what to do about it.
            #[must_use]
            pub const fn cure(self) -> &'static str {
                match self { $(Self::$variant => $cure,)+ }
            }

            /// Returns where that comes from: a repository's file or issue, or a page.
            #[must_use]
            pub const fn reference(self) -> &'static str {
                match self { $(Self::$variant => $reference,)+ }
            }

            /// Lower-case texts that together mark a line of this cause; any group is enough.
            pub(super) const fn lines(self) -> &'static [&'static [&'static str]] {
                match self { $(Self::$variant => $lines,)+ }
            }
        }
    };
}

causes! {
    /// `FI_EFA_USE_DEVICE_RDMA=1` without RDMA read in the device.
    DeviceRdmaUnsupported = "device_rdma_unsupported", Failed, End,
    lines: &[
        &["fi_efa_use_device_rdma=1 was set by user, but"],
    ],
    cause: "FI_EFA_USE_DEVICE_RDMA=1 is set on a device without RDMA read, for which libfabric aborts the process",
    cure: "remove FI_EFA_USE_DEVICE_RDMA: the default is right for every device",
    reference: "ofiwg/libfabric prov/efa/src/rdm/efa_rdm_util.c";

    /// `FI_EFA_USE_DEVICE_RDMA` with a value that is no boolean.
    DeviceRdmaInvalid = "device_rdma_invalid", Failed, End,
    lines: &[
        &["fi_efa_use_device_rdma was set to an invalid value"],
    ],
    cause: "FI_EFA_USE_DEVICE_RDMA has a value that is not a boolean, for which libfabric aborts the process",
    cure: "remove FI_EFA_USE_DEVICE_RDMA",
    reference: "ofiwg/libfabric prov/efa/src/rdm/efa_rdm_util.c";

    /// A variable that libfabric no longer takes.
    DeprecatedVariable = "deprecated_variable", Failed, End,
    lines: &[
        &["env variable detected! the use of this variable has been deprecated"],
    ],
    cause: "a variable is set for which libfabric aborts the process",
    cure: "remove the variable that the line names",
    reference: "ofiwg/libfabric prov/efa/src/efa_env.c";

    /// `FI_EFA_IFACE` is empty.
    EmptyIface = "empty_iface", Failed, End,
    lines: &[
        &["fi_efa_iface is empty"],
    ],
    cause: "FI_EFA_IFACE is set and empty, for which libfabric aborts the process",
    cure: "remove FI_EFA_IFACE",
    reference: "ofiwg/libfabric prov/efa/src/efa_env.c";

    /// `FI_EFA_TX_MIN_CREDITS` is not positive.
    BadMinCredits = "bad_min_credits", Failed, End,
    lines: &[
        &["fi_efa_tx_min_credits was set to "],
    ],
    cause: "FI_EFA_TX_MIN_CREDITS is not positive, for which libfabric aborts the process",
    cure: "remove FI_EFA_TX_MIN_CREDITS",
    reference: "ofiwg/libfabric prov/efa/src/efa_env.c";

    /// Huge pages together with fork support.
    HugePageWithForkSupport = "huge_page_with_fork_support", Failed, End,
    lines: &[
        &["variable fi_efa_use_huge_page has been"],
        &["usage of huge page is incompatible with rdma-core's fork support"],
    ],
    cause: "FI_EFA_USE_HUGE_PAGE is set together with fork support, for which libfabric aborts the process",
    cure: "remove FI_EFA_USE_HUGE_PAGE",
    reference: "ofiwg/libfabric prov/efa/src/efa_fork_support.c";

    /// `fork()` without fork support.
    ForkWithoutSupport = "fork_without_support", Failed, End,
    lines: &[
        &["executed an operation involving a call"],
        &["the libfabric efa provider is operating in"],
    ],
    cause: "the process forked after it had opened EFA, without fork support, for which libfabric aborts it",
    cure: "set FI_EFA_FORK_SAFE=1, or start children with spawn (multiprocessing, DataLoader); kernel 5.13 with rdma-core 35 needs neither",
    reference: "ofiwg/libfabric prov/efa/src/efa_fork_support.c";

    /// `NCCL_NET_PLUGIN=none`.
    PluginDisabled = "plugin_disabled", Failed, Choice,
    lines: &[
        &["nccl_net_plugin set by environment to none"],
        &["net/plugin", "plugin name set by env to libnccl-net-none.so"],
        &["net/plugin", "plugin name set by env to none"],
    ],
    cause: "NCCL was configured to load no network plugin",
    cure: "remove NCCL_NET_PLUGIN=none from the environment",
    reference: "NVIDIA/nccl src/plugin/net.cc";

    /// `NCCL_NET_PLUGIN` names another plugin.
    OtherPluginNamed = "other_plugin_named", Failed, Choice,
    lines: &[],
    cause: "NCCL_NET_PLUGIN names another plugin than aws-ofi-nccl, so that NCCL does not look for the one that uses EFA",
    cure: "set NCCL_NET_PLUGIN to ofi, or to the path of the plugin such as /opt/amazon/ofi-nccl/lib/libnccl-net-ofi.so; NVIDIA's base images set it to another name",
    reference: "NVIDIA/nccl src/plugin/net.cc";

    /// Another rdma-core stands before the system's.
    RdmaCoreShadowed = "rdma_core_shadowed", Failed, Choice,
    lines: &[
        &["version `ibverbs_", "not found"],
        &["version `efa_", "not found"],
        &["version `rdmacm_", "not found"],
        &["libefa.so", "undefined symbol"],
        &["libibverbs.so", "undefined symbol"],
        &["libibverbs.so", "version `", "not found"],
    ],
    cause: "another rdma-core, such as HPC-X's, is found before the one that libefa and libfabric were built with",
    cure: "take the directory that the line names for libibverbs out of LD_LIBRARY_PATH, or put the system's before it (ldd /opt/amazon/efa/lib/libfabric.so shows which is taken); the plugin itself is installed",
    reference: "NVIDIA-NeMo/Megatron-Bridge issue 2824";

    /// The plugin is there, a library that it needs is not.
    PluginDependencyMissing = "plugin_dependency_missing", Failed, Choice,
    lines: &[],
    cause: "NCCL's libfabric plugin was found, but a library that it needs was not",
    cure: "add the directory of the named library (/opt/amazon/efa/lib or lib64 for libfabric, CUDA's for libcudart) to LD_LIBRARY_PATH before the process starts",
    reference: "NVIDIA/nccl src/plugin/plugin_open.cc";

    /// The plugin was loaded and does not fit NCCL or libfabric.
    PluginIncompatible = "plugin_incompatible", Failed, Choice,
    lines: &[
        &["external network plugin", "is unsupported"],
        &["net/plugin", "undefined symbol"],
        &["net/plugin", "version `", "' not found"],
        &["net/plugin", "failed to find ncclnetplugin symbol"],
        &["net/plugin", "wrong elf class"],
        &["net/plugin", "invalid elf header"],
    ],
    cause: "the network plugin that was found does not fit this NCCL or this libfabric",
    cure: "install the plugin that the EFA installer ships, and let only that one be found; see which file is loaded with LD_DEBUG=libs",
    reference: "NVIDIA/nccl src/plugin/net.cc; aws/aws-ofi-nccl issue 241";

    /// No plugin where the loader looks.
    PluginNotFound = "plugin_not_found", Failed, Choice,
    lines: &[
        &["net/plugin", "no plugin found"],
        &["net/plugin", "could not find:"],
        &["net/plugin", "using internal network plugin"],
        &["net/plugin", "libnccl-net", "cannot open shared object file"],
    ],
    cause: "NCCL found no network plugin, so it can use only TCP sockets or InfiniBand verbs",
    cure: "install aws-ofi-nccl (the EFA installer has it), and put its directory (/opt/amazon/ofi-nccl/lib or lib64) into LD_LIBRARY_PATH of the workers, or name it with NCCL_NET_PLUGIN=ofi",
    reference: "NVIDIA/nccl src/plugin/plugin_open.cc; NVIDIA-NeMo/RL issue 2359";

    /// CUDA does not work for the plugin.
    CudaFailed = "cuda_failed", Failed, Choice,
    lines: &[
        &["net/ofi", "cuda initialization failed"],
        &["net/ofi", "failed to find cuda runtime library"],
    ],
    cause: "the plugin could not use CUDA in this process",
    cure: "make libcudart of the CUDA version that the plugin was built for loadable, and check the driver with nvidia-smi",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_cuda.cpp";

    /// libfabric is older than the plugin demands.
    LibfabricTooOld = "libfabric_too_old", Failed, Choice,
    lines: &[&["efa provider requires at least libfabric version"]],
    cause: "the plugin found a libfabric that is older than it accepts for EFA",
    cure: "let the libfabric of the EFA installer (/opt/amazon/efa) be found before any other copy, or upgrade it",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_net.cpp";

    /// GPUDirect is required on this instance type and not there.
    GdrRequired = "gdr_required", Failed, Choice,
    lines: &[
        &["gdr disabled on gdr-supported instance type"],
        &["gdr support reported to nccl but then"],
    ],
    cause: "this instance type has GPUDirect RDMA, but it could not be used, and the plugin then refuses EFA",
    cure: "check that the efa kernel module sees the GPU (/sys/class/infiniband/*/device/p2p), load nvidia_peermem or use a kernel and driver with DMA-BUF, and remove FI_HMEM_DISABLE_P2P",
    reference: "aws/aws-ofi-nccl src/platform-aws.cpp";

    /// The RDMA protocol without RDMA write in the device.
    EmulatedWrite = "emulated_write", Failed, Choice,
    lines: &[&["fi_opt_efa_emulated_write is true"], &["fi_opt_efa_emulated_write not declared"]],
    cause: "the plugin's RDMA protocol needs RDMA write in the device, which libfabric reports as missing or switched off",
    cure: "remove OFI_NCCL_PROTOCOL and FI_EFA_USE_DEVICE_RDMA so that the defaults of the instance type apply",
    reference: "aws/aws-ofi-nccl src/platform-aws.cpp";

    /// Duplicate connections with GPUDirect.
    DuplicateConnections = "duplicate_connections", Failed, Choice,
    lines: &[&["nic_dup_conns set on platform that supports gpudirect"]],
    cause: "OFI_NCCL_NIC_DUP_CONNS is set, which the plugin refuses where GPUDirect RDMA works",
    cure: "remove OFI_NCCL_NIC_DUP_CONNS",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_net.cpp";

    /// Neuron: several instances without EFA.
    NeuronNeedsNetwork = "neuron_needs_network", Failed, Choice,
    lines: &[
        &["unable to run multi-instance workload"],
        &["no transport found between devices"],
    ],
    cause: "Neuron has no network between instances: its libfabric plugin is not installed or not usable, or the instance has no EFA interface",
    cure: "attach the EFA interfaces of the instance type, install aws-neuronx-collectives and the EFA installer, and give the container every /dev/infiniband/uverbs*; the first warning before this line names the step that failed",
    reference: "https://awsdocs-neuron.readthedocs-hosted.com/en/latest/neuron-runtime/nrt-troubleshoot.html";

    /// Neuron: no EFA, which one node does not need.
    NeuronWithoutEfa = "neuron_without_efa", Failed, Choice,
    lines: &[
        &["ofi plugin initnet() failed"],
    ],
    cause: "Neuron could not use EFA: that is normal for a job on a single node, and fatal for one on several",
    cure: "nothing to do on a single node; for several nodes attach the EFA interfaces of the instance type, and check `fi_info -p efa` in the same container",
    reference: "https://awsdocs-neuron.readthedocs-hosted.com/en/latest/neuron-runtime/nrt-troubleshoot.html";

    /// NIXL: libfabric offers no rail.
    NixlNoRail = "nixl_no_rail", Failed, Choice,
    lines: &[
        &["fi_getinfo failed for rail"],
        &["failed to create data rails"],
        &["failed to create control rail"],
        &["nixl", "no efa devices"],
        &["libfabric_topology", "discovered 0 efa devices"],
    ],
    cause: "what NIXL asks of libfabric is not offered: this version of libfabric lacks it, or there is no EFA device in this container",
    cure: "run `fi_info -p efa` in the same container: if it lists devices, libfabric does not fit NIXL (use the EFA installer's current libfabric and see that no other copy is loaded, LD_DEBUG=libs); if it lists none, the container has no EFA device (/dev/infiniband/uverbs*, the resource vpc.amazonaws.com/efa, the interfaces of the instance)",
    reference: "ai-dynamo/nixl issue 817, issue 1163";

    /// Open MPI: mtl/ofi has no provider.
    OpenMpiNoProvider = "open_mpi_no_provider", Failed, Choice,
    lines: &[
        &["mtl:ofi:prov: none"],
        &["btl:ofi", "prov: none"],
        &["no components were able to be opened in the pml framework"],
        &["pml cm cannot be selected"],
    ],
    cause: "Open MPI's mtl/ofi found no provider that it may use: its libfabric has no efa provider, or there is no EFA device",
    cure: "run `fi_info -p efa` with the libfabric that Open MPI is linked with (ldd mca_mtl_ofi.so): no efa in `fi_info -l` means a libfabric without it, so use /opt/amazon/openmpi and /opt/amazon/efa; efa without devices means that the container or instance has none",
    reference: "open-mpi/ompi ompi/mca/mtl/ofi/mtl_ofi_component.c";

    /// `FI_PROVIDER` leaves efa out.
    ProviderFiltered = "provider_filtered", Failed, Choice,
    lines: &[],
    cause: "FI_PROVIDER leaves the efa provider out, or names one that libfabric does not know",
    cure: "remove FI_PROVIDER, or set it to efa",
    reference: "ofiwg/libfabric src/fabric.c";

    /// No provider fits, and then a TCP one was taken.
    EfaNotOffered = "efa_not_offered", Failed, Choice,
    lines: &[],
    cause: "libfabric offers no efa, and the plugin took another provider: the instance was launched without an EFA interface, or a libfabric without the efa provider is loaded",
    cure: "look for the device first (lspci -d 1d0f: and ls /sys/class/infiniband): none means that the instance, or the container, has no EFA interface; if it is there, look for a second libfabric (LD_DEBUG=libs) and use the EFA installer's",
    reference: "aws/aws-ofi-nccl issue 803; issue 241";

    /// libfabric offered another provider.
    ProviderNotEfa = "provider_not_efa", Failed, Choice,
    lines: &[],
    cause: "the plugin works, but libfabric gave it another provider than efa",
    cure: "find out why libfabric does not offer EFA: see that the instance has an EFA interface (lspci -d 1d0f:), that FI_PROVIDER names no other provider, and that the libfabric which is loaded has efa (`fi_info -l`, FI_LOG_LEVEL=info)",
    reference: "aws/aws-ofi-nccl issue 803";

    /// libfabric offers EFA not at all, or not with what the plugin needs.
    NoEligibleProvider = "no_eligible_provider", Failed, Choice,
    lines: &[
        &["net/ofi", "no eligible providers were found"],
        &["net/ofi", "could not find any optimal provider"],
        &["net/ofi", "fi_getinfo() call failed"],
    ],
    cause: "libfabric offered the plugin no provider that fits: EFA is not visible to this process, or lacks what was asked for",
    cure: "run `fi_info -p efa` in the same container and user; check the EFA interfaces, the efa kernel module, /dev/infiniband/uverbs* and FI_PROVIDER",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_rdma.cpp, src/nccl_ofi_sendrecv.cpp";

    /// A verbs device that cannot be opened.
    VerbsUnopenable = "verbs_unopenable", Failed, Choice,
    lines: &[&["ibv_open_device failed"], &["efa_device_construct_gid failed"]],
    cause: "libfabric could not open a verbs device; up to 2.6.0 a single one hides every EFA device",
    cure: "give the container every /dev/infiniband/uverbs*, EFA or not, or remove the devices that it may not open",
    reference: "ofiwg/libfabric issue 12708";

    /// libfabric's efa provider has no device.
    EfaListEmpty = "efa_list_empty", Failed, Choice,
    lines: &[&["provider efa output empty list"]],
    cause: "libfabric has the efa provider and found no device for it, or none that fits",
    cure: "check that the instance has EFA interfaces, that /dev/infiniband is in the container, and that the efa driver and rdma-core know the device",
    reference: "ofiwg/libfabric src/fabric.c; aws/aws-ofi-nccl issue 889";

    /// Memory could not be locked.
    LockedMemory = "locked_memory", Failed, Job,
    lines: &[
        &["net/ofi", "couldn't", "rc: -12"],
        &["net/ofi", "couldn't", "cannot allocate memory"],
        &["net/ofi", "register memory", "rc: -12"],
        &["net/ofi", "register memory", "cannot allocate memory"],
        &["unable to register mr: cannot allocate memory"],
        &["unable to write to eq", "cannot allocate memory"],
        &["writing error cannot allocate memory"],
        &["cannot allocate memory for efa"],
        &["register", "cannot allocate memory"],
        &["(4112)"],
        &["prov_errno: 4112"],
        &["failure to post internal receive buffers"],
    ],
    cause: "memory could not be locked or registered (-12): the limit of locked memory, or the device's own limit of registrations, is reached; or huge pages ran out",
    cure: "raise the memlock limit to unlimited (docker --ulimit memlock=-1:-1, the pod's or Slurm's limit; `ulimit -l` in the job shows it); if it is, register fewer or larger regions, since the device holds a limited number of them and of their pages; set FI_EFA_USE_HUGE_PAGE=0 where huge pages ran out",
    reference: "aws/aws-ofi-nccl issue 44, issue 141; NVIDIA/nccl issue 563; awslabs/awsome-distributed-ai issue 647";

    /// Objects of libfabric could not be opened.
    EndpointFailed = "endpoint_failed", Failed, Job,
    lines: &[
        &["net/ofi", "couldn't open"],
        &["net/ofi", "couldn't create"],
        &["net/ofi", "couldn't allocate endpoint"],
        &["net/ofi", "couldn't bind"],
        &["net/ofi", "couldn't enable endpoint"],
        &["net/ofi", "creating new endpoint for domain", "failed"],
        &["net/ofi", "initializing a new domain", "failed"],
        &["net/ofi", "disabling shared memory failed"],
        &["net/ofi", "failed to set fi_opt_cuda_api_permitted"],
    ],
    cause: "a device was found, but libfabric could not open it for the plugin",
    cure: "use the plugin and the libfabric of one EFA installer, then look at the same moment in libfabric's log (FI_LOG_LEVEL=warn)",
    reference: "aws/aws-ofi-nccl issue 803, issue 889";

    /// Neither of the plugin's protocols could be set up.
    NoWorkingProtocol = "no_working_protocol", Failed, Choice,
    lines: &[
        &["unable to find a protocol that worked"],
        &["net/ofi", "failed to initialize rdma protocol"],
        &["net/ofi", "failed to initialize sendrecv protocol"],
    ],
    cause: "the plugin could set up neither its RDMA nor its SENDRECV protocol",
    cure: "act on the first warning before this line, which is shown; without one, run with FI_LOG_LEVEL=info, and remove OFI_NCCL_PROTOCOL if it is set",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_net.cpp";

    /// The plugin gave up without a known reason.
    PluginFailed = "plugin_failed", Failed, Choice,
    lines: &[
        &["aws-ofi-nccl initialization failed"],
        &["net/ofi", "initializing plugin failed"],
        &["net/ofi", "caught exception in plugin init"],
        &["failed to initialize net plugin libfabric"],
        &["failed to initialize net plugin aws libfabric"],
        &["failed to initialize net plugin ofi"],
    ],
    cause: "the plugin was loaded and could not be initialised",
    cure: "act on the first warning before this line, which is shown; without one, FI_LOG_LEVEL=info shows libfabric's side",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_net.cpp";

    /// `NCCL_NET` names something that is not there.
    NamedNetworkMissing = "named_network_missing", Failed, Choice,
    lines: &[&["error: network", "not found"]],
    cause: "NCCL_NET names a network that NCCL does not have",
    cure: "make the plugin loadable; its network is called \"AWS Libfabric\" up to aws-ofi-nccl 1.12, later \"Libfabric\" with the old name still taken",
    reference: "NVIDIA/nccl src/net.cc; aws/aws-ofi-nccl src/nccl_ofi_interface_nvidia.cpp";

    /// Not even sockets work.
    NoNetwork = "no_network", Failed, Choice,
    lines: &[&["failed to initialize any net plugin"]],
    cause: "NCCL could initialise no network at all",
    cure: "act on the first warning before this line, which is shown, and check NCCL_NET and NCCL_SOCKET_IFNAME",
    reference: "NVIDIA/nccl src/plugin/net.cc";

    /// The plugin was loaded and not asked.
    PluginNotTried = "plugin_not_tried", Failed, Choice,
    lines: &[],
    cause: "the plugin was loaded, but NCCL never initialised it",
    cure: "remove NCCL_NET, which names another network",
    reference: "NVIDIA/nccl src/plugin/net.cc";

    /// Not EFA, and the log does not state why.
    NoReasonLogged = "no_reason_logged", Failed, Choice,
    lines: &[],
    cause: "NCCL chose another network, and the log has no line that gives the reason",
    cure: "run with NCCL_DEBUG=INFO and NCCL_DEBUG_SUBSYS=INIT,NET,ENV; check NCCL_NET and NCCL_NET_PLUGIN",
    reference: "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html";

    /// The plugin is used with a provider that is not in the log.
    ProviderNotLogged = "provider_not_logged", Warning, Choice,
    lines: &[],
    cause: "the libfabric plugin is used, but the log does not show with which provider",
    cure: "run with NCCL_DEBUG=INFO, and give the whole log from the start of the job",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_net.cpp";

    /// Only the version and warnings are in the log.
    NoInfoLines = "no_info_lines", Warning, Choice,
    lines: &[],
    cause: "the log has lines of NCCL, but none that shows which network was chosen",
    cure: "run with NCCL_DEBUG=INFO, and give the whole log from the start of the job",
    reference: "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html";

    /// No interface for the first contact.
    BootstrapInterface = "bootstrap_interface", Failed, Job,
    lines: &[
        &["bootstrap", "no socket interface found"],
        &["net/socket", "no interface found"],
        &["net/socket", "no usable listening interface found"],
    ],
    cause: "NCCL found no IP interface for its first contact between ranks",
    cure: "remove NCCL_SOCKET_IFNAME, or set it to the prefix of the interface that has the node's address, such as ens or eth",
    reference: "NVIDIA/nccl src/bootstrap.cc";

    /// First contact over an interface that other nodes cannot reach.
    BootstrapOnLoopback = "bootstrap_on_loopback", Warning, Job,
    lines: &[],
    cause: "NCCL makes its first contact over an interface that other nodes cannot reach",
    cure: "set NCCL_SOCKET_IFNAME so that lo, docker and veth are left out, such as ^lo,docker,veth",
    reference: "NVIDIA/nccl src/misc/socket.cc";

    /// First contact fails.
    BootstrapUnreachable = "bootstrap_unreachable", Failed, Job,
    lines: &[
        &["exceeded error retry count"],
        &["call to connect", "failed"],
        &["connect to", "failed"],
    ],
    cause: "NCCL's first contact over TCP failed between two nodes",
    cure: "allow all traffic within the security group, and check NCCL_SOCKET_IFNAME and that no rank had died before",
    reference: "NVIDIA/nccl src/misc/socket.cc";

    /// Ranks with different numbers of rails.
    RailsDiffer = "rails_differ", Failed, Job,
    lines: &[
        &["unexpected number of remote rails"],
        &["unexpected number of remote control rails"],
        &["number of remote rails", "does not match"],
        &["detected mixed local net device counts across ranks"],
    ],
    cause: "the nodes or ranks have different numbers of EFA devices for each GPU, so that their rails do not fit",
    cure: "give every node and container the same number of EFA devices; where they must differ, set OFI_NCCL_FORCE_NUM_RAILS to one number on all ranks",
    reference: "aws/aws-ofi-nccl issue 990, issue 1061; NVIDIA/nccl issue 1921";

    /// A topology that NCCL cannot take.
    TopologyInvalid = "topology_invalid", Failed, Job,
    lines: &[
        &["attribute", "of node", "not found"],
        &["too many xml nodes"],
        &["too many xml subnodes"],
        &["xml parse error"],
        &["xml parse : "],
        &["could not open xml topology file"],
        &["unexpected value", "xml"],
    ],
    cause: "NCCL cannot use the topology file: the versions of NCCL, the plugin and the image do not fit, or the file is another machine's",
    cure: "remove NCCL_TOPO_FILE, and use the plugin and NCCL of one release; the plugin's own file is in its share directory",
    reference: "aws/aws-ofi-nccl issue 476; NVIDIA/nccl src/graph/xml.h";

    /// The plugin's tuner with an algorithm set by hand.
    TunerRefused = "tuner_refused", Failed, Job,
    lines: &[
        &["tuner plugin can not be loaded when explicitly choosing"],
        &["tuner plugin cannot be loaded when explicitly choosing"],
    ],
    cause: "the plugin's tuner refuses to work with NCCL_ALGO or NCCL_PROTO set by hand, and NCCL fails with it",
    cure: "remove NCCL_ALGO and NCCL_PROTO, or keep them and set NCCL_TUNER_PLUGIN=none",
    reference: "aws/aws-ofi-nccl issue 982";

    /// GDRCopy cannot be used.
    GdrcopyMissing = "gdrcopy_missing", Failed, Job,
    lines: &[
        &["failed to initialize gdrcopy"],
        &["failed to open gdr handle"],
        &["gdrcopy support not available"],
        &["gdr_pin_buffer_v2"],
        &["gdr_open", "failed"],
        &["failed to open gdrcopy"],
        &["failed to resolve libgdrapi.so"],
        &["gdrcopy", "2.5 required"],
    ],
    cause: "GDRCopy cannot be used: /dev/gdrdrv is not in this container, or GDRCopy (2.5 or later for GIN) is not installed",
    cure: "load the kernel module gdrdrv on the node, give the container /dev/gdrdrv, and install libgdrapi in the image; only GIN (DeepEP) needs it",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_gdrcopy.cpp";

    /// GIN is asked for and not there.
    GinUnavailable = "gin_unavailable", Failed, Job,
    lines: &[
        &["nccl gin is unavailable"],
        &["gin is not available"],
        &["gin is not supported"],
        &["user requested gin but"],
        &["failed to initialize gin"],
    ],
    cause: "the application needs NCCL's GIN, and no GIN plugin could be initialised",
    cure: "see the first GIN or NET/OFI warning; GIN needs aws-ofi-nccl with GIN, GDRCopy and a type with GPUDirect RDMA",
    reference: "NVIDIA/nccl src/plugin/gin.cc";

    /// A memory descriptor is missing.
    DescriptorMissing = "descriptor_missing", Failed, Job,
    lines: &[
        &["requires fi_mr_local but application does not provide a valid desc"],
    ],
    cause: "the application gives libfabric no memory descriptor, which the fabric efa-direct needs",
    cure: "upgrade the application's transport (NVSHMEM's libfabric transport, or what the line names) to a version for efa-direct; until then use fabric efa with libfabric before 2.1",
    reference: "ofiwg/libfabric prov/efa/docs/efa_fabric_comparison.md";

    /// A remote key was refused.
    RemoteKeyRefused = "remote_key_refused", Failed, End,
    lines: &[
        &["(4111) rma address verification failed"],
        &["rma address verification failed"],
        &["prov_errno: 4111"],
    ],
    cause: "the target refused a remote address or key: the memory was not registered there, or no longer",
    cure: "look at the memory registration of the application (NIXL's register_memory and the metadata that it exchanges): the region must stay registered, and its metadata must be of the same run; not a fault of the node or the network",
    reference: "ofiwg/libfabric prov/efa/src/efa_errno.h";

    /// The handshake with a peer that the device reaches failed.
    SecurityGroupEgress = "security_group_egress", Failed, Job,
    lines: &[
        &["handshake failed"],
        &["error: 4126"],
        &["prov_errno: 4126"],
    ],
    cause: "the device reaches the peer but its answers do not arrive, and nothing was ever received from the peer: the security group lacks the egress rule to itself; or else the peer's process was lost",
    cure: "add self-referencing ingress and egress rules for all traffic: egress to 0.0.0.0/0 is not enough for EFA; if they are there, look for the rank that failed first",
    reference: "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-start.html; ofiwg/libfabric prov/efa/src/efa_errno.h";

    /// A security group drops EFA's packets.
    SecurityGroup = "security_group", Failed, Job,
    lines: &[
        &["this error indicates that the security group"],
        &["completed with error", "prov_errno: 15,"],
        &["completed with error", "no route to host"],
        &["completed with error", "host is unreachable"],
        &["completed with error", "unreachable remote"],
    ],
    cause: "EFA's packets never reached the peer: a security group drops them, or the peer is in another subnet",
    cure: "the security group must allow all traffic in and out to itself, and all nodes must be in one subnet",
    reference: "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-start-nccl.html";

    /// A peer stopped answering.
    PeerLost = "peer_lost", Failed, Job,
    lines: &[
        &["completed with error", "prov_errno: 9,"],
        &["completed with error", "prov_errno: 13,"],
        &["completed with error", "prov_errno: 4124,"],
        &["completed with error", "unresponsive"],
        &["completed with error", "destination queue pair number"],
        &["receiver queue pair number"],
        &["remote peer unresponsive"],
        &["nixl_err_remote_disconnect"],
        &["unresponsive receiver"],
    ],
    cause: "a peer stopped answering: its process ended (out of memory, killed, crashed), or its node or link is down",
    cure: "look at the peer that the line names, for the rank that failed first: its own log, and the kernel's log of its node for an out-of-memory kill",
    reference: "ofiwg/libfabric prov/efa/src/efa_errno.h";

    /// Another transfer error.
    TransferFailed = "transfer_failed", Failed, Job,
    lines: &[&["net/ofi", "completed with error"]],
    cause: "a transfer over libfabric failed",
    cure: "see the provider's error in the line; FI_LOG_LEVEL=warn shows more",
    reference: "ofiwg/libfabric prov/efa/src/efa_errno.h";

    /// Memory at an address that cannot be registered.
    RegistrationBadAddress = "registration_bad_address", Failed, Job,
    lines: &[
        &["register", "bad address"],
        &["unable to register mr: bad address"],
        &["rc: -14"],
    ],
    cause: "memory could not be registered because the kernel cannot get at the address: a GPU's memory without nvidia_peermem or DMA-BUF, or memory that was freed or mapped otherwise",
    cure: "load nvidia_peermem or use DMA-BUF (kernel 5.12, CUDA 11.7), and try PYTORCH_CUDA_ALLOC_CONF without expandable_segments; check that the memory was not freed before",
    reference: "ofiwg/libfabric prov/efa/src/efa_mr.c";

    /// Memory could not be registered.
    MemoryRegistration = "memory_registration", Failed, Job,
    lines: &[
        &["net/ofi", "unable to register memory"],
        &["net/ofi", "couldn't register memory region"],
        &["net/ofi", "could not register memory"],
    ],
    cause: "memory, often a GPU's, could not be registered with EFA",
    cure: "use one EFA installer's libfabric and plugin (1.29.1 or later with NCCL 2.19 and later), and check nvidia_peermem or DMA-BUF",
    reference: "awslabs/awsome-distributed-ai 1.architectures/efa-cheatsheet.md";

    /// `/dev/shm` is too small.
    SharedMemory = "shared_memory", Failed, Job,
    lines: &[
        &["error while", "shared memory segment"],
        &["error while", "shared memory"],
        &["no space left on device", "/dev/shm"],
    ],
    cause: "NCCL could not make a segment of shared memory in /dev/shm",
    cure: "give the container more of it (docker --shm-size, --ipc=host, a memory volume on /dev/shm in a pod)",
    reference: "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html";

    /// Ranks load different NCCL versions.
    NcclVersionMismatch = "nccl_version_mismatch", Failed, Job,
    lines: &[
        &["mismatched nccl version detected"],
        &["nccl version mismatch with remote peer"],
    ],
    cause: "the ranks run different versions of NCCL",
    cure: "use the same image, and the same LD_LIBRARY_PATH and LD_PRELOAD, on every node",
    reference: "NVIDIA/nccl src/init.cc";

    /// NCCL's own diagnostics found a fault.
    DiagnosticFailed = "diagnostic_failed", Failed, Job,
    lines: &[],
    cause: "NCCL's active diagnostics report a fault",
    cure: "see the quoted report: it names the path that failed",
    reference: "NVIDIA/nccl 2.31, NCCL_RUN_DIAGNOSTICS";

    /// The kernel's efa driver reports an error.
    DriverError = "driver_error", Failed, Job,
    lines: &[
        &["efa ", "failed to process command"],
        &["infiniband efa", "failed"],
        &["efa ", "failed to allocate"],
        &["efa ", "admin command", "timeout"],
        &["efa ", "device reset"],
        &["efa: probe of", "failed"],
        &["efa ", "probe", "failed with error"],
        &["nvrm: xid"],
    ],
    cause: "the kernel reports an error of the EFA device or the GPU",
    cure: "see the quoted line; an error -12 is memory or a device limit, an Xid is the GPU's; reboot or replace the node if it comes back",
    reference: "amzn/amzn-drivers kernel/linux/efa";

    /// `fi_info` or `fi_pingpong` gets no provider.
    ToolWithoutProvider = "tool_without_provider", Failed, Choice,
    lines: &[],
    cause: "libfabric's tool got no provider for what it asked: there is no EFA device in this container, its libfabric has no efa provider, or the request does not fit",
    cure: "run `fi_info -p efa -t FI_EP_RDM`; if that is empty too, look for the device (lspci -d 1d0f:, ls /dev/infiniband), and for efa in `fi_info -l`",
    reference: "ofiwg/libfabric util/info.c, util/pingpong.c";

    /// No verbs device.
    NoVerbsDevice = "no_verbs_device", Failed, Choice,
    lines: &[
        &["no ib devices found"],
        &["failed to get ib devices list"],
        &["no ib device found"],
    ],
    cause: "there is no RDMA device in this container or node",
    cure: "check that the instance has EFA interfaces (lspci -d 1d0f:), that the efa kernel module is loaded, and that the container has /dev/infiniband",
    reference: "linux-rdma/rdma-core libibverbs/examples/devinfo.c";

    /// Killed for want of memory.
    OutOfMemory = "out_of_memory", Failed, End,
    lines: &[
        &["out of memory: killed process"],
        &["memory cgroup out of memory"],
        &["oom-kill"],
        &["oomkilled"],
        &["oom_kill event"],
        &["cuda out of memory"],
        &["cuda failure", "out of memory"],
        &["torch.outofmemoryerror"],
        &["cuda error: out of memory"],
    ],
    cause: "a process ran out of memory",
    cure: "give the job less to hold, or the node or pod more memory; peers then see it as lost",
    reference: "https://docs.kernel.org/admin-guide/mm/concepts.html";

    /// libfabric aborted the process.
    InternalError = "internal_error", Failed, End,
    lines: &[
        &["libfabric efa provider has encountered an internal error"],
        &["efa internal error: ("],
    ],
    cause: "libfabric hit an error that it could not report, and aborted the process",
    cure: "see the number and text in the lines after it; the application binds no event queue",
    reference: "ofiwg/libfabric prov/efa/src/efa_base_ep.c";

    /// A collective did not end in time.
    WatchdogTimeout = "watchdog_timeout", Failed, End,
    lines: &[
        &["watchdog caught collective operation timeout"],
        &["process group watchdog thread terminated"],
        &["collective operation timeout"],
        &["ran for", "milliseconds before timing out"],
        &["heartbeat monitor timed out"],
        &["watchdog got stuck"],
        &["watchdog timeout"],
        &["received a dump signal due to a collective timeout"],
    ],
    cause: "PyTorch's watchdog ended the job because a collective did not finish; this log does not show why",
    cure: "find the rank that did not join: compare the last sequence number of all ranks (TORCH_NCCL_TRACE_BUFFER_SIZE=2000 and TORCH_NCCL_DUMP_ON_TIMEOUT=1), read the logs of the other ranks for an earlier failure, and run a survey of the nodes",
    reference: "pytorch/pytorch torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp";

    /// A process was ended by a signal.
    ProcessAborted = "process_aborted", Failed, End,
    lines: &[
        &["process received signal"],
        &["signal: aborted"],
        &["signal: segmentation fault"],
        &["sigabrt"],
        &["sigsegv"],
        &["sigbus"],
        &["(sigkill)"],
        &["sigkill received"],
        &["received sigkill"],
        &["with sigkill"],
        &["segmentation fault"],
        &["aborted (core dumped)"],
        &["core dumped"],
        &["terminate called after throwing"],
        &["terminate called without"],
        &["fatal python error"],
        &["exited on signal"],
        &["mpi_abort was invoked"],
        &["received sigquit from a child process"],
        &["exitcode: -"],
        &["exitcode", ": -"],
        &["exit code: -"],
        &["died with <signals."],
        &["your application will now abort"],
        &["double free or corruption"],
        &["bus error"],
        &["application will abort()"],
        &["caught signal"],
        &["*** aborted at"],
        &["crashloopbackoff"],
    ],
    cause: "a process of the job was aborted or killed",
    cure: "read the lines before the quoted one for the first failure; a core dump or `dmesg` shows what ended it",
    reference: "man 7 signal";

    /// The job reported an error.
    JobError = "job_error", Failed, End,
    lines: &[
        &["disterror"],
        &["distbackenderror"],
        &["distnetworkerror"],
        &["diststoreerror"],
        &["ncclremoteerror"],
        &["ncclinternalerror"],
        &["ncclsystemerror"],
        &["ncclunhandledcudaerror"],
        &["ncclinvalidusage"],
        &["ncclinvalidargument"],
        &["nccl error"],
        &["nccl failure"],
        &["test cuda failure"],
        &["nccl operation", "failed"],
        &["failed (exitcode:"],
        &["exits with return code"],
        &["childfailederror"],
        &["root cause (first observed failure)"],
        &["traceback (most recent call last)"],
        &["nvshmem error"],
        &["nvshmem_error"],
        &["nixl_err_"],
        &["nixlbackenderror"],
        &["rccl error"],
        &["srun: error:"],
        &["slurmstepd: error:"],
        &["job has failed"],
        &["exited with non-zero status"],
        &["process group", "destroyed due to"],
        &["engine core initialization failed"],
        &["enginedeaderror"],
        &["actordiederror"],
        &["raytaskerror"],
        &["worker failed"],
        &["nrt_init failed"],
        &["nrt_error"],
        &["failed neuroninitglobalcomm"],
        &["scheduler hit an exception"],
        &["non-zero status:"],
        &["mpi_errors_are_fatal"],
        &["cuda error:"],
        &["cudaerror"],
        &["prterun noticed"],
        &["mpirun noticed"],
        &["one or more processes exited"],
        &["non-zero exit code"],
        &["primary job terminated"],
        &["job step aborted"],
    ],
    cause: "the job ended with an error",
    cure: "read the quoted line, and the first warning of each rank before it; NCCL_DEBUG=INFO and FI_LOG_LEVEL=warn show more",
    reference: "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html";

    /// A call inside NCCL failed.
    CallFailed = "call_failed", Failed, Job,
    lines: &[],
    cause: "a call inside NCCL failed, outside an orderly shutdown",
    cure: "read the quoted line and the first warning before it: the file names the part, the number the kind (1 CUDA, 2 system, 3 internal, 4 argument, 5 usage, 6 remote)",
    reference: "NVIDIA/nccl src/include/checks.h, src/nccl.h.in";

    /// An error that no rule knows.
    UnknownError = "unknown_error", Failed, Job,
    lines: &[],
    cause: "an error that no rule of this version knows",
    cure: "read the quoted line; nothing is claimed about its cause",
    reference: "the quoted line";

    /// A warning that no rule knows.
    UnknownWarning = "unknown_warning", Warning, Job,
    lines: &[],
    cause: "a warning that no rule of this version knows",
    cure: "read the quoted line; nothing is claimed about its cause or harm",
    reference: "the quoted line";

    /// Lines that were torn.
    TornLines = "torn_lines", Warning, Job,
    lines: &[],
    cause: "the line that names the network or the provider of a process is torn, so that it is not known",
    cure: "give each process its own log (NCCL_DEBUG_FILE=/tmp/nccl.%h.%p)",
    reference: "NVIDIA/nccl src/debug.cc";

    /// Fewer network devices than the instance has.
    NicsMissing = "nics_missing", Warning, Job,
    lines: &[],
    cause: "the plugin found fewer EFA devices than expected",
    cure: "check that the launch has every EFA interface, that the container has every /dev/infiniband/uverbs*, and FI_EFA_IFACE",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_net.cpp";

    /// More devices than expected.
    NicsUnexpected = "nics_unexpected", Note, Job,
    lines: &[],
    cause: "the plugin found more devices than expected",
    cure: "check the expected number",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_net.cpp";

    /// The plugin does without GPUDirect.
    GpudirectNotOffered = "gpudirect_not_offered", Note, Job,
    lines: &[],
    cause: "data goes through host memory: the plugin found no GPUDirect RDMA and does not expect it on this instance type",
    cure: "normal on types without GPUDirect RDMA such as g5 and g6; give the instance type to have it judged",
    reference: "aws/aws-ofi-nccl src/platform-aws.cpp";

    /// Data goes through host memory.
    GpudirectMissing = "gpudirect_missing", Warning, Job,
    lines: &[],
    cause: "channels over EFA go through host memory: GPUDirect RDMA is not used",
    cure: "normal on instance types without it; else check /sys/class/infiniband/*/device/p2p, nvidia_peermem or DMA-BUF, NCCL_NET_GDR_LEVEL and FI_HMEM_DISABLE_P2P",
    reference: "NVIDIA/nccl src/transport/net.cc";

    /// Some channels go through host memory.
    GpudirectPartial = "gpudirect_partial", Warning, Job,
    lines: &[],
    cause: "some channels over EFA go through host memory, others use GPUDirect RDMA",
    cure: "check that every GPU has an EFA device near it (nvidia-smi topo -m) and that no device is missing",
    reference: "NVIDIA/nccl src/transport/net.cc, src/graph/paths.cc";

    /// The plugin switched GPUDirect off.
    GpudirectDisabled = "gpudirect_disabled", Warning, Job,
    lines: &[
        &["could not disable cuda api usage for hmem, disabling gdr"],
        &["need to force simple protocol: gdr not supported"],
    ],
    cause: "the plugin switched GPUDirect RDMA off",
    cure: "upgrade libfabric and the efa kernel module with one EFA installer, and check nvidia_peermem or DMA-BUF",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_ofiutils.cpp";

    /// Direct GPU-to-GPU copies are off.
    PeerToPeerDisabled = "peer_to_peer_disabled", Warning, Job,
    lines: &[&["nccl_p2p_disable set by environment to 1"]],
    cause: "NCCL_P2P_DISABLE=1 keeps GPUs of one node from using NVLink",
    cure: "remove NCCL_P2P_DISABLE",
    reference: "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html";

    /// Ranks differ.
    RanksDisagree = "ranks_disagree", Warning, Job,
    lines: &[],
    cause: "the ranks do not agree",
    cure: "use the same image and environment on every node, and look at the nodes of the smaller group",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_rdma.cpp";

    /// The caller chose the protocol.
    ProtocolForced = "protocol_forced", Note, Job,
    lines: &[&["using transport protocol", "(user set)"]],
    cause: "OFI_NCCL_PROTOCOL overrides what the plugin chooses for this instance type",
    cure: "remove OFI_NCCL_PROTOCOL",
    reference: "aws/aws-ofi-nccl src/platform-aws.cpp";

    /// The instance type is not in the catalog.
    TypeUnknown = "type_unknown", Note, Job,
    lines: &[],
    cause: "the catalog does not have this instance type, so that the number of devices and GPUDirect RDMA are not judged",
    cure: "give the number of devices that is expected, or a newer release of this package",
    reference: "efa-core catalog";

    /// The number of rails is forced.
    RailsForced = "rails_forced", Note, Job,
    lines: &[&["created device with", "(originally found"]],
    cause: "OFI_NCCL_FORCE_NUM_RAILS changes how many rails a device has",
    cure: "keep OFI_NCCL_FORCE_NUM_RAILS only where nodes have different numbers of devices, with one value on all ranks",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_rdma.cpp";

    /// Ray left lines out.
    LinesLeftOut = "lines_left_out", Note, Job,
    lines: &[],
    cause: "Ray left repeated lines out of this log, so counts are too low and ranks may be missing",
    cure: "set RAY_DEDUP_LOGS=0 in the driver's environment",
    reference: "https://docs.ray.io/en/latest/ray-observability/user-guides/configure-logging.html";

    /// More processes than are kept.
    TooManyProcesses = "too_many_processes", Note, Job,
    lines: &[],
    cause: "the log has more processes than are kept; the later ones are left out",
    cure: "give the logs of fewer jobs at once",
    reference: "";
}

impl Cause {
    /// Whether it reports only that something failed, which another line explains.
    pub(super) const fn is_consequence(self) -> bool {
        matches!(
            self,
            Self::NoWorkingProtocol
                | Self::PluginFailed
                | Self::NoNetwork
                | Self::NeuronNeedsNetwork
                | Self::NeuronWithoutEfa
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
