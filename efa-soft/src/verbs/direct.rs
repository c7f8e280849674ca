//! What only EFA has: the work behind `libefa.so.1`.

use std::ffi::c_int;

use crate::abi::{
    self, Ah, Context, Cq, CqEx, CqInitAttrEx, EfaAhAttr, EfaCq, EfaCqAttr, EfaCqInitAttr,
    EfaDeviceAttr, EfaQpInitAttr, EfaWqAttr, Qp, QpInitAttrEx,
};
use crate::capability::{self, INLINE, MAX_RDMA, MAX_RQ, MAX_SGE, MAX_SQ};
use crate::control::Field;
use crate::descriptor::{COMPLETION_SIZE, RX_SIZE, TX_SIZE};
use crate::objects::{AddressObject, PairObject, QueueObject, fail, fill, opened};
use crate::verbs::completion_queue::create_cq_ex;
use crate::verbs::queue_pair::{Kind, create};

/// The functions that `libefa.so.1` finds through a context.
#[repr(C)]
pub(crate) struct Table {
    pub(crate) query_device: unsafe fn(*mut Context, *mut EfaDeviceAttr, u32) -> c_int,
    pub(crate) query_ah: unsafe fn(*mut Ah, *mut EfaAhAttr, u32) -> c_int,
    pub(crate) create_qp: unsafe fn(*mut Context, &QpInitAttrEx, &EfaQpInitAttr) -> *mut Qp,
    pub(crate) create_cq: unsafe fn(*mut Context, *mut CqInitAttrEx, &EfaCqInitAttr) -> *mut CqEx,
    pub(crate) efa_cq: unsafe fn(*mut CqEx) -> *mut EfaCq,
    pub(crate) query_wqs: unsafe fn(*mut Qp, *mut EfaWqAttr, *mut EfaWqAttr, u32) -> c_int,
    pub(crate) query_cq: unsafe fn(*mut Cq, *mut EfaCqAttr, u32) -> c_int,
}

/// The table of this library.
pub(crate) static TABLE: Table = Table {
    query_device,
    query_ah,
    create_qp,
    create_cq,
    efa_cq,
    query_wqs,
    query_cq,
};

unsafe fn query_device(context: *mut Context, out: *mut EfaDeviceAttr, len: u32) -> c_int {
    // SAFETY: a context of the caller's.
    let Some(opened) = (unsafe { opened(context) }) else {
        return libc::EOPNOTSUPP;
    };
    let capabilities = opened.port.control.get(Field::Capabilities);
    let rdma = capabilities & (capability::READ | capability::WRITE) != 0;
    let attr = EfaDeviceAttr {
        comp_mask: 0,
        max_sq_wr: MAX_SQ,
        max_rq_wr: MAX_RQ,
        max_sq_sge: MAX_SGE as u16,
        max_rq_sge: MAX_SGE as u16,
        inline_buf_size: INLINE as u16,
        inline_buf_size_ex: INLINE as u16,
        device_caps: capabilities as u32,
        max_rdma_size: if rdma { MAX_RDMA } else { 0 },
    };
    // SAFETY: `out` has room for `len` bytes (the interface's rule).
    unsafe { fill(out, &attr, len as usize) };
    0
}

unsafe fn query_ah(ah: *mut Ah, out: *mut EfaAhAttr, len: u32) -> c_int {
    // SAFETY: a live handle.
    let ahn = unsafe { (*ah.cast::<AddressObject>()).number };
    // SAFETY: `out` has room for `len` bytes (the interface's rule).
    unsafe {
        fill(
            out,
            &EfaAhAttr {
                ahn,
                ..EfaAhAttr::default()
            },
            len as usize,
        )
    };
    0
}

