//! What every driver of a survey does between two rounds: asks the plan, settles what the two
//! nodes of a pair state, asks once more where an answer is missing, and never a lost node.

use std::collections::{BTreeMap, BTreeSet};

use self::patterns::Flows;
use super::judgement::judge;
use super::node::{Node, name_apart};
use super::pair::Sight;
use super::progress::Progress;
use super::report::{Report, VERSION};
use super::state::NodeState;
use crate::error::{Code, Error, Result};
use crate::probe::Signal;
use crate::survey::{
    Conclusion, Failure, FailurePhase, Observations, Options, Outcome, PairObservation, Plan, Round,
};

mod flows;
mod mismatch;
mod patterns;

/// First answers that a node may miss in all before it is lost without being asked again: each
/// costs a deadline.
const MOST_MISSES: usize = 3;

/// A survey under way: no clock, nothing sent.
#[derive(Debug)]
pub struct Survey {
    nodes: Vec<Node>,
    provider: String,
    options: Options,
    plan: Plan,
    observations: Observations,
    round: Option<Round>,
    /// The round after this one, once all of this one was seen; `None` in it after the last.
    ahead: Option<Option<Round>>,
    /// Base rounds as they were planned first.
    planned: usize,
    /// Pairs of the round that are not settled yet.
    open: BTreeSet<(usize, usize)>,
    rounds: usize,
    pairs: usize,
    failed: usize,
    silent: BTreeSet<usize>,
    /// Those of which the plan was notified.
    notified: BTreeSet<usize>,
    /// Answers that each node missed when it was asked first.
    misses: Vec<usize>,
    /// Pairs of the round to measure once more.
    again: Vec<(usize, usize)>,
    attempt: usize,
    /// Nodes without an answer when they were asked first, by round.
    late: BTreeMap<usize, BTreeSet<usize>>,
    /// Pairs that do not fit together by their set-ups, with the code and the text of the error.
    mismatches: BTreeMap<(usize, usize), (String, String)>,
    /// The node that leads, where one of them does.
    leader: Option<usize>,
    /// Whether there are no more pairs to measure.
    over: bool,
    flows: Flows,
}

impl Survey {
    /// Creates a survey of these nodes over this provider. Names that come twice get a number.
    /// Where all network nodes are known and there are no labels, the lowest level is the label.
    ///
    /// # Errors
    /// As [`Plan::new`]; `fabric.invalid_option` for patterns of groups where no node has a label.
    pub fn new(
        mut nodes: Vec<Node>,
        provider: impl Into<String>,
        mut options: Options,
    ) -> Result<Self> {
        if options.labels.is_none() {
            let lowest = |node: &Node| node.network_nodes.last().cloned();
            options.labels = nodes.iter().map(lowest).collect();
        }
        options.require_groups(nodes.iter().any(|node| !node.network_nodes.is_empty()))?;
        name_apart(&mut nodes);
        for node in &mut nodes {
            node.state = NodeState::Joined;
        }
        let plan = Plan::new(nodes.len(), options.clone())?;
        Ok(Self {
            planned: plan.base_rounds(),
            plan,
            ahead: None,
            flows: Flows::new(&options.collectives),
            options,
            observations: Observations::new(nodes.len()),
            misses: vec![0; nodes.len()],
            again: Vec::new(),
            attempt: 0,
            late: BTreeMap::new(),
            mismatches: BTreeMap::new(),
            leader: None,
            nodes,
            provider: provider.into(),
            round: None,
            open: BTreeSet::new(),
            rounds: 0,
            pairs: 0,
            failed: 0,
            silent: BTreeSet::new(),
            notified: BTreeSet::new(),
            over: false,
        })
    }

    /// Returns the nodes, by number.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// States that this node leads the survey: what the nodes meet through runs there.
    #[must_use]
    pub fn led_by(mut self, node: usize) -> Self {
        self.leader = Some(node);
        self
    }

