//! Completion queues and their events.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use crate::abi;
use crate::area::Area;
use crate::descriptor;
use crate::status::Status;

/// A completion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completion {
    /// Which queue pair of this process, uniquely: numbers are used again.
    pub(crate) owner: u64,
    pub(crate) wr_id: u64,
    pub(crate) pair: u32,
    pub(crate) source: u32,
    pub(crate) len: u32,
    /// Network byte order.
    pub(crate) immediate: Option<u32>,
    pub(crate) address: u16,
    pub(crate) status: Status,
    pub(crate) opcode: u32,
    pub(crate) unsolicited: bool,
    pub(crate) operation: u8,
    pub(crate) gid: [u8; 16],
}

impl Completion {
    pub(crate) fn is_send(&self) -> bool {
        self.opcode & abi::WC_RECV == 0
    }
}

/// The events of a channel: a descriptor that is readable once per event, and whose they are.
pub(crate) struct Events {
    fd: OwnedFd,
    pending: Mutex<VecDeque<usize>>,
}

impl Events {
    pub(crate) fn new() -> Option<Self> {
        // SAFETY: makes a descriptor, which is checked and then owned.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_SEMAPHORE) };
        if fd < 0 {
            return None;
        }
        // SAFETY: a new descriptor that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Some(Self {
            fd,
            pending: Mutex::default(),
        })
    }

    pub(crate) fn fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    fn raise(&self, queue: usize) {
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(queue);
        let one = 1_u64;
        // SAFETY: writes the eight bytes of `one` to an open eventfd.
        unsafe { libc::write(self.fd(), (&raw const one).cast(), 8) };
    }

    /// Waits for an event as the descriptor's flags state, and returns whose it is.
    pub(crate) fn take(&self) -> Option<usize> {
        loop {
            let mut count = 0_u64;
            // SAFETY: reads eight bytes from an open eventfd into `count`.
            if unsafe { libc::read(self.fd(), (&raw mut count).cast(), 8) } != 8 {
                return None;
            }
            // Without one, the queue was destroyed between the two.
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(queue) = pending.pop_front() {
                return Some(queue);
            }
        }
    }

    /// Forgets the events of a queue that goes.
    pub(crate) fn forget(&self, queue: usize) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let before = pending.len();
        pending.retain(|other| *other != queue);
        for _ in pending.len()..before {
            let mut ready = libc::pollfd {
                fd: self.fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            let mut count = 0_u64;
            // SAFETY: polls one descriptor without waiting.
            if unsafe { libc::poll(&raw mut ready, 1, 0) } == 1 {
                // SAFETY: as in `take`.
                unsafe { libc::read(self.fd(), (&raw mut count).cast(), 8) };
            }
        }
    }
}

/// A completion queue.
pub(crate) struct Queue {
    entries: VecDeque<Completion>,
    size: u32,
    armed: bool,
    events: Option<Arc<Events>>,
    /// The C object that events name.
    handle: usize,
    area: Option<Area>,
    written: u32,
    doorbell: u32,
    /// Queue pairs that complete here.
    pub(crate) users: usize,
}

impl Queue {
    pub(crate) fn new(size: u32, events: Option<Arc<Events>>, handle: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            size,
            armed: false,
            events,
            handle,
            area: None,
            written: 0,
            doorbell: 0,
            users: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.armed
    }

    pub(crate) fn arm(&mut self) {
        self.armed = true;
    }

    pub(crate) fn take(&mut self) -> Option<Completion> {
        self.entries.pop_front()
    }

