//! Queue pairs: making, changing, querying, ending.
//!
//! Limits and flags are checked as rdma-core's EFA driver does, states as the kernel's does.

use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::sync::Arc;

use crate::abi::{self, Context, Pd, Qp, QpAttr, QpEx, QpInitAttr, QpInitAttrEx};
use crate::capability::{self, INLINE, MAX_RQ, MAX_SGE, MAX_SQ};
use crate::objects::{Draft, Gate, PairObject, QueueObject, fail, opened};
use crate::opened::{Opened, State};
use crate::pair::{Making, Pair};
use crate::verbs::posting;

/// What `efadv_create_qp_ex` adds.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// SRD, else UD.
    pub(crate) reliable: bool,
    pub(crate) unsolicited: bool,
}

/// What is wrong with a wish for a queue pair.
fn refused(opened: &Opened, attr: &QpInitAttrEx, kind: Kind) -> Option<i32> {
    if attr.comp_mask & !(abi::INIT_ATTR_PD | abi::INIT_ATTR_SEND_OPS_FLAGS) != 0 {
        return Some(libc::EOPNOTSUPP);
    }
    if attr.comp_mask & abi::INIT_ATTR_PD == 0 || attr.pd.is_null() {
        return Some(libc::EINVAL);
    }
    let mut operations = abi::EX_WITH_SEND | abi::EX_WITH_SEND_WITH_IMM;
    if kind.reliable && opened.port.can(capability::READ) {
        operations |= abi::EX_WITH_RDMA_READ;
    }
    if kind.reliable && opened.port.can(capability::WRITE) {
        operations |= abi::EX_WITH_RDMA_WRITE | abi::EX_WITH_RDMA_WRITE_WITH_IMM;
    }
    let names_operations = attr.comp_mask & abi::INIT_ATTR_SEND_OPS_FLAGS != 0;
    if names_operations && attr.send_ops_flags & !operations != 0 {
        return Some(libc::EOPNOTSUPP);
    }
    let cap = attr.cap;
    let too_much = cap.max_send_wr > MAX_SQ
        || cap.max_recv_wr > MAX_RQ
        || cap.max_send_sge as usize > MAX_SGE
        || cap.max_recv_sge as usize > MAX_SGE
        || cap.max_inline_data as usize > INLINE;
    let lacks = attr.send_cq.is_null() || attr.recv_cq.is_null() || !attr.srq.is_null();
    (too_much || lacks).then_some(libc::EINVAL)
}

/// Makes a queue pair.
///
/// # Safety
/// `context` is live, `attr` readable; what it points to is live or null.
pub(crate) unsafe fn create(context: *mut Context, attr: &QpInitAttrEx, kind: Kind) -> *mut Qp {
    // SAFETY: the caller's promise.
    let Some(opened) = (unsafe { opened(context) }) else {
        return fail(libc::EINVAL);
    };
    if let Some(error) = refused(opened, attr, kind) {
        return fail(error);
    }
    // SAFETY: live queues and a live domain, not null (checked).
    let (send_queue, receive_queue, pd) = unsafe {
        let slot = |cq: *mut abi::Cq| (*cq.cast::<QueueObject>()).slot;
        (slot(attr.send_cq), slot(attr.recv_cq), (*attr.pd).handle)
    };
    let made = Making {
        reliable: kind.reliable,
        unsolicited: kind.unsolicited,
        signal_all: attr.sq_sig_all != 0,
        pd,
        send_queue,
        receive_queue,
        cap: attr.cap,
    };
    let pair = match Pair::new(opened.port, made) {
        Ok(pair) => pair,
        Err(error) => {
            // The address of the GID is not one of this machine, or all ports are taken.
            eprintln!(
                "efa-soft: {}: no queue pair on {}: {error}",
                opened.port.name, opened.port.ip
            );
            return fail(error.raw_os_error().unwrap_or(libc::ENOMEM));
        }
    };
    let number = pair.number;
    let slot = adopt(&mut opened.lock(), pair, (send_queue, receive_queue, pd));
    if !opened.start() {
        end(opened, slot);
        return fail(libc::EAGAIN);
    }
    opened.wake();
    if opened.settings.trace > 0 {
        let kind = if kind.reliable { "SRD" } else { "UD" };
        eprintln!("efa-soft: {}: {kind} queue pair {number}", opened.port.name);
    }
    let object = PairObject {
        ex: c_pair(context, attr, number),
        opened: Arc::clone(opened),
        slot,
        limits: attr.cap,
        signal_all: attr.sq_sig_all != 0,
        reliable: kind.reliable,
        building: Gate::new(),
        draft: UnsafeCell::new(Draft::default()),
    };
    Box::into_raw(Box::new(object)).cast()
}

