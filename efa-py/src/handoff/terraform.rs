//! `Plan.to_terraform`.

use pyo3::prelude::*;

use crate::errors;
use crate::plan::Plan;

#[pymethods]
impl Plan {
    /// One `aws_launch_template` in Terraform's JSON syntax, for a file `*.tf.json`, with the data
    /// of `to_launch_template`. launcher: as there.
    ///
    /// Raises HandoffError when a group or profile does not exist yet (see `Client.prepare`).
    #[pyo3(signature = (*, launcher="ec2"))]
    fn to_terraform(&self, launcher: &str) -> PyResult<String> {
        let launcher = launcher.parse().map_err(errors::exception)?;
        self.0.to_terraform(launcher).map_err(errors::exception)
    }
}
