//! `nccl.plugin`: what NCCL would load, by its variables and by where the loader looks.

use super::*;

const DIRECTORY: &str = "opt/amazon/ofi-nccl/lib/x86_64-linux-gnu";
const OFI: &str = "\u{7f}ELF\0NET/OFI Initializing aws-ofi-nccl 1.16.3\0";
const FOREIGN: &str = "\u{7f}ELF\0NET/IB plugin of another maker\0";

#[test]
fn the_plugin_is_the_one_that_nccl_would_load() {
    let installed = trees::p4d;
    let out_of_path = || {
        with(trees::p4d(), |tree| {
            tree.remove("etc/ld.so.conf.d/100_ofinccl.conf")
        })
    };
    let only_new_name = || {
        with(trees::p4d(), |tree| {
            tree.remove(&format!("{DIRECTORY}/libnccl-net.so"))
        })
    };
    let with_hpcx = || {
        with(trees::p4d(), |tree| {
            tree.write("opt/hpcx/lib/libnccl-net.so", FOREIGN)
        })
    };
    let with_spcx = || {
        with(trees::p4d(), |tree| {
            tree.write("usr/lib/libnccl-net-spcx.so", FOREIGN)
        })
    };
    let settings = |line: &'static str| {
        move || with(trees::p4d(), move |tree| tree.write("etc/nccl.conf", line))
    };
    let own_place = || {
        with(trees::p4d(), |tree| {
            tree.write("srv/x/libnccl-net-ofi.so", OFI)
        })
    };
    let table: [(&dyn Fn() -> NodeTree, Pairs, Status, &str); 28] = [
        (
            &installed,
            &[],
            Status::Ok,
            "would load aws-ofi-nccl 1.16.3",
        ),
        (
            &installed,
            &[("NCCL_NET_PLUGIN", "ofi")],
            Status::Ok,
            "would load",
        ),
        (
            &installed,
            &[("NCCL_NET_PLUGIN", "libnccl-net.so")],
            Status::Ok,
            "would load",
        ),
        (
            &installed,
            &[("NCCL_NET_PLUGIN", "libnccl-net-ofi.so")],
            Status::Ok,
            "would load",
        ),
        (
            &installed,
            &[("NCCL_NET_PLUGIN", "spcx,ofi")],
            Status::Ok,
            "would load",
        ),
        (
            &installed,
            &[(
                "NCCL_NET_PLUGIN",
                "/opt/amazon/ofi-nccl/lib/x86_64-linux-gnu/libnccl-net-ofi.so",
            )],
            Status::Ok,
            "would load",
        ),
        (
            &own_place,
            &[("NCCL_NET_PLUGIN", "/srv/x/libnccl-net-ofi.so")],
            Status::Ok,
            "/srv/x",
        ),
        (
            &own_place,
            &[("NCCL_NET_PLUGIN", "ofi"), ("LD_LIBRARY_PATH", "/srv/x")],
            Status::Ok,
            "/srv/x",
        ),
        // Names of other plugins, and nothing.
        (
            &installed,
            &[("NCCL_NET_PLUGIN", "spcx")],
            Status::Warning,
            "leads to no plugin",
        ),
        (
            &installed,
            &[("NCCL_NET_PLUGIN", "rdma-sharp")],
            Status::Warning,
            "leads to no plugin",
        ),
        (
            &with_spcx,
            &[("NCCL_NET_PLUGIN", "spcx")],
            Status::Warning,
            "another plugin",
        ),
        (
            &with_spcx,
            &[("NCCL_NET_PLUGIN", "spcx,ofi")],
            Status::Warning,
            "before",
        ),
        (
            &installed,
            &[("NCCL_NET_PLUGIN", "none")],
            Status::Warning,
            "keeps NCCL from",
        ),
        (
            &installed,
            &[("NCCL_NET_PLUGIN", "NONE")],
            Status::Warning,
            "keeps NCCL from",
        ),
        (
            &installed,
            &[("NCCL_NET_PLUGIN", "")],
            Status::Warning,
            "keeps NCCL from",
        ),
        (
            &installed,
            &[("NCCL_NET_PLUGIN", "STATIC_PLUGIN")],
            Status::Unknown,
            "linked into",
        ),
        // Paths that do not exist.
        (
            &installed,
            &[("NCCL_NET_PLUGIN", "/no/such/libnccl-net.so")],
            Status::Warning,
            "leads to no plugin",
        ),
        (
            &installed,
            &[("NCCL_NET_PLUGIN", "./libnccl-net.so")],
            Status::Warning,
            "leads to no plugin",
        ),
        // The network by name.
        (
            &installed,
            &[("NCCL_NET", "Socket")],
            Status::Warning,
            "off EFA",
        ),
        (
            &installed,
            &[("NCCL_NET", "IB")],
            Status::Warning,
            "off EFA",
        ),
        (
            &installed,
            &[("NCCL_NET", "efa")],
            Status::Warning,
            "names no network",
        ),
        (
            &installed,
            &[("NCCL_NET", "AWS Libfabric")],
            Status::Ok,
            "would load",
        ),
        (&installed, &[("NCCL_NET", "ofi")], Status::Ok, "would load"),
        (
            &settings("NCCL_NET=Socket\n"),
            &[],
            Status::Warning,
            "off EFA",
        ),
        (
            &settings("# NCCL_NET=Socket\nNCCL_DEBUG=INFO\n"),
            &[],
            Status::Ok,
            "would load",
        ),
        // Where the loader looks.
        (
            &out_of_path,
            &[("LD_LIBRARY_PATH", "/x")],
            Status::Warning,
            "finds no libnccl-net.so",
        ),
        (
            &only_new_name,
            &[],
            Status::Warning,
            "finds no libnccl-net.so",
        ),
        (
            &with_hpcx,
            &[("LD_LIBRARY_PATH", "/opt/hpcx/lib:/x")],
            Status::Warning,
            "another plugin: /opt/hpcx",
        ),
    ];
    for (machine, environment, status, words) in table {
        let report = diagnosed(&machine(), environment, OFFERS);
        let finding = report.finding("nccl.plugin").unwrap();
        assert_eq!(finding.status, status, "{environment:?}\n{report}");
        assert!(
            finding.title.contains(words),
            "{environment:?}: {}",
            finding.title
        );
        let is_fine = matches!(status, Status::Ok | Status::Unknown);
        assert!(
            is_fine || finding.cure.is_some(),
            "{environment:?}\n{report}"
        );
    }
    let report = diagnosed(&only_new_name(), &[("NCCL_NET_PLUGIN", "ofi")], OFFERS);
    assert!(report.is_healthy(), "{report}");
}

#[test]
fn an_old_plugin_has_its_old_name_only() {
    let machine = with(trees::p4d(), |tree| {
        tree.write(
            &format!("{DIRECTORY}/libnccl-net-ofi.so"),
            OFI.replace("1.16.3", "1.9.2-aws"),
        );
    });
    for (name, status) in [
        ("AWS Libfabric", Status::Ok),
        ("Libfabric", Status::Warning),
        ("OFI", Status::Warning),
    ] {
        let set: Environment = [("NCCL_NET".to_owned(), name.to_owned())].into();
        let node = Node::read_for(&NodeRoot::new(machine.path()), &set);
        let reply = answer(OFFERS, &node);
        let report = doctor::diagnose(&node, &set, reply.as_ref(), node.expected.as_ref());
        assert_eq!(
            report.finding("nccl.plugin").unwrap().status,
            status,
            "{name}\n{report}"
        );
    }
}
