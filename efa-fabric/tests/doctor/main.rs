//! The doctor on machines that are directories, with answers of libfabric that are values, and
//! once on this machine with real libraries in a child process.
//!
//! Each branch of the decision has a row: the machine, the environment and the answer on one
//! side, the one cause and everything that fails on the other. What is absent is skipped with a
//! line that begins with `SKIPPED`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use efa_fabric::doctor::{self, Environment, Status, Verdict};
use efa_fabric::fabric_log;
use efa_fabric::isolated::{Answer, ChildCommand, answer_if_child};
use efa_fabric::node::{Expected, Node, NodeRoot};
use serde_json::{Value, json};

mod branches;
#[path = "../common/mod.rs"]
mod common;
mod live;
mod machines;
mod plugin;
mod unseen;

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
    let log = |text: &str| serde_json::to_value(fabric_log::Log::parse(text)).unwrap();
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
        "efa_errno": null, "trials": [], "log": fabric_log::Log::default(), "user_log_level": null,
        "output_tail": "",
    })
}

fn trial(relaxed: Value, found: u32, text: &str) -> Value {
    json!({"relaxed": relaxed, "asked": "FI_EP_RDM FI_MSG", "found": found,
           "errno": if found == 0 { Some(61) } else { None },
           "fingerprints": fabric_log::Log::parse(text).fingerprints})
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

fn diagnosed(machine: &NodeTree, environment: Pairs, reply: Reply) -> doctor::Report {
    let environment: Environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let node = Node::read_for(&NodeRoot::new(machine.path()), &environment);
    let answer = answer(reply, &node);
    doctor::diagnose(&node, &environment, answer.as_ref(), node.expected.as_ref())
}

fn with(machine: NodeTree, change: impl Fn(&NodeTree)) -> NodeTree {
    change(&machine);
    machine
}

fn ids(report: &doctor::Report, status: Status) -> Vec<&str> {
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
