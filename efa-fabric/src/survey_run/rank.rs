//! A survey in which every rank runs the same program: rank 0 decides and has the report, the
//! others measure what it leaves for them and get what the report comes to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::driver::Survey;
use super::flows::{FlowSights, FlowTask, run_flows};
use super::mail::Mail;
use super::node::Node;
use super::pair::{PairOptions, Side, Sight, probe_pair};
use super::progress::Progress;
use super::report::{Report, VERSION};
use super::summary::{Summary, Surveyed};
use crate::error::{Code, Error, Result};
use crate::library::Library;
use crate::probe::{Exchange, Interrupt, Signal};
use crate::survey::{FailurePhase, Options};
use crate::token;

pub(super) mod decline;
mod follower;
mod others;

/// Ranks of a survey: four times the most that were simulated. A full survey of as many has 134
/// million pairs.
const MOST_RANKS: usize = 16_384;

/// The rendezvous of a survey's ranks: an exchange that all share, and who this is.
pub struct Rendezvous<'a> {
    /// Where the ranks leave bytes for each other.
    pub exchange: &'a mut dyn Exchange,
    /// This rank, from 0.
    pub rank: usize,
    /// Number of ranks.
    pub world_size: usize,
    /// Distinguishes this survey from others on the same exchange; the same on all ranks, new each time.
    pub name: &'a str,
}

impl std::fmt::Debug for Rendezvous<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.world_size)
    }
}

/// Options of a survey of ranks: what it measures and how long it waits.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RankOptions {
    /// This node, as the report names it.
    pub node: Node,
    /// What is measured in each pair.
    pub pair: PairOptions,
    /// How to survey; what rank 0 has counts.
    pub survey: Options,
    /// Time for the ranks to come, from the moment that rank 0 asks.
    pub join_deadline: Duration,
    /// Time for each round. A rank that did not answer by then is left out from then on.
    pub round_deadline: Duration,
}

impl RankOptions {
    /// Creates options: these nodes and pairs, two minutes to come, 30 s a round.
    #[must_use]
    pub fn new(node: Node, pair: PairOptions) -> Self {
        Self {
            node,
            pair,
            survey: Options::default(),
            join_deadline: Duration::from_secs(120),
            round_deadline: Duration::from_secs(30),
        }
    }
}

/// What another rank leaves for rank 0 first.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    /// Of efa-fabric.
    version: String,
    world_size: usize,
    /// Distinguishes two processes of one rank.
    id: String,
    node: Node,
    /// What keeps it from measuring anything.
    #[serde(default)]
    obstacle: Option<Obstacle>,
}

/// Why a rank's set-up keeps it from measuring: the code of the error, and its text.
#[derive(Debug, Serialize, Deserialize)]
struct Obstacle {
    code: String,
    why: String,
}

/// What rank 0 leaves for another rank.
#[derive(Debug, Serialize, Deserialize)]
enum Task {
    Probe {
        name: String,
        side: Side,
        rails: usize,
    },
    /// A step of a collective pattern.
    Flows(FlowTask),
    /// Nothing to do yet: rank 0 is alive.
    Rest,
    /// What a rank gets of the report: the report itself grows with the ranks, or their square.
    Over(Box<Summary>),
    /// Rank 0 has no report: the code of its error, and the text.
    Failed(String, String),
}

/// Surveys all ranks; each of them calls this. Rank 0 gets the report, every other rank a
/// [`Summary`] of it, whose size does not depend on the number of ranks.
///
/// O(n) messages a round, and none between ranks that are not a pair. A rank that gives no
/// answer costs one round's deadline and is left out from then on. `progress` is called on rank 0
/// after each round.
///
/// # Errors
/// `fabric.invalid_option`; `fabric.rendezvous_failed` as the exchange reports; `fabric.unreachable`
/// on a rank that rank 0 reports nothing to; `fabric.not_surveyed` where two processes have one rank
/// or the world sizes differ; `fabric.interrupted`, after notifying the others.
pub fn run_rank(
    library: &Arc<Library>,
    meeting: Rendezvous<'_>,
    options: &RankOptions,
    interrupt: Interrupt<'_>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Surveyed> {
    check_call(&meeting, options)?;
    let mut rank = Rank {
        library,
        mail: Mail {
            exchange: meeting.exchange,
            name: meeting.name,
            interrupt,
        },
        rank: meeting.rank,
        world_size: meeting.world_size,
        pair: options.pair.clone().within(options.round_deadline),
        options,
        ids: vec![String::new(); meeting.world_size],
        others: Others::new(meeting.world_size),
    };
    if meeting.rank == 0 {
        rank.lead(progress)
            .map(|report| Surveyed::Report(Box::new(report)))
    } else {
        rank.follow().map(Surveyed::Summary)
    }
}

