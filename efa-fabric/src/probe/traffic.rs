//! Messages on a lane with retries and credits: what both sides of a probe are made of.

use std::rc::Rc;

use super::guard::Guard;
use super::options::{Buffers, ProbeOptions};
use crate::endpoint::{Endpoint, Lane, Posted};
use crate::error::Result;

/// Bytes of an acknowledgement.
pub(crate) const ACK_SIZE: usize = 8;
/// Bytes in flight, and bytes of distinct buffers, at most.
const MEMORY: usize = 256 << 20;
/// Sends beyond the window that may be outstanding: acknowledgements.
const SPARE_SENDS: usize = 8;

/// Providers between whose endpoints both sides must send before either reads.
///
/// In libfabric 2.x, `shm` endpoints of one process learn where the other sees their memory
/// only from its connection request. A side that never sends one, because it was connected by
/// answering, leaves the other with address 0: the first message above the inline size then
/// ends the process (prov/shm/src/smr_av.c, `smr_map_to_region` returns before
/// `smr_map_to_endpoint`; seen with 2.5.1, and the same in the source of 2.6.0).
const GREETERS: [&str; 1] = ["shm"];

/// A lane and how its buffers are laid out for the size at hand.
pub(crate) struct Traffic {
    lane: Lane,
    /// Length of every posted receive: messages of all sizes fit.
    capacity: usize,
    /// Bytes by which buffers may be apart; 0 when one is reused.
    span: usize,
    window: usize,
    stride: usize,
    buffers: usize,
    next_send: usize,
}

impl Traffic {
    /// Buffers for the largest message; the window both sides agreed on.
    pub(crate) fn new(
        endpoint: Rc<Endpoint>,
        peer: &[u8],
        peer_name: String,
        window: usize,
        options: &ProbeOptions,
    ) -> Result<Self> {
        let capacity = options.capacity();
        let span = match options.buffers {
            Buffers::Reused => 0,
            Buffers::Distinct => capacity.saturating_mul(window).min(MEMORY),
        };
        let tx_limit = usize::try_from(endpoint.info().tx_size)
            .unwrap_or(usize::MAX)
            .max(1);
        let rx_limit = usize::try_from(endpoint.info().rx_size)
            .unwrap_or(usize::MAX)
            .max(1);
        let slots = (
            (window + SPARE_SENDS).min(tx_limit),
            window.max(2).min(rx_limit),
        );
        let length = capacity + span;
        let lane = Lane::new(endpoint, peer, peer_name, slots, (length, length))?;
        Ok(Self {
            lane,
            capacity,
            span,
            window,
            stride: 0,
            buffers: 1,
            next_send: 0,
        })
    }

    /// Exchanges one message in each direction, where the provider needs that first.
    pub(crate) fn greet(&mut self, guard: &mut Guard<'_>) -> Result<()> {
        let provider = crate::info::base_provider(&self.endpoint().info().provider);
        if !GREETERS
            .iter()
            .any(|name| provider.eq_ignore_ascii_case(name))
        {
            return Ok(());
        }
        guard.doing = "greeting the peer".into();
        // Before any read of the completion queue: see GREETERS.
        let mut sent = self.try_send(ACK_SIZE)?;
        self.prepare(ACK_SIZE, guard)?;
        let mut received = None;
        while !sent || received.is_none() {
            sent = sent || self.try_send(ACK_SIZE)?;
            match self.arrived()? {
                Some(slot) => received = Some(slot),
                None => self.idle(guard)?,
            }
        }
        received.map_or(Ok(()), |slot| self.post_receive(slot, guard))?;
        self.drain(guard)
    }

    pub(crate) fn lane(&mut self) -> &mut Lane {
        &mut self.lane
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.lane.endpoint()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
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

    /// Posts a receive; slots that are posted stay so.
    #[inline]
    pub(crate) fn post_receive(&mut self, slot: u32, guard: &mut Guard<'_>) -> Result<()> {
        let offset = self.offset(slot as usize);
        while self.lane.receive(slot, offset, self.capacity)? == Posted::Again {
            if self.lane.poll()? == 0 {
                self.idle(guard)?;
            }
        }
        Ok(())
    }

    /// Posts a message if there is room now.
    #[inline]
    pub(crate) fn try_send(&mut self, size: usize) -> Result<bool> {
        let offset = self.offset(self.next_send);
        match self.lane.send(offset, size)? {
            Posted::Yes => {
                self.next_send = self.next_send.wrapping_add(1);
                Ok(true)
            }
            Posted::Again => Ok(false),
        }
    }

    /// Posts a message, and reads completions until there is room.
    #[inline]
    pub(crate) fn send(&mut self, size: usize, guard: &mut Guard<'_>) -> Result<()> {
        while !self.try_send(size)? {
            if self.lane.poll()? == 0 {
                self.idle(guard)?;
            }
        }
        Ok(())
    }

    /// A message that has arrived, read from the completion queue if need be.
    #[inline]
    pub(crate) fn arrived(&mut self) -> Result<Option<u32>> {
        if let Some(slot) = self.lane.take_received() {
            return Ok(Some(slot));
        }
        self.lane.poll()?;
        Ok(self.lane.take_received())
    }

    /// Nothing arrived: watches the deadline, the other side and the provider's own errors.
    #[inline]
    pub(crate) fn idle(&self, guard: &mut Guard<'_>) -> Result<()> {
        match guard.idle()? {
            true => self.lane.event().map_or(Ok(()), Err),
            false => Ok(()),
        }
    }

    /// Waits until the library holds no send of ours.
    pub(crate) fn drain(&mut self, guard: &mut Guard<'_>) -> Result<()> {
        while self.lane.sends_in_flight() > 0 {
            if self.lane.poll()? == 0 {
                self.idle(guard)?;
            }
        }
        Ok(())
    }
}
