//! What a report comes to: its status, the error of one that is not healthy, and who took no part.

use super::report::Report;
use super::state::{NodeState, Status};
use super::text::{folded, some};
use crate::error::{Code, Error, Result};

impl Report {
    /// Returns what the survey comes to. Findings count more than what is missing.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.is_healthy() {
            return Status::Healthy;
        }
        let is_found = self.conclusion.faults().next().is_some() || self.differ_badly();
        let is_found = is_found || self.dead_rails().iter().any(|rail| rail.is_certain());
        if is_found || self.breaks_somewhere() || !self.drain().is_empty() {
            return Status::Findings;
        }
        Status::NotSurveyed
    }

    /// Checks that the cluster is healthy.
    ///
    /// # Errors
    /// `fabric.unhealthy` with the problems, and the nodes to take out as context `drain`;
    /// `fabric.not_surveyed` where nothing was found and not everything was measured, with the
    /// nodes that took no part as context `absent`.
    pub fn require_healthy(&self) -> Result<()> {
        let code = match self.status() {
            Status::Healthy => return Ok(()),
            Status::Findings => Code::Unhealthy,
            Status::NotSurveyed => Code::NotSurveyed,
        };
        let mut problems = self.faults();
        if code == Code::NotSurveyed || problems.is_empty() {
            problems.splice(0..0, self.missing());
        }
        if problems.is_empty() {
            problems.push(self.headline());
        }
        let mut error = Error::new(code, problems.join("; "));
        let (drain, absent) = (self.drain(), self.absent());
        if !drain.is_empty() {
            error = error
                .with_cure(format!("take out {}", drain.join(", ")))
                .with_context("drain", drain.join(" "));
        }
        if !absent.is_empty() {
            error = error.with_context("absent", absent.join(" "));
        }
        Err(error)
    }

    /// Returns nodes that took no part and have no evidence against them, by name: they never
    /// joined, or their set-up kept them from measuring.
    #[must_use]
    pub fn absent(&self) -> Vec<String> {
        let absent = (self.nodes.iter())
            .filter(|node| matches!(node.state, NodeState::Absent { .. }))
            .map(|node| node.name.clone());
        absent.collect()
    }

    /// Returns why a node is lost or absent, in one sentence; `None` of others.
    #[must_use]
    pub fn state_statement(&self, node: usize) -> Option<String> {
        let name = self.name(node);
        match &self.nodes.get(node)?.state {
            NodeState::Joined | NodeState::Measured => None,
            NodeState::Absent { code, why } => Some(format!("{name} {}: {why}", how_absent(code))),
            NodeState::Lost {
                round,
                after_ms,
                partner,
                pattern,
                ..
            } => {
                let doing = match (partner, pattern) {
                    (Some(partner), _) => {
                        format!(", while it was measured with {}", self.name(*partner))
                    }
                    (None, Some(pattern)) => format!(", in the {} of all", pattern.words()),
                    (None, None) => String::new(),
                };
                Some(format!(
                    "{name} joined and was lost in round {}, {:.1} s after its start{doing}",
                    round + 1,
                    *after_ms as f64 / 1e3,
                ))
            }
        }
    }

    /// What is reported of nodes that were lost: a remark, since their verdict is the finding.
    pub(super) fn losses(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.nodes.len())
            .filter(|&node| matches!(self.nodes[node].state, NodeState::Lost { .. }))
            .filter_map(|node| self.state_statement(node))
    }

    /// What kept nodes from taking part, each cause once, and what else kept the survey from being
    /// complete.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut causes: Vec<(&str, &str, Vec<&str>)> = Vec::new();
        for node in &self.nodes {
            if let NodeState::Absent { code, why } = &node.state {
                match causes.iter_mut().find(|(_, cause, _)| cause == why) {
                    Some((.., names)) => names.push(&node.name),
                    None => causes.push((how_absent(code), why, vec![&node.name])),
                }
            }
        }
        let said = causes.into_iter().map(|(how, why, names)| {
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            format!("{} {how}: {why}", some(&folded(&names), NAMED))
        });
        let mut said: Vec<String> = said.collect();
        said.extend(self.remarks.iter().cloned());
        let failed_once = self
            .dead_rails()
            .into_iter()
            .filter(|rail| !rail.is_certain());
        said.extend(failed_once.map(|rail| rail.statement()));
        said.extend(self.uncompared());
        if self.nodes.len() == 1 {
            said.push("one node has no other to be measured with: survey two or more".into());
        }
        said
    }
}

