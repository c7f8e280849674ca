//! What a request can meet at the other end, and how it ends then.

use efa_soft::abi::{self, Gid};
use efa_soft::capability::MTU;
use efa_soft::control::Field;
use efa_soft::status::Status;
use efa_soft::verbs::memory;

use crate::end::{Device, End, Fault, QKEY, What, two};

/// The completion of one request.
fn ends(a: &End, what: What, to: crate::end::To, buffers: &[abi::Sge]) -> u32 {
    assert_eq!(a.post(1, what, to, buffers), 0, "{what:?}");
    a.outcome()
}

#[test]
fn rdma_outside_of_what_was_registered_is_refused() {
    let (a, to_b, b, _) = two(Device::Plain, Device::Other, 4096);
    let (key, at) = b.keys();
    let remote = [
        (key, at - 1),
        (key, at + 4096 - 99),
        (key, u64::MAX - 10),
        (key ^ 1, at),
        (0, at),
        (u32::MAX, at),
    ];
    for target in remote {
        for what in [
            What::Read(target),
            What::Write(target),
            What::WriteImmediate(target, 1),
        ] {
            let status = ends(&a, what, to_b, &[a.part(0, 100)]);
            assert_eq!(status, Status::RemoteAddress as u32, "{what:?}");
        }
    }
    assert_eq!(
        ends(&a, What::Read((key, at + 3996)), to_b, &[a.part(0, 100)]),
        0
    );
    assert_eq!(b.buffer, vec![0; 4096]);
}

#[test]
fn access_and_domain_of_the_target_count() {
    let (a, to_b, mut b, _) = two(Device::Plain, Device::Other, 4096);
    let refused = Status::RemoteAddress as u32;
    for access in [0, abi::ACCESS_LOCAL_WRITE] {
        // SAFETY: memory of this end, deregistered before it goes.
        unsafe {
            let at = b.buffer.as_mut_ptr();
            let mr = memory::ibv_reg_mr(b.pd, at.cast(), 4096, access as i32);
            let target = ((*mr).rkey, at as u64);
            assert_eq!(
                ends(&a, What::Read(target), to_b, &[a.part(0, 10)]),
                refused
            );
            assert_eq!(
                ends(&a, What::Write(target), to_b, &[a.part(0, 10)]),
                refused
            );
            assert_eq!(memory::ibv_dereg_mr(mr), 0);
            assert_eq!(
                ends(&a, What::Read(target), to_b, &[a.part(0, 10)]),
                refused
            );
        }
    }
    // SAFETY: as above; another domain of the same device.
    unsafe {
        let pd = memory::ibv_alloc_pd(b.context);
        let at = b.buffer.as_mut_ptr();
        let access = abi::ACCESS_LOCAL_WRITE | abi::ACCESS_REMOTE_READ;
        let mr = memory::ibv_reg_mr(pd, at.cast(), 4096, access as i32);
        assert_eq!(
            ends(
                &a,
                What::Read(((*mr).rkey, at as u64)),
                to_b,
                &[a.part(0, 10)]
            ),
            refused
        );
        assert_eq!(memory::ibv_dereg_mr(mr), 0);
        assert_eq!(memory::ibv_dealloc_pd(pd), 0);
    }
}

#[test]
fn the_target_of_rdma_must_know_the_initiator() {
    let mut a = End::new(Device::Plain, 4096);
    let mut b = End::new(Device::Other, 4096);
    let to_b = a.to(&b);
    let unknown = Status::UnknownPeer as u32;
    assert_eq!(
        ends(&a, What::Read(b.keys()), to_b, &[a.part(0, 10)]),
        unknown
    );
    assert_eq!(
        ends(&a, What::Write(b.keys()), to_b, &[a.part(0, 10)]),
        unknown
    );
    b.to(&a);
    assert_eq!(ends(&a, What::Write(b.keys()), to_b, &[a.part(0, 10)]), 0);
}

