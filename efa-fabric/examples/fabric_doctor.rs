//! Why EFA does not work on this node.
//!
//! ```text
//! fabric_doctor [--json] [--root DIR] [--instance-type TYPE]
//! ```
//! The exit status is 0 if EFA is usable, 1 if not, 2 if it is not known or the arguments
//! are wrong.

use std::process::ExitCode;

use efa_fabric::doctor;
use efa_fabric::isolated::answer_if_child;

const USAGE: &str = "usage: fabric_doctor [--json] [--root DIR] [--instance-type TYPE]";

fn main() -> ExitCode {
    // First of all: the doctor starts this program again to ask libfabric.
    answer_if_child();
    match run(std::env::args().skip(1)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("fabric_doctor: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<u8, Box<dyn std::error::Error>> {
    let (mut as_json, mut root, mut instance_type) = (false, "/".to_owned(), None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => as_json = true,
            "--root" => root = arguments.next().ok_or(USAGE)?,
            "--instance-type" => instance_type = Some(arguments.next().ok_or(USAGE)?),
            _ => return Err(USAGE.into()),
        }
    }
    let mut options = doctor::Options::at(root);
    options.instance_type = instance_type;
    let report = doctor::examine(&options);
    if as_json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(report.exit_code())
}
