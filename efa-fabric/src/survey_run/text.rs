//! The report as text: what to do, then why, then the numbers.

use std::collections::BTreeSet;
use std::fmt;

use efa_core::text::plain;

use super::report::Report;
use super::state::Status;
use crate::survey::wording::{brief, counted, digits, listed, rates, subject};
use crate::survey::{Outcome, PairObservation, Severity, Subject, Verdict};

/// More verdicts of one kind than this are one sentence.
const MOST_OF_KIND: usize = 8;
/// Warnings that the first line has.
const WARNINGS_NAMED: usize = 3;
/// Nodes that are bad in part are named this often, in percent, or it is reported how often they are.
const SURELY_NAMED: f64 = 95.0;

impl Report {
    /// Returns what to do, in one line: whom to take out, with instance ids where they are known,
    /// what to look at, or what has to be done first.
    #[must_use]
    pub fn action(&self) -> String {
        self.action_of(usize::MAX)
    }

    /// The same with at most this many names.
    pub(super) fn action_of(&self, most: usize) -> String {
        let mut todo = Vec::new();
        let drained = self.drained();
        if !drained.is_empty() {
            let labels: Vec<String> = drained.iter().map(|&node| self.label(node)).collect();
            todo.push(format!("take out: {}", some(&labels, most)));
        }
        let others = self.faults_of_no_node(&drained);
        if !others.is_empty() {
            todo.push(format!(
                "look at: {}",
                some(&others, most.min(MOST_OF_KIND))
            ));
        }
        let absent = folded(&self.absent());
        if !absent.is_empty() {
            todo.push(format!("set up and survey again: {}", some(&absent, most)));
        }
        if self.nodes.len() < 2 {
            todo.push("survey two nodes or more: one has no other to be measured with".to_owned());
        } else if self.partial {
            todo.push("run the survey again: it was stopped early".to_owned());
        } else if todo.is_empty() && !self.is_healthy() {
            todo.push("run the survey again: not enough was measured".to_owned());
        }
        if !todo.is_empty() {
            return todo.join("; ");
        }
        let limits = self.what_was_not_told();
        match self.problems().len() {
            0 if self.is_blind() && self.failures_of_rails().0 == 0 => format!(
                "nothing to take out: {}, and {} nodes are too few to identify a slow one: {}; \
                 whether all are slow cannot be known without expected_gbps",
                self.nothing_found(),
                self.nodes.len(),
                self.spread()
            ),
            0 if !limits.is_empty() => {
                format!(
                    "nothing to take out: no fault was found; {}",
                    limits.join("; ")
                )
            }
            0 => "nothing to do: no fault was found".to_owned(),
            warnings => format!(
                "nothing to take out; {} to review{}",
                counted(warnings, "warning"),
                self.what_warns(warnings)
            ),
        }
    }

    /// The first warnings in a few words each, and how many more of them all there are.
    fn what_warns(&self, all: usize) -> String {
        let names = self.names();
        let verdicts = self.conclusion.verdicts.iter();
        let verdicts = verdicts.filter(|v| v.severity == Severity::Warning);
        let differences = self.differences();
        let differences = differences.iter();
        let differences = differences.filter(|d| d.severity == Severity::Warning);
        let said: Vec<String> = verdicts
            .map(|verdict| brief(verdict, &names))
            .chain(differences.map(|d| format!("{} differs", d.what)))
            .take(WARNINGS_NAMED)
            .collect();
        match all.saturating_sub(said.len()) {
            _ if said.is_empty() => String::new(),
            0 => format!(": {}", said.join(", ")),
            more => format!(": {} and {more} more", said.join(", ")),
        }
    }