    /// States that a node is gone: it is in no further pair that is measured. Before the first round
    /// it is [`absent`](Self::absent).
    pub fn lost(&mut self, node: usize) {
        if self.flows.pattern().is_some() {
            self.lose_in_flows(node, 0.0);
        } else if self.round.is_none() {
            let why = "it never joined; check that its process runs".to_owned();
            self.absent(node, Code::Deadline.as_str(), why);
        } else {
            self.lose(node, 0.0);
        }
    }

    /// States that a node takes no part, with the code of the error and a sentence with the cure:
    /// it never joined, or its set-up keeps it from measuring. That is no evidence against it.
    pub fn absent(&mut self, node: usize, code: &str, why: String) {
        if node < self.nodes.len() {
            self.silent.insert(node);
            let code = code.to_owned();
            self.nodes[node].state = NodeState::Absent { code, why };
        }
    }

    /// States that the process of a node was asked to end, by this signal where it is known, which is
    /// nothing against the node.
    pub(super) fn interrupted(&mut self, node: usize, by: Option<Signal>) {
        let by = match by {
            Some(Signal::Int) => " (SIGINT, as by Ctrl-C)",
            Some(Signal::Term) => " (SIGTERM, as by its scheduler)",
            None => ", as by Ctrl-C or its scheduler",
        };
        let why = format!("its process was interrupted{by}; survey again");
        self.absent(node, Code::Interrupted.as_str(), why);
    }

    fn lose(&mut self, node: usize, after_s: f64) {
        let Some(round) = &self.round else { return };
        if node >= self.nodes.len() || matches!(self.nodes[node].state, NodeState::Absent { .. }) {
            return;
        }
        let with = |&(a, b): &(usize, usize)| match node {
            _ if a == node => Some(b),
            _ if b == node => Some(a),
            _ => None,
        };
        self.silent.insert(node);
        self.nodes[node].state = NodeState::Lost {
            round: round.index,
            after_ms: (after_s * 1e3) as u64,
            partner: round.pairs.iter().find_map(with),
            together: false,
            pattern: None,
        };
    }

    /// Returns whether the node still answers, by what is known.
    #[must_use]
    pub fn answers(&self, node: usize) -> bool {
        node < self.nodes.len() && !self.silent.contains(&node)
    }

    /// Returns the pairs to measure next, all at the same time; `None` when all were: then come the
    /// [flows](Self::next_flows), where any were asked for. Pairs
    /// with a lost node are settled without being measured. Pairs of a round that gave no answer
    /// come a second time before the next round: see [`attempt`](Self::attempt).
    pub fn next_pairs(&mut self) -> Option<Vec<(usize, usize)>> {
        if let Some(pairs) = self.once_more() {
            return Some(pairs);
        }
        self.attempt = 0;
        loop {
            let ahead = self.ahead.take();
            let Some(round) = ahead.unwrap_or_else(|| self.following()) else {
                (self.over, self.round) = (true, None);
                return None;
            };
            let (open, closed): (Vec<_>, Vec<_>) = round
                .pairs
                .iter()
                .copied()
                .partition(|&(a, b)| self.answers(a) && self.answers(b));
            self.open = round.pairs.iter().copied().collect();
            self.round = Some(round);
            for pair in closed {
                self.leave_out(pair);
            }
            if !open.is_empty() {
                return Some(open);
            }
        }
    }

    /// The next round of the plan: none where fewer than two nodes answer, which all rounds of a large
    /// cluster would take long to find.
    fn following(&mut self) -> Option<Round> {
        let answering = self.nodes.len() - self.silent.len();
        match answering < 2 && self.notified.len() == self.silent.len() {
            true => None,
            false => self.plan.next(&self.observations),
        }
    }

