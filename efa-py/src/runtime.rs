//! How Python waits for Rust: the GIL released, Ctrl-C handled, forks refused.

use std::future::Future;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use efa_fabric::probe::Signal;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use pyo3_async_runtimes::tokio::get_runtime;
use tokio::sync::Notify;

use crate::ending::{self, Call, Stop};
use crate::errors::{self, Code};

/// How often a blocked call looks whether Ctrl-C was pressed.
const SIGNAL_POLL: Duration = Duration::from_millis(50);

/// How long a call that was asked to stop may take to do so.
const GRACE: Duration = Duration::from_secs(5);

/// The process that the runtime's threads live in.
static HOME_PID: OnceLock<u32> = OnceLock::new();

/// Refuses in a forked child: the runtime's threads stayed in the parent.
pub(crate) fn refuse_after_fork() -> PyResult<()> {
    if *HOME_PID.get_or_init(process::id) == process::id() {
        return Ok(());
    }
    Err(errors::new(
        Code::Forked,
        "efa_sdk was used before this process was forked",
        "start processes with the 'spawn' or 'forkserver' method, or use efa_sdk in the child only",
    ))
}

/// Runs a future to its end on the calling thread, without the GIL. Ctrl-C drops the future
/// and raises `KeyboardInterrupt`.
pub(crate) fn block_on<F, T>(py: Python<'_>, future: F) -> PyResult<T>
where
    F: Future<Output = PyResult<T>> + Send,
    T: Send,
{
    run(py, async {
        tokio::select! {
            result = future => result,
            interrupt = ctrl_c() => Err(interrupt),
        }
    })
}

/// What asks work on a thread to end, and the signal that is the reason.
#[derive(Default)]
pub(crate) struct Halt {
    pub(crate) flag: Arc<AtomicBool>,
    pub(crate) signal: OnceLock<Signal>,
}

impl Halt {
    /// Asks for the end because of what a signal's handler raised.
    fn ask(&self, raised: &PyErr) {
        // There may have been another one before.
        let _ = signal_of(raised).map(|signal| self.signal.set(signal));
        self.flag.store(true, Ordering::Relaxed);
    }
}

/// The signal whose handler raised this, where that is known: `efa_sdk.command_line.Terminated` names
/// its own.
fn signal_of(raised: &PyErr) -> Option<Signal> {
    Python::attach(|py| {
        let name = raised.value(py).getattr("signal_name");
        match name.and_then(|name| name.extract::<String>()).as_deref() {
            Ok("SIGTERM") => Some(Signal::Term),
            Ok(_) => None,
            Err(_) => raised
                .is_instance_of::<PyKeyboardInterrupt>(py)
                .then_some(Signal::Int),
        }
    })
}

/// As [`block_on`], for work on a thread that looks whether it should end, and then takes its leave of
/// others: Ctrl-C asks for that, and the work gets a moment. A second Ctrl-C does not wait.
pub(crate) fn block_on_until<F, T>(py: Python<'_>, halt: Arc<Halt>, work: F) -> PyResult<T>
where
    F: Future<Output = PyResult<T>> + Send,
    T: Send,
{
    run(py, async move {
        let mut work = std::pin::pin!(work);
        let interrupt = tokio::select! {
            result = &mut work => return result,
            interrupt = ctrl_c() => interrupt,
        };
        halt.ask(&interrupt);
        tokio::select! {
            _ = &mut work => Err(interrupt),
            again = ctrl_c() => Err(again),
            () = tokio::time::sleep(GRACE) => Err(interrupt),
        }
    })
}

/// As [`block_on`], for a call that can be asked to stop: Ctrl-C asks, and the call gets a
/// moment to finish what is under way. `KeyboardInterrupt` then has as cause the error that states
/// what exists. A second Ctrl-C does not wait.
pub(crate) fn stoppable<F, T>(
    py: Python<'_>,
    start: impl FnOnce(efa_core::provision::Cancel) -> F,
) -> PyResult<T>
where
    F: Future<Output = PyResult<T>> + Send,
    T: Send,
{
    let cancel = efa_core::provision::Cancel::new();
    let call = start(cancel.clone());
    run(py, async move {
        let mut call = std::pin::pin!(call);
        let interrupt = tokio::select! {
            result = &mut call => return result,
            interrupt = ctrl_c() => interrupt,
        };
        cancel.cancel();
        let cause = tokio::select! {
            ended = &mut call => ended.err(),
            again = ctrl_c() => return Err(again),
            () = tokio::time::sleep(GRACE) => Some(errors::new(
                Code::CallAbandoned,
                "the call to AWS that was under way did not end in time; it may still take effect",
                "apply the same plan again to finish, or destroy the cluster",
            )),
        };
        Python::attach(|py| interrupt.set_cause(py, cause));
        Err(interrupt)
    })
}

/// Runs a future on the calling thread, without the GIL.
fn run<F, T>(py: Python<'_>, future: F) -> PyResult<T>
where
    F: Future<Output = PyResult<T>> + Send,
    T: Send,
{
    refuse_after_fork()?;
    if tokio::runtime::Handle::try_current().is_ok() {
        return Err(errors::new(
            Code::NestedCall,
            "a blocking call was made from within another call's progress callback",
            "collect the events and act after the outer call returns",
        ));
    }
    let woken = Arc::new(Notify::new());
    let call = Call::begin(Stop::Wake(woken.clone()))?;
    let (result, call) = py.detach(|| {
        let result = get_runtime().block_on(async {
            tokio::select! {
                biased;
                result = future => Some(result),
                () = woken.notified() => None,
            }
        });
        match result {
            Some(result) => (result, call),
            // A daemon thread, while the main one has ended: it has nobody to return to.
            None => {
                drop(call);
                ending::stay_out()
            }
        }
    });
    drop(call);
    result
}

/// Ends when a signal's handler raises, with what it raised.
async fn ctrl_c() -> PyErr {
    loop {
        tokio::time::sleep(SIGNAL_POLL).await;
        if let Err(raised) = Python::attach(|py| py.check_signals()) {
            return raised;
        }
    }
}

/// A function that blocks, and its twin that returns an awaitable. What comes after `|py|` makes
/// the future; it may fail, and does so at the call.
macro_rules! twins {
    (
        $(#[$doc:meta])*
        $name:ident, $twin:ident($($argument:ident: $type:ty),* $(,)?)
            -> $result:ty, $awaitable:tt;
        signature ($($signature:tt)*);
        |$py:ident| $future:expr
    ) => {
        $(#[$doc])*
        #[pyo3::pyfunction]
        #[pyo3(signature = ($($signature)*))]
        #[allow(clippy::too_many_arguments)] // each is an argument of its own in Python
        pub(crate) fn $name(
            $py: pyo3::Python<'_>,
            $(#[pyo3(from_py_with = crate::argument::given)] $argument: $type),*
        ) -> pyo3::PyResult<$result> {
            let future = {
                let _here = crate::ending::Call::begin(crate::ending::Stop::Not)?;
                $future
            };
            crate::runtime::block_on($py, future)
        }

        #[doc = concat!("As `", stringify!($name), "`, as an awaitable.")]
        #[pyo3::pyfunction]
        #[pyo3(signature = ($($signature)*) -> $awaitable)]
        #[allow(clippy::too_many_arguments)] // each is an argument of its own in Python
        pub(crate) fn $twin<'py>(
            $py: pyo3::Python<'py>,
            $(#[pyo3(from_py_with = crate::argument::given)] $argument: $type),*
        ) -> pyo3::PyResult<pyo3::Bound<'py, pyo3::PyAny>> {
            let _here = crate::ending::Call::begin(crate::ending::Stop::Not)?;
            crate::runtime::awaitable($py, $future)
        }
    };
}
pub(crate) use twins;

/// The future as a Python awaitable on the running event loop; cancelling it drops the future.
///
/// Not `pyo3_async_runtimes`' own: there, nothing shows when a result has been handed over, which
/// must be before the interpreter ends.
pub(crate) fn awaitable<'py, F, T>(py: Python<'py>, future: F) -> PyResult<Bound<'py, PyAny>>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    refuse_after_fork()?;
    let _here = Call::begin(Stop::Not)?;
    let event_loop = py.import("asyncio")?.call_method0("get_running_loop")?;
    let promise = event_loop.call_method0("create_future")?;
    let task = get_runtime().spawn(future);
    let call = Call::begin(Stop::Task(task.abort_handle())).inspect_err(|_| task.abort())?;
    let on_done = OnDone(task.abort_handle());
    promise.call_method1("add_done_callback", (on_done,))?;
    let (event_loop, waiting) = (event_loop.unbind(), promise.clone().unbind());
    get_runtime().spawn(async move {
        let result = match task.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => Err(PyRuntimeError::new_err(format!(
                "a call of efa_sdk panicked: {error}"
            ))),
            // The awaitable was cancelled, or the process ends.
            Err(_) => return drop(call),
        };
        // Python's lock may take long: not on a thread that carries futures.
        tokio::task::spawn_blocking(move || {
            Python::attach(|py| {
                let notified = settle(py, &event_loop, &waiting, result);
                // The loop was closed: nobody waits any more.
                drop((notified, event_loop, waiting));
            });
            drop(call);
        });
    });
    Ok(promise)
}

/// Gives an awaitable its result on its own thread, unless it was cancelled meanwhile. It is Python's
/// code: a daemon thread may end inside of it, which no frame of Rust survives.
const SETTLE: &std::ffi::CStr =
    c"lambda awaitable, method, value: awaitable.done() or getattr(awaitable, method)(value)";

fn settle<T: for<'a> IntoPyObject<'a>>(
    py: Python<'_>,
    event_loop: &Py<PyAny>,
    waiting: &Py<PyAny>,
    result: PyResult<T>,
) -> PyResult<()> {
    let (method, value) = match result.and_then(|value| value.into_py_any(py)) {
        Ok(value) => ("set_result", value),
        Err(error) => ("set_exception", error.into_value(py).into_any()),
    };
    let arguments = (py.eval(SETTLE, None, None)?, waiting, method, value);
    event_loop.call_method1(py, "call_soon_threadsafe", arguments)?;
    Ok(())
}

/// Stops the work behind an awaitable that was cancelled.
#[pyclass(frozen)]
struct OnDone(tokio::task::AbortHandle);

#[pymethods]
impl OnDone {
    fn __call__(&self, _awaitable: &Bound<'_, PyAny>) {
        self.0.abort();
    }
}
