//! A queue pair: its queues, its flows, and how a work request ends.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::abi::{self, QpCap, Sge};
use crate::addresses::{self, Addresses, UNKNOWN};
use crate::area::Area;
use crate::capability::MAX_SGE;
use crate::completion::{Completion, Queue};
use crate::control::{Counter, Field};
use crate::memory::Memory;
use crate::port::Port;
use crate::settings::Settings;
use crate::slab::Slab;
use crate::socket::{Socket, is_port_of};
use crate::sources::Sources;
use crate::status::Status;
use crate::tick;
use crate::wire::Header;
use crate::work::{Flow, Operation, Receive, Work};

/// How late a reordered packet leaves, ns.
const REORDER: u64 = 300_000;

/// What a queue pair needs of its device.
pub(crate) struct Around<'a> {
    pub(crate) port: &'a Port,
    pub(crate) settings: &'a Settings,
    pub(crate) queues: &'a mut Slab<Queue>,
    pub(crate) memory: &'a Memory,
    pub(crate) addresses: &'a Addresses,
}

/// What a queue pair is made with.
pub(crate) struct Making {
    pub(crate) reliable: bool,
    pub(crate) unsolicited: bool,
    pub(crate) signal_all: bool,
    pub(crate) pd: u32,
    pub(crate) send_queue: usize,
    pub(crate) receive_queue: usize,
    pub(crate) cap: QpCap,
}

/// A packet that leaves later.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Delayed {
    at: u64,
    to: SocketAddrV4,
    bytes: Vec<u8>,
}

/// Send and receive queue in memory, and how far they were read.
pub(crate) struct InMemory {
    pub(crate) send: Area,
    pub(crate) send_entries: u32,
    pub(crate) send_read: u16,
    pub(crate) receive: Area,
    pub(crate) receive_entries: u32,
    pub(crate) receive_read: u16,
}

/// A queue pair. SRD if `made.reliable`, else UD.
pub(crate) struct Pair {
    /// Unique in this process.
    pub(crate) id: u64,
    pub(crate) number: u32,
    pub(crate) made: Making,
    pub(crate) state: u32,
    pub(crate) qkey: u32,
    pub(crate) cookie: u64,
    /// Retries when the receiver is not ready; 7: without end.
    pub(crate) rnr_retry: u8,
    pub(crate) socket: Socket,
    pub(crate) works: Slab<Work>,
    pub(crate) posted: u32,
    pub(crate) flows: Vec<Flow>,
    by_address: HashMap<(SocketAddrV4, u8), usize>,
    nowhere: Option<usize>,
    pub(crate) receives: VecDeque<Receive>,
    pub(crate) sources: Sources,
    delayed: BinaryHeap<Reverse<Delayed>>,
    /// When something is due that no packet announces.
    pub(crate) timer: u64,
    pub(crate) in_memory: Option<InMemory>,
}

