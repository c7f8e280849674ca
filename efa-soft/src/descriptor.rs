//! The entries of the queues in memory, as `efa_io_defs.h` (rdma-core 64) lays them out: bytes in,
//! values out, and back.

use crate::abi::Sge;
use crate::capability::INLINE;

/// Bytes of an entry of a send queue.
pub const TX_SIZE: usize = 64;
/// Bytes of an entry of a receive queue.
pub const RX_SIZE: usize = 16;
/// Bytes of an entry of a completion queue: the extended receive descriptor.
pub const COMPLETION_SIZE: usize = 32;
/// Offset of the flags, whose phase bit means that the entry is there.
pub const COMPLETION_FLAGS: usize = 3;
const KEY: u32 = 0x00ff_ffff;

/// A work request of a send queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Names the request in its completion.
    pub id: u16,
    /// 0 send, 1 RDMA read, 2 RDMA write; others are not supported.
    pub operation: u8,
    /// A completion is wanted.
    pub signaled: bool,
    /// Immediate data, host byte order.
    pub immediate: Option<u32>,
    /// Number of the destination's queue pair.
    pub pair: u16,
    /// Address handle.
    pub address: u16,
    /// Key of the destination's queue pair.
    pub qkey: u32,
    /// Remote key and address of an RDMA operation.
    pub remote: (u32, u64),
    /// Local buffers, and how many.
    pub buffers: ([Sge; 2], usize),
    /// Inline data and its length.
    pub inline: Option<([u8; INLINE], usize)>,
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from(half(bytes, at)) | u32::from(half(bytes, at + 2)) << 16
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

/// Reads an entry of a send queue.
pub fn request(entry: &[u8; TX_SIZE]) -> Request {
    let control = entry[2];
    let operation = control & 15;
    let length = usize::from(half(entry, 6));
    let buffer = |at: usize| Sge {
        length: word(entry, at),
        lkey: word(entry, at + 4) & KEY,
        addr: long(entry, at + 8),
    };
    let mut found = Request {
        id: half(entry, 0),
        operation,
        signaled: entry[3] & 1 << 4 != 0,
        immediate: (control & 1 << 4 != 0).then(|| word(entry, 8)),
        pair: half(entry, 4),
        address: half(entry, 12),
        qkey: word(entry, 16),
        remote: (0, 0),
        buffers: ([Sge::default(); 2], 0),
        inline: None,
    };
    if operation != 0 {
        found.remote = (word(entry, 36), long(entry, 40));
        found.buffers = ([buffer(48), Sge::default()], length.min(1));
    } else if control & 1 << 5 != 0 {
        let mut data = [0; INLINE];
        data.copy_from_slice(&entry[32..64]);
        found.inline = Some((data, length.min(INLINE)));
    } else {
        found.buffers = ([buffer(32), buffer(48)], length.min(2));
    }
    found
}

/// Reads an entry of a receive queue: its id, its buffer, and whether it is the last of its receive.
pub fn receive(entry: &[u8; RX_SIZE]) -> (u16, Sge, bool) {
    let control = word(entry, 12);
    let buffer = Sge {
        addr: long(entry, 0),
        length: u32::from(half(entry, 10)),
        lkey: control & KEY,
    };
    (half(entry, 8), buffer, control >> 31 != 0)
}

/// What a completion states.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Id of the request.
    pub id: u16,
    /// Device status.
    pub status: u8,
    /// Of the send queue, else of the receive queue.
    pub send: bool,
    /// 0 send, 1 read, 2 write.
    pub operation: u8,
    /// Number of the own queue pair.
    pub pair: u16,
    /// Bytes received.
    pub length: u32,
    /// Address handle of the sender.
    pub address: u16,
    /// Number of the sender's queue pair.
    pub source: u16,
    /// Immediate data, host byte order.
    pub immediate: Option<u32>,
    /// A write with immediate data that took no receive.
    pub unsolicited: bool,
    /// The sender's GID.
    pub gid: [u8; 16],
}

/// Writes a completion; `phase` is the bit that flips every lap.
pub fn completion(entry: &Entry, phase: bool) -> [u8; COMPLETION_SIZE] {
    let mut out = [0; COMPLETION_SIZE];
    out[0..2].copy_from_slice(&entry.id.to_le_bytes());
    out[2] = entry.status;
    out[COMPLETION_FLAGS] = u8::from(phase)
        | if entry.send { 1 } else { 2 } << 1
        | u8::from(entry.immediate.is_some()) << 3
        | (entry.operation & 7) << 4
        | u8::from(entry.unsolicited) << 7;
    out[4..6].copy_from_slice(&entry.pair.to_le_bytes());
    out[6..8].copy_from_slice(&(entry.length as u16).to_le_bytes());
    out[8..10].copy_from_slice(&entry.address.to_le_bytes());
    out[10..12].copy_from_slice(&entry.source.to_le_bytes());
    out[12..16].copy_from_slice(&entry.immediate.unwrap_or(0).to_le_bytes());
    if entry.operation == 2 {
        out[16..18].copy_from_slice(&((entry.length >> 16) as u16).to_le_bytes());
    } else {
        out[16..32].copy_from_slice(&entry.gid);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_some_request(entry in any::<[u8; 32]>(), rest in any::<[u8; 32]>()) {
            let mut whole = [0; TX_SIZE];
            whole[..32].copy_from_slice(&entry);
            whole[32..].copy_from_slice(&rest);
            let read = request(&whole);
            prop_assert!(read.buffers.1 <= 2 && read.buffers.0.iter().all(|sge| sge.lkey <= KEY));
            prop_assert!(read.inline.is_none_or(|(_, len)| len <= INLINE));
        }
    }

    #[test]
    fn a_receive_and_a_write_are_read() {
        let mut rx = [0; RX_SIZE];
        rx[0..4].copy_from_slice(&0x1000_u32.to_le_bytes());
        rx[8..10].copy_from_slice(&77_u16.to_le_bytes());
        rx[10..12].copy_from_slice(&300_u16.to_le_bytes());
        rx[12..16].copy_from_slice(&0xc000_0101_u32.to_le_bytes());
        assert_eq!(
            receive(&rx),
            (
                77,
                Sge {
                    addr: 0x1000,
                    length: 300,
                    lkey: 0x101
                },
                true
            )
        );
        let mut tx = [0; TX_SIZE];
        tx[2] = 2 | 1 << 4;
        tx[6] = 1;
        tx[8..12].copy_from_slice(&5_u32.to_le_bytes());
        tx[36..40].copy_from_slice(&0xffff_ff01_u32.to_le_bytes());
        tx[48..52].copy_from_slice(&9_u32.to_le_bytes());
        let read = request(&tx);
        assert_eq!(
            (read.operation, read.immediate, read.remote.0),
            (2, Some(5), 0xffff_ff01)
        );
        assert_eq!((read.buffers.0[0].length, read.buffers.1), (9, 1));
    }

    #[test]
    fn the_length_of_a_write_has_32_bits() {
        let entry = Entry {
            id: 1,
            status: 0,
            send: false,
            operation: 2,
            pair: 2,
            length: 0x1234_5678,
            address: 3,
            source: 4,
            immediate: Some(9),
            unsolicited: true,
            gid: [1; 16],
        };
        let bytes = completion(&entry, true);
        assert_eq!(
            bytes[COMPLETION_FLAGS],
            1 | 2 << 1 | 1 << 3 | 2 << 4 | 1 << 7
        );
        assert_eq!((half(&bytes, 6), half(&bytes, 16)), (0x5678, 0x1234));
    }
}
