//! Text of any format as values: JSON, YAML with several documents, CloudFormation's short tags.

use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use yaml_serde::Value as Yaml;

use crate::error::{Code, Error, Result};

/// The documents of a text; empty ones are left out.
///
/// # Errors
/// `handoff.unreadable`.
pub(super) fn documents(text: &str) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for document in yaml_serde::Deserializer::from_str(text) {
        let mut value = Yaml::deserialize(document).map_err(|error| unreadable(&error))?;
        value.apply_merge().map_err(|error| unreadable(&error))?;
        if !value.is_null() {
            found.push(plain(value));
        }
    }
    Ok(found)
}

fn unreadable(error: &yaml_serde::Error) -> Error {
    Error::new(
        Code::HandoffUnreadable,
        format!("not YAML or JSON: {error}"),
    )
    .with_cure("give the document's text, not its file name")
    .with_context("field", "document")
}

/// A YAML value as JSON: `!Ref x` becomes `{"Ref": "x"}`, other tags `{"Fn::tag": value}`, as
/// CloudFormation means them.
fn plain(value: Yaml) -> Value {
    match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => value.into(),
        Yaml::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => number.into(),
            (_, Some(number), _) => number.into(),
            (_, _, number) => number.into(),
        },
        Yaml::String(text) => text.into(),
        Yaml::Sequence(list) => list.into_iter().map(plain).collect(),
        Yaml::Mapping(map) => {
            let entry = |(key, value): (Yaml, Yaml)| (key_text(&key), plain(value));
            Value::Object(map.into_iter().map(entry).collect::<Map<_, _>>())
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let tag = tag.trim_start_matches('!');
            match (tag, plain(tagged.value)) {
                ("Ref" | "Condition", value) => json!({ tag: value }),
                ("GetAtt", Value::String(path)) => {
                    let (name, attribute) = path.split_once('.').unwrap_or((&path, ""));
                    json!({ "Fn::GetAtt": [name, attribute] })
                }
                (_, value) => json!({ format!("Fn::{tag}"): value }),
            }
        }
    }
}

fn key_text(key: &Yaml) -> String {
    match key {
        Yaml::String(text) => text.clone(),
        other => yaml_serde::to_string(other)
            .map_or_else(|_| String::new(), |text| text.trim_end().to_owned()),
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
                "base: &b {x: 1}\na:\n  <<: *b\n  y: -2",
                json!({"base": {"x": 1}, "a": {"x": 1, "y": -2}}),
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
        for text in ["a: [", "a: b: c", "\u{0}"] {
            assert_eq!(
                documents(text).unwrap_err().code(),
                Code::HandoffUnreadable,
                "{text:?}"
            );
        }
    }
}
