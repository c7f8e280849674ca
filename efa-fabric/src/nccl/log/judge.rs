//! From what is remembered of each process to the report.

use std::collections::BTreeMap;

use super::causes::{Cause, Severity, Stage};
use super::channel::Channels;
use super::expectation::Expectation;
use super::report::{Evidence, Finding, Host, Network, Rank, Reason, Report, Verdict};
use super::state::{Process, is_efa, is_libfabric};
use crate::provider;

/// How many processes a finding names.
const NAMED_RANKS: usize = 8;

/// Everything that was read.
pub(super) struct Gathered<'a> {
    pub(super) processes: Vec<Process>,
    pub(super) expectation: &'a Expectation,
    pub(super) lines: u64,
    pub(super) messages: u64,
    pub(super) is_deduplicated: bool,
    pub(super) processes_left_out: u64,
}

/// The report of everything that was read.
pub(super) fn report(log: Gathered<'_>) -> Report {
    let (processes, shared_version) = attributed(log.processes);
    let job = Job::of(&processes);
    let mut ranks = Vec::with_capacity(processes.len());
    let mut findings = Findings::default();
    let mut channels = Channels::default();
    for process in &processes {
        channels.add(&process.channels);
        let rank = judge(process, &job, log.expectation, &mut findings);
        ranks.push(rank);
    }
    ranks.sort_by(|a, b| {
        (a.rank.is_none(), a.rank, &a.host, a.pid).cmp(&(b.rank.is_none(), b.rank, &b.host, b.pid))
    });
    let mut network = common_network(&ranks);
    network.nccl_version = network.nccl_version.or(shared_version);
    disagreements(&ranks, &mut findings);
    if log.is_deduplicated {
        findings.note(Cause::LinesLeftOut);
    }
    if log.processes_left_out > 0 {
        findings.note(Cause::TooManyProcesses);
    }
    let verdict = overall(ranks.iter());
    let mut findings = findings.sorted();
    if verdict != Verdict::NotInitialised {
        findings.retain(|finding| finding.cause != Cause::NoInfoLines);
    }
    let mut verdict = degraded_by(verdict, &findings);
    let mut reason = overall_reason(verdict, &ranks);
    if ranks.is_empty() && log.messages > 0 {
        verdict = Verdict::NotInitialised;
        reason = Some(without_line(Cause::NoInfoLines));
    }
    Report {
        verdict,
        reason,
        network,
        nics_expected: log.expectation.nics,
        channels,
        findings,
        hosts: hosts(&ranks),
        ranks,
        lines: log.lines,
        messages: log.messages,
    }
}

/// Processes that NCCL named, with what came without a name: libfabric's lines have a process
/// but no host, and the version banner has neither.
fn attributed(processes: Vec<Process>) -> (Vec<Process>, Option<String>) {
    let (mut named, loose): (Vec<_>, Vec<_>) = processes
        .into_iter()
        .partition(|p| p.has_nccl_lines || p.provider.is_some());
    let mut version = None;
    for process in loose {
        version = version.or(process.nccl_version);
        if named.is_empty() && !process.causes.is_empty() {
            named.push(Process {
                nccl_version: None,
                ..process
            });
            continue;
        }
        for (cause, evidence) in &process.causes {
            // The rest of a warning of several lines: its first line names the process.
            let is_told = named.iter().any(|owner| owner.causes.contains_key(cause));
            for owner in &mut named {
                let is_owner = match process.pid {
                    0 => !is_told,
                    pid => pid == owner.pid,
                };
                if is_owner && (process.host.is_empty() || process.host == owner.host) {
                    owner.note(*cause, evidence.line, &evidence.text);
                }
            }
        }
    }
    (named, version)
}

/// What the processes say together.
struct Job {
    /// Every provider that was named is efa, and one was.
    is_efa: bool,
    /// Channels were opened, none of them over a network, in one node.
    is_one_node: bool,
}

impl Job {
    fn of(processes: &[Process]) -> Self {
        let mut providers = processes
            .iter()
            .filter_map(|p| p.provider.as_deref())
            .peekable();
        let channels = processes.iter().map(|p| p.channels.total()).sum::<u64>();
        let over_network = processes.iter().map(|p| p.channels.network()).sum::<u64>();
        let nodes = processes.iter().filter_map(|p| p.nodes).max();
        let first = processes.first().map(|p| &p.host);
        let one_host = processes.iter().all(|p| Some(&p.host) == first);
        let largest = processes
            .iter()
            .filter_map(|p| p.communicator)
            .map(|(_, size)| size as usize)
            .max();
        let is_whole = largest.is_none_or(|size| size <= processes.len().max(1) * 16);
        Self {
            is_efa: providers.peek().is_some() && providers.all(is_efa),
            is_one_node: channels > 0
                && over_network == 0
                && nodes.map_or(one_host && is_whole, |nodes| nodes <= 1),
        }
    }
}

