//! Rails on real libfabric: several endpoints on one network stand in for the devices of a
//! machine made of files. Timing decides nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::node_trees::{self, NodeTree};
use efa_fabric::node::{Node, NodeRoot};
use efa_fabric::rails::{self, Pinning, Rail};
use efa_fabric::{Code, Interrupt, Library, nics};

fn libraries(test: &str) -> Vec<Arc<Library>> {
    let mut found = Vec::new();
    match Library::find() {
        Ok(library) => found.push(library),
        Err(error) => eprintln!("SKIPPED {test} on the system's libfabric: {error}"),
    }
    match std::env::var_os("EFA_TEST_LIBFABRIC_2") {
        Some(path) => found.push(Library::load(Path::new(&path)).unwrap()),
        None => eprintln!("SKIPPED {test} on libfabric 2.x: EFA_TEST_LIBFABRIC_2 is not set"),
    }
    found
}

fn p4d() -> (NodeTree, Node) {
    let tree = node_trees::p4d();
    // A node of this machine's processors, and one of processors that nothing has.
    tree.write("sys/devices/system/node/node0/cpulist", "0-1023\n");
    tree.write("sys/devices/system/node/node1/cpulist", "1023\n");
    let node = Node::read(&NodeRoot::new(tree.path()));
    (tree, node)
}

fn quick(node: &Node) -> rails::Options {
    let mut options = rails::Options::for_node(node);
    options.probe.sizes = vec![64, 65_536];
    options.probe.size_budget = Duration::from_millis(20);
    options.probe.min_iterations = 3;
    options
}

fn measured(report: &rails::Report) -> bool {
    report.rails.iter().all(|rail| rail.failure.is_none())
}

#[test]
fn rails_alone_and_together() {
    for library in libraries("rails_alone_and_together") {
        let (_tree, node) = p4d();
        let all = rails::simulated(&node, "tcp");
        assert_eq!(all.len(), 4);
        let mut options = quick(&node);
        options.probe.latency = true;
        let report = rails::probe(&library, &all, &options, Interrupt::never()).unwrap();
        assert!(measured(&report), "{report}");
        assert_eq!((report.size, report.threads), (65_536, 8));
        assert_eq!(report.expected_gbps, Some(400.0));
        let mut sum = 0.0;
        for (rail, device) in report.rails.iter().zip(&node.efa_devices) {
            assert_eq!(rail.rail.device, device.name);
            assert_eq!(rail.rail.pci_address, device.pci_address);
            let (alone, together) = (
                rail.alone.as_ref().unwrap(),
                rail.together.as_ref().unwrap(),
            );
            assert!(alone.gbps > 0.0 && together.gbps > 0.0);
            assert!(alone.latency_us.unwrap() > 0.0 && together.latency_us.is_none());
            // The counters of the files stand still.
            let still = rails::Evidence::NotProved {
                tx_bytes: 0,
                rx_bytes: 0,
            };
            assert_eq!((alone.evidence, together.evidence), (still, still));
            assert_eq!(alone.counter_growth["retrans_bytes"], 0);
            sum += alone.gbps;
            match (&rail.pinning, rail.rail.numa_node) {
                (Pinning::Pinned { numa_node: 0, cpus }, Some(0)) => assert!(*cpus > 0),
                (Pinning::NotPinned { reason }, Some(1)) => {
                    assert!(reason.contains("no processor of NUMA node 1"), "{reason}");
                }
                other => panic!("{other:?}"),
            }
        }
        assert!((report.sum_gbps.unwrap() - sum).abs() < 1e-9);
        // The common time is no less than that of any rail, and their rates are added: each was
        // timed while the others sent.
        let together = || {
            report
                .rails
                .iter()
                .filter_map(|rail| rail.together.as_ref())
        };
        let aggregate: f64 = together().map(|measure| measure.gbps).sum();
        let seconds = report.together_s.unwrap();
        assert!(together().all(|measure| seconds >= measure.elapsed_s * 0.999));
        assert!((report.aggregate_gbps.unwrap() / aggregate - 1.0).abs() < 1e-6);

        assert!(report.simulated);
        let text = report.to_string();
        assert!(text.contains("SIMULATED: tcp stands in for efa"), "{text}");
        assert!(
            text.contains("NOT PROVED") && text.contains("rdmap16s27"),
            "{text}"
        );
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(
            serde_json::from_str::<rails::Report>(&json).unwrap(),
            report
        );
    }
}

