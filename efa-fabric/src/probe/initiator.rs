//! The side that measures.

use super::channel::{Frame, Kind, Phase};
use super::guard::{Guard, nanos};
use super::options::ProbeOptions;
use super::report::{Bandwidth, Latency, ProbeRow};
use super::traffic::Traffic;
use crate::clock::now_ns;
use crate::error::{Code, Error, Result};

/// Round trips before latency is measured, unless they take half of the budget.
const WARMUP: u64 = 100;
/// Acknowledgements for one window.
const ACKS_PER_WINDOW: usize = 4;

/// Measures every size, and tells the other side what came out.
pub(crate) fn measure(
    traffic: &mut Traffic,
    options: &ProbeOptions,
    guard: &mut Guard<'_>,
) -> Result<(f64, Vec<ProbeRow>)> {
    traffic.greet(guard)?;
    let first_us = first_message(traffic, options, guard)?;
    let mut rows = Vec::with_capacity(options.sizes.len());
    for &size in &options.sizes {
        let latency = if options.latency {
            Some(latency(traffic, size, options, guard)?)
        } else {
            None
        };
        let bandwidth = if options.bandwidth {
            Some(bandwidth(traffic, size, options, guard)?)
        } else {
            None
        };
        rows.push(ProbeRow {
            size: size as u64,
            latency,
            bandwidth,
        });
    }
    guard.doing = "ending".into();
    guard.send(&Frame::Bye {
        first_us,
        rows: rows.clone(),
    })?;
    match guard.wait(Some(traffic.lane()))? {
        Frame::Bye { .. } => Ok((first_us, rows)),
        frame => Err(guard.unexpected(&frame)),
    }
}

/// One round trip of the smallest message: it pays for connections and handshakes.
fn first_message(
    traffic: &mut Traffic,
    options: &ProbeOptions,
    guard: &mut Guard<'_>,
) -> Result<f64> {
    let size = options.sizes.iter().copied().min().unwrap_or(1);
    begin(
        traffic,
        Phase {
            kind: Kind::Latency,
            size,
            quantum: 1,
        },
        guard,
    )?;
    guard.doing = "waiting for the first message".into();
    guard.expect_contact(options.connect_timeout);
    let start = now_ns();
    round_trip(traffic, size, guard)?;
    let first_us = (now_ns() - start) as f64 / 1000.0;
    guard.contact();
    end(traffic, 1, guard)?;
    Ok(first_us)
}

fn latency(
    traffic: &mut Traffic,
    size: usize,
    options: &ProbeOptions,
    guard: &mut Guard<'_>,
) -> Result<Latency> {
    begin(
        traffic,
        Phase {
            kind: Kind::Latency,
            size,
            quantum: 1,
        },
        guard,
    )?;
    guard.doing = format!("measuring the latency of {size} bytes");
    let budget = nanos(options.size_budget);
    let (min, max) = (
        u64::from(options.min_iterations),
        u64::from(options.max_iterations),
    );
    let mut samples: Vec<u64> = Vec::with_capacity(max as usize);

    let start = now_ns();
    let mut warmup = 0;
    while warmup < WARMUP && (warmup < 2 || now_ns() - start < budget / 2) {
        round_trip(traffic, size, guard)?;
        warmup += 1;
    }

    // Samples touch each other: posting receives and reading the clock is inside them.
    let start = now_ns();
    let mut before = start;
    loop {
        round_trip(traffic, size, guard)?;
        let mut now = now_ns();
        samples.push(now - before);
        let count = samples.len() as u64;
        if count >= max || (count >= min && now - start >= budget) {
            break;
        }
        if guard.tick(now)? {
            now = now_ns();
        }
        before = now;
    }
    end(traffic, warmup + samples.len() as u64, guard)?;
    Latency::of_round_trips(&mut samples, warmup)
        .ok_or_else(|| Error::new(Code::InvalidOption, "no round trip was measured"))
}

