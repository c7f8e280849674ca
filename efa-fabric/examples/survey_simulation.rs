//! Detection rates of surveys, measured on simulated clusters with known faults.
//!
//! `cargo run --release -p efa-fabric --example survey_simulation` runs the short form,
//! `-- long` the long one; numbers choose clusters by size, `seed=N` the first seed, `of=N` every
//! N-th of the surveys (twenty at least), `threads=N` how many at a time, and `odd` prints what the
//! surveys that missed said. Prints a Markdown table, then every target that was missed, and ends
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
    (Mode::Full, 2, 200),
    (Mode::Full, 3, 200),
    (Mode::Full, 4, 200),
    (Mode::Full, 5, 400),
    (Mode::Full, 8, 200),
    (Mode::Sampled, 8, 500),
    (Mode::Sampled, 16, 300),
    (Mode::Full, 16, 60),
    (Mode::Sampled, 64, 60),
    (Mode::Full, 9, 100),
    (Mode::Sampled, 9, 100),
    (Mode::Sampled, 256, 10),
    (Mode::Full, 64, 4),
    (Mode::Sampled, 1024, 1),
    (Mode::Sampled, 4096, 1),
];
/// Surveys of a case at least, however few are asked for.
const LEAST_RUNS: usize = 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let long = arguments.first().is_some_and(|a| a == "long");
    let named = |name: &str| {
        let mut values = arguments.iter().filter_map(|a| a.strip_prefix(name));
        values.find_map(|value| value.parse::<usize>().ok())
    };
    // The tests' seeds are those from 1 on: the table in the docs has others.
    let seed = named("seed=").unwrap_or(if long { 1_000_001 } else { 1 }) as u64;
    let of = named("of=").unwrap_or(1).max(1);
    let threads = named("threads=").map_or_else(processors, |threads| threads.max(1));
    let only: Vec<usize> = arguments.iter().filter_map(|a| a.parse().ok()).collect();
    let mut missed = Vec::new();
    println!("{}", head());
    for &(mode, nodes, runs) in if long { LONG } else { SHORT } {
        if !only.is_empty() && !only.contains(&nodes) {
            continue;
        }
        let runs = (runs / of).max(LEAST_RUNS.min(runs));
        let rows = match rows(mode, nodes, runs, seed, threads) {
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

fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// The rows of all cases, in their order, on this many threads.
fn rows(
    mode: Mode,
    nodes: usize,
    runs: usize,
    seed: u64,
    threads: usize,
) -> Result<Vec<(Case, Row)>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(&case) = Case::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((case, tell(case, mode, nodes, runs, seed)?));
        }
        Ok(done)
    };
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
