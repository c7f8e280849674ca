//! `Catalog`, `InstanceType` and what it is made of.

use std::collections::BTreeMap;

use efa_core as core;
use pyo3::prelude::*;

use crate::argument::{Key, extracted, given, invalid};
use crate::convert::{list, texts, word};
use crate::errors;
use crate::rows::{Rows, Table};
use crate::value::value_class;

value_class! {
    /// One network card of an instance type.
    NetworkCard(core::catalog::NetworkCard) {
        /// Its index.
        network_card_index: u32 = |card| card.network_card_index.get();
        /// Interface types that it takes, such as `efa-only`; None where EC2 does not report it.
        interface_types: Option<Vec<String>> = |card| card.interface_types.as_deref().map(texts);
        /// How many interfaces it holds.
        maximum_network_interfaces: u32 = |card| card.maximum_network_interfaces;
        /// EC2's baseline figure in Gbps. Never sum it over cards.
        baseline_bandwidth_gbps: Option<f64> = |card| card.baseline_bandwidth.map(core::types::Gbps::get);
        /// EC2's peak figure in Gbps. Never sum it over cards.
        peak_bandwidth_gbps: Option<f64> = |card| card.peak_bandwidth.map(core::types::Gbps::get);
        /// EC2's text, such as `100 Gigabit`.
        network_performance: Option<String> = |card| card.network_performance.clone();
    }
    repr = |card| format!(
        "<NetworkCard {} for {} interfaces>",
        card.network_card_index, card.maximum_network_interfaces
    );
}

value_class! {
    /// The GPUs of one kind in an instance.
    Gpu(core::catalog::Gpu) {
        /// Such as `NVIDIA`.
        manufacturer: String = |gpu| gpu.manufacturer.clone();
        /// Such as `H100`.
        name: String = |gpu| gpu.name.clone();
        /// How many.
        count: u32 = |gpu| gpu.count;
        /// Memory of each, in MiB.
        memory_mib: u64 = |gpu| gpu.memory_mib;
    }
    repr = |gpu| format!("<Gpu {} x {} {}>", gpu.count, gpu.manufacturer, gpu.name);
}

value_class! {
    /// The Neuron devices of one kind in an instance.
    NeuronDevice(core::catalog::NeuronDevice) {
        /// Such as `Trainium2`.
        name: String = |device| device.name.clone();
        /// How many.
        count: u32 = |device| device.count;
        /// Neuron cores of each.
        cores: u32 = |device| device.cores;
        /// Memory of each, in MiB.
        memory_mib: u64 = |device| device.memory_mib;
    }
    repr = |device| format!("<NeuronDevice {} x {}>", device.count, device.name);
}

value_class! {
    /// One EC2 instance type: what DescribeInstanceTypes states of it.
    InstanceType(core::InstanceType) {
        /// Such as `p5.48xlarge`.
        name: String = |t| t.name.clone();
        /// The family, such as `p5`.
        family: String = |t| t.family().to_owned();
        /// `snapshot`, `live`, or why the row is kept by hand.
        origin: PyResult<String> = |t| match &t.origin {
            core::catalog::Origin::Override(why) => Ok(why.clone()),
            named => word(named),
        };
        /// Whether AWS counts it among the current generation.
        current_generation: Option<bool> = |t| t.current_generation;
        /// vCPUs by default.
        default_vcpus: u32 = |t| t.default_vcpus;
        /// Physical cores by default, where EC2 reports it.
        default_cores: Option<u32> = |t| t.default_cores;
        /// Memory, in MiB.
        memory_mib: u64 = |t| t.memory_mib;
        /// Memory, in GiB.
        memory_gib: f64 = core::InstanceType::memory_gib;
        /// All disks of the instance store together, in GB; 0 without one, None where EC2 does not
        /// state.
        instance_storage_gb: Option<u64> = |t| t.instance_storage_gb;
        /// Processor architectures, such as `x86_64`.
        architectures: Vec<String> = |t| texts(&t.architectures);
        /// Whether it is a bare metal type.
        bare_metal: bool = |t| t.bare_metal;
        /// Such as `nitro`; None on bare metal.
        hypervisor: Option<String> = |t| t.hypervisor.clone();
        /// GPUs.
        gpus: Vec<Gpu> = |t| list(&t.gpus);
        /// Neuron devices.
        neuron_devices: Vec<NeuronDevice> = |t| list(&t.neuron_devices);
        /// Whether it supports EFA.
        efa_supported: bool = |t| t.efa_supported;
        /// How many EFA interfaces it holds; may be less than the number of cards.
        maximum_efa_interfaces: u32 = |t| t.maximum_efa_interfaces;
        /// All network cards, by index.
        network_cards: Vec<NetworkCard> = |t| list(&t.network_cards);
        /// EC2's text for the whole instance, such as `3200 Gigabit`.
        network_performance: Option<String> = |t| t.network_performance.clone();
        /// The figure in `network_performance`, in Gbps: for EFA and IP together.
        network_bandwidth_gbps: Option<f64> = |t| t.network_bandwidth.map(core::types::Gbps::get);
        /// How many network interfaces it holds, over all cards.
        maximum_network_interfaces: u32 = |t| t.maximum_network_interfaces;
        /// IPv4 addresses that one interface can have.
        ipv4_addresses_per_interface: Option<u32> = |t| t.ipv4_addresses_per_interface;
        /// IPv6 addresses that one interface can have.
        ipv6_addresses_per_interface: Option<u32> = |t| t.ipv6_addresses_per_interface;
        /// Strategies of placement groups that take it.
        placement_strategies: Vec<String> = |t| texts(&t.placement_strategies);
        /// Ways to buy it: `on-demand`, `spot`, `capacity-block`.
        usage_classes: Vec<String> = |t| texts(&t.usage_classes);
        /// Whether it supports ENA Express.
        ena_srd_supported: Option<bool> = |t| t.ena_srd_supported;
        /// Whether its EFA can read remote memory: `yes`, `no` or `unknown`.
        rdma_read: String = |t| t.rdma_read.to_string();
        /// Whether its EFA can write remote memory: `yes`, `no` or `unknown`.
        rdma_write: String = |t| t.rdma_write.to_string();
        /// Whether a cluster placement group takes it.
        supports_cluster_placement: bool = core::InstanceType::supports_cluster_placement;
        /// Whether it can be bought as spot.
        supports_spot: bool = core::InstanceType::supports_spot;
        /// Whether it can be bought as a Capacity Block.
        supports_capacity_block: bool = core::InstanceType::supports_capacity_block;
    }
    repr = |t| format!(
        "InstanceType('{}', efa={}, cards={}, vcpus={})",
        t.name,
        t.maximum_efa_interfaces,
        t.network_cards.len(),
        t.default_vcpus
    );
    str = |t| t.name.clone();
    html = core::InstanceType::to_html;
}

