//! What rdma-core or the kernel refuses before anything is sent.

use std::ptr::null_mut;

use efa_soft::abi::{self, CqInitAttrEx, QpAttr, QpCap};
use efa_soft::control::Field;
use efa_soft::efadv;
use efa_soft::verbs::{completion_queue, context, memory, queue_pair};

use crate::end::{
    Device, End, Fault, What, Wish, devices, errno, new_cq, new_qp, open, qp_attr, two,
};

#[test]
fn there_is_one_port_with_one_gid_and_one_key() {
    let a = End::new(Device::Plain, 64);
    let (mut port, mut gid, mut key) = (abi::PortAttr::default(), abi::Gid::default(), 0);
    let mut entry = abi::GidEntry::default();
    // SAFETY: a live context, and results of this frame.
    unsafe {
        for wrong in [0, 2, 99, 255] {
            assert_eq!(
                context::ibv_query_port(a.context, wrong, &raw mut port),
                libc::EINVAL
            );
            assert_eq!(
                context::ibv_query_gid(a.context, wrong, 0, &raw mut gid),
                -1
            );
            assert_eq!(
                context::ibv_query_pkey(a.context, wrong, 0, &raw mut key),
                -1
            );
            let ex =
                context::_ibv_query_gid_ex(a.context, u32::from(wrong), 0, &raw mut entry, 0, 32);
            assert_eq!(ex, libc::EINVAL);
        }
        assert_eq!(context::ibv_query_port(a.context, 1, &raw mut port), 0);
        assert_eq!(
            (port.state, port.max_msg_sz, port.gid_tbl_len),
            (4, 8928, 1)
        );
        assert_eq!(context::ibv_query_gid(a.context, 1, 1, &raw mut gid), -1);
        assert_eq!(errno(), libc::EINVAL);
        assert_eq!(
            context::_ibv_query_gid_table(a.context, &raw mut entry, 4, 0, 32),
            1
        );
        assert_eq!(entry.gid, a.gid());
        assert_eq!(context::ibv_query_pkey(a.context, 1, 0, &raw mut key), 0);
        assert_eq!(key, 0xffff);
    }
}

#[test]
fn requests_that_the_driver_refuses() {
    let (a, to_b, _b, _) = two(Device::Plain, Device::Other, 4096);
    let one = a.part(0, 10);
    let with = |flags| a.build(flags, |ex| crate::end::add(ex, 1, What::Send, to_b, &[one]));
    assert_eq!(with(0), libc::EINVAL, "without a completion");
    for flag in [1, 4, 16] {
        assert_eq!(with(abi::SEND_SIGNALED | flag), libc::EINVAL, "flag {flag}");
        let old = a.post_old(1, abi::SEND_SIGNALED | flag, abi::WR_SEND, to_b, &[one]);
        assert_eq!(old, libc::EINVAL, "flag {flag}");
    }
    assert_eq!(a.post_old(1, 0, abi::WR_SEND, to_b, &[one]), libc::EINVAL);
    for opcode in [0, 1, 4, 5, 6, 7, 9, 10] {
        assert_eq!(
            a.post_old(1, abi::SEND_SIGNALED, opcode, to_b, &[one]),
            libc::EINVAL,
            "{opcode}"
        );
    }
    assert_eq!(a.post(1, What::Send, to_b, &[one; 3]), libc::EINVAL);
    assert_eq!(
        a.post(1, What::Write((1, 1)), to_b, &[one; 2]),
        libc::EINVAL
    );
    let inline = abi::SEND_SIGNALED | abi::SEND_INLINE;
    assert_eq!(
        a.post_old(1, inline, abi::WR_SEND, to_b, &[a.part(0, 33)]),
        libc::EINVAL
    );
    assert_eq!(a.receive(1, &[one; 3]), libc::EINVAL);
    assert!(a.poll().is_empty());
    let all = End::with(
        Device::Plain,
        64,
        Wish {
            signal_all: true,
            ..Wish::default()
        },
    );
    assert_eq!(
        all.build(0, |ex| crate::end::add(ex, 1, What::Send, to_b, &[])),
        0
    );
}

