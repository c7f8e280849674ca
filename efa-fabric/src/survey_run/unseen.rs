//! What a survey did not measure, or could not have found: it must not pass for health.

use std::collections::BTreeMap;

use super::report::Report;
use super::text::folded;
use crate::survey::wording::{counted, digits, explained, listed, spread};
use crate::survey::{
    Explained, Failure, Options, Outcome, PairObservation, Subject, VerdictKind, explained_by_noise,
};

/// Failures of a rail that are no accident, where it never worked.
const CERTAIN: usize = 3;

/// A rail that failed whenever it was measured, while pairs with it worked by their other rails.
pub(super) struct DeadRail<'a> {
    rail: u16,
    /// Times that it was measured.
    pub(super) times: usize,
    /// The first.
    failure: &'a Failure,
}

impl DeadRail<'_> {
    /// Whether it failed often enough to be a finding.
    pub(super) fn is_certain(&self) -> bool {
        self.times >= CERTAIN
    }

    /// What to look at.
    pub(super) fn subject(&self) -> String {
        format!("rail {}, which failed between all nodes", self.rail)
    }

    pub(super) fn statement(&self) -> String {
        format!(
            "rail {} failed in {} of {}, between all nodes that have it ({}): look at its network cards, cables and switches, and at the provider",
            self.rail,
            self.times,
            counted(self.times, "measurement"),
            self.failure.code
        )
    }
}

