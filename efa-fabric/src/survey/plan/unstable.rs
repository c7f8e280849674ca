//! Nodes that failed or were slow in part: which are measured again, and until when.

use std::collections::{BTreeMap, BTreeSet};

use super::super::attribution::{Analysis, NodeFinding, Pass, Unstable};
use super::super::observation::Observations;
use super::super::one_piece::OnePiece;
use super::super::power::TURNS_OF_UNSTABLE;
use super::super::verdict::Quantity;
use super::{ENOUGH_OF_NODE, FEW_NODES, Plan, TURNS_TO_DECIDE};

/// A node with this effect or less may be one that halves in part (logarithm: 30 %).
const HALVES: f64 = -0.35;

impl Plan {
    /// Whether a node was bad in part since the base rounds, while others were measured again. It
    /// is looked for once.
    pub(super) fn screen_again(&mut self, observations: &Observations) -> bool {
        let first = !std::mem::replace(&mut self.screened_again, true);
        if !first || self.turn <= 1 || !self.unstable.is_empty() {
            return false;
        }
        let analysis = self.analyse(observations);
        self.screen_unstable(&analysis);
        self.unstable.retain(|&node| !self.answering.silent[node]);
        !self.unstable.is_empty()
    }

    /// Turns of nodes that failed or were slow in part; those are few, and worth the rounds.
    pub(super) fn last_turn_of_unstable(&self) -> usize {
        if self.unstable.is_empty() {
            0
        } else {
            TURNS_OF_UNSTABLE
        }
    }

    /// Leaves those nodes that failed or were slow in part of which enough is known by now: their
    /// bad measurements are clear, or so rare that they are chance.
    pub(super) fn leave_settled(&mut self, observations: &Observations) {
        let analysis = self.analyse(observations);
        let slow = slow(&analysis);
        let of = |pass| analysis.unstable(pass, &slow);
        let named: BTreeSet<usize> = of(Pass::Verdict).iter().map(|found| found.node).collect();
        let open: BTreeMap<usize, Unstable> = of(Pass::Screen)
            .into_iter()
            .map(|found| (found.node, found))
            .collect();
        // A node with one bad pair that never worked, and none else: it is the pair.
        let is_pair = |node: usize, found: &Unstable| {
            let of_node = self.doubted.iter().filter(|(doubted, _)| *doubted == node);
            of_node.map(|&(_, pair)| pair).any(|pair| {
                let times = analysis.reach.times_failed(pair);
                analysis.reach.never_worked(pair)
                    && found.failed + found.slow <= times
                    && (self.nodes < FEW_NODES || found.tried >= times + ENOUGH_OF_NODE)
            })
        };
        // One that failed for some rounds may only have been away.
        let may_be_away =
            |node: usize| OnePiece::find(observations, node).is_some_and(OnePiece::may_be_away);
        self.decided.extend(&self.unstable);
        self.unstable.retain(|&node| {
            let is_settled = named.contains(&node) && !may_be_away(node);
            let found = open.get(&node).filter(|_| !is_settled);
            found.is_some_and(|found| !is_pair(node, found))
        });
        // What was bad each time is tried again: it may be the pair.
        let left = self.unstable.iter().filter_map(|node| open.get(node));
        self.unsettled = left
            .flat_map(|found| found.unsettled.iter().copied())
            .collect();
    }

    /// Nodes that failed or were slow in part. A slow node is no such one; it is measured again
    /// anyway. Noise alone lets one of many vary: if it neither failed nor halved, it is not worth rounds
    /// beyond the limit.
    pub(super) fn screen_unstable(&mut self, analysis: &Analysis) {
        let has_room = self.fits(TURNS_TO_DECIDE + self.kept_free());
        for unstable in analysis.unstable(Pass::Screen, &slow(analysis)) {
            if self.decided.contains(&unstable.node) || unstable.varies && !has_room {
                continue;
            }
            if let [pair] = unstable.unsettled[..] {
                self.doubted.push((unstable.node, pair));
            }
            self.unsettled.extend(unstable.unsettled);
            self.unstable.push(unstable.node);
        }
    }
}

/// Nodes that are likely to be slow with everyone, by so little that they do not halve in part.
fn slow(analysis: &Analysis) -> BTreeSet<usize> {
    let found = analysis.nodes(Pass::Screen);
    let bandwidth = |f: &&NodeFinding| analysis.channels[f.channel].quantity == Quantity::Bandwidth;
    found
        .iter()
        .filter(bandwidth)
        .filter(|f| f.effect > HALVES && !f.is_good_with_some && analysis.is_likely(f))
        .map(|f| f.node)
        .collect()
}
