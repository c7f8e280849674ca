//! What is remembered of each process while a log is read: facts, counts, causes; bounded.

use std::collections::{BTreeMap, BTreeSet};

use super::causes::{Cause, Stage};
use super::channel::{Channels, Via, channel};
use super::libfabric::{self, Said};
use super::message::{Level, Message, digits, leading_number};
use super::report::Evidence;
use super::rules::{Place, cause_of};
use super::source::Source;
use super::text::{EVIDENCE_LIMIT, WORD_LIMIT, limited};
use super::unknown::Unknowns;

/// One process, or everything that came without a process.
#[derive(Debug, Clone, Default)]
pub(super) struct Process {
    pub(super) host: String,
    pub(super) pid: u32,
    pub(super) gpu: Option<u32>,
    /// The rank that the launcher gave.
    pub(super) label_rank: Option<u32>,
    /// The rank in the largest communicator, and how large that is.
    pub(super) communicator: Option<(u32, u32)>,
    pub(super) nodes: Option<u32>,
    pub(super) network: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) fabric: Option<String>,
    pub(super) nics: Option<u32>,
    pub(super) protocol: Option<String>,
    pub(super) platform: Option<String>,
    pub(super) plugin_version: Option<String>,
    pub(super) libfabric_version: Option<String>,
    pub(super) nccl_version: Option<String>,
    pub(super) dmabuf: Option<bool>,
    pub(super) rails: Option<u32>,
    pub(super) nic_groups: u32,
    pub(super) is_plugin_loaded: bool,
    pub(super) has_plugin_lines: bool,
    pub(super) has_info_lines: bool,
    pub(super) has_nccl_lines: bool,
    pub(super) channels: Channels,
    /// Channels over each network, by its name; a log has a few names.
    pub(super) channel_networks: BTreeMap<String, u64>,
    /// The first line of each cause.
    pub(super) causes: BTreeMap<Cause, Evidence>,
    /// Causes that stood in a warning.
    pub(super) warned: BTreeSet<Cause>,
    /// Warnings about the choice of a network that came after the choice.
    pub(super) late: BTreeMap<Cause, Evidence>,
    /// Warnings and errors that no rule knows.
    pub(super) unknown: Unknowns,
    /// The first warning that shows more than that something failed.
    pub(super) first_warning: Option<Evidence>,
    /// The first call that failed, and the first of those that fail in every shutdown too.
    pub(super) failed_call: Option<Evidence>,
    pub(super) failed_socket: Option<Evidence>,
    /// A communicator could not be made.
    pub(super) is_init_failed: bool,
    /// A communicator was closed in order.
    pub(super) is_closing: bool,
    /// The value of `NCCL_NET_PLUGIN`, and the line that states this.
    pub(super) plugin_named: Option<(String, Evidence)>,
    /// The plugin reports, not as a warning, that there is no GPUDirect RDMA.
    pub(super) no_gpudirect: Option<Evidence>,
    /// The line that names the network or the provider is cut.
    pub(super) torn: Option<Evidence>,
    pub(super) messages: u64,
    pub(super) is_neuron: bool,
    /// Parts of NCCL that use the network by themselves, with how many lines.
    pub(super) parts: BTreeMap<Source, (u64, u64)>,
}

/// What a message leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Whole,
    /// The line that names the network or the provider breaks off: its end may be on another line.
    Torn,
    /// A channel over a network without a flag, which may be on another line.
    Staged,
}