impl Report {
    /// Rails that never worked, by number.
    pub(super) fn dead_rails(&self) -> Vec<DeadRail<'_>> {
        let mut failures = BTreeMap::<u16, Option<Vec<&Failure>>>::new();
        let is_measured = |o: &PairObservation| matches!(o.outcome, Outcome::Measured(_));
        if !self.of_pairs().any(is_measured) {
            return Vec::new();
        }
        for o in self.observations.as_slice() {
            let Some(rail) = o.rail else { continue };
            let of = failures.entry(rail).or_insert_with(|| Some(Vec::new()));
            match &o.outcome {
                Outcome::Measured(_) => *of = None,
                Outcome::Failed(failure) => of.iter_mut().for_each(|of| of.push(failure)),
            }
        }
        let dead = failures.into_iter().filter_map(|(rail, failures)| {
            let failures = failures?;
            let failure = *failures.first()?;
            let times = failures.len();
            Some(DeadRail {
                rail,
                times,
                failure,
            })
        });
        dead.collect()
    }

    /// How many measurements of single rails failed, and how many there were.
    pub(super) fn failures_of_rails(&self) -> (usize, usize) {
        let of_rails = self.observations.as_slice().iter();
        let of_rails: Vec<_> = of_rails.filter(|o| o.rail.is_some()).collect();
        let failed = |o: &&&PairObservation| matches!(o.outcome, Outcome::Failed(_));
        (of_rails.iter().filter(failed).count(), of_rails.len())
    }

    /// Whether nodes were not measured with each other because their set-ups do not fit together.
    pub(super) fn has_mismatch(&self) -> bool {
        let mut seen = self.of_pairs();
        seen.any(|o| matches!(&o.outcome, Outcome::Failed(failure) if failure.is_mismatch()))
    }

    /// An expected rate that no measurement could be compared with, in one sentence.
    pub(super) fn uncompared(&self) -> Option<String> {
        let options = self.options.as_ref()?;
        let measured = |of_rail: bool| {
            let mut seen = self.observations.as_slice().iter();
            seen.any(|o| o.rail.is_some() == of_rail && matches!(o.outcome, Outcome::Measured(_)))
        };
        let (together, of_rails) = (measured(false), measured(true));
        match (options.expected_gbps, options.expected_rail_gbps) {
            (Some(gbps), _) if of_rails && !together => Some(format!(
                "{} Gbit/s were expected of all rails together, and only single rails were measured",
                digits(gbps)
            )),
            (_, Some(gbps)) if together && !of_rails => Some(format!(
                "{} Gbit/s were expected of a rail, and no rail was measured by itself: survey two or more rails, or give what a pair should reach",
                digits(gbps)
            )),
            _ => None,
        }
    }

    /// What a survey that found nothing could not have found: losses below its noise, links that
    /// were not tried; and what failed too seldom to be a finding.
    pub(super) fn what_was_not_told(&self) -> Vec<String> {
        let asked = self.options.as_ref().map(|options| options.thresholds.loss);
        let least = self.conclusion.detectable_percent;
        let noise = least.filter(|least| asked.is_some_and(|asked| *least > 200.0 * asked));
        let noise = noise.map(|least| {
            format!(
                "a node's loss below {} % could not be distinguished from noise",
                digits(least)
            )
        });
        let levels = self.conclusion.noise_percent.is_some() && least.is_none();
        let levels = levels.then(|| {
            "pairs have two levels that no leaves explain: whether a node is slow could not be judged"
                .to_owned()
        });
        let (all, tried) = (self.link_count(), self.pairs());
        let links = (tried < all).then(|| format!("{tried} of {all} links were tried"));
        let (failed, of_rails) = self.failures_of_rails();
        let rails = (failed > 0)
            .then(|| format!("{failed} of {of_rails} measurements of single rails failed"));
        let limits = noise.into_iter().chain(levels);
        limits.chain(links).chain(rails).collect()
    }

    /// Whether nodes were compared with nothing: they are too few, and no rate was expected.
    pub(crate) fn is_blind(&self) -> bool {
        self.conclusion.noise_percent.is_none() && !self.expects_a_rate()
    }

    fn expects_a_rate(&self) -> bool {
        (self.options.as_ref()).is_some_and(Options::expects_a_rate)
    }

    /// Rates of few nodes that differ by no more than noise explains; `None` where other nodes, or
    /// an expected rate, show more.
    fn explained(&self) -> Option<Explained> {
        let labels = self.options.as_ref().and_then(|of| of.labels.as_deref());
        let is_blind = self.is_blind();
        is_blind
            .then(|| explained_by_noise(&self.observations, labels))
            .flatten()
    }

    /// How far the rates of few nodes are apart.
    pub(super) fn spread(&self) -> String {
        let of_few = (self.conclusion.verdicts.iter()).find(|verdict| {
            (verdict.kind, verdict.subject) == (VerdictKind::NotEnoughData, Subject::Cluster)
        });
        match of_few.and_then(|verdict| spread(&verdict.evidence)) {
            Some(rates) => match self.explained() {
                Some(noise) => format!("rates are {rates}, and {}", explained(&noise)),
                None => format!("rates are {rates}"),
            },
            None => "no rate was measured".to_owned(),
        }
    }

    /// What the survey did not judge, whatever its status: each a sentence.
    #[must_use]
    pub fn unknown(&self) -> Vec<String> {
        let mut unknown = Vec::new();
        if self.partial {
            unknown.push("what was not measured when the survey was stopped early".to_owned());
        }
        let absent = self.absent();
        if !absent.is_empty() {
            unknown.push(format!("everything about {}", listed(&folded(&absent))));
        }
        if !self.expects_a_rate() {
            unknown.push(
                "whether all nodes are slower than they should be: no expected rate was given"
                    .to_owned(),
            );
        }
        if self.conclusion.noise_percent.is_none() {
            unknown.push(format!(
                "whether one of {} nodes has less bandwidth or more latency than the others: they are too few",
                self.nodes.len()
            ));
        }
        unknown.extend(self.explained().map(|noise| {
            format!(
                "whether {}, or a slow node or path as well: give expected_gbps",
                explained(&noise)
            )
        }));
        unknown.extend(self.uncompared());
        unknown.extend(self.what_was_not_told());
        unknown
    }

    /// Links between its nodes.
    pub(super) fn link_count(&self) -> usize {
        self.nodes.len() * self.nodes.len().saturating_sub(1) / 2
    }
}

#[cfg(test)]
mod few;
#[cfg(test)]
mod warnings;

#[cfg(test)]
mod tests {
    use super::super::driver::Survey;
    use super::super::node::Node;
    use super::super::pair::Sight;
    use super::super::state::Status;
    use super::*;
    use crate::survey::{FailurePhase, Measured, Options};

    fn good() -> Sight {
        Sight::measured(Measured::new(20.0, 100.0, 100.0))
    }