#[test]
fn queues_have_the_depth_that_was_asked_for() {
    let cap = QpCap {
        max_send_wr: 5,
        max_recv_wr: 3,
        ..Wish::default().cap
    };
    let mut a = End::with(
        Device::Plain,
        4096,
        Wish {
            cap,
            ..Wish::default()
        },
    );
    let b = End::new(Device::Other, 4096);
    let to_b = a.to(&b);
    // Rounded up to a power of two, as the driver does.
    for at in 0..8 {
        assert_eq!(a.post(at, What::Send, to_b, &[a.part(0, 1)]), 0, "{at}");
    }
    assert_eq!(a.post(8, What::Send, to_b, &[a.part(0, 1)]), libc::ENOMEM);
    for at in 0..4 {
        assert_eq!(a.receive(at, &[a.part(0, 1)]), 0, "{at}");
    }
    assert_eq!(a.receive(4, &[a.part(0, 1)]), libc::ENOMEM);
}

#[test]
fn a_pair_is_used_only_in_its_state_and_changed_in_order() {
    let context = open(Device::Plain);
    // SAFETY: objects of this test, ended in order.
    unsafe {
        let pd = memory::ibv_alloc_pd(context);
        let cq = new_cq(context, null_mut());
        let qp = new_qp(context, pd, cq, Wish::default());
        let modify = |state, port_num, mask| {
            let mut attr = QpAttr {
                qp_state: state,
                port_num,
                ..QpAttr::default()
            };
            queue_pair::ibv_modify_qp(qp, &raw mut attr, mask)
        };
        let whole = abi::QP_STATE | abi::QP_PKEY_INDEX | abi::QP_PORT | abi::QP_QKEY;
        let mut wr = abi::RecvWr {
            wr_id: 0,
            next: null_mut(),
            sg_list: null_mut(),
            num_sge: 0,
        };
        let mut bad = null_mut();
        let post = (*context).ops.post_recv.expect("set");
        assert_eq!(post(qp, &raw mut wr, &raw mut bad), libc::EINVAL);
        assert_eq!(bad, &raw mut wr);
        assert_eq!(modify(abi::QPS_RTR, 1, abi::QP_STATE), libc::EINVAL);
        assert_eq!(
            modify(abi::QPS_INIT, 1, abi::QP_STATE),
            libc::EINVAL,
            "attributes are missing"
        );
        assert_eq!(modify(abi::QPS_INIT, 2, whole), libc::EINVAL, "port 2");
        assert_eq!(
            modify(abi::QPS_INIT, 1, whole | 1 << 7),
            libc::EOPNOTSUPP,
            "an address vector"
        );
        assert_eq!(modify(abi::QPS_INIT, 1, whole), 0);
        assert_eq!(
            modify(abi::QPS_RTS, 1, abi::QP_STATE | abi::QP_SQ_PSN),
            libc::EINVAL
        );
        assert_eq!(post(qp, &raw mut wr, &raw mut bad), 0);
        assert_eq!(modify(abi::QPS_RTR, 1, abi::QP_STATE), 0);
        assert_eq!(
            modify(abi::QPS_RTS, 1, abi::QP_STATE),
            libc::EINVAL,
            "without a number"
        );
        assert_eq!(queue_pair::ibv_destroy_qp(qp), 0);
        assert_eq!(completion_queue::ibv_destroy_cq(cq.cast()), 0);
        assert_eq!(memory::ibv_dealloc_pd(pd), 0);
        assert_eq!(context::ibv_close_device(context), 0);
    }
}

