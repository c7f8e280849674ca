//! The sending side of a queue pair: work requests become packets, which are sent until answered.

use std::net::SocketAddrV4;

use crate::abi::{self, ACCESS_LOCAL_WRITE};
use crate::capability::{self, MAX_RDMA, MTU};
use crate::control::{Counter, Field};
use crate::pair::{Around, Pair, Payload};
use crate::status::Status;
use crate::tick;
use crate::wire::{self, Header, Kind};
use crate::work::{AHEAD, Operation, Role, Segment, Work};

/// The first wait after an answer "receiver not ready", ns; doubled up to 32 times. A guess.
const NOT_READY: u64 = 100_000;
/// When to look again whether the rate lets a packet leave, ns.
const RATE: u64 = 100_000;

impl Role {
    fn kind(self) -> Kind {
        match self {
            Self::Send => Kind::Send,
            Self::Write => Kind::Write,
            Self::WriteImmediate => Kind::WriteImmediate,
            Self::Read => Kind::Read,
        }
    }
}

impl Pair {
    /// Takes a work request over. From here on it ends with a completion, whatever happens.
    pub(crate) fn submit(&mut self, around: &mut Around<'_>, mut work: Work, now: u64) {
        work.packets = work.packet_count();
        work.flow = work
            .gid
            .map_or(usize::MAX, |gid| self.flow_to(&gid, work.pair));
        let refused = self.check_work(around, &work);
        let slot = self.works.insert(work);
        self.posted += 1;
        if let Some(status) = refused {
            self.finish(around, slot, status);
        } else if self.made.reliable {
            self.flows[work.flow].waiting.push_back(slot);
            self.push(around, work.flow, now);
        } else {
            self.send_datagram(around, slot, &work);
        }
    }

    /// What a device finds wrong with a request when it takes it up.
    fn check_work(&self, around: &Around<'_>, work: &Work) -> Option<Status> {
        if self.state == abi::QPS_ERR {
            return Some(Status::Flushed);
        }
        let (longest, capability, access) = match work.operation {
            Operation::Send => (MTU as u64, None, 0),
            Operation::Read => (
                u64::from(MAX_RDMA),
                Some(capability::READ),
                ACCESS_LOCAL_WRITE,
            ),
            Operation::Write => (u64::from(MAX_RDMA), Some(capability::WRITE), 0),
            Operation::Unsupported => return Some(Status::UnsupportedOperation),
        };
        let is_rdma = work.operation != Operation::Send;
        if capability.is_some_and(|needed| !around.port.can(needed))
            || is_rdma && !self.made.reliable
        {
            return Some(Status::UnsupportedOperation);
        }
        if work.gid.is_none() {
            return Some(Status::InvalidAddress);
        }
        if work.len() > longest {
            return Some(Status::LocalLength);
        }
        let covered = work.inline.is_some()
            || self
                .locate(around.memory, work.buffers(), 0, work.len(), access)
                .is_some();
        (!covered).then_some(Status::InvalidLocalKey)
    }

    fn send_datagram(&mut self, around: &mut Around<'_>, slot: usize, work: &Work) {
        let flow = &self.flows[work.flow];
        let header = Header {
            device: flow.device,
            immediate: work.immediate,
            cookie: self.cookie,
            qkey: work.qkey,
            len: work.len() as u32,
            ..Header::new(Kind::Datagram)
        };
        let to = flow.to;
        let sent = self.send_bytes_of(around, work, (0, work.len()), to, header, true);
        self.finish(
            around,
            slot,
            if sent {
                Status::Ok
            } else {
                Status::InvalidLocalKey
            },
        );
    }

    /// Sends a part of a request's message; false if its key does not cover it any more, or it is not
    /// mapped any more. (A real device has its pages pinned, and would send what was there.)
    fn send_bytes_of(
        &mut self,
        around: &Around<'_>,
        work: &Work,
        (offset, len): (u64, u64),
        to: Option<SocketAddrV4>,
        header: Header,
        answers: bool,
    ) -> bool {
        if let Some((bytes, _)) = work.inline {
            let (start, end) = (offset as usize, (offset + len) as usize);
            return self.transmit(
                around,
                to,
                header,
                Payload::Own(&bytes[start..end]),
                answers,
            );
        }
        let Some(ranges) = self.locate(around.memory, work.buffers(), offset, len, 0) else {
            return false;
        };
        self.transmit(around, to, header, Payload::Memory(ranges.parts()), answers)
    }

