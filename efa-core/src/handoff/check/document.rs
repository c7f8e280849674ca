//! One document under check, and what is collected about its text.

use serde_json::Value;

use super::report::DocumentFinding;
use crate::catalog::Catalog;

/// One document of a text under check.
pub(super) struct Checked<'a> {
    pub(super) document: &'a Value,
    /// All documents of the text, this one among them.
    pub(super) all: &'a [Value],
    /// What stands in front of paths: the document's number and a dot, where there are several.
    pub(super) prefix: String,
    pub(super) catalog: &'a Catalog,
}

impl Checked<'_> {
    /// A path in the whole text.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

/// Collects what the checks of one text find.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) findings: Vec<DocumentFinding>,
    pub(super) out_of_sight: Vec<String>,
}

impl Findings {
    pub(super) fn push(&mut self, finding: DocumentFinding) {
        self.findings.push(finding);
    }

    /// Says, once, what the document cannot show.
    pub(super) fn out_of_sight(&mut self, sentence: &str) {
        if !self.out_of_sight.iter().any(|said| said == sentence) {
            self.out_of_sight.push(sentence.to_owned());
        }
    }
}
