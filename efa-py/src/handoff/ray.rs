//! `Plan.to_ray_yaml`.

use efa_core as core;
use pyo3::prelude::*;

use crate::argument::given;
use crate::errors;
use crate::plan::Plan;

#[pymethods]
impl Plan {
    /// Returns a Ray cluster YAML for `ray up`: a head without EFA in the plan's subnet and
    /// security group, and one worker type with the plan's interfaces, named after the instance
    /// type. A worker runs the plan's bootstrap (the verified EFA installer) and the doctor before
    /// it joins. `ray down` removes the nodes, then `Client.destroy` what `Client.prepare` made.
    ///
    /// head_instance_type: `m7i.xlarge` (`m7g.xlarge` for arm64) when None. head_image,
    /// head_subnet: ids; the plan's when None. head_instance_profile: Ray makes one that may do
    /// everything in EC2 and S3 when None. min_workers, max_workers: the plan's minimum count and
    /// count when None. idle_timeout_minutes: for workers above the minimum. ssh_user: `ubuntu`
    /// or `ec2-user` by the image when None. ssh_private_key: path of the key of the plan's
    /// key_name; Ray makes a key pair when None. ray_version: on every node; the tested one when
    /// None. python_packages: what else pip installs on every node. efa_sdk: what pip installs
    /// for the doctor: a URL, or a requirement that efa_sdk_index, the URL of a package index, has.
    /// efa_sdk_wheel: path of a wheel here, which Ray copies to the nodes instead. One of the three
    /// is needed: efa-sdk is not on PyPI.
    ///
    /// Raises HandoffError when a group or profile does not exist yet (see `Client.prepare`), for
    /// a plan with Elastic IPs, and for options that Ray would refuse.
    #[pyo3(signature = (
        *, head_instance_type: "str | None" = None, head_image: "str | None" = None,
        head_subnet: "str | None" = None, head_instance_profile: "str | None" = None,
        min_workers: "int | None" = None, max_workers: "int | None" = None,
        idle_timeout_minutes: "int" = 5, ssh_user: "str | None" = None,
        ssh_private_key: "str | None" = None, ray_version: "str | None" = None,
        python_packages: "Sequence[str]" = Vec::new(),
        efa_sdk: "str | None" = None, efa_sdk_wheel: "str | None" = None,
        efa_sdk_index: "str | None" = None
    ))]
    #[allow(clippy::too_many_arguments)] // each is a keyword of its own
    fn to_ray_yaml(
        &self,
        #[pyo3(from_py_with = given)] head_instance_type: Option<String>,
        #[pyo3(from_py_with = given)] head_image: Option<String>,
        #[pyo3(from_py_with = given)] head_subnet: Option<String>,
        #[pyo3(from_py_with = given)] head_instance_profile: Option<String>,
        #[pyo3(from_py_with = given)] min_workers: Option<u32>,
        #[pyo3(from_py_with = given)] max_workers: Option<u32>,
        #[pyo3(from_py_with = given)] idle_timeout_minutes: u32,
        #[pyo3(from_py_with = given)] ssh_user: Option<String>,
        #[pyo3(from_py_with = given)] ssh_private_key: Option<String>,
        #[pyo3(from_py_with = given)] ray_version: Option<String>,
        #[pyo3(from_py_with = given)] python_packages: Vec<String>,
        #[pyo3(from_py_with = given)] efa_sdk: Option<String>,
        #[pyo3(from_py_with = given)] efa_sdk_wheel: Option<String>,
        #[pyo3(from_py_with = given)] efa_sdk_index: Option<String>,
    ) -> PyResult<String> {
        let mut options = core::handoff::RayClusterOptions::default();
        options.head_instance_type = head_instance_type;
        options.head_image = head_image;
        options.head_subnet = head_subnet;
        options.head_instance_profile = head_instance_profile;
        options.min_workers = min_workers;
        options.max_workers = max_workers;
        options.idle_timeout_minutes = idle_timeout_minutes;
        options.ssh_user = ssh_user;
        options.ssh_private_key = ssh_private_key;
        options.python_packages = python_packages;
        options.efa_sdk_wheel = efa_sdk_wheel;
        if let Some(version) = ray_version {
            options.ray_version = version;
        }
        options.efa_sdk = efa_sdk;
        options.efa_sdk_index = efa_sdk_index;
        self.0.to_ray_yaml(&options).map_err(errors::exception)
    }
}
