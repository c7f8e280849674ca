//! The inventory of a machine.

use std::path::PathBuf;

use efa_fabric as fabric;
use pyo3::prelude::*;

use crate::argument::given;
use crate::convert::{list, word};
use crate::ending;
use crate::value::value_class;

/// Bytes, or -1 for unlimited.
fn limit(limit: Option<fabric::node::Limit>) -> Option<i64> {
    match limit? {
        fabric::node::Limit::Unlimited => Some(-1),
        fabric::node::Limit::Of(amount) => Some(i64::try_from(amount).unwrap_or(i64::MAX)),
        _ => None,
    }
}

value_class! {
    /// A PCI device.
    PciDevice(fabric::node::PciDevice) {
        /// Such as `0000:00:06.0`.
        address: String = |d| d.address.clone();
        /// Vendor id, such as `0x1d0f`.
        vendor: Option<String> = |d| d.vendor.clone();
        /// Device id, such as `0xefa1`.
        device: Option<String> = |d| d.device.clone();
        /// `efa0`, `efa1` …, of EFA devices.
        generation: Option<String> = |d| d.generation.map(|g| g.to_string());
        /// The driver that is bound to it.
        driver: Option<String> = |d| d.driver.clone();
        /// NUMA node.
        numa_node: Option<u32> = |d| d.numa_node;
        /// The PCI addresses on the way to it: host bridge, bridges, itself.
        path: Vec<String> = |d| d.path.clone();
    }
    repr = |d| format!("<PciDevice {}>", d.address);
}

value_class! {
    /// An EFA device as the kernel's driver shows it.
    EfaDevice(fabric::node::EfaDevice) {
        /// Such as `rdmap0s6`.
        name: String = |d| d.name.clone();
        /// The PCI address.
        pci_address: Option<String> = |d| d.pci_address.clone();
        /// The bridge right above it, or the host bridge.
        pci_group: Option<String> = |d| d.pci_group.clone();
        /// NUMA node.
        numa_node: Option<u32> = |d| d.numa_node;
        /// `efa0`, `efa1` …
        generation: Option<String> = |d| d.generation.map(|g| g.to_string());
        /// The driver.
        driver: Option<String> = |d| d.driver.clone();
        /// State of its port, such as `ACTIVE`.
        port_state: Option<String> = |d| d.port_state.clone();
        /// Rate of its port in Gbit/s.
        rate_gbps: Option<f64> = |d| d.rate_gbps;
        /// Its verbs device, such as `uverbs0`.
        uverbs: Option<String> = |d| d.uverbs.clone();
        /// What gives peer-to-peer access to device memory; empty text means none.
        p2p: Option<String> = |d| d.p2p.clone();
        /// The GUID of the node.
        node_guid: Option<String> = |d| d.node_guid.clone();
        /// Counters of the port and of the device.
        counters: std::collections::BTreeMap<String, u64> = |d| d.counters.clone();
        /// PCI addresses of the nearest GPUs: all that are equally near.
        nearest_gpus: Vec<String> = |d| d.nearest_gpus.clone();
    }
    repr = |d| format!("<EfaDevice {}>", d.name);
}

value_class! {
    /// An RDMA device that is not EFA.
    RdmaDevice(fabric::node::RdmaDevice) {
        /// Such as `mlx5_0`.
        name: String = |d| d.name.clone();
        /// Vendor id.
        vendor: Option<String> = |d| d.vendor.clone();
        /// Device id.
        device: Option<String> = |d| d.device.clone();
        /// The driver.
        driver: Option<String> = |d| d.driver.clone();
        /// The PCI address.
        pci_address: Option<String> = |d| d.pci_address.clone();
    }
    repr = |d| format!("<RdmaDevice {}>", d.name);
}

value_class! {
    /// A verbs device, through which programs use an RDMA device.
    Uverbs(fabric::node::Uverbs) {
        /// Such as `uverbs0`.
        name: String = |u| u.name.clone();
        /// The RDMA device that it belongs to.
        ibdev: Option<String> = |u| u.ibdev.clone();
        /// Such as `/dev/infiniband/uverbs0`.
        path: String = |u| u.path.clone();
        /// `openable`, `missing` or `denied`.
        access: PyResult<String> = |u| word(&u.access);
        /// The error number of what is denied.
        errno: Option<i32> = |u| match u.access {
            fabric::node::Access::Denied { errno } => Some(errno),
            _ => None,
        };
    }
    repr = |u| {
        let access = word(&u.access).unwrap_or_else(|error| error.to_string());
        format!("<Uverbs {} {access}>", u.name)
    };
}

