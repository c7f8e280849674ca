//! Detection rates of surveys, measured on simulated clusters with known faults.
//!
//! `cargo run --release -p efa-fabric --example survey_simulation` runs the short form,
//! `-- long` the long one; numbers choose clusters by size, and `odd` prints what the surveys that
//! missed said. Prints a Markdown table, then every target that was missed, and ends
//! with 1 if there was one.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use efa_fabric::Result;
use efa_fabric::survey::Mode;
use efa_fabric::survey::simulate::{Case, Row, head, targets_missed, tell};

/// Mode, nodes, surveys per case.
const SHORT: &[(Mode, usize, usize)] = &[
    (Mode::Full, 2, 50),
    (Mode::Full, 4, 50),
    (Mode::Full, 6, 100),
    (Mode::Full, 8, 300),
    (Mode::Full, 16, 100),
    (Mode::Full, 32, 30),
    (Mode::Sampled, 8, 300),
    (Mode::Sampled, 16, 100),
    (Mode::Sampled, 32, 100),
    (Mode::Sampled, 256, 20),
    (Mode::Sampled, 4096, 1),
];
const LONG: &[(Mode, usize, usize)] = &[
    (Mode::Full, 2, 500),
    (Mode::Full, 3, 500),
    (Mode::Full, 4, 500),
    (Mode::Full, 5, 1000),
    (Mode::Full, 8, 5000),
    (Mode::Full, 9, 5000),
    (Mode::Full, 16, 2000),
    (Mode::Full, 64, 300),
    (Mode::Full, 256, 100),
    (Mode::Sampled, 8, 5000),
    (Mode::Sampled, 9, 5000),
    (Mode::Sampled, 16, 3000),
    (Mode::Sampled, 64, 1000),
    (Mode::Sampled, 256, 400),
    (Mode::Sampled, 1024, 200),
    (Mode::Sampled, 4096, 100),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let long = arguments.first().is_some_and(|a| a == "long");
    let only: Vec<usize> = arguments.iter().filter_map(|a| a.parse().ok()).collect();
    let mut missed = Vec::new();
    println!("{}", head());
    for &(mode, nodes, runs) in if long { LONG } else { SHORT } {
        if !only.is_empty() && !only.contains(&nodes) {
            continue;
        }
        let rows = match rows(mode, nodes, runs) {
            Ok(rows) => rows,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        };
        for (case, row) in rows {
            println!("{row}");
            for what in targets_missed(&row) {
                missed.push(format!("{mode:?}, {nodes} nodes, {}: {what}", case.title()));
            }
            if arguments.iter().any(|a| a == "odd") {
                row.odd.iter().for_each(|odd| eprintln!("  {odd}"));
            }
        }
    }
    println!(
        "\nTargets missed: {}",
        if missed.is_empty() { "none" } else { "" }
    );
    missed.iter().for_each(|what| println!("- {what}"));
    if missed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The rows of all cases, in their order, on as many threads as there are processors.
fn rows(mode: Mode, nodes: usize, runs: usize) -> Result<Vec<(Case, Row)>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(&case) = Case::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((case, tell(case, mode, nodes, runs, 1)?));
        }
        Ok(done)
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let done: Vec<Result<Vec<(Case, Row)>>> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    let mut rows = Vec::new();
    for part in done {
        rows.extend(part?);
    }
    rows.sort_by_key(|(case, _)| Case::ALL.iter().position(|other| other == case));
    Ok(rows)
}
