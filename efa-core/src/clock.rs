//! The time that waits go by: tokio's timer, or a test's own.

use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::time::Instant;

/// The clock that a [`Client`](crate::Client) reads and sleeps on.
#[async_trait]
pub trait Clock: Send + Sync + Debug + 'static {
    /// Returns the time since a moment that is fixed for this clock. It never goes back.
    fn now(&self) -> Duration;

    /// Returns the time of day, in seconds since 1970 in UTC: what an expiry counts from.
    fn unix_time_s(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.unwrap_or_default().as_secs()
    }

    /// Returns once `time` has passed.
    async fn sleep(&self, time: Duration);
}

/// The default clock of a client: tokio's timer.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    start: Instant,
}

impl Default for TokioClock {
    /// A clock that starts now.
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
