//! What changed between two surveys of a cluster.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use efa_core::text::plain;
use serde::{Deserialize, Serialize};

use super::report::Report;
use crate::survey::collective::Collective;
use crate::survey::wording::{digits, listed};
use crate::survey::{Outcome, Subject, Verdict};

/// Rates that are written out.
const MOST_MOVED: usize = 16;

/// The changes since an earlier report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Findings that the earlier report has not, as sentences of the later one.
    pub new_findings: Vec<String>,
    /// Findings that the later report has not, as sentences of the earlier one.
    pub gone_findings: Vec<String>,
    /// Nodes of the later report only. A node of the same name is another one if both instance ids
    /// are known and differ.
    pub new_nodes: Vec<String>,
    /// Nodes of the earlier report only.
    pub gone_nodes: Vec<String>,
    /// Rates that moved by more than noise explains.
    pub moved: Vec<MovedRate>,
    /// Why rates were not compared, where they were not.
    pub rates_not_compared: Option<String>,
}

/// A median rate that moved by more than noise explains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MovedRate {
    /// The node; `None` for the median of the cluster.
    pub node: Option<String>,
    /// `sends`, `receives`, or `all` of the cluster; `ring`, `all-to-all` or `incast` for what that
    /// pattern has as a whole.
    pub direction: String,
    /// What it was, in Gbit/s.
    pub earlier_gbps: f64,
    /// What it is, in Gbit/s.
    pub gbps: f64,
    /// The change, in percent.
    pub change_percent: f64,
    /// The least change that either survey could distinguish from noise, in percent.
    pub detectable_percent: f64,
}

impl Report {
    /// Returns what changed since an earlier report: findings, nodes, and median rates that moved
    /// by more than either survey could distinguish from its noise.
    #[must_use]
    pub fn compare(&self, earlier: &Self) -> Comparison {
        let same = Counterparts::new(self, earlier);
        let (now, before) = (keyed(self, &same.later), keyed(earlier, &same.earlier));
        let lacking = |these: &BTreeMap<String, String>, those: &BTreeMap<String, String>| {
            let lacking = these.iter().filter(|(key, _)| !those.contains_key(*key));
            lacking.map(|(_, statement)| statement.clone()).collect()
        };
        let mut comparison = Comparison {
            new_findings: lacking(&now, &before),
            gone_findings: lacking(&before, &now),
            new_nodes: same.without(self, &same.later),
            gone_nodes: same.without(earlier, &same.earlier),
            ..Comparison::default()
        };
        match comparable(self, earlier) {
            Ok(detectable) => comparison.moved = moved(self, earlier, &same, detectable),
            Err(why) => comparison.rates_not_compared = Some(why),
        }
        comparison
    }
}

impl Comparison {
    /// Returns whether nothing changed, and rates were compared.
    #[must_use]
    pub fn is_same(&self) -> bool {
        *self == Self::default()
    }
}

/// Which node of one report is which of the other.
struct Counterparts {
    /// By number of the later report, the number in the earlier one.
    later: Vec<Option<usize>>,
    /// The other way round.
    earlier: Vec<Option<usize>>,
}

impl Counterparts {
    fn new(later: &Report, earlier: &Report) -> Self {
        let by_name: HashMap<&str, usize> = (earlier.nodes.iter().enumerate())
            .map(|(number, node)| (node.name.as_str(), number))
            .collect();
        let mut same = Self {
            later: vec![None; later.nodes.len()],
            earlier: vec![None; earlier.nodes.len()],
        };
        for (number, node) in later.nodes.iter().enumerate() {
            let Some(&other) = by_name.get(node.name.as_str()) else {
                continue;
            };
            let ids = (later.instance_id(number), earlier.instance_id(other));
            let is_other = matches!(ids, (Some(now), Some(before)) if now != before);
            if !is_other && same.earlier[other].is_none() {
                (same.later[number], same.earlier[other]) = (Some(other), Some(number));
            }
        }
        same
    }

    fn without(&self, report: &Report, numbers: &[Option<usize>]) -> Vec<String> {
        let lone = numbers
            .iter()
            .enumerate()
            .filter(|(_, other)| other.is_none());
        lone.map(|(number, _)| report.label(number)).collect()
    }
}

