//! Which effects stand out: of a node, of one of its rails, of a link, or of the whole cluster.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::observation::{Company, Observations, Outcome, PairObservation};
use super::options::Thresholds;
use super::reach::Reach;
use super::schedule::Pair;
use super::statistics::{Cell, Fit, LEAST_SPREAD, median, polish, polish_symmetric, spread};
use super::verdict::{Direction, Quantity};

/// A claim needs at least this many measurements of a node, those alone included.
const LEAST_OF_NODE: usize = 3;
/// A claim about one direction of a link needs this many partners of both nodes.
const LEAST_OF_ONE_WAY: usize = 7;
/// A second look needs this many.
const LEAST_OF_SUSPECT: usize = 2;
/// Suspects are measured again from this z on, so that verdicts miss few.
const SCREEN_Z: f64 = 2.5;
/// The same for links, whose noise is known better.
const SCREEN_LINK_Z: f64 = 2.0;
/// Suspects are measured again from this share of the claimed effect on.
const SCREEN_EFFECT: f64 = 0.85;
/// A single direction of a link is judged by half of the measurements, so it has to be clearer.
const SCREEN_ONE_WAY_Z: f64 = 3.0;
/// A suspect beyond this multiple of the claimed effect is clear.
const CLEAR_EFFECT: f64 = 1.4;
/// An effect that keeps this share alone is not for the company.
const KEPT_ALONE: f64 = 0.4;
/// There are many more links than nodes, and fewer measurements of each: a verdict on a link needs
/// this multiple of the least effect.
const LINK_CLAIM: f64 = 1.32;
/// The same for a single direction of a link.
const ONE_WAY: f64 = 1.65;
/// A loss of a link by company has to be this clear (logarithm: 18 %).
const LINK_CONTENTION: f64 = -0.20;
/// A loss by company has to be this clear (logarithm: 14 %).
const CONTENTION: f64 = -0.15;
/// Below this many nodes, the spread between nodes is bounded by what the noise explains.
const FEW_NODES: usize = 16;
/// Small tables are corrected by this much at most.
const MOST_FREEDOM: f64 = 2.0;
/// Classes of pairs are told apart from this many pairs of each on.
const LEAST_OF_CLASS: usize = 8;

/// How hard to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// What is worth measuring again.
    Screen,
    /// What is worth a verdict.
    Verdict,
}

/// One quantity on one rail, with what the polish made of it.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) rail: Option<u16>,
    pub(crate) quantity: Quantity,
    pub(crate) fit: Fit,
    pairs: Vec<Both>,
    alone: Vec<Both>,
    spread_tx: f64,
    spread_rx: f64,
    /// Spread of single measurements around the fit.
    noise: f64,
    /// How much the fit takes out of that spread by having many effects: 1 for large tables.
    freedom: f64,
}

/// Both directions of one measurement, as logarithms; NaN where not measured.
#[derive(Debug, Clone, Copy)]
struct Both {
    pair: Pair,
    forth: f64,
    back: f64,
}

/// A node or rail that stands out.
#[derive(Debug, Clone)]
pub(crate) struct NodeFinding {
    pub(crate) node: usize,
    pub(crate) channel: usize,
    pub(crate) direction: Direction,
    pub(crate) effect: f64,
    pub(crate) z: f64,
    pub(crate) count: usize,
    pub(crate) alone: Option<(f64, usize)>,
}

/// A link that stands out.
#[derive(Debug, Clone)]
pub(crate) struct LinkFinding {
    pub(crate) pair: Pair,
    pub(crate) channel: usize,
    pub(crate) direction: Direction,
    pub(crate) effect: f64,
    pub(crate) z: f64,
    pub(crate) count: usize,
    pub(crate) alone: Option<(f64, usize)>,
}

/// What measuring alone said about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alone {
    /// Still bad: a fault.
    StillBad,
    /// Good alone, and clearly bad in company.
    Contention,
    /// Not bad alone, and not clearly bad before.
    Nothing,
    /// Not measured alone often enough.
    Unknown,
}

