//! What every step of `apply` and `destroy` needs: AWS, patience, a listener for progress, and a
//! way to stop.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::cancel::Cancel;
use super::progress::{Action, Event};
use crate::clock::Clock;
use crate::error::{Code, Error, Leftover, Result};
use crate::resource;
use crate::services::Aws;

/// The time to wait for EC2, and the interval between polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wait {
    /// Limit of each wait: for instances to run, to terminate, for a group to be free.
    pub timeout: Duration,
    /// Time between the first two polls; it grows by half each time, up to 10 s.
    pub first_poll: Duration,
}

impl Default for Wait {
    /// 15 minutes, looking first after half a second.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15 * 60),
            first_poll: Duration::from_millis(500),
        }
    }
}

const LONGEST_POLL: Duration = Duration::from_secs(10);

/// How long EC2 and IAM may take to see everywhere what was made moments ago.
pub(super) const SETTLING: Duration = Duration::from_secs(60);

/// What every step needs: AWS, a clock, patience, a listener for progress, and a way to be
/// cancelled.
pub(crate) struct Steps<'a> {
    pub(super) aws: &'a dyn Aws,
    clock: &'a dyn Clock,
    pub(super) wait: Wait,
    progress: &'a (dyn Fn(&Event) + Send + Sync),
    cancel: Cancel,
    /// Whether a call that changes something was sent.
    changed: AtomicBool,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(
        aws: &'a dyn Aws,
        clock: &'a dyn Clock,
        wait: Wait,
        progress: &'a (dyn Fn(&Event) + Send + Sync),
        cancel: Cancel,
    ) -> Self {
        Self {
            aws,
            clock,
            wait,
            progress,
            cancel,
            changed: AtomicBool::new(false),
        }
    }

    /// The way to AWS for calls that change something: the safe point between two of them.
    pub(super) fn changing(&self) -> Result<&'a dyn Aws> {
        self.check_cancelled()?;
        self.changed.store(true, Ordering::Relaxed);
        Ok(self.aws)
    }

    pub(super) fn check_cancelled(&self) -> Result<()> {
        if !self.cancel.is_cancelled() {
            return Ok(());
        }
        Err(Error::new(
            Code::ProvisionCancelled,
            "stopped between two calls, as asked",
        )
        .with_cure("apply the same plan again to finish, or destroy the cluster"))
    }

    pub(super) fn tell(
        &self,
        action: Action,
        resource_type: &str,
        id: impl Into<String>,
        detail: impl Into<String>,
    ) {
        (self.progress)(&Event::new(action, resource_type, id, detail));
    }

    /// Of instances that are waited for: how many of how many are there.
    pub(super) fn tell_waiting(&self, name: &str, detail: String, done: usize, total: usize) {
        let event = Event::new(Action::Waiting, resource::INSTANCE, name, detail);
        (self.progress)(&event.counted(done, total));
    }

    /// The clock's time.
    pub(super) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// The clock's time of day.
    pub(super) fn unix_time_s(&self) -> u64 {
        self.clock.unix_time_s()
    }

    pub(super) fn poll(&self) -> Poll {
        self.poll_for(self.wait.timeout)
    }

    pub(super) fn poll_for(&self, limit: Duration) -> Poll {
        Poll {
            deadline: self.clock.now().checked_add(limit),
            next: self.wait.first_poll,
        }
    }

    /// Sleeps until the next poll of a wait; false when its time is up.
    pub(super) async fn pause(&self, poll: &mut Poll) -> Result<bool> {
        let late = |deadline| self.clock.now() + poll.next > deadline;
        if poll.deadline.is_some_and(late) {
            return Ok(false);
        }
        self.cancel.sleep(self.clock, poll.next).await;
        self.check_cancelled()?;
        poll.next = (poll.next + poll.next / 2).min(LONGEST_POLL);
        Ok(true)
    }

    /// Makes a changing call, again while `unseen` states that it failed because AWS does not see
    /// everywhere yet what was made moments ago.
    pub(super) async fn settle<T>(
        &self,
        unseen: impl Fn(&Error) -> bool + Send,
        call: impl Fn(&'a dyn Aws) -> Call<'a, T> + Send,
    ) -> Result<T> {
        let mut poll = self.poll_for(SETTLING.min(self.wait.timeout));
        loop {
            match call(self.changing()?).await {
                Err(error) if unseen(&error) => {
                    if !self.pause(&mut poll).await? {
                        return Err(error);
                    }
                }
                result => return result,
            }
        }
    }

    /// The error of a verb, with what it must report: what may have changed, what exists, what of it
    /// could not be looked up, and what to do next.
    pub(super) fn explain(
        &self,
        error: Error,
        exists: Vec<Leftover>,
        unread: &[&str],
        mut next: String,
    ) -> Error {
        let mut error = error.with_leftovers(exists);
        if !unread.is_empty() {
            let unread = unread.join(", ");
            next += &format!("; what exists of {unread} could not be looked up");
            error = error.with_context("leftovers_unread", unread);
        }
        let error = error.with_next_command(next);
        if self.changed.load(Ordering::Relaxed) {
            error.changed_aws()
        } else {
            error
        }
    }
}

/// A call to AWS under way.
pub(super) type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Whether AWS answered with one of these codes.
pub(super) fn answered(error: &Error, codes: &[&str]) -> bool {
    error.ec2_code().is_some_and(|code| codes.contains(&code))
}

/// Paces the polls of one wait.
pub(super) struct Poll {
    /// `None` where the clock does not reach so far.
    deadline: Option<Duration>,
    next: Duration,
}

pub(super) fn timeout(what: &str, waited: Duration) -> Error {
    Error::new(
        Code::ProvisionTimeout,
        format!("{what} within {} s", waited.as_secs()),
    )
    .with_cure("check its state in EC2, then retry, with a longer wait if necessary")
    .with_context("limit", format_args!("{} s", waited.as_secs()))
    .retryable(true)
}

/// Notes that a resource of the cluster exists, and reports it.
pub(super) fn note(
    steps: &Steps<'_>,
    exists: &mut Vec<Leftover>,
    action: Action,
    resource_type: &str,
    id: &str,
    detail: &str,
) {
    steps.tell(action, resource_type, id, detail);
    exists.push(Leftover {
        resource_type: resource_type.to_owned(),
        id: id.to_owned(),
    });
}
