//! The crate on real libfabric: the system's, and a 2.x where `EFA_TEST_LIBFABRIC_2` names one
//! (the Makefile takes it from the PyPI wheel `mpich`). What is absent is skipped with a line
//! that begins with `SKIPPED`.
//!
//! Two-process tests start this binary again with `EFA_TEST_ROLE` set; see [`child`]. Timing
//! decides nothing here: limits are many times what is needed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use efa_fabric::{
    Buffers, Code, Endpoint, EndpointOptions, Interrupt, Library, MAX_SIZE, ProbeOptions,
    ProbeReport, Role, ServeOptions, Server, SharedMemory, connect, loopback, loopback_with, nics,
    providers,
};

const LIMIT: Duration = Duration::from_secs(60);

// ---------------------------------------------------------------- what there is to test with

fn libraries(test: &str) -> Vec<Arc<Library>> {
    let system = match Library::find() {
        Ok(library) => Some(library),
        Err(error) => {
            eprintln!("SKIPPED {test} on the system's libfabric: {error}");
            None
        }
    };
    system.into_iter().chain(second(test)).collect()
}

fn second(test: &str) -> Option<Arc<Library>> {
    let Some(path) = std::env::var_os("EFA_TEST_LIBFABRIC_2") else {
        eprintln!("SKIPPED {test} on libfabric 2.x: EFA_TEST_LIBFABRIC_2 is not set");
        return None;
    };
    Some(Library::load(Path::new(&path)).expect("EFA_TEST_LIBFABRIC_2 names a libfabric"))
}

fn quick(provider: &str) -> ProbeOptions {
    let mut options = ProbeOptions::new(provider);
    options.sizes = vec![1, 64, 4096, 65_536, 1 << 20];
    options.size_budget = Duration::from_millis(20);
    options.min_iterations = 3;
    options.deadline = LIMIT;
    options
}

fn endless(provider: &str) -> ProbeOptions {
    let mut options = quick(provider);
    options.sizes = vec![64, 65_536];
    options.size_budget = Duration::from_secs(600);
    options.max_iterations = 10_000_000;
    options.deadline = Duration::from_secs(600);
    options
}

fn check_report(report: &ProbeReport, provider: &str, options: &ProbeOptions) {
    assert_eq!(report.provider.split(';').next(), Some(provider));
    assert_eq!(report.statement, "latency is half of the round trip");
    assert!(report.rows.iter().all(|row| row.verified));
    assert_eq!(report.shared_memory, SharedMemory::NotApplicable);
    assert!(report.time_to_first_message_us > 0.0);
    assert_eq!(report.rows.len(), options.sizes.len());
    for (row, &size) in report.rows.iter().zip(&options.sizes) {
        assert_eq!(row.size, size as u64);
        let latency = row.latency.as_ref().unwrap();
        assert!(
            latency.iterations >= 3 && latency.min_us > 0.0,
            "{latency:?}"
        );
        let ordered = [
            latency.min_us,
            latency.p50_us,
            latency.p90_us,
            latency.p99_us,
            latency.max_us,
        ];
        assert!(ordered.is_sorted(), "{latency:?}");
        let bandwidth = row.bandwidth.as_ref().unwrap();
        assert!(
            bandwidth.messages >= 3 && bandwidth.gb_per_s > 0.0,
            "{bandwidth:?}"
        );
        assert_eq!(bandwidth.bytes, bandwidth.messages * row.size);
        assert!((bandwidth.gbit_per_s - 8.0 * bandwidth.gb_per_s).abs() < 1e-9);
    }
    let text = report.to_string();
    assert!(
        text.contains(&report.provider) && text.contains(&report.library_path),
        "{text}"
    );
    let json = serde_json::to_string(report).unwrap();
    assert_eq!(serde_json::from_str::<ProbeReport>(&json).unwrap(), *report);
}

// ------------------------------------------------------------------------- child processes

