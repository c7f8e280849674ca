//! One line to the messages in it: its speakers and texts, whatever launchers put in front.
//!
//! NCCL writes `host:pid:tid [gpu] NCCL INFO text`, and for warnings a source line before `NCCL`
//! (NCCL src/debug.cc). Processes that share a stream write into each other's lines, so that one
//! line can hold several messages, the earlier ones cut short.

use super::source::Source;
use super::text::looked_at;

/// What is known of the process that wrote a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    /// The host in NCCL's prefix, else the node, pod or address in the launcher's.
    pub(super) host: &'a str,
    /// The process in NCCL's prefix, else in the launcher's; 0 where neither states.
    pub(super) pid: u32,
    /// The CUDA device in NCCL's prefix.
    pub(super) gpu: Option<u32>,
    /// The rank in the launcher's prefix.
    pub(super) rank: Option<u32>,
}

/// The level in NCCL's prefix, and in that of what prints as NCCL does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Only with `NCCL_DEBUG=INFO` and above.
    Info,
    Warn,
    Abort,
    /// Reports of the active diagnostics, NCCL 2.31 and later.
    Diagnostic,
    /// `VERSION`, `TRACE`, `CALL`.
    Other,
}

impl Level {
    /// Whether something is wrong.
    pub(super) const fn is_bad(self) -> bool {
        matches!(self, Self::Warn | Self::Abort)
    }
}

/// One message of NCCL, of a plugin, or of libfabric.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) origin: Origin<'a>,
    /// Who writes in this manner; `None` where no name and level stood before the text.
    pub(super) speaker: Option<Source>,
    pub(super) level: Level,
    pub(super) text: &'a str,
    /// Another message follows in the same line, or the level is cut: this one may lack its end.
    pub(super) may_be_cut: bool,
}

/// Names that stand before a level, and whose they are: NCCL, Neuron's copy of it, NVSHMEM.
const NAMES: [(&str, Source); 3] = [
    ("NCCL ", Source::Nccl),
    ("CCOM ", Source::Neuron),
    ("NVSHMEM ", Source::Nvshmem),
];

const LEVELS: [(&str, Level); 10] = [
    ("INFO ", Level::Info),
    ("WARN ", Level::Warn),
    ("TRACE ", Level::Other),
    ("CALL ", Level::Other),
    ("ABORT ", Level::Abort),
    ("ERROR ", Level::Abort),
    ("VERSION ", Level::Other),
    ("DIAG ", Level::Diagnostic),
    ("DIAG: ", Level::Diagnostic),
    ("DEBUG ", Level::Other),
];

/// Every message in a line. `is_known` shows whether a host and process were seen before: it
/// decides where a host begins that is glued to another message.
pub(super) fn messages<'a>(
    line: &'a str,
    is_known: &dyn Fn(&str, u32) -> bool,
) -> Vec<Message<'a>> {
    let mut found: Vec<Message<'a>> = Vec::new();
    let mut label = Origin::default();
    let mut from = 0;
    let mut markers = Markers::of(line);
    while let Some(marker) = markers.take() {
        let header = Header::before(&line[from..marker.start], is_known);
        let header_start = from + header.start;
        if found.is_empty() {
            label = launcher_label(start_of(&line[..header_start]));
        } else if let Some(last) = found.last_mut() {
            last.text = &line[from..header_start];
            last.may_be_cut = true;
        }
        let mut origin = label;
        if let Some((host, pid)) = header.process {
            if !host.is_empty() {
                origin.host = host;
            }
            origin.pid = pid;
        }
        origin.gpu = header.gpu;
        found.push(Message {
            origin,
            speaker: Some(marker.speaker),
            level: marker.level,
            text: &line[marker.end..],
            may_be_cut: marker.is_cut,
        });
        from = marker.end;
    }
    // Only now is known where each ends: the rest of the line is not searched for each.
    for message in &mut found {
        message.text = trimmed(message.text);
    }
    if found.is_empty() {
        found.extend(without_marker(line));
    }
    found
}

