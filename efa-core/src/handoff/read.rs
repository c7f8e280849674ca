//! Text of any format as values: JSON, YAML with several documents, CloudFormation's short tags.
//!
//! A text is never trusted: its size, its depth and what its aliases expand to are limited, so that
//! a small one stays cheap.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde_json::{Map, Value, json};

use crate::error::{Code, Error, Result};

mod depth;
mod source;

pub(super) use source::{unread_format, unread_source};

/// The largest text that is read, in bytes.
pub(super) const MAXIMUM_BYTES: usize = 32 << 20;

/// How much more than its own size a text may expand to, in bytes and values.
const EXPANSION: usize = 1 << 20;

/// The documents of a text; empty ones are left out.
///
/// # Errors
/// `handoff.unreadable`, `handoff.too_deep` and `handoff.too_large`.
pub(super) fn documents(text: &str) -> Result<Vec<Value>> {
    if text.len() > MAXIMUM_BYTES {
        return Err(too_large(
            format!("a text of {} bytes", text.len()),
            MAXIMUM_BYTES,
        ));
    }
    depth::check_depth(text)?;
    if let Some(value) = json_document(text) {
        return Ok(vec![value]);
    }
    let budget = Budget::for_text(text);
    let mut found = Vec::new();
    for document in yaml_serde::Deserializer::from_str(text) {
        let value = Plain(&budget)
            .deserialize(document)
            .map_err(|error| budget.error(text, &error))?;
        if !value.is_null() {
            found.push(value);
        }
    }
    Ok(found)
}

/// The value of a text that is one list or mapping in JSON, which is read faster than as YAML; `None`
/// for any other text, which is left to the reader of YAML and its errors.
fn json_document(text: &str) -> Option<Value> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let budget = Budget::for_text(text);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Plain(&budget).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(value)
}

/// The text is larger, or expands to more, than `limit` allows.
pub(crate) fn too_large(what: String, limit: usize) -> Error {
    Error::new(
        Code::HandoffTooLarge,
        format!("{what}: more than is read here"),
    )
    .with_cure("check its parts one by one")
    .with_context("field", "document")
    .with_context("limit", limit)
}

/// What a text may still expand to.
struct Budget {
    left: Cell<usize>,
}

impl Budget {
    fn for_text(text: &str) -> Self {
        Self {
            left: Cell::new(text.len().saturating_mul(3).saturating_add(EXPANSION)),
        }
    }

    /// Takes a value of `bytes` bytes from the budget.
    fn take<E: serde::de::Error>(&self, bytes: usize) -> std::result::Result<(), E> {
        match self.left.get().checked_sub(bytes + 1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.left.set(0);
                Err(E::custom("it expands to too much"))
            }
        }
    }

    fn error(&self, text: &str, error: &yaml_serde::Error) -> Error {
        let message = error.to_string();
        // The words of yaml_serde's own limits.
        if self.left.get() == 0 || message.contains("repetition limit") {
            let limit = text.len().saturating_mul(3).saturating_add(EXPANSION);
            return too_large(
                "aliases that expand to more than the text".to_owned(),
                limit,
            );
        }
        if message.contains("recursion limit") {
            return depth::too_deep();
        }
        unread_source(text).unwrap_or_else(|| {
            let message: String = message.chars().flat_map(char::escape_debug).collect();
            Error::new(
                Code::HandoffUnreadable,
                format!("not YAML or JSON: {message}"),
            )
            .with_cure("give the document's text in its own format")
            .with_context("field", "document")
        })
    }
}

/// Reads a YAML value as JSON: `!Ref x` becomes `{"Ref": "x"}`, other tags `{"Fn::tag": value}`, as
/// CloudFormation means them; `<<` puts the entries of other mappings in place.
#[derive(Clone, Copy)]
struct Plain<'a>(&'a Budget);

