//! One handle type per C object: never null, closed on drop, its parent kept alive.
//!
//! A parent is held by a counted reference declared after the object, so the object is closed
//! first. It is an `Rc`, because a fabric and a domain belong to one `Endpoint` and move with
//! it; the library, which many share, is an `Arc`.

use std::ffi::{c_char, c_int};
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;

use crate::error::Result;
use crate::ffi::{
    self, FiAvAttr, FiCqAttr, FiEqAttr, FiEqErrEntry, Fid, FidAv, FidCq, FidDomain, FidEp, FidEq,
    FidFabric, Object, Padded, checked_op,
};
use crate::info_list::OwnedEntry;
use crate::library::{Library, text};

pub(crate) mod region;

/// An object of libfabric and the library it came from.
pub(crate) struct Handle<T: Object> {
    object: NonNull<T>,
    library: Arc<Library>,
}

impl<T: Object> Handle<T> {
    /// Takes what an open call left in `object` when it returned `code`.
    fn opened(
        library: &Arc<Library>,
        call: &'static str,
        code: c_int,
        object: *mut T,
    ) -> Result<Self> {
        library.check_code(call, code as isize)?;
        let object = NonNull::new(object).ok_or_else(|| library.missing(call))?;
        Ok(Self {
            object,
            library: Arc::clone(library),
        })
    }

    pub(crate) fn as_ptr(&self) -> *mut T {
        self.object.as_ptr()
    }

    pub(crate) fn fid(&self) -> *mut Fid {
        self.object.as_ptr().cast()
    }

    pub(crate) fn library(&self) -> &Arc<Library> {
        &self.library
    }

    fn ops(&self) -> *const ffi::FiOps {
        // SAFETY: the object is open, and begins with a fid by the contract of `Object`.
        unsafe { (*self.fid()).ops }
    }

    pub(crate) fn bind<U: Object>(
        &self,
        call: &'static str,
        other: &Handle<U>,
        flags: u64,
    ) -> Result<()> {
        let bind =
            checked_op!(self.ops(), FiOps, bind).ok_or_else(|| self.library.missing(call))?;
        // SAFETY: both objects are open, and of the same library.
        let code = unsafe { bind(self.fid(), other.fid(), flags) };
        self.library.check_code(call, code as isize).map(drop)
    }

    pub(crate) fn enable(&self, call: &'static str) -> Result<()> {
        let control =
            checked_op!(self.ops(), FiOps, control).ok_or_else(|| self.library.missing(call))?;
        // SAFETY: the object is open; FI_ENABLE takes no argument.
        let code = unsafe { control(self.fid(), ffi::FI_ENABLE, std::ptr::null_mut()) };
        self.library.check_code(call, code as isize).map(drop)
    }

    /// Closes the object; whether the library agreed. The handle must not be used afterwards.
    fn close(&self) -> bool {
        checked_op!(self.ops(), FiOps, close).is_some_and(|close| {
            // SAFETY: the object is open, and only `drop` and `into_closed` call this, once.
            unsafe { close(self.fid()) == 0 }
        })
    }

    /// Closes the object now and states whether it is closed: if not, the library may go on
    /// using the memory that was given to it.
    pub(crate) fn into_closed(self) -> bool {
        let this = std::mem::ManuallyDrop::new(self);
        let closed = this.close();
        // SAFETY: `this` is never dropped, so its library is taken out once.
        drop(unsafe { std::ptr::read(&raw const this.library) });
        closed
    }
}

impl<T: Object> Drop for Handle<T> {
    fn drop(&mut self) {
        self.close();
    }
}

/// `fi_fabric`.
pub(crate) struct Fabric {
    handle: Handle<FidFabric>,
}

impl Fabric {
    pub(crate) fn open(info: &OwnedEntry) -> Result<Self> {
        let library = info.library();
        // SAFETY: the attribute belongs to `info`, which is live.
        let object = unsafe { library.open_fabric((*info.raw().as_ptr()).fabric_attr) }?;
        Ok(Self {
            handle: Handle {
                object,
                library: Arc::clone(library),
            },
        })
    }
}

