//! Surveys: plans, what pairs saw, reports, and ranks that meet over an exchange.

use std::collections::BTreeMap;
use std::sync::Arc;

use efa_fabric as fabric;
use fabric::survey as core;
use fabric::survey_run as runs;
use pyo3::prelude::*;

use crate::argument::{Callback, given};
use crate::convert::{parse, seconds, word};
use crate::errors;
use crate::exchange::Exchange;
use crate::fabric::{Library, library, on_thread, on_thread_until};
use crate::pair_options::PairOptions;
use crate::runtime::{Halt, awaitable, block_on, block_on_until};
use crate::survey_flows::{SurveyFlowSights, SurveyFlowTask};
use crate::survey_options::{SurveyOptions, chosen_options};
use crate::survey_report::{SurveyNode, SurveyReport, SurveySummary};
use crate::value::value_class;

fn measured(sight: &runs::Sight) -> Option<core::Measured> {
    match &sight.outcome {
        core::Outcome::Measured(measured) => Some(*measured),
        core::Outcome::Failed(_) => None,
    }
}

fn failure(sight: &runs::Sight) -> Option<core::Failure> {
    match &sight.outcome {
        core::Outcome::Measured(_) => None,
        core::Outcome::Failed(failure) => Some(failure.clone()),
    }
}

value_class! {
    /// The view of one node of a pair: a measurement, or why there is none.
    PairSight(runs::Sight) {
        /// Whether the pair was measured.
        is_measured: bool = |sight| measured(sight).is_some();
        /// Half of the round trip, in µs.
        latency_us: Option<f64> = |sight| measured(sight).and_then(|m| m.latency_us);
        /// From the node with the lower number to the other, in Gbit/s.
        gbps_low_to_high: Option<f64> = |sight| measured(sight).and_then(|m| m.gbps_a_to_b);
        /// From the node with the higher number to the other, in Gbit/s.
        gbps_high_to_low: Option<f64> = |sight| measured(sight).and_then(|m| m.gbps_b_to_a);
        /// What was going on when it failed: `join`, `open`, `contact`, `latency` or `bandwidth`.
        phase: PyResult<Option<String>> = |sight| failure(sight).map(|f| word(&f.phase)).transpose();
        /// The code of the error.
        code: Option<String> = |sight| failure(sight).map(|f| f.code);
        /// The text of the error.
        message: Option<String> = |sight| sight.message.clone();
        /// What each rail did, by number; empty where there is one only.
        rails: Vec<PairSight> = |sight| sight.rails.iter().map(|o| PairSight(o.clone().into())).collect();
    }
    repr = |sight| match failure(sight) {
        None => "<PairSight measured>".to_owned(),
        Some(failure) => format!("<PairSight failed: {}>", failure.code),
    };
}

#[pymethods]
impl PairSight {
    /// Creates a measurement, for drivers that measure by themselves: latency_us is half of a round
    /// trip in microseconds, gbps_low_to_high and gbps_high_to_low are Gbit/s in each direction.
    #[staticmethod]
    #[pyo3(signature = (latency_us: "float", gbps_low_to_high: "float", gbps_high_to_low: "float"))]
    fn measured(
        #[pyo3(from_py_with = given)] latency_us: f64,
        #[pyo3(from_py_with = given)] gbps_low_to_high: f64,
        #[pyo3(from_py_with = given)] gbps_high_to_low: f64,
    ) -> Self {
        Self(runs::Sight::measured(core::Measured::new(
            latency_us,
            gbps_low_to_high,
            gbps_high_to_low,
        )))
    }

    /// Returns a failure in a `phase` with an error's `code` and text (`message`), `after_s`
    /// seconds after the start.
    #[staticmethod]
    #[pyo3(signature = (
        phase: "choices.Phase", code: "str", after_s: "float", message: "str"
    ))]
    fn failed(
        #[pyo3(from_py_with = given)] phase: &str,
        #[pyo3(from_py_with = given)] code: &str,
        #[pyo3(from_py_with = given)] after_s: f64,
        #[pyo3(from_py_with = given)] message: String,
    ) -> PyResult<Self> {
        let phase = parse("phase", phase)?;
        Ok(Self(runs::Sight::failed(phase, code, after_s, message)))
    }
}