#[test]
fn memory_that_was_unmapped_under_its_key_fails_the_request_and_not_the_process() {
    let (a, to_b, b, _) = two(Device::Lossy, Device::Other, 4096);
    let length = 4096;
    // SAFETY: a fresh mapping of this test alone, unmapped once; its key is deregistered at the end.
    unsafe {
        let at = libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert_ne!(at, libc::MAP_FAILED);
        let mr = memory::ibv_reg_mr(a.pd, at, length, abi::ACCESS_LOCAL_WRITE as i32);
        let part = abi::Sge {
            addr: at as u64,
            length: 1000,
            lkey: (*mr).lkey,
        };
        assert_eq!(ends(&a, What::Write(b.keys()), to_b, &[part]), 0);
        // As if it were unmapped, without another thread mapping something at its place.
        assert_eq!(libc::mprotect(at, length, libc::PROT_NONE), 0);
        for late in [0.0_f64, 1.0] {
            // A packet that leaves later is copied by the device itself.
            let _reorder = Fault::set(Device::Lossy, Field::Reorder, late.to_bits());
            let ended = ends(&a, What::Write(b.keys()), to_b, &[part]);
            assert_eq!(ended, Status::InvalidLocalKey as u32, "{late}");
        }
        assert_eq!(memory::ibv_dereg_mr(mr), 0);
        assert_eq!(libc::munmap(at, length), 0);
    }
}

#[test]
fn local_keys_must_cover_the_buffers() {
    let (a, to_b, b, _) = two(Device::Plain, Device::Other, 4096);
    let invalid = Status::InvalidLocalKey as u32;
    let good = a.part(0, 100);
    let wrong = [
        abi::Sge {
            lkey: good.lkey ^ 1,
            ..good
        },
        abi::Sge { lkey: 0, ..good },
        abi::Sge {
            addr: good.addr + 4000,
            ..good
        },
        abi::Sge {
            addr: u64::MAX,
            ..good
        },
    ];
    for buffer in wrong {
        assert_eq!(ends(&a, What::Send, to_b, &[buffer]), invalid, "{buffer:?}");
        assert_eq!(
            ends(&a, What::Write(b.keys()), to_b, &[buffer]),
            invalid,
            "{buffer:?}"
        );
        assert_eq!(
            ends(&a, What::Read(b.keys()), to_b, &[buffer]),
            invalid,
            "{buffer:?}"
        );
    }
    // A receive whose key is wrong is used up; the sender has done its part.
    assert_eq!(
        b.receive(
            5,
            &[abi::Sge {
                lkey: 1,
                ..b.part(0, 200)
            }]
        ),
        0
    );
    assert_eq!(ends(&a, What::Send, to_b, &[good]), 0);
    let got = b.wait(1)[0];
    assert_eq!((got.wr_id, got.vendor_err), (5, invalid));
}

#[test]
fn a_message_longer_than_the_mtu_or_the_receive_is_refused() {
    let (a, to_b, b, _) = two(Device::Plain, Device::Other, 4 * MTU);
    let status = ends(&a, What::Send, to_b, &[a.part(0, MTU + 1)]);
    assert_eq!(status, Status::LocalLength as u32);
    assert_eq!(b.receive(5, &[b.part(0, 99)]), 0);
    assert_eq!(b.receive(6, &[b.part(0, 100)]), 0);
    let status = ends(&a, What::Send, to_b, &[a.part(0, 100)]);
    assert_eq!(status, Status::RemoteLength as u32);
    let got = b.wait(1)[0];
    assert_eq!((got.wr_id, got.vendor_err), (5, Status::LocalLength as u32));
    assert_eq!(ends(&a, What::Send, to_b, &[a.part(0, 100)]), 0);
    assert_eq!(b.wait(1)[0].wr_id, 6);
}

#[test]
fn a_queue_pair_that_is_not_there_or_has_another_key_is_named() {
    let (a, to_b, mut b, _) = two(Device::Plain, Device::Other, 4096);
    let bad = Status::BadQueuePair as u32;
    assert_eq!(
        ends(&a, What::Send, (to_b.0, to_b.1, QKEY ^ 1), &[a.part(0, 10)]),
        bad
    );
    let mut gid = b.gid();
    assert_eq!(b.receive(1, &[b.part(0, 10)]), 0);
    assert_eq!(ends(&a, What::Send, to_b, &[a.part(0, 10)]), 0);
    b.destroy_pair();
    assert_eq!(ends(&a, What::Send, to_b, &[a.part(0, 10)]), bad);
    // The number of a device's pair, and the GID of its neighbour.
    gid.raw[9] += 1;
    gid.raw[15] += 1;
    let mut a = a;
    let neighbour = a.address(gid);
    let timeout = ends(&a, What::Send, (neighbour, to_b.1, QKEY), &[a.part(0, 10)]);
    assert_eq!(timeout, Status::Unreachable as u32);
}

