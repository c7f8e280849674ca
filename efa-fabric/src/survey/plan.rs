//! What to measure next: base rounds, suspects with proven nodes, suspects alone, done.

use std::collections::{BTreeSet, VecDeque};

use super::answering::Answering;
use super::attribution::{Analysis, NodeFinding, Pass};
use super::conclusion::{Conclusion, conclude};
use super::few::need_repeats;
use super::observation::Observations;
use super::options::{Mode, Options};
use super::power::TURNS_OF_UNSTABLE;
use super::reach::Reach;
use super::round::{Round, Stage};
use super::schedule::{self, Pair, Schedule, ordered};
use super::verdict::Quantity;
use crate::error::Result;

mod alone;
mod lone;
mod targets;
mod unstable;

use self::lone::{AGAIN, Lone};
use self::targets::Targets;

/// Links measured again at most, and nodes.
const MOST_LINKS: usize = 256;
const MOST_ALONE: usize = 16;
/// Times that a suspect is measured again before it is measured alone.
const TURNS: usize = 2;
/// Measurements alone that a verdict needs, with one concurrent one since it was suspected.
const LEAST_ALONE: usize = 2;
/// Rounds of suspects at most, where links that share nodes have to wait for each other.
const MOST_TURNS: usize = 12;
/// Times after which it is decided whether a node that failed or was slow in part still has to be
/// measured again.
const TURNS_TO_DECIDE: usize = 4;
/// Measurements of each node that a sampled survey goes on to, in its limit, if nothing stands
/// out: of a node that is bad in 30 % of them, 98 in 100 show it at least once. This many with
/// others also tell a node that was bad with one partner only from a bad path.
const ENOUGH_OF_NODE: usize = 11;
/// Among fewer nodes a pair that never worked is the path at once: more measurements of its nodes
/// with so few others would cost a deadline each.
const FEW_NODES: usize = 16;

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
    /// Nodes so much slower that they may be a small part of the network of their own: they meet each
    /// other before any of them is measured alone.
    alike: Vec<usize>,
    /// There is one suspect, and only its latency is.
    is_one_late: bool,
    proven: Vec<usize>,
    links: VecDeque<Pair>,
    unstable: Vec<usize>,
    unsettled: BTreeSet<Pair>,
    /// The only good pairs of suspects.
    lucky: Vec<Pair>,
    left_out: Vec<usize>,
    screened_again: bool,
    /// Times that the base rounds are still to be repeated, once it is known whether they are.
    repeats: Option<usize>,
    /// Nodes that were unstable suspects, and of which enough is known.
    decided: BTreeSet<usize>,
    /// Nodes with one bad pair.
    doubted: Vec<(usize, Pair)>,
    met: BTreeSet<Pair>,
    queue: VecDeque<Lone>,
    waiting: Option<Lone>,
    answering: Answering,
    /// The first round after the base rounds.
    fresh_from: usize,
}