/// Not a test: what this binary does when a test starts it with `EFA_TEST_ROLE`.
#[test]
fn child() {
    let Ok(role) = std::env::var("EFA_TEST_ROLE") else {
        return;
    };
    let argument = |name: &str| std::env::var(format!("EFA_TEST_{name}")).unwrap();
    let outcome = match role.as_str() {
        "find" => Library::find().map(|library| format!("{}", library.path().display())),
        "providers" => Library::find()
            .and_then(|library| providers(&library))
            .map(|all| all.len().to_string()),
        "serve" => Library::find().and_then(|library| {
            let server = Server::bind(Server::LOOPBACK, "secret")?;
            println!("\n@address {}", server.address());
            let report =
                server.serve_one(&library, &ServeOptions::default(), Interrupt::never())?;
            assert_eq!(report.role, Role::Serve);
            Ok(serde_json::to_string(&report).unwrap())
        }),
        "connect" => Library::find().and_then(|library| {
            let options = quick(&argument("PROVIDER"));
            let report = connect(
                &library,
                &argument("ADDRESS"),
                "secret",
                &options,
                Interrupt::never(),
            )?;
            Ok(serde_json::to_string(&report).unwrap())
        }),
        _ => panic!("no role {role}"),
    };
    match outcome {
        Ok(value) => println!("\n@ok {value}"),
        Err(error) => println!("\n@error {} {error}", error.code().as_str()),
    }
}

struct Process {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Process {
    fn start(role: &str, library: Option<&Path>, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["child", "--exact", "--nocapture"])
            .env("EFA_TEST_ROLE", role);
        if let Some(library) = library {
            command.env("EFA_FABRIC_LIB", library);
        }
        let mut child = command
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn serve(library: &Library) -> (Self, String) {
        let mut server = Self::start("serve", Some(library.path()), &[]);
        let address = server.line("@address");
        (server, address)
    }

    /// The rest of the next line that begins with this word.
    fn line(&mut self, word: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(
                self.output.read_line(&mut line).unwrap(),
                0,
                "the child ended without {word}"
            );
            if let Some(rest) = line.trim_end().strip_prefix(word) {
                return rest.trim_start().to_owned();
            }
        }
    }

    /// What came out: `Ok(value)` or `Err(code)`.
    fn outcome(&mut self) -> Result<String, String> {
        let rest = self.line("@");
        match rest.split_once(' ').unwrap() {
            ("ok", value) => Ok(value.to_owned()),
            (_, error) => Err(error.split(' ').next().unwrap().to_owned()),
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        // A killed process leaves the memory of shm's endpoints, named by its id.
        let prefix = format!("{}:", self.child.id());
        for entry in std::fs::read_dir("/dev/shm")
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                std::fs::remove_file(entry.path()).ok();
            }
        }
    }
}

// ------------------------------------------------------------------------------- libraries

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

// ------------------------------------------------------------------------------- discovery

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

// -------------------------------------------------------------------------------- loopback

#[test]
fn loopback_measures_tcp_and_shm() {
    for library in libraries("loopback_measures_tcp_and_shm") {
        for provider in ["tcp", "shm"] {
            let options = quick(provider);
            let report = loopback(&library, &options).unwrap();
            assert_eq!(report.role, Role::Loopback);
            check_report(&report, provider, &options);
            if provider == "tcp" {
                assert_eq!(report.domain, "lo");
                // A native tcp is preferred where there is one.
                assert_eq!(
                    report.provider.contains(';'),
                    library.version().major == 1,
                    "{}",
                    report.provider
                );
            }
        }
    }
}

