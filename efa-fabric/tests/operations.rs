//! Every operation over every provider that runs without EFA, on the system's libfabric and on a
//! 2.x where `EFA_TEST_LIBFABRIC_2` names one: the matrix is printed, cells that a provider lacks
//! are marked SKIPPED with its reason, and those that must work are listed here.
//!
//! Each cell compares bytes, in both processes, before anything is timed; timings decide nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use efa_fabric::probe::{Buffers, Direction, Operation};
use efa_fabric::{
    Code, Interrupt, Library, ProbeOptions, ProbeReport, ServeOptions, Server, connect, loopback,
};

#[path = "support/secret.rs"]
mod secret;
use secret::secret;

const SIZES: [usize; 4] = [1, 64, 64 << 10, 1 << 20];
const PROVIDERS: [&str; 2] = ["tcp", "shm"];

fn libraries() -> Vec<Arc<Library>> {
    let mut found = Vec::new();
    match Library::find() {
        Ok(library) => found.push(library),
        Err(error) => eprintln!("SKIPPED the system's libfabric: {error}"),
    }
    match std::env::var_os("EFA_TEST_LIBFABRIC_2") {
        Some(path) => found.push(Library::load(Path::new(&path)).expect("a libfabric")),
        None => eprintln!("SKIPPED libfabric 2.x: EFA_TEST_LIBFABRIC_2 is not set"),
    }
    found
}

fn options(provider: &str, operation: Operation) -> ProbeOptions {
    let mut options = ProbeOptions::new(provider);
    options.operation = operation;
    options.sizes = SIZES.to_vec();
    options.size_budget = Duration::from_millis(10);
    options.min_iterations = 3;
    options.deadline = Duration::from_secs(60);
    options
}

/// What every report of a probe must state.
fn check_report(report: &ProbeReport, options: &ProbeOptions) {
    assert_eq!(report.operation, options.operation);
    assert_eq!(report.direction, options.direction);
    let halved = !options.operation.is_one_sided();
    assert_eq!(!report.statement.contains("not halved"), halved);
    assert_eq!(report.rows.len(), options.sizes.len());
    for row in &report.rows {
        assert!(row.verified, "{} bytes", row.size);
        let latency = row.latency.as_ref().unwrap();
        assert!(latency.iterations >= 3 && latency.min_us > 0.0);
        let bandwidth = row.bandwidth.as_ref().unwrap();
        assert_eq!(bandwidth.bytes, bandwidth.messages * row.size);
        assert!(bandwidth.messages >= 3 && bandwidth.warmup_messages >= 1);
        let sides = match options.direction {
            Direction::Bidirectional => 2,
            _ => 1,
        };
        assert_eq!(bandwidth.sides.len(), sides);
        let sum: f64 = bandwidth.sides.iter().map(|side| side.gb_per_s).sum();
        assert!((sum - bandwidth.gb_per_s).abs() <= 1e-9 * sum);
        for side in &bandwidth.sides {
            assert!(side.messages > 0 && side.elapsed_s > 0.0);
            assert!((side.gbit_per_s - 8.0 * side.gb_per_s).abs() <= 1e-9 * side.gbit_per_s);
        }
    }
    let json = serde_json::to_string(report).unwrap();
    assert_eq!(serde_json::from_str::<ProbeReport>(&json).unwrap(), *report);
    let text = report.to_string();
    assert!(text.contains(options.operation.as_str()), "{text}");
}

/// Cells that are SKIPPED: all others must work on both libfabrics. The library fails there;
/// see `check_faults` in the probe.
fn is_missing(library: &Library, provider: &str, options: &ProbeOptions, processes: u32) -> bool {
    let both = options.direction == Direction::Bidirectional;
    let is_one_process = processes == 1;
    match (provider, library.version().major) {
        ("shm", 2..) => options.operation.is_rma() && (both || is_one_process),
        ("tcp", _) => options.operation == Operation::Read && both,
        _ => false,
    }
}

/// Runs every cell, and prints what came out.
fn matrix(
    processes: u32,
    run: impl Fn(&Arc<Library>, &ProbeOptions) -> Result<ProbeReport, Cause>,
) {
    let mut table = Vec::new();
    for library in libraries() {
        for provider in PROVIDERS {
            for &operation in Operation::ALL {
                for direction in [Direction::OneWay, Direction::Bidirectional] {
                    let mut options = options(provider, operation);
                    options.direction = direction;
                    let cell = format!(
                        "{:>5} {provider:<4} {:<10} {direction:?}",
                        library.version().to_string(),
                        operation.as_str()
                    );
                    // The library may abort the process: this shows where.
                    eprintln!("{processes} process(es): {cell}");
                    if is_missing(&library, provider, &options, processes) {
                        let (code, message) = run(&library, &options).unwrap_err();
                        assert_eq!(code, "fabric.unsupported_operation", "{cell}: {message}");
                        table.push(format!("{cell}: SKIPPED: {message}"));
                        continue;
                    }
                    match run(&library, &options) {
                        Ok(report) => {
                            check_report(&report, &options);
                            table.push(format!("{cell}: {}", figures(&report)));
                        }
                        Err((code, message)) => panic!("{cell}: {code} {message}"),
                    }
                }
            }
        }
    }
    println!("{}", table.join("\n"));
}

