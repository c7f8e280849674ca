//! Processes: which there are, what each runs over, and why it is not EFA.

use std::collections::HashMap;

use super::causes::{Cause, Severity, Stage};
use super::expectation::Expectation;
use super::findings::Findings;
use super::outside::Outside;
use super::report::{Network, Rank, Reason, Verdict};
use super::source::Source;
use super::state::{Process, is_efa, is_libfabric};
use crate::provider;

/// The processes of a log.
pub(super) struct Settled {
    pub(super) processes: Vec<Process>,
    /// The version of NCCL, which a banner states without a process.
    pub(super) shared_version: Option<String>,
    /// Whether a line that lost its prefix names efa as the provider.
    pub(super) is_efa_named: bool,
}

/// Processes that NCCL named, with what came without a name: libfabric's lines have a process
/// but no host, and the version banner has neither. What belongs to no process goes to `outside`.
pub(super) fn settled(processes: Vec<Process>, outside: &mut Outside) -> Settled {
    let processes = without_phantoms(processes);
    let (named, loose): (Vec<_>, Vec<_>) = processes
        .into_iter()
        .partition(|p| p.has_nccl_lines || p.provider.is_some() || p.network.is_some());
    let (mut named, is_efa_named) = without_anonymous(named, outside);
    let mut version = None;
    for process in loose {
        version = version.or(process.nccl_version.clone());
        let mut has_owner = false;
        for (cause, evidence) in &process.causes {
            // The rest of a warning of several lines: its first line names the process.
            let is_reported = named.iter().any(|owner| owner.causes.contains_key(cause));
            for owner in &mut named {
                let is_owner = match process.pid {
                    0 => !is_reported,
                    pid => pid == owner.pid,
                };
                if is_owner && (process.host.is_empty() || process.host == owner.host) {
                    owner.note(*cause, evidence.line, &evidence.text);
                    if process.warned.contains(cause) {
                        owner.warned.insert(*cause);
                    }
                    has_owner = true;
                }
            }
            if !has_owner && !is_reported {
                outside.note(*cause, evidence.line, &evidence.text, source_of(&process));
            }
        }
        let owner = named
            .iter_mut()
            .find(|owner| process.pid != 0 && owner.pid == process.pid);
        match owner {
            Some(owner) => owner.unknown.adopt(process.unknown),
            None if process.unknown.is_empty() => {}
            None => outside
                .unknown
                .entry(source_of(&process))
                .or_default()
                .adopt(process.unknown),
        }
    }
    for process in &mut named {
        name_causes(process);
    }
    Settled {
        processes: named,
        shared_version: version,
        is_efa_named,
    }
}

fn source_of(process: &Process) -> Source {
    if process.has_plugin_lines || process.has_nccl_lines {
        Source::Nccl
    } else {
        Source::Libfabric
    }
}

/// Processes whose prefix was torn, or glued to another line, given back to the process that they
/// are: the same process id, and a host that ends as the other's.
fn without_phantoms(processes: Vec<Process>) -> Vec<Process> {
    let places: HashMap<(&str, u32), usize> = processes
        .iter()
        .enumerate()
        .map(|(at, p)| ((p.host.as_str(), p.pid), at))
        .collect();
    let mut of_pid: HashMap<u32, Vec<usize>> = HashMap::new();
    for (at, process) in processes.iter().enumerate() {
        let same = of_pid.entry(process.pid).or_default();
        // Two are enough to know that there is more than one other.
        if same.len() < 3 {
            same.push(at);
        }
    }
    let mut owners: Vec<Option<usize>> = vec![None; processes.len()];
    for (at, process) in processes.iter().enumerate() {
        if process.pid == 0 {
            continue;
        }
        let host = process.host.as_str();
        if host.is_empty() {
            // A prefix without its host, or libfabric's, which names none.
            let mut same = of_pid[&process.pid].iter().filter(|&&other| other != at);
            if let (Some(&owner), None) = (same.next(), same.next()) {
                owners[at] = Some(owner);
            }
            continue;
        }
        for cut in (1..host.len()).filter(|cut| host.is_char_boundary(*cut)) {
            let Some(&short) = places.get(&(&host[cut..], process.pid)) else {
                continue;
            };
            let (phantom, owner) = if processes[short].messages < process.messages {
                (short, at)
            } else {
                (at, short)
            };
            if processes[phantom].messages < processes[owner].messages {
                owners[phantom].get_or_insert(owner);
            }
        }
    }
    let mut all: Vec<Option<Process>> = processes.into_iter().map(Some).collect();
    // Smallest first, so that a phantom of a phantom arrives.
    let mut phantoms: Vec<usize> = (0..all.len()).filter(|&at| owners[at].is_some()).collect();
    phantoms.sort_by_key(|&at| all[at].as_ref().map_or(0, |p| p.messages));
    for at in phantoms {
        if let (Some(owner), Some(phantom)) = (owners[at], all[at].take()) {
            match &mut all[owner] {
                Some(owner) => owner.adopt(phantom),
                gone @ None => *gone = Some(phantom),
            }
        }
    }
    all.into_iter().flatten().collect()
}

