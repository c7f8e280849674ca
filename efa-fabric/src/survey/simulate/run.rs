//! How a simulated survey went, judged by what is known to be wrong.

use super::super::conclusion::Conclusion;
use super::super::observation::Observations;
use super::super::verdict::{Confidence, Severity, Subject, Verdict, VerdictKind};
use super::fault::Fault;

/// How a simulated survey went.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Run {
    /// Everything that was measured.
    pub observations: Observations,
    /// What was concluded.
    pub conclusion: Conclusion,
    /// Rounds in all.
    pub rounds: usize,
    /// Messages between the driver and the nodes: four per pair, one per node to begin with.
    pub messages: usize,
    /// Rounds that waited for a deadline, because a pair failed.
    pub deadlines: usize,
}

impl Run {
    /// Whether a fault was named: the right subject, and what is wrong with it, not with low
    /// confidence.
    #[must_use]
    pub fn names(&self, fault: &Fault) -> bool {
        let truth = fault.truth();
        self.conclusion
            .verdicts
            .iter()
            .any(|v| (v.subject, v.kind) == truth && v.confidence > Confidence::Low)
    }

    /// Verdicts about anything that none of these faults explains. Statements that there is not
    /// enough data are not alarms.
    #[must_use]
    pub fn false_alarms(&self, faults: &[Fault]) -> usize {
        self.conclusion
            .verdicts
            .iter()
            .filter(|v| v.severity > Severity::Info && v.kind != VerdictKind::NotEnoughData)
            .filter(|v| {
                faults.iter().all(|fault| {
                    let (subject, kind) = fault.truth();
                    // Where a fault shows in pairs or the whole of a small cluster, that is true.
                    let below = v.kind == VerdictKind::BelowExpected
                        && (v.subject == Subject::Cluster || about(&subject, v));
                    !below && (v.subject != subject || v.kind != kind)
                })
            })
            .count()
    }
}

/// Whether a verdict is about a node of this subject.
fn about(subject: &Subject, verdict: &Verdict) -> bool {
    let nodes = verdict.nodes();
    match *subject {
        Subject::Cluster => true,
        Subject::Node { node } | Subject::Rail { node, .. } => nodes.contains(&node),
        Subject::Link { a, b } => nodes.contains(&a) || nodes.contains(&b),
    }
}