fn adopt(state: &mut State, pair: Pair, (send, receive, pd): (usize, usize, u32)) -> usize {
    for queue in [send, receive] {
        if let Some(queue) = state.queues.get_mut(queue) {
            queue.users += 1;
        }
    }
    state.memory.hold(pd);
    state.pairs.insert(pair)
}

fn c_pair(context: *mut Context, attr: &QpInitAttrEx, number: u32) -> QpEx {
    let none = std::ptr::null_mut();
    QpEx {
        base: Qp {
            context,
            qp_context: attr.qp_context,
            pd: attr.pd,
            send_cq: attr.send_cq,
            recv_cq: attr.recv_cq,
            srq: none,
            handle: 0,
            qp_num: number,
            state: abi::QPS_RESET,
            qp_type: attr.qp_type,
            mutex: libc::PTHREAD_MUTEX_INITIALIZER,
            cond: libc::PTHREAD_COND_INITIALIZER,
            events_completed: 0,
        },
        comp_mask: 0,
        wr_id: 0,
        wr_flags: 0,
        wr_atomic_cmp_swp: none,
        wr_atomic_fetch_add: none,
        wr_bind_mw: none,
        wr_local_inv: none,
        wr_rdma_read: Some(posting::wr_rdma_read),
        wr_rdma_write: Some(posting::wr_rdma_write),
        wr_rdma_write_imm: Some(posting::wr_rdma_write_imm),
        wr_send: Some(posting::wr_send),
        wr_send_imm: Some(posting::wr_send_imm),
        wr_send_inv: none,
        wr_send_tso: none,
        wr_set_ud_addr: Some(posting::wr_set_ud_addr),
        wr_set_xrc_srqn: none,
        wr_set_inline_data: Some(posting::wr_set_inline_data),
        wr_set_inline_data_list: Some(posting::wr_set_inline_data_list),
        wr_set_sge: Some(posting::wr_set_sge),
        wr_set_sge_list: Some(posting::wr_set_sge_list),
        wr_start: Some(posting::wr_start),
        wr_complete: Some(posting::wr_complete),
        wr_abort: Some(posting::wr_abort),
        wr_atomic_write: none,
    }
}

/// `create_qp_ex` of the context: UD only, as SRD has its own function.
pub(crate) unsafe extern "C" fn create_qp_ex(
    context: *mut Context,
    attr: *mut QpInitAttrEx,
) -> *mut Qp {
    // SAFETY: readable (the interface's rule).
    let attr = unsafe { &*attr };
    if attr.qp_type != abi::QPT_UD {
        return fail(libc::EOPNOTSUPP);
    }
    // SAFETY: the caller's promise.
    unsafe {
        create(
            context,
            attr,
            Kind {
                reliable: false,
                unsolicited: false,
            },
        )
    }
}

/// The attributes of `ibv_create_qp` as those of `ibv_create_qp_ex`.
pub(crate) fn extended(pd: *mut Pd, attr: &QpInitAttr) -> QpInitAttrEx {
    let none = std::ptr::null_mut();
    QpInitAttrEx {
        qp_context: attr.qp_context,
        send_cq: attr.send_cq,
        recv_cq: attr.recv_cq,
        srq: attr.srq,
        cap: attr.cap,
        qp_type: attr.qp_type,
        sq_sig_all: attr.sq_sig_all,
        comp_mask: abi::INIT_ATTR_PD,
        pd,
        xrcd: none,
        create_flags: 0,
        max_tso_header: 0,
        rwq_ind_tbl: none,
        rx_hash_conf: [0; 3],
        source_qpn: 0,
        send_ops_flags: 0,
    }
}

