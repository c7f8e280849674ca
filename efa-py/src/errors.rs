//! Errors of the core crates as the Python classes of `efa_sdk.errors`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The parts of an error, whichever crate it comes from.
pub(crate) struct Parts<'a> {
    pub(crate) code: &'a str,
    pub(crate) message: &'a str,
    pub(crate) cure: Option<&'a str>,
    pub(crate) context: Vec<(&'a str, &'a str)>,
    pub(crate) retryable: bool,
    pub(crate) may_have_changed_aws: bool,
    pub(crate) leftovers: Vec<(&'a str, &'a str)>,
    pub(crate) next_command: Option<&'a str>,
}

/// The exception for these parts: `efa_sdk.errors.from_parts` chooses the class by the code.
pub(crate) fn raise(parts: &Parts<'_>) -> PyErr {
    Python::attach(|py| build(py, parts).unwrap_or_else(|error| error))
}

fn build(py: Python<'_>, parts: &Parts<'_>) -> PyResult<PyErr> {
    let context = PyDict::new(py);
    for (key, value) in &parts.context {
        context.set_item(key, value)?;
    }
    let arguments = (
        parts.code,
        parts.message,
        parts.cure,
        context,
        parts.retryable,
        parts.may_have_changed_aws,
        parts.leftovers.clone(),
        parts.next_command,
    );
    let exception = py
        .import("efa_sdk.errors")?
        .getattr("from_parts")?
        .call1(arguments)?;
    Ok(PyErr::from_value(exception))
}

/// An error of efa-core.
#[allow(clippy::needless_pass_by_value)] // it is the argument of map_err
pub(crate) fn core(error: efa_core::Error) -> PyErr {
    raise(&Parts {
        code: error.code().as_str(),
        message: error.message(),
        cure: error.cure(),
        context: error
            .context()
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect(),
        retryable: error.is_retryable(),
        may_have_changed_aws: error.may_have_changed_aws(),
        leftovers: error
            .leftovers()
            .iter()
            .map(|l| (l.resource_type.as_str(), l.id.as_str()))
            .collect(),
        next_command: error.next_command(),
    })
}

/// An error of efa-fabric.
#[allow(clippy::needless_pass_by_value)] // it is the argument of map_err
pub(crate) fn fabric(error: efa_fabric::Error) -> PyErr {
    raise(&Parts {
        code: error.code().as_str(),
        message: error.message(),
        cure: error.cure(),
        context: error
            .context()
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect(),
        retryable: error.is_retryable(),
        may_have_changed_aws: false,
        leftovers: Vec::new(),
        next_command: None,
    })
}

/// An error of the binding itself.
pub(crate) fn binding(code: &str, message: &str, cure: &str) -> PyErr {
    raise(&Parts {
        code,
        message,
        cure: Some(cure),
        context: Vec::new(),
        retryable: false,
        may_have_changed_aws: false,
        leftovers: Vec::new(),
        next_command: None,
    })
}

/// A failed conversion from or to JSON.
pub(crate) fn json<T>(result: serde_json::Result<T>) -> PyResult<T> {
    result.map_err(|error| PyValueError::new_err(format!("not this value's JSON: {error}")))
}

/// Every code that an error of this package can have.
#[pyfunction]
pub(crate) fn error_codes() -> Vec<&'static str> {
    let core = efa_core::Code::ALL.iter().map(|code| code.as_str());
    let fabric = efa_fabric::Code::ALL.iter().map(|code| code.as_str());
    core.chain(fabric).chain(BINDING_CODES).collect()
}

/// Codes of the binding itself.
const BINDING_CODES: [&str; 7] = [
    "python.forked",
    "python.nested_call",
    "python.call_abandoned",
    "python.missing_package",
    "python.ray_not_initialized",
    "python.no_job",
    "python.no_report",
];
