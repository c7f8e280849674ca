//! What is concluded of a survey, in view of what became of its nodes: by whoever drives it, and by
//! whoever reads its report, which is not believed.

use std::collections::{BTreeMap, BTreeSet};

use super::node::Node;
use super::report::{Report, VERSION};
use super::state::NodeState;
use crate::error::{Code, Error, Result};
use crate::survey::{
    Conclusion, Confidence, Evidence, Observations, Outcome, PairObservation, Severity, Subject,
    Verdict, VerdictKind, conclude,
};

/// Nodes that stopped answering while they were measured with the same one: of two it may be luck.
const LEAST_SILENCED: usize = 3;

/// What the observations state in view of the nodes. A node that stopped answering reached others
/// before, so that the observations alone blame its last link; here it is known to be the node.
/// Nothing is reported against nodes that took no part, nor against those that were lost at once with
/// most others, nor where set-ups do not fit together.
pub(super) fn judge(
    mut conclusion: Conclusion,
    nodes: &[Node],
    observations: &Observations,
) -> Conclusion {
    excuse_mismatches(&mut conclusion, observations);
    let silencing = silencing(nodes);
    let is_to_blame = |node: usize| match nodes[node].state {
        NodeState::Joined | NodeState::Measured => None,
        NodeState::Lost {
            together, partner, ..
        } => Some(!together && partner.is_none_or(|partner| !silencing.contains_key(&partner))),
        NodeState::Absent { .. } => Some(false),
    };
    conclusion.verdicts.retain(|verdict| match verdict.subject {
        Subject::Link { a, b } => is_to_blame(a).or(is_to_blame(b)).is_none(),
        Subject::Node { node } | Subject::Rail { node, .. } => is_to_blame(node) != Some(false),
        _ => true,
    });
    let of_drain = conclusion.drain.iter().copied();
    let mut drain: BTreeSet<usize> = of_drain
        .filter(|&n| is_to_blame(n) != Some(false))
        .collect();
    for node in (0..nodes.len()).filter(|&node| is_to_blame(node) == Some(true)) {
        drain.insert(node);
        let of_node = Subject::Node { node };
        let known = |v: &Verdict| (v.subject, v.kind) == (of_node, VerdictKind::Unreachable);
        if !conclusion.verdicts.iter().any(known) {
            let verdict = Verdict::new(
                of_node,
                VerdictKind::Unreachable,
                Severity::Fault,
                Confidence::High,
                Evidence {
                    code: Some(Code::Deadline.as_str().to_owned()),
                    ..Evidence::default()
                },
            );
            conclusion.verdicts.insert(0, verdict);
        }
    }
    for (node, lost) in silencing {
        drain.insert(node);
        let evidence = Evidence {
            nodes: lost,
            code: Some(Code::Deadline.as_str().to_owned()),
            ..Evidence::default()
        };
        let (kind, severity) = (VerdictKind::Unstable, Severity::Fault);
        let of_node = Subject::Node { node };
        let verdict = Verdict::new(of_node, kind, severity, Confidence::Medium, evidence);
        conclusion.verdicts.insert(0, verdict);
    }
    conclusion.drain = drain.into_iter().collect();
    conclusion
}

/// Nodes that answer, with those that stopped answering while they were measured with them: several have
/// that node in common.
fn silencing(nodes: &[Node]) -> BTreeMap<usize, Vec<usize>> {
    let mut silencing: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (lost, node) in nodes.iter().enumerate() {
        if let NodeState::Lost {
            partner: Some(partner),
            together: false,
            ..
        } = node.state
        {
            silencing.entry(partner).or_default().push(lost);
        }
    }
    let is_lost = |node: usize| matches!(nodes[node].state, NodeState::Lost { .. });
    silencing.retain(|&node, lost| lost.len() >= LEAST_SILENCED && !is_lost(node));
    silencing
}

