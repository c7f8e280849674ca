//! The functions of `libefa.so.1`. Each finds the device's table through the context, and shares no
//! symbol with `libibverbs.so.1`: the two are linked from the same archive, each exporting its own
//! names, so that a bundled `libibverbs` under another name works with either.

use std::ffi::{c_int, c_void};

use crate::abi::{
    Ah, Context, Cq, CqEx, CqInitAttrEx, EfaAhAttr, EfaCq, EfaCqAttr, EfaCqInitAttr, EfaDeviceAttr,
    EfaQpInitAttr, EfaWqAttr, INIT_ATTR_PD, Mr, Pd, Qp, QpInitAttr, QpInitAttrEx,
};
use crate::objects::{context_object, fail};
use crate::verbs::direct::Table;

/// The table of a context of a soft device, whichever copy of the library made it.
///
/// # Safety
/// `context` is null or a live context of any library.
unsafe fn table<'a>(context: *mut Context) -> Option<&'a Table> {
    // SAFETY: the caller's promise; a context of a soft device has a table that lives for ever.
    unsafe {
        context_object(context)
            .as_ref()
            .map(|object| &*object.efadv.cast::<Table>())
    }
}

/// Describes what the device can do.
///
/// # Safety
/// `out` has room for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn efadv_query_device(
    context: *mut Context,
    out: *mut EfaDeviceAttr,
    len: u32,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        table(context).map_or(libc::EOPNOTSUPP, |table| {
            (table.query_device)(context, out, len)
        })
    }
}

/// The number of an address handle.
///
/// # Safety
/// `ah` is live, `out` has room for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn efadv_query_ah(ah: *mut Ah, out: *mut EfaAhAttr, len: u32) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { table((*ah).context).map_or(libc::EOPNOTSUPP, |table| (table.query_ah)(ah, out, len)) }
}

/// Reads as much of a struct as the caller has.
///
/// # Safety
/// `from` is null or has `len` readable bytes.
unsafe fn known<T: Default>(from: *const T, len: u32) -> T {
    let mut value = T::default();
    if !from.is_null() {
        let count = (len as usize).min(size_of::<T>());
        // SAFETY: at most `len` bytes of `from`, at most the size of `value`, whose members are
        // integers.
        unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), (&raw mut value).cast(), count) };
    }
    value
}

/// Makes a queue pair, SRD or UD.
///
/// # Safety
/// `attr` is readable, `efa` has `len` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn efadv_create_qp_ex(
    context: *mut Context,
    attr: *mut QpInitAttrEx,
    efa: *mut EfaQpInitAttr,
    len: u32,
) -> *mut Qp {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(table) = table(context) else {
            return fail(libc::EOPNOTSUPP);
        };
        (table.create_qp)(context, &*attr, &known::<EfaQpInitAttr>(efa, len))
    }
}

/// Makes an SRD queue pair.
///
/// # Safety
/// `pd` is a live domain, `attr` readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn efadv_create_driver_qp(
    pd: *mut Pd,
    attr: *mut QpInitAttr,
    driver_qp_type: u32,
) -> *mut Qp {
    let none = std::ptr::null_mut();
    // SAFETY: the caller's promise.
    unsafe {
        let context = (*pd).context;
        let Some(table) = table(context) else {
            return fail(libc::EOPNOTSUPP);
        };
        let attr = &*attr;
        let whole = QpInitAttrEx {
            qp_context: attr.qp_context,
            send_cq: attr.send_cq,
            recv_cq: attr.recv_cq,
            srq: attr.srq,
            cap: attr.cap,
            qp_type: attr.qp_type,
            sq_sig_all: attr.sq_sig_all,
            comp_mask: INIT_ATTR_PD,
            pd,
            xrcd: none,
            create_flags: 0,
            max_tso_header: 0,
            rwq_ind_tbl: none,
            rx_hash_conf: [0; 3],
            source_qpn: 0,
            send_ops_flags: 0,
        };
        let efa = EfaQpInitAttr {
            driver_qp_type,
            ..EfaQpInitAttr::default()
        };
        (table.create_qp)(context, &whole, &efa)
    }
}

/// Makes a completion queue.
///
/// # Safety
/// `attr` is readable, `efa` has `len` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn efadv_create_cq(
    context: *mut Context,
    attr: *mut CqInitAttrEx,
    efa: *mut EfaCqInitAttr,
    len: u32,
) -> *mut CqEx {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(table) = table(context) else {
            return fail(libc::EOPNOTSUPP);
        };
        (table.create_cq)(context, attr, &known::<EfaCqInitAttr>(efa, len))
    }
}

/// The EFA part of a completion queue.
///
/// # Safety
/// `cq` is a live queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn efadv_cq_from_ibv_cq_ex(cq: *mut CqEx) -> *mut EfaCq {
    // SAFETY: the caller's promise.
    unsafe { table((*cq).base.context).map_or(std::ptr::null_mut(), |table| (table.efa_cq)(cq)) }
}

/// The queues of a pair in memory.
///
/// # Safety
/// `qp` is a live pair, `send` and `receive` have room for `len` bytes each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn efadv_query_qp_wqs(
    qp: *mut Qp,
    send: *mut EfaWqAttr,
    receive: *mut EfaWqAttr,
    len: u32,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let table = table((*qp).context);
        table.map_or(libc::EOPNOTSUPP, |table| {
            (table.query_wqs)(qp, send, receive, len)
        })
    }
}

/// A completion queue in memory.
///
/// # Safety
/// `cq` is a live queue, `out` has room for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn efadv_query_cq(cq: *mut Cq, out: *mut EfaCqAttr, len: u32) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { table((*cq).context).map_or(libc::EOPNOTSUPP, |table| (table.query_cq)(cq, out, len)) }
}

/// What is known of a region beyond the verbs: nothing.
///
/// # Safety
/// `out` has room for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn efadv_query_mr(_mr: *mut Mr, out: *mut c_void, len: u32) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { std::ptr::write_bytes(out.cast::<u8>(), 0, len as usize) };
    0
}

/// The deepest send queue.
#[unsafe(no_mangle)]
pub extern "C" fn efadv_get_max_sq_depth(
    _context: *mut Context,
    _attr: *mut c_void,
    _len: u32,
) -> c_int {
    crate::capability::MAX_SQ as c_int
}

/// The deepest receive queue.
#[unsafe(no_mangle)]
pub extern "C" fn efadv_get_max_rq_depth(
    _context: *mut Context,
    _attr: *mut c_void,
    _len: u32,
) -> c_int {
    crate::capability::MAX_RQ as c_int
}

/// The EFA part of a queue pair: its one function, processing hints, is not supported.
#[unsafe(no_mangle)]
pub extern "C" fn efadv_qp_from_ibv_qp_ex(_qp: *mut c_void) -> *mut c_void {
    std::ptr::null_mut()
}
