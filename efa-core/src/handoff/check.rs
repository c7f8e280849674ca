//! What is wrong with the EFA part of a document that exists, whoever wrote it.
//!
//! One module per format, each a function of the document's values and a catalogue. Findings name
//! where, why and the cure; what a document cannot show (the rules of a group that it only names,
//! say) is listed as out of sight.

use serde_json::Value;

use super::read;
use crate::catalog::Catalog;
use crate::error::{Code, Error, Result};

mod cloudformation;
mod document;
mod eksctl;
mod interfaces;
mod kubernetes;
mod launch_template;
mod ray;
mod report;
mod terraform;

pub use report::{DocumentFinding, DocumentFormat, DocumentReport, Severity};

use document::{Checked, Findings};

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
            DocumentFormat::RayCluster => ray::check_cluster_yaml(&document, &mut found),
            DocumentFormat::Kubernetes => kubernetes::check_manifest(&document, &mut found),
            DocumentFormat::CloudFormation => cloudformation::check_template(&document, &mut found),
            DocumentFormat::LaunchTemplate => {
                launch_template::check_launch_template(&document, &mut found)
            }
            DocumentFormat::Eksctl => eksctl::check_cluster_config(&document, &mut found),
            DocumentFormat::Terraform => terraform::check_launch_templates(&document, &mut found),
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