fn judge(process: &Process, job: &Job, expectation: &Expectation, findings: &mut Findings) -> Rank {
    let (mut verdict, mut reason) = network_verdict(process, job);
    let label_rank = process
        .label_rank
        .or(process.communicator.map(|(rank, _)| rank));
    let mut rank = Rank {
        rank: label_rank,
        host: (!process.host.is_empty()).then(|| process.host.clone()),
        pid: (process.pid != 0).then_some(process.pid),
        gpu: process.gpu,
        verdict,
        reason: None,
        network: network(process),
        channels: process.channels.clone(),
    };
    let mut own = Findings::default();
    for (cause, evidence) in &process.causes {
        let is_choice = cause.stage() == Stage::Choice;
        let is_reason = reason.as_ref().is_some_and(|r| r.cause == *cause);
        // What went wrong on the way to EFA is over once EFA was chosen, and of what kept EFA
        // from being chosen one line tells enough.
        if !is_choice || is_reason || (cause.severity() == Severity::Note) {
            own.add(*cause, None, Some(evidence), &rank);
        }
    }
    if let Some(reason) = &reason {
        own.add(reason.cause, None, reason.evidence.as_ref(), &rank);
    }
    if verdict.is_on_efa() {
        device_findings(process, expectation, &rank, &mut own);
        if own.is_degrading() {
            verdict = Verdict::OnEfaDegraded;
        }
    }
    if job.is_one_node && verdict != Verdict::NotInitialised {
        if verdict.is_on_efa() {
            reason = None;
        }
        verdict = Verdict::SharedMemoryOnly;
    }
    rank.verdict = verdict;
    rank.reason = reason;
    findings.merge(own);
    rank
}

/// What a process runs over, and why it is not EFA.
fn network_verdict(process: &Process, job: &Job) -> (Verdict, Option<Reason>) {
    let provider = process.provider.as_deref();
    let chosen = process.network.clone().or_else(|| most_used(process));
    let Some(network) = chosen else {
        // Up to NCCL 2.5 no line names the network: the plugin is used unless it failed.
        let failed = first_cause(process, |cause| cause < Cause::NoReasonLogged);
        return match (provider, failed) {
            (Some(provider), None) if is_efa(provider) => (Verdict::OnEfa, None),
            (Some(provider), Some(failed)) if failed.cause == Cause::ProviderNotEfa => {
                (of_provider(provider), Some(failed))
            }
            (_, failed) => {
                let reason = failed
                    .or_else(|| first_cause(process, |_| true))
                    .unwrap_or(without_line(Cause::NoInfoLines));
                (Verdict::NotInitialised, Some(reason))
            }
        };
    };
    if is_libfabric(&network) {
        return match provider {
            Some(provider) if is_efa(provider) => (Verdict::OnEfa, None),
            Some(provider) => {
                let reason = first_cause(process, |cause| cause == Cause::ProviderNotEfa);
                (of_provider(provider), reason)
            }
            None if job.is_efa => (Verdict::OnEfa, None),
            None => (
                Verdict::OtherNetwork,
                Some(without_line(Cause::ProviderNotLogged)),
            ),
        };
    }
    let verdict = if network.eq_ignore_ascii_case("socket") {
        Verdict::TcpSockets
    } else if network.starts_with("IB") {
        Verdict::Infiniband
    } else {
        Verdict::OtherNetwork
    };
    let reason = first_cause(process, |cause| cause < Cause::NoReasonLogged).unwrap_or_else(|| {
        without_line(if process.is_plugin_loaded && !process.has_plugin_lines {
            Cause::PluginNotTried
        } else {
            Cause::NoReasonLogged
        })
    });
    (verdict, Some(reason))
}

fn of_provider(provider: &str) -> Verdict {
    let mut layers = provider.split(';');
    if layers.clone().any(provider::uses_sockets) {
        Verdict::TcpSockets
    } else if layers.any(|layer| layer == "verbs") {
        Verdict::Infiniband
    } else {
        Verdict::OtherNetwork
    }
}

fn most_used(process: &Process) -> Option<String> {
    process
        .channel_networks
        .iter()
        .max_by_key(|(_, count)| **count)
        .map(|(name, _)| name.clone())
}

fn without_line(cause: Cause) -> Reason {
    Reason {
        cause,
        evidence: None,
    }
}

