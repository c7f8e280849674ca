//! Fuzz targets: a function of bytes for each parser, which panics where something does not hold.
//!
//! One place for two drivers: `tests/mutations.rs` runs them on mutations of the seeds, and the
//! crate in `fuzz/` by libFuzzer. What each holds the parser to is in its comment; that it neither
//! panics nor goes on for ever is always meant.

use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use efa_core::layout::parse_notation;
use efa_core::{Catalog, Layout, Plan};
use efa_fabric::node::{Node, NodeRoot};
use efa_fabric::{fabric_log, fuzzing, nccl};

/// A name, the function, and inputs to begin with.
pub(crate) type Target = (&'static str, fn(&[u8]), &'static [&'static [u8]]);

/// Every target.
#[allow(dead_code)] // by the driver in tests/
pub(crate) const TARGETS: [Target; 8] = [
    (
        "address",
        address,
        &[
            b"02001f907f0000010000000000000000",
            b"s66693a2f2f313233",
            b"e00000000000000000000000000000000000000000000000000000000000000ff",
        ],
    ),
    (
        "rendezvous",
        rendezvous,
        &[
            b"\x07efaP\0\x04\0\0\0\x1c{\"Knock\":{\"nonce\":\"secret\"}}efaP\0\x04\0\0\0\x07\"Ready\"",
            b"\x01efaP\0\x04\0\0\0\x11{\"End\":{\"count\":1}}",
            b"\x03GET / HTTP/1.1\r\n\r\n",
        ],
    ),
    (
        "nccl_log",
        nccl_log,
        &[
            include_bytes!("../../src/nccl/log/fixtures/plugin_1_4_nccl_2_12.log"),
            include_bytes!("../../src/nccl/log/fixtures/plugin_1_12_nccl_2_21.log"),
            include_bytes!("../../src/nccl/log/fixtures/plugin_1_19_nccl_2_28.log"),
            include_bytes!("../../src/nccl/log/fixtures/sockets_ray.log"),
        ],
    ),
    (
        "fabric_log",
        fabric_log,
        &[
            b"libfabric:7:1::core:core:fi_getinfo_():1391<warn> fi_getinfo: provider efa output empty list\n\
              libfabric:7:1::efa:ep_data:efa_device_construct_gid():47<warn> ibv_open_device failed! errno: 2\n\
              libfabric:7:1::core:core:ofi_register_provider():506<info> registering provider: efa (121.0)\n\
              libfabric:7:1::efa:fabric:efa_device_list_initialize():1<info> ibv_get_device_list returns total_device_cnt=4\n",
            b"FI_EFA_MTU_SIZE env variable detected! The use of this variable has been deprecated\n",
        ],
    ),
    (
        "sysfs_tree",
        sysfs_tree,
        &[
            b"\x00rdmap0s6\xff\x010x1d0f\n\xff\x020xefa1\n\xff\x034: ACTIVE\n\xff\x04100 Gb/sec (4X EDR)\n\xff\x050\n\xff\x06NVIDIA\n\xff\x07123\n",
            b"\x08rdmap0s6\n\xff\x09Max locked memory  65536  65536  bytes\n\xff\x0aefa 65536 0 - Live 0x0\n\xff\x8b../../../sys/devices/a\xff\x0c1.2.3\n",
            b"\x0d# EFA installer version: 1.43.2\n\xff\x0ep5.48xlarge\n\xff\x0finclude /etc/ld.so.conf.d/*.conf\n\xff\x10HugePages_Free: 5\n",
        ],
    ),
    (
        "notation",
        notation,
        &[
            b"0:0=interface 0:1=efa-only 1-31:0=efa-only 4-28/4:1=interface",
            b"0:0=efa+public-ip 1:1=efa+no-public-ip+ips-2+prefixes-1",
        ],
    ),
    (
        "documents",
        documents,
        &[
            b"a: &a {x: 1}\nb: {<<: *a, c: !Ref D, e: !Sub '${F}'}\n---\n- [1, 'two', \"\\e\", |]\n",
            b"{\"InstanceType\": \"p5.48xlarge\", \"NetworkInterfaces\": [{\"DeviceIndex\": 0, \"InterfaceType\": \"efa\"}]}",
            b"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - resources: {limits: {vpc.amazonaws.com/efa: 32, hugepages-2Mi: 5Gi}}\n",
            b"Conditions: {C: !Equals [!Ref A, x]}\nResources:\n  T:\n    Type: AWS::EC2::LaunchTemplate\n    Properties:\n      \
              LaunchTemplateData: {InstanceType: !If [C, p5.48xlarge, p4d.24xlarge]}\n",
            b"{\"resource\": {\"aws_launch_template\": {\"t\": {\"dynamic\": {\"network_interfaces\": {\"for_each\": \"${range(4)}\", \
              \"content\": {\"device_index\": \"${network_interfaces.value}\", \"interface_type\": \"efa\"}}}}}}}",
        ],
    ),
    ("plan_json", plan_json, &[b"{\"format\":1,\"digest\":\"00\",\"spec\":{\"name\":\"train\"}}"]),
];

/// What is taken is as long as the local address, or short text that ends, and is what the digits
/// state.
pub(crate) fn address(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let own = "02001f907f0000010000000000000000";
    let (format, digits) = match text.strip_prefix('s') {
        Some(rest) => ("FI_ADDR_STR", rest),
        None => ("FI_SOCKADDR_IN", &*text),
    };
    match fuzzing::address(own, format, digits) {
        Ok(address) => {
            let hex: String = address.iter().map(|byte| format!("{byte:02x}")).collect();
            let said = digits.to_ascii_lowercase();
            if format == "FI_ADDR_STR" {
                assert_eq!(hex, said + "00");
                assert!(address.len() <= 1025);
            } else {
                assert_eq!((hex.len(), hex), (own.len(), said));
            }
        }
        Err(code) => assert_eq!(code, "fabric.rendezvous_refused"),
    }
}

/// Where a stream is cut makes no difference. The first byte states where.
pub(crate) fn rendezvous(bytes: &[u8]) {
    let Some((&step, stream)) = bytes.split_first() else {
        return;
    };
    let whole = fuzzing::frames(std::iter::once(stream));
    let pieces = fuzzing::frames(stream.chunks(usize::from(step).max(1)));
    assert_eq!(whole, pieces);
    assert!(
        whole
            .1
            .is_none_or(|code| code == "fabric.rendezvous_refused")
    );
}

/// Where a log is cut makes no difference, and what it reports reads back from JSON.
pub(crate) fn nccl_log(bytes: &[u8]) {
    let expectation = nccl::Expectation::new().nics(4).gpudirect(true);
    let mut whole = nccl::Log::new(expectation.clone());
    whole.push_bytes(bytes);
    let whole = whole.finish();
    let mut pieces = nccl::Log::new(expectation);
    for piece in bytes.chunks(1 + bytes.len() % 61) {
        pieces.push_bytes(piece);
    }
    assert_eq!(whole, pieces.finish());
    let json = serde_json::to_string(&whole).expect("a report is JSON");
    assert_eq!(serde_json::from_str(&json).ok().as_ref(), Some(&whole));
}

/// Whatever is quoted is in the log.
pub(crate) fn fabric_log(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let log = fabric_log::Log::parse(&text);
    for found in &log.fingerprints {
        assert!(text.contains(&found.evidence), "{found:?}");
    }
    let json = serde_json::to_string(&log).expect("a log is JSON");
    assert_eq!(serde_json::from_str(&json).ok().as_ref(), Some(&log));
}

/// Files that are read of a node; more are made by name, see [`sysfs_tree`].
const FILES: [&str; 17] = [
    "sys/class/infiniband/NAME",
    "sys/class/infiniband/rdmap0s6/device/vendor",
    "sys/class/infiniband/rdmap0s6/device/device",
    "sys/class/infiniband/rdmap0s6/ports/1/state",
    "sys/class/infiniband/rdmap0s6/ports/1/rate",
    "sys/class/infiniband/rdmap0s6/device/numa_node",
    "sys/class/infiniband/rdmap0s6/device/p2p",
    "sys/class/infiniband/rdmap0s6/ports/1/hw_counters/tx_bytes",
    "sys/class/infiniband_verbs/uverbs0/ibdev",
    "proc/self/limits",
    "proc/modules",
    "sys/class/infiniband/mlx5_0/device",
    "sys/module/efa/version",
    "opt/amazon/efa_installed_packages",
    "sys/class/dmi/id/product_name",
    "etc/ld.so.conf",
    "proc/meminfo",
];

/// A directory for one tree, gone with it.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.into()
        } else {
            std::env::temp_dir()
        };
        Self(parent.join(format!("efa-fuzz-{}-{number}", std::process::id())))
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// The inventory of any tree reads back from JSON. Pieces between 0xff bytes are files: the first
/// byte states which of [`FILES`], its highest bit that it is a link to what follows.
pub(crate) fn sysfs_tree(bytes: &[u8]) {
    let tree = Tree::new();
    for piece in bytes.split(|&byte| byte == 0xff).take(32) {
        let Some((&which, content)) = piece.split_first() else {
            continue;
        };
        let mut file = FILES[usize::from(which & 0x7f) % FILES.len()].to_owned();
        let name = String::from_utf8_lossy(content);
        let is_name = Path::new(&*name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if file.ends_with("NAME") && is_name && !name.contains('\0') && name.len() < 100 {
            file = file.replace("NAME", &name);
        }
        let path = tree.0.join(file);
        // What does not fit what is there already is left out.
        if path
            .parent()
            .is_none_or(|parent| std::fs::create_dir_all(parent).is_err())
        {
            continue;
        }
        if which & 0x80 != 0 && !name.contains('\0') {
            std::os::unix::fs::symlink(&*name, &path).ok();
        } else {
            std::fs::write(&path, content).ok();
        }
    }
    let node = Node::read(&NodeRoot::new(&tree.0));
    let json = serde_json::to_string(&node).expect("a node is JSON");
    assert_eq!(serde_json::from_str(&json).ok().as_ref(), Some(&node));
}

/// A layout that a type takes is the same after it was written and read.
pub(crate) fn notation(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(interfaces) = parse_notation(&text) else {
        return;
    };
    for name in ["p5.48xlarge", "p6-b300.48xlarge", "c7i.48xlarge"] {
        let kind = Catalog::bundled()
            .require(name)
            .expect("a type of the catalog");
        if let Ok(layout) = Layout::from_interfaces(kind, interfaces.clone()) {
            let read = parse_notation(&layout.notation()).expect("what was written is read");
            assert_eq!(read, layout.interfaces);
        }
    }
}

/// A report reads back from its JSON, and its text drives no terminal.
pub(crate) fn documents(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match efa_core::handoff::check(&text, Catalog::bundled()) {
        Ok(report) => {
            let json = serde_json::to_string(&report).expect("JSON");
            let read: efa_core::handoff::DocumentReport =
                serde_json::from_str(&json).expect("what was written is read");
            assert_eq!(read, report);
            let drives = |c: char| c.is_control() && c != '\n';
            assert!(!report.to_string().contains(drives), "{report:?}");
        }
        Err(error) => assert!(error.code().as_str().starts_with("handoff."), "{error}"),
    }
}

/// A plan that is taken is the same after it was written and read.
pub(crate) fn plan_json(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(plan) = Plan::from_json(&text) {
        assert_eq!(Plan::from_json(&plan.to_json()).ok(), Some(plan));
    }
}
