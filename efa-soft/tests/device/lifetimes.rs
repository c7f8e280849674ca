//! What is left when an object goes.

use efa_soft::abi;
use efa_soft::control::Field;
use efa_soft::efadv;
use efa_soft::verbs::{completion_queue, context, memory, queue_pair};

use crate::end::{Device, End, Fault, What, Wish, new_qp, two};

#[test]
fn completions_of_a_pair_that_went_are_not_found_any_more() {
    let (mut a, to_b, mut b, _) = two(Device::Plain, Device::Other, 4096);
    // A second pair of B on the same queue, whose completions must stay.
    let second = new_qp(b.context, b.pd, b.cq, Wish::default());
    // SAFETY: a live pair.
    let number = unsafe { (*second).qp_num };
    let first = std::mem::replace(&mut b.qp, second);
    b.to_ready(7);
    assert_eq!(b.receive(20, &[b.part(0, 100)]), 0);
    b.qp = first;
    assert_eq!(b.receive(10, &[b.part(0, 100)]), 0);
    assert_eq!(a.post(1, What::Send, to_b, &[a.part(0, 10)]), 0);
    assert_eq!(
        a.post(2, What::Send, (to_b.0, number, to_b.2), &[a.part(0, 10)]),
        0
    );
    assert_eq!(a.wait(2).len(), 2);
    b.destroy_pair();
    let left: Vec<_> = b.wait(1).iter().map(|wc| (wc.wr_id, wc.qp_num)).collect();
    assert_eq!(left, [(20, number)]);
    assert!(b.poll().is_empty());
    // The sender's own: posted, never polled, and gone with the pair.
    assert_eq!(a.post(3, What::Send, to_b, &[a.part(0, 10)]), 0);
    a.destroy_pair();
    assert!(a.poll().is_empty());
    // SAFETY: a live pair, not used again.
    unsafe { assert_eq!(queue_pair::ibv_destroy_qp(second), 0) };
}

#[test]
fn a_receiver_that_goes_acknowledges_what_it_received() {
    let (a, to_b, mut b, _) = two(Device::Plain, Device::Goodbye, 4096);
    assert_eq!(b.receive(10, &[b.part(0, 100)]), 0);
    // Every acknowledgement is lost.
    let fault = Fault::set(Device::Goodbye, Field::Loss, 1.0_f64.to_bits());
    assert_eq!(a.post(1, What::Send, to_b, &[a.part(0, 10)]), 0);
    assert_eq!(b.wait(1)[0].wr_id, 10);
    assert!(a.poll().is_empty());
    b.destroy_pair();
    assert_eq!(a.outcome(), 0);
    drop(fault);
}

#[test]
fn a_pair_goes_with_everything_under_way() {
    for _ in 0..5 {
        let (mut a, to_b, b, _) = two(Device::Plain, Device::Other, 1 << 20);
        for at in 0..20 {
            assert_eq!(
                a.post(at, What::Write(b.keys()), to_b, &[a.part(0, 1 << 20)]),
                0
            );
        }
        a.destroy_pair();
        assert!(a.poll().is_empty());
    }
}

#[test]
fn events_of_a_queue_that_went_are_not_found_any_more() {
    let mut a = End::new(Device::Plain, 4096);
    // SAFETY: objects of this test, ended in order.
    unsafe {
        let cq = completion_queue::ibv_create_cq(a.context, 16, std::ptr::null_mut(), a.channel, 0);
        let mut attr = abi::QpInitAttr {
            qp_context: std::ptr::null_mut(),
            send_cq: cq,
            recv_cq: cq,
            srq: std::ptr::null_mut(),
            cap: Wish::default().cap,
            qp_type: abi::QPT_DRIVER,
            sq_sig_all: 0,
        };
        assert!(
            queue_pair::ibv_create_qp(a.pd, &raw mut attr).is_null(),
            "SRD has its own function"
        );
        let qp = efadv::efadv_create_driver_qp(a.pd, &raw mut attr, 0);
        assert!(!qp.is_null());
        let own = std::mem::replace(&mut a.qp, qp);
        a.to_ready(7);
        let gid = a.gid();
        let to_self = (a.address(gid), a.number(), crate::end::QKEY);
        (*a.context).ops.req_notify_cq.expect("set")(cq, 0);
        assert_eq!(a.receive(1, &[a.part(0, 10)]), 0);
        assert_eq!(a.post(2, What::Send, to_self, &[a.part(0, 10)]), 0);
        let mut ready = libc::pollfd {
            fd: (*a.channel).fd,
            events: libc::POLLIN,
            revents: 0,
        };
        assert_eq!(libc::poll(&raw mut ready, 1, 30_000), 1);
        a.destroy_pair();
        a.qp = own;
        assert_eq!(completion_queue::ibv_destroy_cq(cq), 0);
        assert_eq!(libc::poll(&raw mut ready, 1, 0), 0);
    }
}

#[test]
fn a_device_is_closed_with_objects_left_on_it() {
    let context = crate::end::open(Device::Late);
    // SAFETY: a live context; what is left is never used again, as when a program ends.
    unsafe {
        let pd = memory::ibv_alloc_pd(context);
        let cq = crate::end::new_cq(context, std::ptr::null_mut());
        assert!(!new_qp(context, pd, cq, Wish::default()).is_null());
        assert_eq!(context::ibv_close_device(context), 0);
    }
}
