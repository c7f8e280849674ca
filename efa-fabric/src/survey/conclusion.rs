//! All verdicts of a survey, and which nodes to take out.
//!
//! | file | job |
//! |---|---|
//! | `failures` | nodes, rails and links that failed |
//! | `outliers` | nodes, rails and links that stand out |
//! | `expected` | rates below the expected ones |
//! | `evidence` | the numbers behind a verdict |

mod evidence;
mod expected;
mod failures;
mod outliers;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use self::evidence::percent;
use self::expected::{expected, small};
use self::failures::failures;
use self::outliers::{of_link, of_nodes};
use super::attribution::{Analysis, Channel, Look};
use super::observation::Observations;
use super::options::Options;
use super::verdict::{Confidence, Evidence, Quantity, Severity, Subject, Verdict, VerdictKind};

/// What a survey found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Conclusion {
    /// All verdicts, worst first.
    pub verdicts: Vec<Verdict>,
    /// Nodes to take out, ascending: those with a fault, or with a rail that has one. The nodes
    /// of a bad link are not among them, since either could stay.
    pub drain: Vec<usize>,
    /// Share of all pairs of nodes that were tried, from 0 to 1. Links outside are unknown.
    pub links_seen: f64,
    /// Typical rate with all rails in one direction, in Gbit/s.
    pub typical_gbps: Option<f64>,
    /// Typical latency in µs.
    pub typical_latency_us: Option<f64>,
}

impl Conclusion {
    /// Whether no verdict is a fault and something was measured.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.typical_gbps.or(self.typical_latency_us).is_some()
            && self.verdicts.iter().all(|v| v.severity < Severity::Fault)
    }

    /// The verdicts that are faults.
    pub fn faults(&self) -> impl Iterator<Item = &Verdict> + '_ {
        self.verdicts
            .iter()
            .filter(|v| v.severity == Severity::Fault)
    }
}

/// All that follows from the observations.
pub(crate) fn conclude(observations: &Observations, options: &Options) -> Conclusion {
    let labels = options.labels.as_deref();
    let analysis = Analysis::new(observations, labels, &options.thresholds);
    let nodes = observations.nodes();
    let mut verdicts = Vec::new();
    failures(&analysis, observations, &mut verdicts);
    small(&analysis, options, &mut verdicts);
    let findings = analysis.nodes(Look::Verdict);
    let suspects: BTreeSet<usize> = analysis
        .nodes(Look::Screen)
        .iter()
        .map(|f| f.node)
        .collect();
    for quantity in [Quantity::Bandwidth, Quantity::Latency] {
        of_nodes(&analysis, quantity, &findings, &suspects, &mut verdicts);
    }
    let bad: BTreeSet<usize> = verdicts
        .iter()
        .filter(|v| v.severity > Severity::Info)
        .flat_map(Verdict::nodes)
        .collect();
    for finding in analysis.links(Look::Verdict, &bad) {
        verdicts.extend(of_link(&analysis, &finding, &suspects));
    }
    if let Some((channel, gain)) = analysis.cluster_contention(&suspects) {
        let evidence = Evidence {
            rail: analysis.channels[channel].rail,
            alone_change_percent: Some(percent(gain)),
            ..Evidence::default()
        };
        verdicts.push(Verdict::new(
            Subject::Cluster,
            VerdictKind::Contention,
            Severity::Warning,
            Confidence::Medium,
            evidence,
        ));
    }
    expected(&analysis, options, &mut verdicts);
    verdicts.sort_by(|x, y| {
        (y.severity, y.confidence, x.subject).cmp(&(x.severity, x.confidence, y.subject))
    });
    let mut drain: Vec<usize> = verdicts
        .iter()
        .filter(|v| v.severity == Severity::Fault)
        .filter(|v| matches!(v.subject, Subject::Node { .. } | Subject::Rail { .. }))
        .flat_map(Verdict::nodes)
        .collect();
    drain.sort_unstable();
    drain.dedup();
    let typical = |quantity| {
        let mut of = analysis
            .channels
            .iter()
            .filter(|c| c.quantity == quantity && c.rail.is_none());
        of.next().map(Channel::typical)
    };
    let pairs = nodes * nodes.saturating_sub(1) / 2;
    Conclusion {
        verdicts,
        drain,
        links_seen: if pairs == 0 {
            1.0
        } else {
            analysis.pairs_seen as f64 / pairs as f64
        },
        typical_gbps: typical(Quantity::Bandwidth),
        typical_latency_us: typical(Quantity::Latency),
    }
}
