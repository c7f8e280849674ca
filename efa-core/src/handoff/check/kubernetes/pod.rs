//! A pod wherever a document holds its specification, and the EFAs that it requests.

use serde_json::Value;

use super::values::list;
use crate::handoff::karpenter::EFA_RESOURCE;

/// A pod's specification in a document.
pub(super) struct Pod<'a> {
    /// Where it stands.
    pub(super) path: String,
    pub(super) spec: &'a Value,
}

impl<'a> Pod<'a> {
    /// Containers with their paths, those that run first in front.
    pub(super) fn containers(&self) -> impl Iterator<Item = (String, &'a Value)> {
        let spec = self.spec;
        let path = self.path.clone();
        ["initContainers", "containers"]
            .into_iter()
            .flat_map(move |key| {
                let path = path.clone();
                let containers = list(spec, &format!("/{key}")).iter().enumerate();
                containers.map(move |(at, container)| {
                    (join_path(&path, &format!("{key}.{at}")), container)
                })
            })
    }

    /// How many EFAs it takes of a node: its containers' together, or those of an init container.
    pub(super) fn efas(&self) -> u64 {
        let of = |key: &str| list(self.spec, key).iter().map(efas).collect::<Vec<_>>();
        let together: u64 = of("/containers").iter().sum();
        of("/initContainers")
            .into_iter()
            .max()
            .unwrap_or(0)
            .max(together)
    }
}

/// How many EFAs a container takes.
pub(super) fn efas(container: &Value) -> u64 {
    let limits = efa_count(container.pointer("/resources/limits"));
    limits.max(efa_count(container.pointer("/resources/requests")))
}

/// The pods of a document: every mapping with a list of containers.
pub(super) fn pods(document: &Value) -> Vec<Pod<'_>> {
    let mut found = Vec::new();
    collect(document, "", &mut found);
    found
}

fn collect<'a>(value: &'a Value, path: &str, found: &mut Vec<Pod<'a>>) {
    let below = |key: &str| join_path(path, key);
    match value {
        Value::Object(map) => {
            if map.get("containers").is_some_and(Value::is_array) {
                found.push(Pod {
                    path: path.to_owned(),
                    spec: value,
                });
                return;
            }
            for (key, value) in map {
                collect(value, &below(key), found);
            }
        }
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                collect(value, &below(&at.to_string()), found);
            }
        }
        _ => {}
    }
}

/// The count of the EFA resource in a list of resources; 0 without one.
fn efa_count(resources: Option<&Value>) -> u64 {
    resources
        .and_then(|resources| resources.get(EFA_RESOURCE))
        .and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()))
        .unwrap_or(0)
}

/// A path of two parts, of which the first may be empty.
pub(super) fn join_path(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
