//! Work requests and receives: taken over when they are posted.
//!
//! What rdma-core's EFA driver refuses is refused: a queue pair that is not ready, requests without
//! completion, unknown flags and operations, too many buffers, too much inline data, a full queue.

use std::ffi::{c_int, c_void};

use crate::abi::{self, Ah, DataBuf, Qp, QpEx, RecvWr, SendWr, Sge};
use crate::capability::INLINE;
use crate::objects::{AddressObject, Draft, PairObject};
use crate::tick;
use crate::work::{Operation, Receive, Work};

/// The pair behind a pointer; of it only what never changes, and the draft within the gate.
///
/// # Safety
/// `qp` is a live pair of this library.
unsafe fn object<'a, T>(qp: *mut T) -> &'a PairObject {
    // SAFETY: the caller's promise.
    unsafe { &*qp.cast::<PairObject>() }
}

/// The draft of a pair between `wr_start` and `wr_complete`.
///
/// # Safety
/// The gate of the pair is closed.
unsafe fn draft<'a>(qp: *mut QpEx) -> &'a mut Draft {
    // SAFETY: the caller's promise: nobody else builds.
    unsafe { &mut *object(qp).draft.get() }
}

fn put_inline(work: &mut Work, parts: &[(*const c_void, usize)], limit: usize) -> Result<(), i32> {
    let total = parts
        .iter()
        .try_fold(0_usize, |sum, (_, len)| sum.checked_add(*len));
    let Some(total) = total.filter(|total| *total <= limit.min(INLINE)) else {
        return Err(libc::EINVAL);
    };
    let mut bytes = [0; INLINE];
    let mut at = 0;
    for (from, len) in parts.iter().filter(|(_, len)| *len > 0) {
        // SAFETY: the caller promises that `len` bytes are there; `at + len` is at most `total`.
        unsafe {
            std::ptr::copy_nonoverlapping(from.cast::<u8>(), bytes.as_mut_ptr().add(at), *len)
        };
        at += len;
    }
    work.inline = Some((bytes, total));
    Ok(())
}

fn put_buffers(work: &mut Work, buffers: &[Sge], limit: usize) -> Result<(), i32> {
    if buffers.len() > limit.min(work.buffers.len()) {
        return Err(libc::EINVAL);
    }
    work.buffers[..buffers.len()].copy_from_slice(buffers);
    work.buffer_count = buffers.len();
    Ok(())
}

fn check_flags(flags: u32, signal_all: bool) -> Result<(), i32> {
    let known = abi::SEND_SIGNALED | abi::SEND_INLINE;
    let completes = flags & abi::SEND_SIGNALED != 0 || signal_all;
    if completes && flags & !known == 0 {
        Ok(())
    } else {
        Err(libc::EINVAL)
    }
}

/// Hands requests to the device, all or none.
fn submit(object: &PairObject, works: &[Work]) -> Result<(), i32> {
    let mut state = object.opened.lock();
    let room = object.limits.max_send_wr.max(1).next_power_of_two();
    let submitted = state.with_pair(&object.opened, object.slot, |pair, around| {
        if pair.state != abi::QPS_RTS && pair.state != abi::QPS_SQD {
            return Err(libc::EINVAL);
        }
        if pair.posted as usize + works.len() > room as usize {
            return Err(libc::ENOMEM);
        }
        for work in works {
            pair.submit(around, *work, tick::now());
        }
        Ok(())
    });
    submitted.unwrap_or(Err(libc::EINVAL))
}

fn address(work: &mut Work, ah: *mut Ah, pair: u32, qkey: u32) {
    // SAFETY: null or a live handle (the interface's rule).
    work.gid = unsafe { ah.cast::<AddressObject>().as_ref() }.map(|handle| handle.gid);
    work.pair = pair;
    work.qkey = qkey;
}

