//! What a log states: values, text for terminals, HTML for notebooks, JSON through serde.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::causes::{Cause, Severity};
use super::channel::Channels;
use super::source::Source;

/// The network of a job, or of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// The libfabric plugin with the efa provider, and nothing to complain about.
    OnEfa,
    /// EFA, with a finding that costs speed, or with an error on the way.
    OnEfaDegraded,
    /// TCP: NCCL's own sockets, or libfabric with a TCP provider.
    TcpSockets,
    /// Verbs: NCCL's own, or libfabric's. EC2 has no InfiniBand.
    Infiniband,
    /// Another network, or a libfabric provider that the log does not name.
    OtherNetwork,
    /// One node: every channel stays inside it, so that no network was needed.
    SharedMemoryOnly,
    /// NCCL chose no network, or the log does not have the line.
    NotInitialised,
    /// No line of NCCL.
    NoNcclLines,
    /// Some ranks on one network, some on another.
    Mixed,
    /// The job ended with an error, whatever it ran over.
    JobFailed,
    /// Lines of known programs or tools, none of which states what a job runs over.
    NotJudged,
}

impl Verdict {
    /// Returns the word, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnEfa => "on_efa",
            Self::OnEfaDegraded => "on_efa_degraded",
            Self::TcpSockets => "tcp_sockets",
            Self::Infiniband => "infiniband",
            Self::OtherNetwork => "other_network",
            Self::SharedMemoryOnly => "shared_memory_only",
            Self::NotInitialised => "not_initialised",
            Self::NoNcclLines => "no_nccl_lines",
            Self::Mixed => "mixed",
            Self::JobFailed => "job_failed",
            Self::NotJudged => "not_judged",
        }
    }

    /// Returns one sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::OnEfa => "NCCL uses EFA",
            Self::OnEfaDegraded => "NCCL uses EFA, but not as it should",
            Self::TcpSockets => "NCCL uses TCP, not EFA",
            Self::Infiniband => "NCCL uses verbs, not EFA",
            Self::OtherNetwork => "NCCL uses a network that is not known to be EFA",
            Self::SharedMemoryOnly => "NCCL stays inside one node: this shows nothing about EFA",
            Self::NotInitialised => "no network was chosen in this log",
            Self::NoNcclLines => "no line of NCCL: run with NCCL_DEBUG=INFO",
            Self::Mixed => "the ranks do not use one network",
            Self::JobFailed => "the job ended with an error",
            Self::NotJudged => "no line of this log shows which network a job uses",
        }
    }

    /// Returns whether data goes over EFA.
    #[must_use]
    pub const fn is_on_efa(self) -> bool {
        matches!(self, Self::OnEfa | Self::OnEfaDegraded)
    }

    /// Returns the exit status of a command: 0 on EFA, 1 on EFA with warnings, 2 not on EFA or a
    /// failed job, 3 the log does not report it.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::OnEfa => 0,
            Self::OnEfaDegraded => 1,
            Self::TcpSockets
            | Self::Infiniband
            | Self::OtherNetwork
            | Self::NotInitialised
            | Self::Mixed
            | Self::JobFailed => 2,
            Self::SharedMemoryOnly | Self::NoNcclLines | Self::NotJudged => 3,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// Its number, from 1.
    pub line: u64,
    /// The message in it, at most 300 bytes.
    pub text: String,
}

impl Evidence {
    pub(super) fn new(line: u64, text: String) -> Self {
        Self { line, text }
    }
}

/// The reason why a process is not on EFA.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reason {
    /// The most fundamental cause.
    pub cause: Cause,
    /// The line that states this; none where the cause is that no line states anything.
    pub evidence: Option<Evidence>,
}

/// A finding to act on, or to know.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it is.
    pub cause: Cause,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in one line, with the numbers of this log.
    pub message: String,
    /// What to do.
    pub cure: String,
    /// Where that comes from.
    pub reference: String,
    /// The first line that shows it.
    pub evidence: Option<Evidence>,
    /// The first 8 processes that it concerns.
    pub ranks: Vec<String>,
    /// How many processes it concerns.
    pub rank_count: u32,
}

