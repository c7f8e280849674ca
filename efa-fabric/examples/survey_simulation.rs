//! Detection rates of surveys, measured on simulated clusters with known faults.
//!
//! `cargo run --release -p efa-fabric --example survey_simulation` runs the short form,
//! `-- long` the long one; numbers choose clusters by size, `seed=N` the first seed, `of=N` every
//! N-th of the surveys (twenty at least), `threads=N` how many at a time, and `odd` prints what the
//! surveys that missed reported. Prints a Markdown table, then every target that was missed, and ends
//! with 1 if there was one.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use efa_fabric::Result;
use efa_fabric::survey::Mode;
use efa_fabric::survey::simulate::{Case, Row, head, targets_missed, tell};

/// Mode, nodes, surveys per case. Above 256 nodes a full survey takes more rounds than anybody waits
/// for: as many as there are nodes.
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
    (Mode::Full, 5, 400),
    (Mode::Sampled, 5, 400),
    (Mode::Full, 8, 500),
    (Mode::Sampled, 8, 500),
    (Mode::Full, 9, 300),
    (Mode::Sampled, 9, 300),
    (Mode::Full, 16, 100),
    (Mode::Sampled, 16, 300),
    (Mode::Full, 64, 5),
    (Mode::Sampled, 64, 40),
    (Mode::Full, 256, 1),
    (Mode::Sampled, 256, 10),
    (Mode::Sampled, 1024, 2),
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
        let done = for_each_row(mode, nodes, runs, seed, threads, |case, row| {
            println!("{row}");
            for what in targets_missed(&row) {
                missed.push(format!("{mode:?}, {nodes} nodes, {}: {what}", case.title()));
            }
            if arguments.iter().any(|a| a == "odd") {
                row.odd.iter().for_each(|odd| eprintln!("  {odd}"));
            }
        });
        if let Err(error) = done {
            eprintln!("{error}");
            return ExitCode::FAILURE;
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

/// Gives the rows of all cases to `say`, in their order, each as soon as it is there; computed on so
/// many threads.
fn for_each_row(
    mode: Mode,
    nodes: usize,
    runs: usize,
    seed: u64,
    threads: usize,
    mut say: impl FnMut(Case, Row),
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let (send, done) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                let mut at = next.fetch_add(1, Ordering::Relaxed);
                while let Some(&case) = Case::ALL.get(at) {
                    if send
                        .send((at, tell(case, mode, nodes, runs, seed)))
                        .is_err()
                    {
                        break;
                    }
                    at = next.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        drop(send);
        let (mut early, mut due) = (BTreeMap::new(), 0);
        for (at, row) in done {
            early.insert(at, row?);
            while let Some(row) = early.remove(&due) {
                say(Case::ALL[due], row);
                due += 1;
            }
        }
        Ok(())
    })
}