/// `fi_eq_open`: takes the provider's own errors. Without one bound to its endpoint, the efa
/// provider calls `abort()` when it has an error to report (prov/efa/src/efa_base_ep.c).
pub(crate) struct EventQueue {
    handle: Handle<FidEq>,
    _fabric: Rc<Fabric>,
}

impl EventQueue {
    pub(crate) fn open(fabric: &Rc<Fabric>) -> Result<Self> {
        let library = fabric.handle.library();
        let mut attribute = Padded::new(FiEqAttr {
            size: 0,
            flags: 0,
            wait_obj: ffi::FI_WAIT_NONE,
            signaling_vector: 0,
            wait_set: std::ptr::null_mut(),
        });
        // SAFETY: the fabric is open.
        let table = unsafe { (*fabric.handle.as_ptr()).ops };
        let open = checked_op!(table, FiOpsFabric, eq_open)
            .ok_or_else(|| library.missing("fi_eq_open"))?;
        let mut object = std::ptr::null_mut();
        // SAFETY: the fabric is open, the attribute valid and zero-padded.
        let code = unsafe {
            open(
                fabric.handle.as_ptr(),
                &raw mut attribute.value,
                &raw mut object,
                std::ptr::null_mut(),
            )
        };
        let handle = Handle::opened(library, "fi_eq_open", code, object)?;
        Ok(Self {
            handle,
            _fabric: Rc::clone(fabric),
        })
    }

    pub(crate) fn handle(&self) -> &Handle<FidEq> {
        &self.handle
    }

    /// The error that the provider reported by itself, if any: its text and errno.
    pub(crate) fn error(&self) -> Option<Event> {
        // SAFETY: the queue is open.
        let table = unsafe { (*self.handle.as_ptr()).ops };
        let read = checked_op!(table, FiOpsEq, read)?;
        let readerr = checked_op!(table, FiOpsEq, readerr)?;
        let mut event = 0;
        let mut buffer = [0_u64; 32];
        // SAFETY: the queue is open, the buffer as long as stated.
        let code = unsafe {
            read(
                self.handle.as_ptr(),
                &raw mut event,
                buffer.as_mut_ptr().cast(),
                size_of_val(&buffer),
                0,
            )
        };
        if code != -(ffi::FI_EAVAIL as isize) {
            return None;
        }
        let mut entry = Padded::new(FiEqErrEntry {
            fid: std::ptr::null_mut(),
            context: std::ptr::null_mut(),
            data: 0,
            err: 0,
            prov_errno: 0,
            err_data: std::ptr::null_mut(),
            err_data_size: 0,
        });
        // SAFETY: the queue is open, the entry valid and zero-padded.
        if unsafe { readerr(self.handle.as_ptr(), &raw mut entry.value, 0) } < 0 {
            return None;
        }
        let error = &entry.value;
        let mut detail = [0 as c_char; 512];
        let provider = checked_op!(table, FiOpsEq, strerror).and_then(|strerror| {
            // SAFETY: error data lives until the queue is read again; `detail` is as long as
            // stated and outlives the copy that `text` makes.
            unsafe {
                text(strerror(
                    self.handle.as_ptr(),
                    error.prov_errno,
                    error.err_data,
                    detail.as_mut_ptr(),
                    detail.len(),
                ))
            }
        });
        // Up to 1.17 the efa provider reports negative numbers here (rxr_ep_progress, rxr_eq).
        let general = self.handle.library().strerror(error.err.saturating_abs());
        Some(Event {
            detail: provider.map_or(general.clone(), |provider| format!("{general}: {provider}")),
            number: error.err,
            own_number: error.prov_errno,
        })
    }
}

/// An error that a provider reported by itself.
pub(crate) struct Event {
    /// In words: libfabric's, then the provider's.
    pub(crate) detail: String,
    /// libfabric's number, of either sign.
    pub(crate) number: c_int,
    /// The provider's own.
    pub(crate) own_number: c_int,
}

