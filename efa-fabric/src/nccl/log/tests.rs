//! Whole logs: every generation of the plugin, every bad line, interleaving, streams.

mod cases;
mod cause_names;
mod healthier;
mod ranks;
mod streams;
mod unknown;

use super::*;

const LOGS: [(&str, &str); 7] = [
    ("1.4", include_str!("fixtures/plugin_1_4_nccl_2_12.log")),
    ("1.7", include_str!("fixtures/plugin_1_7_nccl_2_18.log")),
    ("1.12", include_str!("fixtures/plugin_1_12_nccl_2_21.log")),
    ("1.13", include_str!("fixtures/plugin_1_13_nccl_2_24.log")),
    ("1.16", include_str!("fixtures/plugin_1_16_nccl_2_27.log")),
    ("1.19", include_str!("fixtures/plugin_1_19_nccl_2_28.log")),
    ("none", include_str!("fixtures/sockets_ray.log")),
];

fn read(text: &str) -> Report {
    Report::of_text(text, Expectation::new())
}

fn log(name: &str) -> &'static str {
    LOGS.iter().find(|(n, _)| *n == name).unwrap().1
}

fn causes(report: &Report) -> Vec<Cause> {
    report.findings.iter().map(|f| f.cause).collect()
}

fn reason(report: &Report) -> Option<Cause> {
    report.reason.as_ref().map(|r| r.cause)
}

#[test]
fn every_generation_is_on_efa() {
    #[rustfmt::skip]
    let expected = [
        // plugin, nics, network, fabric, protocol, plugin version, libfabric, NCCL, processes, GPUDirect
        ("1.4", None, "AWS Libfabric", None, None, None, None, Some("2.12.12+cuda11.6"), 2, 2),
        ("1.7", Some(32), "AWS Libfabric", None, Some("RDMA"), Some("1.7.4-aws"), None, Some("2.18.6+cuda12.2"), 2, 3),
        ("1.12", Some(4), "AWS Libfabric", None, Some("SENDRECV"), Some("1.12.1-aws"), Some("1.22"), None, 1, 1),
        ("1.13", Some(16), "Libfabric", None, Some("RDMA"), Some("1.13.2-aws"), Some("1.22"), None, 1, 1),
        ("1.16", Some(16), "Libfabric", Some("efa-direct"), Some("RDMA"), Some("1.16.0"), Some("2.1"), None, 2, 2),
        ("1.19", Some(8), "Libfabric", Some("efa-direct"), Some("RDMA"), Some("1.19.0"), Some("2.4"), None, 1, 1),
    ];
    for (name, nics, network, fabric, protocol, plugin, libfabric, nccl, processes, gpudirect) in
        expected
    {
        let report = read(log(name));
        assert_eq!(report.verdict, Verdict::OnEfa, "{name}: {report}");
        assert_eq!(report.findings, [], "{name}");
        let n = &report.network;
        assert_eq!(n.provider.as_deref(), Some("efa"), "{name}");
        assert_eq!(n.nics_found, nics, "{name}");
        assert_eq!(n.name.as_deref(), Some(network), "{name}");
        assert_eq!(n.fabric.as_deref(), fabric, "{name}");
        assert_eq!(n.protocol.as_deref(), protocol, "{name}");
        assert_eq!(n.plugin_version.as_deref(), plugin, "{name}");
        assert_eq!(n.libfabric_version.as_deref(), libfabric, "{name}");
        assert_eq!(n.nccl_version.as_deref(), nccl, "{name}");
        assert_eq!(report.ranks.len(), processes, "{name}");
        let channels = (report.channels.gpudirect, report.channels.staged);
        assert_eq!(channels, (gpudirect, 0), "{name}");
        assert_eq!(report.exit_code(), 0);
    }
    assert_eq!(read(log("1.13")).network.dmabuf, Some(false));
    assert_eq!(read(log("1.13")).network.nic_groups, 8);
    assert_eq!(read(log("1.16")).network.rails, Some(2));
}

