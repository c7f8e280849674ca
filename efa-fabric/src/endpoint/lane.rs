//! The lane to one peer: buffers, contexts, and the calls of the measured loop.
//!
//! A message costs one post and a share of one completion-queue read; function pointers are
//! looked up once, after enabling, and nothing allocates or locks.

use std::ffi::c_void;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::rc::Rc;

use super::Endpoint;
use super::calls::{Messages, Post, Rma};
use crate::cuda::Gpu;
use crate::error::{Code, Error, Result};
use crate::ffi::{self, FiContext2, FiCqDataEntry, FidCq, FidEp, checked_op};
use crate::handle::Bell;
use crate::handle::region::MemoryRegion;
use crate::memory::{Arena, Buffer};
use crate::operation::Operation;

mod errors;
mod registration;

pub(crate) use super::calls::Remote;

/// Completions that one read takes at most.
const BATCH: usize = 16;
const CONTEXT: usize = size_of::<FiContext2>();
const AGAIN: isize = -(libc::EAGAIN as isize);

/// The descriptor for memory that is not registered.
const NO_DESCRIPTOR: *mut c_void = std::ptr::null_mut();

/// What became of an operation that was to be posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Posted {
    /// The library has it.
    Yes,
    /// No room: read the completion queue, which also moves things on, and try again.
    Again,
}

/// Something that came from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// The receive that it used up.
    pub(crate) slot: Option<u32>,
    /// Bytes of a message.
    pub(crate) length: usize,
    /// Where that receive was posted in the memory for messages.
    pub(crate) offset: usize,
    /// Whether it is the immediate data of a write.
    pub(crate) is_remote_write: bool,
}

/// One of a lane's buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Sent from, or read into.
    Outgoing,
    /// Received into.
    Incoming,
    /// Written to and read from by the peer.
    Exposed,
}

/// Lengths of a lane's buffers in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lengths {
    pub(crate) outgoing: usize,
    pub(crate) incoming: usize,
    /// 0 where the peer addresses no memory.
    pub(crate) exposed: usize,
}

/// An endpoint with one peer, and a limited number of receives and sends outstanding.
pub(crate) struct Lane {
    // Dropped by hand: endpoint and regions first, then the memory that they refer to.
    regions: ManuallyDrop<Vec<MemoryRegion>>,
    endpoint: ManuallyDrop<Rc<Endpoint>>,
    memory: ManuallyDrop<Memory>,

    ep: *mut FidEp,
    cq: *mut FidCq,
    messages: Messages,
    rma: Option<Rma>,
    read: ffi::CqReadFn,
    peer: u64,
    peer_name: String,
    tx_descriptor: *mut c_void,
    rx_descriptor: *mut c_void,
    inject_size: usize,
    operation: Operation,
    /// Our memory that the peer may reach.
    exposed: Option<Remote>,
    /// The peer's.
    remote: Remote,
    /// Whether immediate data uses up a receive, which the provider reports.
    data_takes_receives: bool,

    receive_slots: usize,
    /// Whether anything came from the peer.
    has_received: bool,
    /// Which receive slots the library holds.
    posted: Vec<bool>,
    /// Where it posted them.
    offsets: Vec<usize>,
    /// Where completions are read into.
    entries: Box<[MaybeUninit<FiCqDataEntry>; BATCH]>,
    /// What has arrived and was not taken yet.
    arrived: Vec<Arrival>,
    /// Send contexts that the library does not hold.
    free_sends: Vec<u32>,
    send_slots: usize,
}

/// What the library refers to while operations are posted.
struct Memory {
    tx: Buffer,
    rx: Buffer,
    exposed: Option<Buffer>,
    /// One `fi_context2` per slot, receives first: each outstanding operation has its own.
    contexts: Arena,
}

