//! The decision: one row for each branch.

use super::*;

#[test]
fn every_branch_names_its_cause() {
    let p5 = trees::p5;
    let no_files = |tree: &NodeTree| tree.remove("dev/infiniband");
    let table = [
        // 0: libfabric aborts the process
        case(
            p5(),
            &[("FI_EFA_MTU_SIZE", "9000")],
            Reply::Died(6, KILLER_LINE),
            "environment.killer",
        ),
        case(
            p5(),
            &[("FI_EFA_IFACE", "")],
            Reply::Died(6, ""),
            "environment.killer",
        ),
        case(
            p5(),
            &[("FI_EFA_RX_IOV_LIMIT", "4")],
            Reply::NotAsked,
            "environment.killer",
        ),
        case(
            p5(),
            &[],
            Reply::Died(6, "internal error"),
            "libfabric.crash",
        ),
        case(
            p5(),
            &[("FI_EFA_MTU_SIZE", "9000")],
            Reply::Died(11, ""),
            "libfabric.crash",
        ),
        case(p5(), &[], Reply::TimedOut, "libfabric.crash"),
        // 1: which libfabric
        case(
            p5(),
            &[],
            Reply::NoLibrary("fabric.library_not_found", "libfabric was not found"),
            "libfabric.found",
        ),
        case(
            p5(),
            &[],
            Reply::NoLibrary("fabric.library_invalid", "libcuda.so.1: cannot open"),
            "libfabric.found",
        ),
        case(
            p5(),
            &[],
            Reply::NoLibrary("fabric.library_too_old", "libfabric 1.9 is too old"),
            "libfabric.found",
        ),
        case(p5(), &[], Reply::NothingOfTwo, "libfabric.copies"),
        case(
            p5(),
            &[],
            Reply::Nothing(
                1,
                18,
                true,
                "libfabric:7:1::core:core:fi_getinfo_():1<warn> Requested version is newer than library\n",
            ),
            "libfabric.version",
        ),
        // 2: compiled in or not
        case(
            p5(),
            &[],
            Reply::Nothing(2, 4, false, ""),
            "libfabric.efa_provider",
        ),
        case(
            p5(),
            &[],
            Reply::Nothing(1, 17, false, ""),
            "libfabric.efa_provider",
        ),
        case(
            trees::no_driver(),
            &[],
            Reply::Nothing(1, 17, false, ""),
            "driver.module",
        ),
        case(
            trees::old_rdma_core(),
            &[],
            Reply::Nothing(2, 0, false, ""),
            "verbs.rdma_core",
        ),
        // 3: filters
        case(
            p5(),
            &[("FI_PROVIDER", "tcp")],
            SILENT,
            "environment.fi_provider",
        ),
        case(
            p5(),
            &[("FI_PROVIDER", "^efa")],
            SILENT,
            "environment.fi_provider",
        ),
        case(
            p5(),
            &[("FI_PROVIDER", "efaa")],
            SILENT,
            "environment.fi_provider",
        ),
        case(
            p5(),
            &[("FI_EFA_IFACE", "efa_0")],
            SILENT,
            "environment.fi_efa_iface",
        ),
        // 4: hardware
        case(without_efa("p5.48xlarge"), &[], SILENT, "pci.devices"),
        case(without_efa("HVM domU"), &[], SILENT, "pci.devices"),
        // 5: kernel modules
        case(trees::no_driver(), &[], SILENT, "driver.module"),
        case(
            with(p5(), |tree| {
                tree.write("proc/modules", "efa 1 0 - Live 0x0\n");
                no_files(tree);
                tree.remove("sys/class/infiniband_verbs");
            }),
            &[],
            SILENT,
            "driver.uverbs",
        ),
        case(unbound(Some("1.8.0g")), &[], SILENT, "driver.device_id"),
        case(unbound(Some("2.17.2g")), &[], SILENT, "driver.device_id"),
        case(unbound(None), &[], SILENT, "driver.device_id"),
        // 6: RDMA devices
        case(
            with(p5(), |tree| {
                tree.remove("sys/class/infiniband");
                tree.remove("sys/class/infiniband_verbs");
                no_files(tree);
            }),
            &[],
            SILENT,
            "rdma.devices",
        ),
        // No link at all: nothing can be sent, whatever libfabric offers.
        case(all_ports(p5(), "1: DOWN\n"), &[], OFFERS, "rdma.ports"),
        case(
            all_ports(trees::p4d(), "2: INIT\n"),
            &[],
            OFFERS,
            "rdma.ports",
        ),
        case(
            all_ports(p5(), "1: DOWN\n"),
            &[],
            Reply::NotAsked,
            "rdma.ports",
        ),
        // 7: device files
        case(trees::no_uverbs(), &[], SILENT, "kubernetes.efa_resource"),
        case(
            in_container(with(p5(), no_files)),
            &[],
            SILENT,
            "container.devices",
        ),
        case(with(p5(), no_files), &[], SILENT, "verbs.nodes"),
        case(trees::one_uverbs_denied(), &[], SILENT, "verbs.unopenable"),
        case(
            trees::one_uverbs_denied(),
            &[],
            Reply::NotAsked,
            "verbs.unopenable",
        ),
        case(
            p5(),
            &[],
            Reply::Nothing(2, 4, true, OPEN_LINE),
            "verbs.unopenable",
        ),
        // 8: rdma-core
        case(trees::old_rdma_core(), &[], SILENT, "verbs.rdma_core"),
        case(
            with(p5(), |tree| {
                tree.remove("usr/lib/x86_64-linux-gnu/libibverbs")
            }),
            &[],
            SILENT,
            "verbs.libefa",
        ),
        case(
            with(p5(), |tree| tree.remove("etc/libibverbs.d")),
            &[],
            SILENT,
            "verbs.libefa",
        ),
        // 9: hints, and nothing left
        case(p5(), &[], Reply::Without("FI_HMEM"), "libfabric.hints"),
        case(
            p5(),
            &[],
            Reply::Without("endpoint_type"),
            "libfabric.hints",
        ),
        case(p5(), &[], SILENT, "libfabric.no_efa"),
        // later failures
        case(trees::memlock_64_kib(), &[], OFFERS, "limits.memlock"),
        // more than one thing wrong: the first of the decision is the cause
        Case {
            failed: &["environment.fi_provider", "driver.module"],
            ..case(
                trees::no_driver(),
                &[("FI_PROVIDER", "tcp")],
                SILENT,
                "environment.fi_provider",
            )
        },
        Case {
            failed: &["verbs.unopenable", "limits.memlock"],
            ..case(
                with(trees::one_uverbs_denied(), |tree| {
                    tree.write(
                        "proc/self/limits",
                        "Max locked memory  65536  65536  bytes\n",
                    );
                }),
                &[],
                SILENT,
                "verbs.unopenable",
            )
        },
    ];
    for case in table {
        let report = diagnosed(&case.machine, case.environment, case.reply);
        let row = format!(
            "{} {:?} {:?}\n{report}",
            case.machine.path().display(),
            case.environment,
            case.reply
        );
        let cause = case.cause.to_owned();
        assert_eq!(report.verdict, Verdict::NotUsable { cause }, "{row}");
        let failed: &[&str] = match case.failed {
            [] => &[case.cause],
            more => more,
        };
        assert_eq!(ids(&report, Status::Failed), failed, "{row}");
        let cause = report.finding(case.cause).unwrap();
        assert!(cause.cure.is_some() && cause.reference.is_some(), "{row}");
        assert!(
            !cause.evidence.is_empty() || matches!(case.reply, Reply::TimedOut | Reply::Died(..)),
            "{row}"
        );
        assert_eq!(report.exit_code(), 1, "{row}");
        assert!(
            report
                .to_string()
                .starts_with(&format!("EFA is not usable: {}", cause.title))
        );
    }
}

