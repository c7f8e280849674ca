//! Completion queues, polling, and events.

use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::abi::{self, CompChannel, Context, Cq, CqEx, CqInitAttrEx, EfaCq, Gid, Wc};
use crate::addresses::UNKNOWN;
use crate::capability::MAX_CQE;
use crate::completion::{Completion, Events, Queue};
use crate::objects::{ChannelObject, Gate, QueueObject, fail, opened};
use crate::status::Status;

/// Empty polls in a row after which the CPU is given up: the peer may need it.
const EMPTY_POLLS: u32 = 20;

/// Makes a completion queue; what the attributes may state is what rdma-core's EFA driver supports.
///
/// # Safety
/// `context` is a live context, `attr` readable, its channel null or live.
pub(crate) unsafe extern "C" fn create_cq_ex(
    context: *mut Context,
    attr: *mut CqInitAttrEx,
) -> *mut CqEx {
    // SAFETY: the caller's promise.
    let attr = unsafe { &*attr };
    let flags_known = attr.comp_mask & abi::CQ_INIT_ATTR_MASK_FLAGS == 0
        || attr.flags & !abi::CQ_ATTR_SINGLE_THREADED == 0;
    let known = attr.comp_mask & !abi::CQ_INIT_ATTR_MASK_FLAGS == 0
        && attr.wc_flags & !abi::WC_STANDARD_FLAGS == 0;
    if !known || !flags_known {
        return fail(libc::EOPNOTSUPP);
    }
    if attr.cqe < 1 || attr.cqe > MAX_CQE || attr.comp_vector != 0 {
        return fail(libc::EINVAL);
    }
    // SAFETY: the caller's promise.
    let Some(opened) = (unsafe { opened(context) }) else {
        return fail(libc::EINVAL);
    };
    let channel = attr.channel.cast::<ChannelObject>();
    // SAFETY: null or a live channel (the caller's promise).
    let events = unsafe { channel.as_ref() }.map(|channel| {
        channel.users.fetch_add(1, Ordering::SeqCst);
        Arc::clone(&channel.events)
    });
    let size = attr.cqe.next_power_of_two();
    let mut object = Box::new(QueueObject {
        ex: c_queue(context, attr, size),
        efa: EfaCq {
            comp_mask: 0,
            wc_read_sgid: Some(read_sgid),
            wc_is_unsolicited: Some(is_unsolicited),
        },
        opened: Arc::clone(opened),
        slot: 0,
        polling: Gate::new(),
        current: nothing(),
        idle: 0,
    });
    let handle = std::ptr::from_mut(&mut *object) as usize;
    object.slot = opened
        .lock()
        .queues
        .insert(Queue::new(size, events, handle));
    Box::into_raw(object).cast()
}

fn c_queue(context: *mut Context, attr: &CqInitAttrEx, size: u32) -> CqEx {
    CqEx {
        base: Cq {
            context,
            channel: attr.channel,
            cq_context: attr.cq_context,
            handle: 0,
            cqe: size as c_int,
            mutex: libc::PTHREAD_MUTEX_INITIALIZER,
            cond: libc::PTHREAD_COND_INITIALIZER,
            comp_events_completed: 0,
            async_events_completed: 0,
        },
        comp_mask: 0,
        status: 0,
        wr_id: 0,
        start_poll: Some(start_poll),
        next_poll: Some(next_poll),
        end_poll: Some(end_poll),
        read_opcode: Some(read_opcode),
        read_vendor_err: Some(read_vendor_err),
        read_byte_len: Some(read_byte_len),
        read_imm_data: Some(read_imm_data),
        read_qp_num: Some(read_qp_num),
        read_src_qp: Some(read_src_qp),
        read_wc_flags: Some(read_wc_flags),
        read_slid: Some(read_slid),
        read_sl: Some(read_zero),
        read_dlid_path_bits: Some(read_zero),
        after: [std::ptr::null_mut(); 5],
    }
}

fn nothing() -> Completion {
    Completion {
        owner: 0,
        wr_id: 0,
        pair: 0,
        source: 0,
        len: 0,
        immediate: None,
        address: UNKNOWN,
        status: Status::Ok,
        opcode: 0,
        unsolicited: false,
        operation: 0,
        gid: [0; 16],
    }
}

/// The queue behind a pointer.
///
/// # Safety
/// `cq` is a live queue of this library, which nobody else polls now.
unsafe fn object<'a, T>(cq: *mut T) -> &'a mut QueueObject {
    // SAFETY: the caller's promise.
    unsafe { &mut *cq.cast::<QueueObject>() }
}

fn take(object: &mut QueueObject, makes_progress: bool) -> bool {
    let mut state = object.opened.lock();
    let is_empty = state.queues.get(object.slot).is_none_or(Queue::is_empty);
    if is_empty && makes_progress {
        state.progress(&object.opened);
    }
    let Some(found) = state.queues.get_mut(object.slot).and_then(Queue::take) else {
        return false;
    };
    drop(state);
    object.current = found;
    object.ex.wr_id = found.wr_id;
    object.ex.status = found.status.verbs();
    true
}

