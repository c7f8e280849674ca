//! The result of a survey, with names: what was found, and all measurements.

use super::inspection::{Difference, differences};
use super::node::{Node, name_apart};
use super::state::NodeState;
use super::time::{LAST_UNIX_S, utc};
use crate::median::median;
use crate::survey::collective::Collective;
use crate::survey::{
    Conclusion, Observations, Options, Outcome, PairObservation, Severity, Subject, Verdict,
    VerdictKind, rank,
};

/// The version that writes reports.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The result of a survey.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The nodes, by number.
    pub nodes: Vec<Node>,
    /// The provider that was measured.
    pub provider: String,
    /// What was found, by numbers of nodes.
    pub conclusion: Conclusion,
    /// Every measurement and failure.
    pub observations: Observations,
    /// Patterns that were carried out after the pairs, and what they come to.
    pub collectives: Vec<Collective>,
    /// Nodes that gave no answer, by number: lost ones and absent ones.
    pub silent: Vec<usize>,
    /// What else kept the survey from being complete, such as a rendezvous that did not answer.
    pub remarks: Vec<String>,
    /// Rounds that were measured.
    pub rounds: usize,
    /// Whether the survey was stopped before its end.
    pub partial: bool,
    /// How long it took, in s.
    pub elapsed_s: f64,
    /// How it was surveyed: mode, seed, thresholds, expected rates. `None` where the report does
    /// not state, as those of versions before 2026-11-30.
    pub options: Option<Options>,
    /// The version of efa-sdk that surveyed. `None` where the report does not state it.
    pub version: Option<String>,
    /// When it ended, in s since 1970-01-01T00:00:00Z. `None` where it was not given.
    pub finished_unix_s: Option<u64>,
    /// The first round after those of all pairs, in which what stood out was measured again; above
    /// all rounds where there was none. `None` where the report does not state it.
    pub targeted_from: Option<usize>,
}

/// Medians of what was measured with one node. `None` where nothing was.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct NodeSummary {
    /// What it sends, in Gbit/s.
    pub sends_gbps: Option<f64>,
    /// What it receives, in Gbit/s.
    pub receives_gbps: Option<f64>,
    /// Half of the round trip, in µs.
    pub latency_us: Option<f64>,
    /// Measurements of it that failed.
    pub failed: usize,
    /// Measurements of it, failed ones too.
    pub measurements: usize,
}

/// Known facts of the path from one node to another.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub enum Cell {
    /// The pair was not measured.
    #[default]
    Unknown,
    /// All attempts failed.
    Failed,
    /// The rate in Gbit/s, the median of all attempts.
    Gbps(f64),
}

impl Report {
    /// Creates a report of measurements that were made elsewhere, such as by
    /// [`simulate`](crate::survey::simulate), and what was concluded from them: complete, with no
    /// silent node, and of unknown duration. Observations name nodes by number. Names that come twice
    /// get a number.
    #[must_use]
    pub fn from_measurements(
        mut nodes: Vec<Node>,
        provider: impl Into<String>,
        observations: Observations,
        conclusion: Conclusion,
    ) -> Self {
        let last = observations.as_slice().iter().map(|o| o.round).max();
        name_apart(&mut nodes);
        Self {
            nodes,
            provider: provider.into(),
            conclusion,
            rounds: last.map_or(0, |round| round + 1),
            observations,
            collectives: Vec::new(),
            silent: Vec::new(),
            remarks: Vec::new(),
            partial: false,
            elapsed_s: 0.0,
            options: None,
            version: Some(VERSION.to_owned()),
            finished_unix_s: None,
            targeted_from: None,
        }
    }

    /// Returns the same, ended this many seconds after 1970-01-01T00:00:00Z, until the year 9999. A
    /// survey has no clock of its own.
    #[must_use]
    pub fn finished(mut self, unix_s: u64) -> Self {
        self.finished_unix_s = Some(unix_s.min(LAST_UNIX_S));
        self
    }

    /// Returns when it ended, such as `2026-11-30T02:00:00Z`; `None` where it was not given.
    #[must_use]
    pub fn finished_at(&self) -> Option<String> {
        self.finished_unix_s.map(utc)
    }

