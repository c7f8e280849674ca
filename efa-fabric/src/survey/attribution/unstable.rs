//! Nodes that fail or are slow in part of their measurements, or vary more than the others:
//! evidence of all partners together, against what the other pairs of the cluster do.

use std::collections::{BTreeMap, BTreeSet};

use super::super::power::LEAST_BAD;
use super::super::schedule::Pair;
use super::super::statistics::tail;
use super::analysis::Analysis;
use super::attempts::{Attempt, attempts, odd_from, slow_from};
use super::channel::Channel;
use super::finding::Pass;
use crate::median::median;

/// Partners with which it was bad.
const LEAST_PARTNERS: usize = 2;
/// Share of bad attempts, at least and at most: beyond, a node is slow or dead.
const LEAST_SHARE: f64 = 0.12;
const MOST_SHARE: f64 = 0.85;
/// Chance of a verdict on any healthy node of a survey.
const CHANCE: f64 = 0.001;
/// The same to measure a node again.
const CHANCE_SCREENED: f64 = 3.0;
/// A clearly bad attempt failed, or lost this (logarithm: 36 %).
const CLEARLY: f64 = -0.45;
/// Below this many attempts at others, one of those is taken to be bad.
const ONE_UNSEEN: f64 = 50.0;
/// A node varies if this share of its attempts is odd; with this chance.
const VARIES: f64 = 0.35;
const CHANCE_VARIES: f64 = 0.0005;
/// A node that is odd in more than this share may only have its effect wrong, unless it is often slow.
const MOST_VARIES: f64 = 0.9;
/// Odd attempts in each way, as a share of all odd ones.
const LEAST_OF_EACH: f64 = 0.2;
/// Pairs that differ in themselves, of all that are odd.
const LEAST_WITHIN: f64 = 1.0 / 3.0;
/// Attempts of a node that varies.
const LEAST_VARIED: usize = 5;
/// What its good attempts reach at least (logarithm: 10 %).
const GOOD: f64 = -0.105;
/// The same of few, to measure it again (logarithm: 15 %).
const GOOD_OF_FEW: f64 = -0.16;

/// A node that is bad in part of its measurements.
#[derive(Debug, Clone)]
pub(crate) struct Unstable {
    pub(crate) node: usize,
    pub(crate) failed: usize,
    pub(crate) slow: usize,
    pub(crate) tried: usize,
    /// Medians of the good and of the slow attempts, in Gbit/s.
    pub(crate) good: Option<f64>,
    pub(crate) slow_value: Option<f64>,
    /// Good attempts.
    pub(crate) good_count: usize,
    /// It only varies.
    pub(crate) varies: bool,
    /// It varies so far down that many of its measurements are slow, with several partners.
    pub(crate) is_often_slow: bool,
    /// Pairs with a bad attempt, and without a good one so far.
    pub(crate) unsettled: Vec<Pair>,
}

impl Analysis {
    /// Unstable nodes, clearest first. Nodes in `but` are known to be bad otherwise.
    pub(crate) fn unstable(&self, pass: Pass, but: &BTreeSet<usize>) -> Vec<Unstable> {
        let Some(channel) = self.main().filter(|_| self.outliers) else {
            return Vec::new();
        };
        let mut all = attempts(channel, &self.reach.failures());
        all.retain(|attempt| {
            let ends = [attempt.pair.0, attempt.pair.1];
            !ends.iter().any(|node| but.contains(node))
        });
        let search = |varies| Search {
            channel,
            pass,
            varies,
            least: slow_from(channel),
        };
        // A node may fall between: too often slow to be slow in part, and good too often to be slow.
        let mut found = search(false).take_from(&mut all.clone());
        all.retain(|attempt| !found.iter().any(|found| attempt.is_of(found.node)));
        // Where pairs have two levels, every node varies.
        if self.levels().is_none() {
            found.extend(search(true).take_from(&mut all));
        }
        found
    }
}

/// A search for nodes that are bad, or that vary, in part of their attempts.
struct Search<'a> {
    channel: &'a Channel,
    pass: Pass,
    /// Whether it is for nodes that vary.
    varies: bool,
    /// The loss from which on an attempt is slow.
    least: f64,
}

