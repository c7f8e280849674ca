//! For tests of loops that must do nothing but their work: allocations of a thread, and its system
//! calls.
//!
//! The kernel reports each system call of a watched thread while a byte of this process states this
//! (prctl(2), `PR_SET_SYSCALL_USER_DISPATCH`), which is exact and costs other threads nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The allocator of this crate's unit tests: the system's, which counts for each thread.
struct Counted;

#[global_allocator]
static ALLOCATOR: Counted = Counted;

// SAFETY: everything is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: by this function's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: by this function's contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Memory that this thread has taken so far, by Rust code, in calls.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// Read by the kernel at each system call of the watched thread.
static SELECTOR: AtomicU8 = AtomicU8::new(ALLOW);
const ALLOW: u8 = 0;
const BLOCK: u8 = 1;
const PR_SET_SYSCALL_USER_DISPATCH: libc::c_int = 59;
const PR_SYS_DISPATCH_OFF: usize = 0;
const PR_SYS_DISPATCH_ON: usize = 1;
/// Length of the instruction `syscall`.
const SYSCALL: i64 = 2;

static YIELDS: AtomicU64 = AtomicU64::new(0);
static LAST: AtomicI64 = AtomicI64::new(NONE);
const NONE: i64 = -1;

/// The one thread of the process whose system calls are counted, while it is armed.
pub(crate) struct Watch(PhantomData<*const ()>);

impl Watch {
    /// Watches this thread; `None` where the kernel cannot.
    pub(crate) fn begin() -> Option<Self> {
        // SAFETY: the handler only writes atomics and its context; the selector lives for good.
        let is_watched = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let handler: extern "C" fn(_, _, _) = count;
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) == 0
                && libc::prctl(
                    PR_SET_SYSCALL_USER_DISPATCH,
                    PR_SYS_DISPATCH_ON,
                    0_usize,
                    0_usize,
                    SELECTOR.as_ptr(),
                ) == 0
        };
        is_watched.then_some(Self(PhantomData))
    }

    /// From now on system calls are counted, until the first one.
    pub(crate) fn arm(&self) {
        SELECTOR.store(BLOCK, Ordering::SeqCst);
    }

    pub(crate) fn disarm(&self) {
        SELECTOR.store(ALLOW, Ordering::SeqCst);
    }

    /// Offers of the processor to others.
    pub(crate) fn yields(&self) -> u64 {
        YIELDS.load(Ordering::SeqCst)
    }

    /// The number of the last call that was none.
    pub(crate) fn last_call(&self) -> Option<i64> {
        Some(LAST.load(Ordering::SeqCst)).filter(|&number| number != NONE)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.disarm();
        // SAFETY: all arguments are 0.
        unsafe {
            libc::prctl(
                PR_SET_SYSCALL_USER_DISPATCH,
                PR_SYS_DISPATCH_OFF,
                0_usize,
                0_usize,
                0_usize,
            )
        };
    }
}

/// Counts the system call that was about to be made, and lets it and all that follow pass.
extern "C" fn count(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    SELECTOR.store(ALLOW, Ordering::SeqCst);
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel passes a context of this type; RAX has the number of the call, and RIP is
    // behind its instruction, which is made again.
    let number = unsafe {
        let registers = &mut (*context).uc_mcontext.gregs;
        registers[libc::REG_RIP as usize] -= SYSCALL;
        registers[libc::REG_RAX as usize]
    };
    if number == libc::SYS_sched_yield {
        YIELDS.fetch_add(1, Ordering::SeqCst);
    } else {
        LAST.store(number, Ordering::SeqCst);
    }
}
