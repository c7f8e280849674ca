//! Machines that work, that warn, and that have no EFA by design.

use super::*;

#[test]
fn healthy_machines_give_no_warning() {
    for (name, machine) in [
        ("p4d.24xlarge", trees::p4d()),
        ("p5.48xlarge", trees::p5()),
        ("p5en.48xlarge", trees::p5en()),
        ("p6-b200.48xlarge", trees::p6_b200()),
        ("p6-b300.48xlarge", trees::p6_b300()),
    ] {
        let report = diagnosed(
            &machine,
            &[("PATH", "/bin"), ("FI_PROVIDER", "efa")],
            OFFERS,
        );
        for status in [Status::Failed, Status::Warning, Status::Unknown] {
            assert_eq!(ids(&report, status), [""; 0], "{name} {report}");
        }
        assert_eq!(report.verdict, Verdict::Usable, "{name}");
        assert!(report.is_healthy() && report.exit_code() == 0, "{name}");
        assert_eq!(report.node.instance_type.as_deref(), Some(name));
        assert_eq!(report.findings.len(), doctor::checks().len(), "{name}");
        // Without libfabric the files alone prove nothing.
        let silent = diagnosed(&machine, &[], Reply::NotAsked);
        assert_eq!(silent.exit_code(), 2, "{name} {silent}");
        assert_eq!(ids(&silent, Status::Failed), [""; 0], "{name} {silent}");
    }
}

#[test]
fn what_libfabric_offers_is_believed() {
    let later = Reply::Offers(2, 7);
    for (machine, environment, reply, information) in [
        (trees::old_rdma_core(), &[][..], OFFERS, "verbs.rdma_core"),
        (trees::one_uverbs_denied(), &[], later, "verbs.unopenable"),
        (
            trees::p5(),
            &[("FI_PROVIDER", "tcp")],
            OFFERS,
            "environment.fi_provider",
        ),
    ] {
        let report = diagnosed(&machine, environment, reply);
        assert_eq!(report.verdict, Verdict::Usable, "{report}");
        assert_eq!(report.finding(information).unwrap().status, Status::Info);
        assert!(report.is_healthy(), "{report}");
    }
}

#[test]
fn warnings_leave_efa_usable() {
    let few = with(trees::p5(), |tree| {
        tree.write(
            "proc/self/limits",
            "Max locked memory  1073741824  1073741824  bytes\n",
        );
    });
    let out_of_path = with(trees::p5(), |tree| {
        tree.remove("etc/ld.so.conf.d/100_ofinccl.conf");
    });
    let port_down = with(trees::p4d(), |tree| {
        let device = Node::read(&NodeRoot::new(tree.path())).efa_devices[0]
            .name
            .clone();
        tree.write(
            &format!("sys/class/infiniband/{device}/ports/1/state"),
            "1: DOWN\n",
        );
    });
    let too_many = with(trees::p5en(), |tree| {
        tree.write("sys/class/dmi/id/product_name", "p6-b200.48xlarge\n");
    });
    for (machine, environment, reply, warnings) in [
        (trees::wrong_count(), &[][..], OFFERS, &["pci.count"][..]),
        (too_many, &[], OFFERS, &["pci.count"]),
        (trees::plugin_missing(), &[], OFFERS, &["nccl.plugin"]),
        (out_of_path, &[], OFFERS, &["nccl.plugin"]),
        (few, &[], OFFERS, &["limits.memlock"]),
        (port_down, &[], OFFERS, &["rdma.ports"]),
        (
            trees::p5(),
            &[("FI_EFA_MTU_SIZE", "1")],
            Reply::Offers(1, 17),
            &["environment.killer", "libfabric.version"],
        ),
        (
            trees::p5(),
            &[("FI_EFA_DEVICE_NAME", "rdmap67s0")],
            OFFERS,
            &["environment.ineffective"],
        ),
        (
            trees::p5(),
            &[("FI_EFA_IFACE", "rdmap67s0,efa_9")],
            OFFERS,
            &["environment.fi_efa_iface"],
        ),
    ] {
        let report = diagnosed(&machine, environment, reply);
        let row = format!("{environment:?} {reply:?}\n{report}");
        assert_eq!(report.verdict, Verdict::Usable, "{row}");
        assert_eq!(ids(&report, Status::Warning), warnings, "{row}");
        assert!(!report.is_healthy() && report.exit_code() == 0, "{row}");
    }
}

#[test]
fn the_plugin_may_be_found_in_other_ways() {
    let machine = with(trees::p5(), |tree| {
        tree.remove("etc/ld.so.conf.d/100_ofinccl.conf");
    });
    for environment in [
        &[(
            "LD_LIBRARY_PATH",
            "/x:/opt/amazon/ofi-nccl/lib/x86_64-linux-gnu/",
        )],
        &[(
            "NCCL_NET_PLUGIN",
            "/opt/amazon/ofi-nccl/lib/x86_64-linux-gnu/libnccl-net.so",
        )],
    ] {
        let report = diagnosed(&machine, environment, OFFERS);
        assert!(report.is_healthy(), "{report}");
    }
}

#[test]
fn a_pod_with_a_share_of_the_devices_is_healthy() {
    let machine = with(trees::no_uverbs(), |tree| {
        for number in 0..4 {
            tree.write(&format!("dev/infiniband/uverbs{number}"), "");
        }
    });
    let report = diagnosed(&machine, &[], OFFERS);
    assert!(report.is_healthy(), "{report}");
    assert_eq!(report.finding("verbs.nodes").unwrap().status, Status::Info);
    assert_eq!(report.node.inside.as_deref(), Some("pod"));
}

