//! Many transfers in flight: one side's part in a bandwidth measurement.
//!
//! Messages, tagged messages and writes with data are credited by the receiver. Without credits
//! a sender outruns its peer's receives, and providers then queue messages on a path an order of
//! magnitude slower: shm fell from 1.1 GB/s to 17 MB/s at 64 B. Writes and reads need none: their
//! own completions bound them.
//!
//! Of several probes that start together, each keeps sending until all have measured: otherwise a
//! slow one ends alone, and its bytes and time state nothing about all together.
//!
//! With both sides sending, each keeps sending until the other has measured too, so that what is
//! timed always has the other's traffic next to it.

use super::channel::{Frame, Phase};
use super::flow::Flow;
use super::guard::{Guard, nanos};
use super::options::ProbeOptions;
use super::start_line::StartLine;
use super::traffic::Traffic;
use crate::clock::now_ns;
use crate::error::{Code, Error, Result};

/// Transfers between two readings of the clock while they keep arriving.
const CHECK_EVERY: u64 = 1024;

/// Time, besides eight times the budget, for others of the start line that are slower.
const OTHERS_NS: u64 = 2_000_000_000;

/// The state of one phase on one side.
pub(crate) struct Stream {
    size: usize,
    window: u64,
    quantum: u64,
    is_one_sided: bool,
    sent: u64,
    received: u64,
    peer_is_warm: bool,
    peer_flow: Option<Flow>,
    expected: Option<u64>,
    peer_is_done: bool,
}

impl Stream {
    pub(crate) fn new(traffic: &Traffic, phase: &Phase) -> Self {
        Self {
            size: phase.size,
            window: traffic.window_for(phase.size).max(phase.quantum as usize) as u64,
            quantum: u64::from(phase.quantum.max(1)),
            is_one_sided: traffic.operation().is_one_sided(),
            sent: 0,
            received: 0,
            peer_is_warm: false,
            peer_flow: None,
            expected: None,
            peer_is_done: false,
        }
    }

    /// Warms up, measures within the options' limits, and waits until all has left. Transfers
    /// of the warm-up, and what each side measured.
    pub(crate) fn send_all(
        &mut self,
        traffic: &mut Traffic,
        options: &ProbeOptions,
        guard: &mut Guard<'_>,
    ) -> Result<(u64, Vec<Flow>)> {
        let budget = nanos(options.size_budget);
        let (min, max) = (
            u64::from(options.min_iterations),
            u64::from(options.max_iterations),
        );
        let both = options.is_bidirectional();
        let window = self.window;
        self.flood(traffic, guard, |_, count, ns| {
            count >= window || ns >= budget / 2
        })?;
        if both {
            guard.send(&Frame::Warm)?;
            self.flood(traffic, guard, |stream, _, _| stream.peer_is_warm)?;
        }
        let warmup = self.sent;
        guard.line_up()?;
        let own = self.flood(traffic, guard, |_, count, ns| {
            count >= max || (count >= min && ns >= budget)
        })?;
        guard.record(own.elapsed_ns);
        // Others that are slower are measured next to this one's traffic, and not alone.
        if !guard.is_over() {
            let line = guard.start_line;
            // One that hangs must not take the others with it.
            let most = budget
                .saturating_mul(8)
                .saturating_add(OTHERS_NS)
                .min(guard.left_ns() / 2);
            self.flood(traffic, guard, |_, _, ns| {
                ns >= most || line.is_none_or(StartLine::is_over)
            })?;
        }
        let mut flows = vec![own];
        if both {
            guard.send(&Frame::Measured(own))?;
            self.flood(traffic, guard, |stream, _, _| stream.peer_flow.is_some())?;
            flows.extend(self.peer_flow);
        }
        traffic.drain(guard)?;
        guard.send(&Frame::End { count: self.sent })?;
        if both {
            self.receive_all(traffic, guard)?;
        }
        while !self.peer_is_done {
            let frame = guard.wait(Some(traffic.lane()))?;
            self.note(frame, guard)?;
        }
        Ok((warmup, flows))
    }