#[test]
fn a_pair_says_what_it_is() {
    let a = End::new(Device::Plain, 64);
    let mut attr = QpAttr {
        rnr_retry: 3,
        ..QpAttr::default()
    };
    assert_eq!(a.modify(&attr, abi::QP_RNR_RETRY), 0);
    let mut init = std::mem::MaybeUninit::<abi::QpInitAttr>::uninit();
    // SAFETY: a live pair; both results are filled.
    let init = unsafe {
        assert_eq!(
            queue_pair::ibv_query_qp(a.qp, &raw mut attr, 0, init.as_mut_ptr()),
            0
        );
        init.assume_init()
    };
    assert_eq!(
        (attr.qp_state, attr.rnr_retry, attr.port_num),
        (abi::QPS_RTS, 3, 1)
    );
    assert_eq!(
        (attr.cap, attr.qkey),
        (Wish::default().cap, crate::end::QKEY)
    );
    assert_eq!((init.cap, init.qp_type), (attr.cap, abi::QPT_DRIVER));
    assert_eq!((init.send_cq, init.sq_sig_all), (a.cq.cast(), 0));
}

#[test]
fn memory_that_is_not_there_is_not_registered() {
    let a = End::new(Device::Plain, 64);
    let mut here = vec![0_u8; 8192];
    let constant = "text of the program".as_ptr();
    let local = abi::ACCESS_LOCAL_WRITE as i32;
    let try_it = |at: *const u8, len, access| {
        // SAFETY: registration looks at the range; a region is ended at once.
        unsafe {
            let mr = memory::ibv_reg_mr(a.pd, at.cast_mut().cast(), len, access);
            if mr.is_null() {
                errno()
            } else {
                memory::ibv_dereg_mr(mr)
            }
        }
    };
    assert_eq!(try_it(here.as_mut_ptr(), 8192, local), 0);
    assert_eq!(try_it(0xdead_0000 as *const u8, 4096, local), libc::EFAULT);
    assert_eq!(try_it(std::ptr::null(), 4096, local), libc::EFAULT);
    assert_eq!(try_it(here.as_ptr(), 1 << 44, local), libc::EFAULT);
    assert_eq!(try_it(here.as_ptr(), 0, local), libc::EINVAL);
    assert_eq!(try_it(constant, 10, 0), 0);
    assert_eq!(
        try_it(constant, 10, local),
        libc::EFAULT,
        "read-only memory"
    );
    assert_eq!(
        try_it(here.as_ptr(), 10, abi::ACCESS_REMOTE_WRITE as i32),
        libc::EINVAL
    );
    for unknown in [1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 30] {
        assert_eq!(
            try_it(here.as_ptr(), 10, local | unknown),
            libc::EOPNOTSUPP,
            "{unknown:#x}"
        );
    }
    assert_eq!(
        try_it(here.as_ptr(), 10, local | 1 << 20),
        0,
        "relaxed ordering may be ignored"
    );
    let dmabuf = memory::ibv_reg_dmabuf_mr(a.pd, 0, 10, 0, -1, local);
    assert!(dmabuf.is_null() && errno() == libc::EOPNOTSUPP);
}

#[test]
fn what_is_in_use_is_busy() {
    let mut a = End::new(Device::Plain, 64);
    // SAFETY: live objects that stay because they are in use.
    unsafe {
        assert_eq!(memory::ibv_dealloc_pd(a.pd), libc::EBUSY);
        assert_eq!(completion_queue::ibv_destroy_cq(a.cq.cast()), libc::EBUSY);
        assert_eq!(
            completion_queue::ibv_destroy_comp_channel(a.channel),
            libc::EBUSY
        );
        a.destroy_pair();
        assert_eq!(
            memory::ibv_dealloc_pd(a.pd),
            libc::EBUSY,
            "a region is left"
        );
        let pd = memory::ibv_alloc_pd(a.context);
        let mut attr = abi::AhAttr {
            is_global: 1,
            port_num: 1,
            ..abi::AhAttr::default()
        };
        let ah = memory::ibv_create_ah(pd, &raw mut attr);
        assert_eq!(memory::ibv_dealloc_pd(pd), libc::EBUSY, "a handle is left");
        assert_eq!(memory::ibv_destroy_ah(ah), 0);
        assert_eq!(memory::ibv_dealloc_pd(pd), 0);
        for (port_num, is_global) in [(0, 1), (2, 1), (1, 0)] {
            let mut attr = abi::AhAttr {
                is_global,
                port_num,
                ..abi::AhAttr::default()
            };
            let ah = memory::ibv_create_ah(a.pd, &raw mut attr);
            assert!(ah.is_null() && errno() == libc::EINVAL, "port {port_num}");
        }
    }
}

