//! What is wrong with the EFA part of a document that exists, whoever wrote it.
//!
//! Each format is turned into one description of a launch ([`launch`]), every field of which may be
//! unknown, and one set of rules ([`rules`]) runs on it; what a launcher alone has, such as the
//! keys of its format, is checked by the module of the format. Findings name where, why and the
//! cure. What a document cannot show (such as the rules of a group that it only names) is listed as
//! out of sight, and what no rule looked at is named as unread: such a report is not clean.

use serde_json::{Value, json};

use super::read;
use crate::catalog::Catalog;
use crate::error::{Code, Error, Result};

mod cloudformation;
mod document;
mod eksctl;
mod groups;
mod interfaces;
mod kubernetes;
mod launch;
mod launch_options;
mod launch_template;
mod marks;
mod names;
mod parallel_cluster;
mod ray;
mod report;
mod rule;
mod rules;
mod sagemaker;
mod shape;
mod terraform;
mod unknown;

#[cfg(test)]
mod tests;

pub use report::{
    DocumentFinding, DocumentFormat, DocumentReport, DocumentStatus, Severity, Unread,
};

use document::{Checked, Findings};

/// How deep lists of Kubernetes may stand in lists.
const LISTS: usize = 8;

/// Checks the EFA part of a document: JSON or YAML, several documents in one text too, also of
/// several formats.
///
/// # Errors
/// `handoff.unreadable` for text that is neither, `handoff.too_deep` and `handoff.too_large` for
/// one beyond what is read, `handoff.unknown_format` where no document is of a format that is
/// checked here. What is wrong with a document is in the report.
pub fn check(text: &str, catalog: &Catalog) -> Result<DocumentReport> {
    let documents = flattened(read::documents(text)?);
    let formats: Vec<Option<DocumentFormat>> = documents
        .iter()
        .map(|(_, value)| format_of(value))
        .collect();
    let mut known = formats.iter().flatten();
    let Some(&first) = known.next() else {
        return Err(unknown_format(text, &documents));
    };
    let format = if known.all(|format| *format == first) {
        first
    } else {
        DocumentFormat::Several
    };
    let mut found = Findings::default();
    let manifests: Vec<Checked<'_>> = documents
        .iter()
        .zip(&formats)
        .filter(|(_, format)| **format == Some(DocumentFormat::Kubernetes))
        .map(|((prefix, document), _)| Checked {
            document,
            prefix: prefix.clone(),
            catalog,
        })
        .collect();
    kubernetes::check_names(&manifests, &mut found);
    let manifests = kubernetes::Manifests::new(&manifests);
    for ((prefix, value), format) in documents.iter().zip(&formats) {
        let document = Checked {
            document: value,
            prefix: prefix.clone(),
            catalog,
        };
        match format {
            Some(format) => check_one(*format, &document, &manifests, &mut found)?,
            None => unknown_document(&document, &mut found),
        }
    }
    found.findings.sort_by_key(|finding| finding.severity);
    Ok(DocumentReport {
        format,
        findings: found.findings,
        out_of_sight: found.out_of_sight,
        unread: found.unread,
    })
}

fn check_one<'a>(
    format: DocumentFormat,
    document: &Checked<'a>,
    manifests: &kubernetes::Manifests<'a>,
    found: &mut Findings,
) -> Result<()> {
    match format {
        DocumentFormat::RayCluster => ray::check_cluster_yaml(document, found),
        DocumentFormat::Kubernetes => kubernetes::check_manifest(document, manifests, found),
        DocumentFormat::CloudFormation => cloudformation::check_template(document, found)?,
        DocumentFormat::LaunchTemplate => launch_template::check_launch_template(document, found),
        DocumentFormat::Eksctl => eksctl::check_cluster_config(document, found),
        DocumentFormat::Terraform => terraform::check_configuration(document, found)?,
        DocumentFormat::ParallelCluster => parallel_cluster::check_configuration(document, found),
        DocumentFormat::SageMaker => sagemaker::check_cluster(document, found),
        DocumentFormat::Several => {}
    }
    Ok(())
}