/// A network as the log shows it; a field is `None` where no line shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Network {
    /// NCCL's name: `Libfabric`, `AWS Libfabric`, `Socket`, `IB`.
    pub name: Option<String>,
    /// libfabric's provider, such as `efa` or `tcp;ofi_rxm`.
    pub provider: Option<String>,
    /// libfabric's fabric: `efa` or `efa-direct`; from aws-ofi-nccl 1.14.
    pub fabric: Option<String>,
    /// Devices that the plugin found; from aws-ofi-nccl 1.7.
    pub nics_found: Option<u32>,
    /// `RDMA` or `SENDRECV`; from aws-ofi-nccl 1.7.
    pub protocol: Option<String>,
    /// Whether memory is registered as DMA-BUF; from aws-ofi-nccl 1.13.
    pub dmabuf: Option<bool>,
    /// Rails of a device of the plugin; from aws-ofi-nccl 1.14.
    pub rails: Option<u32>,
    /// Groups of devices, one for each GPU or PCIe switch; 0 where no line states it.
    pub nic_groups: u32,
    /// Version of aws-ofi-nccl; from 1.7.
    pub plugin_version: Option<String>,
    /// Version of libfabric; from aws-ofi-nccl 1.9.
    pub libfabric_version: Option<String>,
    /// Version of NCCL, which often only rank 0 prints.
    pub nccl_version: Option<String>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rank {
    /// Its rank: the launcher's, else the one in the largest communicator.
    pub rank: Option<u32>,
    /// Its host, pod or address.
    pub host: Option<String>,
    /// Its process id.
    pub pid: Option<u32>,
    /// Its first CUDA device.
    pub gpu: Option<u32>,
    /// What it runs over.
    pub verdict: Verdict,
    /// Why it is not on EFA.
    pub reason: Option<Reason>,
    /// What it reports of its network.
    pub network: Network,
    /// Its channels.
    pub channels: Channels,
}

impl Rank {
    /// Returns a label such as `rank 3 (ip-10-0-0-1:512)`.
    #[must_use]
    pub fn label(&self) -> String {
        let process = match (&self.host, self.pid) {
            (Some(host), Some(pid)) => Some(format!("{host}:{pid}")),
            (Some(host), None) => Some(host.clone()),
            (None, Some(pid)) => Some(format!("process {pid}")),
            (None, None) => None,
        };
        match (self.rank, process) {
            (Some(rank), Some(process)) => format!("rank {rank} ({process})"),
            (Some(rank), None) => format!("rank {rank}"),
            (None, Some(process)) => process,
            (None, None) => "a process that the log does not name".to_owned(),
        }
    }
}

/// The processes of one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Host {
    /// Its name, or address.
    pub host: String,
    /// How many processes wrote to the log.
    pub ranks: u32,
    /// What they run over.
    pub verdict: Verdict,
}

/// Lines of one program in the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Seen {
    /// Whose lines.
    pub source: Source,
    /// How many.
    pub lines: u64,
    /// Whether the verdict takes what they report of the network into account.
    pub is_judged: bool,
    /// What they report, in a few words.
    pub summary: String,
}

/// The end of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum End {
    /// The log does not reach the end: the job runs, or the log is cut.
    NotSeen,
    /// A communicator was closed in order.
    Orderly,
    /// With an error.
    Failed,
}

impl End {
    /// Returns the word, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSeen => "not_seen",
            Self::Orderly => "orderly",
            Self::Failed => "failed",
        }
    }
}

/// The findings of an NCCL log about the network; `Display` is the text form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// What the job runs over.
    pub verdict: Verdict,
    /// Why it is not on EFA.
    pub reason: Option<Reason>,
    /// What most processes report; `nics_found` is the smallest.
    pub network: Network,
    /// Devices that the caller expects.
    pub nics_expected: Option<u32>,
    /// Channels of all processes.
    pub channels: Channels,
    /// Worst first.
    pub findings: Vec<Finding>,
    /// Every process, by rank.
    pub ranks: Vec<Rank>,
    /// Every host, by name.
    pub hosts: Vec<Host>,
    /// Whose lines the log has, and whether they are judged.
    pub sources: Vec<Seen>,
    /// How the job ended, according to the log.
    pub end: End,
    /// Lines of the log.
    pub lines: u64,
    /// Messages of NCCL and its plugin in it.
    pub messages: u64,
}

