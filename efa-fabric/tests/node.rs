//! The inventory on machines made of files, and on this one.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::node_trees::{self, MACHINES, NodeTree};
use efa_fabric::node::{Access, Limit, Node, NodeRoot};

fn read(tree: &NodeTree) -> Node {
    Node::read(&NodeRoot::new(tree.path()))
}

#[test]
fn machines_have_what_their_type_has() {
    for (tree, instance_type, efa, gbps, generation, gpus, others) in [
        (node_trees::p4d(), "p4d.24xlarge", 4, 100.0, "efa0", 8, 0),
        (node_trees::p5(), "p5.48xlarge", 32, 100.0, "efa1", 8, 0),
        (node_trees::p5en(), "p5en.48xlarge", 16, 200.0, "efa2", 8, 0),
        (
            node_trees::p6_b200(),
            "p6-b200.48xlarge",
            8,
            400.0,
            "efa3",
            8,
            2,
        ),
        (
            node_trees::p6_b300(),
            "p6-b300.48xlarge",
            16,
            400.0,
            "efa4",
            8,
            0,
        ),
    ] {
        let node = read(&tree);
        assert_eq!(node.instance_type.as_deref(), Some(instance_type));
        assert_eq!(node.instance_id.as_deref(), Some("i-0123456789abcdef0"));
        let expected = node.expected.as_ref().unwrap();
        assert_eq!(
            (
                expected.efa_count as usize,
                node.pci_efa.len(),
                node.efa_devices.len()
            ),
            (efa, efa, efa)
        );
        assert_eq!(node.other_rdma_devices.len(), others, "{instance_type}");
        assert_eq!(node.uverbs.len(), efa + others);
        assert!(
            node.uverbs
                .iter()
                .all(|verbs| verbs.access == Access::Openable)
        );
        assert_eq!(node.gpus.len(), gpus);
        for device in &node.efa_devices {
            assert_eq!(device.rate_gbps, Some(gbps));
            assert_eq!(device.rate_gbps, expected.efa_gbps);
            assert_eq!(device.generation.unwrap().to_string(), generation);
            assert_eq!(device.driver.as_deref(), Some("efa"));
            assert_eq!(device.port_state.as_deref(), Some("ACTIVE"));
            assert_eq!(device.p2p.as_deref(), Some("NVIDIA"));
            assert_eq!(device.counters["tx_bytes"], 0);
            assert_eq!(device.counters["submitted_cmds"], 17);
            assert!(!device.counters.contains_key("lifespan"));
            let verbs = node
                .uverbs
                .iter()
                .find(|v| Some(&v.name) == device.uverbs.as_ref());
            assert_eq!(verbs.unwrap().ibdev.as_ref(), Some(&device.name));
            let pci = node
                .pci_efa
                .iter()
                .find(|p| Some(&p.address) == device.pci_address.as_ref());
            assert_eq!(pci.unwrap().numa_node, device.numa_node);
        }
        let on_node_1 = node
            .efa_devices
            .iter()
            .filter(|d| d.numa_node == Some(1))
            .count();
        assert_eq!(on_node_1, efa / 2);
    }
}

#[test]
fn gpus_are_near_the_devices_on_their_switch() {
    let node = read(&node_trees::p4d());
    let device = node.efa_device("rdmap16s27-rdm").unwrap();
    assert_eq!(device.pci_address.as_deref(), Some("0000:10:1b.0"));
    assert_eq!(device.nearest_gpus, ["0000:10:1c.0", "0000:10:1d.0"]);
    assert_eq!(device.pci_group.as_deref(), Some("pci0000:10"));

    let node = read(&node_trees::p5());
    let mut per_gpu = std::collections::BTreeMap::new();
    for device in &node.efa_devices {
        let [gpu] = &device.nearest_gpus[..] else {
            panic!("{device:?}");
        };
        *per_gpu.entry(gpu.clone()).or_insert(0) += 1;
    }
    assert_eq!(per_gpu.len(), 8);
    assert!(per_gpu.values().all(|&count| count == 4), "{per_gpu:?}");
}

