//! Findings while they are gathered: by cause, each with the processes that it concerns.

use std::collections::BTreeMap;

use super::causes::{Cause, Severity};
use super::report::{Evidence, Finding, Rank};
use super::state::earlier;
use super::unknown::Unknowns;

/// How many processes a finding names.
const NAMED_RANKS: usize = 8;
/// How many different texts that no rule knows become findings of their own.
const UNKNOWN: usize = 32;

/// What stands for those that are not listed: after every other in the alphabet.
const MORE: &str = "~";
const MORE_MESSAGE: &str = "further lines that no rule of this version knows are not listed";

/// Findings by cause, and by what distinguishes those of one cause.
#[derive(Default)]
pub(super) struct Findings {
    by_cause: BTreeMap<(Cause, String), Finding>,
    /// How many of them are of no rule.
    unknown: usize,
}

impl Findings {
    /// A cause of a process, in the words of the table or in others.
    pub(super) fn add(
        &mut self,
        cause: Cause,
        message: Option<String>,
        evidence: Option<&Evidence>,
        rank: &Rank,
    ) {
        let key = message.clone().unwrap_or_default();
        let finding = self.entry(cause, key, message);
        finding.evidence = earlier(finding.evidence.take(), evidence.cloned());
        concerns(finding, rank);
    }

    /// A cause of a process in words that differ between processes: those of the first are kept.
    pub(super) fn replace(
        &mut self,
        cause: Cause,
        message: String,
        evidence: Option<&Evidence>,
        rank: &Rank,
    ) {
        let finding = self.entry(cause, String::new(), None);
        finding.message = message;
        finding.evidence = earlier(finding.evidence.take(), evidence.cloned());
        concerns(finding, rank);
    }

    /// A warning on the way to EFA, which was chosen all the same.
    pub(super) fn overcome(&mut self, cause: Cause, evidence: &Evidence, rank: &Rank) {
        let message = format!("EFA was chosen after this warning: {}", cause.explanation());
        let finding = self.entry(cause, message.clone(), Some(message));
        finding.severity = Severity::Note;
        finding.evidence = earlier(finding.evidence.take(), Some(evidence.clone()));
        concerns(finding, rank);
    }

    /// What no rule knows, quoted.
    pub(super) fn unknown(&mut self, who: &str, unknown: &Unknowns, rank: Option<&Rank>) {
        for one in &unknown.kept {
            let cause = if one.is_error {
                Cause::UnknownError
            } else {
                Cause::UnknownWarning
            };
            let message = format!("{}: {who}: \"{}\"", cause.explanation(), one.evidence.text);
            let finding = self.entry(cause, one.shape.clone(), Some(message));
            finding.evidence = earlier(finding.evidence.take(), Some(one.evidence.clone()));
            if let Some(rank) = rank {
                concerns(finding, rank);
            }
        }
        if unknown.left_out > 0 {
            let finding = self.entry(Cause::UnknownWarning, MORE.to_owned(), None);
            finding.message = MORE_MESSAGE.to_owned();
            if let Some(rank) = rank {
                concerns(finding, rank);
            }
        }
    }

    /// A cause of the whole job.
    pub(super) fn note(&mut self, cause: Cause) {
        self.entry(cause, String::new(), None);
    }

    /// A cause that a line of another program shows, unless a process has it already.
    pub(super) fn of_job(&mut self, cause: Cause, message: Option<String>, evidence: &Evidence) {
        if self.has(cause) {
            return;
        }
        let finding = self.entry(cause, String::new(), message);
        finding.evidence = earlier(finding.evidence.take(), Some(evidence.clone()));
    }

    /// A cause of the whole job that is for information only.
    pub(super) fn note_of_job(&mut self, cause: Cause, message: String, evidence: &Evidence) {
        if self.has(cause) {
            return;
        }
        let finding = self.entry(cause, message.clone(), Some(message));
        finding.severity = Severity::Note;
        finding.evidence = Some(evidence.clone());
    }

    /// A thing on which ranks differ.
    pub(super) fn disagreement(&mut self, message: String, ranks: &[&Rank]) {
        let finding = self.entry(Cause::RanksDisagree, message.clone(), Some(message));
        finding.rank_count = u32::try_from(ranks.len()).unwrap_or(u32::MAX);
        finding.ranks = ranks
            .iter()
            .take(NAMED_RANKS)
            .map(|rank| rank.label())
            .collect();
    }

    fn has(&self, cause: Cause) -> bool {
        self.by_cause.keys().any(|(known, _)| *known == cause)
    }

    fn entry(&mut self, cause: Cause, key: String, message: Option<String>) -> &mut Finding {
        self.by_cause
            .entry((cause, key))
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

    pub(super) fn is_degrading(&self) -> bool {
        self.by_cause.values().any(|f| f.severity < Severity::Note)
    }

    /// Takes the findings of one process.
    pub(super) fn merge(&mut self, own: Self) {
        for ((cause, mut key), mut finding) in own.by_cause {
            if is_unknown(cause) && !self.by_cause.contains_key(&(cause, key.clone())) {
                self.unknown += 1;
                if self.unknown > UNKNOWN {
                    MORE.clone_into(&mut key);
                    MORE_MESSAGE.clone_into(&mut finding.message);
                }
            }
            let all = self
                .by_cause
                .entry((cause, key))
                .or_insert_with(|| Finding {
                    evidence: None,
                    ranks: Vec::new(),
                    rank_count: 0,
                    ..finding.clone()
                });
            all.evidence = earlier(all.evidence.take(), finding.evidence);
            all.severity = all.severity.min(finding.severity);
            all.rank_count += finding.rank_count;
            let room = NAMED_RANKS.saturating_sub(all.ranks.len());
            all.ranks.extend(finding.ranks.into_iter().take(room));
        }
    }

    /// Worst first.
    pub(super) fn sorted(self) -> Vec<Finding> {
        let mut findings: Vec<_> = self.by_cause.into_values().collect();
        let is_specific = |cause: Cause| {
            matches!(
                cause,
                Cause::RemoteKeyRefused | Cause::LockedMemory | Cause::DescriptorMissing
            )
        };
        if findings.iter().any(|finding| is_specific(finding.cause)) {
            // What libfabric met is known: that it was internal adds nothing.
            findings.retain(|finding| finding.cause != Cause::InternalError);
        }
        // A line that states what happened is no second finding for stating that it was an error.
        let lines: Vec<_> = findings
            .iter()
            .filter(|finding| finding.cause != Cause::JobError)
            .filter_map(|finding| Some(finding.evidence.as_ref()?.line))
            .collect();
        findings.retain(|finding| {
            let line = finding.evidence.as_ref().map(|evidence| evidence.line);
            finding.cause != Cause::JobError || !line.is_some_and(|line| lines.contains(&line))
        });
        findings.sort_by_key(|finding| (finding.severity, finding.cause));
        findings
    }
}

fn is_unknown(cause: Cause) -> bool {
    matches!(cause, Cause::UnknownError | Cause::UnknownWarning)
}

fn concerns(finding: &mut Finding, rank: &Rank) {
    let label = rank.label();
    if !finding.ranks.contains(&label) {
        if finding.ranks.len() < NAMED_RANKS {
            finding.ranks.push(label);
        }
        finding.rank_count += 1;
    }
}
