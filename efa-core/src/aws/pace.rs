//! One rate limiter for all concurrent calls of a process: EC2's own token buckets, kept here.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A bucket of requests: how many fit, and how many come back each second.
#[derive(Debug, Clone, Copy)]
struct Size {
    capacity: f64,
    per_second: f64,
}

/// EC2's default buckets are per account, region and action. Origin: EC2 developer guide, "Request
/// throttling for the Amazon EC2 API". RunInstances has its own; most changing actions have 50
/// and 5 per second.
fn size(action: &str) -> Size {
    let of = |capacity, per_second| Size {
        capacity,
        per_second,
    };
    match action {
        "run_instances" => of(5.0, 2.0),
        reading if reading.starts_with("describe_") => of(100.0, 20.0),
        reading if reading.starts_with("get_") || reading.starts_with("list_") => of(100.0, 20.0),
        _ => of(50.0, 5.0),
    }
}

#[derive(Debug)]
struct Bucket {
    /// Negative when callers wait already.
    tokens: f64,
    filled: Instant,
}

static BUCKETS: Mutex<Option<HashMap<(String, &'static str), Bucket>>> = Mutex::new(None);

/// Waits until a request of `action` (as the SDK's method is called) fits into its bucket.
pub(super) async fn wait(region: &str, action: &'static str) {
    let delay = reserve(region, action, Instant::now());
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

/// Takes one token; how long to wait for it.
fn reserve(region: &str, action: &'static str, now: Instant) -> Duration {
    let size = size(action);
    let mut buckets = BUCKETS.lock().unwrap_or_else(PoisonError::into_inner);
    let bucket = buckets
        .get_or_insert_default()
        .entry((region.to_owned(), action))
        .or_insert(Bucket {
            tokens: size.capacity,
            filled: now,
        });
    let since = now.saturating_duration_since(bucket.filled).as_secs_f64();
    bucket.tokens = (bucket.tokens + since * size.per_second).min(size.capacity) - 1.0;
    bucket.filled = now;
    Duration::from_secs_f64((-bucket.tokens).max(0.0) / size.per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bucket_makes_the_next_wait() {
        let now = Instant::now();
        let waits: Vec<f64> = (0..7)
            .map(|_| reserve("test-1", "run_instances", now).as_secs_f64())
            .collect();
        assert_eq!(waits, [0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0]);
        let later = now + Duration::from_secs(60);
        assert!(reserve("test-1", "run_instances", later).is_zero());
        assert!(
            reserve("test-2", "run_instances", now).is_zero(),
            "regions are apart"
        );
        assert!(
            reserve("test-1", "describe_instances", now).is_zero(),
            "so are actions"
        );
    }
}
