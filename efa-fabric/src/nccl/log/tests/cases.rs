//! Inputs retyped from public reports: the verdict, the exit status and the cause of each.

use super::super::*;
use super::{causes, read, reason};

macro_rules! cases {
    ($($name:literal)+) => { &[$(($name, include_str!(concat!("../fixtures/cases/", $name, ".log")))),+] };
}

const CASES: &[(&str, &str)] = cases![
    "a_device_rdma_abort" "aa_neuron_noefa" "ab_neuron_multi" "ac_g5_nogdr_healthy"
    "ai_healthy_noisy" "am_watchdog_hang" "an_nixl_healthy_fi_info" "b_4126_sg_egress"
    "c_no_efa_tcp_provider" "d_rails_mismatch" "e_gin_gdrcopy" "f_healthy_2_32_gin"
    "i_rdma_core_mismatch" "j2_spcx_missing" "l_tuner_algo" "m_arch_attr" "o_oom_qpn"
    "r_mr_limit" "t_rmaddr_4111" "u_nixl_getinfo" "w_nixl_healthy" "x_ucx_srd" "y_ompi_mtl"
    "z_nvshmem"
];

pub(super) fn case(name: &str) -> &'static str {
    CASES.iter().find(|(known, _)| *known == name).unwrap().1
}

/// The logs of jobs without fault.
pub(super) const HEALTHY: [&str; 5] = [
    "ac_g5_nogdr_healthy",
    "ai_healthy_noisy",
    "an_nixl_healthy_fi_info",
    "f_healthy_2_32_gin",
    "w_nixl_healthy",
];

#[test]
fn jobs_without_fault_have_no_finding_to_act_on() {
    for name in HEALTHY {
        let report = read(case(name));
        assert_eq!(report.verdict, Verdict::OnEfa, "{name}: {report}");
        assert_eq!(report.exit_code(), 0, "{name}");
        assert_eq!(report.reason, None, "{name}");
        let is_note = |finding: &Finding| finding.severity == Severity::Note;
        assert!(report.findings.iter().all(is_note), "{name}: {report}");
    }
    for name in ["an_nixl_healthy_fi_info", "w_nixl_healthy"] {
        let text = read(case(name)).to_string();
        assert!(text.starts_with("on_efa: NIXL uses EFA"), "{text}");
        assert!(!text.contains("NCCL"), "{text}");
    }
    assert_eq!(read(case("ai_healthy_noisy")).end, End::Orderly);
    assert_eq!(read(case("w_nixl_healthy")).end, End::NotSeen);
}

#[test]
fn each_fault_has_its_verdict_and_cause() {
    use Cause as C;
    use Verdict as V;
    #[rustfmt::skip]
    let expected = [
        ("a_device_rdma_abort", V::JobFailed, C::DeviceRdmaUnsupported),
        ("aa_neuron_noefa", V::NotInitialised, C::NeuronWithoutEfa),
        ("ab_neuron_multi", V::NotInitialised, C::NeuronNeedsNetwork),
        ("am_watchdog_hang", V::JobFailed, C::WatchdogTimeout),
        ("b_4126_sg_egress", V::JobFailed, C::SecurityGroupEgress),
        ("c_no_efa_tcp_provider", V::TcpSockets, C::EfaNotOffered),
        ("d_rails_mismatch", V::JobFailed, C::RailsDiffer),
        ("e_gin_gdrcopy", V::JobFailed, C::GdrcopyMissing),
        ("i_rdma_core_mismatch", V::TcpSockets, C::RdmaCoreShadowed),
        ("j2_spcx_missing", V::TcpSockets, C::OtherPluginNamed),
        ("l_tuner_algo", V::JobFailed, C::TunerRefused),
        ("m_arch_attr", V::JobFailed, C::TopologyInvalid),
        ("t_rmaddr_4111", V::JobFailed, C::RemoteKeyRefused),
        ("u_nixl_getinfo", V::NotInitialised, C::NixlNoRail),
        ("x_ucx_srd", V::JobFailed, C::PeerLost),
        ("y_ompi_mtl", V::NotInitialised, C::OpenMpiNoProvider),
        ("z_nvshmem", V::JobFailed, C::DescriptorMissing),
    ];
    for (name, verdict, cause) in expected {
        let report = read(case(name));
        assert_eq!(report.verdict, verdict, "{name}: {report}");
        assert_eq!(report.exit_code(), 2, "{name}");
        assert_eq!(reason(&report), Some(cause), "{name}: {report}");
        let evidence = report.reason.clone().unwrap().evidence.unwrap();
        let line = case(name).lines().nth(evidence.line as usize - 1).unwrap();
        let quoted = evidence.text.trim_start_matches("Selected provider is ");
        assert!(line.contains(quoted), "{name}: {evidence:?}");
    }
    for (name, cause) in [("o_oom_qpn", C::PeerLost), ("r_mr_limit", C::LockedMemory)] {
        let report = read(case(name));
        assert_eq!(report.verdict, V::OnEfaDegraded, "{name}: {report}");
        assert_eq!(report.exit_code(), 1, "{name}");
        assert_eq!(report.findings[0].cause, cause, "{name}: {report}");
    }
    assert_eq!(expected.len() + HEALTHY.len() + 2, CASES.len());
}