    /// Pairs of this round without an answer, unless their nodes are lost by now.
    fn once_more(&mut self) -> Option<Vec<(usize, usize)>> {
        let (open, closed): (Vec<_>, Vec<_>) = std::mem::take(&mut self.again)
            .into_iter()
            .partition(|&(a, b)| self.answers(a) && self.answers(b));
        self.open = open.iter().chain(&closed).copied().collect();
        for pair in closed {
            self.leave_out(pair);
        }
        if open.is_empty() {
            return None;
        }
        self.attempt += 1;
        if let Some(round) = &mut self.round {
            round.pairs.clone_from(&open);
        }
        Some(open)
    }

    /// Returns whether the pairs of the current round are measured for the first time (0) or once
    /// more (1). Names of pairs need it, since none may be used twice.
    #[must_use]
    pub fn attempt(&self) -> usize {
        self.attempt
    }

    /// Returns rails that a pair is measured on: as many as both have.
    #[must_use]
    pub fn rails_of(&self, (a, b): (usize, usize)) -> usize {
        let rails = |node: usize| self.nodes.get(node).map_or(0, |node| node.rails);
        rails(a).min(rails(b))
    }

    /// Returns the number of the current round.
    #[must_use]
    pub fn round(&self) -> Option<usize> {
        self.round.as_ref().map(|round| round.index)
    }

    /// Takes what the two nodes of a pair of the current round reported, lower number first; `None`
    /// for a node that reported nothing, `after_s` from the start of the round.
    ///
    /// # Errors
    /// `fabric.invalid_option` if the pair is not of the current round, or was recorded before.
    pub fn record(
        &mut self,
        pair: (usize, usize),
        low: Option<Sight>,
        high: Option<Sight>,
        after_s: f64,
    ) -> Result<()> {
        if !self.open.contains(&pair) {
            return Err(Error::new(
                Code::InvalidOption,
                format!("({}, {}) is not an open pair of the round", pair.0, pair.1),
            ));
        }
        self.settle(pair, low, high, after_s);
        Ok(())
    }

    /// A pair with a lost node: the plan is notified once of each such node, and nothing is
    /// measured.
    fn leave_out(&mut self, (a, b): (usize, usize)) {
        if [a, b]
            .into_iter()
            .any(|node| !self.answers(node) && !self.notified.contains(&node))
        {
            self.settle((a, b), None, None, 0.0);
        }
        self.open.remove(&(a, b));
    }

    /// Which of the two nodes are gone, by what they reported in this attempt. One that gave no answer
    /// is asked once more first.
    fn gone(&mut self, sights: &[(usize, Option<Sight>); 2], after_s: f64) -> Vec<usize> {
        let was_asked = sights.iter().all(|&(node, _)| self.answers(node));
        let mut gone = Vec::new();
        for (node, sight) in sights {
            match sight {
                None if !was_asked => {
                    // A node that is known to be lost was not asked, and its partner neither.
                    if !self.answers(*node) {
                        gone.push(*node);
                    }
                }
                None => {
                    self.misses[*node] += 1;
                    if self.attempt > 0 || self.misses[*node] > MOST_MISSES {
                        self.lose(*node, after_s);
                        gone.push(*node);
                    }
                }
                Some(sight) if sight.is_interrupted() => {
                    // A driver may know by which signal.
                    if self.answers(*node) {
                        self.interrupted(*node, None);
                    }
                    gone.push(*node);
                }
                Some(sight) => {
                    if let Some((code, why)) = sight.set_up_error() {
                        self.absent(*node, code, why.to_owned());
                        gone.push(*node);
                    }
                }
            }
        }
        gone
    }

