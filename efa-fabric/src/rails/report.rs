//! What came of rails: values, a table for terminals, JSON through serde.

use std::collections::BTreeMap;
use std::fmt;

use efa_core::html::preformatted;
use efa_core::svg::to_img;
use serde::{Deserialize, Serialize};

use super::affinity::Pinning;
use super::evidence::{self, Evidence};
use super::options::Options;
use super::rail::Rail;
use super::statistics::{self, SLOW_SHARE};
use crate::endpoint::SharedMemory;
use crate::error::{Code, Error, Result};
use crate::library::{Library, Version};
use crate::median::median;
use crate::probe::ProbeReport;

/// One measurement of one rail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Measure {
    /// The provider as libfabric returned it.
    pub provider: String,
    /// The domain.
    pub domain: String,
    /// Bytes sent in one direction while bandwidth of the largest size was measured.
    pub bytes: u64,
    /// Time of that, in seconds.
    pub elapsed_s: f64,
    /// Gbit/s in one direction.
    pub gbps: f64,
    /// Median of half of the round trip of the smallest size, in µs, where latency was measured.
    pub latency_us: Option<f64>,
    /// Whether the provider may have used shared memory instead of the device.
    pub shared_memory: SharedMemory,
    /// Whether the device's counters show the traffic.
    pub evidence: Evidence,
    /// By how much `tx_bytes`, `rx_bytes`, `rx_drops`, `retrans_*`, `unresponsive_*` and
    /// `impaired_*` grew, over the whole probe with its warm-up. Without those that the driver
    /// does not have.
    pub counter_growth: BTreeMap<String, u64>,
}

/// The reason why a rail has no figure.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// The stable code, such as `fabric.provider_not_found`.
    pub code: String,
    /// What went wrong.
    pub message: String,
}

/// One rail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RailResult {
    /// The rail.
    pub rail: Rail,
    /// Whether its threads ran next to its card.
    pub pinning: Pinning,
    /// Measured while the other rails were idle.
    pub alone: Option<Measure>,
    /// Measured together with all others.
    pub together: Option<Measure>,
    /// Why one of these is missing.
    pub failure: Option<Failure>,
}

/// All rails of a machine. `Display` is a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// The libfabric that was used.
    pub library_path: String,
    /// Its version.
    pub library_version: Version,
    /// Bytes of each message.
    pub size: u64,
    /// The rails, in the order given.
    pub rails: Vec<RailResult>,
    /// Gbit/s of all rails, each measured alone, added up; `None` if one failed.
    pub sum_gbps: Option<f64>,
    /// Gbit/s of all rails together: the rates of the rails, each timed while all others sent.
    /// `None` if one failed, or it was not asked for.
    pub aggregate_gbps: Option<f64>,
    /// Time from the first rail's start to the last one's end, in seconds.
    pub together_s: Option<f64>,
    /// Gbit/s that all rails together should reach: their expected figures added up, but not
    /// above the instance's.
    pub expected_gbps: Option<f64>,
    /// Median Gbit/s of the rails alone.
    pub median_alone_gbps: Option<f64>,
    /// Median Gbit/s of the rails together.
    pub median_together_gbps: Option<f64>,
    /// Devices that alone were below 0.9 of the median.
    pub slow_alone: Vec<String>,
    /// Devices that together were below 0.9 of the median; with more busy threads than processors
    /// only those that were so alone as well.
    pub slow_together: Vec<String>,
    /// Threads that were busy while all rails were measured together.
    pub threads: u32,
    /// Processors that this process may use.
    pub cpus: Option<u32>,
    /// Whether a provider other than `efa` stood in for it: figures then state nothing about EFA.
    pub simulated: bool,
    /// How to read the figures, and what they do not show.
    pub statements: Vec<String>,
}

/// What came of one rail in one round.
pub(super) struct Outcome {
    pub(super) pinning: Pinning,
    pub(super) measured: Result<ProbeReport>,
    pub(super) growth: BTreeMap<String, u64>,
}

impl Outcome {
    /// Gbit/s of the largest size; `None` if it failed.
    pub(super) fn gbps(&self) -> Option<f64> {
        let report = self.measured.as_ref().ok()?;
        let row = report.rows.iter().max_by_key(|row| row.size)?;
        row.bandwidth.as_ref().map(|bandwidth| bandwidth.gbit_per_s)
    }
}

