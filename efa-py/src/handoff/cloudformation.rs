//! `Plan.to_cloudformation`.

use efa_core as core;
use pyo3::prelude::*;

use crate::argument::given;
use crate::errors;
use crate::plan::Plan;

#[pymethods]
impl Plan {
    /// Returns a CloudFormation template of everything that `Client.apply` would make, and the
    /// launch template that the instances come from; nothing has to exist. format: `yaml` or
    /// `json`. scripts_bucket: make the bucket that the role may read, encrypted and not public.
    /// session_logs: make a log group for SSM sessions, which the role may write.
    ///
    /// Raises HandoffError for what a stack cannot do: Elastic IPs, a minimum count, more than
    /// 500 resources.
    #[pyo3(signature = (
        *, format: "choices.Format" = "yaml", scripts_bucket: "bool" = false,
        session_logs: "bool" = false
    ))]
    fn to_cloudformation(
        &self,
        #[pyo3(from_py_with = given)] format: &str,
        #[pyo3(from_py_with = given)] scripts_bucket: bool,
        #[pyo3(from_py_with = given)] session_logs: bool,
    ) -> PyResult<String> {
        let mut options = core::handoff::CloudFormationOptions::default();
        options.format = format.parse().map_err(errors::exception)?;
        options.scripts_bucket = scripts_bucket;
        options.session_logs = session_logs;
        self.0
            .to_cloudformation(&options)
            .map_err(errors::exception)
    }
}