/// Names in one sentence at most.
const NAMED: usize = 8;

/// What a node did whose absence has this code.
fn how_absent(code: &str) -> &'static str {
    match code == Code::Interrupted.as_str() {
        true => "left the survey",
        false => "took no part",
    }
}

#[cfg(test)]
mod tests {
    use super::super::driver::Survey;
    use super::super::node::Node;
    use super::super::pair::Sight;
    use super::super::report::Cell;
    use super::*;
    use crate::probe::Signal;
    use crate::survey::{FailurePhase, Measured, Observations, Options, Outcome};

    type Sights = (Option<Sight>, Option<Sight>);

    fn good() -> Option<Sight> {
        Some(Sight::measured(Measured::new(20.0, 100.0, 100.0)))
    }

    fn failed(phase: FailurePhase, code: Code) -> Option<Sight> {
        let code = code.as_str();
        Some(Sight::failed(phase, code, 1.0, format!("text of {code}")))
    }

    /// A survey of this many nodes in which the pair of this round and attempt has these sights.
    fn surveyed(count: usize, of: impl Fn(usize, usize, (usize, usize)) -> Sights) -> Report {
        let nodes = (0..count).map(|i| Node::new(format!("n{i}"))).collect();
        let survey = Survey::new(nodes, "tcp", Options::default()).unwrap();
        let mut survey = survey.led_by(0);
        while let Some(pairs) = survey.next_pairs() {
            let (round, attempt) = (survey.round().unwrap(), survey.attempt());
            for pair in pairs {
                let (low, high) = of(round, attempt, pair);
                survey.record(pair, low, high, 8.0).unwrap();
            }
        }
        survey.report(1.0)
    }

    #[test]
    fn pairs_of_nodes_that_took_no_part_were_not_tried() {
        let nodes = (0..4).map(|i| Node::new(format!("n{i}"))).collect();
        let mut survey = Survey::new(nodes, "tcp", Options::default()).unwrap();
        survey.absent(2, "fabric.deadline", "it never joined".into());
        survey.absent(3, "fabric.deadline", "it never joined".into());
        while let Some(pairs) = survey.next_pairs() {
            for pair in pairs {
                survey.record(pair, good(), good(), 1.0).unwrap();
            }
        }
        let report = survey.report(1.0);
        assert_eq!((report.pairs(), report.absent().len()), (1, 2));
        let said = "4 nodes over tcp: not enough was measured; 1 pair in ";
        assert!(report.headline().starts_with(said), "{report}");
        assert!(
            report
                .headline()
                .contains(" 1 measurement, 0 of them failed"),
            "{report}"
        );
        assert!(
            report.precision().contains("1 of 6 links were tried"),
            "{report}"
        );
        let cells = report.matrix().concat();
        assert!(!cells.contains(&Cell::Failed), "{cells:?}");
        assert_eq!(
            (
                report.summaries()[3].failed,
                report.summaries()[3].measurements
            ),
            (0, 0)
        );
    }

    fn of_node(node: usize, (a, b): (usize, usize), sight: Option<Sight>) -> Sights {
        match node {
            _ if node == a => (sight, good()),
            _ if node == b => (good(), sight),
            _ => (good(), good()),
        }
    }

