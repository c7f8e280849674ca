//! `ClusterSpec` and `Plan`.

use std::collections::BTreeMap;

use efa_core as core;
use pyo3::prelude::*;

use crate::errors;
use crate::layout::{Layout, NetworkInterface, layout_request};
use crate::value::value_class;

value_class! {
    /// A cluster of identical instances in one subnet: what you ask for.
    ///
    /// name: 1 to 63 letters, digits and hyphens. security_group_id: use this group, which must
    /// allow all traffic with itself both ways; made when None. placement: `cluster` or `none`;
    /// placement_group_name: use this cluster placement group; made when None. interfaces: your
    /// own instead of a profile's, under the same checks. volume_size_gib: root volume, always
    /// encrypted. user_data: at most 16,384 bytes, no secrets.
    ///
    /// Raises PlanError that names the field, the value, the limit and the cure.
    ClusterSpec(core::ClusterSpec) {
        /// Name of the cluster.
        name: String = |spec| spec.name.clone();
        /// The instance type's name.
        instance_type: String = |spec| spec.instance_type.clone();
        /// How many instances.
        count: u32 = |spec| spec.count;
        /// The subnet of every interface.
        subnet_id: String = |spec| spec.subnet_id.clone();
        /// The machine image.
        image_id: String = |spec| spec.image_id.clone();
        /// The security group to use; None when one is made.
        security_group_id: Option<String> = |spec| match &spec.security_group {
            core::SecurityGroupChoice::Use(id) => Some(id.clone()),
            _ => None,
        };
        /// `cluster` or `none`.
        placement: &'static str = |spec| match &spec.placement_group {
            core::PlacementGroupChoice::None => "none",
            _ => "cluster",
        };
        /// The placement group to use; None when one is made.
        placement_group_name: Option<String> = |spec| match &spec.placement_group {
            core::PlacementGroupChoice::Use(name) => Some(name.clone()),
            _ => None,
        };
        /// The layout profile.
        profile: &'static str = |spec| spec.profile.as_str();
        /// How many EFA interfaces; all when None.
        efa: Option<u32> = |spec| spec.efa;
        /// `none`, `lone-efa` or `elastic-ip`.
        public_ip: &'static str = |spec| spec.public_ip.as_str();
        /// The caller's own interfaces.
        interfaces: Option<Vec<NetworkInterface>> = |spec| {
            spec.interfaces.as_ref().map(|all| all.iter().cloned().map(NetworkInterface).collect())
        };
        /// Size of the root volume, in GiB.
        volume_size_gib: Option<u32> = |spec| spec.volume_size_gib;
        /// Name of an EC2 key pair.
        key_name: Option<String> = |spec| spec.key_name.clone();
        /// Name of an IAM instance profile.
        iam_instance_profile: Option<String> = |spec| spec.iam_instance_profile.clone();
        /// User data, not encoded.
        user_data: Option<String> = |spec| spec.user_data.clone();
        /// The caller's own tags.
        tags: BTreeMap<String, String> = |spec| spec.tags.clone();
    }
}

#[pymethods]
impl ClusterSpec {
    #[new]
    #[pyo3(signature = (
        *, name, instance_type, count, subnet_id, image_id, security_group_id=None,
        placement="cluster", placement_group_name=None, profile="save-ips", efa=None,
        public_ip="none", interfaces=None, volume_size_gib=None, key_name=None,
        iam_instance_profile=None, user_data=None, tags=None
    ))]
    #[allow(clippy::too_many_arguments)] // each is a keyword of its own
    fn new(
        name: String,
        instance_type: String,
        count: i64,
        subnet_id: String,
        image_id: String,
        security_group_id: Option<String>,
        placement: &str,
        placement_group_name: Option<String>,
        profile: &str,
        efa: Option<u32>,
        public_ip: &str,
        interfaces: Option<Vec<PyRef<'_, NetworkInterface>>>,
        volume_size_gib: Option<u32>,
        key_name: Option<String>,
        iam_instance_profile: Option<String>,
        user_data: Option<String>,
        tags: Option<BTreeMap<String, String>>,
    ) -> PyResult<Self> {
        let layout = layout_request(profile, efa, public_ip)?;
        let count = core::ClusterSpec::parse_count(count).map_err(errors::core)?;
        let mut spec = core::ClusterSpec::new(name, instance_type, count, subnet_id, image_id);
        if let Some(id) = security_group_id {
            spec.security_group = core::SecurityGroupChoice::Use(id);
        }
        spec.placement_group = core::PlacementGroupChoice::parse(placement, placement_group_name)
            .map_err(errors::core)?;
        spec.profile = layout.profile;
        spec.efa = layout.efa;
        spec.public_ip = layout.public_ip;
        spec.interfaces = interfaces.map(|all| all.iter().map(|i| i.0.clone()).collect());
        spec.volume_size_gib = volume_size_gib;
        spec.key_name = key_name;
        spec.iam_instance_profile = iam_instance_profile;
        spec.user_data = user_data;
        spec.tags = tags.unwrap_or_default();
        spec.validate().map_err(errors::core)?;
        Ok(Self(spec))
    }

    fn __repr__(&self) -> String {
        format!(
            "ClusterSpec(name='{}', instance_type='{}', count={})",
            self.0.name, self.0.instance_type, self.0.count
        )
    }
}

/// Everything that `apply` would use and make. `str()` prints what exists (`=`) and what would
/// be made (`+`).
#[pyclass(frozen, eq, hash, from_py_object, module = "efa_sdk._efa_sdk")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Plan(pub(crate) core::Plan);

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
        &self.0.region
    }

    /// What was asked for.
    #[getter]
    fn spec(&self) -> ClusterSpec {
        ClusterSpec(self.0.spec.clone())
    }

    /// The interfaces of each instance.
    #[getter]
    fn layout(&self) -> Layout {
        Layout(self.0.layout.clone())
    }

    /// Identifies the intent: equal for equal specification, region and layout.
    #[getter]
    fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// The zone of the subnet.
    #[getter]
    fn availability_zone(&self) -> &str {
        &self.0.subnet.availability_zone
    }

    /// The existing security group; None when one would be made.
    #[getter]
    fn security_group_id(&self) -> Option<&str> {
        self.0.security_group.group_id.as_deref()
    }

    /// The placement group's name; None without one.
    #[getter]
    fn placement_group_name(&self) -> Option<&str> {
        self.0
            .placement_group
            .as_ref()
            .map(|group| group.group_name.as_str())
    }

    /// The plan as JSON.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// Reads a stored plan. Raises PlanError when it is none, or was changed.
    #[staticmethod]
    fn from_json(text: &str) -> PyResult<Self> {
        core::Plan::from_json(text).map(Self).map_err(errors::core)
    }

    /// Where another plan differs: path, this plan's value and the other's as JSON, None where
    /// one has no such value. Empty for equal plans.
    fn diff(&self, other: &Self) -> Vec<(String, Option<String>, Option<String>)> {
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

    fn _repr_html_(&self) -> String {
        self.0.to_html()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!(
            "<Plan {} of {} x {}>",
            self.0.fingerprint, self.0.spec.count, self.0.spec.instance_type
        )
    }
}
