//! What a log states besides NCCL: the lines of other programs, the output of tools, and how the job
//! ended.

use std::collections::{BTreeMap, BTreeSet};

use super::causes::{Cause, Stage};
use super::libfabric::{self, Said};
use super::message::Level as NcclLevel;
use super::report::Evidence;
use super::rules::{Place, cause_of};
use super::source::Source;
use super::speaker::{Level, Speaker, exception, speaker, without_launcher};
use super::state::is_efa;
use super::text::{EVIDENCE_LIMIT, WORD_LIMIT, limited};
use super::unknown::Unknowns;

/// Names of devices that are kept of a tool's output.
const NAMES: usize = 256;

/// What was seen of one source.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) lines: u64,
    pub(super) first_line: u64,
    /// Its provider, transport or fabric.
    pub(super) over: Option<String>,
    /// Whether its network was set up, as it reports.
    pub(super) is_ready: bool,
    /// EFA devices that it counted.
    pub(super) devices: Option<u32>,
    names: BTreeSet<String>,
    /// The provider of the block of `fi_info` that is being read.
    block: String,
    others: BTreeSet<String>,
}

impl Facts {
    /// How many EFA devices it names.
    pub(super) fn count(&self) -> u32 {
        let named = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.devices.map_or(named, |devices| devices.max(named))
    }

    /// Other providers that it names.
    pub(super) fn others(&self) -> impl Iterator<Item = &str> {
        self.others.iter().map(String::as_str)
    }
}

/// Everything that is not NCCL's.
#[derive(Debug, Clone, Default)]
pub(super) struct Outside {
    pub(super) sources: BTreeMap<Source, Facts>,
    /// The first line of each cause, and who wrote it.
    pub(super) causes: BTreeMap<Cause, (Evidence, Source)>,
    pub(super) unknown: BTreeMap<Source, Unknowns>,
    /// The first line that shows that the job ended with an error.
    pub(super) end: Option<Evidence>,
    /// Whether libfabric opened a fabric of EFA, and which.
    pub(super) fabric: Option<String>,
    traceback: Traceback,
}

/// Where in a traceback of Python's the log is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Traceback {
    #[default]
    None,
    /// Python ignores this one, as it does when it ends.
    Ignored,
    /// Its exception is still to come.
    Open,
}

impl Outside {
    /// Takes a line that no message of NCCL is in.
    pub(super) fn take(&mut self, number: u64, line: &str) {
        if line.is_empty() {
            return;
        }
        if line.contains("libfabric:") {
            self.take_libfabric(number, line);
            return;
        }
        let said = speaker(line);
        if let Some(said) = said {
            self.take_said(number, &said);
        }
        let level = said.map_or(Level::Unsaid, |said| said.level);
        let source = said.map_or(Source::Program, |said| said.source);
        // A program's own information or warning is no end of a job.
        if matches!(level, Level::Information | Level::Warning) {
            let cause = cause_of(line, Place::Outside);
            if source == Source::Nixl && cause == Some(Cause::NixlNoRail) {
                self.note(Cause::NixlNoRail, number, line, source);
            }
            return;
        }
        if is_end_of_shell(line) {
            self.note(Cause::ProcessAborted, number, line, source);
            return;
        }
        let is_python = self.take_python(number, line);
        if let Some(cause) = cause_of(line, Place::Outside) {
            // A traceback that Python ignores is none of the job's.
            if !(cause == Cause::JobError && is_python) {
                self.note(cause, number, line, source);
            }
        } else if level == Level::Error {
            self.unknown
                .entry(source)
                .or_default()
                .add(number, line.trim(), true);
        }
    }

    /// Takes a message of NVSHMEM, which prints as NCCL does.
    pub(super) fn take_nvshmem(&mut self, number: u64, level: NcclLevel, text: &str) {
        let said = Speaker {
            source: Source::Nvshmem,
            level: Level::Unsaid,
            text,
        };
        self.take_said(number, &said);
        if !level.is_bad() {
            return;
        }
        match cause_of(text, Place::Warning) {
            Some(cause) => self.note(cause, number, text, Source::Nvshmem),
            None => self.unknown.entry(Source::Nvshmem).or_default().add(
                number,
                text,
                level == NcclLevel::Abort,
            ),
        }
    }