#[test]
fn options_change_what_is_measured() {
    for library in libraries("options_change_what_is_measured") {
        for provider in ["tcp", "shm"] {
            let mut options = quick(provider);
            options.sizes = vec![8192, 3, 300_000];
            options.buffers = Buffers::Distinct;
            options.window = 5;
            options.bandwidth = true;
            options.max_iterations = 20;
            let report = loopback(&library, &options).unwrap();
            check_report(&report, provider, &options);
            for row in &report.rows {
                let (latency, bandwidth) = (
                    row.latency.as_ref().unwrap(),
                    row.bandwidth.as_ref().unwrap(),
                );
                assert!(latency.iterations <= 20);
                assert_eq!((bandwidth.window, bandwidth.buffers), (5, 5));
                assert!(bandwidth.messages <= 21);
            }
            (options.latency, options.window) = (false, 1);
            let report = loopback(&library, &options).unwrap();
            assert!(
                report
                    .rows
                    .iter()
                    .all(|row| row.latency.is_none() && row.bandwidth.is_some())
            );
            assert!(report.to_string().contains('-'));
        }
    }
}

#[test]
fn bad_sizes_are_typed_before_anything_opens() {
    for library in libraries("bad_sizes") {
        for sizes in [vec![0], vec![64, MAX_SIZE + 1]] {
            let mut options = quick("nosuch");
            options.sizes = sizes;
            assert_eq!(
                loopback(&library, &options).unwrap_err().code(),
                Code::BadSize
            );
            let error = connect(
                &library,
                "127.0.0.1:1",
                "secret",
                &options,
                Interrupt::never(),
            )
            .unwrap_err();
            assert_eq!(error.code(), Code::BadSize);
        }
    }
}

#[test]
fn loopback_ends_at_its_deadline() {
    for library in libraries("loopback_ends_at_its_deadline") {
        for provider in ["tcp", "shm"] {
            let mut options = endless(provider);
            options.deadline = Duration::from_millis(300);
            let start = Instant::now();
            assert_eq!(
                loopback(&library, &options).unwrap_err().code(),
                Code::Deadline
            );
            assert!(start.elapsed() < LIMIT);
        }
    }
}

/// libfabric 1.17 ended the process when large messages were under way at the end.
#[test]
fn probes_of_large_messages_can_be_interrupted() {
    for library in libraries("probes_of_large_messages_can_be_interrupted") {
        for round in 0..5 {
            let mut options = endless("tcp");
            options.sizes = vec![1 << 20];
            options.latency = false;
            let start = Instant::now();
            let hook = || start.elapsed() > Duration::from_millis(200 + 20 * round);
            let error = loopback_with(&library, &options, Interrupt::new(&hook)).unwrap_err();
            assert_eq!(error.code(), Code::Interrupted, "{error}");
        }
    }
}

#[test]
fn loopback_ends_when_the_caller_wants() {
    for library in libraries("loopback_ends_when_the_caller_wants") {
        for provider in ["tcp", "shm"] {
            for (latency, bandwidth) in [(true, false), (false, true)] {
                let mut options = endless(provider);
                (options.latency, options.bandwidth) = (latency, bandwidth);
                let start = Instant::now();
                let hook = || start.elapsed() > Duration::from_millis(200);
                let error = loopback_with(&library, &options, Interrupt::new(&hook)).unwrap_err();
                assert_eq!(error.code(), Code::Interrupted, "{error}");
                assert!(start.elapsed() < LIMIT);
            }
        }
    }
}

// --------------------------------------------------------------------------- two processes

#[test]
fn two_processes_measure_tcp_and_shm() {
    for library in libraries("two_processes_measure_tcp_and_shm") {
        for provider in ["tcp", "shm"] {
            let (mut server, address) = Process::serve(&library);
            let options = quick(provider);
            let report =
                connect(&library, &address, "secret", &options, Interrupt::never()).unwrap();
            assert_eq!(report.role, Role::Connect);
            check_report(&report, provider, &options);
            let theirs: ProbeReport = serde_json::from_str(&server.outcome().unwrap()).unwrap();
            check_report(&theirs, provider, &options);
            assert_eq!(theirs.rows, report.rows);
        }
    }
}