#[test]
fn queues_and_pairs_beyond_the_limits_are_refused() {
    let a = End::new(Device::Plain, 64);
    for (cqe, vector) in [(0, 0), (40_000, 0), (-1, 0), (10, 1)] {
        // SAFETY: a live context.
        let cq = unsafe {
            completion_queue::ibv_create_cq(a.context, cqe, null_mut(), null_mut(), vector)
        };
        assert!(cq.is_null() && errno() == libc::EINVAL, "{cqe} {vector}");
    }
    let basis = Wish::default().cap;
    let too_much = [
        QpCap {
            max_send_wr: 513,
            ..basis
        },
        QpCap {
            max_recv_wr: 4097,
            ..basis
        },
        QpCap {
            max_send_sge: 3,
            ..basis
        },
        QpCap {
            max_recv_sge: 3,
            ..basis
        },
        QpCap {
            max_inline_data: 33,
            ..basis
        },
    ];
    for cap in too_much {
        let qp = new_qp(
            a.context,
            a.pd,
            a.cq,
            Wish {
                cap,
                ..Wish::default()
            },
        );
        assert!(qp.is_null() && errno() == libc::EINVAL, "{cap:?}");
    }
    let mut efa = abi::EfaQpInitAttr::default();
    let refuse = |attr: &mut abi::QpInitAttrEx, efa: &mut abi::EfaQpInitAttr, error| {
        // SAFETY: a live context; both structs live through the call.
        let qp = unsafe { efadv::efadv_create_qp_ex(a.context, attr, efa, 24) };
        assert!(qp.is_null());
        assert_eq!(errno(), error);
    };
    let attr = || qp_attr(a.pd, a.cq, Wish::default());
    refuse(
        &mut abi::QpInitAttrEx {
            comp_mask: 0,
            ..attr()
        },
        &mut efa,
        libc::EINVAL,
    );
    refuse(
        &mut abi::QpInitAttrEx {
            comp_mask: 3,
            ..attr()
        },
        &mut efa,
        libc::EOPNOTSUPP,
    );
    refuse(
        &mut abi::QpInitAttrEx {
            send_cq: null_mut(),
            ..attr()
        },
        &mut efa,
        libc::EINVAL,
    );
    refuse(
        &mut abi::QpInitAttrEx {
            qp_type: 2,
            ..attr()
        },
        &mut efa,
        libc::EOPNOTSUPP,
    );
    let atomics = abi::QpInitAttrEx {
        comp_mask: 1 | 1 << 6,
        send_ops_flags: 1 << 5,
        ..attr()
    };
    refuse(&mut { atomics }, &mut efa, libc::EOPNOTSUPP);
    efa.driver_qp_type = 1;
    refuse(&mut attr(), &mut efa, libc::EOPNOTSUPP);
}

