//! Medians, the robust spread, and the median polish that splits what was measured between the
//! two nodes of a pair.

use crate::median::median;

/// 1.4826 × the median absolute deviation is the standard deviation of a normal distribution.
pub const MAD_TO_SIGMA: f64 = 1.4826;

/// Below this spread of logarithms (1 %), differences are not worth a claim.
pub const LEAST_SPREAD: f64 = 0.01;

/// A node with this effect or less is slow (logarithm: 5 %): a pair has the rate of its slower node.
pub(crate) const SLOW_PARTNER: f64 = -0.05;
/// With this share of slow partners or more, an effect is taken from the others only.
const MANY_SLOW: f64 = 0.25;
/// If these are as many.
const LEAST_OTHERS: usize = 3;
/// Sweeps after which a polish stops, settled or not.
const MAX_SWEEPS: usize = 12;
/// Measurements within this many spreads of the fit are averaged after the polish.
const INLIERS: f64 = 2.5;
/// A polish has settled when no effect moves by more than this.
const SETTLED: f64 = 1e-4;

/// One directed measurement: the logarithm of what was measured from one node to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// The sending node.
    pub from: usize,
    /// The receiving node.
    pub to: usize,
    /// Natural logarithm of the rate, or minus that of a latency, so that lower is worse.
    pub value: f64,
}

/// The result of a median polish: `value ≈ center + tx[from] + rx[to]`.
///
/// Effects are NaN for nodes without measurements. The median effect is 0.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Fit {
    /// The typical value.
    pub center: f64,
    /// Per node, how much higher than typical it sends.
    pub tx: Vec<f64>,
    /// Per node, how much higher than typical it receives.
    pub rx: Vec<f64>,
    /// Per node, the number of measurements behind `tx`.
    pub tx_count: Vec<usize>,
    /// Per node, the number of measurements behind `rx`.
    pub rx_count: Vec<usize>,
}

impl Fit {
    /// Returns what the fit leaves unexplained of one measurement; NaN where a node has no effect.
    #[must_use]
    pub fn residual(&self, cell: &Cell) -> f64 {
        cell.value - self.center - self.tx[cell.from] - self.rx[cell.to]
    }
}

/// Returns the robust standard deviation around the median: 1.4826 × MAD, but at least `least`.
#[must_use]
pub fn spread(values: impl Iterator<Item = f64>, least: f64) -> f64 {
    let mut values: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    let Some(middle) = median(&mut values) else {
        return least;
    };
    values.iter_mut().for_each(|v| *v = (*v - middle).abs());
    median(&mut values).map_or(least, |mad| (mad * MAD_TO_SIGMA).max(least))
}

/// Splits directed measurements into a sending and a receiving effect per node.
#[must_use]
pub fn polish(nodes: usize, cells: &[Cell]) -> Fit {
    let sent = Index::new(nodes, cells.len(), cells.iter().map(|c| c.from));
    let received = Index::new(nodes, cells.len(), cells.iter().map(|c| c.to));
    let mut fit = Fit {
        center: median(&mut cells.iter().map(|c| c.value).collect::<Vec<_>>()).unwrap_or(f64::NAN),
        tx: sent.start(nodes),
        rx: received.start(nodes),
        tx_count: sent.counts(nodes),
        rx_count: received.counts(nodes),
    };
    let mut buffer = Vec::new();
    for _ in 0..MAX_SWEEPS {
        let mut moved: f64 = 0.0;
        for node in 0..nodes {
            let values = sent
                .items_of(node)
                .map(|i| cells[i].value - fit.rx[cells[i].to]);
            moved = moved.max(settle(&mut fit.tx[node], fit.center, values, &mut buffer));
        }
        fit.center += recenter(&mut fit.tx);
        for node in 0..nodes {
            let values = received
                .items_of(node)
                .map(|i| cells[i].value - fit.tx[cells[i].from]);
            moved = moved.max(settle(&mut fit.rx[node], fit.center, values, &mut buffer));
        }
        fit.center += recenter(&mut fit.rx);
        if moved < SETTLED {
            break;
        }
    }
    average_inliers(&mut fit, cells);
    leave_out_slow_partners(&mut fit, cells);
    fit
}

