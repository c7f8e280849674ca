//! What every rank but rank 0 does: it introduces itself, measures what it is asked for, and gets
//! what the report comes to.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::others::{Left, farewell_key, left_key, two_of};
use super::{Hello, Rank, Task, hello_key, new_id, task_key};
use crate::error::{Code, Error, Result};
use crate::probe::KeyInUse;
use crate::survey::FailurePhase;
use crate::survey_run::flows::FlowSights;
use crate::survey_run::pair::Sight;
use crate::survey_run::report::VERSION;
use crate::survey_run::summary::Summary;

/// What a rank waits longer for rank 0 than rank 0 may take.
const SLACK: Duration = Duration::from_secs(15);

impl Rank<'_> {
    pub(super) fn follow(&mut self) -> Result<Box<Summary>> {
        let id = new_id()?;
        let mut number = 0;
        let result = self
            .introduce(&id)
            .and_then(|()| self.work(&id, &mut number));
        match &result {
            Err(error) if error.code() == Code::Interrupted => self.leave(&id, number),
            _ => {}
        }
        result
    }

    /// Leaves who this is for rank 0. While another process's introduction lies there, this one
    /// waits: rank 0 has to see both.
    fn introduce(&mut self, id: &str) -> Result<()> {
        let rank = self.rank;
        let hello = Hello {
            version: VERSION.to_owned(),
            world_size: self.world_size,
            id: id.to_owned(),
            node: self.own_node(),
            obstacle: self.obstacle(),
        };
        let end = Instant::now() + self.options.join_deadline;
        let mut refused = None;
        self.mail.sweep(vec![rank], end, |mail, _| {
            match mail.put(&hello_key(rank), &hello) {
                Err(error) if is_in_use(&error) => {
                    refused = Some(error);
                    Ok(false)
                }
                Err(error) => Err(unanswered(error, mail.name)),
                Ok(()) => {
                    refused = None;
                    Ok(true)
                }
            }
        })?;
        match refused {
            Some(error) => Err(two_of(rank).with_source(error)),
            None => Ok(()),
        }
    }

    /// Does what rank 0 asks for, until the end; `number` is that of the task.
    fn work(&mut self, id: &str, number: &mut usize) -> Result<Box<Summary>> {
        let rank = self.rank;
        let mut limit = self.options.join_deadline;
        loop {
            let key = task_key(rank, id, *number);
            let task: Task =
                self.mail
                    .wait(&key, limit + SLACK)
                    .map_err(|error| match *number {
                        0 => unanswered(error, self.mail.name),
                        _ => error,
                    })?;
            let key = format!("sight/{rank}/{number}");
            *number += 1;
            match task {
                Task::Probe { name, side, rails } => {
                    let sight = self.probe(&name, side, rails);
                    let failed = |error: &Error| {
                        let code = error.code().as_str();
                        let phase = FailurePhase::Join;
                        Sight::failed(phase, code, 0.0, error.to_string())
                    };
                    self.answer(id, &key, sight, failed)?;
                }
                Task::Flows(task) => {
                    let sights = self.flows(&task);
                    let failed = |error: &Error| FlowSights::failed(error.code().as_str());
                    self.answer(id, &key, sights, failed)?;
                }
                Task::Rest => continue,
                Task::Over(summary) => return Ok(summary),
                Task::Failed(code, text) => {
                    self.confirm(id);
                    return Err(no_report(&code, &text));
                }
            }
            // Rank 0 reports something after each round and deadline without a task.
            limit = self.options.round_deadline.saturating_mul(3);
        }
    }

    /// Leaves what this rank saw for rank 0, also when it was interrupted, which ends it: rank 0
    /// finds by which signal first.
    fn answer<T: Serialize>(
        &mut self,
        id: &str,
        key: &str,
        seen: Result<T>,
        failed: impl Fn(&Error) -> T,
    ) -> Result<()> {
        match seen {
            Ok(seen) => self.mail.put(key, &seen),
            Err(error) => {
                self.announce_leave(id);
                self.mail.put(key, &failed(&error))?;
                Err(error)
            }
        }
    }

    /// Informs rank 0, as another rank, that this process was asked to end, and the node that it was
    /// to be measured with.
    fn leave(&mut self, id: &str, number: usize) {
        self.announce_leave(id);
        let task = self
            .mail
            .take_lenient::<Task>(&task_key(self.rank, id, number));
        match task {
            // Each ends at once, and the other side hears why.
            Ok(Some(Task::Probe { name, side, rails })) => {
                let _ = self.probe(&name, side, rails);
            }
            Ok(Some(Task::Flows(task))) => {
                let _ = self.flows(&task);
            }
            _ => {}
        }
    }

    /// States, once, that this process was asked to end, and by which signal.
    fn announce_leave(&mut self, id: &str) {
        if !std::mem::replace(&mut self.others.left[self.rank], true) {
            let left = Left {
                signal: self.mail.interrupt.signal(),
            };
            // Where this cannot be left, rank 0 finds out by its deadline.
            let _ = self.mail.put(&left_key(self.rank, id), &left);
        }
    }

    /// Informs rank 0, as another rank, that this one knows that there is no report for it.
    fn confirm(&mut self, id: &str) {
        // Rank 0 waits for it a moment, and no longer.
        let _ = self.mail.put(&farewell_key(self.rank, id), &true);
    }
}

/// Whether another process's value lies under the key.
fn is_in_use(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.is::<KeyInUse>())
}

/// The error of a rank that rank 0 has no report for.
fn no_report(code: &str, text: &str) -> Error {
    match code == Code::NotSurveyed.as_str() {
        true => Error::new(Code::NotSurveyed, format!("rank 0 reports: {text}")),
        false => Error::new(
            Code::PeerFailed,
            format!("rank 0 ended the survey without a report: {text}"),
        )
        .with_cure("see the output of rank 0"),
    }
}

/// The error of a rank that rank 0 never answered: it may have another survey's name.
fn unanswered(error: Error, name: &str) -> Error {
    if ![Code::RendezvousFailed, Code::Unreachable].contains(&error.code()) {
        return error;
    }
    let message = format!("rank 0 never answered in the survey named '{name}': {error}");
    Error::new(error.code(), message)
        .with_cure("give all ranks the same name of the survey")
        .with_context("name", name)
        .with_source(error)
        .retryable(true)
}
