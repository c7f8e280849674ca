//! Plans in the form that other launchers read, and checks of such documents: one file per
//! format, each with its methods of `Plan`.

use efa_core as core;
use pyo3::prelude::*;

use crate::argument::{Document, given};
use crate::catalog::Catalog;
use crate::choices;
use crate::convert::list;
use crate::errors;
use crate::rows::{Rows, rows};
use crate::value::value_class;

mod cli;
mod cloudformation;
mod eksctl;
mod karpenter;
mod launch_template;
mod ray;
mod terraform;

value_class! {
    /// One thing that is wrong with a document.
    DocumentFinding(core::handoff::DocumentFinding) {
        /// A stable dotted name, such as `ray.subnet_id_ignored`.
        id: String = |finding| finding.id.clone();
        /// `error` (it does not launch, or EFA does not work) or `warning`.
        severity: choices::DocumentSeverity = |finding| finding.severity.as_str().into();
        /// Where: keys and list positions with dots between.
        path: String = |finding| finding.path.clone();
        /// What is wrong.
        message: String = |finding| finding.message.clone();
        /// What to do.
        cure: String = |finding| finding.cure.clone();
        /// What to put there instead, in the document's own language; None where only you know.
        corrected: Option<String> = |finding| finding.corrected.clone();
    }
    repr = |finding| format!("<DocumentFinding {} at {}>", finding.id, finding.path);
    str = ToString::to_string;
}

value_class! {
    /// An object or a part of a text that no rule of `check` looked at.
    DocumentUnread(core::handoff::Unread) {
        /// Its kind, as the document has it.
        kind: String = |unread| unread.kind.clone();
        /// Its name; where it stands, for one without a name.
        name: String = |unread| unread.name.clone();
        /// Where it stands: keys and list positions with dots between.
        path: String = |unread| unread.path.clone();
        /// Why it was not read, and what to do.
        reason: String = |unread| unread.reason.clone();
    }
    repr = |unread| format!("<DocumentUnread {} {}>", unread.kind, unread.name);
    str = ToString::to_string;
}

value_class! {
    /// The findings of `check` in a document.
    DocumentReport(core::handoff::DocumentReport) {
        /// The format that the document was taken for, such as `ray-cluster`; `several` where one
        /// text has documents of several.
        format: &'static str = |report| report.format.as_str();
        /// Worst first.
        findings: Rows<DocumentFinding> = |report| rows(&report.findings);
        /// What the document cannot show, one sentence each.
        out_of_sight: Vec<String> = |report| report.out_of_sight.clone();
        /// What no rule looked at: with any of it the report is not clean.
        unread: Vec<DocumentUnread> = |report| list(&report.unread);
        /// The verdict: `errors`, `unread` (no error in what was read, and a part was not read),
        /// `warnings` or `clean`.
        status: choices::DocumentStatus = |report| report.status().as_str().into();
        /// Whether everything was read and nothing is wrong, warnings included.
        is_clean: bool = core::handoff::DocumentReport::is_clean;
    }
    repr = |report| format!(
        "<DocumentReport of {}: {}, {} findings>",
        report.format.as_str(),
        report.status().as_str(),
        report.findings.len()
    );
    str = ToString::to_string;
    html = core::handoff::DocumentReport::to_html;
}

/// Returns what is wrong with the EFA part of a document that exists: a Ray cluster YAML,
/// Kubernetes manifests, a CloudFormation template, a launch template, an eksctl ClusterConfig or
/// Terraform JSON, as text. catalog: the instance types to check against; the bundled ones when
/// None.
///
/// Raises HandoffError for text of no such format, and for text beyond what is read: larger than
/// 32 MiB, nested deeper than 128 levels, or with aliases or functions that expand to much more.
#[pyfunction]
#[pyo3(signature = (
    document: "str", *, catalog: "Catalog | None" = None
))]
pub(crate) fn check(
    #[pyo3(from_py_with = given)] document: Document,
    #[pyo3(from_py_with = given)] catalog: Option<&Catalog>,
) -> PyResult<DocumentReport> {
    let checked = match catalog {
        Some(catalog) => core::handoff::check(&document.0, &catalog.0),
        None => core::handoff::check(&document.0, core::Catalog::bundled()),
    };
    checked.map(DocumentReport).map_err(errors::exception)
}
