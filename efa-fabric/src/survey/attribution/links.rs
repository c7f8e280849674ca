//! Which links stand out, between nodes that do not.

use std::collections::{BTreeMap, BTreeSet};

use super::super::schedule::Pair;
use super::super::statistics::{LEAST_SPREAD, spread};
use super::super::verdict::{Direction, Quantity};
use super::analysis::Analysis;
use super::channel::Channel;
use super::finding::{LINK_CLAIM, LinkFinding, Pass, SCREEN_EFFECT, pooled};
use super::ways::Ways;
use crate::median::median;

/// A claim about one direction of a link needs this many partners of both nodes.
const LEAST_OF_ONE_WAY: usize = 7;
/// Links are measured again from this z on; their noise is known better than that of nodes.
const SCREEN_LINK_Z: f64 = 2.0;
/// A single direction of a link is judged by half of the measurements, so it has to be clearer.
const SCREEN_ONE_WAY_Z: f64 = 3.0;
/// A verdict on a single direction of a link needs this multiple of the least effect.
const ONE_WAY: f64 = 1.65;
/// What was measured since a link was suspected is this many standard errors below.
const AGAIN: f64 = 3.5;
/// Chance that any healthy link looks as a slow one when it is measured again.
const CHANCE: f64 = 0.02;
/// Measurements since a link was suspected from which their chance is judged.
const ENOUGH_AGAIN: usize = 3;
/// A link that was slow this often, and is this multiple of what a verdict needs below, is worth rounds
/// beyond the limit.
const OFTEN: usize = 2;
const CERTAIN: f64 = 3.0;
/// Of a node that is bad in 30 % of its measurements, 1 in 120 pairs is bad this many times.
const ALWAYS: usize = 4;
/// The link's own measurements show at least this share of the least effect.
const MEASURED: f64 = 0.95;

impl Analysis {
    /// Links between nodes that do not stand out themselves, worst first.
    pub(crate) fn links(&self, pass: Pass, suspects: &BTreeSet<usize>) -> Vec<LinkFinding> {
        let mut found: Vec<LinkFinding> = Vec::new();
        if !self.outliers {
            return found;
        }
        for index in 0..self.channels.len() {
            let channel = self.of_links(index);
            let together = self
                .channels
                .iter()
                .any(|c| c.quantity == channel.quantity && c.rail.is_none());
            if together && channel.rail.is_some() {
                continue;
            }
            found.extend(self.links_of_channel(index, channel, pass, suspects));
        }
        found.sort_by(|x, y| x.effect.total_cmp(&y.effect));
        found
    }

    /// Whether a link was clearly slow, more than once.
    pub(crate) fn is_clear_link(&self, finding: &LinkFinding) -> bool {
        let claim = self.link_claim(self.channels[finding.channel].quantity);
        finding.count >= OFTEN
            && finding.effect <= claim * LINK_CLAIM
            && finding.z_of_all <= -CERTAIN * self.thresholds.z
    }

    /// Whether a link was slow each time, so often that a node that is slow in part does not explain it.
    pub(crate) fn is_always_slow(&self, finding: &LinkFinding) -> bool {
        let claim = self.link_claim(self.channels[finding.channel].quantity);
        finding.count >= ALWAYS && finding.best <= claim / 2.0
    }

    fn links_of_channel(
        &self,
        index: usize,
        channel: &Channel,
        pass: Pass,
        suspects: &BTreeSet<usize>,
    ) -> Vec<LinkFinding> {
        let residuals: Vec<(Pair, Ways<f64>)> = channel
            .pairs
            .iter()
            .map(|both| (both.pair, channel.residual(both)))
            .collect();
        let test = LinkTest {
            index,
            channel,
            pass,
            least_z: self.thresholds.z,
            claim: self.link_claim(channel.quantity),
            spread_of_mean: spread(residuals.iter().map(|(_, r)| r.mean), LEAST_SPREAD),
            spread_of_one_way: spread(
                residuals.iter().flat_map(|(_, r)| [r.forth, r.back]),
                LEAST_SPREAD,
            ),
            candidates: channel.measured_again(),
        };
        test.candidates(&residuals, suspects)
            .into_iter()
            .filter_map(|(pair, residuals)| test.find(pair, residuals))
            .collect()
    }
}

/// What the links of one channel are judged by.
struct LinkTest<'a> {
    index: usize,
    channel: &'a Channel,
    pass: Pass,
    /// Least robust z of a verdict.
    least_z: f64,
    /// Least effect, as a logarithm.
    claim: f64,
    spread_of_mean: f64,
    spread_of_one_way: f64,
    /// Links that were measured since anything was suspected.
    candidates: usize,
}