/// Takes what is reported against nodes and links out whose every failure is a mismatch of set-ups.
fn excuse_mismatches(conclusion: &mut Conclusion, observations: &Observations) {
    if !observations.as_slice().iter().any(is_mismatch) {
        return;
    }
    conclusion.verdicts.retain(|verdict| {
        let is_failure = verdict.evidence.code.is_some();
        let nodes = verdict.nodes();
        let of_subject = |o: &PairObservation| match verdict.subject {
            Subject::Cluster => true,
            Subject::Link { a, b } => (o.a, o.b) == (a, b),
            _ => nodes.iter().any(|&node| o.a == node || o.b == node),
        };
        !(is_failure && all_failures_are_mismatches(observations, &of_subject))
    });
    let blamed: Vec<usize> = conclusion.faults().flat_map(Verdict::nodes).collect();
    conclusion.drain.retain(|node| blamed.contains(node));
}

fn is_mismatch(o: &PairObservation) -> bool {
    matches!(&o.outcome, Outcome::Failed(failure) if failure.is_mismatch())
}

/// Whether some of these failed, and each because its nodes' set-ups do not fit together.
pub(super) fn all_failures_are_mismatches(
    observations: &Observations,
    of: &dyn Fn(&PairObservation) -> bool,
) -> bool {
    let mut failures = (observations.as_slice().iter())
        .filter(|o| matches!(o.outcome, Outcome::Failed(_)) && of(o))
        .peekable();
    failures.peek().is_some() && failures.all(is_mismatch)
}

impl Report {
    /// Checks a report that was read against itself: `status` is what it states of itself. What this
    /// version wrote is concluded again from its observations; of other versions only that what is
    /// taken out has a reason.
    ///
    /// # Errors
    /// `fabric.invalid_option` with the contradiction.
    pub(super) fn require_consistent(&self, status: Option<&str>) -> Result<()> {
        let wrong = |what: &str| {
            Err(Error::new(Code::InvalidOption, what)
                .with_cure("give a report as `to_json` wrote it")
                .with_context("nodes", self.nodes.len()))
        };
        let of = &self.conclusion;
        let percents = [
            of.noise_percent,
            of.detectable_percent,
            of.unstable_named_percent,
        ];
        let rates = [of.typical_gbps, of.typical_latency_us];
        let is_negative = |value: f64| value < 0.0;
        if !(0.0..=1.0).contains(&of.links_seen)
            || percents.into_iter().flatten().any(is_negative)
            || rates.into_iter().flatten().any(is_negative)
            || is_negative(self.elapsed_s)
        {
            return wrong("the report has a share, a rate, a noise or a time that cannot be");
        }
        if !self.partial && self.rounds == 0 && !self.observations.is_empty() {
            return wrong("the report has observations of no round");
        }
        let blamed: Vec<usize> = of.faults().flat_map(Verdict::nodes).collect();
        let has_reason = |node: &usize| blamed.contains(node) || self.silent.contains(node);
        if !of.drain.iter().all(has_reason) {
            return wrong("the report takes out a node that no finding names");
        }
        let (Some(options), Some(from)) = (&self.options, self.targeted_from) else {
            return Ok(());
        };
        if self.version.as_deref() != Some(VERSION) {
            return Ok(());
        }
        let takes_no_part = |node: &usize| {
            let state = &self.nodes[*node].state;
            matches!(state, NodeState::Lost { .. } | NodeState::Absent { .. })
        };
        if !(0..self.nodes.len())
            .filter(takes_no_part)
            .eq(self.silent.iter().copied())
        {
            return wrong("the silent nodes of the report are not those that are lost or absent");
        }
        if self.has_unseen_measured_node() {
            return wrong("the report calls a node measured that it has no measurement of");
        }
        let seen = conclude(&self.observations, options, from);
        if judge(seen, &self.nodes, &self.observations) != *of {
            return wrong("the conclusion of the report is not what its observations come to");
        }
        if status.is_some_and(|status| status != self.status().as_str()) {
            return wrong("the status of the report is not what the rest of it comes to");
        }
        Ok(())
    }