/// Everything that follows from the observations.
#[derive(Debug)]
pub(crate) struct Analysis {
    pub(crate) channels: Vec<Channel>,
    pub(crate) reach: Reach,
    /// Distinct partners per node.
    pub(crate) met: Vec<usize>,
    pub(crate) pairs_seen: usize,
    thresholds: Thresholds,
    outliers: bool,
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

    /// How much faster a pair of unsuspected nodes is alone, per channel (logarithm).
    fn control(&self, channel: &Channel, suspects: &BTreeSet<usize>) -> Option<f64> {
        let mut values: Vec<f64> = channel
            .alone
            .iter()
            .filter(|b| !suspects.contains(&b.pair.0) && !suspects.contains(&b.pair.1))
            .map(|b| channel.residual(b).2)
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

    fn claim(&self, quantity: Quantity) -> f64 {
        match quantity {
            Quantity::Bandwidth => (1.0 - self.thresholds.loss).ln(),
            Quantity::Latency => -(1.0 + self.thresholds.latency_excess).ln(),
        }
    }

    fn link_claim(&self, quantity: Quantity) -> f64 {
        match quantity {
            Quantity::Bandwidth => (1.0 - self.thresholds.loss).ln(),
            Quantity::Latency => -(1.0 + self.thresholds.link_latency_excess).ln(),
        }
    }

    /// Nodes and rails that stand out, worst first.
    pub(crate) fn nodes(&self, look: Look) -> Vec<NodeFinding> {
        let mut found = Vec::new();
        if !self.outliers {
            return found;
        }
        for (index, channel) in self.channels.iter().enumerate() {
            let claim = self.claim(channel.quantity);
            let directions: &[Direction] = match channel.quantity {
                Quantity::Bandwidth => &[Direction::Sends, Direction::Receives],
                Quantity::Latency => &[Direction::Both],
            };
            for node in 0..channel.fit.tx.len() {
                for &direction in directions {
                    let (effect, z, count) = channel.effect(node, direction);
                    if count < LEAST_OF_SUSPECT || effect > claim * SCREEN_EFFECT || z > -SCREEN_Z {
                        continue;
                    }
                    let alone = channel.alone_of_node(node, direction);
                    // What was measured alone is as good as what was measured in company.
                    let all = count + alone.map_or(0, |(_, count)| count);
                    let share = pooled(effect, count, alone) / effect;
                    let said = effect * share <= claim
                        && z * share <= -self.thresholds.z
                        && all >= LEAST_OF_NODE;
                    if look == Look::Screen || said {
                        found.push(NodeFinding {
                            node,
                            channel: index,
                            direction,
                            effect,
                            z,
                            count,
                            alone,
                        });
                    }
                }
            }
        }
        found.sort_by(|x, y| x.effect.total_cmp(&y.effect));
        found
    }

    /// Whether a finding is so far beyond what is claimed that it is worth rounds beyond the
    /// usual.
    pub(crate) fn is_clear(&self, finding: &NodeFinding) -> bool {
        let quantity = self.channels[finding.channel].quantity;
        finding.effect <= self.claim(quantity) * CLEAR_EFFECT && finding.z <= -self.thresholds.z
    }

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

impl Channel {
    /// Effect, robust z and number of measurements of a node.
    pub(crate) fn effect(&self, node: usize, direction: Direction) -> (f64, f64, usize) {
        let (effect, scale, count) = match direction {
            Direction::Receives => (self.fit.rx[node], self.spread_rx, self.fit.rx_count[node]),
            _ => (self.fit.tx[node], self.spread_tx, self.fit.tx_count[node]),
        };
        (effect, effect / scale, count)
    }

    /// Standard error of a link's residual, seen so many times: its own noise, and that of the
    /// effects of its nodes, which measuring again does not lessen.
    fn link_error(&self, (a, b): Pair, k: usize, scale: f64, times: usize) -> f64 {
        let count = self.fit.tx_count[a].min(self.fit.tx_count[b]).max(1) as f64;
        let nodes = self.noise.powi(2) * if k == 0 { 1.0 } else { 2.0 } / count;
        (scale.powi(2) / times.max(1) as f64 + nodes).sqrt() * self.freedom
    }

    /// The typical value: Gbit/s or µs.
    pub(crate) fn typical(&self) -> f64 {
        self.unlog(self.fit.center)
    }

    /// A logarithm of this channel as Gbit/s or µs.
    pub(crate) fn unlog(&self, value: f64) -> f64 {
        match self.quantity {
            Quantity::Bandwidth => value.exp(),
            Quantity::Latency => (-value).exp(),
        }
    }

    /// Median value of each pair that was measured, for small clusters.
    pub(crate) fn pair_medians(&self) -> BTreeMap<Pair, f64> {
        let mut all: BTreeMap<Pair, Vec<f64>> = BTreeMap::new();
        for both in &self.pairs {
            let values = [both.forth, both.back]
                .into_iter()
                .filter(|v| v.is_finite());
            all.entry(both.pair).or_default().extend(values);
        }
        all.into_iter()
            .filter_map(|(pair, mut values)| Some((pair, self.unlog(median(&mut values)?))))
            .collect()
    }

    /// Residuals: forth, back, and their mean.
    fn residual(&self, both: &Both) -> (f64, f64, f64) {
        let (a, b) = both.pair;
        let (forth, back) = if self.quantity == Quantity::Latency {
            let value = self.fit.residual(&Cell {
                from: a,
                to: b,
                value: both.forth,
            });
            (value, value)
        } else {
            (
                self.fit.residual(&Cell {
                    from: a,
                    to: b,
                    value: both.forth,
                }),
                self.fit.residual(&Cell {
                    from: b,
                    to: a,
                    value: both.back,
                }),
            )
        };
        let mean = match (forth.is_finite(), back.is_finite()) {
            (true, true) => f64::midpoint(forth, back),
            (true, false) => forth,
            (false, _) => back,
        };
        (forth, back, mean)
    }

    /// The median over partners of what was measured alone: a bad link that was measured alone
    /// counts as one partner.
    fn alone_of_node(&self, node: usize, direction: Direction) -> Option<(f64, usize)> {
        let own = match direction {
            Direction::Receives => self.fit.rx[node],
            _ => self.fit.tx[node],
        };
        let mut partners: BTreeMap<Pair, (f64, usize)> = BTreeMap::new();
        let of_node = self
            .alone
            .iter()
            .filter(|b| b.pair.0 == node || b.pair.1 == node);
        for both in of_node {
            let (forth, back, _) = self.residual(both);
            let sends = (both.pair.0 == node) == (direction != Direction::Receives);
            let value = own + if sends { forth } else { back };
            if value.is_finite() {
                let sum = partners.entry(both.pair).or_default();
                *sum = (sum.0 + value, sum.1 + 1);
            }
        }
        let count = partners.values().map(|(_, count)| count).sum();
        let mut values: Vec<f64> = partners
            .values()
            .map(|(sum, count)| sum / *count as f64)
            .collect();
        median(&mut values).map(|v| (v, count))
    }

    fn alone_of_link(&self, pair: Pair, k: usize) -> Option<(f64, usize)> {
        let mut values: Vec<f64> = self
            .alone
            .iter()
            .filter(|b| b.pair == pair)
            .map(|b| {
                let (forth, back, mean) = self.residual(b);
                [mean, forth, back][k]
            })
            .filter(|v| v.is_finite())
            .collect();
        let count = values.len();
        median(&mut values).map(|v| (v, count))
    }
}

/// The mean of what was seen in company and alone, weighted by how often.
fn pooled(effect: f64, count: usize, alone: Option<(f64, usize)>) -> f64 {
    let (alone, times) = alone.unwrap_or((0.0, 0));
    (effect * count as f64 + alone * times as f64) / (count + times) as f64
}

/// One channel per rail of bandwidth, and one of latency (all rails, or per rail without those).
fn channels(observations: &Observations, labels: Option<&[String]>) -> Vec<Channel> {
    let items = observations.as_slice();
    let measured = items
        .iter()
        .filter(|o| matches!(o.outcome, Outcome::Measured(_)));
    let rails: BTreeSet<Option<u16>> = measured.clone().map(|o| o.rail).collect();
    // Pairs of small clusters are always alone; then company says nothing.
    let concurrent = measured
        .clone()
        .filter(|o| o.company == Company::Concurrent)
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
        let (company, alone) = sorted.entry(o.rail).or_default();
        match o.company {
            Company::Alone if !mostly_alone => alone.push(o),
            _ => company.push(o),
        }
    }
    wanted
        .into_iter()
        .filter_map(|(rail, quantity)| {
            let (company, alone) = sorted.get(&rail)?;
            let read = |list: &[&PairObservation]| -> Vec<Both> {
                list.iter().filter_map(|o| both(o, quantity)).collect()
            };
            channel(
                observations.nodes(),
                rail,
                quantity,
                read(company),
                read(alone),
                labels,
            )
        })
        .collect()
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
    (forth.is_finite() || back.is_finite()).then_some(Both {
        pair: (observation.a, observation.b),
        forth,
        back,
    })
}

fn channel(
    nodes: usize,
    rail: Option<u16>,
    quantity: Quantity,
    mut pairs: Vec<Both>,
    mut alone: Vec<Both>,
    labels: Option<&[String]>,
) -> Option<Channel> {
    if pairs.is_empty() {
        return None;
    }
    if let Some(labels) = labels.filter(|labels| labels.len() == nodes) {
        even_out_classes(labels, &mut pairs, &mut alone);
    }
    let cells = cells(&pairs);
    let fit = match quantity {
        Quantity::Bandwidth => polish(nodes, &cells),
        Quantity::Latency => polish_symmetric(nodes, &cells),
    };
    let noise = spread(cells.iter().map(|c| fit.residual(c)), LEAST_SPREAD);
    let live = fit.tx.iter().filter(|e| e.is_finite()).count();
    let effects = match quantity {
        Quantity::Bandwidth => 2 * live,
        Quantity::Latency => live,
    };
    let left = cells.len().saturating_sub(effects).max(1);
    let freedom = (cells.len() as f64 / left as f64).sqrt().min(MOST_FREEDOM);
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
        let seen = spread(effects.iter().copied(), LEAST_SPREAD);
        if live < FEW_NODES {
            seen.min(explained(counts))
        } else {
            seen
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
    })
}

