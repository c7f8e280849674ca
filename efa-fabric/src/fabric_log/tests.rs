//! Lines of libfabric 1.12 to 2.6: what each means, and that no text makes the parser fail.

use proptest::prelude::*;

use super::*;

const PREFIX: &str = "libfabric:4711:1795245378::";

/// Lines behind [`PREFIX`], or bare ones, with what they mean. Those of core, `param` and
/// `registering` are of libfabric 1.17 and 2.5.1 without hardware; of devices, of the sources.
const LINES: [(&str, FingerprintKind, Option<&str>, Option<i64>); 46] = {
    use FingerprintKind as K;
    [
        (
            "FI_EFA_MTU_SIZE env variable detected! The use of this variable has been deprecated and as such execution cannot proceed.",
            K::DeprecatedVariable,
            Some("FI_EFA_MTU_SIZE"),
            None,
        ),
        (
            "rank 3: FI_EFA_TX_IOV_LIMIT env variable detected! The use of this variable has been deprecated and as such execution cannot proceed.",
            K::DeprecatedVariable,
            Some("FI_EFA_TX_IOV_LIMIT"),
            None,
        ),
        (
            "FI_EFA_IFACE is empty. Specify full-qualified names separated by comma, or \"all\" to use all available devices.",
            K::EmptyIface,
            Some("FI_EFA_IFACE"),
            None,
        ),
        (
            "FI_EFA_TX_MIN_CREDITS was set to -4, which is <= 0.",
            K::BadMinCredits,
            Some("FI_EFA_TX_MIN_CREDITS"),
            Some(-4),
        ),
        (
            "The envrionment variable FI_EFA_USE_HUGE_PAGE has been",
            K::HugePageWithForkSupport,
            Some("FI_EFA_USE_HUGE_PAGE"),
            None,
        ),
        (
            "FI_EFA_USE_DEVICE_RDMA was set to an invalid value by the user. FI_EFA_USE_DEVICE_RDMA is boolean",
            K::BadUseDeviceRdma,
            Some("FI_EFA_USE_DEVICE_RDMA"),
            None,
        ),
        (
            "FI_EFA_USE_DEVICE_RDMA=1 was set by user, but EFA device has no rdma-read capability.  Application will abort().",
            K::BadUseDeviceRdma,
            Some("FI_EFA_USE_DEVICE_RDMA"),
            None,
        ),
        (
            "FI_EFA_USE_DEVICE_RDMA=1 was set by users, but EFA device has no rdma-read capability.",
            K::BadUseDeviceRdma,
            Some("FI_EFA_USE_DEVICE_RDMA"),
            None,
        ),
        (
            "A process has executed an operation involving a call",
            K::ForkWithoutSupport,
            None,
            None,
        ),
        (
            "core:core:verify_filter_names():554<warn> provider efaa is unknown, misspelled or DL provider?",
            K::UnknownProvider,
            Some("efaa"),
            None,
        ),
        (
            "core:core:ofi_register_provider():553<info> \"efa\" filtered by provider include/exclude list, skipping",
            K::FilteredProvider,
            Some("efa"),
            None,
        ),
        (
            "verbs:core:ofi_check_fabric_attr():470<info> Requesting provider efaa, skipping verbs",
            K::SkippedProvider,
            Some("verbs"),
            None,
        ),
        (
            "core:core:ofi_layering_ok():1291<info> Skipping efa;ofi_rxm layering",
            K::SkippedProvider,
            Some("efa;ofi_rxm"),
            None,
        ),
        (
            "core:core:fi_getinfo_():1401<warn> Requested version is newer than library",
            K::VersionTooNew,
            None,
            None,
        ),
        (
            "efa:fabric:efa_device_list_initialize():306<info> ibv_get_device_list returns total_device_cnt=9",
            K::VerbsDevices,
            None,
            Some(9),
        ),
        (
            "efa:fabric:efa_device_list_initialize():376<info> g_efa_selected_device_cnt=4, g_efa_ibv_gid_cnt=8",
            K::SelectedDevices,
            None,
            Some(4),
        ),
        (
            "efa:fabric:efa_device_list_initialize():353<info> Device rdmap0s6 filtered out by FI_EFA_IFACE",
            K::FilteredDevice,
            Some("rdmap0s6"),
            None,
        ),
        (
            "efa:ep_data:efa_device_open():47<warn> ibv_open_device failed! errno: 2",
            K::OpenDeviceFailed,
            None,
            Some(2),
        ),
        (
            "efa:fabric:efa_device_list_initialize():336<warn> efa_device_construct_gid failed for device_idx 0, err=-2",
            K::DeviceSetupFailed,
            Some("device_idx 0"),
            Some(-2),
        ),
        (
            "efa:fabric:efa_device_list_initialize():363<warn> efa_device_construct_data failed for device rdmap0s6, err=-12",
            K::DeviceSetupFailed,
            Some("device rdmap0s6"),
            Some(-12),
        ),
        (
            "efa:fabric:efa_device_construct_gid():67<info> Not an EFA device. Will not initialize.",
            K::NotAnEfaDevice,
            None,
            None,
        ),
        (
            "core:core:fi_getinfo_():1391<warn> fi_getinfo: provider efa output empty list",
            K::EmptyList,
            Some("efa"),
            None,
        ),
        (
            "core:core:fi_getinfo_():1384<warn> fi_getinfo: provider efa returned -61 (No data available)",
            K::ProviderFailed,
            Some("efa"),
            Some(-61),
        ),
        (
            "efa:domain:efa_getinfo():733<warn> unsupported endpoint type: 1",
            K::UnsupportedEndpointType,
            Some("efa"),
            Some(1),
        ),
        (
            "tcp:core:ofi_check_ep_type():757<info> unsupported endpoint type",
            K::UnsupportedEndpointType,
            Some("tcp"),
            None,
        ),
        (
            "efa:core:ofi_check_info():1174<info> Unsupported capabilities",
            K::UnsupportedCapabilities,
            Some("efa"),
            None,
        ),
        (
            "efa:core:ofi_check_rx_attr():917<info> caps not supported",
            K::UnsupportedCapabilities,
            Some("efa"),
            None,
        ),
        (
            "efa:core:ofi_check_mr_mode():611<info> Invalid memory registration mode",
            K::InvalidMrMode,
            Some("efa"),
            None,
        ),
        (
            "efa:core:ofi_check_info():1182<info> needed mode not set",
            K::ModeNotSet,
            Some("efa"),
            None,
        ),
        (
            "efa:core:ofi_check_info():1189<info> address format not supported",
            K::UnsupportedAddressFormat,
            Some("efa"),
            None,
        ),
        (
            "efa:core:ofi_check_info():1175<info> Requested: FI_MSG, FI_RMA, FI_HMEM",
            K::Requested,
            Some("FI_MSG, FI_RMA, FI_HMEM"),
            None,
        ),
        (
            "efa:core:ofi_check_tx_attr():1026<info> msg_order not supported",
            K::OtherHint,
            Some("msg_order not supported"),
            None,
        ),
        (
            "efa:core:efa_user_info_check():239<warn> FI_HMEM cannot be supported because no compatible libraries were found.",
            K::HmemWithoutLibraries,
            None,
            None,
        ),
        (
            "efa:core:efa_user_info():450<warn> FI_HMEM capability requires device registrations (FI_MR_HMEM)",
            K::HmemWithoutMrMode,
            None,
            None,
        ),
        (
            "efa:core:efa_user_info():257<warn> EFA cannot support FI_HMEM because the EFA device does not have RDMA support.",
            K::HmemWithoutPeerToPeer,
            Some("EFA cannot support FI_HMEM because the EFA device does not have RDMA support."),
            None,
        ),
        (
            "efa:core:efa_user_info():716<info> Requested max_msg_size 1048576 exceeds device max MSG size 8928",
            K::MessageTooLarge,
            Some("efa"),
            Some(1_048_576),
        ),
        (
            "efa:core:ofi_check_ep_attr():797<info> Max message size too large",
            K::MessageTooLarge,
            Some("efa"),
            None,
        ),
        (
            "efa:eq:efa_base_ep_write_eq_error():836<warn> Writing error to EQ: err: Cannot allocate memory (12) prov_errno: Failure to post internal receive buffers (4112)",
            K::ReceiveBuffers,
            None,
            Some(4112),
        ),
        (
            "EFA internal error: (4112) Failure to post internal receive buffers",
            K::ReceiveBuffers,
            None,
            Some(4112),
        ),
        (
            "efa:ep_ctrl:efa_qp_create():343<warn> ibv_create_qp failed. errno: 12",
            K::ReceiveBuffers,
            None,
            Some(12),
        ),
        (
            "Libfabric EFA provider has encountered an internal error:",
            K::InternalError,
            None,
            None,
        ),
        (
            "EFA internal error: (4113) Failure posting handshake to peer",
            K::InternalError,
            None,
            Some(4113),
        ),
        (
            "efa:cq:efa_rdm_txe_handle_error():650<warn> err: 113, message: No route to host (113), prov_errno: Unreachable remote - never received a response (15)",
            K::Unreachable,
            None,
            Some(15),
        ),
        (
            "train.py: fi_send failed: EHOSTUNREACH",
            K::Unreachable,
            None,
            Some(15),
        ),
        (
            "efa:cq:efa_rdm_txe_handle_error():650<warn> prov_errno: Unresponsive remote (was previously responsive) (13)",
            K::Unresponsive,
            None,
            Some(13),
        ),
        (
            "efa:cq:efa_rdm_txe_handle_error():650<warn> prov_errno: Unresponsive receiver (connection previously established) (4124)",
            K::Unresponsive,
            None,
            Some(4124),
        ),
    ]
};