    /// Returns whether the survey came to its end, measured every node, lost none and found no
    /// fault. There may be warnings, which [`problems`](Self::problems) has and
    /// [`action`](Self::action) names.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        !self.partial
            && self.silent.is_empty()
            && self.is_every_node_measured()
            && self.dead_rails().is_empty()
            && self.uncompared().is_none()
            && !self.has_mismatch()
            && self.does_scale_as_asked()
            && self.conclusion.is_healthy()
            && !self.differ_badly()
    }

    fn is_every_node_measured(&self) -> bool {
        let mut measured = vec![false; self.nodes.len()];
        for o in self.of_pairs() {
            if matches!(o.outcome, Outcome::Measured(_)) {
                (measured[o.a], measured[o.b]) = (true, true);
            }
        }
        measured.into_iter().all(|is| is)
    }

    /// Returns where the inspected nodes differ, and what their doctors report.
    #[must_use]
    pub fn differences(&self) -> Vec<Difference> {
        differences(&self.nodes, &self.provider)
    }

    pub(super) fn differ_badly(&self) -> bool {
        let is_fault = |difference: &Difference| difference.severity == Severity::Fault;
        self.differences().iter().any(is_fault)
    }

    /// Returns names of the nodes in an order in which neighbours are near by measured latency;
    /// nodes without a measurement come last.
    #[must_use]
    pub fn rank_order(&self) -> Vec<String> {
        self.names_of(&rank::by_latency(&self.observations))
    }

    /// Returns names of the nodes in an order in which those below the same network nodes are
    /// together; `None` unless the network nodes of all are known.
    #[must_use]
    pub fn topology_order(&self) -> Option<Vec<String>> {
        let levels: Vec<_> = (self.nodes.iter())
            .map(|node| node.network_nodes.clone())
            .collect();
        let known = levels.iter().all(|levels| !levels.is_empty());
        known.then(|| self.names_of(&rank::by_labels(&levels)))
    }

    /// Returns the statements of everything worse than a remark, with names, worst first.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.statements(|severity| severity > Severity::Info)
    }

    /// Returns nodes to take out, by name.
    #[must_use]
    pub fn drain(&self) -> Vec<String> {
        self.names_of(&self.drained())
    }

    /// Nodes to take out, by number.
    pub(crate) fn drained(&self) -> Vec<usize> {
        let differences = self.differences();
        let mut nodes: Vec<usize> = differences
            .iter()
            .flat_map(Difference::to_drain)
            .chain(self.conclusion.drain.iter().copied())
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Returns nodes with the fault that they are slow themselves, or one of their rails is, by
    /// name: none where the report is healthy. Warnings are in [`problems`](Self::problems), what
    /// was not measured again in [`findings`](Self::findings).
    #[must_use]
    pub fn slow_nodes(&self) -> Vec<String> {
        let mut slow: Vec<usize> = self
            .conclusion
            .verdicts
            .iter()
            .filter(|verdict| is_slow(verdict))
            .filter_map(|verdict| match verdict.subject {
                Subject::Node { node } | Subject::Rail { node, .. } => Some(node),
                _ => None,
            })
            .collect();
        slow.sort_unstable();
        slow.dedup();
        self.names_of(&slow)
    }

    /// Returns links with the fault that they are slow while both nodes are not, by name: none where
    /// the report is healthy. Warnings and remarks are where those of nodes are.
    #[must_use]
    pub fn slow_links(&self) -> Vec<(String, String)> {
        self.links(is_slow)
    }

    /// Returns nodes that joined and that nobody reached, or that stopped answering, by name.
    #[must_use]
    pub fn unreachable_nodes(&self) -> Vec<String> {
        let is_absent =
            |node: usize| matches!(self.nodes.get(node), Some(n) if n.state.as_str() == "absent");
        let mut nodes = self.silent.clone();
        nodes.retain(|&node| !is_absent(node));
        nodes.extend(self.conclusion.verdicts.iter().filter_map(|verdict| {
            match (verdict.kind, verdict.subject) {
                (VerdictKind::Unreachable, Subject::Node { node }) => Some(node),
                _ => None,
            }
        }));
        nodes.sort_unstable();
        nodes.dedup();
        self.names_of(&nodes)
    }

    /// Returns pairs that did not reach each other while both reach others, by name.
    #[must_use]
    pub fn unreachable_links(&self) -> Vec<(String, String)> {
        self.links(|verdict| verdict.kind == VerdictKind::Unreachable)
    }

    /// Returns medians for each node.
    #[must_use]
    pub fn summaries(&self) -> Vec<NodeSummary> {
        let mut seen = vec![OfNode::default(); self.nodes.len()];
        for o in self.of_pairs() {
            for (node, is_low) in [(o.a, true), (o.b, false)] {
                seen[node].add(&o.outcome, is_low);
            }
        }
        seen.into_iter().map(OfNode::summary).collect()
    }

    /// Returns rates by sending node, then receiving node, of all rails together.
    #[must_use]
    pub fn matrix(&self) -> Vec<Vec<Cell>> {
        let count = self.nodes.len();
        let mut values = std::collections::BTreeMap::<(usize, usize), Vec<f64>>::new();
        let mut cells = vec![vec![Cell::Unknown; count]; count];
        for o in self.of_pairs() {
            match &o.outcome {
                Outcome::Failed(_) => {
                    cells[o.a][o.b] = Cell::Failed;
                    cells[o.b][o.a] = Cell::Failed;
                }
                Outcome::Measured(m) => {
                    values.entry((o.a, o.b)).or_default().extend(m.gbps_a_to_b);
                    values.entry((o.b, o.a)).or_default().extend(m.gbps_b_to_a);
                }
            }
        }
        for ((from, to), mut list) in values {
            if let Some(gbps) = median(&mut list) {
                cells[from][to] = Cell::Gbps(gbps);
            }
        }
        cells
    }

    /// What was seen of pairs, without that of single rails. A pair whose node took no part was not
    /// tried: that the plan knows of it is no measurement.
    pub(super) fn of_pairs(&self) -> impl Iterator<Item = &PairObservation> {
        let is_absent = |node: usize| matches!(self.nodes[node].state, NodeState::Absent { .. });
        let was_tried = move |o: &&PairObservation| match &o.outcome {
            Outcome::Failed(failure) => !failure.silent.is_some_and(is_absent),
            Outcome::Measured(_) => true,
        };
        let all = self.observations.as_slice().iter();
        (all.filter(|observation| observation.rail.is_none())).filter(was_tried)
    }

    /// Returns all statements with names, worst first.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        self.statements(|_| true)
    }

    /// The statements of all faults.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.statements(|severity| severity == Severity::Fault)
    }

    fn statements(&self, wanted: impl Fn(Severity) -> bool) -> Vec<String> {
        let verdicts = self.sentences().into_iter();
        let differences = self.differences();
        let differences = differences.iter().map(|difference| {
            let name = |node| self.name(node).to_owned();
            (difference.severity, difference.statement_with(name))
        });
        let missing = self.missing().into_iter();
        let missing = missing.map(|said| (Severity::Warning, said));
        let losses = self.losses().map(|said| (Severity::Info, said));
        let scaling = self.collectives.iter().map(|of| self.scaling(of));
        let rails = self
            .dead_rails()
            .into_iter()
            .filter(|rail| rail.is_certain());
        let rails = rails.map(|rail| (Severity::Fault, rail.statement()));
        let mut said: Vec<_> = verdicts
            .chain(differences)
            .chain(rails)
            .chain(scaling)
            .chain(missing)
            .chain(losses)
            .collect();
        said.sort_by_key(|&(severity, _)| std::cmp::Reverse(severity));
        said.into_iter()
            .filter(|&(severity, _)| wanted(severity))
            .map(|(_, statement)| statement)
            .collect()
    }

    fn links(&self, wanted: impl Fn(&Verdict) -> bool) -> Vec<(String, String)> {
        let name = |node: usize| self.name(node).to_owned();
        self.conclusion
            .verdicts
            .iter()
            .filter(|verdict| wanted(verdict))
            .filter_map(|verdict| match verdict.subject {
                Subject::Link { a, b } => Some((name(a), name(b))),
                _ => None,
            })
            .collect()
    }

    /// Returns the name of a node, by number.
    #[must_use]
    pub fn name(&self, node: usize) -> &str {
        self.nodes.get(node).map_or("?", |node| node.name.as_str())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    fn names_of(&self, nodes: &[usize]) -> Vec<String> {
        nodes
            .iter()
            .map(|&node| self.name(node).to_owned())
            .collect()
    }
}

