//! Parts of a Ray cluster YAML: its node types, and the entries of a mapping.

use serde_json::{Map, Value};

/// One of `available_node_types`.
pub(super) struct NodeType<'a> {
    pub(super) value: &'a Value,
    pub(super) config: &'a Value,
    /// Where it stands.
    pub(super) path: String,
    pub(super) is_head: bool,
}

impl<'a> NodeType<'a> {
    pub(super) fn at(&self, key: &str) -> String {
        format!("{}.node_config.{key}", self.path)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.config.get(key).and_then(Value::as_str)
    }

    /// Its interfaces, where it has a list of them.
    pub(super) fn interfaces(&self) -> Option<&'a [Value]> {
        let list = self.config.get("NetworkInterfaces")?.as_array()?;
        Some(list.as_slice())
    }

    pub(super) fn has_efa(&self) -> bool {
        let efa = |interface: &Value| {
            let kind = interface.get("InterfaceType").and_then(Value::as_str);
            kind.is_some_and(|kind| kind.starts_with("efa"))
        };
        self.interfaces().is_some_and(|list| list.iter().any(efa))
    }
}

/// The entries of a mapping; none where it is something else.
pub(super) fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}
