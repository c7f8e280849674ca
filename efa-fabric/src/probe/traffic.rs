//! Transfers and acknowledgements on a lane, with retries: what both sides of a probe are made of.

use std::rc::Rc;

use super::guard::Guard;
use super::options::{Buffers, ProbeOptions};
use crate::clock::now_ns;
use crate::cuda::Gpu;
use crate::endpoint::Endpoint;
use crate::endpoint::lane::{Arrival, Lane, Lengths, Place, Posted};
use crate::error::Result;
use crate::operation::Operation;
use crate::provider;

/// Bytes of an acknowledgement, unless messages of the measurement are as long.
const ACK_SIZE: usize = 8;
/// Bytes in flight, and bytes of distinct buffers, at most.
const MEMORY: usize = 256 << 20;
/// Sends, and receives, beyond the window: acknowledgements.
pub(crate) const SPARE: usize = 8;

/// Providers between whose endpoints both sides must send before either reads.
///
/// In libfabric 2.x, `shm` endpoints of one process learn where the other sees their memory
/// only from its connection request. A side that never sends one, because it was connected by
/// answering, leaves the other with address 0: the first message above the inline size then
/// crashes the process (prov/shm/src/smr_av.c, `smr_map_to_region` returns before
/// `smr_map_to_endpoint`; seen with 2.5.1, and the same in the source of 2.6.0).
const GREETERS: [&str; 1] = ["shm"];

/// Layers whose endpoints must not be closed while large messages are under way: of libfabric
/// 1.17, `ofi_rxm` then frees what it goes on to use (SIGSEGV in fi_close in most of the probes of
/// 1 MiB that were interrupted; none of 64 KiB, nor with 2.5.1, whose `tcp` has no such layer).
const FRAGILE_LAYERS: [&str; 1] = ["ofi_rxm"];
/// Pauses of the processor after an empty poll over `shm`. Each poll takes a lock there that the sender
/// needs to leave its message: without pauses, 64 B take 6 to 9 % longer between two cores.
const SHM_PAUSES: u32 = 2;
/// Time without a completion after which nothing is taken to be under way any more. With 20 ms, 1 of 18
/// interrupted probes crashed where six threads that spin shared a core: the other side had its turn
/// every 24 ms.
const QUIET_NS: u64 = 100_000_000;
/// Time to wait for sends that do not end.
const SETTLE_NS: u64 = 500_000_000;

/// A lane and how its buffers are laid out for the size at hand.
pub(crate) struct Traffic {
    lane: Lane,
    operation: Operation,
    /// The largest size of the probe.
    largest: usize,
    /// Length of every posted receive: whatever comes as a message fits.
    capacity: usize,
    /// Bytes by which buffers may be apart; 0 when one is reused.
    span: usize,
    window: usize,
    stride: usize,
    buffers: usize,
    next_send: usize,
    /// Of the processor, after an empty poll.
    pauses: u32,
}

impl Traffic {
    /// Buffers for the largest message; the window both sides agreed on.
    pub(crate) fn new(
        endpoint: Rc<Endpoint>,
        peer: &[u8],
        peer_name: String,
        window: usize,
        options: &ProbeOptions,
        gpu: Option<&Rc<Gpu>>,
    ) -> Result<Self> {
        let (operation, largest) = (options.operation, options.largest());
        let span = match options.buffers {
            Buffers::Reused => 0,
            Buffers::Distinct => largest.saturating_mul(window).min(MEMORY),
        };
        let limit = |size: u64| usize::try_from(size).unwrap_or(usize::MAX).max(1);
        let (tx_limit, rx_limit) = (
            limit(endpoint.info().tx_size),
            limit(endpoint.info().rx_size),
        );
        // With both sides sending, acknowledgements come between the messages.
        let spare = if options.is_bidirectional() { SPARE } else { 0 };
        let slots = (
            (window + SPARE).min(tx_limit),
            (window + spare).max(2).min(rx_limit),
        );
        // Transfers to memory pass the receives by.
        let capacity = if operation.is_rma() { 0 } else { largest }.max(ACK_SIZE + 1);
        let buffers = largest.max(ACK_SIZE + 1) + span;
        let lengths = Lengths {
            outgoing: buffers,
            incoming: if operation.is_rma() {
                capacity
            } else {
                buffers
            },
            exposed: if operation.is_rma() { buffers } else { 0 },
        };
        let pauses = match provider::is(&endpoint.info().provider, "shm") {
            true => SHM_PAUSES,
            false => 0,
        };
        let lane = Lane::new(endpoint, peer, peer_name, operation, slots, lengths, gpu)?;
        Ok(Self {
            lane,
            operation,
            largest,
            capacity,
            span,
            window,
            stride: 0,
            buffers: 1,
            next_send: 0,
            pauses,
        })
    }

