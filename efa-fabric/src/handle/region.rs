//! Memory that the library may read and write.

use std::ffi::c_void;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use super::{Domain, Handle};
use crate::cuda::DmaBuf;
use crate::error::Result;
use crate::ffi::{self, FiMrAttr, FiMrDmabuf, FidMr, Padded, checked_op};

/// What is to be registered.
pub(crate) struct Registration {
    pub(crate) start: *mut c_void,
    pub(crate) length: usize,
    pub(crate) access: u64,
    pub(crate) key: u64,
    pub(crate) device: Option<DeviceMemory>,
}

/// The CUDA device that has the memory, and its DMA-BUF where it is registered by one.
pub(crate) struct DeviceMemory {
    pub(crate) device: u32,
    pub(crate) dma_buf: Option<DmaBuf>,
}

/// `fi_mr_regattr`.
pub(crate) struct MemoryRegion {
    handle: Handle<FidMr>,
    _domain: Rc<Domain>,
}

impl MemoryRegion {
    /// # Safety
    /// The memory outlives the region.
    pub(crate) unsafe fn register(domain: &Rc<Domain>, what: &Registration) -> Result<Self> {
        let library = domain.handle.library();
        let vector = libc::iovec {
            iov_base: what.start,
            iov_len: what.length,
        };
        let dma_buf = what
            .device
            .as_ref()
            .and_then(|device| device.dma_buf.as_ref())
            .map(|dma_buf| FiMrDmabuf {
                fd: dma_buf.fd.as_raw_fd(),
                offset: dma_buf.offset,
                len: what.length,
                base_addr: dma_buf.base,
            });
        let (mr_iov, flags) = match &dma_buf {
            None => (&raw const vector, 0),
            Some(dma_buf) => ((&raw const *dma_buf).cast(), ffi::FI_MR_DMABUF),
        };
        let attribute = Padded::new(FiMrAttr {
            mr_iov,
            iov_count: 1,
            access: what.access,
            offset: 0,
            requested_key: what.key,
            context: std::ptr::null_mut(),
            auth_key_size: 0,
            auth_key: std::ptr::null_mut(),
            iface: what.device.as_ref().map_or(0, |_| ffi::FI_HMEM_CUDA),
            device: what
                .device
                .as_ref()
                .map_or(0, |device| device.device.into()),
            hmem_data: std::ptr::null_mut(),
            page_size: 0,
            base_mr: std::ptr::null(),
            sub_mr_cnt: 0,
        });
        // SAFETY: the domain is open.
        let table = unsafe { (*domain.handle.as_ptr()).mr };
        let register =
            checked_op!(table, FiOpsMr, regattr).ok_or_else(|| library.missing("fi_mr_regattr"))?;
        let mut object = std::ptr::null_mut();
        // SAFETY: the domain is open; the attribute is zero-padded, and its vector or DMA-BUF lives
        // during the call, of the kind that the flags state; the memory outlives the region by this function's contract.
        let code = unsafe {
            register(
                domain.handle.fid(),
                &raw const attribute.value,
                flags,
                &raw mut object,
            )
        };
        let handle = Handle::opened(library, "fi_mr_regattr", code, object)?;
        Ok(Self {
            handle,
            _domain: Rc::clone(domain),
        })
    }

    pub(crate) fn handle(&self) -> &Handle<FidMr> {
        &self.handle
    }

    /// What the peer names the region by: what we asked for, or the provider's own
    /// (`FI_MR_PROV_KEY`).
    pub(crate) fn key(&self) -> u64 {
        // SAFETY: the region is registered.
        unsafe { (*self.handle.as_ptr()).key }
    }

    pub(crate) fn descriptor(&self) -> *mut c_void {
        // SAFETY: the region is registered.
        unsafe { (*self.handle.as_ptr()).mem_desc }
    }
}