#[test]
fn ranks_and_hosts_are_named() {
    for (name, labels) in [
        (
            "1.4",
            ["rank 0 (ip-10-0-0-1:362)", "rank 8 (ip-10-0-0-2:371)"],
        ),
        (
            "1.7",
            ["rank 0 (ip-10-0-0-1:500)", "rank 8 (ip-10-0-0-2:501)"],
        ),
        ("1.16", ["rank 0 (gpu-1:40)", "rank 8 (gpu-2:41)"]),
    ] {
        let report = read(log(name));
        let found: Vec<_> = report.ranks.iter().map(Rank::label).collect();
        assert_eq!(found, labels, "{name}");
        assert_eq!(report.hosts.len(), 2);
        assert!(
            report
                .hosts
                .iter()
                .all(|h| h.verdict == Verdict::OnEfa && h.ranks == 1)
        );
    }
    let report = read(log("none"));
    assert_eq!(report.ranks[0].label(), "worker-1:950");
}

#[test]
fn sockets_say_why_and_where() {
    let report = read(log("none"));
    assert_eq!(report.verdict, Verdict::TcpSockets);
    assert_eq!(report.exit_code(), 2);
    let reason = report.reason.clone().unwrap();
    assert_eq!(reason.cause, Cause::PluginNotFound);
    assert_eq!(reason.evidence.unwrap().line, 2);
    assert_eq!(
        causes(&report),
        [Cause::PluginNotFound, Cause::LinesLeftOut]
    );
    let text = report.to_string();
    assert!(
        text.starts_with("tcp_sockets: NCCL uses TCP, not EFA; plugin_not_found: "),
        "{text}"
    );
    assert!(
        text.contains("line 2: NET/Plugin: Could not find: libnccl-net.so."),
        "{text}"
    );
    assert!(text.contains("cure: install aws-ofi-nccl"), "{text}");
}

