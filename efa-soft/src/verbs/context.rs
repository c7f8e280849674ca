//! Devices and contexts: listing, opening, querying.
//!
//! Ports and tables are checked as libibverbs and the kernel's uverbs do: one port, number 1, one GID,
//! one partition key.

use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;

use crate::abi::{self, Context, Device, Gid};
use crate::capability::{MAX_CQE, MAX_QP, MAX_RQ, MTU};
use crate::control::Field;
use crate::objects::{ContextObject, context_object, fail, fill, opened, set_errno};
use crate::opened::Opened;
use crate::port::{self, Port};
use crate::verbs::{completion_queue, direct, posting, queue_pair};

/// Lists the devices.
///
/// # Safety
/// `count` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_get_device_list(count: *mut c_int) -> *mut *mut Device {
    let ports = &port::host().ports;
    // SAFETY: room for one pointer per device and a null, zeroed.
    let list: *mut *mut Device =
        unsafe { libc::calloc(ports.len() + 1, size_of::<*mut Device>()) }.cast();
    if list.is_null() {
        return fail(libc::ENOMEM);
    }
    for (at, port) in ports.iter().enumerate() {
        // SAFETY: `at` is below the number of pointers that were allocated.
        unsafe { *list.add(at) = (&raw const port.device).cast_mut() };
    }
    if !count.is_null() {
        // SAFETY: writable (the caller's promise).
        unsafe { *count = ports.len() as c_int };
    }
    list
}

/// Frees a list; the devices stay.
///
/// # Safety
/// `list` is from [`ibv_get_device_list`] or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_free_device_list(list: *mut *mut Device) {
    // SAFETY: allocated with calloc (the caller's promise).
    unsafe { libc::free(list.cast()) };
}

fn port_of(device: *mut Device) -> Option<&'static Port> {
    let mut ports = port::host().ports.iter();
    ports.find(|port| std::ptr::eq(&raw const port.device, device))
}

/// The name of a device.
///
/// # Safety
/// `device` is from the list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_get_device_name(device: *mut Device) -> *const c_char {
    // SAFETY: a device of the list lives for ever.
    unsafe { (*device).name.as_ptr() }
}

/// The GUID of a device, in network byte order.
///
/// # Safety
/// `device` is from the list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_get_device_guid(device: *mut Device) -> u64 {
    port_of(device).map_or(0, |port| guid(&port.gid))
}

fn guid(gid: &[u8; 16]) -> u64 {
    let mut half = [0; 8];
    half.copy_from_slice(&gid[8..]);
    u64::from_ne_bytes(half)
}

/// The index of a device.
///
/// # Safety
/// `device` is from the list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_get_device_index(device: *mut Device) -> c_int {
    port_of(device).map_or(-1, |port| c_int::from(port.index))
}

/// Opens a device.
///
/// # Safety
/// `device` is from the list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_open_device(device: *mut Device) -> *mut Context {
    let Some(port) = port_of(device) else {
        return fail(libc::ENODEV);
    };
    let settings = &port::host().settings;
    let denied = settings
        .no_open
        .iter()
        .any(|name| *name == port.uverbs || *name == port.name);
    if denied || port.control.get(Field::NoOpen) != 0 {
        return fail(libc::ENOENT);
    }
    let Some(opened) = Opened::new(port, settings) else {
        return fail(libc::EMFILE);
    };
    // SAFETY: makes a descriptor that is never readable: this device has no asynchronous events.
    let async_fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    let none = std::ptr::null_mut();
    let context = Context {
        device,
        ops: abi::ContextOps {
            before_poll_cq: [none; 11],
            poll_cq: Some(completion_queue::poll_cq),
            req_notify_cq: Some(completion_queue::req_notify_cq),
            before_post_send: [none; 12],
            post_send: Some(posting::post_send),
            post_recv: Some(posting::post_recv),
            after_post_recv: [none; 5],
        },
        cmd_fd: -1,
        async_fd,
        num_comp_vectors: 1,
        mutex: libc::PTHREAD_MUTEX_INITIALIZER,
        abi_compat: usize::MAX as *mut c_void,
    };
    let verbs = abi::VerbsContext {
        query_port: Some(query_port),
        before_create_cq_ex: [none; 24],
        create_cq_ex: Some(completion_queue::create_cq_ex),
        private: none,
        query_device_ex: Some(query_device_ex),
        before_create_qp_ex: [none; 5],
        create_qp_ex: Some(queue_pair::create_qp_ex),
        after_create_qp_ex: [none; 5],
        sz: size_of::<abi::VerbsContext>(),
        context,
    };
    ContextObject::into_context((&raw const direct::TABLE).cast(), verbs, Arc::new(opened))
}

