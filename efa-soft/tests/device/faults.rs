//! Faults set while the devices run, and what the counters show.

use std::time::{Duration, Instant};

use efa_soft::control::{COUNTERS, Counter, Field};
use efa_soft::status::Status;
use efa_soft::verbs::context;

use crate::end::{Device, End, Fault, What, control, counter, name, pattern, root, two};

#[test]
fn loss_and_reordering_cost_copies_but_no_operation() {
    let size = 400_000;
    let (mut a, to_b, b, _) = two(Device::Lossy, Device::Plain, size);
    let _loss = Fault::set(Device::Lossy, Field::Loss, 0.3_f64.to_bits());
    let _reorder = Fault::set(Device::Lossy, Field::Reorder, 0.3_f64.to_bits());
    let before = counter(Device::Lossy, Counter::RetransPkts);
    for round in 0..3 {
        a.buffer.copy_from_slice(&pattern(round, size));
        assert_eq!(b.receive(1, &[]), 0);
        let what = What::WriteImmediate(b.keys(), 1);
        assert_eq!(a.post(1, what, to_b, &[a.part(0, size)]), 0);
        assert_eq!((a.outcome(), b.outcome()), (0, 0));
        assert_eq!(b.buffer, pattern(round, size));
        a.buffer.fill(0);
        assert_eq!(a.post(2, What::Read(b.keys()), to_b, &[a.part(0, size)]), 0);
        assert_eq!(a.outcome(), 0);
        assert_eq!(a.buffer, pattern(round, size));
    }
    assert!(counter(Device::Lossy, Counter::RetransPkts) > before);
}

#[test]
fn a_peer_that_dies_is_distinguished_from_one_that_never_was_there() {
    let (a, to_b, b, _) = two(Device::Plain, Device::Dead, 4096);
    assert_eq!(b.receive(1, &[b.part(0, 10)]), 0);
    assert_eq!(a.post(1, What::Send, to_b, &[a.part(0, 10)]), 0);
    assert_eq!(a.outcome(), 0);
    let dead = Fault::set(Device::Dead, Field::Dead, 1);
    let mut c = End::new(Device::Other, 4096);
    let to_dead = c.to(&b);
    assert_eq!(a.post(2, What::Send, to_b, &[a.part(0, 10)]), 0);
    assert_eq!(c.post(3, What::Send, to_dead, &[c.part(0, 10)]), 0);
    assert_eq!(a.outcome(), Status::Unresponsive as u32);
    assert_eq!(c.outcome(), Status::Unreachable as u32);
    drop(dead);
    assert_eq!(b.receive(4, &[b.part(0, 10)]), 0);
    assert_eq!(a.post(5, What::Send, to_b, &[a.part(0, 10)]), 0);
    assert_eq!(a.outcome(), 0);
}

#[test]
fn a_dead_peer_does_not_hold_up_others_on_the_same_pair() {
    let (mut a, to_b, b, _) = two(Device::Plain, Device::Other, 4096);
    let mut gone = b.gid();
    gone.raw[9] = 31;
    gone.raw[15] = 31;
    // 192.0.2.1 is nobody's.
    gone.raw[10..14].copy_from_slice(&[192, 0, 2, 1]);
    let nobody = (a.address(gone), 16_384 + 31 * 1024, to_b.2);
    for at in 0..100 {
        assert_eq!(a.post(at, What::Send, nobody, &[a.part(0, 10)]), 0);
    }
    assert_eq!(b.receive(1, &[b.part(0, 10)]), 0);
    assert_eq!(a.post(500, What::Send, to_b, &[a.part(0, 10)]), 0);
    assert_eq!(a.wait(1)[0].wr_id, 500);
    let rest = a.wait(100);
    assert!(
        rest.iter()
            .all(|wc| wc.vendor_err == Status::Unreachable as u32)
    );
}

#[test]
fn a_port_that_is_down_says_so_and_comes_back() {
    let (a, to_b, b, _) = two(Device::Down, Device::Plain, 4096);
    let down = Fault::set(Device::Down, Field::Down, 1);
    let state = |end: &End| {
        let mut port = efa_soft::abi::PortAttr::default();
        // SAFETY: a live context and a result of this frame.
        unsafe { assert_eq!(context::ibv_query_port(end.context, 1, &raw mut port), 0) };
        port.state
    };
    assert_eq!(state(&a), 1);
    assert_eq!(a.post(1, What::Send, to_b, &[a.part(0, 10)]), 0);
    assert_eq!(a.outcome(), Status::Unreachable as u32);
    drop(down);
    assert_eq!(state(&a), 4);
    assert_eq!(b.receive(1, &[b.part(0, 10)]), 0);
    assert_eq!(a.post(1, What::Send, to_b, &[a.part(0, 10)]), 0);
    assert_eq!(a.outcome(), 0);
}

