//! libfabric, loaded at run time: found, opened once per file, never closed.
//!
//! A [`Library`] is the root that every other object of this crate keeps alive. It is opened by
//! absolute path with `RTLD_NOW | RTLD_LOCAL`, so that a second libfabric in the process (an
//! MPI's, for example) is neither used by mistake nor disturbed.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use libloading::os::unix::{Library as Dl, RTLD_LOCAL, RTLD_NOW};
use serde::{Deserialize, Serialize};

use crate::environment;
use crate::error::{Code, Error, Result};
use crate::ffi::{self, FiFabricAttr, FiInfo, FidFabric};
use crate::rdma_read;
use crate::signals;

mod search;

/// The environment variable that names the libfabric to use, and nothing else is then tried.
const VARIABLE: &str = "EFA_FABRIC_LIB";
const INSTALL: &str = "install the AWS EFA installer or `apt-get install libfabric1`, or set EFA_FABRIC_LIB to the file";

/// The first that judges FI_EFA_USE_DEVICE_RDMA when an endpoint is opened and not when it is
/// asked: of those tried, 1.20 aborts the process in `fi_getinfo`, 2.5.1 does not.
const ASKS_AT_ENDPOINT: Version = Version { major: 2, minor: 1 };

/// A version of libfabric or of its interface, such as 1.17: two numbers, no patch level,
/// because that is what `fi_version` returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
}

impl Version {
    pub(crate) const fn from_raw(raw: u32) -> Self {
        Self {
            major: (raw >> 16) as u16,
            minor: (raw & 0xffff) as u16,
        }
    }