    /// That few nodes have no fault: what failed once may have been measured since.
    fn nothing_found(&self) -> &'static str {
        let is_failed = |o: &PairObservation| matches!(o.outcome, Outcome::Failed(_));
        match self.of_pairs().any(is_failed) {
            true => "no fault was found",
            false => "nothing failed",
        }
    }

    /// What has a fault that taking nodes out does not end: links, groups, the cluster.
    fn faults_of_no_node(&self, drained: &[usize]) -> Vec<String> {
        let names = self.names();
        let verdicts = (self.conclusion.faults())
            .filter(|verdict| {
                let nodes = verdict.nodes();
                nodes.is_empty() || !nodes.iter().any(|node| drained.contains(node))
            })
            .map(|verdict| subject(verdict, &names));
        let differences = self.differences();
        let differences = (differences.iter())
            .filter(|d| d.severity == Severity::Fault && d.most_have.is_none())
            .map(|d| format!("{}, which differ", d.what));
        let mut seen = BTreeSet::new();
        let rails = self
            .dead_rails()
            .into_iter()
            .filter(|rail| rail.is_certain());
        let rails = rails.map(|rail| rail.subject());
        let all = verdicts.chain(differences).chain(rails);
        let all = all.chain(self.what_breaks());
        all.filter(|said| seen.insert(said.clone())).collect()
    }

    /// Returns the name of a node, by number, and its instance id where it is known and not the
    /// name.
    #[must_use]
    pub fn label(&self, node: usize) -> String {
        let name = self.name(node);
        match self.instance_id(node) {
            Some(id) if !name.contains(&id) => format!("{name} ({id})"),
            _ => name.to_owned(),
        }
    }

    /// Returns the EC2 instance id of a node, by number, where it is known.
    #[must_use]
    pub fn instance_id(&self, node: usize) -> Option<String> {
        self.nodes.get(node)?.known_instance_id()
    }

    /// Returns one line: how many nodes, over what, how it went, how much was measured, and how
    /// long it took where that is known.
    #[must_use]
    pub fn headline(&self) -> String {
        let failed = |o: &&PairObservation| matches!(o.outcome, Outcome::Failed(_));
        let measurements = self.of_pairs().count();
        format!(
            "{} over {}: {}; {} in {}, {}, {} of them failed{}{}{}",
            counted(self.nodes.len(), "node"),
            self.provider,
            match self.status() {
                Status::Healthy if self.is_blind() => {
                    format!("{}, {}", self.nothing_found(), self.spread())
                }
                Status::Healthy => match self.problems().len() {
                    0 => "no fault was found".to_owned(),
                    warnings => format!("no fault was found, {}", counted(warnings, "warning")),
                },
                Status::NotSurveyed => "not enough was measured".to_owned(),
                Status::Findings => "something is wrong".to_owned(),
            },
            counted(self.pairs(), "pair"),
            counted(self.rounds, "round"),
            counted(measurements, "measurement"),
            self.of_pairs().filter(failed).count(),
            match self.failures_of_rails() {
                (0, _) => String::new(),
                (failed, all) => format!("; {failed} of {all} measurements of single rails failed"),
            },
            if self.elapsed_s > 0.0 {
                format!(", {:.1} s", self.elapsed_s)
            } else {
                String::new()
            },
            if self.partial { ", stopped early" } else { "" },
        )
    }

    /// Returns one line: how much single measurements vary, which loss of a node could be
    /// distinguished from that, and which share of the links was seen.
    #[must_use]
    pub fn precision(&self) -> String {
        let c = &self.conclusion;
        let noise = match (c.noise_percent, c.detectable_percent) {
            (Some(noise), Some(least)) => format!(
                "noise of a measurement {} %, a node's loss of {} % or more could be distinguished from it",
                digits(noise),
                digits(least)
            ),
            (Some(noise), None) => format!("noise of a measurement {} %", digits(noise)),
            _ => "noise unknown: too few nodes were measured to estimate it".to_owned(),
        };
        let noise = match c.unstable_named_percent {
            Some(named) if named < SURELY_NAMED => format!(
                "{noise}; a node that is bad in 30 % of its measurements is named in {:.0} of 100 \
                 surveys like this at best",
                named.floor()
            ),
            _ => noise,
        };
        let all = self.link_count();
        let unseen = all.saturating_sub(self.pairs());
        if unseen == 0 {
            return format!("{noise}; all {all} links were tried");
        }
        let share = digits(100.0 * self.pairs() as f64 / all as f64);
        format!(
            "{noise}; {} of {all} links were tried ({share} %), nothing is known of the others",
            self.pairs()
        )
    }

    /// Returns one line: the rates inside and across the groups of nodes, without those that are
    /// slow themselves; `None` where the nodes have no labels.
    #[must_use]
    pub fn rates_of_groups(&self) -> Option<String> {
        rates(self.conclusion.group_rates.as_ref()?)
    }

    /// Returns one line: when, which version, which mode and seed, which rate was expected, where
    /// the report has it.
    #[must_use]
    pub fn circumstances(&self) -> String {
        let mut parts = Vec::new();
        parts.push(match self.finished_at() {
            Some(at) => format!("surveyed {at}"),
            None => "surveyed at an unknown time".to_owned(),
        });
        parts.extend(self.version.as_ref().map(|v| format!("efa-sdk {v}")));
        if let Some(options) = &self.options {
            parts.push(format!("mode {}", options.mode.as_str()));
            parts.push(format!("seed {}", options.seed));
            for (rate, what) in [
                (options.expected_gbps, "expected"),
                (options.expected_rail_gbps, "expected of a rail"),
            ] {
                parts.extend(rate.map(|gbps| format!("{} Gbit/s {what}", digits(gbps))));
            }
        }
        parts.join(", ")
    }

    /// Returns pairs of nodes that were tried.
    #[must_use]
    pub fn pairs(&self) -> usize {
        let pairs: BTreeSet<(usize, usize)> = self.of_pairs().map(|o| (o.a, o.b)).collect();
        pairs.len()
    }

    /// Sentences of verdicts, of many of one kind about nodes one sentence.
    pub(super) fn sentences(&self) -> Vec<(Severity, String)> {
        let names = self.names();
        let verdicts = &self.conclusion.verdicts;
        let of_kind = |one: &Verdict| {
            let alike = move |other: &&Verdict| {
                let of_node = |v: &Verdict| matches!(v.subject, Subject::Node { .. });
                of_node(one)
                    && of_node(other)
                    && (one.kind, one.severity) == (other.kind, other.severity)
                    && one.evidence.quantity == other.evidence.quantity
                    && one.evidence.direction == other.evidence.direction
            };
            verdicts.iter().filter(alike).collect::<Vec<_>>()
        };
        let mut said = Vec::new();
        for verdict in verdicts {
            let alike = of_kind(verdict);
            let statement = verdict.statement_with(&names);
            if alike.len() <= MOST_OF_KIND {
                said.push((verdict.severity, statement));
            } else if std::ptr::eq(alike[0], verdict) {
                let others: Vec<String> = alike[1..].iter().map(|v| subject(v, &names)).collect();
                said.push((
                    verdict.severity,
                    format!(
                        "{statement}; the same verdict on {} more nodes: {}",
                        others.len(),
                        listed(&others)
                    ),
                ));
            }
        }
        said
    }
}

