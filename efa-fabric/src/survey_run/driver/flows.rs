//! The stage after the pairs: patterns in which nodes send and receive at the same time, step by
//! step. A node that gives no answer is asked once more, and then it is lost, which ends the
//! pattern: without it, it is another one.

use std::collections::{BTreeMap, BTreeSet};

use super::Survey;
use super::patterns::Running;
use crate::error::{Code, Error, Result};
use crate::survey::collective::{Carried, Collective, Flow, FlowSeen, judge, members, steps};
use crate::survey::{Conclusion, PairObservation};
use crate::survey_run::flows::{FlowEnd, FlowSights, FlowTask};
use crate::survey_run::state::NodeState;

impl Survey {
    /// Returns what nodes do next, all at the same time, to carry out the patterns of
    /// [`Options::collectives`](crate::survey::Options::collectives): a task for each node that
    /// takes part. `None` while there are pairs to measure, and when all patterns were carried
    /// out. `name` is that of the survey.
    pub fn next_flows(&mut self, name: &str) -> Option<Vec<FlowTask>> {
        if !self.over {
            return None;
        }
        loop {
            if let Some(running) = &self.flows.running {
                if let Some(step) = running.steps.front() {
                    let name = format!("{name}/flows/{}.{}", self.flows.count, running.attempt);
                    return Some(self.tasks(&name, &step.flows));
                }
                self.flows.end();
            }
            let pattern = self.flows.waiting.pop_front()?;
            let answers =
                |&node: &usize| self.answers(node) && self.nodes[node].state == NodeState::Measured;
            let nodes: Vec<usize> = (0..self.nodes.len()).filter(answers).collect();
            let labels = self.options.labels.as_deref();
            let nodes = members(pattern, &nodes, labels);
            self.flows.running = Some(Running {
                steps: steps(pattern, &nodes, labels).into(),
                carried: Carried::new(pattern, nodes),
                attempt: 0,
            });
        }
    }

    fn tasks(&self, name: &str, flows: &[Flow]) -> Vec<FlowTask> {
        let mut tasks = BTreeMap::new();
        let members: BTreeSet<usize> = flows.iter().flat_map(|&(a, b)| [a, b]).collect();
        let Some(&lead) = members.first() else {
            return Vec::new();
        };
        for &node in &members {
            let others = members.iter().copied().filter(|&other| other != lead);
            let task = FlowTask {
                name: name.to_owned(),
                node,
                lead,
                members: if node == lead {
                    others.collect()
                } else {
                    Vec::new()
                },
                sends: Vec::new(),
                receives: Vec::new(),
            };
            tasks.insert(node, task);
        }
        for &(from, to) in flows {
            let rails = self.rails_of((from, to));
            if let Some(task) = tasks.get_mut(&from) {
                task.sends.push(FlowEnd { peer: to, rails });
            }
            if let Some(task) = tasks.get_mut(&to) {
                task.receives.push(FlowEnd { peer: from, rails });
            }
        }
        tasks.into_values().collect()
    }

    /// Takes what the nodes of the current step saw, by number; a node that is not there gave no
    /// answer, `after_s` from the start of the step. Then the step comes once more, and a node
    /// that gives none again is lost.
    ///
    /// # Errors
    /// `fabric.invalid_option` if there is no step under way.
    pub fn record_flows(
        &mut self,
        mut sights: BTreeMap<usize, FlowSights>,
        after_s: f64,
    ) -> Result<()> {
        let running = self.flows.running.as_ref();
        let Some((step, attempt)) = running.and_then(|of| Some((of.steps.front()?, of.attempt)))
        else {
            return Err(Error::new(Code::InvalidOption, "no step is under way")
                .with_cure("ask next_flows for one first"));
        };
        let step = step.clone();
        let members: BTreeSet<usize> = step.flows.iter().flat_map(|&(a, b)| [a, b]).collect();
        for (&node, sight) in &sights {
            if sight.is_interrupted() && self.answers(node) {
                self.interrupted(node, None);
            }
        }
        let silent = |node: &&usize| !sights.contains_key(*node);
        let silent: Vec<usize> = members.iter().filter(silent).copied().collect();
        let all_answer = members.iter().all(|&node| self.answers(node));
        let not_met = sights.values().any(FlowSights::is_not_met);
        if attempt == 0 && all_answer && (!silent.is_empty() || not_met) {
            let late = if silent.is_empty() {
                members.into_iter().collect()
            } else {
                silent
            };
            let round = self.round_of_flows();
            self.late.entry(round).or_default().extend(late);
            if let Some(running) = &mut self.flows.running {
                running.attempt = 1;
            }
            return Ok(());
        }
        for node in silent {
            self.lose_in_flows(node, after_s);
        }
        let lost: Vec<usize> = members.into_iter().filter(|&n| !self.answers(n)).collect();
        let Some(running) = &mut self.flows.running else {
            return Ok(());
        };
        for (from, to) in step.flows {
            let no_answer = || FlowSights::failed(Code::Deadline.as_str());
            let (gbps, code) = sights.entry(from).or_insert_with(no_answer).to(to);
            let seen = FlowSeen::new(step.index, (from, to), gbps);
            let code = code.filter(|_| seen.gbps.is_none());
            running.carried.seen.push(seen.with_code(code));
        }
        running.steps.pop_front();
        running.attempt = 0;
        self.flows.count += 1;
        if !lost.is_empty() {
            running.carried.lost = lost;
            self.flows.end();
        }
        Ok(())
    }

    /// The node is gone, while a pattern is carried out.
    pub(super) fn lose_in_flows(&mut self, node: usize, after_s: f64) {
        let Some(pattern) = self.flows.pattern() else {
            return;
        };
        if !self.answers(node) {
            return;
        }
        let round = self.round_of_flows();
        self.silent.insert(node);
        self.nodes[node].state = NodeState::Lost {
            round,
            after_ms: (after_s * 1e3) as u64,
            partner: None,
            together: false,
            pattern: Some(pattern),
        };
    }

    /// Steps are counted on from the rounds of pairs.
    fn round_of_flows(&self) -> usize {
        let rounds = self.observations.as_slice().iter();
        let rounds = rounds.map(|o: &PairObservation| o.round + 1);
        rounds.max().unwrap_or(0) + self.flows.count
    }

    /// What the patterns come to that were carried out, or are.
    pub(super) fn collectives(&self, conclusion: &Conclusion) -> Vec<Collective> {
        let running = self.flows.running.iter().map(|running| &running.carried);
        let carried = self.flows.done.iter().chain(running);
        let judged = carried.map(|carried| {
            judge(
                carried.clone(),
                &self.observations,
                conclusion.noise_percent.map(|percent| percent / 100.0),
                self.options.labels.as_deref(),
            )
        });
        judged.collect()
    }
}

#[cfg(test)]
mod tests;
