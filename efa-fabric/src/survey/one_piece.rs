//! Nodes that failed in rounds that are next to each other, and in no others: they were away.

use std::collections::BTreeSet;

use super::observation::{Observations, Outcome, PairObservation};

/// Failures of a node that fails in part are all next to each other with this chance, at most.
const CHANCE: f64 = 0.02;
/// Rounds without a failure, at least, of a node that works again.
const WORKS: usize = 5;

/// The failures of a node, where it failed in all of its rounds between the first and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OnePiece {
    /// The first and the last round in which it failed.
    failed_in: [usize; 2],
    failed: usize,
    /// Its rounds since.
    since: usize,
    all: usize,
}

impl OnePiece {
    /// `None` for a node that worked between two failures, or did not fail.
    pub(crate) fn find(observations: &Observations, node: usize) -> Option<Self> {
        let all = observations.as_slice().iter();
        let of_node = all.filter(|o| o.a == node || o.b == node);
        let failed = |o: &&PairObservation| !matches!(o.outcome, Outcome::Measured(_));
        let rounds: BTreeSet<usize> = of_node.clone().map(|o| o.round).collect();
        let bad: BTreeSet<usize> = of_node.filter(failed).map(|o| o.round).collect();
        let (first, last) = (*bad.first()?, *bad.last()?);
        let in_one_piece = rounds.range(first..=last).count() == bad.len();
        in_one_piece.then_some(Self {
            failed_in: [first, last],
            failed: bad.len(),
            since: rounds.range(last + 1..).count(),
            all: rounds.len(),
        })
    }

    /// The first and the last round in which the node was away, if it works again: what fails in part
    /// does not do so in one piece.
    pub(crate) fn away(self) -> Option<[usize; 2]> {
        let is_away = self.since >= WORKS && chance_of_one_piece(self.failed, self.all) < CHANCE;
        is_away.then_some(self.failed_in)
    }

    /// Whether the node works again, for too short a time to tell.
    pub(crate) fn may_be_away(self) -> bool {
        self.since > 0 && self.away().is_none()
    }
}

/// The chance that this many of all are next to each other.
fn chance_of_one_piece(count: usize, all: usize) -> f64 {
    let places = (all - count + 1) as f64;
    let ways = (0..count).map(|i| (all - i) as f64 / (i + 1) as f64);
    places / ways.product::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chance_of_one_piece_is_counted() {
        assert_eq!(chance_of_one_piece(1, 7), 1.0);
        assert!((chance_of_one_piece(2, 4) - 0.5).abs() < 1e-12);
        assert!((chance_of_one_piece(5, 12) - 8.0 / 792.0).abs() < 1e-12);
    }
}