fn whole(line: &str) -> String {
    match line.contains("():") {
        true => format!("{PREFIX}{line}"),
        false => line.to_owned(),
    }
}

#[test]
fn each_line_means_what_it_means() {
    for (line, kind, subject, number) in LINES {
        let line = whole(line);
        let log = Log::parse(&line);
        let found: Vec<_> = log
            .fingerprints
            .iter()
            .map(|found| (found.kind, found.subject.as_deref(), found.number))
            .collect();
        assert_eq!(found, [(kind, subject, number)], "{line}");
        assert_eq!(log.fingerprints[0].evidence, line);
        let writer = Line::parse(&line).map(|line| line.provider);
        assert_eq!(log.fingerprints[0].provider, writer);
    }
}

#[test]
fn every_kind_has_a_line() {
    for kind in FingerprintKind::ALL {
        let has_line = LINES.iter().any(|(_, of_line, ..)| of_line == kind);
        assert_eq!(
            has_line,
            *kind != FingerprintKind::NoVerbsDevices,
            "{kind:?}"
        );
    }
}

#[test]
fn other_lines_mean_nothing() {
    for line in [
        "core:core:fi_param_get_():278<info> variable provider=<not set>",
        "core:core:ofi_layering_ok():1128<info> Skipping util;shm layering",
        "efa:core:efa_env_initialize():92<info> FI_EFA_ZCPY_RX_SEED env variable detected! The use of this variable has been deprecated",
        "efa:cq:efa_rdm_txe_handle_error():650<warn> prov_errno: Flushed during queue pair destroy (1)",
        "core:core:ofi_register_provider():526<info> registering provider: tcp (205.10)",
        "ncclInternalError: Internal check failed.",
        "libfabric",
        "libfabric:",
    ] {
        let log = Log::parse(&whole(line));
        assert_eq!(log.fingerprints, [], "{line}");
    }
    let headless = "libfabric:x:y:z():1<warn> fi_getinfo: provider efa output empty list";
    assert_eq!(Log::parse(headless), Log::default());
}

