//! What is wrong with the EFA part of a document that exists, whoever wrote it.
//!
//! One module per format, each a function of the document's values and a catalogue. Findings name
//! where, why and the cure; what a document cannot show (the rules of a group that it only names,
//! say) is listed as out of sight.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read;
use crate::catalog::Catalog;
use crate::error::{Code, Error, Result};
use crate::html;

mod cloudformation;
mod eksctl;
mod interfaces;
mod kubernetes;
mod launch_template;
mod ray;
mod terraform;

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

/// What [`check`] found.
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

/// One document of a text under check.
struct Checked<'a> {
    document: &'a Value,
    /// All documents of the text, this one among them.
    all: &'a [Value],
    /// What stands in front of paths: the document's number and a dot, where there are several.
    prefix: String,
    catalog: &'a Catalog,
}

impl Checked<'_> {
    /// A path in the whole text.
    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

/// Collects what the checks of one text find.
#[derive(Debug, Default)]
struct Findings {
    findings: Vec<DocumentFinding>,
    out_of_sight: Vec<String>,
}

impl Findings {
    fn push(&mut self, finding: DocumentFinding) {
        self.findings.push(finding);
    }

    /// Says, once, what the document cannot show.
    fn out_of_sight(&mut self, sentence: &str) {
        if !self.out_of_sight.iter().any(|said| said == sentence) {
            self.out_of_sight.push(sentence.to_owned());
        }
    }
}

/// Checks the EFA part of a document: JSON or YAML, several documents in one text too.
///
/// # Errors
/// `handoff.unreadable` for text that is neither, `handoff.unknown_format` for a document of a
/// format that is not checked here. What is wrong with a document is in the report.
pub fn check(text: &str, catalog: &Catalog) -> Result<DocumentReport> {
    let (prefixes, documents) = flattened(read::documents(text)?);
    let format = documents
        .iter()
        .find_map(format_of)
        .ok_or_else(unknown_format)?;
    let mut found = Findings::default();
    for (prefix, document) in prefixes.into_iter().zip(&documents) {
        let document = Checked {
            document,
            all: &documents,
            prefix,
            catalog,
        };
        match format {
            DocumentFormat::RayCluster => ray::check(&document, &mut found),
            DocumentFormat::Kubernetes => kubernetes::check(&document, &mut found),
            DocumentFormat::CloudFormation => cloudformation::check(&document, &mut found),
            DocumentFormat::LaunchTemplate => launch_template::check(&document, &mut found),
            DocumentFormat::Eksctl => eksctl::check(&document, &mut found),
            DocumentFormat::Terraform => terraform::check(&document, &mut found),
        }
    }
    found.findings.sort_by_key(|finding| finding.severity);
    Ok(DocumentReport {
        format,
        findings: found.findings,
        out_of_sight: found.out_of_sight,
    })
}

/// The documents, those of Kubernetes' lists one by one, and what stands in front of their paths.
fn flattened(documents: Vec<Value>) -> (Vec<String>, Vec<Value>) {
    let several = documents.len() > 1;
    let mut flat = (Vec::new(), Vec::new());
    for (number, mut document) in documents.into_iter().enumerate() {
        let prefix = if several {
            format!("{number}.")
        } else {
            String::new()
        };
        let is_list = document.get("kind").and_then(Value::as_str) == Some("List");
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if is_list => {
                for (at, item) in items.into_iter().enumerate() {
                    flat.0.push(format!("{prefix}items.{at}."));
                    flat.1.push(item);
                }
            }
            items => {
                if let Some(items) = items {
                    document["items"] = items;
                }
                flat.0.push(prefix);
                flat.1.push(document);
            }
        }
    }
    flat
}

fn format_of(document: &Value) -> Option<DocumentFormat> {
    let has = |key: &str| document.get(key).is_some();
    let api_version = document
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if has("available_node_types") || (has("cluster_name") && has("provider")) {
        Some(DocumentFormat::RayCluster)
    } else if api_version.starts_with("eksctl.io/") {
        Some(DocumentFormat::Eksctl)
    } else if has("apiVersion") && has("kind") {
        Some(DocumentFormat::Kubernetes)
    } else if has("AWSTemplateFormatVersion") || has("Resources") {
        Some(DocumentFormat::CloudFormation)
    } else if has("LaunchTemplateData") || has("NetworkInterfaces") {
        Some(DocumentFormat::LaunchTemplate)
    } else if has("resource") {
        Some(DocumentFormat::Terraform)
    } else {
        None
    }
}

/// A path of two parts, of which the first may be empty.
fn join_path(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn unknown_format() -> Error {
    Error::new(
        Code::HandoffUnknownFormat,
        "the document is of no format that is checked here",
    )
    .with_cure(
        "give a Ray cluster YAML, Kubernetes manifests, a CloudFormation template, a launch \
             template, an eksctl ClusterConfig or Terraform JSON",
    )
    .with_context("field", "document")
}