pub(super) fn result(rail: &Rail, alone: Outcome, together: Option<Outcome>) -> RailResult {
    let pinning = alone.pinning.clone();
    let (alone, first_failure) = split(alone);
    let (together, second_failure) = together.map_or((None, None), split);
    RailResult {
        rail: rail.clone(),
        pinning,
        alone,
        together,
        failure: first_failure.or(second_failure),
    }
}

fn split(outcome: Outcome) -> (Option<Measure>, Option<Failure>) {
    let nothing = || Error::new(Code::CallFailed, "the probe measured no bandwidth");
    let measured = outcome
        .measured
        .and_then(|report| measure(&report, outcome.growth).ok_or_else(nothing));
    match measured {
        Ok(measure) => (Some(measure), None),
        Err(error) => (
            None,
            Some(Failure {
                code: error.code().as_str().to_owned(),
                message: error.to_string(),
            }),
        ),
    }
}

fn measure(report: &ProbeReport, growth: BTreeMap<String, u64>) -> Option<Measure> {
    let bandwidth = report
        .rows
        .iter()
        .max_by_key(|row| row.size)?
        .bandwidth
        .as_ref()?;
    let bytes = report.rows.iter().filter_map(|row| row.bandwidth.as_ref());
    let all_bytes = bytes.map(|bandwidth| bandwidth.bytes).sum();
    let smallest = report.rows.iter().min_by_key(|row| row.size)?;
    Some(Measure {
        provider: report.provider.clone(),
        domain: report.domain.clone(),
        bytes: bandwidth.bytes,
        elapsed_s: bandwidth.elapsed_s,
        gbps: bandwidth.gbit_per_s,
        latency_us: smallest.latency.as_ref().map(|latency| latency.p50_us),
        shared_memory: report.shared_memory,
        evidence: evidence::judge(&growth, all_bytes),
        counter_growth: growth,
    })
}

pub(super) fn report(
    library: &Library,
    options: &Options,
    rails: Vec<RailResult>,
    elapsed_ns: Option<u64>,
) -> Report {
    let alone: Vec<_> = figures(&rails, |rail| rail.alone.as_ref());
    let together: Vec<_> = figures(&rails, |rail| rail.together.as_ref());
    let aggregate_gbps = statistics::sum(&together);
    let elapsed_ns = elapsed_ns.filter(|_| aggregate_gbps.is_some());
    let expected: Vec<_> = rails.iter().map(|rail| rail.rail.expected_gbps).collect();
    let names = |slow: Vec<usize>| -> Vec<String> {
        slow.into_iter()
            .map(|at| rails[at].rail.device.clone())
            .collect()
    };
    let middle =
        |values: &[Option<f64>]| median(&mut values.iter().copied().flatten().collect::<Vec<_>>());
    let threads = u32::try_from(2 * together.iter().flatten().count()).unwrap_or(u32::MAX);
    let cpus = std::thread::available_parallelism()
        .ok()
        .and_then(|n| u32::try_from(n.get()).ok());
    let simulated = rails
        .iter()
        .any(|rail| !rail.rail.provider.eq_ignore_ascii_case("efa"));
    let mut report = Report {
        library_path: library.path().display().to_string(),
        library_version: library.version(),
        size: options.probe.sizes.iter().copied().max().unwrap_or(0) as u64,
        sum_gbps: statistics::sum(&alone),
        aggregate_gbps,
        together_s: elapsed_ns.map(|ns| ns as f64 / 1e9),
        expected_gbps: statistics::sum(&expected)
            .map(|sum| options.instance_gbps.map_or(sum, |limit| sum.min(limit))),
        median_alone_gbps: middle(&alone),
        median_together_gbps: middle(&together),
        slow_together: names(statistics::slow_together(
            &statistics::slow(&together),
            &statistics::slow(&alone),
            cpus.is_some_and(|cpus| threads > cpus),
        )),
        slow_alone: names(statistics::slow(&alone)),
        threads,
        cpus,
        simulated,
        statements: Vec::new(),
        rails,
    };
    report.statements = statements(&report);
    report
}

fn figures(rails: &[RailResult], of: impl Fn(&RailResult) -> Option<&Measure>) -> Vec<Option<f64>> {
    rails
        .iter()
        .map(|rail| of(rail).map(|measure| measure.gbps))
        .collect()
}

