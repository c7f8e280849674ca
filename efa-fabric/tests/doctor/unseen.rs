//! What was not seen, not recorded and not known is reported, and is never healthy.

use super::*;

/// As p4d, of this instance type.
fn of_type(name: &str) -> NodeTree {
    with(trees::p4d(), |tree| {
        tree.write("sys/class/dmi/id/product_name", format!("{name}\n"));
    })
}

#[test]
fn a_type_that_the_catalog_lacks_is_unknown() {
    for name in [
        "p7.48xlarge",
        "p7-b400.48xlarge",
        "trn4.48xlarge",
        "hpc9a.96xlarge",
        "c10gn.metal-48xl",
    ] {
        // Without devices: neither "by design" nor a fault of the launch.
        for reply in [SILENT, Reply::NotAsked] {
            let report = diagnosed(&without_efa(name), &[], reply);
            assert!(
                matches!(&report.verdict, Verdict::Unknown { reason } if reason.contains(name)),
                "{report}"
            );
            assert_eq!(report.exit_code(), 2, "{report}");
            let finding = report.finding("pci.devices").unwrap();
            assert_eq!(finding.status, Status::Unknown, "{report}");
            assert!(finding.cause.as_ref().unwrap().contains("2026-10-27"));
        }
        // With devices that all work: how many there should be is not known.
        let report = diagnosed(&of_type(name), &[], OFFERS);
        assert_eq!(ids(&report, Status::Unknown), ["pci.count"], "{report}");
        assert_eq!(report.exit_code(), 2, "{report}");
        assert!(!report.is_healthy(), "{report}");
        assert!(report.to_string().contains("pci.count"));
    }
}

#[test]
fn a_machine_without_a_type_is_not_healthy_either() {
    let machine = with(trees::p4d(), |tree| tree.remove("sys/class/dmi"));
    let report = diagnosed(&machine, &[], OFFERS);
    assert_eq!(ids(&report, Status::Unknown), ["pci.count"], "{report}");
    assert_eq!(report.exit_code(), 2);
}