#[test]
fn heads_of_all_generations_are_read() {
    for (line, time_s) in [
        ("libfabric:17:efa:fabric:efa_getinfo():7<warn> text", None),
        (
            "libfabric:17:1795245378::efa:fabric:efa_getinfo():7<warn> text",
            Some(1_795_245_378),
        ),
        (
            "libfabric:17:1795245378:hook:efa:fabric:efa_getinfo():7<warn> text",
            Some(1_795_245_378),
        ),
        (
            "[1,3]<stderr>:node-3: libfabric:17:1795245378::efa:fabric:efa_getinfo():7<warn> text",
            Some(1_795_245_378),
        ),
    ] {
        let line = Line::parse(line).unwrap();
        assert_eq!((line.pid, line.time_s, line.line), (17, time_s, 7));
        assert_eq!(line.provider, "efa");
        assert_eq!(line.subsystem, "fabric");
        assert_eq!(line.function, "efa_getinfo");
        assert_eq!((line.level, line.text.as_str()), (Level::Warn, "text"));
    }
    let layered = "libfabric:17:1::tcp;ofi_rxm:core:f():1<info> libfabric: a text with its name";
    let layered = Line::parse(layered).unwrap();
    assert_eq!(layered.provider, "tcp;ofi_rxm");
    assert_eq!(layered.text, "libfabric: a text with its name");
}