#[test]
fn a_gid_that_no_device_has_is_never_reached() {
    let mut a = End::new(Device::Plain, 4096);
    let nowhere = a.address(Gid { raw: [7; 16] });
    let status = ends(&a, What::Send, (nowhere, 20_000, QKEY), &[a.part(0, 10)]);
    assert_eq!(status, Status::Unreachable as u32);
}

#[test]
fn a_receiver_that_is_not_ready_is_waited_for_or_given_up() {
    let mut a = End::new(Device::Plain, 4096);
    let b = End::new(Device::Other, 4096);
    let to_b = a.to(&b);
    // Without end.
    assert_eq!(a.post(1, What::Send, to_b, &[a.part(0, 10)]), 0);
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert!(a.poll().is_empty());
    assert_eq!(b.receive(2, &[b.part(0, 10)]), 0);
    assert_eq!((a.outcome(), b.wait(1)[0].wr_id), (0, 2));
    // Three times, and then never, even if a receive comes afterwards.
    let attr = abi::QpAttr {
        qp_state: abi::QPS_RESET,
        ..abi::QpAttr::default()
    };
    assert_eq!(a.modify(&attr, abi::QP_STATE), 0);
    a.to_ready(3);
    for round in 0..20 {
        assert_eq!(
            ends(&a, What::Send, to_b, &[a.part(0, 10)]),
            Status::ReceiverNotReady as u32
        );
        assert_eq!(b.receive(round, &[b.part(0, 10)]), 0);
        assert!(b.poll().is_empty(), "delivered and failed");
        assert_eq!(ends(&a, What::Send, to_b, &[a.part(0, 10)]), 0);
        assert_eq!(b.wait(1)[0].wr_id, round);
    }
}

#[test]
fn more_failures_than_the_span_of_numbers_do_not_wedge_a_flow() {
    let mut a = End::new(Device::Plain, 4096);
    let b = End::new(Device::Other, 4096);
    let to_b = a.to(&b);
    let attr = abi::QpAttr {
        qp_state: abi::QPS_RESET,
        ..abi::QpAttr::default()
    };
    assert_eq!(a.modify(&attr, abi::QP_STATE), 0);
    a.to_ready(0);
    for _ in 0..1100 {
        assert_eq!(
            ends(&a, What::Send, to_b, &[a.part(0, 1)]),
            Status::ReceiverNotReady as u32
        );
    }
    assert_eq!(b.receive(9, &[b.part(0, 10)]), 0);
    assert_eq!(ends(&a, What::Send, to_b, &[a.part(0, 1)]), 0);
    assert_eq!(b.wait(1)[0].wr_id, 9);
}

#[test]
fn a_pair_in_the_error_state_flushes() {
    let (a, to_b, b, _) = two(Device::Plain, Device::Other, 4096);
    assert_eq!(a.post(1, What::Send, to_b, &[a.part(0, 10)]), 0);
    assert_eq!(a.receive(2, &[a.part(0, 10)]), 0);
    let attr = abi::QpAttr {
        qp_state: abi::QPS_ERR,
        ..abi::QpAttr::default()
    };
    assert_eq!(a.modify(&attr, abi::QP_STATE), 0);
    let mut flushed: Vec<_> = a
        .wait(2)
        .iter()
        .map(|wc| (wc.wr_id, wc.vendor_err))
        .collect();
    flushed.sort_unstable();
    assert_eq!(
        flushed,
        [(1, Status::Flushed as u32), (2, Status::Flushed as u32)]
    );
    assert_eq!(a.post(3, What::Send, to_b, &[a.part(0, 10)]), libc::EINVAL);
    drop(b);
}
