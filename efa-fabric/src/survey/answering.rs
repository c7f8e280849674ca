//! What came back of the rounds so far: which nodes are left out of further ones.

use std::collections::BTreeSet;

use super::observation::{Observations, Outcome};

/// What came back so far, read once.
#[derive(Debug, Clone)]
pub(super) struct Answering {
    read: usize,
    pub(super) reached: Vec<bool>,
    pub(super) failed_with: Vec<BTreeSet<usize>>,
    pub(super) silent: Vec<bool>,
}

impl Answering {
    /// Nothing yet, of a cluster of this many nodes.
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            read: 0,
            reached: vec![false; nodes],
            failed_with: vec![BTreeSet::new(); nodes],
            silent: vec![false; nodes],
        }
    }

    /// Takes what is new.
    pub(super) fn read(&mut self, observations: &Observations) {
        for o in &observations.as_slice()[self.read.min(observations.len())..] {
            match &o.outcome {
                Outcome::Measured(_) => {
                    self.reached[o.a] = true;
                    self.reached[o.b] = true;
                }
                Outcome::Failed(failure) => {
                    self.failed_with[o.a].insert(o.b);
                    self.failed_with[o.b].insert(o.a);
                    if let Some(node) = failure.silent {
                        self.silent[node] = true;
                    }
                }
            }
        }
        self.read = observations.len();
    }

    /// Whether a node is left out of further base rounds.
    pub(super) fn out(&self, node: usize) -> bool {
        self.silent[node] || (!self.reached[node] && self.failed_with[node].len() >= 2)
    }
}
