//! What a check of a document found, and its text form.

use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::html;
use crate::text::{into_plain, plain};

/// The format of a document, recognized by its own marks.
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
    /// A configuration of ParallelCluster 3.
    ParallelCluster,
    /// A request for a cluster of SageMaker HyperPod.
    #[serde(rename = "sagemaker")]
    SageMaker,
    /// Terraform's JSON syntax, or `terraform show -json`.
    Terraform,
    /// Documents of several formats in one text.
    Several,
}

impl DocumentFormat {
    /// Returns the name, as serialised.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RayCluster => "ray-cluster",
            Self::Kubernetes => "kubernetes",
            Self::CloudFormation => "cloud-formation",
            Self::LaunchTemplate => "launch-template",
            Self::Eksctl => "eksctl",
            Self::ParallelCluster => "parallel-cluster",
            Self::SageMaker => "sagemaker",
            Self::Terraform => "terraform",
            Self::Several => "several",
        }
    }
}

/// The severity of a finding.
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
    /// Returns `error` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// The verdict on a text, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DocumentStatus {
    /// At least one error.
    Errors,
    /// No error in what was read, and a part was not read.
    Unread,
    /// Everything was read; warnings alone.
    Warnings,
    /// Everything was read, and nothing is wrong.
    Clean,
}

impl DocumentStatus {
    /// Returns `errors`, `unread`, `warnings` or `clean`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Unread => "unread",
            Self::Warnings => "warnings",
            Self::Clean => "clean",
        }
    }
}

/// An object or a part of a text that no rule looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unread {
    /// Its kind, as the document has it.
    pub kind: String,
    /// Its name; where it stands, for one without a name.
    pub name: String,
    /// Where it stands.
    pub path: String,
    /// Why it was not read, and what to do.
    pub reason: String,
}

impl Unread {
    pub(crate) fn new(kind: &str, name: &str, path: &str, reason: &str) -> Self {
        Self {
            kind: plain(kind),
            name: plain(name),
            path: plain(path),
            reason: plain(reason),
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)?;
        if !self.path.is_empty() {
            write!(f, " at {}", self.path)?;
        }
        write!(f, ": {}", self.reason)
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
            path: into_plain(path.into()),
            message: into_plain(message.into()),
            cure: into_plain(cure.into()),
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

/// The findings of [`check`](super::check()). Its JSON has the status, too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[non_exhaustive]
pub struct DocumentReport {
    /// The format that the document was taken for.
    pub format: DocumentFormat,
    /// Worst first, otherwise in the document's order.
    pub findings: Vec<DocumentFinding>,
    /// What the document cannot show, one sentence each, with how to find out.
    pub out_of_sight: Vec<String>,
    /// What no rule looked at: with any of it the report is not clean.
    #[serde(default)]
    pub unread: Vec<Unread>,
}

impl DocumentReport {
    /// Returns whether everything was read and nothing is wrong, warnings included.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.status() == DocumentStatus::Clean
    }

    /// Returns the verdict.
    #[must_use]
    pub fn status(&self) -> DocumentStatus {
        let errors = |f: &DocumentFinding| f.severity == Severity::Error;
        if self.findings.iter().any(errors) {
            DocumentStatus::Errors
        } else if !self.unread.is_empty() {
            DocumentStatus::Unread
        } else if !self.findings.is_empty() {
            DocumentStatus::Warnings
        } else {
            DocumentStatus::Clean
        }
    }

    /// Returns the text form as HTML, for notebooks.
    #[must_use]
    pub fn to_html(&self) -> String {
        html::preformatted(&self.to_string())
    }
}

impl Serialize for DocumentReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("DocumentReport", 5)?;
        report.serialize_field("format", &self.format)?;
        report.serialize_field("status", &self.status())?;
        report.serialize_field("findings", &self.findings)?;
        report.serialize_field("unread", &self.unread)?;
        report.serialize_field("out_of_sight", &self.out_of_sight)?;
        report.end()
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
        write!(
            f,
            "{}: {errors} errors, {warnings} warnings",
            self.format.as_str()
        )?;
        match self.unread.len() {
            0 => writeln!(f)?,
            count => writeln!(f, ", {count} not read")?,
        }
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
            for line in finding.corrected.iter().flat_map(|text| text.lines()) {
                writeln!(f, "    {}", plain(line))?;
            }
        }
        for unread in &self.unread {
            writeln!(f, "not read: {unread}")?;
        }
        for sentence in &self.out_of_sight {
            writeln!(f, "not seen here: {}", plain(sentence))?;
        }
        Ok(())
    }
}
