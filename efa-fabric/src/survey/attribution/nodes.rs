//! Which nodes and rails stand out.

use std::collections::{BTreeSet, HashMap};

use super::super::statistics::tail;
use super::super::verdict::{Direction, Quantity};
use super::analysis::Analysis;
use super::channel::Channel;
use super::finding::{NodeFinding, Pass, SCREEN_EFFECT, pooled};
use super::measured::Reached;

/// A claim needs at least this many measurements of a node, those alone included.
const LEAST_OF_NODE: usize = 3;
/// A second stage needs this many.
const LEAST_OF_SUSPECT: usize = 2;
/// Suspects are measured again from this z on, so that verdicts miss few.
const SCREEN_Z: f64 = 2.5;
/// A suspect beyond this multiple of the claimed effect is clear.
const CLEAR_EFFECT: f64 = 1.4;
/// And so is one beyond this (logarithm: 39 %), whatever is claimed.
const HALF: f64 = -0.5;
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

/// Chance that slow pairs, as frequent as elsewhere, are that many of a node's by luck, in a survey.
const CHANCE: f64 = 0.001;

/// Findings that its good measurements clear, of all of a node and quantity.
type Clears = HashMap<(usize, Quantity), (usize, usize)>;

impl Analysis {
    /// Nodes and rails that stand out, worst first.
    pub(crate) fn nodes(&self, pass: Pass) -> Vec<NodeFinding> {
        let mut found: Vec<NodeFinding> = Vec::new();
        let mut clears = Clears::new();
        if !self.outliers {
            return found;
        }
        let suspects: BTreeSet<usize> = match pass {
            Pass::Screen => BTreeSet::new(),
            Pass::Alone | Pass::Verdict => {
                self.nodes(Pass::Screen).iter().map(|f| f.node).collect()
            }
        };
        for (index, channel) in self.channels.iter().enumerate() {
            let directions: &[Direction] = match channel.quantity {
                Quantity::Bandwidth => &[Direction::Sends, Direction::Receives],
                Quantity::Latency => &[Direction::Both],
            };
            let gain = (pass == Pass::Verdict).then(|| self.gain(channel, &suspects));
            for node in 0..channel.fit.tx.len() {
                for &direction in directions {
                    let Some((finding, said)) = self.finding(index, node, direction, gain) else {
                        continue;
                    };
                    let counts = clears.entry((node, channel.quantity)).or_default();
                    *counts = (counts.0 + usize::from(finding.cleared), counts.1 + 1);
                    if pass == Pass::Screen || said && !finding.cleared {
                        found.push(finding);
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
        if pass == Pass::Verdict {
            found.retain(|finding| !finding.cleared);
        }
        found.sort_by(|x, y| x.effect.total_cmp(&y.effect));
        found
    }

    /// What stands out of a node in one channel and direction, and whether it is enough for a
    /// verdict, if one is asked for: then `gain` is how much faster everybody is alone.
    fn finding(
        &self,
        index: usize,
        node: usize,
        direction: Direction,
        gain: Option<f64>,
    ) -> Option<(NodeFinding, bool)> {
        let channel = &self.channels[index];
        let claim = self.claim(channel.quantity);
        let (effect, z, count) = channel.effect(node, direction);
        if count < LEAST_OF_SUSPECT || effect > claim * SCREEN_EFFECT || z > -SCREEN_Z {
            return None;
        }
        let alone = channel.alone_of_node(node, direction);
        // What was measured alone is as good as what was measured concurrently.
        let all = count + alone.map_or(0, |(_, count)| count);
        let faster = gain.unwrap_or(0.0);
        let like_concurrent = alone.map(|(value, count)| (value - faster, count));
        let share = pooled(effect, count, like_concurrent) / effect;
        // Of latency there is one value where bandwidth has two: those alone count as others do.
        let sure = match channel.quantity {
            Quantity::Bandwidth => z * share,
            Quantity::Latency => z * share * (all as f64 / count as f64).sqrt(),
        };
        // A slow node is slow with everyone: what reaches typical rates is not.
        let reached = channel.reached_typical(node, direction, effect);
        let is_large = is_large(channel, effect);
        let is_good_with_some = reached.good >= 2 && reached.share > MOST_GOOD
            || reached.good >= 1 && (reached.share > MOST_GOOD_OF_FEW || is_large);
        let cleared =
            is_good_with_some && !is_what_slow_pairs_share(channel, node, effect, reached);
        // What all others measured is looked at last: it takes the most work.
        let measured = || {
            let compared = channel.compare_node(node, direction);
            compared.is_some_and(|c| c.effect(channel.quantity) <= claim * MEASURED)
        };
        let said = gain.is_some()
            && effect * share <= claim
            && sure <= -self.thresholds.z
            && all >= LEAST_OF_NODE
            && !cleared
            && measured();
        let finding = NodeFinding {
            node,
            channel: index,
            direction,
            effect,
            z,
            alone,
            cleared,
            is_good_with_some,
            lucky: reached.once.filter(|_| effect <= LARGE),
            fresh: channel.fresh_of_node(node, direction, faster),
        };
        Some((finding, said))
    }

    /// The partners with which the node of a finding reached what others do.
    pub(crate) fn good_partners(&self, finding: &NodeFinding) -> BTreeSet<usize> {
        let channel = &self.channels[finding.channel];
        channel.good_partners(finding.node, finding.direction, finding.effect)
    }

    /// Whether the effect of a finding is so large that one good partner shows that it is no fault of
    /// the node.
    pub(crate) fn is_large(&self, finding: &NodeFinding) -> bool {
        is_large(&self.channels[finding.channel], finding.effect)
    }

    /// Whether a finding has the effect of a verdict already, and nothing clears it. Latency has one
    /// value where bandwidth has two, and is less certain.
    pub(crate) fn is_likely(&self, finding: &NodeFinding) -> bool {
        let quantity = self.channels[finding.channel].quantity;
        let enough = quantity == Quantity::Latency || finding.effect <= self.claim(quantity);
        enough && !finding.cleared
    }

    /// Whether a finding is so far beyond what is claimed that it is worth rounds beyond the
    /// usual.
    pub(crate) fn is_clear(&self, finding: &NodeFinding) -> bool {
        self.is_beyond(finding, CLEAR_EFFECT) && finding.z <= -self.thresholds.z
    }

    /// Whether the effect of a finding is beyond this multiple of what is claimed, or large.
    pub(crate) fn is_beyond(&self, finding: &NodeFinding, multiple: f64) -> bool {
        let claim = self.claim(self.channels[finding.channel].quantity);
        finding.effect <= (claim * multiple).max(HALF.min(claim))
    }
}

/// Whether an effect is large, and far beyond noise.
fn is_large(channel: &Channel, effect: f64) -> bool {
    effect <= LARGE && effect * 0.75 < -CERTAIN * channel.noise()
}

/// Whether a node is good with few only, and those are good with nearly everyone, while pairs of
/// others are not slow as often: then it is what the slow pairs share. A node with noise of its own is
/// good with some by luck.
fn is_what_slow_pairs_share(channel: &Channel, node: usize, effect: f64, reached: Reached) -> bool {
    if !reached.of_all
        || reached.share > MOST_GOOD_OF_FEW
        || channel.noise_of_node(node) > channel.noise()
    {
        return false;
    }
    let (slow, all) = channel.others_worse(node, effect / 2.0);
    let share = (slow + 1) as f64 / (all + 1) as f64;
    let chance = tail(reached.partners - reached.good, reached.partners, share);
    chance < CHANCE / channel.fit.tx.len() as f64
}