/// The most fundamental failure among those that `fits`.
fn first_cause(process: &Process, fits: impl Fn(Cause) -> bool) -> Option<Reason> {
    process
        .causes
        .iter()
        .find(|(cause, _)| cause.severity() == Severity::Failed && fits(**cause))
        .map(|(cause, evidence)| Reason {
            cause: *cause,
            evidence: Some(evidence.clone()),
        })
}

fn network(process: &Process) -> Network {
    Network {
        name: process.network.clone().or_else(|| most_used(process)),
        provider: process.provider.clone(),
        fabric: process.fabric.clone(),
        nics_found: process.nics,
        protocol: process.protocol.clone(),
        dmabuf: process.dmabuf,
        rails: process.rails,
        nic_groups: process.nic_groups,
        plugin_version: process.plugin_version.clone(),
        libfabric_version: process.libfabric_version.clone(),
        nccl_version: process.nccl_version.clone(),
    }
}

/// Findings about devices and GPUDirect of a process that is on EFA.
fn device_findings(
    process: &Process,
    expectation: &Expectation,
    rank: &Rank,
    findings: &mut Findings,
) {
    if let (Some(found), Some(expected)) = (process.nics, expectation.nics) {
        let cause = if found < expected {
            Some(Cause::NicsMissing)
        } else {
            (found > expected).then_some(Cause::NicsUnexpected)
        };
        if let Some(cause) = cause {
            let message = format!("the plugin found {found} EFA devices, {expected} are expected");
            findings.add(cause, Some(message), None, rank);
        }
    }
    let channels = &process.channels;
    if channels.staged > 0 && expectation.gpudirect != Some(false) {
        let cause = if channels.gpudirect == 0 {
            Cause::GpudirectMissing
        } else {
            Cause::GpudirectPartial
        };
        findings.add(cause, None, None, rank);
    }
}

/// What the ranks together run over.
fn overall<'a>(ranks: impl Iterator<Item = &'a Rank>) -> Verdict {
    let mut verdicts: Vec<Verdict> = Vec::new();
    let mut is_any = false;
    for rank in ranks {
        is_any = true;
        // A launcher, or a rank whose lines are not in the log, says nothing against the others.
        let is_silent = rank
            .reason
            .as_ref()
            .is_some_and(|r| r.cause == Cause::NoInfoLines);
        if !is_silent {
            verdicts.push(rank.verdict);
        }
    }
    verdicts.sort_unstable();
    verdicts.dedup();
    match verdicts[..] {
        [] if is_any => Verdict::NotInitialised,
        [] => Verdict::NoNcclLines,
        [one] => one,
        [Verdict::OnEfa, Verdict::OnEfaDegraded] => Verdict::OnEfaDegraded,
        _ => Verdict::Mixed,
    }
}

fn degraded_by(verdict: Verdict, findings: &[Finding]) -> Verdict {
    let is_degraded = findings.iter().any(|f| f.severity < Severity::Note);
    if verdict == Verdict::OnEfa && is_degraded {
        return Verdict::OnEfaDegraded;
    }
    verdict
}

fn overall_reason(verdict: Verdict, ranks: &[Rank]) -> Option<Reason> {
    if verdict.is_on_efa() {
        return None;
    }
    let line = |reason: &Reason| reason.evidence.as_ref().map_or(u64::MAX, |e| e.line);
    ranks
        .iter()
        .filter_map(|rank| rank.reason.as_ref())
        .min_by_key(|reason| (reason.cause, line(reason)))
        .cloned()
}

fn hosts(ranks: &[Rank]) -> Vec<Host> {
    let mut by_host: BTreeMap<&str, Vec<&Rank>> = BTreeMap::new();
    for rank in ranks {
        if let Some(host) = &rank.host {
            by_host.entry(host).or_default().push(rank);
        }
    }
    by_host
        .into_iter()
        .map(|(host, ranks)| Host {
            host: host.to_owned(),
            ranks: u32::try_from(ranks.len()).unwrap_or(u32::MAX),
            verdict: overall(ranks.into_iter()),
        })
        .collect()
}

/// What most ranks say.
fn common_network(ranks: &[Rank]) -> Network {
    fn common<T: Ord + Clone>(values: impl Iterator<Item = Option<T>>) -> Option<T> {
        let mut counts: BTreeMap<T, usize> = BTreeMap::new();
        for value in values.flatten() {
            *counts.entry(value).or_default() += 1;
        }
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(value, _)| value)
    }
    let text = |get: fn(&Network) -> &Option<String>| {
        common(ranks.iter().map(|rank| get(&rank.network).clone()))
    };
    Network {
        name: text(|n| &n.name),
        provider: text(|n| &n.provider),
        fabric: text(|n| &n.fabric),
        nics_found: ranks
            .iter()
            .filter_map(|rank| rank.network.nics_found)
            .min(),
        protocol: text(|n| &n.protocol),
        dmabuf: common(ranks.iter().map(|rank| rank.network.dmabuf)),
        rails: common(ranks.iter().map(|rank| rank.network.rails)),
        nic_groups: ranks
            .iter()
            .map(|rank| rank.network.nic_groups)
            .max()
            .unwrap_or(0),
        plugin_version: text(|n| &n.plugin_version),
        libfabric_version: text(|n| &n.libfabric_version),
        nccl_version: text(|n| &n.nccl_version),
    }
}

