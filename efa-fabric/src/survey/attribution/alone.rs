//! What measuring again alone says of what stood out in company.

use std::collections::BTreeSet;

use super::super::verdict::{Direction, Quantity};
use super::analysis::Analysis;
use super::channel::Channel;
use super::finding::{Alone, LINK_CLAIM, LinkFinding, NodeFinding, pooled};
use crate::median::median;

/// An effect that keeps this share alone is not for the company.
const KEPT_ALONE: f64 = 0.4;
/// A loss of a link by company has to be this clear (logarithm: 18 %).
const LINK_CONTENTION: f64 = -0.20;
/// A loss by company has to be this clear (logarithm: 14 %).
const CONTENTION: f64 = -0.15;
/// What was measured since a node was suspected is this many standard errors below.
const AGAIN: f64 = 3.3;
/// The same of latency, which has one value where bandwidth has two.
const AGAIN_LATENCY: f64 = 1.5;
/// Chance that any healthy node looks as a slow one when it is measured again.
const CHANCE: f64 = 0.02;
const CHANCE_LATENCY: f64 = 0.1;
/// All that was measured of it is this many standard errors below.
const CLEAR: f64 = 4.0;
/// A link alone is this many standard errors below, those of its nodes included.
const CLEAR_OF_NODES: f64 = 3.5;
/// Measurements since a node was suspected that a verdict needs, one of them alone.
const ENOUGH_AGAIN: usize = 3;

impl Analysis {
    /// How much faster a pair of unsuspected nodes is alone, per channel (logarithm).
    fn control(&self, channel: &Channel, suspects: &BTreeSet<usize>) -> Option<f64> {
        let mut values: Vec<f64> = channel
            .alone
            .iter()
            .filter(|b| !suspects.contains(&b.pair.0) && !suspects.contains(&b.pair.1))
            .map(|b| channel.residual(b).mean)
            .filter(|v| v.is_finite())
            .collect();
        median(&mut values)
    }

    /// The loss of the whole cluster by company: how much faster unsuspected pairs are alone.
    pub(crate) fn cluster_contention(&self, suspects: &BTreeSet<usize>) -> Option<(usize, f64)> {
        if !self.outliers {
            return None;
        }
        self.bandwidth()
            .filter_map(|(i, c)| self.control(c, suspects).map(|v| (i, v)))
            .filter(|&(i, gain)| gain >= -CONTENTION && gain > self.channels[i].most_in_company())
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Measurements alone that a verdict needs: of several, one may have failed.
    fn enough_alone(&self) -> usize {
        self.thresholds.alone.clamp(1, 2)
    }

    /// What measuring again says of a finding.
    pub(crate) fn judge(&self, finding: &NodeFinding, suspects: &BTreeSet<usize>) -> Alone {
        let (effect, channel) = (finding.effect, finding.channel);
        let enough = finding.fresh.1 >= self.thresholds.alone.min(ENOUGH_AGAIN);
        let Some((alone, _)) = finding.alone.filter(|_| enough) else {
            return Alone::Unknown;
        };
        // Where everybody is faster alone, a suspect has to be as well.
        let control = self
            .control(&self.channels[channel], suspects)
            .filter(|gain| *gain >= -CONTENTION)
            .unwrap_or(0.0);
        let alone = alone - control;
        let (fresh, count) = finding.fresh;
        let channel = &self.channels[channel];
        let (least, most) = match channel.quantity {
            Quantity::Bandwidth => (AGAIN, CHANCE),
            Quantity::Latency => (AGAIN_LATENCY, CHANCE_LATENCY),
        };
        let chance = channel.chance_of_node(finding.node, finding.direction, effect / 2.0);
        let (effect_of_all, _, company) = channel.effect(finding.node, finding.direction);
        let all = pooled(effect_of_all, company, finding.alone);
        let times = company + finding.alone.map_or(0, |(_, times)| times);
        let clear = all <= -CLEAR * channel.noise() / (times.max(1) as f64).sqrt();
        let again = fresh <= -least * channel.error_of(channel.noise(), count)
            && clear
            && chance * (channel.fit.tx.len() as f64) < most;
        if alone <= (effect * KEPT_ALONE).min(-0.06) && again {
            Alone::StillBad
        } else if effect <= CONTENTION && effect - alone <= CONTENTION {
            Alone::Contention
        } else {
            Alone::Nothing
        }
    }

    /// The same for a link.
    pub(crate) fn judge_link(&self, finding: &LinkFinding, suspects: &BTreeSet<usize>) -> Alone {
        let Some((alone, times)) = finding.alone.filter(|&(_, n)| n >= self.enough_alone()) else {
            return Alone::Unknown;
        };
        let channel = &self.channels[finding.channel];
        let control = self
            .control(channel, suspects)
            .filter(|gain| *gain >= -CONTENTION)
            .unwrap_or(0.0);
        let alone = alone - control;
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
