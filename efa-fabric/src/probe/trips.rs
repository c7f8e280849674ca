//! The measured loop of latency: exchange after exchange, each timed from before its post.

use super::samples::Samples;
use crate::error::Result;

/// What an exchange is made of, and the clock that times it.
pub(super) trait Trip {
    /// What an answer leaves behind, to be renewed.
    type Answer;

    /// A time in ns.
    fn now(&mut self) -> u64;

    /// Puts the next transfer on its way.
    fn post(&mut self) -> Result<()>;

    /// Waits for the answer to it.
    fn answer(&mut self) -> Result<Self::Answer>;

    /// Makes ready again what the answer has used up.
    fn renew(&mut self, answer: Self::Answer) -> Result<()>;

    /// Whether [`Self::check_limits`] would look at deadline and peer at this time.
    fn is_check_due(&self, now: u64) -> bool;

    /// Looks at them.
    fn check_limits(&mut self, now: u64) -> Result<()>;
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) budget_ns: u64,
}

/// Measures exchanges until the limits are reached.
///
/// Samples touch each other: the end of one is the start of the next, and is read before the next
/// transfer is posted. A thread that is descheduled anywhere makes the sample longer in which it
/// was, and none shorter. Receives are posted again while the next transfer is under way, so that
/// little more than the clock is between an answer and the message that follows it.
#[inline]
pub(super) fn measure<T: Trip>(trip: &mut T, limits: Limits, samples: &mut Samples) -> Result<()> {
    let start = trip.now();
    let mut before = start;
    trip.post()?;
    loop {
        let answer = trip.answer()?;
        let now = trip.now();
        let is_filled = samples.is_filled_by_one();
        samples.push(now - before);
        let count = samples.len();
        if count >= limits.max || (count >= limits.min && now - start >= limits.budget_ns) {
            return trip.renew(answer);
        }
        if is_filled || trip.is_check_due(now) {
            trip.renew(answer)?;
            samples.make_room();
            trip.check_limits(now)?;
            before = trip.now();
            trip.post()?;
        } else {
            before = now;
            trip.post()?;
            trip.renew(answer)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: u64 = 1_000;
    const AWAY: u64 = 50_000;

    /// A clock that only the simulation moves. The thread is descheduled after each 7th of the
    /// steps that a scheduler may interrupt.
    #[derive(Default)]
    struct Simulated {
        now: u64,
        posted_at: u64,
        steps: u64,
        is_away_every: u64,
        checks: u64,
        renewed: u64,
        posts: u64,
    }

    impl Simulated {
        fn step(&mut self, ns: u64) {
            self.steps += 1;
            self.now += ns;
            if self.is_away_every > 0 && self.steps.is_multiple_of(self.is_away_every) {
                self.now += AWAY;
            }
        }
    }

    impl Trip for Simulated {
        type Answer = ();

        fn now(&mut self) -> u64 {
            self.step(20);
            self.now
        }

        fn post(&mut self) -> Result<()> {
            self.step(30);
            self.posted_at = self.now;
            self.posts += 1;
            // The transfer has left, and the thread may be away before the call returns.
            self.step(30);
            Ok(())
        }

        fn answer(&mut self) -> Result<()> {
            self.now = self.now.max(self.posted_at + ROUND_TRIP);
            self.step(10);
            Ok(())
        }

        fn renew(&mut self, (): ()) -> Result<()> {
            self.renewed += 1;
            self.step(40);
            Ok(())
        }

        fn is_check_due(&self, now: u64) -> bool {
            now > (self.checks + 1) * 100_000
        }

        fn check_limits(&mut self, now: u64) -> Result<()> {
            self.checks = now / 100_000;
            self.step(5_000);
            Ok(())
        }
    }

    fn run(is_away_every: u64, limits: Limits) -> (Simulated, Vec<u64>) {
        let mut trip = Simulated {
            is_away_every,
            ..Simulated::default()
        };
        let mut samples = Samples::new(limits.max);
        measure(&mut trip, limits, &mut samples).unwrap();
        let samples = samples.as_mut_slice().to_vec();
        (trip, samples)
    }

    const MANY: Limits = Limits {
        min: 1,
        max: 2_000,
        budget_ns: u64::MAX,
    };

    #[test]
    fn no_sample_is_shorter_than_the_round_trip_wherever_the_thread_was_away() {
        for is_away_every in 1..40 {
            let (trip, samples) = run(is_away_every, MANY);
            assert_eq!(samples.len(), 2_000);
            let shortest = *samples.iter().min().unwrap();
            assert!(
                shortest >= ROUND_TRIP,
                "{shortest} ns, every {is_away_every}"
            );
            assert_eq!(trip.posts, trip.renewed);
        }
    }

    #[test]
    fn an_undisturbed_sample_is_the_round_trip_and_little_more() {
        let (_, samples) = run(0, MANY);
        let longest = *samples.iter().max().unwrap();
        assert!(longest < ROUND_TRIP + 150, "{longest}");
    }

    #[test]
    fn what_is_checked_meanwhile_is_in_no_sample() {
        let (trip, samples) = run(0, MANY);
        assert!(trip.checks > 10);
        assert!(samples.iter().all(|&ns| ns < 5_000));
    }

    #[test]
    fn it_ends_by_count_or_by_time_and_not_before_the_least_count() {
        for (min, max, budget_ns, expected) in [
            (1, 5, u64::MAX, 5..=5),
            (10, 1_000, 0, 10..=10),
            (1, 1_000, 50_000, 40..=50),
            (1, 1, 0, 1..=1),
        ] {
            let (trip, samples) = run(
                0,
                Limits {
                    min,
                    max,
                    budget_ns,
                },
            );
            let count = samples.len() as u64;
            assert!(expected.contains(&count), "{count}");
            assert_eq!((trip.posts, trip.renewed), (count, count));
        }
    }
}