    #[test]
    fn an_answer_that_is_missed_once_costs_nobody_anything() {
        let report = surveyed(6, |round, attempt, pair| {
            of_node(
                3,
                pair,
                if (round, attempt) == (2, 0) {
                    None
                } else {
                    good()
                },
            )
        });
        assert_eq!(report.status(), Status::Healthy, "{report}");
        let failures = report.observations.as_slice().iter();
        assert_eq!(
            failures
                .filter(|o| matches!(o.outcome, Outcome::Failed(_)))
                .count(),
            0
        );
        assert!(
            report
                .nodes
                .iter()
                .all(|node| node.state == NodeState::Measured)
        );
        assert_eq!(
            report.remarks,
            ["n3 gave no answer in round 3 until asked again"]
        );
    }

    #[test]
    fn a_node_that_misses_every_first_answer_is_lost_in_the_end() {
        let report = surveyed(8, |_, attempt, pair| {
            of_node(3, pair, if attempt == 0 { None } else { good() })
        });
        assert_eq!(
            (report.status(), report.drain()),
            (Status::Findings, vec!["n3".into()])
        );
    }

    #[test]
    fn a_lost_node_says_when_and_doing_what() {
        let report = surveyed(6, |round, _, pair| {
            of_node(3, pair, if round >= 2 { None } else { good() })
        });
        let NodeState::Lost {
            round: 2,
            after_ms: 8000,
            partner: Some(partner),
            together: false,
            ..
        } = report.nodes[3].state
        else {
            panic!("{:?}", report.nodes[3]);
        };
        let said = report.state_statement(3).unwrap();
        let expected = format!(
            "n3 joined and was lost in round 3, 8.0 s after its start, while it was measured with n{partner}"
        );
        assert_eq!(said, expected);
        assert!(report.to_string().contains(&expected), "{report}");
        assert_eq!(
            (report.status().exit_status(), report.drain()),
            (1, vec!["n3".into()])
        );
        assert!(report.absent().is_empty());
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        let wrong = json.replace(&format!("\"partner\":{partner}"), "\"partner\":6");
        assert!(serde_json::from_str::<Report>(&wrong).is_err());
    }

    #[test]
    fn an_outage_of_what_they_meet_through_drains_nobody_and_suspects_the_host() {
        // For one attempt: every pair is measured after all.
        let report = surveyed(6, |round, attempt, _| match (round, attempt) {
            (1, 0) => (None, None),
            _ => (good(), good()),
        });
        assert_eq!(report.status(), Status::Healthy, "{report}");
        let said = "6 of 6 nodes gave no answer in round 2 until they were asked again: suspect n0";
        assert!(report.to_string().contains(said), "{report}");
        // For good.
        let report = surveyed(6, |round, _, (a, _)| match (round, a) {
            (0, _) => (good(), good()),
            (_, 0) => (good(), None),
            _ => (None, None),
        });
        assert_eq!(report.status(), Status::NotSurveyed, "{report}");
        assert!(
            report.drain().is_empty() && report.absent().is_empty(),
            "{report}"
        );
        let error = report.require_healthy().unwrap_err();
        assert_eq!(error.code(), Code::NotSurveyed);
        let said = "most nodes stopped answering at once, in round 2: suspect n0";
        assert!(error.to_string().contains(said), "{error}");
    }

    #[test]
    fn two_that_could_not_meet_meet_again() {
        let report = surveyed(4, |round, attempt, _| match (round, attempt) {
            (1, 0) => (
                failed(FailurePhase::Contact, Code::RendezvousFailed),
                good(),
            ),
            _ => (good(), good()),
        });
        // One of them measured, which counts.
        assert_eq!(report.status(), Status::Healthy, "{report}");
        let report = surveyed(4, |round, attempt, pair| match (round, attempt, pair) {
            (1, 0, _) => (
                failed(FailurePhase::Contact, Code::RendezvousFailed),
                failed(FailurePhase::Contact, Code::Unreachable),
            ),
            _ => (good(), good()),
        });
        assert_eq!(report.status(), Status::Healthy, "{report}");
        assert!(report.remarks[0].starts_with("4 of 4 nodes"), "{report}");
    }

