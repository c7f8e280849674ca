//! `Plan.to_launch_template`.

use pyo3::prelude::*;

use crate::errors;
use crate::plan::Plan;

#[pymethods]
impl Plan {
    /// A CreateLaunchTemplate request as JSON, for `aws ec2 create-launch-template
    /// --cli-input-json` or boto3. launcher: `ec2`, or `eks-managed-node-group`, whose template
    /// has no subnet, image, instance profile and user data.
    ///
    /// Raises HandoffError when a group or profile does not exist yet (see `Client.prepare`).
    #[pyo3(signature = (*, launcher="ec2"))]
    fn to_launch_template(&self, launcher: &str) -> PyResult<String> {
        let launcher = launcher.parse().map_err(errors::exception)?;
        self.0
            .to_launch_template(launcher)
            .map_err(errors::exception)
    }
}