#[test]
fn versions_mix_on_tcp_and_are_refused_on_shm() {
    let all = libraries("versions_mix");
    let [first, second] = all.as_slice() else {
        return;
    };
    for (serving, measuring) in [(first, second), (second, first)] {
        for provider in ["tcp", "shm"] {
            let (mut server, address) = Process::serve(serving);
            let variables = [
                ("EFA_TEST_ADDRESS", address.as_str()),
                ("EFA_TEST_PROVIDER", provider),
            ];
            let start = Instant::now();
            let outcome = Process::start("connect", Some(measuring.path()), &variables).outcome();
            if provider == "tcp" {
                let report: ProbeReport = serde_json::from_str(&outcome.unwrap()).unwrap();
                check_report(&report, provider, &quick(provider));
                // Both have the layered one, and only the newer has another.
                assert_eq!(report.provider, "tcp;ofi_rxm");
                assert_ne!(report.library_version, report.peer.library_version);
                assert!(server.outcome().is_ok());
            } else {
                assert_eq!(outcome, Err("fabric.version_mismatch".into()));
                assert_eq!(server.outcome(), Err("fabric.version_mismatch".into()));
            }
            assert!(start.elapsed() < LIMIT);
        }
    }
}

#[test]
fn a_peer_that_never_listens_is_unreachable() {
    for library in libraries("a_peer_that_never_listens") {
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let mut options = quick("tcp");
        options.connect_timeout = Duration::from_millis(300);
        for address in [closed.as_str(), "no.such.host.invalid:7", "127.0.0.1"] {
            let start = Instant::now();
            let error =
                connect(&library, address, "secret", &options, Interrupt::never()).unwrap_err();
            assert_eq!(error.code(), Code::Unreachable, "{error}");
            assert!(error.context_value("peer").unwrap().contains(address));
            assert!(start.elapsed() < LIMIT);
        }
    }
}

#[test]
fn a_peer_that_never_answers_is_unreachable() {
    for library in libraries("a_peer_that_never_answers") {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut options = quick("tcp");
        options.connect_timeout = Duration::from_millis(300);
        let address = silent.local_addr().unwrap().to_string();
        let error =
            connect(&library, &address, "secret", &options, Interrupt::never()).unwrap_err();
        assert_eq!(error.code(), Code::Unreachable, "{error}");
    }
}

#[test]
fn a_peer_that_is_no_probe_is_refused() {
    for library in libraries("a_peer_that_is_no_probe") {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stranger = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap();
            std::thread::sleep(Duration::from_millis(200));
        });
        let error = connect(
            &library,
            &address,
            "secret",
            &quick("tcp"),
            Interrupt::never(),
        )
        .unwrap_err();
        assert_eq!(error.code(), Code::RendezvousRefused, "{error}");
        stranger.join().unwrap();
    }
}

#[test]
fn a_wrong_token_is_refused_and_the_server_waits_on() {
    for library in libraries("a_wrong_token_is_refused") {
        let (mut server, address) = Process::serve(&library);
        let mut options = quick("tcp");
        options.sizes = vec![64];
        for wrong in ["guess", "secret2", "secre"] {
            let error =
                connect(&library, &address, wrong, &options, Interrupt::never()).unwrap_err();
            assert_eq!(error.code(), Code::RendezvousRefused, "{error}");
        }
        let error = connect(&library, &address, "", &options, Interrupt::never()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidOption);
        TcpStream::connect(&address)
            .unwrap()
            .write_all(b"GET / HTTP/1.1\r\n\r\n")
            .unwrap();
        drop(TcpStream::connect(&address).unwrap());
        connect(&library, &address, "secret", &options, Interrupt::never()).unwrap();
        assert!(server.outcome().is_ok());
    }
}

