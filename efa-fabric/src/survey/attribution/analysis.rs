//! Everything that follows from the observations: who reached whom, and the channels.

use std::collections::BTreeSet;

use super::super::observation::Observations;
use super::super::options::Thresholds;
use super::super::reach::Reach;
use super::super::schedule::Pair;
use super::super::verdict::Quantity;
use super::channel::Channel;
use super::reading::channels;

/// Everything that follows from the observations.
#[derive(Debug)]
pub(crate) struct Analysis {
    pub(crate) channels: Vec<Channel>,
    pub(crate) reach: Reach,
    /// Distinct partners per node.
    pub(crate) met: Vec<usize>,
    pub(crate) pairs_seen: usize,
    pub(super) thresholds: Thresholds,
    pub(super) outliers: bool,
}

impl Analysis {
    pub(crate) fn new(
        observations: &Observations,
        labels: Option<&[String]>,
        thresholds: &Thresholds,
    ) -> Self {
        let nodes = observations.nodes();
        let reach = Reach::new(observations);
        let mut partners: BTreeSet<Pair> = BTreeSet::new();
        for o in observations.as_slice() {
            partners.insert((o.a, o.b));
        }
        let mut met = vec![0; nodes];
        for &(a, b) in &partners {
            met[a] += 1;
            met[b] += 1;
        }
        let outliers = reach.live_nodes() >= thresholds.least_nodes;
        Self {
            channels: channels(observations, labels),
            reach,
            met,
            pairs_seen: partners.len(),
            thresholds: thresholds.clone(),
            outliers,
        }
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

    pub(super) fn claim(&self, quantity: Quantity) -> f64 {
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
