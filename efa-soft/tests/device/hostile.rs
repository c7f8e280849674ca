//! Packets that no device sent: whatever arrives on the port, memory and conversation stay as they are.

use std::net::UdpSocket;

use efa_soft::abi;
use efa_soft::capability::MTU;
use efa_soft::wire::{Header, Kind};

use crate::end::{Device, QKEY, What, pattern, two};

/// A small generator, so that a failure repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }
}

const KINDS: [Kind; 8] = [
    Kind::Send,
    Kind::Write,
    Kind::WriteImmediate,
    Kind::Read,
    Kind::Response,
    Kind::Ack,
    Kind::Refusal,
    Kind::Datagram,
];

/// A packet that the parser accepts and that means ill: known queue pair key, any other value.
fn crafted(dice: &mut Dice, device: u8, target: (u32, u64)) -> Vec<u8> {
    let kind = KINDS[dice.below(8) as usize];
    let len = [0, 1, 100, 4096, MTU as u64][dice.below(5) as usize] as usize;
    let mut header = Header::new(kind);
    header.device = device;
    header.qkey = QKEY;
    header.cookie = dice.below(3);
    header.psn = [0, 1, u32::MAX, 1 << 31, 1023, 1024][dice.below(6) as usize];
    header.unanswered = [0, u32::MAX, 1 << 31, 5000, 1][dice.below(5) as usize];
    header.attempt = dice.roll() as u32;
    header.status = dice.roll() as u8;
    // Never a range that would be allowed: a correct key with a correct range is no attack.
    header.rkey = [0, 1, target.0 ^ 0x100, u32::MAX, target.0][dice.below(5) as usize];
    header.address =
        [0, u64::MAX, target.1.wrapping_sub(1), target.1 + 4000][dice.below(4) as usize];
    header.total = dice.roll() as u32;
    header.gid = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 6, 0, 127, 0, 0, 1, 0xfa, 0];
    let payload = match kind {
        Kind::Read | Kind::Refusal => 0,
        Kind::Ack => 4 * (1 + len % 64),
        _ => len,
    };
    header.len = if kind == Kind::Ack {
        payload as u32 / 4
    } else {
        len as u32
    };
    let mut packet = header.encode().to_vec();
    packet.extend((0..payload).map(|_| dice.roll() as u8));
    packet
}

#[test]
fn hostile_packets_change_nothing() {
    let (mut a, to_b, b, _) = two(Device::Plain, Device::Hostile, 4096);
    let before = pattern(9, 4096);
    let unknown = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let port = b.number() as u16;
    let mut dice = Dice(0x5eed);
    for round in 0..3000 {
        let mut packet = crafted(&mut dice, Device::Hostile as u8, b.keys());
        match round % 4 {
            0 => {
                for _ in 0..=dice.below(4) {
                    let at = dice.below(packet.len() as u64) as usize;
                    packet[at] = dice.roll() as u8;
                }
            }
            1 => packet.truncate(dice.below(packet.len() as u64 + 1) as usize),
            2 => packet.extend([0; 10]),
            _ => {}
        }
        // The address of the device and one that its GID does not name.
        unknown.send_to(&packet, ("127.0.0.1", port)).expect("sent");
        if round % 100 == 0 {
            // Messages of the unknown sender never find a receive: only honest ones are posted for.
            b.poll();
        }
    }
    assert_eq!(b.buffer, vec![0; 4096], "memory was written to");
    while !b.poll().is_empty() {}
    a.buffer.copy_from_slice(&before);
    assert_eq!(b.receive(1, &[b.part(0, 4096)]), 0);
    assert_eq!(a.post(2, What::Send, to_b, &[a.part(0, 4096)]), 0);
    assert_eq!(a.outcome(), 0);
    let got = b.wait(1)[0];
    assert_eq!(
        (got.wr_id, got.byte_len, got.opcode),
        (1, 4096, abi::WC_RECV)
    );
    assert_eq!(b.buffer, before);
}
