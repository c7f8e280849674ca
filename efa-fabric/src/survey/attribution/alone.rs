//! What measuring again alone shows of what stood out when concurrent.

use std::collections::BTreeSet;

use super::super::schedule::Pair;
use super::super::statistics::tail;
use super::super::verdict::{Direction, Quantity};
use super::analysis::Analysis;
use super::channel::Channel;
use super::finding::{Alone, LINK_CLAIM, LinkFinding, NodeFinding, Pass, SCREEN_EFFECT, pooled};
use crate::median::median;

/// An effect that keeps this share alone does not come from concurrency.
const KEPT_ALONE: f64 = 0.4;
const KEPT_ALONE_LATENCY: f64 = 0.3;
/// And this much of it (logarithms).
const LEAST_ALONE: f64 = -0.06;
const LEAST_ALONE_LATENCY: f64 = -0.05;
/// A loss of a link by concurrency has to be this clear (logarithm: 18 %).
pub(crate) const LINK_CONTENTION: f64 = -0.20;
/// A loss by concurrency has to be this clear (logarithm: 14 %).
pub(crate) const CONTENTION: f64 = -0.15;
/// A node that is better alone by this is worth a round more (logarithm: 22 %).
const CLEARLY_BETTER: f64 = -0.25;
/// What was measured since a node was suspected is this many standard errors below.
const AGAIN: f64 = 3.3;
/// The same of latency, which has one value where bandwidth has two.
const AGAIN_LATENCY: f64 = 1.5;
/// Chance that any healthy node looks as a slow one when it is measured again.
const CHANCE: f64 = 0.02;
const CHANCE_LATENCY: f64 = 0.25;
/// Among more nodes only this many count, or those suspected: what was measured before they were
/// suspected excluded the others.
const MANY: usize = 64;
/// All that was measured of it is this many standard errors below.
const CLEAR: f64 = 4.0;
/// A link alone is this many standard errors below, those of its nodes included.
const CLEAR_OF_NODES: f64 = 3.25;
/// Pairs alone that tell by themselves what is for being alone.
const ENOUGH_CONTROLS: usize = 3;
/// Measurements of other nodes that tell by themselves what is rare.
const ENOUGH_OTHERS: usize = 50;
/// Measurements since a node was suspected that a verdict needs, one of them alone.
const ENOUGH_AGAIN: usize = 3;

/// A pair of unsuspected nodes that was measured alone.
struct Control {
    /// How much of the measurement is left (logarithm).
    gain: f64,
    /// How much less it is than that of the same pair among others.
    fall: f64,
    /// Whether it was measured alone once: a suspected link is measured more often.
    once: bool,
}

