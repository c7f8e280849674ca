//! `Plan.to_eksctl`.

use efa_core as core;
use pyo3::prelude::*;

use crate::argument::given;
use crate::errors;
use crate::plan::Plan;

#[pymethods]
impl Plan {
    /// Returns a ClusterConfig with one managed node group for `eksctl create nodegroup
    /// --config-file`, as YAML. eksctl derives the interfaces itself, so it is written only where
    /// they are right. cluster: name of the EKS cluster. name: of the node group; the plan's when
    /// None.
    ///
    /// Raises HandoffError when a group does not exist yet (see `Client.prepare`), and where
    /// eksctl would derive other interfaces than the type needs.
    #[pyo3(signature = (*, cluster: "str", name: "str | None" = None))]
    fn to_eksctl(
        &self,
        #[pyo3(from_py_with = given)] cluster: &str,
        #[pyo3(from_py_with = given)] name: Option<String>,
    ) -> PyResult<String> {
        let mut options = core::handoff::EksctlOptions::new(cluster);
        options.name = name;
        self.0.to_eksctl(&options).map_err(errors::exception)
    }
}
