//! What each node is, and where nodes of a survey differ.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::node::Node;
use super::state::NodeState;
use crate::doctor::{self, Status, Verdict};
use crate::node;
use crate::provider;
use crate::survey::Severity;

/// A node, in what nodes of one cluster should have in common, and its doctor's report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The EC2 instance id. Not compared.
    #[serde(default)]
    pub instance_id: Option<String>,
    /// Such as `p5.48xlarge`.
    pub instance_type: Option<String>,
    /// EFA devices that the kernel's driver made usable.
    pub efa_devices: usize,
    /// Version of the kernel module `efa`.
    pub efa_driver: Option<String>,
    /// Version of the libfabric that answered.
    pub libfabric: Option<String>,
    /// Version of the EFA installer that was run.
    pub efa_installer: Option<String>,
    /// Version of rdma-core.
    pub rdma_core: Option<String>,
    /// Release of the kernel.
    pub kernel: Option<String>,
    /// The doctor's verdict, as in its JSON: `usable`, `not_usable`, `no_efa_by_design`, `unknown`.
    pub verdict: String,
    /// The sentence of the first check that failed, worst first.
    pub failed: Option<String>,
    /// The sentences of the checks that warn. Not compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Inspection {
    /// Takes what is compared of a machine and its doctor's report.
    #[must_use]
    pub fn new(machine: &node::Node, doctor: &doctor::Report) -> Self {
        let module = machine.modules.iter().find(|module| module.name == "efa");
        let failed = (doctor.findings.iter()).find(|finding| finding.status == Status::Failed);
        let failed = match doctor.verdict {
            Verdict::NotUsable { .. } => failed,
            _ => None,
        };
        Self {
            instance_id: machine.instance_id.clone(),
            instance_type: machine.instance_type.clone(),
            efa_devices: machine.efa_devices.len(),
            efa_driver: module.and_then(|module| module.version.clone()),
            libfabric: (doctor.libfabric.as_ref()).map(|seen| seen.version.to_string()),
            efa_installer: machine.software.efa_installer.clone(),
            rdma_core: machine
                .software
                .rdma_core
                .map(|version| version.to_string()),
            kernel: machine.kernel.clone(),
            verdict: doctor.verdict.as_str().to_owned(),
            failed: failed.map(|finding| finding.title.clone()),
            warnings: (doctor.findings.iter())
                .filter(|finding| finding.status == Status::Warning)
                .map(|finding| finding.title.clone())
                .collect(),
        }
    }
}

impl Node {
    /// Returns its EC2 instance id: as it was given, or as an [`Inspection`] of the node found it.
    #[must_use]
    pub fn known_instance_id(&self) -> Option<String> {
        let given = self.instance_id.clone();
        given.or_else(|| self.inspected_instance_id())
    }

    /// Its EC2 instance id as an [`Inspection`] of the node found it.
    pub(crate) fn inspected_instance_id(&self) -> Option<String> {
        self.known_inspection()?.instance_id
    }

    /// What an inspection gave, where it is an [`Inspection`].
    pub(crate) fn known_inspection(&self) -> Option<Inspection> {
        serde_json::from_str(self.inspection.as_ref()?).ok()
    }

    /// Whether something was measured with it, and it answered to the end.
    pub(crate) fn is_measured(&self) -> bool {
        self.state == NodeState::Measured
    }
}

/// A difference between nodes of one survey that should be the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Difference {
    /// What it is, such as `EFA devices`.
    pub what: String,
    /// How bad it is: a fault where jobs lose bandwidth or fail, else a warning.
    pub severity: Severity,
    /// What more than half of the nodes have; `None` where no value has that many.
    pub most_have: Option<String>,
    /// Other values, each with the numbers of its nodes.
    pub others: BTreeMap<String, Vec<usize>>,
}

impl Difference {
    /// Returns a sentence with the names of the nodes.
    #[must_use]
    pub fn statement_with(&self, name: impl Fn(usize) -> String) -> String {
        let mut parts = Vec::new();
        for (value, nodes) in &self.others {
            let names: Vec<String> = nodes.iter().map(|&node| name(node)).collect();
            parts.push(format!("{value} on {}", names.join(", ")));
        }
        let rest = match &self.most_have {
            Some(value) => format!(" where most have {value}"),
            None => String::new(),
        };
        format!("{}: {}{rest}", self.what, parts.join("; "))
    }

    /// Nodes that have less than most, where that is a fault.
    pub(super) fn to_drain(&self) -> impl Iterator<Item = usize> + '_ {
        let is_clear = self.severity == Severity::Fault && self.most_have.is_some();
        let nodes = self.others.values().flatten().copied();
        nodes.filter(move |_| is_clear)
    }
}

