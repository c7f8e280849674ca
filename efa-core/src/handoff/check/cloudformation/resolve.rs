//! The resources of a template as they are with its parameters' defaults.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use crate::error::Result;
use crate::handoff::check::document::size;
use crate::handoff::read::too_large;

/// How deep functions and conditions may nest.
const DEPTH: usize = 64;

/// How many ways to read a template are tried.
const READINGS: usize = 32;

/// How many bytes all of them may have together.
const READ_BYTES: usize = 20 << 20;

/// How much more than its own size a template may expand to.
const EXPANSION: usize = 1 << 20;

/// The resources of a template.
type Resources = Map<String, Value>;

/// What is assumed of a template: conditions that cannot be known, and parameters.
#[derive(Debug, Clone, Default)]
struct Assumed {
    conditions: BTreeMap<String, bool>,
    parameters: BTreeMap<String, Value>,
}

/// The ways to read a template.
pub(super) struct Readings<'a> {
    document: &'a Value,
    limit: usize,
    /// Those that are tried.
    assumed: Vec<Assumed>,
    /// The conditions that cannot be known.
    pub(super) conditions: Vec<String>,
    /// How many combinations of them and of allowed instance types there are, of one parameter at a
    /// time.
    pub(super) combinations: u64,
}

impl Readings<'_> {
    /// How many are tried.
    pub(super) fn tried(&self) -> usize {
        self.assumed.len()
    }

    /// The resources of each that is tried: one at a time, since they may be large.
    pub(super) fn resources(&self) -> impl Iterator<Item = Result<Resources>> {
        let read = |assumed| Ok(read(self.document, assumed, self.limit)?.0);
        self.assumed.iter().map(read)
    }
}

/// The resources whose condition does not rule them out, with parameters that have a default and
/// `Fn::If` in place, in every way that the template can be read: with each condition that cannot
/// be known both ways, and with each of the instance types that a parameter allows. What cannot be
/// known stays as it stands.
///
/// # Errors
/// `handoff.too_large` where functions expand to much more than the template.
pub(super) fn readings(document: &Value) -> Result<Readings<'_>> {
    let size = size(document);
    let limit = size.saturating_mul(4).saturating_add(EXPANSION);
    let mut conditions = BTreeSet::new();
    conditions.extend(read(document, &Assumed::default(), limit)?.1);
    let types = allowed_types(document);
    // What is behind the other branch of an unknown condition.
    let all_false = Assumed {
        conditions: conditions
            .iter()
            .map(|name| (name.clone(), false))
            .collect(),
        ..Assumed::default()
    };
    let (_, unknown) = read(document, &all_false, limit)?;
    conditions.extend(unknown);
    let names: Vec<String> = conditions.into_iter().collect();
    let most = (READ_BYTES / size.max(1)).clamp(2, READINGS);
    // A parameter without a default has one of its values.
    let base: BTreeMap<String, Value> = types
        .iter()
        .filter(|(name, _)| document["Parameters"][name].get("Default").is_none())
        .map(|(name, values)| (name.clone(), values[0].clone()))
        .collect();
    let values: usize = types.iter().map(|(_, values)| values.len()).sum();
    let branches = 1_u64.checked_shl(u32::try_from(names.len()).unwrap_or(u32::MAX));
    let combinations = branches
        .unwrap_or(u64::MAX)
        .saturating_mul(1 + values as u64);
    let mut assumed = assumptions(&names, &types, combinations, most);
    for assumed in &mut assumed {
        for (name, value) in &base {
            let parameters = &mut assumed.parameters;
            parameters
                .entry(name.clone())
                .or_insert_with(|| value.clone());
        }
    }
    Ok(Readings {
        document,
        limit,
        assumed,
        conditions: names,
        combinations,
    })
}

/// One reading, and the conditions that it could not know.
fn read(
    document: &Value,
    assumed: &Assumed,
    limit: usize,
) -> Result<(Resources, BTreeSet<String>)> {
    let scope = Scope {
        document,
        assumed,
        conditions: RefCell::default(),
        unknown: RefCell::default(),
        left: Cell::new(limit),
    };
    let Some(resources) = document.get("Resources").and_then(Value::as_object) else {
        return Ok((Map::new(), BTreeSet::new()));
    };
    let resources = resources
        .iter()
        .filter(|(_, resource)| {
            let condition = resource.get("Condition").and_then(Value::as_str);
            condition.is_none_or(|name| scope.assumed_condition(name, DEPTH))
        })
        .map(|(name, resource)| {
            let resolved = scope.value(resource, DEPTH).unwrap_or_default();
            (name.clone(), resolved)
        })
        .collect();
    if scope.left.get() == 0 {
        return Err(too_large(
            "functions that expand to more than the template".to_owned(),
            limit,
        ));
    }
    Ok((resources, scope.unknown.take()))
}