/// `fi_domain`.
pub(crate) struct Domain {
    handle: Handle<FidDomain>,
    fabric: Rc<Fabric>,
}

impl Domain {
    pub(crate) fn open(fabric: &Rc<Fabric>, info: &OwnedEntry) -> Result<Self> {
        let library = info.library();
        // SAFETY: the fabric is open.
        let table = unsafe { (*fabric.handle.as_ptr()).ops };
        let open =
            checked_op!(table, FiOpsFabric, domain).ok_or_else(|| library.missing("fi_domain"))?;
        let mut object = std::ptr::null_mut();
        // SAFETY: the fabric is open and `info` is what it was opened with.
        let code = unsafe {
            open(
                fabric.handle.as_ptr(),
                info.raw().as_ptr(),
                &raw mut object,
                std::ptr::null_mut(),
            )
        };
        let handle = Handle::opened(library, "fi_domain", code, object)?;
        Ok(Self {
            handle,
            fabric: Rc::clone(fabric),
        })
    }

    fn table(&self) -> *const ffi::FiOpsDomain {
        // SAFETY: the domain is open.
        unsafe { (*self.handle.as_ptr()).ops }
    }
}

/// What a thread may sleep on until something is to be read from a completion queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bell {
    /// Nothing: the queue is only read.
    Absent,
    /// There may be something to read already.
    Rings,
    /// This descriptor, which will be readable then.
    At(RawFd),
}

/// `fi_cq_open`: read again and again, and slept on where it has a descriptor.
pub(crate) struct CompletionQueue {
    handle: Handle<FidCq>,
    domain: Rc<Domain>,
    descriptor: Option<RawFd>,
}

impl CompletionQueue {
    /// A queue for this many completions; `is_slept_on` asks for a descriptor.
    pub(crate) fn open(domain: &Rc<Domain>, size: usize, is_slept_on: bool) -> Result<Self> {
        if is_slept_on && let Ok(queue) = Self::open_with(domain, size, ffi::FI_WAIT_FD) {
            let descriptor = queue.wait_descriptor();
            if descriptor.is_some() {
                return Ok(Self {
                    descriptor,
                    ..queue
                });
            }
        }
        Self::open_with(domain, size, ffi::FI_WAIT_NONE)
    }

    fn open_with(domain: &Rc<Domain>, size: usize, wait_object: c_int) -> Result<Self> {
        let library = domain.handle.library();
        let mut attribute = Padded::new(FiCqAttr {
            size,
            flags: 0,
            format: ffi::FI_CQ_FORMAT_DATA,
            wait_obj: wait_object,
            signaling_vector: 0,
            wait_cond: 0,
            wait_set: std::ptr::null_mut(),
        });
        let open = checked_op!(domain.table(), FiOpsDomain, cq_open)
            .ok_or_else(|| library.missing("fi_cq_open"))?;
        let mut object = std::ptr::null_mut();
        // SAFETY: the domain is open, the attribute valid and zero-padded.
        let code = unsafe {
            open(
                domain.handle.as_ptr(),
                &raw mut attribute.value,
                &raw mut object,
                std::ptr::null_mut(),
            )
        };
        let handle = Handle::opened(library, "fi_cq_open", code, object)?;
        Ok(Self {
            handle,
            domain: Rc::clone(domain),
            descriptor: None,
        })
    }

    /// `FI_GETWAIT`: the descriptor, which is the library's.
    fn wait_descriptor(&self) -> Option<RawFd> {
        let control = checked_op!(self.handle.ops(), FiOps, control)?;
        let mut descriptor: RawFd = -1;
        // SAFETY: the queue is open with FI_WAIT_FD, for which the argument is an int's address.
        let code = unsafe {
            control(
                self.handle.fid(),
                ffi::FI_GETWAIT,
                (&raw mut descriptor).cast(),
            )
        };
        (code == 0 && descriptor >= 0).then_some(descriptor)
    }