    /// Makes packets of the requests of a flow, within window and rate.
    pub(crate) fn push(&mut self, around: &mut Around<'_>, flow_at: usize, now: u64) {
        while let Some(slot) = self.flows[flow_at].waiting.front().copied() {
            let flow = &mut self.flows[flow_at];
            let Some(work) = self.works.get_mut(slot) else {
                flow.waiting.pop_front();
                continue;
            };
            if !flow.has_room() || flow.psn.wrapping_sub(flow.unanswered()) > AHEAD {
                return;
            }
            let is_tail = work.has_tail() && work.made == work.packets - 1;
            let offset = u64::from(work.made) * MTU as u64;
            let len = if is_tail {
                0
            } else {
                (work.len() - offset).min(MTU as u64) as u32
            };
            if !around.port.control.may_leave(len as usize, now) {
                self.wake_at(now + RATE);
                return;
            }
            let is_last = work.made == work.packets - 1;
            let role = match work.operation {
                Operation::Read => Role::Read,
                Operation::Write if work.immediate.is_some() && is_last => Role::WriteImmediate,
                Operation::Write => Role::Write,
                Operation::Send | Operation::Unsupported => Role::Send,
            };
            let counter = if role == Role::Read {
                &mut flow.read_psn
            } else {
                &mut flow.psn
            };
            let psn = *counter;
            *counter = counter.wrapping_add(1);
            let segment = Segment {
                work: slot,
                role,
                psn,
                offset: if is_tail { 0 } else { offset },
                len,
                copies: 0,
                tries: 0,
                not_ready: 0,
                since: now,
                sent: now,
                due: now,
            };
            work.made += 1;
            // The packet with the immediate data must be the last to arrive: it is put back by
            // the answer to the last packet with data.
            let waits_for_data = work.has_tail() && work.made == work.packets - 1;
            if work.made == work.packets || waits_for_data && work.answered < work.made {
                flow.waiting.pop_front();
            }
            flow.segments.push(segment);
            let at = flow.segments.len() - 1;
            self.send_segment(around, flow_at, at, now);
        }
    }

    /// Sends a packet, for the first time or again. Its request may end here, if its memory went.
    fn send_segment(&mut self, around: &mut Around<'_>, flow_at: usize, at: usize, now: u64) {
        let flow = &mut self.flows[flow_at];
        let (unanswered, to, device) = (flow.unanswered(), flow.to, flow.device);
        let segment = flow.segments[at];
        let Some(work) = self.works.get(segment.work).copied() else {
            return;
        };
        let header = Header {
            device,
            cookie: self.cookie,
            psn: segment.psn,
            qkey: work.qkey,
            immediate: work
                .immediate
                .filter(|_| matches!(segment.role, Role::Send | Role::WriteImmediate)),
            len: segment.len,
            rkey: work.remote_key,
            total: work.len() as u32,
            unanswered,
            attempt: segment.copies,
            address: work.remote_address.wrapping_add(segment.offset),
            ..Header::new(segment.role.kind())
        };
        let control = &around.port.control;
        if segment.tries > 0 {
            control.count(Counter::RetransPkts, 1);
            control.count(Counter::RetransBytes, u64::from(segment.len));
        }
        let delays = 3_000 * control.get(Field::DelayUs).min(10_000_000);
        let base = around.settings.resend.max(delays);
        let patience = self.flows[flow_at].patience(base, segment.tries + 1);
        let segment = &mut self.flows[flow_at].segments[at];
        segment.copies = segment.copies.wrapping_add(1);
        segment.tries += 1;
        segment.sent = now;
        segment.due = now.saturating_add(patience);
        let (role, slot, range) = (
            segment.role,
            segment.work,
            (segment.offset, u64::from(segment.len)),
        );
        self.wake_at(now.saturating_add(patience));
        if role == Role::Read {
            self.transmit(around, to, header, Payload::Own(&[]), false);
        } else if !self.send_bytes_of(around, &work, range, to, header, false) {
            self.finish(around, slot, Status::InvalidLocalKey);
        }
    }

    /// Resends what is due, and ends what a silent peer leaves without hope.
    pub(crate) fn on_timer(&mut self, around: &mut Around<'_>, now: u64) {
        for flow_at in 0..self.flows.len() {
            if self.flows[flow_at].is_idle() {
                continue;
            }
            let mut at = 0;
            while let Some(segment) = self.flows[flow_at].segments.get(at).copied() {
                let flow = &mut self.flows[flow_at];
                let silent_since = segment.since.max(flow.last_received);
                if segment.due > now {
                    self.wake_at(segment.due);
                    at += 1;
                } else if now.saturating_sub(silent_since) > around.settings.timeout {
                    let was_received = flow.last_received != 0;
                    around.port.control.count(Counter::RetransTimeoutEvents, 1);
                    let status = if was_received {
                        Status::Unresponsive
                    } else {
                        Status::Unreachable
                    };
                    self.finish(around, segment.work, status);
                } else {
                    if segment.tries > 0 {
                        flow.on_loss(now, around.settings.resend);
                    }
                    let before = flow.segments.len();
                    self.send_segment(around, flow_at, at, now);
                    // Gone: what is at its place now has not been looked at.
                    if self.flows[flow_at].segments.len() == before {
                        at += 1;
                    }
                }
            }
            self.push(around, flow_at, now);
        }
    }

