//! What works: messages, reads, writes, datagrams, events.

use std::ffi::c_void;

use efa_soft::abi;
use efa_soft::capability::MTU;
use efa_soft::verbs::completion_queue;

use crate::end::{Device, End, QKEY, What, Wish, add, pattern, two};

#[test]
fn messages_of_every_size_arrive_whole() {
    let (mut a, to_b, b, _) = two(Device::Plain, Device::Other, 64 << 10);
    for (seed, len) in [0, 1, 31, 32, 33, 4096, MTU - 1, MTU]
        .into_iter()
        .enumerate()
    {
        let data = pattern(seed, len);
        a.buffer[..len].copy_from_slice(&data);
        assert_eq!(b.receive(seed as u64, &[b.part(100, MTU)]), 0);
        assert_eq!(
            a.post(900 + seed as u64, What::Send, to_b, &[a.part(0, len)]),
            0
        );
        let sent = a.wait(1)[0];
        assert_eq!(
            (sent.wr_id, sent.status, sent.opcode),
            (900 + seed as u64, 0, abi::WC_SEND)
        );
        let got = b.wait(1)[0];
        assert_eq!((got.wr_id, got.byte_len as usize), (seed as u64, len));
        assert_eq!(
            (got.qp_num, got.src_qp, got.opcode),
            (b.number(), a.number(), abi::WC_RECV)
        );
        assert_eq!(b.buffer[100..100 + len], data);
    }
}

#[test]
fn two_buffers_each_way_inline_data_and_immediates() {
    let (mut a, to_b, b, _) = two(Device::Plain, Device::Other, 4096);
    a.buffer[..300].copy_from_slice(&pattern(1, 300));
    assert_eq!(b.receive(1, &[b.part(0, 70), b.part(1000, 500)]), 0);
    let parts = [a.part(0, 100), a.part(100, 200)];
    assert_eq!(
        a.post(2, What::SendImmediate(5_u32.to_be()), to_b, &parts),
        0
    );
    let got = b.wait(1)[0];
    assert_eq!(
        (got.byte_len, got.wc_flags, got.imm_data),
        (300, abi::WC_WITH_IMM, 5_u32.to_be())
    );
    assert_eq!(
        [&b.buffer[..70], &b.buffer[1000..1230]].concat(),
        pattern(1, 300)
    );

    assert_eq!(b.receive(3, &[b.part(0, 70)]), 0);
    let mut text = *b"inline data of a message";
    let posted = a.build(abi::SEND_SIGNALED | abi::SEND_INLINE, |ex| {
        // SAFETY: between start and complete, whose functions are set.
        unsafe {
            (*ex).wr_send.expect("set")(ex);
            (*ex).wr_set_inline_data.expect("set")(ex, text.as_ptr().cast::<c_void>(), text.len());
            (*ex).wr_set_ud_addr.expect("set")(ex, to_b.0, to_b.1, to_b.2);
        }
    });
    // Inline data belong to the request from the call on.
    text.fill(0);
    assert_eq!(posted, 0);
    assert_eq!(b.wait(1)[0].byte_len, 24);
    assert_eq!(&b.buffer[..24], b"inline data of a message");

    assert_eq!(b.receive(4, &[b.part(0, 70)]), 0);
    let flags = abi::SEND_SIGNALED | abi::SEND_INLINE;
    assert_eq!(
        a.post_old(5, flags, abi::WR_SEND_WITH_IMM, to_b, &[a.part(0, 32)]),
        0
    );
    let got = b.wait(1)[0];
    assert_eq!((got.byte_len, got.imm_data), (32, 77_u32.to_be()));
    assert_eq!(a.wait(3).iter().map(|wc| wc.status).sum::<u32>(), 0);
}