    fn settle(
        &mut self,
        (a, b): (usize, usize),
        low: Option<Sight>,
        high: Option<Sight>,
        after_s: f64,
    ) {
        let Some(round) = self.round.clone() else {
            return;
        };
        let sights = [(a, low), (b, high)];
        let gone = self.gone(&sights, after_s);
        let all_answered = sights.iter().all(|(_, sight)| sight.is_some());
        let missed = sights.iter().filter(|(_, sight)| sight.is_none());
        let missed: Vec<usize> = missed.map(|&(node, _)| node).collect();
        let [(_, low), (_, high)] = sights;
        let sight = choose(low, high).filter(|_| gone.is_empty());
        self.open.remove(&(a, b));
        let not_met = sight.as_ref().is_some_and(Sight::is_not_met);
        if gone.is_empty() && (!all_answered || not_met) && self.attempt == 0 {
            let late = if all_answered { vec![a, b] } else { missed };
            self.late.entry(round.index).or_default().extend(late);
            self.again.push((a, b));
            return;
        }
        self.pairs += 1;
        let mut seen = sight.map_or_else(Vec::new, |sight| self.seen((a, b), &round, sight));
        for &node in &gone {
            let (phase, code) = match &self.nodes[node].state {
                NodeState::Absent { code, .. } => (FailurePhase::Open, code.as_str()),
                _ => (FailurePhase::Join, Code::Deadline.as_str()),
            };
            let failure = Failure::new(phase, code, after_s).with_silent(node);
            self.notified.insert(node);
            seen.push(PairObservation::failed(a, b, None, &round, failure));
        }
        let is_failed = |o: &PairObservation| matches!(o.outcome, Outcome::Failed(_));
        let mut is_measured = !(seen.is_empty() || seen.iter().any(is_failed));
        for observation in seen {
            // What a node sent is checked there; a wrong number counts as no answer.
            is_measured &= self.observations.add(observation).is_ok();
        }
        if is_measured {
            self.nodes[a].state = NodeState::Measured;
            self.nodes[b].state = NodeState::Measured;
        } else {
            self.failed += 1;
        }
        if self.open.is_empty() && self.again.is_empty() {
            self.rounds += 1;
            // What is left to do depends on what was seen: asked now, progress can state it.
            self.ahead = Some(self.following());
        }
    }

    /// What a pair's sight states: of all rails together, and of each.
    fn seen(
        &mut self,
        (a, b): (usize, usize),
        round: &Round,
        sight: Sight,
    ) -> Vec<PairObservation> {
        let of = |rail, outcome| match outcome {
            Outcome::Measured(m) => PairObservation::measured(a, b, rail, round, m),
            Outcome::Failed(f) => PairObservation::failed(a, b, rail, round, f),
        };
        match sight.outcome {
            Outcome::Measured(_) => {
                let rails = (0..).zip(sight.rails);
                let rails = rails.map(|(rail, outcome)| of(Some(rail), outcome));
                std::iter::once(of(None, sight.outcome))
                    .chain(rails)
                    .collect()
            }
            Outcome::Failed(ref failure) => {
                if failure.is_mismatch() {
                    let why = sight.message.unwrap_or_else(|| failure.code.clone());
                    self.mismatches.insert((a, b), (failure.code.clone(), why));
                }
                vec![of(None, sight.outcome)]
            }
        }
    }

    /// Returns how far the survey is.
    #[must_use]
    pub fn progress(&self, elapsed_s: f64) -> Progress {
        let name = |&node: &usize| self.nodes[node].name.clone();
        Progress {
            rounds: self.rounds,
            pairs: self.pairs,
            failed: self.failed,
            base_rounds: self.plan.base_rounds(),
            planned_rounds: self.planned,
            over: (self.over || self.ahead == Some(None)) && self.flows.is_done(),
            silent: self.silent.iter().map(name).collect(),
            suspects: (self.plan.suspects().iter())
                .filter(|node| !self.silent.contains(node))
                .map(name)
                .collect(),
            elapsed_s,
        }
    }

