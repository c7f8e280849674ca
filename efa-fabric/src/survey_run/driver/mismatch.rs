//! Pairs whose nodes do not fit together by their set-ups, such as two versions of libfabric: no
//! evidence against a node or a link.

use std::collections::BTreeMap;

use super::Survey;
use crate::survey::PairObservation;
use crate::survey_run::judgement::all_failures_are_mismatches;
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
            if node.state == NodeState::Joined
                && all_failures_are_mismatches(&self.observations, &of_node)
            {
                let mut own = self.mismatches.iter();
                let why = own.find(|((a, b), _)| *a == number || *b == number);
                if let Some((_, (code, why))) = why {
                    let (code, why) = (code.clone(), why.clone());
                    node.state = NodeState::Absent { code, why };
                }
            }
        }
    }

    /// States which pairs do not fit together.
    pub(super) fn mismatches_said(&self) -> Vec<String> {
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
}