    #[test]
    fn a_set_up_error_is_absence_and_no_finding() {
        let report = surveyed(4, |_, _, pair| {
            of_node(2, pair, failed(FailurePhase::Open, Code::LibraryNotFound))
        });
        assert_eq!(
            (report.status(), report.status().exit_status()),
            (Status::NotSurveyed, 2)
        );
        assert!(
            report.drain().is_empty() && report.unreachable_nodes().is_empty(),
            "{report}"
        );
        assert_eq!(report.absent(), ["n2"]);
        let error = report.require_healthy().unwrap_err();
        assert_eq!(
            (error.code(), error.context_value("absent")),
            (Code::NotSurveyed, Some("n2"))
        );
        let said = "n2 took no part: text of fabric.library_not_found";
        assert!(error.to_string().contains(said), "{error}");
        assert!(report.to_string().contains(said), "{report}");
    }

    #[test]
    fn a_node_that_cannot_open_its_endpoint_is_set_up_and_not_taken_out() {
        for count in [2, 4] {
            let sight = || failed(FailurePhase::Open, Code::ProviderNotFound);
            let report = surveyed(count, |_, _, _| (sight(), sight()));
            assert_eq!(report.status(), Status::NotSurveyed, "{report}");
            assert_eq!(report.absent().len(), count, "{report}");
            let said = "took no part: text of fabric.provider_not_found";
            assert!(
                report.to_string().contains(said) && report.drain().is_empty(),
                "{report}"
            );
        }
        // One node that cannot, where others can: no more is known of its hardware.
        let (own, other) = (
            || failed(FailurePhase::Open, Code::ProviderNotFound),
            || failed(FailurePhase::Contact, Code::PeerFailed),
        );
        let report = surveyed(6, |_, _, (a, b)| match (a, b) {
            (2, _) => (own(), other()),
            (_, 2) => (other(), own()),
            _ => (good(), good()),
        });
        assert_eq!(report.status(), Status::NotSurveyed, "{report}");
        assert_eq!(
            (report.drain(), report.absent()),
            (vec![], vec!["n2".into()])
        );
        assert_eq!(report.action(), "set up and survey again: n2");
    }

    #[test]
    fn a_node_whose_process_was_interrupted_is_not_taken_out() {
        let report = surveyed(6, |round, _, pair| {
            let interrupted = || failed(FailurePhase::Contact, Code::Interrupted);
            of_node(3, pair, if round == 2 { interrupted() } else { good() })
        });
        assert_eq!(report.status(), Status::NotSurveyed, "{report}");
        assert_eq!(
            (report.drain(), report.absent()),
            (vec![], vec!["n3".into()])
        );
        let said = "n3 left the survey: its process was interrupted";
        assert!(report.to_string().contains(said), "{report}");
        // A signal that is known is named, whatever the node's sight is then.
        for (signal, said) in [(Signal::Int, "(SIGINT, as"), (Signal::Term, "(SIGTERM, as")] {
            let nodes = (0..3).map(|i| Node::new(format!("n{i}"))).collect();
            let mut survey = Survey::new(nodes, "tcp", Options::default()).unwrap();
            let pair = survey.next_pairs().unwrap()[0];
            survey.interrupted(pair.1, Some(signal));
            let sight = failed(FailurePhase::Join, Code::Interrupted);
            survey.record(pair, None, sight, 1.0).unwrap();
            let report = survey.report(1.0);
            assert!(report.to_string().contains(said), "{report}");
            assert_eq!(report.drain(), [""; 0]);
        }
    }