value_class! {
    /// The progress of a survey.
    SurveyProgress(runs::Progress) {
        /// Rounds that are done.
        rounds: usize = |p| p.rounds;
        /// Rounds that the survey has at least, by what is known now; suspects take more.
        base_rounds: usize = |p| p.base_rounds;
        /// Rounds as they were planned first; `base_rounds` is more where those are repeated or go on.
        planned_rounds: usize = |p| p.planned_rounds;
        /// Whether nothing is left to measure.
        over: bool = |p| p.over;
        /// Pairs that are done, measured or not.
        pairs: usize = |p| p.pairs;
        /// Pairs that failed.
        failed: usize = |p| p.failed;
        /// Nodes that gave no answer, by name.
        silent: Vec<String> = |p| p.silent.clone();
        /// Nodes that are suspected so far, by name.
        suspects: Vec<String> = |p| p.suspects.clone();
        /// Seconds since the survey began.
        elapsed_s: f64 = |p| p.elapsed_s;
    }
    repr = |p| format!("<SurveyProgress {p}>");
    str = ToString::to_string;
}

/// A survey that is driven by the caller: which pairs to measure next, and what came of it.
///
/// nodes: in the order of their numbers. provider: of libfabric, such as `efa`.
///
/// options: a SurveyOptions with every setting; mode, seed, labels, expected_gbps and
/// expected_rail_gbps (Gbit/s) are the same as there, for callers that need no others. Raises FabricError
/// with the code `fabric.invalid_option` for both at once, and for labels that are not one for
/// each node.
#[pyclass(module = "efa_sdk._efa_sdk")]
pub(crate) struct SurveyPlan(runs::Survey);

