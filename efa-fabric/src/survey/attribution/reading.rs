//! From observations to channels: sorted by rail and quantity, evened out, polished.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::observation::{Concurrency, Observations, Outcome, PairObservation};
use super::super::schedule::Pair;
use super::super::statistics::{Cell, Fit, LEAST_SPREAD, polish, polish_symmetric, spread};
use super::super::verdict::Quantity;
use super::channel::{Both, Channel};
use super::drift;
use super::finding::ByGroup;
use super::groups::Groups;
use super::leaves::leaves;
use super::levels::two_levels;
use crate::median::median;

/// Below this many nodes, the spread between nodes is bounded by what the noise explains.
const FEW_NODES: usize = 16;
/// The same of latency, by this multiple of it.
const SOME_NODES: usize = 48;
const MORE: f64 = 1.5;
/// Below this many nodes, the noise of latency is that of all values, outliers included.
const VERY_FEW_NODES: usize = 8;
/// One of this many nodes may differ in its two directions for a reason other than noise.
const UNEVEN: usize = 4;
/// Small tables are corrected by this much at most.
const MOST_FREEDOM: f64 = 2.0;

/// What the reading of observations depends on.
pub(super) struct How<'a> {
    pub(super) labels: Option<&'a [String]>,
    pub(super) fresh_from: usize,
    /// Least effect of a group: for bandwidth, for latency.
    pub(super) claims: (f64, f64),
}

/// One channel per rail of bandwidth, and one of latency (all rails, or per rail without those).
pub(super) fn channels(observations: &Observations, how: &How<'_>) -> Vec<Channel> {
    let items = observations.as_slice();
    let measured = items
        .iter()
        .filter(|o| matches!(o.outcome, Outcome::Measured(_)));
    let rails: BTreeSet<Option<u16>> = measured.clone().map(|o| o.rail).collect();
    // Pairs of small clusters are always alone; then concurrency shows nothing.
    let concurrent = measured
        .clone()
        .filter(|o| o.concurrency == Concurrency::Concurrent)
        .count();
    let mostly_alone = 2 * concurrent < measured.clone().count();
    let mut wanted: Vec<(Option<u16>, Quantity)> = rails
        .iter()
        .map(|&rail| (rail, Quantity::Bandwidth))
        .collect();
    let together = rails.contains(&None);
    wanted.extend(
        rails
            .iter()
            .filter(|rail| rail.is_none() || !together)
            .map(|&rail| (rail, Quantity::Latency)),
    );
    let mut sorted: HashMap<Option<u16>, (Vec<&PairObservation>, Vec<&PairObservation>)> =
        HashMap::new();
    for o in measured {
        let (concurrency, alone) = sorted.entry(o.rail).or_default();
        match o.concurrency {
            Concurrency::Alone if !mostly_alone => alone.push(o),
            _ => concurrency.push(o),
        }
    }
    // All rails have the leaves of what is measured first: all of them together, where that is.
    let first = rails.first().and_then(|rail| sorted.get(rail));
    let first = first.filter(|_| how.labels.is_none());
    let leaves = first.and_then(|(concurrency, _)| {
        let pairs = concurrency
            .iter()
            .filter_map(|o| both(o, Quantity::Bandwidth));
        leaves(observations.nodes(), &pairs.collect::<Vec<Both>>())
    });
    let mut channels: Vec<Channel> = wanted
        .into_iter()
        .filter_map(|(rail, quantity)| {
            let (concurrency, alone) = sorted.get(&rail)?;
            let read = |list: &[&PairObservation]| -> Vec<Both> {
                list.iter().filter_map(|o| both(o, quantity)).collect()
            };
            channel(
                observations.nodes(),
                rail,
                quantity,
                read(concurrency),
                read(alone),
                leaves.as_deref(),
                how,
            )
        })
        .collect();
    share_noise(&mut channels);
    channels
}

