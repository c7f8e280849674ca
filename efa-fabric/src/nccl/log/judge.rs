//! From what is remembered of each process, and of everything else in the log, to the report.

use std::collections::BTreeMap;

use super::causes::{Cause, Severity, Stage};
use super::channel::Channels;
use super::expectation::Expectation;
use super::findings::Findings;
use super::outside::{Facts, Outside};
use super::ranks::{Job, judge};
use super::report::{End, Finding, Host, Network, Rank, Reason, Report, Seen, Verdict};
use super::source::Source;
use super::state::{Process, is_efa};

/// Everything that was read.
pub(super) struct Gathered<'a> {
    pub(super) processes: Vec<Process>,
    pub(super) outside: Outside,
    pub(super) expectation: &'a Expectation,
    pub(super) lines: u64,
    pub(super) messages: u64,
    pub(super) is_deduplicated: bool,
    pub(super) processes_left_out: u64,
}

/// The report of everything that was read.
pub(super) fn report(log: Gathered<'_>) -> Report {
    let mut outside = log.outside;
    let settled = super::ranks::settled(log.processes, &mut outside);
    let job = Job::of(&settled);
    let processes = settled.processes;
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
    network.nccl_version = network.nccl_version.or(settled.shared_version);
    disagreements(&ranks, &mut findings);
    if log.is_deduplicated {
        findings.note(Cause::LinesLeftOut);
    }
    if log.expectation.unknown_type.is_some() {
        findings.note(Cause::TypeUnknown);
    }
    if log.processes_left_out > 0 {
        findings.note(Cause::TooManyProcesses);
    }
    let over = choice(&ranks, &outside, log.messages > 0);
    of_outside(&outside, over.is_on_efa(), &mut findings);
    let mut findings = findings.sorted();
    if over != Verdict::NotInitialised {
        findings.retain(|finding| finding.cause != Cause::NoInfoLines);
    }
    let is_init_failed = processes.iter().any(|process| process.is_init_failed);
    let has_end = is_init_failed
        || outside.end.is_some()
        || findings
            .iter()
            .any(|finding| finding.cause.stage() == Stage::End);
    let verdict = with_findings(over, &findings, has_end);
    let reason = reason(verdict, &ranks, &findings);
    let is_orderly = processes.iter().any(|process| process.is_closing);
    Report {
        verdict,
        reason,
        network,
        nics_expected: log.expectation.nics,
        channels,
        findings,
        hosts: hosts(&ranks),
        sources: seen(&processes, &outside),
        end: match (has_end, is_orderly) {
            (true, _) => End::Failed,
            (false, true) => End::Orderly,
            (false, false) => End::NotSeen,
        },
        ranks,
        lines: log.lines,
        messages: log.messages,
    }
}

/// What the job runs over: NCCL's word where it has one, else that of another program.
fn choice(ranks: &[Rank], outside: &Outside, has_messages: bool) -> Verdict {
    let nccl = overall(ranks.iter());
    let has_word = !matches!(nccl, Verdict::NoNcclLines | Verdict::NotInitialised);
    if has_word {
        return nccl;
    }
    let is_silent = ranks.iter().all(|rank| {
        let cause = rank.reason.as_ref().map(|reason| reason.cause);
        cause == Some(Cause::NoInfoLines)
    });
    if !is_silent {
        return nccl;
    }
    let others: Vec<_> = outside
        .sources
        .iter()
        .filter_map(|(source, facts)| verdict_of(*source, facts, outside))
        .collect();
    if let Some(worst) = others.iter().find(|verdict| !verdict.is_on_efa()) {
        return *worst;
    }
    if let Some(first) = others.first() {
        return *first;
    }
    let is_choice = |cause: &Cause| cause.stage() == Stage::Choice;
    if outside.causes.keys().any(is_choice) || !ranks.is_empty() {
        return Verdict::NotInitialised;
    }
    match (outside.is_empty(), has_messages) {
        (false, _) => Verdict::NotJudged,
        // The banner with the version alone.
        (true, true) => Verdict::NotInitialised,
        (true, false) => Verdict::NoNcclLines,
    }
}

/// What a program other than NCCL runs over, where its lines state this.
fn verdict_of(source: Source, facts: &Facts, outside: &Outside) -> Option<Verdict> {
    let over = facts.over.as_deref();
    match source {
        Source::Nixl => {
            let has_devices = facts.count() > 0 || outside.fabric.is_some();
            (facts.is_ready && has_devices).then_some(Verdict::OnEfa)
        }
        Source::Nvshmem | Source::OpenMpi => over.map(|over| {
            if is_efa(over) {
                Verdict::OnEfa
            } else {
                super::ranks::of_provider(over)
            }
        }),
        Source::Ucx => match over? {
            "srd" => Some(Verdict::OnEfa),
            "tcp" => Some(Verdict::TcpSockets),
            _ => Some(Verdict::Infiniband),
        },
        _ => None,
    }
}

/// Findings of what is not NCCL's.
fn of_outside(outside: &Outside, is_on_efa: bool, findings: &mut Findings) {
    for (cause, (evidence, source)) in &outside.causes {
        let title = match source {
            Source::Nccl | Source::Neuron | Source::Program => None,
            other => Some(format!("{}: {}", other.title(), cause.explanation())),
        };
        if cause.stage() == Stage::Choice && is_on_efa {
            let message = format!("EFA was chosen all the same: {}", cause.explanation());
            findings.note_of_job(*cause, message, evidence);
        } else {
            findings.of_job(*cause, title, evidence);
        }
    }
    for (source, unknown) in &outside.unknown {
        findings.unknown(source.title(), unknown, None);
    }
}