/// Takes the effects of nodes with many slow partners from the others: two slow nodes are as fast
/// together as the slower one, and not as slow as the sum of their effects.
fn leave_out_slow_partners(fit: &mut Fit, cells: &[Cell]) {
    let slow = |effects: &[f64]| -> Vec<bool> {
        effects
            .iter()
            .map(|&effect| effect <= SLOW_PARTNER)
            .collect()
    };
    let (slow_tx, slow_rx) = (slow(&fit.tx), slow(&fit.rx));
    if !slow_tx.iter().chain(&slow_rx).any(|&slow| slow) {
        return;
    }
    let nodes = fit.tx.len();
    let better = |of: &dyn Fn(&Cell) -> (usize, bool, f64), counts: &[usize]| {
        let mut values = vec![Vec::new(); nodes];
        for cell in cells {
            let (node, slow, value) = of(cell);
            if !slow && value.is_finite() {
                values[node].push(value);
            }
        }
        let effect = |(values, &all): (&mut Vec<f64>, &usize)| {
            let left_out = all.saturating_sub(values.len()) as f64;
            let many = left_out >= MANY_SLOW * all as f64 && left_out > 0.0;
            median(values).filter(|_| many && values.len() >= LEAST_OTHERS)
        };
        values
            .iter_mut()
            .zip(counts)
            .map(effect)
            .collect::<Vec<_>>()
    };
    let of_tx = |c: &Cell| (c.from, slow_rx[c.to], c.value - fit.center - fit.rx[c.to]);
    let of_rx = |c: &Cell| (c.to, slow_tx[c.from], c.value - fit.center - fit.tx[c.from]);
    let (tx, rx) = (better(&of_tx, &fit.tx_count), better(&of_rx, &fit.rx_count));
    for (effects, known) in [(&mut fit.tx, tx), (&mut fit.rx, rx)] {
        for (effect, known) in effects.iter_mut().zip(known) {
            *effect = known.unwrap_or(*effect);
        }
    }
}

/// Splits measurements without a direction (latency) into one effect per node: `tx` equals `rx`.
#[must_use]
pub fn polish_symmetric(nodes: usize, cells: &[Cell]) -> Fit {
    let ends = Index::new(
        nodes,
        cells.len() * 2,
        cells.iter().flat_map(|c| [c.from, c.to]),
    );
    let mut fit = Fit {
        center: median(&mut cells.iter().map(|c| c.value).collect::<Vec<_>>()).unwrap_or(f64::NAN),
        tx: ends.start(nodes),
        rx: Vec::new(),
        tx_count: ends.counts(nodes),
        rx_count: ends.counts(nodes),
    };
    let mut buffer = Vec::new();
    for _ in 0..MAX_SWEEPS {
        let mut moved: f64 = 0.0;
        for node in 0..nodes {
            let effects = &fit.tx;
            buffer.clear();
            buffer.extend(ends.items_of(node).map(|end| {
                let cell = &cells[end / 2];
                let other = if end % 2 == 0 { cell.to } else { cell.from };
                cell.value - fit.center - effects[other]
            }));
            if let Some(value) = median(&mut buffer) {
                moved = moved.max((value - fit.tx[node]).abs());
                fit.tx[node] = value;
            }
        }
        fit.center += 2.0 * recenter(&mut fit.tx);
        if moved < SETTLED {
            break;
        }
    }
    fit.rx.clone_from(&fit.tx);
    average_symmetric(&mut fit, cells);
    fit
}