impl Report {
    /// Returns 0 on EFA, 1 on EFA with warnings, 2 not on EFA, 3 the log does not state it.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        self.verdict.exit_code()
    }

    /// Returns the verdict in one sentence, which names the program that it is about.
    #[must_use]
    pub fn sentence(&self) -> String {
        let sentence = self.verdict.sentence();
        let is_nccl = |seen: &&Seen| matches!(seen.source, Source::Nccl | Source::Neuron);
        if self
            .sources
            .iter()
            .any(|seen| is_nccl(&seen) && seen.source == Source::Nccl)
        {
            return sentence.to_owned();
        }
        let judged: Vec<_> = self
            .sources
            .iter()
            .filter(|seen| seen.is_judged)
            .map(|seen| seen.source.title())
            .collect();
        if judged.is_empty() || !sentence.starts_with("NCCL") {
            return sentence.to_owned();
        }
        sentence.replacen("NCCL", &judged.join(" and "), 1)
    }

    /// Returns the text form as HTML, for notebooks: escaped, without scripts.
    #[must_use]
    pub fn to_html(&self) -> String {
        efa_core::html::preformatted(&self.to_string())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.verdict, self.sentence())?;
        if let Some(reason) = &self.reason {
            write!(f, "; {}: {}", reason.cause, reason.cause.explanation())?;
        }
        writeln!(f)?;
        self.network.write(f, self.nics_expected)?;
        if self.channels.total() > 0 {
            write!(
                f,
                "  channels   {} over a network, {} of them with GPUDirect RDMA",
                self.channels.network(),
                self.channels.gpudirect
            )?;
            writeln!(
                f,
                "; {} peer to peer, {} over shared memory",
                self.channels.peer_to_peer, self.channels.shared_memory
            )?;
        }
        if !self.ranks.is_empty() {
            write!(
                f,
                "  processes  {} on {} hosts",
                self.ranks.len(),
                self.hosts.len()
            )?;
            let mut verdicts: Vec<_> = self.ranks.iter().map(|rank| rank.verdict).collect();
            verdicts.sort_unstable();
            for (at, group) in verdicts.chunk_by(|a, b| a == b).enumerate() {
                let comma = if at == 0 { ": " } else { ", " };
                write!(f, "{comma}{} {}", group.len(), group[0])?;
            }
            writeln!(f)?;
        }
        for seen in &self.sources {
            if !seen.summary.is_empty() {
                writeln!(f, "  also seen  {}: {}", seen.source.title(), seen.summary)?;
            }
        }
        let end = match self.end {
            End::NotSeen => "the end of the job is not in this log",
            End::Orderly => "the job closed in order",
            End::Failed => "the job ended with an error",
        };
        writeln!(
            f,
            "  read       {} lines, {} messages; {end}",
            self.lines, self.messages
        )?;
        for finding in &self.findings {
            finding.write(f, self.ranks.len())?;
        }
        Ok(())
    }
}

impl Network {
    fn write(&self, f: &mut fmt::Formatter<'_>, expected: Option<u32>) -> fmt::Result {
        let named = [
            ("", &self.name),
            ("provider ", &self.provider),
            ("fabric ", &self.fabric),
            ("protocol ", &self.protocol),
        ];
        write_list(f, "network", &named)?;
        match (self.nics_found, expected) {
            (Some(found), Some(expected)) => {
                writeln!(f, "  devices    {found} of {expected} expected")?;
            }
            (Some(found), None) => writeln!(f, "  devices    {found}")?,
            (None, Some(expected)) => writeln!(f, "  devices    not logged, {expected} expected")?,
            (None, None) => {}
        }
        let versions = [
            ("NCCL ", &self.nccl_version),
            ("aws-ofi-nccl ", &self.plugin_version),
            ("libfabric ", &self.libfabric_version),
        ];
        write_list(f, "versions", &versions)
    }
}

fn write_list(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    values: &[(&str, &Option<String>)],
) -> fmt::Result {
    let known: Vec<_> = values
        .iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}{value}")))
        .collect();
    if known.is_empty() {
        return Ok(());
    }
    writeln!(f, "  {title:<9}  {}", known.join(", "))
}

impl Finding {
    fn write(&self, f: &mut fmt::Formatter<'_>, all: usize) -> fmt::Result {
        writeln!(f, "{} {}: {}", self.severity, self.cause, self.message)?;
        if let Some(evidence) = &self.evidence {
            writeln!(f, "    line {}: {}", evidence.line, evidence.text)?;
        }
        let count = self.rank_count as usize;
        if count > 0 && count < all {
            let more = count.saturating_sub(self.ranks.len());
            write!(f, "    on {}", self.ranks.join(", "))?;
            if more > 0 {
                write!(f, " and {more} more")?;
            }
            writeln!(f)?;
        }
        if self.severity < Severity::Note {
            writeln!(f, "    cure: {}", self.cure)?;
        }
        Ok(())
    }
}