/// Processes without those of lines that lost their prefix, where the log has prefixes: they are
/// none of their own, and what they complain about is the job's. One that names another network
/// than EFA stays.
fn without_anonymous(named: Vec<Process>, outside: &mut Outside) -> (Vec<Process>, bool) {
    let has_hosts = named.iter().any(|process| !process.host.is_empty());
    let is_nobody = |process: &Process| {
        let is_on_efa = process.provider.as_deref().is_none_or(is_efa)
            && process.network.as_deref().is_none_or(is_libfabric);
        has_hosts
            && process.host.is_empty()
            && process.pid == 0
            && process.label_rank.is_none()
            && is_on_efa
    };
    let (nobody, named): (Vec<_>, Vec<_>) = named.into_iter().partition(is_nobody);
    let is_efa_named = nobody
        .iter()
        .any(|process| process.provider.as_deref().is_some_and(is_efa));
    for process in nobody {
        for (cause, evidence) in &process.causes {
            outside.note(*cause, evidence.line, &evidence.text, Source::Nccl);
        }
        if let Some(call) = &process.failed_call {
            outside.note(Cause::CallFailed, call.line, &call.text, Source::Nccl);
        }
        let unknown = outside.unknown.entry(Source::Nccl).or_default();
        unknown.adopt(process.unknown);
        if unknown.is_empty() {
            outside.unknown.remove(&Source::Nccl);
        }
    }
    (named, is_efa_named)
}

/// Causes that follow from two lines together.
fn name_causes(process: &mut Process) {
    let is_on_efa = process.network.as_deref().is_some_and(is_libfabric)
        || process.provider.as_deref().is_some_and(is_efa);
    if let Some((value, evidence)) = &process.plugin_named
        && !is_plugin_of_efa(value)
        && !value.eq_ignore_ascii_case("none")
        && !is_on_efa
    {
        process
            .causes
            .insert(Cause::OtherPluginNamed, evidence.clone());
    }
    let missing = process.causes.get(&Cause::PluginNotFound).and_then(|e| {
        let (_, names) = e.text.split_once("Could not find: ")?;
        let other = !names.split(' ').any(is_plugin_of_efa);
        other.then(|| e.clone())
    });
    if let Some(evidence) = missing
        && !is_on_efa
        && process.plugin_named.is_none()
    {
        process
            .causes
            .entry(Cause::OtherPluginNamed)
            .or_insert(evidence);
    }
    let no_efa = process.causes.contains_key(&Cause::NoEligibleProvider);
    if no_efa && let Some(evidence) = process.causes.get(&Cause::ProviderNotEfa).cloned() {
        process.causes.insert(Cause::EfaNotOffered, evidence);
    }
}

