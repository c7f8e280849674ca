//! The side that measures.

use super::channel::{Frame, Kind, Phase};
use super::guard::{Guard, nanos};
use super::integrity;
use super::options::ProbeOptions;
use super::phase::{begin, end};
use super::report::{Bandwidth, Latency, Row};
use super::samples::Samples;
use super::stream::Stream;
use super::traffic::Traffic;
use super::trips::{self, Limits, Trip};
use crate::clock::now_ns;
use crate::endpoint::lane::Arrival;
use crate::error::{Code, Error, Result};

/// Exchanges before latency is measured, unless they take half of the budget.
const WARMUP: u64 = 100;
/// Exchanges before latency is measured whatever the budget: of the first size of a class as many
/// as this, unless they take the time after it; of any size two.
const CLASS_WARMUP: u64 = 10;
const CLASS_WARMUP_NS: u64 = 1_000_000_000;
/// Acknowledgements for one window.
const ACKS_PER_WINDOW: usize = 4;

/// Measures every size, and notifies the other side what came out.
pub(crate) fn measure(
    traffic: &mut Traffic,
    options: &ProbeOptions,
    guard: &mut Guard<'_>,
) -> Result<(f64, Vec<Row>)> {
    traffic.greet(guard)?;
    let first_us = first_message(traffic, options, guard)?;
    let mut rows = Vec::with_capacity(options.sizes.len());
    let mut warm = [false; CLASSES];
    for &size in &options.sizes {
        let verified = integrity::verify(traffic, size, guard)?;
        let latency = if options.latency {
            let is_first = !std::mem::replace(&mut warm[class_of(size)], true);
            Some(latency(traffic, size, is_first, options, guard)?)
        } else {
            None
        };
        let bandwidth = if options.bandwidth {
            Some(bandwidth(traffic, size, options, guard)?)
        } else {
            None
        };
        rows.push(Row {
            size: size as u64,
            verified,
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

/// One exchange of the smallest size: it pays for connections and handshakes.
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
            seed: 0,
        },
        guard,
    )?;
    guard.doing = "waiting for the first message".into();
    guard.expect_contact(options.connect_timeout);
    let start = now_ns();
    exchange(traffic, size, guard)?;
    let first_us = (now_ns() - start) as f64 / 1000.0;
    guard.contact();
    end(traffic, 1, guard)?;
    Ok(first_us)
}

/// Sizes that take one path through the efa provider: it changes protocol above 64 KiB and from
/// 1 MiB on (fi_efa(7)), and each has its own cost of the first time.
const CLASSES: usize = 3;

const fn class_of(size: usize) -> usize {
    match size {
        0..=65_536 => 0,
        65_537..1_048_576 => 1,
        _ => 2,
    }
}

/// Whether to warm up more, after this many exchanges and this time.
const fn is_cold(count: u64, ns: u64, budget_ns: u64, is_first: bool) -> bool {
    count < 2
        || (is_first && count < CLASS_WARMUP && ns < CLASS_WARMUP_NS)
        || (count < WARMUP && ns < budget_ns / 2)
}

fn latency(
    traffic: &mut Traffic,
    size: usize,
    is_first: bool,
    options: &ProbeOptions,
    guard: &mut Guard<'_>,
) -> Result<Latency> {
    begin(
        traffic,
        Phase {
            kind: Kind::Latency,
            size,
            quantum: 1,
            seed: 0,
        },
        guard,
    )?;
    guard.doing = format!("measuring the latency of {size} bytes");
    let budget = nanos(options.budget_of(size));
    let mut samples = Samples::new(u64::from(options.max_iterations));

    let start = now_ns();
    let mut warmup = 0;
    while is_cold(warmup, now_ns() - start, budget, is_first) {
        exchange(traffic, size, guard)?;
        warmup += 1;
    }

    let limits = Limits {
        min: u64::from(options.min_iterations),
        max: u64::from(options.max_iterations),
        budget_ns: budget,
    };
    let mut trip = Measured {
        traffic: &mut *traffic,
        guard: &mut *guard,
        size,
    };
    trips::measure(&mut trip, limits, &mut samples)?;
    end(traffic, warmup + samples.len(), guard)?;
    Latency::from_samples(samples.as_mut_slice(), options.operation, warmup)
        .ok_or_else(|| Error::new(Code::InvalidOption, "no round trip was measured"))
}

/// Transfers of one size, on the clock of this machine.
struct Measured<'a, 'b> {
    traffic: &'a mut Traffic,
    guard: &'a mut Guard<'b>,
    size: usize,
}

impl Trip for Measured<'_, '_> {
    type Answer = Option<Arrival>;

    #[inline]
    fn now(&mut self) -> u64 {
        now_ns()
    }

    #[inline]
    fn post(&mut self) -> Result<()> {
        self.traffic.transfer(self.size, self.guard)
    }

    #[inline]
    fn answer(&mut self) -> Result<Self::Answer> {
        answer(self.traffic, self.guard)
    }

    #[inline]
    fn renew(&mut self, answer: Self::Answer) -> Result<()> {
        renew(self.traffic, answer, self.guard)
    }

    #[inline]
    fn is_check_due(&self, now: u64) -> bool {
        self.guard.is_check_due(now)
    }

    fn check_limits(&mut self, now: u64) -> Result<()> {
        self.guard.tick(now).map(drop)
    }
}

/// A transfer and its answer, or its completion where it is one-sided.
fn exchange(traffic: &mut Traffic, size: usize, guard: &mut Guard<'_>) -> Result<()> {
    traffic.transfer(size, guard)?;
    let arrival = answer(traffic, guard)?;
    renew(traffic, arrival, guard)
}

/// Waits for the answer to a transfer, or for its completion where it is one-sided.
#[inline]
fn answer(traffic: &mut Traffic, guard: &mut Guard<'_>) -> Result<Option<Arrival>> {
    if traffic.operation().is_one_sided() {
        while traffic.in_flight()? > 0 {
            traffic.idle(guard)?;
        }
        return Ok(None);
    }
    loop {
        if let Some(arrival) = traffic.arrived()? {
            return Ok(Some(arrival));
        }
        traffic.idle(guard)?;
    }
}

/// Posts the receive again that the answer has used up.
#[inline]
fn renew(traffic: &mut Traffic, answer: Option<Arrival>, guard: &mut Guard<'_>) -> Result<()> {
    match answer {
        Some(arrival) => traffic.renew(arrival, guard),
        None => {
            guard.busy();
            Ok(())
        }
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
    let phase = Phase {
        kind: Kind::Bandwidth,
        size,
        quantum: quantum as u32,
        seed: 0,
    };
    begin(traffic, phase, guard)?;
    guard.doing = format!("measuring the bandwidth of {size} bytes");
    let mut stream = Stream::new(traffic, &phase);
    let (warmup, flows) = stream.send_all(traffic, options, guard)?;
    guard.measured();
    Ok(Bandwidth::new(
        &flows,
        size,
        warmup,
        window as u32,
        traffic.buffers() as u32,
    ))
}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
#[path = "initiator/watched.rs"]
mod watched;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_the_efa_provider() {
        let cases = [
            (1, 0),
            (64 << 10, 0),
            ((64 << 10) + 1, 1),
            ((1 << 20) - 1, 1),
            (1 << 20, 2),
            (1 << 30, 2),
        ];
        for (size, class) in cases {
            assert_eq!(class_of(size), class, "{size}");
        }
    }

    #[test]
    fn the_first_of_a_class_is_warmed_whatever_the_budget() {
        let (second, budget) = (1_000_000_000, 10_000_000);
        // count, ns, is_first, whether more is needed
        let cases = [
            (0, 9 * second, false, true),
            (1, 9 * second, false, true),
            (2, budget, false, false),
            (9, budget, true, true),
            (10, budget, true, false),
            (9, second, true, false),
            (99, budget / 2 - 1, false, true),
            (100, 0, true, false),
        ];
        for (count, ns, is_first, expected) in cases {
            assert_eq!(
                is_cold(count, ns, budget, is_first),
                expected,
                "{count} {ns} {is_first}"
            );
        }
    }
}