    /// Remembers the first line of a cause.
    pub(super) fn note(&mut self, cause: Cause, line: u64, text: &str, source: Source) {
        let evidence = || Evidence::new(line, limited(text.trim(), EVIDENCE_LIMIT));
        if cause.stage() == Stage::End {
            self.end.get_or_insert_with(evidence);
        }
        match self.causes.get_mut(&cause) {
            Some((known, _)) if known.line <= line => {}
            Some(known) => *known = (evidence(), source),
            None => {
                self.causes.insert(cause, (evidence(), source));
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.causes.is_empty() && self.unknown.is_empty()
    }

    /// A line of libfabric that its process takes: what it reports of the devices and fabrics.
    pub(super) fn see_libfabric(&mut self, number: u64, line: &str) {
        self.seen(Source::Libfabric, number);
        if let Said::Opened(fabric) = libfabric::said(line)
            && fabric.starts_with("efa")
        {
            self.fabric = Some(limited(&fabric, WORD_LIMIT));
        }
        if let Some(count) = after(line, "ibv_get_device_list returns total_device_cnt=") {
            let facts = self.sources.entry(Source::Libfabric).or_default();
            facts.devices = number_at(count).or(facts.devices);
        }
    }

    /// Text of libfabric that has no process.
    fn take_libfabric(&mut self, number: u64, line: &str) {
        self.seen(Source::Libfabric, number);
        match libfabric::said(line) {
            Said::Cause(cause) => self.note(cause, number, line, Source::Libfabric),
            Said::Warning => {
                self.unknown
                    .entry(Source::Libfabric)
                    .or_default()
                    .add(number, line.trim(), false)
            }
            Said::Opened(_) | Said::Nothing => {}
        }
    }

    /// Tracebacks and exceptions. Whether the line is Python's own and no failure of the job.
    fn take_python(&mut self, number: u64, line: &str) -> bool {
        if line.contains("Exception ignored in") {
            self.traceback = Traceback::Ignored;
            return true;
        }
        if line.contains("Traceback (most recent call last)") {
            if self.traceback == Traceback::Ignored {
                return true;
            }
            self.traceback = Traceback::Open;
            return false;
        }
        let Some(exception) = exception(line) else {
            return false;
        };
        if std::mem::take(&mut self.traceback) == Traceback::Ignored {
            return true;
        }
        if exception == "SystemExit: 0" {
            return true;
        }
        // The exception shows more than the first line of its traceback.
        let evidence = Evidence::new(number, limited(exception, EVIDENCE_LIMIT));
        let known = self.causes.get_mut(&Cause::JobError);
        match known {
            Some((known, _)) if known.text.contains("Traceback (most recent") => *known = evidence,
            _ => self.note(Cause::JobError, number, exception, Source::Program),
        }
        false
    }

    fn seen(&mut self, source: Source, number: u64) -> &mut Facts {
        let facts = self.sources.entry(source).or_default();
        if facts.lines == 0 {
            facts.first_line = number;
        }
        facts.lines += 1;
        facts
    }

    fn take_said(&mut self, number: u64, said: &Speaker<'_>) {
        let text = said.text;
        let facts = self.seen(said.source, number);
        match said.source {
            Source::Nixl => {
                if let Some(count) = after(text, "Discovered ")
                    && text.contains("EFA device")
                {
                    facts.devices = number_at(count);
                }
                if text.contains("Backend LIBFABRIC was instantiated") {
                    facts.is_ready = true;
                    facts.over = Some("libfabric".into());
                } else if text.contains("Backend ") && text.contains(" was instantiated") {
                    let name = after(text, "Backend ").map(first_word).unwrap_or_default();
                    facts.over.get_or_insert_with(|| limited(name, WORD_LIMIT));
                }
            }
            Source::Nvshmem => {
                if let Some(provider) = after(text, "Selected provider ") {
                    let provider = provider.strip_prefix("is ").unwrap_or(provider);
                    facts.over = Some(limited(first_word(provider), WORD_LIMIT));
                    facts.is_ready = true;
                }
            }
            Source::Ucx => {
                if let Some(lanes) = after(text, "inter-node") {
                    let over = ["srd/", "rc_", "dc_", "ud_", "tcp/"]
                        .iter()
                        .find(|name| lanes.contains(**name));
                    if let Some(over) = over {
                        facts.over = Some(over.trim_end_matches(['/', '_']).to_owned());
                        facts.is_ready = true;
                    }
                }
            }
            Source::OpenMpi => {
                let provider =
                    after(text, "mtl:ofi:prov: ").or_else(|| after(text, "mtl:ofi:provider: "));
                if let Some(provider) = provider.map(first_word)
                    && provider != "none"
                {
                    facts.over = Some(limited(provider, WORD_LIMIT));
                    facts.is_ready = true;
                }
            }
            Source::FiInfo => Self::take_fi_info(facts, text),
            Source::IbvDevinfo => {
                if let Some(name) = after(text, "hca_id:") {
                    facts.block = limited(name.trim(), WORD_LIMIT);
                } else if text.starts_with("vendor_id:") {
                    let name = std::mem::take(&mut facts.block);
                    let is_efa = text.to_ascii_lowercase().contains("0x1d0f");
                    add(
                        if is_efa {
                            &mut facts.names
                        } else {
                            &mut facts.others
                        },
                        name,
                    );
                }
            }
            Source::Lspci => {
                let lower = text.to_ascii_lowercase();
                if lower.contains("elastic fabric adapter") || lower.contains("1d0f:efa") {
                    add(&mut facts.names, limited(first_word(text), WORD_LIMIT));
                }
            }
            _ => {}
        }
        let is_empty_answer = text.contains("fi_getinfo: -") || text.contains("No data available");
        if matches!(said.source, Source::FiInfo | Source::FiPingpong) && is_empty_answer {
            self.note(Cause::ToolWithoutProvider, number, text, said.source);
        }
    }

    fn take_fi_info(facts: &mut Facts, text: &str) {
        if let Some(provider) = text.strip_prefix("provider: ") {
            facts.block = limited(provider.trim(), WORD_LIMIT);
            if !is_efa(&facts.block) {
                let other = facts.block.clone();
                add(&mut facts.others, other);
            }
        } else if let Some(domain) = text.strip_prefix("domain: ")
            && is_efa(&facts.block)
        {
            let device = domain.trim();
            let device = device
                .strip_suffix("-rdm")
                .or_else(|| device.strip_suffix("-dgrm"))
                .unwrap_or(device);
            add(&mut facts.names, limited(device, WORD_LIMIT));
        }
    }
}

/// What a shell reports of a program that a signal ended: `Aborted`, `x.sh: line 3: 1234 Killed  …`.
fn is_end_of_shell(line: &str) -> bool {
    const WORDS: [&str; 3] = ["Aborted", "Killed", "Bus error"];
    let text = without_launcher(line).trim_end();
    if WORDS.contains(&text) {
        return true;
    }
    let Some((_, rest)) = text.split_once(": line ") else {
        return false;
    };
    WORDS
        .iter()
        .any(|word| rest.contains(&format!(" {word} ")) || rest.ends_with(word))
}

fn add(names: &mut BTreeSet<String>, name: String) {
    if names.len() < NAMES {
        names.insert(name);
    }
}

fn after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.find(key).map(|at| &text[at + key.len()..])
}

fn number_at(text: &str) -> Option<u32> {
    super::message::leading_number(text.trim_start())
}

fn first_word(text: &str) -> &str {
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .trim_end_matches([',', '.', ')'])
}