#[test]
fn a_server_refuses_what_it_cannot_serve() {
    for library in libraries("a_server_refuses_what_it_cannot_serve") {
        let server = Server::bind(Server::LOOPBACK, "secret").unwrap();
        let address = server.address().to_string();
        let mut serve = ServeOptions::default();
        serve.endpoint = EndpointOptions::new("shm");
        std::thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve_one(&library, &serve, Interrupt::never()));
            let error = connect(
                &library,
                &address,
                "secret",
                &quick("tcp"),
                Interrupt::never(),
            )
            .unwrap_err();
            assert_eq!(error.code(), Code::RendezvousRefused, "{error}");
            assert_eq!(
                serving.join().unwrap().unwrap_err().code(),
                Code::InvalidOption
            );
        });
        serve.accept_timeout = Duration::from_millis(50);
        let error = server
            .serve_one(&library, &serve, Interrupt::never())
            .unwrap_err();
        assert_eq!(error.code(), Code::Deadline);
        let error = server
            .serve_one(&library, &ServeOptions::default(), Interrupt::new(&|| true))
            .unwrap_err();
        assert_eq!(error.code(), Code::Interrupted);
    }
}

#[test]
fn a_peer_that_dies_in_the_middle_is_unreachable() {
    // tcp only: a peer killed while it holds the spin lock in shm's shared memory leaves every
    // call of libfabric on that endpoint spinning for ever (see the binding decision).
    for library in libraries("a_peer_that_dies") {
        for bandwidth in [false, true] {
            let (server, address) = Process::serve(&library);
            let mut options = endless("tcp");
            (options.latency, options.bandwidth) = (!bandwidth, bandwidth);
            let killer = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(500));
                drop(server);
            });
            let start = Instant::now();
            let error =
                connect(&library, &address, "secret", &options, Interrupt::never()).unwrap_err();
            assert_eq!(error.code(), Code::Unreachable, "{error}");
            assert!(start.elapsed() < LIMIT);
            killer.join().unwrap();
        }
    }
}

#[test]
fn a_peer_that_stops_in_the_middle_meets_the_deadline() {
    // tcp only, as above: a stopped peer may hold the lock too.
    for library in libraries("a_peer_that_stops") {
        let (server, address) = Process::serve(&library);
        let mut options = endless("tcp");
        options.deadline = Duration::from_secs(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(500));
                server.signal("-STOP");
            });
            let start = Instant::now();
            let error =
                connect(&library, &address, "secret", &options, Interrupt::never()).unwrap_err();
            assert_eq!(error.code(), Code::Deadline, "{error}");
            assert!(start.elapsed() < LIMIT);
        });
    }
}

/// By hand: `cargo test -p efa-fabric --test fabric -- --ignored --nocapture`.
#[test]
#[ignore = "takes a minute"]
fn many_loopbacks_leak_nothing() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let resident_kib = || -> i64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    for library in libraries("many_loopbacks_leak_nothing") {
        for provider in ["tcp", "shm"] {
            let mut options = quick(provider);
            options.sizes = vec![64, 65_536];
            options.size_budget = Duration::from_millis(1);
            let mut run = |count: usize| {
                for turn in 0..count {
                    // Every third ends early, in the middle of traffic.
                    let start = Instant::now();
                    let hook = || turn % 3 == 0 && start.elapsed() > Duration::from_millis(15);
                    options.size_budget =
                        Duration::from_millis(if turn % 3 == 0 { 1000 } else { 1 });
                    match loopback_with(&library, &options, Interrupt::new(&hook)) {
                        Ok(_) => {}
                        Err(error) => assert_eq!(error.code(), Code::Interrupted, "{error}"),
                    }
                }
            };
            run(20);
            let before = (descriptors(), resident_kib());
            run(200);
            let after = (descriptors(), resident_kib());
            eprintln!(
                "{} {provider}: fds, KiB before {before:?}, after {after:?}",
                library.version()
            );
            assert_eq!(before.0, after.0, "descriptors");
            assert!(after.1 - before.1 < 16 << 10, "memory");
        }
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