type Get = fn(&Inspection) -> Option<String>;

/// What is compared. A version that could not be read on a node (in a container, for example) is left out
/// of the comparison; an installer that never ran is not.
const COMPARED: [(&str, Severity, Get); 8] = [
    ("EFA devices", Severity::Fault, |i| {
        Some(i.efa_devices.to_string())
    }),
    ("EFA according to the doctor", Severity::Fault, |i| {
        let is_known = ["usable", "not_usable", "no_efa_by_design"].contains(&i.verdict.as_str());
        is_known.then(|| i.verdict.replace('_', " "))
    }),
    ("instance type", Severity::Warning, |i| {
        i.instance_type.clone()
    }),
    ("efa driver", Severity::Warning, |i| i.efa_driver.clone()),
    ("libfabric", Severity::Warning, |i| i.libfabric.clone()),
    ("EFA installer", Severity::Warning, |i| {
        Some(i.efa_installer.clone().unwrap_or_else(|| "none".into()))
    }),
    ("rdma-core", Severity::Warning, |i| i.rdma_core.clone()),
    ("kernel", Severity::Warning, |i| i.kernel.clone()),
];

/// Returns where the inspected nodes differ: faults first. In a survey of EFA also what is wrong
/// with each; otherwise all are warnings. Nodes without an inspection, or with one of another kind,
/// are left out.
#[must_use]
pub fn differences(nodes: &[Node], provider: &str) -> Vec<Difference> {
    let is_efa = provider::is(provider, "efa");
    let worst = match is_efa {
        true => Severity::Fault,
        false => Severity::Warning,
    };
    let inspected: Vec<(usize, Inspection)> = nodes
        .iter()
        .enumerate()
        .filter_map(|(number, node)| Some((number, node.known_inspection()?)))
        .collect();
    let mut found: Vec<Difference> = COMPARED
        .iter()
        .filter_map(|&(what, severity, get)| compare(what, severity.min(worst), get, &inspected))
        .collect();
    let mut causes = BTreeMap::<String, Vec<usize>>::new();
    for (number, inspection) in inspected.iter().filter(|_| is_efa) {
        if let Some(cause) = &inspection.failed {
            causes.entry(cause.clone()).or_default().push(*number);
        }
    }
    if !causes.is_empty() {
        found.push(Difference {
            what: "the doctor's report".into(),
            severity: Severity::Warning,
            most_have: None,
            others: causes,
        });
    }
    found.sort_by_key(|difference| std::cmp::Reverse(difference.severity));
    found
}

