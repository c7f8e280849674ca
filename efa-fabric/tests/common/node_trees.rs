//! Directories that look like machines, for tests of the inventory and of what reads it.
//!
//! They are built from the paths that the kernel and its EFA driver document, with links like
//! those of sysfs. **None was recorded on hardware**: PCI addresses, bridges and NUMA nodes are
//! laid out to be plausible, names follow from them (`rdmap79s0` is bus 0x4f, slot 0), and
//! numbers that do not matter are invented. That the two other RDMA devices of p6-b200 are
//! Mellanox cards is an assumption as well.
//!
//! ```ignore
//! let tree = node_trees::p5();
//! tree.write("proc/self/limits", "Max locked memory  65536  65536  bytes\n");
//! let node = Node::read(&NodeRoot::new(tree.path()));
//! ```

#![allow(dead_code, clippy::unwrap_used)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A named machine.
pub(crate) type Machine = (&'static str, fn() -> NodeTree);

/// Every machine by its name.
pub(crate) const MACHINES: [Machine; 13] = [
    ("p4d", p4d),
    ("p5", p5),
    ("p5en", p5en),
    ("p6_b200", p6_b200),
    ("p6_b300", p6_b300),
    ("no_driver", no_driver),
    ("old_rdma_core", old_rdma_core),
    ("wrong_count", wrong_count),
    ("memlock_64_kib", memlock_64_kib),
    ("no_uverbs", no_uverbs),
    ("one_uverbs_denied", one_uverbs_denied),
    ("plugin_missing", plugin_missing),
    ("laptop", laptop),
];

/// 4 EFA of 100 Gbit/s, each on a host bridge with two of 8 GPUs.
pub(crate) fn p4d() -> NodeTree {
    let tree = ec2("p4d.24xlarge", 44, 34);
    for (number, (bus, numa)) in [(0x10, 0), (0x20, 0), (0x90, 1), (0xa0, 1)]
        .into_iter()
        .enumerate()
    {
        let host = format!("sys/devices/pci0000:{bus:02x}");
        tree.efa(&format!("{host}/0000:{bus:02x}:1b.0"), 0, numa, 100, number);
        for slot in [0x1c, 0x1d] {
            tree.gpu(
                &format!("{host}/0000:{bus:02x}:{slot:02x}.0"),
                "0x20b0",
                numa,
            );
        }
    }
    tree
}

/// 32 EFA of 100 Gbit/s, 4 under a switch with each of 8 GPUs.
pub(crate) fn p5() -> NodeTree {
    switched("p5.48xlarge", 44, &Switch::new(4, 1, 1, 100))
}

/// 16 EFA of 200 Gbit/s, 2 under a switch with each of 8 GPUs.
pub(crate) fn p5en() -> NodeTree {
    switched("p5en.48xlarge", 60, &Switch::new(2, 1, 2, 200))
}

/// 8 EFA of 400 Gbit/s, one with each of 8 GPUs, and 2 other RDMA devices.
pub(crate) fn p6_b200() -> NodeTree {
    let tree = switched("p6-b200.48xlarge", 60, &Switch::new(1, 1, 3, 400));
    for number in 0..2 {
        tree.rdma(
            &format!("sys/devices/pci0000:e0/0000:e0:0{}.0", number + 1),
            &Rdma {
                name: format!("mlx5_{number}"),
                vendor: "0x15b3",
                device: "0x1021".into(),
                driver: "mlx5_core",
                numa: 1,
                gbps: 400,
                uverbs: 8 + number,
            },
        );
    }
    tree
}

/// 16 EFA of 400 Gbit/s, 2 with each of 8 GPUs.
pub(crate) fn p6_b300() -> NodeTree {
    switched("p6-b300.48xlarge", 64, &Switch::new(2, 1, 4, 400))
}

/// As p5, but the kernel has no EFA driver: the devices are on the bus only.
pub(crate) fn no_driver() -> NodeTree {
    let tree = p5();
    for directory in [
        "sys/class/infiniband",
        "sys/class/infiniband_verbs",
        "sys/module/efa",
        "sys/bus/pci/drivers/efa",
        "dev/infiniband",
    ] {
        tree.remove(directory);
    }
    tree.unbind();
    tree.write(
        "proc/modules",
        "ib_uverbs 147456 0 - Live 0x0\nib_core 409600 1 ib_uverbs, Live 0x0\n",
    );
    tree
}

/// As p6-b200, but rdma-core is Debian 12's, which does not know the device's id.
pub(crate) fn old_rdma_core() -> NodeTree {
    let tree = p6_b200();
    tree.remove("usr/lib/x86_64-linux-gnu");
    tree.rdma_core(44, 34);
    tree
}

/// As p5en with 15 of 16 EFA.
pub(crate) fn wrong_count() -> NodeTree {
    let tree = p5en();
    let lost = std::fs::read_dir(tree.at("sys/class/infiniband"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .max()
        .unwrap();
    let device = std::fs::canonicalize(tree.at(&format!("sys/class/infiniband/{lost}/device")));
    let device = device.unwrap();
    let address = device.file_name().unwrap().to_str().unwrap().to_owned();
    let number = std::fs::read_dir(device.join("infiniband_verbs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .next()
        .unwrap();
    std::fs::remove_dir_all(&device).unwrap();
    tree.remove(&format!("sys/class/infiniband/{lost}"));
    tree.remove(&format!("sys/class/infiniband_verbs/{number}"));
    tree.remove(&format!("sys/bus/pci/devices/{address}"));
    tree.remove(&format!("dev/infiniband/{number}"));
    tree
}

/// As p5, but only 64 KiB of memory may be locked.
pub(crate) fn memlock_64_kib() -> NodeTree {
    let tree = p5();
    tree.write("proc/self/limits", limits("65536"));
    tree
}

/// As p5, but in a pod to which `/dev/infiniband` was not given.
pub(crate) fn no_uverbs() -> NodeTree {
    let tree = p5();
    tree.remove("dev/infiniband");
    tree.write(
        "proc/1/cgroup",
        "0::/kubepods.slice/kubepods-pod1.slice/cri-1.scope\n",
    );
    tree.write(
        "var/run/secrets/kubernetes.io/serviceaccount/namespace",
        "train\n",
    );
    tree
}

/// As p6-b200, but the verbs device of one that is not EFA does not open. It is a directory,
/// because root may open files that others may not: opening gives `EISDIR`.
pub(crate) fn one_uverbs_denied() -> NodeTree {
    let tree = p6_b200();
    tree.remove("dev/infiniband/uverbs8");
    std::fs::create_dir(tree.at("dev/infiniband/uverbs8")).unwrap();
    tree
}

/// As p5 without aws-ofi-nccl.
pub(crate) fn plugin_missing() -> NodeTree {
    let tree = p5();
    tree.remove("opt/amazon/ofi-nccl");
    tree.remove("etc/ld.so.conf.d/100_ofinccl.conf");
    tree
}

/// No EC2, no EFA: one GPU of another maker, no RDMA.
pub(crate) fn laptop() -> NodeTree {
    let tree = NodeTree::new("laptop");
    tree.write("sys/class/dmi/id/sys_vendor", "LENOVO\n");
    tree.write("sys/class/dmi/id/product_name", "21CBCTO1WW\n");
    tree.write("sys/class/dmi/id/board_asset_tag", "Not Available\n");
    tree.write("proc/sys/kernel/osrelease", "6.12.4-1-generic\n");
    tree.write("proc/sys/kernel/hostname", "laptop\n");
    tree.write("proc/modules", "i915 4513792 34 - Live 0x0\n");
    tree.write("proc/self/limits", limits("8388608"));
    tree.write("proc/meminfo", meminfo(0));
    tree.write("proc/1/cgroup", "0::/init.scope\n");
    let gpu = "sys/devices/pci0000:00/0000:00:02.0";
    tree.pci(gpu, "0x8086", "0x46a6", "0x030000", 0);
    tree.write(&format!("{gpu}/numa_node"), "-1\n");
    tree
}

/// A machine in a temporary directory, removed on drop.
#[derive(Debug)]
pub(crate) struct NodeTree {
    path: PathBuf,
}

/// One RDMA device.
struct Rdma {
    name: String,
    vendor: &'static str,
    device: String,
    driver: &'static str,
    numa: u32,
    gbps: u32,
    uverbs: usize,
}

/// What is under each PCI switch of a machine with 8 of them.
struct Switch {
    efa: usize,
    gpus: usize,
    generation: u32,
    gbps: u32,
}

impl Switch {
    fn new(efa: usize, gpus: usize, generation: u32, gbps: u32) -> Self {
        Self {
            efa,
            gpus,
            generation,
            gbps,
        }
    }
}

/// A machine of 8 PCI switches, 4 on each NUMA node, each on a host bridge of its own.
fn switched(instance_type: &str, rdma_core: u32, switch: &Switch) -> NodeTree {
    let tree = ec2(
        instance_type,
        rdma_core,
        if rdma_core < 60 { 34 } else { 59 },
    );
    let mut number = 0;
    for group in 0..8_usize {
        let (bus, numa) = (0x40 + group * 0x10, group as u32 / 4);
        let switch_port = format!("sys/devices/pci0000:{bus:02x}/0000:{bus:02x}:01.0");
        let upstream = format!("{switch_port}/0000:{:02x}:00.0", bus + 1);
        for port in 0..switch.efa + switch.gpus {
            let at = format!(
                "{upstream}/0000:{:02x}:{port:02x}.0/0000:{:02x}:00.0",
                bus + 2,
                bus + 3 + port
            );
            if port < switch.efa {
                tree.efa(&at, switch.generation, numa, switch.gbps, number);
                number += 1;
            } else {
                tree.gpu(&at, "0x2330", numa);
            }
        }
    }
    tree
}

/// A healthy EC2 machine without devices.
fn ec2(instance_type: &str, rdma_core: u32, provider_abi: u32) -> NodeTree {
    let tree = NodeTree::new(instance_type);
    tree.write("sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
    tree.write(
        "sys/class/dmi/id/product_name",
        format!("{instance_type}\n"),
    );
    tree.write("sys/class/dmi/id/board_asset_tag", "i-0123456789abcdef0\n");
    tree.write("proc/sys/kernel/osrelease", "6.8.0-1021-aws\n");
    tree.write("proc/sys/kernel/hostname", "ip-10-0-0-4\n");
    tree.write("proc/sys/kernel/yama/ptrace_scope", "0\n");
    tree.write("proc/self/limits", limits("unlimited"));
    tree.write("proc/self/status", "Name:\tprobe\nSeccomp:\t0\n");
    tree.write("proc/self/cgroup", "0::/user.slice\n");
    tree.write("sys/fs/cgroup/user.slice/pids.max", "max\n");
    tree.write("sys/fs/cgroup/user.slice/pids.current", "12\n");
    tree.write("proc/meminfo", meminfo(5128));
    tree.write("proc/1/cgroup", "0::/init.scope\n");
    tree.write(
        "proc/modules",
        "efa 229376 0 - Live 0x0 (OE)\nib_uverbs 147456 1 efa, Live 0x0\n\
         ib_core 409600 2 efa,ib_uverbs, Live 0x0\nnvidia 54001664 9 - Live 0x0 (POE)\n\
         gdrdrv 28672 0 - Live 0x0 (OE)\n",
    );
    tree.write("sys/module/efa/version", "2.17.2g\n");
    tree.write("sys/module/nvidia/version", "570.133.20\n");
    tree.write("sys/module/gdrdrv/version", "2.4\n");
    tree.write(
        "opt/amazon/efa_installed_packages",
        "# EFA installer version: 1.43.2\n# Debug packages installed: no\nefa-2.17.2\n",
    );
    tree.write("opt/amazon/efa/lib/libfabric.so.1.29.0", "not a library\n");
    tree.link("opt/amazon/efa/lib/libfabric.so.1", "libfabric.so.1.29.0");
    tree.write(
        "opt/amazon/ofi-nccl/lib/x86_64-linux-gnu/libnccl-net-ofi.so",
        "\u{7f}ELF\0NET/OFI Initializing aws-ofi-nccl 1.16.3\0",
    );
    tree.link(
        "opt/amazon/ofi-nccl/lib/x86_64-linux-gnu/libnccl-net.so",
        "libnccl-net-ofi.so",
    );
    tree.write(
        "etc/ld.so.conf.d/100_ofinccl.conf",
        "/opt/amazon/ofi-nccl/lib/x86_64-linux-gnu\n",
    );
    tree.rdma_core(rdma_core, provider_abi);
    tree
}

fn limits(memlock: &str) -> String {
    format!(
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max open files            1048576              1048576              files     \n\
         Max locked memory         {memlock:<20} {memlock:<20} bytes     \n"
    )
}

fn meminfo(huge_pages: u64) -> String {
    format!(
        "MemTotal:       2097152000 kB\nHugePages_Total:    {huge_pages}\n\
         HugePages_Free:     {huge_pages}\nHugepagesize:       2048 kB\n"
    )
}

impl NodeTree {
    /// An empty directory.
    pub(crate) fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // A thousand small files are slow on a busy disk.
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        };
        let path = parent.join(format!(
            "efa-node-tree-{}-{number}-{name}",
            std::process::id()
        ));
        std::fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    /// Its directory, the root of the machine.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A path of the machine, relative to its root.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    /// Writes a file, with the directories above it.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.at(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    /// Makes a link, with the directories above it.
    pub(crate) fn link(&self, path: &str, target: &str) {
        let file = self.at(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        symlink(target, file).unwrap();
    }

    /// Removes a file, a link or a directory with everything in it.
    pub(crate) fn remove(&self, path: &str) {
        let file = self.at(path);
        match file.symlink_metadata() {
            Ok(data) if data.is_dir() => std::fs::remove_dir_all(file).unwrap(),
            Ok(_) => std::fs::remove_file(file).unwrap(),
            Err(error) => panic!("{}: {error}", file.display()),
        }
    }

    /// Sets a counter of a port, so that a reader sees the old value or the new one.
    pub(crate) fn set_counter(&self, device: &str, name: &str, value: u64) {
        let directory = format!("sys/class/infiniband/{device}/ports/1/hw_counters");
        let new = format!("new-{device}-{name}");
        self.write(&new, format!("{value}\n"));
        std::fs::rename(self.at(&new), self.at(&format!("{directory}/{name}"))).unwrap();
    }

    /// Adds rdma-core with its efa provider.
    fn rdma_core(&self, version: u32, provider_abi: u32) {
        let directory = "usr/lib/x86_64-linux-gnu";
        let library = format!("libibverbs.so.1.14.{version}.0");
        self.write(&format!("{directory}/{library}"), "not a library\n");
        self.link(&format!("{directory}/libibverbs.so.1"), &library);
        let provider = format!("libefa.so.1.2.{version}.0");
        self.write(&format!("{directory}/{provider}"), "not a library\n");
        self.link(
            &format!("{directory}/libibverbs/libefa-rdmav{provider_abi}.so"),
            &format!("../{provider}"),
        );
        self.write("etc/libibverbs.d/efa.driver", "driver efa\n");
    }

    /// Adds a PCI device at a path below `sys/devices`.
    fn pci(&self, at: &str, vendor: &str, device: &str, class: &str, numa: u32) {
        let address = at.rsplit('/').next().unwrap();
        self.write(&format!("{at}/vendor"), format!("{vendor}\n"));
        self.write(&format!("{at}/device"), format!("{device}\n"));
        self.write(&format!("{at}/class"), format!("{class}\n"));
        self.write(&format!("{at}/numa_node"), format!("{numa}\n"));
        let bus = "sys/bus/pci/devices";
        self.link(&format!("{bus}/{address}"), &format!("../../../../{at}"));
    }

    fn bind(&self, at: &str, driver: &str) {
        std::fs::create_dir_all(self.at(&format!("sys/bus/pci/drivers/{driver}"))).unwrap();
        let up = "../".repeat(at.split('/').count());
        self.link(
            &format!("{at}/driver"),
            &format!("{up}sys/bus/pci/drivers/{driver}"),
        );
    }

    /// Takes the efa driver from all devices.
    fn unbind(&self) {
        for entry in std::fs::read_dir(self.at("sys/bus/pci/devices")).unwrap() {
            let device = entry.unwrap().path();
            let driver = std::fs::read_link(device.join("driver"));
            if driver.is_ok_and(|driver| driver.ends_with("efa")) {
                std::fs::remove_file(device.join("driver")).unwrap();
                std::fs::remove_dir_all(device.join("infiniband")).unwrap();
                std::fs::remove_dir_all(device.join("infiniband_verbs")).unwrap();
            }
        }
    }

    fn gpu(&self, at: &str, device: &str, numa: u32) {
        self.pci(at, "0x10de", device, "0x030200", numa);
        self.bind(at, "nvidia");
    }

    fn efa(&self, at: &str, generation: u32, numa: u32, gbps: u32, uverbs: usize) {
        let address = at.rsplit('/').next().unwrap();
        let part =
            |range: std::ops::Range<usize>| u32::from_str_radix(&address[range], 16).unwrap();
        let device = Rdma {
            name: format!("rdmap{}s{}", part(5..7), part(8..10)),
            vendor: "0x1d0f",
            device: format!("0xefa{generation}"),
            driver: "efa",
            numa,
            gbps,
            uverbs,
        };
        self.rdma(at, &device);
        let port = format!("{at}/infiniband/{}/ports/1/hw_counters", device.name);
        for name in [
            "tx_bytes",
            "tx_pkts",
            "rx_bytes",
            "rx_pkts",
            "rx_drops",
            "send_bytes",
            "send_wrs",
            "recv_bytes",
            "recv_wrs",
            "rdma_read_bytes",
            "rdma_write_bytes",
            "retrans_bytes",
            "retrans_pkts",
            "retrans_timeout_events",
            "unresponsive_remote_events",
            "impaired_remote_conn_events",
        ] {
            self.write(&format!("{port}/{name}"), "0\n");
        }
        self.write(&format!("{port}/lifespan"), "12\n");
        let own = format!("{at}/infiniband/{}/hw_counters", device.name);
        self.write(&format!("{own}/submitted_cmds"), "17\n");
        self.write(&format!("{own}/keep_alive_rcvd"), "3\n");
        self.write(&format!("{at}/p2p"), "NVIDIA\n");
    }

    fn rdma(&self, at: &str, device: &Rdma) {
        self.pci(at, device.vendor, &device.device, "0x020000", device.numa);
        self.bind(at, device.driver);
        let address = at.rsplit('/').next().unwrap();
        let name = &device.name;
        let own = format!("{at}/infiniband/{name}");
        self.write(
            &format!("{own}/node_guid"),
            format!("0000:0000:0000:{:04x}\n", device.uverbs),
        );
        self.write(&format!("{own}/ports/1/state"), "4: ACTIVE\n");
        self.write(
            &format!("{own}/ports/1/rate"),
            format!("{} Gb/sec (4X EDR)\n", device.gbps),
        );
        self.link(&format!("{own}/device"), &format!("../../../{address}"));
        self.link(
            &format!("sys/class/infiniband/{name}"),
            &format!("../../../{own}"),
        );
        let verbs = format!("uverbs{}", device.uverbs);
        let own = format!("{at}/infiniband_verbs/{verbs}");
        self.write(&format!("{own}/ibdev"), format!("{name}\n"));
        self.write(
            &format!("{own}/dev"),
            format!("231:{}\n", 192 + device.uverbs),
        );
        self.link(&format!("{own}/device"), &format!("../../../{address}"));
        self.link(
            &format!("sys/class/infiniband_verbs/{verbs}"),
            &format!("../../../{own}"),
        );
        self.write("sys/class/infiniband_verbs/abi_version", "6\n");
        self.write(&format!("dev/infiniband/{verbs}"), "");
    }
}

impl Drop for NodeTree {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.path).ok();
    }
}
