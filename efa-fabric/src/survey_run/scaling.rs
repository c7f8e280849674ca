//! What is reported of collective patterns: whether the cluster scales as its pairs promise, and which
//! subset breaks it.

use std::fmt::{self, Write};

use efa_core::text::plain;

use super::heat::escape;
use super::report::Report;
use super::state::NodeState;
use crate::survey::Severity;
use crate::survey::collective::{Breaks, Collective, Flow, Pattern, REPEATS};
use crate::survey::wording::digits;

/// Names and flows in one sentence at most.
const NAMED: usize = 8;

/// The value of a metric, by pattern.
type Samples = Vec<(Vec<(&'static str, String)>, f64)>;

impl Report {
    /// Whether every pattern that was asked for was measured, and keeps what the pairs promise as
    /// far as it was compared.
    pub(super) fn does_scale_as_asked(&self) -> bool {
        let asked = self.options.iter().flat_map(|options| &options.collectives);
        let mut asked = asked.copied();
        let of = |pattern| {
            self.collectives
                .iter()
                .find(|of| of.carried.pattern == pattern)
        };
        asked.all(|pattern| of(pattern).is_some_and(Collective::is_measured))
            && !self.breaks_somewhere()
    }

    pub(super) fn breaks_somewhere(&self) -> bool {
        self.collectives.iter().any(|of| of.breaks.is_some())
    }

    /// Patterns that do not keep what the pairs promise.
    pub(super) fn what_breaks(&self) -> impl Iterator<Item = String> + '_ {
        let broken = (self.collectives.iter())
            .filter_map(|of| Some((of.carried.pattern, of.breaks.as_ref()?)));
        broken.map(|(pattern, breaks)| {
            format!(
                "the {}, which breaks {}",
                pattern.words(),
                self.subset(breaks)
            )
        })
    }

    /// A sentence on one pattern, and how bad it is.
    pub(super) fn scaling(&self, of: &Collective) -> (Severity, String) {
        let (pattern, nodes) = (of.carried.pattern, of.carried.nodes.len());
        let words = pattern.words();
        if of.flows == 0 {
            let why = self.why_not_carried_out(of);
            return (
                Severity::Warning,
                format!("the {words} was not carried out: {why}"),
            );
        }
        let mut said = vec![self.rates(of)];
        let outside = self.outside(of);
        if !outside.is_empty() {
            let why = match pattern.is_within_groups() {
                true => "no other node has their group",
                false => "no other group has as many nodes",
            };
            let names = self.some_names(&outside);
            said.push(format!("measured and left out, as {why}: {names}"));
        }
        if let Some(breaks) = &of.breaks {
            said.push(self.broken(of, breaks));
        }
        if !of.carried.lost.is_empty() {
            let names = self.some_names(&of.carried.lost);
            said.push(format!("it ended early, when {names} stopped answering"));
        }
        if of.measured < of.flows {
            said.push(format!(
                "{} of its {} flows were measured, nothing is known of the others",
                of.measured, of.flows
            ));
        }
        if of.compared < of.measured {
            said.push(format!(
                "the pairs of {} flows were measured alone, the others are compared with nothing",
                of.compared
            ));
        }
        if of.failed > 0 {
            let times = of.carried.seen.len();
            said.push(format!("{} of {times} times a flow failed", of.failed));
        }
        if of.scales() {
            said.push("it keeps what the pairs promise".to_owned());
        }
        if of.breaks.is_none() {
            said.push(match of.least_loss {
                Some(least) if least < 1.0 => format!(
                    "a loss of {} % or more could be distinguished from noise",
                    digits(least * 100.0)
                ),
                Some(_) => "no loss could be distinguished from its noise".to_owned(),
                None => "its noise is unknown, so no loss could be detected".to_owned(),
            });
        }
        let severity = match &of.breaks {
            Some(_) => Severity::Fault,
            None if !of.is_measured() || of.failed > 0 => Severity::Warning,
            None => Severity::Info,
        };
        (
            severity,
            format!("{words} of {nodes} nodes: {}", said.join("; ")),
        )
    }

    /// Why a pattern has no flows.
    fn why_not_carried_out(&self, of: &Collective) -> String {
        let (pattern, nodes) = (of.carried.pattern, of.carried.nodes.len());
        let labels = self.options.as_ref().and_then(|o| o.labels.as_deref());
        match (pattern, labels) {
            (_, None) if pattern.is_of_groups() => {
                "the groups of the nodes are not known; give labels, or the network nodes of all nodes".to_owned()
            }
            _ if pattern.is_within_groups() => {
                "no group has two nodes that were measured and answer".to_owned()
            }
            (Pattern::IncastIntoGroups, _) if nodes >= pattern.least_nodes() => {
                "it takes a node with two others outside of its group".to_owned()
            }
            _ if pattern.is_of_groups() => {
                "it takes two groups with nodes that were measured and answer".to_owned()
            }
            _ => format!(
                "it takes {} nodes that were measured and answer, and there were {nodes}",
                pattern.least_nodes()
            ),
        }
    }

    /// Measured nodes that a pattern of groups leaves out, by number.
    fn outside(&self, of: &Collective) -> Vec<usize> {
        if !of.carried.pattern.is_of_groups() {
            return Vec::new();
        }
        let is_outside = |&node: &usize| {
            self.nodes[node].state == NodeState::Measured && !of.carried.nodes.contains(&node)
        };
        (0..self.nodes.len()).filter(is_outside).collect()
    }

    /// What was measured, and what the pairs promise.
    fn rates(&self, of: &Collective) -> String {
        let what = match of.carried.pattern {
            Pattern::Incast | Pattern::IncastIntoGroups => {
                let receivers = of.receivers();
                format!("to a node (median of {receivers} receivers, each {REPEATS} times)")
            }
            Pattern::Ring => format!(
                "bus bandwidth (the slowest of {} flows, median of {REPEATS} times)",
                of.flows
            ),
            Pattern::RingWithinGroups | Pattern::RingBetweenGroups => {
                let labels = self.options.as_ref().and_then(|o| o.labels.as_deref());
                let rings = of.carried.pattern.rings(&of.carried.nodes, labels);
                format!(
                    "bus bandwidth of the slowest of {rings} rings (the slowest of {} flows, median of {REPEATS} times)",
                    of.flows
                )
            }
            _ => format!(
                "bus bandwidth (the slowest flow of each shift, {} flows in all, median of {REPEATS} times)",
                of.flows
            ),
        };
        match (of.measured_gbps, of.expected_gbps) {
            (Some(measured), Some(expected)) => format!(
                "{} Gbit/s {what}, {} expected from the pairs",
                digits(measured),
                digits(expected)
            ),
            (Some(measured), None) => format!(
                "{} Gbit/s {what}, what the pairs promise in all is unknown",
                digits(measured)
            ),
            (None, _) => "not measured as a whole".to_owned(),
        }
    }

    fn broken(&self, of: &Collective, breaks: &Breaks) -> String {
        let digits = |gbps: Option<f64>| gbps.map_or_else(|| "?".to_owned(), digits);
        let (gbps, alone) = (digits(of.slow_gbps), digits(of.slow_expected_gbps));
        let (slow, compared) = (of.slow, of.compared);
        let where_it_is = self.subset(breaks);
        let why = match breaks {
            Breaks::Everywhere => {
                ": nodes are slower when they send and receive at once, or the network does not carry all flows"
            }
            _ => "",
        };
        let whose = match of.carried.pattern {
            Pattern::Incast | Pattern::IncastIntoGroups => {
                "the flows of their receivers together have"
            }
            _ => "flows have",
        };
        format!(
            "it breaks {where_it_is}: {slow} of {compared} {whose} {gbps} Gbit/s (median) where the pairs alone have {alone}{why}"
        )
    }

    /// Which subset breaks a pattern, in words.
    pub(super) fn subset(&self, breaks: &Breaks) -> String {
        match breaks {
            Breaks::Everywhere => "everywhere".to_owned(),
            Breaks::AcrossGroups => "between groups and not within them".to_owned(),
            Breaks::WithinGroups(groups) => {
                format!(
                    "within {} and not elsewhere",
                    some_of(groups, String::clone)
                )
            }
            Breaks::Node(node) => format!("at {}", self.name(*node)),
            Breaks::Group(group) => {
                format!("between {group} and other groups, not between those")
            }
            Breaks::GroupFlows(ways) => {
                let way = |(from, to): &(String, String)| format!("{from} to {to}");
                format!("from {}", some_of(ways, way))
            }
            Breaks::BetweenSets(sets) => {
                let more = match sets.len().saturating_sub(NAMED) {
                    0 => String::new(),
                    more => format!(" and {more} more sets"),
                };
                let sets = sets.iter().take(NAMED);
                let sets: Vec<String> = sets
                    .map(|set| format!("{{{}}}", self.some_names(set)))
                    .collect();
                format!("between {}{more}, not within them", sets.join(" and "))
            }
            Breaks::Receivers(nodes) => format!(
                "where many send to {} at the same time",
                self.some_names(nodes)
            ),
            Breaks::Flows(flows) => {
                let name = |&(from, to): &Flow| format!("{} to {}", self.name(from), self.name(to));
                format!("from {}", some_of(flows, name))
            }
        }
    }

    fn some_names(&self, nodes: &[usize]) -> String {
        some_of(nodes, |&node| self.name(node).to_owned())
    }

    /// A table of the patterns.
    pub(super) fn write_collectives(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.collectives.is_empty() {
            return Ok(());
        }
        let [pattern, columns @ ..] = COLUMNS;
        let width = (self.collectives.iter())
            .map(|of| of.carried.pattern.words().len())
            .fold(10, usize::max);
        write!(f, "{pattern:width$}")?;
        columns
            .iter()
            .try_for_each(|column| write!(f, "  {column:>15}"))?;
        writeln!(f)?;
        for of in &self.collectives {
            let [pattern, cells @ ..] = row(of);
            write!(f, "{:width$}", plain(&pattern))?;
            cells
                .iter()
                .try_for_each(|cell| write!(f, "  {cell:>15}"))?;
            writeln!(f)?;
        }
        Ok(())
    }

    /// The same for notebooks.
    pub(super) fn collectives_table(&self, html: &mut String) {
        if self.collectives.is_empty() {
            return;
        }
        html.push_str("<table><tr>");
        for column in COLUMNS {
            let _ = write!(html, "<th>{column}</th>");
        }
        html.push_str("</tr>");
        for of in &self.collectives {
            let [pattern, cells @ ..] = row(of);
            let bad = if of.breaks.is_some() { " bad" } else { "" };
            let _ = write!(
                html,
                "<tr><th class=\"from{bad}\">{}</th>",
                escape(&pattern)
            );
            for cell in cells {
                let _ = write!(html, "<td class=\"none\">{cell}</td>");
            }
            html.push_str("</tr>");
        }
        html.push_str("</table>");
    }

    /// Metrics of the patterns: name, help, samples.
    pub(super) fn of_collectives(&self) -> Vec<(&'static str, &'static str, Samples)> {
        let of = |get: &dyn Fn(&Collective) -> Option<f64>| -> Samples {
            let sample = |of: &Collective| {
                let labels = vec![("pattern", of.carried.pattern.as_str().to_owned())];
                Some((labels, get(of)?))
            };
            self.collectives.iter().filter_map(sample).collect()
        };
        vec![
            (
                "efa_survey_collective_scales",
                "1 if every flow of the pattern keeps what its pair promises, 0 if some do not; no \
                 sample where not all were measured and compared.",
                of(&|of| match (&of.breaks, of.scales()) {
                    (Some(_), _) => Some(0.0),
                    (None, true) => Some(1.0),
                    (None, false) => None,
                }),
            ),
            (
                "efa_survey_collective_bits_per_second",
                "Bus bandwidth of a ring or all-to-all, and what a receiver of an incast gets.",
                of(&|of| of.measured_gbps.map(|gbps| gbps * 1e9)),
            ),
            (
                "efa_survey_collective_expected_bits_per_second",
                "The same as the pairs promise it.",
                of(&|of| of.expected_gbps.map(|gbps| gbps * 1e9)),
            ),
            (
                "efa_survey_collective_flows",
                "Flows of the pattern.",
                of(&|of| Some(of.flows as f64)),
            ),
            (
                "efa_survey_collective_compared_flows",
                "Flows that were measured, and their pairs too.",
                of(&|of| Some(of.compared as f64)),
            ),
            (
                "efa_survey_collective_failed_flows",
                "Times that a flow failed.",
                of(&|of| Some(of.failed as f64)),
            ),
        ]
    }
}

/// The names of these, or of the first of many.
fn some_of<T>(list: &[T], name: impl Fn(&T) -> String) -> String {
    let named: Vec<String> = list.iter().take(NAMED).map(name).collect();
    match list.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

const COLUMNS: [&str; 8] = [
    "pattern",
    "nodes",
    "measured Gbit/s",
    "expected Gbit/s",
    "flows",
    "measured",
    "compared",
    "failed",
];

fn row(of: &Collective) -> [String; 8] {
    let rate = |gbps: Option<f64>| gbps.map_or_else(|| "-".to_owned(), digits);
    [
        of.carried.pattern.words().to_owned(),
        of.carried.nodes.len().to_string(),
        rate(of.measured_gbps),
        rate(of.expected_gbps),
        of.flows.to_string(),
        of.measured.to_string(),
        of.compared.to_string(),
        of.failed.to_string(),
    ]
}

#[cfg(test)]
mod tests;
