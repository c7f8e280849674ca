//! Why waiting ended: errors of a [`Guard`] that name the cause, where it is known here.

use std::time::Duration;

use super::super::channel::{Frame, is_echo, peer_failed};
use super::Guard;
use crate::clock::now_ns;
use crate::error::{Code, Error};

/// Quiet time at a deadline, at least, after which the probe stalled; twice the patience, if more.
const STALL_NS: u64 = 1_000_000_000;

/// Time for the end of the other side to show after a call failed.
const GONE_NS: u64 = 200_000_000;

impl Guard<'_> {
    /// The error for a peer that did not answer in the time for contact.
    #[cold]
    pub(super) fn no_answer(&self) -> Error {
        Error::new(Code::Unreachable, format!("the peer did not answer while {}", self.doing))
                .with_cure(
                    "check that the peer is running and that the security group allows all traffic in and out to itself",
                )
                .with_context("doing", &self.doing)
                .retryable(true)
    }

    /// The error for a deadline that passed: the work was long, or nothing moved any more.
    #[cold]
    pub(super) fn too_late(&self, now: u64) -> Error {
        let quiet_ns = match self.quiet_since_ns {
            0 => 0,
            since => now.saturating_sub(since),
        };
        let stall_ns = STALL_NS.max(self.patience_ns.saturating_mul(2));
        if quiet_ns < stall_ns || self.is_bystander {
            return Error::new(
                Code::Deadline,
                format!("the deadline passed while {}", self.doing),
            )
            .with_cure("give more time or less to measure")
            .with_context("doing", &self.doing)
            .retryable(true);
        }
        let seconds = format!("{:.1}", quiet_ns as f64 / 1e9);
        Error::new(
            Code::Deadline,
            format!(
                "nothing moved for {seconds} s, and the deadline passed, while {}",
                self.doing
            ),
        )
        .with_cure(
            "more time would not help: check that the peer's process is not stopped and posts receives, and the counters of both devices (rx_drops, retrans_*)",
        )
        .with_context("doing", &self.doing)
        .with_context("stalled_s", seconds)
        .retryable(true)
    }

    /// The cause of a failed call, if it is that the other side failed or is gone: providers
    /// report that in many ways (shm reports "Input/output error"), and its own word, or the closed
    /// connection, follows soon.
    pub(crate) fn explain(&mut self, error: Error) -> Error {
        // What the other side reported is its word already, and it may be gone by now.
        let is_said = error.context_value("peer_code").is_some();
        if is_said || !matches!(error.code(), Code::CallFailed | Code::Unreachable) {
            return error;
        }
        let end = now_ns().saturating_add(GONE_NS);
        loop {
            let polled = match self.inbox.take() {
                Some(frame) => Ok(Some(frame)),
                None => self.poll_channel(),
            };
            match polled {
                // It only repeats what this side reported of the same failure.
                Ok(Some(Frame::Abort { code, .. })) if is_echo(&code) => return error,
                Ok(Some(Frame::Abort {
                    code,
                    message,
                    cure,
                })) => {
                    return peer_failed(&code, &message, cure).with_source(error);
                }
                Err(gone) if gone.code() == Code::Unreachable => return gone.with_source(error),
                Err(_) => return error,
                Ok(_) if now_ns() >= end => return error,
                Ok(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// The error for a frame that does not belong here.
    pub(crate) fn unexpected(&self, frame: &Frame) -> Error {
        let text = format!("{frame:?}");
        let name = text.split([' ', '(', '{']).next().unwrap_or_default();
        Error::new(
            Code::RendezvousRefused,
            format!("the peer sent {name} while {}", self.doing),
        )
        .with_cure("use the same version of efa-fabric on both sides")
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::channel::{Channel, Local};
    use super::super::super::options::Wait;
    use super::*;
    use crate::interrupt::Interrupt;

    #[test]
    fn a_stall_is_distinguished_from_a_lack_of_time() {
        let second = 1_000_000_000;
        let cure = |quiet_ns: u64, size: Option<usize>, is_bystander| {
            let (mut left, _right) = Local::pair();
            let limit = Duration::from_secs(60);
            let mut guard = Guard::new(&mut left, Interrupt::never(), limit, Wait::Adaptive);
            if let Some(size) = size {
                guard.measuring(size);
            }
            guard.is_bystander = is_bystander;
            guard.quiet_since_ns = 7;
            let error = guard.too_late(7 + quiet_ns);
            assert_eq!(error.code(), Code::Deadline);
            error.context_value("stalled_s").map(str::to_owned)
        };
        assert_eq!(cure(5 * second, Some(64), false).unwrap(), "5.0");
        assert_eq!(cure(5 * second, None, false).unwrap(), "5.0");
        assert_eq!(cure(second / 2, Some(64), false), None);
        // A gigabyte on a slow network takes that long.
        assert_eq!(cure(5 * second, Some(1 << 30), false), None);
        assert!(cure(40 * second, Some(1 << 30), false).is_some());
        // Nothing is seen here of what the other side writes.
        assert_eq!(cure(5 * second, Some(64), true), None);
    }

    #[test]
    fn a_failed_call_is_explained_by_a_peer_that_is_gone() {
        let failed = || Error::new(Code::CallFailed, "receive failed");
        let (mut left, right) = Local::pair();
        let mut guard = Guard::new(
            &mut left,
            Interrupt::never(),
            Duration::from_secs(60),
            Wait::Spin,
        );
        assert_eq!(guard.explain(failed()).code(), Code::CallFailed);
        drop(right);
        let error = guard.explain(failed());
        assert_eq!(error.code(), Code::Unreachable);
        assert_eq!(
            std::error::Error::source(&error).unwrap().to_string(),
            "receive failed"
        );
    }

    #[test]
    fn a_failed_call_is_not_explained_by_its_own_echo() {
        let (mut left, mut right) = Local::pair();
        for (code, explained) in [
            ("fabric.rendezvous_refused", Code::CallFailed),
            ("fabric.peer_failed", Code::CallFailed),
            ("fabric.deadline", Code::PeerFailed),
        ] {
            right
                .send(&Frame::Abort {
                    code: code.into(),
                    message: "the peer refused: no memory".into(),
                    cure: None,
                })
                .unwrap();
            let mut guard = Guard::new(
                &mut left,
                Interrupt::never(),
                Duration::from_secs(60),
                Wait::Spin,
            );
            let error = guard.explain(Error::new(Code::CallFailed, "no memory"));
            assert_eq!(error.code(), explained, "{code}");
        }
    }

    #[test]
    fn one_fault_between_two_sides_has_one_code_on_both() {
        let (mut left, mut right) = Local::pair();
        let abort = Frame::Abort {
            code: "fabric.unreachable".into(),
            message: "send failed".into(),
            cure: Some("check the links".into()),
        };
        right.send(&abort).unwrap();
        let limit = Duration::from_secs(60);
        let mut guard = Guard::new(&mut left, Interrupt::never(), limit, Wait::Spin);
        let error = guard.wait(None).unwrap_err();
        // The other side ends after it has reported this.
        drop(right);
        let error = guard.explain(error);
        assert_eq!(error.code(), Code::Unreachable);
        assert_eq!(error.cure(), Some("check the links"));
    }
}
