//! The one table of what an NCCL log can complain about: lines, cause, cure, origin.
//!
//! Line shapes were read in NVIDIA/nccl (2.4 to 2.30: `src/net.cc`, `src/plugin/`, `src/debug.cc`,
//! `src/bootstrap.cc`) and aws/aws-ofi-nccl (1.4 to 1.21: `src/nccl_ofi_net`, `src/platform-aws`,
//! `src/nccl_ofi_rdma`, `src/nccl_ofi_ofiutils`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad a finding is.
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
    /// The word, as in JSON.
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
        /// What is wrong, most fundamental first: where several apply, the first is the reason.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[non_exhaustive]
        pub enum Cause { $($(#[$doc])* #[serde(rename = $id)] $variant,)+ }

        impl Cause {
            /// Every cause, in order of precedence.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable id, such as `plugin_not_found`; ids are added, never renamed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }

            /// How bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }

            pub(super) const fn stage(self) -> Stage {
                match self { $(Self::$variant => Stage::$stage,)+ }
            }

            /// What it is, in one sentence.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$variant => $cause,)+ }
            }

            /// What to do about it.
            #[must_use]
            pub const fn cure(self) -> &'static str {
                match self { $(Self::$variant => $cure,)+ }
            }

            /// Where that comes from: a repository's file or issue, or a page.
            #[must_use]
            pub const fn reference(self) -> &'static str {
                match self { $(Self::$variant => $reference,)+ }
            }

            /// Lower-case texts that together mark a line of this cause; any group is enough.
            const fn lines(self) -> &'static [&'static [&'static str]] {
                match self { $(Self::$variant => $lines,)+ }
            }
        }
    };
}

