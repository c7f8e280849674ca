//! A request to stop a long call at its next safe point.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Clock;

/// Asks `apply` or `destroy` to stop: the call under way is finished, no other is sent, and the
/// error `provision.cancelled` states what exists. Clones are the same request.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    requested: AtomicBool,
    changed: Notify,
}

impl Cancel {
    /// Creates a request that is not made yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the request. It cannot be taken back.
    pub fn cancel(&self) {
        self.0.requested.store(true, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }

    /// Returns whether the request was made.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.requested.load(Ordering::SeqCst)
    }

    /// Sleeps for `time` on `clock`, or until the request is made.
    pub(crate) async fn sleep(&self, clock: &dyn Clock, time: Duration) {
        let changed = self.0.changed.notified();
        if !self.is_cancelled() {
            tokio::select! {
                () = changed => {}
                () = clock.sleep(time) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TokioClock;

    #[tokio::test]
    async fn a_request_ends_the_sleep() {
        let cancel = Cancel::new();
        let clock = TokioClock::default();
        let asleep = cancel.sleep(&clock, Duration::from_secs(3600));
        let other = cancel.clone();
        let waker = tokio::spawn(async move { other.cancel() });
        asleep.await;
        waker.await.unwrap();
        assert!(cancel.is_cancelled());
        cancel.sleep(&clock, Duration::from_secs(3600)).await;
    }
}
