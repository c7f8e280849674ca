//! Everything that follows from the observations: who reached whom, and the channels.

use std::collections::{BTreeMap, BTreeSet};

use super::super::observation::Observations;
use super::super::options::Thresholds;
use super::super::reach::Reach;
use super::super::schedule::Pair;
use super::super::verdict::Quantity;
use super::channel::Channel;
use super::finding::Pass;
use super::reading::{How, channels};

/// Everything that follows from the observations.
#[derive(Debug)]
pub(crate) struct Analysis {
    pub(crate) channels: Vec<Channel>,
    /// Those channels that explain links in another way, by position.
    of_links: BTreeMap<usize, Channel>,
    pub(crate) reach: Reach,
    /// Distinct partners per node.
    pub(crate) met: Vec<usize>,
    /// Pairs that were tried.
    pub(crate) partners: BTreeSet<Pair>,
    pub(super) thresholds: Thresholds,
    pub(super) outliers: bool,
}

impl Analysis {
    pub(crate) fn new(
        observations: &Observations,
        labels: Option<&[String]>,
        thresholds: &Thresholds,
        fresh_from: usize,
    ) -> Self {
        let nodes = observations.nodes();
        let reach = Reach::new(observations);
        let partners: BTreeSet<Pair> = observations.pairs().into_iter().collect();
        let mut met = vec![0; nodes];
        for &(a, b) in &partners {
            met[a] += 1;
            met[b] += 1;
        }
        let outliers = reach.live_nodes() >= thresholds.least_nodes;
        let how = How {
            labels,
            fresh_from,
            claims: (
                (1.0 - thresholds.loss).ln(),
                -(1.0 + thresholds.latency_excess).ln(),
            ),
        };
        let mut analysis = Self {
            channels: channels(observations, &how),
            of_links: BTreeMap::new(),
            reach,
            met,
            partners,
            thresholds: thresholds.clone(),
            outliers,
        };
        analysis.of_links = analysis.channels_of_links();
        analysis
    }

    /// The channel by which links are judged.
    pub(crate) fn of_links(&self, channel: usize) -> &Channel {
        let other = self.of_links.get(&channel);
        other.unwrap_or(&self.channels[channel])
    }

    /// The channels with nodes that are slow with most partners, and that the others clear: no effect
    /// of such a node explains its slow links.
    fn channels_of_links(&self) -> BTreeMap<usize, Channel> {
        let mut channels = BTreeMap::new();
        for finding in self.nodes(Pass::Screen) {
            if finding.cleared && self.is_clear(&finding) {
                let channel = finding.channel;
                channels
                    .entry(channel)
                    .or_insert_with(|| self.channels[channel].clone())
                    .clear_effect(finding.node, finding.direction);
            }
        }
        channels
    }

    /// Whether there are enough live nodes to call one of them an outlier.
    pub(crate) fn tells_outliers(&self) -> bool {
        self.outliers
    }

    /// Channels of bandwidth, with their positions.
    pub(crate) fn bandwidth(&self) -> impl Iterator<Item = (usize, &Channel)> + '_ {
        self.channels
            .iter()
            .enumerate()
            .filter(|(_, c)| c.quantity == Quantity::Bandwidth)
    }

    /// The least loss of a node, as a share, that its usual number of measurements distinguishes from noise.
    pub(crate) fn detectable(&self) -> f64 {
        let claim = self.thresholds.loss;
        let Some(channel) = self.main() else {
            return claim;
        };
        let scale = channel.spread_tx.max(channel.spread_rx);
        let again = channel.error_of(channel.noise(), self.thresholds.alone + 2) * 3.0;
        claim.max(-(-(self.thresholds.z * scale).max(again)).exp_m1())
    }

    /// The bandwidth of all rails together; without such, of the first.
    pub(crate) fn main(&self) -> Option<&Channel> {
        let together = self.bandwidth().find(|(_, c)| c.rail.is_none());
        together.or_else(|| self.bandwidth().next()).map(|(_, c)| c)
    }

    pub(crate) fn claim(&self, quantity: Quantity) -> f64 {
        match quantity {
            Quantity::Bandwidth => (1.0 - self.thresholds.loss).ln(),
            Quantity::Latency => -(1.0 + self.thresholds.latency_excess).ln(),
        }
    }

    pub(super) fn link_claim(&self, quantity: Quantity) -> f64 {
        match quantity {
            Quantity::Bandwidth => (1.0 - self.thresholds.loss).ln(),
            Quantity::Latency => -(1.0 + self.thresholds.link_latency_excess).ln(),
        }
    }
}
