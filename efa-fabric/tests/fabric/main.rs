//! The crate on real libfabric: the system's, and a 2.x where `EFA_TEST_LIBFABRIC_2` names one
//! (the Makefile takes it from the PyPI wheel `mpich`). What is absent is skipped with a line
//! that begins with `SKIPPED`.
//!
//! Two-process tests start this binary again with `EFA_TEST_ROLE` set; see [`child`]. Timing
//! decides nothing here: limits are many times what is needed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use efa_fabric::endpoint::{Endpoint, EndpointOptions, SharedMemory};
use efa_fabric::probe::{Buffers, MAX_SIZE, Role, loopback_with};
use efa_fabric::{
    Code, Interrupt, Library, ProbeOptions, ProbeReport, ServeOptions, Server, connect, loopback,
    nics, providers,
};

mod libraries;
mod one_process;
#[path = "../support/secret.rs"]
mod secret;
mod two_sides;
use secret::secret;

const LIMIT: Duration = Duration::from_secs(60);

// ---------------------------------------------------------------- what there is to test with

fn libraries(test: &str) -> Vec<Arc<Library>> {
    let system = match Library::find() {
        Ok(library) => Some(library),
        Err(error) => {
            eprintln!("SKIPPED {test} on the system's libfabric: {error}");
            None
        }
    };
    system.into_iter().chain(second(test)).collect()
}

fn second(test: &str) -> Option<Arc<Library>> {
    let Some(path) = std::env::var_os("EFA_TEST_LIBFABRIC_2") else {
        eprintln!("SKIPPED {test} on libfabric 2.x: EFA_TEST_LIBFABRIC_2 is not set");
        return None;
    };
    Some(Library::load(Path::new(&path)).expect("EFA_TEST_LIBFABRIC_2 names a libfabric"))
}

fn quick(provider: &str) -> ProbeOptions {
    let mut options = ProbeOptions::new(provider);
    options.sizes = vec![1, 64, 4096, 65_536, 1 << 20];
    options.size_budget = Duration::from_millis(20);
    options.min_iterations = 3;
    options.deadline = LIMIT;
    options
}

fn endless(provider: &str) -> ProbeOptions {
    let mut options = quick(provider);
    options.sizes = vec![64, 65_536];
    options.size_budget = Duration::from_secs(600);
    options.max_iterations = 10_000_000;
    options.deadline = Duration::from_secs(600);
    options
}

fn check_report(report: &ProbeReport, provider: &str, options: &ProbeOptions) {
    assert_eq!(report.provider.split(';').next(), Some(provider));
    assert_eq!(report.statement, "latency is half of the round trip");
    assert!(report.rows.iter().all(|row| row.verified));
    assert_eq!(report.shared_memory, SharedMemory::NotApplicable);
    assert!(report.time_to_first_message_us > 0.0);
    assert_eq!(report.rows.len(), options.sizes.len());
    for (row, &size) in report.rows.iter().zip(&options.sizes) {
        assert_eq!(row.size, size as u64);
        let latency = row.latency.as_ref().unwrap();
        assert!(
            latency.iterations >= 3 && latency.min_us > 0.0,
            "{latency:?}"
        );
        let ordered = [
            latency.min_us,
            latency.p50_us,
            latency.p90_us,
            latency.p99_us,
            latency.max_us,
        ];
        assert!(ordered.is_sorted(), "{latency:?}");
        let bandwidth = row.bandwidth.as_ref().unwrap();
        assert!(
            bandwidth.messages >= 3 && bandwidth.gb_per_s > 0.0,
            "{bandwidth:?}"
        );
        assert_eq!(bandwidth.bytes, bandwidth.messages * row.size);
        assert!((bandwidth.gbit_per_s - 8.0 * bandwidth.gb_per_s).abs() < 1e-9);
    }
    let text = report.to_string();
    assert!(
        text.contains(&report.provider) && text.contains(&report.library_path),
        "{text}"
    );
    let json = serde_json::to_string(report).unwrap();
    assert_eq!(serde_json::from_str::<ProbeReport>(&json).unwrap(), *report);
}

// ------------------------------------------------------------------------- child processes

/// Not a test: what this binary does when a test starts it with `EFA_TEST_ROLE`.
#[test]
fn child() {
    let Ok(role) = std::env::var("EFA_TEST_ROLE") else {
        return;
    };
    let argument = |name: &str| std::env::var(format!("EFA_TEST_{name}")).unwrap();
    let outcome = match role.as_str() {
        "find" => Library::find().map(|library| format!("{}", library.path().display())),
        "providers" => Library::find()
            .and_then(|library| providers(&library))
            .map(|all| all.len().to_string()),
        "serve" => Library::find().and_then(|library| {
            let server = Server::bind(Server::LOOPBACK, secret())?;
            println!("\n@address {}", server.address());
            let report =
                server.serve_one(&library, &ServeOptions::default(), Interrupt::never())?;
            assert_eq!(report.role, Role::Serve);
            Ok(serde_json::to_string(&report).unwrap())
        }),
        "connect" => Library::find().and_then(|library| {
            let options = quick(&argument("PROVIDER"));
            let report = connect(
                &library,
                &argument("ADDRESS"),
                &secret(),
                &options,
                Interrupt::never(),
            )?;
            Ok(serde_json::to_string(&report).unwrap())
        }),
        _ => panic!("no role {role}"),
    };
    match outcome {
        Ok(value) => println!("\n@ok {value}"),
        Err(error) => println!("\n@error {} {error}", error.code().as_str()),
    }
}

struct Process {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Process {
    fn start(role: &str, library: Option<&Path>, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["child", "--exact", "--nocapture"])
            .env("EFA_TEST_ROLE", role);
        if let Some(library) = library {
            command.env("EFA_FABRIC_LIB", library);
        }
        let mut child = command
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn serve(library: &Library) -> (Self, String) {
        let mut server = Self::start("serve", Some(library.path()), &[]);
        let address = server.line("@address");
        (server, address)
    }

    /// The rest of the next line that begins with this word.
    fn line(&mut self, word: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(
                self.output.read_line(&mut line).unwrap(),
                0,
                "the child ended without {word}"
            );
            if let Some(rest) = line.trim_end().strip_prefix(word) {
                return rest.trim_start().to_owned();
            }
        }
    }

    /// What came out: `Ok(value)` or `Err(code)`.
    fn outcome(&mut self) -> Result<String, String> {
        let rest = self.line("@");
        match rest.split_once(' ').unwrap() {
            ("ok", value) => Ok(value.to_owned()),
            (_, error) => Err(error.split(' ').next().unwrap().to_owned()),
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        // A killed process leaves the memory of shm's endpoints, named by its id.
        let prefix = format!("{}:", self.child.id());
        for entry in std::fs::read_dir("/dev/shm")
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                std::fs::remove_file(entry.path()).ok();
            }
        }
    }
}