/// All combinations where there are at most this many, and else this many, those that differ in one
/// thing first.
fn assumptions(
    names: &[String],
    types: &[(String, Vec<Value>)],
    combinations: u64,
    most: usize,
) -> Vec<Assumed> {
    let with = |flipped: u64, parameters: &BTreeMap<String, Value>| Assumed {
        conditions: names
            .iter()
            .enumerate()
            .map(|(at, name)| (name.clone(), at >= 64 || flipped >> at & 1 == 0))
            .collect(),
        parameters: parameters.clone(),
    };
    let each = types.iter().flat_map(|(name, values)| {
        let one = move |value: &Value| BTreeMap::from([(name.clone(), value.clone())]);
        values.iter().map(one)
    });
    let each: Vec<BTreeMap<String, Value>> = each.collect();
    let none = BTreeMap::new();
    let bits = names.len().min(63);
    let everything = (1_u64 << bits) - 1;
    if combinations <= most as u64 {
        let parameters = || std::iter::once(&none).chain(&each);
        let all = (0..=everything).flat_map(|flip| parameters().map(move |p| (flip, p)));
        return all
            .map(|(flip, parameters)| with(flip, parameters))
            .collect();
    }
    let single = (0..bits).map(|at| 1_u64 << at);
    let mut flips: Vec<u64> = [0, everything].into_iter().chain(single).collect();
    flips.extend((0..=everything).take(READINGS));
    let mut seen = BTreeSet::new();
    flips.retain(|flip| seen.insert(*flip));
    let conditions: Vec<Assumed> = flips.iter().map(|flip| with(*flip, &none)).collect();
    let parameters = each
        .iter()
        .flat_map(|parameters| flips.iter().take(2).map(|flip| with(*flip, parameters)));
    // Parameters are not to be crowded out by conditions.
    let (first, rest) = conditions.split_at(conditions.len().min(READINGS / 2));
    let first = first.iter().cloned();
    let ordered = first.chain(parameters).chain(rest.iter().cloned());
    ordered.take(most).collect()
}

/// The instance types that each parameter allows, besides its default.
fn allowed_types(document: &Value) -> Vec<(String, Vec<Value>)> {
    let parameters = document.get("Parameters").and_then(Value::as_object);
    let parameters = parameters.into_iter().flatten();
    let allowed = parameters.filter_map(|(name, parameter)| {
        let values = parameter.get("AllowedValues")?.as_array()?;
        let default = parameter.get("Default");
        let is_type = |value: &&Value| {
            value.as_str().is_some_and(|text| {
                let name = text.strip_prefix("ml.").unwrap_or(text);
                name.split_once('.').is_some_and(|(family, size)| {
                    let plain =
                        |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
                    plain(family)
                        && plain(size)
                        && (size.ends_with("large") || size.starts_with("metal"))
                })
            })
        };
        let types: Vec<Value> = values
            .iter()
            .filter(is_type)
            .filter(|value| Some(*value) != default)
            .cloned()
            .collect();
        (!types.is_empty()).then(|| (name.clone(), types))
    });
    allowed.collect()
}

struct Scope<'a> {
    document: &'a Value,
    assumed: &'a Assumed,
    /// What is known of conditions; unknown while one is being looked at, so that it may name
    /// itself, and each is looked at once however often it is named.
    conditions: RefCell<HashMap<String, Option<bool>>>,
    /// The conditions that were needed and could not be known.
    unknown: RefCell<BTreeSet<String>>,
    /// How many bytes the reading may still have.
    left: Cell<usize>,
}