    /// Receives, and acknowledges, until the other side has sent all that it reported.
    pub(crate) fn receive_all(
        &mut self,
        traffic: &mut Traffic,
        guard: &mut Guard<'_>,
    ) -> Result<()> {
        loop {
            while let Some(arrival) = traffic.arrived()? {
                if !traffic.is_data(&arrival, self.size) {
                    return Err(more_acknowledged());
                }
                self.received += 1;
                if self.received.is_multiple_of(CHECK_EVERY) {
                    guard.tick(now_ns())?;
                }
                traffic.renew(arrival, guard)?;
                self.acknowledge(traffic, guard)?;
            }
            if let Some(frame) = guard.take() {
                self.note(frame, guard)?;
            }
            if self.is_all_received()? {
                break;
            }
            traffic.idle(guard)?;
        }
        traffic.drain(guard)?;
        guard.send(&Frame::Done)
    }

    fn is_all_received(&self) -> Result<bool> {
        match self.expected {
            Some(count) => is_all(count, self.received, self.is_one_sided),
            None => Ok(false),
        }
    }

    /// Credit only for receives that are posted again.
    #[inline]
    fn acknowledge(&self, traffic: &mut Traffic, guard: &mut Guard<'_>) -> Result<()> {
        if self.received.is_multiple_of(self.quantum) {
            traffic.acknowledge(self.size, guard)?;
        }
        Ok(())
    }

    /// Sends as fast as there is credit, until `enough(self, count, ns)`; then waits for the last
    /// acknowledgement. Receives what the other side sends meanwhile.
    fn flood(
        &mut self,
        traffic: &mut Traffic,
        guard: &mut Guard<'_>,
        enough: impl Fn(&Self, u64, u64) -> bool,
    ) -> Result<Flow> {
        let (mut count, mut acknowledged, mut last) = (0_u64, 0_u64, false);
        let start = now_ns();
        loop {
            let mut progress = false;
            while !last && count - acknowledged < self.window && traffic.try_transfer(self.size)? {
                progress = true;
                count += 1;
                if count.is_multiple_of(self.quantum) {
                    let now = now_ns();
                    last = enough(self, count, now - start);
                    guard.tick(now)?;
                }
            }
            if self.is_one_sided {
                let completed = count - traffic.in_flight()? as u64;
                if completed > acknowledged {
                    progress = true;
                    guard.busy();
                }
                acknowledged = completed;
            } else {
                // Bounded, for a peer that sends without end.
                for _ in 0..self.window {
                    let Some(arrival) = traffic.arrived()? else {
                        break;
                    };
                    progress = true;
                    if traffic.is_data(&arrival, self.size) {
                        self.received += 1;
                        traffic.renew(arrival, guard)?;
                        self.acknowledge(traffic, guard)?;
                        continue;
                    }
                    acknowledged += self.quantum;
                    if acknowledged > count {
                        return Err(more_acknowledged());
                    }
                    traffic.renew(arrival, guard)?;
                }
            }
            if last && acknowledged == count {
                self.sent += count;
                return Ok(Flow {
                    messages: count,
                    elapsed_ns: now_ns() - start,
                });
            }
            if !progress {
                traffic.idle(guard)?;
            }
            if let Some(frame) = guard.take() {
                self.note(frame, guard)?;
            }
        }
    }

    #[cold]
    fn note(&mut self, frame: Frame, guard: &Guard<'_>) -> Result<()> {
        match frame {
            Frame::Warm => self.peer_is_warm = true,
            Frame::Measured(flow) => self.peer_flow = Some(flow),
            Frame::End { count } => self.expected = Some(count),
            Frame::Done => self.peer_is_done = true,
            frame => return Err(guard.unexpected(&frame)),
        }
        Ok(())
    }
}

/// Whether all has come of what the other side reports that it sent. More is an error: what is reported
/// to be the end would never come.
pub(crate) fn is_all(count: u64, received: u64, is_one_sided: bool) -> Result<bool> {
    if is_one_sided {
        return Ok(true);
    }
    if received > count {
        return Err(Error::new(
            Code::PeerFailed,
            format!("the peer sent {received} messages, and reports that it was {count}"),
        )
        .with_cure("use the same version of efa-fabric on both sides")
        .with_context("sent", count)
        .with_context("received", received));
    }
    Ok(received == count)
}

fn more_acknowledged() -> Error {
    Error::new(
        Code::PeerFailed,
        "the peer acknowledged more messages than were sent",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_where_the_other_side_says_and_never_before_what_came() {
        assert!(is_all(3, 3, false).unwrap() && !is_all(4, 3, false).unwrap());
        assert!(is_all(0, 0, false).unwrap());
        assert!(is_all(1000, 0, true).unwrap());
        let error = is_all(2, 3, false).unwrap_err();
        assert_eq!(error.code(), Code::PeerFailed);
        assert_eq!(error.context_value("received"), Some("3"));
    }
}