    #[test]
    fn set_ups_that_do_not_fit_together_blame_neither_nodes_nor_links() {
        let misfit = || failed(FailurePhase::Open, Code::VersionMismatch);
        let said = "not measured with each other by their set-up: n0 and n";
        // One node of another version, half of them, and a pair.
        for (count, others) in [(6, 5..6), (6, 3..6), (2, 1..2)] {
            let report = surveyed(count, |_, _, (a, b)| {
                match others.contains(&a) == others.contains(&b) {
                    true => (good(), good()),
                    false => (misfit(), misfit()),
                }
            });
            assert_eq!(report.status(), Status::NotSurveyed, "{report}");
            assert!(report.drain().is_empty(), "{report}");
            assert!(report.unreachable_links().is_empty(), "{report}");
            assert!(report.to_string().contains(said), "{report}");
            // Of two halves the plan leaves nodes out that fit with nobody at first.
            if others.len() == 1 {
                let absent: &[&str] = if count == 6 { &["n5"] } else { &[] };
                assert_eq!(report.absent(), absent);
            }
            let json = serde_json::to_string(&report).unwrap();
            assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
        }
        // Which nobody else is excused by.
        let report = surveyed(6, |_, _, pair| match pair {
            (5, _) | (_, 5) => (misfit(), misfit()),
            (2, _) | (_, 2) => {
                let dead = || failed(FailurePhase::Contact, Code::Unreachable);
                (dead(), dead())
            }
            _ => (good(), good()),
        });
        assert_eq!(report.drain(), ["n2"], "{report}");
        assert_eq!(report.absent(), ["n5"], "{report}");
    }

    #[test]
    fn evidence_against_a_node_counts_more_than_an_absent_one() {
        let report = surveyed(8, |_, _, pair| match pair {
            (2, _) | (_, 2) => of_node(2, pair, failed(FailurePhase::Open, Code::LibraryTooOld)),
            (5, _) | (_, 5) => {
                let slow = Some(Sight::measured(Measured::new(20.0, 50.0, 50.0)));
                (slow.clone(), slow)
            }
            _ => (good(), good()),
        });
        assert_eq!(report.status(), Status::Findings, "{report}");
        assert_eq!(
            (report.drain(), report.absent()),
            (vec!["n5".into()], vec!["n2".into()])
        );
    }

    #[test]
    fn nodes_with_which_nothing_was_measured_are_not_healthy() {
        let mut report = surveyed(3, |_, _, _| (good(), good()));
        assert_eq!(report.status(), Status::Healthy);
        let seen = report.observations.as_slice().to_vec();
        report.observations = Observations::new(3);
        for o in seen.into_iter().filter(|o| (o.a, o.b) == (0, 1)) {
            report.observations.add(o).unwrap();
        }
        assert_eq!(report.status(), Status::NotSurveyed);
        assert_eq!(
            report.action(),
            "run the survey again: not enough was measured"
        );
        let error = report.require_healthy().unwrap_err();
        assert!(
            error.to_string().contains("not enough was measured"),
            "{error}"
        );
    }

    #[test]
    fn many_absent_nodes_are_named_as_first_and_last() {
        let nodes = (0..30).map(|i| Node::new(format!("rank {i}"))).collect();
        let mut survey = Survey::new(nodes, "tcp", Options::default()).unwrap();
        for rank in (1..30).filter(|&rank| rank != 20) {
            survey.absent(rank, "fabric.deadline", "it never joined".into());
        }
        assert!(survey.next_pairs().is_some());
        survey.record((0, 20), good(), good(), 1.0).unwrap();
        let report = survey.report(1.0);
        let names = "rank 1 to rank 19, rank 21 to rank 29";
        let todo = format!("set up and survey again: {names}");
        assert!(report.action().starts_with(&todo), "{report}");
        let said = format!("{names} took no part: it never joined");
        assert_eq!(report.missing(), [said]);
    }

    #[test]
    fn one_node_alone_is_not_surveyed() {
        let report = surveyed(1, |_, _, _| (None, None));
        let todo = "survey two nodes or more: one has no other to be measured with";
        assert_eq!(report.action(), todo);
        assert_eq!(report.status(), Status::NotSurveyed, "{report}");
        let error = report.require_healthy().unwrap_err().to_string();
        assert!(
            error.contains("one node has no other to be measured with"),
            "{error}"
        );
    }
}
