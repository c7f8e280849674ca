//! A template as its resources, parameters with a default and conditions in place.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::handoff::check::document::Checked;

pub(super) const LAUNCH_TEMPLATE: &str = "AWS::EC2::LaunchTemplate";
pub(super) const INTERFACE: &str = "AWS::EC2::NetworkInterface";

/// The resources of a template, parameters with a default and conditions in place.
pub(super) struct Template {
    resources: Map<String, Value>,
    by_kind: HashMap<String, Vec<String>>,
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

    /// A property; `None` where it is not given.
    pub(super) fn get(&self, property: &str) -> Option<&'a Value> {
        self.properties
            .get(property)
            .filter(|value| !value.is_null())
    }
}

impl Template {
    /// A reading of a template, as `resolve::readings` gives it.
    pub(super) fn new(resources: Map<String, Value>) -> Self {
        let mut by_kind: HashMap<String, Vec<String>> = HashMap::new();
        for (name, value) in &resources {
            let kind = resource(name, value).kind;
            match by_kind.get_mut(kind) {
                Some(names) => names.push(name.clone()),
                None => drop(by_kind.insert(kind.to_owned(), vec![name.clone()])),
            }
        }
        Self { resources, by_kind }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Resource<'_>> {
        self.resources
            .iter()
            .map(|(name, value)| resource(name, value))
    }

    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = Resource<'_>> {
        let names = self.by_kind.get(kind).into_iter().flatten();
        names.filter_map(|name| self.named(name))
    }

    fn named(&self, name: &str) -> Option<Resource<'_>> {
        let (name, value) = self.resources.get_key_value(name)?;
        Some(resource(name, value))
    }

    /// The resource of this kind that a value refers to, by `Ref` or any attribute of it.
    pub(super) fn referred(&self, value: &Value, kind: &str) -> Option<Resource<'_>> {
        let referred = self.named(referred_name(value)?);
        referred.filter(|resource| resource.kind == kind)
    }
}

fn resource<'a>(name: &'a str, value: &'a Value) -> Resource<'a> {
    Resource {
        name,
        kind: value
            .get("Type")
            .and_then(Value::as_str)
            .unwrap_or_default(),
        properties: value.get("Properties").unwrap_or(&Value::Null),
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

/// What a template has where EC2 takes a boolean: `true`, or that as text.
pub(super) fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

pub(super) fn entries(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn is_efa(kind: Option<&Value>) -> bool {
    matches!(kind.and_then(Value::as_str), Some("efa" | "efa-only"))
}