unsafe extern "C" fn start_poll(cq: *mut CqEx, attr: *mut u32) -> c_int {
    // SAFETY: null or a readable struct ibv_poll_cq_attr, whose one member is a mask.
    if !attr.is_null() && unsafe { *attr } != 0 {
        return libc::EINVAL;
    }
    // SAFETY: a live queue; only the gate is touched before it is closed.
    unsafe { (*cq.cast::<QueueObject>()).polling.close() };
    // SAFETY: the gate is closed, so that nobody else polls.
    let object = unsafe { object(cq) };
    object.opened.note_poll();
    if take(object, true) {
        object.idle = 0;
        return 0;
    }
    object.idle += 1;
    let yields = object.opened.settings.yields && object.idle > EMPTY_POLLS;
    if yields {
        object.idle = 0;
    }
    object.polling.open();
    if yields {
        std::thread::yield_now();
    }
    libc::ENOENT
}

unsafe extern "C" fn next_poll(cq: *mut CqEx) -> c_int {
    // SAFETY: between start and end of a poll, so the gate is closed.
    if take(unsafe { object(cq) }, false) {
        0
    } else {
        libc::ENOENT
    }
}

unsafe extern "C" fn end_poll(cq: *mut CqEx) {
    // SAFETY: between start and end of a poll, so the gate is closed.
    unsafe { object(cq) }.polling.open();
}

/// What is read between start and end of a poll.
///
/// # Safety
/// `cq` is a live queue that is being polled.
unsafe fn current<T>(cq: *mut T) -> Completion {
    // SAFETY: the caller's promise.
    unsafe { object(cq) }.current
}

unsafe extern "C" fn read_opcode(cq: *mut CqEx) -> u32 {
    // SAFETY: being polled.
    unsafe { current(cq) }.opcode
}

unsafe extern "C" fn read_vendor_err(cq: *mut CqEx) -> u32 {
    // SAFETY: being polled.
    unsafe { current(cq) }.status as u32
}

unsafe extern "C" fn read_byte_len(cq: *mut CqEx) -> u32 {
    // SAFETY: being polled.
    unsafe { current(cq) }.len
}

unsafe extern "C" fn read_imm_data(cq: *mut CqEx) -> u32 {
    // SAFETY: being polled.
    unsafe { current(cq) }.immediate.unwrap_or(0)
}

unsafe extern "C" fn read_qp_num(cq: *mut CqEx) -> u32 {
    // SAFETY: being polled.
    unsafe { current(cq) }.pair
}

unsafe extern "C" fn read_src_qp(cq: *mut CqEx) -> u32 {
    // SAFETY: being polled.
    unsafe { current(cq) }.source
}

unsafe extern "C" fn read_wc_flags(cq: *mut CqEx) -> u32 {
    // SAFETY: being polled.
    flags(&unsafe { current(cq) })
}

fn flags(completion: &Completion) -> u32 {
    if completion.immediate.is_some() {
        abi::WC_WITH_IMM
    } else {
        0
    }
}

unsafe extern "C" fn read_slid(cq: *mut CqEx) -> u32 {
    // SAFETY: being polled.
    u32::from(unsafe { current(cq) }.address)
}

unsafe extern "C" fn read_zero(_cq: *mut CqEx) -> u8 {
    0
}

fn of_efa(cq: *mut EfaCq) -> *mut QueueObject {
    cq.wrapping_byte_sub(std::mem::offset_of!(QueueObject, efa))
        .cast()
}

unsafe extern "C" fn read_sgid(cq: *mut EfaCq, out: *mut Gid) -> c_int {
    // SAFETY: the `efa` member of a live queue that is being polled.
    let completion = unsafe { current(of_efa(cq)) };
    if completion.address != UNKNOWN || completion.is_send() {
        return -libc::ENOENT;
    }
    // SAFETY: writable (the interface's rule).
    unsafe { (*out).raw = completion.gid };
    0
}

unsafe extern "C" fn is_unsolicited(cq: *mut EfaCq) -> bool {
    // SAFETY: the `efa` member of a live queue that is being polled.
    unsafe { current(of_efa(cq)) }.unsolicited
}

/// `ibv_poll_cq`.
///
/// # Safety
/// `cq` is a live queue, `out` has room for `count` completions.
pub(crate) unsafe extern "C" fn poll_cq(cq: *mut Cq, count: c_int, out: *mut Wc) -> c_int {
    let ex = cq.cast::<CqEx>();
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: a live queue.
    if count == 0 || unsafe { start_poll(ex, std::ptr::null_mut()) } != 0 {
        return 0;
    }
    let mut found = 0;
    loop {
        // SAFETY: being polled.
        let completion = unsafe { current(ex) };
        let wc = Wc {
            wr_id: completion.wr_id,
            status: completion.status.verbs(),
            opcode: completion.opcode,
            vendor_err: completion.status as u32,
            byte_len: completion.len,
            imm_data: completion.immediate.unwrap_or(0),
            qp_num: completion.pair,
            src_qp: completion.source,
            wc_flags: flags(&completion),
            slid: completion.address,
            ..Wc::default()
        };
        // SAFETY: `found` is below `count`.
        unsafe { *out.add(found) = wc };
        found += 1;
        // SAFETY: being polled.
        if found == count || unsafe { next_poll(ex) } != 0 {
            break;
        }
    }
    // SAFETY: being polled.
    unsafe { end_poll(ex) };
    found as c_int
}

