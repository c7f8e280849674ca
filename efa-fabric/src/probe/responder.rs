//! The side that answers.

use super::channel::{Frame, Kind, Phase};
use super::guard::Guard;
use super::integrity;
use super::options::ProbeOptions;
use super::report::Row;
use super::stream::{Stream, is_all};
use super::traffic::Traffic;
use crate::clock::now_ns;
use crate::error::{Code, Error, Result};

/// Messages between two readings of the clock while they keep arriving.
const CHECK_EVERY: u64 = 1024;

/// Answers phase after phase until the other side reports that all is measured.
pub(crate) fn answer(
    traffic: &mut Traffic,
    options: &ProbeOptions,
    guard: &mut Guard<'_>,
) -> Result<(f64, Vec<Row>)> {
    traffic.greet(guard)?;
    loop {
        guard.doing = "waiting for the next measurement".into();
        match guard.wait(Some(traffic.lane()))? {
            Frame::Begin(phase) => {
                phase_of(traffic, options, &phase, guard)?;
                guard.measured();
            }
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

fn phase_of(
    traffic: &mut Traffic,
    options: &ProbeOptions,
    phase: &Phase,
    guard: &mut Guard<'_>,
) -> Result<()> {
    if phase.size == 0 || phase.size > traffic.largest() || phase.quantum == 0 {
        return Err(Error::new(
            Code::BadSize,
            format!("the peer announced messages of {} bytes", phase.size),
        )
        .with_context("size", phase.size)
        .with_context("limit", traffic.largest()));
    }
    traffic.prepare(phase.size, guard)?;
    integrity::prepare(traffic, phase)?;
    guard.send(&Frame::Ready)?;
    guard.answering(phase, options);
    match phase.kind {
        Kind::Integrity => {
            guard.doing = format!("comparing {} bytes", phase.size);
            integrity::answer(traffic, phase, guard)
        }
        Kind::Latency => {
            guard.doing = format!("answering latency messages of {} bytes", phase.size);
            echo(traffic, phase.size, guard)
        }
        Kind::Bandwidth if options.is_bidirectional() => {
            guard.doing = format!("measuring the bandwidth of {} bytes", phase.size);
            let mut stream = Stream::new(traffic, phase);
            stream.send_all(traffic, options, guard).map(drop)
        }
        Kind::Bandwidth => {
            guard.doing = format!("receiving messages of {} bytes", phase.size);
            Stream::new(traffic, phase).receive_all(traffic, guard)
        }
    }
}

/// Answers each transfer with one; for one-sided operations, only keeps the provider going.
fn echo(traffic: &mut Traffic, size: usize, guard: &mut Guard<'_>) -> Result<()> {
    let is_one_sided = traffic.operation().is_one_sided();
    let mut received = 0_u64;
    let mut expected = None;
    loop {
        while let Some(arrival) = traffic.arrived()? {
            received += 1;
            if received.is_multiple_of(CHECK_EVERY) {
                guard.tick(now_ns())?;
            }
            traffic.transfer(size, guard)?;
            traffic.renew(arrival, guard)?;
        }
        match guard.take() {
            Some(Frame::End { count }) => expected = Some(count),
            Some(frame) => return Err(guard.unexpected(&frame)),
            None => {}
        }
        if let Some(count) = expected
            && is_all(count, received, is_one_sided)?
        {
            break;
        }
        traffic.idle(guard)?;
    }
    traffic.drain(guard)?;
    guard.send(&Frame::Done)
}
