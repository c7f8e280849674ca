//! Several probes of one process that begin to measure at the same time.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Where probes wait for one another between warm-up and measurement.
///
/// Each probe comes once. A probe that fails either gives up, which turns the others away: there
/// is no measurement of all together then; or it arrives all the same, and the others go on.
pub(crate) struct StartLine {
    missing: AtomicUsize,
    given_up: AtomicBool,
    unmeasured: AtomicUsize,
    first_start_ns: AtomicU64,
    last_end_ns: AtomicU64,
}

/// What a probe that waits should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Wait,
    Go,
    GiveUp,
}

impl StartLine {
    pub(crate) fn new(probes: usize) -> Self {
        Self {
            missing: AtomicUsize::new(probes),
            given_up: AtomicBool::new(false),
            unmeasured: AtomicUsize::new(probes),
            first_start_ns: AtomicU64::new(u64::MAX),
            last_end_ns: AtomicU64::new(0),
        }
    }

    pub(crate) fn arrive(&self) {
        count_down(&self.missing);
    }

    /// A probe failed, and is not waited for: neither at the line nor at the end.
    pub(crate) fn leave(&self) {
        self.arrive();
        count_down(&self.unmeasured);
    }

    /// Whether every probe has measured, so that none needs the others' traffic any more.
    pub(crate) fn is_over(&self) -> bool {
        self.unmeasured.load(Ordering::Acquire) == 0 || self.given_up.load(Ordering::Acquire)
    }

    /// Whether all but one have come.
    pub(crate) fn waits_for_last(&self) -> bool {
        self.missing.load(Ordering::Acquire) == 1
    }

    /// Whether all but one have measured, or left.
    pub(crate) fn ends_with_last(&self) -> bool {
        self.unmeasured.load(Ordering::Acquire) == 1
    }

    /// The one that measures nothing itself needs no traffic any more.
    pub(crate) fn end_last(&self) {
        count_down(&self.unmeasured);
    }

    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    pub(crate) fn signal(&self) -> Signal {
        if self.missing.load(Ordering::Acquire) == 0 {
            Signal::Go
        } else if self.given_up.load(Ordering::Acquire) {
            Signal::GiveUp
        } else {
            Signal::Wait
        }
    }

    /// A probe measured from one time to another.
    pub(crate) fn record(&self, start_ns: u64, end_ns: u64) {
        self.first_start_ns.fetch_min(start_ns, Ordering::AcqRel);
        self.last_end_ns.fetch_max(end_ns, Ordering::AcqRel);
        count_down(&self.unmeasured);
    }

    /// From the first start to the last end, in ns; `None` before anything was measured.
    pub(crate) fn elapsed_ns(&self) -> Option<u64> {
        let start = self.first_start_ns.load(Ordering::Acquire);
        let end = self.last_end_ns.load(Ordering::Acquire);
        end.checked_sub(start).filter(|&elapsed| elapsed > 0)
    }
}

fn count_down(count: &AtomicUsize) {
    let less = |count: usize| count.checked_sub(1);
    count
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, less)
        .ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_every_probe_has_measured_or_left() {
        let line = StartLine::new(3);
        line.record(1, 2);
        line.leave();
        assert!(!line.is_over());
        line.record(1, 9);
        assert!(line.is_over());
        let line = StartLine::new(2);
        line.give_up();
        assert!(line.is_over());
    }

    #[test]
    fn all_go_when_the_last_has_come() {
        let line = StartLine::new(2);
        line.arrive();
        assert_eq!(line.signal(), Signal::Wait);
        line.arrive();
        assert_eq!(line.signal(), Signal::Go);
        line.give_up();
        assert_eq!(line.signal(), Signal::Go);
        line.arrive();
        assert_eq!(line.signal(), Signal::Go);
    }

    #[test]
    fn one_that_fails_turns_the_others_away() {
        let line = StartLine::new(2);
        line.arrive();
        line.give_up();
        assert_eq!(line.signal(), Signal::GiveUp);
    }

    #[test]
    fn the_time_is_common() {
        let line = StartLine::new(2);
        assert_eq!(line.elapsed_ns(), None);
        line.record(100, 200);
        line.record(150, 260);
        line.record(90, 110);
        assert_eq!(line.elapsed_ns(), Some(170));
    }
}
