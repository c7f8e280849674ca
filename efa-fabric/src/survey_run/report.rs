//! The result of a survey, with names: what was found, and all measurements.

use std::fmt;

use efa_core::text::plain;
use serde::{Deserialize, Serialize};

use super::inspection::{Difference, differences};
use super::node::Node;
use crate::error::{Code, Error, Result};
use crate::median::median;
use crate::survey::{
    Conclusion, Observations, Outcome, PairObservation, Severity, Subject, VerdictKind, rank,
};

/// The result of a survey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
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
    /// Nodes that gave no answer, by number.
    pub silent: Vec<usize>,
    /// Rounds that were measured.
    pub rounds: usize,
    /// Whether the survey was stopped before its end.
    pub partial: bool,
    /// How long it took, in s.
    pub elapsed_s: f64,
}

/// What another process wrote, which is not believed: a report says nothing of nodes that it lacks.
#[derive(Deserialize)]
struct Written {
    nodes: Vec<Node>,
    provider: String,
    conclusion: Conclusion,
    observations: Observations,
    silent: Vec<usize>,
    rounds: usize,
    partial: bool,
    elapsed_s: f64,
}

impl TryFrom<Written> for Report {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        let count = written.nodes.len();
        let wrong = |what: String| {
            Err(Error::new(Code::InvalidOption, what)
                .with_cure("give a report as `to_json` wrote it")
                .with_context("nodes", count))
        };
        let observed = written.observations.nodes();
        if observed != count {
            return wrong(format!(
                "the report names {count} nodes and has observations of {observed}"
            ));
        }
        let named = written
            .conclusion
            .verdicts
            .iter()
            .flat_map(|verdict| [verdict.nodes(), verdict.evidence.nodes.clone()].concat())
            .chain(written.conclusion.drain.iter().copied())
            .chain(written.silent.iter().copied());
        if let Some(node) = named.max().filter(|&node| node >= count) {
            return wrong(format!("the report speaks of node {node} of {count}"));
        }
        Ok(Self {
            nodes: written.nodes,
            provider: written.provider,
            conclusion: written.conclusion,
            observations: written.observations,
            silent: written.silent,
            rounds: written.rounds,
            partial: written.partial,
            elapsed_s: written.elapsed_s,
        })
    }
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
    /// Pairs of it that failed.
    pub failed: usize,
    /// Pairs of it.
    pub pairs: usize,
}

