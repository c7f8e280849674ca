//! What a survey comes to for one of its nodes: what ranks other than rank 0 get, in a size that
//! does not grow with the number of nodes.

use std::fmt;

use efa_core::text::plain;
use serde::{Deserialize, Serialize};

use super::node::Node;
use super::report::Report;
use super::state::{NodeState, Status};
use super::text::shortened;
use crate::error::{Code, Error, Result};

/// Names and sentences at most.
const MOST: usize = 8;
/// Characters of a sentence at most.
const LONGEST: usize = 400;
/// Characters of the line that states what to do, with its names.
const LONGEST_ACTION: usize = 1000;
/// Where the rest is.
const WHOLE: &str = "rank 0 has the whole report";

/// The result of a report, and what it reports of one node: at most 8 names and sentences, each of
/// limited length, whatever the number of nodes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// What the survey comes to.
    pub status: Status,
    /// Whether it was stopped before its end.
    pub partial: bool,
    /// What to do, in one line, as [`Report::action`]; of many names the first.
    pub action: String,
    /// The first of [`Report::problems`], the worst first.
    pub problems: Vec<String>,
    /// How many problems the report has.
    pub problem_count: usize,
    /// How many nodes the survey has.
    pub node_count: usize,
    /// How many of them are to be taken out.
    pub drain_count: usize,
    /// How many took no part.
    pub absent_count: usize,
    /// The node that this summary is for, as the report names it.
    pub node: String,
    /// What became of that node.
    pub state: NodeState,
    /// Why that node is to be taken out; `None` where it is not.
    pub drain_because: Option<String>,
}

impl Report {
    /// Returns what the report comes to, for each node by number, with what it reports of that
    /// node.
    #[must_use]
    pub fn summaries_by_node(&self) -> Vec<Summary> {
        let drained = self.drained();
        let mut problems = self.problems();
        let problem_count = problems.len();
        problems.truncate(MOST);
        let common = Summary {
            status: self.status(),
            partial: self.partial,
            action: shortened(&self.action_of(MOST), LONGEST_ACTION),
            problems: problems.iter().map(|p| shortened(p, LONGEST)).collect(),
            problem_count,
            node_count: self.nodes.len(),
            drain_count: drained.len(),
            absent_count: self.absent().len(),
            node: String::new(),
            state: NodeState::Joined,
            drain_because: None,
        };
        let of_node = |(number, node): (usize, &Node)| {
            let is_drained = drained.binary_search(&number).is_ok();
            Summary {
                node: shortened(&node.name, LONGEST),
                state: short_state(&node.state),
                drain_because: is_drained.then(|| self.reason(number)),
                ..common.clone()
            }
        };
        self.nodes.iter().enumerate().map(of_node).collect()
    }
}

fn short_state(state: &NodeState) -> NodeState {
    match state {
        NodeState::Absent { code, why } => NodeState::Absent {
            code: shortened(code, LONGEST),
            why: shortened(why, LONGEST),
        },
        other => other.clone(),
    }
}

impl Summary {
    /// Checks that the cluster is healthy, whoever the node is.
    ///
    /// # Errors
    /// As [`Report::require_healthy`], with the first problems, and the node as context `node`.
    pub fn require_healthy(&self) -> Result<()> {
        let code = match self.status {
            Status::Healthy => return Ok(()),
            Status::Findings => Code::Unhealthy,
            Status::NotSurveyed => Code::NotSurveyed,
        };
        let mut said = self.problems.clone();
        let more = self.problem_count.saturating_sub(said.len());
        if more > 0 {
            said.push(format!("{more} more problems"));
        }
        said.push(WHOLE.to_owned());
        Err(Error::new(code, said.join("; "))
            .with_cure(self.action.clone())
            .with_context("node", self.node.clone())
            .with_context("drain_count", self.drain_count)
            .with_context("absent_count", self.absent_count))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", plain(&self.action))?;
        for problem in &self.problems {
            writeln!(f, "- {}", plain(problem))?;
        }
        let more = self.problem_count.saturating_sub(self.problems.len());
        if more > 0 {
            writeln!(f, "- and {more} more")?;
        }
        let node = plain(&self.node);
        match &self.drain_because {
            Some(why) => writeln!(f, "this node, {node}, is to be taken out: {}", plain(why))?,
            None => writeln!(
                f,
                "this node, {node}, is one of {}: {}",
                self.node_count,
                self.state.as_str()
            )?,
        }
        writeln!(f, "{WHOLE}")
    }
}