/// What was seen of one node.
#[derive(Debug, Clone, Default)]
struct OfNode {
    sends_gbps: Vec<f64>,
    receives_gbps: Vec<f64>,
    latency_us: Vec<f64>,
    failed: usize,
    measurements: usize,
}

impl OfNode {
    /// Adds a pair of it, in which it has the lower number or the higher.
    fn add(&mut self, outcome: &Outcome, is_low: bool) {
        self.measurements += 1;
        let Outcome::Measured(m) = outcome else {
            self.failed += 1;
            return;
        };
        let (sends, receives) = if is_low {
            (m.gbps_a_to_b, m.gbps_b_to_a)
        } else {
            (m.gbps_b_to_a, m.gbps_a_to_b)
        };
        self.sends_gbps.extend(sends);
        self.receives_gbps.extend(receives);
        self.latency_us.extend(m.latency_us);
    }

    fn summary(mut self) -> NodeSummary {
        NodeSummary {
            sends_gbps: median(&mut self.sends_gbps),
            receives_gbps: median(&mut self.receives_gbps),
            latency_us: median(&mut self.latency_us),
            failed: self.failed,
            measurements: self.measurements,
        }
    }
}

fn is_slow(verdict: &Verdict) -> bool {
    let kinds = [VerdictKind::SlowBandwidth, VerdictKind::HighLatency];
    verdict.severity == Severity::Fault && kinds.contains(&verdict.kind)
}
