//! How to survey, as values: options and thresholds.

use efa_fabric::survey as core;
use pyo3::prelude::*;

use crate::convert::{parse, word};
use crate::errors;
use crate::value::value_class;

value_class! {
    /// When a difference counts. Shares are from 0 to 1; the defaults have the detection rates of
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
        *, loss=0.10, latency_excess=0.10, link_latency_excess=0.25, z=3.5, of_expected=0.90,
        least_nodes=5, alone=3
    ))]
    fn new(
        loss: f64,
        latency_excess: f64,
        link_latency_excess: f64,
        z: f64,
        of_expected: f64,
        least_nodes: i64,
        alone: i64,
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
    /// How to survey: every setting of a plan. The whole is what `SurveyPlan`, `run_rank`,
    /// `efa_sdk.ray.survey` and `efa_sdk.torch.survey` take as `options`.
    ///
    /// mode: `full` (every pair), `sampled` (bad nodes of large clusters in few rounds), `ring`,
    /// or `within_groups` and `between_groups`, which need labels. seed: of everything random.
    /// labels: one for each node, its network node. expected_gbps: the rate that a pair should
    /// reach in each direction with all rails, in Gbit/s; expected_rail_gbps: with one rail.
    /// base_rounds: rounds of a sampled survey before suspects are measured again, 1 or more;
    /// log2 of the number of nodes, rounded down, and 2, if not given. thresholds: when a
    /// difference counts; the defaults if not given.
    ///
    /// Raises FabricError with the code `fabric.invalid_option`, whose context has `option`,
    /// `value` and `limit`; ValueError for an unknown mode.
    SurveyOptions(core::Options) {
        /// Which pairs the base rounds cover.
        mode: PyResult<String> = |o| word(&o.mode);
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
        *, mode="full", seed=0, labels=None, expected_gbps=None, expected_rail_gbps=None,
        base_rounds=None, thresholds=None
    ))]
    fn new(
        mode: &str,
        seed: u64,
        labels: Option<Vec<String>>,
        expected_gbps: Option<f64>,
        expected_rail_gbps: Option<f64>,
        base_rounds: Option<i64>,
        thresholds: Option<SurveyThresholds>,
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
        options.require_valid().map_err(errors::exception)?;
        Ok(Self(options))
    }
}

/// Options given whole, or the settings that callers may give as keywords instead.
#[pyfunction]
#[pyo3(
    name = "_survey_options",
    signature = (options, *, mode, seed, labels, expected_gbps, expected_rail_gbps)
)]
pub(crate) fn chosen_options(
    options: Option<SurveyOptions>,
    mode: &str,
    seed: u64,
    labels: Option<Vec<String>>,
    expected_gbps: Option<f64>,
    expected_rail_gbps: Option<f64>,
) -> PyResult<SurveyOptions> {
    let settings = SurveyOptions::new(
        mode,
        seed,
        labels,
        expected_gbps,
        expected_rail_gbps,
        None,
        None,
    )?;
    core::Options::whole_or_settings(options.map(|options| options.0), settings.0)
        .map(SurveyOptions)
        .map_err(errors::exception)
}

fn count(option: &'static str, value: i64) -> PyResult<usize> {
    core::require_count(option, value).map_err(errors::exception)
}
