//! libfabric on this machine, and a probe between two.
//!
//! ```text
//! fabric_probe list
//! fabric_probe loopback tcp [--sizes 64,4096] [--budget-ms 250] [--distinct] [--domain lo]
//!                           [--operation message|tagged|write|write_data|read] [--bidirectional] [--spin]
//! fabric_probe serve 0.0.0.0:7777
//! fabric_probe connect 10.0.0.2:7777 tcp [options as for loopback]
//! ```
//! Both sides take the token from the environment variable `FABRIC_PROBE_TOKEN`: a command line
//! is for everyone on the machine to read.
//! `--json` prints reports as JSON.

use std::process::ExitCode;
use std::time::Duration;

use efa_fabric::probe::{Buffers, Direction, Operation, Wait};
use efa_fabric::token::Token;
use efa_fabric::{
    Interrupt, Library, ProbeOptions, ProbeReport, ServeOptions, Server, connect, loopback, nics,
    providers,
};

const USAGE: &str = "usage: fabric_probe list | loopback PROVIDER | serve ADDRESS:PORT | \
                     connect HOST:PORT PROVIDER   [--sizes 64,4096] [--budget-ms 250] [--iterations N] \
                     [--window 64] [--deadline-s 60] [--distinct] [--operation message|tagged|write|write_data|read] \
                     [--bidirectional] [--spin] [--only latency|bandwidth] [--fabric F] [--domain D] [--source ADDRESS] [--json]";

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fabric_probe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: impl Iterator<Item = String>) -> Result<(), Failure> {
    let arguments = Arguments::parse(arguments)?;
    let words: Vec<&str> = arguments.words.iter().map(String::as_str).collect();
    let library = Library::find()?;
    match words.as_slice() {
        ["list"] => list(&library),
        ["loopback", provider] => {
            arguments.print(&loopback(&library, &arguments.options(provider)?)?)
        }
        ["serve", address] => {
            let server = Server::bind(address.parse()?, arguments.token()?)?;
            println!("listening on {}", server.address());
            arguments.print(&server.serve_one(
                &library,
                &ServeOptions::default(),
                Interrupt::never(),
            )?)
        }
        ["connect", address, provider] => {
            let options = arguments.options(provider)?;
            arguments.print(&connect(
                &library,
                address,
                &arguments.token()?,
                &options,
                Interrupt::never(),
            )?)
        }
        _ => Err(USAGE.into()),
    }
}

fn list(library: &std::sync::Arc<Library>) -> Result<(), Failure> {
    println!(
        "libfabric {} at {}",
        library.version(),
        library.path().display()
    );
    for info in providers(library)?
        .iter()
        .filter(|info| info.endpoint_type == "FI_EP_RDM")
    {
        println!("  {info}");
    }
    for nic in nics(library)? {
        println!(
            "  device {} ({}), fabrics {}",
            nic.name,
            nic.provider,
            nic.fabrics.join(", ")
        );
    }
    Ok(())
}

struct Arguments {
    words: Vec<String>,
    named: Vec<(String, String)>,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let (mut words, mut named) = (Vec::new(), Vec::new());
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix("--") {
                None => words.push(argument),
                Some(name @ ("distinct" | "json" | "bidirectional" | "spin")) => {
                    named.push((name.to_owned(), String::new()))
                }
                Some(name) => {
                    let value = arguments
                        .next()
                        .ok_or_else(|| format!("--{name} needs a value\n{USAGE}"))?;
                    named.push((name.to_owned(), value));
                }
            }
        }
        Ok(Self { words, named })
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.named
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    fn token(&self) -> Result<Token, Failure> {
        let text = std::env::var("FABRIC_PROBE_TOKEN")
            .map_err(|_| "FABRIC_PROBE_TOKEN is not set: both sides need the same secret")?;
        Ok(Token::parse(text)?)
    }

    fn options(&self, provider: &str) -> Result<ProbeOptions, Failure> {
        let mut options = ProbeOptions::new(provider);
        for (name, value) in &self.named {
            match name.as_str() {
                "sizes" => {
                    options.sizes = value.split(',').map(str::parse).collect::<Result<_, _>>()?
                }
                "budget-ms" => options.size_budget = Duration::from_millis(value.parse()?),
                "iterations" => {
                    // Exactly this many of each measurement, whatever time they take.
                    options.max_iterations = value.parse()?;
                    options.min_iterations = options.max_iterations;
                }
                "deadline-s" => options.deadline = Duration::from_secs(value.parse()?),
                "window" => options.window = value.parse()?,
                "only" => {
                    options.latency = value == "latency";
                    options.bandwidth = value == "bandwidth";
                }
                "distinct" => options.buffers = Buffers::Distinct,
                "spin" => options.wait = Wait::Spin,
                "bidirectional" => options.direction = Direction::Bidirectional,
                "operation" => {
                    let named = |operation: &&Operation| operation.as_str() == value;
                    options.operation = *Operation::ALL
                        .iter()
                        .find(named)
                        .ok_or_else(|| format!("no operation {value}\n{USAGE}"))?;
                }
                "fabric" => options.endpoint.fabric = Some(value.clone()),
                "domain" => options.endpoint.domain = Some(value.clone()),
                "source" => options.endpoint.source_address = Some(value.clone()),
                "json" => {}
                _ => return Err(format!("no option --{name}\n{USAGE}").into()),
            }
        }
        Ok(options)
    }

    fn print(&self, report: &ProbeReport) -> Result<(), Failure> {
        if self.value("json").is_some() {
            println!("{}", serde_json::to_string_pretty(report)?);
        } else {
            print!("{report}");
        }
        Ok(())
    }
}
