//! Data-path-direct: queues in memory, written as libfabric 2.x writes them.

use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::time::{Duration, Instant};

use efa_soft::abi::{self, EfaCqAttr, EfaWqAttr};
use efa_soft::efadv;

use crate::end::{Device, End, QKEY, pattern};

/// The queues of an end, as a program that knows their layout uses them.
struct Queues {
    send: EfaWqAttr,
    receive: EfaWqAttr,
    completions: EfaCqAttr,
    sent: u16,
    received: u16,
    taken: u32,
}

// SAFETY: the memory belongs to an end that outlives the queues; one thread uses them at a time.
unsafe impl Send for Queues {}

/// What a completion states.
#[derive(Debug, PartialEq, Eq)]
struct Completion {
    id: u16,
    status: u8,
    is_send: bool,
    operation: u8,
    unsolicited: bool,
    length: u32,
    immediate: Option<u32>,
}

impl Queues {
    fn new(end: &End) -> Self {
        let nothing = std::ptr::null_mut();
        let empty = EfaWqAttr {
            comp_mask: 0,
            buffer: nothing,
            entry_size: 0,
            num_entries: 0,
            doorbell: nothing.cast(),
            max_batch: 0,
            caps: 0,
            reserved: [0; 2],
        };
        let (mut send, mut receive) = (empty, empty);
        let mut completions = EfaCqAttr {
            comp_mask: 0,
            buffer: nothing,
            entry_size: 0,
            num_entries: 0,
            doorbell: nothing.cast(),
        };
        // SAFETY: live objects and results of this frame.
        unsafe {
            assert_eq!(
                efadv::efadv_query_qp_wqs(end.qp, &raw mut send, &raw mut receive, 40),
                0
            );
            assert_eq!(
                efadv::efadv_query_cq(end.cq.cast(), &raw mut completions, 32),
                0
            );
        }
        assert_eq!(
            (send.entry_size, receive.entry_size, completions.entry_size),
            (64, 16, 32)
        );
        Self {
            send,
            receive,
            completions,
            sent: 0,
            received: 0,
            taken: 0,
        }
    }

    fn ring(doorbell: *mut u32, value: u16) {
        fence(Ordering::Release);
        // SAFETY: the doorbell of a live queue.
        unsafe { AtomicU32::from_ptr(doorbell) }.store(u32::from(value), Ordering::Release);
    }

    fn put(attr: &EfaWqAttr, at: u16, bytes: &[u8]) {
        let offset = (u32::from(at) % attr.num_entries * attr.entry_size) as usize;
        // SAFETY: an entry of the queue.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), attr.buffer.add(offset), bytes.len());
        }
    }

    /// Posts a receive of up to two buffers.
    fn receive(&mut self, id: u16, buffers: &[abi::Sge]) {
        for (at, buffer) in buffers.iter().enumerate() {
            let mut entry = [0; 16];
            entry[..8].copy_from_slice(&buffer.addr.to_le_bytes());
            entry[8..10].copy_from_slice(&id.to_le_bytes());
            entry[10..12].copy_from_slice(&(buffer.length as u16).to_le_bytes());
            let flags = u32::from(at == 0) << 30 | u32::from(at + 1 == buffers.len()) << 31;
            entry[12..].copy_from_slice(&(buffer.lkey | flags).to_le_bytes());
            Self::put(&self.receive, self.received, &entry);
            self.received = self.received.wrapping_add(1);
        }
        Self::ring(self.receive.doorbell, self.received);
    }

    /// Posts a request whose last 32 bytes are given.
    fn request(
        &mut self,
        id: u16,
        control: u8,
        length: u16,
        to: (u16, u32),
        immediate: u32,
        data: &[u8],
    ) {
        let mut entry = [0; 64];
        entry[..2].copy_from_slice(&id.to_le_bytes());
        entry[2] = control | 1 << 7;
        entry[3] = 1 << 2 | 1 << 3 | 1 << 4;
        entry[4..6].copy_from_slice(&(to.1 as u16).to_le_bytes());
        entry[6..8].copy_from_slice(&length.to_le_bytes());
        entry[8..12].copy_from_slice(&immediate.to_le_bytes());
        entry[12..14].copy_from_slice(&to.0.to_le_bytes());
        entry[16..20].copy_from_slice(&QKEY.to_le_bytes());
        entry[32..32 + data.len()].copy_from_slice(data);
        Self::put(&self.send, self.sent, &entry);
        self.sent = self.sent.wrapping_add(1);
        Self::ring(self.send.doorbell, self.sent);
    }

    /// Waits for a completion, without entering the library.
    fn wait(&mut self) -> Completion {
        let began = Instant::now();
        let entries = self.completions.num_entries;
        let offset = (self.taken % entries * 32) as usize;
        let phase = u8::from((self.taken / entries).is_multiple_of(2));
        let mut bytes = [0_u8; 32];
        loop {
            // SAFETY: an entry of the queue, of which the flags come last.
            let flags = unsafe { self.completions.buffer.add(offset + 3).read_volatile() };
            if flags & 1 == phase {
                fence(Ordering::Acquire);
                // SAFETY: as above.
                unsafe {
                    let from = self.completions.buffer.add(offset);
                    std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), 32);
                }
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "no completion");
            std::hint::spin_loop();
        }
        self.taken += 1;
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let operation = bytes[3] >> 4 & 7;
        let high = if operation == 2 {
            u32::from(half(16)) << 16
        } else {
            0
        };
        let immediate = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
        Completion {
            id: half(0),
            status: bytes[2],
            is_send: bytes[3] >> 1 & 3 == 1,
            operation,
            unsolicited: bytes[3] >> 7 == 1,
            length: u32::from(half(6)) | high,
            immediate: (bytes[3] >> 3 & 1 == 1).then_some(immediate),
        }
    }
}