/// A name and a level: where they start, and where the text after them does.
struct Marker {
    start: usize,
    end: usize,
    level: Level,
    speaker: Source,
    /// The line ends within the level.
    is_cut: bool,
}

/// The next marker of each name, so that no part of a line is searched for a name twice.
struct Markers<'a> {
    line: &'a str,
    next: [Option<Marker>; NAMES.len()],
}

impl<'a> Markers<'a> {
    fn of(line: &'a str) -> Self {
        Self {
            line,
            next: NAMES.map(|(name, speaker)| marker_of(line, 0, name, speaker)),
        }
    }

    /// The first of those that are left.
    fn take(&mut self) -> Option<Marker> {
        let first = (0..NAMES.len())
            .filter(|&at| self.next[at].is_some())
            .min_by_key(|&at| self.next[at].as_ref().map(|marker| marker.start))?;
        let marker = self.next[first].take()?;
        let (name, speaker) = NAMES[first];
        self.next[first] = marker_of(self.line, marker.end, name, speaker);
        Some(marker)
    }
}

fn marker_of(line: &str, from: usize, name: &str, speaker: Source) -> Option<Marker> {
    let mut at = from;
    while let Some(found) = line[at..].find(name) {
        let start = at + found;
        looked_at(found);
        let level_start = start + name.len();
        let rest = &line[level_start..];
        let marker = |level, length, is_cut| Marker {
            start,
            end: level_start + length,
            level,
            speaker,
            is_cut,
        };
        for (text, level) in LEVELS {
            if rest.starts_with(text) {
                return Some(marker(level, text.len(), false));
            }
        }
        // A warning that was cut within its level is a warning.
        let is_cut_warning = matches!(rest, "W" | "WA" | "WAR" | "WARN" | "ABORT");
        if is_cut_warning {
            return Some(marker(Level::Warn, rest.len(), true));
        }
        at = level_start;
    }
    looked_at(line.len() - at);
    None
}

/// Whether a line ends within a name, after a prefix: the level is on another line.
pub(super) fn is_torn_head(line: &str) -> bool {
    let line = line.trim_end();
    let Some(rest) = ["NCCL", "NCC", "NC", "N"]
        .iter()
        .find_map(|name| line.strip_suffix(name))
    else {
        return false;
    };
    // `[gpu] ` or `file:line ` or `file:line (function) ` stands before it.
    rest.ends_with(' ')
        && rest
            .trim_end()
            .ends_with(|c: char| c == ']' || c == ')' || c.is_ascii_digit())
}

/// The second half of a message that was torn within NCCL's name.
pub(super) fn torn_tail(line: &str) -> Option<Message<'_>> {
    let line = line.trim_start();
    let rest = ["CCL ", "CL ", "L "]
        .iter()
        .find_map(|start| line.strip_prefix(start))
        .unwrap_or(line);
    [("WARN ", Level::Warn), ("INFO ", Level::Info)]
        .iter()
        .find_map(|(name, level)| Some((rest.strip_prefix(name)?, *level)))
        .map(|(text, level)| Message {
            origin: Origin::default(),
            speaker: Some(Source::Nccl),
            level,
            text: trimmed(text),
            may_be_cut: false,
        })
}

/// Text without what collectors put behind it: the rest of a container runtime's JSON, and how
/// often Ray left the line out.
fn trimmed(text: &str) -> &str {
    looked_at(text.len());
    let mut text = text;
    for end in ["\\n\"", "\",\"", " [repeated "] {
        text = &text[..text.find(end).unwrap_or(text.len())];
    }
    text.trim_end_matches("\\n").trim()
}

