//! Detection rates of surveys, measured on simulated clusters with known faults.
//!
//! `cargo run --release -p efa-fabric --example survey_simulation` runs the short form,
//! `-- long` the long one; numbers choose clusters by size, `full` and `sampled` the mode, `case=TEXT`
//! the cases whose title has this text, `seed=N` the first seed, `of=N` every N-th of the surveys
//! (twenty at least), `runs=N` this many of each case instead, `threads=N` how many at a time, and
//! `odd` prints what the surveys that missed reported. Prints a Markdown table, then every target
//! that was missed, and ends with 1 if there was one.

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
    (Mode::Full, 8, 2000),
    (Mode::Sampled, 8, 2000),
    (Mode::Full, 9, 2000),
    (Mode::Sampled, 9, 2000),
    (Mode::Full, 16, 500),
    (Mode::Sampled, 16, 500),
    (Mode::Full, 64, 100),
    (Mode::Sampled, 64, 200),
    (Mode::Full, 256, 2),
    (Mode::Sampled, 256, 100),
    (Mode::Sampled, 1024, 20),
    (Mode::Sampled, 4096, 5),
];
/// Surveys of a case at least, however few are asked for.
const LEAST_RUNS: usize = 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let long = arguments.first().is_some_and(|a| a == "long");
    let text = |name: &str| arguments.iter().find_map(|a| a.strip_prefix(name));
    let named = |name: &str| text(name).and_then(|value| value.parse::<usize>().ok());
    let has = |word: &str| arguments.iter().any(|a| a == word);
    // The tests' seeds are those from 1 on: the table in the docs has others.
    let seed = named("seed=").unwrap_or(if long { 1_000_001 } else { 1 }) as u64;
    let of = named("of=").unwrap_or(1).max(1);
    let threads = named("threads=").map_or_else(processors, |threads| threads.max(1));
    let only: Vec<usize> = arguments.iter().filter_map(|a| a.parse().ok()).collect();
    let title = text("case=").unwrap_or_default();
    let cases: Vec<Case> = Case::ALL
        .into_iter()
        .filter(|case| case.title().contains(title))
        .collect();
    let mut missed = Vec::new();
    println!("{}", head());
    for &(mode, nodes, runs) in if long { LONG } else { SHORT } {
        let is_other = match mode {
            Mode::Full => has("sampled") && !has("full"),
            _ => has("full") && !has("sampled"),
        };
        if is_other || !only.is_empty() && !only.contains(&nodes) {
            continue;
        }
        let runs = named("runs=").unwrap_or((runs / of).max(LEAST_RUNS.min(runs)));
        let of_case = |case| tell(case, mode, nodes, runs, seed);
        let done = for_each_row(&cases, of_case, threads, |case, row| {
            println!("{row}");
            for what in targets_missed(&row) {
                missed.push(format!("{mode:?}, {nodes} nodes, {}: {what}", case.title()));
            }
            if has("odd") {
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

/// Gives the rows of these cases to `say`, in their order, each as soon as it is there; `of_case`
/// computes them on this many threads.
fn for_each_row(
    cases: &[Case],
    of_case: impl Fn(Case) -> Result<Row> + Sync,
    threads: usize,
    mut say: impl FnMut(Case, Row),
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let (send, done) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (send, next, of_case) = (send.clone(), &next, &of_case);
            scope.spawn(move || {
                let mut at = next.fetch_add(1, Ordering::Relaxed);
                while let Some(&case) = cases.get(at) {
                    if send.send((at, of_case(case))).is_err() {
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
                say(cases[due], row);
                due += 1;
            }
        }
        Ok(())
    })
}