/// Closes a device. What the program left on it stays in memory, unused.
///
/// # Safety
/// `context` is from [`ibv_open_device`] and not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_close_device(context: *mut Context) -> c_int {
    // SAFETY: the caller's promise.
    let object = unsafe { context_object(context) };
    if object.is_null() {
        return libc::EINVAL;
    }
    // SAFETY: a live object of this library.
    let (opened, async_fd) = unsafe { (&(*object).opened, (*context).async_fd) };
    opened.stop();
    opened.port.publish(true);
    // SAFETY: the descriptor made when the device was opened.
    unsafe { libc::close(async_fd) };
    if opened.lock().is_empty() {
        // SAFETY: made by Box::into_raw; nothing of the program's refers to it any more.
        drop(unsafe { Box::from_raw(object) });
    }
    0
}

fn port_attr(opened: &Opened) -> abi::PortAttr {
    let is_down = opened.port.control.get(Field::Down) != 0;
    abi::PortAttr {
        state: if is_down { 1 } else { 4 },
        max_mtu: 5,
        active_mtu: 5,
        gid_tbl_len: 1,
        max_msg_sz: MTU as u32,
        pkey_tbl_len: 1,
        lmc: 1,
        max_vl_num: 1,
        active_width: 2,
        // HDR: four lanes are 200 Gbit/s.
        active_speed: 64,
        phys_state: if is_down { 3 } else { 5 },
        ..abi::PortAttr::default()
    }
}

/// `ibv_query_port` of the inline functions: fills what the caller knows of the struct.
pub(crate) unsafe extern "C" fn query_port(
    context: *mut Context,
    port: u8,
    out: *mut abi::PortAttr,
    len: usize,
) -> c_int {
    // SAFETY: a context of the caller's.
    let Some(opened) = (unsafe { opened(context) }) else {
        return libc::EINVAL;
    };
    if port != 1 {
        return libc::EINVAL;
    }
    // SAFETY: `out` has room for `len` bytes (the interface's rule).
    unsafe { fill(out, &port_attr(opened), len) };
    0
}

/// The old `ibv_query_port`, whose struct ends before `link_layer`.
///
/// # Safety
/// `out` has room for the old struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_query_port(
    context: *mut Context,
    port: u8,
    out: *mut abi::PortAttr,
) -> c_int {
    let len = std::mem::offset_of!(abi::PortAttr, link_layer);
    // SAFETY: the caller's promise.
    unsafe { query_port(context, port, out, len) }
}

fn device_attr(port: &Port) -> abi::DeviceAttr {
    let mut fw_ver = [0; 64];
    fw_ver[..7].copy_from_slice(b"0.0.0.0");
    let part = port.control.get(Field::Part) as u32;
    abi::DeviceAttr {
        fw_ver,
        node_guid: guid(&port.gid),
        sys_image_guid: guid(&port.gid),
        max_mr_size: 1 << 40,
        page_size_cap: 0xffff_f000,
        vendor_id: 0x1d0f,
        vendor_part_id: part,
        hw_ver: part,
        max_qp: MAX_QP as c_int,
        max_qp_wr: MAX_RQ as c_int,
        device_cap_flags: 0,
        max_sge: 2,
        max_sge_rd: 1,
        max_cq: 2048,
        max_cqe: MAX_CQE as c_int,
        max_mr: 0xffff,
        max_pd: 2048,
        before_max_ah: [0; 14],
        max_ah: 2048,
        before_max_pkeys: [0; 5],
        max_pkeys: 1,
        local_ca_ack_delay: 0,
        phys_port_cnt: 1,
    }
}

