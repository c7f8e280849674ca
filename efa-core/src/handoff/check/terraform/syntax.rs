//! Blocks of Terraform's JSON syntax.

use serde_json::Value;

/// A body with its name.
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) body: &'a Value,
}

/// What JSON syntax has as an object, or a list of objects, at every level.
pub(super) fn blocks(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        other => vec![other],
    }
}

/// Name and body of each block of a kind.
pub(super) fn named(value: Option<&Value>) -> Vec<Named<'_>> {
    let named = value.map(blocks).unwrap_or_default();
    named
        .into_iter()
        .filter_map(Value::as_object)
        .flatten()
        .filter(|(name, _)| *name != "//")
        .flat_map(|(name, body)| {
            blocks(body)
                .into_iter()
                .map(move |body| Named { name, body })
        })
        .collect()
}
