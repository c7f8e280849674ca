//! The part of the driver API of CUDA (cuda.h) that GPU memory for messages needs: loaded at run
//! time, so that nothing of CUDA is needed to build, or to run without a GPU.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::mem::ManuallyDrop;

use libloading::os::unix::{Library as Dl, RTLD_LOCAL, RTLD_NOW};

/// `CUresult`.
pub(super) type Status = c_int;
/// `CUdevice`.
pub(super) type Device = c_int;
/// `CUcontext`.
pub(super) type Context = *mut c_void;
/// `CUdeviceptr`.
pub(super) type Address = u64;

/// `CUDA_ERROR_NO_DEVICE`.
pub(super) const NO_DEVICE: Status = 100;
/// `CU_POINTER_ATTRIBUTE_SYNC_MEMOPS`.
pub(super) const SYNC_MEMOPS: c_int = 6;
/// `CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD`.
pub(super) const DMA_BUF_FD: c_int = 1;

macro_rules! calls {
    ($($name:ident = $symbol:literal : fn($($argument:ty),*);)+) => {
        /// The calls, by their names in cuda.h.
        pub(super) struct Calls {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) -> Status,)+
            /// Since CUDA 11.7.
            pub(super) memory_handle:
                Option<unsafe extern "C" fn(*mut c_void, Address, usize, c_int, u64) -> Status>,
            /// Never closed: the driver leaves threads and `atexit` functions behind.
            _dl: ManuallyDrop<Dl>,
        }

        impl Calls {
            fn look_up(dl: Dl) -> Result<Self, String> {
                let text = |error: libloading::Error| error.to_string();
                // SAFETY: the types are those of cuda.h, whose calls keep their meaning under a
                // name; the library is never unloaded.
                unsafe {
                    Ok(Self {
                        $($name: *dl.get($symbol).map_err(text)?,)+
                        memory_handle: dl.get(b"cuMemGetHandleForAddressRange").ok().map(|s| *s),
                        _dl: ManuallyDrop::new(dl),
                    })
                }
            }
        }
    };
}

calls! {
    init = b"cuInit": fn(c_uint);
    device_count = b"cuDeviceGetCount": fn(*mut c_int);
    device = b"cuDeviceGet": fn(*mut Device, c_int);
    device_name = b"cuDeviceGetName": fn(*mut c_char, c_int, Device);
    retain = b"cuDevicePrimaryCtxRetain": fn(*mut Context, Device);
    release = b"cuDevicePrimaryCtxRelease_v2": fn(Device);
    current = b"cuCtxGetCurrent": fn(*mut Context);
    set_current = b"cuCtxSetCurrent": fn(Context);
    allocate = b"cuMemAlloc_v2": fn(*mut Address, usize);
    free = b"cuMemFree_v2": fn(Address);
    to_device = b"cuMemcpyHtoD_v2": fn(Address, *const c_void, usize);
    to_host = b"cuMemcpyDtoH_v2": fn(*mut c_void, Address, usize);
    set_attribute = b"cuPointerSetAttribute": fn(*const c_void, c_int, Address);
    error_string = b"cuGetErrorString": fn(Status, *mut *const c_char);
}

impl Calls {
    /// Loads the library of this name or path; why that failed if it did.
    pub(super) fn load(name: &std::ffi::OsStr) -> Result<Self, String> {
        // SAFETY: loading runs the constructors of the system's CUDA driver library, or of the
        // one that a test names.
        let dl = unsafe { Dl::open(Some(name), RTLD_NOW | RTLD_LOCAL) };
        Self::look_up(dl.map_err(|error| error.to_string())?)
    }

    /// The file that was loaded, where the loader reports it.
    pub(super) fn path(&self) -> Option<String> {
        // SAFETY: all bytes zero is a value of this struct of pointers; the loader fills it, and
        // its strings live as long as the library, which is never unloaded.
        unsafe {
            let mut found: libc::Dl_info = std::mem::zeroed();
            let found_any = libc::dladdr(self.init as *const c_void, &raw mut found);
            (found_any != 0 && !found.dli_fname.is_null()).then(|| {
                CStr::from_ptr(found.dli_fname)
                    .to_string_lossy()
                    .into_owned()
            })
        }
    }

    /// What the driver reports of a status.
    pub(super) fn error_text(&self, status: Status) -> String {
        let mut text = std::ptr::null();
        // SAFETY: the driver leaves a constant string, or none for a number that it does not know.
        unsafe {
            if (self.error_string)(status, &raw mut text) == 0 && !text.is_null() {
                return CStr::from_ptr(text).to_string_lossy().into_owned();
            }
        }
        format!("CUDA error {status}")
    }
}