/// Sentences by what they report of whom, without numbers. A node without a counterpart is another.
fn keyed(report: &Report, counterparts: &[Option<usize>]) -> BTreeMap<String, String> {
    let names = report.names();
    let called = |node: usize| match counterparts.get(node) {
        Some(Some(_)) => report.name(node).to_owned(),
        _ => report.label(node),
    };
    let subject = |verdict: &Verdict| match verdict.subject {
        Subject::Cluster => verdict
            .evidence
            .rail
            .map_or(String::new(), |rail| rail.to_string()),
        Subject::Node { node } => called(node),
        Subject::Rail { node, rail } => format!("{} {rail}", called(node)),
        Subject::Link { a, b } => {
            let mut ends = [called(a), called(b)];
            ends.sort();
            ends.join("\0")
        }
        Subject::Group { group } => {
            let label = verdict.evidence.label.clone();
            label.unwrap_or_else(|| called(group))
        }
        Subject::GroupPath { a, b } => {
            let e = &verdict.evidence;
            let label = |of: &Option<String>, group| of.clone().unwrap_or_else(|| called(group));
            [label(&e.label, a), label(&e.other_label, b)].join("\0")
        }
    };
    let verdicts = report.conclusion.verdicts.iter().map(|v| {
        let what = (
            v.kind,
            v.severity,
            v.evidence.quantity,
            v.evidence.direction,
        );
        let key = format!(
            "{:?} {:?} {what:?}",
            std::mem::discriminant(&v.subject),
            subject(v)
        );
        (key, v.statement_with(&names))
    });
    let differences = report.differences();
    let differences = differences.iter().map(|d| {
        let said = d.statement_with(called);
        (format!("{:?} {said}", d.severity), said)
    });
    let scaling = report.collectives.iter().filter_map(|of| {
        let breaks = report.subset(of.breaks.as_ref()?);
        let key = format!("{:?} {breaks}", of.carried.pattern);
        Some((key, report.scaling(of).1))
    });
    let rails = report
        .dead_rails()
        .into_iter()
        .filter(|rail| rail.is_certain());
    let rails = rails.map(|rail| (rail.subject(), rail.statement()));
    verdicts
        .chain(differences)
        .chain(rails)
        .chain(scaling)
        .collect()
}

/// The least change that both can distinguish from noise, in percent; or why there is none.
fn comparable(later: &Report, earlier: &Report) -> Result<f64, String> {
    if later.provider != earlier.provider {
        return Err(format!(
            "{} was measured then, {} now",
            earlier.provider, later.provider
        ));
    }
    let bytes = |report: &Report| {
        report.of_pairs().find_map(|o| match &o.outcome {
            Outcome::Measured(m) => m.sustained.map(|s| s.message_bytes),
            Outcome::Failed(_) => None,
        })
    };
    if let (Some(now), Some(before)) = (bytes(later), bytes(earlier))
        && now != before
    {
        return Err(format!("messages had {before} bytes then, {now} now"));
    }
    let of = |report: &Report| report.conclusion.detectable_percent;
    match (of(later), of(earlier)) {
        (Some(now), Some(before)) => Ok(now.max(before)),
        (None, _) => Err("the noise of the later survey is unknown".to_owned()),
        (_, None) => Err("the noise of the earlier survey is unknown".to_owned()),
    }
}

fn moved(later: &Report, earlier: &Report, same: &Counterparts, least: f64) -> Vec<MovedRate> {
    let mut moved = Vec::new();
    let mut look = |node, direction: &str, before: Option<f64>, now: Option<f64>| {
        let (Some(earlier_gbps), Some(gbps)) = (before, now) else {
            return;
        };
        let change_percent = (gbps / earlier_gbps - 1.0) * 100.0;
        if change_percent.abs() > least {
            moved.push(MovedRate {
                node,
                direction: direction.to_owned(),
                earlier_gbps,
                gbps,
                change_percent,
                detectable_percent: least,
            });
        }
    };
    let typical = |report: &Report| report.conclusion.typical_gbps;
    look(None, "all", typical(earlier), typical(later));
    let (before, now) = (earlier.summaries(), later.summaries());
    for (number, other) in same.later.iter().enumerate() {
        if let Some(other) = *other {
            let (before, now) = (&before[other], &now[number]);
            for (direction, before, now) in [
                ("sends", before.sends_gbps, now.sends_gbps),
                ("receives", before.receives_gbps, now.receives_gbps),
            ] {
                look(Some(later.label(number)), direction, before, now);
            }
        }
    }
    moved.extend(moved_patterns(later, earlier));
    // Of the cluster first, then what moved most.
    moved.sort_by(|x, y| {
        let size = y.change_percent.abs().total_cmp(&x.change_percent.abs());
        x.node.is_some().cmp(&y.node.is_some()).then(size)
    });
    moved
}

/// Patterns over the same nodes whose rate moved by more than counts as a loss.
fn moved_patterns(later: &Report, earlier: &Report) -> Vec<MovedRate> {
    let names = |report: &Report, of: &Collective| -> Vec<String> {
        let nodes = of.carried.nodes.iter();
        nodes.map(|&node| report.name(node).to_owned()).collect()
    };
    let moved = later.collectives.iter().filter_map(|now| {
        let before = (earlier.collectives.iter())
            .find(|before| before.carried.pattern == now.carried.pattern)?;
        let (gbps, earlier_gbps) = (now.measured_gbps?, before.measured_gbps?);
        let least = now.least_loss?.max(before.least_loss?) * 100.0;
        let change_percent = (gbps / earlier_gbps - 1.0) * 100.0;
        let is_same = names(later, now) == names(earlier, before);
        (is_same && change_percent.abs() > least).then(|| MovedRate {
            node: None,
            direction: now.carried.pattern.words().to_owned(),
            earlier_gbps,
            gbps,
            change_percent,
            detectable_percent: least,
        })
    });
    moved.collect()
}