impl Scope<'_> {
    /// Takes what a value adds to the reading; false once it is too much.
    fn take(&self, bytes: usize) -> bool {
        let left = self.left.get().saturating_sub(bytes);
        self.left.set(left);
        left > 0
    }

    /// Whether a condition holds; one that cannot be known does unless assumed otherwise.
    fn assumed_condition(&self, name: &str, depth: usize) -> bool {
        if let Some(holds) = self.condition(name, depth) {
            return holds;
        }
        self.unknown.borrow_mut().insert(name.to_owned());
        self.assumed.conditions.get(name).copied().unwrap_or(true)
    }

    /// The value with everything known in place; `None` for `AWS::NoValue`.
    fn value(&self, value: &Value, depth: usize) -> Option<Value> {
        let Some(deeper) = depth.checked_sub(1) else {
            return Some(value.clone());
        };
        if !self.take(4) {
            return None;
        }
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
            Value::String(text) if !self.take(text.len()) => None,
            other => Some(other.clone()),
        }
    }

    /// The value of a function whose value is known: `Some(None)` for `AWS::NoValue`.
    fn function(&self, map: &Map<String, Value>, depth: usize) -> Option<Option<Value>> {
        let (name, argument) = map.iter().next().filter(|_| map.len() == 1)?;
        match name.as_str() {
            "Ref" if argument == "AWS::NoValue" => Some(None),
            "Ref" => {
                let name = argument.as_str()?;
                if let Some(assumed) = self.assumed.parameters.get(name) {
                    return Some(Some(assumed.clone()));
                }
                let default = self.document.get("Parameters")?.get(name)?.get("Default")?;
                if !self.take(size(default)) {
                    return Some(None);
                }
                Some(Some(default.clone()))
            }
            "Fn::If" => {
                let parts = argument.as_array()?;
                let [condition, yes, no] = parts.as_slice() else {
                    return None;
                };
                let holds = self.assumed_condition(condition.as_str()?, depth);
                Some(self.value(if holds { yes } else { no }, depth))
            }
            "Fn::FindInMap" => {
                let keys = argument.as_array()?.iter();
                let mut at = self.document.get("Mappings")?;
                for key in keys.take(3) {
                    let key = self.value(key, depth)?;
                    at = at.get(key.as_str()?)?;
                }
                if !self.take(size(at)) {
                    return Some(None);
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
            if !self.take(rest.len()) {
                return None;
            }
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

    fn all(document: &Value) -> Vec<Resources> {
        let readings = readings(document).unwrap();
        readings.resources().map(Result::unwrap).collect()
    }

    #[test]
    fn conditions_that_name_each_other_many_times_take_no_time() {
        let mut conditions = Map::new();
        for level in 0..30 {
            let next = json!({"Condition": format!("C{}", level + 1)});
            conditions.insert(format!("C{level}"), json!({"Fn::And": [next, next]}));
        }
        conditions.insert("C30".to_owned(), json!({"Fn::Equals": ["a", "b"]}));
        let document = json!({"Conditions": conditions, "Resources": {"A": {"Condition": "C0"}}});
        assert_eq!(all(&document)[0].len(), 0);
    }

    #[test]
    fn what_is_known_is_in_place() {
        let document = json!({
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
        });
        let readings = readings(&document).unwrap();
        assert_eq!(readings.conditions, ["Loop", "Unknown"]);
        assert_eq!(readings.combinations, readings.tried() as u64);
        let all = all(&document);
        let resources = &all[0];
        assert_eq!(all[1].keys().collect::<Vec<_>>(), ["B"]);
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
    #[test]
    fn a_small_template_stays_cheap() {
        let long = "x".repeat(100_000);
        let list: Vec<String> = vec!["y".to_owned(); 10_000];
        let reference = json!({"Ref": "Many"});
        let sub = json!({"Fn::Sub": "${Long}".repeat(100)});
        for property in [json!(vec![reference; 1000]), json!(vec![sub; 100])] {
            let document = json!({
                "Parameters": {"Long": {"Default": long}, "Many": {"Default": list}},
                "Resources": {"A": {"Properties": property}},
            });
            let error = readings(&document).err().unwrap();
            assert_eq!(error.code(), crate::error::Code::HandoffTooLarge);
        }
    }

    #[test]
    fn combinations_beyond_those_tried_are_counted() {
        let template = |conditions: usize, types: usize| {
            let names = 0..conditions;
            let unknown = |at: usize| json!({"Fn::Equals": [{"Ref": "Open"}, at.to_string()]});
            let conditions: Map<String, Value> = names
                .clone()
                .map(|at| (format!("C{at}"), unknown(at)))
                .collect();
            let properties: Map<String, Value> = names
                .map(|at| {
                    (
                        format!("p{at}"),
                        json!({"Fn::If": [format!("C{at}"), 1, 2]}),
                    )
                })
                .collect();
            let types: Vec<String> = (0..types).map(|at| format!("p{at}.large")).collect();
            json!({
                "Parameters": {"Open": {}, "Type": {"AllowedValues": types, "Default": "x"}},
                "Conditions": conditions, "Resources": {"A": properties},
            })
        };
        for (conditions, types, cut) in [
            (5, 0, false),
            (6, 0, true),
            (2, 7, false),
            (2, 8, true),
            (70, 1, true),
        ] {
            let template = template(conditions, types);
            let readings = readings(&template).unwrap();
            let tried = readings.tried();
            assert_eq!(
                readings.combinations > tried as u64,
                cut,
                "{conditions} {types}"
            );
            assert!(tried <= READINGS);
            let different: BTreeSet<String> = all(&template)
                .iter()
                .map(|r| json!(r).to_string())
                .collect();
            assert!(cut || different.len() == 1 << conditions);
        }
    }

    #[test]
    fn each_allowed_type_is_a_reading() {
        let document = json!({
            "Parameters": {"Type": {"AllowedValues": ["p5.48xlarge", "p5e.48xlarge", "x"]}},
            "Resources": {"A": {"Type": {"Ref": "Type"}}},
        });
        let all = all(&document);
        let types: BTreeSet<String> = all.iter().map(|r| r["A"]["Type"].to_string()).collect();
        assert!(types.contains("\"p5.48xlarge\"") && types.contains("\"p5e.48xlarge\""));
    }
}