impl Process {
    /// Takes one message of this process.
    pub(super) fn take(&mut self, line: u64, message: &Message<'_>) -> Taken {
        self.messages += 1;
        self.gpu = self.gpu.or(message.origin.gpu);
        self.label_rank = self.label_rank.or(message.origin.rank);
        if message.speaker.is_none() && message.text.starts_with("libfabric:") {
            self.take_libfabric(line, message.text);
            return Taken::Whole;
        }
        self.has_nccl_lines |= message.speaker.is_some();
        self.is_neuron |= message.speaker == Some(Source::Neuron);
        self.has_info_lines |= message.level == Level::Info;
        if !message.level.is_bad()
            && let Some((number, via)) = channel(message.text, message.may_be_cut)
        {
            if !is_glued(message.text) {
                return self.take_channel(number, via);
            }
            // The end of another line stands behind it, without its prefix.
            let _ = self.take_channel(number, via);
        }
        let lower = message.text.to_ascii_lowercase();
        let text = Text {
            text: message.text,
            lower: &lower,
            may_be_cut: message.may_be_cut,
        };
        let mut taken = self.take_nccl(line, &text);
        if lower.contains("net/ofi") || lower.contains("elected provider is ") {
            self.has_plugin_lines = true;
            if self.take_plugin(line, &text) == Taken::Torn {
                taken = Taken::Torn;
            }
        }
        let glued = (!message.level.is_bad())
            .then(|| glued_warning(message.text))
            .flatten();
        if let Some(warning) = glued {
            let lower = warning.to_ascii_lowercase();
            let text = Text {
                text: warning,
                lower: &lower,
                may_be_cut: false,
            };
            self.take_meaning(line, Level::Warn, false, &text);
        }
        self.take_meaning(line, message.level, message.speaker.is_none(), &text);
        taken
    }

    /// What a message complains about.
    fn take_meaning(&mut self, line: u64, level: Level, is_bare: bool, text: &Text<'_>) {
        let is_bad = level.is_bad();
        let place = if is_bad || is_bare {
            Place::Warning
        } else {
            Place::Information
        };
        let cause = cause_of(text.text, place);
        let evidence = || Evidence::new(line, limited(text.text, EVIDENCE_LIMIT));
        let says_gdr = text.lower.contains("gdr not supported");
        match cause {
            Some(Cause::GpudirectDisabled) if !is_bad && says_gdr => {
                self.no_gpudirect.get_or_insert_with(evidence);
            }
            Some(cause) => {
                if is_bad && cause.stage() == Stage::Choice && self.network.is_some() {
                    self.late.entry(cause).or_insert_with(evidence);
                }
                if is_bad {
                    self.warned.insert(cause);
                }
                self.note(cause, line, text.text);
            }
            None if is_bad && self.causes.values().any(|known| known.line == line) => {}
            None if is_bad => self.unknown.add(line, text.text, level == Level::Abort),
            None if level == Level::Diagnostic => self.take_diagnostic(line, text),
            None => {}
        }
        if is_bad && !cause.is_some_and(Cause::is_consequence) {
            self.first_warning.get_or_insert_with(evidence);
        }
        if level == Level::Info {
            self.take_failed_call(line, text.text);
        }
    }

    /// A line of `NCCL DIAG`: a fault, or nothing.
    fn take_diagnostic(&mut self, line: u64, text: &Text<'_>) {
        const BAD: [&str; 11] = [
            "fail",
            "error",
            "timeout",
            "timed out",
            "unreachable",
            "mismatch",
            "slow",
            "fault",
            "degraded",
            "broken",
            "not ok",
        ];
        // "0 failed" and "no errors" are good news.
        let is_good = [
            "0 fail",
            "0 error",
            "no error",
            "no fail",
            "without error",
            "none failed",
        ]
        .iter()
        .any(|good| text.lower.contains(good));
        if !is_good && BAD.iter().any(|bad| text.lower.contains(bad)) {
            self.note(Cause::DiagnosticFailed, line, text.text);
        }
    }

    /// `transport/net.cc:753 -> 6`: a call that returned an error, with NCCL's number of it.
    fn take_failed_call(&mut self, line: u64, text: &str) {
        let Some((place, result)) = text.split_once(" -> ") else {
            return;
        };
        let Some((file, number)) = place.rsplit_once(':') else {
            return;
        };
        let is_source = [".cc", ".h", ".cpp", ".cu", ".c"]
            .iter()
            .any(|end| file.ends_with(end));
        let is_number = !number.is_empty() && digits(number) == number.len();
        // 0 is success, and 7 means that a call goes on.
        let code = leading_number(result).filter(|code| !matches!(code, 0 | 7));
        if !is_source || !is_number || file.contains(' ') || code.is_none() {
            return;
        }
        let evidence = Evidence::new(line, limited(text, EVIDENCE_LIMIT));
        let closes_in_order = file.ends_with("socket.cc") || file.ends_with("proxy.cc");
        if closes_in_order && code == Some(3) {
            self.failed_socket.get_or_insert(evidence);
            return;
        }
        let is_top = ["init.cc", "group.cc", "enqueue.cc"]
            .iter()
            .any(|top| file.ends_with(top));
        self.is_init_failed |= is_top || result.contains("[Async thread]");
        self.failed_call.get_or_insert(evidence);
    }

