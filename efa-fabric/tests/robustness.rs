//! What goes wrong outside: peers that die, stop or never come, a library that is replaced, a
//! provider that is gone, memory and descriptors that run out. Each is a typed error that names
//! the peer, what was going on and the provider, or no error at all. What could harm this
//! process happens in a child.
//!
//! Peers die over tcp only: one that is killed while it holds the spin lock in shm's shared
//! memory leaves every call of libfabric on that endpoint spinning for ever (see
//! docs/decisions/2026-11-20-libfabric-binding.md).

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use efa_fabric::endpoint::{Endpoint, EndpointOptions};
use efa_fabric::{
    Code, Error, Interrupt, Library, ServeOptions, Server, connect, loopback, providers,
};

#[path = "support/processes.rs"]
mod processes;
#[path = "support/secret.rs"]
mod secret;
use processes::{LIMIT, Process, argument, endless, libraries, quick, with_each_library};
use secret::secret;

// -------------------------------------------------------------------------------- the child

/// Not a test: what this binary does when a test starts it with `EFA_TEST_ROLE`.
#[test]
fn child() {
    let Ok(role) = std::env::var("EFA_TEST_ROLE") else {
        return;
    };
    let library = Library::find().unwrap();
    let outcome = match role.as_str() {
        "serve" => {
            let server = Server::bind(Server::LOOPBACK, secret()).unwrap();
            println!("\n@address {}", server.address());
            let options = ServeOptions::default();
            server
                .serve_one(&library, &options, Interrupt::never())
                .map(drop)
        }
        "connect" => {
            let options = endless("tcp", argument("BANDWIDTH") == "true");
            let address = argument("ADDRESS");
            connect(&library, &address, &secret(), &options, Interrupt::never()).map(drop)
        }
        "limited" => {
            // Once without the limit, so that providers are set up.
            assert!(!providers(&library).unwrap().is_empty());
            limit(&argument("RESOURCE"), argument("EXTRA").parse().unwrap());
            let mut options = quick(&argument("PROVIDER"));
            options.sizes = vec![argument("SIZE").parse().unwrap()];
            options.deadline = Duration::from_secs(4);
            loopback(&library, &options).map(drop)
        }
        "replaced" => replaced(&library),
        "vanished" => vanished(&library),
        _ => panic!("no role {role}"),
    };
    match outcome {
        Ok(()) => println!("\n@ok"),
        Err(error) => println!("\n@{} {error}", error.code().as_str()),
    }
}

/// `ok` or the code of the child's error, or how it ended without either.
fn outcome(mut process: Process) -> String {
    match process.line_within("@", LIMIT) {
        Ok(line) => line.split(' ').next().unwrap().to_owned(),
        Err("the child ended") => format!("the child ended: {}", process.child.wait().unwrap()),
        Err(why) => why.to_owned(),
    }
}

// ------------------------------------------------------------------------------------ peers

fn names(error: &Error, peer: &str, doing: &str) {
    let value = |key| error.context_value(key).unwrap_or_default();
    assert!(value("peer").contains(peer), "{error:?}");
    assert!(value("doing").contains(doing), "{error:?}");
    assert!(value("provider").contains("tcp"), "{error:?}");
}

/// Ends the serving side this way in the middle of a probe, and returns the other's error.
///
/// A busy machine may not have come to the measurement by then: more time is given, until `doing`
/// states that it was.
fn end_server(library: &Arc<Library>, bandwidth: bool, signal: libc::c_int) -> Error {
    let doing = match bandwidth {
        false => "measuring the latency",
        true => "measuring the bandwidth",
    };
    for wait_s in [1, 4] {
        let error = end_server_after(library, bandwidth, signal, Duration::from_secs(wait_s));
        if error
            .context_value("doing")
            .is_some_and(|text| text.contains(doing))
        {
            return error;
        }
    }
    end_server_after(library, bandwidth, signal, Duration::from_secs(15))
}