impl Search<'_> {
    /// Returns what it finds, clearest first, and removes the attempts of the nodes that it looked
    /// at.
    fn take_from(&self, all: &mut Vec<Attempt>) -> Vec<Unstable> {
        let mut found = Vec::new();
        let mut taken = BTreeSet::new();
        // The clearest first: its pairs are then no evidence against its partners.
        while let Some((node, bad)) = self.clearest(all, &taken) {
            let (of_node, others): (Vec<Attempt>, Vec<Attempt>) =
                all.iter().partition(|attempt| attempt.is_of(node));
            // A single bad attempt speaks against both of its nodes.
            if self.pass == Pass::Screen && !self.varies && bad == 1 {
                taken.insert(node);
            } else {
                all.retain(|attempt| !attempt.is_of(node));
            }
            found.extend(self.judge(node, &of_node, &others));
        }
        found
    }

    /// The node whose bad attempts are the least likely by chance, and how many it has; `None`
    /// where chance explains them all.
    fn clearest(&self, all: &[Attempt], taken: &BTreeSet<usize>) -> Option<(usize, usize)> {
        let nodes = self.nodes();
        let (counts, partners) = counts(all, nodes, |attempt| self.is_bad(attempt));
        let clearly = clearly_bad(all, nodes);
        let total = counts.iter().fold((0, 0), |t, c| (t.0 + c.0, t.1 + c.1));
        let (total_bad, total_tried) = (total.0 / 2, total.1 / 2);
        let chance_of = |node: usize| {
            let (bad, tried) = counts[node];
            let others = total_tried.saturating_sub(tried);
            tail(
                bad,
                tried,
                background(total_bad.saturating_sub(bad), others),
            )
        };
        let is_enough = |node: usize| {
            let (bad, tried) = counts[node];
            let share = bad as f64 / tried as f64;
            match (self.varies, self.pass) {
                (true, _) => share >= VARIES && tried >= LEAST_VARIED,
                // One that is clearly bad is worth others.
                (_, Pass::Screen) => bad >= 2 || clearly[node],
                _ if partners[node] < LEAST_PARTNERS => false,
                _ => bad >= LEAST_BAD && (LEAST_SHARE..=MOST_SHARE).contains(&share),
            }
        };
        let limit = self.most_chance();
        (0..nodes)
            .filter(|&node| counts[node].0 > 0 && !taken.contains(&node))
            .map(|node| (chance_of(node), node))
            .filter(|&(chance, node)| is_enough(node) && chance < limit)
            .min_by(|x, y| x.0.total_cmp(&y.0))
            .map(|(_, node)| (node, counts[node].0))
    }

    fn nodes(&self) -> usize {
        self.channel.fit.tx.len()
    }

    fn is_bad(&self, attempt: &Attempt) -> bool {
        if self.varies {
            attempt.odd != 0
        } else {
            attempt.is_bad(self.least)
        }
    }

    /// The chance of one healthy node to be found, at most.
    fn most_chance(&self) -> f64 {
        let nodes = self.nodes() as f64;
        let chance = match self.pass {
            Pass::Screen => CHANCE_SCREENED,
            Pass::Alone | Pass::Verdict => CHANCE,
        } / nodes;
        if self.varies {
            chance.min(CHANCE_VARIES / nodes)
        } else {
            chance
        }
    }

    /// What is reported of a node with these attempts; `None` where they are no sign that it is
    /// bad in part only.
    fn judge(&self, node: usize, attempts: &[Attempt], others: &[Attempt]) -> Option<Unstable> {
        let mut unstable = described(self.channel, node, attempts, self.least);
        let in_part = if self.varies {
            unstable.varies = true;
            unstable.is_often_slow = self.is_often_slow(attempts, others);
            unstable.slow_value = None;
            let odd_from = odd_from(self.channel);
            let all_odd = attempts.iter().filter(|a| a.odd != 0).count() as f64;
            let is_known = all_odd <= MOST_VARIES * attempts.len() as f64;
            let odd = odd_by_own_level(node, attempts, odd_from);
            unstable.slow = odd.iter().filter(|odd| **odd != 0).count();
            (is_known || unstable.is_often_slow)
                && unstable.slow as f64 >= VARIES * attempts.len() as f64
                && both_ways(&odd, self.pass)
                && within_pairs(attempts, odd_from)
        } else {
            is_good_else(attempts, self.least, self.pass)
        };
        let certain = self.pass == Pass::Screen || unstable.is_certain(attempts, self.least);
        (in_part && certain).then_some(unstable)
    }

    /// Whether as large a share of the attempts is slow as has to be odd, and more than those of the
    /// others explain.
    fn is_often_slow(&self, attempts: &[Attempt], others: &[Attempt]) -> bool {
        let bad = |all: &[Attempt]| all.iter().filter(|a| a.is_bad(self.least)).count();
        let slow = attempts.iter().filter(|a| a.is_bad(self.least));
        let pairs: BTreeSet<Pair> = slow.map(|attempt| attempt.pair).collect();
        let (count, tried) = (bad(attempts), attempts.len());
        let chance = tail(count, tried, background(bad(others), others.len()));
        pairs.len() >= LEAST_PARTNERS
            && count >= LEAST_BAD
            && count as f64 >= VARIES * tried as f64
            && chance < CHANCE / self.nodes() as f64
    }
}

