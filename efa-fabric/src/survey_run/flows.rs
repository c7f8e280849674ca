//! One step of a collective pattern, as one of its nodes sees it: all that it sends and all that
//! it receives at the same time, each on a thread of its own, with one exchange for all.
//!
//! A rate is one of flows that run together only if all begin together. The lead of the step waits
//! until every node reports that its flows are warm, or cannot be, and then sends go; each flow goes on
//! after its own measurement until the lead reports that all have measured.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::mail::exchange_failed;
use super::pair::{PairOptions, rate};
use super::rails::{Desk, Part};
use crate::error::{Code, Error, Result};
use crate::library::Library;
use crate::node::NodeRoot;
use crate::probe::{Exchange, ExchangeError, Interrupt, ProbeReport, StartLine};
use crate::rails::{Rail, pin};

/// Time between two polls of what the threads, and the other nodes, have left.
const POLL: Duration = Duration::from_millis(1);

/// The task of one node in one step. What goes to a node is left under keys that end in
/// `/to/` and its number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FlowTask {
    /// Distinguishes this step from all others on the exchange.
    pub name: String,
    /// The node that this is for, by number.
    pub node: usize,
    /// The node that states when to begin.
    pub lead: usize,
    /// The other nodes of the step; empty unless this node leads.
    pub members: Vec<usize>,
    /// What it sends.
    pub sends: Vec<FlowEnd>,
    /// What it receives.
    pub receives: Vec<FlowEnd>,
}

/// The other end of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FlowEnd {
    /// The other node, by number.
    pub peer: usize,
    /// Rails that the flow uses at the same time, as many as both nodes have; 0 where they are not
    /// distinguished.
    pub rails: usize,
}

/// The view of one node on a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FlowSights {
    /// Its flows that it sent.
    pub sent: Vec<FlowSight>,
    /// The code of the error for which it took no part; `None` where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The sending node's view of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FlowSight {
    /// The receiving node, by number.
    pub peer: usize,
    /// The rate of all rails together in Gbit/s; `None` where it failed.
    pub gbps: Option<f64>,
    /// The code of the error, where it failed.
    pub code: Option<String>,
}

impl FlowSights {
    /// Returns rates in Gbit/s by receiving node, for drivers that measure by themselves.
    #[must_use]
    pub fn measured(rates: impl IntoIterator<Item = (usize, f64)>) -> Self {
        let sight = |(peer, gbps)| FlowSight {
            peer,
            gbps: Some(gbps),
            code: None,
        };
        Self {
            sent: rates.into_iter().map(sight).collect(),
            error: None,
        }
    }

    /// Creates a node that took no part, with the code of the error.
    #[must_use]
    pub fn failed(code: &str) -> Self {
        Self {
            sent: Vec::new(),
            error: Some(code.to_owned()),
        }
    }

    /// Whether the node left the survey because it was asked to stop.
    pub(super) fn is_interrupted(&self) -> bool {
        self.error.as_deref() == Some(Code::Interrupted.as_str())
    }

    /// Whether the node could not meet others: the exchange failed, not their network.
    pub(super) fn is_not_met(&self) -> bool {
        self.error.as_deref() == Some(Code::RendezvousFailed.as_str())
    }

    /// The flow to this node; one that is not spoken of failed with the node.
    pub(super) fn to(&self, peer: usize) -> (Option<f64>, Option<String>) {
        match self.sent.iter().find(|sight| sight.peer == peer) {
            Some(sight) => (sight.gbps, sight.code.clone()),
            None => (None, self.error.clone()),
        }
    }
}

