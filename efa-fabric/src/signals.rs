//! Keeps the caller's signal handlers: some libfabrics bring libraries that replace them.
//!
//! Debian's libfabric 1.17 is linked with libinfinipath, whose constructor takes SIGINT,
//! SIGTERM, SIGSEGV, SIGBUS and others with a handler that ends the process with status 1, so
//! that Ctrl-C in Python would end the interpreter without a word. What an `shm` endpoint of
//! libfabric 2.x installs is left alone: it removes its shared memory, then passes the signal on
//! to the handler that was there before (prov/shm/src/smr_signal.h).

use std::mem::MaybeUninit;

/// Signals below the real-time ones, whose handlers libraries take.
const SIGNALS: std::ops::Range<libc::c_int> = 1..32;

/// Runs `call`, then puts back every signal handler that it replaced.
pub(crate) fn kept<T>(call: impl FnOnce() -> T) -> T {
    let before: Vec<_> = SIGNALS
        .filter_map(|signal| Some((signal, action(signal)?)))
        .collect();
    let result = call();
    for (signal, before) in before {
        if action(signal).is_some_and(|now| now.sa_sigaction != before.sa_sigaction) {
            // SAFETY: `before` is what sigaction(2) gave for this signal; null takes no answer.
            unsafe { libc::sigaction(signal, &raw const before, std::ptr::null_mut()) };
        }
    }
    result
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
    fn a_replaced_handler_is_put_back() {
        let handler = |signal| action(signal).map(|action| action.sa_sigaction);
        let before = handler(libc::SIGUSR2);
        let result = kept(|| {
            // SAFETY: the handler does nothing, and nothing here sends the signal.
            unsafe { libc::signal(libc::SIGUSR2, ours as *const () as libc::sighandler_t) };
            assert_ne!(handler(libc::SIGUSR2), before);
            7
        });
        assert_eq!((result, handler(libc::SIGUSR2)), (7, before));
    }
}
