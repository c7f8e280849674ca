//! Keeps the caller's signal handlers: some libfabrics bring libraries that replace them.
//!
//! Debian's libfabric 1.17 is linked with libinfinipath, whose constructor takes SIGINT,
//! SIGTERM, SIGSEGV, SIGBUS and others with a handler that exits the process with status 1, so
//! that Ctrl-C in Python would end the interpreter without a word. What an `shm` endpoint of
//! libfabric 2.x installs is left alone: it removes its shared memory, then passes the signal on
//! to the handler that was there before (prov/shm/src/smr_signal.h).

use std::collections::HashSet;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};

/// Signals below the real-time ones, whose handlers libraries take.
const SIGNALS: std::ops::Range<libc::c_int> = 1..32;

/// Two calls at once would take each other's handlers for the caller's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs `call`, which may load libraries, then puts back the handlers that code of these new
/// libraries replaced. A handler that another thread installs meanwhile stays: its code was
/// there before.
pub(crate) fn kept<T>(call: impl FnOnce() -> T) -> T {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = objects();
    let before: Vec<_> = SIGNALS
        .filter_map(|signal| Some((signal, action(signal)?)))
        .collect();
    let result = call();
    for (signal, before) in before {
        let is_new = |now: libc::sigaction| {
            object_of(now.sa_sigaction).is_some_and(|object| !loaded.contains(&object))
        };
        if action(signal).is_some_and(is_new) {
            // SAFETY: `before` is what sigaction(2) gave for this signal; null takes no answer.
            unsafe { libc::sigaction(signal, &raw const before, std::ptr::null_mut()) };
        }
    }
    result
}

/// Base addresses of the program and the libraries that are loaded.
fn objects() -> HashSet<usize> {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else {
        return HashSet::new();
    };
    let start = |line: &str| usize::from_str_radix(line.split('-').next()?, 16).ok();
    maps.lines()
        .filter_map(start)
        .filter_map(object_of)
        .collect()
}

/// The base address of the program or library that an address lies in.
fn object_of(address: usize) -> Option<usize> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: dladdr(3) only looks the address up; the answer has room, and all zeros is valid.
    unsafe {
        (libc::dladdr(address as *const c_void, info.as_mut_ptr()) != 0)
            .then(|| info.assume_init().dli_fbase as usize)
    }
}

/// What happens on a signal now; `None` for one that has no action.
fn action(signal: libc::c_int) -> Option<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only asks; the answer has room, and all zeros is a valid value.
    unsafe {
        (libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0)
            .then(|| action.assume_init())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn ours(_: libc::c_int) {}

    #[test]
    fn a_handler_of_code_that_was_there_stays() {
        let handler = |signal| action(signal).map(|action| action.sa_sigaction);
        let before = handler(libc::SIGUSR2);
        let result = kept(|| {
            // SAFETY: the handler does nothing, and nothing here sends the signal.
            unsafe { libc::signal(libc::SIGUSR2, ours as *const () as libc::sighandler_t) };
            7
        });
        assert_eq!(result, 7);
        assert_ne!(handler(libc::SIGUSR2), before);
    }

    #[test]
    fn code_belongs_to_an_object_that_is_loaded() {
        let here = object_of(ours as *const () as usize);
        assert!(here.is_some_and(|object| objects().contains(&object)));
        assert_eq!(object_of(libc::SIG_IGN), None);
    }
}