    /// Where a thread may sleep now. Asked before each sleep: what came before it rings no more.
    pub(crate) fn bell(&self) -> Bell {
        let Some(descriptor) = self.descriptor else {
            return Bell::Absent;
        };
        let fabric = &self.domain.fabric.handle;
        // SAFETY: the fabric is open.
        let table = unsafe { (*fabric.as_ptr()).ops };
        let Some(try_wait) = checked_op!(table, FiOpsFabric, trywait) else {
            return Bell::Absent;
        };
        let mut queue = self.handle.fid();
        // SAFETY: fabric and queue are open, and the array has one element, as stated.
        match unsafe { try_wait(fabric.as_ptr(), &raw mut queue, 1) } {
            0 => Bell::At(descriptor),
            _ => Bell::Rings,
        }
    }

    pub(crate) fn handle(&self) -> &Handle<FidCq> {
        &self.handle
    }
}

/// `fi_av_open`, as a table, with synchronous insertion.
pub(crate) struct AddressVector {
    handle: Handle<FidAv>,
    _domain: Rc<Domain>,
}

impl AddressVector {
    pub(crate) fn open(domain: &Rc<Domain>) -> Result<Self> {
        let library = domain.handle.library();
        let mut attribute = Padded::new(FiAvAttr {
            av_type: ffi::FI_AV_TABLE,
            rx_ctx_bits: 0,
            count: 1,
            ep_per_node: 0,
            name: std::ptr::null(),
            map_addr: std::ptr::null_mut(),
            flags: 0,
        });
        let open = checked_op!(domain.table(), FiOpsDomain, av_open)
            .ok_or_else(|| library.missing("fi_av_open"))?;
        let mut object = std::ptr::null_mut();
        // SAFETY: the domain is open, the attribute valid and zero-padded.
        let code = unsafe {
            open(
                domain.handle.as_ptr(),
                &raw mut attribute.value,
                &raw mut object,
                std::ptr::null_mut(),
            )
        };
        let handle = Handle::opened(library, "fi_av_open", code, object)?;
        Ok(Self {
            handle,
            _domain: Rc::clone(domain),
        })
    }

    pub(crate) fn handle(&self) -> &Handle<FidAv> {
        &self.handle
    }

    /// `fi_av_insert` of one address: what sends take as their destination.
    ///
    /// The provider reads as many bytes as its address format has, so the bytes are copied
    /// into a longer, zeroed buffer first: a short address is then wrong, but never read past.
    pub(crate) fn insert(&self, address: &[u8]) -> Result<u64> {
        let library = self.handle.library();
        // SAFETY: the address vector is open.
        let table = unsafe { (*self.handle.as_ptr()).ops };
        let insert =
            checked_op!(table, FiOpsAv, insert).ok_or_else(|| library.missing("fi_av_insert"))?;
        let mut bytes = vec![0_u64; (address.len() + 512) / 8];
        let mut peer = ffi::FI_ADDR_NOTAVAIL;
        // SAFETY: `bytes` is longer than `address`, which is copied to its begin; it is
        // aligned for any address struct, and lives during the synchronous call.
        let code = unsafe {
            std::ptr::copy_nonoverlapping(
                address.as_ptr(),
                bytes.as_mut_ptr().cast(),
                address.len(),
            );
            insert(
                self.handle.as_ptr(),
                bytes.as_ptr().cast(),
                1,
                &raw mut peer,
                0,
                std::ptr::null_mut(),
            )
        };
        match library.check_code("fi_av_insert", code as isize)? {
            1 => Ok(peer),
            _ => Err(library
                .failed("fi_av_insert", -(libc::EINVAL as isize))
                .with_context("address", hex::encode(address))),
        }
    }
}

/// `fi_endpoint`.
pub(crate) struct RawEndpoint {
    handle: Handle<FidEp>,
    _domain: Rc<Domain>,
}

