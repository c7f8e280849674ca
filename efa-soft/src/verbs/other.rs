//! What other libraries import of `libibverbs.so.1`, and an EFA device does not have: the names must be
//! there for them to load.

use std::ffi::{CStr, c_char, c_int, c_void};

use crate::abi::{Context, Device};
use crate::objects::set_errno;
use crate::port;

/// Whether `fork` needs care: not with this device, whose memory is not pinned.
#[unsafe(no_mangle)]
pub extern "C" fn ibv_fork_init() -> c_int {
    0
}

/// `IBV_FORK_UNNEEDED`.
#[unsafe(no_mangle)]
pub extern "C" fn ibv_is_fork_initialized() -> c_int {
    2
}

/// The root of the tree.
#[unsafe(no_mangle)]
pub extern "C" fn ibv_get_sysfs_path() -> *const c_char {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    use std::sync::OnceLock;

    static PATH: OnceLock<CString> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        CString::new(port::host().settings.sysfs.as_os_str().as_bytes()).unwrap_or_default()
    });
    path.as_ptr()
}

/// Reads a file of sysfs without its last newline; returns the number of bytes, or -1.
///
/// # Safety
/// `folder` and `file` are C strings, `out` has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ibv_read_sysfs_file(
    folder: *const c_char,
    file: *const c_char,
    out: *mut c_char,
    size: usize,
) -> c_int {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    // SAFETY: C strings (the caller's promise).
    let (folder, file) = unsafe { (CStr::from_ptr(folder), CStr::from_ptr(file)) };
    let path = std::path::Path::new(OsStr::from_bytes(folder.to_bytes()));
    let Ok(mut bytes) = std::fs::read(path.join(OsStr::from_bytes(file.to_bytes()))) else {
        return -1;
    };
    bytes.truncate(size);
    let has_newline = bytes.last() == Some(&b'\n');
    // SAFETY: at most `size` bytes.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), out.cast(), bytes.len()) };
    let mut len = bytes.len();
    if has_newline {
        len -= 1;
    }
    if len < size {
        // SAFETY: within `size` bytes.
        unsafe { *out.add(len) = 0 };
    }
    len as c_int
}

macro_rules! names {
    ($(#[$doc:meta])* $function:ident, $other:literal, $($number:literal => $text:literal),* $(,)?) => {
        $(#[$doc])*
        #[unsafe(no_mangle)]
        pub extern "C" fn $function(number: u32) -> *const c_char {
            let text: &CStr = match number {
                $($number => $text,)*
                _ => $other,
            };
            text.as_ptr()
        }
    };
}

names! {
    /// The name of a completion's status.
    ibv_wc_status_str, c"unknown", 0 => c"success", 1 => c"local length error",
    2 => c"local QP operation error", 4 => c"local protection error",
    5 => c"Work Request Flushed Error", 7 => c"bad response error",
    9 => c"remote invalid request error", 10 => c"remote access error",
    11 => c"remote operation error", 12 => c"transport retry counter exceeded",
    13 => c"RNR retry counter exceeded", 15 => c"remote invalid RD request",
    16 => c"aborted error", 20 => c"response timeout error", 21 => c"general error",
}

names! {
    /// The name of a kind of node.
    ibv_node_type_str, c"unknown", 7 => c"unspecified",
}

names! {
    /// The name of a port's state.
    ibv_port_state_str, c"invalid state", 0 => c"no state change (NOP)", 1 => c"down", 2 => c"init",
    3 => c"armed", 4 => c"active",
}

names! {
    /// The name of an event: this device has none.
    ibv_event_type_str, c"unknown", 0 => c"CQ error", 1 => c"local work queue catastrophic error",
    8 => c"local catastrophic error", 9 => c"port active", 10 => c"port error",
}

/// Asynchronous events: there are none.
#[unsafe(no_mangle)]
pub extern "C" fn ibv_get_async_event(_context: *mut Context, _event: *mut c_void) -> c_int {
    set_errno(libc::EAGAIN);
    -1
}

/// Acknowledges an asynchronous event: there are none.
#[unsafe(no_mangle)]
pub extern "C" fn ibv_ack_async_event(_event: *mut c_void) {}

/// No device needs a driver of its own here.
#[unsafe(no_mangle)]
pub extern "C" fn ibv_register_driver(
    _name: *const c_char,
    _driver: Option<unsafe extern "C" fn(*mut Device)>,
) {
}

macro_rules! not_supported {
    ($($name:ident),* $(,)?) => {
        $(
            /// Not supported: `EOPNOTSUPP`.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() -> c_int {
                set_errno(libc::EOPNOTSUPP);
                libc::EOPNOTSUPP
            }
        )*
    };
}

macro_rules! nothing {
    ($($name:ident),* $(,)?) => {
        $(
            /// Not supported: null and `EOPNOTSUPP`.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() -> *mut c_void {
                set_errno(libc::EOPNOTSUPP);
                std::ptr::null_mut()
            }
        )*
    };
}

macro_rules! minus_one {
    ($($name:ident),* $(,)?) => {
        $(
            /// Unknown here: -1.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() -> c_int {
                -1
            }
        )*
    };
}

not_supported! {
    ibv_modify_srq, ibv_query_srq, ibv_destroy_srq, ibv_attach_mcast, ibv_detach_mcast, ibv_query_ece,
    ibv_set_ece, ibv_copy_path_rec_from_kern, ibv_copy_path_rec_to_kern, ibv_copy_qp_attr_from_kern,
    ibv_copy_ah_attr_from_kern, ibv_rereg_mr, ibv_init_ah_from_wc, ibv_dofork_range, ibv_dontfork_range,
    ibv_resolve_eth_l2_from_gid, ibv_unimport_mr, ibv_unimport_pd, ibv_unimport_dm,
}

nothing! {
    ibv_create_srq, ibv_create_ah_from_wc, ibv_import_device, ibv_import_mr, ibv_import_pd,
    ibv_import_dm,
}

minus_one! { ibv_rate_to_mult, ibv_rate_to_mbps }

/// Returns `IBV_RATE_MAX`.
#[unsafe(no_mangle)]
pub extern "C" fn mult_to_ibv_rate(_mult: c_int) -> c_int {
    0
}

/// Returns `IBV_RATE_MAX`.
#[unsafe(no_mangle)]
pub extern "C" fn mbps_to_ibv_rate(_mbps: c_int) -> c_int {
    0
}