/// All names, or the first of many and how many more there are.
pub(super) fn some(names: &[String], most: usize) -> String {
    match names.len().checked_sub(most) {
        Some(more) if more > 0 => format!("{} and {more} more", names[..most].join(", ")),
        _ => names.join(", "),
    }
}

/// Names of which more follow each other than a line can have, as the first and the last of them:
/// `rank 3 to rank 4095`. Others as they are.
pub(super) fn folded(names: &[String]) -> Vec<String> {
    let mut runs: Vec<(&str, &str)> = Vec::new();
    for name in names {
        match runs.last_mut() {
            Some((_, last)) if follows(last, name) => *last = name,
            _ => runs.push((name, name)),
        }
    }
    if names.len() <= MOST_OF_KIND {
        return names.to_vec();
    }
    let run = |(first, last): (&str, &str)| match first == last {
        true => first.to_owned(),
        false => format!("{first} to {last}"),
    };
    runs.into_iter().map(run).collect()
}

/// Whether two names differ by their last number alone, which is one more.
fn follows(name: &str, next: &str) -> bool {
    let split = |text: &str| {
        let stem = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = text[stem.len()..].parse::<u64>().ok()?;
        Some((stem.to_owned(), number))
    };
    match (split(name), split(next)) {
        (Some((stem, number)), Some((other, more))) => {
            stem == other && number.checked_add(1) == Some(more)
        }
        _ => false,
    }
}