impl Pair {
    pub(crate) fn new(port: &Port, made: Making) -> std::io::Result<Self> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let (socket, number) = Socket::bind(port.ip, port.index)?;
        Ok(Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            number,
            made,
            state: abi::QPS_RESET,
            qkey: 0,
            cookie: tick::random(),
            rnr_retry: 7,
            socket,
            works: Slab::new(),
            posted: 0,
            flows: Vec::new(),
            by_address: HashMap::new(),
            nowhere: None,
            receives: VecDeque::new(),
            sources: Sources::new(),
            delayed: BinaryHeap::new(),
            timer: u64::MAX,
            in_memory: None,
        })
    }

    /// Notes that something is due at a time.
    pub(crate) fn wake_at(&mut self, at: u64) {
        self.timer = self.timer.min(at);
    }

    /// The flow to a queue pair. A GID that is not a soft device's leads nowhere.
    pub(crate) fn flow_to(&mut self, gid: &[u8; 16], pair: u32) -> usize {
        // The descriptors of the real device have 16 bits for the number.
        let number = pair & 0xffff;
        let route = addresses::of_gid(gid).filter(|(_, index)| is_port_of(number, *index));
        let Some((ip, index)) = route else {
            return *self.nowhere.get_or_insert_with(|| {
                self.flows.push(Flow::new(None, 0));
                self.flows.len() - 1
            });
        };
        let to = SocketAddrV4::new(ip, number as u16);
        *self.by_address.entry((to, index)).or_insert_with(|| {
            self.flows.push(Flow::new(Some(to), index));
            self.flows.len() - 1
        })
    }

    /// The flow that an answer belongs to.
    pub(crate) fn flow_from(&self, from: SocketAddrV4, device: u8) -> Option<usize> {
        self.by_address.get(&(from, device)).copied()
    }

    /// Sends a packet from this queue pair, or lets a fault have it. `payload` bytes count;
    /// `answers` means that the rate delays the packet instead of having held it back before.
    pub(crate) fn transmit(
        &mut self,
        around: &Around<'_>,
        to: Option<SocketAddrV4>,
        mut header: Header,
        payload: Payload<'_>,
        answers: bool,
    ) -> bool {
        let control = &around.port.control;
        let len = payload.len();
        header.gid = around.port.gid;
        control.count(Counter::TxPkts, 1);
        if header.kind.carries_data() {
            control.count(Counter::TxBytes, len as u64);
        }
        let Some(to) = to else { return true };
        if control.mute() || tick::chance(control.part(Field::Loss)) {
            return true;
        }
        let now = tick::now();
        let mut at = if answers {
            control.leaves_at(len, now)
        } else {
            now
        };
        at = at.saturating_add(control.get(Field::DelayUs).saturating_mul(1_000));
        if tick::chance(control.part(Field::Reorder)) {
            at = at.saturating_add(REORDER);
        }
        let head = header.encode();
        if at > now.saturating_add(20_000) {
            let Some(bytes) = payload.copied(&head) else {
                return false;
            };
            self.delayed.push(Reverse(Delayed { at, to, bytes }));
            self.wake_at(at);
            return true;
        }
        self.send_pieces(to, &head, payload)
    }

    fn send_pieces(&self, to: SocketAddrV4, head: &[u8], payload: Payload<'_>) -> bool {
        let mut pieces = [libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        }; 1 + MAX_SGE];
        pieces[0] = libc::iovec {
            iov_base: head.as_ptr() as *mut _,
            iov_len: head.len(),
        };
        let count = match payload {
            Payload::Own(bytes) => {
                pieces[1] = libc::iovec {
                    iov_base: bytes.as_ptr() as *mut _,
                    iov_len: bytes.len(),
                };
                1
            }
            Payload::Memory(ranges) => {
                for (piece, (address, len)) in pieces[1..].iter_mut().zip(ranges) {
                    *piece = libc::iovec {
                        iov_base: *address as *mut _,
                        iov_len: *len,
                    };
                }
                ranges.len().min(MAX_SGE)
            }
        };
        self.socket.send(to, &mut pieces[..=count])
    }

    /// Sends a packet that no fault may touch: the last word of a queue pair that goes.
    pub(crate) fn transmit_last_word(
        &self,
        port: &Port,
        to: SocketAddrV4,
        mut header: Header,
        payload: &[u8],
    ) {
        header.gid = port.gid;
        if !port.control.mute() {
            self.send_pieces(to, &header.encode(), Payload::Own(payload));
        }
    }

    /// Sends what was delayed until now (or everything).
    pub(crate) fn send_delayed(&mut self, now: u64) {
        while let Some(Reverse(first)) = self.delayed.peek() {
            if first.at > now {
                let at = first.at;
                self.wake_at(at);
                return;
            }
            if let Some(Reverse(packet)) = self.delayed.pop() {
                self.send_pieces(packet.to, &packet.bytes, Payload::Own(&[]));
            }
        }
    }

    /// Ends a work request: forgets its packets, counts, and completes.
    pub(crate) fn finish(&mut self, around: &mut Around<'_>, slot: usize, status: Status) {
        let Some(work) = self.works.remove(slot) else {
            return;
        };
        self.posted = self.posted.saturating_sub(1);
        if let Some(flow) = self.flows.get_mut(work.flow) {
            flow.segments.retain(|segment| segment.work != slot);
            if work.made < work.packets {
                flow.waiting.retain(|waiting| *waiting != slot);
            }
        }
        count_end(around.port, &work, status);
        if around.settings.trace > 0 && status != Status::Ok {
            eprintln!(
                "efa-soft: queue pair {}: {:?} ends with {status:?}",
                self.number, work.operation
            );
        }
        if !work.signaled && !self.made.signal_all && status == Status::Ok {
            return;
        }
        // rdma-core knows two operations in completions of the send queue: writes, and the rest.
        let (opcode, operation) = match work.operation {
            Operation::Write => (abi::WC_RDMA_WRITE, 2),
            Operation::Read => (abi::WC_SEND, 1),
            Operation::Send | Operation::Unsupported => (abi::WC_SEND, 0),
        };
        let completion = Completion {
            owner: self.id,
            wr_id: work.wr_id,
            pair: self.number,
            source: 0,
            len: 0,
            immediate: None,
            address: UNKNOWN,
            status,
            opcode,
            unsolicited: false,
            operation,
            gid: [0; 16],
        };
        if let Some(queue) = around.queues.get_mut(self.made.send_queue) {
            queue.push(completion);
        }
    }

    /// Where `len` bytes from `offset` on of a request's buffers lie, or `None` for a key that does
    /// not cover them.
    pub(crate) fn locate(
        &self,
        memory: &Memory,
        buffers: &[Sge],
        offset: u64,
        len: u64,
        access: u32,
    ) -> Option<Ranges> {
        let (mut skip, mut left) = (offset, len);
        let mut ranges = Ranges::default();
        for buffer in buffers {
            let size = u64::from(buffer.length);
            if skip >= size || left == 0 {
                skip = skip.saturating_sub(size);
                continue;
            }
            let here = (size - skip).min(left);
            let address = buffer.addr.checked_add(skip)?;
            let at = memory.find(self.made.pd, buffer.lkey, address, here, access)?;
            ranges.push(at, here as usize);
            left -= here;
            skip = 0;
        }
        (left == 0).then_some(ranges)
    }
}

