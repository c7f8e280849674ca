//! Every path over the C boundary under valgrind's memcheck, on both libfabrics.
//!
//! A read or write outside of what is allocated, a use of what is not initialised, and a block
//! lost by us fail the test. `tests/support/valgrind.supp` lists what is libfabric's own.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use efa_fabric::endpoint::{Endpoint, EndpointOptions};
use efa_fabric::probe::{Buffers, loopback_with};
use efa_fabric::{
    Code, Interrupt, Library, ProbeOptions, ServeOptions, Server, connect, loopback, nics,
    providers,
};

#[path = "support/secret.rs"]
mod secret;
use secret::secret;

/// What valgrind ends with if it found something, and no test binary does.
const FOUND: i32 = 99;

fn short(provider: &str) -> ProbeOptions {
    let mut options = ProbeOptions::new(provider);
    // Injected, sent whole, and beyond every inline and eager limit.
    options.sizes = vec![1, 300, 5000, 200_000];
    options.size_budget = Duration::from_millis(1);
    options.min_iterations = 3;
    options.max_iterations = 10;
    options.window = 8;
    options.deadline = Duration::from_secs(100);
    options.connect_timeout = Duration::from_secs(60);
    options
}

/// The paths, by themselves: they also run without valgrind, so that their own failure is
/// not taken for one of memory.
#[test]
fn paths() {
    let library = match Library::find() {
        Ok(library) => library,
        Err(error) => return eprintln!("SKIPPED the paths: {error}"),
    };
    assert!(!providers(&library).unwrap().is_empty());
    nics(&library).unwrap();
    for provider in ["tcp", "shm"] {
        discovery_and_refusals(&library, provider);
        let mut options = short(provider);
        loopback(&library, &options).unwrap();
        options.buffers = Buffers::Distinct;
        loopback(&library, &options).unwrap();
        an_end_in_the_middle(&library, provider);
        across_the_rendezvous(&library, provider);
    }
}

fn discovery_and_refusals(library: &Arc<Library>, provider: &str) {
    let endpoint = Endpoint::open(library, &EndpointOptions::new(provider)).unwrap();
    assert!(!endpoint.address().is_empty());
    drop(endpoint);
    let mut wrong = EndpointOptions::new(provider);
    wrong.domain = Some("nosuch".into());
    let error = Endpoint::open(library, &wrong).unwrap_err();
    assert_eq!(error.code(), Code::ProviderNotFound, "{error}");
    wrong = EndpointOptions::new(provider);
    wrong.fabric = Some("no\0such".into());
    let error = Endpoint::open(library, &wrong).unwrap_err();
    assert!(
        matches!(error.code(), Code::InvalidOption | Code::ProviderNotFound),
        "{error}"
    );
    if provider == "tcp" {
        wrong = EndpointOptions::new(provider);
        wrong.source_address = Some("203.0.113.77".into());
        Endpoint::open(library, &wrong).unwrap_err();
    }
}

/// Closing while operations are posted.
fn an_end_in_the_middle(library: &Arc<Library>, provider: &str) {
    let mut options = short(provider);
    options.sizes = vec![5000];
    options.size_budget = Duration::from_secs(50);
    options.max_iterations = 10_000_000;
    for latency in [true, false] {
        (options.latency, options.bandwidth) = (latency, !latency);
        let start = std::time::Instant::now();
        let hook = || start.elapsed() > Duration::from_millis(1500);
        let error = loopback_with(library, &options, Interrupt::new(&hook)).unwrap_err();
        assert_eq!(error.code(), Code::Interrupted, "{error}");
    }
}

fn across_the_rendezvous(library: &Arc<Library>, provider: &str) {
    let server = Server::bind(Server::LOOPBACK, secret()).unwrap();
    let address = server.address().to_string();
    std::thread::scope(|scope| {
        let serving =
            scope.spawn(|| server.serve_one(library, &ServeOptions::default(), Interrupt::never()));
        let options = short(provider);
        connect(library, &address, &secret(), &options, Interrupt::never()).unwrap();
        serving.join().unwrap().unwrap();
    });
}

/// Not a test: two flaws that memcheck must find, where [`flaws_are_found`] asks for them.
#[test]
fn flaw() {
    let Ok(which) = std::env::var("EFA_TEST_FLAW") else {
        return;
    };
    let memory = std::hint::black_box(vec![1_u64; 4]);
    match which.as_str() {
        "read" => {
            // SAFETY: none: this reads past the end, for memcheck to find.
            let past = unsafe { std::hint::black_box(memory.as_ptr()).add(4).read_volatile() };
            std::hint::black_box(past);
        }
        _ => {
            // The only pointer to the memory is gone.
            std::hint::black_box(memory.leak().len());
        }
    }
}

fn memcheck(test: &str, variables: &[(&str, &OsStr)]) -> Output {
    let support = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support");
    Command::new("valgrind")
        // Both sides of a probe spin: each must get its turn.
        .args(["--quiet", "--fair-sched=yes", "--num-callers=30"])
        // Lost blocks count as errors; those still reachable at the end are libfabric's caches.
        .args(["--leak-check=full", "--show-leak-kinds=definite"])
        .args(["--errors-for-leak-kinds=definite", "--gen-suppressions=all"])
        .arg(format!("--error-exitcode={FOUND}"))
        .arg(format!(
            "--suppressions={}",
            support.join("valgrind.supp").display()
        ))
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("FI_TCP_IFACE", "lo")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn check_paths(library: &Path) {
    let output = memcheck("paths", &[("EFA_FABRIC_LIB", library.as_os_str())]);
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}: {err}\n{out}",
        library.display()
    );
    assert!(out.contains("1 passed"), "{out}");
}

fn has_valgrind(test: &str) -> bool {
    let there = Command::new("valgrind").arg("--version").output().is_ok();
    if !there {
        eprintln!("SKIPPED {test}: valgrind is not installed");
    }
    there
}

/// The check can fail.
#[test]
fn flaws_are_found() {
    if !has_valgrind("flaws_are_found") {
        return;
    }
    for (flaw, words) in [("read", "Invalid read"), ("leak", "definitely lost")] {
        let output = memcheck("flaw", &[("EFA_TEST_FLAW", OsStr::new(flaw))]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(FOUND), "{flaw}: {text}");
        assert!(text.contains(words), "{flaw}: {text}");
    }
}

#[test]
fn memcheck_finds_nothing_with_the_systems_libfabric() {
    if !has_valgrind("memcheck on the system's libfabric") {
        return;
    }
    match Library::find() {
        Ok(library) => check_paths(library.path()),
        Err(error) => eprintln!("SKIPPED memcheck on the system's libfabric: {error}"),
    }
}

#[test]
fn memcheck_finds_nothing_with_a_second_libfabric() {
    if !has_valgrind("memcheck on libfabric 2.x") {
        return;
    }
    match std::env::var_os("EFA_TEST_LIBFABRIC_2") {
        Some(path) => check_paths(Path::new(&path)),
        None => eprintln!("SKIPPED memcheck on libfabric 2.x: EFA_TEST_LIBFABRIC_2 is not set"),
    }
}