#[pymethods]
impl SurveyPlan {
    #[new]
    #[pyo3(signature = (
        nodes: "Sequence[SurveyNode]", provider: "str", *,
        mode: "choices.SurveyMode" = "full", seed: "int" = 0,
        labels: "Sequence[str] | None" = None,
        expected_gbps: "float | None" = None, expected_rail_gbps: "float | None" = None,
        options: "SurveyOptions | None" = None
    ))]
    #[allow(clippy::too_many_arguments)] // each is a keyword of its own
    fn new(
        #[pyo3(from_py_with = given)] nodes: Vec<SurveyNode>,
        #[pyo3(from_py_with = given)] provider: String,
        #[pyo3(from_py_with = given)] mode: &str,
        #[pyo3(from_py_with = given)] seed: u64,
        #[pyo3(from_py_with = given)] labels: Option<Vec<String>>,
        #[pyo3(from_py_with = given)] expected_gbps: Option<f64>,
        #[pyo3(from_py_with = given)] expected_rail_gbps: Option<f64>,
        #[pyo3(from_py_with = given)] options: Option<SurveyOptions>,
    ) -> PyResult<Self> {
        let nodes = nodes.into_iter().map(|node| node.0).collect();
        let options = chosen_options(
            options,
            mode,
            seed,
            labels,
            expected_gbps,
            expected_rail_gbps,
        )?;
        runs::Survey::new(nodes, provider, options.0)
            .map(Self)
            .map_err(errors::exception)
    }

    /// The nodes, by number; names that came twice have got a number.
    #[getter]
    fn nodes(&self) -> Vec<SurveyNode> {
        self.0.nodes().iter().cloned().map(SurveyNode).collect()
    }

    /// Returns rails that a pair is measured on: as many as both nodes have.
    #[pyo3(signature = (pair: "tuple[int, int]"))]
    fn rails_of(&self, #[pyo3(from_py_with = given)] pair: (usize, usize)) -> usize {
        self.0.rails_of(pair)
    }

    /// The number of the current round.
    #[getter]
    fn round(&self) -> Option<usize> {
        self.0.round()
    }

    /// Returns the pairs of node numbers to measure next, all at the same time; None when it is
    /// over.
    fn next(&mut self) -> Option<Vec<(usize, usize)>> {
        self.0.next_pairs()
    }

    /// Which time the pairs of the current round are measured: 0, or 1 for those that gave no
    /// answer. Names of pairs need it.
    #[getter]
    fn attempt(&self) -> usize {
        self.0.attempt()
    }

    /// States that a node is gone: it is in no further pair.
    #[pyo3(signature = (node: "int"))]
    fn lost(&mut self, #[pyo3(from_py_with = given)] node: usize) {
        self.0.lost(node);
    }

    /// States that a node takes no part, with an error's code and a sentence (why) with the cure: it
    /// never joined, or its set-up keeps it from measuring. That is no evidence against it.
    #[pyo3(signature = (node: "int", code: "str", why: "str"))]
    fn absent(
        &mut self,
        #[pyo3(from_py_with = given)] node: usize,
        #[pyo3(from_py_with = given)] code: &str,
        #[pyo3(from_py_with = given)] why: String,
    ) {
        self.0.absent(node, code, why);
    }

    /// Returns whether the node still answers, to current knowledge.
    #[pyo3(signature = (node: "int"))]
    fn answers(&self, #[pyo3(from_py_with = given)] node: usize) -> bool {
        self.0.answers(node)
    }

    /// Takes what the two nodes of a pair saw (low, high), None for one that gave no answer,
    /// after_s seconds after the start of the round. Such a pair comes once more from `next()`, and
    /// a node that gives no answer then is lost.
    #[pyo3(signature = (
        pair: "tuple[int, int]", low: "PairSight | None", high: "PairSight | None", *,
        after_s: "float" = 0.0
    ))]
    fn record(
        &mut self,
        #[pyo3(from_py_with = given)] pair: (usize, usize),
        #[pyo3(from_py_with = given)] low: Option<PairSight>,
        #[pyo3(from_py_with = given)] high: Option<PairSight>,
        #[pyo3(from_py_with = given)] after_s: f64,
    ) -> PyResult<()> {
        self.0
            .record(pair, low.map(|s| s.0), high.map(|s| s.0), after_s)
            .map_err(errors::exception)
    }

    /// Returns, when the pairs are over, what nodes do next, all at the same time, to carry out the
    /// patterns that the options name; a task for each node that takes part, for `survey_flows`
    /// there. None when all were carried out. name: of the survey.
    #[pyo3(signature = (name: "str"))]
    fn next_flows(
        &mut self,
        #[pyo3(from_py_with = given)] name: &str,
    ) -> Option<Vec<SurveyFlowTask>> {
        let tasks = self.0.next_flows(name)?;
        Some(tasks.into_iter().map(SurveyFlowTask).collect())
    }

    /// Takes the sights of the current step's nodes, by number, after_s seconds after its start. A
    /// node that is not there gave no answer: the step comes once more from `next_flows()`, and a
    /// node that gives none then is lost.
    #[pyo3(signature = (sights: "dict[int, SurveyFlowSights]", *, after_s: "float" = 0.0))]
    fn record_flows(
        &mut self,
        #[pyo3(from_py_with = given)] sights: BTreeMap<usize, SurveyFlowSights>,
        #[pyo3(from_py_with = given)] after_s: f64,
    ) -> PyResult<()> {
        let sights = sights.into_iter().map(|(node, of)| (node, of.0)).collect();
        self.0
            .record_flows(sights, after_s)
            .map_err(errors::exception)
    }

    /// Returns how far the survey is. elapsed_s: seconds since its start, which only the caller
    /// knows.
    #[pyo3(signature = (*, elapsed_s: "float" = 0.0))]
    fn progress(&self, #[pyo3(from_py_with = given)] elapsed_s: f64) -> SurveyProgress {
        SurveyProgress(self.0.progress(elapsed_s))
    }

    /// Returns what is known so far. The plan has no clock: elapsed_s is how long it took, and
    /// finished_unix_s when it ended, in seconds since 1970 (`time.time()`).
    #[pyo3(signature = (*, elapsed_s: "float" = 0.0, finished_unix_s: "int | None" = None))]
    fn report(
        &self,
        #[pyo3(from_py_with = given)] elapsed_s: f64,
        #[pyo3(from_py_with = given)] finished_unix_s: Option<u64>,
    ) -> SurveyReport {
        let report = self.0.report(elapsed_s);
        SurveyReport(match finished_unix_s {
            Some(at) => report.finished(at),
            None => report,
        })
    }
}

