//! Calls to the system that std does not have: in the caller to watch and end a child, in the
//! child to take its channel and to state which signal ends it.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use super::wire;

/// What is known of a child without taking its exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChildState {
    Running,
    /// It ended; its number stays taken until it is waited for.
    Ended,
    /// Not a child any more: `SIGCHLD` is ignored, or someone else waited for it.
    Gone,
}

/// Waits until one of the descriptors can be read or is at its end, at most for `limit`.
pub(super) fn wait_readable(descriptors: &[RawFd], limit: Duration) -> io::Result<()> {
    let mut polled: Vec<libc::pollfd> = descriptors
        .iter()
        .map(|&fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    // Rounded up, so that a rest below a millisecond does not spin.
    let limit_ms = i32::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    // SAFETY: the array is local and as long as its length states.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, limit_ms) };
    match ready {
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        },
        _ => Ok(()),
    }
}

/// Whether a child has ended; its exit status stays for `wait`.
pub(super) fn child_state(pid: u32) -> ChildState {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: waitid(2) writes the answer, which has room; all zeros is a valid value of it.
    let (code, info) = unsafe {
        let code = libc::waitid(
            libc::P_PID,
            pid,
            info.as_mut_ptr(),
            libc::WEXITED | libc::WNOHANG | libc::WNOWAIT,
        );
        (code, info.assume_init())
    };
    if code != 0 {
        let interrupted = io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
        return if interrupted {
            ChildState::Running
        } else {
            ChildState::Gone
        };
    }
    // SAFETY: after success the pid is set, or 0 where nothing ended.
    match unsafe { info.si_pid() } {
        0 => ChildState::Running,
        _ => ChildState::Ended,
    }
}

/// Ends a child and all of its process group.
pub(super) fn kill_group(pid: u32) {
    let Ok(group) = libc::pid_t::try_from(pid) else {
        return;
    };
    if group > 1 {
        // SAFETY: kill(2) has no memory to misuse; the group is the child's own, because it was
        // started as the leader of one and its number is not free yet.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
}

/// Where a signal handler writes; -1 for nowhere.
static CHANNEL: AtomicI32 = AtomicI32::new(-1);

/// Takes the channel to the caller from standard input and leaves /dev/null there; `None` if
/// standard input is not a socket.
pub(super) fn take_channel() -> Option<UnixStream> {
    // SAFETY: descriptor 0 is only duplicated; the new one is nobody else's and is checked.
    let channel = unsafe {
        let copy = libc::fcntl(libc::STDIN_FILENO, libc::F_DUPFD_CLOEXEC, 3);
        if copy < 0 {
            return None;
        }
        UnixStream::from(OwnedFd::from_raw_fd(copy))
    };
    channel.peer_addr().ok()?;
    if let Ok(null) = File::open("/dev/null") {
        // SAFETY: both descriptors are open; what was at 0 is held by `channel`.
        unsafe { libc::dup2(null.as_raw_fd(), libc::STDIN_FILENO) };
    }
    Some(channel)
}

/// Makes this process fit to be ended: no core file, no life without its caller, and a line to
/// the channel from the signal that ends it, because callers that ignore `SIGCHLD` cannot ask
/// the system for it.
pub(super) fn prepare_to_die(channel: &UnixStream) {
    CHANNEL.store(channel.as_raw_fd(), Ordering::Release);
    let no_core = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: plain values; `no_core` lives during the call.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core);
        #[cfg(target_os = "linux")]
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
    for signal in [
        libc::SIGABRT,
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
    ] {
        // SAFETY: all zeros is a valid sigaction; the handler makes only calls that
        // signal-safety(7) allows.
        unsafe {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
            action.sa_sigaction = report_signal as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_RESETHAND | libc::SA_NODEFER | libc::SA_ONSTACK;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

extern "C" fn report_signal(signal: libc::c_int) {
    let line = wire::signal_line(signal);
    // SAFETY: write(2) and raise(3) are async-signal-safe; the line is static. SA_RESETHAND has
    // put the default action back, so the signal now kills the process.
    unsafe {
        libc::write(
            CHANNEL.load(Ordering::Acquire),
            line.as_ptr().cast(),
            line.len(),
        );
        libc::raise(signal);
    }
}

/// Ends this process without its exit handlers: those of libfabric's providers may crash, and
/// all that matters was reported.
pub(super) fn exit_now(status: i32) -> ! {
    // SAFETY: null flushes what C's standard output still holds; _exit does not return.
    unsafe {
        libc::fflush(std::ptr::null_mut());
        libc::_exit(status)
    }
}