#[test]
fn two_writers_on_one_line_are_distinguished() {
    let both = format!(
        "{PREFIX}core:core:f():1<warn> fi_getinfo: provider efa output empty list{PREFIX}efa:fabric:f():1<info> g_efa_selected_device_cnt=0, g_efa_ibv_gid_cnt=0"
    );
    let log = Log::parse(&both);
    assert_eq!(log.lines, 2);
    assert_eq!(
        log.first(FingerprintKind::SelectedDevices).unwrap().number,
        Some(0)
    );
    let empty = log.first(FingerprintKind::EmptyList).unwrap();
    assert_eq!(empty.subject.as_deref(), Some("efa"));
}

fn registered(version: &str) -> String {
    format!(
        "{PREFIX}efa:core:fi_param_get_():372<info> variable iface=<not set>\n{PREFIX}core:core:ofi_register_provider():526<info> registering provider: efa ({version})\n"
    )
}

#[test]
fn absence_of_the_count_is_a_fingerprint_where_the_count_belongs() {
    let absent = |text: &str| Log::parse(text).has(FingerprintKind::NoVerbsDevices);
    assert!(absent(&registered("205.10")));
    assert!(absent(&registered("202.0")));
    let log = Log::parse(&registered("205.10"));
    assert!(
        log.fingerprints[0]
            .evidence
            .ends_with("registering provider: efa (205.10)")
    );
    assert_eq!(log.registered, ["efa (205.10)"]);

    // Older providers do not count.
    assert!(!absent(&registered("117.0")));
    assert!(!absent(&registered("201.0")));
    // Not at level info, or with a filter on efa's lines: then nothing of efa is there.
    assert!(!absent(""));
    assert!(!absent(registered("205.10").lines().nth(1).unwrap()));
    // It counted.
    let counted = format!(
        "{PREFIX}efa:fabric:f():1<info> ibv_get_device_list returns total_device_cnt=1\n{}",
        registered("205.10")
    );
    assert!(!absent(&counted));
    // The provider ended the process, or the middle is missing.
    assert!(!absent(&format!(
        "{}FI_EFA_IFACE is empty.",
        registered("205.10")
    )));
    assert!(!Log::parse_part(&registered("205.10"), true).has(FingerprintKind::NoVerbsDevices));
}