fn pair(
    exchange: Exchange,
    name: String,
    side: &str,
    options: PairOptions,
    given: Option<&Library>,
) -> PyResult<impl Future<Output = PyResult<PairSight>> + Send + use<>> {
    let side: runs::Side = parse("side", side)?;
    let (mut exchange, library) = (exchange.open()?, library(given)?);
    Ok(async move {
        let sight = on_thread(move |interrupt| {
            runs::probe_pair(
                &library,
                exchange.as_mut(),
                &name,
                side,
                &options.0,
                interrupt,
            )
        });
        sight.await.map(PairSight)
    })
}

/// Measures latency and both directions with the node that calls this with the other side, the
/// same exchange and the same name. side: `low` or `high`. What fails is part of the answer.
///
/// options: what is measured. library: the libfabric to use; the first that `fabric.Library()`
/// finds when None.
#[pyfunction]
#[pyo3(signature = (
    exchange: "str | os.PathLike[str] | efa_sdk.fabric.Exchange", name: "str",
    side: "choices.Side", options: "PairOptions", *, library: "Library | None" = None
))]
pub(crate) fn survey_pair(
    py: Python<'_>,
    #[pyo3(from_py_with = given)] exchange: Exchange,
    #[pyo3(from_py_with = given)] name: String,
    #[pyo3(from_py_with = given)] side: &str,
    #[pyo3(from_py_with = given)] options: PairOptions,
    #[pyo3(from_py_with = given)] library: Option<&Library>,
) -> PyResult<PairSight> {
    block_on(py, pair(exchange, name, side, options, library)?)
}

/// Does the same as `survey_pair`, as an awaitable.
#[pyfunction]
#[pyo3(signature = (
    exchange: "str | os.PathLike[str] | efa_sdk.fabric.Exchange", name: "str",
    side: "choices.Side", options: "PairOptions", *, library: "Library | None" = None
) -> "collections.abc.Awaitable[PairSight]")]
pub(crate) fn survey_pair_async<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = given)] exchange: Exchange,
    #[pyo3(from_py_with = given)] name: String,
    #[pyo3(from_py_with = given)] side: &str,
    #[pyo3(from_py_with = given)] options: PairOptions,
    #[pyo3(from_py_with = given)] library: Option<&Library>,
) -> PyResult<Bound<'py, PyAny>> {
    awaitable(py, pair(exchange, name, side, options, library)?)
}

/// What a rank gets: rank 0 the report, the others what it comes to.
#[derive(IntoPyObject)]
#[allow(clippy::large_enum_variant)] // lives for one call
pub(crate) enum Surveyed {
    Report(SurveyReport),
    Summary(SurveySummary),
}

impl From<runs::Surveyed> for Surveyed {
    fn from(surveyed: runs::Surveyed) -> Self {
        match surveyed {
            runs::Surveyed::Report(report) => Self::Report(SurveyReport(*report)),
            runs::Surveyed::Summary(summary) => Self::Summary(SurveySummary(*summary)),
        }
    }
}

/// Everything that a rank needs, from keywords.
struct RankCall {
    exchange: Exchange,
    name: String,
    rank: usize,
    world_size: usize,
    options: runs::RankOptions,
    progress: Option<Py<PyAny>>,
}

