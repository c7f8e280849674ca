//! The table of variables that do harm, or nothing, with current software; with why and origin.

use super::node::Node;
use crate::environment::boolean;

/// Variables that a rule is about: a name, or the start of names before `*`.
pub(super) struct Rule {
    pub(super) name: &'static str,
    /// Whether the variable should go, by its value and the node.
    pub(super) applies: fn(&str, &Node) -> bool,
    pub(super) why: &'static str,
    pub(super) reference: &'static str,
}

impl Rule {
    pub(super) fn is_about(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == self.name,
        }
    }
}

/// aws-ofi-nccl's own page about these variables.
pub(super) const CHEAT_SHEET: &str = "aws/aws-ofi-nccl doc/efa-env-var.md";
/// NVIDIA's page about NCCL's variables.
pub(super) const NCCL_ENV: &str =
    "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html";
pub(super) const PLATFORM_AWS: &str = "aws/aws-ofi-nccl src/platform-aws.cpp";

/// The first rule that is about a variable and applies decides.
pub(super) const UNSET: &[Rule] = &[
    Rule {
        name: "FI_EFA_USE_DEVICE_RDMA",
        applies: |value, node| {
            node.has_rdma == Some(false) && is_true(value) || !needs_device_rdma(node)
        },
        why: "the default is right from libfabric 1.18 and aws-ofi-nccl 1.7; 1 aborts the process on a device without RDMA, 0 switches RDMA off",
        reference: CHEAT_SHEET,
    },
    Rule {
        name: "RDMAV_*",
        applies: |_, _| true,
        why: "a variable of rdma-core, not of EFA: RDMAV_FORK_SAFE breaks things on kernels that need no fork support; the plugin sets FI_EFA_FORK_SAFE itself",
        reference: CHEAT_SHEET,
    },
    Rule {
        name: "IBV_FORK_SAFE",
        applies: |_, _| true,
        why: "the same as RDMAV_FORK_SAFE: the plugin sets FI_EFA_FORK_SAFE itself",
        reference: CHEAT_SHEET,
    },
    Rule {
        name: "FI_EFA_USE_HUGE_PAGE",
        applies: |value, _| is_true(value),
        why: "the plugin sets FI_EFA_FORK_SAFE=1, and libfabric aborts a process that has both",
        reference: "ofiwg/libfabric prov/efa/src/efa_fork_support.c; aws/aws-ofi-nccl src/platform-aws.cpp",
    },
    Rule {
        name: "FI_EFA_ENABLE_SHM_TRANSFER",
        applies: |_, _| true,
        why: "has no effect: NCCL uses its own shared memory, and the plugin switches libfabric's off; set it for libfabric's tests only",
        reference: CHEAT_SHEET,
    },
    Rule {
        name: "FI_EFA_SET_CUDA_SYNC_MEMOPS",
        applies: |_, node| node.libfabric_at_least(2, 0),
        why: "worked around a fault of EFA installers before 1.29.1 with NCCL 2.19",
        reference: "awslabs/awsome-distributed-ai 1.architectures/efa-cheatsheet.md",
    },
    Rule {
        name: "FI_EFA_IFACE",
        applies: |value, node| {
            value != "all"
                && node.efa_count.is_some_and(|count| {
                    (value
                        .split(',')
                        .filter(|name| !name.trim().is_empty())
                        .count() as u64)
                        < u64::from(count)
                })
        },
        why: "names fewer devices than this node has, so that NCCL uses only these",
        reference: "ofiwg/libfabric man/fi_efa.7.md",
    },
    Rule {
        name: "FI_EFA_DEVICE_NAME",
        applies: |_, _| true,
        why: "no libfabric has ever read it; FI_EFA_IFACE names devices",
        reference: "ofiwg/libfabric prov/efa/src/efa_env.c",
    },
    Rule {
        name: "FI_OFI_RXR_*",
        applies: |_, _| true,
        why: "the name that settings of the efa provider had in its first releases; no libfabric of today reads it",
        reference: "NVIDIA/nccl issue 229",
    },
    Rule {
        name: "FI_HMEM_DISABLE_P2P",
        applies: |value, _| is_true(value),
        why: "switches GPUDirect RDMA off; the plugin then refuses EFA on types that have it",
        reference: "ofiwg/libfabric man/fi_mr.3.md",
    },
    Rule {
        name: "NCCL_PROTO",
        applies: |_, node| node.plugin_at_least(1, 6),
        why: "needed up to aws-ofi-nccl 1.5; later ones force the simple protocol themselves where data could come out of order, and without it small messages are faster",
        reference: CHEAT_SHEET,
    },
    Rule {
        name: "NCCL_ALGO",
        applies: |_, _| true,
        why: "overrides NCCL's and the plugin's tuner; for debugging only",
        reference: NCCL_ENV,
    },
    Rule {
        name: "NCCL_IB_*",
        applies: |_, _| true,
        why: "concerns InfiniBand verbs, which NCCL does not use for EFA",
        reference: NCCL_ENV,
    },
    Rule {
        name: "NCCL_SOCKET_NTHREADS",
        applies: |_, _| true,
        why: "concerns data over TCP sockets, not EFA",
        reference: CHEAT_SHEET,
    },
    Rule {
        name: "NCCL_NSOCKS_PERTHREAD",
        applies: |_, _| true,
        why: "concerns data over TCP sockets, not EFA",
        reference: CHEAT_SHEET,
    },
    Rule {
        name: "NCCL_MIN_NCHANNELS",
        applies: |_, _| true,
        why: "more channels than the platform needs make messages too small for EFA",
        reference: CHEAT_SHEET,
    },
    Rule {
        name: "NCCL_MAX_NCHANNELS",
        applies: |_, _| true,
        why: "fewer channels than the platform needs leave devices unused",
        reference: CHEAT_SHEET,
    },
    Rule {
        name: "NCCL_BUFFSIZE",
        applies: |_, _| true,
        why: "the plugin sets what suits the instance type, unless this is set",
        reference: PLATFORM_AWS,
    },
    Rule {
        name: "NCCL_P2P_NET_CHUNKSIZE",
        applies: |_, _| true,
        why: "the plugin sets what suits the instance type, unless this is set",
        reference: PLATFORM_AWS,
    },
    Rule {
        name: "NCCL_TOPO_FILE",
        applies: |_, _| true,
        why: "the plugin writes a topology in which the devices are grouped by GPU, unless this is set",
        reference: PLATFORM_AWS,
    },
    Rule {
        name: "NCCL_P2P_DISABLE",
        applies: |value, _| is_true(value),
        why: "keeps GPUs of one node from using NVLink",
        reference: NCCL_ENV,
    },
    Rule {
        name: "NCCL_SHM_DISABLE",
        applies: |value, _| is_true(value),
        why: "sends traffic inside a node over the network",
        reference: NCCL_ENV,
    },
    Rule {
        name: "NCCL_NET_GDR_LEVEL",
        applies: |value, _| value == "0" || value.eq_ignore_ascii_case("LOC"),
        why: "switches GPUDirect RDMA off",
        reference: NCCL_ENV,
    },
    Rule {
        name: "NCCL_DMABUF_ENABLE",
        applies: |value, _| is_false(value),
        why: "leaves GPUDirect RDMA to nvidia_peermem, which may not be loaded",
        reference: NCCL_ENV,
    },
    Rule {
        name: "NCCL_NET",
        applies: |value, node| !is_network_of_plugin(value, node),
        why: "names a network that is not the plugin's, so that EFA is not used",
        reference: NCCL_ENV,
    },
    Rule {
        name: "NCCL_NET_PLUGIN",
        applies: |value, _| value.eq_ignore_ascii_case("none"),
        why: "keeps NCCL from loading the plugin",
        reference: NCCL_ENV,
    },
    Rule {
        name: "OFI_NCCL_PROTOCOL",
        applies: |_, _| true,
        why: "overrides the protocol that the plugin chooses for the instance type; RDMA fails on devices without RDMA write",
        reference: PLATFORM_AWS,
    },
    Rule {
        name: "OFI_NCCL_NIC_DUP_CONNS",
        applies: |value, node| value != "0" && node.has_rdma != Some(false),
        why: "the plugin refuses it where GPUDirect RDMA works",
        reference: "aws/aws-ofi-nccl src/nccl_ofi_net.cpp",
    },
    Rule {
        name: "OFI_NCCL_DISABLE_GDR_REQUIRED_CHECK",
        applies: |value, _| is_true(value),
        why: "hides that GPUDirect RDMA does not work; data then goes through host memory",
        reference: PLATFORM_AWS,
    },
    Rule {
        name: "OFI_NCCL_DISABLE_NATIVE_RDMA_CHECK",
        applies: |value, _| is_true(value),
        why: "lets the RDMA protocol run where libfabric only emulates RDMA",
        reference: PLATFORM_AWS,
    },
    Rule {
        name: "OFI_NCCL_DISABLE_DMABUF",
        applies: |value, _| is_true(value),
        why: "leaves GPUDirect RDMA to nvidia_peermem, which may not be loaded",
        reference: "aws/aws-ofi-nccl include/nccl_ofi_param.h",
    },
    Rule {
        name: "OFI_NCCL_PLATFORM",
        applies: |value, _| !value.is_empty() && !value.eq_ignore_ascii_case("aws"),
        why: "keeps the plugin's settings for EC2 from being used",
        reference: "aws/aws-ofi-nccl include/nccl_ofi_param.h",
    },
];

/// aws-ofi-nccl before 1.7 or libfabric before 1.18, with a device that has RDMA.
pub(super) fn needs_device_rdma(node: &Node) -> bool {
    node.has_rdma == Some(true) && !(node.plugin_at_least(1, 7) && node.libfabric_at_least(1, 18))
}

/// Up to aws-ofi-nccl 1.12 the network is called "AWS Libfabric"; later "Libfabric", and the old
/// name is still taken.
fn is_network_of_plugin(name: &str, node: &Node) -> bool {
    name.eq_ignore_ascii_case("AWS Libfabric")
        || name.eq_ignore_ascii_case("Libfabric") && node.plugin_at_least(1, 13)
}

fn is_true(value: &str) -> bool {
    boolean(value.as_ref()) == Some(true)
}

fn is_false(value: &str) -> bool {
    boolean(value.as_ref()) == Some(false)
}