/// The part of a survey that a rank gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Surveyed {
    /// Rank 0 gets all of it.
    Report(Box<Report>),
    /// The others get what it comes to.
    Summary(Box<Summary>),
}

impl Surveyed {
    /// Returns the whole, on rank 0.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Report(report) => Some(report),
            Self::Summary(_) => None,
        }
    }

    /// Returns what the survey comes to.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Report(report) => report.status(),
            Self::Summary(summary) => summary.status,
        }
    }

    /// Checks that the cluster is healthy.
    ///
    /// # Errors
    /// As [`Report::require_healthy`].
    pub fn require_healthy(&self) -> Result<()> {
        match self {
            Self::Report(report) => report.require_healthy(),
            Self::Summary(summary) => summary.require_healthy(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{bad_cluster, large, unmeasured};
    use super::*;

    fn size(report: &Report, node: usize) -> usize {
        let summary = &report.summaries_by_node()[node];
        serde_json::to_vec(summary).unwrap().len()
    }

    #[test]
    fn a_summary_says_what_the_report_says() {
        let report = bad_cluster(8);
        let summaries = report.summaries_by_node();
        assert_eq!(summaries.len(), 8);
        let (bad, good) = (&summaries[5], &summaries[3]);
        for summary in [bad, good] {
            assert_eq!(summary.status, report.status());
            assert_eq!(summary.action, report.action());
            assert_eq!(summary.problems, report.problems());
            assert_eq!((summary.node_count, summary.drain_count), (8, 1));
            let error = summary.require_healthy().unwrap_err();
            assert_eq!(error.code(), Code::Unhealthy);
            assert!(error.to_string().contains("rank 0 has the whole report"));
            assert!(error.to_string().contains("take out: node-5"), "{error}");
        }
        assert_eq!(
            (bad.node.as_str(), good.node.as_str()),
            ("node-5", "node-3")
        );
        assert!(
            bad.drain_because
                .as_ref()
                .unwrap()
                .contains("less bandwidth")
        );
        assert!(
            bad.to_string()
                .contains("this node, node-5, is to be taken out: "),
            "{bad}"
        );
        assert_eq!(good.drain_because, None);
        assert!(
            good.to_string()
                .contains("this node, node-3, is one of 8: "),
            "{good}"
        );
        let unmeasured = unmeasured(3).summaries_by_node().remove(0);
        let error = unmeasured.require_healthy().unwrap_err();
        assert_eq!(error.code(), Code::NotSurveyed);
    }

    #[test]
    fn a_summary_does_not_grow_with_the_nodes() {
        let (small, big) = (large(8), large(256));
        assert!(serde_json::to_vec(&big).unwrap().len() > 500 * size(&big, 5));
        for node in [3, 5] {
            // The numbers in it have more digits.
            assert!(size(&big, node) <= size(&small, node) + 16);
        }
    }

    #[test]
    fn nor_with_what_is_wrong_or_how_it_is_called() {
        let mut all_gone = unmeasured(300);
        for (number, node) in all_gone.nodes.iter_mut().enumerate() {
            node.name = "n".repeat(5000) + &number.to_string();
            node.state = NodeState::Absent {
                code: "fabric.deadline".into(),
                why: format!("{number} {}", "w".repeat(5000)),
            };
        }
        let summary = all_gone.summaries_by_node().remove(7);
        assert_eq!((summary.absent_count, summary.problem_count), (300, 300));
        assert_eq!(summary.problems.len(), 8);
        assert!(size(&all_gone, 7) < 8000);
        assert!(
            summary
                .require_healthy()
                .unwrap_err()
                .to_string()
                .contains("292 more problems")
        );
    }
}