impl Analysis {
    /// Pairs of unsuspected nodes that were measured alone.
    fn controls<'a>(
        &self,
        channel: &'a Channel,
        suspects: &'a BTreeSet<usize>,
    ) -> impl Iterator<Item = Control> + 'a {
        let unsuspected = |pair: Pair| !suspects.contains(&pair.0) && !suspects.contains(&pair.1);
        let alone = channel.alone.iter().filter(move |b| unsuspected(b.pair));
        // A slow link is as slow among others; what was fast there by luck is no slower for that.
        let gains = alone.map(|b| {
            let gain = channel.residual(b).mean;
            Control {
                gain,
                fall: gain - channel.median_concurrent(b.pair).min(0.0),
                once: channel.alone.iter().filter(|o| o.pair == b.pair).count() == 1,
            }
        });
        gains.filter(|control| control.gain.is_finite())
    }

    fn control(&self, channel: &Channel, suspects: &BTreeSet<usize>) -> Option<f64> {
        let gains = self.controls(channel, suspects).map(|control| control.gain);
        median(&mut gains.collect::<Vec<f64>>())
    }

    /// The loss of the whole cluster by concurrency: how much faster unsuspected pairs are alone.
    pub(crate) fn cluster_contention(&self, suspects: &BTreeSet<usize>) -> Option<(usize, f64)> {
        if !self.outliers {
            return None;
        }
        self.bandwidth()
            .filter_map(|(i, c)| self.control(c, suspects).map(|v| (i, v)))
            .filter(|&(i, gain)| gain >= -CONTENTION && gain > self.channels[i].most_concurrent())
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Whether a suspect is clearly better alone.
    pub(crate) fn is_better_alone(&self) -> bool {
        let found = self.nodes(Pass::Screen);
        let better = |f: &NodeFinding| Some(f.effect - f.alone?.0 <= CLEARLY_BETTER);
        found.iter().any(|found| better(found).unwrap_or(false))
    }

    /// Measurements alone that a verdict needs: of several, one may have failed.
    fn enough_alone(&self) -> usize {
        self.thresholds.alone.clamp(1, 2)
    }

    /// How much of a measurement alone is for that alone (logarithm), 0 if it is little: where
    /// everybody is faster alone, a suspect has to be as well, and where everybody is slower, what
    /// a suspect lost since is no fault of its own. Few pairs of one rail hardly tell; then all
    /// rails together do.
    pub(super) fn gain(&self, channel: &Channel, suspects: &BTreeSet<usize>) -> f64 {
        let of = |channel: &Channel| self.controls(channel, suspects).collect::<Vec<_>>();
        let mut values = of(channel);
        if values.len() < ENOUGH_CONTROLS && channel.quantity == Quantity::Bandwidth {
            values = self.bandwidth().flat_map(|(_, c)| of(c)).collect();
        }
        let mut gains: Vec<f64> = values.iter().map(|control| control.gain).collect();
        // A suspected link is measured several times: what it lost is not what all lost.
        let once = values.iter().any(|control| control.once);
        let controls = values.iter().filter(|control| control.once || !once);
        let mut falls: Vec<f64> = controls.map(|control| control.fall).collect();
        let is_much = |gain: &f64| gain.abs() >= -CONTENTION;
        // Latency has one value: a single pair alone is no gain or fall of all.
        let least = match channel.quantity {
            Quantity::Bandwidth => 0.0,
            Quantity::Latency => CLEAR * channel.noise() / (falls.len().max(1) as f64).sqrt(),
        };
        let gain = median(&mut gains).filter(|gain| *gain > least && is_much(gain));
        let fall = || median(&mut falls).filter(|fall| *fall < -least && is_much(fall));
        gain.or_else(fall).unwrap_or(0.0)
    }

    /// What was measured of a subject alone, less what everybody gains or loses alone.
    pub(crate) fn alone_against_others(
        &self,
        channel: &Channel,
        alone: Option<(f64, usize)>,
        suspects: &BTreeSet<usize>,
    ) -> Option<(f64, usize)> {
        let (effect, count) = alone?;
        Some((effect - self.gain(channel, suspects), count))
    }

    /// What measuring again states of a finding.
    pub(crate) fn judge(&self, finding: &NodeFinding, suspects: &BTreeSet<usize>) -> Alone {
        let (effect, channel) = (finding.effect, finding.channel);
        let enough = finding.fresh.1 >= self.thresholds.alone.min(ENOUGH_AGAIN);
        let Some((alone, _)) = finding.alone.filter(|_| enough) else {
            return Alone::Unknown;
        };
        let channel = &self.channels[channel];
        let gain = self.gain(channel, suspects);
        let alone = alone - gain;
        let (node, direction) = (finding.node, finding.direction);
        let (fresh, count) = channel.fresh_of_node(node, direction, gain);
        let (least, most, kept, floor) = match channel.quantity {
            Quantity::Bandwidth => (AGAIN, CHANCE, KEPT_ALONE, LEAST_ALONE),
            Quantity::Latency => (
                AGAIN_LATENCY,
                CHANCE_LATENCY,
                KEPT_ALONE_LATENCY,
                LEAST_ALONE_LATENCY,
            ),
        };
        let half = match channel.quantity {
            Quantity::Bandwidth => effect / 2.0,
            // What is as bad as a suspect is, is bad, however much worse the first of it was.
            Quantity::Latency => (effect / 2.0).max(self.claim(channel.quantity) * SCREEN_EFFECT),
        };
        let chance = self.chance_of_node(finding, half, gain);
        let (effect_of_all, _, concurrency) = channel.effect(node, direction);
        let all = pooled(
            effect_of_all,
            concurrency,
            finding.alone.map(|(_, n)| (alone, n)),
        );
        let times = concurrency + finding.alone.map_or(0, |(_, times)| times);
        let noise = channel.noise_of_node(node);
        let clear = all <= -CLEAR * noise / (times.max(1) as f64).sqrt();
        let again = fresh <= -least * channel.error_of(noise, count)
            && clear
            && chance * (channel.fit.tx.len().min(MANY.max(suspects.len())) as f64) < most;
        if alone <= (effect * kept).min(floor) && again {
            Alone::StillBad
        } else if effect <= CONTENTION && effect - alone <= CONTENTION {
            Alone::Contention
        } else {
            Alone::Nothing
        }
    }

    /// The chance that a pair without this node looks as the node does since it was suspected: how
    /// many of its measurements are worse than `least`. A small table has few other measurements;
    /// those of all rails together show what is rare.
    fn chance_of_node(&self, finding: &NodeFinding, least: f64, gain: f64) -> f64 {
        let (node, channel) = (finding.node, &self.channels[finding.channel]);
        let mut others = channel.others_worse(node, least);
        if others.1 < ENOUGH_OTHERS && channel.quantity == Quantity::Bandwidth {
            let all = self.bandwidth().map(|(_, c)| c.others_worse(node, least));
            others = all.fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
        }
        let values = channel.again_of_node(node, finding.direction, gain);
        let worse = values.iter().filter(|v| **v <= least).count();
        let share = (others.0 + 1) as f64 / (others.1 + 1) as f64;
        tail(worse, values.len(), share)
    }

    /// The same for a link.
    pub(crate) fn judge_link(&self, finding: &LinkFinding, suspects: &BTreeSet<usize>) -> Alone {
        let channel = self.of_links(finding.channel);
        let alone = finding.alone.filter(|&(_, n)| n >= self.enough_alone());
        let Some((alone, times)) = self.alone_against_others(channel, alone, suspects) else {
            return Alone::Unknown;
        };
        let claim = self.link_claim(channel.quantity);
        let near = match finding.direction {
            Direction::Both => claim,
            _ => claim * LINK_CLAIM,
        };
        // What its nodes reach with others is itself known from few measurements, and wrong in the
        // same way each time that the link is measured.
        let scale = channel.spread_of_links(finding.direction);
        let error = channel.link_error(finding.pair, finding.direction, scale, times);
        if alone <= near.min(-CLEAR_OF_NODES * error) {
            Alone::StillBad
        } else if finding.count >= 2
            && finding.effect <= LINK_CONTENTION
            && finding.effect - alone <= LINK_CONTENTION
        {
            Alone::Contention
        } else {
            Alone::Nothing
        }
    }
}
