//! How to survey, as values: options and thresholds.

use efa_fabric::survey as core;
use pyo3::prelude::*;

use crate::argument::given;
use crate::choices;
use crate::convert::{parse, word};
use crate::errors;
use crate::value::value_class;

value_class! {
    /// The limits from which a difference counts. Shares are from 0 to 1; the defaults have the detection rates of
    /// docs/survey-statistics.md.
    ///
    /// loss: least loss of bandwidth, as a share of the cluster's median (above 0, below 1); a
    /// verdict on a link needs a third more. latency_excess: least gain of a node's latency, as a
    /// share of the median (above 0). link_latency_excess: least gain of a single link's latency to
    /// measure it again, as a share of the median (above 0); a verdict needs a third more. z:
    /// least robust z, in standard deviations (above 0). of_expected: least share of the expected
    /// rate (above 0, up to 1). least_nodes: live nodes below which no outlier is named (3 or
    /// more). alone: times that an outlier is measured again alone, each a round (1 to 100).
    ///
    /// Raises FabricError with the code `fabric.invalid_option`; its context has `option`,
    /// `value` and `limit`.
    SurveyThresholds(core::Thresholds) {
        /// Least loss of bandwidth, as a share of the cluster's median.
        loss: f64 = |t| t.loss;
        /// Least gain of a node's latency, as a share of the cluster's median.
        latency_excess: f64 = |t| t.latency_excess;
        /// Least gain of a link's latency to measure it again, as a share of the cluster's median.
        link_latency_excess: f64 = |t| t.link_latency_excess;
        /// Least robust z, in standard deviations.
        z: f64 = |t| t.z;
        /// Least share of the expected rate.
        of_expected: f64 = |t| t.of_expected;
        /// Live nodes below which no outlier is named.
        least_nodes: usize = |t| t.least_nodes;
        /// Times that an outlier is measured again alone.
        alone: usize = |t| t.alone;
    }
    repr = |t| format!(
        "SurveyThresholds(loss={:?}, latency_excess={:?}, link_latency_excess={:?}, z={:?}, \
         of_expected={:?}, least_nodes={}, alone={})",
        t.loss,
        t.latency_excess,
        t.link_latency_excess,
        t.z,
        t.of_expected,
        t.least_nodes,
        t.alone
    );
}

#[pymethods]
impl SurveyThresholds {
    #[new]
    #[pyo3(signature = (
        *, loss: "float" = 0.10, latency_excess: "float" = 0.10,
        link_latency_excess: "float" = 0.25, z: "float" = 3.5, of_expected: "float" = 0.90,
        least_nodes: "int" = 5, alone: "int" = 3
    ))]
    fn new(
        #[pyo3(from_py_with = given)] loss: f64,
        #[pyo3(from_py_with = given)] latency_excess: f64,
        #[pyo3(from_py_with = given)] link_latency_excess: f64,
        #[pyo3(from_py_with = given)] z: f64,
        #[pyo3(from_py_with = given)] of_expected: f64,
        #[pyo3(from_py_with = given)] least_nodes: i64,
        #[pyo3(from_py_with = given)] alone: i64,
    ) -> PyResult<Self> {
        let mut thresholds = core::Thresholds::default();
        thresholds.loss = loss;
        thresholds.latency_excess = latency_excess;
        thresholds.link_latency_excess = link_latency_excess;
        thresholds.z = z;
        thresholds.of_expected = of_expected;
        thresholds.least_nodes = count("least_nodes", least_nodes)?;
        thresholds.alone = count("alone", alone)?;
        thresholds.require_valid().map_err(errors::exception)?;
        Ok(Self(thresholds))
    }
}