/// Messages that carry no level: the version banner, libfabric's own log, the plugin in its tests.
fn without_marker(line: &str) -> Option<Message<'_>> {
    let starts = [
        "NCCL version ",
        "NET/OFI ",
        "libfabric:",
        "This error indicates that the security",
        // Lines that lost their beginning.
        "elected provider is ",
        "elected Provider is ",
        "sing network Socket",
        "sing network Libfabric",
        "sing network AWS Libfabric",
    ];
    let start = starts.iter().filter_map(|s| line.find(s)).min()?;
    let mut origin = launcher_label(&line[..start]);
    let text = trimmed(&line[start..]);
    if let Some(rest) = text.strip_prefix("libfabric:") {
        let pid = leading_number(rest);
        if rest
            .get(digits(rest)..)
            .is_some_and(|rest| rest.starts_with(':'))
        {
            origin.pid = pid.unwrap_or(origin.pid);
        }
    } else if let (Some((host, pid)), _) = process_at_end(line[..start].trim_end()) {
        origin.host = host;
        origin.pid = pid;
    }
    Some(Message {
        origin,
        speaker: None,
        level: Level::Other,
        text,
        may_be_cut: false,
    })
}

/// Longest prefix of NCCL's that is looked for, in bytes.
const PREFIX_LIMIT: usize = 1024;

/// NCCL's prefix: where it starts in the text before the marker, and what it reports.
struct Header<'a> {
    start: usize,
    process: Option<(&'a str, u32)>,
    gpu: Option<u32>,
}

impl<'a> Header<'a> {
    fn before(all: &'a str, is_known: &dyn Fn(&str, u32) -> bool) -> Self {
        // A prefix is short, also with the whole signature of a function in it.
        let mut skipped = all.len().saturating_sub(PREFIX_LIMIT);
        while !all.is_char_boundary(skipped) {
            skipped += 1;
        }
        looked_at(all.len() - skipped);
        let header = Self::within(&all[skipped..], is_known);
        Self {
            start: skipped + header.start,
            ..header
        }
    }

    fn within(text: &'a str, is_known: &dyn Fn(&str, u32) -> bool) -> Self {
        // The last `host:pid:tid [gpu]`; warnings have `file:line` or `function:line` after it.
        let mut end = text.len();
        while let Some(open) = text[..end].rfind('[') {
            let inside = &text[open + 1..];
            let count = digits(inside);
            if count > 0 && inside[count..].starts_with(']') {
                let gpu = leading_number(inside);
                if let (Some((host, pid)), start) = process_at_end(text[..open].trim_end()) {
                    let (host, start) = unglued(host, pid, start, is_known);
                    return Self {
                        start,
                        process: Some((host, pid)),
                        gpu,
                    };
                }
            }
            end = open;
        }
        // Without the GPU: a line that was cut, or a tool that rewrote it.
        match process_at_end(text.trim_end()) {
            (Some((host, pid)), start) => {
                let (host, start) = unglued(host, pid, start, is_known);
                Self {
                    start,
                    process: Some((host, pid)),
                    gpu: None,
                }
            }
            (None, _) => Self {
                start: text.len(),
                process: None,
                gpu: None,
            },
        }
    }
}