/// # Safety
/// `sges` has `count` entries, or `count` is not positive.
unsafe fn list<'a>(sges: *const Sge, count: c_int) -> Result<&'a [Sge], i32> {
    match usize::try_from(count) {
        Err(_) => Err(libc::EINVAL),
        Ok(0) => Ok(&[]),
        // SAFETY: the caller's promise.
        Ok(count) => Ok(unsafe { std::slice::from_raw_parts(sges, count) }),
    }
}

/// One request of `ibv_post_send`: these are messages only.
///
/// # Safety
/// What `wr` points to is live.
unsafe fn message(object: &PairObject, wr: &SendWr) -> Result<Work, i32> {
    check_flags(wr.send_flags, object.signal_all)?;
    let mut work = Work::new(
        Operation::Send,
        wr.wr_id,
        wr.send_flags & abi::SEND_SIGNALED != 0,
    );
    match wr.opcode {
        abi::WR_SEND => {}
        abi::WR_SEND_WITH_IMM => work.immediate = Some(wr.imm_data),
        _ => return Err(libc::EINVAL),
    }
    address(&mut work, wr.ah, wr.remote_qpn, wr.remote_qkey);
    // SAFETY: the caller's promise.
    let buffers = unsafe { list(wr.sg_list, wr.num_sge) }?;
    if wr.send_flags & abi::SEND_INLINE == 0 {
        put_buffers(&mut work, buffers, object.limits.max_send_sge as usize)?;
    } else {
        let parts: Vec<_> = buffers
            .iter()
            .map(|b| (b.addr as *const c_void, b.length as usize))
            .collect();
        put_inline(&mut work, &parts, object.limits.max_inline_data as usize)?;
    }
    Ok(work)
}

/// `ibv_post_send`.
///
/// # Safety
/// `qp` is a live pair, `wr` a list of readable requests, `bad` writable or null.
pub(crate) unsafe extern "C" fn post_send(
    qp: *mut Qp,
    mut wr: *mut SendWr,
    bad: *mut *mut SendWr,
) -> c_int {
    // SAFETY: the caller's promise.
    let object = unsafe { object(qp) };
    object.building.close();
    let mut result = 0;
    // SAFETY: null or a readable request (the caller's promise).
    while let Some(request) = unsafe { wr.as_ref() } {
        // SAFETY: as above.
        let posted = unsafe { message(object, request) }.and_then(|work| submit(object, &[work]));
        if let Err(error) = posted {
            result = error;
            if !bad.is_null() {
                // SAFETY: writable (the caller's promise).
                unsafe { *bad = wr };
            }
            break;
        }
        wr = request.next;
    }
    object.building.open();
    result
}

/// `ibv_post_recv`.
///
/// # Safety
/// `qp` is a live pair, `wr` a list of readable receives, `bad` writable or null.
pub(crate) unsafe extern "C" fn post_recv(
    qp: *mut Qp,
    mut wr: *mut RecvWr,
    bad: *mut *mut RecvWr,
) -> c_int {
    // SAFETY: the caller's promise.
    let object = unsafe { object(qp) };
    let mut state = object.opened.lock();
    let room = object.limits.max_recv_wr.max(1).next_power_of_two() as usize;
    let most = object.limits.max_recv_sge as usize;
    let mut result = 0;
    // SAFETY: null or a readable receive (the caller's promise).
    while let Some(request) = unsafe { wr.as_ref() } {
        // SAFETY: as above.
        let posted = unsafe { list(request.sg_list, request.num_sge) }.and_then(|buffers| {
            let mut receive = Receive {
                wr_id: request.wr_id,
                buffers: Default::default(),
                buffer_count: 0,
            };
            if buffers.len() > most.min(receive.buffers.len()) {
                return Err(libc::EINVAL);
            }
            receive.buffers[..buffers.len()].copy_from_slice(buffers);
            receive.buffer_count = buffers.len();
            let pair = state.pairs.get_mut(object.slot).ok_or(libc::EINVAL)?;
            if matches!(pair.state, abi::QPS_RESET | abi::QPS_ERR) {
                return Err(libc::EINVAL);
            }
            if pair.receives.len() >= room {
                return Err(libc::ENOMEM);
            }
            pair.receives.push_back(receive);
            Ok(())
        });
        if let Err(error) = posted {
            result = error;
            if !bad.is_null() {
                // SAFETY: writable (the caller's promise).
                unsafe { *bad = wr };
            }
            break;
        }
        wr = request.next;
    }
    result
}

