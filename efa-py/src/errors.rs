//! Errors of Rust as the Python classes of `efa_sdk.errors`.

use std::path::Path;

use efa_core::error::{Error, ErrorCode};
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The exception for an error of any crate: `efa_sdk.errors.from_parts` chooses the class by the
/// code.
#[allow(clippy::needless_pass_by_value)] // it is the argument of map_err
pub(crate) fn exception<C: ErrorCode>(error: Error<C>) -> PyErr {
    Python::attach(|py| build(py, &error).unwrap_or_else(|failure| failure))
}

fn build<C: ErrorCode>(py: Python<'_>, error: &Error<C>) -> PyResult<PyErr> {
    let context = PyDict::new(py);
    for (key, value) in error.context() {
        context.set_item(key, value)?;
    }
    let leftovers: Vec<(&str, &str)> = error
        .leftovers()
        .iter()
        .map(|leftover| (leftover.resource_type.as_str(), leftover.id.as_str()))
        .collect();
    let arguments = (
        error.code().as_str(),
        error.message(),
        error.cure(),
        context,
        error.is_retryable(),
        error.may_have_changed_aws(),
        leftovers,
        error.next_command(),
    );
    let exception = py
        .import("efa_sdk.errors")?
        .getattr("from_parts")?
        .call1(arguments)?;
    Ok(PyErr::from_value(exception))
}

/// An error that arises here, with its cure.
pub(crate) fn new<C: ErrorCode>(code: C, message: &str, cure: &str) -> PyErr {
    exception(Error::new(code, message).with_cure(cure))
}

/// The content of a file; the OSError has its name, as Python's own has.
pub(crate) fn read(path: &Path) -> PyResult<Vec<u8>> {
    std::fs::read(path).map_err(|error| match error.raw_os_error() {
        Some(number) => {
            let reason = error.to_string();
            let reason = reason.split(" (os error").next().unwrap_or_default();
            PyOSError::new_err((number, reason.to_owned(), path.to_owned()))
        }
        None => error.into(),
    })
}

/// Shows what Python code raised that ran next to a call's work, and that stops no call. Ctrl-C
/// is for the call, not for the code that it happened to meet.
pub(crate) fn report(py: Python<'_>, error: PyErr, code: Option<&Bound<'_, PyAny>>) {
    if error.is_instance_of::<PyKeyboardInterrupt>(py) {
        let again = py
            .import("_thread")
            .and_then(|thread| thread.call_method0("interrupt_main"));
        if again.is_ok() {
            return;
        }
    }
    error.write_unraisable(py, code);
}

/// An error for an argument, whose name pyo3 adds later where it is not known here.
pub(crate) fn argument(
    code: Code,
    name: Option<&str>,
    value: &str,
    limit: &str,
    cure: Option<String>,
) -> PyErr {
    let message = format!("{} is {value}, and {limit}", name.unwrap_or("an argument"));
    let mut error = Error::new(code, message)
        .with_context("value", value)
        .with_context("limit", limit);
    if let Some(name) = name {
        error = error.with_context("argument", name);
    }
    if let Some(cure) = cure {
        error = error.with_cure(cure);
    }
    exception(error)
}

/// A failed conversion from or to JSON.
pub(crate) fn json<T>(result: serde_json::Result<T>) -> PyResult<T> {
    result.map_err(|error| {
        let message = format!("text is not this value's JSON: {error}");
        exception(Error::new(Code::InvalidValue, message).with_context("argument", "text"))
    })
}

/// Returns every code that an error of this package can have.
#[pyfunction]
pub(crate) fn error_codes() -> Vec<&'static str> {
    let core = efa_core::error::Code::ALL.iter().map(|code| code.as_str());
    let fabric = efa_fabric::Code::ALL.iter().map(|code| code.as_str());
    let binding = Code::ALL.iter().map(|code| code.as_str());
    core.chain(fabric).chain(binding).collect()
}

/// The kinds of the codes below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ErrorKind {
    /// The Python package itself.
    Python,
    /// An argument of a call.
    Argument,
}

efa_core::error_codes! {
    pub(crate) enum Code;

    /// An argument of another type than the parameter takes.
    WrongType = Argument, "argument.wrong_type";
    /// An argument of the right type that the parameter cannot take.
    InvalidValue = Argument, "argument.invalid_value";
    /// A call in a forked child of a process that used the package.
    Forked = Python, "python.forked";
    /// A blocking call from within a progress callback.
    NestedCall = Python, "python.nested_call";
    /// A call to AWS did not end in time after Ctrl-C.
    CallAbandoned = Python, "python.call_abandoned";
    /// A Python package that the call needs is not installed.
    MissingPackage = Python, "python.missing_package";
    /// Ray was not initialized; raised by `efa_sdk.ray`.
    RayNotInitialized = Python, "python.ray_not_initialized";
    /// No job was found; raised by `efa_sdk.torch`.
    NoJob = Python, "python.no_job";
    /// No rank has a report; raised by `efa_sdk.torch`.
    NoReport = Python, "python.no_report";
}
