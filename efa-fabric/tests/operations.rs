//! Every operation over every provider that runs without EFA, on the system's libfabric and on a
//! 2.x where `EFA_TEST_LIBFABRIC_2` names one: the matrix is printed, cells that a provider lacks
//! are marked SKIPPED with its reason, and those that must work are listed here.
//!
//! Each cell compares bytes, in both processes, before anything is timed; timings decide nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use efa_fabric::{
    Buffers, Code, Direction, Library, Operation, ProbeOptions, ProbeReport, loopback,
};

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

/// What every report of a probe must say.
fn check(report: &ProbeReport, options: &ProbeOptions) {
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

/// Cells that may be SKIPPED: all others must work on both libfabrics.
fn may_be_missing(library: &Library, provider: &str, options: &ProbeOptions) -> bool {
    // The library fails there: see `check_faults`.
    provider == "shm"
        && library.version().major >= 2
        && options.operation.is_rma()
        && options.direction == Direction::Bidirectional
}

#[test]
fn every_operation_over_every_provider_in_one_process() {
    let mut table = Vec::new();
    for library in libraries() {
        for provider in PROVIDERS {
            for &operation in Operation::ALL {
                for direction in [Direction::OneWay, Direction::Bidirectional] {
                    let mut options = options(provider, operation);
                    options.direction = direction;
                    let cell = format!(
                        "{:>5} {provider:<4} {:<10} {direction:?}",
                        library.version(),
                        operation.as_str()
                    );
                    let missing = may_be_missing(&library, provider, &options);
                    match loopback(&library, &options) {
                        Ok(report) => {
                            assert!(!missing, "{cell} works: list it");
                            check(&report, &options);
                            table.push(format!("{cell}: {}", figures(&report)));
                        }
                        Err(error) => {
                            assert!(missing, "{cell}: {error} {:?}", error.context());
                            assert_eq!(error.code(), Code::UnsupportedOperation, "{cell}");
                            table.push(format!("{cell}: SKIPPED {error}"));
                        }
                    }
                }
            }
        }
    }
    println!("{}", table.join("\n"));
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
            check(&loopback(&library, &options).unwrap(), &options);
        }
    }
}

#[test]
fn eight_bytes_are_no_acknowledgement() {
    // As long as an acknowledgement is otherwise: both sides must still tell them apart.
    for library in libraries() {
        for provider in PROVIDERS {
            let mut options = options(provider, Operation::Message);
            options.direction = Direction::Bidirectional;
            options.sizes = vec![8, 9];
            check(&loopback(&library, &options).unwrap(), &options);
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
        check(&loopback(&library, &options).unwrap(), &options);
    }
}