fn end_server_after(
    library: &Arc<Library>,
    bandwidth: bool,
    signal: libc::c_int,
    wait: Duration,
) -> Error {
    let mut options = endless("tcp", bandwidth);
    options.deadline = wait + Duration::from_secs(2);
    let server = Process::start("serve", library.path(), &[]);
    let address = server.line("@address");
    let (signalled, never) = (std::cell::Cell::new(false), Instant::now() + LIMIT);
    let start = Instant::now();
    // The hook is asked every 10 ms on this thread: no other one is needed to send the signal.
    let hook = || {
        if start.elapsed() > wait && !signalled.replace(true) {
            server.signal(signal);
        }
        Instant::now() > never
    };
    let error = connect(
        library,
        &address,
        &secret(),
        &options,
        Interrupt::new(&hook),
    )
    .unwrap_err();
    assert!(signalled.get(), "it ended before the server did: {error}");
    error
}

#[test]
fn a_killed_server_is_unreachable() {
    with_each_library("a_killed_server", |library| {
        for (bandwidth, doing) in [
            (false, "measuring the latency"),
            (true, "measuring the band"),
        ] {
            let error = end_server(&library, bandwidth, libc::SIGKILL);
            assert_eq!(error.code(), Code::Unreachable, "{error:?}");
            names(&error, "", doing);
        }
    });
}

#[test]
fn a_stopped_server_meets_the_deadline() {
    with_each_library("a_stopped_server", |library| {
        for (bandwidth, doing) in [
            (false, "measuring the latency"),
            (true, "measuring the band"),
        ] {
            let error = end_server(&library, bandwidth, libc::SIGSTOP);
            assert_eq!(error.code(), Code::Deadline, "{error:?}");
            names(&error, "127.0.0.1", doing);
        }
    });
}

#[test]
fn a_server_that_never_starts_is_named() {
    for library in libraries("a_server_that_never_starts") {
        let mut options = quick("tcp");
        options.connect_timeout = Duration::from_millis(300);
        let never = Interrupt::never();
        let error = connect(&library, "127.0.0.1:1", &secret(), &options, never).unwrap_err();
        assert_eq!(error.code(), Code::Unreachable);
        assert_eq!(error.context_value("peer"), Some("127.0.0.1:1"));
        assert!(
            error
                .to_string()
                .contains("no probe answers at 127.0.0.1:1")
        );
        assert!(error.is_retryable());
    }
}

/// What the serving side reports when the measuring one is ended so, in the middle of a probe; as
/// [`end_server`].
fn end_client(library: &Arc<Library>, server: &Server, bandwidth: bool, signal: i32) -> Error {
    let doing = match bandwidth {
        false => "answering latency",
        true => "receiving messages",
    };
    for wait_s in [2, 6] {
        let wait = Duration::from_secs(wait_s);
        let error = end_client_after(library, server, bandwidth, signal, wait);
        if error
            .context_value("doing")
            .is_some_and(|text| text.contains(doing))
        {
            return error;
        }
    }
    end_client_after(library, server, bandwidth, signal, Duration::from_secs(20))
}

fn end_client_after(
    library: &Arc<Library>,
    server: &Server,
    bandwidth: bool,
    signal: i32,
    wait: Duration,
) -> Error {
    let address = server.address().to_string();
    let variables = [
        ("EFA_TEST_ADDRESS", address.as_str()),
        (
            "EFA_TEST_BANDWIDTH",
            if bandwidth { "true" } else { "false" },
        ),
    ];
    let mut options = ServeOptions::default();
    options.deadline = wait + Duration::from_secs(2);
    let client = Process::start("connect", library.path(), &variables);
    let (start, signalled) = (Instant::now(), std::cell::Cell::new(false));
    let hook = || {
        if start.elapsed() > wait && !signalled.replace(true) {
            client.signal(signal);
        }
        start.elapsed() > LIMIT
    };
    let error = server
        .serve_one(library, &options, Interrupt::new(&hook))
        .unwrap_err();
    assert!(signalled.get(), "it ended before the client did: {error}");
    error
}