/// One cell per direction of a pair, however often it was measured: a bad link that was measured
/// again must not weigh more in the effects of its nodes.
fn cells(pairs: &[Both]) -> Vec<Cell> {
    let mut sums: BTreeMap<Pair, (f64, usize)> = BTreeMap::new();
    for both in pairs {
        let (a, b) = both.pair;
        for (direction, value) in [((a, b), both.forth), ((b, a), both.back)] {
            if value.is_finite() {
                let sum = sums.entry(direction).or_default();
                *sum = (sum.0 + value, sum.1 + 1);
            }
        }
    }
    let cell = |((from, to), (sum, count)): (Pair, (f64, usize))| {
        let value = sum / count as f64;
        Cell { from, to, value }
    };
    sums.into_iter().map(cell).collect()
}

/// Takes the difference between pairs inside and across network nodes out of the values.
fn even_out_classes(labels: &[String], pairs: &mut [Both], alone: &mut [Both]) {
    let same = |both: &Both| labels[both.pair.0] == labels[both.pair.1];
    let class = |inside: bool| {
        let mut values: Vec<f64> = pairs
            .iter()
            .filter(|both| same(both) == inside)
            .flat_map(|both| [both.forth, both.back])
            .filter(|v| v.is_finite())
            .collect();
        (values.len() >= LEAST_OF_CLASS)
            .then(|| median(&mut values))
            .flatten()
    };
    let (Some(inside), Some(across)) = (class(true), class(false)) else {
        return;
    };
    for both in pairs.iter_mut().chain(alone) {
        if same(both) {
            both.forth -= inside - across;
            both.back -= inside - across;
        }
    }
}