    fn has_unseen_measured_node(&self) -> bool {
        let mut seen = vec![false; self.nodes.len()];
        for o in self.observations.as_slice() {
            if matches!(o.outcome, Outcome::Measured(_)) {
                (seen[o.a], seen[o.b]) = (true, true);
            }
        }
        let mut nodes = self.nodes.iter().zip(seen);
        nodes.any(|(node, seen)| node.state == NodeState::Measured && !seen)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::driver::Survey;
    use super::super::pair::Sight;
    use super::*;
    use crate::survey::{FailurePhase, Measured, Mode, Options};

    /// A survey of eight nodes in this mode, of which one has half the rate, one stops answering,
    /// and one leaves.
    fn surveyed(mode: Mode, rounds: usize) -> Report {
        let nodes = (0..8).map(|i| Node::new(format!("n{i}"))).collect();
        let options = Options {
            mode,
            ..Options::default()
        };
        let mut survey = Survey::new(nodes, "tcp", options).unwrap();
        for _ in 0..rounds {
            let Some(pairs) = survey.next_pairs() else {
                break;
            };
            let is_late = survey.round().unwrap() > 1;
            for (a, b) in pairs {
                let of = |node: usize| {
                    let gbps = if a == 3 || b == 3 { 50.0 } else { 100.1 };
                    let left =
                        || Sight::failed(FailurePhase::Join, "fabric.interrupted", 0.0, "".into());
                    match node {
                        5 if is_late => None,
                        6 if is_late => Some(left()),
                        _ => Some(Sight::measured(Measured::new(20.3, gbps, gbps))),
                    }
                };
                survey.record((a, b), of(a), of(b), 1.5).unwrap();
            }
        }
        survey.report(0.1)
    }

    fn read(report: &Value) -> Result<Report, String> {
        serde_json::from_value(report.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_report_that_is_read_is_the_one_that_was_written() {
        for mode in [Mode::Full, Mode::Sampled] {
            for rounds in [0, 1, 3, 100] {
                let report = surveyed(mode, rounds);
                let json = serde_json::to_string(&report).unwrap();
                assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
            }
        }
        assert_eq!(surveyed(Mode::Full, 100).drain(), ["n3", "n5"]);
    }

    #[test]
    fn a_report_that_contradicts_itself_is_refused() {
        let whole = serde_json::to_value(surveyed(Mode::Full, 100)).unwrap();
        let verdict = whole["conclusion"]["verdicts"][0].clone();
        let changes = [
            (
                "/conclusion/drain",
                json!([0, 3, 5]),
                "takes out a node that no finding names",
            ),
            (
                "/conclusion/drain",
                json!([3]),
                "not what its observations come to",
            ),
            ("/conclusion/verdicts", json!([verdict]), "takes out a node"),
            ("/conclusion/links_seen", json!(-1), "that cannot be"),
            ("/conclusion/noise_percent", json!(-5.0), "that cannot be"),
            (
                "/conclusion/noise_percent",
                json!(5.0),
                "not what its observations come to",
            ),
            ("/elapsed_s", json!(-1), "that cannot be"),
            ("/rounds", json!(0), "observations of no round"),
            ("/observations/items", json!([]), "calls a node measured"),
            (
                "/nodes/0/state",
                json!({"is": "absent", "code": "x", "why": "w"}),
                "silent nodes",
            ),
            ("/silent", json!([]), "silent nodes"),
            ("/status", json!("healthy"), "status of the report"),
        ];
        assert!(read(&whole).is_ok());
        for (at, value, said) in changes {
            let mut changed = whole.clone();
            *changed.pointer_mut(at).unwrap() = value;
            let error = read(&changed).expect_err(at);
            assert!(error.contains(said), "{at}: {error}");
        }
        // Of another version the findings are believed, if they are some.
        let mut other = whole;
        other["version"] = json!("0.0.1");
        other["conclusion"]["noise_percent"] = json!(5.0);
        assert!(read(&other).is_ok());
        other["conclusion"]["drain"] = json!([0]);
        assert!(read(&other).is_err());
    }
}