/// Lines, and what follows when NCCL then uses sockets: one cause for each line.
#[test]
fn every_bad_line_has_its_one_cause() {
    use Cause as C;
    #[rustfmt::skip]
    let table: &[(C, &str)] = &[
        (C::PluginDisabled, "NCCL_NET_PLUGIN set by environment to none"),
        (C::PluginDependencyMissing, "NET/Plugin : Plugin load returned 0 : libfabric.so.1: cannot open shared object file: No such file or directory."),
        (C::PluginDependencyMissing, "NET/Plugin: libnccl-net.so: libcudart.so.13: cannot open shared object file: No such file or directory"),
        (C::PluginIncompatible, "External network plugin libnccl-net.so is unsupported"),
        (C::PluginIncompatible, "NET/Plugin: libnccl-net.so: /opt/amazon/ofi-nccl/lib/libnccl-net.so: undefined symbol: fi_fabric2, version FABRIC_1.8"),
        (C::PluginIncompatible, "NET/Plugin: libnccl-net.so: /lib/libfabric.so.1: version `FABRIC_1.9' not found (required by libnccl-net.so)"),
        (C::PluginIncompatible, "NET/Plugin: Failed to find ncclNetPlugin symbol (>= v5). ncclNetPlugin symbols v4 and lower are not supported."),
        (C::PluginNotFound, "NET/Plugin : No plugin found (libnccl-net.so)."), // NCCL 2.4
        (C::PluginNotFound, "NET/Plugin : No plugin found (libnccl-net.so), using internal implementation"), // 2.8
        (C::PluginNotFound, "NET/Plugin : Plugin load (libnccl-net.so) returned 2 : libnccl-net.so: cannot open shared object file: No such file or directory"), // 2.18
        (C::PluginNotFound, "NET/Plugin : No plugin found, using internal implementation"), // 2.18
        (C::PluginNotFound, "NET/Plugin : dlerror=libnccl-net.so: cannot open shared object file: No such file or directory No plugin found (libnccl-net.so), using internal implementation"), // 2.19
        (C::PluginNotFound, "NET/Plugin: Plugin load returned 2 : libnccl-net.so: cannot open shared object file: No such file or directory when loading libnccl-net.so"), // 2.21
        (C::PluginNotFound, "NET/Plugin: No plugin found (libnccl-net.so)"), // 2.21
        (C::PluginNotFound, "NET/Plugin: Using internal network plugin."),
        (C::PluginNotFound, "NET/Plugin: Could not find: libnccl-net.so. Using internal network plugin."), // 2.22
        (C::PluginNotFound, "NET/Plugin: Could not find: ofi libnccl-net-ofi.so."), // 2.26
        (C::PluginNotFound, "NET/Plugin: Could not find: libnccl-net.so"), // 2.28
        (C::CudaFailed, "NET/OFI CUDA initialization failed."),
        (C::CudaFailed, "NET/OFI Failed to find CUDA Runtime library: libcudart.so"),
        (C::LibfabricTooOld, "NET/OFI EFA provider requires at least libfabric version 1.22.0."),
        (C::LibfabricTooOld, "NET/OFI EFA provider requires at least libfabric version 1.18.0."),
        (C::GdrRequired, "NET/OFI GDR disabled on GDR-supported instance type p5.48xlarge"),
        (C::GdrRequired, "NET/OFI GDR support reported to NCCL but then couldn't be configured on an endpoint.  Cannot continue."),
        (C::EmulatedWrite, "NET/OFI FI_OPT_EFA_EMULATED_WRITE is true when the communication protocol is RDMA write."),
        (C::DuplicateConnections, "NET/OFI NCCL_OFI_NIC_DUP_CONNS set on platform that supports GPUDirect RDMA.  This configuration is not supported."),
        (C::NoEligibleProvider, "NET/OFI No eligible providers were found"),
        (C::NoEligibleProvider, "NET/OFI Could not find any optimal provider supporting GPUDirect RDMA"),
        (C::NoEligibleProvider, "get_ofi_provider:312 NET/OFI Could not find any optimal provider"),
        (C::NoEligibleProvider, "NET/OFI OFI fi_getinfo() call failed: No data available"),
        (C::LockedMemory, "NET/OFI Couldn't enable endpoint. RC: -12, ERROR: Cannot allocate memory"),
        (C::LockedMemory, "NET/OFI Unable to register memory (type = 1) for device 0. RC: -12, Error: Cannot allocate memory"),
        (C::EndpointFailed, "NET/OFI Couldn't open AV. RC: -22, ERROR: Invalid argument"),
        (C::EndpointFailed, "NET/OFI Couldn't create domain. RC: -22, ERROR: Invalid argument"),
        (C::EndpointFailed, "NET/OFI Creating new endpoint for domain 0x7f9befa99380 failed: Invalid argument"),
        (C::EndpointFailed, "NET/OFI Disabling shared memory failed: Protocol not available"),
        (C::EndpointFailed, "NET/OFI Couldn't bind EP-CQ. RC: -22, ERROR: Invalid argument"),
        (C::NoWorkingProtocol, "NET/OFI Unable to find a protocol that worked.  Failing initialization."),
        (C::NoWorkingProtocol, "NET/OFI Failed to initialize RDMA protocol"),
        (C::PluginFailed, "NET/OFI aws-ofi-nccl initialization failed"),
        (C::PluginFailed, "NET/OFI Initializing plugin failed"),
        (C::PluginFailed, "Failed to initialize NET plugin Libfabric"),
        (C::PluginFailed, "Failed to initialize NET plugin AWS Libfabric"),
        (C::ProviderNotEfa, "NET/OFI Selected Provider is tcp (found 1 nics)"),
        (C::ProviderNotEfa, "NET/OFI Selected provider is tcp;ofi_rxm, fabric is 10.0.0.0/16 (found 1 nics)"),
        (C::ProviderNotEfa, "NET/OFI Selected Provider is sockets"),
        (C::NamedNetworkMissing, "Error: network AWS Libfabric not found."),
        (C::NoNetwork, "Failed to initialize any NET plugin"),
    ];
    for (cause, line) in table {
        let text = format!(
            "h:1:1 [0] NCCL INFO ok\nh:1:1 [0] NCCL INFO {line}\nh:1:1 [0] NCCL INFO Using network Socket\n"
        );
        let report = read(&text);
        assert_eq!(reason(&report), Some(*cause), "{line}");
        assert_eq!(report.verdict, Verdict::TcpSockets, "{line}");
        assert_eq!(causes(&report), [*cause], "{line}");
        let evidence = report.reason.unwrap().evidence.unwrap();
        assert_eq!(evidence.line, 2, "{line}");
        let text = text
            .replace(" INFO ", " WARN ")
            .replace("h:1:1 [0]", "\nh:1:1 [0] f.cc:9");
        assert_eq!(reason(&read(&text)), Some(*cause), "as a warning: {line}");
    }
}

