//! Detection rates of surveys, measured on simulated clusters with known faults.
//!
//! `cargo run --release -p efa-fabric --example survey_simulation` runs the short form,
//! `-- long` the long one; numbers choose clusters by size, and `odd` prints what the surveys that
//! missed said. Prints a Markdown table, then every target that was missed, and ends
//! with 1 if there was one.

use std::process::ExitCode;

use efa_fabric::survey::Mode;
use efa_fabric::survey::simulate::{Case, head, targets_missed, tell};

/// Mode, nodes, surveys per case.
const SHORT: &[(Mode, usize, usize)] = &[
    (Mode::Full, 2, 50),
    (Mode::Full, 4, 50),
    (Mode::Full, 6, 100),
    (Mode::Full, 8, 300),
    (Mode::Full, 32, 30),
    (Mode::Sampled, 8, 300),
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
    let mut missed = Vec::new();
    println!("{}", head());
    for &(mode, nodes, runs) in if long { LONG } else { SHORT } {
        for case in Case::ALL {
            let only = arguments.iter().filter_map(|a| a.parse::<usize>().ok());
            if only.clone().count() > 0 && !only.clone().any(|only| only == nodes) {
                continue;
            }
            let row = match tell(case, mode, nodes, runs, 1) {
                Ok(row) => row,
                Err(error) => {
                    eprintln!("{error}");
                    return ExitCode::FAILURE;
                }
            };
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
