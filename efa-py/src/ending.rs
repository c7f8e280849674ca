//! What is under way when the interpreter ends: it is stopped and waited for, and none of its threads
//! enters Python once that is gone, which would kill the process with a signal.

use std::cell::Cell;
use std::collections::HashMap;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Time for calls to end at exit; probes look every 10 ms whether they should.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How a call is asked to stop.
pub(crate) enum Stop {
    /// Work on a thread, which asks now and then.
    Flag(Arc<AtomicBool>),
    /// A future that an awaitable stands for.
    Task(AbortHandle),
    /// A thread of Python that waits for a future.
    Wake(Arc<Notify>),
    /// It cannot be asked, and is short.
    Not,
}

impl Stop {
    fn ask(&self) {
        match self {
            Self::Flag(flag) => flag.store(true, Ordering::Relaxed),
            Self::Task(task) => task.abort(),
            Self::Wake(waiter) => waiter.notify_one(),
            Self::Not => {}
        }
    }
}

#[derive(Default)]
struct Calls {
    by_number: HashMap<u64, Stop>,
    next: u64,
    /// The thread that finalizes the interpreter: no call may begin any more.
    closed_by: Option<ThreadId>,
    /// Whether calls are not waited for any longer.
    is_late: bool,
    /// The process that the calls belong to.
    home: Option<u32>,
}

struct UnderWay {
    calls: Mutex<Option<Calls>>,
    ended: Condvar,
}

static UNDER_WAY: UnderWay = UnderWay {
    calls: Mutex::new(None),
    ended: Condvar::new(),
};

impl UnderWay {
    fn lock(&self) -> MutexGuard<'_, Option<Calls>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is under way until this is dropped. Whatever it does in Python comes before that.
pub(crate) struct Call(u64);

impl Call {
    /// # Errors
    /// `RuntimeError` while the process ends.
    pub(crate) fn begin(stop: Stop) -> PyResult<Self> {
        let mut calls = UNDER_WAY.lock();
        let calls = calls.get_or_insert_default();
        if calls.closed_by.is_some() {
            return Err(PyRuntimeError::new_err("this process is ending"));
        }
        calls.home.get_or_insert_with(process::id);
        let number = calls.next;
        calls.next += 1;
        calls.by_number.insert(number, stop);
        Ok(Self(number))
    }
}

thread_local! {
    /// Whether this thread carries a call, which is waited for at exit.
    static CARRIES: Cell<bool> = const { Cell::new(false) };
}

impl Call {
    /// Does the call's work on this thread. Until it has ended, also while the process waits for it
    /// at exit, it may enter Python.
    pub(crate) fn carry<T>(self, work: impl FnOnce() -> T) -> T {
        CARRIES.set(true);
        let _carrying = Carrying(self);
        work()
    }
}

/// A call whose work is done on this thread.
struct Carrying(#[allow(dead_code)] Call); // which ends with it

impl Drop for Carrying {
    fn drop(&mut self) {
        CARRIES.set(false);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(calls) = UNDER_WAY.lock().as_mut() {
            calls.by_number.remove(&self.0);
        }
        UNDER_WAY.ended.notify_all();
    }
}

/// Stops every call, waits until it has ended, and lets none begin. Called at exit: a library's
/// destructors must not run under a probe, which ended one process in six with a segmentation
/// fault, and no thread may hand a result to an interpreter that is gone. Not for callers.
#[pyfunction]
pub(crate) fn _stop_calls(py: Python<'_>) {
    py.detach(|| {
        let mut calls = UNDER_WAY.lock();
        let state = calls.get_or_insert_default();
        // The threads of a forked process stayed with its parent.
        if state.home.is_some_and(|home| home != process::id()) {
            return;
        }
        state.closed_by = Some(std::thread::current().id());
        for stop in state.by_number.values() {
            stop.ask();
        }
        let (mut calls, _) = UNDER_WAY
            .ended
            .wait_timeout_while(calls, STOP_TIMEOUT, |calls| {
                calls
                    .as_ref()
                    .is_some_and(|calls| !calls.by_number.is_empty())
            })
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(calls) = calls.as_mut() {
            calls.is_late = true;
        }
    });
}

/// Does this without the GIL. A thread that would come back to an interpreter that is gone does not.
pub(crate) fn detach<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    let call = Call::begin(Stop::Not);
    py.detach(|| {
        let done = work();
        let is_here = UNDER_WAY.lock().as_ref().is_none_or(|calls| {
            let here = std::thread::current().id();
            let is_waited_for = call.is_ok() || CARRIES.get();
            calls.closed_by.is_none_or(|closer| closer == here) || is_waited_for && !calls.is_late
        });
        if !is_here {
            stay_out();
        }
        done
    })
    // `call` ends here, with the GIL.
}

/// Keeps a thread out of an interpreter that ends, for as long as the process still lasts.
pub(crate) fn stay_out() -> ! {
    loop {
        std::thread::park();
    }
}