fn statements(report: &Report) -> Vec<String> {
    let mut statements = Vec::new();
    if report.simulated {
        let mut providers: Vec<_> = report
            .rails
            .iter()
            .map(|rail| rail.rail.provider.as_str())
            .collect();
        providers.sort_unstable();
        providers.dedup();
        statements.push(format!(
            "SIMULATED: {} stands in for efa, all rails share one network, and the figures are \
             not those of EFA",
            providers.join(", ")
        ));
    }
    statements.push(
        "each rail sends to itself, from host memory: both directions of the device are busy, the \
         network between machines is not, and PCIe or memory may be the limit"
            .into(),
    );
    let measures = || {
        report
            .rails
            .iter()
            .flat_map(|rail| [rail.alone.as_ref(), rail.together.as_ref()])
            .flatten()
    };
    if measures().any(|measure| measure.evidence == Evidence::Unknown) {
        statements.push(
            "no traffic counters of some devices: nothing shows which way their messages took"
                .into(),
        );
    }
    if measures().any(|measure| measure.shared_memory == SharedMemory::Unknown) {
        statements.push("the provider may have used shared memory instead of the device".into());
    }
    if report.cpus.is_some_and(|cpus| report.threads > cpus) {
        statements.push(format!(
            "{} busy threads shared {} processors: all together is limited by that, and a rail \
             that is slow only then is not named",
            report.threads,
            report.cpus.unwrap_or(0)
        ));
    }
    statements
}

impl Report {
    /// Returns the picture of [`to_svg`](Self::to_svg) and the text form as HTML, for notebooks:
    /// escaped, without scripts.
    #[must_use]
    pub fn to_html(&self) -> String {
        let picture = to_img(&self.to_svg(), "measured and expected rates of each rail");
        format!("<div>{picture}{}</div>", preformatted(&self.to_string()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} rails, messages of {} bytes, libfabric {} ({})",
            self.rails.len(),
            self.size,
            self.library_version,
            self.library_path
        )?;
        for statement in &self.statements {
            writeln!(f, "{statement}")?;
        }
        writeln!(
            f,
            "{:<16}  {:<12}  {:>4}  {:<6}  {:>8}  {:>9}  {:>9}  {:<10}  notes",
            "rail", "PCI", "NUMA", "pinned", "expected", "alone", "together", "traffic"
        )?;
        for rail in &self.rails {
            let (alone, together) = (rail.alone.as_ref(), rail.together.as_ref());
            let evidence = together.or(alone).map(|measure| measure.evidence);
            writeln!(
                f,
                "{:<16}  {:<12}  {:>4}  {:<6}  {:>8}  {:>9}  {:>9}  {:<10}  {}",
                rail.rail.device,
                rail.rail.pci_address.as_deref().unwrap_or("-"),
                rail.rail
                    .numa_node
                    .map_or_else(|| "-".into(), |node| node.to_string()),
                match rail.pinning {
                    Pinning::Pinned { .. } => "yes",
                    Pinning::NotPinned { .. } => "no",
                },
                figure(rail.rail.expected_gbps),
                figure(alone.map(|measure| measure.gbps)),
                figure(together.map(|measure| measure.gbps)),
                evidence.map_or_else(|| "-".into(), |evidence| evidence.to_string()),
                notes(self, rail).join("; "),
            )?;
        }
        write!(
            f,
            "Gbit/s: sum of rails alone {}, all together {}, expected {}",
            figure(self.sum_gbps),
            figure(self.aggregate_gbps),
            figure(self.expected_gbps)
        )?;
        match self.aggregate_gbps.zip(self.expected_gbps) {
            Some((aggregate, expected)) if expected > 0.0 => {
                writeln!(f, " ({:.0} %)", 100.0 * aggregate / expected)
            }
            _ => writeln!(f),
        }
    }
}

fn notes(report: &Report, rail: &RailResult) -> Vec<String> {
    let mut notes = Vec::new();
    let device = &rail.rail.device;
    let below = |when: &str| format!("below {SLOW_SHARE} of the median {when}");
    if report.slow_alone.contains(device) {
        notes.push(below("alone"));
    }
    if report.slow_together.contains(device) {
        notes.push(below("together"));
    }
    let mut bad: BTreeMap<&str, u64> = BTreeMap::new();
    for measure in [rail.alone.as_ref(), rail.together.as_ref()]
        .into_iter()
        .flatten()
    {
        for (name, value) in evidence::bad_path(&measure.counter_growth) {
            *bad.entry(name).or_default() += value;
        }
    }
    notes.extend(bad.iter().map(|(name, value)| format!("{name} +{value}")));
    if let Some(failure) = &rail.failure {
        notes.push(format!("{}: {}", failure.code, failure.message));
    }
    notes
}

fn figure(gbps: Option<f64>) -> String {
    gbps.map_or_else(|| "-".into(), |gbps| format!("{gbps:.1}"))
}