fn rank_call(
    call: RankCall,
    given: Option<&Library>,
    halt: Arc<Halt>,
) -> PyResult<impl Future<Output = PyResult<Surveyed>> + Send + use<>> {
    let library = library(given)?;
    let mut exchange = call.exchange.open()?;
    let (name, rank, world_size, options) = (call.name, call.rank, call.world_size, call.options);
    let progress = call.progress;
    Ok(async move {
        let report = on_thread_until(halt, move |interrupt| {
            let meeting = runs::Rendezvous {
                exchange: exchange.as_mut(),
                rank,
                world_size,
                name: &name,
            };
            let mut tell = |state: &runs::Progress| {
                if let Some(progress) = &progress {
                    Python::attach(|py| {
                        let notified = progress.call1(py, (SurveyProgress(state.clone()),));
                        if let Err(error) = notified {
                            // It is not what the survey is for.
                            error.write_unraisable(py, None);
                        }
                    });
                }
            };
            runs::run_rank(&library, meeting, &options, interrupt, &mut tell)
        });
        report.await.map(Surveyed::from)
    })
}

fn rank_options(
    node: SurveyNode,
    pair: PairOptions,
    options: SurveyOptions,
    join_deadline_s: f64,
    round_deadline_s: f64,
) -> PyResult<runs::RankOptions> {
    let mut rank = runs::RankOptions::new(node.0, pair.0);
    rank.survey = options.0;
    rank.join_deadline = seconds("join_deadline_s", join_deadline_s)?;
    rank.round_deadline = seconds("round_deadline_s", round_deadline_s)?;
    Ok(rank)
}

/// Surveys all ranks: each of them calls this with the same exchange and name. Rank 0 gets the
/// SurveyReport, the others a SurveySummary of it. Rank 0's options count: a SurveyOptions with
/// every setting, or mode, seed, labels, expected_gbps and expected_rail_gbps (Gbit/s) as there. Rank 0's
/// progress is called, from the survey's own thread, with a SurveyProgress after each round.
/// join_deadline_s: seconds for the ranks to come; round_deadline_s: for each round. Raises
/// FabricError; with the code `fabric.invalid_option` for options and single settings at once.
///
/// node, pair: this rank, and what it measures with each other. rank: its number, from 0;
/// world_size: how many there are. library: the libfabric to use; the first that
/// `fabric.Library()` finds when None.
#[pyfunction]
#[pyo3(signature = (
    exchange: "str | os.PathLike[str] | efa_sdk.fabric.Exchange", name: "str", node: "SurveyNode",
    pair: "PairOptions", *, rank: "int", world_size: "int", mode: "choices.SurveyMode" = "full",
    seed: "int" = 0, labels: "Sequence[str] | None" = None, expected_gbps: "float | None" = None,
    expected_rail_gbps: "float | None" = None, join_deadline_s: "float" = 120.0,
    round_deadline_s: "float" = 30.0,
    progress: "collections.abc.Callable[[SurveyProgress], object] | None" = None,
    library: "Library | None" = None, options: "SurveyOptions | None" = None
) -> "SurveyReport | SurveySummary")]
#[allow(clippy::too_many_arguments)] // each is a keyword of its own
pub(crate) fn run_rank(
    py: Python<'_>,
    #[pyo3(from_py_with = given)] exchange: Exchange,
    #[pyo3(from_py_with = given)] name: String,
    #[pyo3(from_py_with = given)] node: SurveyNode,
    #[pyo3(from_py_with = given)] pair: PairOptions,
    #[pyo3(from_py_with = given)] rank: usize,
    #[pyo3(from_py_with = given)] world_size: usize,
    #[pyo3(from_py_with = given)] mode: &str,
    #[pyo3(from_py_with = given)] seed: u64,
    #[pyo3(from_py_with = given)] labels: Option<Vec<String>>,
    #[pyo3(from_py_with = given)] expected_gbps: Option<f64>,
    #[pyo3(from_py_with = given)] expected_rail_gbps: Option<f64>,
    #[pyo3(from_py_with = given)] join_deadline_s: f64,
    #[pyo3(from_py_with = given)] round_deadline_s: f64,
    #[pyo3(from_py_with = given)] progress: Option<Callback>,
    #[pyo3(from_py_with = given)] library: Option<&Library>,
    #[pyo3(from_py_with = given)] options: Option<SurveyOptions>,
) -> PyResult<Surveyed> {
    let options = chosen_options(
        options,
        mode,
        seed,
        labels,
        expected_gbps,
        expected_rail_gbps,
    )?;
    let options = rank_options(node, pair, options, join_deadline_s, round_deadline_s)?;
    let call = RankCall {
        exchange,
        name,
        rank,
        world_size,
        options,
        progress: progress.map(|callback| callback.0),
    };
    let halt = Arc::<Halt>::default();
    block_on_until(py, halt.clone(), rank_call(call, library, halt)?)
}