    /// Exchanges one message in each direction, where the provider needs that first.
    pub(crate) fn greet(&mut self, guard: &mut Guard<'_>) -> Result<()> {
        let provider = provider::base(&self.endpoint().info().provider);
        if !GREETERS
            .iter()
            .any(|name| provider.eq_ignore_ascii_case(name))
        {
            return Ok(());
        }
        guard.doing = "greeting the peer".into();
        // Before any read of the completion queue: see GREETERS.
        let mut sent = self.lane.send(0, ACK_SIZE)? == Posted::Yes;
        self.prepare(ACK_SIZE, guard)?;
        let mut received = None;
        while !sent || received.is_none() {
            sent = sent || self.lane.send(0, ACK_SIZE)? == Posted::Yes;
            match self.arrived()? {
                Some(arrival) => received = Some(arrival),
                None => self.idle(guard)?,
            }
        }
        received.map_or(Ok(()), |arrival| self.renew(arrival, guard))?;
        self.drain(guard)
    }

    pub(crate) fn lane(&mut self) -> &mut Lane {
        &mut self.lane
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.lane.endpoint()
    }

    pub(crate) fn operation(&self) -> Operation {
        self.operation
    }

    /// The largest size that there is memory for.
    pub(crate) fn largest(&self) -> usize {
        self.largest
    }

    /// The window for messages of this size: what both sides hold, within 256 MiB in flight.
    pub(crate) fn window_for(&self, size: usize) -> usize {
        self.window.min((MEMORY / size.max(1)).max(2))
    }

    /// Buffers that messages of this size are spread over.
    pub(crate) fn buffers(&self) -> usize {
        self.buffers
    }

    /// Lays the buffers out for messages of this size and posts every receive.
    pub(crate) fn prepare(&mut self, size: usize, guard: &mut Guard<'_>) -> Result<()> {
        if self.span > 0 {
            self.stride = size.next_multiple_of(64);
            self.buffers = self.window_for(size).min(1 + self.span / self.stride);
        }
        self.next_send = 0;
        for slot in 0..self.lane.receive_slots() {
            self.post_receive(slot as u32, guard)?;
        }
        Ok(())
    }

    #[inline]
    fn offset(&self, index: usize) -> usize {
        if self.span == 0 {
            0
        } else {
            index % self.buffers * self.stride
        }
    }

    /// Where what came lies; immediate data reports the first transfer of a phase.
    pub(crate) fn landing(&self, arrival: &Arrival) -> (Place, usize) {
        if arrival.is_remote_write {
            (Place::Exposed, 0)
        } else {
            (Place::Incoming, arrival.offset)
        }
    }

    /// Receives that take only acknowledgements share their memory.
    #[inline]
    fn receive_offset(&self, slot: u32) -> usize {
        if self.operation.is_rma() {
            0
        } else {
            self.offset(slot as usize)
        }
    }

    /// Posts a receive; slots that are posted stay so.
    #[inline]
    fn post_receive(&mut self, slot: u32, guard: &mut Guard<'_>) -> Result<()> {
        let offset = self.receive_offset(slot);
        while self.lane.receive(slot, offset, self.capacity)? == Posted::Again {
            if self.lane.poll()? == 0 {
                self.idle(guard)?;
            }
        }
        Ok(())
    }

    /// Posts the receive again that something has used up.
    #[inline]
    pub(crate) fn renew(&mut self, arrival: Arrival, guard: &mut Guard<'_>) -> Result<()> {
        guard.busy();
        match arrival.slot {
            Some(slot) => self.post_receive(slot, guard),
            None => Ok(()),
        }
    }