/// The same, for lines that matter on EFA too.
#[test]
fn every_line_about_a_job_on_efa_has_its_one_cause() {
    use Cause as C;
    #[rustfmt::skip]
    let table: &[(C, &str)] = &[
        (C::SecurityGroup, "NET/OFI Request 0x7f (RECV) completed with error: err: 113, flags: 0, prov_errno: 15, strerror: x, len: 0"),
        (C::SecurityGroup, "NET/OFI Request 0x7f completed with error. RC: 113. Error: No route to host. Completed length: 0"),
        (C::PeerLost, "NET/OFI Request 0x7f (SEND) completed with error: err: 103, flags: 0, prov_errno: 4124, strerror: x, len: 0"),
        (C::PeerLost, "NET/OFI Request 0x7f completed with error. RC: 103. Error: 13 (Unresponsive remote)."),
        (C::TransferFailed, "NET/OFI Request 0x7f (SEND) completed with error: err: 5, flags: 0, prov_errno: 12, strerror: x, len: 0"),
        (C::MemoryRegistration, "NET/OFI Unable to register memory (type = 2) for device 4. RC: -22, Error: Invalid argument"),
        (C::LockedMemory, "NET/OFI Couldn't enable endpoint. RC: -12, ERROR: Cannot allocate memory"),
        (C::EndpointFailed, "NET/OFI Creating new endpoint for domain 0x7f failed: Invalid argument"),
        (C::NcclVersionMismatch, "Mismatched NCCL version detected : rank 0 version 22105 rank 1 version 22203"),
        (C::BootstrapInterface, "Bootstrap : no socket interface found"),
        (C::BootstrapUnreachable, "socketStartConnect: Connect to 10.0.0.2<4000> failed : Connection refused"),
        (C::BootstrapOnLoopback, "Bootstrap : Using lo:127.0.0.1<0>"),
        (C::BootstrapOnLoopback, "Bootstrap : Using [0]docker0:172.17.0.1<0>"),
        (C::BootstrapOnLoopback, "Bootstrap: Using veth12:172.17.0.1<0>"),
        (C::GpudirectDisabled, "NET/OFI Could not disable CUDA API usage for HMEM, disabling GDR"),
        (C::GpudirectDisabled, "NET/OFI Need to force simple protocol: GDR not supported"),
        (C::PeerToPeerDisabled, "NCCL_P2P_DISABLE set by environment to 1"),
    ];
    let good = log("1.16");
    for (cause, line) in table {
        let report = read(&format!("{good}gpu-1:40:90 [0] NCCL WARN {line}\n"));
        assert_eq!(causes(&report), [*cause], "{line}");
        assert_eq!(report.verdict, Verdict::OnEfaDegraded, "{line}");
        assert_eq!(report.findings[0].ranks, ["rank 0 (gpu-1:40)"], "{line}");
        assert_eq!(report.ranks[1].verdict, Verdict::OnEfa, "{line}");
        assert_eq!(report.reason, None);
        assert_eq!(report.exit_code(), 1);
    }
    for (cause, line) in [
        (
            C::ProtocolForced,
            "NET/OFI Using transport protocol RDMA (user set)",
        ),
        (
            C::RailsForced,
            "NET/OFI Created device with 4 rails (originally found 2 rails)",
        ),
    ] {
        let report = read(&format!("{good}gpu-1:40:90 [0] NCCL INFO {line}\n"));
        assert_eq!(causes(&report), [cause], "{line}");
        assert_eq!(
            report.verdict,
            Verdict::OnEfa,
            "a note does not degrade: {line}"
        );
    }
    let banner = "* This error indicates that the security group on either this instance or";
    assert_eq!(
        causes(&read(&format!("{good}{banner}\n"))),
        [C::SecurityGroup]
    );
    // With the warning that it belongs to, it concerns that process only.
    let warning = "gpu-2:41:91 [0] NCCL WARN NET/OFI Request 0x7f (RECV) completed with error: err: 113, flags: 0, prov_errno: 15, strerror: x, len: 0";
    let report = read(&format!("{good}\n{warning}\n\n{banner}\n"));
    assert_eq!(report.findings[0].ranks, ["rank 8 (gpu-2:41)"]);
}