/// `ibv_req_notify_cq`: the next completion raises an event.
///
/// # Safety
/// `cq` is a live queue.
pub(crate) unsafe extern "C" fn req_notify_cq(cq: *mut Cq, _solicited_only: c_int) -> c_int {
    // SAFETY: a live queue, of which only parts that never change are read.
    let (opened, slot) = unsafe {
        let object = cq.cast::<QueueObject>();
        (&(*object).opened, (*object).slot)
    };
    if let Some(queue) = opened.lock().queues.get_mut(slot) {
        queue.arm();
    }
    opened.wake();
    0
}

/// Makes a completion queue.
///
/// # Safety
/// `context` is a live context, `channel` null or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_create_cq(
    context: *mut Context,
    cqe: c_int,
    cq_context: *mut c_void,
    channel: *mut CompChannel,
    comp_vector: c_int,
) -> *mut Cq {
    let mut attr = CqInitAttrEx {
        cqe: u32::try_from(cqe).unwrap_or(0),
        cq_context,
        channel,
        comp_vector: u32::try_from(comp_vector).unwrap_or(u32::MAX),
        wc_flags: 0,
        comp_mask: 0,
        flags: 0,
        parent_domain: std::ptr::null_mut(),
    };
    // SAFETY: the caller's promise.
    unsafe { create_cq_ex(context, &raw mut attr) }.cast()
}

/// Changes the size: not supported, as by EFA.
#[unsafe(no_mangle)]
pub extern "C" fn ibv_resize_cq(_cq: *mut Cq, _cqe: c_int) -> c_int {
    libc::EOPNOTSUPP
}

/// Ends a completion queue; busy while a queue pair completes there.
///
/// # Safety
/// `cq` is a live queue, not used again if this returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_destroy_cq(cq: *mut Cq) -> c_int {
    let object = cq.cast::<QueueObject>();
    // SAFETY: a live queue, of which only parts that never change are read.
    let (opened, slot) = unsafe { (&(*object).opened, (*object).slot) };
    let mut state = opened.lock();
    if state.queues.get(slot).is_some_and(|queue| queue.users > 0) {
        return libc::EBUSY;
    }
    if let Some(queue) = state.queues.remove(slot) {
        queue.forget_events();
    }
    drop(state);
    // SAFETY: made by Box::into_raw in create_cq_ex.
    let object = unsafe { Box::from_raw(object) };
    // SAFETY: null or a live channel: one with queues is busy.
    if let Some(channel) = unsafe { object.ex.base.channel.cast::<ChannelObject>().as_ref() } {
        channel.users.fetch_sub(1, Ordering::SeqCst);
    }
    0
}

/// Makes a channel for events.
///
/// # Safety
/// `context` is a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_create_comp_channel(context: *mut Context) -> *mut CompChannel {
    let Some(events) = Events::new() else {
        return fail(libc::EMFILE);
    };
    let base = CompChannel {
        context,
        fd: events.fd(),
        refcnt: 0,
    };
    let object = ChannelObject {
        base,
        events: Arc::new(events),
        users: AtomicUsize::new(0),
    };
    Box::into_raw(Box::new(object)).cast()
}

/// Ends a channel; busy while a queue uses it.
///
/// # Safety
/// `channel` is live, not used again if this returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_destroy_comp_channel(channel: *mut CompChannel) -> c_int {
    let object = channel.cast::<ChannelObject>();
    // SAFETY: a live channel.
    if unsafe { (*object).users.load(Ordering::SeqCst) } > 0 {
        return libc::EBUSY;
    }
    // SAFETY: made by Box::into_raw in ibv_create_comp_channel.
    drop(unsafe { Box::from_raw(object) });
    0
}

/// Waits for an event.
///
/// # Safety
/// `channel` is live, `cq` and `cq_context` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_get_cq_event(
    channel: *mut CompChannel,
    cq: *mut *mut Cq,
    cq_context: *mut *mut c_void,
) -> c_int {
    // SAFETY: a live channel.
    let events = unsafe { Arc::clone(&(*channel.cast::<ChannelObject>()).events) };
    let Some(handle) = events.take() else {
        return -1;
    };
    let queue = handle as *mut Cq;
    // SAFETY: events of queues that ended are forgotten, so this one lives.
    unsafe {
        *cq = queue;
        *cq_context = (*queue).cq_context;
    }
    0
}

/// Acknowledges events.
///
/// # Safety
/// `cq` is a live queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_ack_cq_events(cq: *mut Cq, count: u32) {
    // SAFETY: the caller's promise.
    unsafe { (*cq).comp_events_completed = (*cq).comp_events_completed.wrapping_add(count) };
}