/// The second half of an RDMA request: remote and local.
fn rdma(remote: (u32, u64), local: abi::Sge) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(local.length.to_le_bytes());
    out.extend(remote.0.to_le_bytes());
    out.extend(remote.1.to_le_bytes());
    out.extend(buffer(local));
    out
}

fn buffer(sge: abi::Sge) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(sge.length.to_le_bytes());
    out.extend(sge.lkey.to_le_bytes());
    out.extend(sge.addr.to_le_bytes());
    out
}

/// Two ends with their queues in memory, and where each finds the other.
fn both(bytes: usize) -> (End, Queues, (u16, u32), End, Queues) {
    let mut a = End::new(Device::Plain, bytes);
    let wish = crate::end::Wish {
        unsolicited: true,
        ..crate::end::Wish::default()
    };
    let mut b = End::with(Device::Other, bytes, wish);
    let to_b = a.to(&b);
    b.to(&a);
    let mut attr = abi::EfaAhAttr::default();
    // SAFETY: a live handle and a result of this frame.
    unsafe { assert_eq!(efadv::efadv_query_ah(to_b.0, &raw mut attr, 16), 0) };
    let (of_a, of_b) = (Queues::new(&a), Queues::new(&b));
    (a, of_a, (attr.ahn, to_b.1), b, of_b)
}

fn sent(id: u16, operation: u8) -> Completion {
    Completion {
        id,
        status: 0,
        is_send: true,
        operation,
        unsolicited: false,
        length: 0,
        immediate: None,
    }
}

#[test]
fn messages_reads_and_writes_go_through_queues_in_memory() {
    let size = 100_000;
    let (mut a, mut of_a, to_b, mut b, mut of_b) = both(size);
    a.buffer.copy_from_slice(&pattern(4, size));

    of_b.receive(7, &[b.part(0, 100), b.part(1000, 4000)]);
    let parts = [buffer(a.part(0, 150)), buffer(a.part(150, 300))].concat();
    of_a.request(5, 1 << 4, 2, to_b, 0x0a0b_0c0d, &parts);
    assert_eq!(of_a.wait(), sent(5, 0));
    let got = of_b.wait();
    assert_eq!(
        (got.id, got.length, got.immediate),
        (7, 450, Some(0x0a0b_0c0d))
    );
    assert_eq!(
        [&b.buffer[..100], &b.buffer[1000..1350]].concat(),
        pattern(4, size)[..450]
    );

    of_b.receive(8, &[b.part(0, 100)]);
    of_a.request(6, 1 << 5, 11, to_b, 0, b"inline data");
    assert_eq!(of_a.wait(), sent(6, 0));
    assert_eq!(of_b.wait().length, 11);
    assert_eq!(&b.buffer[..11], b"inline data");

    of_a.request(9, 2 | 1 << 4, 1, to_b, 3, &rdma(b.keys(), a.part(0, size)));
    assert_eq!(of_a.wait(), sent(9, 2));
    let got = of_b.wait();
    assert_eq!(
        (got.operation, got.length as usize, got.unsolicited),
        (2, size, true)
    );
    assert_eq!(got.immediate, Some(3));
    assert_eq!(b.buffer, pattern(4, size));

    b.buffer.copy_from_slice(&pattern(6, size));
    of_a.request(10, 1, 1, to_b, 0, &rdma(b.keys(), a.part(0, size)));
    assert_eq!(of_a.wait(), sent(10, 1));
    assert_eq!(a.buffer, pattern(6, size));
}