/// Parts of registered memory of this process.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ranges {
    parts: [(u64, usize); MAX_SGE],
    count: usize,
}

impl Ranges {
    pub(crate) fn push(&mut self, address: u64, len: usize) {
        self.parts[self.count] = (address, len);
        self.count += 1;
    }

    pub(crate) fn parts(&self) -> &[(u64, usize)] {
        &self.parts[..self.count]
    }

    /// Copies bytes to where the ranges are.
    pub(crate) fn fill(&self, mut bytes: &[u8]) {
        for (address, len) in self.parts() {
            let (now, later) = bytes.split_at(bytes.len().min(*len));
            bytes = later;
            // SAFETY: the range lies in memory that the program registered, which `Memory::find`
            // checked, and which it must keep mapped and writable until it deregisters it, as for
            // a real device; `now` is a packet buffer of this library, so that they do not overlap.
            unsafe { std::ptr::copy_nonoverlapping(now.as_ptr(), *address as *mut u8, now.len()) };
        }
    }
}

/// What follows the header of a packet.
#[derive(Clone, Copy)]
pub(crate) enum Payload<'a> {
    /// Bytes of this library.
    Own(&'a [u8]),
    /// Parts of registered memory.
    Memory(&'a [(u64, usize)]),
}

impl Payload<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Own(bytes) => bytes.len(),
            Self::Memory(parts) => parts.iter().map(|(_, len)| len).sum(),
        }
    }

    /// The whole packet in memory of this library; `None` if its payload is not mapped any more.
    fn copied(&self, head: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(head.len() + self.len());
        out.extend_from_slice(head);
        match self {
            Self::Own(bytes) => out.extend_from_slice(bytes),
            Self::Memory(parts) => {
                for (address, len) in *parts {
                    let start = out.len();
                    out.resize(start + len, 0);
                    read_own(*address, &mut out[start..])?;
                }
            }
        }
        Some(out)
    }
}

/// Copies memory of this process that may have been unmapped: the kernel looks. Where a sandbox forbids
/// the call, the memory must be there, as for `Ranges::fill`.
fn read_own(address: u64, into: &mut [u8]) -> Option<()> {
    let to = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    let from = libc::iovec {
        iov_base: address as *mut _,
        iov_len: into.len(),
    };
    // SAFETY: `to` is a slice of this library; the kernel checks what `from` points to, and reads only.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &to, 1, &from, 1, 0) };
    if read >= 0 {
        return (read as usize == into.len()).then_some(());
    }
    if io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT) {
        return None;
    }
    // SAFETY: as in `Ranges::fill`, the other way round.
    unsafe {
        std::ptr::copy_nonoverlapping(address as *const u8, into.as_mut_ptr(), into.len());
    }
    Some(())
}

fn count_end(port: &Port, work: &Work, status: Status) {
    let control = &port.control;
    let (requests, bytes, error) = match work.operation {
        Operation::Send => (Counter::SendWrs, Counter::SendBytes, None),
        Operation::Read => (
            Counter::RdmaReadWrs,
            Counter::RdmaReadBytes,
            Some(Counter::RdmaReadWrErr),
        ),
        Operation::Write => (
            Counter::RdmaWriteWrs,
            Counter::RdmaWriteBytes,
            Some(Counter::RdmaWriteWrErr),
        ),
        Operation::Unsupported => return,
    };
    if status == Status::Ok {
        control.count(requests, 1);
        control.count(bytes, work.len());
    } else if let Some(error) = error {
        control.count(error, 1);
    }
    if matches!(status, Status::Unresponsive | Status::Unreachable) {
        control.count(Counter::UnresponsiveRemoteEvents, 1);
    }
}
