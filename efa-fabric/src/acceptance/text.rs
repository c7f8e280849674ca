//! The report for people: what to do, why, what was not looked at, and each instance.

use std::fmt::{self, Write as _};

use efa_core::html::{escape, preformatted};
use efa_core::text::plain;

use super::evidence::{Instance, Part};
use super::judge::{Finding, Verdict};
use super::{Report, Source};
use crate::survey_run::Inspection;

/// What no acceptance looks at.
const LIMITS: &str =
    "not part of an acceptance: GPUs, NVLink, storage, NCCL's collectives, and rates over time";

/// An instance as a line of the table.
struct Line {
    instance: String,
    node: String,
    devices: String,
    doctor: String,
    survey: String,
}

impl Report {
    /// Returns the verdict and what to do, in one line.
    #[must_use]
    pub fn action(&self) -> String {
        let j = &self.judgement;
        let verdict = j.verdict.as_str().replace('_', " ");
        let todo = match j.verdict {
            Verdict::Accepted => "nothing was found".to_owned(),
            Verdict::AcceptedWithWarnings => match j.warnings.len() {
                1 => "1 warning to review".to_owned(),
                warnings => format!("{warnings} warnings to review"),
            },
            Verdict::Refused => match j.replace.as_slice() {
                [] => "no evidence points to a single instance: see the findings below".to_owned(),
                all if all.len() == self.evidence.instances.len() => {
                    "every instance is to be replaced: destroy the cluster, and apply again"
                        .to_owned()
                }
                some => format!("replace {}", some.join(", ")),
            },
            Verdict::CouldNotBeJudged => {
                "nothing speaks against it, but not everything was checked".to_owned()
            }
        };
        format!("{verdict}: {todo}")
    }

    /// Returns one line: which cluster, when, which version.
    #[must_use]
    pub fn headline(&self) -> String {
        let when = self.finished_at();
        format!(
            "cluster '{}': {} instances, judged {}, efa-sdk {}",
            self.evidence.cluster,
            self.evidence.instances.len(),
            when.as_deref().unwrap_or("at an unknown time"),
            self.version
        )
    }

    /// Each list that is not empty, with its title.
    fn lists(&self) -> Vec<(&'static str, Vec<String>)> {
        let statement = |findings: &[Finding]| -> Vec<String> {
            let source = |f: &Finding| match f.source {
                Source::Ec2 => "EC2",
                other => other.as_str(),
            };
            let statement = |f: &Finding| format!("{}: {}", source(f), f.statement);
            findings.iter().map(statement).collect()
        };
        let j = &self.judgement;
        let lists = [
            ("against it", statement(&j.against)),
            ("not checked", j.not_looked_at.clone()),
            ("warnings", statement(&j.warnings)),
            ("checked", self.parts()),
        ];
        lists.into_iter().filter(|(_, of)| !of.is_empty()).collect()
    }

    /// What each part that ran saw, in a line.
    fn parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if let Some(ec2) = self.evidence.ec2.seen() {
            parts.push(format!(
                "EC2: {} instances, {} interfaces, {} comparisons with plan {}, {} differ",
                ec2.instances,
                ec2.interfaces,
                ec2.checks,
                ec2.fingerprint,
                ec2.findings.len()
            ));
        }
        if let Some(survey) = self.evidence.survey.seen() {
            let asked = survey
                .nodes
                .iter()
                .filter_map(|node| node.known_inspection());
            parts.push(format!("doctor: {} nodes", asked.count()));
            parts.push(format!("survey: {}", survey.headline()));
            parts.push(format!("survey: {}", survey.precision()));
        }
        parts
    }

    fn lines(&self) -> Vec<Line> {
        let survey = self.evidence.survey.seen();
        let places = survey.map_or_else(Vec::new, |survey| self.evidence.instances_of(survey));
        let mut lines = Vec::new();
        for (number, instance) in self.evidence.instances.iter().enumerate() {
            let of_it = (0..places.len()).filter(|&node| places[node] == Some(number));
            let before = lines.len();
            for node in of_it {
                let node = survey.map(|survey| &survey.nodes[node]);
                let found = node.and_then(|node| node.known_inspection());
                lines.push(Line {
                    node: node.map_or_else(String::new, |node| plain(&node.name)),
                    survey: node.map_or("-", |node| node.state.as_str()).to_owned(),
                    ..Line::new(instance, found.as_ref())
                });
            }
            if lines.len() == before {
                lines.push(Line::new(instance, None));
            }
        }
        lines
    }

    /// The instances as a table.
    fn table(&self) -> String {
        let head = Line {
            instance: "instance".into(),
            node: "node".into(),
            devices: "EFA devices".into(),
            doctor: "doctor".into(),
            survey: "survey".into(),
        };
        let mut lines = self.lines();
        lines.insert(0, head);
        let width = |get: fn(&Line) -> &str| {
            let widths = lines.iter().map(|line| get(line).chars().count());
            widths.max().unwrap_or(0).min(40)
        };
        let widths = (width(|l| &l.instance), width(|l| &l.node));
        let mut table = String::new();
        for line in &lines {
            let _ = writeln!(
                table,
                "{:a$}  {:b$}  {:>11}  {:16}  {}",
                line.instance,
                line.node,
                line.devices,
                line.doctor,
                line.survey,
                a = widths.0,
                b = widths.1,
            );
        }
        table
    }

    /// Returns the report as HTML for notebooks: the text, and the survey's heatmap under instance
    /// ids. Names are escaped, and there are no scripts.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut html = format!(
            "<div><p><b>{}</b></p><p>{}</p>",
            escape(&self.action()),
            escape(&self.headline())
        );
        for (title, list) in self.lists() {
            let _ = write!(html, "<p>{title}</p><ul>");
            for statement in list {
                let _ = write!(html, "<li>{}</li>", escape(&statement));
            }
            html.push_str("</ul>");
        }
        let _ = write!(html, "<p>{LIMITS}</p>{}", preformatted(&self.table()));
        if let Part::Seen(survey) = &self.evidence.survey {
            html.push_str(&self.evidence.named(survey).to_html());
        }
        html.push_str("</div>");
        html
    }
}

impl Line {
    fn new(instance: &Instance, found: Option<&Inspection>) -> Self {
        let devices = found.map_or_else(|| "-".to_owned(), |i| i.efa_devices.to_string());
        Self {
            instance: plain(&instance.instance_id),
            node: "-".to_owned(),
            devices: format!("{devices} of {}", instance.efa_interfaces),
            doctor: plain(found.map_or("-", |i| &i.verdict)).replace('_', " "),
            survey: "-".to_owned(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", plain(&self.action()))?;
        writeln!(f, "{}", plain(&self.headline()))?;
        for (title, list) in self.lists() {
            writeln!(f, "{title}:")?;
            for statement in list {
                writeln!(f, "- {}", plain(&statement))?;
            }
        }
        writeln!(f, "{LIMITS}")?;
        f.write_str(&self.table())
    }
}
