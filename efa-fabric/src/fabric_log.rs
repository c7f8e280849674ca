//! libfabric's own log, read: its lines, and the few of them that show why EFA is missing.
//!
//! Text in, values out. What a line means is in [`FingerprintKind`]; what to do about it is the
//! caller's decision. The text may be anything: prefixes of ranks and hosts, lines of other
//! programs in between, cut or damaged lines, lines without end.

use std::fmt;

use serde::{Deserialize, Serialize};

mod fingerprint;
mod line;

pub use fingerprint::{Fingerprint, FingerprintKind};
pub use line::{Level, Line};

/// How libfabric's lines begin.
const HEAD: &str = "libfabric:";
/// Longest part of a line that is kept, in bytes.
const MAX_LINE: usize = 2048;
/// Most different warnings, and most different fingerprints, that are kept.
const MAX_KEPT: usize = 256;
/// Since this version of the provider (libfabric 2.2) its log counts the verbs devices.
const COUNTS_DEVICES_SINCE: u32 = 202;

/// The evidence in a log of libfabric.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Log {
    /// What the log shows of EFA, in order of first appearance, each once.
    pub fingerprints: Vec<Fingerprint>,
    /// The warnings of libfabric, in order of first appearance, each text once; at most 256.
    pub warnings: Vec<Line>,
    /// Providers that registered themselves, with their versions, such as `efa (205.10)`, in
    /// order, each once, those that `FI_PROVIDER` leaves out included. Empty below level info.
    pub registered: Vec<String>,
    /// Lines of libfabric in the text.
    pub lines: u64,
    /// Whether the text has lines of level info, so that what is absent from it means something.
    pub has_info: bool,
    /// Whether something was left out, in the middle of the text or of what is kept here.
    pub is_cut: bool,
}

impl Log {
    /// Reads a log: what is no line of libfabric is passed over, except the messages that the
    /// efa provider prints bare before it aborts the process.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::parse_part(text, false)
    }

    /// As [`parse`](Self::parse), of a text of which the middle may be missing: then absence
    /// proves nothing.
    pub(crate) fn parse_part(text: &str, is_cut: bool) -> Self {
        let mut log = Self {
            is_cut,
            ..Self::default()
        };
        let mut efa_registered = None;
        let mut efa_speaks = false;
        for raw in text.split(['\n', '\r']).flat_map(pieces) {
            let raw = cut(raw.trim_end());
            if raw.is_empty() {
                continue;
            }
            let line = Line::parse(raw);
            if let Some(line) = &line {
                log.note(line);
                efa_speaks |= line.provider == "efa" && line.level == Level::Info;
                if let Some((name, version)) = registration(&line.text) {
                    let provider = format!("{name} ({version})");
                    if name == "efa" && counts_devices(version) {
                        efa_registered.get_or_insert_with(|| raw.to_owned());
                    }
                    log.keep_registered(provider);
                }
            }
            let text = line.as_ref().map_or(raw, |line| line.text.as_str());
            if let Some((kind, subject, number)) = fingerprint::recognise(line.as_ref(), text) {
                log.keep(Fingerprint {
                    kind,
                    provider: line.map(|line| line.provider),
                    subject,
                    number,
                    evidence: raw.to_owned(),
                });
            }
        }
        if let Some(evidence) = efa_registered
            && efa_speaks
            && !log.fingerprints.iter().any(|found| found.kind.is_fatal())
            && !log.is_cut
            && !log.has(FingerprintKind::VerbsDevices)
        {
            log.keep(Fingerprint {
                kind: FingerprintKind::NoVerbsDevices,
                provider: Some("efa".to_owned()),
                subject: None,
                number: Some(0),
                evidence,
            });
        }
        log
    }

    /// Returns whether the log has this fingerprint.
    #[must_use]
    pub fn has(&self, kind: FingerprintKind) -> bool {
        self.first(kind).is_some()
    }

    /// Returns the first fingerprint of this kind.
    #[must_use]
    pub fn first(&self, kind: FingerprintKind) -> Option<&Fingerprint> {
        self.fingerprints.iter().find(|found| found.kind == kind)
    }

    fn note(&mut self, line: &Line) {
        self.lines += 1;
        self.has_info |= line.level == Level::Info;
        if line.level != Level::Warn {
            return;
        }
        let is_known = self
            .warnings
            .iter()
            .any(|known| known.provider == line.provider && known.text == line.text);
        if is_known {
            return;
        }
        if self.warnings.len() < MAX_KEPT {
            self.warnings.push(line.clone());
        } else {
            self.is_cut = true;
        }
    }

    fn keep_registered(&mut self, provider: String) {
        if self.registered.len() < MAX_KEPT && !self.registered.contains(&provider) {
            self.registered.push(provider);
        }
    }

    fn keep(&mut self, new: Fingerprint) {
        let is_known = self.fingerprints.iter().any(|known| {
            (known.kind, known.number) == (new.kind, new.number)
                && known.subject == new.subject
                && known.provider == new.provider
        });
        if is_known {
            return;
        }
        if self.fingerprints.len() < MAX_KEPT {
            self.fingerprints.push(new);
        } else {
            self.is_cut = true;
        }
    }
}

impl fmt::Display for Log {
    /// One line for each fingerprint: its kind, then the line of the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lines of libfabric", self.lines)?;
        for found in &self.fingerprints {
            write!(f, "\n{found}")?;
        }
        Ok(())
    }
}

/// One line taken apart, where it is libfabric's, and what it means, with the provider, device or
/// value and the number that it names.
pub(crate) fn read_line(raw: &str) -> (Option<Line>, Option<fingerprint::Recognised>) {
    let raw = cut(raw.trim_end());
    let line = Line::parse(raw);
    let text = line.as_ref().map_or(raw, |line| line.text.as_str());
    let found = fingerprint::recognise(line.as_ref(), text);
    (line, found)
}

/// A line, cut where another writer's line begins in the middle of it.
fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let begins = |at: usize| {
            let head = &line[at..];
            let pid = head.strip_prefix(HEAD).unwrap_or_default();
            pid.starts_with(|first: char| first.is_ascii_digit())
        };
        let first = line.find(HEAD).map_or(line.len(), |at| at + HEAD.len());
        let next = line[first..]
            .match_indices(HEAD)
            .map(|(at, _)| first + at)
            .find(|&at| begins(at));
        rest = next.map(|at| &line[at..]);
        Some(&line[..next.unwrap_or(line.len())])
    })
}

/// At most [`MAX_LINE`] bytes of a line, cut between characters.
fn cut(line: &str) -> &str {
    if line.len() <= MAX_LINE {
        return line;
    }
    let mut end = MAX_LINE;
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

/// Name and version of `registering provider: efa (205.10)` (src/fabric.c).
fn registration(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("registering provider: ")?;
    let (name, version) = rest.rsplit_once(" (")?;
    Some((name, version.strip_suffix(')')?))
}

/// Whether this version of the efa provider logs how many verbs devices there are: 202.0 is
/// libfabric 2.2.0 (`efa_device_list_initialize` of prov/efa/src/efa_device.c).
fn counts_devices(version: &str) -> bool {
    version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok())
        .is_some_and(|major| major >= COUNTS_DEVICES_SINCE)
}

#[cfg(test)]
mod tests;