/// The machine with every port in this state.
fn all_ports(tree: NodeTree, state: &str) -> NodeTree {
    for device in Node::read(&NodeRoot::new(tree.path())).efa_devices {
        let path = format!("sys/class/infiniband/{}/ports/1/state", device.name);
        tree.write(&path, state);
    }
    tree
}

#[test]
fn the_cure_of_a_file_that_does_not_open_fits_its_reason() {
    for (errno, expected, not) in [
        (libc::EACCES, "let this user open", "dmesg"),
        (libc::EPERM, "let this user open", "dmesg"),
        (libc::ENODEV, "does not answer", "let this user"),
        (libc::EIO, "does not answer", "let this user"),
    ] {
        let tree = trees::p5();
        let mut node = Node::read(&NodeRoot::new(tree.path()));
        let denied = serde_json::from_value(json!({"denied": {"errno": errno}})).unwrap();
        node.uverbs[0].access = denied;
        let report = doctor::diagnose(
            &node,
            &Environment::new(),
            answer(SILENT, &node).as_ref(),
            node.expected.as_ref(),
        );
        let mut found = report.findings.iter();
        let finding = found
            .find(|finding| finding.id == "verbs.unopenable")
            .unwrap();
        let cure = finding.cure.as_deref().unwrap();
        assert!(
            cure.contains(expected) && !cure.contains(not),
            "{errno}: {cure}"
        );
    }
}