    /// A line of libfabric's own log.
    fn take_libfabric(&mut self, line: u64, text: &str) {
        match libfabric::said(text) {
            Said::Cause(cause) => {
                self.warned.insert(cause);
                self.note(cause, line, text);
            }
            Said::Warning => self.unknown.add(line, text, false),
            Said::Opened(_) | Said::Nothing => {}
        }
    }

    /// Remembers the first line of a cause.
    pub(super) fn note(&mut self, cause: Cause, line: u64, text: &str) {
        self.causes
            .entry(cause)
            .or_insert_with(|| Evidence::new(line, limited(text, EVIDENCE_LIMIT)));
    }

    fn take_channel(&mut self, number: u32, via: Via<'_>) -> Taken {
        self.channels.count(number, via);
        let Via::Network {
            name, gpudirect, ..
        } = via
        else {
            return Taken::Whole;
        };
        if let Some(count) = self.channel_networks.get_mut(name) {
            *count += 1;
        } else if self.channel_networks.len() < 8 {
            self.channel_networks.insert(limited(name, WORD_LIMIT), 1);
        }
        if gpudirect {
            Taken::Whole
        } else {
            Taken::Staged
        }
    }

    /// The flag of the last staged channel came on a line of its own.
    pub(super) fn unstage(&mut self) {
        self.channels.unstage();
    }

    fn take_nccl(&mut self, line: u64, text: &Text<'_>) -> Taken {
        let mut taken = Taken::Whole;
        if let Some(name) = text.after("sing network") {
            let name = name.trim();
            if is_cut_network(name) || (text.may_be_cut && !is_known_network(name)) {
                taken = Taken::Torn;
            } else if !name.is_empty() {
                self.network = Some(limited(name, WORD_LIMIT));
            }
        } else if is_cut_key(text, "Using network") {
            taken = Taken::Torn;
        }
        if let Some(version) = text.after("nccl version ")
            && version.starts_with(|c: char| c.is_ascii_digit())
            && !text.may_be_cut
        {
            set(&mut self.nccl_version, first_word(version));
        }
        if text.lower.contains("nranks ") && text.lower.contains("rank ") {
            self.take_communicator(text);
        }
        if text.lower.contains("loaded net plugin")
            || text
                .lower
                .contains("successfully loaded external network plugin")
        {
            self.is_plugin_loaded = true;
        }
        if let Some(value) = text.after("nccl_net_plugin set by environment to ") {
            let value = value.trim().trim_end_matches('.');
            if !value.is_empty() && self.plugin_named.is_none() {
                let evidence = Evidence::new(line, limited(text.text, EVIDENCE_LIMIT));
                self.plugin_named = Some((limited(value, EVIDENCE_LIMIT), evidence));
            }
        }
        self.is_closing |= text
            .lower
            .contains("[service thread] connection closed by localrank")
            || text.lower.contains("destroy complete")
            || text.lower.contains("abort complete");
        self.take_part(line, text);
        if let Some(using) = text.after("using ")
            && text.lower.starts_with("bootstrap")
        {
            let name = using.trim_start().trim_start_matches("[0]");
            let is_local = |prefix: &&str| name.starts_with(prefix);
            if ["lo:", "docker", "veth"].iter().any(is_local) {
                self.note(Cause::BootstrapOnLoopback, line, text.text);
            }
        }
        taken
    }

    /// Lines of GIN and of one-sided operations.
    fn take_part(&mut self, line: u64, text: &Text<'_>) {
        let part = if text.text.starts_with("GIN")
            || text.lower.contains("gdaki")
            || text.lower.contains("net/ofi gin")
        {
            Source::NcclGin
        } else if text.text.starts_with("RMA") || text.lower.contains("net/ofi rma") {
            Source::NcclRma
        } else {
            return;
        };
        let seen = self.parts.entry(part).or_insert((line, 0));
        seen.1 += 1;
    }