impl<'de> DeserializeSeed<'de> for Plain<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Plain<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> std::result::Result<Value, E> {
        self.0.take(0)?;
        Ok(Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> std::result::Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> std::result::Result<Value, E> {
        self.0.take(0)?;
        Ok(value.into())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> std::result::Result<Value, E> {
        self.0.take(0)?;
        Ok(value.into())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> std::result::Result<Value, E> {
        self.0.take(0)?;
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> std::result::Result<Value, E> {
        self.0.take(0)?;
        Ok(value.into())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Value, E> {
        self.0.take(text.len())?;
        Ok(text.into())
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> std::result::Result<Value, E> {
        self.0.take(text.len())?;
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Value, A::Error> {
        self.0.take(0)?;
        let mut read = Vec::new();
        while let Some(entry) = list.next_element_seed(self)? {
            read.push(entry);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Value, A::Error> {
        self.0.take(0)?;
        let mut read = Map::new();
        let mut merged = Vec::new();
        while let Some(key) = map.next_key_seed(self)? {
            let value = map.next_value_seed(self)?;
            let key = match key {
                Value::String(key) => key,
                other => other.to_string(),
            };
            if key == "<<" && (value.is_object() || value.is_array()) {
                merged.push(value);
            } else if read.contains_key(&key) {
                let message = format!("duplicate entry with key {key:?}");
                return Err(serde::de::Error::custom(message));
            } else {
                read.insert(key, value);
            }
        }
        for value in merged {
            let maps = match value {
                Value::Array(maps) => maps,
                one => vec![one],
            };
            for map in maps {
                let Value::Object(map) = map else {
                    return Err(serde::de::Error::custom("<< takes mappings"));
                };
                for (key, value) in map {
                    read.entry(key).or_insert(value);
                }
            }
        }
        Ok(Value::Object(read))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> std::result::Result<Value, A::Error> {
        let (tag, contents) = tagged.variant::<String>()?;
        let value = contents.newtype_variant_seed(self)?;
        let tag = tag.trim_start_matches('!');
        Ok(match (tag, value) {
            ("Ref" | "Condition", value) => json!({ tag: value }),
            ("GetAtt", Value::String(path)) => {
                let (name, attribute) = path.split_once('.').unwrap_or((&path, ""));
                json!({ "Fn::GetAtt": [name, attribute] })
            }
            (_, value) => json!({ format!("Fn::{tag}"): value }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_json_and_cloudformation_tags_read_alike() {
        let cases: &[(&str, Value)] = &[
            ("{\"a\": [1, true, null]}", json!({"a": [1, true, null]})),
            ("a: !Ref B", json!({"a": {"Ref": "B"}})),
            (
                "a: !GetAtt B.C.D",
                json!({"a": {"Fn::GetAtt": ["B", "C.D"]}}),
            ),
            ("a: !Sub 'x${Y}'", json!({"a": {"Fn::Sub": "x${Y}"}})),
            (
                "a: !If [C, {b: !Ref D}, !Ref 'AWS::NoValue']",
                json!({"a": {"Fn::If": ["C", {"b": {"Ref": "D"}}, {"Ref": "AWS::NoValue"}]}}),
            ),
            (
                "base: &b {x: 1}\na:\n  <<: *b\n  y: -2",
                json!({"base": {"x": 1}, "a": {"x": 1, "y": -2}}),
            ),
            (
                "b: &b {x: 1, y: 1}\nc: &c {y: 2, z: 2}\na: {x: 3, <<: [*b, *c]}",
                json!({"b": {"x": 1, "y": 1}, "c": {"y": 2, "z": 2}, "a": {"x": 3, "y": 1, "z": 2}}),
            ),
            ("1: one\ntrue: yes", json!({"1": "one", "true": "yes"})),
        ];
        for (text, value) in cases {
            assert_eq!(
                documents(text).unwrap(),
                std::slice::from_ref(value),
                "{text}"
            );
        }
        assert_eq!(documents("a: 1\n---\n---\nb: 2\n").unwrap().len(), 2);
        assert_eq!(documents("").unwrap().len(), 0);
        for text in ["a: [", "a: b: c", "\u{0}", "a: 1\na: 2", "a: {<<: [1]}"] {
            assert_eq!(
                documents(text).unwrap_err().code(),
                Code::HandoffUnreadable,
                "{text:?}"
            );
        }
    }

    #[test]
    fn json_and_yaml_read_the_same_document_alike() {
        for text in [
            r#"{"a": [1, -2, 1.5, 1e3, true, null, "x"], "b": {}}"#,
            r#"["1", "true", "~", "2026-12-31", "\u00e9\n\/"]"#,
            "\n {\"a\":\n[] }\n",
            r#"{"a": {"<<": {"x": 1, "y": 2}, "x": 3}}"#,
            r#"{"Ref": "B", "Fn::GetAtt": ["A", "b"], "Fn::Sub": "${C}"}"#,
            r#"{"": 18446744073709551615}"#,
        ] {
            let read = json_document(text).unwrap();
            // What is in front of it makes YAML of it, as does a comment.
            let as_yaml = documents(&format!("# YAML\n---\n{text}")).unwrap();
            assert_eq!(as_yaml, std::slice::from_ref(&read), "{text}");
        }
        // YAML forbids tabs in front of a line, long keys, and halves of characters.
        let long = format!("{{\n\t\"{}\": \"\\ud83d\\ude00\"\n}}", "k".repeat(2000));
        assert_eq!(documents(&long).unwrap()[0]["k".repeat(2000)], "😀");
        for text in [
            "{a: 1}",
            "{\"a\": 1} # YAML",
            "{\"a\": 1}\n---\n{\"b\": 2}",
            "{\"a\": 1, \"a\": 2}",
            "{\"a\": 1",
            "a: 1",
            "null",
            "",
        ] {
            assert_eq!(json_document(text), None, "{text}");
        }
        let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
        assert!(json_document(&deep).is_none());
        assert_eq!(documents(&deep).unwrap().len(), 1);
    }

    #[test]
    fn a_small_text_stays_cheap() {
        // Each level is twice the one before.
        let mut merges = "a0: &a0 {x0: 1}\n".to_owned();
        let mut lists = "a0: &a0 [x]\n".to_owned();
        for level in 1..60 {
            let last = level - 1;
            merges += &format!("a{level}: &a{level} {{<<: [*a{last}, *a{last}], x{level}: 1}}\n");
            lists += &format!("a{level}: &a{level} [*a{last}, *a{last}]\n");
        }
        let long = format!(
            "a: &a {}\nb: [{}]\n",
            "x".repeat(50_000),
            "*a, ".repeat(500)
        );
        for text in [&merges, &lists, &long] {
            let error = documents(text).unwrap_err();
            assert_eq!(error.code(), Code::HandoffTooLarge, "{error}");
        }
        // What people write.
        let usual = format!("a: &a {}\nb: [{}]\n", "x".repeat(500), "*a, ".repeat(500));
        assert_eq!(documents(&usual).unwrap().len(), 1);
        let error = documents(&" ".repeat(MAXIMUM_BYTES + 1)).unwrap_err();
        assert_eq!(error.code(), Code::HandoffTooLarge);
    }
}