/// The text, or the first of its characters where there are more than this many.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let head: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{head}…")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", plain(&self.action()))?;
        writeln!(f, "{}", plain(&self.headline()))?;
        for finding in self.findings() {
            writeln!(f, "- {}", plain(&finding))?;
        }
        self.write_collectives(f)?;
        writeln!(f, "{}", plain(&self.precision()))?;
        if let Some(rates) = self.rates_of_groups() {
            writeln!(f, "{}", plain(&rates))?;
        }
        writeln!(f, "{}", plain(&self.circumstances()))?;
        let names: Vec<String> = self.nodes.iter().map(|node| plain(&node.name)).collect();
        let width = names
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0)
            .clamp(4, 40);
        writeln!(
            f,
            "{:width$}  {:>12}  {:>15}  {:>10}  {:>6}  {:>12}",
            "node", "sends Gbit/s", "receives Gbit/s", "latency µs", "failed", "measurements"
        )?;
        let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), digits);
        for (name, summary) in names.iter().zip(self.summaries()) {
            writeln!(
                f,
                "{:width$}  {:>12}  {:>15}  {:>10}  {:>6}  {:>12}",
                name,
                text(summary.sends_gbps),
                text(summary.receives_gbps),
                text(summary.latency_us),
                summary.failed,
                summary.measurements
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::node::Node;
    use super::super::sample::{bad_cluster, carried_out, unmeasured};
    use super::*;
    use crate::survey::simulate::Fabric;
    use crate::survey::{Confidence, Evidence, Observations, Options, VerdictKind};

    fn surveyed_well(count: usize) -> Report {
        let fabric = Fabric::new(count, 100.0, 100.0);
        carried_out(count, &fabric, &[], |_, sights| Some(sights)).report(1.0)
    }

    fn first_line(report: &Report) -> String {
        report.to_string().lines().next().unwrap().to_owned()
    }

    #[test]
    fn the_first_line_is_what_to_do_everywhere() {
        let mut report = bad_cluster(8);
        report.nodes[5].instance_id = Some("i-0123".into());
        let todo = "take out: node-5 (i-0123); look at: the link between node-1 and node-2";
        assert_eq!(first_line(&report), todo);
        let html = report.to_html();
        let (html, svg) = (html.split_once("<p>").unwrap().1, report.to_svg());
        assert!(html.starts_with(&format!("<b>{todo}</b>")), "{html}");
        assert!(svg.contains(&format!("<title>{todo}</title>")), "{svg}");
        assert_eq!(report.drain(), ["node-5"]);
    }

    #[test]
    fn what_was_not_measured_is_not_well() {
        for (partial, todo) in [
            (true, "run the survey again: it was stopped early"),
            (false, "run the survey again: not enough was measured"),
        ] {
            let mut report = unmeasured(3);
            report.partial = partial;
            assert_eq!(first_line(&report), todo);
            let said = report.precision();
            let unseen = "0 of 3 links were tried (0 %), nothing is known of the others";
            assert!(
                said.contains("noise unknown") && said.contains(unseen),
                "{said}"
            );
        }
    }

    #[test]
    fn the_first_line_claims_no_more_than_was_seen() {
        let mut report = surveyed_well(8);
        assert_eq!(first_line(&report), "nothing to do: no fault was found");
        report.conclusion.detectable_percent = Some(44.5);
        let noisy = "nothing to take out: no fault was found; a node's loss below 44.5 % could \
                     not be distinguished from noise";
        assert_eq!(first_line(&report), noisy);
        report.nodes.push(Node::new("unseen"));
        assert_eq!(
            report.action(),
            "run the survey again: not enough was measured"
        );
        let mut sampled = surveyed_well(8);
        let seen = sampled.observations.as_slice().to_vec();
        sampled.observations = Observations::new(8);
        for o in seen.into_iter().filter(|o| o.b - o.a < 3) {
            sampled.observations.add(o).unwrap();
        }
        let some = "nothing to take out: no fault was found; 13 of 28 links were tried";
        assert_eq!(first_line(&sampled), some);
        assert!(sampled.to_html().contains(some) && sampled.to_svg().contains(some));
    }

    #[test]
    fn noise_and_what_could_be_seen_at_it_are_those_of_the_conclusion() {
        let report = bad_cluster(8);
        let c = &report.conclusion;
        let (noise, least) = (c.noise_percent.unwrap(), c.detectable_percent.unwrap());
        let expected = format!(
            "noise of a measurement {} %, a node's loss of {} % or more could be distinguished from it; \
             a node that is bad in 30 % of its measurements is named in 91 of 100 surveys like \
             this at best; all 28 links were tried",
            digits(noise),
            digits(least)
        );
        assert_eq!(report.precision(), expected);
        assert!(report.to_string().contains(&expected));
        let measured = report.of_pairs().count();
        let counts = format!(
            "28 pairs in {} rounds, {measured} measurements",
            report.rounds
        );
        assert!(report.headline().contains(&counts), "{}", report.headline());
    }

    #[test]
    fn many_verdicts_of_a_kind_are_one_sentence() {
        let mut report = unmeasured(40);
        let silent = |node| {
            let subject = Subject::Node { node };
            let (kind, confidence) = (VerdictKind::Unreachable, Confidence::High);
            let evidence = Evidence::default();
            Verdict::new(subject, kind, Severity::Fault, confidence, evidence)
        };
        report.conclusion.verdicts = (0..9).map(silent).collect();
        let said = "node-0 gave no answer; the same verdict on 8 more nodes: node-1, node-2, ";
        assert!(report.findings()[0].starts_with(said));
        assert_eq!(report.findings().len(), 1);
        report.conclusion.verdicts.pop();
        assert_eq!(report.findings().len(), 8);
    }

    #[test]
    fn circumstances_are_in_the_text_and_survive_json() {
        let mut report = bad_cluster(6).finished(1_796_004_000);
        report.version = Some("1.2.3".into());
        report.options = Some(Options {
            seed: 7,
            expected_gbps: Some(3200.0),
            ..Options::default()
        });
        let said =
            "surveyed 2026-11-30T02:00:00Z, efa-sdk 1.2.3, mode full, seed 7, 3200 Gbit/s expected";
        assert_eq!(report.circumstances(), said);
        assert!(report.to_string().contains(said) && report.to_html().contains(said));
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }

    #[test]
    fn an_older_report_is_read_and_what_it_lacks_is_unknown() {
        let mut json = serde_json::to_value(unmeasured(2)).unwrap();
        for key in ["options", "version"] {
            json.as_object_mut().unwrap().remove(key).unwrap();
        }
        let report: Report = serde_json::from_value(json).unwrap();
        assert_eq!(
            (report.options.clone(), report.version.clone()),
            (None, None)
        );
        assert_eq!(report.circumstances(), "surveyed at an unknown time");
    }

    #[test]
    fn a_report_of_another_world_is_refused() {
        let json = serde_json::to_value(unmeasured(2)).unwrap();
        for (key, value) in [
            ("finished_unix_s", serde_json::json!(u64::MAX)),
            ("options", serde_json::json!({"labels": ["a"]})),
            ("options", serde_json::json!({"expected_gbps": -1.0})),
        ] {
            let mut json = json.clone();
            json[key] = value;
            assert!(serde_json::from_value::<Report>(json).is_err(), "{key}");
        }
    }
}
