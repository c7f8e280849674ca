//! EFA devices as rails, each measured alone and all together.

use std::collections::BTreeMap;

use efa_fabric as fabric;
use pyo3::prelude::*;

use crate::argument::given;
use crate::choices;
use crate::convert::{list, seconds};
use crate::ending;
use crate::errors;
use crate::fabric::{Library, library, on_thread};
use crate::node::Node;
use crate::rows::{Rows, rows};
use crate::runtime::twins;
use crate::value::value_class;

value_class! {
    /// One network device as a way out of the machine.
    ///
    /// device: such as `rdmap79s0`. provider: of libfabric, `efa` or one that stands in. domain: of
    /// libfabric, any of the provider when None. numa_node: of the card, unknown when None.
    /// expected_gbps: Gbit/s that it should reach in one direction, unknown when None.
    Rail(fabric::rails::Rail) {
        /// The device, such as `rdmap79s0`.
        device: String = |r| r.device.clone();
        /// libfabric's provider.
        provider: String = |r| r.provider.clone();
        /// libfabric's domain.
        domain: Option<String> = |r| r.domain.clone();
        /// The PCI address.
        pci_address: Option<String> = |r| r.pci_address.clone();
        /// The bridge that the device is under.
        pci_group: Option<String> = |r| r.pci_group.clone();
        /// NUMA node of the card.
        numa_node: Option<u32> = |r| r.numa_node;
        /// Gbit/s that it should reach in one direction.
        expected_gbps: Option<f64> = |r| r.expected_gbps;
    }
    repr = |r| format!("<Rail {} of {}>", r.device, r.provider);
}

#[pymethods]
impl Rail {
    #[new]
    #[pyo3(signature = (
        device: "str", provider: "str", *, domain: "str | None" = None,
        numa_node: "int | None" = None, expected_gbps: "float | None" = None
    ))]
    fn new(
        #[pyo3(from_py_with = given)] device: String,
        #[pyo3(from_py_with = given)] provider: String,
        #[pyo3(from_py_with = given)] domain: Option<String>,
        #[pyo3(from_py_with = given)] numa_node: Option<u32>,
        #[pyo3(from_py_with = given)] expected_gbps: Option<f64>,
    ) -> Self {
        let mut rail = fabric::rails::Rail::new(device, provider);
        rail.domain = domain;
        rail.numa_node = numa_node;
        rail.expected_gbps = expected_gbps;
        Self(rail)
    }
}

value_class! {
    /// One measurement of one rail.
    RailMeasure(fabric::rails::Measure) {
        /// The provider as libfabric returned it.
        provider: String = |m| m.provider.clone();
        /// The domain.
        domain: String = |m| m.domain.clone();
        /// Bytes sent in one direction.
        bytes: u64 = |m| m.bytes;
        /// Seconds.
        elapsed_s: f64 = |m| m.elapsed_s;
        /// Gbit/s in one direction.
        gbps: f64 = |m| m.gbps;
        /// Median of half of the round trip of the smallest size, where latency was measured.
        latency_us: Option<f64> = |m| m.latency_us;
        /// Whether the device's counters show the traffic: `proved`, `not_proved`, `unknown`.
        evidence: choices::RailEvidence = |m| m.evidence.as_str().into();
        /// By how much the device's counters grew.
        counter_growth: BTreeMap<String, u64> = |m| m.counter_growth.clone();
    }
    repr = |m| format!("<RailMeasure {:.3} Gbit/s>", m.gbps);
}

value_class! {
    /// The result of one rail.
    RailResult(fabric::rails::RailResult) {
        /// The rail.
        rail: Rail = |r| Rail(r.rail.clone());
        /// Whether its threads ran on the NUMA node of its card.
        is_pinned: bool = |r| matches!(r.pinning, fabric::rails::Pinning::Pinned { .. });
        /// Why they did not.
        not_pinned_because: Option<String> = |r| match &r.pinning {
            fabric::rails::Pinning::NotPinned { reason } => Some(reason.clone()),
            _ => None,
        };
        /// Measured while the other rails were idle.
        alone: Option<RailMeasure> = |r| r.alone.clone().map(RailMeasure);
        /// Measured together with all others.
        together: Option<RailMeasure> = |r| r.together.clone().map(RailMeasure);
        /// The code of the error by which one is missing.
        failure_code: Option<String> = |r| r.failure.as_ref().map(|f| f.code.clone());
        /// That error's text.
        failure: Option<String> = |r| r.failure.as_ref().map(|f| f.message.clone());
    }
    repr = |r| format!("<RailResult of {}>", r.rail.device);
}