#[test]
fn harmless_lines_are_not_findings() {
    for line in [
        "NET/Plugin: Failed to find ncclCollNetPlugin_v8 symbol.",
        "NET/Plugin: Failed to find ncclNetPlugin_v9 symbol.",
        "NET/Plugin: Failed to find ncclCollNetPlugin symbol (>= v5). ncclCollNetPlugin symbols v4 and lower are not supported.",
        "TUNER/Plugin: Could not find: libnccl-tuner.so. Using internal tuner plugin.",
        "PROFILER/Plugin: Could not find: libnccl-profiler.so.",
        "GIN/Plugin: Failed to initialize any GIN plugin",
        "Failed to initialize NET plugin IB",
        "NET/IB : No device found.",
        "Failed to open libibverbs.so[.1]",
        "NET/OFI Need to force simple protocol: byte delivery ordering not supported",
        "NET/OFI No eligible providers were found", // of the RDMA protocol, before SENDRECV worked
        "Bootstrap : Using eth0:10.0.0.1<0>",
        "Bootstrap: Using ens5:10.0.0.1<0>",
        "NCCL_P2P_DISABLE set by environment to 0",
        "NCCL_SOCKET_IFNAME set by environment to ^lo,docker",
        "socketPollConnect: connect returned Connection refused, retrying (1/34) after sleep for 100 msec",
    ] {
        let report = read(&format!(
            "gpu-1:40:90 [0] NCCL INFO {line}\n{}",
            log("1.16")
        ));
        assert_eq!(causes(&report), [], "{line}");
        assert_eq!(report.verdict, Verdict::OnEfa, "{line}");
    }
}