#[test]
fn the_other_devices_of_b200_are_distinguished() {
    let node = read(&node_trees::p6_b200());
    let names: Vec<_> = node
        .other_rdma_devices
        .iter()
        .map(|d| d.name.as_str())
        .collect();
    assert_eq!(names, ["mlx5_0", "mlx5_1"]);
    assert_eq!(
        node.other_rdma_devices[0].driver.as_deref(),
        Some("mlx5_core")
    );
    assert!(
        node.efa_devices
            .iter()
            .all(|device| device.name.starts_with("rdmap"))
    );
}

#[test]
fn what_is_broken_shows() {
    let node = read(&node_trees::no_driver());
    assert_eq!((node.pci_efa.len(), node.efa_devices.len()), (32, 0));
    assert!(node.pci_efa.iter().all(|device| device.driver.is_none()));
    assert_eq!(node.module("efa").unwrap().loaded, Some(false));
    assert_eq!(node.module("ib_uverbs").unwrap().loaded, Some(true));

    let node = read(&node_trees::old_rdma_core());
    let needed = node.pci_efa[0]
        .generation
        .unwrap()
        .minimum_rdma_core()
        .unwrap();
    assert_eq!((node.software.rdma_core, needed), (Some(44), 53));

    let node = read(&node_trees::wrong_count());
    assert_eq!(
        (
            node.pci_efa.len(),
            node.efa_devices.len(),
            node.uverbs.len()
        ),
        (15, 15, 15)
    );
    assert_eq!(node.expected.unwrap().efa_count, 16);

    let node = read(&node_trees::memlock_64_kib());
    assert_eq!(node.limits.memlock_bytes, Some(Limit::Of(65_536)));

    let node = read(&node_trees::no_uverbs());
    assert_eq!(node.uverbs.len(), 32);
    assert!(
        node.uverbs
            .iter()
            .all(|verbs| verbs.access == Access::Missing)
    );
    assert!(node.container.is_kubernetes());

    let node = read(&node_trees::one_uverbs_denied());
    let closed: Vec<_> = node
        .uverbs
        .iter()
        .filter(|v| v.access != Access::Openable)
        .collect();
    assert_eq!(closed.len(), 1);
    assert_eq!(
        closed[0].access,
        Access::Denied {
            errno: libc::EISDIR
        }
    );
    assert_eq!(closed[0].ibdev.as_deref(), Some("mlx5_0"));

    assert!(
        read(&node_trees::plugin_missing())
            .software
            .nccl_plugins
            .is_empty()
    );
}

#[test]
fn software_is_found_once() {
    let node = read(&node_trees::p5());
    let software = &node.software;
    assert_eq!(software.efa_installer.as_deref(), Some("1.43.2"));
    assert_eq!(software.libfabrics, ["/opt/amazon/efa/lib/libfabric.so.1"]);
    assert_eq!(
        software.verbs_provider_libraries,
        ["/usr/lib/x86_64-linux-gnu/libibverbs/libefa-rdmav34.so"]
    );
    assert!(software.verbs_provider_config.is_some());
    // libnccl-net.so is a link to it.
    assert_eq!(software.nccl_plugins.len(), 1);
    assert_eq!(software.nccl_plugins[0].version.as_deref(), Some("1.16.3"));
    assert_eq!(software.linker_directories.len(), 1);
    assert_eq!(
        node.module("efa").unwrap().version.as_deref(),
        Some("2.17.2g")
    );
    assert_eq!(node.limits.memlock_bytes, Some(Limit::Unlimited));
    assert_eq!(node.limits.hugepages_free, Some(5128));
    assert_eq!(node.limits.pids_maximum, Some(Limit::Unlimited));
    assert_eq!(node.limits.pids_current, Some(12));
    assert_eq!(node.limits.shm_mib, None);
    assert!(!node.container.is_container());
}

