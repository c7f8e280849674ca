//! Queues in memory, for callers of data-path-direct: what they wrote and rang the doorbell for.

use crate::area::Area;
use crate::descriptor::{self, RX_SIZE, TX_SIZE};
use crate::pair::{Around, InMemory, Pair};
use crate::tick;
use crate::work::{Operation, Receive, Work};

impl Pair {
    /// Puts the queues into memory, and returns whether there is memory for it.
    pub(crate) fn open_memory(&mut self) -> bool {
        if self.in_memory.is_some() {
            return true;
        }
        let send_entries = self.made.cap.max_send_wr.max(1).next_power_of_two();
        // One entry per buffer.
        let buffers = self.made.cap.max_recv_sge.max(1);
        let receive_entries = (self.made.cap.max_recv_wr.max(1) * buffers).next_power_of_two();
        let send = Area::new(send_entries as usize * TX_SIZE);
        let receive = Area::new(receive_entries as usize * RX_SIZE);
        let (Some(send), Some(receive)) = (send, receive) else {
            return false;
        };
        self.in_memory = Some(InMemory {
            send,
            send_entries,
            send_read: 0,
            receive,
            receive_entries,
            receive_read: 0,
        });
        true
    }

    /// Takes up what the doorbells announce. Returns whether there was something.
    pub(crate) fn take_from_memory(&mut self, around: &mut Around<'_>) -> bool {
        if self.in_memory.is_none() {
            return false;
        }
        let received = self.take_receives();
        let sent = self.take_requests(around);
        received || sent
    }

    fn take_receives(&mut self) -> bool {
        let Some(queues) = &mut self.in_memory else {
            return false;
        };
        let produced = queues.receive.doorbell() as u16;
        let moved = queues.receive_read != produced;
        while queues.receive_read != produced
            && self.receives.len() < queues.receive_entries as usize
        {
            let mut receive = Receive {
                wr_id: 0,
                buffers: Default::default(),
                buffer_count: 0,
            };
            loop {
                let at = u32::from(queues.receive_read) % queues.receive_entries;
                let entry = queues.receive.read::<RX_SIZE>(at as usize * RX_SIZE);
                queues.receive_read = queues.receive_read.wrapping_add(1);
                let (id, buffer, last) = descriptor::receive(&entry);
                receive.wr_id = u64::from(id);
                if let Some(place) = receive.buffers.get_mut(receive.buffer_count) {
                    *place = buffer;
                    receive.buffer_count += 1;
                }
                if last || queues.receive_read == produced {
                    break;
                }
            }
            self.receives.push_back(receive);
        }
        moved
    }

    fn take_requests(&mut self, around: &mut Around<'_>) -> bool {
        let mut moved = false;
        loop {
            let Some(queues) = &mut self.in_memory else {
                return moved;
            };
            if queues.send_read == queues.send.doorbell() as u16 {
                return moved;
            }
            let at = u32::from(queues.send_read) % queues.send_entries;
            let entry = queues.send.read::<TX_SIZE>(at as usize * TX_SIZE);
            queues.send_read = queues.send_read.wrapping_add(1);
            moved = true;
            let request = descriptor::request(&entry);
            let operation = match request.operation {
                0 => Operation::Send,
                1 => Operation::Read,
                2 => Operation::Write,
                _ => Operation::Unsupported,
            };
            let mut work = Work::new(operation, u64::from(request.id), request.signaled);
            (work.buffers, work.buffer_count) = request.buffers;
            work.inline = request.inline;
            work.immediate = request.immediate.map(u32::to_be);
            work.gid = around.addresses.gid(request.address);
            work.pair = u32::from(request.pair);
            work.qkey = request.qkey;
            (work.remote_key, work.remote_address) = request.remote;
            self.submit(around, work, tick::now());
        }
    }
}
