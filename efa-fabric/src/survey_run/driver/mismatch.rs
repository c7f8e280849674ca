//! Pairs whose nodes do not fit together by their set-ups, such as two versions of libfabric: no
//! evidence against a node or a link.

use std::collections::BTreeMap;

use super::Survey;
use crate::survey::{Conclusion, Outcome, PairObservation, Subject, Verdict};
use crate::survey_run::node::Node;
use crate::survey_run::state::NodeState;

/// Pairs in one sentence at most.
const NAMED: usize = 4;

impl Survey {
    /// Marks nodes as absent that fit with none, where others were measured.
    pub(super) fn mark_misfits(&self, nodes: &mut [Node]) {
        if !nodes.iter().any(|node| node.state == NodeState::Measured) {
            return;
        }
        for (number, node) in nodes.iter_mut().enumerate() {
            let of_node = |o: &PairObservation| o.a == number || o.b == number;
            if node.state == NodeState::Joined && self.all_failures_are_mismatches(&of_node) {
                let mut own = self.mismatches.iter();
                let why = own.find(|((a, b), _)| *a == number || *b == number);
                if let Some((_, (code, why))) = why {
                    let (code, why) = (code.clone(), why.clone());
                    node.state = NodeState::Absent { code, why };
                }
            }
        }
    }

    /// Takes what is reported against nodes and links out whose every failure is a mismatch, and states
    /// which pairs those are.
    pub(super) fn excuse_mismatches(&self, conclusion: &mut Conclusion) -> Vec<String> {
        if self.mismatches.is_empty() {
            return Vec::new();
        }
        conclusion.verdicts.retain(|verdict| {
            let is_failure = verdict.evidence.code.is_some();
            let nodes = verdict.nodes();
            let of_subject = |o: &PairObservation| match verdict.subject {
                Subject::Cluster => true,
                Subject::Link { a, b } => (o.a, o.b) == (a, b),
                _ => nodes.iter().any(|&node| o.a == node || o.b == node),
            };
            !(is_failure && self.all_failures_are_mismatches(&of_subject))
        });
        let blamed: Vec<usize> = conclusion.faults().flat_map(Verdict::nodes).collect();
        conclusion.drain.retain(|node| blamed.contains(node));
        let mut by_cause = BTreeMap::<&str, Vec<String>>::new();
        for ((a, b), (_, why)) in &self.mismatches {
            let pair = format!("{} and {}", self.nodes[*a].name, self.nodes[*b].name);
            by_cause.entry(why).or_default().push(pair);
        }
        let said = by_cause.into_iter().map(|(why, pairs)| {
            let more = match pairs.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(", and {more} more pairs"),
            };
            let named = pairs[..pairs.len().min(NAMED)].join(", ");
            format!("not measured with each other by their set-up: {named}{more}: {why}")
        });
        said.collect()
    }

    fn all_failures_are_mismatches(&self, of: &dyn Fn(&PairObservation) -> bool) -> bool {
        let mut failures = (self.observations.as_slice().iter())
            .filter(|o| of(o))
            .filter_map(|o| match &o.outcome {
                Outcome::Failed(failure) => Some(failure.is_mismatch()),
                Outcome::Measured(_) => None,
            })
            .peekable();
        failures.peek().is_some() && failures.all(|is_mismatch| is_mismatch)
    }
}
