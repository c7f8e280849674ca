//! What test binaries share: the libfabrics to test with, and children of the same binary that
//! are read with a deadline and killed when the test is done with them.

// Every test binary uses a part of it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use efa_fabric::{Library, ProbeOptions};

/// Many times what anything here needs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The system's libfabric, and the one that `EFA_TEST_LIBFABRIC_2` names.
pub(crate) fn libraries(test: &str) -> Vec<Arc<Library>> {
    let system = match Library::find() {
        Ok(library) => Some(library),
        Err(error) => {
            eprintln!("SKIPPED {test} on the system's libfabric: {error}");
            None
        }
    };
    let second = std::env::var_os("EFA_TEST_LIBFABRIC_2");
    if second.is_none() {
        eprintln!("SKIPPED {test} on libfabric 2.x: EFA_TEST_LIBFABRIC_2 is not set");
    }
    let second = second.map(|path| Library::load(Path::new(&path)).expect("a libfabric"));
    system.into_iter().chain(second).collect()
}

/// Runs this with each of [`libraries`] at the same time: most of it waits.
pub(crate) fn with_each_library(test: &str, check: impl Fn(Arc<Library>) + Sync) {
    std::thread::scope(|scope| {
        for library in libraries(test) {
            let check = &check;
            scope.spawn(move || check(library));
        }
    });
}

/// A probe of some milliseconds.
pub(crate) fn quick(provider: &str) -> ProbeOptions {
    let mut options = ProbeOptions::new(provider);
    options.sizes = vec![64, 4096];
    options.size_budget = Duration::from_millis(5);
    options.min_iterations = 3;
    options.deadline = LIMIT;
    options
}

/// A probe that goes on until something ends it.
pub(crate) fn endless(provider: &str, bandwidth: bool) -> ProbeOptions {
    let mut options = quick(provider);
    (options.latency, options.bandwidth) = (!bandwidth, bandwidth);
    options.size_budget = Duration::from_secs(600);
    options.max_iterations = 10_000_000;
    options
}

/// This binary again, as the role that its test `child` finds in `EFA_TEST_ROLE`.
pub(crate) struct Process {
    pub(crate) child: Child,
    lines: Receiver<String>,
}

impl Process {
    pub(crate) fn start(role: &str, library: &Path, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env("EFA_TEST_ROLE", role)
            .env("EFA_FABRIC_LIB", library)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (to, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if to.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// The rest of the next line that begins with this word, within [`LIMIT`].
    pub(crate) fn line(&self, word: &str) -> String {
        self.line_within(word, LIMIT)
            .unwrap_or_else(|why| panic!("no line {word}: {why}"))
    }

    pub(crate) fn line_within(&self, word: &str, time: Duration) -> Result<String, &'static str> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(word) {
                        return Ok(rest.trim().to_owned());
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err("not in time"),
                Err(RecvTimeoutError::Disconnected) => return Err("the child ended"),
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, number: libc::c_int) {
        // SAFETY: sends a signal to our own child, which was not waited for.
        let code = unsafe { libc::kill(self.child.id() as libc::pid_t, number) };
        assert_eq!(code, 0);
    }

    /// A line of /proc/<id>/status in KiB, such as `VmHWM`.
    pub(crate) fn status_kib(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Open descriptors, apart from those that are open for a moment only.
    pub(crate) fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.id());
        let count = |_| {
            std::thread::sleep(Duration::from_millis(20));
            std::fs::read_dir(&path).unwrap().count()
        };
        (0..10).map(count).min().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        // A killed process leaves the memory of shm's endpoints, named by its id.
        let prefix = format!("{}:", self.id());
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

/// What a test needs of the environment, in the child.
pub(crate) fn argument(name: &str) -> String {
    std::env::var(format!("EFA_TEST_{name}")).unwrap()
}
