//! `Plan`.

use efa_core as core;
use pyo3::prelude::*;

use crate::argument::{class_given, given};
use crate::errors;
use crate::layout::Layout;
use crate::spec::ClusterSpec;

/// Everything that `apply` would use and make. `str()` prints what exists (`=`) and what would
/// be made (`+`).
#[pyclass(frozen, eq, hash, from_py_object, module = "efa_sdk._efa_sdk")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Plan(pub(crate) core::Plan);

class_given! { Plan }

#[pymethods]
impl Plan {
    /// Name of the cluster.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// The region that it was made for.
    #[getter]
    fn region(&self) -> &str {
        self.0.region()
    }

    /// What was asked for.
    #[getter]
    fn spec(&self) -> ClusterSpec {
        ClusterSpec(self.0.spec().as_spec().clone())
    }

    /// The interfaces of each instance.
    #[getter]
    fn layout(&self) -> Layout {
        Layout(self.0.layout().clone())
    }

    /// Identifies the intent: equal for equal specification, region and layout.
    #[getter]
    fn fingerprint(&self) -> &str {
        self.0.fingerprint()
    }

    /// When the nodes end themselves, as `2026-11-30T12:00:00Z`; None where they do not.
    #[getter]
    fn expires_at(&self) -> Option<&str> {
        self.0.expires_at()
    }

    /// The account that it was made in.
    #[getter]
    fn account(&self) -> &str {
        self.0.account()
    }

    /// The subnets that could take the cluster, by id, best first.
    #[getter]
    fn subnet_ids(&self) -> Vec<&str> {
        let subnets = self.0.subnets().iter();
        subnets.map(|subnet| subnet.subnet_id.as_str()).collect()
    }

    /// The other subnets that were named: pairs of id and reason.
    #[getter]
    fn rejected_subnets(&self) -> Vec<(&str, &str)> {
        let rejected = self.0.rejected_subnets().iter();
        rejected
            .map(|r| (r.subnet_id.as_str(), r.reason.as_str()))
            .collect()
    }

    /// The zone of the subnet that is tried first.
    #[getter]
    fn availability_zone(&self) -> &str {
        &self.0.subnet().availability_zone
    }

    /// The machine image's id.
    #[getter]
    fn image_id(&self) -> &str {
        &self.0.image().image_id
    }

    /// Name of the instance profile; None without one.
    #[getter]
    fn instance_profile_name(&self) -> Option<&str> {
        self.0.instance_profile().map(|p| p.name.as_str())
    }

    /// Size of the root volume, in GiB; None where the image decides.
    #[getter]
    fn volume_size_gib(&self) -> Option<u32> {
        self.0.root_volume().map(|v| v.volume_size_gib)
    }

    /// When the capacity reservation or Capacity Block begins and ends, in EC2's form; None
    /// without one.
    #[getter]
    fn reserved_from_to(&self) -> Option<(Option<&str>, Option<&str>)> {
        let reservation = self.0.capacity().reservation.as_ref()?;
        Some((
            reservation.start_date.as_deref(),
            reservation.end_date.as_deref(),
        ))
    }

    /// What works, but is seldom wanted.
    #[getter]
    fn warnings(&self) -> Vec<&str> {
        self.0.warnings().iter().map(String::as_str).collect()
    }

    /// User data of the instances, not encoded.
    #[getter]
    fn user_data(&self) -> Option<&str> {
        self.0.user_data()
    }

    /// Returns the least IAM policy, as JSON, under which you can make this plan, apply it, verify
    /// and destroy the cluster.
    fn caller_policy(&self) -> String {
        self.0.caller_policy()
    }

    /// The existing security group; None when one would be made.
    #[getter]
    fn security_group_id(&self) -> Option<&str> {
        self.0.security_group().group_id.as_deref()
    }

    /// The placement group's name; None without one.
    #[getter]
    fn placement_group_name(&self) -> Option<&str> {
        self.0
            .placement_group()
            .map(|group| group.group_name.as_str())
    }

    /// Returns the plan as JSON.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// Reads a stored plan (text). Raises PlanError when it is none, or was changed.
    #[staticmethod]
    #[pyo3(signature = (text: "str"))]
    fn from_json(#[pyo3(from_py_with = given)] text: &str) -> PyResult<Self> {
        core::Plan::from_json(text)
            .map(Self)
            .map_err(errors::exception)
    }

    /// Returns where another plan differs: path, this plan's value and the other's as JSON, None
    /// where one has no such value. Empty for equal plans.
    #[pyo3(signature = (other: "Plan"))]
    fn diff(
        &self,
        #[pyo3(from_py_with = given)] other: &Self,
    ) -> Vec<(String, Option<String>, Option<String>)> {
        let differences = self.0.diff(&other.0);
        differences
            .into_iter()
            .map(|d| (d.path, d.left, d.right))
            .collect()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((
            py.get_type::<Self>().getattr("from_json")?,
            (self.to_json(),),
        ))
    }

    /// Returns the plan as a self-contained SVG document: subnet, security group and placement
    /// group around the nodes (at most eight), and each node's network cards. Readable on light and
    /// dark pages, without scripts.
    fn to_svg(&self) -> String {
        self.0.to_svg()
    }

    fn _repr_html_(&self) -> String {
        self.0.to_html()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!(
            "<Plan {} of {} x {}>",
            self.0.fingerprint(),
            self.0.spec().count,
            self.0.spec().instance_type
        )
    }
}