#[test]
fn reads_and_writes_of_every_size_move_the_right_bytes() {
    let size = 3 << 20;
    let (mut a, to_b, mut b, _) = two(Device::Plain, Device::Other, size);
    let (key, at) = b.keys();
    for (seed, len) in [1, 64, MTU, MTU + 1, 100_000, size].into_iter().enumerate() {
        a.buffer[..len].copy_from_slice(&pattern(seed, len));
        assert_eq!(
            a.post(1, What::Write((key, at)), to_b, &[a.part(0, len)]),
            0
        );
        let done = a.wait(1)[0];
        assert_eq!((done.status, done.opcode), (0, abi::WC_RDMA_WRITE));
        assert_eq!(b.buffer[..len], pattern(seed, len));

        b.buffer[..len].copy_from_slice(&pattern(seed + 50, len));
        assert_eq!(a.post(2, What::Read((key, at)), to_b, &[a.part(0, len)]), 0);
        let done = a.wait(1)[0];
        // As rdma-core's EFA driver has it: reads have no name of their own.
        assert_eq!((done.status, done.opcode), (0, abi::WC_SEND));
        assert_eq!(a.buffer[..len], pattern(seed + 50, len));
    }
}

#[test]
fn a_write_with_immediate_tells_the_target_once_all_bytes_are_there() {
    for unsolicited in [false, true] {
        let size = 200_000;
        let mut a = End::new(Device::Plain, size);
        let wish = Wish {
            unsolicited,
            ..Wish::default()
        };
        let mut b = End::with(Device::Other, size, wish);
        let to_b = a.to(&b);
        b.to(&a);
        for (seed, len) in [0, 9, MTU, 3 * MTU + 5, size].into_iter().enumerate() {
            a.buffer[..len].copy_from_slice(&pattern(seed, len));
            if !unsolicited {
                assert_eq!(b.receive(40 + seed as u64, &[]), 0);
            }
            let what = What::WriteImmediate(b.keys(), (seed as u32).to_be());
            assert_eq!(a.post(1, what, to_b, &[a.part(0, len)]), 0);
            let got = b.wait(1)[0];
            assert_eq!(b.buffer[..len], pattern(seed, len));
            assert_eq!(got.opcode, abi::WC_RECV_RDMA_WITH_IMM);
            assert_eq!(
                (got.byte_len as usize, got.imm_data),
                (len, (seed as u32).to_be())
            );
            assert_eq!(got.wr_id, if unsolicited { 0 } else { 40 + seed as u64 });
            assert_eq!(a.outcome(), 0);
        }
    }
}

#[test]
fn a_chain_of_requests_is_posted_at_once() {
    let (a, to_b, b, _) = two(Device::Plain, Device::Other, 4096);
    for at in 0..20 {
        assert_eq!(b.receive(at, &[b.part(at as usize * 100, 100)]), 0);
    }
    let posted = a.build(abi::SEND_SIGNALED, |ex| {
        for at in 0..20 {
            add(ex, at, What::Send, to_b, &[a.part(0, at as usize)]);
        }
    });
    assert_eq!(posted, 0);
    let mut sizes: Vec<_> = b.wait(20).iter().map(|wc| wc.byte_len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, (0..20).collect::<Vec<_>>());
    assert_eq!(a.wait(20).len(), 20);
}

#[test]
fn an_aborted_chain_sends_nothing() {
    let (a, to_b, b, _) = two(Device::Plain, Device::Other, 4096);
    assert_eq!(b.receive(1, &[b.part(0, 100)]), 0);
    let ex = efa_soft::verbs::queue_pair::ibv_qp_to_qp_ex(a.qp);
    // SAFETY: a live pair, whose functions are set.
    unsafe {
        (*ex).wr_start.expect("set")(ex);
        (*ex).wr_flags = abi::SEND_SIGNALED;
        add(ex, 1, What::Send, to_b, &[a.part(0, 10)]);
        (*ex).wr_abort.expect("set")(ex);
    }
    assert_eq!(a.post(2, What::Send, to_b, &[a.part(0, 20)]), 0);
    assert_eq!((a.wait(1)[0].wr_id, b.wait(1)[0].byte_len), (2, 20));
    assert!(a.poll().is_empty() && b.poll().is_empty());
}