value_class! {
    /// A kernel module.
    KernelModule(fabric::node::KernelModule) {
        /// Such as `efa`.
        name: String = |m| m.name.clone();
        /// Whether the kernel has it; None where that cannot be read.
        loaded: Option<bool> = |m| m.loaded;
        /// Its version, where it has one of its own.
        version: Option<String> = |m| m.version.clone();
    }
    repr = |m| format!("<KernelModule {}>", m.name);
}

value_class! {
    /// The expected hardware of an instance type.
    ExpectedEfa(fabric::node::Expected) {
        /// The instance type.
        instance_type: String = |e| e.instance_type.clone();
        /// EFA interfaces that it can have; a launch may attach fewer on purpose.
        efa_count: u32 = |e| e.efa_count;
        /// Gbit/s of one EFA device, where it is known.
        efa_gbps: Option<f64> = |e| e.efa_gbps;
        /// Where that figure is from.
        efa_gbps_origin: Option<String> = |e| e.efa_gbps_origin.clone();
        /// Gbit/s of the whole instance.
        instance_gbps: Option<f64> = |e| e.instance_gbps;
    }
    repr = |e| format!("<ExpectedEfa of {}>", e.instance_type);
}

value_class! {
    /// A machine, according to its files; `str()` is a short text with a table.
    Node(fabric::node::Node) {
        /// The directory that was read.
        root: String = |n| n.root.clone();
        /// Name of the machine.
        hostname: Option<String> = |n| n.hostname.clone();
        /// Release of the kernel.
        kernel: Option<String> = |n| n.kernel.clone();
        /// Name of the product, from DMI.
        product_name: Option<String> = |n| n.product_name.clone();
        /// The instance type, on EC2.
        instance_type: Option<String> = |n| n.instance_type.clone();
        /// The instance id, on EC2.
        instance_id: Option<String> = |n| n.instance_id.clone();
        /// What the instance type should have.
        expected: Option<ExpectedEfa> = |n| n.expected.clone().map(ExpectedEfa);
        /// EFA devices on the PCI bus, with or without a driver.
        pci_efa: Vec<PciDevice> = |n| list(&n.pci_efa);
        /// EFA devices that the kernel's driver made usable.
        efa_devices: Vec<EfaDevice> = |n| list(&n.efa_devices);
        /// Other RDMA devices.
        other_rdma_devices: Vec<RdmaDevice> = |n| list(&n.other_rdma_devices);
        /// NVIDIA GPUs on the PCI bus.
        gpus: Vec<PciDevice> = |n| list(&n.gpus);
        /// Verbs devices.
        uverbs: Vec<Uverbs> = |n| list(&n.uverbs);
        /// The kernel modules that matter, loaded or not.
        modules: Vec<KernelModule> = |n| list(&n.modules);
        /// Bytes that may be locked; -1 for unlimited.
        memlock_bytes: Option<i64> = |n| limit(n.limits.memlock_bytes);
        /// Huge pages of the default size that are free.
        hugepages_free: Option<u64> = |n| n.limits.hugepages_free;
        /// Size of /dev/shm in MiB; only of the machine that runs the program.
        shm_mib: Option<u64> = |n| n.limits.shm_mib;
        /// Version of the EFA installer.
        efa_installer: Option<String> = |n| n.software.efa_installer.clone();
        /// Version of rdma-core.
        rdma_core: Option<u32> = |n| n.software.rdma_core;
        /// Files named libfabric.so.1 in the usual places.
        libfabrics: Vec<String> = |n| n.software.libfabrics.clone();
        /// NCCL plugins in the usual places, by path, with the version where it can be read.
        nccl_plugins: std::collections::BTreeMap<String, Option<String>> = |n| {
            let plugins = n.software.nccl_plugins.iter();
            plugins.map(|p| (p.path.clone(), p.version.clone())).collect()
        };
        /// Whether anything states that this is a container.
        is_container: bool = |n| n.container.is_container();
        /// Whether anything states that this is a pod of Kubernetes.
        is_kubernetes: bool = |n| n.container.is_kubernetes();
    }
    repr = |n| format!("<Node with {} EFA devices>", n.efa_devices.len());
    str = ToString::to_string;
    html = fabric::node::Node::to_html;
}

/// Returns the inventory of a machine: this one (root: `/`), or one in a directory with a copy of
/// its files.
///
/// What cannot be read is None; there is no error.
#[pyfunction]
#[pyo3(signature = (
    root: "str | os.PathLike[str]" = PathBuf::from("/")
))]
pub(crate) fn node(py: Python<'_>, #[pyo3(from_py_with = given)] root: PathBuf) -> Node {
    ending::detach(py, || {
        Node(fabric::node::Node::read(
            &fabric::node::NodeRoot::with_environment(root),
        ))
    })
}