/// Replaces medians by means of what is near the fit: a fifth less noise, and outliers stay out.
fn average_inliers(fit: &mut Fit, cells: &[Cell]) {
    for _ in 0..2 {
        let near = INLIERS * spread(cells.iter().map(|c| fit.residual(c)), LEAST_SPREAD);
        let shifts = means(fit, cells, near, |c| [Some(c.from), None]);
        fit.tx
            .iter_mut()
            .zip(shifts)
            .for_each(|(effect, shift)| *effect += shift);
        let shifts = means(fit, cells, near, |c| [Some(c.to), None]);
        fit.rx
            .iter_mut()
            .zip(shifts)
            .for_each(|(effect, shift)| *effect += shift);
        fit.center += recenter(&mut fit.tx) + recenter(&mut fit.rx);
    }
}

/// As [`average_inliers`] where `tx` equals `rx`.
fn average_symmetric(fit: &mut Fit, cells: &[Cell]) {
    for _ in 0..3 {
        let near = INLIERS * spread(cells.iter().map(|c| fit.residual(c)), LEAST_SPREAD);
        let shifts = means(fit, cells, near, |c| [Some(c.from), Some(c.to)]);
        // Both ends of a pair would take the same residual: a shorter step does not overshoot.
        fit.tx
            .iter_mut()
            .zip(shifts)
            .for_each(|(effect, shift)| *effect += shift * 0.7);
        fit.center += 2.0 * recenter(&mut fit.tx);
        fit.rx.clone_from(&fit.tx);
    }
}

/// Per node, the mean of the residuals that are not further than `near`; 0 without such.
fn means(
    fit: &Fit,
    cells: &[Cell],
    near: f64,
    of: impl Fn(&Cell) -> [Option<usize>; 2],
) -> Vec<f64> {
    let mut sums = vec![(0.0, 0usize); fit.tx.len()];
    for cell in cells {
        let residual = fit.residual(cell);
        if residual.abs() <= near {
            for node in of(cell).into_iter().flatten() {
                sums[node].0 += residual;
                sums[node].1 += 1;
            }
        }
    }
    let mean = |(sum, count)| if count == 0 { 0.0 } else { sum / count as f64 };
    sums.into_iter().map(mean).collect()
}

/// Sets an effect to the median of its values; how far it moved.
fn settle(
    effect: &mut f64,
    center: f64,
    values: impl Iterator<Item = f64>,
    buffer: &mut Vec<f64>,
) -> f64 {
    buffer.clear();
    buffer.extend(values);
    let Some(value) = median(buffer) else {
        return 0.0;
    };
    let value = value - center;
    let moved = (value - *effect).abs();
    *effect = value;
    moved
}

/// Makes the median effect 0; returns what it was.
fn recenter(effects: &mut [f64]) -> f64 {
    let mut known: Vec<f64> = effects.iter().copied().filter(|e| e.is_finite()).collect();
    let middle = median(&mut known).unwrap_or(0.0);
    effects.iter_mut().for_each(|e| *e -= middle);
    middle
}

