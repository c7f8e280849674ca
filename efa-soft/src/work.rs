//! What a queue pair has to do: work requests, the packets that they become, and the flows to peers.

use std::collections::VecDeque;
use std::net::SocketAddrV4;

use crate::abi::Sge;
use crate::capability::{INLINE, MAX_SGE, MTU};

/// Packets of a flow that may be under way.
pub(crate) const WINDOW: usize = 64;
/// Sequence numbers that a flow may be ahead of its oldest packet without answer.
pub(crate) const AHEAD: u32 = 512;

/// An operation of a send queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Send,
    Read,
    Write,
    /// A number that the device does not know, from a queue in memory.
    Unsupported,
}

/// A work request. It is copied when it is posted and owned by its queue pair from then on, so that
/// nothing that the program or another thread does changes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) wr_id: u64,
    pub(crate) operation: Operation,
    pub(crate) signaled: bool,
    pub(crate) buffers: [Sge; MAX_SGE],
    pub(crate) buffer_count: usize,
    pub(crate) inline: Option<([u8; INLINE], usize)>,
    /// Network byte order.
    pub(crate) immediate: Option<u32>,
    /// The destination's GID; `None`: there is no such address handle.
    pub(crate) gid: Option<[u8; 16]>,
    pub(crate) pair: u32,
    pub(crate) qkey: u32,
    pub(crate) remote_key: u32,
    pub(crate) remote_address: u64,
    /// Packets that it becomes, were made, and were answered; set when it is submitted.
    pub(crate) packets: u32,
    pub(crate) made: u32,
    pub(crate) answered: u32,
    /// Its flow; set when it is submitted.
    pub(crate) flow: usize,
}

impl Work {
    pub(crate) fn new(operation: Operation, wr_id: u64, signaled: bool) -> Self {
        Self {
            wr_id,
            operation,
            signaled,
            buffers: [Sge::default(); MAX_SGE],
            buffer_count: 0,
            inline: None,
            immediate: None,
            gid: None,
            pair: 0,
            qkey: 0,
            remote_key: 0,
            remote_address: 0,
            packets: 0,
            made: 0,
            answered: 0,
            flow: 0,
        }
    }

    pub(crate) fn buffers(&self) -> &[Sge] {
        &self.buffers[..self.buffer_count]
    }

    /// Bytes of the whole message.
    pub(crate) fn len(&self) -> u64 {
        match self.inline {
            Some((_, len)) => len as u64,
            None => self
                .buffers()
                .iter()
                .map(|buffer| u64::from(buffer.length))
                .sum(),
        }
    }

    /// Whether a last packet carries only the immediate data of a write, after all of its bytes.
    pub(crate) fn has_tail(&self) -> bool {
        let packets = self.len().div_ceil(MTU as u64);
        self.operation == Operation::Write && self.immediate.is_some() && packets > 1
    }

    /// Packets that the request becomes.
    pub(crate) fn packet_count(&self) -> u32 {
        match self.operation {
            Operation::Read | Operation::Write => {
                let packets = u32::try_from(self.len().div_ceil(MTU as u64)).unwrap_or(u32::MAX);
                packets.max(1) + u32::from(self.has_tail())
            }
            Operation::Send | Operation::Unsupported => 1,
        }
    }
}

/// What a packet under way asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Send,
    Write,
    WriteImmediate,
    Read,
}

/// A packet without an answer yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) work: usize,
    pub(crate) role: Role,
    pub(crate) psn: u32,
    pub(crate) offset: u64,
    pub(crate) len: u32,
    /// Copies sent.
    pub(crate) copies: u32,
    /// Copies sent since the last answer "receiver not ready".
    pub(crate) tries: u32,
    pub(crate) not_ready: u32,
    /// When it was first sent, or last answered.
    pub(crate) since: u64,
    pub(crate) sent: u64,
    pub(crate) due: u64,
}

/// The way to one queue pair of a peer.
pub(crate) struct Flow {
    /// Nowhere for a GID that no soft device has: such packets are never answered.
    pub(crate) to: Option<SocketAddrV4>,
    pub(crate) device: u8,
    /// Sequence numbers of what is delivered once, and of reads, which may be repeated.
    pub(crate) psn: u32,
    pub(crate) read_psn: u32,
    /// Work requests that have packets to make.
    pub(crate) waiting: VecDeque<usize>,
    pub(crate) segments: Vec<Segment>,
    /// When the peer was last received from, 0: never.
    pub(crate) last_received: u64,
    window: f64,
    shrunk: u64,
    round_trip: f64,
    variation: f64,
}

