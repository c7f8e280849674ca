//! Which links stand out, between nodes that do not.

use std::collections::{BTreeSet, HashMap};

use super::super::schedule::Pair;
use super::super::statistics::{LEAST_SPREAD, spread};
use super::super::verdict::{Direction, Quantity};
use super::analysis::Analysis;
use super::channel::Channel;
use super::finding::{LINK_CLAIM, LinkFinding, Look, SCREEN_EFFECT, pooled};
use crate::median::median;

/// A claim about one direction of a link needs this many partners of both nodes.
const LEAST_OF_ONE_WAY: usize = 7;
/// The same for links, whose noise is known better.
const SCREEN_LINK_Z: f64 = 2.0;
/// A single direction of a link is judged by half of the measurements, so it has to be clearer.
const SCREEN_ONE_WAY_Z: f64 = 3.0;
/// The same for a single direction of a link.
const ONE_WAY: f64 = 1.65;

impl Analysis {
    /// Links between nodes that do not stand out themselves, worst first.
    pub(crate) fn links(&self, look: Look, suspects: &BTreeSet<usize>) -> Vec<LinkFinding> {
        let mut found: Vec<LinkFinding> = Vec::new();
        if !self.outliers {
            return found;
        }
        for (index, channel) in self.channels.iter().enumerate() {
            let together = self
                .channels
                .iter()
                .any(|c| c.quantity == channel.quantity && c.rail.is_none());
            if together && channel.rail.is_some() {
                continue;
            }
            self.links_of(index, channel, look, suspects, &mut found);
        }
        found.sort_by(|x, y| x.effect.total_cmp(&y.effect));
        found
    }

    fn links_of(
        &self,
        index: usize,
        channel: &Channel,
        look: Look,
        suspects: &BTreeSet<usize>,
        found: &mut Vec<LinkFinding>,
    ) {
        let residuals: Vec<(Pair, [f64; 3])> = channel
            .pairs
            .iter()
            .map(|both| {
                let (forth, back, mean) = channel.residual(both);
                (both.pair, [mean, forth, back])
            })
            .collect();
        let scale_both = spread(residuals.iter().map(|r| r.1[0]), LEAST_SPREAD);
        let scale_one = spread(
            residuals.iter().flat_map(|r| [r.1[1], r.1[2]]),
            LEAST_SPREAD,
        );
        // Only links that were bad once can be bad in the median.
        let claim = self.link_claim(channel.quantity);
        let near = claim * SCREEN_EFFECT;
        let mut by_pair: HashMap<Pair, [Vec<f64>; 3]> = residuals
            .iter()
            .filter(|(pair, r)| {
                !suspects.contains(&pair.0)
                    && !suspects.contains(&pair.1)
                    && r.iter().any(|v| *v <= near)
            })
            .map(|(pair, _)| (*pair, Default::default()))
            .collect();
        for (pair, r) in &residuals {
            if let Some(values) = by_pair.get_mut(pair) {
                (0..3)
                    .filter(|&k| r[k].is_finite())
                    .for_each(|k| values[k].push(r[k]));
            }
        }
        let one_way: &[(usize, Direction)] = match channel.quantity {
            Quantity::Bandwidth => &[
                (0, Direction::Both),
                (1, Direction::LowerToHigher),
                (2, Direction::HigherToLower),
            ],
            Quantity::Latency => &[(0, Direction::Both)],
        };
        for (pair, mut values) in by_pair {
            let mut worst: Option<LinkFinding> = None;
            let (sent, got) = (&channel.fit.tx_count, &channel.fit.rx_count);
            let partners = sent[pair.0]
                .min(sent[pair.1])
                .min(got[pair.0])
                .min(got[pair.1]);
            let ways = if partners < LEAST_OF_ONE_WAY {
                1
            } else {
                one_way.len()
            };
            for &(k, direction) in &one_way[..ways] {
                let count = values[k].len();
                let Some(effect) = median(&mut values[k]) else {
                    continue;
                };
                let alone = channel.alone_of_link(pair, k);
                let all = count + alone.map_or(0, |(_, count)| count);
                let scale = if k == 0 { scale_both } else { scale_one };
                let z = effect / scale;
                let (claim, near) = match k {
                    0 => (claim * LINK_CLAIM, near),
                    _ => (claim * ONE_WAY, claim),
                };
                let worth = match look {
                    Look::Screen => {
                        z <= if k == 0 {
                            -SCREEN_LINK_Z
                        } else {
                            -SCREEN_ONE_WAY_Z
                        }
                    }
                    Look::Verdict => {
                        let pooled = pooled(effect, count, alone);
                        let z = pooled / channel.link_error(pair, k, scale, all);
                        pooled <= claim && z <= -self.thresholds.z
                    }
                };
                // Where both directions are bad, that is what is said.
                let clearer = worst.is_none();
                if effect <= near && worth && clearer {
                    worst = Some(LinkFinding {
                        pair,
                        channel: index,
                        direction,
                        effect,
                        z,
                        count,
                        alone,
                    });
                }
            }
            found.extend(worst);
        }
    }
}
