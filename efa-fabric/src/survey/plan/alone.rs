//! Pairs that are measured while nothing else is: suspects, links, and two proven nodes at last.

use std::collections::BTreeSet;

use super::super::attribution::{LinkFinding, Pass};
use super::super::few::need_repeats;
use super::super::observation::{Observations, Outcome};
use super::super::options::Mode;
use super::super::schedule::{Pair, ordered};
use super::super::verdict::Quantity;
use super::lone::{AGAIN, Lone};
use super::{LEAST_ALONE, MOST_ALONE, Phase, Plan, clear};

/// Links that are measured alone in a small cluster.
const LINKS_ALONE: usize = 6;
/// A suspect of one rail and direction is certain beyond this multiple of the claimed effect.
const CERTAIN_EFFECT: f64 = 1.7;
/// The pair that is measured alone in the end is one of this many nodes.
const CONTROLS: usize = 8;
impl Plan {
    /// What has to be measured alone, worst first.
    pub(super) fn queue(&mut self, observations: &Observations) {
        let analysis = self.analyse(observations);
        let times = self.options.thresholds.alone;
        let mut had: BTreeSet<usize> = BTreeSet::new();
        let found = analysis.nodes(Pass::Screen);
        for finding in found.iter().filter(|finding| !finding.cleared) {
            let node = finding.node;
            let count = finding.alone.map_or(0, |(_, count)| count);
            // High latency is mostly a warning: it may be confirmed by fewer than a fault, and where a
            // single late node showed at last, by those that are left. So may what is clear, in more
            // than one rail or direction: of many, one is low by luck.
            let is_late = analysis.channels[finding.channel].quantity == Quantity::Latency;
            let of_node = found.iter().filter(|other| other.node == node);
            let is_sure = analysis.is_clear(finding)
                && (of_node.count() > 1 || analysis.is_beyond(finding, CERTAIN_EFFECT));
            let least = if is_late || is_sure {
                times.min(LEAST_ALONE)
            } else {
                times
            };
            let wanted = [times, least].map(|n| n.saturating_sub(count));
            let fits = wanted.into_iter().find(|&wanted| self.fits(wanted));
            let is_last = is_late && had.is_empty();
            let wanted = fits.unwrap_or(if is_last { self.left() } else { wanted[0] });
            // Beyond the limit of a sampled survey only what is sure.
            let worth = fits.is_some() || is_sure;
            if had.len() < MOST_ALONE && worth && had.insert(node) {
                let good = analysis.good_partners(finding);
                let proven = self.proven.iter().copied().filter(|&p| p != node);
                // What it reaches with some is no proof that it reaches it with the others.
                let (good, mut partners): (Vec<usize>, Vec<usize>) =
                    proven.partition(|partner| good.contains(partner));
                if partners.len() < wanted {
                    partners.extend(good);
                }
                let pairs = partners.into_iter().cycle().skip(count).take(wanted);
                self.queue.extend(pairs.map(|partner| Lone {
                    pair: ordered(node, partner),
                    suspect: Some(node),
                    failed: 0,
                }));
            }
        }
        // Of a few pairs, that many slow ones are no single faults.
        let most_links = MOST_ALONE.min(LINKS_ALONE.max(analysis.partners.len() / 100));
        let links = analysis.links(Pass::Alone, &clear(&analysis));
        // Those of a node that is bad in part are slow now and then.
        let is_in_part = |(a, b): Pair| self.decided.contains(&a) || self.decided.contains(&b);
        let is_worth = |f: &LinkFinding| {
            analysis.is_clear_link(f) && (!is_in_part(f.pair) || analysis.is_always_slow(f))
        };
        for finding in links.iter().take(most_links) {
            let count = finding.alone.map_or(0, |(_, count)| count);
            let wanted = times.saturating_sub(count);
            if self.fits(wanted) || is_worth(finding) {
                self.queue
                    .extend(std::iter::repeat_n(Lone::link(finding.pair), wanted));
            }
        }
        if !analysis.reach.any_success() && analysis.reach.any_failure() {
            // Nobody reached anybody: once more, in case it was a bad moment.
            let mut pairs = observations.as_slice().iter().map(|o| (o.a, o.b));
            let first =
                pairs.find(|&(a, b)| !self.answering.silent[a] && !self.answering.silent[b]);
            self.queue.extend(first.map(Lone::link));
        }
        if !analysis.tells_outliers() {
            self.proven.clear();
        }
    }

    pub(super) fn alone(&mut self, observations: &Observations) -> Option<Vec<Pair>> {
        if let Some(lone) = self.waiting.take() {
            self.ask_again(lone, observations);
        }
        if let Some(lone) = self.queue.pop_front() {
            self.waiting = Some(lone);
            return Some(vec![lone.pair]);
        }
        self.phase = Phase::Control;
        None
    }

    /// Puts a measurement alone that failed, or never came, at the end of the queue, a suspect
    /// with another partner.
    fn ask_again(&mut self, mut lone: Lone, observations: &Observations) {
        let last = self.issued.saturating_sub(1);
        let seen = observations.as_slice().iter().rev();
        let mut of_last = seen.take_while(|o| o.round >= last);
        let measured = of_last.any(|o| {
            o.round == last && matches!(o.outcome, Outcome::Measured(_)) && (o.a, o.b) == lone.pair
        });
        lone.failed += 1;
        let lost = self.answering.silent[lone.pair.0] || self.answering.silent[lone.pair.1];
        if measured || lone.failed > AGAIN || (lost && lone.suspect.is_none()) {
            return;
        }
        let Some(suspect) = lone.suspect.filter(|&node| !self.answering.silent[node]) else {
            if lone.suspect.is_none() && self.fits(1) {
                self.queue.push_back(lone);
            }
            return;
        };
        let had = if lone.pair.0 == suspect {
            lone.pair.1
        } else {
            lone.pair.0
        };
        let others: Vec<usize> = self
            .proven
            .iter()
            .copied()
            .filter(|&node| node != had && node != suspect && !self.answering.silent[node])
            .collect();
        let Some(&partner) = others.get(lone.failed % others.len().max(1)) else {
            return;
        };
        lone.pair = ordered(suspect, partner);
        if self.fits(1) {
            self.queue.push_back(lone);
        }
    }

    pub(super) fn control(&mut self, observations: &Observations) -> Option<Vec<Pair>> {
        // What was first measured after the base rounds.
        let is_few = self.repeats.is_none() && need_repeats(observations, &self.options);
        if is_few && self.repeat(&self.analyse(observations), observations) {
            self.phase = Phase::Base;
            return None;
        }
        self.phase = Phase::Done;
        // Whether a suspect is better alone for that alone is worth a round beyond the limit.
        let is_over = self.options.mode == Mode::Sampled && self.issued >= self.round_limit();
        if is_over && !self.analyse(observations).is_better_alone() {
            return None;
        }
        // A pair that works, where there is one.
        let few = &self.proven[..self.proven.len().min(CONTROLS)];
        let pairs = few.iter().enumerate().flat_map(|(i, &a)| {
            let others = few[i + 1..].iter();
            others.map(move |&b| ordered(a, b))
        });
        let mut pairs = pairs.collect::<Vec<Pair>>().into_iter();
        let first = pairs.clone().next();
        pairs
            .find(|pair| self.met.contains(pair))
            .or(first)
            .map(|pair| vec![pair])
    }
}
