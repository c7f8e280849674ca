//! One document under check, and what is collected about its text.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::report::{DocumentFinding, Unread};
use crate::catalog::{Catalog, InstanceType};
use crate::layout::Request;

/// How many findings of interfaces state what to put there instead: nobody reads more, and each may
/// be as long as a launch.
const CORRECTIONS: usize = 1000;

/// How many unknown names of types are compared with the known ones.
const COMPARED_NAMES: usize = 20;

/// One document of a text under check.
pub(super) struct Checked<'a> {
    pub(super) document: &'a Value,
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

/// A path of two parts, of which the first may be empty.
pub(super) fn join_path(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Collects what the checks of one text find.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) findings: Vec<DocumentFinding>,
    pub(super) out_of_sight: Vec<String>,
    pub(super) unread: Vec<Unread>,
    corrections: usize,
    unknown_types: usize,
    seen: HashSet<(String, String, String)>,
    said: HashSet<String>,
    /// EFA interfaces that types can have, by name: each is planned once for a text.
    efa_counts: RefCell<HashMap<String, usize>>,
}

impl Findings {
    pub(super) fn push(&mut self, finding: DocumentFinding) {
        self.findings.push(finding);
    }

    /// Whether one more finding may state what to put there instead: the first ones of a text do.
    pub(super) fn may_correct(&mut self) -> bool {
        self.corrections += 1;
        self.corrections <= CORRECTIONS
    }

    /// Whether one more name may be compared with all that there are, which takes its time.
    pub(super) fn may_compare_name(&mut self) -> bool {
        self.unknown_types += 1;
        self.unknown_types <= COMPARED_NAMES
    }

    /// How many EFA interfaces a type has by default.
    pub(super) fn efa_count(&self, instance_type: &InstanceType) -> usize {
        if let Some(count) = self.efa_counts.borrow().get(&instance_type.name) {
            return *count;
        }
        let maximum = instance_type.maximum_efa_interfaces as usize;
        let layout = instance_type.layout(&Request::default());
        let count = layout.map_or(maximum, |layout| layout.efa_count());
        let name = instance_type.name.clone();
        self.efa_counts.borrow_mut().insert(name, count);
        count
    }

    /// Adds a finding, unless the same was found on another way.
    pub(super) fn push_once(&mut self, finding: DocumentFinding) {
        let key = (
            finding.id.clone(),
            finding.path.clone(),
            finding.message.clone(),
        );
        if self.seen.insert(key) {
            self.findings.push(finding);
        }
    }

    /// Reports, once, what the document cannot show.
    pub(super) fn out_of_sight(&mut self, sentence: &str) {
        if self.said.insert(sentence.to_owned()) {
            self.out_of_sight.push(sentence.to_owned());
        }
    }

    /// Names an object that no rule looked at, once.
    pub(super) fn unread(&mut self, kind: &str, name: &str, path: &str, reason: &str) {
        let key = (format!("unread {kind}"), path.to_owned(), name.to_owned());
        if self.seen.insert(key) {
            self.unread.push(Unread::new(kind, name, path, reason));
        }
    }

    /// Reports that a part has nothing to check, or has it in a form that is not read.
    pub(super) fn nothing_to_check(&mut self, kind: &str, name: &str, path: &str) {
        self.unread(
            kind,
            name,
            path,
            "it has no launch in a form that is read here",
        );
    }

    /// Adds what another way to read the same text found, once.
    pub(super) fn merge(&mut self, other: Self) {
        for finding in other.findings {
            self.push_once(finding);
        }
        for sentence in other.out_of_sight {
            self.out_of_sight(&sentence);
        }
        for unread in other.unread {
            self.unread(&unread.kind, &unread.name, &unread.path, &unread.reason);
        }
    }
}

/// About how many bytes a value has.
pub(super) fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(list) => list.iter().map(size).sum::<usize>() + 2,
        Value::Object(map) => {
            map.iter()
                .map(|(k, v)| k.len() + size(v) + 2)
                .sum::<usize>()
                + 2
        }
        _ => 4,
    }
}