#[test]
fn an_outage_shorter_than_the_timeout_fails_nothing() {
    let (a, to_b, b, _) = two(Device::Flapping, Device::Plain, 200_000);
    let dead = Fault::set(Device::Flapping, Field::Dead, 1);
    assert_eq!(
        a.post(1, What::Write(b.keys()), to_b, &[a.part(0, 200_000)]),
        0
    );
    std::thread::sleep(Duration::from_millis(100));
    drop(dead);
    assert_eq!(a.outcome(), 0);
}

#[test]
fn a_rate_and_a_delay_are_kept_in_both_directions() {
    let size = 200_000;
    let (a, to_b, b, _) = two(Device::Slow, Device::Plain, size);
    let (c, to_slow) = {
        let mut c = End::new(Device::Other, size);
        let to_slow = c.to(&a);
        (c, to_slow)
    };
    let mut a = a;
    a.to(&c);
    // 200 kB at 2 MB/s take 100 ms, less what may leave ahead of its time: 0.2 ms.
    let rate = Fault::set(Device::Slow, Field::Rate, 2_000_000);
    let began = Instant::now();
    assert_eq!(
        a.post(1, What::Write(b.keys()), to_b, &[a.part(0, size)]),
        0
    );
    assert_eq!(a.outcome(), 0);
    assert!(
        began.elapsed() > Duration::from_millis(90),
        "{:?}",
        began.elapsed()
    );
    let began = Instant::now();
    assert_eq!(
        c.post(1, What::Read(a.keys()), to_slow, &[c.part(0, size)]),
        0
    );
    assert_eq!(c.outcome(), 0);
    assert!(
        began.elapsed() > Duration::from_millis(90),
        "{:?}",
        began.elapsed()
    );
    drop(rate);
    let delay = Fault::set(Device::Slow, Field::DelayUs, 30_000);
    let began = Instant::now();
    assert_eq!(a.post(1, What::Write(b.keys()), to_b, &[a.part(0, 10)]), 0);
    assert_eq!(a.outcome(), 0);
    assert!(
        began.elapsed() >= Duration::from_millis(30),
        "{:?}",
        began.elapsed()
    );
    drop(delay);
}

#[test]
fn a_receiver_can_be_made_not_ready() {
    let (a, to_b, b, _) = two(Device::Plain, Device::NotReady, 4096);
    let fault = Fault::set(Device::NotReady, Field::NotReady, 1);
    assert_eq!(b.receive(1, &[b.part(0, 10)]), 0);
    assert_eq!(a.post(1, What::Send, to_b, &[a.part(0, 10)]), 0);
    std::thread::sleep(Duration::from_millis(20));
    assert!(a.poll().is_empty());
    assert!(counter(Device::NotReady, Counter::ImpairedRemoteConnEvents) > 0);
    drop(fault);
    assert_eq!((a.outcome(), b.outcome()), (0, 0));
}

#[test]
fn counters_count_and_their_files_follow() {
    let size = 20_000;
    let (a, to_b, b, _) = two(Device::Counted, Device::Plain, size);
    assert_eq!(b.receive(1, &[b.part(0, 100)]), 0);
    assert_eq!(a.post(1, What::Send, to_b, &[a.part(0, 100)]), 0);
    assert_eq!(a.outcome(), 0);
    assert_eq!(
        a.post(2, What::Write(b.keys()), to_b, &[a.part(0, size)]),
        0
    );
    assert_eq!(a.outcome(), 0);
    assert_eq!(a.post(3, What::Read(b.keys()), to_b, &[a.part(0, 500)]), 0);
    assert_eq!(a.outcome(), 0);
    drop(a);
    let expected = [
        (Counter::TxBytes, 20_100),
        (Counter::RxBytes, 500),
        (Counter::SendWrs, 1),
        (Counter::SendBytes, 100),
        (Counter::RdmaWriteWrs, 1),
        (Counter::RdmaWriteBytes, 20_000),
        (Counter::RdmaReadWrs, 1),
        (Counter::RdmaReadBytes, 500),
        (Counter::RdmaReadWrErr, 0),
    ];
    let files = root()
        .join("class/infiniband")
        .join(name(Device::Counted))
        .join("ports/1/hw_counters");
    for (which, value) in expected {
        let name = COUNTERS[which as usize];
        // A busy machine may send a copy; what is counted by request is exact.
        let repeated = counter(Device::Counted, Counter::RetransBytes);
        let counted = control(Device::Counted).counter(which);
        let most = value
            + if which == Counter::TxBytes {
                repeated
            } else {
                0
            };
        assert!((value..=most).contains(&counted), "{name}: {counted}");
        let text = std::fs::read_to_string(files.join(name)).expect("a file per counter");
        assert_eq!(text.trim().parse(), Ok(counted), "{name}");
    }
}