#[pymethods]
impl InstanceType {
    /// Returns the network cards and what they take, for a terminal.
    fn draw(&self) -> String {
        self.0.draw()
    }
}

value_class! {
    /// Instance types with EFA, sorted by family and then by size.
    Catalog(core::Catalog) {
        /// Where the rows come from: `source`, `date`, `script`, `sha256`.
        source: BTreeMap<&'static str, Option<String>> = |catalog| {
            let source = catalog.source();
            [
                ("source", Some(source.source.clone())),
                ("date", source.date.clone()),
                ("script", source.script.clone()),
                ("sha256", source.sha256.clone()),
            ]
            .into()
        };
    }
    repr = |catalog| format!(
        "<Catalog of {} types from {}>",
        catalog.len(),
        catalog.source().source
    );
    html = core::Catalog::to_html;
}

#[pymethods]
impl Catalog {
    /// Returns the catalog inside the package: every EFA type of a DescribeInstanceTypes snapshot,
    /// and rows kept by hand for types that it lacks. Reads no file and calls nothing.
    #[staticmethod]
    fn bundled() -> Self {
        Self(core::Catalog::bundled().clone())
    }

    /// Returns the types for which every condition holds, sorted.
    ///
    /// name: EC2 wildcards (`*`, `?`) in any case, any of several. architecture: `x86_64` or
    /// `arm64`. minimum_gpus, minimum_vcpus, minimum_efa_interfaces: at least this many in the
    /// instance; minimum_memory_mib: in MiB. cluster_placement, capacity_block, spot, bare_metal:
    /// whether it has or can be that, either way when None. gpu_name: wildcards, any case.
    /// minimum_network_bandwidth_gbps: Gbit/s of the whole instance. zone: needs a live catalog
    /// (`Client.catalog()`).
    ///
    /// Every condition is left out by default, when None. Raises CatalogError for a malformed
    /// pattern, a word that is not one of EC2's architectures, or a zone on a catalog without
    /// offerings.
    ///
    /// >>> import efa_sdk as efa
    /// >>> efa.Catalog.bundled().find(name="p5*", minimum_efa_interfaces=32)[0].name
    /// 'p5.48xlarge'
    #[pyo3(signature = (
        *, name: "str | Sequence[str] | None" = None,
        architecture: "choices.Architecture | None" = None, gpu_name: "str | None" = None,
        minimum_gpus: "int | None" = None, minimum_vcpus: "int | None" = None,
        minimum_memory_mib: "int | None" = None, minimum_efa_interfaces: "int | None" = None,
        minimum_network_bandwidth_gbps: "float | None" = None,
        cluster_placement: "bool | None" = None, capacity_block: "bool | None" = None,
        spot: "bool | None" = None, bare_metal: "bool | None" = None, zone: "str | None" = None
    ))]
    #[allow(clippy::too_many_arguments)] // each is a keyword of its own
    fn find(
        &self,
        #[pyo3(from_py_with = given)] name: Option<Names>,
        #[pyo3(from_py_with = given)] architecture: Option<&str>,
        #[pyo3(from_py_with = given)] gpu_name: Option<String>,
        #[pyo3(from_py_with = given)] minimum_gpus: Option<u32>,
        #[pyo3(from_py_with = given)] minimum_vcpus: Option<u32>,
        #[pyo3(from_py_with = given)] minimum_memory_mib: Option<u64>,
        #[pyo3(from_py_with = given)] minimum_efa_interfaces: Option<u32>,
        #[pyo3(from_py_with = given)] minimum_network_bandwidth_gbps: Option<f64>,
        #[pyo3(from_py_with = given)] cluster_placement: Option<bool>,
        #[pyo3(from_py_with = given)] capacity_block: Option<bool>,
        #[pyo3(from_py_with = given)] spot: Option<bool>,
        #[pyo3(from_py_with = given)] bare_metal: Option<bool>,
        #[pyo3(from_py_with = given)] zone: Option<String>,
    ) -> PyResult<Rows<InstanceType>> {
        let mut query = core::catalog::Query::default();
        query.names = name.map(Names::into_vec).transpose()?.unwrap_or_default();
        query.architecture = architecture.map(core::types::Architecture::from);
        query.gpu_name = gpu_name;
        query.minimum_gpus = minimum_gpus;
        query.minimum_vcpus = minimum_vcpus;
        query.minimum_memory_mib = minimum_memory_mib;
        query.minimum_efa_interfaces = minimum_efa_interfaces;
        query.minimum_network_bandwidth = minimum_network_bandwidth_gbps.map(gbps).transpose()?;
        query.cluster_placement = cluster_placement;
        query.capacity_block = capacity_block;
        query.spot = spot;
        query.bare_metal = bare_metal;
        query.zone = zone;
        let found = self.0.find(&query).map_err(errors::exception)?;
        Ok(found.into_iter().cloned().map(InstanceType).collect())
    }

    /// Returns all types with all fields, as a pandas.DataFrame with a row per type. Memory is in
    /// MiB, bandwidth in Gbps. Raises MissingExtraError without pandas.
    #[pyo3(signature = () -> "typing.Any")]
    fn to_pandas<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let types = self.0.iter().cloned().map(InstanceType);
        let rows = types.collect::<Rows<_>>().into_pyobject(py)?;
        rows.call_method0("to_pandas")
    }

    /// Returns the type of this `name`, or None.
    #[pyo3(signature = (name: "str"))]
    fn get(&self, #[pyo3(from_py_with = given)] name: &str) -> Option<InstanceType> {
        self.0.get(name).cloned().map(InstanceType)
    }

    /// Returns the names of all types, sorted.
    fn names(&self) -> Vec<String> {
        self.0.iter().map(|t| t.name.clone()).collect()
    }

    /// Returns the zones that offer an instance_type, sorted; None where the catalog does not know
    /// them: the bundled one never does, a live one knows those of its own types.
    #[pyo3(signature = (instance_type: "str"))]
    fn zones(&self, #[pyo3(from_py_with = given)] instance_type: &str) -> Option<Vec<String>> {
        self.0.zones(instance_type).map(|zones| texts(&zones))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __contains__(&self, name: Key<'_>) -> bool {
        self.0.contains(name.0)
    }

    fn __getitem__(&self, name: Key<'_>) -> PyResult<InstanceType> {
        self.0
            .require(name.0)
            .cloned()
            .map(InstanceType)
            .map_err(errors::exception)
    }

    fn __iter__(&self) -> InstanceTypes {
        InstanceTypes(self.0.iter().cloned().collect::<Vec<_>>().into_iter())
    }
}

