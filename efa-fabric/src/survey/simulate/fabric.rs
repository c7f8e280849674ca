//! A simulated fabric whose leaves share uplinks: what flows reach that run at the same time.

use std::collections::BTreeMap;

use super::super::collective::Flow;

/// A network of nodes below leaves. Each node, each way, and each leaf's uplink, each way, has a rate that the
/// flows through it share.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Fabric {
    /// Nodes of a leaf.
    pub leaf: usize,
    /// What a node sends, and what it receives, in Gbit/s.
    pub node_gbps: f64,
    /// What passes a leaf's uplink, each way, in Gbit/s.
    pub uplink_gbps: f64,
}

/// What flows share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shared {
    Sends(usize),
    Receives(usize),
    Up(usize),
    Down(usize),
}

impl Fabric {
    /// Creates a fabric from the number of nodes below each leaf; the rate of a node and of a
    /// leaf's uplink, in Gbit/s.
    #[must_use]
    pub fn new(leaf: usize, node_gbps: f64, uplink_gbps: f64) -> Self {
        Self {
            leaf,
            node_gbps,
            uplink_gbps,
        }
    }

    /// Returns the rate of each flow in Gbit/s while all of them run, shared fairly: no flow can
    /// have more without another that has no more than it having less.
    #[must_use]
    pub fn rates(&self, flows: &[Flow]) -> Vec<f64> {
        let mut rates = vec![0.0; flows.len()];
        let mut open: Vec<usize> = (0..flows.len()).collect();
        let mut left: BTreeMap<Shared, f64> = BTreeMap::new();
        for flow in flows {
            for shared in self.way(*flow) {
                left.insert(shared, self.gbps(shared));
            }
        }
        while !open.is_empty() {
            let mut users: BTreeMap<Shared, usize> = BTreeMap::new();
            for &at in &open {
                for shared in self.way(flows[at]) {
                    *users.entry(shared).or_default() += 1;
                }
            }
            // All grow alike until something is full; whatever passes there has its rate.
            let share = |(shared, users): (&Shared, &usize)| left[shared] / *users as f64;
            let least = users.iter().map(share).fold(f64::INFINITY, f64::min);
            for (shared, users) in &users {
                left.entry(*shared)
                    .and_modify(|gbps| *gbps -= least * *users as f64);
            }
            open.iter().for_each(|&at| rates[at] += least);
            open.retain(|&at| self.way(flows[at]).all(|shared| left[&shared] > 1e-9));
        }
        rates
    }

    fn gbps(&self, shared: Shared) -> f64 {
        match shared {
            Shared::Sends(_) | Shared::Receives(_) => self.node_gbps,
            Shared::Up(_) | Shared::Down(_) => self.uplink_gbps,
        }
    }

    fn way(&self, (from, to): Flow) -> impl Iterator<Item = Shared> + use<> {
        let leaf = |node: usize| node / self.leaf.max(1);
        let (up, down) = (leaf(from), leaf(to));
        let links = (up != down).then_some([Shared::Up(up), Shared::Down(down)]);
        [Shared::Sends(from), Shared::Receives(to)]
            .into_iter()
            .chain(links.into_iter().flatten())
    }
}