/// Sends and receives all flows of a step at the same time, together with the other nodes of it,
/// which call this with their tasks. What fails is part of the answer.
///
/// # Errors
/// `fabric.interrupted` only.
pub fn run_flows(
    library: &Arc<Library>,
    exchange: &mut dyn Exchange,
    task: &FlowTask,
    options: &PairOptions,
    interrupt: Interrupt<'_>,
) -> Result<FlowSights> {
    let ends = ends(task, options);
    let sending = ends.iter().filter(|end| end.sends).count();
    // One more: the lead's word.
    let line = StartLine::new(sending + 1);
    let (desk, stop) = (Desk::default(), AtomicBool::new(false));
    let done: Result<Vec<_>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (ends.iter())
            .map(|end| {
                let (desk, line, stop) = (&desk, &line, &stop);
                scope.spawn(move || end.run(library, desk, (line, stop)))
            })
            .collect();
        let mut meeting = Meeting::new(task, &line, options);
        let mut ended = Ok(());
        let is_busy = || threads.iter().any(|thread| !thread.is_finished());
        while is_busy() || (ended.is_ok() && meeting.is_awaited()) {
            if ended.is_ok() {
                ended = interrupt
                    .check()
                    .and_then(|()| desk.serve(exchange))
                    .and_then(|()| meeting.look(exchange));
                stop.store(ended.is_err(), Ordering::Relaxed);
            }
            std::thread::park_timeout(POLL);
        }
        // What was left last: others may wait for it.
        ended
            .and_then(|()| meeting.look(exchange))
            .and_then(|()| desk.serve(exchange))?;
        let ended_early = || Error::new(Code::PeerFailed, "the flow's thread ended early");
        Ok(threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(ended_early())))
            .collect())
    });
    match done {
        Ok(results) => Ok(seen_by(task, &ends, results)),
        Err(error) if error.code() == Code::Interrupted => Err(error),
        Err(error) => Ok(FlowSights::failed(error.code().as_str())),
    }
}

/// One rail of one flow, on this node.
struct End<'a> {
    name: String,
    own: usize,
    peer: usize,
    sends: bool,
    rail: Option<&'a Rail>,
    part: Part,
}

fn ends<'a>(task: &FlowTask, options: &'a PairOptions) -> Vec<End<'a>> {
    let mut ends = Vec::new();
    let mut add = |end: &FlowEnd, sends: bool| {
        let (from, to) = match sends {
            true => (task.node, end.peer),
            false => (end.peer, task.node),
        };
        for number in 0..end.rails.max(1) {
            let rail = options.rails.get(number);
            ends.push(End {
                name: format!("{}/{from}-{to}/{number}", task.name),
                own: task.node,
                peer: end.peer,
                sends,
                rail,
                part: options.part_of_flow(sends).on(rail),
            });
        }
    };
    task.sends.iter().for_each(|end| add(end, true));
    task.receives.iter().for_each(|end| add(end, false));
    ends
}

impl End<'_> {
    fn run(
        &self,
        library: &Arc<Library>,
        desk: &Desk,
        (line, stop): (&StartLine, &AtomicBool),
    ) -> Result<ProbeReport> {
        if let Some(rail) = self.rail {
            // Best effort, as in pairs.
            pin(&NodeRoot::new("/"), rail.numa_node);
        }
        let hook = || stop.load(Ordering::Relaxed);
        let mut mail = Addressed {
            desk,
            own: self.own,
            peer: self.peer,
        };
        let line = self.sends.then_some(line);
        let interrupt = Interrupt::new(&hook);
        let result = self
            .part
            .run(library, &mut mail, &self.name, interrupt, line);
        if let (Err(_), Some(line)) = (&result, line) {
            line.leave();
        }
        result
    }
}

/// What the node reports of its flows, by the results of their rails.
fn seen_by(task: &FlowTask, ends: &[End<'_>], results: Vec<Result<ProbeReport>>) -> FlowSights {
    let results: Vec<(&End<'_>, Result<ProbeReport>)> = ends.iter().zip(results).collect();
    let sight = |flow: &FlowEnd| {
        let of_flow = || {
            let sent = results.iter().filter(|(end, _)| end.sends);
            sent.filter(|(end, _)| end.peer == flow.peer)
        };
        let error = of_flow().find_map(|(_, result)| result.as_ref().err());
        let reports: Vec<&ProbeReport> = of_flow().filter_map(|(_, r)| r.as_ref().ok()).collect();
        // With a rail missing it is not the rate of all of them.
        FlowSight {
            peer: flow.peer,
            gbps: error.is_none().then(|| rate(&reports)).flatten(),
            code: error.map(|error| error.code().as_str().to_owned()),
        }
    };
    FlowSights {
        sent: task.sends.iter().map(sight).collect(),
        error: None,
    }
}

/// The exchange between two nodes, where each key states whom it is for.
struct Addressed<'a> {
    desk: &'a Desk,
    own: usize,
    peer: usize,
}

impl Exchange for Addressed<'_> {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ExchangeError> {
        self.desk.leave(addressed(key, self.peer), value);
        Ok(())
    }

    fn take(&mut self, key: &str) -> Result<Option<Vec<u8>>, ExchangeError> {
        Ok(self.desk.ask(&addressed(key, self.own)))
    }
}

fn addressed(key: &str, node: usize) -> String {
    format!("{key}/to/{node}")
}

