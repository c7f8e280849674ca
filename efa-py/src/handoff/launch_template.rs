//! `Plan.to_launch_template`.

use efa_core as core;
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;

use crate::argument::given;
use crate::errors;
use crate::plan::Plan;

#[pymethods]
impl Plan {
    /// Returns a CreateLaunchTemplate request as JSON, for `aws ec2 create-launch-template
    /// --cli-input-json` or boto3. launcher: `ec2`, or `eks-managed-node-group`, whose template
    /// has no subnet, image, instance profile and user data.
    /// cluster_security_group: for an EKS managed node group the cluster security group of EKS,
    /// which the template's groups would replace otherwise; a UserWarning without it.
    ///
    /// Raises HandoffError when a group or profile does not exist yet (see `Client.prepare`).
    #[pyo3(signature = (
        *, launcher: "choices.Launcher" = "ec2",
        cluster_security_group: "str | None" = None
    ))]
    fn to_launch_template(
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
            .to_launch_template_with(&options)
            .map_err(errors::exception)?;
        warn(py, &options)?;
        Ok(text)
    }
}

/// Warns of what the options leave open, at the line of the caller.
pub(super) fn warn(py: Python<'_>, options: &core::handoff::LaunchTemplateOptions) -> PyResult<()> {
    let Some(message) = options.warning() else {
        return Ok(());
    };
    let message = std::ffi::CString::new(message)?;
    PyErr::warn(py, &py.get_type::<PyUserWarning>(), &message, 1)
}