impl Unstable {
    /// Whether bad pairs were good in another attempt, and its good attempts are good: else pairs
    /// differ, or the node is slow.
    fn is_certain(&self, attempts: &[Attempt], least: f64) -> bool {
        if self.varies {
            return true;
        }
        let by_pair = by_pair(attempts, |attempt| attempt.is_bad(least));
        let (mut mixed, mut always) = (0, 0);
        for &(bad, tried) in by_pair
            .values()
            .filter(|&&(bad, tried)| bad > 0 && tried > 1)
        {
            if bad < tried {
                mixed += 1;
            } else {
                always += 1;
            }
        }
        // A bad pair that is tried once more is bad again now and then.
        mixed >= 1 && 2 * mixed >= always
    }
}

/// In which way each attempt is odd against what the node itself reaches in the median: the fit may
/// have its effect wrong.
fn odd_by_own_level(node: usize, attempts: &[Attempt], odd_from: f64) -> Vec<i8> {
    let ways = |attempt: &Attempt| match attempt.residuals {
        [forth, back] if attempt.pair.0 == node => [forth, back],
        [forth, back] => [back, forth],
    };
    let level = |way: usize| {
        let values = attempts.iter().map(|attempt| ways(attempt)[way]);
        let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        median(&mut values).unwrap_or(0.0)
    };
    let levels = [level(0), level(1)];
    let odd = attempts.iter().map(|attempt| {
        let ways = ways(attempt);
        let apart = [ways[0] - levels[0], ways[1] - levels[1]];
        let known = apart.into_iter().filter(|apart| apart.is_finite());
        let furthest = known.max_by(|x, y| x.abs().total_cmp(&y.abs()));
        let furthest = furthest.filter(|apart| apart.abs() > odd_from);
        furthest.map_or(0, |apart| apart.signum() as i8)
    });
    odd.collect()
}

/// Whether odd attempts are so in both ways: those of a node whose effect is not known well are
/// all on one side. Of few, one is enough to measure it again.
fn both_ways(odd: &[i8], pass: Pass) -> bool {
    let count = |sign: i8| odd.iter().filter(|odd| **odd == sign).count();
    let (less, more) = (count(-1), count(1));
    let least = match pass {
        Pass::Screen => 0.0,
        Pass::Alone | Pass::Verdict => LEAST_OF_EACH,
    };
    let fewer = less.min(more);
    fewer > 0 && fewer as f64 >= least * (less + more) as f64
}

