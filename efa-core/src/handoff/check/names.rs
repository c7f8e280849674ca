//! Two objects under one name in a text: what launches keeps one of them, and which that is depends
//! on the order.

use std::collections::BTreeMap;

use serde_json::Value;

use super::document::Findings;
use super::report::{DocumentFinding, DocumentFormat, Severity};
use super::rule::Rule;
use super::unknown::is_unknown_text;

/// An object that has its name to itself.
pub(super) struct Object<'a> {
    /// What has names of its own: kinds and, of Kubernetes, namespaces.
    pub(super) kind: String,
    pub(super) name: &'a str,
    pub(super) path: String,
    pub(super) value: &'a Value,
}

/// Reports each name that several objects of a kind have.
pub(super) fn check_names<'a>(
    format: DocumentFormat,
    objects: impl Iterator<Item = Object<'a>>,
    found: &mut Findings,
) {
    let mut by_name: BTreeMap<(String, &str), Vec<(String, &Value)>> = BTreeMap::new();
    for object in objects.filter(|object| !is_unknown_text(object.name)) {
        let same = by_name.entry((object.kind, object.name)).or_default();
        same.push((object.path, object.value));
    }
    for ((kind, name), mut same) in by_name {
        let Some((path, last)) = same.pop().filter(|_| !same.is_empty()) else {
            continue;
        };
        let rule = Rule::DuplicateName;
        let count = same.len() + 1;
        let (severity, differ) = if same.iter().all(|(_, value)| *value == last) {
            (Severity::Warning, "are alike")
        } else {
            (rule.severity(format), "differ, so that the order decides")
        };
        found.push(DocumentFinding::new(
            severity,
            rule.id(format),
            path,
            format!("{count} times {kind} {name}, which {differ}"),
            "keep one of them, or give each its own name",
        ));
    }
}