/// The verdict with what speaks against it, and with how the job ended.
fn with_findings(over: Verdict, findings: &[Finding], has_end: bool) -> Verdict {
    let may_fail = over.is_on_efa()
        || matches!(
            over,
            Verdict::SharedMemoryOnly | Verdict::NotJudged | Verdict::NoNcclLines
        );
    if may_fail && has_end {
        return Verdict::JobFailed;
    }
    let is_failed = findings.iter().any(|f| f.severity == Severity::Failed);
    if over == Verdict::NotJudged && is_failed {
        return Verdict::JobFailed;
    }
    degraded_by(over, findings)
}

/// The most fundamental of the causes: the ranks' own where they are not on EFA.
fn reason(verdict: Verdict, ranks: &[Rank], findings: &[Finding]) -> Option<Reason> {
    if verdict.is_on_efa() || verdict == Verdict::NotJudged {
        return None;
    }
    let of_ranks = overall_reason(ranks);
    let is_silent = of_ranks
        .as_ref()
        .is_none_or(|r| r.cause == Cause::NoInfoLines);
    if verdict != Verdict::JobFailed && !is_silent {
        return of_ranks;
    }
    let of_findings = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Failed)
        .min_by_key(|finding| finding.cause)
        .map(|finding| Reason {
            cause: finding.cause,
            evidence: finding.evidence.clone(),
        });
    of_findings.or(of_ranks).or_else(|| {
        let is_silent = verdict == Verdict::NotInitialised;
        is_silent.then_some(Reason {
            cause: Cause::NoInfoLines,
            evidence: None,
        })
    })
}

/// Whose lines the log has, and what was made of them.
fn seen(processes: &[Process], outside: &Outside) -> Vec<Seen> {
    let mut all: BTreeMap<Source, Seen> = BTreeMap::new();
    for process in processes {
        let source = if process.is_neuron {
            Source::Neuron
        } else {
            Source::Nccl
        };
        if process.has_nccl_lines || process.has_plugin_lines {
            let seen = all.entry(source).or_insert_with(|| Seen {
                source,
                lines: 0,
                is_judged: true,
                summary: String::new(),
            });
            seen.lines += process.messages;
        }
        for (part, (_, lines)) in &process.parts {
            let seen = all.entry(*part).or_insert_with(|| Seen {
                source: *part,
                lines: 0,
                is_judged: false,
                summary: "its warnings are read, its traffic is not judged".to_owned(),
            });
            seen.lines += lines;
        }
        if process.causes.contains_key(&Cause::DiagnosticFailed) {
            all.entry(Source::NcclDiagnostics).or_insert_with(|| Seen {
                source: Source::NcclDiagnostics,
                lines: 1,
                is_judged: true,
                summary: "reports a fault".to_owned(),
            });
        }
    }
    for (source, facts) in &outside.sources {
        let has_cause = outside.causes.values().any(|(_, of)| of == source)
            || outside.unknown.contains_key(source);
        let judged = verdict_of(*source, facts, outside);
        all.insert(
            *source,
            Seen {
                source: *source,
                lines: facts.lines,
                is_judged: judged.is_some() || has_cause,
                summary: summary(*source, facts, judged, has_cause),
            },
        );
    }
    all.into_values().collect()
}

/// What the lines of a source state, in a few words.
fn summary(source: Source, facts: &Facts, judged: Option<Verdict>, has_cause: bool) -> String {
    let devices = facts.count();
    let over = facts.over.as_deref().unwrap_or("a network");
    if let Some(verdict) = judged {
        let where_to = if verdict.is_on_efa() { "EFA" } else { "no EFA" };
        return format!("set up over {over}, {where_to}; no transfer is judged");
    }
    let others: Vec<_> = facts.others().take(4).collect();
    match source {
        Source::FiInfo if devices > 0 => {
            format!("efa is offered with {devices} domains; no job is seen")
        }
        Source::FiInfo if !others.is_empty() => {
            format!("offers {} and no efa; no job is seen", others.join(", "))
        }
        Source::IbvDevinfo | Source::Lspci => {
            format!("{devices} EFA devices; no job is seen")
        }
        Source::Libfabric if devices > 0 => format!("{devices} verbs devices"),
        Source::FiPingpong => "does not show which provider it measured".to_owned(),
        _ if has_cause => "an error is read, its network is not judged".to_owned(),
        _ => "not judged".to_owned(),
    }
}

/// What the ranks together run over.
fn overall<'a>(ranks: impl Iterator<Item = &'a Rank>) -> Verdict {
    let mut verdicts: Vec<Verdict> = Vec::new();
    let mut is_any = false;
    for rank in ranks {
        is_any = true;
        // A launcher, or a rank whose lines are not in the log, states nothing against the others.
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

fn overall_reason(ranks: &[Rank]) -> Option<Reason> {
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

/// What most ranks report.
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
        let shown: Vec<_> = values
            .iter()
            .take(4)
            .map(|(value, ranks)| match ranks[..] {
                [one] => format!("{value} on {}", one.label()),
                _ => format!("{value} on {} ranks", ranks.len()),
            })
            .collect();
        let message = format!("{name} differs: {}", shown.join(", "));
        let minority = values.iter().skip(1).flat_map(|(_, ranks)| ranks);
        findings.disagreement(message, &minority.copied().collect::<Vec<_>>());
    }
}