fn check_call(meeting: &Rendezvous<'_>, options: &RankOptions) -> Result<()> {
    let invalid = |option: &'static str, message: String| {
        Err(Error::new(Code::InvalidOption, message).with_context("option", option))
    };
    if meeting.rank >= meeting.world_size {
        return invalid(
            "rank",
            format!("rank {} is not below {}", meeting.rank, meeting.world_size),
        );
    }
    if meeting.world_size > MOST_RANKS {
        return invalid(
            "world_size",
            format!(
                "a survey has at most {MOST_RANKS} ranks, not {}: survey parts of the cluster",
                meeting.world_size
            ),
        );
    }
    if meeting.name.is_empty() || meeting.name.len() > 100 {
        return invalid("name", "the survey's name has 1 to 100 characters".into());
    }
    if options.round_deadline < Duration::from_millis(100) {
        return invalid("round_deadline", "a round takes at least 0.1 s".into());
    }
    let pair = options.pair.clone();
    pair.within(options.round_deadline).check()
}

/// Where a rank leaves its introduction.
fn hello_key(rank: usize) -> String {
    format!("hello/{rank}")
}

/// What distinguishes this process from others of its rank.
fn new_id() -> Result<String> {
    Ok(hex::encode(&token::nonce()?[..8]))
}

/// Each process has keys of its own, so that two of one rank do not take each other's.
fn task_key(rank: usize, id: &str, number: usize) -> String {
    format!("task/{rank}-{id}/{number}")
}

/// What rank 0 knows of others.
#[derive(Debug)]
struct Others {
    /// Who introduced itself too late, or as a rank that another one has.
    late: Vec<(usize, String)>,
    /// Ranks whose processes left, by number; of another rank than rank 0, itself.
    left: Vec<bool>,
    /// By which signal, where it is known.
    signals: BTreeMap<usize, Signal>,
    next_look: Instant,
}

impl Others {
    fn new(world_size: usize) -> Self {
        Self {
            late: Vec::new(),
            left: vec![false; world_size],
            signals: BTreeMap::new(),
            next_look: Instant::now(),
        }
    }
}

struct Rank<'a> {
    library: &'a Arc<Library>,
    mail: Mail<'a>,
    rank: usize,
    world_size: usize,
    pair: PairOptions,
    options: &'a RankOptions,
    /// Who introduced itself as which rank; at rank 0.
    ids: Vec<String>,
    others: Others,
}

