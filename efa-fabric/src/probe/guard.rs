//! What keeps a probe from hanging: every loop that waits goes through a [`Guard`]. `guard/patience.rs`
//! decides when it sleeps, `guard/explain.rs` states why waiting ended.

use std::time::Duration;

use super::channel::{Channel, Frame, peer_error, peer_failed};
use super::options::Wait;
use super::start_line::{Signal, StartLine};
use crate::clock::now_ns;
use crate::endpoint::lane::Lane;
use crate::error::{Code, Error, Result};
use crate::interrupt::Interrupt;

mod explain;
mod patience;

/// Quiet time after which a side that waits adaptively sleeps, between measurements.
const PATIENCE_NS: u64 = 50_000;
/// The first sleep, and the longest.
const FIRST_NAP: Duration = Duration::from_micros(50);
const LAST_NAP: Duration = Duration::from_millis(1);

/// Empty polls between two readings of the clock.
const IDLE_POLLS: u32 = 64;
/// Quiet time until, and then between, looks at the other side's frames, each with an offer of the
/// processor to others: system calls, which messages that keep coming must not wait for.
const LOOK_NS: u64 = 20_000;
/// Time between two questions to the caller's hook, and two checks of the deadline.
const CHECK_NS: u64 = 10_000_000;

/// Known facts of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Other {
    /// Nothing came from it.
    Silent,
    Talks,
    /// It failed, refused or is gone: it makes no more calls of this probe.
    Stopped,
}

/// Deadline, interrupt and the other side, watched together.
pub(crate) struct Guard<'a> {
    channel: &'a mut dyn Channel,
    interrupt: Interrupt<'a>,
    deadline_ns: u64,
    /// An earlier deadline for making contact; after it the peer counts as unreachable.
    contact_ns: Option<u64>,
    next_check_ns: u64,
    next_poll_ns: u64,
    idle: u32,
    inbox: Option<Frame>,
    other: Other,
    wait: Wait,
    /// Quiet time after which this side sleeps.
    patience_ns: u64,
    /// Whether what the other side does shows here as nothing, as in one-sided operations.
    is_bystander: bool,
    /// Since when nothing has happened, at the last check; 0 for not at all.
    quiet_since_ns: u64,
    nap: Duration,
    /// Where to wait for other probes before bandwidth is measured.
    pub(crate) start_line: Option<&'a StartLine>,
    /// What is going on, for errors.
    pub(crate) doing: String,
}

impl<'a> Guard<'a> {
    pub(crate) fn new(
        channel: &'a mut dyn Channel,
        interrupt: Interrupt<'a>,
        deadline: Duration,
        wait: Wait,
    ) -> Self {
        Self {
            channel,
            interrupt,
            deadline_ns: now_ns().saturating_add(nanos(deadline)),
            contact_ns: None,
            next_check_ns: 0,
            next_poll_ns: 0,
            idle: 0,
            inbox: None,
            other: Other::Silent,
            wait,
            patience_ns: PATIENCE_NS,
            is_bystander: false,
            quiet_since_ns: 0,
            nap: Duration::ZERO,
            start_line: None,
            doing: "opening".into(),
        }
    }

    /// Gives contact with the peer this much time from now.
    pub(crate) fn expect_contact(&mut self, within: Duration) {
        self.contact_ns = Some(now_ns().saturating_add(nanos(within)));
    }

    /// Contact was made: only the deadline counts.
    pub(crate) fn contact(&mut self) {
        self.contact_ns = None;
    }

    pub(crate) fn shorten(&mut self, deadline: Duration) {
        self.deadline_ns = self
            .deadline_ns
            .min(now_ns().saturating_add(nanos(deadline)));
    }

    pub(crate) fn send(&mut self, frame: &Frame) -> Result<()> {
        self.channel.send(frame)
    }

    /// Nothing happened in a poll: now and then, looks at everything. Whether it looked at
    /// the deadline, which is when other rare checks are due.
    #[inline]
    pub(crate) fn idle(&mut self, lane: Option<&Lane>) -> Result<bool> {
        self.idle = self.idle.wrapping_add(1);
        // Also between sleeps there are many polls: a provider may move a few KiB in each.
        if self.idle.is_multiple_of(IDLE_POLLS) {
            self.still_idle(lane)
        } else {
            Ok(false)
        }
    }

    #[cold]
    fn still_idle(&mut self, lane: Option<&Lane>) -> Result<bool> {
        let now = now_ns();
        if self.quiet_since_ns == 0 {
            self.quiet_since_ns = now;
        }
        if now.saturating_sub(self.quiet_since_ns) < LOOK_NS {
            return self.tick(now);
        }
        self.look(now, lane)
    }

