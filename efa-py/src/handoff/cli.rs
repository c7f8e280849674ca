//! `Plan.to_cli`.

use pyo3::prelude::*;

use crate::plan::Plan;

#[pymethods]
impl Plan {
    /// Returns a bash script of AWS CLI commands that makes what `Client.apply` makes, groups that
    /// do not exist included, in the plan's first subnet. To be run once; `verify` and `destroy`
    /// know the cluster afterwards.
    fn to_cli(&self) -> String {
        self.0.to_cli()
    }
}