impl Rank<'_> {
    fn lead(&mut self, progress: &mut dyn FnMut(&Progress)) -> Result<Report> {
        let mut tasks = vec![0; self.world_size];
        let result = self.survey(&mut tasks, progress);
        // A lost rank is notified as well: it may only have been slow.
        let notified = (1..self.world_size).filter(|&rank| !self.ids[rank].is_empty());
        let notified: Vec<usize> = notified.collect();
        match &result {
            Ok(report) => {
                let summaries = match notified.is_empty() {
                    true => Vec::new(),
                    false => report.summaries_by_node(),
                };
                for rank in notified {
                    let summary = Box::new(summaries[rank].clone());
                    self.send(rank, tasks[rank], Task::Over(summary))?;
                }
            }
            Err(error) => {
                for rank in notified {
                    let (code, text) = (error.code().as_str().to_owned(), error.to_string());
                    // The error is what counts: whoever cannot be notified ends by its own
                    // deadline.
                    let _ = self.send(rank, tasks[rank], Task::Failed(code, text));
                }
            }
        }
        self.part(result.as_ref().err());
        result
    }

    fn survey(
        &mut self,
        tasks: &mut [usize],
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Report> {
        let start = Instant::now();
        let mut survey = self.gather(start)?;
        let mut notified = vec![Instant::now(); self.world_size];
        while let Some(pairs) = self.next_pairs(&mut survey)? {
            let began = Instant::now();
            let round = survey.round().unwrap_or_default();
            let mut own = None;
            for &(a, b) in &pairs {
                let attempt = survey.attempt();
                let name = format!("{}/pair/{round}.{attempt}/{a}-{b}", self.mail.name);
                let rails = survey.rails_of((a, b));
                for (rank, side) in [(a, Side::Low), (b, Side::High)] {
                    if rank == 0 {
                        own = Some((name.clone(), side, rails));
                        continue;
                    }
                    let name = name.clone();
                    self.send(rank, tasks[rank], Task::Probe { name, side, rails })?;
                    (tasks[rank], notified[rank]) = (tasks[rank] + 1, began);
                }
            }
            self.keep_awake(&survey, tasks, &mut notified)?;
            let mut sights: Vec<Option<Sight>> = vec![None; self.world_size];
            if let Some((name, side, rails)) = own {
                sights[0] = Some(self.probe(&name, side, rails)?);
            }
            let waiting: Vec<usize> = pairs
                .iter()
                .flat_map(|&(a, b)| [a, b])
                .filter(|&rank| rank != 0)
                .collect();
            let left = self.collect(began, waiting, tasks, |rank, sight| {
                sights[rank] = Some(sight)
            })?;
            for rank in left {
                let code = Code::Interrupted.as_str();
                let why = "the process left".to_owned();
                sights[rank] = Some(Sight::failed(FailurePhase::Join, code, 0.0, why));
            }
            let seen = sights.iter().enumerate().skip(1);
            let seen = seen.filter(|(_, sight)| sight.as_ref().is_some_and(Sight::is_interrupted));
            self.see_leave(seen.map(|(rank, _)| rank), &mut survey)?;
            for &(a, b) in &pairs {
                let after_s = began.elapsed().as_secs_f64();
                let (low, high) = (sights[a].take(), sights[b].take());
                survey.record((a, b), low, high, after_s)?;
            }
            progress(&survey.progress(start.elapsed().as_secs_f64()));
        }
        while let Some(of_nodes) = self.next_flows(&mut survey)? {
            self.step(&mut survey, of_nodes, tasks, &mut notified)?;
            progress(&survey.progress(start.elapsed().as_secs_f64()));
        }
        // Whoever came meanwhile shows that this is not the survey that was meant.
        self.check_for_twins()?;
        let report = survey.report(start.elapsed().as_secs_f64());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Ok(match now {
            Ok(now) => report.finished(now.as_secs()),
            Err(_) => report,
        })
    }

    /// The next pairs, without those that left.
    fn next_pairs(&mut self, survey: &mut Survey) -> Result<Option<Vec<(usize, usize)>>> {
        self.look_around()?;
        self.take_leavers_out(survey);
        Ok(survey.next_pairs())
    }

    /// The next step of a pattern, without those that left.
    fn next_flows(&mut self, survey: &mut Survey) -> Result<Option<Vec<FlowTask>>> {
        self.look_around()?;
        self.take_leavers_out(survey);
        Ok(survey.next_flows(self.mail.name))
    }

    /// A step of a collective pattern.
    fn step(
        &mut self,
        survey: &mut Survey,
        of_nodes: Vec<FlowTask>,
        tasks: &mut [usize],
        notified: &mut [Instant],
    ) -> Result<()> {
        let began = Instant::now();
        let (mut own, mut waiting) = (None, Vec::new());
        for task in of_nodes {
            let rank = task.node;
            if rank == 0 {
                own = Some(task);
                continue;
            }
            self.send(rank, tasks[rank], Task::Flows(task))?;
            (tasks[rank], notified[rank]) = (tasks[rank] + 1, began);
            waiting.push(rank);
        }
        self.keep_awake(survey, tasks, notified)?;
        let mut sights = BTreeMap::new();
        if let Some(task) = own {
            sights.insert(0, self.flows(&task)?);
        }
        let left = self.collect(began, waiting, tasks, |rank, sight: FlowSights| {
            sights.insert(rank, sight);
        })?;
        for rank in left {
            sights.insert(rank, FlowSights::failed(Code::Interrupted.as_str()));
        }
        let seen = sights.iter().filter(|(_, sight)| sight.is_interrupted());
        self.see_leave(seen.map(|(&rank, _)| rank), survey)?;
        survey.record_flows(sights, began.elapsed().as_secs_f64())
    }

    /// Informs ranks that have had nothing to do for long that rank 0 is alive.
    fn keep_awake(
        &mut self,
        survey: &Survey,
        tasks: &mut [usize],
        notified: &mut [Instant],
    ) -> Result<()> {
        for rank in 1..self.world_size {
            if survey.answers(rank) && notified[rank].elapsed() > self.options.round_deadline {
                self.send(rank, tasks[rank], Task::Rest)?;
                (tasks[rank], notified[rank]) = (tasks[rank] + 1, Instant::now());
            }
        }
        Ok(())
    }

    fn send(&mut self, rank: usize, number: usize, task: Task) -> Result<()> {
        let key = task_key(rank, &self.ids[rank], number);
        self.mail.put(&key, &task)
    }

    /// What keeps this rank from measuring anything.
    fn obstacle(&self) -> Option<Obstacle> {
        let error = self.pair.obstacle(self.library)?;
        Some(Obstacle {
            code: error.code().as_str().to_owned(),
            why: error.to_string(),
        })
    }

    fn own_node(&self) -> Node {
        Node {
            rails: self.pair.rails.len(),
            ..self.options.node.clone()
        }
    }

    /// Waits for the ranks to introduce themselves. Those that do not, or have another version, are
    /// absent.
    fn gather(&mut self, start: Instant) -> Result<Survey> {
        let mut nodes: Vec<Option<Node>> = vec![None; self.world_size];
        let mut absent: Vec<(usize, String, String)> = Vec::new();
        if let Some(Obstacle { code, why }) = self.obstacle() {
            absent.push((0, code, why));
        }
        let mut said: Vec<Option<Vec<u8>>> = vec![None; self.world_size];
        let missing = (1..self.world_size).collect();
        let end = start + self.options.join_deadline;
        self.mail.sweep(missing, end, |mail, rank| {
            said[rank] = mail.take_bytes(&hello_key(rank))?;
            Ok(said[rank].is_some())
        })?;
        nodes[0] = Some(self.own_node());
        let mut fits = Ok(());
        for (rank, said) in said.into_iter().enumerate().skip(1) {
            let Some(bytes) = said else {
                let why = format!(
                    "it never joined within {:.0} s; check that its process runs, with the \
                     same rendezvous, token, name and world size",
                    self.options.join_deadline.as_secs_f64()
                );
                absent.push((rank, Code::Deadline.as_str().to_owned(), why));
                continue;
            };
            let hello = serde_json::from_slice::<Hello>(&bytes);
            let (version, node, obstacle) = match hello {
                Ok(hello) => {
                    self.ids[rank] = hello.id;
                    fits = fits.and(self.check_world_size(rank, hello.world_size));
                    (hello.version, Some(hello.node), hello.obstacle)
                }
                Err(_) => (
                    "another version, which cannot be read".to_owned(),
                    None,
                    None,
                ),
            };
            if version != VERSION {
                let why = format!(
                    "efa_sdk is {version} on rank {rank} and {VERSION} on rank 0; install the same on every node"
                );
                absent.push((rank, Code::VersionMismatch.as_str().to_owned(), why));
            } else if let Some(Obstacle { code, why }) = obstacle {
                absent.push((rank, code, why));
            }
            nodes[rank] = node;
        }
        self.check_for_twins()?;
        fits?;
        let named = nodes
            .into_iter()
            .enumerate()
            .map(|(rank, node)| node.unwrap_or_else(|| Node::new(format!("rank {rank}"))));
        let provider = self.pair.endpoint.provider.clone();
        let survey = Survey::new(named.collect(), provider, self.options.survey.clone())?;
        let mut survey = survey.led_by(0);
        for (rank, code, why) in absent {
            survey.absent(rank, &code, why);
        }
        Ok(survey)
    }

    fn check_world_size(&self, rank: usize, world_size: usize) -> Result<()> {
        if world_size == self.world_size {
            return Ok(());
        }
        let message = format!(
            "rank {rank} was started with world size {world_size} and rank 0 with {}",
            self.world_size
        );
        Err(Error::new(Code::NotSurveyed, message)
            .with_cure("start every rank with the same world size")
            .with_context("rank", rank)
            .with_context("world_size", world_size))
    }

    /// Takes what these ranks saw, until the round is over; returns those that left instead.
    fn collect<T: DeserializeOwned>(
        &mut self,
        began: Instant,
        mut waiting: Vec<usize>,
        tasks: &[usize],
        mut take: impl FnMut(usize, T),
    ) -> Result<Vec<usize>> {
        let end = began + self.options.round_deadline;
        let mut left = Vec::new();
        loop {
            let mut answered = vec![false; self.world_size];
            let until = self.next_look(end);
            self.mail.sweep(waiting.clone(), until, |mail, rank| {
                let key = format!("sight/{rank}/{}", tasks[rank].saturating_sub(1));
                let sight = mail.take_lenient(&key)?;
                answered[rank] = sight.is_some();
                if let Some(sight) = sight {
                    take(rank, sight);
                }
                Ok(answered[rank])
            })?;
            waiting.retain(|&rank| !answered[rank]);
            if waiting.is_empty() || Instant::now() >= end {
                return Ok(left);
            }
            self.look_around()?;
            left.extend(waiting.iter().copied().filter(|&rank| self.has_left(rank)));
            waiting.retain(|&rank| !self.has_left(rank));
        }
    }

    fn flows(&mut self, task: &FlowTask) -> Result<FlowSights> {
        let interrupt = self.mail.interrupt;
        let exchange = &mut *self.mail.exchange;
        run_flows(self.library, exchange, task, &self.pair, interrupt)
    }

    fn probe(&mut self, name: &str, side: Side, rails: usize) -> Result<Sight> {
        let interrupt = self.mail.interrupt;
        let exchange = &mut *self.mail.exchange;
        let pair = self.pair.clone().with_rails(rails);
        probe_pair(self.library, exchange, name, side, &pair, interrupt)
    }
}
