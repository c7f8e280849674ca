//! `Plan.to_terraform`.

use efa_core as core;
use pyo3::prelude::*;

use super::launch_template::warn;
use crate::argument::given;
use crate::errors;
use crate::plan::Plan;

#[pymethods]
impl Plan {
    /// Returns one `aws_launch_template` in Terraform's JSON syntax, for a file `*.tf.json`, with
    /// the data of `to_launch_template`. launcher: as there. cluster_security_group: for an EKS
    /// managed node group the cluster security group of EKS, which the template's groups would
    /// replace otherwise; a UserWarning without it.
    ///
    /// Raises HandoffError when a group or profile does not exist yet (see `Client.prepare`).
    #[pyo3(signature = (
        *, launcher: "choices.Launcher" = "ec2",
        cluster_security_group: "str | None" = None
    ))]
    fn to_terraform(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = given)] launcher: &str,
        #[pyo3(from_py_with = given)] cluster_security_group: Option<String>,
    ) -> PyResult<String> {
        let mut options = core::handoff::LaunchTemplateOptions::default();
        options.launcher = launcher.parse().map_err(errors::exception)?;
        options.cluster_security_group = cluster_security_group;
        let text = self
            .0
            .to_terraform_with(&options)
            .map_err(errors::exception)?;
        warn(py, &options)?;
        Ok(text)
    }
}