#[test]
fn a_laptop_is_not_an_instance() {
    let node = read(&node_trees::laptop());
    assert_eq!(
        (node.instance_type.as_ref(), node.instance_id.as_ref()),
        (None, None)
    );
    assert_eq!(node.product_name.as_deref(), Some("21CBCTO1WW"));
    assert_eq!(node.expected, None);
    assert!(node.efa_devices.is_empty() && node.gpus.is_empty() && node.uverbs.is_empty());
    assert_eq!(node.module("efa").unwrap().loaded, Some(false));
}

#[test]
fn every_machine_is_a_value_with_a_text() {
    for (name, machine) in MACHINES {
        let node = read(&machine());
        let json = serde_json::to_string(&node).unwrap();
        assert_eq!(serde_json::from_str::<Node>(&json).unwrap(), node, "{name}");
        let text = node.to_string();
        for device in &node.efa_devices {
            assert!(text.contains(&device.name), "{name}: {text}");
        }
        assert!(node.to_html().starts_with("<pre "));
    }
    let text = read(&node_trees::one_uverbs_denied()).to_string();
    assert!(
        text.contains("do not open: /dev/infiniband/uverbs8"),
        "{text}"
    );
}

#[test]
fn an_empty_directory_is_a_machine_of_which_nothing_is_known() {
    let tree = NodeTree::new("empty");
    let root = NodeRoot::new(tree.path()).with_kubernetes_service_host(Some("10.100.0.1".into()));
    let node = Node::read(&root);
    assert!(node.instance_type.is_none() && node.kernel.is_none() && node.pci_efa.is_empty());
    assert!(node.modules.iter().all(|module| module.loaded.is_none()));
    assert_eq!(node.limits.memlock_bytes, None);
    assert!(node.container.is_kubernetes());
    let missing = Node::read(&NodeRoot::new(tree.at("no/such/directory")));
    assert_eq!(missing.uverbs, []);
}

/// Every file of a machine is replaced in turn, by garbage: reading still ends, and the devices that are not
/// touched are still there.
#[test]
fn garbage_is_unknown() {
    let tree = node_trees::p4d();
    let whole = read(&tree);
    let mut files = Vec::new();
    collect(tree.path(), &mut files);
    // One device of each kind is enough.
    let twins = ["pci0000:20", "pci0000:90", "pci0000:a0", "1d.0"];
    files.retain(|file| {
        !twins
            .iter()
            .any(|twin| file.to_string_lossy().contains(twin))
    });
    assert!(files.len() > 50);
    let large = vec![b'9'; 200_000];
    let garbage: [&[u8]; 5] = [
        b"",
        b"\xff\xfe\0\x01",
        b"-1",
        b"18446744073709551616 : / ..\n",
        &large,
    ];
    for (number, file) in files.iter().enumerate() {
        let before = std::fs::read(file).unwrap();
        let content = garbage[number % garbage.len()];
        std::fs::write(file, content).unwrap();
        let node = read(&tree);
        assert!(
            node.efa_devices.len() + 1 >= whole.efa_devices.len(),
            "{}",
            file.display()
        );
        drop((node.to_string(), serde_json::to_string(&node).unwrap()));
        std::fs::write(file, before).unwrap();
    }
    assert_eq!(read(&tree), whole);
}

fn collect(directory: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let data = path.symlink_metadata().unwrap();
        if data.is_dir() {
            collect(&path, files);
        } else if data.is_file() {
            files.push(path);
        }
    }
}

#[test]
fn this_machine_can_be_read() {
    let node = Node::read(&NodeRoot::new("/"));
    assert!(node.kernel.is_some());
    assert!(node.limits.memlock_bytes.is_some());
    if std::path::Path::new("/dev/shm").is_dir() {
        assert!(node.limits.shm_mib.is_some());
    } else {
        eprintln!("SKIPPED size of /dev/shm: there is none");
    }
}