#[test]
fn the_cure_fits_the_cause() {
    for (name, with, without) in [
        (
            "a_device_rdma_abort",
            "remove FI_EFA_USE_DEVICE_RDMA",
            "install",
        ),
        (
            "aa_neuron_noefa",
            "nothing to do on a single node",
            "OFI_NCCL_PROTOCOL",
        ),
        (
            "ab_neuron_multi",
            "attach the EFA interfaces",
            "OFI_NCCL_PROTOCOL",
        ),
        ("am_watchdog_hang", "did not join", "FI_PROVIDER"),
        (
            "b_4126_sg_egress",
            "egress to 0.0.0.0/0 is not enough",
            "FI_PROVIDER",
        ),
        (
            "c_no_efa_tcp_provider",
            "no EFA interface",
            "set FI_PROVIDER",
        ),
        (
            "d_rails_mismatch",
            "OFI_NCCL_FORCE_NUM_RAILS to one number",
            "remove OFI_NCCL_FORCE",
        ),
        ("e_gin_gdrcopy", "/dev/gdrdrv", "FI_PROVIDER"),
        (
            "i_rdma_core_mismatch",
            "out of LD_LIBRARY_PATH",
            "install the plugin",
        ),
        ("j2_spcx_missing", "set NCCL_NET_PLUGIN to ofi", "keep"),
        (
            "l_tuner_algo",
            "remove NCCL_ALGO and NCCL_PROTO",
            "FI_PROVIDER",
        ),
        ("m_arch_attr", "NCCL_TOPO_FILE", "FI_PROVIDER"),
        (
            "o_oom_qpn",
            "out-of-memory",
            "a transfer over libfabric failed",
        ),
        ("r_mr_limit", "memlock", "FI_PROVIDER"),
        (
            "t_rmaddr_4111",
            "memory registration of the application",
            "hit an error that it could not report",
        ),
        (
            "u_nixl_getinfo",
            "libfabric does not fit NIXL",
            "lines of NCCL",
        ),
        (
            "x_ucx_srd",
            "UCX: a peer stopped answering",
            "no line of NCCL",
        ),
        ("y_ompi_mtl", "mca_mtl_ofi.so", "no line of NCCL"),
        (
            "z_nvshmem",
            "NVSHMEM: the application gives libfabric no memory descriptor",
            "lines of NCCL",
        ),
    ] {
        let text = read(case(name)).to_string();
        assert!(text.contains(with), "{name} lacks {with:?}: {text}");
        assert!(!text.contains(without), "{name} has {without:?}: {text}");
    }
    // A peer that was received from can answer: then it is the peer that was lost.
    let known = case("b_4126_sg_egress").replace("Peer host id: N/A", "Peer host id: i-0123");
    let found = causes(&read(&known));
    assert_eq!(found[0], Cause::PeerLost);
    assert!(!found.contains(&Cause::SecurityGroupEgress));
}

#[test]
fn neuron_lines_keep_their_process() {
    let report = read(case("aa_neuron_noefa"));
    assert_eq!(
        (report.ranks.len(), report.ranks[0].pid),
        (1, Some(837_617))
    );
    let labelled: String = case("aa_neuron_noefa")
        .lines()
        .map(|line| format!("[pod/trn-0/main] {line}\n"))
        .collect();
    let report = read(&labelled);
    assert_eq!(report.ranks[0].label(), "trn-0:837617");
}