#[inline]
fn round_trip(traffic: &mut Traffic, size: usize, guard: &mut Guard<'_>) -> Result<()> {
    traffic.send(size, guard)?;
    loop {
        if let Some(slot) = traffic.arrived()? {
            return traffic.post_receive(slot, guard);
        }
        traffic.idle(guard)?;
    }
}

fn bandwidth(
    traffic: &mut Traffic,
    size: usize,
    options: &ProbeOptions,
    guard: &mut Guard<'_>,
) -> Result<Bandwidth> {
    let window = traffic.window_for(size);
    let quantum = (window / ACKS_PER_WINDOW).max(1);
    begin(
        traffic,
        Phase {
            kind: Kind::Bandwidth,
            size,
            quantum: quantum as u32,
        },
        guard,
    )?;
    guard.doing = format!("measuring the bandwidth of {size} bytes");
    let budget = nanos(options.size_budget);
    let (min, max) = (
        u64::from(options.min_iterations),
        u64::from(options.max_iterations),
    );

    let (warmup, _) = flood(traffic, size, window, quantum, guard, |count, ns| {
        count >= window as u64 || ns >= budget / 2
    })?;
    guard.line_up()?;
    let (messages, elapsed_ns) = flood(traffic, size, window, quantum, guard, |count, ns| {
        count >= max || (count >= min && ns >= budget)
    })?;
    guard.measured(elapsed_ns);
    end(traffic, warmup + messages, guard)?;
    Ok(Bandwidth::new(
        messages,
        size,
        elapsed_ns,
        window as u32,
        traffic.buffers() as u32,
    ))
}

/// Sends as fast as the peer gives credit, until `enough(messages, ns)`; then waits for the
/// last acknowledgement. Messages sent, and the time from the first post to it.
///
/// Without credits a sender outruns its peer's receives, and providers then queue messages on
/// a path an order of magnitude slower: shm fell from 1.1 GB/s to 17 MB/s at 64 B.
fn flood(
    traffic: &mut Traffic,
    size: usize,
    window: usize,
    quantum: usize,
    guard: &mut Guard<'_>,
    enough: impl Fn(u64, u64) -> bool,
) -> Result<(u64, u64)> {
    let (window, quantum) = (window as u64, quantum as u64);
    let (mut sent, mut acknowledged, mut last) = (0_u64, 0_u64, false);
    let start = now_ns();
    loop {
        let mut progress = false;
        while !last && sent - acknowledged < window && traffic.try_send(size)? {
            progress = true;
            sent += 1;
            if sent.is_multiple_of(quantum) {
                let now = now_ns();
                last = enough(sent, now - start);
                guard.tick(now)?;
            }
        }
        while let Some(slot) = traffic.arrived()? {
            progress = true;
            acknowledged += quantum;
            if acknowledged > sent {
                return Err(Error::new(
                    Code::PeerFailed,
                    "the peer acknowledged more messages than were sent",
                ));
            }
            traffic.post_receive(slot, guard)?;
        }
        if last && acknowledged == sent {
            return Ok((sent, now_ns() - start));
        }
        if !progress {
            traffic.idle(guard)?;
        }
    }
}

fn begin(traffic: &mut Traffic, phase: Phase, guard: &mut Guard<'_>) -> Result<()> {
    guard.doing = "preparing a measurement".into();
    traffic.prepare(phase.size, guard)?;
    guard.send(&Frame::Begin(phase))?;
    match guard.wait(Some(traffic.lane()))? {
        Frame::Ready => Ok(()),
        frame => Err(guard.unexpected(&frame)),
    }
}

/// Ends a phase when all that both sides sent has left them.
fn end(traffic: &mut Traffic, count: u64, guard: &mut Guard<'_>) -> Result<()> {
    traffic.drain(guard)?;
    guard.send(&Frame::End { count })?;
    match guard.wait(Some(traffic.lane()))? {
        Frame::Done => Ok(()),
        frame => Err(guard.unexpected(&frame)),
    }
}
