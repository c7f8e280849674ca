//! What measuring again alone says of what stood out in company.

use std::collections::BTreeSet;

use super::super::verdict::Direction;
use super::analysis::Analysis;
use super::channel::Channel;
use super::finding::{Alone, LINK_CLAIM, LinkFinding};
use crate::median::median;

/// An effect that keeps this share alone is not for the company.
const KEPT_ALONE: f64 = 0.4;
/// A loss of a link by company has to be this clear (logarithm: 18 %).
const LINK_CONTENTION: f64 = -0.20;
/// A loss by company has to be this clear (logarithm: 14 %).
const CONTENTION: f64 = -0.15;

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
            .filter(|&(_, gain)| gain >= -CONTENTION)
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// What measuring alone says of a finding of this size.
    pub(crate) fn judge(
        &self,
        effect: f64,
        alone: Option<(f64, usize)>,
        channel: usize,
        suspects: &BTreeSet<usize>,
    ) -> Alone {
        let Some((alone, count)) = alone else {
            return Alone::Unknown;
        };
        if count < self.thresholds.alone {
            return Alone::Unknown;
        }
        // Where everybody is faster alone, a suspect has to be as well.
        let control = self
            .control(&self.channels[channel], suspects)
            .filter(|gain| *gain >= -CONTENTION)
            .unwrap_or(0.0);
        let alone = alone - control;
        if alone <= (effect * KEPT_ALONE).min(-0.06) {
            Alone::StillBad
        } else if effect <= CONTENTION && effect - alone <= CONTENTION {
            Alone::Contention
        } else {
            Alone::Nothing
        }
    }

    /// The same for a link.
    pub(crate) fn judge_link(&self, finding: &LinkFinding, suspects: &BTreeSet<usize>) -> Alone {
        let Some((alone, _)) = finding.alone.filter(|&(_, n)| n >= self.thresholds.alone) else {
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
        if alone <= near {
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
