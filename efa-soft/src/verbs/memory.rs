//! Protection domains, memory regions, address handles.
//!
//! As the kernel does: a domain in use is busy, memory that is not mapped cannot be registered, remote
//! writes want local ones, flags that the device does not have are not supported.

use std::ffi::{c_int, c_void};

use crate::abi::{self, Ah, AhAttr, Context, Mr, Pd};
use crate::addresses::UNKNOWN;
use crate::capability;
use crate::control::Field;
use crate::memory::pinnable;
use crate::objects::{AddressObject, DomainObject, RegionObject, fail, opened};
use crate::opened::Opened;

/// Makes a protection domain.
///
/// # Safety
/// `context` is a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_alloc_pd(context: *mut Context) -> *mut Pd {
    // SAFETY: the caller's promise.
    let Some(opened) = (unsafe { opened(context) }) else {
        return fail(libc::EINVAL);
    };
    let handle = opened.lock().memory.new_domain();
    Box::into_raw(Box::new(DomainObject {
        base: Pd { context, handle },
    }))
    .cast()
}

/// Ends a protection domain; busy while something uses it.
///
/// # Safety
/// `pd` is a live domain, not used again if this returns 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_dealloc_pd(pd: *mut Pd) -> c_int {
    // SAFETY: a live domain.
    let (Some(opened), handle) = (unsafe { (opened((*pd).context), (*pd).handle) }) else {
        return libc::EINVAL;
    };
    let freed = opened.lock().memory.free_domain(handle);
    match freed {
        Ok(()) => {
            // SAFETY: made by Box::into_raw in ibv_alloc_pd.
            drop(unsafe { Box::from_raw(pd.cast::<DomainObject>()) });
            0
        }
        Err(error) => error,
    }
}

/// What of a registration the kernel would refuse.
fn refused(opened: &Opened, address: u64, length: u64, access: u32) -> Option<i32> {
    let mut known = abi::ACCESS_LOCAL_WRITE | abi::ACCESS_OPTIONAL;
    if opened.port.can(capability::READ) {
        known |= abi::ACCESS_REMOTE_READ;
    }
    if opened.port.can(capability::WRITE) {
        known |= abi::ACCESS_REMOTE_WRITE;
    }
    if access & abi::ACCESS_REMOTE_WRITE != 0 && access & abi::ACCESS_LOCAL_WRITE == 0 {
        return Some(libc::EINVAL);
    }
    if access & !known != 0 {
        return Some(libc::EOPNOTSUPP);
    }
    if length == 0 {
        return Some(libc::EINVAL);
    }
    let registered = opened.lock().memory.registered();
    if registered.saturating_add(length) > limit(opened) {
        return Some(libc::ENOMEM);
    }
    (!pinnable(address, length, access)).then_some(libc::EFAULT)
}

/// Bytes that this process may register.
fn limit(opened: &Opened) -> u64 {
    let block = match opened.port.control.get(Field::Memlock) {
        0 => u64::MAX,
        limit => limit,
    };
    if !opened.settings.memlock {
        return block;
    }
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: fills a struct of this frame.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    if result != 0 || limit.rlim_cur == libc::RLIM_INFINITY {
        block
    } else {
        block.min(limit.rlim_cur)
    }
}

/// Registers memory under the addresses from `iova` on.
///
/// # Safety
/// `pd` is a live domain. The memory stays mapped until the region is deregistered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_reg_mr_iova2(
    pd: *mut Pd,
    addr: *mut c_void,
    length: usize,
    iova: u64,
    access: u32,
) -> *mut Mr {
    // SAFETY: a live domain.
    let (context, domain) = unsafe { ((*pd).context, (*pd).handle) };
    // SAFETY: the context of a live domain is live.
    let Some(opened) = (unsafe { opened(context) }) else {
        return fail(libc::EINVAL);
    };
    if let Some(error) = refused(opened, addr as u64, length as u64, access) {
        if opened.settings.trace > 0 {
            eprintln!(
                "efa-soft: registering {length} bytes at {addr:?} with access {access:#x}: error {error}"
            );
        }
        return fail(error);
    }
    let made = opened
        .lock()
        .memory
        .register(domain, addr as u64, iova, length as u64, access);
    match made {
        Err(error) => fail(error),
        Ok((handle, key)) => {
            let base = Mr {
                context,
                pd,
                addr,
                length,
                handle,
                lkey: key,
                rkey: key,
            };
            Box::into_raw(Box::new(RegionObject { base })).cast()
        }
    }
}

