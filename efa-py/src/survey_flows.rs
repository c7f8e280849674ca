//! Collective patterns of surveys: what nodes do in a step, and what they saw.

use std::collections::BTreeMap;

use efa_fabric::survey_run as runs;
use pyo3::prelude::*;

use crate::argument::{extracted, given};
use crate::exchange::Exchange;
use crate::fabric::{Library, library, on_thread};
use crate::pair_options::PairOptions;
use crate::runtime::{awaitable, block_on};
use crate::value::value_class;

extracted! {
    BTreeMap<usize, f64>: "a dict of int to a number";
    BTreeMap<usize, SurveyFlowSights>: "a dict of int to SurveyFlowSights";
}

fn peers(ends: &[runs::FlowEnd]) -> Vec<usize> {
    ends.iter().map(|end| end.peer).collect()
}

value_class! {
    /// The task of one node in one step of a pattern, all of it at the same time. What it leaves for
    /// another on the exchange lies under keys that end in `/to/` and the other's number.
    SurveyFlowTask(runs::FlowTask) {
        /// Distinguishes this step from all others on the exchange.
        name: String = |task| task.name.clone();
        /// The node that this is for, by number.
        node: usize = |task| task.node;
        /// The node that states when to begin, by number.
        lead: usize = |task| task.lead;
        /// The nodes that it sends to, by number.
        sends_to: Vec<usize> = |task| peers(&task.sends);
        /// The nodes that it receives from, by number.
        receives_from: Vec<usize> = |task| peers(&task.receives);
    }
    repr = |task| format!(
        "<SurveyFlowTask of node {}: {} sent, {} received>",
        task.node,
        task.sends.len(),
        task.receives.len()
    );
}

value_class! {
    /// The view of one node on a step.
    SurveyFlowSights(runs::FlowSights) {
        /// Rates in Gbit/s by the number of the receiving node; None where the flow failed.
        sent: Vec<(usize, Option<f64>)> = |sights| {
            sights.sent.iter().map(|sight| (sight.peer, sight.gbps)).collect()
        };
        /// The code of the error for which the node took no part; None where it did.
        error: Option<String> = |sights| sights.error.clone();
    }
    repr = |sights| format!("<SurveyFlowSights of {} flows>", sights.sent.len());
}

#[pymethods]
impl SurveyFlowSights {
    /// Creates it from rates: in Gbit/s, by the number of the receiving node, for drivers that measure by themselves.
    #[staticmethod]
    #[pyo3(signature = (rates: "dict[int, float]"))]
    fn measured(#[pyo3(from_py_with = given)] rates: BTreeMap<usize, f64>) -> Self {
        Self(runs::FlowSights::measured(rates))
    }

    /// Creates a node that took no part, with the code of the error.
    #[staticmethod]
    #[pyo3(signature = (code: "str"))]
    fn failed(#[pyo3(from_py_with = given)] code: &str) -> Self {
        Self(runs::FlowSights::failed(code))
    }
}

fn flows(
    exchange: Exchange,
    task: SurveyFlowTask,
    options: PairOptions,
    given: Option<&Library>,
) -> PyResult<impl Future<Output = PyResult<SurveyFlowSights>> + Send + use<>> {
    let (mut exchange, library) = (exchange.open()?, library(given)?);
    Ok(async move {
        let sights = on_thread(move |interrupt| {
            runs::run_flows(&library, exchange.as_mut(), &task.0, &options.0, interrupt)
        });
        sights.await.map(SurveyFlowSights)
    })
}

/// Sends and receives all flows of a step at the same time, together with its other nodes, each of
/// which calls this with the task that `SurveyPlan.next_flows` gave for it. exchange: as for
/// `survey_pair`. options: what is measured. library: the libfabric to use; the first that
/// `fabric.Library()` finds when None. What fails is part of
/// the answer.
#[pyfunction]
#[pyo3(signature = (
    exchange: "str | os.PathLike[str] | efa_sdk.fabric.Exchange", task: "SurveyFlowTask",
    options: "PairOptions", *, library: "Library | None" = None
))]
pub(crate) fn survey_flows(
    py: Python<'_>,
    #[pyo3(from_py_with = given)] exchange: Exchange,
    #[pyo3(from_py_with = given)] task: SurveyFlowTask,
    #[pyo3(from_py_with = given)] options: PairOptions,
    #[pyo3(from_py_with = given)] library: Option<&Library>,
) -> PyResult<SurveyFlowSights> {
    block_on(py, flows(exchange, task, options, library)?)
}

/// Does the same as `survey_flows`, as an awaitable.
#[pyfunction]
#[pyo3(signature = (
    exchange: "str | os.PathLike[str] | efa_sdk.fabric.Exchange", task: "SurveyFlowTask",
    options: "PairOptions", *, library: "Library | None" = None
) -> "collections.abc.Awaitable[SurveyFlowSights]")]
pub(crate) fn survey_flows_async<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = given)] exchange: Exchange,
    #[pyo3(from_py_with = given)] task: SurveyFlowTask,
    #[pyo3(from_py_with = given)] options: PairOptions,
    #[pyo3(from_py_with = given)] library: Option<&Library>,
) -> PyResult<Bound<'py, PyAny>> {
    awaitable(py, flows(exchange, task, options, library)?)
}