    /// Every pair is measured; of its three rails those fail of which `fails` states this.
    fn surveyed(count: usize, fails: impl Fn(usize, (usize, usize)) -> bool) -> Report {
        let nodes = (0..count).map(|i| Node::new(format!("n{i}"))).collect();
        let mut survey = Survey::new(nodes, "efa", Options::default()).unwrap();
        while let Some(pairs) = survey.next_pairs() {
            for pair in pairs {
                let mut sight = good();
                sight.rails = (0..3)
                    .map(|rail| match fails(rail, pair) {
                        true => Outcome::Failed(Failure::new(
                            FailurePhase::Bandwidth,
                            "fabric.timeout",
                            1.0,
                        )),
                        false => Outcome::Measured(Measured::new(20.0, 33.0, 33.0)),
                    })
                    .collect();
                survey
                    .record(pair, Some(sight.clone()), Some(sight), 1.0)
                    .unwrap();
            }
        }
        survey.report(1.0)
    }

    #[test]
    fn a_rail_that_works_nowhere_is_a_finding() {
        let report = surveyed(6, |rail, _| rail == 2);
        assert_eq!(report.status(), Status::Findings, "{report}");
        assert!(report.drain().is_empty());
        let todo = "look at: rail 2, which failed between all nodes";
        assert_eq!(report.action(), todo);
        let count = report.dead_rails()[0].times;
        let said = format!(
            "rail 2 failed in {count} of {count} measurements, between all nodes that have it (fabric.timeout)"
        );
        assert!(report.to_string().contains(&said), "{report}");
        assert!(report.to_html().contains(&said) && report.to_svg().contains(todo));
        let failed = format!(
            "; {count} of {} measurements of single rails failed",
            3 * count
        );
        assert!(report.headline().contains(&failed), "{report}");
        let error = report.require_healthy().unwrap_err().to_string();
        assert!(error.contains(&said), "{error}");
        let well = surveyed(6, |_, _| false);
        assert_eq!(well.status(), Status::Healthy, "{well}");
        assert!(!well.headline().contains("single rails"), "{well}");
        assert_eq!(report.compare(&well).new_findings.len(), 1);
    }

    #[test]
    fn a_rail_that_failed_the_only_time_is_no_finding_and_no_health() {
        let report = surveyed(2, |rail, _| rail == 2);
        assert_eq!(report.status(), Status::NotSurveyed, "{report}");
        let said = "rail 2 failed in 1 of 1 measurement, between all nodes";
        assert!(report.to_string().contains(said), "{report}");
        assert!(!report.action().contains("nothing failed"), "{report}");
        // Where no rail works, the pair states this.
        let pair_fails = Failure::new(FailurePhase::Bandwidth, "fabric.timeout", 1.0);
        let mut none = surveyed(2, |_, _| true);
        let seen = none.observations.as_slice().to_vec();
        none.observations = crate::survey::Observations::new(2);
        for mut o in seen {
            o.outcome = Outcome::Failed(pair_fails.clone());
            none.observations.add(o).unwrap();
        }
        assert!(none.dead_rails().is_empty());
    }

    #[test]
    fn a_rail_that_fails_somewhere_is_said() {
        let report = surveyed(6, |rail, pair| (rail, pair) == (2, (1, 4)));
        assert!(report.dead_rails().is_empty());
        assert!(
            report
                .headline()
                .contains("measurements of single rails failed"),
            "{report}"
        );
        assert_ne!(
            report.action(),
            "nothing to do: no fault was found",
            "{report}"
        );
    }

    #[test]
    fn a_rate_that_was_expected_and_compared_with_nothing_is_no_health() {
        for count in [2, 6] {
            let mut report = surveyed(count, |_, _| false);
            report.options.as_mut().unwrap().expected_rail_gbps = Some(400.0);
            assert!(report.uncompared().is_none());
            let mut seen = report.observations.as_slice().to_vec();
            seen.retain(|o| o.rail.is_none());
            report.observations = crate::survey::Observations::new(count);
            for o in seen {
                report.observations.add(o).unwrap();
            }
            assert_eq!(report.status(), Status::NotSurveyed, "{report}");
            let error = report.require_healthy().unwrap_err().to_string();
            let said = "400 Gbit/s were expected of a rail, and no rail was measured by itself";
            assert!(error.contains(said), "{error}");
            assert!(report.to_string().contains(said), "{report}");
            report.options.as_mut().unwrap().expected_gbps = Some(90.0);
            assert_eq!(report.status(), Status::NotSurveyed, "{report}");
            report.options.as_mut().unwrap().expected_rail_gbps = None;
            assert_eq!(report.status(), Status::Healthy, "{report}");
        }
    }
}
