//! What the doctor reports: a verdict, the findings, and their forms for people and programs.

use std::fmt;

use efa_core::html::{LEFT, escape};
use serde::{Deserialize, Serialize};

use super::finding::{Finding, Status};
use crate::library::Version;
use crate::node::Node;

/// The verdict on whether EFA can be used here, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// libfabric offers EFA, every check was made, and none failed.
    Usable,
    /// It cannot be used.
    NotUsable {
        /// The id of the first finding that failed, in order of the decision.
        cause: String,
    },
    /// This machine has no EFA and is not meant to: a laptop, an instance type without EFA.
    NoEfaByDesign {
        /// The evidence.
        reason: String,
    },
    /// Nothing failed, and not everything was seen: libfabric was not asked, or a check could not
    /// be made.
    Unknown {
        /// What is missing, the checks by their ids.
        reason: String,
    },
}

impl Verdict {
    /// Returns the word, as in JSON.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::NotUsable { .. } => "not_usable",
            Self::NoEfaByDesign { .. } => "no_efa_by_design",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// The machine, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeSummary {
    /// The tree that was read: `/`, or a recorded one.
    pub root: String,
    /// Its instance type, as given or read.
    pub instance_type: Option<String>,
    /// Its instance id.
    pub instance_id: Option<String>,
    /// Its kernel's release.
    pub kernel_release: Option<String>,
    /// EFA devices on the PCI bus.
    pub efa_pci_devices: usize,
    /// EFA devices that have an RDMA device, by name.
    pub efa_devices: Vec<String>,
    /// `container` or `pod`, where it is one.
    pub inside: Option<String>,
}

impl NodeSummary {
    pub(crate) fn of(node: &Node) -> Self {
        let container = &node.container;
        let inside = match (container.is_kubernetes(), container.is_container()) {
            (true, _) => Some("pod"),
            (false, true) => Some("container"),
            (false, false) => None,
        };
        Self {
            root: node.root.clone(),
            instance_type: node.instance_type.clone(),
            instance_id: node.instance_id.clone(),
            kernel_release: node.kernel.clone(),
            efa_pci_devices: node.pci_efa.len(),
            efa_devices: node.efa_devices.iter().map(|d| d.name.clone()).collect(),
            inside: inside.map(str::to_owned),
        }
    }
}

/// A libfabric that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LibfabricSeen {
    /// The file.
    pub path: String,
    /// Its version.
    pub version: Version,
}

/// The findings of [`examine`](super::examine); `Display` is a short text with the worst first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// Whether EFA can be used.
    pub verdict: Verdict,
    /// The machine.
    pub node: NodeSummary,
    /// The libfabric that was asked, where one was.
    pub libfabric: Option<LibfabricSeen>,
    /// One for each check, the worst first, and among equals in order of the decision.
    pub findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(
        verdict: Verdict,
        node: NodeSummary,
        libfabric: Option<LibfabricSeen>,
        mut findings: Vec<Finding>,
    ) -> Self {
        findings.sort_by_key(|finding| (finding.status.rank(), finding.step()));
        Self {
            verdict,
            node,
            libfabric,
            findings,
        }
    }

    /// Returns the exit status of a process: 0 EFA is usable, 1 it is not, 2 it is not known.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self.verdict {
            Verdict::Usable => 0,
            Verdict::NotUsable { .. } | Verdict::NoEfaByDesign { .. } => 1,
            Verdict::Unknown { .. } => 2,
        }
    }

    /// Returns whether EFA is usable, and nothing failed, warned or stayed unknown.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.verdict == Verdict::Usable
            && !self.findings.iter().any(|finding| {
                matches!(
                    finding.status,
                    Status::Failed | Status::Warning | Status::Unknown
                )
            })
    }

    /// Returns the finding of a check.
    #[must_use]
    pub fn finding(&self, id: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.id == id)
    }

    /// Returns the report as a table, for notebooks: escaped, without scripts.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut html = format!(
            "<p><b>{}</b><br>{}</p><table><tr><th {LEFT}>status</th><th {LEFT}>check</th>\
             <th {LEFT}>finding</th></tr>",
            escape(&self.headline()),
            escape(&self.machine())
        );
        for finding in self.shown() {
            html.push_str(&format!(
                "<tr><td {LEFT}>{}</td><td {LEFT}><code>{}</code></td><td {LEFT}>{}",
                finding.status,
                escape(&finding.id),
                escape(&finding.title)
            ));
            for (label, text) in details(finding) {
                html.push_str(&format!("<br><i>{label}</i> {}", escape(&text)));
            }
            html.push_str("</td></tr>");
        }
        html.push_str("</table>");
        let left_out = self.left_out();
        if !left_out.is_empty() {
            html.push_str(&format!(
                "<p>do not apply: {}</p>",
                escape(&left_out.join(", "))
            ));
        }
        html
    }

    fn headline(&self) -> String {
        match &self.verdict {
            Verdict::Usable if self.is_healthy() => "EFA is usable".to_owned(),
            Verdict::Usable => "EFA is usable, with warnings".to_owned(),
            Verdict::NotUsable { cause } => match self.finding(cause) {
                Some(finding) => format!("EFA is not usable: {}", finding.title),
                None => format!("EFA is not usable: {cause}"),
            },
            Verdict::NoEfaByDesign { reason } => format!("no EFA on this machine: {reason}"),
            Verdict::Unknown { reason } => {
                format!("could not determine whether EFA is usable: {reason}")
            }
        }
    }

    fn machine(&self) -> String {
        let node = &self.node;
        let mut parts = vec![
            node.instance_type
                .clone()
                .unwrap_or_else(|| "instance type not known".to_owned()),
        ];
        parts.extend(node.instance_id.clone());
        if let Some(kernel) = &node.kernel_release {
            parts.push(format!("kernel {kernel}"));
        }
        parts.extend(node.inside.as_ref().map(|inside| format!("in a {inside}")));
        parts.push(format!(
            "{} EFA on PCI, {} as RDMA devices",
            node.efa_pci_devices,
            node.efa_devices.len()
        ));
        parts.push(match &self.libfabric {
            Some(seen) => format!("libfabric {} ({})", seen.version, seen.path),
            None => "libfabric not asked".to_owned(),
        });
        if node.root != "/" {
            parts.push(format!("read from {}", node.root));
        }
        parts.join(", ")
    }

    /// The checks that do not apply, or that an earlier finding makes pointless.
    fn left_out(&self) -> Vec<&str> {
        self.findings
            .iter()
            .filter(|finding| finding.status == Status::NotApplicable)
            .map(|finding| finding.id.as_str())
            .collect()
    }

    /// What a reader is shown: all but what does not apply.
    fn shown(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(|finding| finding.status != Status::NotApplicable)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.headline())?;
        writeln!(f, "{}", self.machine())?;
        for finding in self.shown() {
            writeln!(
                f,
                "  {:<8} {:<26} {}",
                finding.status, finding.id, finding.title
            )?;
        }
        let left_out = self.left_out();
        if !left_out.is_empty() {
            let checks = match left_out.len() {
                1 => "1 check does not apply".to_owned(),
                n => format!("{n} checks do not apply"),
            };
            writeln!(f, "  {checks}: {}", left_out.join(", "))?;
        }
        for finding in self.shown().filter(|finding| {
            matches!(
                finding.status,
                Status::Failed | Status::Warning | Status::Unknown
            )
        }) {
            writeln!(f, "\n{} ({})", finding.id, finding.status)?;
            for (label, text) in details(finding) {
                writeln!(f, "  {label:<9} {text}")?;
            }
        }
        Ok(())
    }
}

