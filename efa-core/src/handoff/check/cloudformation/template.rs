//! A template as its resources, parameters with a default and conditions in place.

use serde_json::{Map, Value};

use super::resolve;
use crate::handoff::check::document::Checked;

/// The resources of a template, parameters with a default and conditions in place.
pub(super) struct Template {
    resources: Map<String, Value>,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Resource<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'a str,
    pub(super) properties: &'a Value,
}

impl<'a> Resource<'a> {
    /// Where a property of it stands.
    pub(super) fn path(&self, document: &Checked<'_>, property: &str) -> String {
        let path = format!("Resources.{}.Properties.{property}", self.name);
        document.path(path.trim_end_matches('.'))
    }

    /// A property; `None` where it is not said.
    pub(super) fn get(&self, property: &str) -> Option<&'a Value> {
        self.properties
            .get(property)
            .filter(|value| !value.is_null())
    }
}

impl Template {
    pub(super) fn new(document: &Value) -> Self {
        Self {
            resources: resolve::resources(document),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Resource<'_>> {
        self.resources.iter().map(|(name, resource)| Resource {
            name,
            kind: resource
                .get("Type")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            properties: resource.get("Properties").unwrap_or(&Value::Null),
        })
    }

    pub(super) fn of(&self, kind: &str) -> impl Iterator<Item = Resource<'_>> {
        self.all().filter(move |resource| resource.kind == kind)
    }

    /// The resource of this kind that a value refers to, by `Ref` or any attribute of it.
    pub(super) fn referred(&self, value: &Value, kind: &str) -> Option<Resource<'_>> {
        let name = referred_name(value)?;
        self.of(kind).find(|resource| resource.name == name)
    }
}

/// The logical name in `{"Ref": name}` or `{"Fn::GetAtt": [name, …]}`.
pub(super) fn referred_name(value: &Value) -> Option<&str> {
    if let Some(name) = value.get("Ref") {
        return name.as_str();
    }
    match value.get("Fn::GetAtt")? {
        Value::String(path) => path.split('.').next(),
        Value::Array(parts) => parts.first()?.as_str(),
        _ => None,
    }
}

/// What a template says where EC2 takes a boolean: `true`, or that as text.
pub(super) fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}
