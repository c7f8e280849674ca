//! Two threads on one pair under loss and reordering: what made the prototype's sends fail or hang.

use std::sync::atomic::{AtomicBool, Ordering};

use efa_soft::abi;
use efa_soft::capability::MTU;
use efa_soft::control::Field;

use crate::end::{Device, Elsewhere, End, Fault, What, add, pattern, two};

const ROUNDS: usize = 40;
/// Bytes of a write: more packets than a window, and a rest.
const BYTES: usize = 80 * MTU + 77;

/// One thread posts a large write with immediate and a message right behind it, in one chain or in
/// two; the other polls. Every operation must end well, once, with the right bytes.
fn run(a: &End, to_b: crate::end::To, b: &End, chained: bool) {
    let failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let poller = scope.spawn(|| {
            let done = a.wait(2 * ROUNDS);
            let mut ids: Vec<_> = done.iter().map(|wc| wc.wr_id).collect();
            ids.sort_unstable();
            assert_eq!(ids, (0..2 * ROUNDS as u64).collect::<Vec<_>>());
            let bad: Vec<_> = done.iter().filter(|wc| wc.status != 0).collect();
            failed.store(!bad.is_empty(), Ordering::SeqCst);
            assert!(bad.is_empty(), "{bad:?}");
        });
        for round in 0..ROUNDS as u64 {
            let write = What::WriteImmediate(b.keys(), (round as u32).to_be());
            let (big, small) = (a.part(0, BYTES), a.part(0, 50));
            let more = |ex| {
                add(ex, 2 * round, write, to_b, &[big]);
                if chained {
                    add(ex, 2 * round + 1, What::Send, to_b, &[small]);
                }
            };
            while a.build(abi::SEND_SIGNALED, more) == libc::ENOMEM {
                std::thread::yield_now();
            }
            while !chained && a.post(2 * round + 1, What::Send, to_b, &[small]) == libc::ENOMEM {
                std::thread::yield_now();
            }
        }
        poller.join().expect("the poller's assertions");
    });
    assert!(!failed.load(Ordering::SeqCst));
}

#[test]
fn two_threads_under_loss_and_reordering_lose_nothing() {
    let (mut a, to_b, b, _) = two(Device::Stress, Device::StressPeer, BYTES + 4096);
    a.buffer.copy_from_slice(&pattern(5, BYTES + 4096));
    for (loss, reorder, chained) in [
        (0.0, 0.3, true),
        (0.02, 0.0, false),
        (0.05, 0.3, true),
        (0.0, 0.0, false),
    ] {
        let _faults: Vec<_> = [Device::Stress, Device::StressPeer]
            .into_iter()
            .flat_map(|device| {
                [(Field::Loss, loss), (Field::Reorder, reorder)]
                    .map(|(field, value): (Field, f64)| Fault::set(device, field, value.to_bits()))
            })
            .collect();
        for at in 0..2 * ROUNDS as u64 {
            assert_eq!(b.receive(at, &[b.part(BYTES, 100)]), 0);
        }
        run(&a, to_b, &b, chained);
        let got = b.wait(2 * ROUNDS);
        assert!(got.iter().all(|wc| wc.status == 0));
        let mut immediates: Vec<_> = got
            .iter()
            .filter(|wc| wc.opcode == abi::WC_RECV_RDMA_WITH_IMM)
            .map(|wc| u32::from_be(wc.imm_data))
            .collect();
        immediates.sort_unstable();
        assert_eq!(immediates, (0..ROUNDS as u32).collect::<Vec<_>>());
        assert_eq!(b.buffer[..BYTES], pattern(5, BYTES));
        assert!(b.poll().is_empty());
    }
}

#[test]
fn many_threads_build_on_one_pair() {
    let (a, to_b, b, _) = two(Device::Plain, Device::Other, 4096);
    let (threads, each) = (4, 50);
    for at in 0..(threads * each) as u64 {
        assert_eq!(b.receive(at, &[b.part(0, 100)]), 0);
    }
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let a = &a;
            let to = Elsewhere(to_b);
            scope.spawn(move || {
                let to = to;
                for at in 0..each {
                    let id = (thread * each + at) as u64;
                    while a.post(id, What::Send, to.0, &[a.part(0, 10)]) == libc::ENOMEM {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let mut ids: Vec<_> = a.wait(threads * each).iter().map(|wc| wc.wr_id).collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..(threads * each) as u64).collect::<Vec<_>>());
    });
    assert_eq!(b.wait(threads * each).len(), threads * each);
}