#[test]
fn the_most_fundamental_cause_is_the_reason() {
    use Cause as C;
    for (lines, expected) in [
        (
            &[
                "NET/OFI EFA provider requires at least libfabric version 1.22.0.",
                "NET/OFI Unable to find a protocol that worked.  Failing initialization.",
                "NET/OFI aws-ofi-nccl initialization failed",
                "Failed to initialize NET plugin Libfabric",
            ][..],
            C::LibfabricTooOld,
        ),
        (
            &[
                "NET/OFI No eligible providers were found",
                "NET/OFI Unable to find a protocol that worked.  Failing initialization.",
                "NET/OFI Initializing plugin failed",
            ],
            C::NoEligibleProvider,
        ),
        (
            &[
                "NET/OFI GDR disabled on GDR-supported instance type p4d.24xlarge",
                "NET/OFI Creating new endpoint for domain 0x1 failed: Invalid argument",
                "NET/OFI aws-ofi-nccl initialization failed",
            ],
            C::GdrRequired,
        ),
        (
            &[
                "NET/Plugin: libnccl-net.so: libfabric.so.1: cannot open shared object file: No such file or directory",
                "NET/Plugin: Using internal network plugin.",
            ],
            C::PluginDependencyMissing,
        ),
        (
            &["NET/Plugin: Loaded net plugin Libfabric (v8)"],
            C::PluginNotTried,
        ),
        (
            &["NCCL_DEBUG set by environment to INFO"],
            C::NoReasonLogged,
        ),
        (
            &["socketStartConnect: Connect to 10.0.0.2<4000> failed : timeout"],
            C::NoReasonLogged,
        ),
    ] {
        let mut lines: Vec<_> = lines.to_vec();
        for _ in 0..2 {
            let mut text: String = lines
                .iter()
                .map(|l| format!("h:1:1 [0] NCCL INFO {l}\n"))
                .collect();
            text.push_str("h:1:1 [0] NCCL INFO Using network Socket\n");
            assert_eq!(reason(&read(&text)), Some(expected), "{text}");
            lines.reverse();
        }
    }
    // libfabric's own lines name a process and no host.
    let text = "libfabric:7:1747::core:core:fi_getinfo_():1392<warn> fi_getinfo: provider efa output empty list\n\
                h:7:9 [0] NCCL INFO Using network Socket\n";
    assert_eq!(reason(&read(text)), Some(C::EfaListEmpty));
    let text = "libfabric:7:1::efa:core:x():1<warn> ibv_open_device failed! errno: 2\n\
                libfabric:7:1747::core:core:fi_getinfo_():1392<warn> fi_getinfo: provider efa output empty list\n\
                h:7:9 [0] NCCL INFO Using network Socket\nh:8:9 [0] NCCL INFO Using network Socket\n";
    let report = read(text);
    assert_eq!(reason(&report), Some(C::VerbsUnopenable));
    assert_eq!(
        report.ranks[1].reason.as_ref().unwrap().cause,
        C::NoReasonLogged
    );
}

#[test]
fn verdicts_of_other_networks() {
    use Verdict as V;
    let of = |lines: &[&str]| {
        let text: String = lines
            .iter()
            .map(|l| format!("h:1:1 [0] NCCL INFO {l}\n"))
            .collect();
        let report = read(&text);
        (report.verdict, reason(&report))
    };
    assert_eq!(
        of(&["Using network IB"]),
        (V::Infiniband, Some(Cause::NoReasonLogged))
    );
    assert_eq!(of(&["Using network IBext_v8"]).0, V::Infiniband);
    assert_eq!(of(&["Using network UCX"]).0, V::OtherNetwork);
    let repeated = "Using network Socket [repeated 7x across cluster]";
    assert_eq!(of(&[repeated]).0, V::TcpSockets);
    assert_eq!(
        of(&["Using network Libfabric"]),
        (V::OtherNetwork, Some(Cause::ProviderNotLogged))
    );
    assert_eq!(
        of(&[
            "NET/OFI Selected Provider is verbs;ofi_rxm (found 8 nics)",
            "Using network Libfabric"
        ]),
        (V::Infiniband, Some(Cause::ProviderNotEfa))
    );
    assert_eq!(
        of(&["cudaDriverVersion 12040"]),
        (V::NotInitialised, Some(Cause::NoInfoLines))
    );
    assert_eq!(
        of(&["Bootstrap : no socket interface found"]),
        (V::NotInitialised, Some(Cause::BootstrapInterface))
    );
    assert_eq!(
        of(&[
            "NET/OFI Selected Provider is efa (found 4 nics)",
            "NET/OFI aws-ofi-nccl initialization failed"
        ]),
        (V::NotInitialised, Some(Cause::PluginFailed))
    );
    // NCCL 2.4 does not name the network.
    assert_eq!(
        of(&[
            "NET/OFI Selected Provider is efa",
            "Ring 00 : 0 -> 8 [send] via NET/AWS Libfabric/0/GDRDMA"
        ])
        .0,
        V::OnEfa
    );
    assert_eq!(
        of(&["Ring 00 : 0 -> 8 [send] via NET/Socket/0"]).0,
        V::TcpSockets
    );
    for text in [
        "",
        "\n\n",
        "epoch 1 loss 0.3\nusing network card\n",
        "INFO: nothing\n",
    ] {
        let report = read(text);
        assert_eq!(
            (report.verdict, report.exit_code()),
            (V::NoNcclLines, 3),
            "{text:?}"
        );
    }
    let report = read("NCCL version 2.21.5+cuda12.8\n");
    assert_eq!(report.verdict, V::NotInitialised);
    assert_eq!(reason(&report), Some(Cause::NoInfoLines));
    assert_eq!(
        report.network.nccl_version.as_deref(),
        Some("2.21.5+cuda12.8")
    );
}