/// Gives the rails the noise of all of them where their own is less: that of one small table is
/// hardly known, and the rail that has the least by luck would be the one that stands out.
fn share_noise(channels: &mut [Channel]) {
    let bandwidth = |c: &&Channel| c.quantity == Quantity::Bandwidth;
    let mut all: Vec<f64> = channels
        .iter()
        .filter(bandwidth)
        .map(Channel::noise)
        .collect();
    let Some(common) = median(&mut all) else {
        return;
    };
    for channel in channels {
        let live = channel.fit.tx.iter().filter(|e| e.is_finite()).count();
        if channel.quantity != Quantity::Bandwidth || live >= FEW_NODES {
            continue;
        }
        let more = (common / channel.noise()).max(1.0);
        channel.noise *= more;
        channel.spread_tx *= more;
        channel.spread_rx *= more;
    }
}

fn both(observation: &PairObservation, quantity: Quantity) -> Option<Both> {
    let Outcome::Measured(m) = &observation.outcome else {
        return None;
    };
    let log = |value: Option<f64>| value.map_or(f64::NAN, f64::ln);
    let (forth, back) = match quantity {
        Quantity::Bandwidth => (log(m.gbps_a_to_b), log(m.gbps_b_to_a)),
        Quantity::Latency => (-log(m.latency_us), f64::NAN),
    };
    let pair = (observation.a, observation.b);
    let is_known = forth.is_finite() || back.is_finite();
    is_known.then_some(Both::new(pair, forth, back, observation.round))
}

fn channel(
    nodes: usize,
    rail: Option<u16>,
    quantity: Quantity,
    mut pairs: Vec<Both>,
    mut alone: Vec<Both>,
    leaves: Option<&[usize]>,
    how: &How<'_>,
) -> Option<Channel> {
    if pairs.is_empty() {
        return None;
    }
    let fitted = |pairs: &[Both]| -> Fit {
        let cells = cells(pairs);
        match quantity {
            Quantity::Bandwidth => polish(nodes, &cells),
            Quantity::Latency => polish_symmetric(nodes, &cells),
        }
    };
    let claim = match quantity {
        Quantity::Bandwidth => how.claims.0,
        Quantity::Latency => how.claims.1,
    };
    let labels = how.labels.filter(|labels| labels.len() == nodes);
    let is_directed = quantity == Quantity::Bandwidth;
    let by_group = labels.map_or_else(ByGroup::default, |labels| {
        Groups::new(labels).even_out(claim, is_directed, &mut pairs, &mut alone, fitted)
    });
    let leaves = leaves.filter(|_| quantity == Quantity::Bandwidth);
    if let Some(leaves) = leaves {
        Groups::unlabeled(leaves.to_vec()).take_out_inside(&mut pairs, &mut alone, fitted);
    }
    let mut fit = fitted(&pairs);
    // Pairs of two levels are no drift, though rounds have more of one or of the other.
    let has_levels = leaves.is_some() || two_levels(&pairs).is_some();
    if !has_levels && drift::even_out(&fit, how.fresh_from, &mut pairs, &mut alone) {
        fit = fitted(&pairs);
    }
    let cells = cells(&pairs);
    let live = fit.tx.iter().filter(|e| e.is_finite()).count();
    let effects = match quantity {
        Quantity::Bandwidth => 2 * live,
        Quantity::Latency => live,
    };
    let left = cells.len().saturating_sub(effects).max(1);
    let freedom = (cells.len() as f64 / left as f64).sqrt().min(MOST_FREEDOM);
    let mut noise = spread(cells.iter().map(|c| fit.residual(c)), LEAST_SPREAD);
    // Of a small table the fit explains much of the noise: both directions of a pair tell it too.
    if live < FEW_NODES {
        noise = noise.max(noise_of_directions(&pairs) / freedom);
    }
    // Of very few nodes it explains more than half of the latencies: the median of what is left is luck.
    if live < VERY_FEW_NODES && quantity == Quantity::Latency {
        let squares = cells.iter().map(|c| fit.residual(c).powi(2));
        noise = noise.max((squares.sum::<f64>() / cells.len() as f64).sqrt());
    }
    // The spread of few effects is itself hardly known; then what the noise explains is better.
    let explained = |counts: &[usize]| {
        let mut counts: Vec<f64> = counts
            .iter()
            .filter(|&&c| c > 0)
            .map(|&c| c as f64)
            .collect();
        let count = median(&mut counts).unwrap_or(1.0);
        (1.25 * freedom * noise / count.sqrt()).max(LEAST_SPREAD)
    };
    let scale = |effects: &[f64], counts: &[usize]| {
        let seen = || spread(effects.iter().copied(), LEAST_SPREAD);
        match quantity {
            _ if live < FEW_NODES => explained(counts),
            // Of some nodes with one value per pair, it is too large by luck now and then.
            Quantity::Latency if live < SOME_NODES => seen().min(MORE * explained(counts)),
            _ => seen(),
        }
    };
    Some(Channel {
        rail,
        quantity,
        spread_tx: scale(&fit.tx, &fit.tx_count),
        spread_rx: scale(&fit.rx, &fit.rx_count),
        noise,
        freedom,
        fit,
        pairs,
        alone,
        fresh_from: how.fresh_from,
        by_group,
        leaves: leaves.map(<[usize]>::to_vec),
    })
}

