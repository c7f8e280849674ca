//! A clock that moves only when somebody sleeps on it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Clock;

/// The time of day at a paused clock's zero: 2026-11-30T12:00:00Z.
const ZERO_S: u64 = 1_796_040_000;

/// A clock that stands still, and is `time` further at once when somebody sleeps for `time` on
/// it. A test of a wait of 15 minutes takes no time. Clones are the same clock.
///
/// Tasks that sleep at the same time move it one after the other. Its time of day begins at
/// 2026-11-30T12:00:00Z.
#[derive(Debug, Clone, Default)]
pub struct PausedClock(Arc<Mutex<Duration>>);

impl PausedClock {
    /// Creates a clock at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock on.
    pub fn advance(&self, time: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(time);
    }
}

#[async_trait]
impl Clock for PausedClock {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unix_time_s(&self) -> u64 {
        ZERO_S + self.now().as_secs()
    }

    async fn sleep(&self, time: Duration) {
        self.advance(time);
        // Others may have waited for this task to wait.
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleeping_moves_it_and_nothing_else_does() {
        let clock = PausedClock::new();
        let same = clock.clone();
        assert_eq!(clock.now(), Duration::ZERO);
        clock.sleep(Duration::from_secs(3600)).await;
        same.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Duration::from_secs(3601));
        assert_eq!(same.now(), clock.now());
    }
}
