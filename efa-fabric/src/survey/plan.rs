//! What to measure next: base rounds, suspects with proven nodes, suspects alone, done.

use std::collections::{BTreeSet, VecDeque};

use super::attribution::{Analysis, Look};
use super::conclusion::{Conclusion, conclude};
use super::heard::Heard;
use super::observation::{Observations, Outcome};
use super::options::{Mode, Options};
use super::round::{Round, Stage};
use super::schedule::{self, Pair, Schedule, ordered};
use crate::error::Result;

/// Links measured again at most, and nodes.
const MOST_LINKS: usize = 256;
const MOST_ALONE: usize = 16;
/// Times that a suspect is measured again before it is measured alone.
const TURNS: usize = 2;
/// Rounds of suspects at most, where links that share nodes have to wait for each other.
const MOST_TURNS: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Base,
    Targeted,
    Alone,
    Control,
    Done,
}

/// The state of one survey: what was asked for so far.
#[derive(Debug, Clone)]
pub struct Plan {
    nodes: usize,
    options: Options,
    schedule: Schedule,
    phase: Phase,
    issued: usize,
    next_base: usize,
    turn: usize,
    suspects: Vec<usize>,
    doubtful: Vec<usize>,
    proven: Vec<usize>,
    links: VecDeque<Pair>,
    queue: VecDeque<Pair>,
    heard: Heard,
}

impl Plan {
    /// A survey of so many nodes.
    ///
    /// # Errors
    /// `fabric.invalid_option` as [`Options::require_valid_for`] says.
    pub fn new(nodes: usize, options: Options) -> Result<Self> {
        options.require_valid_for(nodes)?;
        let labels = options.labels.as_deref().unwrap_or(&[]);
        let schedule = match options.mode {
            Mode::Full => schedule::full(nodes),
            Mode::Sampled => {
                let rounds = options.base_rounds.unwrap_or_else(|| sampled_rounds(nodes));
                let all = schedule::full(nodes).rounds();
                schedule::sampled(nodes, rounds.min(all), options.seed)
            }
            Mode::Ring => schedule::ring(nodes),
            Mode::WithinGroups => schedule::within_groups(labels),
            Mode::BetweenGroups => schedule::between_groups(labels),
        };
        Ok(Self {
            nodes,
            options,
            schedule,
            phase: Phase::Base,
            issued: 0,
            next_base: 0,
            turn: 0,
            suspects: Vec::new(),
            doubtful: Vec::new(),
            proven: Vec::new(),
            links: VecDeque::new(),
            queue: VecDeque::new(),
            heard: Heard::new(nodes),
        })
    }

    /// The next round, in view of everything seen so far; `None` when the survey is done.
    ///
    /// A node that gave no answer, or failed with two others and reached nobody, is left out.
    /// The work of a base round is O(n); what stands out is computed once after the base rounds
    /// and once after the targeted ones.
    pub fn next(&mut self, observations: &Observations) -> Option<Round> {
        self.heard.read(observations);
        loop {
            let (stage, pairs) = match self.phase {
                Phase::Base => (Stage::Base, self.base()),
                Phase::Targeted => (Stage::Targeted, self.targeted(observations)),
                Phase::Alone => (Stage::Alone, self.alone(observations)),
                Phase::Control => (Stage::Control, self.control()),
                Phase::Done => return None,
            };
            if let Some(pairs) = pairs.filter(|pairs| !pairs.is_empty()) {
                let round = Round::new(self.issued, stage, pairs);
                self.issued += 1;
                return Some(round);
            }
        }
    }

    /// What the observations say; at any time, also when the survey was stopped.
    #[must_use]
    pub fn conclude(&self, observations: &Observations) -> Conclusion {
        conclude(observations, &self.options)
    }

    /// Number of nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Base rounds in all, for progress. What comes after depends on what is seen.
    #[must_use]
    pub fn base_rounds(&self) -> usize {
        self.schedule.rounds()
    }

