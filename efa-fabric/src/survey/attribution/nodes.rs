//! Which nodes and rails stand out.

use std::collections::HashMap;

use super::super::verdict::{Direction, Quantity};
use super::analysis::Analysis;
use super::finding::{Look, NodeFinding, SCREEN_EFFECT, pooled};

/// A claim needs at least this many measurements of a node, those alone included.
const LEAST_OF_NODE: usize = 3;
/// A second look needs this many.
const LEAST_OF_SUSPECT: usize = 2;
/// Suspects are measured again from this z on, so that verdicts miss few.
const SCREEN_Z: f64 = 2.5;
/// A suspect beyond this multiple of the claimed effect is clear.
const CLEAR_EFFECT: f64 = 1.4;
/// Share of a slow node's partners with which it reaches what others do, at most.
const MOST_GOOD: f64 = 0.1;
/// The same of a single partner among few.
const MOST_GOOD_OF_FEW: f64 = 0.3;
/// One partner is enough if the loss is so large (logarithm: 24 %), and noise this many times as
/// large would be needed for it.
const LARGE: f64 = -0.27;
const CERTAIN: f64 = 4.0;
/// Rails and directions of a node that are cleared, of all that stand out, clear the others too.
const MOST_CLEARED: f64 = 0.5;
/// The node's own measurements show at least this share of the least effect.
const MEASURED: f64 = 0.95;

impl Analysis {
    /// Nodes and rails that stand out, worst first.
    pub(crate) fn nodes(&self, look: Look) -> Vec<NodeFinding> {
        let mut found: Vec<NodeFinding> = Vec::new();
        let mut clears: HashMap<(usize, Quantity), (usize, usize)> = HashMap::new();
        if !self.outliers {
            return found;
        }
        for (index, channel) in self.channels.iter().enumerate() {
            let claim = self.claim(channel.quantity);
            let directions: &[Direction] = match channel.quantity {
                Quantity::Bandwidth => &[Direction::Sends, Direction::Receives],
                Quantity::Latency => &[Direction::Both],
            };
            for node in 0..channel.fit.tx.len() {
                for &direction in directions {
                    let (effect, z, count) = channel.effect(node, direction);
                    if count < LEAST_OF_SUSPECT || effect > claim * SCREEN_EFFECT || z > -SCREEN_Z {
                        continue;
                    }
                    let alone = channel.alone_of_node(node, direction);
                    // What was measured alone is as good as what was measured in company.
                    let all = count + alone.map_or(0, |(_, count)| count);
                    let share = pooled(effect, count, alone) / effect;
                    let said = effect * share <= claim
                        && z * share <= -self.thresholds.z
                        && all >= LEAST_OF_NODE;
                    // A slow node is slow with everyone: what reaches typical rates is not.
                    let (share_of_good, good) = channel.reached_typical(node, direction, effect);
                    let cleared = good >= 2 && share_of_good > MOST_GOOD
                        || good >= 1
                            && (share_of_good > MOST_GOOD_OF_FEW
                                || effect <= LARGE && effect * 0.75 < -CERTAIN * channel.noise());
                    let counts = clears.entry((node, channel.quantity)).or_default();
                    *counts = (counts.0 + usize::from(cleared), counts.1 + 1);
                    let measured = channel
                        .compare_node(node, direction)
                        .is_some_and(|c| c.effect(channel.quantity) <= claim * MEASURED);
                    if look == Look::Screen || said && !cleared && measured {
                        found.push(NodeFinding {
                            node,
                            channel: index,
                            direction,
                            effect,
                            z,
                            alone,
                            cleared,
                            fresh: channel.fresh_of_node(node, direction),
                        });
                    }
                }
            }
        }
        // The same pair cleared most of it: what is left of its rails and directions is noise.
        let is_cleared = |finding: &NodeFinding| {
            let quantity = self.channels[finding.channel].quantity;
            let counts = clears.get(&(finding.node, quantity));
            counts.is_some_and(|&(cleared, all)| cleared as f64 > MOST_CLEARED * all as f64)
        };
        for finding in &mut found {
            finding.cleared |= is_cleared(finding);
        }
        if look == Look::Verdict {
            found.retain(|finding| !finding.cleared);
        }
        found.sort_by(|x, y| x.effect.total_cmp(&y.effect));
        found
    }

    /// Whether a finding is so far beyond what is claimed that it is worth rounds beyond the
    /// usual.
    pub(crate) fn is_clear(&self, finding: &NodeFinding) -> bool {
        let quantity = self.channels[finding.channel].quantity;
        finding.effect <= self.claim(quantity) * CLEAR_EFFECT && finding.z <= -self.thresholds.z
    }
}