#[test]
fn an_unopenable_device_in_a_pod_points_to_the_mount() {
    let machine = with(trees::one_uverbs_denied(), |tree| {
        tree.write("proc/1/cgroup", "0::/kubepods.slice/pod1\n");
    });
    let report = diagnosed(&machine, &[], SILENT);
    let finding = report.finding("verbs.unopenable").unwrap();
    assert!(
        finding
            .cure
            .as_ref()
            .unwrap()
            .contains("do not mount /dev/infiniband")
    );
    assert!(finding.evidence[0].value.contains("mlx5_0"), "{finding:?}");
    assert!(finding.reference.as_ref().unwrap().contains("12708"));
}

#[test]
fn counters_and_limits_that_explain_themselves_do_not_warn() {
    let machine = with(trees::p5(), |tree| {
        let device = Node::read(&NodeRoot::new(tree.path())).efa_devices[3]
            .name
            .clone();
        tree.set_counter(&device, "retrans_pkts", 7);
        tree.set_counter(&device, "unresponsive_remote_events", 1);
        tree.write(
            "proc/self/limits",
            "Max locked memory  65536  65536  bytes\n",
        );
        tree.write(
            "proc/self/status",
            "CapEff:\t000001ffffffffff\nSeccomp:\t2\n",
        );
        tree.write("proc/sys/kernel/yama/ptrace_scope", "1\n");
        tree.write("proc/meminfo", "HugePages_Total: 0\nHugePages_Free: 0\n");
        tree.write(
            "proc/sys/kernel/osrelease",
            "5.10.225-213.878.amzn2.x86_64\n",
        );
    });
    let report = diagnosed(&machine, &[], OFFERS);
    assert!(report.is_healthy(), "{report}");
    for id in [
        "counters.retransmissions",
        "counters.unresponsive",
        "limits.hugepages",
        "limits.process_vm",
        "fork.support",
    ] {
        assert_eq!(report.finding(id).unwrap().status, Status::Info, "{id}");
    }
    let finding = report.finding("counters.retransmissions").unwrap();
    assert!(finding.evidence[0].source.ends_with(" retrans_pkts"));
    let safe = diagnosed(&machine, &[("FI_EFA_FORK_SAFE", "1")], OFFERS);
    assert_eq!(safe.finding("fork.support").unwrap().status, Status::Ok);
}

#[test]
fn machines_without_efa_by_design() {
    for machine in [trees::laptop(), without_efa("m5.large")] {
        for reply in [
            SILENT,
            Reply::NotAsked,
            Reply::NoLibrary("fabric.library_not_found", "none"),
        ] {
            let report = diagnosed(&machine, &[], reply);
            assert!(
                matches!(report.verdict, Verdict::NoEfaByDesign { .. }),
                "{report}"
            );
            assert_eq!(report.exit_code(), 1);
            for status in [Status::Failed, Status::Warning, Status::Unknown] {
                assert_eq!(ids(&report, status), [""; 0], "{report}");
            }
        }
    }
}

#[test]
fn an_instance_type_can_be_given() {
    let machine = without_efa("HVM domU");
    let mut options = doctor::Options::recorded(machine.path());
    options.instance_type = Some("m5.large".into());
    assert!(matches!(
        doctor::examine(&options).verdict,
        Verdict::NoEfaByDesign { .. }
    ));
    options.instance_type = Some("p5.48xlarge".into());
    let report = doctor::examine(&options);
    let cause = report
        .finding("pci.devices")
        .unwrap()
        .cause
        .as_ref()
        .unwrap();
    assert!(cause.contains("p5.48xlarge takes 32"), "{cause}");
    assert_eq!(Expected::for_type("p5.48xlarge").unwrap().efa_count, 32);
}

#[test]
fn a_driver_that_is_too_old_is_distinguished_from_one_that_failed() {
    for (machine, word) in [
        (
            unbound(Some("1.8.0g")),
            "knows efa1 from 1.9, and 1.8.0g is loaded",
        ),
        (unbound(Some("2.17.2g")), "should know efa1"),
        (unbound(None), "kernel's own driver is older"),
    ] {
        let report = diagnosed(&machine, &[], SILENT);
        let cause = report
            .finding("driver.device_id")
            .unwrap()
            .cause
            .as_ref()
            .unwrap();
        assert!(cause.contains(word), "{cause}");
    }
}

#[test]
fn an_end_without_explanation_quotes_the_log() {
    let selected = "libfabric:7:1::efa:fabric:efa_prov_initialize():1<info> \
                    g_efa_selected_device_cnt=32, g_efa_ibv_gid_cnt=32\n";
    let registered = "libfabric:7:1::efa:core:fi_param_get_():1<info> variable iface=<not set>\n\
                      libfabric:7:1::core:core:ofi_register_provider():1<info> \
                      registering provider: efa (204.0)\n";
    for (log, word) in [
        (EMPTY_LINE, "none of the checks"),
        (selected, "opened the devices"),
        (registered, "finds no verbs device"),
    ] {
        let report = diagnosed(&trees::p5(), &[], Reply::Nothing(2, 4, true, log));
        let finding = report.finding("libfabric.no_efa").unwrap();
        assert_eq!(finding.status, Status::Failed, "{report}");
        assert!(finding.cause.as_ref().unwrap().contains(word), "{report}");
        assert_eq!(finding.evidence[0].source, "libfabric's log");
    }
}

#[test]
fn the_page_lists_every_check() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/doctor.md"))
            .unwrap();
    let rows: Vec<String> = doctor::checks()
        .iter()
        .map(|(id, question)| format!("| `{id}` | {question} |"))
        .collect();
    let listed: Vec<&str> = page
        .lines()
        .filter(|line| {
            line.starts_with("| `") && line.contains('.') && line.matches('|').count() == 3
        })
        .collect();
    assert_eq!(listed, rows, "docs/doctor.md");
}