    pub(crate) const fn raw(self) -> u32 {
        ffi::fi_version(self.major as u32, self.minor as u32)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A loaded libfabric.
pub struct Library {
    path: PathBuf,
    version: u32,
    symbols: Symbols,
    /// Whether `fi_getinfo` was called before.
    is_set_up: AtomicBool,
    /// Never closed: providers leave threads, handlers and `atexit` functions behind.
    _dl: ManuallyDrop<Dl>,
}

struct Symbols {
    getinfo: unsafe extern "C" fn(
        u32,
        *const c_char,
        *const c_char,
        u64,
        *const FiInfo,
        *mut *mut FiInfo,
    ) -> c_int,
    freeinfo: unsafe extern "C" fn(*mut FiInfo),
    dupinfo: unsafe extern "C" fn(*const FiInfo) -> *mut FiInfo,
    fabric: unsafe extern "C" fn(*mut FiFabricAttr, *mut *mut FidFabric, *mut c_void) -> c_int,
    strerror: unsafe extern "C" fn(c_int) -> *const c_char,
}

static LOADED: Mutex<Option<HashMap<PathBuf, Arc<Library>>>> = Mutex::new(None);

impl Library {
    /// Finds and loads libfabric: the file named by the environment variable `EFA_FABRIC_LIB`,
    /// else `/opt/amazon/efa/lib64/libfabric.so.1`, `/opt/amazon/efa/lib/libfabric.so.1`, else
    /// the first `libfabric.so.1` in `LD_LIBRARY_PATH`, ld.so.conf and the standard directories.
    ///
    /// # Errors
    /// `fabric.library_not_found` with every place searched; else as [`Library::load`]. A file
    /// that is found and does not load is an error; the search does not go on silently.
    pub fn find() -> Result<Arc<Self>> {
        if let Some(path) = std::env::var_os(VARIABLE) {
            return Self::load(Path::new(&path))
                .map_err(|error| error.with_context("set_by", VARIABLE));
        }
        let search = search::search();
        match search.found {
            Some(path) => Self::load(&path),
            None => {
                let places: Vec<_> = search
                    .searched
                    .iter()
                    .map(|p| p.display().to_string())
                    .collect();
                Err(Error::new(
                    Code::LibraryNotFound,
                    format!("libfabric was not found at any of {} places", places.len()),
                )
                .with_cure(INSTALL)
                .with_context("searched", places.join(", ")))
            }
        }
    }

    /// Loads the libfabric in this file, or returns the one that was loaded from it before.
    ///
    /// # Errors
    /// `fabric.library_not_found` if there is no such file, `fabric.library_invalid` if it
    /// cannot be loaded or is not libfabric, `fabric.library_too_old` below version 1.9.
    pub fn load(path: &Path) -> Result<Arc<Self>> {
        let path = path.canonicalize().map_err(|error| {
            Error::new(
                Code::LibraryNotFound,
                format!("no libfabric at {}", path.display()),
            )
            .with_cure(INSTALL)
            .with_context("path", path.display())
            .with_context("searched", path.display())
            .with_source(error)
        })?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = loaded.get_or_insert_default();
        if let Some(library) = loaded.get(&path) {
            return Ok(Arc::clone(library));
        }
        let library = Arc::new(Self::open(path.clone())?);
        loaded.insert(path, Arc::clone(&library));
        Ok(library)
    }

    fn open(path: PathBuf) -> Result<Self> {
        let invalid = |error: libloading::Error| {
            Error::new(
                Code::LibraryInvalid,
                format!("{} is not a usable libfabric: {error}", path.display()),
            )
            .with_cure(INSTALL)
            .with_context("path", path.display())
            .with_source(error)
        };
        // SAFETY: loading runs the library's constructors; libfabric's only set up its own
        // state, and what others do to signals is undone. The file is one that the caller, or the system's loader configuration, names.
        let dl = signals::kept(|| unsafe { Dl::open(Some(&path), RTLD_NOW | RTLD_LOCAL) })
            .map_err(invalid)?;
        let dl = ManuallyDrop::new(dl);
        // SAFETY: the types are those that fabric.h declares since 1.9; the library is never
        // unloaded, so the pointers stay valid for the life of the process.
        let (symbols, version) = unsafe {
            let version = dl
                .get::<unsafe extern "C" fn() -> u32>(b"fi_version")
                .map_err(invalid)?;
            let symbols = Symbols {
                getinfo: *dl.get(b"fi_getinfo").map_err(invalid)?,
                freeinfo: *dl.get(b"fi_freeinfo").map_err(invalid)?,
                dupinfo: *dl.get(b"fi_dupinfo").map_err(invalid)?,
                fabric: *dl.get(b"fi_fabric").map_err(invalid)?,
                strerror: *dl.get(b"fi_strerror").map_err(invalid)?,
            };
            (symbols, version())
        };
        if version < ffi::MINIMUM_VERSION {
            return Err(Error::new(
                Code::LibraryTooOld,
                format!(
                    "{} is libfabric {}, too old",
                    path.display(),
                    Version::from_raw(version)
                ),
            )
            .with_cure("use libfabric 1.9 or later")
            .with_context("version", Version::from_raw(version)));
        }
        Ok(Self {
            path,
            version,
            symbols,
            is_set_up: AtomicBool::new(false),
            _dl: dl,
        })
    }

    /// Returns the file that is loaded, absolute and with symbolic links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the library's version, as its `fi_version` states.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::from_raw(self.version)
    }

    /// Returns the interface version that is asked for: the library's, but not above 2.6, the
    /// newest whose structs this crate knows. Asking for more would let the library write past
    /// them.
    #[must_use]
    pub fn requested_api(&self) -> Version {
        Version::from_raw(self.raw_api())
    }

    pub(crate) fn raw_api(&self) -> u32 {
        self.version.min(ffi::HEADER_VERSION)
    }

    /// libfabric's text for one of its error numbers (positive).
    pub(crate) fn strerror(&self, number: c_int) -> String {
        // SAFETY: fi_strerror takes any number and returns a static string, or null.
        unsafe { text((self.symbols.strerror)(number)) }
            .unwrap_or_else(|| format!("error {number}"))
    }

    /// Turns the return code of `call` into a `Result`: zero and above is success.
    pub(crate) fn check_code(&self, call: &'static str, code: isize) -> Result<usize> {
        usize::try_from(code).map_err(|_| self.failed(call, code))
    }

    /// The error for a negative return code of `call`.
    pub(crate) fn failed(&self, call: &'static str, code: isize) -> Error {
        let number = c_int::try_from(-code).unwrap_or(c_int::MAX);
        let error = Error::new(
            Code::CallFailed,
            format!("{call} failed: {} ({code})", self.strerror(number)),
        )
        .with_context("call", call)
        .with_context("fi_errno", number)
        .with_context("library", self.path.display());
        match number {
            libc::EADDRNOTAVAIL => error.with_cure("use a source address of this machine"),
            libc::EMFILE => error.with_cure("raise the limit of open files (`ulimit -n`)"),
            libc::ENOMEM => error
                .with_cure("raise the limit of locked memory (`ulimit -l`), or free huge pages"),
            _ => error,
        }
    }

    /// The error for an ops table without the entry that `call` needs.
    pub(crate) fn missing(&self, call: &'static str) -> Error {
        self.failed(call, -(ffi::FI_ENOSYS as isize))
            .with_cure("use a provider and a libfabric that implement it")
    }

    /// `fi_getinfo`: what the library offers for these hints, `None` where it has nothing.
    ///
    /// `source` limits the answer to a local address (`FI_SOURCE`).
    pub(crate) fn getinfo(
        self: &Arc<Self>,
        hints: Option<&InfoList>,
        source: Option<&CStr>,
    ) -> Result<Option<InfoList>> {
        environment::refuse_killers()?;
        if self.version() < ASKS_AT_ENDPOINT {
            rdma_read::refuse_device_rdma()?;
        }
        let flags = if source.is_some() { ffi::FI_SOURCE } else { 0 };
        self.getinfo_unchecked(self.raw_api(), source, flags, hints)
            .map_err(|code| self.failed("fi_getinfo", code as isize))
    }

    /// `fi_getinfo` whatever the environment: only for processes that may be ended by it.
    /// Nothing offered is `None`; other return codes are as they came, negative.
    pub(crate) fn getinfo_unchecked(
        self: &Arc<Self>,
        api: u32,
        source: Option<&CStr>,
        flags: u64,
        hints: Option<&InfoList>,
    ) -> Result<Option<InfoList>, c_int> {
        let mut head = std::ptr::null_mut();
        // SAFETY: a version above the library's is refused by it, and one above the newest that
        // we know only appends fields; node and hints are null or valid; `head` takes the list,
        // which InfoList frees with the same library.
        let mut getinfo = || unsafe {
            (self.symbols.getinfo)(
                api,
                source.map_or(std::ptr::null(), CStr::as_ptr),
                std::ptr::null(),
                flags,
                hints.map_or(std::ptr::null(), |hints| hints.as_ptr().cast_const()),
                &raw mut head,
            )
        };
        // The first time, providers are set up, and may load libraries of their own.
        let code = if self.is_set_up.swap(true, Ordering::AcqRel) {
            getinfo()
        } else {
            signals::kept(getinfo)
        };
        if code == -libc::ENODATA {
            return Ok(None);
        }
        if code < 0 {
            return Err(code);
        }
        Ok(NonNull::new(head).map(|head| InfoList {
            head,
            library: Arc::clone(self),
        }))
    }

    /// Empty hints of the library's own making (`fi_dupinfo(NULL)`), never this crate's.
    pub(crate) fn hints(self: &Arc<Self>) -> Result<InfoList> {
        self.dupinfo(std::ptr::null())
    }

    fn dupinfo(self: &Arc<Self>, info: *const FiInfo) -> Result<InfoList> {
        // SAFETY: null asks for an empty fi_info; else the caller passes a live one.
        let head = unsafe { (self.symbols.dupinfo)(info) };
        NonNull::new(head)
            .map(|head| InfoList {
                head,
                library: Arc::clone(self),
            })
            .ok_or_else(|| self.failed("fi_dupinfo", -(libc::ENOMEM as isize)))
    }

    /// A copy of one entry of a list, on its own.
    ///
    /// # Safety
    /// `info` points to a live `fi_info` of this library.
    pub(crate) unsafe fn duplicate(self: &Arc<Self>, info: NonNull<FiInfo>) -> Result<InfoList> {
        self.dupinfo(info.as_ptr())
    }

    /// `fi_fabric`, with the fabric attribute of a live `fi_info`.
    ///
    /// # Safety
    /// `attribute` belongs to a live `fi_info` of this library, or is null.
    pub(crate) unsafe fn open_fabric(
        &self,
        attribute: *mut FiFabricAttr,
    ) -> Result<NonNull<FidFabric>> {
        let mut fabric = std::ptr::null_mut();
        // SAFETY: by this function's contract; `fabric` takes the new object.
        let code =
            unsafe { (self.symbols.fabric)(attribute, &raw mut fabric, std::ptr::null_mut()) };
        self.check_code("fi_fabric", code as isize)?;
        NonNull::new(fabric).ok_or_else(|| self.missing("fi_fabric"))
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("path", &self.path)
            .field("version", &self.version())
            .finish()
    }
}

/// A chain of `fi_info` that the library allocated and will free.
pub(crate) struct InfoList {
    head: NonNull<FiInfo>,
    library: Arc<Library>,
}

impl InfoList {
    pub(crate) fn as_ptr(&self) -> *mut FiInfo {
        self.head.as_ptr()
    }

    pub(crate) fn head(&self) -> NonNull<FiInfo> {
        self.head
    }

    pub(crate) fn library(&self) -> &Arc<Library> {
        &self.library
    }
}

impl Drop for InfoList {
    fn drop(&mut self) {
        // SAFETY: the list came from this library and is freed once.
        unsafe { (self.library.symbols.freeinfo)(self.head.as_ptr()) }
    }
}

/// A copy of a C string; `None` for null.
///
/// # Safety
/// `pointer` is null, or points to a NUL-terminated string that lives during the call.
pub(crate) unsafe fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not null, and terminated by this function's contract.
    Some(
        unsafe { CStr::from_ptr(pointer) }
            .to_string_lossy()
            .into_owned(),
    )
}

/// A C string from an option of the caller.
pub(crate) fn c_string(option: &'static str, value: &str) -> Result<CString> {
    CString::new(value).map_err(|error| {
        Error::new(Code::InvalidOption, format!("{option} contains a NUL byte"))
            .with_context("option", option)
            .with_source(error)
    })
}
