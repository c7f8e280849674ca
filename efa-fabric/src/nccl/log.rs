//! Reads the log of NCCL with aws-ofi-nccl: is traffic on EFA, and if not, why.
//!
//! [`Log`] takes a log as it comes, in chunks of any size; [`Report::of_text`] and
//! [`Report::of_reader`] take a whole one. Memory is bounded by the number of processes in
//! the log (at most 16,384 are kept), never by its length. The log must have been written with
//! `NCCL_DEBUG=INFO`.
//!
//! | file | job |
//! |---|---|
//! | `lines` | bytes to lines |
//! | `message` | a line to messages: prefixes of NCCL, launchers and collectors, interleaving |
//! | `causes` | the table of lines that say what is wrong, with cause, cure and origin |
//! | `channel` | lines that say over what a channel runs |
//! | `state` | what is remembered of each process |
//! | `judge`, `report` | from that to the report |

mod causes;
mod channel;
mod expectation;
mod judge;
mod lines;
mod message;
mod report;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, BufRead};

pub use causes::{Cause, Severity};
pub use channel::{Channels, NumberSet};
pub use expectation::Expectation;
pub use report::{Evidence, Finding, Host, Network, Rank, Reason, Report, Verdict};

use lines::Lines;
use message::{Message, messages};
use state::Process;

/// Processes that are kept; later ones are counted and left out.
const PROCESS_LIMIT: usize = 16_384;

/// Reads a log as it comes.
///
/// ```
/// use efa_fabric::nccl::{Cause, Expectation, Log, Verdict};
///
/// let mut log = Log::new(Expectation::new().nics(32));
/// log.push_bytes(b"n1:7:7 [0] NCCL INFO NET/Plugin: Could not find: libnccl-net.so.\nn1:7:7 ");
/// log.push_bytes(b"[0] NCCL INFO Using network Socket\n");
/// let report = log.finish();
/// assert_eq!(report.verdict, Verdict::TcpSockets);
/// assert_eq!(report.reason.map(|reason| reason.cause), Some(Cause::PluginNotFound));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Log {
    expectation: Expectation,
    lines: Lines,
    reader: Reader,
}

impl Log {
    /// A log of which nothing was read.
    #[must_use]
    pub fn new(expectation: Expectation) -> Self {
        Self {
            expectation,
            ..Self::default()
        }
    }

    /// Takes one line, with or without its newline.
    pub fn push_line(&mut self, line: &str) {
        self.lines
            .end(&mut |number, line| self.reader.take(number, line));
        self.push_bytes(line.as_bytes());
        if !line.ends_with('\n') {
            self.push_bytes(b"\n");
        }
    }

    /// Takes the next bytes of a stream; where it is cut makes no difference.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        let reader = &mut self.reader;
        self.lines
            .push(bytes, &mut |number, line| reader.take(number, line));
    }

    /// What the log says so far, an unfinished last line included.
    #[must_use]
    pub fn report(&self) -> Report {
        self.clone().finish()
    }

    /// What the log says.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.lines
            .end(&mut |number, line| self.reader.take(number, line));
        judge::report(judge::Gathered {
            processes: self.reader.processes,
            expectation: &self.expectation,
            lines: self.lines.count(),
            messages: self.reader.messages,
            is_deduplicated: self.reader.is_deduplicated,
            processes_left_out: self.reader.left_out,
        })
    }
}

impl Report {
    /// What a log says.
    #[must_use]
    pub fn of_text(text: &str, expectation: Expectation) -> Self {
        let mut log = Log::new(expectation);
        log.push_bytes(text.as_bytes());
        log.finish()
    }

    /// What a log says that may be larger than memory.
    ///
    /// # Errors
    /// What the reader returns.
    pub fn of_reader(mut reader: impl BufRead, expectation: Expectation) -> io::Result<Self> {
        let mut log = Log::new(expectation);
        loop {
            let read = match reader.fill_buf() {
                Ok([]) => return Ok(log.finish()),
                Ok(bytes) => {
                    log.push_bytes(bytes);
                    bytes.len()
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                Err(error) => return Err(error),
            };
            reader.consume(read);
        }
    }
}

/// Messages to processes.
#[derive(Debug, Clone, Default)]
struct Reader {
    processes: Vec<Process>,
    /// Where a process is, by host and process id, and by rank where it has neither.
    places: BTreeMap<(String, u32, Option<u32>), usize>,
    messages: u64,
    left_out: u64,
    is_deduplicated: bool,
}

impl Reader {
    fn take(&mut self, number: u64, line: &str) {
        self.is_deduplicated |= line.contains("[repeated ") && line.contains("across cluster]");
        let places = &self.places;
        let is_known = |host: &str, pid: u32| places.contains_key(&(host.to_owned(), pid, None));
        let found = messages(line, &is_known);
        for message in found {
            self.messages += 1;
            if let Some(place) = self.place(&message) {
                self.processes[place].take(number, &message);
            }
        }
    }

    fn place(&mut self, message: &Message<'_>) -> Option<usize> {
        let origin = &message.origin;
        let is_named = !origin.host.is_empty() || origin.pid != 0;
        let key = (
            origin.host.clone(),
            origin.pid,
            if is_named { None } else { origin.rank },
        );
        if let Some(place) = self.places.get(&key) {
            return Some(*place);
        }
        if self.processes.len() >= PROCESS_LIMIT {
            self.left_out += 1;
            return None;
        }
        self.processes.push(Process {
            host: origin.host.clone(),
            pid: origin.pid,
            ..Process::default()
        });
        self.places.insert(key, self.processes.len() - 1);
        Some(self.processes.len() - 1)
    }
}