/// Names a document of no known format, among others that have one.
fn unknown_document(document: &Checked<'_>, found: &mut Findings) {
    let text = |key: &str| document.document.get(key).and_then(Value::as_str);
    let path = document.prefix.trim_end_matches('.');
    let name = document
        .document
        .pointer("/metadata/name")
        .and_then(Value::as_str);
    let name = name.or_else(|| text("name")).unwrap_or(path);
    let (kind, reason) = match read::unread_format(document.document) {
        Some((what, cure)) => (what, cure),
        None => (
            text("kind").unwrap_or("document"),
            "its format is not one that is checked here",
        ),
    };
    found.unread(kind, name, path, reason);
}

/// The documents, those of Kubernetes' lists one by one, each with what stands in front of its
/// paths.
fn flattened(documents: Vec<Value>) -> Vec<(String, Value)> {
    let several = documents.len() > 1;
    let mut flat = Vec::new();
    for (number, document) in documents.into_iter().enumerate() {
        let prefix = if several {
            format!("{number}.")
        } else {
            String::new()
        };
        // A list of interfaces alone, as the AWS CLI's --network-interfaces takes it.
        let interfaces = document.as_array().is_some_and(|list| {
            !list.is_empty() && list.iter().all(|entry| entry.get("DeviceIndex").is_some())
        });
        if interfaces {
            flat.push((prefix, json!({ "NetworkInterfaces": document })));
        } else {
            flatten(document, prefix, LISTS, &mut flat);
        }
    }
    flat
}

/// Puts the items of a list, also one of a single kind (`PodList`), in place of it.
fn flatten(mut document: Value, prefix: String, depth: usize, flat: &mut Vec<(String, Value)>) {
    let kind = document.get("kind").and_then(Value::as_str).unwrap_or("");
    let is_list = kind.ends_with("List") && document.get("apiVersion").is_some();
    let of = kind.strip_suffix("List").unwrap_or_default().to_owned();
    let version = document.get("apiVersion").cloned();
    match document.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list && depth > 0 => {
            for (at, mut item) in items.into_iter().enumerate() {
                if let Some(item) = item.as_object_mut()
                    && !of.is_empty()
                {
                    // The API server leaves both out in lists of one kind.
                    item.entry("kind").or_insert_with(|| of.clone().into());
                    let version = version.clone().unwrap_or_default();
                    item.entry("apiVersion").or_insert(version);
                }
                flatten(item, format!("{prefix}items.{at}."), depth - 1, flat);
            }
        }
        items => {
            if let Some(items) = items {
                document["items"] = items;
            }
            flat.push((prefix, document));
        }
    }
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
    } else if parallel_cluster::is_configuration(document) {
        Some(DocumentFormat::ParallelCluster)
    } else if sagemaker::is_cluster(document) {
        Some(DocumentFormat::SageMaker)
    } else if has("AWSTemplateFormatVersion") || has("Resources") {
        Some(DocumentFormat::CloudFormation)
    } else if terraform::is_terraform(document) {
        Some(DocumentFormat::Terraform)
    } else if [
        "LaunchTemplateData",
        "NetworkInterfaces",
        "LaunchTemplateVersions",
        "LaunchTemplateVersion",
        "Reservations",
    ]
    .iter()
    .any(|key| has(key))
        || (has("InstanceType") && !has("Scheduling"))
    {
        Some(DocumentFormat::LaunchTemplate)
    } else {
        None
    }
}

fn unknown_format(text: &str, documents: &[(String, Value)]) -> Error {
    let known = documents
        .iter()
        .find_map(|(_, value)| read::unread_format(value));
    if let Some((what, cure)) = known {
        return Error::new(
            Code::HandoffUnknownFormat,
            format!("the document is {what}, which is not checked here"),
        )
        .with_cure(cure)
        .with_context("field", "document");
    }
    if let Some(error) = read::unread_source(text) {
        return error;
    }
    Error::new(
        Code::HandoffUnknownFormat,
        "the document's format is not one that is checked here",
    )
    .with_cure(
        "give a Ray cluster YAML, Kubernetes manifests, a CloudFormation template, a launch \
             template, an eksctl ClusterConfig, a ParallelCluster configuration or Terraform JSON",
    )
    .with_context("field", "document")
}