/// Whether the measurements of odd pairs differ among themselves, in their two directions or in
/// several attempts, and not by what the fit makes of the node alone: else pairs differ, and the
/// node does not vary.
fn within_pairs(attempts: &[Attempt], odd_from: f64) -> bool {
    // Both of the two that differ have noise.
    let apart = odd_from * std::f64::consts::SQRT_2;
    let odd: BTreeSet<Pair> = (attempts.iter().filter(|a| a.odd != 0))
        .map(|attempt| attempt.pair)
        .collect();
    let is_apart = |pair: Pair, ways: fn(&Attempt) -> [f64; 2]| {
        let of_pair = attempts.iter().filter(|attempt| attempt.pair == pair);
        let values: Vec<f64> = of_pair.flat_map(ways).collect();
        // Those that are not numbers are no least and no most.
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        high - low > apart
    };
    let differ = odd
        .iter()
        .filter(|&&pair| is_apart(pair, |a| a.residuals) && is_apart(pair, |a| a.values));
    differ.count() as f64 >= LEAST_WITHIN * odd.len() as f64
}

/// The share of bad attempts that is expected where this many of the others are bad. Of few others,
/// less is known.
fn background(bad: usize, others: usize) -> f64 {
    let unseen = (ONE_UNSEEN / others.max(1) as f64).min(1.0);
    ((bad as f64 + unseen) / (others as f64 + 1.0)).min(1.0)
}

/// Which nodes have a clearly bad attempt.
fn clearly_bad(attempts: &[Attempt], nodes: usize) -> Vec<bool> {
    let mut clearly = vec![false; nodes];
    for attempt in attempts.iter().filter(|attempt| attempt.is_bad(CLEARLY)) {
        clearly[attempt.pair.0] = true;
        clearly[attempt.pair.1] = true;
    }
    clearly
}

/// Whether attempts that are not bad are good: those of a slow node are not.
fn is_good_else(attempts: &[Attempt], least: f64, pass: Pass) -> bool {
    let limit = match pass {
        Pass::Screen => GOOD_OF_FEW,
        Pass::Alone | Pass::Verdict => GOOD,
    };
    let good = attempts.iter().filter_map(|attempt| attempt.left);
    let mut good: Vec<f64> = good.filter(|&left| left > least).collect();
    median(&mut good).is_some_and(|good| good > limit)
}

/// What is reported of a node.
fn described(channel: &Channel, node: usize, attempts: &[Attempt], least: f64) -> Unstable {
    let middle = |slow: bool| {
        let values = attempts
            .iter()
            .filter(|attempt| attempt.left.is_some() && attempt.is_bad(least) == slow);
        let mut values: Vec<f64> = values.map(|attempt| channel.unlog(attempt.value)).collect();
        let count = values.len();
        (median(&mut values), count)
    };
    let ((slow_value, slow), (good, good_count)) = (middle(true), middle(false));
    let by_pair = by_pair(attempts, |attempt| attempt.is_bad(least));
    Unstable {
        node,
        failed: attempts.iter().filter(|a| a.left.is_none()).count(),
        slow,
        tried: attempts.len(),
        good,
        slow_value,
        good_count,
        varies: false,
        is_often_slow: false,
        unsettled: by_pair
            .into_iter()
            .filter(|&(_, (bad, tried))| bad == tried)
            .map(|(pair, _)| pair)
            .collect(),
    }
}

fn by_pair(attempts: &[Attempt], bad: impl Fn(&Attempt) -> bool) -> BTreeMap<Pair, (usize, usize)> {
    let mut by_pair: BTreeMap<Pair, (usize, usize)> = BTreeMap::new();
    for attempt in attempts {
        let count = by_pair.entry(attempt.pair).or_default();
        count.0 += usize::from(bad(attempt));
        count.1 += 1;
    }
    by_pair
}

/// Bad attempts and all, by node, and its partners with a bad one. A pair that is always bad
/// counts once, and no pair more than twice: it may be its path.
fn counts(
    attempts: &[Attempt],
    nodes: usize,
    bad: impl Fn(&Attempt) -> bool,
) -> (Vec<(usize, usize)>, Vec<usize>) {
    let mut counts = vec![(0, 0); nodes];
    let mut partners = vec![0; nodes];
    for ((a, b), (bad, tried)) in by_pair(attempts, bad) {
        let (bad, tried) = match bad {
            _ if bad == tried => (1, 1),
            0..=2 => (bad, tried),
            _ => (2, tried - bad + 2),
        };
        for node in [a, b] {
            counts[node].0 += bad;
            counts[node].1 += tried;
            partners[node] += usize::from(bad > 0);
        }
    }
    (counts, partners)
}
