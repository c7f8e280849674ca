//! Values of another shape than a format has in their place: no rule sees what is in them, so that
//! they are named as unread.

use serde_json::{Map, Value};

use super::document::{Findings, join_path};
use super::unknown::is_unknown;
use crate::handoff::interfaces::has_letters_of;

/// What the checks read at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A mapping; of Terraform a list of one, too.
    Mapping,
    /// A list of mappings; of Terraform one alone, too.
    Mappings,
    /// A text that may stand elsewhere, such as an id.
    Name,
    /// A list of such texts.
    Names,
    /// A text that a rule compares.
    Word,
    /// A Boolean, or the text of one.
    Flag,
    /// A whole number, or the text of one.
    Count,
}

impl Shape {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Mapping => "a mapping",
            Self::Mappings => "a list of mappings",
            Self::Name | Self::Word => "a text",
            Self::Names => "a list of strings",
            Self::Flag => "a Boolean",
            Self::Count => "a whole number",
        }
    }

    /// Whether nothing is lost where the value stands elsewhere: ids mean nothing to a rule.
    const fn may_be_elsewhere(self) -> bool {
        matches!(self, Self::Name | Self::Names)
    }
}

/// A place in an object, as keys with `/` between: `*` is every entry of a list or mapping. What
/// stands on the way has to be a mapping or a list, too.
pub(super) type Place = (&'static str, Shape);

/// The object in which places are looked at.
pub(super) struct Object<'a> {
    pub(super) name: &'a str,
    /// Where it stands, without a dot at the end.
    pub(super) path: &'a str,
    pub(super) value: &'a Value,
    /// Whether lists of one stand for mappings: blocks of Terraform.
    pub(super) blocks: bool,
}

impl Object<'_> {
    /// Names the values at these places that have another shape.
    pub(super) fn check_shapes(&self, places: &[Place], found: &mut Findings) {
        for (at, shape) in places {
            self.visit(self.value, self.path, at, at, *shape, found);
        }
    }

    fn visit(
        &self,
        value: &Value,
        path: &str,
        at: &'static str,
        rest: &'static str,
        shape: Shape,
        found: &mut Findings,
    ) {
        if value.is_null() {
            return;
        }
        if rest.is_empty() {
            self.judge(value, path, at, shape, found);
            return;
        }
        let whole = rest;
        let (key, rest) = rest.split_once('/').unwrap_or((rest, ""));
        match value {
            Value::Object(_) if is_unknown(value) => {
                let above = at[..at.len() - whole.len()].trim_end_matches('/');
                self.elsewhere(value, path, above, Shape::Mapping, found);
            }
            Value::Object(map) if key == "*" && !self.blocks => {
                for (key, value) in map {
                    self.visit(value, &join_path(path, key), at, rest, shape, found);
                }
            }
            // One block of Terraform for a list of them.
            Value::Object(_) if key == "*" => self.visit(value, path, at, rest, shape, found),
            Value::Object(map) => {
                if let Some((key, value)) = entry(map, key) {
                    self.visit(value, &join_path(path, key), at, rest, shape, found);
                }
            }
            Value::Array(list) if key == "*" => {
                for (number, value) in list.iter().enumerate() {
                    let path = join_path(path, &number.to_string());
                    self.visit(value, &path, at, rest, shape, found);
                }
            }
            Value::Array(list) if self.blocks && list.len() < 2 => {
                for value in list {
                    self.visit(value, path, at, whole, shape, found);
                }
            }
            other => {
                let read = if key == "*" {
                    Shape::Mappings
                } else {
                    Shape::Mapping
                };
                let above = &at[..at.len() - whole.len()];
                self.odd(other, path, above.trim_end_matches('/'), read, found);
            }
        }
    }

    fn judge(
        &self,
        value: &Value,
        path: &str,
        at: &'static str,
        shape: Shape,
        found: &mut Findings,
    ) {
        if is_unknown(value) {
            self.elsewhere(value, path, at, shape, found);
            return;
        }
        let fits = match (shape, value) {
            (Shape::Mapping, Value::Array(list)) => self.blocks && list.len() < 2,
            (Shape::Mappings, Value::Object(_)) => self.blocks,
            (Shape::Mappings | Shape::Names, Value::Array(list)) => {
                let entry = match shape {
                    Shape::Mappings => Shape::Mapping,
                    _ => Shape::Name,
                };
                for (number, value) in list.iter().enumerate() {
                    let path = join_path(path, &number.to_string());
                    self.visit(value, &path, at, "", entry, found);
                }
                true
            }
            (Shape::Mapping, Value::Object(_))
            | (Shape::Name | Shape::Word, Value::String(_))
            | (Shape::Flag, Value::Bool(_)) => true,
            (Shape::Flag, Value::String(text)) => {
                let words = ["true", "false", "yes", "no", "on", "off", "y", "n"];
                words.iter().any(|word| text.eq_ignore_ascii_case(word))
            }
            (Shape::Count, Value::Number(number)) => number.is_u64(),
            (Shape::Count, Value::String(text)) => text.parse::<u64>().is_ok(),
            _ => false,
        };
        if !fits {
            self.odd(value, path, at, shape, found);
        }
    }

    fn elsewhere(
        &self,
        value: &Value,
        path: &str,
        at: &'static str,
        shape: Shape,
        found: &mut Findings,
    ) {
        if shape.may_be_elsewhere() {
            if shape == Shape::Names {
                let key = last_key(at);
                found.out_of_sight(&format!(
                    "which {key} there are, where they are defined elsewhere"
                ));
            }
            return;
        }
        let what = match value {
            Value::String(_) => "it is a placeholder",
            _ => "it is defined elsewhere, or is computed",
        };
        let reason = format!("{what}: check the text with the values in place");
        found.unread(last_key(at), self.name, path, &reason);
    }

    fn odd(&self, value: &Value, path: &str, at: &'static str, read: Shape, found: &mut Findings) {
        if is_unknown(value) {
            self.elsewhere(value, path, at, Shape::Mapping, found);
            return;
        }
        let what = match value {
            Value::Bool(_) => "a Boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "a mapping",
            Value::Null => "nothing",
        };
        let reason = format!("it is {what}, and {} is read there", read.as_str());
        found.unread(last_key(at), self.name, path, &reason);
    }
}

/// A key of a mapping in the format's own spelling: `NetworkInterfaces`, `networkInterfaces` or
/// `network_interfaces`.
fn entry<'a>(map: &'a Map<String, Value>, key: &str) -> Option<(&'a str, &'a Value)> {
    let exact = map.get_key_value(key);
    let found = exact.or_else(|| map.iter().find(|(own, _)| has_letters_of(own, key)));
    found.map(|(key, value)| (key.as_str(), value))
}

/// The last key of a place.
fn last_key(at: &'static str) -> &'static str {
    let mut keys = at.rsplit('/');
    keys.find(|key| *key != "*").unwrap_or(at)
}