/// Makes a UD queue pair.
///
/// # Safety
/// `pd` is a live domain, `attr` readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_create_qp(pd: *mut Pd, attr: *mut QpInitAttr) -> *mut Qp {
    // SAFETY: the caller's promise.
    let (context, mut attr) = unsafe { ((*pd).context, extended(pd, &*attr)) };
    // SAFETY: as above.
    unsafe { create_qp_ex(context, &raw mut attr) }
}

/// The extended struct of a queue pair: it is the same.
#[unsafe(no_mangle)]
pub extern "C" fn ibv_qp_to_qp_ex(qp: *mut Qp) -> *mut QpEx {
    qp.cast()
}

/// What the kernel's EFA driver wants for a change of state; the flags that must be there.
fn needed(from: u32, to: u32) -> Result<c_int, i32> {
    use abi::{QPS_ERR, QPS_INIT, QPS_RESET, QPS_RTR, QPS_RTS, QPS_SQD};

    match (from, to) {
        (_, QPS_RESET | QPS_ERR) => Ok(0),
        (QPS_RESET, QPS_INIT) => Ok(abi::QP_PKEY_INDEX | abi::QP_PORT | abi::QP_QKEY),
        (QPS_RTR, QPS_RTS) => Ok(abi::QP_SQ_PSN),
        (QPS_INIT, QPS_INIT | QPS_RTR)
        | (QPS_RTS, QPS_RTS | QPS_SQD)
        | (QPS_SQD, QPS_RTS | QPS_SQD) => Ok(0),
        _ => Err(libc::EINVAL),
    }
}

/// Checks a change and returns the new state.
fn checked(opened: &Opened, now: u32, attr: &QpAttr, mask: c_int) -> Result<u32, i32> {
    let known = abi::QP_STATE
        | abi::QP_CUR_STATE
        | abi::QP_EN_SQD_ASYNC_NOTIFY
        | abi::QP_PKEY_INDEX
        | abi::QP_PORT
        | abi::QP_QKEY
        | abi::QP_SQ_PSN
        | abi::QP_RNR_RETRY;
    if mask & !known != 0 {
        return Err(libc::EOPNOTSUPP);
    }
    if mask & abi::QP_RNR_RETRY != 0 && !opened.port.can(capability::RNR_RETRY) {
        return Err(libc::EOPNOTSUPP);
    }
    let wrong = mask & abi::QP_CUR_STATE != 0 && attr.cur_qp_state != now
        || mask & abi::QP_PORT != 0 && attr.port_num != 1
        || mask & abi::QP_PKEY_INDEX != 0 && attr.pkey_index != 0
        || mask & abi::QP_RNR_RETRY != 0 && attr.rnr_retry > 7;
    if wrong {
        return Err(libc::EINVAL);
    }
    let next = if mask & abi::QP_STATE != 0 {
        attr.qp_state
    } else {
        now
    };
    let needed = if next == now && mask & abi::QP_STATE == 0 {
        0
    } else {
        needed(now, next)?
    };
    if mask & needed == needed {
        Ok(next)
    } else {
        Err(libc::EINVAL)
    }
}

/// Changes a queue pair.
///
/// # Safety
/// `qp` is a live pair, `attr` readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_modify_qp(qp: *mut Qp, attr: *mut QpAttr, mask: c_int) -> c_int {
    // SAFETY: a live pair, of which only parts that never change are read; attr is readable.
    let (opened, slot, attr) = unsafe {
        let object = qp.cast::<PairObject>();
        (&(*object).opened, (*object).slot, &*attr)
    };
    let mut state = opened.lock();
    let changed = state.with_pair(opened, slot, |pair, around| {
        let next = checked(opened, pair.state, attr, mask)?;
        if mask & abi::QP_QKEY != 0 {
            pair.qkey = attr.qkey;
        }
        if mask & abi::QP_RNR_RETRY != 0 {
            pair.rnr_retry = attr.rnr_retry;
        }
        pair.state = next;
        match next {
            abi::QPS_ERR => {
                pair.flush(around);
                pair.flush_receives(around);
            }
            abi::QPS_RESET => pair.receives.clear(),
            _ => {}
        }
        Ok(next)
    });
    match changed.unwrap_or(Err(libc::EINVAL)) {
        Ok(next) => {
            // SAFETY: a live pair; libibverbs changes this member here, too.
            unsafe { (*qp).state = next };
            0
        }
        Err(error) => error,
    }
}