#[test]
fn one_node_says_nothing_of_efa() {
    let inside = "h:1:1 [0] NCCL INFO comm 0x1 rank 0 nRanks 8 nNodes 1 localRanks 8 localRank 0\n\
                  h:1:1 [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM\n\
                  h:1:1 [0] NCCL INFO Channel 01/0 : 0[0] -> 1[1] via SHM/direct/direct\n";
    let report = read(&format!(
        "h:1:1 [0] NCCL INFO Using network Socket\n{inside}"
    ));
    assert_eq!(
        (report.verdict, report.exit_code()),
        (Verdict::SharedMemoryOnly, 3)
    );
    assert_eq!(reason(&report), Some(Cause::NoReasonLogged));
    let channels = (report.channels.peer_to_peer, report.channels.shared_memory);
    assert_eq!(channels, (1, 1));
    // The same channels of a rank in a job of two nodes report nothing against EFA.
    let report = read(&format!(
        "{}{}",
        log("1.19"),
        inside.replace("nNodes 1", "nNodes 2")
    ));
    assert_ne!(report.verdict, Verdict::SharedMemoryOnly);
}

#[test]
fn reports_survive_json() {
    for (_, text) in LOGS {
        let report = Report::of_text(text, Expectation::new().nics(99));
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
    let json = serde_json::to_value(read(log("none"))).unwrap();
    assert_eq!(json["verdict"], "tcp_sockets");
    assert_eq!(json["reason"]["cause"], "plugin_not_found");
    assert_eq!(json["findings"][0]["severity"], "failed");
}

#[test]
fn html_is_escaped() {
    let report = read(
        "h:1:1 [0] NCCL INFO NET/Plugin: No plugin found <script>&\nh:1:1 [0] NCCL INFO Using network Socket\n",
    );
    let html = report.to_html();
    assert!(
        html.contains("&lt;script&gt;&amp;") && !html.contains("<script>"),
        "{html}"
    );
}

#[test]
fn noise_around_a_good_log_changes_nothing() {
    let expected = read(log("1.16"));
    let colour = |line: &str| format!("\u{1b}[32m{line}\u{1b}[0m\r\n");
    let noisy: String = log("1.16").lines().map(colour).collect();
    assert_eq!(read(&noisy), expected);
    let mut bytes = Vec::new();
    for line in log("1.16").lines() {
        bytes.extend_from_slice(b"\xff\xfe\x00garbage \xc3\n");
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    let mut reader = Log::new(Expectation::new());
    reader.push_bytes(&bytes);
    let report = reader.finish();
    assert_eq!(
        (report.verdict, &report.ranks),
        (expected.verdict, &expected.ranks)
    );
}