pub(crate) unsafe extern "C" fn wr_start(qp: *mut QpEx) {
    // SAFETY: a live pair.
    unsafe { object(qp) }.building.close();
    // SAFETY: the gate was just closed.
    let draft = unsafe { draft(qp) };
    draft.works.clear();
    draft.error = 0;
}

/// Begins a request with what the program wrote into the struct.
///
/// # Safety
/// `qp` is a live pair between `wr_start` and `wr_complete`.
unsafe fn begin(qp: *mut QpEx, operation: Operation, remote: (u32, u64), immediate: Option<u32>) {
    // SAFETY: the caller's promise.
    let (wr_id, flags, object, draft) =
        unsafe { ((*qp).wr_id, (*qp).wr_flags, object(qp), draft(qp)) };
    if draft.error != 0 {
        return;
    }
    let known = operation == Operation::Send || object.reliable;
    if let Err(error) =
        check_flags(flags, object.signal_all).and(if known { Ok(()) } else { Err(libc::EINVAL) })
    {
        draft.error = error;
        return;
    }
    let mut work = Work::new(operation, wr_id, flags & abi::SEND_SIGNALED != 0);
    (work.remote_key, work.remote_address) = remote;
    work.immediate = immediate;
    draft.works.push(work);
}

/// Changes the request that was begun last.
///
/// # Safety
/// `qp` is a live pair between `wr_start` and `wr_complete`.
unsafe fn change(qp: *mut QpEx, act: impl FnOnce(&mut Work, &PairObject) -> Result<(), i32>) {
    // SAFETY: the caller's promise.
    let (object, draft) = unsafe { (object(qp), draft(qp)) };
    if draft.error != 0 {
        return;
    }
    let changed = draft
        .works
        .last_mut()
        .ok_or(libc::EINVAL)
        .and_then(|work| act(work, object));
    if let Err(error) = changed {
        draft.error = error;
    }
}

pub(crate) unsafe extern "C" fn wr_send(qp: *mut QpEx) {
    // SAFETY: between start and complete.
    unsafe { begin(qp, Operation::Send, (0, 0), None) };
}

pub(crate) unsafe extern "C" fn wr_send_imm(qp: *mut QpEx, immediate: u32) {
    // SAFETY: between start and complete.
    unsafe { begin(qp, Operation::Send, (0, 0), Some(immediate)) };
}

pub(crate) unsafe extern "C" fn wr_rdma_read(qp: *mut QpEx, key: u32, address: u64) {
    // SAFETY: between start and complete.
    unsafe { begin(qp, Operation::Read, (key, address), None) };
}

pub(crate) unsafe extern "C" fn wr_rdma_write(qp: *mut QpEx, key: u32, address: u64) {
    // SAFETY: between start and complete.
    unsafe { begin(qp, Operation::Write, (key, address), None) };
}

pub(crate) unsafe extern "C" fn wr_rdma_write_imm(
    qp: *mut QpEx,
    key: u32,
    address: u64,
    immediate: u32,
) {
    // SAFETY: between start and complete.
    unsafe { begin(qp, Operation::Write, (key, address), Some(immediate)) };
}

pub(crate) unsafe extern "C" fn wr_set_ud_addr(qp: *mut QpEx, ah: *mut Ah, pair: u32, qkey: u32) {
    let act = |work: &mut Work, _: &PairObject| {
        address(work, ah, pair, qkey);
        Ok(())
    };
    // SAFETY: between start and complete.
    unsafe { change(qp, act) };
}

