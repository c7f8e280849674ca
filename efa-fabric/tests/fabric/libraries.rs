//! Libraries, what they offer, and endpoints.

use super::*;

#[test]
fn a_library_is_loaded_once() {
    for library in libraries("a_library_is_loaded_once") {
        let again = Library::load(library.path()).unwrap();
        assert!(Arc::ptr_eq(&library, &again));
        assert!(library.path().is_absolute());
        assert!(library.requested_api() <= library.version());
        assert!(library.requested_api().to_string().as_str() <= "2.6");
    }
}

#[test]
fn an_absent_library_is_typed() {
    let error = Library::load(Path::new("/nonexistent/libfabric.so.1")).unwrap_err();
    assert_eq!(error.code(), Code::LibraryNotFound);
    assert!(error.cure().is_some());
    let mut process = Process::start("find", Some(Path::new("/nonexistent/libfabric.so.1")), &[]);
    assert_eq!(process.outcome(), Err("fabric.library_not_found".into()));
}

#[test]
fn what_is_not_libfabric_is_typed() {
    let text = std::env::temp_dir().join(format!("efa-fabric-text-{}.so", std::process::id()));
    std::fs::write(&text, "no library").unwrap();
    let error = Library::load(&text).unwrap_err();
    std::fs::remove_file(&text).unwrap();
    assert_eq!(error.code(), Code::LibraryInvalid);

    // A library without fi_version: C's own.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let libc = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .find(|path| path.contains("libc.so"));
    match libc {
        Some(libc) => assert_eq!(
            Library::load(Path::new(libc)).unwrap_err().code(),
            Code::LibraryInvalid
        ),
        None => {
            eprintln!("SKIPPED what_is_not_libfabric_is_typed on libc: not loaded from libc.so")
        }
    }
}

#[test]
fn a_library_that_is_too_old_is_typed() {
    let base = std::env::temp_dir().join(format!("efa-fabric-old-{}", std::process::id()));
    let (source, library) = (base.with_extension("c"), base.with_extension("so"));
    let code = "unsigned fi_version(void) { return 1 << 16 | 8; }\nvoid fi_getinfo(void) {}\n\
                void fi_freeinfo(void) {}\nvoid fi_dupinfo(void) {}\nvoid fi_fabric(void) {}\nvoid fi_strerror(void) {}\n";
    std::fs::write(&source, code).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .status();
    std::fs::remove_file(&source).unwrap();
    match built {
        Ok(status) if status.success() => {
            let error = Library::load(&library).unwrap_err();
            std::fs::remove_file(&library).unwrap();
            assert_eq!(error.code(), Code::LibraryTooOld);
            assert_eq!(error.context_value("version"), Some("1.8"));
        }
        _ => eprintln!("SKIPPED a_library_that_is_too_old_is_typed: no C compiler"),
    }
}

#[test]
fn killer_variables_are_refused_and_nothing_aborts() {
    for library in libraries("killer_variables") {
        for (name, value) in [
            ("FI_EFA_MTU_SIZE", "9000"),
            ("FI_EFA_IFACE", ""),
            ("FI_EFA_TX_MIN_CREDITS", "0"),
        ] {
            let mut process = Process::start("providers", Some(library.path()), &[(name, value)]);
            assert_eq!(
                process.outcome(),
                Err("fabric.killer_environment".into()),
                "{name}={value}"
            );
            assert!(process.child.wait().unwrap().success());
        }
        let mut process = Process::start(
            "providers",
            Some(library.path()),
            &[("FI_EFA_IFACE", "all")],
        );
        assert!(process.outcome().is_ok());
    }
}

#[test]
fn providers_are_listed() {
    for library in libraries("providers_are_listed") {
        let all = providers(&library).unwrap();
        for name in ["tcp", "shm"] {
            let info = all
                .iter()
                .find(|info| {
                    info.provider.split(';').next() == Some(name)
                        && info.endpoint_type == "FI_EP_RDM"
                })
                .unwrap_or_else(|| panic!("no {name} in {all:?}"));
            assert!(info.capabilities.contains(&"FI_MSG".to_owned()), "{info:?}");
            assert!(
                info.max_message_size > 0 && info.tx_size > 0 && info.rx_size > 0,
                "{info:?}"
            );
            assert!(!info.protocol.starts_with("unknown"), "{info:?}");
        }
        for nic in nics(&library).unwrap() {
            assert!(!nic.fabrics.is_empty(), "{nic:?}");
        }
    }
}

#[test]
fn an_absent_provider_is_typed() {
    for library in libraries("an_absent_provider_is_typed") {
        for change in [
            |o: &mut EndpointOptions| o.provider = "nosuch".into(),
            |o: &mut EndpointOptions| o.domain = Some("nosuch0".into()),
            |o: &mut EndpointOptions| o.fabric = Some("nosuch".into()),
        ] {
            let mut options = EndpointOptions::new("tcp");
            change(&mut options);
            let error = Endpoint::open(&library, &options).unwrap_err();
            assert_eq!(error.code(), Code::ProviderNotFound, "{options:?}: {error}");
            assert!(
                error.context_value("available").unwrap().contains("tcp"),
                "{error:?}"
            );
        }
        // Depending on the version this fails at discovery or at opening.
        let mut options = EndpointOptions::new("tcp");
        options.source_address = Some("203.0.113.77".into());
        let error = Endpoint::open(&library, &options).unwrap_err();
        assert!(
            matches!(error.code(), Code::ProviderNotFound | Code::CallFailed),
            "{error}"
        );
        assert!(error.cure().is_some());
    }
}

#[test]
fn endpoints_open_and_have_addresses() {
    for library in libraries("endpoints_open_and_have_addresses") {
        for provider in ["tcp", "TCP", "shm"] {
            let endpoint = Endpoint::open(&library, &EndpointOptions::new(provider)).unwrap();
            assert!(!endpoint.address().is_empty());
            assert_eq!(endpoint.options(), []);
            let moved = std::thread::spawn(move || endpoint.info().endpoint_type.clone())
                .join()
                .unwrap();
            assert_eq!(moved, "FI_EP_RDM");
        }
        let mut options = EndpointOptions::new("tcp");
        options.source_address = Some("127.0.0.1".into());
        let endpoint = Endpoint::open(&library, &options).unwrap();
        assert_eq!(endpoint.info().domain, "lo");
        assert_eq!(endpoint.address().len(), 16);
    }
}

/// Nothing is skipped where `EFA_TEST_NO_SKIPS` is set, as the Makefile does.
#[test]
fn nothing_is_skipped_where_all_is_there() {
    let runs = |program: &str| {
        let status = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    let second = std::env::var_os("EFA_TEST_LIBFABRIC_2").map(PathBuf::from);
    let absent: Vec<_> = [
        ("the system's libfabric", Library::find().is_ok()),
        (
            "a libfabric at EFA_TEST_LIBFABRIC_2",
            second.is_some_and(|path| Library::load(&path).is_ok()),
        ),
        ("a C compiler", runs("cc")),
        (
            "libfabric's headers",
            Path::new("/usr/include/rdma/fabric.h").is_file(),
        ),
        ("valgrind", runs("valgrind")),
    ]
    .into_iter()
    .filter_map(|(what, there)| (!there).then_some(what))
    .collect();
    for what in &absent {
        eprintln!("SKIPPED all tests that need {what}");
    }
    if std::env::var_os("EFA_TEST_NO_SKIPS").is_some() {
        assert!(absent.is_empty(), "absent: {absent:?}");
    }
}