/// `host:pid:tid` at the end of text, and where it starts.
fn process_at_end(text: &str) -> (Option<(&str, u32)>, usize) {
    let none = (None, text.len());
    let Some((rest, tid)) = text.rsplit_once(':') else {
        return none;
    };
    if let Some(pid) = process_of_neuron(rest, tid) {
        return (Some(("", pid)), text.len());
    }
    let Some((rest, pid)) = rest.rsplit_once(':') else {
        return none;
    };
    if tid.is_empty() || tid.len() > 10 || digits(tid) != tid.len() || digits(pid) != pid.len() {
        return none;
    }
    let Ok(pid) = pid.parse() else {
        return none;
    };
    if rest.is_empty() {
        // The host was torn off.
        return (Some(("", pid)), 0);
    }
    let start = rest
        .char_indices()
        .rev()
        .take_while(|(_, c)| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        .last()
        .map_or(rest.len(), |(at, _)| at);
    let host = &rest[start..];
    if host.is_empty() || host.len() > 253 {
        return none;
    }
    (Some((host, pid)), start)
}

/// The process of Neuron's `date time pid:tid`, which names no host.
fn process_of_neuron(before_tid: &str, tid: &str) -> Option<u32> {
    let (before, pid) = before_tid.rsplit_once(' ')?;
    let is_number = |text: &str| !text.is_empty() && digits(text) == text.len();
    let time = before.rsplit(' ').next()?;
    let is_time = time.split(':').count() == 3 && time.starts_with(|c: char| c.is_ascii_digit());
    if is_time && is_number(pid) && is_number(tid) {
        return pid.parse().ok();
    }
    None
}

/// The host without the end of another message that stands directly before it.
fn unglued<'a>(
    host: &'a str,
    pid: u32,
    start: usize,
    is_known: &dyn Fn(&str, u32) -> bool,
) -> (&'a str, usize) {
    if is_known(host, pid) {
        return (host, start);
    }
    if let Some(cut) = (1..host.len()).find(|&cut| is_known(&host[cut..], pid)) {
        return (&host[cut..], start + cut);
    }
    // A host that is not known yet, behind a word with which messages end.
    ["Libfabric", "Socket", "GDRDMA"]
        .iter()
        .filter_map(|word| Some((word.len(), host.strip_prefix(word)?)))
        .find(|(_, host)| host.starts_with(|c: char| c.is_ascii_alphanumeric()))
        .map_or((host, start), |(cut, host)| (host, start + cut))
}

/// The part of a line in which a launcher's label is.
fn start_of(text: &str) -> &str {
    let mut end = text.len().min(4 * PREFIX_LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Rank, host and process of what torchrun, Ray, Open MPI, srun and kubectl put before a line.
fn launcher_label(text: &str) -> Origin<'_> {
    let mut origin = Origin::default();
    if let Some(rest) = after(text, "[rank") {
        origin.rank = leading_number(rest);
    } else if let Some(rest) = after(text, "[1,") {
        // Open MPI --tag-output: [job,rank]<stdout>:
        if rest
            .get(digits(rest)..)
            .is_some_and(|rest| rest.starts_with("]<"))
        {
            origin.rank = leading_number(rest);
        }
    } else {
        // srun --label: `3: `, the number at the very start and a space after the colon.
        let label = text.trim_start();
        let count = digits(label);
        if count > 0 && count < 7 && label[count..].starts_with(": ") {
            origin.rank = leading_number(label);
        }
    }
    if let Some(rest) = after(text, "pid=") {
        origin.pid = leading_number(rest).unwrap_or(0);
    }
    if let Some(rest) = after(text, "ip=") {
        origin.host = word(rest);
    } else if let Some(rest) = after(text, "pod/") {
        origin.host = word(rest);
    }
    origin
}

fn after<'a>(text: &'a str, needle: &str) -> Option<&'a str> {
    text.find(needle).map(|at| &text[at + needle.len()..])
}

fn word(text: &str) -> &str {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .unwrap_or(text.len());
    &text[..end.min(253)]
}

