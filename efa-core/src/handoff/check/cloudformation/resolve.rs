//! The resources of a template as they are with its parameters' defaults.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::{Map, Value};

/// How deep functions and conditions may nest.
const DEPTH: usize = 64;

/// The resources whose condition does not rule them out, with parameters that have a default and
/// `Fn::If` in place. What cannot be known stays as it stands, an unknown condition counts as true.
pub(super) fn resources(document: &Value) -> Map<String, Value> {
    let scope = Scope {
        document,
        conditions: RefCell::default(),
    };
    let Some(resources) = document.get("Resources").and_then(Value::as_object) else {
        return Map::new();
    };
    resources
        .iter()
        .filter(|(_, resource)| {
            let condition = resource.get("Condition").and_then(Value::as_str);
            condition.is_none_or(|name| scope.condition(name, DEPTH) != Some(false))
        })
        .map(|(name, resource)| {
            let resolved = scope.value(resource, DEPTH).unwrap_or_default();
            (name.clone(), resolved)
        })
        .collect()
}

struct Scope<'a> {
    document: &'a Value,
    /// What is known of conditions; unknown while one is being looked at, so that it may name
    /// itself, and each is looked at once however often it is named.
    conditions: RefCell<HashMap<String, Option<bool>>>,
}

impl Scope<'_> {
    /// The value with everything known in place; `None` for `AWS::NoValue`.
    fn value(&self, value: &Value, depth: usize) -> Option<Value> {
        let Some(deeper) = depth.checked_sub(1) else {
            return Some(value.clone());
        };
        match value {
            Value::Array(list) => Some(
                list.iter()
                    .filter_map(|entry| self.value(entry, deeper))
                    .collect(),
            ),
            Value::Object(map) => match self.function(map, deeper) {
                Some(known) => known,
                None => Some(Value::Object(
                    map.iter()
                        .filter_map(|(key, entry)| Some((key.clone(), self.value(entry, deeper)?)))
                        .collect(),
                )),
            },
            other => Some(other.clone()),
        }
    }

    /// The value of a function whose value is known: `Some(None)` for `AWS::NoValue`.
    fn function(&self, map: &Map<String, Value>, depth: usize) -> Option<Option<Value>> {
        let (name, argument) = map.iter().next().filter(|_| map.len() == 1)?;
        match name.as_str() {
            "Ref" if argument == "AWS::NoValue" => Some(None),
            "Ref" => {
                let default = self
                    .document
                    .get("Parameters")?
                    .get(argument.as_str()?)?
                    .get("Default")?;
                Some(Some(default.clone()))
            }
            "Fn::If" => {
                let parts = argument.as_array()?;
                let [condition, yes, no] = parts.as_slice() else {
                    return None;
                };
                let holds = self.condition(condition.as_str()?, depth).unwrap_or(true);
                Some(self.value(if holds { yes } else { no }, depth))
            }
            "Fn::FindInMap" => {
                let keys = argument.as_array()?.iter();
                let mut at = self.document.get("Mappings")?;
                for key in keys.take(3) {
                    let key = self.value(key, depth)?;
                    at = at.get(key.as_str()?)?;
                }
                Some(Some(at.clone()))
            }
            "Fn::Sub" => {
                let text = self.substituted(argument.as_str()?, depth)?;
                Some(Some(Value::String(text)))
            }
            _ => None,
        }
    }

    /// The text with its parameters in place; `None` while something unknown is in it.
    fn substituted(&self, text: &str, depth: usize) -> Option<String> {
        let mut parts = text.split("${");
        let mut known = parts.next()?.to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}')?;
            let reference = serde_json::json!({ "Ref": name });
            known += self.value(&reference, depth)?.as_str()?;
            known += rest;
        }
        Some(known)
    }

    /// Whether the named condition holds; `None` where that cannot be known.
    fn condition(&self, name: &str, depth: usize) -> Option<bool> {
        if let Some(known) = self.conditions.borrow().get(name) {
            return *known;
        }
        let condition = self.document.get("Conditions")?.get(name)?;
        self.conditions.borrow_mut().insert(name.to_owned(), None);
        let holds = self.holds(condition, depth);
        self.conditions.borrow_mut().insert(name.to_owned(), holds);
        holds
    }

    fn holds(&self, condition: &Value, depth: usize) -> Option<bool> {
        let depth = depth.checked_sub(1)?;
        let (name, argument) = condition.as_object()?.iter().next()?;
        let list = argument.as_array();
        match name.as_str() {
            "Condition" => self.condition(argument.as_str()?, depth),
            "Fn::Equals" => {
                let known = |at: usize| {
                    let value = self.value(list?.get(at)?, depth)?;
                    (!value.is_object()).then(|| text_of(&value))
                };
                Some(known(0)? == known(1)?)
            }
            "Fn::Not" => Some(!self.holds(list?.first()?, depth)?),
            "Fn::And" => {
                let all: Option<Vec<bool>> = list?.iter().map(|c| self.holds(c, depth)).collect();
                Some(all?.into_iter().all(|holds| holds))
            }
            "Fn::Or" => {
                let all: Option<Vec<bool>> = list?.iter().map(|c| self.holds(c, depth)).collect();
                Some(all?.into_iter().any(|holds| holds))
            }
            _ => None,
        }
    }
}