    /// `comm 0x… rank 3 nranks 16 cudaDev 3 …` and `rank 0 nRanks 16 nNodes 2 …`.
    fn take_communicator(&mut self, text: &Text<'_>) {
        let number = |key: &str| text.after(key).and_then(leading_number);
        let (Some(rank), Some(size)) = (number(" rank "), number("nranks ")) else {
            return;
        };
        if self.communicator.is_none_or(|(_, largest)| size > largest) {
            self.communicator = Some((rank, size));
        }
        self.nodes = self.nodes.max(number("nnodes "));
    }

    fn take_plugin(&mut self, line: u64, text: &Text<'_>) -> Taken {
        let mut taken = Taken::Whole;
        if let Some(rest) = text.after("elected provider is ") {
            taken = self.take_provider(line, rest, text.may_be_cut);
        } else if is_cut_key(text, "NET/OFI Selected provider is ") {
            taken = Taken::Torn;
        }
        if text.lower.contains("nic group ") && text.lower.contains("device #0") {
            let group = text.after("nic group ").and_then(leading_number);
            if let Some(group) = group.filter(|&group| group < 256) {
                self.nic_groups = self.nic_groups.max(group + 1);
            }
        }
        if text.may_be_cut {
            return taken;
        }
        if let Some(version) = text.after("initializing aws-ofi-nccl ") {
            set(&mut self.plugin_version, first_word(version));
        }
        if let Some(version) = text.after("using libfabric version ") {
            set(&mut self.libfabric_version, first_word(version));
        }
        if let Some(name) = text.after("plugin selected platform: ") {
            set(&mut self.platform, first_word(name));
        }
        if let Some(protocol) = text.after("using transport protocol ") {
            set(&mut self.protocol, first_word(protocol));
        }
        if let Some(answer) = text.after("support for dma-buf registrations: ") {
            self.dmabuf = match first_word(answer) {
                "true" => Some(true),
                "false" => Some(false),
                _ => self.dmabuf,
            };
        }
        if let Some(rails) = text.after("created device with ").and_then(leading_number) {
            self.rails = self.rails.max(Some(rails));
        }
        taken
    }

    /// `efa`, `efa (found 16 nics)` or `efa, fabric is efa-direct (found 16 nics)`.
    fn take_provider(&mut self, line: u64, rest: &str, may_be_cut: bool) -> Taken {
        let end = rest.find([',', '(', ' ']).unwrap_or(rest.len());
        let provider = rest[..end].trim();
        let is_at_end = end == rest.len();
        let is_part_of_efa = is_at_end && "efa".starts_with(provider) && provider != "efa";
        if provider.is_empty() || is_part_of_efa || (may_be_cut && is_at_end && provider != "efa") {
            return Taken::Torn;
        }
        self.provider = Some(limited(provider, WORD_LIMIT));
        if let Some((_, fabric)) = rest.split_once("fabric is ")
            && (fabric.contains(' ') || !may_be_cut)
        {
            set(&mut self.fabric, first_word(fabric));
        }
        if let Some((_, found)) = rest.split_once("(found ")
            && found[digits(found)..].starts_with(" nic")
        {
            self.nics = leading_number(found);
        }
        if !is_efa(provider) {
            self.note(
                Cause::ProviderNotEfa,
                line,
                &format!("Selected provider is {rest}"),
            );
        }
        Taken::Whole
    }