/// Does the same as `run_rank`, as an awaitable.
#[pyfunction]
#[pyo3(signature = (
    exchange: "str | os.PathLike[str] | efa_sdk.fabric.Exchange", name: "str", node: "SurveyNode",
    pair: "PairOptions", *, rank: "int", world_size: "int", mode: "choices.SurveyMode" = "full",
    seed: "int" = 0, labels: "Sequence[str] | None" = None, expected_gbps: "float | None" = None,
    expected_rail_gbps: "float | None" = None, join_deadline_s: "float" = 120.0,
    round_deadline_s: "float" = 30.0,
    progress: "collections.abc.Callable[[SurveyProgress], object] | None" = None,
    library: "Library | None" = None, options: "SurveyOptions | None" = None
) -> "collections.abc.Awaitable[SurveyReport | SurveySummary]")]
#[allow(clippy::too_many_arguments)] // each is a keyword of its own
pub(crate) fn run_rank_async<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = given)] exchange: Exchange,
    #[pyo3(from_py_with = given)] name: String,
    #[pyo3(from_py_with = given)] node: SurveyNode,
    #[pyo3(from_py_with = given)] pair: PairOptions,
    #[pyo3(from_py_with = given)] rank: usize,
    #[pyo3(from_py_with = given)] world_size: usize,
    #[pyo3(from_py_with = given)] mode: &str,
    #[pyo3(from_py_with = given)] seed: u64,
    #[pyo3(from_py_with = given)] labels: Option<Vec<String>>,
    #[pyo3(from_py_with = given)] expected_gbps: Option<f64>,
    #[pyo3(from_py_with = given)] expected_rail_gbps: Option<f64>,
    #[pyo3(from_py_with = given)] join_deadline_s: f64,
    #[pyo3(from_py_with = given)] round_deadline_s: f64,
    #[pyo3(from_py_with = given)] progress: Option<Callback>,
    #[pyo3(from_py_with = given)] library: Option<&Library>,
    #[pyo3(from_py_with = given)] options: Option<SurveyOptions>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = chosen_options(
        options,
        mode,
        seed,
        labels,
        expected_gbps,
        expected_rail_gbps,
    )?;
    let options = rank_options(node, pair, options, join_deadline_s, round_deadline_s)?;
    let call = RankCall {
        exchange,
        name,
        rank,
        world_size,
        options,
        progress: progress.map(|callback| callback.0),
    };
    awaitable(py, rank_call(call, library, Arc::default())?)
}

/// Informs rank 0 that this rank takes no part, with the code and the text of the error that keeps it
/// from measuring. exchange, name, rank, world_size: as of `run_rank`. node: this rank's. Raises
/// FabricError where the exchange fails.
#[pyfunction]
#[pyo3(signature = (
    exchange: "str | os.PathLike[str] | efa_sdk.fabric.Exchange", name: "str", node: "SurveyNode",
    *, rank: "int", world_size: "int", code: "str", why: "str"
) -> "None")]
pub(crate) fn _decline_rank(
    #[pyo3(from_py_with = given)] exchange: Exchange,
    #[pyo3(from_py_with = given)] name: &str,
    #[pyo3(from_py_with = given)] node: SurveyNode,
    #[pyo3(from_py_with = given)] rank: usize,
    #[pyo3(from_py_with = given)] world_size: usize,
    #[pyo3(from_py_with = given)] code: &str,
    #[pyo3(from_py_with = given)] why: &str,
) -> PyResult<()> {
    let mut exchange = exchange.open()?;
    let meeting = runs::Rendezvous {
        exchange: exchange.as_mut(),
        rank,
        world_size,
        name,
    };
    runs::decline(meeting, node.0, code, why).map_err(errors::exception)
}