impl RawEndpoint {
    pub(crate) fn open(domain: &Rc<Domain>, info: &OwnedEntry) -> Result<Self> {
        let library = info.library();
        let open = checked_op!(domain.table(), FiOpsDomain, endpoint)
            .ok_or_else(|| library.missing("fi_endpoint"))?;
        let mut object = std::ptr::null_mut();
        // SAFETY: the domain is open and `info` is what it was opened with.
        let code = unsafe {
            open(
                domain.handle.as_ptr(),
                info.raw().as_ptr(),
                &raw mut object,
                std::ptr::null_mut(),
            )
        };
        let handle = Handle::opened(library, "fi_endpoint", code, object)?;
        Ok(Self {
            handle,
            _domain: Rc::clone(domain),
        })
    }

    pub(crate) fn handle(&self) -> &Handle<FidEp> {
        &self.handle
    }

    /// Closes the endpoint now; see [`Handle::into_closed`].
    pub(crate) fn into_closed(self) -> bool {
        self.handle.into_closed()
    }

    /// `fi_setopt` at the endpoint level; the library's return code.
    pub(crate) fn set_option(&self, option: c_int, value: &[u8]) -> c_int {
        // SAFETY: the endpoint is open.
        let table = unsafe { (*self.handle.as_ptr()).ops };
        checked_op!(table, FiOpsEp, setopt).map_or(-ffi::FI_ENOSYS, |setopt| {
            // SAFETY: the value lives during the call, and its length is reported.
            unsafe {
                setopt(
                    self.handle.fid(),
                    ffi::FI_OPT_ENDPOINT,
                    option,
                    value.as_ptr().cast(),
                    value.len(),
                )
            }
        })
    }

    /// `fi_getopt` of a size; `None` where the provider does not know the option.
    pub(crate) fn size_option(&self, option: c_int) -> Option<usize> {
        self.option(option).map(usize::from_ne_bytes)
    }

    /// `fi_getopt` of a C `bool`; `None` where the provider does not know the option.
    pub(crate) fn flag_option(&self, option: c_int) -> Option<bool> {
        self.option(option).map(|[byte]: [u8; 1]| byte != 0)
    }

    /// The bytes of an option of this size; `None` where the provider does not know it.
    fn option<const LENGTH: usize>(&self, option: c_int) -> Option<[u8; LENGTH]> {
        // SAFETY: the endpoint is open.
        let table = unsafe { (*self.handle.as_ptr()).ops };
        let getopt = checked_op!(table, FiOpsEp, getopt)?;
        // A provider may write it as what it is, which a size's alignment suits.
        let mut value = 0_usize;
        let mut length = LENGTH.min(size_of_val(&value));
        // SAFETY: the value is at least as long as stated.
        let code = unsafe {
            getopt(
                self.handle.fid(),
                ffi::FI_OPT_ENDPOINT,
                option,
                (&raw mut value).cast(),
                &raw mut length,
            )
        };
        if code != 0 || length != LENGTH {
            return None;
        }
        let mut bytes = [0; LENGTH];
        for (byte, from) in bytes.iter_mut().zip(value.to_ne_bytes()) {
            *byte = from;
        }
        Some(bytes)
    }

    /// `fi_getname`: this endpoint's address, opaque bytes for the peer's address vector.
    pub(crate) fn name(&self) -> Result<Vec<u8>> {
        let library = self.handle.library();
        // SAFETY: the endpoint is open.
        let table = unsafe { (*self.handle.as_ptr()).cm };
        let getname =
            checked_op!(table, FiOpsCm, getname).ok_or_else(|| library.missing("fi_getname"))?;
        let mut length = 0;
        // SAFETY: nothing is written into a buffer of length 0; the length needed comes back.
        let code = unsafe { getname(self.handle.fid(), std::ptr::null_mut(), &raw mut length) };
        if code != -ffi::FI_ETOOSMALL {
            library.check_code("fi_getname", code as isize)?;
        }
        let mut name = vec![0_u8; length];
        // SAFETY: the buffer is as long as stated.
        let code = unsafe { getname(self.handle.fid(), name.as_mut_ptr().cast(), &raw mut length) };
        library.check_code("fi_getname", code as isize)?;
        name.truncate(length);
        Ok(name)
    }
}