#[test]
fn a_server_outlives_clients_that_die_or_stop() {
    with_each_library("a_server_outlives_clients", |library| {
        let server = Server::bind(Server::LOOPBACK, secret()).unwrap();
        for (signal, code) in [
            (libc::SIGKILL, Code::Unreachable),
            (libc::SIGSTOP, Code::Deadline),
        ] {
            for (bandwidth, doing) in [(false, "answering latency"), (true, "receiving messages")] {
                let error = end_client(&library, &server, bandwidth, signal);
                assert_eq!(error.code(), code, "{error:?}");
                // It was in the middle of traffic.
                let value = |key| error.context_value(key).unwrap_or_default();
                assert!(value("doing").contains(doing), "{error:?}");
                assert!(!value("peer").is_empty(), "{error:?}");
            }
        }
        std::thread::scope(|scope| {
            let options = ServeOptions::default();
            let serving = scope.spawn({
                let (library, server) = (&library, &server);
                move || server.serve_one(library, &options, Interrupt::never())
            });
            let address = server.address().to_string();
            let options = quick("tcp");
            connect(&library, &address, &secret(), &options, Interrupt::never()).unwrap();
            serving.join().unwrap().unwrap();
        });
    });
}

// ---------------------------------------------------------------------- library and provider

/// In a child: the file of a loaded library is replaced, then removed.
fn replaced(library: &Arc<Library>) -> Result<(), Error> {
    let path = library.path().to_owned();
    let version = library.version();
    loopback(library, &quick("tcp"))?;
    let other = path.with_extension("new");
    std::fs::write(&other, "no library").unwrap();
    std::fs::rename(&other, &path).unwrap();
    // What is loaded is used on, and asking for the file gives what is loaded.
    loopback(library, &quick("shm"))?;
    let again = Library::load(&path)?;
    assert!(Arc::ptr_eq(library, &again) && again.version() == version);
    std::fs::remove_file(&path).unwrap();
    loopback(library, &quick("tcp"))?;
    let error = Library::load(&path).unwrap_err();
    assert_eq!(error.code(), Code::LibraryNotFound);
    Ok(())
}

#[test]
fn a_library_may_be_replaced_or_removed_while_it_is_loaded() {
    // Of the system's only: the second one finds its own libraries next to itself.
    let Ok(library) = Library::find() else {
        return eprintln!("SKIPPED a_library_may_be_replaced: no libfabric");
    };
    let name = format!("libfabric-copy-{}.so", std::process::id());
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::copy(library.path(), &copy).unwrap();
    let ended = outcome(Process::start("replaced", &copy, &[]));
    std::fs::remove_file(&copy).ok();
    assert_eq!(ended, "ok");
}

/// In a child: the environment hides a provider after it was seen.
fn vanished(library: &Arc<Library>) -> Result<(), Error> {
    let there = |provider: &str| {
        providers(library)
            .unwrap()
            .iter()
            .any(|info| info.provider.split(';').next() == Some(provider))
    };
    assert!(there("tcp"));
    // SAFETY: the test harness of this child runs one test, and its thread reads no environment.
    unsafe { std::env::set_var("FI_PROVIDER", "shm") };
    // libfabric reads the variable once: what was there stays, or is a typed error.
    let listed = there("tcp");
    let opened = Endpoint::open(library, &EndpointOptions::new("tcp"));
    assert_eq!(listed, opened.is_ok());
    opened.map(drop)
}

#[test]
fn a_provider_that_vanishes_is_typed() {
    with_each_library("a_provider_that_vanishes", |library| {
        let ended = outcome(Process::start("vanished", library.path(), &[]));
        assert!(
            ["ok", "fabric.provider_not_found"].contains(&ended.as_str()),
            "{ended}"
        );

        // The other side lost it.
        let hidden = [("FI_PROVIDER", "shm")];
        let server = Process::start("serve", library.path(), &hidden);
        let address = server.line("@address");
        let options = quick("tcp");
        let error =
            connect(&library, &address, &secret(), &options, Interrupt::never()).unwrap_err();
        assert_eq!(error.code(), Code::ProviderNotFound, "{error:?}");
        assert!(error.context_value("peer").is_some());
    });
}

