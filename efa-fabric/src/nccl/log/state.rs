//! What is remembered of each process while a log is read: facts, counts, causes; bounded.

use std::collections::BTreeMap;

use super::causes::{Cause, cause_of};
use super::channel::{Channels, Via, channel};
use super::message::{Message, digits, leading_number};
use super::report::Evidence;

/// Bytes that are kept of a name, a version or a word.
const WORD_LIMIT: usize = 64;
/// Bytes that are kept of a line as evidence.
const EVIDENCE_LIMIT: usize = 300;

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
}

impl Process {
    /// Takes one message of this process.
    pub(super) fn take(&mut self, line: u64, message: &Message<'_>) {
        self.has_nccl_lines |= message.is_nccl;
        self.has_info_lines |= message.is_info;
        self.gpu = self.gpu.or(message.origin.gpu);
        self.label_rank = self.label_rank.or(message.origin.rank);
        let text = message.text;
        if let Some((number, via)) = channel(text, message.may_be_cut) {
            self.take_channel(number, via);
            return;
        }
        let lower = text.to_ascii_lowercase();
        let text = Text {
            text,
            lower: &lower,
            may_be_cut: message.may_be_cut,
        };
        self.take_nccl(line, &text);
        if lower.contains("net/ofi") {
            self.has_plugin_lines = true;
            self.take_plugin(line, &text);
        }
        if let Some(cause) = cause_of(&lower) {
            self.note(cause, line, text.text);
        }
    }

    /// Remembers the first line of a cause.
    pub(super) fn note(&mut self, cause: Cause, line: u64, text: &str) {
        self.causes
            .entry(cause)
            .or_insert_with(|| Evidence::new(line, limited(text, EVIDENCE_LIMIT)));
    }

    fn take_channel(&mut self, number: u32, via: Via<'_>) {
        self.channels.count(number, via);
        if let Via::Network { name, .. } = via {
            let is_known = self.channel_networks.contains_key(name);
            if is_known || self.channel_networks.len() < 8 {
                *self
                    .channel_networks
                    .entry(limited(name, WORD_LIMIT))
                    .or_default() += 1;
            }
        }
    }

    fn take_nccl(&mut self, line: u64, text: &Text<'_>) {
        if let Some(name) = text.after("using network ") {
            let name = name.trim();
            if !name.is_empty() && (!text.may_be_cut || is_known_network(name)) {
                self.network = Some(limited(name, WORD_LIMIT));
            }
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
        if let Some(using) = text.after("using ")
            && text.lower.starts_with("bootstrap")
        {
            let name = using.trim_start().trim_start_matches("[0]");
            let is_local = |prefix: &&str| name.starts_with(prefix);
            if ["lo:", "docker", "veth"].iter().any(is_local) {
                self.note(Cause::BootstrapOnLoopback, line, text.text);
            }
        }
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

    fn take_plugin(&mut self, line: u64, text: &Text<'_>) {
        if let Some(rest) = text.after("selected provider is ") {
            self.take_provider(line, rest, text.may_be_cut);
        }
        if text.lower.contains("nic group ") && text.lower.contains("device #0") {
            let group = text.after("nic group ").and_then(leading_number);
            if let Some(group) = group.filter(|&group| group < 256) {
                self.nic_groups = self.nic_groups.max(group + 1);
            }
        }
        if text.may_be_cut {
            return;
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
    }

    /// `efa`, `efa (found 16 nics)` or `efa, fabric is efa-direct (found 16 nics)`.
    fn take_provider(&mut self, line: u64, rest: &str, may_be_cut: bool) {
        let end = rest.find([',', '(', ' ']).unwrap_or(rest.len());
        let provider = rest[..end].trim();
        if provider.is_empty() || (may_be_cut && end == rest.len()) {
            return;
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

fn is_known_network(name: &str) -> bool {
    is_libfabric(name) || name == "Socket" || name == "IB"
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

/// Text up to a number of bytes, at a boundary of characters.
pub(super) fn limited(text: &str, limit: usize) -> String {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