#[test]
fn counters_are_the_evidence() {
    let Some(library) = libraries("counters_are_the_evidence").pop() else {
        return;
    };
    let (tree, node) = p4d();
    let rail = rails::simulated(&node, "tcp").swap_remove(0);
    assert_eq!(rail.device, "rdmap16s27");
    let mut options = quick(&node);
    options.together = false;
    options.probe.size_budget = Duration::from_millis(400);
    options.probe.sizes = vec![4096];
    let probe = |hook: &dyn Fn() -> bool| {
        let rails = std::slice::from_ref(&rail);
        rails::probe(&library, rails, &options, Interrupt::new(hook)).unwrap()
    };
    // The hook is asked again and again while the probe runs, and moves the counters then.
    let asked = AtomicU64::new(0);
    let moving = || {
        let turn = asked.fetch_add(1, Ordering::Relaxed) + 1;
        for name in ["tx_bytes", "rx_bytes", "retrans_timeout_events"] {
            tree.set_counter("rdmap16s27", name, turn << 48);
        }
        false
    };
    let report = probe(&moving);
    assert!(asked.load(Ordering::Relaxed) > 1);
    let alone = report.rails[0].alone.as_ref().unwrap();
    assert!(
        matches!(alone.evidence, rails::Evidence::Proved { .. }),
        "{alone:?}"
    );
    assert!(
        report.to_string().contains("retrans_timeout_events +"),
        "{report}"
    );
    assert_eq!((report.aggregate_gbps, report.together_s), (None, None));

    tree.remove("sys/class/infiniband/rdmap16s27/ports/1/hw_counters/rx_bytes");
    let report = probe(&|| false);
    assert_eq!(
        report.rails[0].alone.as_ref().unwrap().evidence,
        rails::Evidence::Unknown
    );
    assert!(
        report.to_string().contains("nothing shows which way"),
        "{report}"
    );
}

#[test]
fn a_rail_that_fails_does_not_stop_the_others() {
    for library in libraries("a_rail_that_fails_does_not_stop_the_others") {
        let (_tree, node) = p4d();
        let mut all = rails::simulated(&node, "tcp");
        all.truncate(3);
        all[1].domain = Some("no-such-domain".into());
        let report = rails::probe(&library, &all, &quick(&node), Interrupt::never()).unwrap();
        let failed: Vec<_> = report
            .rails
            .iter()
            .map(|rail| rail.failure.is_some())
            .collect();
        assert_eq!(failed, [false, true, false], "{report}");
        let failure = report.rails[1].failure.as_ref().unwrap();
        assert_eq!(failure.code, "fabric.provider_not_found");
        assert!(report.rails[2].together.is_some());
        // Neither stands for all rails.
        assert_eq!((report.sum_gbps, report.aggregate_gbps), (None, None));
        assert!(report.to_string().contains("no-such-domain"), "{report}");
    }
}

#[test]
fn a_probe_of_rails_can_be_stopped() {
    let Some(library) = libraries("a_probe_of_rails_can_be_stopped").pop() else {
        return;
    };
    let (_tree, node) = p4d();
    let mut options = quick(&node);
    options.probe.size_budget = Duration::from_secs(600);
    options.probe.deadline = Duration::from_secs(1200);
    let hook = || true;
    let rails = rails::simulated(&node, "tcp");
    let error = rails::probe(&library, &rails, &options, Interrupt::new(&hook)).unwrap_err();
    assert_eq!(error.code(), Code::Interrupted);
    let error = rails::probe(&library, &[], &options, Interrupt::never()).unwrap_err();
    assert_eq!(error.code(), Code::InvalidOption);
}

#[test]
fn only_what_libfabric_offers_is_a_rail() {
    let (_tree, node) = p4d();
    assert!(rails::list(&node, &[]).is_empty());
    for library in libraries("only_what_libfabric_offers_is_a_rail") {
        let offered = nics(&library).unwrap();
        let efa = offered.iter().filter(|nic| nic.provider == "efa").count();
        assert_eq!(rails::list(&node, &offered).len(), efa);
    }
    let nic = |name: &str, provider: &str| {
        let text = format!(
            r#"{{"name":"{name}","provider":"{provider}","fabrics":["efa"],"info":{{
            "device_name":null,"pci_address":"0000:ff:00.0","link_speed_bps":200000000000,
            "link_state":"up","mtu":null,"driver":null,"device_id":null,"device_version":null,
            "vendor_id":null,"firmware":null,"address":null,"network_type":null}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    };
    let offered = [
        nic("eth0", "tcp"),
        nic("rdmap16s27", "efa"),
        nic("rdmap9s0", "efa"),
    ];
    let found = rails::list(&node, &offered);
    let [known, unknown] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(known.domain.as_deref(), Some("rdmap16s27"));
    assert_eq!(known.pci_address.as_deref(), Some("0000:10:1b.0"));
    assert_eq!(
        (known.numa_node, known.expected_gbps),
        (Some(0), Some(100.0))
    );
    assert_eq!(unknown.pci_address.as_deref(), Some("0000:ff:00.0"));
    assert_eq!(
        (unknown.numa_node, unknown.expected_gbps),
        (None, Some(200.0))
    );
    assert_eq!(Rail::new("a", "tcp").domain, None);
}
