//! A survey in which every rank runs the same program: rank 0 decides, the others measure what
//! it leaves for them, and all get the same report.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::driver::Survey;
use super::mail::{Mail, unwritten};
use super::node::Node;
use super::pair::{PairOptions, Side, Sight, probe_pair};
use super::progress::Progress;
use super::report::Report;
use crate::error::{Code, Error, Result};
use crate::library::Library;
use crate::probe::{Exchange, Interrupt};
use crate::survey::Options;

/// What a rank waits longer for rank 0 than rank 0 may take.
const SLACK: Duration = Duration::from_secs(15);

/// How the ranks of a survey meet: an exchange that all share, and who this is.
pub struct Rendezvous<'a> {
    /// Where the ranks leave bytes for each other.
    pub exchange: &'a mut dyn Exchange,
    /// This rank, from 0.
    pub rank: usize,
    /// Number of ranks.
    pub world_size: usize,
    /// Tells this survey from others on the same exchange; the same on all ranks, new each time.
    pub name: &'a str,
}

impl std::fmt::Debug for Rendezvous<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.world_size)
    }
}

/// What a survey of ranks measures and how long it waits.
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
    /// These nodes and pairs, two minutes to come, 30 s a round.
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

/// What rank 0 leaves for another rank.
#[derive(Debug, Serialize, Deserialize)]
enum Task {
    Probe {
        name: String,
        side: Side,
        rails: usize,
    },
    /// Nothing to do yet: rank 0 is alive.
    Rest,
    Over(Option<Box<Report>>),
}

/// Surveys all ranks; each of them calls this. Every rank gets rank 0's report.
///
/// O(n) messages a round, and none between ranks that are not a pair. A rank that gives no
/// answer costs one round's deadline and is left out from then on. `progress` is called on rank 0
/// after each round.
///
/// # Errors
/// `fabric.invalid_option`; `fabric.rendezvous_failed` as the exchange says; `fabric.unreachable`
/// on a rank that rank 0 says nothing to; `fabric.interrupted`, after telling the others.
pub fn run_rank(
    library: &Arc<Library>,
    meeting: Rendezvous<'_>,
    options: &RankOptions,
    interrupt: Interrupt<'_>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Report> {
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
    };
    if meeting.rank == 0 {
        rank.lead(progress)
    } else {
        rank.follow()
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
    if meeting.name.is_empty() || meeting.name.len() > 100 {
        return invalid("name", "the survey's name has 1 to 100 characters".into());
    }
    if options.round_deadline < Duration::from_millis(100) {
        return invalid("round_deadline", "a round takes at least 0.1 s".into());
    }
    options.pair.check()
}

struct Rank<'a> {
    library: &'a Arc<Library>,
    mail: Mail<'a>,
    rank: usize,
    world_size: usize,
    pair: PairOptions,
    options: &'a RankOptions,
}

