//! Whom rank 0 did not count on: a second process of a rank, one beyond the last rank, one that comes
//! late; and who leaves before the end.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Hello, Rank, Task, hello_key, task_key};
use crate::error::{Code, Error, Result};
use crate::probe::{Interrupt, Signal};
use crate::survey_run::driver::Survey;

/// Least time between two looks for others.
const LOOK: Duration = Duration::from_millis(500);
/// A look takes at most this part of the time: it asks twice for each rank.
const PART_OF_TIME: u32 = 20;
/// How long rank 0 waits until those know why it ends that have no report. A rank that waits
/// for a task looks every 20 ms; one that measures is not waited for.
const FAREWELL: Duration = Duration::from_secs(4);

/// What a rank leaves whose process was asked to end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Left {
    pub(super) signal: Option<Signal>,
}

pub(super) fn two_of(rank: usize) -> Error {
    Error::new(
        Code::NotSurveyed,
        format!("two processes introduced themselves as rank {rank}"),
    )
    .with_cure("give each process a rank of its own, and each survey a name of its own")
    .with_context("rank", rank)
}

/// Where a process of a rank leaves that it was asked to end.
pub(super) fn left_key(rank: usize, id: &str) -> String {
    format!("left-early/{rank}-{id}")
}

/// Where a process of a rank leaves that it knows that there is no report.
pub(super) fn farewell_key(rank: usize, id: &str) -> String {
    format!("farewell/{rank}-{id}")
}

impl Rank<'_> {
    /// Looks, now and then, for those whom rank 0 did not count on, and for those that left.
    ///
    /// # Errors
    /// As [`check_for_twins`](Self::check_for_twins).
    pub(super) fn look_around(&mut self) -> Result<()> {
        let began = Instant::now();
        if began < self.others.next_look {
            return Ok(());
        }
        self.check_for_twins()?;
        for rank in 1..self.world_size {
            self.look_whether_left(rank)?;
        }
        let now = Instant::now();
        self.others.next_look = now + LOOK.max((now - began) * PART_OF_TIME);
        Ok(())
    }

    /// Takes these ranks out of the survey, which report that they were interrupted, with the signal.
    pub(super) fn see_leave(
        &mut self,
        ranks: impl Iterator<Item = usize>,
        survey: &mut Survey,
    ) -> Result<()> {
        for rank in ranks {
            self.look_whether_left(rank)?;
        }
        self.take_leavers_out(survey);
        Ok(())
    }

    /// Looks whether the process of a rank was asked to end, and by which signal.
    pub(super) fn look_whether_left(&mut self, rank: usize) -> Result<()> {
        let id = &self.ids[rank];
        if id.is_empty() || self.others.left[rank] {
            return Ok(());
        }
        if let Some(bytes) = self.mail.take_bytes(&left_key(rank, id))? {
            self.others.left[rank] = true;
            let left = serde_json::from_slice::<Left>(&bytes).unwrap_or_default();
            self.others.signals.extend(left.signal.map(|by| (rank, by)));
        }
        Ok(())
    }

    pub(super) fn has_left(&self, rank: usize) -> bool {
        self.others.left[rank]
    }

    /// When others are to be looked for next, at the latest at this time.
    pub(super) fn next_look(&self, end: Instant) -> Instant {
        self.others.next_look.min(end)
    }

    /// Takes those out of the survey that left.
    pub(super) fn take_leavers_out(&self, survey: &mut Survey) {
        for rank in (1..self.world_size).filter(|&rank| self.has_left(rank)) {
            if survey.answers(rank) {
                survey.interrupted(rank, self.others.signals.get(&rank).copied());
            }
        }
    }

    /// Looks for a second process of a rank, and for one beyond the last rank.
    ///
    /// # Errors
    /// `fabric.not_surveyed` if there is one.
    pub(super) fn check_for_twins(&mut self) -> Result<()> {
        let mut found = Ok(());
        for rank in 1..=self.world_size {
            let Some(hello) = self.other_hello(rank)? else {
                continue;
            };
            found = found.and_then(|()| match self.ids.get(rank) {
                None => self.check_world_size(rank, hello.world_size),
                Some(id) if id.is_empty() => Ok(()),
                Some(_) => Err(two_of(rank)),
            });
            self.add_late(rank, hello.id);
        }
        found
    }

    fn add_late(&mut self, rank: usize, id: String) {
        let late = &mut self.others.late;
        if late.iter().all(|(_, known)| *known != id) {
            late.push((rank, id));
        }
    }

    /// What lies there of a rank from a process that did not introduce itself as it before. Some
    /// exchanges cannot take a value away.
    fn other_hello(&mut self, rank: usize) -> Result<Option<Hello>> {
        let hello = self.mail.take_lenient::<Hello>(&hello_key(rank))?;
        Ok(hello.filter(|hello| self.ids.get(rank) != Some(&hello.id)))
    }

    /// Informs those that came late, or as the second process of a rank, that they take no part, and
    /// waits until everyone knows who gets no report.
    pub(super) fn part(&mut self, error: Option<&Error>) {
        for rank in 1..=self.world_size {
            if let Ok(Some(hello)) = self.other_hello(rank) {
                self.add_late(rank, hello.id);
            }
        }
        let mut hearing = std::mem::take(&mut self.others.late);
        for (rank, id) in &hearing {
            let text = match error {
                Some(error) => error.to_string(),
                None => self.why_too_late(*rank),
            };
            let failed = Task::Failed(Code::NotSurveyed.as_str().to_owned(), text);
            // The survey itself is over: whoever cannot be notified ends by its own deadline.
            let _ = self.mail.put(&task_key(*rank, id, 0), &failed);
        }
        if error.is_some() {
            let joined = (1..self.world_size).filter(|&rank| !self.has_left(rank));
            let joined = joined.map(|rank| (rank, self.ids[rank].clone()));
            hearing.extend(joined.filter(|(_, id)| !id.is_empty()));
        }
        // It ends anyway, whether it was asked to or not.
        self.mail.interrupt = Interrupt::never();
        let end = Instant::now() + FAREWELL.min(self.options.round_deadline);
        let all = (0..hearing.len()).collect();
        let _ = self.mail.sweep(all, end, |mail, which| {
            let (rank, id) = &hearing[which];
            Ok(mail.take_bytes(&farewell_key(*rank, id))?.is_some())
        });
    }

    fn why_too_late(&self, rank: usize) -> String {
        match self.ids.get(rank) {
            None => {
                format!("rank {rank} is one too many: rank 0 was started with world size {rank}")
            }
            Some(id) if id.is_empty() => format!(
                "rank {rank} joined after the {:.0} s in which ranks join; start all ranks together, or give more time",
                self.options.join_deadline.as_secs_f64()
            ),
            Some(_) => two_of(rank).to_string(),
        }
    }
}