/// How many bytes at the start are digits.
pub(super) fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The number at the start.
pub(super) fn leading_number(text: &str) -> Option<u32> {
    text[..digits(text)].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Host, process, GPU, rank, text, and whether it may be cut.
    type Parts = (String, u32, Option<u32>, Option<u32>, String, bool);

    fn parts(line: &str) -> Vec<Parts> {
        let known = |host: &str, pid: u32| host == "ip-10-0-0-1" && pid == 7;
        messages(line, &known)
            .into_iter()
            .map(|m| {
                let o = m.origin;
                (
                    o.host.to_owned(),
                    o.pid,
                    o.gpu,
                    o.rank,
                    m.text.to_owned(),
                    m.may_be_cut,
                )
            })
            .collect()
    }

    #[test]
    fn prefixes_of_launchers_and_collectors() {
        let plain = "ip-10-0-0-1:7:9 [3] NCCL INFO Using network Libfabric";
        for (line, host, pid, gpu, rank) in [
            (plain.to_owned(), "ip-10-0-0-1", 7, Some(3), None),
            (format!("[rank3]: {plain}"), "ip-10-0-0-1", 7, Some(3), Some(3)),
            (format!("[1,26]<stdout>:{plain}"), "ip-10-0-0-1", 7, Some(3), Some(26)),
            (format!(" 5: {plain}"), "ip-10-0-0-1", 7, Some(3), Some(5)),
            (format!("(Worker pid=950, ip=10.6.1.2) {plain}"), "ip-10-0-0-1", 7, Some(3), None),
            (format!("[pod/train-1/main] {plain}"), "ip-10-0-0-1", 7, Some(3), None),
            (format!("2025-05-16T16:39:51.208-07:00 | {plain}"), "ip-10-0-0-1", 7, Some(3), None),
            (format!("10.3.35.83: {plain}"), "ip-10-0-0-1", 7, Some(3), None),
            (format!("{plain} [repeated 15x across cluster]"), "ip-10-0-0-1", 7, Some(3), None),
            (format!("{{\"message\":\"{plain}\",\"stream\":\"stdout\"}}"), "ip-10-0-0-1", 7, Some(3), None),
            (format!("{{\"log\":\"{plain}\\n\",\"stream\":\"stdout\"}}"), "ip-10-0-0-1", 7, Some(3), None),
            (
                "[2026-01-02 03:04:05] ip-10-0-0-1:7:9 [0] src/init.cc:12 NCCL WARN Using network Libfabric".into(),
                "ip-10-0-0-1", 7, Some(0), None,
            ),
            (
                "ip-10-0-0-1:7:9 [0] net.cc:12 (init) NCCL WARN Using network Libfabric".into(),
                "ip-10-0-0-1", 7, Some(0), None,
            ),
            (
                "(Worker pid=950, ip=10.6.1.2) NCCL INFO Using network Libfabric".into(),
                "10.6.1.2", 950, None, None,
            ),
            ("NCCL INFO Using network Libfabric".into(), "", 0, None, None),
        ] {
            assert_eq!(
                parts(&line),
                [(host.to_owned(), pid, gpu, rank, "Using network Libfabric".into(), false)],
                "{line}"
            );
        }
    }

    #[test]
    fn interleaved_messages_are_taken_apart() {
        let line = "a-1:5:6 [0] NCCL INFO NET/OFI Selected pro\
                    ip-10-0-0-1:7:9 [1] NCCL INFO Using network Libfabric";
        assert_eq!(
            parts(line),
            [
                (
                    "a-1".into(),
                    5,
                    Some(0),
                    None,
                    "NET/OFI Selected pro".into(),
                    true
                ),
                (
                    "ip-10-0-0-1".into(),
                    7,
                    Some(1),
                    None,
                    "Using network Libfabric".into(),
                    false
                ),
            ]
        );
        // An unknown host cannot be separated from what it is glued to.
        let line = "a-1:5:6 [0] NCCL INFO x yb-2:8:9 [1] NCCL INFO z";
        assert_eq!(parts(line)[1].0, "yb-2");
    }

    #[test]
    fn lines_without_a_level() {
        for (line, host, pid, text) in [
            (
                "NCCL version 2.21.5+cuda12.8",
                "",
                0,
                "NCCL version 2.21.5+cuda12.8",
            ),
            (
                "(W pid=9, ip=10.0.0.3) NCCL version 2.21.5",
                "10.0.0.3",
                9,
                "NCCL version 2.21.5",
            ),
            (
                "libfabric:85:17474::core:x",
                "",
                85,
                "libfabric:85:17474::core:x",
            ),
            (
                "INFO: Function: ofi_init Line: 686: NET/OFI Selected Provider is efa",
                "",
                0,
                "NET/OFI Selected Provider is efa",
            ),
        ] {
            assert_eq!(
                parts(line),
                [(host.into(), pid, None, None, text.into(), false)]
            );
        }
        for line in [
            "",
            "step 3: loss 0.1",
            "NCCL",
            "NCCL INFO",
            "[NCCL info]",
            "[[[0] NCCL x",
        ] {
            assert_eq!(parts(line), [], "{line}");
        }
    }
}
