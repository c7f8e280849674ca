//! When a side that waits sleeps, and when it must not.

use std::os::fd::RawFd;
use std::time::Duration;

use super::super::channel::{Kind, Phase};
use super::super::options::{ProbeOptions, Wait};
use super::{FIRST_NAP, Guard, LAST_NAP, PATIENCE_NS};
use crate::endpoint::lane::Lane;
use crate::handle::Bell;
use crate::system::wait_readable;

/// The longest sleep where a frame ends it: Ctrl-C and deadlines are looked at as often.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

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
    /// is so where the provider reports `FI_PROGRESS_AUTO` too (efa of libfabric 1.17).
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

    /// Sleeps if it has been quiet for long enough. Each nap is about as long as it has been quiet, so
    /// that a message may come twice as late at most; a frame ends it, and a message too where the
    /// lane has a bell.
    pub(super) fn rest(&mut self, now: u64, lane: Option<&Lane>) {
        if self.wait == Wait::Spin {
            return;
        }
        if self.quiet_since_ns == 0 {
            self.quiet_since_ns = now;
        } else if now.saturating_sub(self.quiet_since_ns) >= self.patience_ns {
            let longest = match self.channel.descriptor() {
                Some(_) => LONGEST_SLEEP,
                None => LAST_NAP,
            };
            self.nap = (self.nap * 2).clamp(FIRST_NAP, longest);
            match lane.map_or(Bell::Absent, Lane::bell) {
                Bell::Rings => {}
                Bell::At(messages) => self.sleep(longest, Some(messages)),
                Bell::Absent => self.sleep(self.nap, None),
            }
        }
    }

    /// Sleeps for this long, or until a frame comes or this can be read.
    pub(super) fn sleep(&self, limit: Duration, messages: Option<RawFd>) {
        wait_readable([self.channel.descriptor(), messages], limit);
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::rc::Rc;
    use std::sync::Arc;

    use super::super::super::channel::{Channel, Frame, Local, gone};
    use super::*;
    use crate::clock::now_ns;
    use crate::endpoint::lane::{Lengths, Posted};
    use crate::endpoint::{Endpoint, EndpointOptions};
    use crate::error::{Code, Result};
    use crate::interrupt::Interrupt;
    use crate::library::Library;
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
            guard.rest(1, None);
            guard.rest(u64::MAX / 2, None);
            let naps = !guard.nap.is_zero();
            guard.measured();
            guard.rest(1, None);
            guard.rest(1 + PATIENCE_NS, None);
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
            while guard.idle(None).is_ok() {}
            !guard.nap.is_zero()
        };
        assert!(sleeps(Wait::Adaptive));
        assert!(!sleeps(Wait::Spin));
    }

    #[test]
    fn naps_grow_and_end_when_something_happens() {
        let (mut left, mut right) = Local::pair();
        let mut guard = Guard::new(&mut left, Interrupt::never(), MINUTE, Wait::Adaptive);
        guard.rest(1, None);
        guard.rest(PATIENCE_NS, None);
        assert_eq!(guard.nap, Duration::ZERO);
        for expected in [50, 100, 200, 400, 800, 1000, 1000] {
            guard.rest(1 + PATIENCE_NS, None);
            assert_eq!(guard.nap, Duration::from_micros(expected));
        }
        right.send(&Frame::Ready).unwrap();
        guard.receive().unwrap();
        assert_eq!(guard.nap, Duration::ZERO);
        guard.measuring(1 << 20);
        guard.rest(1, None);
        guard.rest(MEASURING_PATIENCE_NS + 10 * (1 << 20), None);
        assert_eq!(guard.nap, Duration::ZERO);
        guard.rest(1 + MEASURING_PATIENCE_NS + 10 * (1 << 20), None);
        assert_eq!(guard.nap, FIRST_NAP);
    }

    /// A path on which nothing comes until something is written to its descriptor.
    struct Silent(UnixStream);

    impl Channel for Silent {
        fn send(&mut self, _: &Frame) -> Result<()> {
            Ok(())
        }

        fn poll(&mut self) -> Result<Option<Frame>> {
            let mut byte = [0];
            match std::io::Read::read(&mut self.0, &mut byte) {
                Ok(1) => Ok(Some(Frame::Ready)),
                Ok(_) => Err(gone()),
                Err(_) => Ok(None),
            }
        }

        fn descriptor(&self) -> Option<RawFd> {
            Some(self.0.as_raw_fd())
        }
    }

    /// How often this thread has given its processor away to wait.
    #[cfg(target_os = "linux")]
    fn sleeps() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    }

    /// The libfabric of this machine, and the second of the tests.
    fn libraries() -> Vec<Arc<Library>> {
        let second = std::env::var_os("EFA_TEST_LIBFABRIC_2");
        let second = second.map(|path| Library::load(Path::new(&path)).unwrap());
        std::iter::once(Library::find().unwrap())
            .chain(second)
            .collect()
    }

    /// A lane to itself.
    fn lane(library: &Arc<Library>, provider: &str) -> Lane {
        let options = EndpointOptions {
            source_address: (provider == "tcp").then(|| "127.0.0.1".into()),
            ..EndpointOptions::new(provider)
        };
        let endpoint = Endpoint::open(library, &options).unwrap();
        let own = endpoint.address().to_vec();
        let lengths = Lengths {
            outgoing: 64,
            incoming: 64,
            exposed: 0,
        };
        let (endpoint, message) = (Rc::new(endpoint), Operation::Message);
        Lane::new(
            endpoint,
            &own,
            "self".into(),
            message,
            (4, 4),
            lengths,
            None,
        )
        .unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_side_that_waits_for_long_sleeps_until_something_comes() {
        const WAITED: Duration = Duration::from_millis(300);
        // Between measurements, and before there is a fabric: ten naps that grow, then one each 20 ms.
        let mut cases = vec![None];
        for library in libraries() {
            cases.extend(["tcp", "shm"].map(|provider| Some((Arc::clone(&library), provider))));
        }
        for case in cases {
            let provider = case.as_ref().map(|(_, provider)| *provider);
            let (ours, theirs) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let mut channel = Silent(ours);
            let mut lane = case.map(|(library, provider)| lane(&library, provider));
            let mut guard = Guard::new(&mut channel, Interrupt::never(), WAITED, Wait::Adaptive);
            let before = sleeps();
            let error = guard.wait(lane.as_mut()).unwrap_err();
            let slept = sleeps() - before;
            assert_eq!(error.code(), Code::Deadline);
            assert!((3..=40).contains(&slept), "{provider:?}: {slept}");

            // A frame, and that the other side is gone, end a wait at once.
            let mut guard = Guard::new(&mut channel, Interrupt::never(), MINUTE, Wait::Adaptive);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(WAITED / 10);
                    std::io::Write::write_all(&mut &theirs, &[1]).unwrap();
                });
                assert_eq!(guard.wait(lane.as_mut()).unwrap(), Frame::Ready);
            });
            drop(theirs);
            let error = guard.wait(lane.as_mut()).unwrap_err();
            assert_eq!(error.code(), Code::Unreachable);
        }
    }

    #[test]
    fn ctrl_c_ends_a_sleep() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut channel = Silent(ours);
        let asked = std::cell::Cell::new(0);
        let third = || asked.replace(asked.get() + 1) == 2;
        let mut guard = Guard::new(&mut channel, Interrupt::new(&third), MINUTE, Wait::Adaptive);
        let mut lane = lane(&Library::find().unwrap(), "tcp");
        let error = guard.wait(Some(&mut lane)).unwrap_err();
        assert_eq!(error.code(), Code::Interrupted);
        assert_eq!(asked.get(), 3);
    }

    #[test]
    fn a_message_rings_the_bell_of_a_lane_that_has_one() {
        for library in libraries() {
            assert_eq!(lane(&library, "shm").bell(), Bell::Absent);
            // To itself: connecting takes a few reads.
            let mut lane = lane(&library, "tcp");
            let has_bell = library.version().major >= 2;
            assert_eq!(lane.bell() != Bell::Absent, has_bell);
            let end = now_ns() + 20_000_000_000;
            for slot in 0..4 {
                while lane.receive(slot, 0, 64).unwrap() == Posted::Again {}
            }
            while lane.send(0, 8).unwrap() == Posted::Again {
                lane.poll().unwrap();
                assert!(now_ns() < end);
            }
            let mut arrived = 0;
            while arrived == 0 {
                if let Bell::At(messages) = lane.bell() {
                    wait_readable([Some(messages), None], Duration::from_millis(20));
                }
                lane.poll().unwrap();
                arrived += usize::from(lane.take_arrived().is_some());
                assert!(now_ns() < end);
            }
            // Once all is read there is nothing to wake for.
            while lane.poll().unwrap() > 0 {}
            assert!(matches!(lane.bell(), Bell::At(_)) || !has_bell);
        }
    }
}