/// Describes a queue pair.
///
/// # Safety
/// `qp` is a live pair, `attr` and `init` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_query_qp(
    qp: *mut Qp,
    attr: *mut QpAttr,
    _mask: c_int,
    init: *mut QpInitAttr,
) -> c_int {
    // SAFETY: a live pair.
    let object = unsafe { &*qp.cast::<PairObject>() };
    let state = object.opened.lock();
    let Some(pair) = state.pairs.get(object.slot) else {
        return libc::EINVAL;
    };
    let known = QpAttr {
        qp_state: pair.state,
        cur_qp_state: pair.state,
        qkey: pair.qkey,
        cap: pair.made.cap,
        port_num: 1,
        rnr_retry: pair.rnr_retry,
        ..QpAttr::default()
    };
    let base = &object.ex.base;
    // SAFETY: writable (the caller's promise).
    unsafe {
        *attr = known;
        *init = QpInitAttr {
            qp_context: base.qp_context,
            send_cq: base.send_cq,
            recv_cq: base.recv_cq,
            srq: base.srq,
            cap: pair.made.cap,
            qp_type: base.qp_type,
            sq_sig_all: c_int::from(pair.made.signal_all),
        };
    }
    0
}

/// Whether data arrive in order: they do not.
#[unsafe(no_mangle)]
pub extern "C" fn ibv_query_qp_data_in_order(_qp: *mut Qp, _operation: u32, _flags: u32) -> c_int {
    0
}

/// Takes a pair and all that it left out of the device.
fn end(opened: &Opened, slot: usize) {
    let mut state = opened.lock();
    state.with_pair(opened, slot, |pair, around| pair.say_goodbye(around));
    let Some(pair) = state.pairs.remove(slot) else {
        return;
    };
    for queue in [pair.made.send_queue, pair.made.receive_queue] {
        if let Some(queue) = state.queues.get_mut(queue) {
            queue.users = queue.users.saturating_sub(1);
            queue.forget(pair.id);
        }
    }
    state.memory.release(pair.made.pd);
    drop(state);
    opened.port.publish(true);
}

/// Ends a queue pair, and takes its completions out of its queues: libfabric 2.x drains them after the
/// pair and looks for the pair of each.
///
/// # Safety
/// `qp` is a live pair, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_destroy_qp(qp: *mut Qp) -> c_int {
    // SAFETY: made by Box::into_raw in `create`.
    let object = unsafe { Box::from_raw(qp.cast::<PairObject>()) };
    end(&object.opened, object.slot);
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_follow_one_another_as_the_kernel_wants() {
        let to_init = abi::QP_PKEY_INDEX | abi::QP_PORT | abi::QP_QKEY;
        assert_eq!(needed(abi::QPS_RESET, abi::QPS_INIT), Ok(to_init));
        assert_eq!(needed(abi::QPS_RTR, abi::QPS_RTS), Ok(abi::QP_SQ_PSN));
        for (from, to) in [
            (abi::QPS_RESET, abi::QPS_RTR),
            (abi::QPS_RESET, abi::QPS_RTS),
            (abi::QPS_INIT, abi::QPS_RTS),
            (abi::QPS_ERR, abi::QPS_RTS),
            (abi::QPS_RTS, abi::QPS_INIT),
        ] {
            assert_eq!(needed(from, to), Err(libc::EINVAL), "{from} to {to}");
        }
        assert!((0..7).all(|from| needed(from, abi::QPS_ERR) == Ok(0)));
    }
}
