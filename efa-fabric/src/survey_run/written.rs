//! A report as JSON: what is written besides its fields, and what is believed of one that is read.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::node::Node;
use super::report::Report;
use super::state::Status;
use super::time::LAST_UNIX_S;
use crate::error::{Code, Error, Result};
use crate::survey::collective::Collective;
use crate::survey::{Conclusion, Observations, Options};

/// A report, and what follows from it for those who read JSON only.
#[derive(Serialize)]
struct Shown<'a> {
    nodes: &'a [Node],
    provider: &'a str,
    conclusion: &'a Conclusion,
    observations: &'a Observations,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    collectives: &'a [Collective],
    silent: &'a [usize],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    remarks: &'a [String],
    rounds: usize,
    partial: bool,
    elapsed_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<&'a Options>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_unix_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    targeted_from: Option<usize>,
    status: Status,
    unknown: Vec<String>,
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = Shown {
            nodes: &self.nodes,
            provider: &self.provider,
            conclusion: &self.conclusion,
            observations: &self.observations,
            collectives: &self.collectives,
            silent: &self.silent,
            remarks: &self.remarks,
            rounds: self.rounds,
            partial: self.partial,
            elapsed_s: self.elapsed_s,
            options: self.options.as_ref(),
            version: self.version.as_deref(),
            finished_unix_s: self.finished_unix_s,
            targeted_from: self.targeted_from,
            status: self.status(),
            unknown: self.unknown(),
        };
        shown.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Report {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Written::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// What another process wrote, which is not believed: a report states nothing about nodes that it lacks.
#[derive(Deserialize)]
struct Written {
    nodes: Vec<Node>,
    provider: String,
    conclusion: Conclusion,
    observations: Observations,
    #[serde(default)]
    collectives: Vec<Collective>,
    silent: Vec<usize>,
    #[serde(default)]
    remarks: Vec<String>,
    rounds: usize,
    partial: bool,
    elapsed_s: f64,
    options: Option<Options>,
    version: Option<String>,
    finished_unix_s: Option<u64>,
    targeted_from: Option<usize>,
    status: Option<String>,
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
        let mut names = BTreeSet::new();
        if let Some(node) = written.nodes.iter().find(|node| !names.insert(&node.name)) {
            return wrong(format!(
                "two nodes of the report are called '{}'",
                node.name
            ));
        }
        let named = written
            .conclusion
            .verdicts
            .iter()
            .flat_map(|verdict| {
                let ways = verdict.evidence.ways.iter();
                let ways = ways.flat_map(|way| [way.from, way.to]).collect();
                [
                    verdict.nodes(),
                    verdict.evidence.nodes.clone(),
                    verdict.evidence.sets.concat(),
                    ways,
                ]
                .concat()
            })
            .chain(written.conclusion.drain.iter().copied())
            .chain(written.silent.iter().copied())
            .chain(written.nodes.iter().filter_map(|node| node.state.partner()));
        if let Some(node) = named.max().filter(|&node| node >= count) {
            return wrong(format!("the report names node {node} of {count}"));
        }
        if let Some(options) = &written.options {
            options.require_valid_for(count)?;
        }
        let noise = written.conclusion.noise_percent.map(|p| p / 100.0);
        let labels = written.options.as_ref().and_then(|o| o.labels.as_deref());
        for collective in &written.collectives {
            collective.require_valid_for(&written.observations, noise, labels)?;
        }
        if written.finished_unix_s.is_some_and(|at| at > LAST_UNIX_S) {
            return wrong("the report ended after the year 9999".to_owned());
        }
        let report = Self {
            nodes: written.nodes,
            provider: written.provider,
            conclusion: written.conclusion,
            observations: written.observations,
            collectives: written.collectives,
            silent: written.silent,
            remarks: written.remarks,
            rounds: written.rounds,
            partial: written.partial,
            elapsed_s: written.elapsed_s,
            options: written.options,
            version: written.version,
            finished_unix_s: written.finished_unix_s,
            targeted_from: written.targeted_from,
        };
        report.require_consistent(written.status.as_deref())?;
        Ok(report)
    }
}
