//! The reader of logs and the advice on an environment give the same answers.

use super::super::*;
use crate::nccl::{Cause, Expectation, Report};

/// A value with which a variable leads to what a cure states of it.
fn bad_value(name: &str) -> &'static str {
    match name {
        "NCCL_NET_PLUGIN" => "spcx",
        "FI_PROVIDER" => "tcp",
        "NCCL_NET" => "Socket",
        "NCCL_SOCKET_IFNAME" => "lo",
        "FI_EFA_IFACE" => "",
        "FI_EFA_TX_MIN_CREDITS" => "0",
        "NCCL_NET_GDR_LEVEL" => "LOC",
        _ => "1",
    }
}

/// Variables that a cure names for removal.
fn removed(cure: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let mut names = Vec::new();
    for (at, _) in cure.match_indices("remove ") {
        for word in cure[at + "remove ".len()..].split(' ') {
            let name: String = word.chars().take_while(|c| is_name(*c)).collect();
            if name.len() > 4 && name.contains('_') {
                names.push(name);
            } else if word != "and" {
                break;
            }
        }
    }
    names
}

#[test]
fn what_a_cure_removes_the_advice_changes() {
    let mut seen = 0;
    for cause in Cause::ALL {
        for name in removed(cause.cure()) {
            let value = bad_value(&name);
            let environment = BTreeMap::from([(name.clone(), value.to_owned())]);
            let after = advise_environment(&Node::default(), &environment).applied_to(&environment);
            assert_ne!(
                after.get(&name).map(String::as_str),
                Some(value),
                "{cause}: {name}"
            );
            seen += 1;
        }
    }
    assert!(seen >= 15, "{seen}");
}

#[test]
fn each_situation_has_one_answer() {
    // What the log shows, the variable behind it, and whether it is to go or to have a value.
    #[rustfmt::skip]
    let situations: &[(&str, &str, &str, Option<&str>)] = &[
        ("NCCL_NET_PLUGIN set by environment to spcx", "NCCL_NET_PLUGIN", "spcx", Some("ofi")),
        ("NCCL_NET_PLUGIN set by environment to none", "NCCL_NET_PLUGIN", "none", None),
        ("NET/Plugin: libnccl-net-ofi.so: /opt/rdma-core/build/lib/libibverbs.so.1: version `IBVERBS_PRIVATE_34' not found", "LD_LIBRARY_PATH", "/opt/rdma-core/build/lib:/usr/lib", Some("/usr/lib")),
        ("NET/OFI The tuner plugin can not be loaded when explicitly choosing an algorithm", "NCCL_ALGO", "Ring", None),
        ("NET/OFI The tuner plugin can not be loaded when explicitly choosing an algorithm", "NCCL_PROTO", "simple", None),
        ("Error : too many XML nodes (max 1024)", "NCCL_TOPO_FILE", "/x.xml", None),
        ("NET/OFI FI_OPT_EFA_EMULATED_WRITE is true when the communication protocol is RDMA write.", "OFI_NCCL_PROTOCOL", "RDMA", None),
        ("NCCL_P2P_DISABLE set by environment to 1", "NCCL_P2P_DISABLE", "1", None),
        ("Bootstrap : Using lo:127.0.0.1<0>", "NCCL_SOCKET_IFNAME", "lo", Some("^lo,docker,veth")),
    ];
    for (line, name, value, expected) in situations {
        let text =
            format!("h:1:1 [0] NCCL WARN {line}\nh:1:1 [0] NCCL INFO Using network Socket\n");
        let report = Report::of_text(&text, Expectation::new());
        let cures: Vec<_> = report.findings.iter().map(|f| f.cure.as_str()).collect();
        assert!(
            cures.iter().any(|cure| cure.contains(name)),
            "{line}: {report}"
        );
        let environment = BTreeMap::from([((*name).to_owned(), (*value).to_owned())]);
        let after = advise_environment(&Node::default(), &environment).applied_to(&environment);
        assert_eq!(after.get(*name).map(String::as_str), *expected, "{line}");
    }
    // Different numbers of rails: the variable is the cure, so the advice leaves it.
    let text = "h:1:1 [0] NCCL WARN NET/OFI Unexpected number of remote rails for dev 0. Expected 3 but got 2\n";
    let report = Report::of_text(text, Expectation::new());
    assert!(
        report.findings[0]
            .cure
            .contains("set OFI_NCCL_FORCE_NUM_RAILS"),
        "{report}"
    );
    let environment = BTreeMap::from([("OFI_NCCL_FORCE_NUM_RAILS".to_owned(), "2".to_owned())]);
    let advice = advise_environment(&Node::default(), &environment);
    assert_eq!(advice.keep, ["OFI_NCCL_FORCE_NUM_RAILS"]);
    // An aborting variable: both are to be removed.
    let text =
        "FI_EFA_USE_DEVICE_RDMA=1 was set by user, but EFA device has no rdma-read capability.\n";
    let report = Report::of_text(text, Expectation::new());
    assert!(
        report.findings[0]
            .cure
            .contains("remove FI_EFA_USE_DEVICE_RDMA"),
        "{report}"
    );
    for has_rdma in [None, Some(false), Some(true)] {
        let node = Node {
            has_rdma,
            ..Node::default()
        };
        let environment = BTreeMap::from([("FI_EFA_USE_DEVICE_RDMA".to_owned(), "1".to_owned())]);
        assert_eq!(
            advise_environment(&node, &environment).unset,
            ["FI_EFA_USE_DEVICE_RDMA"]
        );
    }
}