/// The noise of one direction, by how far apart the two directions of pairs are: whatever is common
/// to both, such as the level of a path, is not in it. A node that is slow one way differs in all of
/// its pairs, and more of them the more often it is measured again: the quarter of the nodes whose
/// directions differ most is left out.
pub(super) fn noise_of_directions(pairs: &[Both]) -> f64 {
    let apart = |both: &Both| both.forth - both.back;
    let mut of_pair: BTreeMap<Pair, Vec<f64>> = BTreeMap::new();
    for both in pairs.iter().filter(|both| apart(both).is_finite()) {
        of_pair.entry(both.pair).or_default().push(apart(both));
    }
    // However often a pair was measured, it is one of its nodes' pairs.
    let mut of_node: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for ((a, b), mut values) in of_pair {
        let apart = median(&mut values).unwrap_or(0.0);
        of_node.entry(a).or_default().push(apart);
        of_node.entry(b).or_default().push(-apart);
    }
    let mut nodes: Vec<(f64, usize)> = of_node
        .iter_mut()
        .filter_map(|(&node, apart)| median(apart).map(|apart| (apart.abs(), node)))
        .collect();
    nodes.sort_by(|x, y| y.0.total_cmp(&x.0));
    let uneven: Vec<usize> = nodes[..nodes.len() / UNEVEN].iter().map(|n| n.1).collect();
    let is_even = |both: &&Both| !uneven.contains(&both.pair.0) && !uneven.contains(&both.pair.1);
    spread(pairs.iter().filter(is_even).map(apart), LEAST_SPREAD) / std::f64::consts::SQRT_2
}

/// One cell per direction of a pair, however often it was measured: a bad link that was measured
/// again must not weigh more in the effects of its nodes.
fn cells(pairs: &[Both]) -> Vec<Cell> {
    let ways = pairs.iter().flat_map(|both| {
        let (a, b) = both.pair;
        [((a, b), both.forth), ((b, a), both.back)]
    });
    let mut all: Vec<(Pair, f64)> = ways.filter(|(_, value)| value.is_finite()).collect();
    // Stable: sums have the order of the measurements.
    all.sort_by_key(|&(way, _)| way);
    let of_way = all.chunk_by(|x, y| x.0 == y.0);
    let cell = |values: &[(Pair, f64)]| {
        let (from, to) = values[0].0;
        let sum = values.iter().fold(0.0, |sum, (_, value)| sum + value);
        let value = sum / values.len() as f64;
        Cell { from, to, value }
    };
    of_way.map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_slow_one_way_is_no_noise_however_often_it_is_measured() {
        let both = |pair: Pair, forth, back| Both::new(pair, forth, back, 0);
        for again in [0, 4, 20] {
            let mut pairs = Vec::new();
            for a in 0..5 {
                for b in a + 1..5 {
                    let way = |from| if from == 2 { -0.7 } else { 0.0 };
                    pairs.push(both((a, b), way(a), way(b)));
                }
            }
            pairs.extend((0..again).map(|_| both((1, 2), 0.0, -0.7)));
            assert_eq!(noise_of_directions(&pairs), LEAST_SPREAD / 2f64.sqrt());
        }
        let pairs = (0..8).flat_map(|a| (a + 1..8).map(move |b| (a, b)));
        let apart = |(a, b): Pair| [-0.1, 0.0, 0.1][(3 * a + 5 * b) % 3];
        let noisy: Vec<Both> = pairs.map(|pair| both(pair, apart(pair), 0.0)).collect();
        assert!(noise_of_directions(&noisy) > 0.09);
    }
}