pub(crate) unsafe extern "C" fn wr_set_sge_list(qp: *mut QpEx, count: usize, sges: *const Sge) {
    let act = |work: &mut Work, object: &PairObject| {
        // SAFETY: `count` entries are readable (the interface's rule).
        let buffers = unsafe { list(sges, c_int::try_from(count).unwrap_or(-1)) }?;
        let rdma = if work.operation == Operation::Send {
            object.limits.max_send_sge
        } else {
            1
        };
        put_buffers(work, buffers, rdma as usize)
    };
    // SAFETY: between start and complete.
    unsafe { change(qp, act) };
}

pub(crate) unsafe extern "C" fn wr_set_sge(qp: *mut QpEx, lkey: u32, addr: u64, length: u32) {
    let one = Sge { addr, length, lkey };
    // SAFETY: one entry.
    unsafe { wr_set_sge_list(qp, 1, &raw const one) };
}

pub(crate) unsafe extern "C" fn wr_set_inline_data_list(
    qp: *mut QpEx,
    count: usize,
    list: *const DataBuf,
) {
    let act = |work: &mut Work, object: &PairObject| {
        if work.operation != Operation::Send {
            return Err(libc::EINVAL);
        }
        let parts: Vec<_> = (0..count)
            .map(|at| {
                // SAFETY: `count` entries are readable (the interface's rule).
                let part = unsafe { &*list.add(at) };
                (part.addr.cast_const(), part.length)
            })
            .collect();
        put_inline(work, &parts, object.limits.max_inline_data as usize)
    };
    // SAFETY: between start and complete.
    unsafe { change(qp, act) };
}

pub(crate) unsafe extern "C" fn wr_set_inline_data(
    qp: *mut QpEx,
    addr: *const c_void,
    length: usize,
) {
    let one = DataBuf {
        addr: addr.cast_mut(),
        length,
    };
    // SAFETY: one entry.
    unsafe { wr_set_inline_data_list(qp, 1, &raw const one) };
}

pub(crate) unsafe extern "C" fn wr_complete(qp: *mut QpEx) -> c_int {
    // SAFETY: between start and complete.
    let (object, draft) = unsafe { (object(qp), draft(qp)) };
    let result = match draft.error {
        0 => submit(object, &draft.works).err().unwrap_or(0),
        error => error,
    };
    draft.works.clear();
    object.building.open();
    result
}

pub(crate) unsafe extern "C" fn wr_abort(qp: *mut QpEx) {
    // SAFETY: between start and complete.
    let (object, draft) = unsafe { (object(qp), draft(qp)) };
    draft.works.clear();
    object.building.open();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_without_completion_and_unknown_flags_are_refused() {
        let signaled = abi::SEND_SIGNALED;
        assert_eq!(check_flags(signaled, false), Ok(()));
        assert_eq!(check_flags(signaled | abi::SEND_INLINE, false), Ok(()));
        assert_eq!(check_flags(0, true), Ok(()));
        assert_eq!(check_flags(0, false), Err(libc::EINVAL));
        for flag in [1, 4, 16, 32] {
            assert_eq!(
                check_flags(signaled | flag, true),
                Err(libc::EINVAL),
                "{flag}"
            );
        }
    }

    #[test]
    fn inline_data_have_a_limit() {
        let bytes = [5_u8; 40];
        let part = |len| (bytes.as_ptr().cast::<c_void>(), len);
        let mut work = Work::new(Operation::Send, 0, true);
        assert_eq!(put_inline(&mut work, &[part(20), part(12)], 32), Ok(()));
        assert_eq!(work.len(), 32);
        assert_eq!(put_inline(&mut work, &[part(33)], 64), Err(libc::EINVAL));
        assert_eq!(put_inline(&mut work, &[part(9)], 8), Err(libc::EINVAL));
        assert_eq!(
            put_inline(&mut work, &[part(9), part(usize::MAX)], 32),
            Err(libc::EINVAL)
        );
    }
}