/// An iterator over the types of a catalog.
#[pyclass(module = "efa_sdk._efa_sdk")]
pub(crate) struct InstanceTypes(std::vec::IntoIter<core::InstanceType>);

#[pymethods]
impl InstanceTypes {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&mut self) -> Option<InstanceType> {
        self.0.next().map(InstanceType)
    }
}

/// One name pattern or several.
#[derive(FromPyObject)]
enum Names {
    One(String),
    Many(Vec<String>),
}

extracted! {
    Names: "a str or a list of str";
}

impl Names {
    fn into_vec(self) -> PyResult<Vec<String>> {
        match self {
            Self::One(name) => Ok(vec![name]),
            Self::Many(names) if names.is_empty() => Err(invalid(
                "name",
                &"[]",
                "must have a pattern; None takes every type",
            )),
            Self::Many(names) => Ok(names),
        }
    }
}

fn gbps(value: f64) -> PyResult<core::types::Gbps> {
    core::types::Gbps::new(value).ok_or_else(|| {
        invalid(
            "minimum_network_bandwidth_gbps",
            &value,
            "must be a finite number of Gbps, 0 or more",
        )
    })
}

/// Returns a table of `types`: vCPUs, cores, memory in GiB, EFA interfaces, network cards, Gbps.
/// A str that terminals and notebooks show as a table.
#[pyfunction]
#[pyo3(signature = (types: "Sequence[InstanceType]"))]
pub(crate) fn instance_type_table(#[pyo3(from_py_with = given)] types: Vec<InstanceType>) -> Table {
    let types: Vec<&core::InstanceType> = types.iter().map(|t| &t.0).collect();
    Table {
        text: core::catalog::instance_type_table(&types),
        html: core::catalog::instance_type_html(types),
    }
}
