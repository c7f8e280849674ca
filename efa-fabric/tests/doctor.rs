//! The doctor on machines that are directories, with answers of libfabric that are values, and
//! once on this machine with real libraries in a child process.
//!
//! Each branch of the decision has a row: the machine, the environment and the answer on one
//! side, the one cause and everything that fails on the other. What is absent is skipped with a
//! line that begins with `SKIPPED`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use efa_fabric::{
    Answer, ChildCommand, DoctorOptions, DoctorReport, Environment, Expected, FabricLog, Node,
    NodeRoot, Status, Verdict, answer_if_child, doctor, doctor_checks,
};
use serde_json::{Value, json};

mod common;

use common::node_trees::{self as trees, NodeTree};

// ---------------------------------------------------------------- answers of libfabric

/// What libfabric did.
#[derive(Debug, Clone, Copy)]
enum Reply {
    NotAsked,
    /// Version, and EFA of every device of the machine.
    Offers(u16, u16),
    /// Version, whether it lists efa, and its log; no EFA.
    Nothing(u16, u16, bool, &'static str),
    /// As `Nothing` of 2.4, with two libraries in the process.
    NothingOfTwo,
    /// EFA for the provider's name alone, and for the hints without this one.
    Without(&'static str),
    /// Ended by this signal, with this last line.
    Died(i32, &'static str),
    TimedOut,
    NoLibrary(&'static str, &'static str),
}

const HINT_LINE: &str =
    "libfabric:7:1::efa:core:ofi_check_ep_attr():1<info> Unsupported capabilities\n";
const OPEN_LINE: &str = "libfabric:7:1::efa:ep_data:efa_device_construct_gid():47<warn> ibv_open_device failed! errno: 2\n";
const EMPTY_LINE: &str = "libfabric:7:1::core:core:fi_getinfo_():1391<warn> fi_getinfo: provider efa output empty list\n";
const KILLER_LINE: &str = "FI_EFA_MTU_SIZE env variable detected! The use of this variable has been deprecated and as such execution cannot proceed.\n";

fn answer(reply: Reply, node: &Node) -> Option<Answer> {
    let mut answer = blank();
    let set = |answer: &mut Value, key: &str, value: Value| answer[key] = value;
    let library = |major: u16, minor: u16| {
        json!({"path": "/opt/amazon/efa/lib/libfabric.so.1",
               "version": {"major": major, "minor": minor},
               "requested_api": {"major": major, "minor": minor}})
    };
    let log = |text: &str| serde_json::to_value(FabricLog::parse(text)).unwrap();
    let no_efa = |answer: &mut Value, major, minor, lists_efa: bool, text: &str| {
        set(answer, "library", library(major, minor));
        let names = if lists_efa {
            vec!["tcp", "efa"]
        } else {
            vec!["tcp"]
        };
        set(
            answer,
            "providers",
            names
                .iter()
                .map(|name| json!({"name": name, "version": {"major": 1, "minor": 0}}))
                .collect(),
        );
        set(answer, "efa_infos", json!([]));
        set(answer, "efa_errno", json!(61));
        set(
            answer,
            "trials",
            json!([
                trial("nothing".into(), 0, HINT_LINE),
                trial("all".into(), 0, "")
            ]),
        );
        set(answer, "log", log(text));
    };
    match reply {
        Reply::NotAsked => return None,
        Reply::Offers(major, minor) => {
            no_efa(&mut answer, major, minor, true, "");
            set(&mut answer, "efa_errno", json!(null));
            set(&mut answer, "efa_infos", infos(node));
            set(
                &mut answer,
                "trials",
                json!([trial("nothing".into(), 1, "")]),
            );
        }
        Reply::Nothing(major, minor, lists_efa, text) => {
            no_efa(&mut answer, major, minor, lists_efa, text);
        }
        Reply::NothingOfTwo => {
            no_efa(&mut answer, 2, 4, true, EMPTY_LINE);
            set(
                &mut answer,
                "mapped_libraries",
                json!([
                    "/opt/amazon/efa/lib/libfabric.so.1",
                    "/usr/lib/libfabric.so.1"
                ]),
            );
        }
        Reply::Without(relaxed) => {
            no_efa(&mut answer, 2, 4, true, "");
            set(&mut answer, "efa_infos", infos(node));
            let relaxed = if relaxed == "FI_HMEM" {
                json!({"capability": relaxed})
            } else {
                relaxed.into()
            };
            set(
                &mut answer,
                "trials",
                json!([trial("nothing".into(), 0, HINT_LINE), trial(relaxed, 3, "")]),
            );
        }
        Reply::Died(signal, line) => {
            set(
                &mut answer,
                "outcome",
                json!({"outcome": "aborted", "signal": signal, "last_step": "providers"}),
            );
            set(&mut answer, "library", library(2, 4));
            set(&mut answer, "providers", json!(null));
            set(&mut answer, "log", log(line));
            set(&mut answer, "output_tail", json!(line));
        }
        Reply::TimedOut => {
            set(
                &mut answer,
                "outcome",
                json!({"outcome": "timed_out", "last_step": "provider"}),
            );
            set(&mut answer, "library", library(2, 4));
        }
        Reply::NoLibrary(code, message) => {
            set(
                &mut answer,
                "outcome",
                json!({"outcome": "no_library", "code": code, "message": message, "searched": ["/usr/lib/libfabric.so.1"]}),
            );
        }
    }
    Some(serde_json::from_value(answer).unwrap())
}

fn blank() -> Value {
    json!({
        "outcome": {"outcome": "answered"}, "library": null, "mapped_libraries": [],
        "caller_libraries": [], "providers": null, "infos": null, "efa_infos": null,
        "efa_errno": null, "trials": [], "log": FabricLog::default(), "user_log_level": null,
        "output_tail": "",
    })
}

fn trial(relaxed: Value, found: u32, text: &str) -> Value {
    json!({"relaxed": relaxed, "asked": "FI_EP_RDM FI_MSG", "found": found,
           "errno": if found == 0 { Some(61) } else { None },
           "fingerprints": FabricLog::parse(text).fingerprints})
}

/// Every device on both fabrics, as libfabric from 2.1 lists them.
fn infos(node: &Node) -> Value {
    let info = |name: &str, fabric: &str| {
        json!({
            "provider": "efa", "provider_version": {"major": 204, "minor": 0}, "fabric": fabric,
            "domain": format!("{name}-rdm"), "endpoint_type": "FI_EP_RDM",
            "protocol": "FI_PROTO_EFA", "address_format": "FI_ADDR_EFA", "capabilities": [],
            "max_message_size": 1, "inject_size": 1, "tx_size": 1, "rx_size": 1, "mr_mode": [],
            "progress": "FI_PROGRESS_AUTO", "threading": "FI_THREAD_SAFE", "nic": null,
        })
    };
    node.efa_devices
        .iter()
        .flat_map(|device| [info(&device.name, "efa-direct"), info(&device.name, "efa")])
        .collect()
}

// ---------------------------------------------------------------- the table

type Pairs = &'static [(&'static str, &'static str)];

/// A machine, what the process has and what libfabric did; the cause (nothing: usable) and all
/// that fails.
struct Case {
    machine: NodeTree,
    environment: Pairs,
    reply: Reply,
    cause: &'static str,
    failed: &'static [&'static str],
}

fn case(machine: NodeTree, environment: Pairs, reply: Reply, cause: &'static str) -> Case {
    Case {
        machine,
        environment,
        reply,
        cause,
        failed: &[],
    }
}

fn diagnosed(machine: &NodeTree, environment: Pairs, reply: Reply) -> DoctorReport {
    let environment: Environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let node = Node::read(&NodeRoot::new(machine.path()));
    let answer = answer(reply, &node);
    DoctorReport::of(&node, &environment, answer.as_ref(), node.expected.as_ref())
}

fn with(machine: NodeTree, change: impl Fn(&NodeTree)) -> NodeTree {
    change(&machine);
    machine
}

fn ids(report: &DoctorReport, status: Status) -> Vec<&str> {
    report
        .findings
        .iter()
        .filter(|finding| finding.status == status)
        .map(|finding| finding.id.as_str())
        .collect()
}

const OFFERS: Reply = Reply::Offers(2, 4);
const SILENT: Reply = Reply::Nothing(2, 4, true, EMPTY_LINE);

/// p5 with the PCI devices of an instance that was launched without EFA.
fn without_efa(name: &str) -> NodeTree {
    with(trees::laptop(), |tree| {
        tree.write("sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
        tree.write("sys/class/dmi/id/product_name", format!("{name}\n"));
    })
}

/// p5 with the efa module of this version, which left the devices alone.
fn unbound(version: Option<&str>) -> NodeTree {
    with(trees::no_driver(), |tree| {
        tree.write(
            "proc/modules",
            "efa 1 0 - Live 0x0\nib_uverbs 1 1 efa, Live 0x0\n",
        );
        if let Some(version) = version {
            tree.write("sys/module/efa/version", format!("{version}\n"));
        }
    })
}

fn in_container(machine: NodeTree) -> NodeTree {
    with(machine, |tree| tree.write(".dockerenv", ""))
}

#[test]
fn every_branch_names_its_cause() {
    let p5 = trees::p5;
    let no_files = |tree: &NodeTree| tree.remove("dev/infiniband");
    let table = [
        // 0: libfabric ends the process
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
        assert_eq!(report.findings.len(), doctor_checks().len(), "{name}");
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
    let mut options = DoctorOptions::recorded(machine.path());
    options.instance_type = Some("m5.large".into());
    assert!(matches!(
        doctor(&options).verdict,
        Verdict::NoEfaByDesign { .. }
    ));
    options.instance_type = Some("p5.48xlarge".into());
    let report = doctor(&options);
    let cause = report
        .finding("pci.devices")
        .unwrap()
        .cause
        .as_ref()
        .unwrap();
    assert!(cause.contains("p5.48xlarge takes 32"), "{cause}");
    assert_eq!(Expected::of("p5.48xlarge").unwrap().efa_count, 32);
}

#[test]
fn a_driver_that_is_too_old_is_told_from_one_that_failed() {
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
    let rows: Vec<String> = doctor_checks()
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

// ---------------------------------------------------------------- this machine

/// Started by [`asking`]: answers and ends; for the tests themselves it does nothing.
#[test]
fn child_entry() {
    answer_if_child();
}

fn asking(library: Option<&Path>) -> DoctorOptions {
    let mut options = DoctorOptions::live();
    options.child = Some(ChildCommand::new(
        std::env::current_exe().unwrap(),
        ["child_entry", "--exact", "--nocapture"],
    ));
    options.library = library.map(Path::to_path_buf);
    options
}

fn second(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("EFA_TEST_LIBFABRIC_2").map(PathBuf::from);
    if path.is_none() {
        eprintln!("SKIPPED {test} on libfabric 2.x: EFA_TEST_LIBFABRIC_2 is not set");
    }
    path
}

fn machine_has_efa(test: &str) -> bool {
    let has = !Node::read(&NodeRoot::new("/")).pci_efa.is_empty();
    if has {
        eprintln!("SKIPPED {test}: this machine has EFA");
    }
    has
}

#[test]
fn this_machine_has_no_efa_and_libfabric_says_so() {
    let test = "this_machine_has_no_efa_and_libfabric_says_so";
    if machine_has_efa(test) {
        return;
    }
    for library in [None, second(test)] {
        let report = doctor(&asking(library.as_deref()));
        match &report.verdict {
            Verdict::NotUsable { cause } => assert_eq!(cause, "pci.devices", "{report}"),
            verdict => assert!(matches!(verdict, Verdict::NoEfaByDesign { .. }), "{report}"),
        }
        assert_eq!(report.exit_code(), 1);
        if let Some(path) = &library {
            let seen = report.libfabric.as_ref().unwrap();
            assert_eq!(
                Path::new(&seen.path),
                path.canonicalize().unwrap(),
                "{report}"
            );
            assert!(seen.version.major >= 2);
            let listed = report.finding("libfabric.efa_provider").unwrap();
            assert_eq!(listed.status, Status::Ok, "{report}");
        }
        assert_eq!(
            report.finding("libfabric.hints").unwrap().status,
            Status::NotApplicable
        );
    }
}

#[test]
fn a_killer_ends_the_child_and_not_the_caller() {
    let test = "a_killer_ends_the_child_and_not_the_caller";
    let Some(library) = second(test) else { return };
    for (name, value) in [("FI_EFA_MTU_SIZE", "4096"), ("FI_EFA_TX_IOV_LIMIT", "")] {
        let mut options = asking(Some(&library));
        options.environment.insert(name.into(), value.into());
        let report = doctor(&options);
        let finding = report.finding("environment.killer").unwrap();
        assert_eq!(finding.status, Status::Failed, "{report}");
        let evidence: Vec<_> = finding.evidence.iter().map(|e| e.value.as_str()).collect();
        assert_eq!(
            evidence[..2],
            [format!("'{value}'").as_str(), "ended by SIGABRT"]
        );
        assert!(evidence[2].contains(name), "{evidence:?}");
        assert_eq!(
            report.finding("libfabric.crash").unwrap().status,
            Status::NotApplicable
        );
        assert_eq!(report.exit_code(), 1);
    }
}

#[test]
fn the_environment_given_is_the_childs() {
    let test = "the_environment_given_is_the_childs";
    let Some(library) = second(test) else { return };
    let mut options = asking(Some(&library));
    options
        .environment
        .insert("FI_PROVIDER".into(), "efaa".into());
    let report = doctor(&options);
    let finding = report.finding("environment.fi_provider").unwrap();
    assert!(finding.title.contains("misspelled"), "{report}");
    assert!(
        finding
            .evidence
            .iter()
            .any(|e| e.source == "libfabric's log"),
        "{report}"
    );
}

#[test]
fn a_child_that_cannot_be_started_leaves_the_verdict_to_the_files() {
    let mut options = asking(None);
    options.child = Some(ChildCommand::new("/no/such/program", [] as [&str; 0]));
    let report = doctor(&options);
    assert!(report.libfabric.is_none());
    assert_eq!(
        report.finding("libfabric.found").unwrap().status,
        Status::NotApplicable
    );
}
