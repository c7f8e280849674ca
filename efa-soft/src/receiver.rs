//! The receiving side of a queue pair: requests of peers, checked, carried out once, and answered.

use std::net::SocketAddrV4;

use crate::abi::{self, ACCESS_LOCAL_WRITE, ACCESS_REMOTE_READ, ACCESS_REMOTE_WRITE};
use crate::addresses::UNKNOWN;
use crate::capability;
use crate::completion::Completion;
use crate::control::{Counter, Field};
use crate::pair::{Around, Pair, Payload};
use crate::socket::Inbox;
use crate::sources::Verdict;
use crate::status::Status;
use crate::tick;
use crate::wire::{Header, Kind, MAX_ACKS};
use crate::work::Receive;

/// Batches of packets read in one go.
const ROUNDS: usize = 8;
/// Bytes before the data of a datagram: the place of a global routing header.
const GRH: usize = 40;

impl Pair {
    /// Reads packets, answers them, and does what is due. Returns whether something moved.
    pub(crate) fn progress(&mut self, around: &mut Around<'_>, inbox: &mut Inbox) -> bool {
        let mut moved = self.take_from_memory(around);
        for _ in 0..ROUNDS {
            let Ok(count) = self.socket.receive(inbox) else {
                for peer in self.socket.unreachable() {
                    self.on_unreachable(around, peer);
                    moved = true;
                }
                continue;
            };
            let now = tick::now();
            for at in 0..count {
                let (from, bytes) = inbox.packet(at);
                self.on_packet(around, from, bytes, now);
            }
            if count > 0 {
                moved = true;
                self.send_acks(around);
            } else {
                break;
            }
        }
        let now = tick::now();
        if now >= self.timer {
            self.timer = u64::MAX;
            self.send_delayed(now);
            self.on_timer(around, now);
        }
        moved
    }

    /// One packet, which anybody may have sent.
    pub(crate) fn on_packet(
        &mut self,
        around: &mut Around<'_>,
        from: SocketAddrV4,
        bytes: &[u8],
        now: u64,
    ) {
        let control = &around.port.control;
        let parsed =
            Header::parse(bytes).filter(|(header, _)| header.gid[10..14] == from.ip().octets());
        let Some((header, payload)) = parsed.filter(|_| !control.mute()) else {
            control.count(Counter::RxDrops, 1);
            return;
        };
        control.count(Counter::RxPkts, 1);
        if header.kind.carries_data() {
            control.count(Counter::RxBytes, payload.len() as u64);
        }
        if around.settings.trace > 1 {
            eprintln!(
                "efa-soft: queue pair {} from {from}: {header:?}",
                self.number
            );
        }
        if matches!(header.kind, Kind::Ack | Kind::Response | Kind::Refusal) {
            self.on_answer(around, from, &header, payload, now);
            return;
        }
        let is_here = header.device == around.port.index && header.qkey == self.qkey;
        let is_ready = (abi::QPS_RTR..=abi::QPS_SQD).contains(&self.state);
        if header.kind == Kind::Datagram {
            if is_here && is_ready && !self.made.reliable {
                self.on_datagram(around, from, &header, payload);
            } else {
                control.count(Counter::RxDrops, 1);
            }
        } else if !is_here || !is_ready || !self.made.reliable {
            self.refuse(around, from, &header, Status::BadQueuePair);
        } else if header.kind == Kind::Read {
            self.on_read(around, from, &header);
        } else {
            self.on_request(around, from, &header, payload, now);
        }
    }

    fn refuse(&mut self, around: &Around<'_>, to: SocketAddrV4, request: &Header, status: Status) {
        if status == Status::ReceiverNotReady {
            // Stands for the times that the receiver was not ready: a guess.
            around
                .port
                .control
                .count(Counter::ImpairedRemoteConnEvents, 1);
        }
        let header = Header {
            device: request.device,
            status: status as u8,
            about_read: request.kind == Kind::Read,
            cookie: request.cookie,
            psn: request.psn,
            attempt: request.attempt,
            ..Header::new(Kind::Refusal)
        };
        self.transmit(around, Some(to), header, Payload::Own(&[]), false);
    }

    fn on_datagram(
        &mut self,
        around: &mut Around<'_>,
        from: SocketAddrV4,
        header: &Header,
        payload: &[u8],
    ) {
        let Some(receive) = self.receives.pop_front() else {
            around.port.control.count(Counter::RxDrops, 1);
            return;
        };
        let mut whole = vec![0; GRH + payload.len()];
        whole[GRH..].copy_from_slice(payload);
        let status = self.fill(around, &receive, &whole);
        let len = whole.len() as u32;
        around.port.control.count(Counter::RecvWrs, 1);
        around
            .port
            .control
            .count(Counter::RecvBytes, payload.len() as u64);
        self.complete_receive(around, from, header, (receive.wr_id, len, status, 0));
    }