#[test]
fn datagrams_leave_room_for_a_header_and_carry_the_sender() {
    let wish = Wish {
        reliable: false,
        ..Wish::default()
    };
    let mut a = End::with(Device::Plain, 4096, wish);
    let b = End::with(Device::Other, 4096, wish);
    let to_b = a.to(&b);
    a.buffer[..50].copy_from_slice(&pattern(3, 50));
    assert_eq!(b.receive(1, &[b.part(0, 200)]), 0);
    assert_eq!(
        a.post_old(2, abi::SEND_SIGNALED, abi::WR_SEND, to_b, &[a.part(0, 50)]),
        0
    );
    assert_eq!(a.outcome(), 0);
    let got = b.wait(1)[0];
    assert_eq!((got.byte_len, got.src_qp), (90, a.number()));
    assert_eq!(b.buffer[40..90], pattern(3, 50));
    // B has no handle of A, so that the completion can name its GID.
    assert_eq!(got.slid, 0xffff);
}

#[test]
fn the_gid_of_an_unknown_sender_can_be_read() {
    let mut a = End::new(Device::Plain, 4096);
    let b = End::new(Device::Other, 4096);
    let to_b = a.to(&b);
    assert_eq!(b.receive(1, &[b.part(0, 200)]), 0);
    assert_eq!(a.post(2, What::Send, to_b, &[a.part(0, 50)]), 0);
    assert_eq!(a.outcome(), 0);
    // SAFETY: a live queue, whose functions are set.
    unsafe {
        let cq = b.cq;
        while (*cq).start_poll.expect("set")(cq, std::ptr::null_mut()) != 0 {}
        let efa = efa_soft::efadv::efadv_cq_from_ibv_cq_ex(cq);
        let mut gid = abi::Gid::default();
        assert_eq!((*efa).wc_read_sgid.expect("set")(efa, &raw mut gid), 0);
        assert_eq!(gid, a.gid());
        assert!(!(*efa).wc_is_unsolicited.expect("set")(efa));
        assert_eq!((*cq).read_byte_len.expect("set")(cq), 50);
        assert_eq!((*cq).next_poll.expect("set")(cq), libc::ENOENT);
        (*cq).end_poll.expect("set")(cq);
    }
}

#[test]
fn an_armed_queue_wakes_a_program_that_sleeps() {
    let (a, to_b, b, _) = two(Device::Plain, Device::Other, 4096);
    assert_eq!(b.receive(1, &[b.part(0, 200)]), 0);
    // SAFETY: live objects; the event is waited for without polling, so that only the device's
    // own thread can have raised it.
    unsafe {
        (*b.context).ops.req_notify_cq.expect("set")(b.cq.cast(), 0);
        assert_eq!(a.post(2, What::Send, to_b, &[a.part(0, 50)]), 0);
        let (mut cq, mut data) = (std::ptr::null_mut(), std::ptr::null_mut());
        assert_eq!(
            completion_queue::ibv_get_cq_event(b.channel, &raw mut cq, &raw mut data),
            0
        );
        assert_eq!((cq.cast(), data as usize), (b.cq, 0x77));
        completion_queue::ibv_ack_cq_events(cq, 1);
        assert_eq!((*cq).comp_events_completed, 1);
    }
    assert_eq!(b.wait(1)[0].byte_len, 50);
    assert_eq!(a.outcome(), 0);
}

#[test]
fn a_device_talks_to_itself() {
    let mut a = End::new(Device::Plain, 4096);
    let gid = a.gid();
    let to_a = (a.address(gid), a.number(), QKEY);
    a.buffer[..100].copy_from_slice(&pattern(8, 100));
    assert_eq!(a.receive(1, &[a.part(1000, 100)]), 0);
    assert_eq!(a.post(2, What::Send, to_a, &[a.part(0, 100)]), 0);
    assert_eq!(a.wait(2).iter().map(|wc| wc.status).sum::<u32>(), 0);
    assert_eq!(a.buffer[1000..1100], pattern(8, 100));
    let what = What::Read(a.keys());
    assert_eq!(a.post(3, what, to_a, &[a.part(2000, 100)]), 0);
    assert_eq!(a.outcome(), 0);
    assert_eq!(a.buffer[2000..2100], pattern(8, 100));
}