impl Lane {
    /// Inserts the peer, registers buffers of these lengths where the provider or the operation
    /// demands it. `slots` are sends and receives. Buffers lie in the memory of the GPU, where
    /// there is one.
    pub(crate) fn new(
        endpoint: Rc<Endpoint>,
        peer: &[u8],
        peer_name: String,
        operation: Operation,
        slots: (usize, usize),
        lengths: Lengths,
        gpu: Option<&Rc<Gpu>>,
    ) -> Result<Self> {
        let (send_slots, receive_slots) = slots;
        let peer = endpoint.av.insert(peer)?;
        let memory = Memory {
            tx: Buffer::new(lengths.outgoing, gpu)?,
            rx: Buffer::new(lengths.incoming, gpu)?,
            exposed: (lengths.exposed > 0)
                .then(|| Buffer::new(lengths.exposed, gpu))
                .transpose()?,
            contexts: Arena::new((send_slots + receive_slots) * CONTEXT)?,
        };
        let library = endpoint.library();
        let ep = endpoint.raw.handle().as_ptr();
        let cq = endpoint.cq.handle().as_ptr();
        // SAFETY: both objects are open and enabled.
        let (messages, rma, completions) = unsafe {
            (
                Messages::look_up(ep, operation, library)?,
                Rma::look_up(ep, operation, library)?,
                (*cq).ops,
            )
        };
        let read =
            checked_op!(completions, FiOpsCq, read).ok_or_else(|| library.missing("fi_cq_read"))?;
        // What is injected is copied at the call, by the processor.
        let inject_size = match gpu {
            None => endpoint.inject_size(operation),
            Some(_) => 0,
        };
        let data_takes_receives = endpoint.entry.entry().mode() & ffi::FI_MODE_RX_CQ_DATA != 0;
        let mut lane = Self {
            regions: ManuallyDrop::new(Vec::new()),
            endpoint: ManuallyDrop::new(endpoint),
            memory: ManuallyDrop::new(memory),
            ep,
            cq,
            messages,
            rma,
            read,
            peer,
            peer_name,
            tx_descriptor: NO_DESCRIPTOR,
            rx_descriptor: NO_DESCRIPTOR,
            inject_size,
            operation,
            exposed: None,
            remote: Remote {
                address: 0,
                key: 0,
                length: 0,
            },
            data_takes_receives,
            receive_slots,
            has_received: false,
            posted: vec![false; receive_slots],
            offsets: vec![0; receive_slots],
            entries: Box::new([const { MaybeUninit::uninit() }; BATCH]),
            // Immediate data may come without a receive, as much as there are sends over there.
            arrived: Vec::with_capacity(receive_slots + send_slots + BATCH),
            free_sends: (0..send_slots).map(|slot| slot as u32).collect(),
            send_slots,
        };
        lane.register(gpu)?;
        Ok(lane)
    }

    /// The memory that the peer may reach.
    pub(crate) fn exposed(&self) -> Option<Remote> {
        self.exposed
    }

    /// Takes the memory of the peer that operations reach.
    pub(crate) fn aim(&mut self, remote: Remote) {
        self.remote = remote;
    }

    /// Fills the start of a buffer with a pattern. Nothing may be posted on it.
    pub(crate) fn fill(&mut self, place: Place, length: usize, seed: u64) -> Result<()> {
        let memory = &mut *self.memory;
        let buffer = match place {
            Place::Outgoing => Some(&mut memory.tx),
            Place::Incoming => Some(&mut memory.rx),
            Place::Exposed => memory.exposed.as_mut(),
        };
        match buffer.map_or(Ok(false), |buffer| buffer.fill(length, seed))? {
            true => Ok(()),
            false => Err(self.outside("the pattern", length)),
        }
    }