    /// Something arrived, or was completed.
    #[inline]
    pub(crate) fn busy(&mut self) {
        self.idle = 0;
        self.quiet_since_ns = 0;
        self.nap = Duration::ZERO;
    }

    /// Whether [`Self::tick`] would look at everything at this time.
    #[inline]
    pub(crate) fn is_check_due(&self, now: u64) -> bool {
        now >= self.next_check_ns
    }

    /// Something happened at this time: looks at everything if it is time to. Whether it did.
    #[inline]
    pub(crate) fn tick(&mut self, now: u64) -> Result<bool> {
        if !self.is_check_due(now) {
            return Ok(false);
        }
        self.check_limits(now)?;
        Ok(true)
    }

    #[cold]
    fn look(&mut self, now: u64, lane: Option<&Lane>) -> Result<bool> {
        if now >= self.next_poll_ns {
            self.next_poll_ns = now.saturating_add(LOOK_NS);
            self.receive()?;
            if self.inbox.is_none() {
                self.rest(now, lane);
            }
            // Two spinning sides may share a processor.
            std::thread::yield_now();
        }
        self.tick(now)
    }

    #[cold]
    fn check_limits(&mut self, now: u64) -> Result<()> {
        self.next_check_ns = now.saturating_add(CHECK_NS);
        self.receive()?;
        self.interrupt.check()?;
        if now >= self.deadline_ns {
            return Err(self.too_late(now));
        }
        if self.contact_ns.is_some_and(|limit| now >= limit) {
            return Err(self.no_answer());
        }
        Ok(())
    }

    fn poll_channel(&mut self) -> Result<Option<Frame>> {
        let polled = self.channel.poll();
        match &polled {
            Ok(None) => {}
            Ok(Some(Frame::Abort { .. } | Frame::Refused { .. })) | Err(_) => {
                self.other = Other::Stopped;
            }
            Ok(Some(_)) => self.other = Other::Talks,
        }
        polled
    }

    /// Waits for this long until the other side has stopped: it failed too, or is gone. What else
    /// it reports goes unread.
    pub(crate) fn wait_for_stop(&mut self, within: Duration) -> Other {
        let end = now_ns().saturating_add(nanos(within));
        while self.other != Other::Stopped && now_ns() < end {
            if !matches!(self.poll_channel(), Ok(Some(_))) {
                std::thread::sleep(LAST_NAP);
            }
        }
        self.other
    }