/// CloudFormation compares texts: `true` equals `"true"`.
fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_that_name_each_other_many_times_take_no_time() {
        let mut conditions = Map::new();
        for level in 0..30 {
            let next = json!({"Condition": format!("C{}", level + 1)});
            conditions.insert(format!("C{level}"), json!({"Fn::And": [next, next]}));
        }
        conditions.insert("C30".to_owned(), json!({"Fn::Equals": ["a", "b"]}));
        let document = json!({"Conditions": conditions, "Resources": {"A": {"Condition": "C0"}}});
        assert_eq!(resources(&document).len(), 0);
    }

    #[test]
    fn what_is_known_is_in_place() {
        let resources = resources(&json!({
            "Parameters": {
                "Type": {"Default": "p5.48xlarge"}, "Use": {"Default": "false"}, "Open": {},
            },
            "Mappings": {"Zones": {"p5.48xlarge": {"Zone": "a"}}},
            "Conditions": {
                "Used": {"Fn::Equals": [{"Ref": "Use"}, true]},
                "Unused": {"Fn::Not": [{"Condition": "Used"}]},
                "Unknown": {"Fn::Equals": [{"Ref": "Open"}, "x"]},
                "Both": {"Fn::And": [{"Condition": "Unused"}, {"Condition": "Used"}]},
                "Loop": {"Condition": "Loop"},
            },
            "Resources": {
                "A": {"Condition": "Used"}, "B": {"Condition": "Unused"}, "C": {"Condition": "Both"},
                "D": {"Condition": "Loop", "Properties": {
                    "type": {"Ref": "Type"}, "open": {"Ref": "Open"}, "group": {"Ref": "B"},
                    "if": {"Fn::If": ["Used", 1, {"Ref": "AWS::NoValue"}]},
                    "unknown": {"Fn::If": ["Unknown", 1, 2]},
                    "map": {"Fn::FindInMap": ["Zones", {"Ref": "Type"}, "Zone"]},
                    "sub": {"Fn::Sub": "${Type}!"}, "region": {"Fn::Sub": "${AWS::Region}a"},
                    "list": [{"Ref": "AWS::NoValue"}, {"Ref": "Type"}],
                }},
            },
        }));
        assert_eq!(resources.keys().collect::<Vec<_>>(), ["B", "D"]);
        assert_eq!(
            resources["D"]["Properties"],
            json!({
                "type": "p5.48xlarge", "open": {"Ref": "Open"}, "group": {"Ref": "B"},
                "unknown": 1, "map": "a", "sub": "p5.48xlarge!",
                "region": {"Fn::Sub": "${AWS::Region}a"}, "list": ["p5.48xlarge"],
            })
        );
    }
}