unsafe fn create_qp(context: *mut Context, attr: &QpInitAttrEx, efa: &EfaQpInitAttr) -> *mut Qp {
    // SAFETY: a context of the caller's.
    let Some(opened) = (unsafe { opened(context) }) else {
        return fail(libc::EOPNOTSUPP);
    };
    let mut flags = 0;
    if opened.port.can(capability::UNSOLICITED) {
        flags |= abi::EFA_QP_UNSOLICITED_WRITE_RECV;
    }
    let unknown = efa.flags & !flags != 0 || efa.wr_flags != 0 || efa.driver_qp_type != 0;
    let reliable = attr.qp_type == abi::QPT_DRIVER;
    if unknown || efa.comp_mask != 0 || !reliable && attr.qp_type != abi::QPT_UD {
        return fail(libc::EOPNOTSUPP);
    }
    let unsolicited = reliable && efa.flags & abi::EFA_QP_UNSOLICITED_WRITE_RECV != 0;
    // SAFETY: the caller's promise.
    unsafe {
        create(
            context,
            attr,
            Kind {
                reliable,
                unsolicited,
            },
        )
    }
}

unsafe fn create_cq(
    context: *mut Context,
    attr: *mut CqInitAttrEx,
    efa: &EfaCqInitAttr,
) -> *mut CqEx {
    // SAFETY: a context of the caller's.
    let Some(opened) = (unsafe { opened(context) }) else {
        return fail(libc::EOPNOTSUPP);
    };
    let mut known = 0;
    if opened.port.can(capability::CQ_SGID) {
        known |= abi::EFA_WC_WITH_SGID;
    }
    if opened.port.can(capability::UNSOLICITED) {
        known |= abi::EFA_WC_WITH_IS_UNSOLICITED;
    }
    if efa.wc_flags & !known != 0 || efa.flags != 0 {
        return fail(libc::EOPNOTSUPP);
    }
    // SAFETY: the caller's promise.
    unsafe { create_cq_ex(context, attr) }
}

unsafe fn efa_cq(cq: *mut CqEx) -> *mut EfaCq {
    // SAFETY: a live queue.
    unsafe { &raw mut (*cq.cast::<QueueObject>()).efa }
}

unsafe fn query_wqs(qp: *mut Qp, send: *mut EfaWqAttr, receive: *mut EfaWqAttr, len: u32) -> c_int {
    // SAFETY: a live pair, of which only parts that never change are read.
    let object = unsafe { &*qp.cast::<PairObject>() };
    if !object.opened.settings.direct {
        return libc::EOPNOTSUPP;
    }
    let mut state = object.opened.lock();
    let Some(pair) = state.pairs.get_mut(object.slot) else {
        return libc::EINVAL;
    };
    if !pair.open_memory() {
        return libc::ENOMEM;
    }
    let Some(queues) = &pair.in_memory else {
        return libc::ENOMEM;
    };
    let attr = |area: &crate::area::Area, size: usize, entries: u32, max_batch: u32| EfaWqAttr {
        comp_mask: 0,
        buffer: area.buffer(),
        entry_size: size as u32,
        num_entries: entries,
        doorbell: area.doorbell_pointer(),
        max_batch,
        caps: 0,
        reserved: [0; 2],
    };
    let (of_send, of_receive) = (queues.send_entries, queues.receive_entries);
    let send_attr = attr(&queues.send, TX_SIZE, of_send, of_send.min(32));
    let receive_attr = attr(&queues.receive, RX_SIZE, of_receive, of_receive);
    // SAFETY: both have room for `len` bytes (the interface's rule).
    unsafe {
        fill(send, &send_attr, len as usize);
        fill(receive, &receive_attr, len as usize);
    }
    state.in_memory = true;
    drop(state);
    object.opened.wake();
    0
}

unsafe fn query_cq(cq: *mut Cq, out: *mut EfaCqAttr, len: u32) -> c_int {
    // SAFETY: a live queue, of which only parts that never change are read.
    let object = unsafe { &*cq.cast::<QueueObject>() };
    if !object.opened.settings.direct {
        return libc::EOPNOTSUPP;
    }
    let mut state = object.opened.lock();
    let Some(queue) = state.queues.get_mut(object.slot) else {
        return libc::EINVAL;
    };
    let Some((buffer, doorbell, entries)) = queue.memory() else {
        return libc::ENOMEM;
    };
    let attr = EfaCqAttr {
        comp_mask: 0,
        buffer,
        entry_size: COMPLETION_SIZE as u32,
        num_entries: entries,
        doorbell,
    };
    // SAFETY: `out` has room for `len` bytes (the interface's rule).
    unsafe { fill(out, &attr, len as usize) };
    0
}