causes! {
    /// `NCCL_NET_PLUGIN=none`.
    PluginDisabled = "plugin_disabled", Failed, Choice,
    lines: &[
        &["nccl_net_plugin set by environment to none"],
        &["net/plugin", "plugin name set by env to libnccl-net-none.so"],
        &["net/plugin", "plugin name set by env to none"],
    ],
    cause: "NCCL was told to load no network plugin",
    cure: "remove NCCL_NET_PLUGIN=none from the environment",
    reference: "NVIDIA/nccl src/plugin/net.cc";

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
    cause: "the plugin's RDMA protocol needs RDMA write in the device, which libfabric says it lacks or has switched off",
    cure: "remove OFI_NCCL_PROTOCOL and FI_EFA_USE_DEVICE_RDMA so that the defaults of the instance type apply",
    reference: "aws/aws-ofi-nccl src/platform-aws.cpp";

    /// Duplicate connections with GPUDirect.
    DuplicateConnections = "duplicate_connections", Failed, Choice,
    lines: &[&["nic_dup_conns set on platform that supports gpudirect"]],
    cause: "OFI_NCCL_NIC_DUP_CONNS is set, which the plugin refuses where GPUDirect RDMA works",
    cure: "remove OFI_NCCL_NIC_DUP_CONNS",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_net.cpp";

    /// libfabric offered another provider.
    ProviderNotEfa = "provider_not_efa", Failed, Choice,
    lines: &[],
    cause: "the plugin works, but libfabric gave it another provider than efa",
    cure: "set FI_PROVIDER=efa, and find out why libfabric does not offer EFA: `fi_info -p efa`, FI_LOG_LEVEL=info",
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
    ],
    cause: "EFA could not get memory that it may lock, or huge pages ran out",
    cure: "raise the memlock limit to unlimited (docker --ulimit memlock=-1:-1, the pod's or Slurm's limit), and set FI_EFA_USE_HUGE_PAGE=0 where huge pages ran out",
    reference: "aws/aws-ofi-nccl issue 44, issue 141; awslabs/awsome-distributed-ai issue 647";

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
    cure: "remove OFI_NCCL_PROTOCOL, and look for the first NET/OFI warning before this line",
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
    cure: "look for the first NET/OFI warning before this line; FI_LOG_LEVEL=info shows libfabric's side",
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
    cure: "check NCCL_NET and NCCL_SOCKET_IFNAME, and the warnings before this line",
    reference: "NVIDIA/nccl src/plugin/net.cc";

    /// The plugin was loaded and not asked.
    PluginNotTried = "plugin_not_tried", Failed, Choice,
    lines: &[],
    cause: "the plugin was loaded, but NCCL never initialised it",
    cure: "remove NCCL_NET, which names another network",
    reference: "NVIDIA/nccl src/plugin/net.cc";

    /// Not EFA, and the log does not say why.
    NoReasonLogged = "no_reason_logged", Failed, Choice,
    lines: &[],
    cause: "NCCL chose another network, and the log has no line that says why",
    cure: "run with NCCL_DEBUG=INFO and NCCL_DEBUG_SUBSYS=INIT,NET,ENV; check NCCL_NET and NCCL_NET_PLUGIN",
    reference: "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html";

    /// The plugin is used with a provider that is not in the log.
    ProviderNotLogged = "provider_not_logged", Warning, Choice,
    lines: &[],
    cause: "the libfabric plugin is used, but the log does not say with which provider",
    cure: "run with NCCL_DEBUG=INFO, and give the whole log from the start of the job",
    reference: "aws/aws-ofi-nccl src/nccl_ofi_net.cpp";

    /// Only the version and warnings are in the log.
    NoInfoLines = "no_info_lines", Warning, Choice,
    lines: &[],
    cause: "the log has lines of NCCL, but none that says which network was chosen",
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
        &["completed with error", "prov_errno: 4126,"],
        &["completed with error", "unresponsive"],
        &["completed with error", "destination queue pair number"],
    ],
    cause: "a peer that was reachable stopped answering: its process ended, or its node or link is down",
    cure: "look for the rank that failed first; the peer of this rank is the suspect",
    reference: "ofiwg/libfabric prov/efa/src/efa_errno.h";

    /// Another transfer error.
    TransferFailed = "transfer_failed", Failed, Job,
    lines: &[&["net/ofi", "completed with error"]],
    cause: "a transfer over libfabric failed",
    cure: "see the provider's error in the line; FI_LOG_LEVEL=warn shows more",
    reference: "ofiwg/libfabric prov/efa/src/efa_errno.h";

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

    /// Ranks load different NCCL versions.
    NcclVersionMismatch = "nccl_version_mismatch", Failed, Job,
    lines: &[
        &["mismatched nccl version detected"],
        &["nccl version mismatch with remote peer"],
    ],
    cause: "the ranks run different versions of NCCL",
    cure: "use the same image, and the same LD_LIBRARY_PATH and LD_PRELOAD, on every node",
    reference: "NVIDIA/nccl src/init.cc";

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

    /// The number of rails is forced.
    RailsForced = "rails_forced", Note, Job,
    lines: &[&["created device with", "(originally found"]],
    cause: "OFI_NCCL_FORCE_NUM_RAILS changes how many rails a device has",
    cure: "remove OFI_NCCL_FORCE_NUM_RAILS",
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

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// At least one of these is in every line that has a cause: most lines have none of them, and
/// need not be held against the whole table.
const STEMS: [&str; 17] = [
    "plugin",
    "ofi",
    "efa",
    "gdr",
    "gpudirect",
    "ibv_",
    "protocol",
    "network",
    "bootstrap",
    "net/socket",
    "retry",
    "connect",
    "security",
    "completed",
    "version",
    "p2p_disable",
    "created device",
];

/// The one cause of a line, where it has one. `text` is in lower case.
pub(super) fn cause_of(text: &str) -> Option<Cause> {
    if !STEMS.iter().any(|stem| text.contains(stem)) {
        return None;
    }
    if let Some(missing) = text
        .contains("net/plugin")
        .then(|| library_that_is_missing(text))
        .flatten()
    {
        let is_the_plugin = missing.contains("libnccl-net") || missing.contains("nccl-ofi");
        return Some(if is_the_plugin {
            Cause::PluginNotFound
        } else {
            Cause::PluginDependencyMissing
        });
    }
    Cause::ALL.iter().copied().find(|cause| {
        cause
            .lines()
            .iter()
            .any(|group| group.iter().all(|needle| text.contains(needle)))
    })
}

/// The file that the loader did not find: `libfabric.so.1: cannot open shared object file`.
fn library_that_is_missing(text: &str) -> Option<&str> {
    let (before, _) = text.split_once(": cannot open shared object file")?;
    before.rsplit([' ', '=']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_has_a_stem() {
        for cause in Cause::ALL {
            for group in cause.lines() {
                let has_stem = STEMS
                    .iter()
                    .any(|stem| group.iter().any(|needle| needle.contains(stem)));
                assert!(has_stem, "{cause}: {group:?}");
                let is_lower = group.iter().all(|n| *n == n.to_ascii_lowercase());
                assert!(is_lower, "{cause}: {group:?}");
            }
        }
    }
}