    /// The first byte of a buffer that is not the pattern's.
    pub(crate) fn mismatch(
        &self,
        place: Place,
        offset: usize,
        length: usize,
        seed: u64,
    ) -> Result<Option<usize>> {
        let buffer = match place {
            Place::Outgoing => Some(&self.memory.tx),
            Place::Incoming => Some(&self.memory.rx),
            Place::Exposed => self.memory.exposed.as_ref(),
        };
        buffer.map_or(Ok(Some(0)), |buffer| buffer.mismatch(offset, length, seed))
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends that the library still holds; injected ones are never among them.
    #[inline]
    pub(crate) fn sends_in_flight(&self) -> usize {
        self.send_slots - self.free_sends.len()
    }

    /// Leaves the endpoint open for good, and all that it refers to.
    pub(crate) fn abandon(&mut self) {
        std::mem::forget(Rc::clone(&self.endpoint));
    }

    pub(crate) fn receive_slots(&self) -> usize {
        self.receive_slots
    }

    /// Posts a message from the send buffer; small ones are copied by the library at once.
    #[inline]
    pub(crate) fn send(&mut self, offset: usize, length: usize) -> Result<Posted> {
        let Some(message) = self.memory.tx.at(offset, length) else {
            return Err(self.outside("fi_send", length));
        };
        if length <= self.inject_size {
            // SAFETY: the endpoint is enabled, the message lies in memory of this lane, and the
            // library is done with it when the call returns.
            let code = unsafe { self.messages.inject(self.ep, message, length, self.peer) };
            return self.posted("fi_inject", code);
        }
        let Some(slot) = self.free_sends.pop() else {
            return Ok(Posted::Again);
        };
        let post = self.post(slot, message, length);
        // SAFETY: as above; message and context live until the endpoint is closed, and the
        // context is not in use, because its slot was free.
        let code = unsafe { self.messages.send(post) };
        if code != 0 {
            self.free_sends.push(slot);
        }
        self.posted("fi_send", code)
    }

    /// Posts the operation that is measured: a message, or a transfer to or from the peer's
    /// memory at the same offset.
    #[inline]
    pub(crate) fn transfer(&mut self, offset: usize, length: usize) -> Result<Posted> {
        let Some(rma) = self.rma else {
            return self.send(offset, length);
        };
        let inside = offset + length <= self.remote.length;
        let Some(message) = self.memory.tx.at(offset, length).filter(|_| inside) else {
            return Err(self.outside(rma.call(), length));
        };
        let Some(slot) = self.free_sends.pop() else {
            return Ok(Posted::Again);
        };
        let post = self.post(slot, message, length);
        let address = self.remote.address.wrapping_add(offset as u64);
        // SAFETY: the endpoint is enabled; message and context live until it is closed, and the
        // context is not in use. The peer keeps its memory until both sides have ended.
        let code = unsafe { rma.post(post, address, self.remote.key) };
        if code != 0 {
            self.free_sends.push(slot);
        }
        self.posted(rma.call(), code)
    }

    #[inline]
    fn post(&self, slot: u32, buffer: *mut c_void, length: usize) -> Post {
        Post {
            ep: self.ep,
            buffer,
            length,
            descriptor: self.tx_descriptor,
            peer: self.peer,
            context: self.context(self.receive_slots + slot as usize),
        }
    }

    /// Posts a receive into the receive buffer; a slot that is posted already stays so.
    #[inline]
    pub(crate) fn receive(&mut self, slot: u32, offset: usize, length: usize) -> Result<Posted> {
        let index = slot as usize;
        if self.posted[index] {
            return Ok(Posted::Yes);
        }
        let Some(buffer) = self.memory.rx.at(offset, length) else {
            return Err(self.outside("fi_recv", length));
        };
        let post = Post {
            ep: self.ep,
            buffer,
            length,
            descriptor: self.rx_descriptor,
            peer: ffi::FI_ADDR_NOTAVAIL,
            context: self.context(index),
        };
        // SAFETY: the endpoint is enabled; buffer and context live until it is closed, and the
        // context is not in use, because its slot is not posted.
        let code = unsafe { self.messages.receive(post) };
        self.posted[index] = code == 0;
        self.offsets[index] = offset;
        self.posted("fi_recv", code)
    }

    /// Reads completions, which also moves the provider on; how many there were.
    #[inline]
    pub(crate) fn poll(&mut self) -> Result<usize> {
        // SAFETY: the queue is open, with entries of this format, and there is room for BATCH.
        let code = unsafe { (self.read)(self.cq, self.entries.as_mut_ptr().cast(), BATCH) };
        if code == AGAIN {
            return Ok(0);
        }
        self.take_entries(code)
    }

    /// What was read, or why nothing was. Apart from [`Self::poll`], so that an empty poll, which
    /// is what waiting for a message is, costs a call and a comparison.
    #[inline(never)]
    fn take_entries(&mut self, code: isize) -> Result<usize> {
        if code < 0 {
            return Err(self.completion_error(code));
        }
        let count = code as usize;
        for index in 0..count.min(BATCH) {
            // SAFETY: the library filled this many entries, which are plain values.
            let entry = unsafe { self.entries[index].assume_init_read() };
            self.complete(&entry)?;
        }
        Ok(count)
    }

    /// What may be slept on until there is something to read.
    #[cold]
    pub(crate) fn bell(&self) -> Bell {
        self.endpoint.cq.bell()
    }

    /// Something that has arrived; its receive must be posted again to be used again.
    #[inline]
    pub(crate) fn take_arrived(&mut self) -> Option<Arrival> {
        self.arrived.pop()
    }

    #[inline]
    fn context(&self, index: usize) -> *mut c_void {
        self.memory
            .contexts
            .at(index * CONTEXT, CONTEXT)
            .unwrap_or(std::ptr::null_mut())
    }

    #[inline]
    fn complete(&mut self, entry: &FiCqDataEntry) -> Result<()> {
        let is_remote_write = is_remote_write(entry.flags);
        let mut arrival = Arrival {
            slot: None,
            length: entry.len,
            offset: 0,
            is_remote_write,
        };
        if is_remote_write && !self.data_takes_receives {
            self.has_received = true;
            // Its context belongs to nobody (fi_cq(3)).
            self.arrived.push(arrival);
            return Ok(());
        }
        let offset =
            (entry.op_context as usize).wrapping_sub(self.memory.contexts.start() as usize);
        let index = offset / CONTEXT;
        if index < self.receive_slots && self.posted[index] {
            self.posted[index] = false;
            self.has_received = true;
            arrival.slot = Some(index as u32);
            arrival.offset = self.offsets[index];
            self.arrived.push(arrival);
        } else if index >= self.receive_slots
            && index < self.receive_slots + self.send_slots
            && self.free_sends.len() < self.send_slots
        {
            self.free_sends.push((index - self.receive_slots) as u32);
            // A message may be complete before it arrives; what is one-sided is not.
            self.has_received |= self.operation.is_one_sided();
        } else {
            return Err(Error::new(
                Code::CallFailed,
                "fi_cq_read returned a completion that nobody asked for",
            )
            .with_context("call", "fi_cq_read")
            .with_context("provider", &self.endpoint.info.provider));
        }
        Ok(())
    }

    #[inline]
    fn posted(&self, call: &'static str, code: isize) -> Result<Posted> {
        match code {
            0 => Ok(Posted::Yes),
            AGAIN => Ok(Posted::Again),
            _ => {
                let number = i32::try_from(-code).unwrap_or(i32::MAX);
                let detail = self.endpoint.library().strerror(number);
                Err(self.endpoint.operation_failed(
                    call,
                    (number, None),
                    &detail,
                    &self.peer_name,
                    self.has_received,
                ))
            }
        }
    }

    #[cold]
    fn outside(&self, call: &'static str, length: usize) -> Error {
        Error::new(
            Code::BadSize,
            format!("{call} of {length} bytes does not fit the message buffer"),
        )
        .with_context("size", length)
    }

    /// An error that the provider reported by itself, outside of any operation.
    #[cold]
    pub(crate) fn event(&self) -> Option<Error> {
        let event = self.endpoint.eq.error()?;
        Some(self.endpoint.operation_failed(
            "provider",
            (event.number, Some(event.own_number)),
            &event.detail,
            &self.peer_name,
            self.has_received,
        ))
    }
}

/// Whether a completion is the arrival of immediate data, and not the end of a write of this side,
/// which has `FI_WRITE` and may carry the data as well. `FI_REMOTE_WRITE` decides: the arrival on
/// `efa` up to 1.17 has both (prov/efa/src/rxr/rxr_pkt_type_req.c; gone in 1.18).
#[inline]
const fn is_remote_write(flags: u64) -> bool {
    flags & ffi::FI_REMOTE_CQ_DATA != 0
        && (flags & ffi::FI_REMOTE_WRITE != 0 || flags & ffi::FI_WRITE == 0)
}

impl Drop for Lane {
    fn drop(&mut self) {
        let idle = !self.posted.contains(&true) && self.sends_in_flight() == 0;
        // SAFETY: each is taken or dropped once, here. The memory is freed only if the endpoint
        // is closed, or nothing is posted (registering failed, for example); else it is left to the
        // library, which may still write into it: that is so where closing fails, and where
        // someone else still holds the endpoint.
        unsafe {
            let regions = ManuallyDrop::take(&mut self.regions);
            let closed = match Rc::try_unwrap(ManuallyDrop::take(&mut self.endpoint)) {
                Ok(endpoint) => endpoint.close(regions),
                Err(_) => {
                    drop(regions);
                    idle
                }
            };
            if closed {
                ManuallyDrop::drop(&mut self.memory);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrival_is_distinguished_from_the_end_of_a_write_of_this_side() {
        let (rma, data) = (ffi::FI_RMA, ffi::FI_REMOTE_CQ_DATA);
        let (write, remote) = (ffi::FI_WRITE, ffi::FI_REMOTE_WRITE);
        for (flags, expected) in [
            // Seen of arrivals with libfabric 1.17: shm, sockets and udp; tcp; efa. Of them efa alone has
            // FI_WRITE, so that only a probe over efa shows it (tests/python/test_soft_probes.py).
            (rma | remote | data, true),
            (remote | data, true),
            (rma | write | remote | data, true),
            // A provider that names only the data.
            (data, true),
            (rma | write, false),
            // sockets of 1.17 gives the end of a write its data.
            (rma | write | data, false),
            // A plain write of the peer, where a provider reports it.
            (rma | remote, false),
            (ffi::FI_MSG | ffi::FI_RECV, false),
            (ffi::FI_MSG | ffi::FI_SEND, false),
        ] {
            assert_eq!(is_remote_write(flags), expected, "{flags:#x}");
        }
    }
}
