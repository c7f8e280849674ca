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
//! | `causes` | the table of lines that state what is wrong, with cause, cure and origin |
//! | `scan`, `rules` | a line held against the table, in one pass |
//! | `libfabric` | lines of libfabric's own log, by `fabric_log` |
//! | `source`, `speaker` | lines that are not NCCL's: whose, at what level |
//! | `outside` | what those lines state, and how the job ended |
//! | `unknown`, `text` | warnings that no rule knows, and what is kept of a text |
//! | `channel` | lines that state over what a channel runs |
//! | `state` | what is remembered of each process |
//! | `torn` | halves of lines that another process wrote into |
//! | `judge`, `findings`, `ranks`, `report` | from that to the report |

mod causes;
mod channel;
mod expectation;
mod findings;
mod gpudirect;
mod judge;
mod libfabric;
mod lines;
mod message;
mod outside;
mod ranks;
mod report;
mod rules;
mod scan;
mod source;
mod speaker;
mod state;
#[cfg(test)]
mod tests;
mod text;
mod torn;
mod unknown;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead};

pub use causes::{Cause, Severity};
pub use channel::{Channels, NumberSet};
pub use expectation::Expectation;
pub(super) use ranks::is_plugin_of_efa;
pub use report::{End, Evidence, Finding, Host, Network, Rank, Reason, Report, Seen, Verdict};
pub use source::Source;

use lines::Lines;
use message::{Message, is_torn_head, messages, torn_tail};
use outside::Outside;
use state::Process;
use torn::Torn;

/// Processes that are kept; later ones are counted and left out.
const PROCESS_LIMIT: usize = 16_384;

/// A reader of a log as it comes.
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
    /// Creates a log of which nothing was read.
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

    /// Returns what the log states this far, an unfinished last line included.
    #[must_use]
    pub fn report(&self) -> Report {
        self.clone().finish()
    }

    /// Returns what the log states.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.lines
            .end(&mut |number, line| self.reader.take(number, line));
        self.reader.mark_torn();
        judge::report(judge::Gathered {
            processes: self.reader.processes,
            outside: self.reader.outside,
            expectation: &self.expectation,
            lines: self.lines.count(),
            messages: self.reader.messages,
            is_deduplicated: self.reader.is_deduplicated,
            processes_left_out: self.reader.left_out,
        })
    }
}

impl Report {
    /// Returns what a log states.
    #[must_use]
    pub fn of_text(text: &str, expectation: Expectation) -> Self {
        let mut log = Log::new(expectation);
        log.push_bytes(text.as_bytes());
        log.finish()
    }

    /// Returns what a log states that may be larger than memory.
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
    /// Where a process is, by host, and by process id, or by rank where it has neither.
    places: HashMap<String, BTreeMap<(u32, Option<u32>), usize>>,
    outside: Outside,
    torn: Torn,
    messages: u64,
    left_out: u64,
    is_deduplicated: bool,
}

impl Reader {
    fn take(&mut self, number: u64, line: &str) {
        self.is_deduplicated |= line.contains("[repeated ") && line.contains("across cluster]");
        let places = &self.places;
        let is_known = |host: &str, pid: u32| {
            places
                .get(host)
                .is_some_and(|processes| processes.contains_key(&(pid, None)))
        };
        let found = messages(line, &is_known);
        let has_mark = found.iter().any(|message| message.speaker.is_some());
        if self.torn.is_waiting(number) {
            self.take_end(number, line);
        }
        let tail = (!has_mark && self.torn.heads > 0)
            .then(|| torn_tail(line))
            .flatten();
        let found = match tail {
            Some(tail) => vec![tail],
            None => {
                if !has_mark {
                    self.take_outside(number, line, found.first());
                }
                found
            }
        };
        if is_torn_head(line) {
            self.torn.heads += 1;
        }
        for message in found {
            self.messages += 1;
            if message.speaker == Some(Source::Nvshmem) {
                self.outside
                    .take_nvshmem(number, message.level, message.text);
            } else if let Some(place) = self.place(&message) {
                let taken = self.processes[place].take(number, &message);
                self.torn.keep(place, number, taken, &message);
            }
        }
    }

    /// A line without a mark of NCCL.
    fn take_outside(&mut self, number: u64, line: &str, message: Option<&Message<'_>>) {
        // A line of libfabric is its process's, where NCCL names that process.
        let is_libfabric = message.is_some_and(|message| message.text.starts_with("libfabric:"));
        if is_libfabric {
            self.outside.see_libfabric(number, line);
        } else if !line.is_empty() {
            self.outside.take(number, line);
        }
    }

    /// The rest of a line that another process wrote into.
    fn take_end(&mut self, number: u64, line: &str) {
        let Some((place, first, text)) = self.torn.end_of(line) else {
            return;
        };
        match text {
            Some(text) => {
                let message = Message {
                    origin: message::Origin::default(),
                    speaker: None,
                    level: message::Level::Other,
                    text: &text,
                    may_be_cut: false,
                };
                let _ = self.processes[place].take(first.min(number), &message);
            }
            None => self.processes[place].unstage(),
        }
    }

    /// States of processes whose network stays unknown that the line with it is torn.
    fn mark_torn(&mut self) {
        for (place, line, text) in self.torn.left() {
            let process = &mut self.processes[place];
            if process.network.is_none() || process.provider.is_none() {
                let evidence = Evidence::new(line, text.to_owned());
                process.torn.get_or_insert(evidence);
            }
        }
    }

    fn place(&mut self, message: &Message<'_>) -> Option<usize> {
        let origin = &message.origin;
        let is_named = !origin.host.is_empty() || origin.pid != 0;
        let key = (origin.pid, if is_named { None } else { origin.rank });
        if let Some(place) = self
            .places
            .get(origin.host)
            .and_then(|processes| processes.get(&key))
        {
            return Some(*place);
        }
        if self.processes.len() >= PROCESS_LIMIT {
            self.left_out += 1;
            return None;
        }
        self.processes.push(Process {
            host: origin.host.to_owned(),
            pid: origin.pid,
            ..Process::default()
        });
        let place = self.processes.len() - 1;
        self.places
            .entry(origin.host.to_owned())
            .or_default()
            .insert(key, place);
        Some(place)
    }
}