impl LinkTest<'_> {
    /// The residuals of links between unsuspected nodes that were bad at least once: only those
    /// can be bad in the median.
    fn candidates(
        &self,
        residuals: &[(Pair, Ways<f64>)],
        suspects: &BTreeSet<usize>,
    ) -> BTreeMap<Pair, Ways<Vec<f64>>> {
        let near = self.claim * SCREEN_EFFECT;
        let mut by_pair: BTreeMap<Pair, Ways<Vec<f64>>> = residuals
            .iter()
            .filter(|((a, b), residual)| {
                !suspects.contains(a)
                    && !suspects.contains(b)
                    && residual.each().iter().any(|value| *value <= near)
            })
            .map(|(pair, _)| (*pair, Ways::default()))
            .collect();
        for (pair, residual) in residuals {
            if let Some(values) = by_pair.get_mut(pair) {
                values.push_finite(*residual);
            }
        }
        by_pair
    }

    /// The finding of a link, if it stands out. Where both directions are bad, that is what is
    /// stated.
    fn find(&self, pair: Pair, residuals: Ways<Vec<f64>>) -> Option<LinkFinding> {
        let Ways { mean, forth, back } = residuals;
        let both = self.find_in(pair, Direction::Both, mean);
        if both.is_some() || !self.tells_directions(pair) {
            return both;
        }
        self.find_in(pair, Direction::LowerToHigher, forth)
            .or_else(|| self.find_in(pair, Direction::HigherToLower, back))
    }

    /// Whether enough is known of both nodes to speak of one direction between them.
    fn tells_directions(&self, (a, b): Pair) -> bool {
        let fit = &self.channel.fit;
        let partners = fit.tx_count[a]
            .min(fit.tx_count[b])
            .min(fit.rx_count[a])
            .min(fit.rx_count[b]);
        self.channel.quantity == Quantity::Bandwidth && partners >= LEAST_OF_ONE_WAY
    }

    fn find_in(
        &self,
        pair: Pair,
        direction: Direction,
        mut residuals: Vec<f64>,
    ) -> Option<LinkFinding> {
        let count = residuals.len();
        let best = residuals.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let effect = median(&mut residuals)?;
        let near_screen = self.claim * SCREEN_EFFECT;
        let (spread, claim, near, screen_z) = match direction {
            Direction::Both => (
                self.spread_of_mean,
                self.claim * LINK_CLAIM,
                near_screen,
                SCREEN_LINK_Z,
            ),
            _ => (
                self.spread_of_one_way,
                self.claim * ONE_WAY,
                self.claim,
                SCREEN_ONE_WAY_Z,
            ),
        };
        // What all others measured is looked at last: it takes the most work.
        if effect > near {
            return None;
        }
        let alone = self.channel.alone_of_link(pair, direction);
        let z = effect / spread;
        let all = count + alone.map_or(0, |(_, count)| count);
        let pooled = pooled(effect, count, alone);
        let z_of_all = pooled / self.channel.link_error(pair, direction, spread, all);
        let stands_out = match self.pass {
            Pass::Screen => z <= -screen_z,
            Pass::Alone | Pass::Verdict => {
                let z = z_of_all;
                let fresh = self.channel.fresh_of_link(pair, direction);
                let error = self.channel.error_of(spread, fresh.1);
                let chance = || self.channel.chance_of_link(pair, direction, self.claim);
                // In a small cluster few measurements cannot be rare enough: alone come more.
                let rare =
                    || fresh.1 < ENOUGH_AGAIN || chance() * (self.candidates as f64) < CHANCE;
                let measured = || {
                    let compared = self.channel.compare_link(pair, direction);
                    compared
                        .is_some_and(|c| c.effect(self.channel.quantity) <= self.claim * MEASURED)
                };
                let below = |errors: f64| fresh.1 == 0 || fresh.0 <= -errors * error;
                match self.pass {
                    // Alone more is learned: a verdict needs more than that does.
                    Pass::Alone => pooled <= near && z <= -screen_z && below(screen_z),
                    _ => {
                        let again = || fresh.1 == 0 || below(AGAIN) && rare();
                        pooled <= claim && z <= -self.least_z && again() && measured()
                    }
                }
            }
        };
        stands_out.then_some(LinkFinding {
            pair,
            channel: self.index,
            direction,
            effect,
            best,
            z,
            z_of_all,
            count,
            alone,
        })
    }
}
