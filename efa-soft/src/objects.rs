//! What C callers hold pointers to, and the way back from such a pointer.
//!
//! Every object begins with the struct of the interface, is made with `Box::into_raw`, and ends in its
//! `destroy`. As with libibverbs, a pointer that was destroyed or comes from elsewhere is the caller's
//! fault; contexts of other libraries are recognised.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::abi;
use crate::completion::{Completion, Events};
use crate::opened::Opened;
use crate::work::Work;

const MAGIC: u64 = 0x736f_6674_2d65_6661;

/// A context. `efadv_*` of the other library finds its functions here, so that the two libraries share
/// no symbol and either may have another name, as bundled copies have.
#[repr(C)]
pub(crate) struct ContextObject {
    magic: u64,
    pub(crate) efadv: *const std::ffi::c_void,
    pub(crate) verbs: abi::VerbsContext,
    pub(crate) opened: Arc<Opened>,
}

impl ContextObject {
    pub(crate) fn into_context(
        efadv: *const std::ffi::c_void,
        verbs: abi::VerbsContext,
        opened: Arc<Opened>,
    ) -> *mut abi::Context {
        let object = Box::into_raw(Box::new(Self {
            magic: MAGIC,
            efadv,
            verbs,
            opened,
        }));
        // SAFETY: a live object; what callers hold points into it.
        unsafe {
            (*object).verbs.private = object.cast();
            &raw mut (*object).verbs.context
        }
    }
}

/// The object of a context, or null for one that this library did not make.
///
/// # Safety
/// `context` is null or a live `struct ibv_context` of any library.
pub(crate) unsafe fn context_object(context: *mut abi::Context) -> *mut ContextObject {
    let none = std::ptr::null_mut();
    // SAFETY: not null, so a live context (the caller's promise).
    if context.is_null() || unsafe { (*context).abi_compat } as usize != usize::MAX {
        return none;
    }
    let offset = std::mem::offset_of!(abi::VerbsContext, context);
    // SAFETY: `abi_compat` of all ones means that the context is the last member of a verbs_context.
    let object = unsafe { (*context.byte_sub(offset).cast::<abi::VerbsContext>()).private };
    let object = object.cast::<ContextObject>();
    // SAFETY: `private` of a foreign context is null or points to at least a pointer's worth of bytes.
    if object.is_null() || unsafe { object.cast::<u64>().read_unaligned() } != MAGIC {
        return none;
    }
    object
}

/// The opened device of a context of this library.
///
/// # Safety
/// As for [`context_object`]; the result must not outlive the context.
pub(crate) unsafe fn opened<'a>(context: *mut abi::Context) -> Option<&'a Arc<Opened>> {
    // SAFETY: the caller's promise.
    let object = unsafe { context_object(context) };
    // SAFETY: null or a live object of this library.
    unsafe { object.as_ref() }.map(|object| &object.opened)
}

/// A completion channel.
#[repr(C)]
pub(crate) struct ChannelObject {
    pub(crate) base: abi::CompChannel,
    pub(crate) events: Arc<Events>,
    pub(crate) users: AtomicUsize,
}

/// A completion queue. `current` is what the program reads between start and end of a poll.
#[repr(C)]
pub(crate) struct QueueObject {
    pub(crate) ex: abi::CqEx,
    pub(crate) efa: abi::EfaCq,
    pub(crate) opened: Arc<Opened>,
    pub(crate) slot: usize,
    pub(crate) polling: Gate,
    pub(crate) current: Completion,
    pub(crate) idle: u32,
}

/// A protection domain.
#[repr(C)]
pub(crate) struct DomainObject {
    pub(crate) base: abi::Pd,
}

/// A memory region.
#[repr(C)]
pub(crate) struct RegionObject {
    pub(crate) base: abi::Mr,
}

/// An address handle.
#[repr(C)]
pub(crate) struct AddressObject {
    pub(crate) base: abi::Ah,
    pub(crate) gid: [u8; 16],
    pub(crate) number: u16,
}

/// A queue pair.
#[repr(C)]
pub(crate) struct PairObject {
    pub(crate) ex: abi::QpEx,
    pub(crate) opened: Arc<Opened>,
    pub(crate) slot: usize,
    pub(crate) limits: abi::QpCap,
    pub(crate) signal_all: bool,
    pub(crate) reliable: bool,
    /// Closed from `wr_start` to `wr_complete` or `wr_abort`, by whichever thread.
    pub(crate) building: Gate,
    pub(crate) draft: UnsafeCell<Draft>,
}

/// Work requests between `wr_start` and `wr_complete`.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) works: Vec<Work>,
    /// The first thing that was wrong, as an errno.
    pub(crate) error: i32,
}

/// A lock that one call closes and another opens, perhaps in another thread, as the spin locks of
/// rdma-core are.
pub(crate) struct Gate {
    closed: AtomicBool,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn close(&self) {
        let mut tries = 0_u32;
        while self.closed.swap(true, Ordering::Acquire) {
            tries += 1;
            if tries < 100 {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }

    pub(crate) fn open(&self) {
        self.closed.store(false, Ordering::Release);
    }
}

/// Sets `errno`.
pub(crate) fn set_errno(value: i32) {
    // SAFETY: the address of this thread's errno.
    unsafe { *libc::__errno_location() = value };
}

/// Sets `errno` and returns null.
pub(crate) fn fail<T>(value: i32) -> *mut T {
    set_errno(value);
    std::ptr::null_mut()
}

/// Copies as much of a struct as the caller has room for, and clears the rest of it.
///
/// # Safety
/// `out` has room for `len` bytes.
pub(crate) unsafe fn fill<T>(out: *mut T, value: &T, len: usize) {
    // SAFETY: within `len` bytes of `out`, and within the size of `value`.
    unsafe {
        std::ptr::write_bytes(out.cast::<u8>(), 0, len);
        let count = len.min(size_of::<T>());
        std::ptr::copy_nonoverlapping(std::ptr::from_ref(value).cast::<u8>(), out.cast(), count);
    }
}