    /// A packet was answered well.
    fn on_done(&mut self, around: &mut Around<'_>, flow_at: usize, at: usize, now: u64) {
        let flow = &mut self.flows[flow_at];
        let segment = flow.segments.swap_remove(at);
        flow.on_answer(&segment, now);
        let Some(work) = self.works.get_mut(segment.work) else {
            return;
        };
        work.answered += 1;
        if work.answered == work.packets {
            self.finish(around, segment.work, Status::Ok);
        } else if work.has_tail() && work.answered == work.packets - 1 && work.made == work.answered
        {
            let flow = &mut self.flows[flow_at];
            if !flow.waiting.contains(&segment.work) {
                flow.waiting.push_front(segment.work);
            }
        }
    }

    /// An answer arrived: an acknowledgement, the bytes of a read, or a refusal.
    pub(crate) fn on_answer(
        &mut self,
        around: &mut Around<'_>,
        from: SocketAddrV4,
        header: &Header,
        payload: &[u8],
        now: u64,
    ) {
        let Some(flow_at) = self
            .flow_from(from, header.device)
            .filter(|_| header.cookie == self.cookie)
        else {
            return;
        };
        let find = |pair: &Self, psn: u32, of_read: bool| {
            let segments = &pair.flows[flow_at].segments;
            segments
                .iter()
                .position(|s| s.psn == psn && (s.role == Role::Read) == of_read)
        };
        match header.kind {
            Kind::Ack => {
                for psn in wire::acks(payload) {
                    if let Some(at) = find(self, psn, false) {
                        self.on_done(around, flow_at, at, now);
                    }
                }
            }
            Kind::Response => {
                let Some(at) = find(self, header.psn, true) else {
                    return;
                };
                self.on_bytes(around, flow_at, at, payload, now);
            }
            Kind::Refusal => {
                let Some(at) = find(self, header.psn, header.about_read) else {
                    return;
                };
                self.on_refusal(around, flow_at, at, header, now);
            }
            _ => return,
        }
        self.push(around, flow_at, now);
    }

    fn on_bytes(
        &mut self,
        around: &mut Around<'_>,
        flow_at: usize,
        at: usize,
        payload: &[u8],
        now: u64,
    ) {
        let segment = self.flows[flow_at].segments[at];
        let Some(work) = self.works.get(segment.work) else {
            return;
        };
        if payload.len() != segment.len as usize {
            return;
        }
        let len = u64::from(segment.len);
        match self.locate(
            around.memory,
            work.buffers(),
            segment.offset,
            len,
            ACCESS_LOCAL_WRITE,
        ) {
            Some(ranges) => {
                ranges.fill(payload);
                self.on_done(around, flow_at, at, now);
            }
            None => self.finish(around, segment.work, Status::InvalidLocalKey),
        }
    }

    fn on_refusal(
        &mut self,
        around: &mut Around<'_>,
        flow_at: usize,
        at: usize,
        header: &Header,
        now: u64,
    ) {
        let endless = self.rnr_retry == 7;
        let limit = u32::from(self.rnr_retry);
        let flow = &mut self.flows[flow_at];
        flow.last_received = now;
        let segment = &mut flow.segments[at];
        let Some(status) = Status::from_number(header.status).filter(|s| *s != Status::Ok) else {
            return;
        };
        if status != Status::ReceiverNotReady {
            let slot = segment.work;
            self.finish(around, slot, status);
            return;
        }
        // Only the answer to the last copy counts: another copy may be delivered yet.
        if header.attempt.wrapping_add(1) != segment.copies {
            return;
        }
        if !endless && segment.not_ready >= limit {
            let slot = segment.work;
            self.finish(around, slot, status);
            return;
        }
        segment.since = now;
        segment.tries = 0;
        segment.due = now + (NOT_READY << segment.not_ready.min(5));
        segment.not_ready = segment.not_ready.saturating_add(1);
        let due = segment.due;
        self.wake_at(due);
    }

    /// A peer has no such port: everything that was sent there fails.
    pub(crate) fn on_unreachable(&mut self, around: &mut Around<'_>, peer: SocketAddrV4) {
        for flow_at in 0..self.flows.len() {
            if self.flows[flow_at].to != Some(peer) {
                continue;
            }
            self.flows[flow_at].last_received = tick::now();
            while let Some(segment) = self.flows[flow_at].segments.first().copied() {
                self.finish(around, segment.work, Status::BadQueuePair);
            }
        }
    }

    /// Ends everything: the queue pair goes to the error state.
    pub(crate) fn flush(&mut self, around: &mut Around<'_>) {
        let slots: Vec<usize> = self.works.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.finish(around, slot, Status::Flushed);
        }
    }
}