/// The chance of at least `bad` of `tried`, each with chance `p`.
pub(crate) fn tail(bad: usize, tried: usize, p: f64) -> f64 {
    if bad > tried {
        return 0.0;
    }
    if p >= 1.0 {
        return 1.0;
    }
    let mut term = (1.0 - p).powi(tried as i32);
    let mut below = 0.0;
    for k in 0..bad {
        below += term;
        term *= (tried - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
    }
    // For small chances the sum above has no digits left: the rest of the series.
    let mut above = 0.0;
    for k in bad..=tried {
        above += term;
        term *= (tried - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
    }
    if term.is_finite() {
        above.min(1.0)
    } else {
        1.0 - below
    }
}

/// Positions by key, without a vector per key.
struct Index {
    starts: Vec<usize>,
    items: Vec<usize>,
}

impl Index {
    fn new(keys: usize, len: usize, of: impl Iterator<Item = usize> + Clone) -> Self {
        let mut starts = vec![0; keys + 1];
        of.clone().for_each(|key| starts[key + 1] += 1);
        for key in 0..keys {
            starts[key + 1] += starts[key];
        }
        let mut next = starts.clone();
        let mut items = vec![0; len];
        for (item, key) in of.enumerate() {
            items[next[key]] = item;
            next[key] += 1;
        }
        Self { starts, items }
    }

    fn items_of(&self, key: usize) -> impl Iterator<Item = usize> + '_ {
        self.items[self.starts[key]..self.starts[key + 1]]
            .iter()
            .copied()
    }

    fn counts(&self, keys: usize) -> Vec<usize> {
        (0..keys)
            .map(|k| self.starts[k + 1] - self.starts[k])
            .collect()
    }

    /// 0 for keys with items, NaN for those without.
    fn start(&self, keys: usize) -> Vec<f64> {
        let counts = self.counts(keys);
        counts
            .iter()
            .map(|&c| if c == 0 { f64::NAN } else { 0.0 })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cells(nodes: usize, value: impl Fn(usize, usize) -> f64) -> Vec<Cell> {
        (0..nodes)
            .flat_map(|from| {
                (0..nodes)
                    .filter(move |&to| to != from)
                    .map(move |to| (from, to))
            })
            .map(|(from, to)| Cell {
                from,
                to,
                value: value(from, to),
            })
            .collect()
    }

    #[test]
    fn tails_of_the_binomial_distribution() {
        for (bad, tried, p, expected) in [
            (0, 4, 0.5, 1.0),
            (4, 4, 0.5, 0.0625),
            (3, 4, 0.5, 0.3125),
            (1, 2, 0.1, 0.19),
            (2, 2, 1.0, 1.0),
            (3, 1, 0.3, 0.0),
        ] {
            assert!(
                (tail(bad, tried, p) - expected).abs() < 1e-9,
                "{bad} {tried} {p}"
            );
        }
        assert!(tail(9, 12, 0.01) < 1e-15);
    }

    #[test]
    fn spreads() {
        assert_eq!(spread([1.0, 1.0, 1.0].into_iter(), 0.01), 0.01);
        assert!(
            (spread([1.0, 2.0, 3.0, 4.0, 100.0].into_iter(), 0.01) - MAD_TO_SIGMA).abs() < 1e-9
        );
    }

    #[test]
    fn a_slow_sender_is_not_a_slow_receiver() {
        let fit = polish(8, &cells(8, |from, _| if from == 3 { 4.0 } else { 5.0 }));
        assert_eq!(fit.center, 5.0);
        assert_eq!((fit.tx[3], fit.rx[3]), (-1.0, 0.0));
        assert_eq!((fit.tx[2], fit.rx[2]), (0.0, 0.0));
    }

    #[test]
    fn a_slow_link_moves_no_node() {
        let slow = |a, b| (a, b) == (2, 5) || (a, b) == (5, 2);
        let cells = cells(8, |a, b| if slow(a, b) { 4.0 } else { 5.0 });
        let fit = polish(8, &cells);
        for cell in &cells {
            let residual = if slow(cell.from, cell.to) { -1.0 } else { 0.0 };
            assert!((fit.residual(cell) - residual).abs() < 1e-9, "{cell:?}");
        }
    }

    #[test]
    fn nodes_without_measurements_have_no_effect() {
        let fit = polish(4, &cells(3, |_, _| 1.0));
        assert!(fit.tx[3].is_nan() && fit.rx[3].is_nan());
        assert_eq!((fit.tx_count[3], fit.tx_count[0]), (0, 2));
        assert!(polish(2, &[]).center.is_nan());
    }

    proptest! {
        #[test]
        fn effects_of_a_minority_are_found_exactly(
            nodes in 8usize..24,
            off in proptest::collection::vec(-1.0f64..1.0, 1..3),
        ) {
            let effect = |node: usize| off.get(node).copied().unwrap_or(0.0);
            let table = cells(nodes, |a, b| 3.0 + effect(a) + effect(b));
            let half: Vec<Cell> = table.iter().copied().filter(|c| c.from < c.to).collect();
            for fit in [polish(nodes, &table), polish_symmetric(nodes, &half)] {
                for node in 0..nodes {
                    prop_assert!((fit.tx[node] - effect(node)).abs() < 1e-6, "{node}: {}", fit.tx[node]);
                }
            }
        }
    }
}
