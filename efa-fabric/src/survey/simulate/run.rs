//! How a simulated survey went, judged by what is known to be wrong.

use super::super::conclusion::Conclusion;
use super::super::observation::Observations;
use super::super::verdict::{Confidence, Severity, Subject, Verdict, VerdictKind};
use super::fault::Fault;

/// The course of a simulated survey.
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
    /// Returns whether a fault was named: the right subject, and what is wrong with it, not with
    /// low confidence.
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
        self.unexplained(faults, Severity::Warning).count()
    }

    /// Returns the same, of faults only, with the nodes to take out that nothing is wrong with.
    #[must_use]
    pub fn false_faults(&self, faults: &[Fault]) -> usize {
        let bad = |&&node: &&usize| !faults.iter().any(|fault| is_of(&fault.truth().0, node));
        self.unexplained(faults, Severity::Fault).count()
            + self.conclusion.drain.iter().filter(bad).count()
    }

    fn unexplained<'a>(
        &'a self,
        faults: &'a [Fault],
        least: Severity,
    ) -> impl Iterator<Item = &'a Verdict> {
        // Several slow links are a structure.
        let is_link = |fault: &&Fault| matches!(fault, Fault::SlowLink { .. });
        let slow_links = faults.iter().filter(is_link).count();
        self.conclusion
            .verdicts
            .iter()
            .filter(move |v| v.severity >= least && v.kind != VerdictKind::NotEnoughData)
            .filter(move |v| !(v.kind == VerdictKind::Structure && slow_links > 1))
            .filter(move |v| {
                faults.iter().all(|fault| {
                    let (subject, kind) = fault.truth();
                    // Where a fault shows in pairs or the whole of a small cluster, that is true.
                    let below = v.kind == VerdictKind::BelowExpected
                        && (v.subject == Subject::Cluster || about(&subject, v));
                    // A node that fails or halves in part is bad, whatever it is called.
                    let unstable = kind == VerdictKind::Unstable && v.subject == subject;
                    !below && !unstable && (v.subject != subject || v.kind != kind)
                })
            })
    }
}

fn is_of(subject: &Subject, of: usize) -> bool {
    matches!(*subject, Subject::Node { node } | Subject::Rail { node, .. } if node == of)
}

/// Whether a verdict is about a node of this subject.
fn about(subject: &Subject, verdict: &Verdict) -> bool {
    let nodes = verdict.nodes();
    match *subject {
        Subject::Cluster | Subject::Group { .. } | Subject::GroupPath { .. } => true,
        Subject::Node { node } | Subject::Rail { node, .. } => nodes.contains(&node),
        Subject::Link { a, b } => nodes.contains(&a) || nodes.contains(&b),
    }
}