/// The node's part in beginning and ending together.
struct Meeting<'a> {
    task: &'a FlowTask,
    line: &'a StartLine,
    /// Of the lead: those that have not sent `ready`, and `measured`.
    unready: BTreeSet<usize>,
    unmeasured: BTreeSet<usize>,
    said_ready: bool,
    has_begun: bool,
    said_measured: bool,
    is_over: bool,
    /// When the lead goes on without those that send nothing, and when it ends.
    begin_by: Instant,
    end_by: Instant,
}

impl<'a> Meeting<'a> {
    fn new(task: &'a FlowTask, line: &'a StartLine, options: &PairOptions) -> Self {
        let members: BTreeSet<usize> = task.members.iter().copied().collect();
        let now = Instant::now();
        Self {
            task,
            line,
            unready: members.clone(),
            unmeasured: members,
            said_ready: false,
            has_begun: false,
            said_measured: false,
            is_over: false,
            // Whoever lives has made contact by then, or knows that it cannot.
            begin_by: now + (options.connect_timeout + options.deadline) / 2,
            end_by: now + options.deadline,
        }
    }

    fn is_lead(&self) -> bool {
        self.task.lead == self.task.node
    }

    /// Whether others wait for this node's word, or this node for theirs, although its own flows
    /// have ended: what is not taken would stay on the exchange.
    fn is_awaited(&self) -> bool {
        !self.is_over && Instant::now() < self.end_by
    }

    fn look(&mut self, exchange: &mut dyn Exchange) -> Result<()> {
        if self.is_lead() {
            self.lead(exchange)
        } else {
            self.follow(exchange)
        }
    }

    fn lead(&mut self, exchange: &mut dyn Exchange) -> Result<()> {
        if !self.has_begun {
            let late = Instant::now() >= self.begin_by;
            let all = self.all_said(exchange, "ready")? && self.line.waits_for_last();
            if all || late {
                self.tell_all(exchange, "go")?;
                self.line.arrive();
                self.has_begun = true;
            }
        } else if !self.is_over {
            let all = self.all_said(exchange, "measured")?;
            if all && self.line.ends_with_last() {
                self.tell_all(exchange, "over")?;
                self.line.end_last();
                self.is_over = true;
            }
        }
        Ok(())
    }

    fn follow(&mut self, exchange: &mut dyn Exchange) -> Result<()> {
        let lead = self.task.lead;
        if !self.said_ready && self.line.waits_for_last() {
            self.say(exchange, "ready", lead)?;
            self.said_ready = true;
        }
        if self.said_ready && !self.has_begun && self.received(exchange, "go", lead)? {
            self.line.arrive();
            self.has_begun = true;
        }
        if self.said_ready && !self.said_measured && self.line.ends_with_last() {
            self.say(exchange, "measured", lead)?;
            self.said_measured = true;
        }
        if self.said_measured && !self.is_over && self.received(exchange, "over", lead)? {
            self.line.end_last();
            self.is_over = true;
        }
        Ok(())
    }

    /// Whether every other node has sent this by now.
    fn all_said(&mut self, exchange: &mut dyn Exchange, word: &str) -> Result<bool> {
        let waiting = match word {
            "ready" => &self.unready,
            // Whoever was not there at the beginning is not waited for at the end.
            _ => &(&self.unmeasured - &self.unready),
        };
        let mut said = BTreeSet::new();
        for &member in waiting {
            if self.received(exchange, word, member)? {
                said.insert(member);
            }
        }
        let all = said.len() == waiting.len();
        let left = match word {
            "ready" => &mut self.unready,
            _ => &mut self.unmeasured,
        };
        left.retain(|member| !said.contains(member));
        Ok(all)
    }

    fn tell_all(&self, exchange: &mut dyn Exchange, word: &str) -> Result<()> {
        let mut members = self.task.members.iter();
        members.try_for_each(|&member| self.say(exchange, word, member))
    }

    fn say(&self, exchange: &mut dyn Exchange, word: &str, to: usize) -> Result<()> {
        let key = format!("{}/{word}/{}", self.task.name, self.task.node);
        let key = addressed(&key, to);
        exchange
            .put(&key, b"1")
            .map_err(|error| exchange_failed(&key, error))
    }

    fn received(&self, exchange: &mut dyn Exchange, word: &str, from: usize) -> Result<bool> {
        let key = addressed(&format!("{}/{word}/{from}", self.task.name), self.task.node);
        match exchange.take(&key) {
            Ok(value) => Ok(value.is_some()),
            Err(error) => Err(exchange_failed(&key, error)),
        }
    }
}

#[cfg(test)]
mod tests;
