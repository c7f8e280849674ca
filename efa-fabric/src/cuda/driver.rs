//! A GPU and its memory, over the driver API.

use std::ffi::{CStr, OsString, c_char, c_int, c_void};
use std::os::fd::{FromRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use super::ffi::{self, Address, Calls, Context, Device, Status};
use super::missing::{DmaBuf, Missing, missing};
use crate::error::{Code, Error, Result};

/// The driver's library, by the name under which every installation has it.
const LIBRARY: &str = "libcuda.so.1";
/// For tests only: a library that stands in for the driver. Reports of such a run state this, and
/// never that GPUDirect is proven.
const TEST_LIBRARY: &str = "EFA_FABRIC_TEST_LIBCUDA";
/// Allocations are whole pieces of this many bytes: memory for a device is mapped in them, and a
/// DMA-BUF has whole pages.
const PIECE: usize = 2 << 20;

/// The driver, loaded once. A failure is not kept: the driver may come later.
static DRIVER: Mutex<Option<Arc<Driver>>> = Mutex::new(None);

struct Driver {
    calls: Calls,
    path: String,
    is_stand_in: bool,
}

impl Driver {
    fn find() -> Result<Arc<Self>> {
        let mut loaded = DRIVER.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(driver) = &*loaded {
            return Ok(Arc::clone(driver));
        }
        let stand_in = std::env::var_os(TEST_LIBRARY);
        let is_stand_in = stand_in.is_some();
        let name = stand_in.unwrap_or_else(|| OsString::from(LIBRARY));
        let calls = Calls::load(&name).map_err(|why| {
            missing(
                Missing::Library,
                format!("{} cannot be loaded: {why}", name.display()),
            )
        })?;
        let path = calls.path().unwrap_or_else(|| name.display().to_string());
        let driver = Arc::new(Self {
            calls,
            path,
            is_stand_in,
        });
        // SAFETY: the first call of the driver API, as it demands.
        let status = unsafe { (driver.calls.init)(0) };
        if status != 0 {
            let what = match status {
                ffi::NO_DEVICE => Missing::Device,
                _ => Missing::Driver,
            };
            return Err(driver.refused(what, "cuInit", status));
        }
        Ok(Arc::clone(loaded.insert(driver)))
    }

    fn refused(&self, what: Missing, call: &'static str, status: Status) -> Error {
        missing(
            what,
            format!("{call} failed: {}", self.calls.error_text(status)),
        )
        .with_context("call", call)
        .with_context("cuda_error", status)
        .with_context("driver_path", &self.path)
    }

    /// The error of a call, where it failed.
    fn check_status(&self, call: &'static str, status: Status) -> Result<()> {
        if status == 0 {
            return Ok(());
        }
        Err(Error::new(
            Code::CallFailed,
            format!("{call} failed: {}", self.calls.error_text(status)),
        )
        .with_context("call", call)
        .with_context("cuda_error", status)
        .with_context("driver_path", &self.path))
    }
}

/// A GPU whose primary context is retained, and is current on the thread that opened it. What
/// was current there before is so again at the end.
pub(crate) struct Gpu {
    driver: Arc<Driver>,
    index: u32,
    device: Device,
    name: String,
    context: Context,
    before: Context,
}

impl Gpu {
    /// The device of this number.
    pub(crate) fn open(index: u32) -> Result<Rc<Self>> {
        let driver = Driver::find()?;
        let calls = &driver.calls;
        let failed = |call, status| driver.refused(Missing::Driver, call, status);
        let mut count = 0;
        // SAFETY: the driver is initialised; the pointer is to where the result goes.
        let status = unsafe { (calls.device_count)(&raw mut count) };
        if status != 0 {
            return Err(failed("cuDeviceGetCount", status));
        }
        if i64::from(index) >= i64::from(count) {
            let text = format!("there is no CUDA device {index}: the driver has {count}");
            return Err(missing(Missing::Device, text)
                .with_context("devices", count)
                .with_context("driver_path", &driver.path));
        }
        let mut device = 0;
        let mut name = [0 as c_char; 256];
        let (mut context, mut before) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the number is below the count; results go into variables of their types, the
        // name into a buffer as long as stated, less one, so that it always ends.
        unsafe {
            let status = (calls.device)(&raw mut device, index as c_int);
            if status != 0 {
                return Err(failed("cuDeviceGet", status));
            }
            let length = name.len() as c_int - 1;
            let status = (calls.device_name)(name.as_mut_ptr(), length, device);
            if status != 0 {
                return Err(failed("cuDeviceGetName", status));
            }
            let status = (calls.current)(&raw mut before);
            if status != 0 {
                return Err(failed("cuCtxGetCurrent", status));
            }
            let status = (calls.retain)(&raw mut context, device);
            if status != 0 {
                return Err(failed("cuDevicePrimaryCtxRetain", status));
            }
        }
        // SAFETY: the buffer was zeroed, and its last byte is never written.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) };
        let gpu = Self {
            index,
            device,
            name: name.to_string_lossy().into_owned(),
            context,
            before,
            driver,
        };
        gpu.make_current()?;
        Ok(Rc::new(gpu))
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The file of the driver's library.
    pub(crate) fn driver_path(&self) -> &str {
        &self.driver.path
    }

    /// Whether a test's library stands in for the driver.
    pub(crate) fn is_stand_in(&self) -> bool {
        self.driver.is_stand_in
    }

    fn make_current(&self) -> Result<()> {
        // SAFETY: the context is retained until `drop`.
        let status = unsafe { (self.driver.calls.set_current)(self.context) };
        self.driver.check_status("cuCtxSetCurrent", status)
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // SAFETY: the context was retained once and is released once; the one before belongs to
        // the caller. Nothing can be done about a failure here.
        unsafe {
            (self.driver.calls.set_current)(self.before);
            (self.driver.calls.release)(self.device);
        }
    }
}

/// Memory of a GPU, freed on drop.
pub(crate) struct GpuBuffer {
    gpu: Rc<Gpu>,
    start: Address,
    length: usize,
}

impl GpuBuffer {
    /// Memory of this many bytes, all 0x5a, on which later calls are synchronous.
    pub(crate) fn new(gpu: &Rc<Gpu>, length: usize) -> Result<Self> {
        gpu.make_current()?;
        let (driver, calls) = (&gpu.driver, &gpu.driver.calls);
        let mut start = 0;
        let whole = length.max(1).next_multiple_of(PIECE);
        // SAFETY: the context is current; the result goes into a variable of its type.
        let status = unsafe { (calls.allocate)(&raw mut start, whole) };
        driver.check_status("cuMemAlloc", status).map_err(|error| {
            error
                .with_cure("measure smaller messages, or reuse one buffer")
                .with_context("bytes", whole)
        })?;
        let mut buffer = Self {
            gpu: Rc::clone(gpu),
            start,
            length: length.max(1),
        };
        // Without this a copy may return before it is done, and a network card then read or
        // write too early (cuda.h; libfabric sets it too, where it may call CUDA).
        let yes: std::ffi::c_uint = 1;
        // SAFETY: the attribute is an unsigned integer, and the address one of this process.
        let status = unsafe {
            (calls.set_attribute)((&raw const yes).cast(), ffi::SYNC_MEMOPS, buffer.start)
        };
        buffer
            .gpu
            .driver
            .check_status("cuPointerSetAttribute", status)?;
        let chunk = vec![0x5a; buffer.length.min(PIECE)];
        for offset in (0..buffer.length).step_by(PIECE) {
            let count = (buffer.length - offset).min(PIECE);
            buffer.write(offset, &chunk[..count])?;
        }
        Ok(buffer)
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Where it begins. Only the device, and callees that know it as device memory, may follow it.
    pub(crate) fn start(&self) -> *mut c_void {
        std::ptr::with_exposed_provenance_mut(self.start as usize)
    }

    /// Copies to the device.
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<()> {
        let to = self.inside(offset, bytes.len())?;
        self.gpu.make_current()?;
        // SAFETY: the range lies inside the allocation, and the context is current.
        let status =
            unsafe { (self.gpu.driver.calls.to_device)(to, bytes.as_ptr().cast(), bytes.len()) };
        self.gpu.driver.check_status("cuMemcpyHtoD", status)
    }

    /// Copies from the device.
    pub(crate) fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        let from = self.inside(offset, bytes.len())?;
        self.gpu.make_current()?;
        // SAFETY: as in `write`.
        let status = unsafe {
            (self.gpu.driver.calls.to_host)(bytes.as_mut_ptr().cast(), from, bytes.len())
        };
        self.gpu.driver.check_status("cuMemcpyDtoH", status)
    }

    /// The whole allocation as a DMA-BUF, for a network card's driver to map.
    pub(crate) fn dma_buf(&self) -> Result<DmaBuf> {
        let driver = &self.gpu.driver;
        let Some(export) = driver.calls.memory_handle else {
            return Err(missing(
                Missing::DmaBuf,
                format!("{} has no cuMemGetHandleForAddressRange", driver.path),
            ));
        };
        self.gpu.make_current()?;
        let mut fd: c_int = -1;
        let whole = self.length.next_multiple_of(PIECE);
        // SAFETY: the range is the allocation, of whole pages; a descriptor goes into an integer.
        let status = unsafe { export((&raw mut fd).cast(), self.start, whole, ffi::DMA_BUF_FD, 0) };
        if status != 0 {
            let call = "cuMemGetHandleForAddressRange";
            return Err(driver.refused(Missing::DmaBuf, call, status));
        }
        if fd < 0 {
            let text = format!("{} gave no descriptor of a DMA-BUF", driver.path);
            return Err(missing(Missing::DmaBuf, text));
        }
        Ok(DmaBuf {
            // SAFETY: the driver made the descriptor for us, and nobody else has it.
            fd: unsafe { OwnedFd::from_raw_fd(fd) },
            base: self.start(),
            offset: 0,
        })
    }

    fn inside(&self, offset: usize, length: usize) -> Result<Address> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => Ok(self.start + offset as u64),
            _ => Err(Error::new(
                Code::BadSize,
                format!("{length} bytes at {offset} are not inside the GPU's buffer"),
            )),
        }
    }
}

impl Drop for GpuBuffer {
    fn drop(&mut self) {
        if self.gpu.make_current().is_ok() {
            // SAFETY: allocated in this context, and freed once.
            unsafe { (self.gpu.driver.calls.free)(self.start) };
        }
    }
}