/// Describes a device.
///
/// # Safety
/// `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_query_device(
    context: *mut Context,
    out: *mut abi::DeviceAttr,
) -> c_int {
    // SAFETY: a context of the caller's.
    let Some(opened) = (unsafe { opened(context) }) else {
        return libc::EINVAL;
    };
    // SAFETY: writable (the caller's promise).
    unsafe { *out = device_attr(opened.port) };
    0
}

unsafe extern "C" fn query_device_ex(
    context: *mut Context,
    _input: *const c_void,
    out: *mut abi::DeviceAttrEx,
    len: usize,
) -> c_int {
    // SAFETY: a context of the caller's.
    let Some(opened) = (unsafe { opened(context) }) else {
        return libc::EINVAL;
    };
    if len < size_of::<abi::DeviceAttr>() {
        return libc::EINVAL;
    }
    let value = abi::DeviceAttrEx {
        orig: device_attr(opened.port),
        rest: [0; 21],
    };
    // SAFETY: `out` has room for `len` bytes (the interface's rule).
    unsafe { fill(out, &value, len) };
    0
}

/// Reads an entry of the GID table: there is one.
///
/// # Safety
/// `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_query_gid(
    context: *mut Context,
    port: u8,
    index: c_int,
    out: *mut Gid,
) -> c_int {
    // SAFETY: a context of the caller's.
    let Some(opened) = (unsafe { opened(context) }).filter(|_| port == 1 && index == 0) else {
        set_errno(libc::EINVAL);
        return -1;
    };
    // SAFETY: writable (the caller's promise).
    unsafe { (*out).raw = opened.port.gid };
    0
}

/// Reads an entry of the GID table with what it is.
///
/// # Safety
/// `out` has room for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _ibv_query_gid_ex(
    context: *mut Context,
    port: u32,
    index: u32,
    out: *mut abi::GidEntry,
    flags: u32,
    len: usize,
) -> c_int {
    // SAFETY: a context of the caller's.
    let Some(opened) = (unsafe { opened(context) }) else {
        return libc::EINVAL;
    };
    if flags != 0 || port != 1 || index != 0 {
        return libc::EINVAL;
    }
    let entry = abi::GidEntry {
        gid: Gid {
            raw: opened.port.gid,
        },
        port_num: 1,
        ..abi::GidEntry::default()
    };
    // SAFETY: the caller's promise.
    unsafe { fill(out, &entry, len) };
    0
}

/// Reads the GID table.
///
/// # Safety
/// `out` has room for `max` entries of `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _ibv_query_gid_table(
    context: *mut Context,
    out: *mut abi::GidEntry,
    max: usize,
    flags: u32,
    len: usize,
) -> isize {
    if max == 0 {
        return -(libc::EINVAL as isize);
    }
    // SAFETY: the caller's promise.
    match unsafe { _ibv_query_gid_ex(context, 1, 0, out, flags, len) } {
        0 => 1,
        error => -(error as isize),
    }
}

/// Reads an entry of the partition key table: there is one.
///
/// # Safety
/// `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_query_pkey(
    _context: *mut Context,
    port: u8,
    index: c_int,
    out: *mut u16,
) -> c_int {
    if port != 1 || index != 0 {
        set_errno(libc::EINVAL);
        return -1;
    }
    // SAFETY: writable (the caller's promise).
    unsafe { *out = 0xffff };
    0
}

/// Finds a partition key.
#[unsafe(no_mangle)]
pub extern "C" fn ibv_get_pkey_index(_context: *mut Context, port: u8, key: u16) -> c_int {
    if port == 1 && key == 0xffff { 0 } else { -1 }
}