    fn receive(&mut self) -> Result<()> {
        if self.inbox.is_some() {
            return Ok(());
        }
        match self.poll_channel()? {
            Some(Frame::Abort {
                code,
                message,
                cure,
            }) => Err(peer_failed(&code, &message, cure)),
            Some(Frame::Refused { code, message }) => Err(peer_error(true, &code, &message)),
            Some(frame) => {
                self.inbox = Some(frame);
                self.busy();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Waits at the start line, if there is one, until all other probes are there.
    pub(crate) fn line_up(&mut self) -> Result<()> {
        let Some(line) = self.start_line else {
            return Ok(());
        };
        line.arrive();
        loop {
            match line.signal() {
                Signal::Go => return Ok(()),
                Signal::GiveUp => {
                    return Err(Error::new(
                        Code::PeerFailed,
                        "another of the probes that were to start together failed",
                    ));
                }
                Signal::Wait => drop(self.look(now_ns(), None)?),
            }
        }
    }

    /// Time until the deadline.
    pub(crate) fn left_ns(&self) -> u64 {
        self.deadline_ns.saturating_sub(now_ns())
    }

    /// Whether no other probe of the start line needs this one's traffic any more.
    pub(crate) fn is_over(&self) -> bool {
        self.start_line.is_none_or(StartLine::is_over)
    }

    /// Informs the start line of a measurement that has just ended.
    pub(crate) fn record(&self, elapsed_ns: u64) {
        if let Some(line) = self.start_line {
            let end = now_ns();
            line.record(end.saturating_sub(elapsed_ns), end);
        }
    }

    /// The frame that has arrived, if one has.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Frame> {
        // A frame is long: it is not moved to find that there is none.
        self.inbox.as_ref()?;
        self.inbox.take()
    }

    /// Waits for a frame, and keeps the fabric going meanwhile.
    pub(crate) fn wait(&mut self, mut lane: Option<&mut Lane>) -> Result<Frame> {
        loop {
            match &mut lane {
                Some(lane) => {
                    if lane.poll()? > 0 {
                        self.busy();
                    } else {
                        if let Some(error) = lane.event() {
                            return Err(error);
                        }
                        self.look(now_ns(), Some(lane))?;
                    }
                }
                None => {
                    self.look(now_ns(), None)?;
                    // There is no fabric to keep going yet: nobody needs to spin.
                    if self.inbox.is_none() && self.nap.is_zero() {
                        self.sleep(FIRST_NAP, None);
                    }
                }
            }
            if let Some(frame) = self.inbox.take() {
                return Ok(frame);
            }
        }
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::channel::Local;
    use super::*;

    #[test]
    fn waiting_ends_at_the_deadline() {
        let (mut left, _right) = Local::pair();
        let mut guard = Guard::new(
            &mut left,
            Interrupt::never(),
            Duration::from_millis(20),
            Wait::Adaptive,
        );
        assert_eq!(guard.wait(None).unwrap_err().code(), Code::Deadline);
    }

    #[test]
    fn a_side_that_stopped_is_distinguished_from_one_that_talks_and_one_that_is_silent() {
        let abort = || Frame::Abort {
            code: "fabric.deadline".into(),
            message: "too late".into(),
            cure: None,
        };
        for (said, expected) in [
            (vec![], Other::Silent),
            (vec![Frame::Ready, Frame::Done], Other::Talks),
            (vec![Frame::Ready, abort(), Frame::Done], Other::Stopped),
        ] {
            let (mut left, mut right) = Local::pair();
            let (deadline, wait) = (Duration::from_secs(60), Wait::Adaptive);
            let mut guard = Guard::new(&mut left, Interrupt::never(), deadline, wait);
            for frame in &said {
                right.send(frame).unwrap();
            }
            let within = Duration::from_millis(5);
            assert_eq!(guard.wait_for_stop(within), expected, "{said:?}");
            drop(right);
            assert_eq!(guard.wait_for_stop(within), Other::Stopped, "{said:?}");
        }
    }

    #[test]
    fn waiting_for_contact_ends_as_unreachable() {
        let (mut left, _right) = Local::pair();
        let mut guard = Guard::new(
            &mut left,
            Interrupt::never(),
            Duration::from_secs(60),
            Wait::Spin,
        );
        guard.expect_contact(Duration::from_millis(20));
        assert_eq!(guard.wait(None).unwrap_err().code(), Code::Unreachable);
    }

    /// Counts how often it is asked for a frame.
    struct Asked(u32);

    impl Channel for Asked {
        fn send(&mut self, _: &Frame) -> Result<()> {
            Ok(())
        }

        fn poll(&mut self) -> Result<Option<Frame>> {
            self.0 += 1;
            Ok(None)
        }
    }

    #[test]
    fn messages_that_keep_coming_wait_for_no_look_at_frames() {
        let mut asked = Asked(0);
        let limit = Duration::from_secs(60);
        let mut guard = Guard::new(&mut asked, Interrupt::never(), limit, Wait::Spin);
        // As long as the next check of the deadline does not come.
        guard.next_check_ns = u64::MAX;
        for _ in 0..10_000 {
            for _ in 0..IDLE_POLLS - 1 {
                guard.idle(None).unwrap();
            }
            guard.busy();
        }
        assert_eq!(guard.quiet_since_ns, 0);
        let start = now_ns();
        while now_ns() - start < 2 * LOOK_NS {
            guard.idle(None).unwrap();
        }
        // The clock was read each 64th time: at least once when it was late enough.
        for _ in 0..IDLE_POLLS {
            guard.idle(None).unwrap();
        }
        drop(guard);
        assert!((1..100).contains(&asked.0), "{}", asked.0);
    }

    #[test]
    fn waiting_ends_when_the_caller_wants() {
        let (mut left, _right) = Local::pair();
        let mut guard = Guard::new(
            &mut left,
            Interrupt::new(&|| true),
            Duration::from_secs(60),
            Wait::Adaptive,
        );
        assert_eq!(guard.wait(None).unwrap_err().code(), Code::Interrupted);
    }

    #[test]
    fn waiting_ends_when_the_peer_is_gone_or_fails() {
        let (mut left, right) = Local::pair();
        drop(right);
        let mut guard = Guard::new(
            &mut left,
            Interrupt::never(),
            Duration::from_secs(60),
            Wait::Spin,
        );
        assert_eq!(guard.wait(None).unwrap_err().code(), Code::Unreachable);

        let (mut left, mut right) = Local::pair();
        right
            .send(&Frame::Abort {
                code: "fabric.call_failed".into(),
                message: "no".into(),
                cure: Some("do it".into()),
            })
            .unwrap();
        let mut guard = Guard::new(
            &mut left,
            Interrupt::never(),
            Duration::from_secs(60),
            Wait::Spin,
        );
        let error = guard.wait(None).unwrap_err();
        assert_eq!(
            (error.code(), error.context_value("peer_code")),
            (Code::PeerFailed, Some("fabric.call_failed"))
        );
        assert_eq!(error.cure(), Some("do it"));
    }
}
