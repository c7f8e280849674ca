//! Values of a manifest, by JSON pointer.

use serde_json::Value;

/// The kind of a manifest; empty without one.
pub(super) fn kind(document: &Value) -> &str {
    text(document, "/kind").unwrap_or_default()
}

/// The text at a JSON pointer.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// The list at a JSON pointer; empty without one.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The interfaces that a node class lists; an empty list is none.
pub(super) fn interfaces_of(node_class: &Value) -> Option<&Vec<Value>> {
    [
        "/spec/networkInterfaces",
        "/spec/advancedNetworking/networkInterfaces",
    ]
    .iter()
    .find_map(|at| node_class.pointer(at)?.as_array())
    .filter(|list| !list.is_empty())
}