    /// Takes the lines of a process with a torn prefix as this one's.
    pub(super) fn adopt(&mut self, other: Self) {
        self.messages += other.messages;
        self.gpu = self.gpu.or(other.gpu);
        self.label_rank = self.label_rank.or(other.label_rank);
        self.communicator = self.communicator.or(other.communicator);
        self.nodes = self.nodes.max(other.nodes);
        self.network = self.network.take().or(other.network);
        self.provider = self.provider.take().or(other.provider);
        self.fabric = self.fabric.take().or(other.fabric);
        self.nics = self.nics.or(other.nics);
        self.protocol = self.protocol.take().or(other.protocol);
        self.platform = self.platform.take().or(other.platform);
        self.plugin_version = self.plugin_version.take().or(other.plugin_version);
        self.libfabric_version = self.libfabric_version.take().or(other.libfabric_version);
        self.nccl_version = self.nccl_version.take().or(other.nccl_version);
        self.dmabuf = self.dmabuf.or(other.dmabuf);
        self.rails = self.rails.max(other.rails);
        self.nic_groups = self.nic_groups.max(other.nic_groups);
        self.is_plugin_loaded |= other.is_plugin_loaded;
        self.has_plugin_lines |= other.has_plugin_lines;
        self.has_info_lines |= other.has_info_lines;
        self.has_nccl_lines |= other.has_nccl_lines;
        self.channels.add(&other.channels);
        for (name, count) in other.channel_networks {
            *self.channel_networks.entry(name).or_default() += count;
        }
        for (cause, evidence) in other.causes {
            self.note(cause, evidence.line, &evidence.text);
        }
        self.warned.extend(other.warned);
        for (cause, evidence) in other.late {
            self.late.entry(cause).or_insert(evidence);
        }
        self.unknown.adopt(other.unknown);
        self.first_warning = earlier(self.first_warning.take(), other.first_warning);
        self.failed_call = earlier(self.failed_call.take(), other.failed_call);
        self.failed_socket = earlier(self.failed_socket.take(), other.failed_socket);
        self.is_init_failed |= other.is_init_failed;
        self.is_closing |= other.is_closing;
        self.plugin_named = self.plugin_named.take().or(other.plugin_named);
        self.no_gpudirect = earlier(self.no_gpudirect.take(), other.no_gpudirect);
        self.torn = earlier(self.torn.take(), other.torn);
        self.is_neuron |= other.is_neuron;
        for (part, (line, count)) in other.parts {
            let seen = self.parts.entry(part).or_insert((line, 0));
            seen.1 += count;
        }
    }
}

/// Whether the name of a provider is EFA's, with any layer.
pub(super) fn is_efa(provider: &str) -> bool {
    provider
        .split(';')
        .any(|layer| layer.eq_ignore_ascii_case("efa"))
}

/// Whether NCCL's name of a network is the libfabric plugin's.
pub(super) fn is_libfabric(network: &str) -> bool {
    ["libfabric", "aws libfabric", "ofi"]
        .iter()
        .any(|name| network.eq_ignore_ascii_case(name))
}

/// Whether a line of a channel goes on with another line, whose prefix was torn.
fn is_glued(text: &str) -> bool {
    text.contains("rovider is ") || text.contains("sing network ") || text.contains("WARN ")
}

/// The warning that stands behind another message, when `NCCL` before its level was torn.
fn glued_warning(text: &str) -> Option<&str> {
    let at = text.find("WARN ")?;
    let is_level = text[..at].ends_with([' ', 'L']);
    is_level.then(|| text[at + "WARN ".len()..].trim())
}

/// Whether a message is nothing but the beginning of a key. Where another message stands behind it
/// in the line, nothing of it need be left: what looks like a host may begin with it.
fn is_cut_key(text: &Text<'_>, key: &str) -> bool {
    let length = text.text.len();
    (usize::from(!text.may_be_cut)..key.len()).contains(&length)
        && key.is_char_boundary(length)
        && key[..length].eq_ignore_ascii_case(text.text)
}

/// Whether a name is the beginning of a network's name.
fn is_cut_network(name: &str) -> bool {
    ["Libfabric", "AWS Libfabric", "Socket", "IB"]
        .iter()
        .any(|known| known.starts_with(name) && known.len() > name.len())
}

fn is_known_network(name: &str) -> bool {
    is_libfabric(name) || name == "Socket" || name == "IB"
}

/// The earlier of two lines.
pub(super) fn earlier(a: Option<Evidence>, b: Option<Evidence>) -> Option<Evidence> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.line < a.line { b } else { a }),
        (a, b) => a.or(b),
    }
}

struct Text<'a> {
    text: &'a str,
    lower: &'a str,
    may_be_cut: bool,
}

impl<'a> Text<'a> {
    /// What follows a text, which is given in lower case.
    fn after(&self, key: &str) -> Option<&'a str> {
        // Lowering ASCII keeps every offset.
        let at = self.lower.find(key)? + key.len();
        self.text.get(at..)
    }
}

fn set(field: &mut Option<String>, value: &str) {
    if !value.is_empty() {
        *field = Some(limited(value, WORD_LIMIT));
    }
}

fn first_word(text: &str) -> &str {
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .trim_end_matches([',', '.', ')'])
}
