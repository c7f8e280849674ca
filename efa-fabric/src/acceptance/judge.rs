//! What speaks against a cluster, what was not looked at, and the verdict.

use std::collections::BTreeSet;

use efa_core::verify;
use serde::{Deserialize, Serialize};

use super::evidence::{Evidence, Part};
use crate::provider;
use crate::survey_run::{self, Inspection, NodeState, Status};

/// Differences from the plan that no traffic between nodes depends on.
const HARMLESS: [&str; 4] = [
    "delete_on_termination",
    "imds_v2_required",
    "instance_profile",
    "public_ip",
];
/// Differences of an instance that end when it is replaced.
const ENDS_WITH_INSTANCE: [&str; 7] = [
    "capacity",
    "image",
    "instance_type",
    "interface",
    "placement_group",
    "state",
    "subnet",
];

/// The verdict of an acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Every part ran, saw every instance, and found nothing.
    Accepted,
    /// Every part ran, saw every instance, and found nothing that keeps jobs from running well.
    AcceptedWithWarnings,
    /// There is evidence against an instance, a link, or the cluster.
    Refused,
    /// There is none, and not everything was looked at.
    CouldNotBeJudged,
}

impl Verdict {
    /// Returns the word, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::AcceptedWithWarnings => "accepted_with_warnings",
            Self::Refused => "refused",
            Self::CouldNotBeJudged => "could_not_be_judged",
        }
    }

    /// Returns whether jobs may start.
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Accepted | Self::AcceptedWithWarnings)
    }

    /// Returns the exit status of a program that accepts: 0 accepted, with warnings too, 1 refused,
    /// 2 could not be judged.
    #[must_use]
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Accepted | Self::AcceptedWithWarnings => 0,
            Self::Refused => 1,
            Self::CouldNotBeJudged => 2,
        }
    }
}

/// The part that a finding is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// EC2, compared with the plan.
    Ec2,
    /// The doctor on a node.
    Doctor,
    /// The survey.
    Survey,
}

impl Source {
    /// Returns the word, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Doctor => "doctor",
            Self::Survey => "survey",
        }
    }
}

/// A finding of an acceptance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// The part that found it.
    pub source: Source,
    /// A sentence, in which nodes have their instance ids.
    pub statement: String,
}

/// The conclusions from the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// What speaks against the cluster.
    pub against: Vec<Finding>,
    /// What costs speed or safety, or what a measurement was too short or too small to show.
    pub warnings: Vec<Finding>,
    /// What was not looked at although it belongs to an acceptance: none is accepted with it.
    pub not_looked_at: Vec<String>,
    /// Ids of the instances to replace: those with evidence against them.
    pub replace: Vec<String>,
}

/// Judges what was seen.
pub(super) fn judge(evidence: &Evidence) -> Judgement {
    let mut seen = Seen::default();
    if evidence.instances.is_empty() {
        seen.unseen("the instances: EC2 shows no instance of the cluster");
    }
    seen.look_at_ec2(evidence);
    match &evidence.survey {
        Part::Seen(survey) => {
            seen.look_at_nodes(evidence, survey);
            seen.look_at_survey(&evidence.named(survey));
        }
        Part::NotSeen { why } => {
            seen.unseen(format!("the fabric: no survey was made: {why}"));
            seen.unseen("the nodes: their doctors answer in the survey");
        }
    }
    let verdict = match () {
        () if !seen.against.is_empty() => Verdict::Refused,
        () if !seen.not_looked_at.is_empty() => Verdict::CouldNotBeJudged,
        () if !seen.warnings.is_empty() => Verdict::AcceptedWithWarnings,
        () => Verdict::Accepted,
    };
    let launched = evidence.instances.iter().map(|i| i.instance_id.clone());
    Judgement {
        verdict,
        replace: launched.filter(|id| seen.replace.contains(id)).collect(),
        against: seen.against,
        warnings: seen.warnings,
        not_looked_at: seen.not_looked_at,
    }
}

/// What was found so far.
#[derive(Default)]
struct Seen {
    against: Vec<Finding>,
    warnings: Vec<Finding>,
    not_looked_at: Vec<String>,
    replace: BTreeSet<String>,
}

impl Seen {
    fn against(&mut self, source: Source, statement: impl Into<String>) {
        let statement = statement.into();
        self.against.push(Finding { source, statement });
    }

    fn warn(&mut self, source: Source, statement: impl Into<String>) {
        let statement = statement.into();
        self.warnings.push(Finding { source, statement });
    }

    fn unseen(&mut self, what: impl Into<String>) {
        self.not_looked_at.push(what.into());
    }

    /// The comparison with the plan. Its findings begin with the id of what they are about.
    fn look_at_ec2(&mut self, evidence: &Evidence) {
        let report = match &evidence.ec2 {
            Part::Seen(report) => report,
            Part::NotSeen { why } => {
                return self.unseen(format!("EC2's side, against the plan: {why}"));
            }
        };
        if report.name != evidence.cluster {
            let of = &report.name;
            return self.unseen(format!(
                "EC2's side: the comparison is of the cluster '{of}'"
            ));
        }
        if report.checks == 0 {
            self.unseen("EC2's side: nothing was compared with the plan");
        }
        let known = evidence.instances.len();
        if report.instances != known {
            self.unseen(format!(
                "some instances: the cluster had {known}, and {} when it was compared with the plan",
                report.instances
            ));
        }
        for finding in &report.findings {
            self.look_at_difference(finding);
        }
    }