impl Plan {
    /// Creates a survey of `nodes` nodes.
    ///
    /// # Errors
    /// `fabric.invalid_option` as [`Options::require_valid_for`] states.
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
            alike: Vec::new(),
            is_one_late: false,
            proven: Vec::new(),
            links: VecDeque::new(),
            unstable: Vec::new(),
            unsettled: BTreeSet::new(),
            lucky: Vec::new(),
            left_out: Vec::new(),
            screened_again: false,
            repeats: None,
            decided: BTreeSet::new(),
            doubted: Vec::new(),
            met: BTreeSet::new(),
            queue: VecDeque::new(),
            waiting: None,
            answering: Answering::new(nodes),
            fresh_from: usize::MAX,
        })
    }

    /// Returns the next round, in view of everything seen so far; `None` when the survey is done.
    ///
    /// A node that gave no answer, or failed with two others and reached nobody, is left out.
    /// The work of a base round is O(n); what stands out is computed once after the base rounds
    /// and once after the targeted ones.
    pub fn next(&mut self, observations: &Observations) -> Option<Round> {
        self.answering.read(observations);
        loop {
            let (stage, pairs) = match self.phase {
                Phase::Base => (Stage::Base, self.base()),
                Phase::Targeted => (Stage::Targeted, self.targeted(observations)),
                Phase::Alone => (Stage::Alone, self.alone(observations)),
                Phase::Control => (Stage::Control, self.control(observations)),
                Phase::Done => return None,
            };
            if let Some(pairs) = pairs.filter(|pairs| !pairs.is_empty()) {
                let round = Round::new(self.issued, stage, pairs);
                self.issued += 1;
                return Some(round);
            }
        }
    }

    /// Returns what the observations state; at any time, also when the survey was stopped.
    #[must_use]
    pub fn conclude(&self, observations: &Observations) -> Conclusion {
        conclude(observations, &self.options, self.fresh_from)
    }

    /// The first round after the base rounds; above all rounds where there was none.
    pub(crate) fn targeted_from(&self) -> usize {
        self.fresh_from.min(self.issued)
    }

    /// Returns the number of nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Returns the number of base rounds in all, for progress. What comes after depends on what is
    /// seen.
    #[must_use]
    pub fn base_rounds(&self) -> usize {
        let repeats = self.repeats.map_or(0, |_| self.options.thresholds.alone);
        self.schedule.rounds() * (1 + repeats)
    }

    /// Returns the most rounds that this survey takes, whatever happens. A sampled survey names one
    /// bad node or rail in 2·log2(n) + 4 rounds; each further one that is clear takes its
    /// measurements alone, and nodes that fail in part up to 20 rounds, all of them at the same
    /// time.
    #[must_use]
    pub fn most_rounds(&self) -> usize {
        let base = self.longest();
        let alone = MOST_ALONE * self.options.thresholds.alone;
        // Once more where nobody reached anybody, and the control.
        let last = 2 + self.most_repeats();
        match self.options.mode {
            Mode::Sampled => base + TURNS_OF_UNSTABLE.max(self.round_limit()) + alone + last,
            // Nodes and links, each measured again where it failed.
            _ => base + TURNS_OF_UNSTABLE + 2 * alone * (1 + AGAIN) + last,
        }
    }

    /// Returns the most rounds in which few nodes are measured again, where no more than that answer.
    fn most_repeats(&self) -> usize {
        let few = self.options.thresholds.least_nodes.min(self.nodes);
        let pairs = few * few.saturating_sub(1) / 2;
        self.options.thresholds.alone * pairs.min(self.schedule.rounds())
    }

    /// Returns nodes under suspicion now: to be measured again, or left out because nothing answers.
    #[must_use]
    pub fn suspects(&self) -> Vec<usize> {
        let out = (0..self.nodes).filter(|&n| self.answering.out(n));
        let mut all: Vec<usize> = self.suspects.iter().copied().chain(out).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The rounds in which a sampled survey of this many nodes names one bad node.
    fn round_limit(&self) -> usize {
        (2.0 * (self.nodes.max(2) as f64).log2() + 4.0) as usize
    }

    fn base(&mut self) -> Option<Vec<Pair>> {
        loop {
            while self.next_base < self.schedule.rounds() {
                let mut pairs = self.schedule.round(self.next_base);
                self.next_base += 1;
                pairs.retain(|&(a, b)| !self.answering.out(a) && !self.answering.out(b));
                if !pairs.is_empty() {
                    return Some(pairs);
                }
            }
            match &mut self.repeats {
                Some(left) if *left > 0 => (*left, self.next_base) = (*left - 1, 0),
                _ => break,
            }
        }
        self.phase = Phase::Targeted;
        self.left_out = (0..self.nodes)
            .filter(|&node| self.answering.out(node) && !self.answering.silent[node])
            .collect();
        None
    }

    fn targeted(&mut self, observations: &Observations) -> Option<Vec<Pair>> {
        if self.turn == 0 {
            self.fresh_from = self.issued;
            let analysis = self.analyse(observations);
            if self.repeat(&analysis, observations) {
                self.phase = Phase::Base;
                return None;
            }
            self.suspect(&analysis, observations.is_empty());
            if self.nothing_stands_out(&analysis) && self.lengthen() {
                self.phase = Phase::Base;
                return None;
            }
        } else if self.turn.is_multiple_of(TURNS_TO_DECIDE) && !self.unstable.is_empty() {
            self.leave_settled(observations);
        }
        let turn = self.turn;
        self.turn += 1;
        let reach = Reach::new(observations);
        // Nodes that were left out and work after all were hardly measured.
        for &node in self
            .left_out
            .iter()
            .filter(|&&node| self.answering.reached[node])
        {
            if !self.unstable.contains(&node) {
                self.unstable.push(node);
            }
        }
        let mut targets = Targets::new(turn, &self.proven, &self.met);
        // A pair that failed is tried again together with all others that did.
        if turn < self.last_turn().max(self.least_turns_of_pairs()) {
            for node in reach.open_nodes() {
                targets.first_free(node, reach.partners_in_doubt(node, &self.proven));
            }
            for node in reach.may_be_lost() {
                targets.first_free(node, reach.partners_of_lost(node, &self.proven));
            }
            targets.pairs(
                reach
                    .sets()
                    .into_iter()
                    .flat_map(|sets| sets.untried.iter().copied()),
            );
            targets.pairs(reach.open_pairs());
        }
        if turn == 0 {
            // One good pair would clear a suspect: it has to be good again.
            targets.pairs(self.lucky.iter().copied());
        }
        // Of three, one is left over by the first such round.
        if (1..=TURNS).contains(&turn) {
            targets.introduce(&self.alike);
        }
        if turn < self.turns_of_suspects() {
            // The second time with others that are suspected: a network node that they share
            // shows as a good pair, two bad nodes as a bad one.
            if turn == 1 {
                targets.peers(&self.suspects);
                targets.next_worst(&self.suspects);
            }
            targets.nodes(&self.suspects);
        }
        if turn < self.last_turn_of_unstable() {
            targets.pairs(self.unsettled.iter().copied());
            self.unsettled.retain(|pair| !targets.has(*pair));
            targets.nodes(&self.unstable);
        }
        if turn < self.last_turn() {
            self.links = targets.wait(std::mem::take(&mut self.links));
        }
        let pairs = targets.with_controls();
        if pairs.is_empty() && self.screen_again(observations) {
            return self.targeted(observations);
        }
        if pairs.is_empty() {
            self.phase = Phase::Alone;
            self.queue(observations);
            return None;
        }
        self.met.extend(pairs.iter().copied());
        Some(pairs)
    }

    /// Turns of suspects: of a single one that is only late fewer, where a longer base left no room
    /// for all of them and for the measurements alone that a verdict needs.
    fn turns_of_suspects(&self) -> usize {
        let is_given = self.options.base_rounds.is_some();
        if self.options.mode != Mode::Sampled || is_given || !self.is_one_late {
            return TURNS;
        }
        let alone = self.options.thresholds.alone.min(LEAST_ALONE);
        let left = self.round_limit().saturating_sub(self.fresh_from + alone);
        left.clamp(1, TURNS)
    }

    /// Turns of links and of pairs that failed.
    fn last_turn(&self) -> usize {
        match self.options.mode {
            Mode::Sampled => {
                let end = self.round_limit().saturating_sub(self.kept_free());
                let left = end.saturating_sub(self.fresh_from);
                match self.options.base_rounds {
                    Some(_) => left.max(TURNS),
                    None => left,
                }
            }
            _ => MOST_TURNS,
        }
    }

    /// Turns of pairs that failed, at least: among few nodes they fail often, and each counts.
    fn least_turns_of_pairs(&self) -> usize {
        match self.nodes <= self.options.thresholds.least_nodes {
            true => MOST_TURNS,
            false => TURNS_TO_DECIDE,
        }
    }

    /// Rounds that are kept free for the measurements of a suspect alone, and for the control.
    fn kept_free(&self) -> usize {
        if self.suspects.is_empty() {
            return 0;
        }
        self.options.thresholds.alone + usize::from(self.nodes >= FEW_NODES)
    }

    /// Whether nothing is worth the rounds that are left more than further base rounds: nodes and
    /// links that only might be slow are measured again after those.
    fn nothing_stands_out(&self, analysis: &Analysis) -> bool {
        let suspects = analysis.nodes(Pass::Screen);
        !analysis.partners.is_empty()
            && !suspects.iter().any(|found| analysis.is_likely(found))
            && self.unstable.is_empty()
            && analysis.links(Pass::Verdict, &BTreeSet::new()).is_empty()
            && !(0..self.nodes).any(|node| self.answering.out(node))
    }

    /// Base rounds that a sampled survey goes on to if nothing stands out, with as many rounds of
    /// its limit left; 0 for others.
    fn longer(&self, left: usize) -> usize {
        if self.options.mode != Mode::Sampled || self.options.base_rounds.is_some() {
            return 0;
        }
        let limit = self.round_limit().saturating_sub(left);
        let all = schedule::full(self.nodes).rounds();
        ENOUGH_OF_NODE.min(limit).min(all)
    }

    /// The most base rounds of this survey: one of its limit is left for the control.
    fn longest(&self) -> usize {
        self.schedule.rounds().max(self.longer(1))
    }

    /// Adds base rounds to a sampled survey of few measurements, at first as many as leave room to
    /// measure suspects again; whether it did.
    fn lengthen(&mut self) -> bool {
        let has = self.schedule.rounds();
        let Some(wanted) = [TURNS + 1, 1]
            .map(|left| self.longer(left))
            .into_iter()
            .find(|&wanted| wanted > has)
        else {
            return false;
        };
        self.fresh_from = usize::MAX;
        self.schedule = schedule::sampled(self.nodes, wanted, self.options.seed);
        true
    }

    /// Has the base rounds of few nodes repeated where their rates differ: nothing else shows that
    /// from noise. Whether it did, once.
    fn repeat(&mut self, analysis: &Analysis, observations: &Observations) -> bool {
        if self.repeats.is_some()
            || analysis.tells_outliers()
            || !need_repeats(observations, &self.options)
        {
            return false;
        }
        self.fresh_from = usize::MAX;
        self.repeats = Some(self.options.thresholds.alone);
        true
    }

    fn analyse(&self, observations: &Observations) -> Analysis {
        Analysis::new(
            observations,
            self.options.labels.as_deref(),
            &self.options.thresholds,
            self.fresh_from,
        )
    }

    /// Sorts nodes and links into suspect and proven.
    fn suspect(&mut self, analysis: &Analysis, nothing: bool) {
        if nothing {
            return;
        }
        let mut seen = BTreeSet::new();
        // After the longest base rounds, what only might be slow is no longer in the limit.
        let all = self.options.base_rounds.is_some() || self.fits(TURNS);
        let found = analysis.nodes(Pass::Screen);
        self.lucky = found
            .iter()
            .filter_map(|found| Some(ordered(found.node, found.lucky?)))
            .collect();
        let mut alike = BTreeSet::new();
        self.alike = found
            .iter()
            .filter(|found| analysis.is_large(found) && alike.insert(found.node))
            .map(|found| found.node)
            .take(self.nodes / 2)
            .collect();
        self.suspects = found
            .iter()
            .filter(|found| all || analysis.is_likely(found))
            .map(|f| f.node)
            .filter(|&node| seen.insert(node))
            .take(self.nodes / 2)
            .collect();
        let quantity = |f: &NodeFinding| analysis.channels[f.channel].quantity;
        let is_late = |f: &NodeFinding| quantity(f) == Quantity::Latency;
        let of_suspects = found.iter().filter(|f| self.suspects.contains(&f.node));
        let likely: Vec<&NodeFinding> = of_suspects.filter(|f| analysis.is_likely(f)).collect();
        let is_late = !likely.is_empty() && likely.into_iter().all(is_late);
        self.is_one_late = self.suspects.len() == 1 && is_late;
        let links: Vec<Pair> = analysis
            .links(Pass::Screen, &clear(analysis))
            .iter()
            .map(|f| f.pair)
            .take(MOST_LINKS)
            .collect();
        self.links = (0..TURNS).flat_map(|_| links.iter().copied()).collect();
        self.met.clone_from(&analysis.partners);
        self.screen_unstable(analysis);
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

    /// Whether this many more rounds keep a sampled survey in its limit.
    fn fits(&self, rounds: usize) -> bool {
        self.options.mode != Mode::Sampled || rounds <= self.left()
    }

    /// Rounds that a sampled survey has left in its limit.
    fn left(&self) -> usize {
        let taken = self.issued + self.queue.len();
        self.round_limit().saturating_sub(taken)
    }
}

/// Nodes so bad that their links state nothing about their own.
fn clear(analysis: &Analysis) -> BTreeSet<usize> {
    let found = analysis.nodes(Pass::Screen);
    found
        .iter()
        .filter(|f| !f.cleared && analysis.is_clear(f))
        .map(|f| f.node)
        .collect()
}

/// ⌊log2 n⌋ + 2.
fn sampled_rounds(nodes: usize) -> usize {
    nodes.max(1).ilog2() as usize + 2
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod cases_of_groups;
#[cfg(test)]
mod failing;
#[cfg(test)]
mod tests;