    /// Adds a completion and raises the event that was asked for.
    pub(crate) fn push(&mut self, completion: Completion) {
        if let Some(area) = &self.area {
            let entry = descriptor::Entry {
                id: completion.wr_id as u16,
                status: completion.status as u8,
                send: completion.is_send(),
                operation: if completion.opcode == abi::WC_RECV {
                    0
                } else {
                    completion.operation
                },
                pair: completion.pair as u16,
                length: completion.len,
                address: completion.address,
                source: completion.source as u16,
                immediate: completion.immediate.map(u32::from_be),
                unsolicited: completion.unsolicited,
                gid: completion.gid,
            };
            let phase = (self.written / self.size).is_multiple_of(2);
            let at = (self.written % self.size) as usize * descriptor::COMPLETION_SIZE;
            let bytes = descriptor::completion(&entry, phase);
            area.publish(at, bytes, descriptor::COMPLETION_FLAGS);
            // The laps of a ring of 2^n entries fit 2^32.
            self.written = self.written.wrapping_add(1);
        } else if self.entries.len() >= self.size as usize {
            // What a real device does then is not known here; the verbs call it fatal.
            eprintln!(
                "efa-soft: a completion queue of {} entries overran",
                self.size
            );
            return;
        } else {
            self.entries.push_back(completion);
        }
        if self.armed
            && let Some(events) = &self.events
        {
            self.armed = false;
            events.raise(self.handle);
        }
    }

    /// Removes what a queue pair that goes has left: libfabric 2.x drains the queue after it and
    /// looks for the pair of every entry.
    pub(crate) fn forget(&mut self, owner: u64) {
        self.entries.retain(|completion| completion.owner != owner);
    }

    pub(crate) fn forget_events(&self) {
        if let Some(events) = &self.events {
            events.forget(self.handle);
        }
    }

    /// The queue as memory, made when first asked for: buffer, doorbell, entries.
    pub(crate) fn memory(&mut self) -> Option<(*mut u8, *mut u32, u32)> {
        if self.area.is_none() {
            self.area = Area::new(self.size as usize * descriptor::COMPLETION_SIZE);
        }
        let area = self.area.as_ref()?;
        Some((area.buffer(), area.doorbell_pointer(), self.size))
    }

    /// Looks whether the program asked for an event through the doorbell (bit 31).
    pub(crate) fn look_at_doorbell(&mut self) {
        if let Some(area) = &self.area {
            let value = area.doorbell();
            if value >> 31 != 0 && value != self.doorbell {
                self.armed = true;
            }
            self.doorbell = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion(owner: u64, wr_id: u64) -> Completion {
        Completion {
            owner,
            wr_id,
            pair: 1,
            source: 2,
            len: 3,
            immediate: None,
            address: 4,
            status: Status::Ok,
            opcode: abi::WC_RECV,
            unsolicited: false,
            operation: 0,
            gid: [0; 16],
        }
    }

    #[test]
    fn completions_of_a_pair_that_went_are_forgotten() {
        let mut queue = Queue::new(8, None, 0);
        for (owner, id) in [(1, 10), (2, 20), (1, 11)] {
            queue.push(completion(owner, id));
        }
        queue.forget(1);
        assert_eq!(queue.take().map(|c| c.wr_id), Some(20));
        assert!(queue.is_empty());
    }

    #[test]
    fn an_armed_queue_raises_one_event() {
        let events = Arc::new(Events::new().expect("a descriptor"));
        let mut queue = Queue::new(8, Some(Arc::clone(&events)), 77);
        queue.push(completion(1, 1));
        queue.arm();
        queue.push(completion(1, 2));
        queue.push(completion(1, 3));
        assert_eq!(events.take(), Some(77));
        queue.arm();
        queue.push(completion(1, 4));
        queue.forget_events();
        let mut ready = libc::pollfd {
            fd: events.fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: polls one descriptor without waiting.
        assert_eq!(unsafe { libc::poll(&raw mut ready, 1, 0) }, 0);
    }

    #[test]
    fn a_queue_in_memory_flips_its_phase_every_lap() {
        let mut queue = Queue::new(2, None, 0);
        let (buffer, _, entries) = queue.memory().expect("memory");
        assert_eq!(entries, 2);
        let phase = |at: usize| {
            // SAFETY: an entry of the queue's memory, which lives as long as the queue.
            unsafe {
                buffer
                    .add(at * descriptor::COMPLETION_SIZE + descriptor::COMPLETION_FLAGS)
                    .read()
                    & 1
            }
        };
        queue.push(completion(1, 1));
        assert_eq!((phase(0), phase(1)), (1, 0));
        queue.push(completion(1, 2));
        queue.push(completion(1, 3));
        assert_eq!((phase(0), phase(1)), (0, 1));
    }
}