impl Flow {
    pub(crate) fn new(to: Option<SocketAddrV4>, device: u8) -> Self {
        Self {
            to,
            device,
            psn: 0,
            read_psn: 0,
            waiting: VecDeque::new(),
            segments: Vec::new(),
            last_received: 0,
            window: 32.0,
            shrunk: 0,
            round_trip: 0.0,
            variation: 0.0,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.segments.is_empty()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.segments.len() < (self.window as usize).clamp(2, WINDOW)
    }

    /// The lowest sequence number without answer; the next one if there is none.
    pub(crate) fn unanswered(&self) -> u32 {
        let delivered_once = self
            .segments
            .iter()
            .filter(|segment| segment.role != Role::Read);
        let ages = delivered_once.map(|segment| self.psn.wrapping_sub(segment.psn));
        self.psn.wrapping_sub(ages.max().unwrap_or(0))
    }

    /// Notes an answer: the window grows by one per window, as TCP's does.
    pub(crate) fn on_answer(&mut self, segment: &Segment, now: u64) {
        self.last_received = now;
        self.window = (self.window + 1.0 / self.window).min(WINDOW as f64);
        if segment.copies == 1 {
            let sample = now.saturating_sub(segment.sent) as f64;
            if self.round_trip == 0.0 {
                (self.round_trip, self.variation) = (sample, sample / 2.0);
            } else {
                self.variation += ((sample - self.round_trip).abs() - self.variation) / 4.0;
                self.round_trip += (sample - self.round_trip) / 8.0;
            }
        }
    }

    /// Notes that a packet was not answered in time: half the window, once per resend interval.
    pub(crate) fn on_loss(&mut self, now: u64, resend: u64) {
        if now.saturating_sub(self.shrunk) >= resend {
            self.shrunk = now;
            self.window = (self.window / 2.0).max(2.0);
        }
    }

    /// How long to wait for the answer of a packet sent for the `tries`th time, ns.
    pub(crate) fn patience(&self, base: u64, tries: u32) -> u64 {
        let measured = (2.0 * self.round_trip + 4.0 * self.variation) as u64;
        base.max(measured).min(1_000_000_000) << tries.saturating_sub(1).min(2)
    }
}

/// A posted receive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receive {
    pub(crate) wr_id: u64,
    pub(crate) buffers: [Sge; MAX_SGE],
    pub(crate) buffer_count: usize,
}

impl Receive {
    pub(crate) fn buffers(&self) -> &[Sge] {
        &self.buffers[..self.buffer_count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(len: u32, immediate: Option<u32>) -> Work {
        let mut work = Work::new(Operation::Write, 0, true);
        work.buffers[0].length = len;
        work.buffer_count = 1;
        work.immediate = immediate;
        work
    }

    #[test]
    fn a_write_becomes_packets_and_a_tail_for_its_immediate() {
        let mtu = MTU as u32;
        let cases = [
            (0, None, 1),
            (1, None, 1),
            (mtu, Some(1), 1),
            (mtu, None, 1),
            (mtu + 1, None, 2),
            (mtu + 1, Some(1), 3),
            (1 << 30, None, 120_267),
        ];
        for (len, immediate, packets) in cases {
            assert_eq!(
                write(len, immediate).packet_count(),
                packets,
                "{len} {immediate:?}"
            );
        }
    }

    #[test]
    fn the_lowest_number_without_answer_survives_the_wrap() {
        let mut flow = Flow::new(None, 0);
        flow.psn = 3;
        assert_eq!(flow.unanswered(), 3);
        let segment = |psn, role| Segment {
            work: 0,
            role,
            psn,
            offset: 0,
            len: 0,
            copies: 1,
            tries: 1,
            not_ready: 0,
            since: 0,
            sent: 0,
            due: 0,
        };
        flow.segments = vec![
            segment(1, Role::Send),
            segment(u32::MAX - 1, Role::Write),
            segment(5, Role::Read),
        ];
        assert_eq!(flow.unanswered(), u32::MAX - 1);
    }

    #[test]
    fn a_loss_halves_the_window_once_per_interval() {
        let mut flow = Flow::new(None, 0);
        flow.on_loss(100, 50);
        flow.on_loss(120, 50);
        assert_eq!(flow.window, 16.0);
        flow.on_loss(150, 50);
        assert_eq!(flow.window, 8.0);
        for at in 1..20 {
            flow.on_loss(150 + at * 50, 50);
        }
        assert!(flow.has_room());
        assert_eq!(flow.patience(20, 1), 20);
        assert_eq!(flow.patience(20, 9), 80);
    }
}