/// Registers memory under its own addresses.
///
/// # Safety
/// As for [`ibv_reg_mr_iova2`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_reg_mr(
    pd: *mut Pd,
    addr: *mut c_void,
    length: usize,
    access: c_int,
) -> *mut Mr {
    // SAFETY: the caller's promise.
    unsafe { ibv_reg_mr_iova2(pd, addr, length, addr as u64, access as u32) }
}

/// Registers memory under other addresses.
///
/// # Safety
/// As for [`ibv_reg_mr_iova2`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_reg_mr_iova(
    pd: *mut Pd,
    addr: *mut c_void,
    length: usize,
    iova: u64,
    access: c_int,
) -> *mut Mr {
    // SAFETY: the caller's promise.
    unsafe { ibv_reg_mr_iova2(pd, addr, length, iova, access as u32) }
}

/// Registers memory of another device: there is none here.
#[unsafe(no_mangle)]
pub extern "C" fn ibv_reg_dmabuf_mr(
    _pd: *mut Pd,
    _offset: u64,
    _length: usize,
    _iova: u64,
    _fd: c_int,
    _access: c_int,
) -> *mut Mr {
    fail(libc::EOPNOTSUPP)
}

/// Ends a registration.
///
/// # Safety
/// `mr` is a live region, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_dereg_mr(mr: *mut Mr) -> c_int {
    // SAFETY: a live region.
    let (Some(opened), handle) = (unsafe { (opened((*mr).context), (*mr).handle) }) else {
        return libc::EINVAL;
    };
    if let Err(error) = opened.lock().memory.deregister(handle) {
        return error;
    }
    // SAFETY: made by Box::into_raw in ibv_reg_mr_iova2.
    drop(unsafe { Box::from_raw(mr.cast::<RegionObject>()) });
    0
}

/// Makes an address handle: port 1, with a global route, as EFA has no other.
///
/// # Safety
/// `pd` is a live domain, `attr` readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_create_ah(pd: *mut Pd, attr: *mut AhAttr) -> *mut Ah {
    // SAFETY: the caller's promise.
    let (context, domain, attr) = unsafe { ((*pd).context, (*pd).handle, &*attr) };
    // SAFETY: the context of a live domain is live.
    let Some(opened) = (unsafe { opened(context) }) else {
        return fail(libc::EINVAL);
    };
    if attr.port_num != 1 || attr.is_global == 0 || attr.grh.sgid_index != 0 {
        return fail(libc::EINVAL);
    }
    let gid = attr.grh.dgid.raw;
    let mut state = opened.lock();
    match state.addresses.create(gid) {
        Err(error) => fail(error),
        Ok(number) if number == UNKNOWN => fail(libc::ENOMEM),
        Ok(number) => {
            state.memory.hold(domain);
            let base = Ah {
                context,
                pd,
                handle: u32::from(number),
            };
            Box::into_raw(Box::new(AddressObject { base, gid, number })).cast()
        }
    }
}

/// Ends an address handle.
///
/// # Safety
/// `ah` is a live handle, not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_destroy_ah(ah: *mut Ah) -> c_int {
    // SAFETY: made by Box::into_raw in ibv_create_ah (the caller's promise).
    let object = unsafe { Box::from_raw(ah.cast::<AddressObject>()) };
    // SAFETY: the context and the domain of a live handle are live.
    let (Some(opened), domain) =
        (unsafe { (opened(object.base.context), (*object.base.pd).handle) })
    else {
        return libc::EINVAL;
    };
    let mut state = opened.lock();
    state.addresses.destroy(object.number);
    state.memory.release(domain);
    0
}
