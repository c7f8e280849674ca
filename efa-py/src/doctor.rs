//! Why EFA does not work on this node.

use std::collections::BTreeMap;
use std::path::PathBuf;

use efa_fabric as fabric;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::argument::{extracted, given, invalid};
use crate::choices;
use crate::convert::seconds;
use crate::errors::exception;
use crate::fabric_child::child_command;
use crate::rows::{Rows, rows};
use crate::runtime::twins;
use crate::value::value_class;

value_class! {
    /// The finding of one check of the doctor.
    DoctorFinding(fabric::doctor::Finding) {
        /// The stable dotted name of the check, such as `verbs.unopenable`.
        id: String = |finding| finding.id.clone();
        /// `failed`, `warning`, `unknown`, `info`, `ok` or `not_applicable`.
        status: choices::DoctorStatus = |finding| finding.status.as_str().into();
        /// One line.
        title: String = |finding| finding.title.clone();
        /// What it rests on: pairs of a path or other source, and its content.
        evidence: Vec<(String, String)> = |finding| {
            finding.evidence.iter().map(|e| (e.source.clone(), e.value.clone())).collect()
        };
        /// Why it is so, where that is known.
        cause: Option<String> = |finding| finding.cause.clone();
        /// What to do.
        cure: Option<String> = |finding| finding.cure.clone();
        /// A page, an issue or a man page about it.
        reference: Option<String> = |finding| finding.reference.clone();
    }
    repr = |finding| format!("<DoctorFinding {} {}>", finding.id, finding.status);
    str = |finding| format!("{} {}: {}", finding.status, finding.id, finding.title);
}

value_class! {
    /// The verdict on EFA on a node, and if it does not work, why; `str()` is a short text.
    DoctorReport(fabric::doctor::Report) {
        /// `usable`, `not_usable`, `no_efa_by_design` or `unknown`.
        verdict: choices::DoctorVerdict = |report| report.verdict.as_str().into();
        /// The id of the finding because of which EFA is not usable.
        cause: Option<String> = |report| match &report.verdict {
            fabric::doctor::Verdict::NotUsable { cause } => Some(cause.clone()),
            _ => None,
        };
        /// The evidence that there is no EFA by design, or why it is not known.
        reason: Option<String> = |report| match &report.verdict {
            fabric::doctor::Verdict::NoEfaByDesign { reason } | fabric::doctor::Verdict::Unknown { reason } => {
                Some(reason.clone())
            }
            _ => None,
        };
        /// Whether EFA is usable, and nothing failed, warned or stayed unknown.
        healthy: bool = |report| report.is_healthy();
        /// For a process: 0 usable, 1 not usable, 2 unknown.
        exit_code: u8 = |report| report.exit_code();
        /// One for each check, the worst first.
        findings: Rows<DoctorFinding> = |report| rows(&report.findings);
        /// The instance type, as given or read.
        instance_type: Option<String> = |report| report.node.instance_type.clone();
        /// The RDMA devices that are EFA, by name.
        efa_devices: Vec<String> = |report| report.node.efa_devices.clone();
        /// The libfabric that was asked.
        library_path: Option<String> = |report| {
            report.libfabric.as_ref().map(|seen| seen.path.clone())
        };
        /// Its version, such as `2.5`.
        library_version: Option<String> = |report| {
            report.libfabric.as_ref().map(|seen| seen.version.to_string())
        };
    }
    repr = |report| format!("<DoctorReport {}>", report.verdict.as_str());
    str = ToString::to_string;
    html = fabric::doctor::Report::to_html;
}

#[pymethods]
impl DoctorReport {
    /// Returns the finding of a check by its id; None for an id that is no check.
    #[pyo3(signature = (id: "str"))]
    fn finding(&self, #[pyo3(from_py_with = given)] id: &str) -> Option<DoctorFinding> {
        self.0.finding(id).cloned().map(DoctorFinding)
    }
}

fn options(
    py: Python<'_>,
    root: &str,
    instance_type: Option<String>,
    deadline_s: f64,
    wait_for_devices: bool,
    environment: Option<Variables>,
) -> PyResult<fabric::doctor::Options> {
    let mut options = fabric::doctor::Options::at(root);
    if let Some(name) = &instance_type {
        let catalog = efa_core::Catalog::bundled();
        catalog.refuse_misspelt(name).map_err(exception)?;
    }
    options.instance_type = instance_type;
    match environment {
        None => {}
        Some(Variables::Given(variables)) => options.environment = variables,
        Some(Variables::File(path)) => {
            let variables = fabric::node::parse_environment(&crate::errors::read(&path)?);
            if variables.is_empty() {
                return Err(invalid(
                    "environment",
                    &format_args!("'{}', which has no variables", path.display()),
                    "must be /proc/PID/environ of a process that may be read, or what env prints",
                ));
            }
            options.environment = variables;
        }
    }
    options.deadline = seconds("deadline_s", deadline_s)?;
    options.wait_for_devices = wait_for_devices;
    // A Python without an executable cannot ask: the report states this.
    options.child = child_command(py).ok();
    Ok(options)
}

/// An environment: the variables, or a file that has them.
#[derive(FromPyObject)]
pub(crate) enum Variables {
    Given(BTreeMap<String, String>),
    File(PathBuf),
}

extracted! {
    Variables: "a dict of str to str, or a file's path";
}

async fn run(options: fabric::doctor::Options) -> PyResult<DoctorReport> {
    match tokio::task::spawn_blocking(move || fabric::doctor::examine(&options)).await {
        Ok(report) => Ok(DoctorReport(report)),
        Err(error) => Err(PyRuntimeError::new_err(format!(
            "the doctor's thread ended: {error}"
        ))),
    }
}

twins! {
    /// Reports whether EFA works on this node, and if not, why; what is broken is a finding, not an
    /// error.
    ///
    /// root: this machine, or a directory with a recorded tree of one, for which libfabric is not
    /// asked. instance_type: what EC2 calls the machine; None takes what its DMI reports. deadline_s:
    /// seconds for the child process in which libfabric is asked, because some environments make it
    /// end its process. wait_for_devices: look again, 3 times after 5 s, while devices are missing.
    /// environment: the variables of the process that is to use EFA, or a file with them, such as
    /// /proc/PID/environ or what env prints; None takes those of this process, and of a recorded
    /// tree its /proc/self/environ.
    ///
    /// Raises `catalog.unknown_instance_type` for a misspelt instance_type, with the names that
    /// are near; OSError and ValueError for a file of variables that cannot be read or has none.
    ///
    /// docs/doctor.md has the checks; `python -m efa_sdk.doctor` is the same as a command.
    doctor, doctor_async(
        root: &str,
        instance_type: Option<String>,
        deadline_s: f64,
        wait_for_devices: bool,
        environment: Option<Variables>,
    ) -> DoctorReport, "collections.abc.Awaitable[DoctorReport]";
    signature (
        *, root: "str" = "/", instance_type: "str | None" = None, deadline_s: "float" = 30.0,
        wait_for_devices: "bool" = false,
        environment: "dict[str, str] | str | os.PathLike[str] | None" = None
    );
    |py| run(options(py, root, instance_type, deadline_s, wait_for_devices, environment)?)
}

/// Returns the id and the question of every check of the doctor, in order of the decision.
#[pyfunction]
pub(crate) fn doctor_checks() -> Vec<(&'static str, &'static str)> {
    fabric::doctor::checks()
}