/// Cause, cure, evidence and reference of a finding, labelled, each one line.
fn details(finding: &Finding) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let mut push = |label, text: &Option<String>| {
        if let Some(text) = text {
            lines.push((label, text.clone()));
        }
    };
    push("cause", &finding.cause);
    push("cure", &finding.cure);
    for evidence in &finding.evidence {
        lines.push((
            "evidence",
            format!("{}: {}", evidence.source, evidence.value),
        ));
    }
    if let Some(reference) = &finding.reference {
        lines.push(("see", reference.clone()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::finding::Check;
    use super::*;

    fn report(verdict: Verdict) -> Report {
        Report::new(
            verdict,
            NodeSummary {
                root: "/".into(),
                instance_type: Some("p5.48xlarge".into()),
                ..NodeSummary::default()
            },
            None,
            vec![
                Finding::ok(Check::LibfabricFound, "found"),
                Finding::skipped(Check::ContainerDevices, "not in a container"),
                Finding::new(Check::LimitsShm, Status::Warning, "small"),
                Finding::failed(Check::LimitsMemlock, "64 KiB < all"),
                Finding::failed(Check::DriverModule, "not loaded")
                    .evidence("/proc/modules", "no <efa>")
                    .cause("never installed")
                    .cure("modprobe efa")
                    .reference("modprobe(8)"),
            ],
        )
    }

    #[test]
    fn worst_first_then_order_of_the_decision() {
        let report = report(Verdict::Usable);
        let ids: Vec<_> = report.findings.iter().map(|f| f.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "driver.module",
                "limits.memlock",
                "limits.shm",
                "libfabric.found",
                "container.devices"
            ]
        );
    }

    #[test]
    fn text_has_headline_lines_and_details() {
        let text = report(Verdict::NotUsable {
            cause: "driver.module".into(),
        })
        .to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "EFA is not usable: not loaded");
        assert!(lines[1].starts_with("p5.48xlarge, 0 EFA on PCI"));
        assert!(lines[2].starts_with("  failed   driver.module "));
        assert!(text.contains("1 check does not apply: container.devices\n"));
        let details = text.split("\ndriver.module (failed)\n").nth(1).unwrap();
        assert!(details.starts_with(
            "  cause     never installed\n  cure      modprobe efa\n  evidence  /proc/modules: no <efa>\n  see       modprobe(8)\n"
        ));
    }

    #[test]
    fn html_is_escaped() {
        let html = report(Verdict::Usable).to_html();
        assert!(html.contains("no &lt;efa&gt;"));
        assert!(!html.contains("<efa>"));
    }

    #[test]
    fn exit_codes_and_health() {
        let reason = || "r".to_owned();
        for (verdict, code) in [
            (Verdict::Usable, 0),
            (Verdict::NotUsable { cause: reason() }, 1),
            (Verdict::NoEfaByDesign { reason: reason() }, 1),
            (Verdict::Unknown { reason: reason() }, 2),
        ] {
            let report = report(verdict);
            assert_eq!(report.exit_code(), code, "{:?}", report.verdict);
            assert!(!report.is_healthy());
            let text = serde_json::to_string(&report).unwrap();
            assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        }
        let with = |findings| Report::new(Verdict::Usable, NodeSummary::default(), None, findings);
        assert!(with(Vec::new()).is_healthy());
        let open = Finding::new(Check::PciCount, Status::Unknown, "how many");
        assert!(!with(vec![open]).is_healthy());
    }
}