    /// Posts a transfer of the operation that is measured if there is room now.
    #[inline]
    pub(crate) fn try_transfer(&mut self, size: usize) -> Result<bool> {
        let offset = self.offset(self.next_send);
        match self.lane.transfer(offset, size)? {
            Posted::Yes => {
                self.next_send = self.next_send.wrapping_add(1);
                Ok(true)
            }
            Posted::Again => Ok(false),
        }
    }

    /// Posts a transfer, and reads completions until there is room.
    #[inline]
    pub(crate) fn transfer(&mut self, size: usize, guard: &mut Guard<'_>) -> Result<()> {
        while !self.try_transfer(size)? {
            if self.lane.poll()? == 0 {
                self.idle(guard)?;
            }
        }
        Ok(())
    }

    /// Acknowledges messages of this size, by a message of another.
    #[inline]
    pub(crate) fn acknowledge(&mut self, size: usize, guard: &mut Guard<'_>) -> Result<()> {
        while self.lane.send(0, ack_size(size))? == Posted::Again {
            if self.lane.poll()? == 0 {
                self.idle(guard)?;
            }
        }
        Ok(())
    }

    /// Whether what came belongs to the transfers of this size, and not to the
    /// acknowledgements.
    #[inline]
    pub(crate) fn is_data(&self, arrival: &Arrival, size: usize) -> bool {
        if self.operation == Operation::WriteData {
            arrival.is_remote_write
        } else {
            arrival.length != ack_size(size)
        }
    }

    /// Something that has arrived, read from the completion queue if need be.
    #[inline]
    pub(crate) fn arrived(&mut self) -> Result<Option<Arrival>> {
        if let Some(arrival) = self.lane.take_arrived() {
            return Ok(Some(arrival));
        }
        if self.lane.poll()? == 0 {
            return Ok(None);
        }
        Ok(self.lane.take_arrived())
    }

    /// Operations that the library holds, after it was asked.
    #[inline]
    pub(crate) fn in_flight(&mut self) -> Result<usize> {
        self.lane.poll()?;
        Ok(self.lane.sends_in_flight())
    }

    /// Nothing arrived: watches the deadline, the other side and the provider's own errors.
    #[inline]
    pub(crate) fn idle(&self, guard: &mut Guard<'_>) -> Result<()> {
        for _ in 0..self.pauses {
            std::hint::spin_loop();
        }
        match guard.idle(Some(&self.lane))? {
            true => self.lane.event().map_or(Ok(()), Err),
            false => Ok(()),
        }
    }

    /// After a failure, lets transfers that are under way end before the endpoint is closed, as
    /// far as the other side still moves them on. Sends that do not end keep the endpoint open
    /// for good.
    pub(crate) fn settle(&mut self) {
        let provider = self.endpoint().info().provider.clone();
        let is_fragile = |layer: &str| FRAGILE_LAYERS.contains(&layer.to_lowercase().as_str());
        if !provider.split(';').any(is_fragile) {
            return;
        }
        let start = now_ns();
        let mut last_ns = start;
        loop {
            // A failed transfer has ended as well.
            let moved = !matches!(self.lane.poll(), Ok(0));
            let now = now_ns();
            if moved {
                last_ns = now;
            }
            let is_over = now - last_ns >= QUIET_NS && self.lane.sends_in_flight() == 0;
            if is_over || now - start >= SETTLE_NS {
                break;
            }
            if !moved {
                std::thread::yield_now();
            }
        }
        if self.lane.sends_in_flight() > 0 {
            self.lane.abandon();
        }
    }

    /// Waits until the library holds no send of this endpoint.
    pub(crate) fn drain(&mut self, guard: &mut Guard<'_>) -> Result<()> {
        while self.lane.sends_in_flight() > 0 {
            if self.lane.poll()? == 0 {
                self.idle(guard)?;
            }
        }
        Ok(())
    }
}

/// Bytes of an acknowledgement of messages of this size: its length distinguishes it from them.
#[inline]
const fn ack_size(size: usize) -> usize {
    if size == ACK_SIZE {
        ACK_SIZE + 1
    } else {
        ACK_SIZE
    }
}
