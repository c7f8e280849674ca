//! Python as the child process in which libfabric is asked.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use efa_fabric::Code;
use efa_fabric::isolated::{ChildCommand, Question, answer_if_child, ask};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::argument::given;
use crate::convert::seconds;
use crate::ending;
use crate::errors;

/// Loads the compiled module from its file alone: no package, no search path, no site module,
/// so neither an editable install nor an environment of the caller matters. Its argument is
/// the file.
const CHILD: &str = "\
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import module_from_spec
loader = ExtensionFileLoader('_efa_sdk', sys.argv[1])
module = module_from_spec(ModuleSpec('_efa_sdk', loader, origin=sys.argv[1]))
loader.exec_module(module)
module._fabric_child()
";

/// The command that starts this Python as a child that answers.
///
/// Raises FabricError `fabric.child_unusable` where Python is embedded in a program and has no
/// executable of its own.
pub(crate) fn child_command(py: Python<'_>) -> PyResult<ChildCommand> {
    let executable: Option<PathBuf> = py.import("sys")?.getattr("executable")?.extract()?;
    let executable = executable
        .filter(|path| path.is_absolute())
        .ok_or_else(|| {
            errors::new(
                Code::ChildUnusable,
                "this Python does not know its own executable",
                "set sys.executable to a Python of the same version",
            )
        })?;
    let module: PathBuf = py
        .import("efa_sdk._efa_sdk")?
        .getattr("__file__")?
        .extract()?;
    let module = std::path::absolute(module)?;
    let arguments = ["-I", "-S", "-c", CHILD].map(OsString::from);
    Ok(ChildCommand::new(
        executable,
        arguments.into_iter().chain([module.into_os_string()]),
    ))
}

/// Runs what a child runs; it exits the process. Not for callers.
#[pyfunction]
pub(crate) fn _fabric_child() -> PyResult<()> {
    answer_if_child();
    Err(PyRuntimeError::new_err(
        "this process was not started to ask libfabric",
    ))
}

/// Asks libfabric in a child process and returns the answer as JSON. Not for callers.
#[pyfunction]
#[pyo3(signature = (
    *, library: "str | os.PathLike[str] | None" = None, provider: "str" = "efa".to_owned(),
    environment: "dict[str, str | None]" = BTreeMap::new(), deadline_s: "float" = 20.0
))]
pub(crate) fn _fabric_ask(
    py: Python<'_>,
    #[pyo3(from_py_with = given)] library: Option<PathBuf>,
    #[pyo3(from_py_with = given)] provider: String,
    #[pyo3(from_py_with = given)] environment: BTreeMap<String, Option<String>>,
    #[pyo3(from_py_with = given)] deadline_s: f64,
) -> PyResult<String> {
    let command = child_command(py)?;
    let mut question = Question::default();
    question.library = library;
    question.provider = provider;
    question.environment = environment;
    question.deadline = seconds("deadline_s", deadline_s)?;
    let answer = ending::detach(py, || ask(&command, &question)).map_err(errors::exception)?;
    errors::json(serde_json::to_string(&answer))
}
