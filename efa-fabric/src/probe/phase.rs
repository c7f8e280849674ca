//! A phase of a measurement, as the measuring side frames it: both sides ready before, and all
//! that was sent gone after.

use super::channel::{Frame, Phase};
use super::guard::Guard;
use super::traffic::Traffic;
use crate::error::Result;

/// Announces a phase and waits until the other side is ready for it.
pub(crate) fn begin(traffic: &mut Traffic, phase: Phase, guard: &mut Guard<'_>) -> Result<()> {
    guard.doing = "preparing a measurement".into();
    traffic.prepare(phase.size, guard)?;
    guard.send(&Frame::Begin(phase))?;
    match guard.wait(Some(traffic.lane()))? {
        Frame::Ready => {
            guard.measuring(phase.size);
            Ok(())
        }
        frame => Err(guard.unexpected(&frame)),
    }
}

/// Ends a phase when all that both sides sent has left them.
pub(crate) fn end(traffic: &mut Traffic, count: u64, guard: &mut Guard<'_>) -> Result<()> {
    traffic.drain(guard)?;
    guard.measured();
    guard.send(&Frame::End { count })?;
    match guard.wait(Some(traffic.lane()))? {
        Frame::Done => Ok(()),
        frame => Err(guard.unexpected(&frame)),
    }
}