    /// Copies a message into the buffers of a receive.
    fn fill(&self, around: &Around<'_>, receive: &Receive, bytes: &[u8]) -> Status {
        let room: u64 = receive
            .buffers()
            .iter()
            .map(|buffer| u64::from(buffer.length))
            .sum();
        if room < bytes.len() as u64 {
            return Status::LocalLength;
        }
        let len = bytes.len() as u64;
        match self.locate(around.memory, receive.buffers(), 0, len, ACCESS_LOCAL_WRITE) {
            Some(ranges) => {
                ranges.fill(bytes);
                Status::Ok
            }
            None => Status::InvalidLocalKey,
        }
    }

    fn complete_receive(
        &self,
        around: &mut Around<'_>,
        from: SocketAddrV4,
        header: &Header,
        (wr_id, len, status, operation): (u64, u32, Status, u8),
    ) {
        let is_write = operation == 2;
        let completion = Completion {
            owner: self.id,
            wr_id,
            pair: self.number,
            source: u32::from(from.port()),
            len,
            immediate: header.immediate,
            address: around.addresses.number_of(&header.gid),
            status,
            opcode: if is_write {
                abi::WC_RECV_RDMA_WITH_IMM
            } else {
                abi::WC_RECV
            },
            unsolicited: is_write && self.made.unsolicited,
            operation,
            gid: header.gid,
        };
        if let Some(queue) = around.queues.get_mut(self.made.receive_queue) {
            queue.push(completion);
        }
    }

    /// Whether the target knows the initiator of an RDMA operation, and can do it: else why not.
    fn may(&self, around: &Around<'_>, header: &Header, capability: u64) -> Result<(), Status> {
        if around.settings.peer_check && around.addresses.number_of(&header.gid) == UNKNOWN {
            return Err(Status::UnknownPeer);
        }
        if around.port.can(capability) {
            Ok(())
        } else {
            Err(Status::RemoteAddress)
        }
    }

    fn remote_range(
        &self,
        around: &Around<'_>,
        header: &Header,
        access: u32,
    ) -> Result<Option<u64>, Status> {
        if header.len == 0 {
            return Ok(None);
        }
        let len = u64::from(header.len);
        let at = around
            .memory
            .find(self.made.pd, header.rkey, header.address, len, access);
        at.map(Some).ok_or(Status::RemoteAddress)
    }

    fn on_read(&mut self, around: &Around<'_>, from: SocketAddrV4, header: &Header) {
        let allowed = self.may(around, header, capability::READ);
        let range =
            match allowed.and_then(|()| self.remote_range(around, header, ACCESS_REMOTE_READ)) {
                Ok(range) => range,
                Err(status) => return self.refuse(around, from, header, status),
            };
        let answer = Header {
            device: header.device,
            cookie: header.cookie,
            psn: header.psn,
            len: header.len,
            ..Header::new(Kind::Response)
        };
        around
            .port
            .control
            .count(Counter::RdmaReadRespBytes, u64::from(header.len));
        let part = range.map(|at| [(at, header.len as usize)]);
        let parts = part.as_ref().map_or(&[][..], |part| &part[..]);
        self.transmit(around, Some(from), answer, Payload::Memory(parts), true);
    }

    /// A message or a piece of a write: carried out once.
    fn on_request(
        &mut self,
        around: &mut Around<'_>,
        from: SocketAddrV4,
        header: &Header,
        payload: &[u8],
        now: u64,
    ) {
        let source = self.sources.source_of(from, header.cookie, now);
        source.device = header.device;
        match source.judge(header.psn, header.unanswered, header.attempt) {
            Verdict::Stale => {
                around.port.control.count(Counter::RxDrops, 1);
                return;
            }
            Verdict::Seen => {
                source.acks.push(header.psn);
                return;
            }
            Verdict::New => {}
        }
        let done = if header.kind == Kind::Send {
            self.on_message(around, from, header, payload)
        } else {
            self.on_write(around, from, header, payload)
        };
        let source = self.sources.source_of(from, header.cookie, now);
        match done {
            Ok(()) => {
                source.mark(header.psn);
                source.acks.push(header.psn);
            }
            Err(Status::ReceiverNotReady) => {
                source.refuse(header.psn, header.attempt);
                self.refuse(around, from, header, Status::ReceiverNotReady);
            }
            Err(status) => {
                if status == Status::RemoteLength {
                    // The receive is used up, so the message must not come again.
                    source.mark(header.psn);
                }
                self.refuse(around, from, header, status);
            }
        }
    }