impl fmt::Display for MovedRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match &self.node {
            Some(node) => format!("{} {}", plain(node), self.direction),
            None if self.direction == "all" => "the median of the cluster is".to_owned(),
            None => format!("the {} has", plain(&self.direction)),
        };
        write!(
            f,
            "{who} {} Gbit/s, {} before ({:+.0} %, more than the {} % that noise hides)",
            digits(self.gbps),
            digits(self.earlier_gbps),
            self.change_percent,
            digits(self.detectable_percent)
        )
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_same() {
            return writeln!(f, "nothing changed");
        }
        for (what, findings) in [("new", &self.new_findings), ("gone", &self.gone_findings)] {
            for finding in findings {
                writeln!(f, "{what}: {}", plain(finding))?;
            }
        }
        for (what, nodes) in [("came", &self.new_nodes), ("went", &self.gone_nodes)] {
            if !nodes.is_empty() {
                writeln!(f, "{what}: {}", plain(&listed(nodes)))?;
            }
        }
        for rate in self.moved.iter().take(MOST_MOVED) {
            writeln!(f, "moved: {rate}")?;
        }
        if self.moved.len() > MOST_MOVED {
            writeln!(f, "moved: {} more rates", self.moved.len() - MOST_MOVED)?;
        }
        match &self.rates_not_compared {
            Some(why) => writeln!(f, "rates were not compared: {}", plain(why)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::node::Node;
    use super::super::sample::{bad_cluster, unmeasured};
    use super::*;
    use crate::survey::Options;
    use crate::survey::simulate::{Cluster, Fault};

    fn surveyed(slow: Option<usize>, seed: u64) -> Report {
        let mut cluster = Cluster::healthy(8);
        if let Some(node) = slow {
            cluster = cluster.with(Fault::SlowNode { node, loss: 0.5 });
        }
        cluster.rails = 1;
        let run = cluster.survey(Options::default(), seed).unwrap();
        let nodes = (0..8).map(|i| Node::new(format!("node-{i}"))).collect();
        Report::from_measurements(nodes, "model", run.observations, run.conclusion)
    }

    #[test]
    fn a_report_is_the_same_as_itself() {
        let report = bad_cluster(8);
        let comparison = report.compare(&report);
        assert!(comparison.is_same(), "{comparison}");
        assert_eq!(comparison.to_string(), "nothing changed\n");
    }

    #[test]
    fn noise_is_no_change_and_a_fault_is_one_of_its_node() {
        let healthy = surveyed(None, 1);
        let again = surveyed(None, 2).compare(&healthy);
        assert_eq!(
            (again.moved.len(), again.new_findings.len()),
            (0, 0),
            "{again}"
        );
        let worse = surveyed(Some(5), 3).compare(&healthy);
        let who: Vec<_> = worse
            .moved
            .iter()
            .map(|m| (m.node.as_deref(), &*m.direction))
            .collect();
        assert_eq!(who.len(), 2, "{worse}");
        assert!(
            who.contains(&(Some("node-5"), "sends")) && who.contains(&(Some("node-5"), "receives"))
        );
        assert!(
            worse
                .new_findings
                .iter()
                .any(|said| said.starts_with("node-5 has ")),
            "{worse}"
        );
        assert!(
            worse.to_string().contains("moved: node-5 sends "),
            "{worse}"
        );
        let better = healthy.compare(&surveyed(Some(5), 3));
        assert!(
            better
                .gone_findings
                .iter()
                .any(|said| said.starts_with("node-5 has "))
        );
        assert!(
            better.moved.iter().all(|moved| moved.change_percent > 50.0),
            "{better}"
        );
    }

    #[test]
    fn nodes_come_and_go_and_a_replaced_one_is_another() {
        let (mut now, mut before) = (surveyed(Some(5), 1), surveyed(Some(5), 1));
        now.nodes[0].name = "new".into();
        before.nodes[5].instance_id = Some("i-1".into());
        now.nodes[5].instance_id = Some("i-2".into());
        let comparison = now.compare(&before);
        assert_eq!(comparison.new_nodes, ["new", "node-5 (i-2)"]);
        assert_eq!(comparison.gone_nodes, ["node-0", "node-5 (i-1)"]);
        // The bad node of before is gone, and the one in its place is bad: news.
        assert!(!comparison.new_findings.is_empty() && !comparison.gone_findings.is_empty());
        assert_eq!(comparison.moved, []);
    }

    #[test]
    fn rates_that_cannot_be_compared_are_not() {
        let report = surveyed(None, 1);
        let mut other = report.clone();
        other.provider = "efa".into();
        for (earlier, why) in [
            (other, "efa was measured then, model now"),
            (unmeasured(8), "tcp was measured then, model now"),
        ] {
            let comparison = report.compare(&earlier);
            assert_eq!(comparison.rates_not_compared.as_deref(), Some(why));
            assert!(!comparison.is_same() && comparison.to_string().contains("not compared"));
        }
        let mut unknown = report.clone();
        unknown.conclusion.detectable_percent = None;
        let why = report.compare(&unknown).rates_not_compared.unwrap();
        assert_eq!(why, "the noise of the earlier survey is unknown");
    }
}
