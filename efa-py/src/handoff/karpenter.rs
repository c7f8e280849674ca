//! `Plan.to_karpenter` and `Plan.to_efa_device_plugin_values`.

use efa_core as core;
use pyo3::prelude::*;

use crate::argument::given;
use crate::errors;
use crate::plan::Plan;

#[pymethods]
impl Plan {
    /// Returns Karpenter's manifests as YAML: an EC2NodeClass and a NodePool of one instance type in one
    /// zone, then the workloads, and a NodeOverlay where pods request huge pages.
    ///
    /// role: of the nodes; the plan's instance profile when None. ami_alias: a pinned EKS image
    /// such as `al2023@v20260801`, instead of the plan's image. interfaces: `static` lists them in
    /// the EC2NodeClass, with interface and efa-only in place of efa; `dynamic` leaves them to
    /// Karpenter. workloads: of `pod`, `job` and `ray-cluster`, in order; image: their container
    /// image. name: of the objects. namespace: of the workloads. taint: key of the nodes' taint.
    /// maximum_nodes: the plan's number when None. static_nodes: keep that many nodes, whatever
    /// pods want. huge_pages_mib: MiB of each pod, 0 for none. memory_mib: of each pod, half of the
    /// type's when None.
    ///
    /// Raises HandoffError when a group does not exist yet (see `Client.prepare`), and for what
    /// Karpenter cannot launch.
    #[pyo3(signature = (
        *, role: "str | None" = None, ami_alias: "str | None" = None,
        interfaces: "choices.KarpenterInterfaces" = "static",
        workloads: "Sequence[choices.Workload]" = Vec::new(),
        image: "str | None" = None, name: "str | None" = None, namespace: "str | None" = None,
        taint: "str" = "vpc.amazonaws.com/efa", maximum_nodes: "int | None" = None,
        static_nodes: "bool" = false, huge_pages_mib: "int" = 5120,
        memory_mib: "int | None" = None
    ))]
    #[allow(clippy::too_many_arguments)] // keyword-only in Python
    fn to_karpenter(
        &self,
        #[pyo3(from_py_with = given)] role: Option<String>,
        #[pyo3(from_py_with = given)] ami_alias: Option<String>,
        #[pyo3(from_py_with = given)] interfaces: &str,
        #[pyo3(from_py_with = given)] workloads: Vec<String>,
        #[pyo3(from_py_with = given)] image: Option<String>,
        #[pyo3(from_py_with = given)] name: Option<String>,
        #[pyo3(from_py_with = given)] namespace: Option<String>,
        #[pyo3(from_py_with = given)] taint: &str,
        #[pyo3(from_py_with = given)] maximum_nodes: Option<u32>,
        #[pyo3(from_py_with = given)] static_nodes: bool,
        #[pyo3(from_py_with = given)] huge_pages_mib: u32,
        #[pyo3(from_py_with = given)] memory_mib: Option<u64>,
    ) -> PyResult<String> {
        let mut options = core::handoff::KarpenterOptions::default();
        options.role = role;
        options.ami_alias = ami_alias;
        options.interfaces = interfaces.parse().map_err(errors::exception)?;
        options.workloads = workloads
            .iter()
            .map(|workload| workload.parse().map_err(errors::exception))
            .collect::<PyResult<_>>()?;
        options.image = image;
        options.name = name;
        options.namespace = namespace;
        options.taint = taint.to_owned();
        options.maximum_nodes = maximum_nodes;
        options.static_nodes = static_nodes;
        options.huge_pages_mib = huge_pages_mib;
        options.memory_mib = memory_mib;
        self.0.to_karpenter(&options).map_err(errors::exception)
    }

    /// Returns values for the Helm chart `aws-efa-k8s-device-plugin` as YAML: without the plugin no
    /// node offers `vpc.amazonaws.com/efa`. taint: the key that `to_karpenter` was given.
    ///
    /// Raises HandoffError for a malformed taint.
    #[pyo3(signature = (*, taint: "str" = "vpc.amazonaws.com/efa"))]
    fn to_efa_device_plugin_values(
        &self,
        #[pyo3(from_py_with = given)] taint: &str,
    ) -> PyResult<String> {
        let mut options = core::handoff::KarpenterOptions::default();
        options.taint = taint.to_owned();
        self.0
            .to_efa_device_plugin_values(&options)
            .map_err(errors::exception)
    }
}