#[test]
fn a_first_generation_device_has_no_rdma() {
    let mut a = End::new(Device::First, 64);
    let b = End::new(Device::Plain, 64);
    let to_b = a.to(&b);
    let mut attr = abi::EfaDeviceAttr::default();
    // SAFETY: a live context and a result of this frame.
    unsafe { assert_eq!(efadv::efadv_query_device(a.context, &raw mut attr, 32), 0) };
    assert_eq!((attr.device_caps, attr.max_rdma_size), (2, 0));
    for access in [abi::ACCESS_REMOTE_READ, abi::ACCESS_REMOTE_WRITE] {
        // SAFETY: memory of this end.
        let mr = unsafe {
            let access = (access | abi::ACCESS_LOCAL_WRITE) as i32;
            memory::ibv_reg_mr(a.pd, a.buffer.as_mut_ptr().cast(), 64, access)
        };
        assert!(mr.is_null() && errno() == libc::EOPNOTSUPP);
    }
    assert_eq!(a.post(1, What::Read((1, 1)), to_b, &[a.part(0, 1)]), 0);
    assert_eq!(a.outcome(), 3);
    let unsolicited = new_qp(
        a.context,
        a.pd,
        a.cq,
        Wish {
            unsolicited: true,
            ..Wish::default()
        },
    );
    assert!(unsolicited.is_null() && errno() == libc::EOPNOTSUPP);
    let mut cq_attr = CqInitAttrEx {
        cqe: 16,
        cq_context: null_mut(),
        channel: null_mut(),
        comp_vector: 0,
        wc_flags: 0,
        comp_mask: 0,
        flags: 0,
        parent_domain: null_mut(),
    };
    let mut efa = abi::EfaCqInitAttr {
        wc_flags: 1,
        ..abi::EfaCqInitAttr::default()
    };
    // SAFETY: a live context; both structs live through the call.
    let cq = unsafe { efadv::efadv_create_cq(a.context, &raw mut cq_attr, &raw mut efa, 24) };
    assert!(cq.is_null() && errno() == libc::EOPNOTSUPP);
    let none = End::new(Device::NoRnr, 64);
    let retry = QpAttr {
        rnr_retry: 3,
        ..QpAttr::default()
    };
    assert_eq!(none.modify(&retry, abi::QP_RNR_RETRY), libc::EOPNOTSUPP);
}

#[test]
fn a_device_that_does_not_open_and_memory_that_is_not_to_be_locked() {
    let denied = Fault::set(Device::NoOpen, Field::NoOpen, 1);
    // SAFETY: a device of the list.
    let context = unsafe { context::ibv_open_device(devices()[Device::NoOpen as usize]) };
    assert!(context.is_null() && errno() == libc::ENOENT);
    drop(denied);
    drop(End::new(Device::NoOpen, 64));

    let mut a = End::new(Device::Locked, 6000);
    let limit = Fault::set(Device::Locked, Field::Memlock, 10_000);
    let access = abi::ACCESS_LOCAL_WRITE as i32;
    // SAFETY: memory of this end.
    unsafe {
        let at = a.buffer.as_mut_ptr().cast();
        let mr = memory::ibv_reg_mr(a.pd, at, 6000, access);
        assert!(mr.is_null() && errno() == libc::ENOMEM);
        let mr = memory::ibv_reg_mr(a.pd, at, 4000, access);
        assert!(!mr.is_null());
        assert_eq!(memory::ibv_dereg_mr(mr), 0);
    }
    drop(limit);
}

#[test]
fn a_device_of_another_library_has_no_efa_functions() {
    let mut foreign = std::mem::MaybeUninit::<abi::VerbsContext>::zeroed();
    let mut attr = abi::EfaDeviceAttr::default();
    // SAFETY: all-zero bytes are a valid context without extension, then one whose private part is
    // not that of a soft device.
    unsafe {
        let context = &raw mut (*foreign.as_mut_ptr()).context;
        assert_eq!(
            efadv::efadv_query_device(context, &raw mut attr, 32),
            libc::EOPNOTSUPP
        );
        (*context).abi_compat = usize::MAX as *mut _;
        let mut private = [1_u64; 4];
        (*foreign.as_mut_ptr()).private = private.as_mut_ptr().cast();
        assert_eq!(
            efadv::efadv_query_device(context, &raw mut attr, 32),
            libc::EOPNOTSUPP
        );
    }
}