#[test]
fn types_without_efa_are_distinguished_from_unknown_ones() {
    for name in [
        "t3.micro",
        "m5.large",
        "p3.2xlarge",
        "c5.metal",
        "g5.xlarge",
    ] {
        let report = diagnosed(&without_efa(name), &[], SILENT);
        let is_known = efa_core::Catalog::bundled().look_up(name);
        match &report.verdict {
            Verdict::NoEfaByDesign { reason } => assert!(reason.contains("has no EFA"), "{reason}"),
            // p3.2xlarge is in no list of EC2 any more.
            Verdict::Unknown { .. } => {
                assert_eq!(is_known, efa_core::catalog::Lookup::Unknown, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn parts_that_are_not_recorded_are_not_missing() {
    for (removed, unknown) in [
        (
            &["sys/bus/pci", "sys/class/infiniband"][..],
            &["pci.devices"][..],
        ),
        (&["dev"], &["verbs.nodes", "verbs.unopenable"]),
        (
            &["usr", "opt"],
            &["verbs.rdma_core", "verbs.libefa", "nccl.plugin"],
        ),
        (&["proc/self/limits"], &["limits.memlock"]),
        (&["proc/modules", "sys/module"], &["driver.ofed"]),
    ] {
        let machine = with(trees::p4d(), |tree| {
            removed.iter().for_each(|path| tree.remove(path));
        });
        let report = diagnosed(&machine, &[], Reply::NotAsked);
        let found = ids(&report, Status::Unknown);
        for id in unknown {
            assert!(found.contains(id), "{id} {removed:?}\n{report}");
        }
        assert_eq!(
            ids(&report, Status::Failed),
            [""; 0],
            "{removed:?}\n{report}"
        );
        assert_eq!(report.exit_code(), 2, "{removed:?}\n{report}");
    }
}

#[test]
fn ports_whose_state_cannot_be_read_leave_the_verdict_open() {
    let machine = with(trees::p4d(), |tree| {
        for device in Node::read(&NodeRoot::new(tree.path())).efa_devices {
            tree.remove(&format!("sys/class/infiniband/{}/ports", device.name));
        }
    });
    let report = diagnosed(&machine, &[], OFFERS);
    assert_eq!(
        report.finding("rdma.ports").unwrap().status,
        Status::Unknown
    );
    assert_eq!(report.exit_code(), 2, "{report}");
}

#[test]
fn an_empty_tree_claims_nothing() {
    let machine = NodeTree::new("empty");
    let report = doctor::examine(&doctor::Options::recorded(machine.path()));
    assert!(
        matches!(report.verdict, Verdict::Unknown { .. }),
        "{report}"
    );
    assert_eq!(ids(&report, Status::Failed), [""; 0], "{report}");
    assert_eq!(report.exit_code(), 2);
}

// ---------------------------------------------------------------- environments

const OF_ENVIRONMENT: [&str; 4] = [
    "environment.killer",
    "environment.fi_provider",
    "environment.fi_efa_iface",
    "environment.ineffective",
];

#[test]
fn an_environment_that_is_not_recorded_is_not_an_empty_one() {
    // An archive of procfs has its files empty.
    let empty = with(trees::p4d(), |tree| tree.write("proc/self/environ", ""));
    for machine in [trees::p4d(), empty] {
        let report = doctor::examine(&doctor::Options::recorded(machine.path()));
        for id in OF_ENVIRONMENT.into_iter().chain(["nccl.plugin"]) {
            let finding = report.finding(id).unwrap();
            assert_eq!(finding.status, Status::Unknown, "{report}");
            assert!(finding.title.contains("not recorded"), "{report}");
        }
    }
}

#[test]
fn the_environment_of_a_tree_is_read_and_a_given_one_goes_first() {
    let machine = with(trees::p4d(), |tree| {
        tree.write("proc/self/environ", "PATH=/bin\0FI_PROVIDER=tcp\0");
    });
    let mut options = doctor::Options::recorded(machine.path());
    let report = doctor::examine(&options);
    assert!(
        matches!(&report.verdict, Verdict::NotUsable { cause } if cause == "environment.fi_provider"),
        "{report}"
    );
    options.environment = [("FI_EFA_MTU_SIZE".to_owned(), "9000".to_owned())].into();
    let report = doctor::examine(&options);
    assert!(
        matches!(&report.verdict, Verdict::NotUsable { cause } if cause == "environment.killer"),
        "{report}"
    );
    assert_eq!(
        report.finding("environment.fi_provider").unwrap().status,
        Status::Ok
    );
}

// ---------------------------------------------------------------- RDMA read

fn with_device_rdma(name: &str, said: Option<bool>, has_rma: bool) -> doctor::Report {
    let machine = of_type(name);
    let node = Node::read(&NodeRoot::new(machine.path()));
    let environment = Environment::from([("FI_EFA_USE_DEVICE_RDMA".to_owned(), "1".to_owned())]);
    let mut value = serde_json::to_value(answer(OFFERS, &node)).unwrap();
    value["rdma_read"] = json!(said);
    if has_rma {
        for info in value["efa_infos"].as_array_mut().unwrap() {
            info["capabilities"] = json!(["FI_MSG", "FI_RMA"]);
        }
    }
    let answer: Answer = serde_json::from_value(value).unwrap();
    doctor::diagnose(&node, &environment, Some(&answer), node.expected.as_ref())
}

#[test]
fn device_rdma_kills_where_the_device_cannot() {
    for (name, said, has_rma, status) in [
        // By type.
        ("c5n.18xlarge", None, false, Status::Failed),
        ("p3dn.24xlarge", None, false, Status::Failed),
        ("g5.48xlarge", None, false, Status::Failed),
        ("r7g.16xlarge", None, false, Status::Failed),
        ("p4d.24xlarge", None, false, Status::Ok),
        ("p5.48xlarge", None, false, Status::Ok),
        // Families that no list has.
        ("c9g.48xlarge", None, false, Status::Unknown),
        ("p7.48xlarge", None, false, Status::Unknown),
        // The device goes first, then what libfabric offers on it.
        ("p5.48xlarge", Some(false), false, Status::Failed),
        ("c5n.18xlarge", Some(true), false, Status::Ok),
        ("p7.48xlarge", Some(false), true, Status::Failed),
        ("p7.48xlarge", None, true, Status::Ok),
    ] {
        let report = with_device_rdma(name, said, has_rma);
        let finding = report.finding("environment.killer").unwrap();
        assert_eq!(
            finding.status, status,
            "{name} {said:?} {has_rma}\n{report}"
        );
        match status {
            Status::Failed => {
                assert_eq!(report.exit_code(), 1, "{report}");
                assert!(finding.cure.as_ref().unwrap().contains("unset"));
            }
            Status::Unknown => assert_eq!(report.exit_code(), 2, "{report}"),
            _ => {}
        }
    }
}

// ---------------------------------------------------------------- generations

#[test]
fn a_generation_that_no_table_has_is_not_judged() {
    let newer = |machine: NodeTree| {
        with(machine, |tree| {
            for pci in Node::read(&NodeRoot::new(tree.path())).pci_efa {
                tree.write(
                    &format!("sys/bus/pci/devices/{}/device", pci.address),
                    "0xefa7\n",
                );
            }
        })
    };
    let report = diagnosed(&newer(trees::p4d()), &[], Reply::NotAsked);
    let finding = report.finding("verbs.rdma_core").unwrap();
    assert_eq!(finding.status, Status::Unknown, "{report}");
    assert!(finding.title.contains("efa7"), "{report}");
    // What libfabric offers is there.
    let report = diagnosed(&newer(trees::p4d()), &[], OFFERS);
    assert!(report.is_healthy(), "{report}");
    // A driver that left it alone may just be older.
    let report = diagnosed(&newer(unbound(Some("2.17.2g"))), &[], SILENT);
    let finding = report.finding("driver.device_id").unwrap();
    assert!(
        finding.cause.as_ref().unwrap().contains("not known here"),
        "{report}"
    );
}

// ---------------------------------------------------------------- OFED

#[test]
fn ofed_against_the_driver_is_its_own_cause() {
    let ofed = |machine: NodeTree, modules: &str| {
        with(machine, |tree| {
            tree.write(
                "proc/modules",
                format!("mlx_compat 16384 3 - Live 0x0 (OE)\n{modules}"),
            );
        })
    };
    // The efa module does not load with it, or loads and registers nothing.
    let took_none = with(trees::p4d(), |tree| {
        tree.remove("sys/class/infiniband");
        tree.remove("sys/class/infiniband_verbs");
        tree.remove("dev/infiniband");
    });
    for machine in [
        ofed(trees::no_driver(), "ib_core 1 0 - Live 0x0\n"),
        ofed(took_none, "efa 1 0 - Live 0x0\nib_uverbs 1 0 - Live 0x0\n"),
    ] {
        let report = diagnosed(&machine, &[], SILENT);
        assert!(
            matches!(&report.verdict, Verdict::NotUsable { cause } if cause == "driver.ofed"),
            "{report}"
        );
        let finding = report.finding("driver.ofed").unwrap();
        assert!(finding.cure.as_ref().unwrap().contains("OFED"));
    }
    // Next to a driver that works it is no fault.
    let works = ofed(
        trees::p4d(),
        "efa 1 0 - Live 0x0\nib_uverbs 1 1 efa, Live 0x0\n",
    );
    let report = diagnosed(&works, &[], OFFERS);
    assert!(report.is_healthy(), "{report}");
    assert_eq!(report.finding("driver.ofed").unwrap().status, Status::Info);
    // And no OFED is none.
    let report = diagnosed(&trees::no_driver(), &[], SILENT);
    assert!(
        matches!(&report.verdict, Verdict::NotUsable { cause } if cause == "driver.module"),
        "{report}"
    );
}