impl Rank<'_> {
    fn lead(&mut self, progress: &mut dyn FnMut(&Progress)) -> Result<Report> {
        let mut tasks = vec![0; self.world_size];
        let result = self.survey(&mut tasks, progress);
        let report = result.as_ref().ok().map(|report| Box::new(report.clone()));
        // A lost rank is told as well: it may only have been slow.
        let over = serde_json::to_vec(&Task::Over(report)).map_err(unwritten)?;
        for (rank, task) in tasks.iter().enumerate().skip(1) {
            let left = self.mail.put_bytes(&format!("task/{rank}/{task}"), &over);
            if result.is_ok() {
                left?;
            }
        }
        result
    }

    fn survey(
        &mut self,
        tasks: &mut [usize],
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Report> {
        let start = Instant::now();
        let mut survey = self.gather(start)?;
        let mut told = vec![Instant::now(); self.world_size];
        while let Some(pairs) = survey.next_pairs() {
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
                    let key = format!("task/{rank}/{}", tasks[rank]);
                    self.mail.put(&key, &Task::Probe { name, side, rails })?;
                    (tasks[rank], told[rank]) = (tasks[rank] + 1, began);
                }
            }
            for rank in 1..self.world_size {
                if survey.answers(rank) && told[rank].elapsed() > self.options.round_deadline {
                    self.mail
                        .put(&format!("task/{rank}/{}", tasks[rank]), &Task::Rest)?;
                    (tasks[rank], told[rank]) = (tasks[rank] + 1, began);
                }
            }
            let mut sights: Vec<Option<Sight>> = vec![None; self.world_size];
            if let Some((name, side, rails)) = own {
                sights[0] = Some(self.probe(&name, side, rails)?);
            }
            let waiting: Vec<usize> = pairs
                .iter()
                .flat_map(|&(a, b)| [a, b])
                .filter(|&rank| rank != 0)
                .collect();
            self.collect(began, waiting, tasks, &mut sights)?;
            for &(a, b) in &pairs {
                let after_s = began.elapsed().as_secs_f64();
                let (low, high) = (sights[a].take(), sights[b].take());
                survey.record((a, b), low, high, after_s)?;
            }
            progress(&survey.progress(start.elapsed().as_secs_f64()));
        }
        let report = survey.report(start.elapsed().as_secs_f64());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Ok(match now {
            Ok(now) => report.finished(now.as_secs()),
            Err(_) => report,
        })
    }

    fn own_node(&self) -> Node {
        Node {
            rails: self.pair.rails.len(),
            ..self.options.node.clone()
        }
    }

    /// Waits for the ranks to introduce themselves.
    fn gather(&mut self, start: Instant) -> Result<Survey> {
        let mut nodes: Vec<Option<Node>> = vec![None; self.world_size];
        nodes[0] = Some(self.own_node());
        let missing = (1..self.world_size).collect();
        let end = start + self.options.join_deadline;
        self.mail.sweep(missing, end, |mail, rank| {
            nodes[rank] = mail.take_lenient(&format!("hello/{rank}"))?;
            Ok(nodes[rank].is_some())
        })?;
        let lost: Vec<usize> = (0..self.world_size)
            .filter(|&rank| nodes[rank].is_none())
            .collect();
        let named = nodes
            .into_iter()
            .enumerate()
            .map(|(rank, node)| node.unwrap_or_else(|| Node::new(format!("rank {rank}"))));
        let provider = self.pair.endpoint.provider.clone();
        let survey = Survey::new(named.collect(), provider, self.options.survey.clone())?;
        let mut survey = survey.led_by(0);
        for rank in lost {
            let why = format!(
                "rank {rank} never joined within {:.0} s; check that its process runs, with the \
                 same rendezvous, token, name and world size",
                self.options.join_deadline.as_secs_f64()
            );
            survey.absent(rank, Code::Deadline.as_str(), why);
        }
        Ok(survey)
    }

    fn collect(
        &mut self,
        began: Instant,
        waiting: Vec<usize>,
        tasks: &[usize],
        sights: &mut [Option<Sight>],
    ) -> Result<()> {
        let end = began + self.options.round_deadline;
        self.mail.sweep(waiting, end, |mail, rank| {
            let key = format!("sight/{rank}/{}", tasks[rank].saturating_sub(1));
            sights[rank] = mail.take_lenient(&key)?;
            Ok(sights[rank].is_some())
        })
    }

    fn follow(&mut self) -> Result<Report> {
        let rank = self.rank;
        self.mail.put(&format!("hello/{rank}"), &self.own_node())?;
        let mut limit = self.options.join_deadline;
        for number in 0_usize.. {
            let task = self
                .mail
                .wait(&format!("task/{rank}/{number}"), limit + SLACK)?;
            let (name, side, rails) = match task {
                Task::Probe { name, side, rails } => (name, side, rails),
                Task::Rest => continue,
                Task::Over(Some(report)) => return Ok(*report),
                Task::Over(None) => break,
            };
            let sight = self.probe(&name, side, rails);
            let told = match &sight {
                Ok(sight) => sight.clone(),
                Err(error) => {
                    let code = error.code().as_str();
                    let phase = crate::survey::FailurePhase::Join;
                    Sight::failed(phase, code, 0.0, error.to_string())
                }
            };
            self.mail.put(&format!("sight/{rank}/{number}"), &told)?;
            sight?;
            // Rank 0 says something after each round and deadline without a task.
            limit = self.options.round_deadline.saturating_mul(3);
        }
        Err(
            Error::new(Code::PeerFailed, "rank 0 ended the survey without a report")
                .with_cure("see what rank 0 says"),
        )
    }

    fn probe(&mut self, name: &str, side: Side, rails: usize) -> Result<Sight> {
        let interrupt = self.mail.interrupt;
        let exchange = &mut *self.mail.exchange;
        let pair = self.pair.clone().with_rails(rails);
        probe_pair(self.library, exchange, name, side, &pair, interrupt)
    }
}