#[test]
fn what_repeats_is_kept_once_and_all_is_bounded() {
    let line = format!("{}\n", whole(LINES[21].0));
    let log = Log::parse(&line.repeat(1000));
    assert_eq!(
        (log.lines, log.fingerprints.len(), log.warnings.len()),
        (1000, 1, 1)
    );
    assert!(!log.is_cut);

    let many: String = (0..1000)
        .map(|n| {
            format!("{PREFIX}core:core:f():1<warn> fi_getinfo: provider p{n} output empty list\n")
        })
        .collect();
    let log = Log::parse(&many);
    assert_eq!((log.fingerprints.len(), log.warnings.len()), (256, 256));
    assert!(log.is_cut);

    let long = format!(
        "{PREFIX}core:core:f():1<warn> fi_getinfo: provider {}",
        "ä".repeat(5000)
    );
    let log = Log::parse(&long);
    assert!(log.warnings[0].text.len() <= 2048);
}

#[test]
fn values_survive_json() {
    let text: String = LINES.iter().map(|(line, ..)| whole(line) + "\n").collect();
    let log = Log::parse(&(text + &registered("117.0")));
    let writer = |line: &str| Line::parse(&whole(line)).map(|line| line.provider);
    let distinct: std::collections::HashSet<_> = LINES
        .iter()
        .map(|(line, kind, subject, number)| (kind, writer(line), subject, number))
        .collect();
    assert_eq!(log.fingerprints.len(), distinct.len());
    let json = serde_json::to_string(&log).unwrap();
    assert!(json.contains("\"kind\":\"empty_list\""));
    assert_eq!(serde_json::from_str::<Log>(&json).unwrap(), log);
}

/// A real line with something done to it.
fn damaged() -> impl Strategy<Value = String> {
    (
        0..LINES.len(),
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        ".{0,12}",
    )
        .prop_map(|(line, from, to, noise)| {
            let line: Vec<char> = whole(LINES[line].0).chars().collect();
            let (from, to) = (from.index(line.len() + 1), to.index(line.len() + 1));
            let (from, to) = (from.min(to), from.max(to));
            let head: String = line[..from].iter().collect();
            let tail: String = line[to..].iter().collect();
            format!("{head}{noise}{tail}")
        })
}

proptest! {
    #[test]
    fn no_text_makes_it_fail(text in any::<String>()) {
        let log = Log::parse(&text);
        let line = Line::parse(&text);
        prop_assert!(log.lines > 0 || line.is_none() || text.contains(['\n', '\r']));
    }

    #[test]
    fn no_damage_makes_it_fail(lines in prop::collection::vec(damaged(), 0..12), joint in "\n|\r\n|") {
        let text = lines.join(&joint);
        let log = Log::parse(&text);
        prop_assert!(log.fingerprints.iter().all(|found| found.evidence.len() <= 2048));
        let json = serde_json::to_string(&log).unwrap();
        prop_assert_eq!(serde_json::from_str::<Log>(&json).unwrap(), log);
    }

    #[test]
    fn prefixes_and_other_lines_change_nothing(
        lines in prop::collection::vec(0..LINES.len(), 1..8),
        prefix in "(\\[[0-9],[0-9]\\]<stderr>:|\\(RayTrainWorker pid=[0-9]{1,5}, ip=10\\.0\\.0\\.1\\) |node-[0-9] )?",
        noise in "[a-zA-Z0-9 .,]{0,40}",
    ) {
        let kinds = |text: &str| -> Vec<_> {
            let log = Log::parse(text);
            log.fingerprints.iter().map(|f| (f.kind, f.subject.clone(), f.number)).collect()
        };
        let plain: String = lines.iter().map(|&n| whole(LINES[n].0) + "\n").collect();
        let noisy: String = lines
            .iter()
            .map(|&n| format!("{noise}\n{prefix}{}\r\n", whole(LINES[n].0)))
            .collect();
        prop_assert_eq!(kinds(&plain), kinds(&noisy));
    }
}
