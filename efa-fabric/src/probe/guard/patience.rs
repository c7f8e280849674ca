//! When a side that waits sleeps, and when it must not.

use super::super::channel::{Kind, Phase};
use super::super::options::{ProbeOptions, Wait};
use super::{FIRST_NAP, Guard, LAST_NAP, PATIENCE_NS};

/// The same during a measurement, and for each byte of its messages: 0.1 GB/s.
const MEASURING_PATIENCE_NS: u64 = 20_000_000;
const PATIENCE_NS_PER_BYTE: u64 = 10;

impl Guard<'_> {
    /// The other side's options bind this side too: its deadline, and where it spins, this side
    /// spins as well, since a sleep here would be part of what is measured there.
    pub(crate) fn follow(&mut self, theirs: &ProbeOptions) {
        self.shorten(theirs.deadline);
        if theirs.wait == Wait::Spin {
            self.wait = Wait::Spin;
        }
    }

    /// A measurement of messages of this size begins.
    pub(crate) fn measuring(&mut self, size: usize) {
        self.patience_ns = MEASURING_PATIENCE_NS
            .saturating_add((size as u64).saturating_mul(PATIENCE_NS_PER_BYTE));
        self.busy();
    }

    /// A phase begins that this side answers.
    ///
    /// Where the other side measures one-sided operations, what it does shows here as nothing, and
    /// yet the provider may need this side's calls to carry it out, so that it must not sleep. That
    /// is so where the provider says `FI_PROGRESS_AUTO` too (efa of libfabric 1.17).
    pub(crate) fn answering(&mut self, phase: &Phase, options: &ProbeOptions) {
        self.measuring(phase.size);
        let both_send = phase.kind == Kind::Bandwidth && options.is_bidirectional();
        if options.operation.is_one_sided() && !both_send {
            self.patience_ns = u64::MAX;
            self.is_bystander = true;
        }
    }

    /// A measurement has ended.
    pub(crate) fn measured(&mut self) {
        self.patience_ns = PATIENCE_NS;
        self.is_bystander = false;
        self.busy();
    }

    /// Sleeps if it has been quiet for long enough.
    pub(super) fn rest(&mut self, now: u64) {
        if self.wait == Wait::Spin {
            return;
        }
        if self.quiet_since_ns == 0 {
            self.quiet_since_ns = now;
        } else if now.saturating_sub(self.quiet_since_ns) >= self.patience_ns {
            self.nap = (self.nap * 2).clamp(FIRST_NAP, LAST_NAP);
            std::thread::sleep(self.nap);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::channel::{Channel, Frame, Local};
    use super::*;
    use crate::interrupt::Interrupt;
    use crate::operation::Operation;
    use crate::probe::Direction;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_side_that_answers_one_sided_operations_does_not_sleep() {
        use Kind::{Bandwidth, Integrity, Latency};
        let naps = |operation, direction, kind| {
            let (mut left, _right) = Local::pair();
            let mut guard = Guard::new(&mut left, Interrupt::never(), MINUTE, Wait::Adaptive);
            let mut options = ProbeOptions::new("efa");
            (options.operation, options.direction) = (operation, direction);
            let phase = Phase {
                kind,
                size: 64,
                quantum: 1,
                seed: 0,
            };
            guard.answering(&phase, &options);
            guard.rest(1);
            guard.rest(u64::MAX / 2);
            let naps = !guard.nap.is_zero();
            guard.measured();
            guard.rest(1);
            guard.rest(1 + PATIENCE_NS);
            assert_eq!(guard.nap, FIRST_NAP, "{operation} {direction:?} {kind:?}");
            naps
        };
        for &operation in Operation::ALL {
            for kind in [Integrity, Latency, Bandwidth] {
                let (one_way, both) = (Direction::OneWay, Direction::Bidirectional);
                let shows_nothing = operation.is_one_sided();
                assert_eq!(naps(operation, one_way, kind), !shows_nothing);
                // While both send, this side has completions of its own.
                let alone = shows_nothing && kind != Bandwidth;
                assert_eq!(naps(operation, both, kind), !alone);
            }
        }
    }

    #[test]
    fn the_other_side_s_deadline_counts_and_its_spinning_is_followed() {
        let (mut left, _right) = Local::pair();
        let mut guard = Guard::new(&mut left, Interrupt::never(), MINUTE, Wait::Adaptive);
        let mut theirs = ProbeOptions::new("efa");
        (theirs.wait, theirs.deadline) = (Wait::Adaptive, 2 * MINUTE);
        let before = guard.deadline_ns;
        guard.follow(&theirs);
        assert_eq!((guard.wait, guard.deadline_ns), (Wait::Adaptive, before));
        (theirs.wait, theirs.deadline) = (Wait::Spin, MINUTE / 2);
        guard.follow(&theirs);
        assert_eq!(guard.wait, Wait::Spin);
        assert!(guard.deadline_ns < before);
        theirs.wait = Wait::Adaptive;
        guard.follow(&theirs);
        assert_eq!(guard.wait, Wait::Spin);
    }

    #[test]
    fn a_loop_whose_messages_do_not_come_sleeps_unless_it_is_to_spin() {
        let limit = Duration::from_nanos(3 * MEASURING_PATIENCE_NS);
        let sleeps = |wait| {
            let (mut left, _right) = Local::pair();
            let mut guard = Guard::new(&mut left, Interrupt::never(), limit, wait);
            guard.measuring(64);
            while guard.idle().is_ok() {}
            !guard.nap.is_zero()
        };
        assert!(sleeps(Wait::Adaptive));
        assert!(!sleeps(Wait::Spin));
    }

    #[test]
    fn naps_grow_and_end_when_something_happens() {
        let (mut left, mut right) = Local::pair();
        let mut guard = Guard::new(&mut left, Interrupt::never(), MINUTE, Wait::Adaptive);
        guard.rest(1);
        guard.rest(PATIENCE_NS);
        assert_eq!(guard.nap, Duration::ZERO);
        for expected in [50, 100, 200, 400, 800, 1000, 1000] {
            guard.rest(1 + PATIENCE_NS);
            assert_eq!(guard.nap, Duration::from_micros(expected));
        }
        right.send(&Frame::Ready).unwrap();
        guard.receive().unwrap();
        assert_eq!(guard.nap, Duration::ZERO);
        guard.measuring(1 << 20);
        guard.rest(1);
        guard.rest(MEASURING_PATIENCE_NS + 10 * (1 << 20));
        assert_eq!(guard.nap, Duration::ZERO);
        guard.rest(1 + MEASURING_PATIENCE_NS + 10 * (1 << 20));
        assert_eq!(guard.nap, FIRST_NAP);
    }
}
