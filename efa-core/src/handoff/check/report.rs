//! What a check of a document found, and its text form.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::html;

/// The format of a document, told from its own marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DocumentFormat {
    /// Ray's cluster YAML (`available_node_types`).
    RayCluster,
    /// Kubernetes manifests: Karpenter's, and workloads that ask for EFA.
    Kubernetes,
    /// A CloudFormation template.
    CloudFormation,
    /// A CreateLaunchTemplate request, its `LaunchTemplateData`, or a RunInstances request.
    LaunchTemplate,
    /// eksctl's ClusterConfig.
    Eksctl,
    /// Terraform's JSON syntax.
    Terraform,
}

impl DocumentFormat {
    /// The name, as serialised.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RayCluster => "ray-cluster",
            Self::Kubernetes => "kubernetes",
            Self::CloudFormation => "cloud-formation",
            Self::LaunchTemplate => "launch-template",
            Self::Eksctl => "eksctl",
            Self::Terraform => "terraform",
        }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// It does not launch, or EFA does not work.
    Error,
    /// It works, with less than the type has, or not for long.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DocumentFinding {
    /// A stable dotted name, such as `ray.subnet_id_ignored`; those of interfaces are the codes of
    /// [`violations`](crate::layout::violations).
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where: keys and list positions with `.` between; in front the number of the document, from
    /// 0, where there are several.
    pub path: String,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do.
    pub cure: String,
    /// What to put there instead, in the document's own language.
    pub corrected: Option<String>,
}

impl DocumentFinding {
    pub(crate) fn new(
        severity: Severity,
        id: &str,
        path: impl Into<String>,
        message: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self {
            id: id.to_owned(),
            severity,
            path: path.into(),
            message: message.into(),
            cure: cure.into(),
            corrected: None,
        }
    }

    pub(crate) fn corrected(mut self, text: impl Into<String>) -> Self {
        self.corrected = Some(text.into());
        self
    }
}

impl fmt::Display for DocumentFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (severity, id) = (self.severity.as_str(), &self.id);
        write!(
            f,
            "{severity} {id} at {}: {}; {}",
            self.path, self.message, self.cure
        )
    }
}

/// What [`check`](super::check()) found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DocumentReport {
    /// The format that the document was taken for.
    pub format: DocumentFormat,
    /// Worst first, otherwise in the document's order.
    pub findings: Vec<DocumentFinding>,
    /// What the document cannot show, one sentence each, with how to find out.
    pub out_of_sight: Vec<String>,
}

impl DocumentReport {
    /// Whether nothing is wrong, warnings included.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// The text form as HTML, for notebooks.
    #[must_use]
    pub fn to_html(&self) -> String {
        html::preformatted(&self.to_string())
    }
}

impl fmt::Display for DocumentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |severity| {
            self.findings
                .iter()
                .filter(|f| f.severity == severity)
                .count()
        };
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        writeln!(
            f,
            "{}: {errors} errors, {warnings} warnings",
            self.format.as_str()
        )?;
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
            for line in finding.corrected.iter().flat_map(|text| text.lines()) {
                writeln!(f, "    {line}")?;
            }
        }
        for sentence in &self.out_of_sight {
            writeln!(f, "not seen here: {sentence}")?;
        }
        Ok(())
    }
}