    /// Returns what is known so far. It is partial until there is no next round.
    #[must_use]
    pub fn report(&self, elapsed_s: f64) -> Report {
        let nodes = self.judged();
        let (conclusion, mut remarks) = self.conclude(&nodes);
        remarks.extend(self.late_answers());
        let is_silent = |node: &usize| {
            let state = &nodes[*node].state;
            matches!(state, NodeState::Lost { .. } | NodeState::Absent { .. })
        };
        Report {
            collectives: self.collectives(&conclusion),
            silent: (0..nodes.len()).filter(is_silent).collect(),
            nodes,
            provider: self.provider.clone(),
            conclusion,
            observations: self.observations.clone(),
            remarks,
            rounds: self.rounds,
            partial: !(self.over && self.flows.is_over()),
            elapsed_s,
            options: Some(self.options.clone()),
            version: Some(VERSION.to_owned()),
            finished_unix_s: None,
            targeted_from: Some(self.plan.targeted_from()),
        }
    }
}

impl Survey {
    /// The nodes, with those marked that were lost together.
    fn judged(&self) -> Vec<Node> {
        let mut nodes = self.nodes.clone();
        let mut by_round = BTreeMap::<usize, usize>::new();
        for node in &nodes {
            if let NodeState::Lost { round, .. } = node.state {
                *by_round.entry(round).or_default() += 1;
            }
        }
        let count = nodes.len();
        for node in &mut nodes {
            if let NodeState::Lost {
                round, together, ..
            } = &mut node.state
            {
                *together = by_round
                    .get(round)
                    .is_some_and(|&lost| is_common(lost, count));
            }
        }
        self.mark_misfits(&mut nodes);
        nodes
    }

    /// What the plan concludes in view of the nodes, and what else is to be stated.
    fn conclude(&self, nodes: &[Node]) -> (Conclusion, Vec<String>) {
        let conclusion = judge(
            self.plan.conclude(&self.observations),
            nodes,
            &self.observations,
        );
        let mut remarks = self.mismatches_said();
        let together = nodes.iter().filter_map(|node| match node.state {
            NodeState::Lost {
                round,
                together: true,
                ..
            } => Some(round),
            _ => None,
        });
        for round in together.collect::<BTreeSet<_>>() {
            remarks.push(format!(
                "most nodes stopped answering at once, in round {}: {}",
                round + 1,
                self.suspect_leader()
            ));
        }
        (conclusion, remarks)
    }

    /// Rounds in which nodes gave no answer until they were asked again.
    fn late_answers(&self) -> Vec<String> {
        let mut said = Vec::new();
        for (round, late) in &self.late {
            let late: Vec<usize> = late.iter().copied().filter(|&n| self.answers(n)).collect();
            let round = round + 1;
            if is_common(late.len(), self.nodes.len()) {
                said.push(format!(
                    "{} of {} nodes gave no answer in round {round} until they were asked again: {}",
                    late.len(),
                    self.nodes.len(),
                    self.suspect_leader()
                ));
            } else if !late.is_empty() {
                let names = late.iter().map(|&node| self.nodes[node].name.as_str());
                let names = names.collect::<Vec<_>>().join(", ");
                said.push(format!(
                    "{names} gave no answer in round {round} until asked again"
                ));
            }
        }
        said
    }

    fn suspect_leader(&self) -> String {
        match self.leader {
            Some(node) => format!(
                "suspect {}, where the nodes meet, and its network",
                self.nodes[node].name
            ),
            None => "suspect the machine that drives the survey, and its network".to_owned(),
        }
    }
}

/// Whether this many nodes of all have a cause in common rather than one each.
fn is_common(some: usize, all: usize) -> bool {
    some >= 2 && 2 * some > all
}

/// Of what two nodes report of the same pair, the failure if one of them failed: it works if both
/// ends report so. Of two failures the one that names a cause.
fn choose(low: Option<Sight>, high: Option<Sight>) -> Option<Sight> {
    let sights = [low, high].into_iter().flatten();
    sights.min_by_key(|sight| match (&sight.outcome, sight.names_no_cause()) {
        (Outcome::Failed(_), false) => 0,
        (Outcome::Failed(_), true) => 1,
        (Outcome::Measured(_), _) => 2,
    })
}

#[cfg(test)]
mod tests;