/// One finding for each thing on which ranks differ.
fn disagreements(ranks: &[Rank], findings: &mut Findings) {
    type Field = fn(&Network) -> Option<String>;
    let fields: [(&str, Field); 8] = [
        ("the network", |n| n.name.clone()),
        ("the provider", |n| n.provider.clone()),
        ("the fabric", |n| n.fabric.clone()),
        ("the number of devices", |n| {
            n.nics_found.map(|nics| nics.to_string())
        }),
        ("the protocol", |n| n.protocol.clone()),
        ("the version of aws-ofi-nccl", |n| n.plugin_version.clone()),
        ("the version of libfabric", |n| n.libfabric_version.clone()),
        ("the version of NCCL", |n| n.nccl_version.clone()),
    ];
    for (name, get) in fields {
        let mut values: BTreeMap<String, Vec<&Rank>> = BTreeMap::new();
        for rank in ranks {
            if let Some(value) = get(&rank.network) {
                values.entry(value).or_default().push(rank);
            }
        }
        if values.len() < 2 {
            continue;
        }
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by_key(|(_, ranks)| std::cmp::Reverse(ranks.len()));
        let told: Vec<_> = values
            .iter()
            .take(4)
            .map(|(value, ranks)| match ranks[..] {
                [one] => format!("{value} on {}", one.label()),
                _ => format!("{value} on {} ranks", ranks.len()),
            })
            .collect();
        let message = format!("{name} differs: {}", told.join(", "));
        let minority = values.iter().skip(1).flat_map(|(_, ranks)| ranks);
        findings.disagreement(message, &minority.copied().collect::<Vec<_>>());
    }
}

/// Findings by cause, each with the processes that it concerns.
#[derive(Default)]
struct Findings {
    by_cause: BTreeMap<(Cause, Option<String>), Finding>,
}

impl Findings {
    fn add(
        &mut self,
        cause: Cause,
        message: Option<String>,
        evidence: Option<&Evidence>,
        rank: &Rank,
    ) {
        let finding = self.entry(cause, message);
        finding.evidence = earlier(finding.evidence.take(), evidence.cloned());
        let label = rank.label();
        if !finding.ranks.contains(&label) {
            finding.ranks.push(label);
            finding.rank_count += 1;
        }
    }

    fn note(&mut self, cause: Cause) {
        self.entry(cause, None);
    }

    fn disagreement(&mut self, message: String, ranks: &[&Rank]) {
        let finding = self.entry(Cause::RanksDisagree, Some(message));
        finding.rank_count = u32::try_from(ranks.len()).unwrap_or(u32::MAX);
        finding.ranks = ranks
            .iter()
            .take(NAMED_RANKS)
            .map(|rank| rank.label())
            .collect();
    }

    fn entry(&mut self, cause: Cause, message: Option<String>) -> &mut Finding {
        self.by_cause
            .entry((cause, message.clone()))
            .or_insert_with(|| Finding {
                cause,
                severity: cause.severity(),
                message: message.unwrap_or_else(|| cause.explanation().to_owned()),
                cure: cause.cure().to_owned(),
                reference: cause.reference().to_owned(),
                evidence: None,
                ranks: Vec::new(),
                rank_count: 0,
            })
    }

    fn is_degrading(&self) -> bool {
        self.by_cause.values().any(|f| f.severity < Severity::Note)
    }

    /// Takes the findings of one process.
    fn merge(&mut self, own: Self) {
        for ((cause, message), finding) in own.by_cause {
            let all = self.entry(cause, message);
            all.evidence = earlier(all.evidence.take(), finding.evidence);
            all.rank_count += finding.rank_count;
            let room = NAMED_RANKS.saturating_sub(all.ranks.len());
            all.ranks.extend(finding.ranks.into_iter().take(room));
        }
    }

    fn sorted(self) -> Vec<Finding> {
        let mut findings: Vec<_> = self.by_cause.into_values().collect();
        findings.sort_by_key(|finding| (finding.severity, finding.cause));
        findings
    }
}

fn earlier(a: Option<Evidence>, b: Option<Evidence>) -> Option<Evidence> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.line < a.line { b } else { a }),
        (a, b) => a.or(b),
    }
}