    fn look_at_difference(&mut self, finding: &verify::Finding) {
        let statement = format!(
            "{} of {}: expected {}, is {}; {}",
            finding.check, finding.subject, finding.expected, finding.actual, finding.cure
        );
        if HARMLESS.contains(&finding.check.as_str()) {
            return self.warn(Source::Ec2, statement);
        }
        self.against(Source::Ec2, statement);
        if ENDS_WITH_INSTANCE.contains(&finding.check.as_str()) {
            let subject = finding.subject.split(' ').next().unwrap_or_default();
            self.replace.insert(subject.to_owned());
        }
    }

    /// Who took part, and what the doctor reports of each instance.
    fn look_at_nodes(&mut self, evidence: &Evidence, survey: &survey_run::Report) {
        let places = evidence.instances_of(survey);
        for (number, instance) in evidence.instances.iter().enumerate() {
            let id = &instance.instance_id;
            let mut nodes = (0..places.len()).filter(|&node| places[node] == Some(number));
            let Some(first) = nodes.next() else {
                self.unseen(format!("{id}: no node of the survey is this instance"));
                continue;
            };
            for node in std::iter::once(first).chain(nodes) {
                let node = &survey.nodes[node];
                if let NodeState::Absent { why, .. } = &node.state {
                    self.unseen(format!("{id}: it took no part in the survey: {why}"));
                }
                match node.known_inspection() {
                    Some(found) => self.look_at_doctor(id, instance.efa_interfaces, &found),
                    None => self.unseen(format!("{id}: its doctor gave no answer")),
                }
            }
        }
        for (node, _) in (survey.nodes.iter().zip(&places)).filter(|(_, place)| place.is_none()) {
            let statement = format!(
                "{} was surveyed and is not known as an instance of the cluster",
                node.name
            );
            self.warn(Source::Survey, statement);
        }
    }

    fn look_at_doctor(&mut self, id: &str, attached: usize, found: &Inspection) {
        let why = found.failed.as_deref().unwrap_or("it names no cause");
        match found.verdict.as_str() {
            "usable" => {}
            "not_usable" => {
                self.against(Source::Doctor, format!("EFA cannot be used on {id}: {why}"))
            }
            "no_efa_by_design" if attached > 0 => self.against(
                Source::Doctor,
                format!("{id} finds no EFA, and EC2 shows {attached} EFA interfaces"),
            ),
            "no_efa_by_design" => {}
            "unknown" => self.unseen(format!("{id}: its doctor could not make every check")),
            other => self.unseen(format!(
                "{id}: its doctor reports '{other}', which is not known"
            )),
        }
        let devices = found.efa_devices;
        let statement =
            format!("{id} has {devices} EFA devices, and EC2 shows {attached} interfaces");
        match devices.cmp(&attached) {
            std::cmp::Ordering::Less => self.against(Source::Doctor, statement),
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => self.warn(Source::Doctor, statement),
        }
        for warning in &found.warnings {
            self.warn(Source::Doctor, format!("{id}: {warning}"));
        }
    }

    /// The measurements; nodes have instance ids for names.
    fn look_at_survey(&mut self, survey: &survey_run::Report) {
        if !provider::is(&survey.provider, "efa") {
            self.unseen(format!(
                "EFA's network: the survey measured the provider {}",
                survey.provider
            ));
        }
        let faults = survey.faults();
        let missing = survey.missing();
        let drained = survey.drained();
        for name in drained.iter().map(|&node| survey.name(node)) {
            let id = name.split('/').next().unwrap_or_default();
            self.replace.insert(id.to_owned());
        }
        for statement in &faults {
            self.against(Source::Survey, statement.clone());
        }
        if faults.is_empty() && survey.status() == Status::Findings {
            self.against(Source::Survey, survey.action());
        }
        for statement in survey.problems() {
            // What is missing is reported of each instance, or as what was not looked at.
            if !faults.contains(&statement) && !missing.contains(&statement) {
                self.warn(Source::Survey, statement);
            }
        }
        for statement in &survey.remarks {
            self.warn(Source::Survey, statement.clone());
        }
        let unmeasured = (0..survey.nodes.len()).filter(|node| !survey.nodes[*node].is_measured());
        let unmeasured: Vec<&str> = unmeasured.map(|node| survey.name(node)).collect();
        if survey.partial {
            self.unseen("some pairs: the survey was stopped early");
        }
        if survey.nodes.len() < 2 {
            self.unseen("the fabric: one node has no other to be measured with");
        } else if survey.status() == Status::NotSurveyed {
            self.unseen(match unmeasured.as_slice() {
                [] => format!("some of the fabric: {}", survey.action()),
                names => format!("the fabric between {} and others", names.join(", ")),
            });
        }
        self.look_at_limits(survey);
    }

    /// The limits of a complete survey.
    fn look_at_limits(&mut self, survey: &survey_run::Report) {
        let count = survey.nodes.len();
        let (all, tried) = (count * count.saturating_sub(1) / 2, survey.pairs());
        if tried < all {
            self.warn(
                Source::Survey,
                format!("{tried} of {all} links were tried, nothing is known of the others"),
            );
        }
        if survey.is_blind() {
            self.warn(
                Source::Survey,
                format!(
                    "{count} nodes are too few to identify a slow one without an expected rate"
                ),
            );
        }
    }
}