/// Whether a value of `NCCL_NET_PLUGIN`, a name, a file or a list, means aws-ofi-nccl.
pub(crate) fn is_plugin_of_efa(value: &str) -> bool {
    value.split(',').any(|one| {
        let one = one.trim().trim_end_matches('.').to_ascii_lowercase();
        let is_other = ["hpcx", "sharp", "spcx", "rdma_sharp"]
            .iter()
            .any(|other| one.contains(other));
        let file = one.rsplit('/').next().unwrap_or_default();
        let file = file.split(".so").next().unwrap_or_default();
        let name = file
            .strip_prefix("libnccl-net-")
            .or_else(|| file.strip_prefix("libnccl-net"))
            .unwrap_or(file);
        !is_other
            && (matches!(name, "ofi" | "aws-ofi" | "aws-ofi-nccl")
                || (name.is_empty() && file == "libnccl-net"))
    })
}

/// What the processes report together.
pub(super) struct Job {
    /// Every provider that was named is efa, and one was.
    is_efa: bool,
    /// Channels were opened, none of them over a network, in one node.
    is_one_node: bool,
}

impl Job {
    pub(super) fn of(settled: &Settled) -> Self {
        let processes = &settled.processes;
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
            is_efa: (providers.peek().is_some() || settled.is_efa_named) && providers.all(is_efa),
            is_one_node: channels > 0
                && over_network == 0
                && nodes.map_or(one_host && is_whole, |nodes| nodes <= 1),
        }
    }
}

/// What is to be reported of one process.
pub(super) fn judge(
    process: &Process,
    job: &Job,
    expectation: &Expectation,
    findings: &mut Findings,
) -> Rank {
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
        // from being chosen one line is enough.
        if !is_choice || is_reason || (cause.severity() == Severity::Note) {
            own.add(*cause, None, Some(evidence), &rank);
        } else if verdict.is_on_efa() && process.warned.contains(cause) {
            match process.late.get(cause) {
                Some(late) => own.add(*cause, None, Some(late), &rank),
                None => own.overcome(*cause, evidence, &rank),
            }
        }
    }
    if let Some(reason) = &reason {
        let before = process
            .first_warning
            .as_ref()
            .filter(|_| reason.cause.is_consequence());
        match before {
            Some(first) => {
                let message = format!(
                    "{}; the first warning before it, line {}: {}",
                    reason.cause.explanation(),
                    first.line,
                    first.text
                );
                own.replace(reason.cause, message, reason.evidence.as_ref(), &rank);
            }
            None => own.add(reason.cause, None, reason.evidence.as_ref(), &rank),
        }
    }
    own.unknown(
        if process.is_neuron { "Neuron" } else { "NCCL" },
        &process.unknown,
        Some(&rank),
    );
    let failed_socket = process
        .failed_socket
        .as_ref()
        .filter(|_| !process.is_closing);
    if let Some(call) = process.failed_call.as_ref().or(failed_socket) {
        own.add(Cause::CallFailed, None, Some(call), &rank);
    }
    if let Some(torn) = &process.torn {
        own.add(Cause::TornLines, None, Some(torn), &rank);
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
            (Some(provider), Some(failed)) if is_other_provider(failed.cause) => {
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
                let reason = first_cause(process, is_other_provider);
                (of_provider(provider), reason)
            }
            // The line is torn, which is a finding of its own.
            None if job.is_efa || process.torn.is_some() => (Verdict::OnEfa, None),
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

pub(super) fn of_provider(provider: &str) -> Verdict {
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

fn is_other_provider(cause: Cause) -> bool {
    matches!(cause, Cause::ProviderNotEfa | Cause::EfaNotOffered)
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
    let says_none = process.no_gpudirect.as_ref();
    if channels.staged > 0 && expectation.gpudirect != Some(false) {
        let is_unknown = expectation.gpudirect.is_none();
        let cause = if channels.gpudirect == 0 && says_none.is_some() && is_unknown {
            Cause::GpudirectNotOffered
        } else if channels.gpudirect == 0 {
            Cause::GpudirectMissing
        } else {
            Cause::GpudirectPartial
        };
        findings.add(cause, None, says_none, rank);
    } else if let (Some(evidence), Some(true)) = (says_none, expectation.gpudirect) {
        findings.add(Cause::GpudirectDisabled, None, Some(evidence), rank);
    }
}