/// Code and message of an error.
type Cause = (String, String);

fn cause(error: &efa_fabric::Error) -> Cause {
    (error.code().as_str().to_owned(), error.to_string())
}

#[test]
fn every_operation_in_one_process() {
    matrix(1, |library, options| {
        loopback(library, options).map_err(|error| cause(&error))
    });
}

#[test]
fn every_operation_between_two_processes() {
    matrix(2, |library, options| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut server = command
            .args(["child", "--exact", "--nocapture"])
            .env(SERVE, "1")
            .env("EFA_FABRIC_LIB", library.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| Some(line.ok()?.strip_prefix("@address ")?.to_owned()))
            .expect("the child listens");
        let report = connect(library, &address, &secret(), options, Interrupt::never());
        if report.is_err() {
            // It may still wait for a peer that was refused before it spoke.
            server.kill().unwrap();
        }
        let status = server.wait().unwrap();
        assert!(report.is_err() || status.success());
        report.map_err(|error| cause(&error))
    });
}

const SERVE: &str = "EFA_TEST_OPERATIONS_SERVE";

/// Not a test: what this binary does when a test starts it.
#[test]
fn child() {
    if std::env::var_os(SERVE).is_none() {
        return;
    }
    let library = Library::find().unwrap();
    let server = Server::bind(Server::LOOPBACK, secret()).unwrap();
    println!("\n@address {}", server.address());
    server
        .serve_one(&library, &ServeOptions::default(), Interrupt::never())
        .unwrap();
}

/// Processor time of a process, in seconds.
fn cpu_s(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    // utime and stime (proc(5)), of which Linux counts 100 a second for users.
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}

#[test]
fn a_server_that_waits_for_a_peer_uses_little_of_a_core() {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(SERVE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    if !lines.any(|line| line.is_ok_and(|line| line.starts_with("@address "))) {
        eprintln!("SKIPPED: the child does not listen, as without a libfabric");
        server.wait().unwrap();
        return;
    }
    // Asking libfabric for its providers comes first, and costs more than the waiting.
    std::thread::sleep(Duration::from_secs(2));
    let (before, start) = (cpu_s(server.id()), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let share = (cpu_s(server.id()) - before) / start.elapsed().as_secs_f64();
    server.kill().unwrap();
    server.wait().unwrap();
    println!("waiting for a peer: {:.1} % of a core", share * 100.0);
    // 2 % is what is wanted; the bound leaves room for a machine under load.
    assert!(share < 0.2, "{share}");
}

/// One line of the matrix: median and rate of each size.
fn figures(report: &ProbeReport) -> String {
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| {
            let (latency, bandwidth) = (row.latency.as_ref(), row.bandwidth.as_ref());
            format!(
                "{} B {:.1} µs {:.3} GB/s",
                row.size,
                latency.map_or(0.0, |latency| latency.p50_us),
                bandwidth.map_or(0.0, |bandwidth| bandwidth.gb_per_s)
            )
        })
        .collect();
    format!("{}: {}", report.provider, rows.join(", "))
}

#[test]
fn distinct_buffers_arrive_too() {
    for library in libraries() {
        for &operation in Operation::ALL {
            let mut options = options("tcp", operation);
            options.buffers = Buffers::Distinct;
            check_report(&loopback(&library, &options).unwrap(), &options);
        }
    }
}

#[test]
fn eight_bytes_are_no_acknowledgement() {
    // As long as an acknowledgement is otherwise: both sides must still distinguish them.
    for library in libraries() {
        for provider in PROVIDERS {
            let mut options = options(provider, Operation::Message);
            options.direction = Direction::Bidirectional;
            options.sizes = vec![8, 9];
            check_report(&loopback(&library, &options).unwrap(), &options);
        }
    }
}

#[test]
fn an_operation_that_a_provider_lacks_is_typed() {
    // sm2 came with libfabric 1.18, and has no RMA.
    for library in libraries() {
        let mut options = options("sm2", Operation::Write);
        let error = loopback(&library, &options).unwrap_err();
        if error.code() == Code::ProviderNotFound {
            eprintln!("SKIPPED on libfabric {}: {error}", library.version());
            continue;
        }
        assert_eq!(error.code(), Code::UnsupportedOperation, "{error}");
        assert_eq!(error.context_value("operation"), Some("write"));
        assert_eq!(error.context_value("provider"), Some("sm2"));
        assert!(error.to_string().contains("sm2"), "{error}");
        let has: Vec<_> = error
            .context_value("capabilities")
            .unwrap()
            .split(", ")
            .collect();
        assert!(
            has.contains(&"FI_MSG") && !has.contains(&"FI_RMA"),
            "{has:?}"
        );
        options.operation = Operation::Tagged;
        check_report(&loopback(&library, &options).unwrap(), &options);
    }
}
