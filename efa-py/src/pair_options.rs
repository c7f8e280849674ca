//! What is measured between the two nodes of a pair, as a value.

use efa_fabric::survey_run as runs;
use pyo3::prelude::*;

use crate::argument::given;
use crate::convert::{list, seconds};
use crate::errors;
use crate::rails::Rail;
use crate::value::value_class;

value_class! {
    /// Options of a pair: what to measure between its two nodes, and within which time.
    ///
    /// provider: such as `efa` or `tcp`. rails: with two or more, rates are measured on all of them
    /// at the same time, each and together; both nodes must give as many. latency_bytes,
    /// message_bytes: of the messages for latency and for rates. test_budget_s: seconds for latency
    /// and for the rate in each direction. connect_timeout_s: seconds to reach the other node.
    /// deadline_s: seconds for the whole pair. domain: of libfabric, any of the provider when None.
    /// source_address: a numeric local address; the provider's choice when None.
    PairOptions(runs::PairOptions) {
        /// The provider.
        provider: String = |o| o.endpoint.provider.clone();
        /// The domain by name.
        domain: Option<String> = |o| o.endpoint.domain.clone();
        /// The local address.
        source_address: Option<String> = |o| o.endpoint.source_address.clone();
        /// The rails of this node by number.
        rails: Vec<Rail> = |o| list(&o.rails);
        /// Bytes of the messages for latency.
        latency_bytes: usize = |o| o.latency_bytes;
        /// Bytes of the messages for rates.
        message_bytes: usize = |o| o.message_bytes;
        /// Seconds for each measurement.
        test_budget_s: f64 = |o| o.test_budget.as_secs_f64();
        /// Seconds to reach the other node.
        connect_timeout_s: f64 = |o| o.connect_timeout.as_secs_f64();
        /// Seconds for the whole pair.
        deadline_s: f64 = |o| o.deadline.as_secs_f64();
    }
    repr = |o| format!("PairOptions('{}')", o.endpoint.provider);
}

#[pymethods]
impl PairOptions {
    #[new]
    #[pyo3(signature = (
        provider: "str", *, domain: "str | None" = None, source_address: "str | None" = None,
        rails: "Sequence[Rail]" = vec![], latency_bytes: "int" = 64,
        message_bytes: "int" = 1_048_576, test_budget_s: "float" = 0.2,
        connect_timeout_s: "float" = 10.0, deadline_s: "float" = 30.0
    ))]
    #[allow(clippy::too_many_arguments)] // each is a keyword of its own
    fn new(
        #[pyo3(from_py_with = given)] provider: String,
        #[pyo3(from_py_with = given)] domain: Option<String>,
        #[pyo3(from_py_with = given)] source_address: Option<String>,
        #[pyo3(from_py_with = given)] rails: Vec<Rail>,
        #[pyo3(from_py_with = given)] latency_bytes: usize,
        #[pyo3(from_py_with = given)] message_bytes: usize,
        #[pyo3(from_py_with = given)] test_budget_s: f64,
        #[pyo3(from_py_with = given)] connect_timeout_s: f64,
        #[pyo3(from_py_with = given)] deadline_s: f64,
    ) -> PyResult<Self> {
        let mut options = runs::PairOptions::new(provider);
        options.endpoint.domain = domain;
        options.endpoint.source_address = source_address;
        options.rails = rails.into_iter().map(|rail| rail.0).collect();
        options.latency_bytes = latency_bytes;
        options.message_bytes = message_bytes;
        options.test_budget = seconds("test_budget_s", test_budget_s)?;
        options.connect_timeout = seconds("connect_timeout_s", connect_timeout_s)?;
        options.deadline = seconds("deadline_s", deadline_s)?;
        options.check().map_err(errors::exception)?;
        Ok(Self(options))
    }

    /// Returns the same on the first `count` rails.
    #[pyo3(signature = (count: "int"))]
    fn with_rails(&self, #[pyo3(from_py_with = given)] count: usize) -> Self {
        Self(self.0.clone().with_rails(count))
    }

    /// Returns the same within a round that may take `round_deadline_s` seconds. Raises FabricError
    /// where what is measured does not fit into three quarters of that.
    #[pyo3(signature = (round_deadline_s: "float"))]
    fn within(&self, #[pyo3(from_py_with = given)] round_deadline_s: f64) -> PyResult<Self> {
        let round = seconds("round_deadline_s", round_deadline_s)?;
        let options = self.0.clone().within(round);
        options.check().map_err(errors::exception)?;
        Ok(Self(options))
    }
}