value_class! {
    /// Options of a survey: every setting of a plan. The whole is what `SurveyPlan`, `run_rank`,
    /// `efa_sdk.ray.survey` and `efa_sdk.torch.survey` take as `options`.
    ///
    /// mode: `full` (every pair), `sampled` (bad nodes of large clusters in few rounds), `ring`,
    /// or `within_groups` and `between_groups`, which need labels. seed: of everything random.
    /// labels: one for each node, its network node. expected_gbps: the rate that a pair should
    /// reach in each direction with all rails, in Gbit/s; expected_rail_gbps: with one rail.
    /// base_rounds: rounds of a sampled survey before suspects are measured again, 1 or more;
    /// log2 of the number of nodes, rounded down, and 2, if not given. thresholds: when a
    /// difference counts; the defaults if not given. collectives: patterns to carry out after the
    /// pairs, each once: `ring`, `all_to_all`, `incast`, and by label `ring_within_groups`,
    /// `ring_between_groups`, `all_to_all_within_groups`, `all_to_all_between_groups` and
    /// `incast_into_groups`; none if not given.
    ///
    /// Raises FabricError with the code `fabric.invalid_option`, whose context has `option`,
    /// `value` and `limit`; ValueError for an unknown mode.
    SurveyOptions(core::Options) {
        /// Which pairs the base rounds cover.
        mode: PyResult<choices::SurveyMode> = |o| word(&o.mode).map(Into::into);
        /// Seed of everything random.
        seed: u64 = |o| o.seed;
        /// Per node, the label of its network node.
        labels: Option<Vec<String>> = |o| o.labels.clone();
        /// The rate of a pair in each direction with all rails, in Gbit/s.
        expected_gbps: Option<f64> = |o| o.expected_gbps;
        /// The rate of one rail in each direction, in Gbit/s.
        expected_rail_gbps: Option<f64> = |o| o.expected_rail_gbps;
        /// Base rounds of a sampled survey.
        base_rounds: Option<usize> = |o| o.base_rounds;
        /// Patterns to carry out after the pairs.
        collectives: PyResult<Vec<choices::SurveyPattern>> = |o| {
            o.collectives.iter().map(|pattern| word(pattern).map(Into::into)).collect()
        };
        /// When a difference counts.
        thresholds: SurveyThresholds = |o| SurveyThresholds(o.thresholds.clone());
    }
    repr = |o| {
        let mode = word(&o.mode).unwrap_or_else(|error| error.to_string());
        format!("SurveyOptions(mode='{mode}', seed={})", o.seed)
    };
}

#[pymethods]
impl SurveyOptions {
    #[new]
    #[pyo3(signature = (
        *, mode: "choices.SurveyMode" = "full", seed: "int" = 0,
        labels: "Sequence[str] | None" = None,
        expected_gbps: "float | None" = None, expected_rail_gbps: "float | None" = None,
        base_rounds: "int | None" = None, thresholds: "SurveyThresholds | None" = None,
        collectives: "Sequence[choices.SurveyPattern]" = vec![]
    ))]
    #[allow(clippy::too_many_arguments)] // each is a keyword of its own
    fn new(
        #[pyo3(from_py_with = given)] mode: &str,
        #[pyo3(from_py_with = given)] seed: u64,
        #[pyo3(from_py_with = given)] labels: Option<Vec<String>>,
        #[pyo3(from_py_with = given)] expected_gbps: Option<f64>,
        #[pyo3(from_py_with = given)] expected_rail_gbps: Option<f64>,
        #[pyo3(from_py_with = given)] base_rounds: Option<i64>,
        #[pyo3(from_py_with = given)] thresholds: Option<SurveyThresholds>,
        #[pyo3(from_py_with = given)] collectives: Vec<String>,
    ) -> PyResult<Self> {
        let mut options = core::Options::default();
        options.mode = parse("mode", mode)?;
        options.seed = seed;
        options.labels = labels;
        options.expected_gbps = expected_gbps;
        options.expected_rail_gbps = expected_rail_gbps;
        options.base_rounds = base_rounds
            .map(|rounds| count("base_rounds", rounds))
            .transpose()?;
        options.thresholds = thresholds.map(|t| t.0).unwrap_or_default();
        let patterns = collectives.iter();
        options.collectives = patterns
            .map(|pattern| parse("collectives", pattern))
            .collect::<PyResult<_>>()?;
        options.require_valid().map_err(errors::exception)?;
        Ok(Self(options))
    }
}

/// Returns options given whole, or the settings that callers may give as keywords instead.
#[pyfunction]
#[pyo3(
    name = "_survey_options",
    signature = (
    options: "SurveyOptions | None", *, mode: "choices.SurveyMode", seed: "int",
    labels: "Sequence[str] | None", expected_gbps: "float | None",
    expected_rail_gbps: "float | None"
)
)]
pub(crate) fn chosen_options(
    #[pyo3(from_py_with = given)] options: Option<SurveyOptions>,
    #[pyo3(from_py_with = given)] mode: &str,
    #[pyo3(from_py_with = given)] seed: u64,
    #[pyo3(from_py_with = given)] labels: Option<Vec<String>>,
    #[pyo3(from_py_with = given)] expected_gbps: Option<f64>,
    #[pyo3(from_py_with = given)] expected_rail_gbps: Option<f64>,
) -> PyResult<SurveyOptions> {
    let settings = SurveyOptions::new(
        mode,
        seed,
        labels,
        expected_gbps,
        expected_rail_gbps,
        None,
        None,
        Vec::new(),
    )?;
    core::Options::whole_or_settings(options.map(|options| options.0), settings.0)
        .map(SurveyOptions)
        .map_err(errors::exception)
}

fn count(option: &'static str, value: i64) -> PyResult<usize> {
    core::require_count(option, value).map_err(errors::exception)
}