fn compare(
    what: &str,
    severity: Severity,
    get: Get,
    inspected: &[(usize, Inspection)],
) -> Option<Difference> {
    let mut by_value = BTreeMap::<String, Vec<usize>>::new();
    for (number, inspection) in inspected {
        if let Some(value) = get(inspection) {
            by_value.entry(value).or_default().push(*number);
        }
    }
    if by_value.len() < 2 {
        return None;
    }
    let all: usize = by_value.values().map(Vec::len).sum();
    let most_have = by_value
        .iter()
        .find(|(_, nodes)| nodes.len() * 2 > all)
        .map(|(value, _)| value.clone());
    if let Some(value) = &most_have {
        by_value.remove(value);
    }
    Some(Difference {
        what: what.to_owned(),
        severity,
        most_have,
        others: by_value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::NodeRoot;

    fn good() -> Inspection {
        Inspection {
            instance_id: None,
            instance_type: Some("p5.48xlarge".into()),
            efa_devices: 32,
            efa_driver: Some("2.15.0g".into()),
            libfabric: Some("2.1".into()),
            efa_installer: Some("1.43.0".into()),
            rdma_core: Some("58".into()),
            kernel: Some("6.1".into()),
            verdict: "usable".into(),
            failed: None,
            warnings: Vec::new(),
        }
    }

    fn nodes(inspections: &[Option<Inspection>]) -> Vec<Node> {
        let json = |i: &Inspection| serde_json::to_string(i).unwrap();
        (0..)
            .zip(inspections)
            .map(|(number, inspection)| Node {
                inspection: inspection.as_ref().map(json),
                ..Node::new(format!("n{number}"))
            })
            .collect()
    }

    fn said(inspections: &[Option<Inspection>]) -> Vec<(Severity, String)> {
        let found = differences(&nodes(inspections), "efa");
        let name = |node| format!("n{node}");
        let said = |d: &Difference| (d.severity, d.statement_with(name));
        found.iter().map(said).collect()
    }

    #[test]
    fn equal_nodes_do_not_differ() {
        assert_eq!(said(&[Some(good()), Some(good()), None]), []);
        assert_eq!(said(&[Some(good())]), []);
        assert_eq!(said(&[]), []);
    }

    #[test]
    fn every_difference_names_the_node_that_has_it() {
        type Change = fn(&mut Inspection);
        let cases: [(Change, Severity, &str); 8] = [
            (
                |i| i.efa_devices = 31,
                Severity::Fault,
                "EFA devices: 31 on n1 where most have 32",
            ),
            (
                |i| i.verdict = "not_usable".into(),
                Severity::Fault,
                "EFA according to the doctor: not usable on n1 where most have usable",
            ),
            (
                |i| i.instance_type = Some("p5e.48xlarge".into()),
                Severity::Warning,
                "instance type: p5e.48xlarge on n1 where most have p5.48xlarge",
            ),
            (
                |i| i.efa_driver = Some("1.0".into()),
                Severity::Warning,
                "efa driver: 1.0 on n1 where most have 2.15.0g",
            ),
            (
                |i| i.libfabric = Some("1.17".into()),
                Severity::Warning,
                "libfabric: 1.17 on n1 where most have 2.1",
            ),
            (
                |i| i.efa_installer = None,
                Severity::Warning,
                "EFA installer: none on n1 where most have 1.43.0",
            ),
            (
                |i| i.rdma_core = Some("27".into()),
                Severity::Warning,
                "rdma-core: 27 on n1 where most have 58",
            ),
            (
                |i| i.kernel = Some("5.10".into()),
                Severity::Warning,
                "kernel: 5.10 on n1 where most have 6.1",
            ),
        ];
        for (change, severity, expected) in cases {
            let mut other = good();
            change(&mut other);
            let seen = said(&[Some(good()), Some(other), Some(good())]);
            assert_eq!(seen, [(severity, expected.to_owned())]);
        }
    }

    #[test]
    fn a_survey_of_another_network_only_warns() {
        let mut other = good();
        other.efa_devices = 0;
        let found = differences(&nodes(&[Some(good()), Some(other), Some(good())]), "tcp");
        assert_eq!(found[0].severity, Severity::Warning);
        assert_eq!(found[0].to_drain().count(), 0);
    }

    #[test]
    fn what_the_doctors_say_is_said_once_for_each_cause() {
        let mut bad = good();
        bad.failed = Some("no /dev/infiniband".into());
        bad.verdict = "not_usable".into();
        let all = vec![Some(bad.clone()), Some(bad.clone()), Some(bad)];
        let said = said(&all);
        let expected = "the doctor's report: no /dev/infiniband on n0, n1, n2";
        assert_eq!(said, [(Severity::Warning, expected.to_owned())]);
        assert_eq!(differences(&nodes(&all), "tcp"), []);
    }

    #[test]
    fn without_a_majority_nobody_is_to_blame() {
        let mut other = good();
        other.efa_devices = 1;
        let found = differences(&nodes(&[Some(good()), Some(other)]), "efa");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].most_have, None);
        assert_eq!(found[0].to_drain().count(), 0);
        let text = found[0].statement_with(|node| format!("n{node}"));
        assert_eq!(text, "EFA devices: 1 on n1; 32 on n0");
    }

    #[test]
    fn what_is_unknown_is_not_compared() {
        let mut other = good();
        (other.libfabric, other.kernel, other.rdma_core) = (None, None, None);
        (other.efa_driver, other.instance_type) = (None, None);
        assert_eq!(said(&[Some(good()), Some(other)]), []);
    }

    #[test]
    fn an_inspection_of_another_kind_is_left_alone() {
        let mut listed = nodes(&[Some(good()), Some(good())]);
        listed[1].inspection = Some("{\"gpus\": 8}".into());
        assert_eq!(differences(&listed, "efa"), []);
        listed[1].inspection = Some("not JSON".into());
        assert_eq!(differences(&listed, "efa"), []);
    }

    #[test]
    fn this_machine_can_be_inspected() {
        let root = NodeRoot::new("/");
        let report = doctor::examine(&doctor::Options::recorded("/"));
        let seen = Inspection::new(&node::Node::read(&root), &report);
        assert_eq!(seen.verdict, report.verdict.as_str());
        assert_eq!(seen.kernel, report.node.kernel_release);
        let json = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<Inspection>(&json).unwrap(), seen);
    }
}
