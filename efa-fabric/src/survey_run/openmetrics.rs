//! The report as metrics, in a form that OpenMetrics 1.0 and the older text format of Prometheus
//! both have: gauges without timestamps, which a textfile collector takes.

use std::fmt::{Display, Write};

use efa_core::text::plain;

use super::node::distinct;
use super::report::Report;
use crate::survey::{Outcome, Severity};

/// Names and values.
type Labels = Vec<(&'static str, String)>;

/// The values of a metric, by labels.
type Samples = Vec<(Labels, f64)>;

/// Name, help and values of a metric.
type Family = (&'static str, &'static str, Samples);

impl Report {
    /// Returns the report as OpenMetrics text: of the survey, of each pattern by `pattern`, and of
    /// each node by `node` and `instance_id`. What was not measured has no sample. Rates are in
    /// bit/s, times in s, shares from 0 to 1.
    #[must_use]
    pub fn to_openmetrics(&self) -> String {
        let mut text = String::new();
        for (name, help, samples) in (self.of_survey().into_iter())
            .chain(self.of_collectives())
            .chain(self.of_nodes())
        {
            if samples.is_empty() {
                continue;
            }
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
            for (labels, value) in samples {
                let labels: Vec<String> = labels
                    .iter()
                    .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
                    .collect();
                let labels = match labels.is_empty() {
                    true => String::new(),
                    false => format!("{{{}}}", labels.join(",")),
                };
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        }
        text.push_str("# EOF\n");
        text
    }

    fn of_survey(&self) -> Vec<Family> {
        let mut families = vec![
            (
                "efa_survey_run",
                "What was surveyed; always 1.",
                vec![(self.run_labels(), 1.0)],
            ),
            (
                "efa_survey_healthy",
                "1 if the survey came to its end and found no fault.",
                flag(self.is_healthy()),
            ),
            (
                "efa_survey_partial",
                "1 if it was stopped early.",
                flag(self.partial),
            ),
            (
                "efa_survey_finished_timestamp_seconds",
                "When it ended.",
                measured(self.finished_unix_s.map(|at| at as f64)),
            ),
            (
                "efa_survey_duration_seconds",
                "How long it took.",
                measured(Some(self.elapsed_s).filter(|&elapsed_s| elapsed_s > 0.0)),
            ),
        ];
        families.extend(self.of_counts());
        families.extend(self.of_conclusion());
        families
    }

    fn run_labels(&self) -> Labels {
        let mode = self.options.as_ref().map(|options| options.mode.as_str());
        vec![
            ("provider", self.provider.clone()),
            ("version", self.version.clone().unwrap_or_default()),
            ("mode", mode.unwrap_or_default().to_owned()),
        ]
    }

    /// How much was tried and measured.
    fn of_counts(&self) -> [Family; 4] {
        let failed = (self.of_pairs())
            .filter(|o| matches!(o.outcome, Outcome::Failed(_)))
            .count();
        [
            ("efa_survey_nodes", "Nodes.", one(self.nodes.len() as f64)),
            (
                "efa_survey_pairs",
                "Pairs of nodes that were tried.",
                one(self.pairs() as f64),
            ),
            (
                "efa_survey_measurements",
                "Measurements of pairs, failed ones too.",
                one(self.of_pairs().count() as f64),
            ),
            (
                "efa_survey_failed_measurements",
                "Measurements of pairs that failed.",
                one(failed as f64),
            ),
        ]
    }

    fn of_conclusion(&self) -> [Family; 5] {
        let conclusion = &self.conclusion;
        [
            (
                "efa_survey_links_seen_ratio",
                "Share of all pairs of nodes that were tried.",
                one(conclusion.links_seen),
            ),
            (
                "efa_survey_noise_ratio",
                "Standard deviation of a measurement of bandwidth.",
                measured(conclusion.noise_percent.map(|percent| percent / 100.0)),
            ),
            (
                "efa_survey_detectable_loss_ratio",
                "The least loss of a node that could be distinguished from noise.",
                measured(conclusion.detectable_percent.map(|percent| percent / 100.0)),
            ),
            (
                "efa_survey_typical_bits_per_second",
                "Median rate in one direction, all rails together.",
                measured(conclusion.typical_gbps.map(|gbps| gbps * 1e9)),
            ),
            (
                "efa_survey_findings",
                "Findings by severity.",
                self.findings_by_severity(),
            ),
        ]
    }

    fn findings_by_severity(&self) -> Samples {
        let differences = self.differences();
        let verdicts = || self.conclusion.verdicts.iter().map(|v| v.severity);
        let all = || verdicts().chain(differences.iter().map(|d| d.severity));
        [
            (Severity::Info, "info"),
            (Severity::Warning, "warning"),
            (Severity::Fault, "fault"),
        ]
        .into_iter()
        .map(|(severity, word)| {
            let count = all().filter(|&s| s == severity).count();
            (vec![("severity", word.to_owned())], count as f64)
        })
        .collect()
    }

    fn of_nodes(&self) -> Vec<Family> {
        let drained = self.drained();
        // Names that were different may look alike once they are plain.
        let names = distinct(self.nodes.iter().map(|node| plain(&node.name)));
        let labels: Vec<_> = (names.into_iter().enumerate())
            .map(|(node, name)| {
                let instance = self.instance_id(node).unwrap_or_default();
                vec![("node", name), ("instance_id", instance)]
            })
            .collect();
        let summaries = self.summaries();
        let of = |get: &dyn Fn(usize) -> Option<f64>| -> Samples {
            let nodes = labels.iter().enumerate();
            nodes
                .filter_map(|(node, labels)| Some((labels.clone(), get(node)?)))
                .collect()
        };
        vec![
            (
                "efa_survey_node_take_out",
                "1 for a node to take out.",
                of(&|node| Some(f64::from(u8::from(drained.contains(&node))))),
            ),
            (
                "efa_survey_node_sends_bits_per_second",
                "Median of what the node sends.",
                of(&|node| summaries[node].sends_gbps.map(|v| v * 1e9)),
            ),
            (
                "efa_survey_node_receives_bits_per_second",
                "Median of what the node receives.",
                of(&|node| summaries[node].receives_gbps.map(|v| v * 1e9)),
            ),
            (
                "efa_survey_node_latency_seconds",
                "Median of half of the round trip.",
                of(&|node| summaries[node].latency_us.map(|v| v / 1e6)),
            ),
            (
                "efa_survey_node_measurements",
                "Measurements of the node, failed ones too.",
                of(&|node| Some(summaries[node].measurements as f64)),
            ),
            (
                "efa_survey_node_failed_measurements",
                "Measurements of the node that failed.",
                of(&|node| Some(summaries[node].failed as f64)),
            ),
        ]
    }
}

/// A value without labels.
fn one(value: f64) -> Samples {
    vec![(Vec::new(), value)]
}

/// The same, if it was measured.
fn measured(value: Option<f64>) -> Samples {
    value.map_or_else(Vec::new, one)
}

fn flag(is: bool) -> Samples {
    one(f64::from(u8::from(is)))
}

/// A label's value, as both formats escape it.
fn escaped(value: &impl Display) -> String {
    let plain = plain(&value.to_string());
    plain.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::sample::{bad_cluster, unmeasured};
    use super::*;

    /// Names, labels and values, by the rules of OpenMetrics 1.0: one HELP and one TYPE before the
    /// samples of a family, families not interleaved, no two samples with the same labels, EOF.
    fn read(text: &str) -> BTreeMap<(String, BTreeMap<String, String>), f64> {
        let body = text.strip_suffix("# EOF\n").unwrap();
        let (mut family, mut families) = (String::new(), BTreeSet::new());
        let mut samples = BTreeMap::new();
        let is_name = |name: &str| {
            !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        for line in body.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                family = help.split_once(' ').unwrap().0.to_owned();
                assert!(
                    is_name(&family) && families.insert(family.clone()),
                    "{line}"
                );
                continue;
            }
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                assert_eq!(kind, format!("{family} gauge"));
                continue;
            }
            let rest = line.strip_prefix(&family).unwrap();
            let (labels, value) = match rest.strip_prefix('{') {
                Some(rest) => labels_of(rest),
                None => (BTreeMap::new(), rest),
            };
            let value: f64 = value.strip_prefix(' ').unwrap().parse().unwrap();
            let before = samples.insert((family.clone(), labels), value);
            assert!(before.is_none() && value.is_finite(), "{line}");
        }
        samples
    }

    fn labels_of(mut rest: &str) -> (BTreeMap<String, String>, &str) {
        let mut labels = BTreeMap::new();
        loop {
            let (key, after) = rest.split_once("=\"").unwrap();
            let (mut value, mut end) = (String::new(), None);
            let mut letters = after.char_indices();
            while let Some((at, c)) = letters.next() {
                match c {
                    '"' => {
                        end = Some(at);
                        break;
                    }
                    '\\' => match letters.next().unwrap().1 {
                        'n' => value.push('\n'),
                        c @ ('\\' | '"') => value.push(c),
                        c => panic!("\\{c} is no escape"),
                    },
                    c => value.push(c),
                }
            }
            assert!(labels.insert(key.to_owned(), value).is_none());
            rest = &after[end.unwrap() + 1..];
            match rest.strip_prefix('}') {
                Some(rest) => return (labels, rest),
                None => rest = rest.strip_prefix(',').unwrap(),
            }
        }
    }

    #[test]
    fn metrics_are_read_back() {
        let mut report = bad_cluster(8).finished(1_796_004_000);
        let name = "a\"b\\c\n\u{1b}{},= ü";
        report.nodes[5].name = name.into();
        report.nodes[5].instance_id = Some("i-0123".into());
        let samples = read(&report.to_openmetrics());
        let of = |name: &str, labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into()));
            samples.get(&(name.to_owned(), labels.collect())).copied()
        };
        assert_eq!(of("efa_survey_healthy", &[]), Some(0.0));
        assert_eq!(of("efa_survey_pairs", &[]), Some(28.0));
        assert_eq!(
            of("efa_survey_finished_timestamp_seconds", &[]),
            Some(1_796_004_000.0)
        );
        let bad = [
            ("node", "a\"b\\c\\u{a}\\u{1b}{},= ü"),
            ("instance_id", "i-0123"),
        ];
        assert_eq!(of("efa_survey_node_take_out", &bad), Some(1.0));
        let sends = report.summaries()[5].sends_gbps.unwrap();
        assert_eq!(
            of("efa_survey_node_sends_bits_per_second", &bad),
            Some(sends * 1e9)
        );
        let good = [("node", "node-0"), ("instance_id", "")];
        assert_eq!(of("efa_survey_node_take_out", &good), Some(0.0));
        let faults = of("efa_survey_findings", &[("severity", "fault")]);
        assert_eq!(faults, Some(report.conclusion.faults().count() as f64));
    }

    #[test]
    fn nodes_that_look_alike_have_samples_of_their_own() {
        let mut report = unmeasured(4);
        for (node, name) in report.nodes.iter_mut().zip(["a", "a", "\u{7}", "\\u{7}"]) {
            node.name = name.into();
        }
        let samples = read(&report.to_openmetrics());
        let names: Vec<_> = (samples.keys())
            .filter(|(family, _)| family == "efa_survey_node_take_out")
            .map(|(_, labels)| labels["node"].as_str())
            .collect();
        assert_eq!(names, ["\\u{7}", "\\u{7}#2", "a", "a#2"]);
        let twice = serde_json::to_string(&report).unwrap();
        let error = serde_json::from_str::<Report>(&twice).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("two nodes of the report are called 'a'"),
            "{error}"
        );
    }

    #[test]
    fn what_was_not_measured_has_no_sample() {
        let samples = read(&unmeasured(3).to_openmetrics());
        let has = |part: &str| samples.keys().any(|(name, _)| name.contains(part));
        assert!(!has("noise") && !has("sends") && !has("typical") && !has("timestamp"));
        assert!(has("efa_survey_healthy") && has("efa_survey_node_take_out"));
    }
}