// --------------------------------------------------------------------------- what runs out

/// Lowers the soft limit to what is in use and this much more.
fn limit(resource: &str, extra: u64) {
    let (kind, in_use) = match resource {
        "as" => {
            let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
            let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
            (libc::RLIMIT_AS, pages * 4096)
        }
        "nofile" => {
            // The limit is of their numbers: the first that is free, and those above it.
            let free = std::fs::File::open("/dev/null").unwrap();
            (libc::RLIMIT_NOFILE, free.as_raw_fd() as u64)
        }
        "memlock" => (libc::RLIMIT_MEMLOCK, 0),
        _ => panic!("no resource {resource}"),
    };
    let limit = libc::rlimit {
        rlim_cur: in_use + extra,
        rlim_max: libc::RLIM_INFINITY,
    };
    let mut current = limit;
    // SAFETY: both take a valid rlimit.
    let code = unsafe {
        libc::getrlimit(kind, &raw mut current);
        current.rlim_cur = limit.rlim_cur;
        libc::setrlimit(kind, &raw const current)
    };
    assert_eq!(code, 0);
}

fn limited(library: &Library, provider: &str, resource: &str, extra: u64, size: usize) -> String {
    let (extra, size) = (extra.to_string(), size.to_string());
    let variables = [
        ("EFA_TEST_PROVIDER", provider),
        ("EFA_TEST_RESOURCE", resource),
        ("EFA_TEST_EXTRA", &extra),
        ("EFA_TEST_SIZE", &size),
    ];
    outcome(Process::start("limited", library.path(), &variables))
}

/// libfabric 2.5.1 reads through a null pointer of its own when an `shm` endpoint gets no memory
/// (docs/robustness.md). No caller can prevent that.
fn faults_of_libfabric(library: &Library, provider: &str, resource: &str, ended: &str) -> bool {
    let known = library.version().major == 2 && (provider, resource) == ("shm", "as");
    known && ended.contains("SIGSEGV")
}

/// Nothing to give, some, and enough: errors until it works.
fn check_limit(library: &Library, provider: &str, resource: &str, amounts: &[u64]) {
    // Depending on what failed first: a call, setting a provider up, or, where libfabric drops
    // a connection that it has no memory for, the answer that never comes.
    let typed = [
        "ok",
        "fabric.call_failed",
        "fabric.provider_not_found",
        "fabric.unreachable",
        "fabric.deadline",
    ];
    let mut last = String::new();
    for &extra in amounts {
        last = limited(library, provider, resource, extra, 64);
        let version = library.version();
        eprintln!("libfabric {version} {provider}, {resource} {extra}: {last}");
        let fault = faults_of_libfabric(library, provider, resource, &last);
        assert!(
            fault || typed.contains(&last.as_str()),
            "{resource} {extra}: {last}"
        );
    }
    assert_eq!(last, "ok", "{provider} {resource}");
}

#[test]
fn memory_that_runs_out_is_typed() {
    with_each_library("memory_that_runs_out", |library| {
        for provider in ["tcp", "shm"] {
            check_limit(
                &library,
                provider,
                "as",
                &[1, 12, 40, 80, 2048].map(|mib| mib << 20),
            );
            // The buffers of the largest message, 2 GiB, do not fit.
            let ended = limited(&library, provider, "as", 700 << 20, 1 << 30);
            assert_eq!(ended, "fabric.call_failed", "{provider}");
        }
    });
}

#[test]
fn descriptors_that_run_out_are_typed() {
    with_each_library("descriptors_that_run_out", |library| {
        for provider in ["tcp", "shm"] {
            check_limit(&library, provider, "nofile", &[0, 1, 2, 3, 8, 200]);
        }
    });
}

/// `tcp` and `shm` lock no memory; what the efa provider reports at this limit needs its hardware.
#[test]
fn no_memory_to_lock_does_not_matter_to_tcp_and_shm() {
    with_each_library("no_memory_to_lock", |library| {
        for provider in ["tcp", "shm"] {
            check_limit(&library, provider, "memlock", &[0]);
        }
    });
}
