//! The side that answers.

use super::channel::{Frame, Kind, Phase};
use super::guard::Guard;
use super::report::ProbeRow;
use super::traffic::{ACK_SIZE, Traffic};
use crate::clock::now_ns;
use crate::error::{Code, Error, Result};

/// Messages between two looks at the clock while they keep arriving.
const CHECK_EVERY: u64 = 1024;

/// Answers phase after phase until the other side says that all is measured.
pub(crate) fn answer(traffic: &mut Traffic, guard: &mut Guard<'_>) -> Result<(f64, Vec<ProbeRow>)> {
    traffic.greet(guard)?;
    loop {
        guard.doing = "waiting for the next measurement".into();
        match guard.wait(Some(traffic.lane()))? {
            Frame::Begin(phase) => phase_of(traffic, phase, guard)?,
            Frame::Bye { first_us, rows } => {
                guard.send(&Frame::Bye {
                    first_us,
                    rows: Vec::new(),
                })?;
                return Ok((first_us, rows));
            }
            frame => return Err(guard.unexpected(&frame)),
        }
    }
}

fn phase_of(traffic: &mut Traffic, phase: Phase, guard: &mut Guard<'_>) -> Result<()> {
    if phase.size == 0 || phase.size > traffic.capacity() || phase.quantum == 0 {
        return Err(Error::new(
            Code::BadSize,
            format!("the peer announced messages of {} bytes", phase.size),
        )
        .with_context("size", phase.size)
        .with_context("limit", traffic.capacity()));
    }
    traffic.prepare(phase.size, guard)?;
    guard.send(&Frame::Ready)?;
    guard.doing = match phase.kind {
        Kind::Latency => format!("answering latency messages of {} bytes", phase.size),
        Kind::Bandwidth => format!("receiving messages of {} bytes", phase.size),
    };
    let quantum = u64::from(phase.quantum);
    let mut received = 0_u64;
    let mut expected = None;
    loop {
        while let Some(slot) = traffic.arrived()? {
            received += 1;
            if received.is_multiple_of(CHECK_EVERY) {
                guard.tick(now_ns())?;
            }
            match phase.kind {
                Kind::Latency => {
                    traffic.send(phase.size, guard)?;
                    traffic.post_receive(slot, guard)?;
                }
                Kind::Bandwidth => {
                    // Credit only for receives that are posted again.
                    traffic.post_receive(slot, guard)?;
                    if received.is_multiple_of(quantum) {
                        traffic.send(ACK_SIZE, guard)?;
                    }
                }
            }
        }
        match guard.take() {
            Some(Frame::End { count }) => expected = Some(count),
            Some(frame) => return Err(guard.unexpected(&frame)),
            None => {}
        }
        if expected == Some(received) {
            break;
        }
        traffic.idle(guard)?;
    }
    traffic.drain(guard)?;
    guard.send(&Frame::Done)
}