#[test]
fn errors_and_unknown_operations_end_in_a_completion() {
    let (a, mut of_a, to_b, b, _of_b) = both(4096);
    let (key, at) = b.keys();
    let cases = [
        (2, rdma((key, at + 4090), a.part(0, 100)), to_b, 7),
        (1, rdma((key ^ 1, at), a.part(0, 100)), to_b, 7),
        (
            0,
            buffer(abi::Sge {
                lkey: 3,
                ..a.part(0, 10)
            }),
            to_b,
            5,
        ),
        (0, buffer(a.part(0, 10)), (999, to_b.1), 4),
        (9, Vec::new(), to_b, 3),
    ];
    for (id, (operation, data, to, status)) in cases.into_iter().enumerate() {
        of_a.request(id as u16, operation, 1, to, 0, &data);
        let done = of_a.wait();
        assert_eq!(
            (done.id, done.status),
            (id as u16, status),
            "operation {operation}"
        );
    }
}

#[test]
fn queues_in_memory_wrap() {
    let (a, mut of_a, to_b, b, mut of_b) = both(4096);
    for round in 0..1500_u16 {
        of_b.receive(round, &[b.part(0, 50)]);
        of_a.request(
            round,
            0,
            1,
            to_b,
            0,
            &buffer(a.part(0, usize::from(round % 50))),
        );
        assert_eq!(of_a.wait(), sent(round, 0));
        let got = of_b.wait();
        assert_eq!((got.id, got.length), (round, u32::from(round % 50)));
    }
}

/// Ping-pong of two threads that spin, on both paths: `cargo test -p efa-soft --test device --
/// --ignored --nocapture`. The doorbell's watcher must get a core from threads that never sleep.
#[test]
#[ignore = "measures time: by hand, on a quiet machine"]
fn both_ends_spin_on_either_path() {
    const ROUNDS: u16 = 500;

    fn side(end: &End, of: &mut Queues, to: (u16, u32), begins: bool) {
        of.receive(0, &[end.part(100, 64)]);
        std::thread::sleep(Duration::from_millis(50));
        for id in 0..ROUNDS {
            if begins {
                of.request(id, 0, 1, to, 0, &buffer(end.part(0, 64)));
            }
            while of.wait().is_send {}
            of.receive(id, &[end.part(100, 64)]);
            if !begins {
                of.request(id, 0, 1, to, 0, &buffer(end.part(0, 64)));
            }
        }
    }

    fn verbs_side(end: &End, to: crate::end::To, begins: bool) {
        let send = || {
            assert_eq!(
                end.post(0, crate::end::What::Send, to, &[end.part(0, 64)]),
                0
            )
        };
        assert_eq!(end.receive(0, &[end.part(100, 64)]), 0);
        std::thread::sleep(Duration::from_millis(50));
        for _ in 0..ROUNDS {
            if begins {
                send();
            }
            while !end.poll().iter().any(|wc| wc.opcode == abi::WC_RECV) {}
            assert_eq!(end.receive(0, &[end.part(100, 64)]), 0);
            if !begins {
                send();
            }
        }
    }

    let (mut direct, mut verbs) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let (a, mut of_a, to_b, mut b, mut of_b) = both(4096);
        let handle = b.to(&a);
        let mut attr = abi::EfaAhAttr::default();
        // SAFETY: a live handle and a result of this frame.
        unsafe { assert_eq!(efadv::efadv_query_ah(handle.0, &raw mut attr, 16), 0) };
        let to_a = (attr.ahn, handle.1);
        let began = Instant::now();
        std::thread::scope(|scope| {
            let b = &b;
            scope.spawn(move || side(b, &mut of_b, to_a, false));
            side(&a, &mut of_a, to_b, true);
        });
        direct.push(began.elapsed() / u32::from(ROUNDS) / 2);

        let (a, to_b, b, to_a) = crate::end::two(Device::Plain, Device::Other, 4096);
        let (to_a, began) = (crate::end::Elsewhere(to_a), Instant::now());
        std::thread::scope(|scope| {
            let b = &b;
            scope.spawn(move || {
                let to_a = to_a;
                verbs_side(b, to_a.0, false);
            });
            verbs_side(&a, to_b, true);
        });
        verbs.push(began.elapsed() / u32::from(ROUNDS) / 2);
    }
    direct.sort_unstable();
    verbs.sort_unstable();
    println!("64 bytes, half a round trip: data-path-direct {direct:?}, verbs {verbs:?}");
}