    /// Nodes under suspicion now: to be measured again, or left out because nothing answers.
    #[must_use]
    pub fn suspects(&self) -> Vec<usize> {
        let out = (0..self.nodes).filter(|&n| self.heard.out(n));
        let mut all: Vec<usize> = self.suspects.iter().copied().chain(out).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The rounds in which a sampled survey of so many nodes names one bad node.
    fn round_limit(&self) -> usize {
        (2.0 * (self.nodes.max(2) as f64).log2() + 4.0) as usize
    }

    fn base(&mut self) -> Option<Vec<Pair>> {
        while self.next_base < self.schedule.rounds() {
            let mut pairs = self.schedule.round(self.next_base);
            self.next_base += 1;
            pairs.retain(|&(a, b)| !self.heard.out(a) && !self.heard.out(b));
            if !pairs.is_empty() {
                return Some(pairs);
            }
        }
        self.phase = Phase::Targeted;
        None
    }

    fn targeted(&mut self, observations: &Observations) -> Option<Vec<Pair>> {
        if self.turn == 0 {
            let analysis = self.analyse(observations);
            self.suspect(&analysis, observations.is_empty());
        }
        let turn = self.turn;
        self.turn += 1;
        let last = match self.options.mode {
            Mode::Sampled => TURNS,
            _ if self.links.is_empty() => TURNS,
            _ => MOST_TURNS,
        };
        if turn >= last {
            self.phase = Phase::Alone;
            self.queue(observations);
            return None;
        }
        let mut wanted = Vec::new();
        if turn < TURNS {
            wanted.extend_from_slice(&self.suspects);
        }
        if turn == 0 {
            wanted.extend_from_slice(&self.doubtful);
        }
        let mut pairs = schedule::targeted(&wanted, &self.proven, turn);
        let mut busy: BTreeSet<usize> = pairs.iter().flat_map(|&(a, b)| [a, b]).collect();
        let mut waiting = VecDeque::new();
        while let Some((a, b)) = self.links.pop_front() {
            if busy.contains(&a) || busy.contains(&b) {
                waiting.push_back((a, b));
            } else {
                busy.extend([a, b]);
                pairs.push((a, b));
            }
        }
        self.links = waiting;
        if pairs.is_empty() && self.links.is_empty() {
            self.turn = MOST_TURNS;
        }
        Some(pairs)
    }

    fn analyse(&self, observations: &Observations) -> Analysis {
        Analysis::new(
            observations,
            self.options.labels.as_deref(),
            &self.options.thresholds,
        )
    }

    /// Sorts nodes and links into suspect and proven.
    fn suspect(&mut self, analysis: &Analysis, nothing: bool) {
        if nothing {
            return;
        }
        let mut seen = BTreeSet::new();
        self.suspects = analysis
            .nodes(Look::Screen)
            .iter()
            .map(|f| f.node)
            .filter(|&node| seen.insert(node))
            .take(self.nodes / 2)
            .collect();
        let links: Vec<Pair> = analysis
            .links(Look::Screen, &clear(analysis))
            .iter()
            .map(|f| f.pair)
            .take(MOST_LINKS)
            .collect();
        self.links = (0..TURNS).flat_map(|_| links.iter().copied()).collect();
        self.doubtful = analysis
            .reach
            .dead()
            .map(|(node, _)| node)
            .filter(|&node| !self.heard.silent[node])
            .collect();
        let worst = |node: usize| {
            analysis
                .channels
                .iter()
                .flat_map(|c| [c.fit.tx[node], c.fit.rx[node]])
                .filter(|effect| effect.is_finite())
                .fold(0.0, |worst: f64, effect| worst.max(effect.abs()))
        };
        let mut proven: Vec<(f64, usize)> = (0..self.nodes)
            .filter(|&node| analysis.reach.alive(node) && !seen.contains(&node))
            .map(|node| (worst(node), node))
            .collect();
        proven.sort_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)));
        self.proven = proven.into_iter().map(|(_, node)| node).collect();
    }

    /// What has to be measured alone, worst first.
    fn queue(&mut self, observations: &Observations) {
        let analysis = self.analyse(observations);
        let times = self.options.thresholds.alone;
        let mut had: BTreeSet<usize> = BTreeSet::new();
        for finding in analysis.nodes(Look::Screen) {
            let node = finding.node;
            let count = finding.alone.map_or(0, |(_, count)| count);
            let wanted = times.saturating_sub(count);
            // More than one suspect may take a sampled survey beyond its limit, if they are clear.
            let worth = analysis.is_clear(&finding) || self.fits(wanted);
            if had.len() < MOST_ALONE && worth && had.insert(node) {
                let partners = self.proven.iter().filter(|&&p| p != node);
                let pairs = partners.cycle().skip(count).take(wanted);
                self.queue
                    .extend(pairs.map(|&partner| ordered(node, partner)));
            }
        }
        for finding in analysis
            .links(Look::Verdict, &clear(&analysis))
            .iter()
            .take(MOST_ALONE)
        {
            let count = finding.alone.map_or(0, |(_, count)| count);
            let wanted = times.saturating_sub(count);
            if self.fits(wanted) {
                self.queue.extend(std::iter::repeat_n(finding.pair, wanted));
            }
        }
        let patchy: BTreeSet<usize> = analysis
            .reach
            .patchy(&analysis.met)
            .iter()
            .map(|&(node, _)| node)
            .collect();
        for (pair, tally) in analysis.reach.failed_pairs().take(MOST_ALONE) {
            let known = patchy.contains(&pair.0) || patchy.contains(&pair.1);
            if tally.reached == 0 && !known && self.fits(times) {
                self.queue.extend(std::iter::repeat_n(pair, times));
            }
        }
        if !analysis.reach.any_success() && analysis.reach.any_failure() {
            // Nobody reached anybody: once more, in case it was a bad moment.
            let first = observations.as_slice().first().map(|o| (o.a, o.b));
            self.queue
                .extend(first.filter(|&(a, b)| !self.heard.silent[a] && !self.heard.silent[b]));
        }
        if !analysis.tells_outliers() {
            self.proven.clear();
        }
    }

    /// Whether so many more rounds keep a sampled survey in its limit.
    fn fits(&self, rounds: usize) -> bool {
        self.options.mode != Mode::Sampled
            || self.issued + self.queue.len() + rounds <= self.round_limit()
    }

    fn alone(&mut self, observations: &Observations) -> Option<Vec<Pair>> {
        while let Some(pair) = self.queue.pop_front() {
            // A failed pair that works alone needs no third attempt.
            if !(self.heard.failed_with[pair.0].contains(&pair.1) && worked(observations, pair)) {
                return Some(vec![pair]);
            }
        }
        self.phase = Phase::Control;
        None
    }

    fn control(&mut self) -> Option<Vec<Pair>> {
        self.phase = Phase::Done;
        if self.options.mode == Mode::Sampled && self.issued >= self.round_limit() {
            return None;
        }
        match self.proven[..] {
            [a, b, ..] => Some(vec![ordered(a, b)]),
            _ => None,
        }
    }
}

/// Nodes so bad that their links say nothing of their own.
fn clear(analysis: &Analysis) -> BTreeSet<usize> {
    let found = analysis.nodes(Look::Screen);
    found
        .iter()
        .filter(|f| analysis.is_clear(f))
        .map(|f| f.node)
        .collect()
}

/// Whether a pair was ever measured.
fn worked(observations: &Observations, pair: Pair) -> bool {
    observations
        .as_slice()
        .iter()
        .any(|o| (o.a, o.b) == pair && matches!(o.outcome, Outcome::Measured(_)))
}

/// ⌊log2 n⌋ + 2.
fn sampled_rounds(nodes: usize) -> usize {
    nodes.max(1).ilog2() as usize + 2
}

#[cfg(test)]
mod tests;