    fn on_message(
        &mut self,
        around: &mut Around<'_>,
        from: SocketAddrV4,
        header: &Header,
        payload: &[u8],
    ) -> Result<(), Status> {
        let control = &around.port.control;
        if control.get(Field::NotReady) != 0 {
            return Err(Status::ReceiverNotReady);
        }
        let receive = self.receives.pop_front().ok_or(Status::ReceiverNotReady)?;
        control.count(Counter::RecvWrs, 1);
        control.count(Counter::RecvBytes, payload.len() as u64);
        let status = self.fill(around, &receive, payload);
        self.complete_receive(around, from, header, (receive.wr_id, header.len, status, 0));
        if status == Status::LocalLength {
            Err(Status::RemoteLength)
        } else {
            Ok(())
        }
    }

    fn on_write(
        &mut self,
        around: &mut Around<'_>,
        from: SocketAddrV4,
        header: &Header,
        payload: &[u8],
    ) -> Result<(), Status> {
        self.may(around, header, capability::WRITE)?;
        let range = self.remote_range(around, header, ACCESS_REMOTE_WRITE)?;
        let notifies = header.kind == Kind::WriteImmediate;
        let receive = if notifies && !self.made.unsolicited {
            Some(self.receives.pop_front().ok_or(Status::ReceiverNotReady)?)
        } else {
            None
        };
        if let Some(at) = range {
            let mut ranges = crate::pair::Ranges::default();
            ranges.push(at, payload.len());
            ranges.fill(payload);
        }
        around
            .port
            .control
            .count(Counter::RdmaWriteRecvBytes, u64::from(header.len));
        if notifies {
            let wr_id = receive.map_or(0, |receive| receive.wr_id);
            self.complete_receive(around, from, header, (wr_id, header.total, Status::Ok, 2));
        }
        Ok(())
    }

    /// Ends the posted receives: the queue pair goes to the error state.
    pub(crate) fn flush_receives(&mut self, around: &mut Around<'_>) {
        for receive in std::mem::take(&mut self.receives) {
            let completion = Completion {
                owner: self.id,
                wr_id: receive.wr_id,
                pair: self.number,
                source: 0,
                len: 0,
                immediate: None,
                address: UNKNOWN,
                status: Status::Flushed,
                opcode: abi::WC_RECV,
                unsolicited: false,
                operation: 0,
                gid: [0; 16],
            };
            if let Some(queue) = around.queues.get_mut(self.made.receive_queue) {
                queue.push(completion);
            }
        }
    }

    /// Acknowledges what arrived.
    fn send_acks(&mut self, around: &Around<'_>) {
        let due: Vec<_> = self
            .sources
            .iter_mut()
            .filter(|(_, _, source)| !source.acks.is_empty())
            .map(|(from, cookie, source)| {
                (
                    from,
                    cookie,
                    source.device,
                    std::mem::take(&mut source.acks),
                )
            })
            .collect();
        for (to, cookie, device, psns) in due {
            for some in psns.chunks(MAX_ACKS) {
                let (header, payload) = ack(cookie, device, some);
                self.transmit(around, Some(to), header, Payload::Own(&payload), false);
            }
        }
    }

    /// The last word of a queue pair that goes: what it received, once more, so that a lost
    /// acknowledgement does not fail what was delivered. No fault touches these packets.
    pub(crate) fn say_goodbye(&mut self, around: &Around<'_>) {
        self.send_delayed(u64::MAX);
        let now = tick::now();
        let recent: Vec<_> = self
            .sources
            .iter_mut()
            .filter(|(_, _, source)| {
                now.saturating_sub(source.last_received) < around.settings.timeout
            })
            .map(|(from, cookie, source)| {
                (
                    from,
                    cookie,
                    source.device,
                    source.delivered(MAX_ACKS as u32),
                )
            })
            .collect();
        for (to, cookie, device, psns) in recent {
            let (header, payload) = ack(cookie, device, &psns);
            self.transmit_last_word(around.port, to, header, &payload);
        }
    }
}

fn ack(cookie: u64, device: u8, psns: &[u32]) -> (Header, Vec<u8>) {
    let header = Header {
        cookie,
        device,
        len: psns.len() as u32,
        ..Header::new(Kind::Ack)
    };
    (
        header,
        psns.iter().flat_map(|psn| psn.to_le_bytes()).collect(),
    )
}