/// What is known of the way from one node to another.
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
    /// A report of measurements that were made elsewhere, such as by
    /// [`simulate`](crate::survey::simulate), and what was concluded from them: complete, with no
    /// silent node, and of unknown duration. Observations name nodes by number.
    #[must_use]
    pub fn from_measurements(
        nodes: Vec<Node>,
        provider: impl Into<String>,
        observations: Observations,
        conclusion: Conclusion,
    ) -> Self {
        let last = observations.as_slice().iter().map(|o| o.round).max();
        Self {
            nodes,
            provider: provider.into(),
            conclusion,
            rounds: last.map_or(0, |round| round + 1),
            observations,
            silent: Vec::new(),
            partial: false,
            elapsed_s: 0.0,
        }
    }

    /// Whether the survey came to its end, measured something, lost no node and found no fault.
    /// There may be warnings: see [`problems`](Self::problems).
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        !self.partial
            && self.silent.is_empty()
            && self.conclusion.is_healthy()
            && !self.differ_badly()
    }

    /// Where the inspected nodes differ, and what their doctors say.
    #[must_use]
    pub fn differences(&self) -> Vec<Difference> {
        differences(&self.nodes, &self.provider)
    }

    fn differ_badly(&self) -> bool {
        let is_fault = |difference: &Difference| difference.severity == Severity::Fault;
        self.differences().iter().any(is_fault)
    }

    /// Nothing if the cluster is healthy.
    ///
    /// # Errors
    /// `fabric.unhealthy` with the problems, and the nodes to take out as context `drain`.
    pub fn require_healthy(&self) -> Result<()> {
        if self.is_healthy() {
            return Ok(());
        }
        let mut problems = self.statements(|severity| severity == Severity::Fault);
        if problems.is_empty() {
            problems.push(self.headline());
        }
        let error = Error::new(Code::Unhealthy, problems.join("; "));
        let drain = self.drain();
        Err(if drain.is_empty() {
            error
        } else {
            error
                .with_cure(format!("take out {}", drain.join(", ")))
                .with_context("drain", drain.join(" "))
        })
    }

    /// Names of the nodes in an order in which neighbours are near by measured latency; nodes
    /// without a measurement come last.
    #[must_use]
    pub fn rank_order(&self) -> Vec<String> {
        self.names_of(&rank::by_latency(&self.observations))
    }

    /// Names of the nodes in an order in which those below the same network nodes are together;
    /// `None` unless the network nodes of all are known.
    #[must_use]
    pub fn topology_order(&self) -> Option<Vec<String>> {
        let levels: Vec<_> = (self.nodes.iter())
            .map(|node| node.network_nodes.clone())
            .collect();
        let known = levels.iter().all(|levels| !levels.is_empty());
        known.then(|| self.names_of(&rank::by_labels(&levels)))
    }

    /// The statements of everything worse than a remark, with names, worst first.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.statements(|severity| severity > Severity::Info)
    }

    /// Nodes to take out, by name.
    #[must_use]
    pub fn drain(&self) -> Vec<String> {
        let differences = self.differences();
        let mut nodes: Vec<usize> = differences
            .iter()
            .flat_map(Difference::to_drain)
            .chain(self.conclusion.drain.iter().copied())
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        self.names_of(&nodes)
    }

    /// Nodes that are slow themselves, or one of their rails is, by name.
    #[must_use]
    pub fn slow_nodes(&self) -> Vec<String> {
        let mut slow: Vec<usize> = self
            .conclusion
            .verdicts
            .iter()
            .filter(|verdict| is_slow(verdict.kind))
            .filter_map(|verdict| match verdict.subject {
                Subject::Node { node } | Subject::Rail { node, .. } => Some(node),
                _ => None,
            })
            .collect();
        slow.sort_unstable();
        slow.dedup();
        self.names_of(&slow)
    }

    /// Links that are slow while both nodes are not, by name.
    #[must_use]
    pub fn slow_links(&self) -> Vec<(String, String)> {
        self.links(is_slow)
    }

    /// Nodes that nobody reached, by name.
    #[must_use]
    pub fn unreachable_nodes(&self) -> Vec<String> {
        let mut nodes = self.silent.clone();
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

    /// Pairs that did not reach each other while both reach others, by name.
    #[must_use]
    pub fn unreachable_links(&self) -> Vec<(String, String)> {
        self.links(|kind| kind == VerdictKind::Unreachable)
    }

    /// Medians for each node.
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

    /// Rates by sending node, then receiving node, of all rails together.
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

    /// What was seen of pairs, without that of single rails.
    fn of_pairs(&self) -> impl Iterator<Item = &PairObservation> {
        let all = self.observations.as_slice().iter();
        all.filter(|observation| observation.rail.is_none())
    }

    /// All statements with names, worst first.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        self.statements(|_| true)
    }

    fn statements(&self, wanted: impl Fn(Severity) -> bool) -> Vec<String> {
        let names = self.names();
        let verdicts = (self.conclusion.verdicts.iter())
            .map(|verdict| (verdict.severity, verdict.statement_with(&names)));
        let differences = self.differences();
        let differences = differences.iter().map(|difference| {
            let name = |node| self.name(node).to_owned();
            (difference.severity, difference.statement_with(name))
        });
        let mut said: Vec<_> = verdicts.chain(differences).collect();
        said.sort_by_key(|&(severity, _)| std::cmp::Reverse(severity));
        said.into_iter()
            .filter(|&(severity, _)| wanted(severity))
            .map(|(_, statement)| statement)
            .collect()
    }

    fn links(&self, wanted: impl Fn(VerdictKind) -> bool) -> Vec<(String, String)> {
        let name = |node: usize| self.name(node).to_owned();
        self.conclusion
            .verdicts
            .iter()
            .filter(|verdict| wanted(verdict.kind))
            .filter_map(|verdict| match verdict.subject {
                Subject::Link { a, b } => Some((name(a), name(b))),
                _ => None,
            })
            .collect()
    }

    /// The name of a node, by number.
    #[must_use]
    pub fn name(&self, node: usize) -> &str {
        self.nodes.get(node).map_or("?", |node| node.name.as_str())
    }

    fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    fn names_of(&self, nodes: &[usize]) -> Vec<String> {
        nodes
            .iter()
            .map(|&node| self.name(node).to_owned())
            .collect()
    }

    /// One line: how many nodes, over what, how it went, and how long where that is known.
    #[must_use]
    pub fn headline(&self) -> String {
        let failed = self
            .of_pairs()
            .filter(|o| matches!(o.outcome, Outcome::Failed(_)))
            .count();
        format!(
            "{} nodes over {}: {}; {} pairs measured in {} rounds, {failed} failed{}{}",
            self.nodes.len(),
            self.provider,
            if self.is_healthy() {
                "no fault was found"
            } else if self.silent.is_empty()
                && self.conclusion.faults().next().is_none()
                && !self.differ_badly()
            {
                "not enough was measured"
            } else {
                "something is wrong"
            },
            self.of_pairs().count(),
            self.rounds,
            if self.elapsed_s > 0.0 {
                format!(", {:.1} s", self.elapsed_s)
            } else {
                String::new()
            },
            if self.partial { ", stopped early" } else { "" },
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", plain(&self.headline()))?;
        for finding in self.findings() {
            writeln!(f, "- {}", plain(&finding))?;
        }
        let drain = self.drain();
        if !drain.is_empty() {
            writeln!(f, "take out: {}", plain(&drain.join(", ")))?;
        }
        let names: Vec<String> = self.nodes.iter().map(|node| plain(&node.name)).collect();
        let width = names
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0)
            .clamp(4, 40);
        writeln!(
            f,
            "{:width$}  {:>12}  {:>15}  {:>10}  {:>6}  {:>6}",
            "node", "sends Gbit/s", "receives Gbit/s", "latency µs", "failed", "pairs"
        )?;
        let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.2}"));
        for (name, summary) in names.iter().zip(self.summaries()) {
            writeln!(
                f,
                "{:width$}  {:>12}  {:>15}  {:>10}  {:>6}  {:>6}",
                name,
                text(summary.sends_gbps),
                text(summary.receives_gbps),
                text(summary.latency_us),
                summary.failed,
                summary.pairs
            )?;
        }
        Ok(())
    }
}

/// What was seen of one node.
#[derive(Debug, Clone, Default)]
struct OfNode {
    sends_gbps: Vec<f64>,
    receives_gbps: Vec<f64>,
    latency_us: Vec<f64>,
    failed: usize,
    pairs: usize,
}

impl OfNode {
    /// Adds a pair of it, in which it has the lower number or the higher.
    fn add(&mut self, outcome: &Outcome, is_low: bool) {
        self.pairs += 1;
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
            pairs: self.pairs,
        }
    }
}

fn is_slow(kind: VerdictKind) -> bool {
    matches!(kind, VerdictKind::SlowBandwidth | VerdictKind::HighLatency)
}