value_class! {
    /// All rails of a machine; `str()` is a table.
    RailReport(fabric::rails::Report) {
        /// The libfabric that was used.
        library_path: String = |r| r.library_path.clone();
        /// Its version.
        library_version: String = |r| r.library_version.to_string();
        /// Bytes of each message.
        size: u64 = |r| r.size;
        /// The rails, in the order given.
        rails: Rows<RailResult> = |r| rows(&r.rails);
        /// Gbit/s of all rails, each measured alone, added up; None if one failed.
        sum_gbps: Option<f64> = |r| r.sum_gbps;
        /// Gbit/s of all rails together.
        aggregate_gbps: Option<f64> = |r| r.aggregate_gbps;
        /// Seconds from the first rail's start to the last one's end.
        together_s: Option<f64> = |r| r.together_s;
        /// Gbit/s that all rails together should reach.
        expected_gbps: Option<f64> = |r| r.expected_gbps;
        /// Median Gbit/s of the rails alone.
        median_alone_gbps: Option<f64> = |r| r.median_alone_gbps;
        /// Median Gbit/s of the rails together.
        median_together_gbps: Option<f64> = |r| r.median_together_gbps;
        /// Devices that alone were below 0.9 of the median.
        slow_alone: Vec<String> = |r| r.slow_alone.clone();
        /// Devices that together were below 0.9 of the median.
        slow_together: Vec<String> = |r| r.slow_together.clone();
        /// Whether a provider other than `efa` stood in for it.
        simulated: bool = |r| r.simulated;
        /// How to read the figures, and what they do not show.
        statements: Vec<String> = |r| r.statements.clone();
    }
    repr = |r| format!("<RailReport of {} rails>", r.rails.len());
    str = ToString::to_string;
    html = fabric::rails::Report::to_html;
}

#[pymethods]
impl RailReport {
    /// Returns the rails as a self-contained SVG document: for each one what it reached alone and
    /// together with all others, in Gbit/s, and a mark at what it should reach. Readable on light
    /// and dark pages, without scripts.
    fn to_svg(&self) -> String {
        self.0.to_svg()
    }
}

/// Returns the rails of a machine: every device that libfabric offers as `efa`, with what the
/// inventory (node) knows of it.
///
/// library: the libfabric to use; the first that `fabric.Library()` finds when None.
#[pyfunction]
#[pyo3(signature = (node: "Node", *, library: "Library | None" = None))]
pub(crate) fn rails(
    py: Python<'_>,
    #[pyo3(from_py_with = given)] node: &Node,
    #[pyo3(from_py_with = given)] library: Option<&Library>,
) -> PyResult<Vec<Rail>> {
    let library = self::library(library)?;
    let nics = ending::detach(py, || fabric::nics(&library)).map_err(errors::exception)?;
    let rails = fabric::rails::list(&node.0, &nics);
    Ok(list(&rails))
}

/// Returns one rail for every EFA device of a machine (node), over a provider that stands in for
/// `efa`, such as `tcp`. All rails then share one network.
#[pyfunction]
#[pyo3(signature = (node: "Node", provider: "str"))]
pub(crate) fn simulated_rails(
    #[pyo3(from_py_with = given)] node: &Node,
    #[pyo3(from_py_with = given)] provider: &str,
) -> Vec<Rail> {
    list(&fabric::rails::simulated(&node.0, provider))
}

#[allow(clippy::too_many_arguments)] // each is a keyword of its own
fn probe(
    rails: Vec<Rail>,
    node: &Node,
    sizes: Option<Vec<usize>>,
    latency: bool,
    size_budget_s: f64,
    deadline_s: f64,
    pin: bool,
    together: bool,
    library: Option<&Library>,
) -> PyResult<impl Future<Output = PyResult<RailReport>> + Send + use<>> {
    let mut options = fabric::rails::Options::for_node(&node.0);
    if let Some(sizes) = sizes {
        options.probe.sizes = sizes;
    }
    options.probe.latency = latency;
    options.probe.size_budget = seconds("size_budget_s", size_budget_s)?;
    options.probe.deadline = seconds("deadline_s", deadline_s)?;
    options.pin = pin;
    options.together = together;
    let rails: Vec<fabric::rails::Rail> = rails.into_iter().map(|rail| rail.0).collect();
    let library = self::library(library)?;
    Ok(async move {
        on_thread(move |interrupt| fabric::rails::probe(&library, &rails, &options, interrupt))
            .await
            .map(RailReport)
    })
}

twins! {
    /// Measures each rail alone, one after the other, then all together.
    ///
    /// node: where counters and processors are read. sizes: of messages, in bytes; rails are
    /// compared by the largest. size_budget_s: seconds for each size of each rail, and for all
    /// together. deadline_s: seconds for each rail. latency: whether it is measured as well.
    /// together: whether all rails are measured at once, too. library: the libfabric to use; the
    /// first that `fabric.Library()` finds when None. pin: keep threads to the NUMA node of the
    /// card.
    ///
    /// A rail that fails is in the report with its error. Raises FabricError without rails, or for
    /// options that cannot be.
    probe_rails, probe_rails_async(
        rails: Vec<Rail>,
        node: &Node,
        sizes: Option<Vec<usize>>,
        latency: bool,
        size_budget_s: f64,
        deadline_s: f64,
        pin: bool,
        together: bool,
        library: Option<&Library>,
    ) -> RailReport, "collections.abc.Awaitable[RailReport]";
    signature (
        rails: "Sequence[Rail]", node: "Node", *,
        sizes: "Sequence[int] | None" = None, latency: "bool" = false,
        size_budget_s: "float" = 0.5, deadline_s: "float" = 60.0, pin: "bool" = true,
        together: "bool" = true, library: "Library | None" = None
    );
    |py| probe(
        rails, node, sizes, latency, size_budget_s, deadline_s, pin, together, library,
    )?
}
