//! The packets between devices, and their parser.
//!
//! A packet is a header of 72 bytes and a payload, little-endian. Anything may arrive on a UDP port,
//! so the parser accepts only what this file could have written: known kind, exact lengths, nothing
//! longer than the MTU. Whether keys, queue pairs and ranges exist is the receiver's question.

use crate::capability::MTU;

/// Bytes of a header.
pub const HEADER: usize = 72;
/// The most acknowledgements in one packet.
pub const MAX_ACKS: usize = 64;
const MAGIC: u32 = 0x3246_4553;
const HAS_IMMEDIATE: u8 = 1;
const ABOUT_READ: u8 = 2;

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A message.
    Send = 1,
    /// A piece of an RDMA write.
    Write = 2,
    /// The last piece of an RDMA write with immediate data.
    WriteImmediate = 3,
    /// A request for a piece of remote memory.
    Read = 4,
    /// The piece.
    Response = 5,
    /// Sequence numbers that arrived.
    Ack = 6,
    /// A request was refused, with its status.
    Refusal = 7,
    /// A message without promise (UD).
    Datagram = 8,
}

impl Kind {
    /// Returns whether the payload is the program's data.
    pub fn carries_data(self) -> bool {
        !matches!(self, Self::Read | Self::Ack | Self::Refusal)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Send,
            2 => Self::Write,
            3 => Self::WriteImmediate,
            4 => Self::Read,
            5 => Self::Response,
            6 => Self::Ack,
            7 => Self::Refusal,
            8 => Self::Datagram,
            _ => return None,
        })
    }
}

/// The header of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the packet is.
    pub kind: Kind,
    /// Index of the destination's device on its host.
    pub device: u8,
    /// Status of a refusal.
    pub status: u8,
    /// A refusal refuses a read, whose sequence numbers are separate.
    pub about_read: bool,
    /// Immediate data, in network byte order as the verbs carry it.
    pub immediate: Option<u32>,
    /// Names the sender's queue pair in a request, the requester's in an answer.
    pub cookie: u64,
    /// Sequence number within a flow.
    pub psn: u32,
    /// Key of the queue pair.
    pub qkey: u32,
    /// Bytes of payload; of a read: bytes asked for; of an ack: numbers in it.
    pub len: u32,
    /// Remote key.
    pub rkey: u32,
    /// Bytes of the whole operation.
    pub total: u32,
    /// The sender's lowest sequence number that has no answer yet.
    pub unanswered: u32,
    /// Number of the copy, from 0; an answer repeats it.
    pub attempt: u32,
    /// Remote address.
    pub address: u64,
    /// The sender's GID.
    pub gid: [u8; 16],
}

impl Header {
    /// Creates a header of a kind, with nothing else set.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            device: 0,
            status: 0,
            about_read: false,
            immediate: None,
            cookie: 0,
            psn: 0,
            qkey: 0,
            len: 0,
            rkey: 0,
            total: 0,
            unanswered: 0,
            attempt: 0,
            address: 0,
            gid: [0; 16],
        }
    }

    /// Returns the header as bytes.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        let flags = if self.immediate.is_some() {
            HAS_IMMEDIATE
        } else {
            0
        } | if self.about_read { ABOUT_READ } else { 0 };
        put(&MAGIC.to_le_bytes());
        put(&[self.kind as u8, flags, self.device, self.status]);
        put(&self.cookie.to_le_bytes());
        let numbers = [
            self.psn,
            self.qkey,
            self.immediate.unwrap_or(0),
            self.len,
            self.rkey,
            self.total,
            self.unanswered,
            self.attempt,
        ];
        for number in numbers {
            put(&number.to_le_bytes());
        }
        put(&self.address.to_le_bytes());
        put(&self.gid);
        out
    }

    /// Reads a packet: its header and its payload, or `None` for anything that `encode` and the
    /// lengths of its kind do not allow.
    pub fn parse(packet: &[u8]) -> Option<(Self, &[u8])> {
        let (head, payload) = packet.split_first_chunk::<HEADER>()?;
        let number =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let long = |at: usize| u64::from(number(at)) | u64::from(number(at + 4)) << 32;
        if number(0) != MAGIC || head[5] & !(HAS_IMMEDIATE | ABOUT_READ) != 0 {
            return None;
        }
        let mut gid = [0; 16];
        gid.copy_from_slice(&head[56..72]);
        let header = Self {
            kind: Kind::from_byte(head[4])?,
            device: head[6],
            status: head[7],
            about_read: head[5] & ABOUT_READ != 0,
            immediate: (head[5] & HAS_IMMEDIATE != 0).then(|| number(24)),
            cookie: long(8),
            psn: number(16),
            qkey: number(20),
            len: number(28),
            rkey: number(32),
            total: number(36),
            unanswered: number(40),
            attempt: number(44),
            address: long(48),
            gid,
        };
        header.fits(payload.len()).then_some((header, payload))
    }

    fn fits(&self, payload: usize) -> bool {
        let len = self.len as usize;
        match self.kind {
            Kind::Send | Kind::Write | Kind::WriteImmediate | Kind::Response | Kind::Datagram => {
                len == payload && len <= MTU
            }
            Kind::Read => payload == 0 && len <= MTU,
            Kind::Refusal => payload == 0,
            Kind::Ack => (1..=MAX_ACKS).contains(&len) && payload == 4 * len,
        }
    }
}

/// Returns the sequence numbers of an ack's payload.
pub fn acks(payload: &[u8]) -> impl Iterator<Item = u32> {
    payload
        .chunks_exact(4)
        .map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_upset_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Header::parse(&bytes);
        }

        #[test]
        fn a_damaged_packet_is_refused_or_stays_within_its_lengths(
            kind in 1_u8..=8, len in 0_usize..200, at in 0_usize..HEADER, byte in any::<u8>(),
        ) {
            let mut header = Header::new(Kind::from_byte(kind).expect("a kind"));
            header.len = u32::try_from(len).expect("small");
            let mut packet = header.encode().to_vec();
            packet.extend(vec![7; len]);
            packet[at] = byte;
            if let Some((read, payload)) = Header::parse(&packet) {
                prop_assert!(payload.len() <= MTU);
                prop_assert!(read.kind != Kind::Ack || acks(payload).count() == read.len as usize);
            }
        }

        #[test]
        fn what_is_written_is_read(
            psn in any::<u32>(), cookie in any::<u64>(), address in any::<u64>(),
            immediate in any::<Option<u32>>(), about_read in any::<bool>(), gid in any::<[u8; 16]>(),
        ) {
            let header = Header { psn, cookie, address, immediate, about_read, gid,
                ..Header::new(Kind::Refusal) };
            let bytes = header.encode();
            prop_assert_eq!(Header::parse(&bytes), Some((header, &[][..])));
        }
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let mut send = Header {
            len: 10,
            ..Header::new(Kind::Send)
        }
        .encode()
        .to_vec();
        assert!(Header::parse(&send).is_none());
        send.extend([0; 10]);
        assert!(Header::parse(&send).is_some());
        send.push(0);
        assert!(Header::parse(&send).is_none());
        let read = Header {
            len: MTU as u32 + 1,
            ..Header::new(Kind::Read)
        }
        .encode();
        assert!(Header::parse(&read).is_none());
        let ack = Header {
            len: u32::MAX,
            ..Header::new(Kind::Ack)
        }
        .encode();
        assert!(Header::parse(&ack).is_none());
    }
}
