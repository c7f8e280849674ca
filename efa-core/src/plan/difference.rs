//! Where two plans differ, by the path of their JSON form.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One value that two plans do not have alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Difference {
    /// Where, such as `spec.count` or `layout.interfaces.0.interface_type`.
    pub path: String,
    /// The value in the one plan, as JSON; `None` where it has none.
    pub left: Option<String>,
    /// The value in the other.
    pub right: Option<String>,
}

/// Where two JSON forms differ, in order of the form.
pub(super) fn differences(left: &Value, right: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare("", Some(left), Some(right), &mut differences);
    differences
}

fn compare(path: &str, left: Option<&Value>, right: Option<&Value>, found: &mut Vec<Difference>) {
    if left == right {
        return;
    }
    let below = |key: &str| match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match (left, right) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let only_right = right.keys().filter(|key| !left.contains_key(*key));
            for key in left.keys().chain(only_right) {
                compare(&below(key), left.get(key), right.get(key), found);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => {
            for index in 0..left.len().max(right.len()) {
                let path = below(&index.to_string());
                compare(&path, left.get(index), right.get(index), found);
            }
        }
        _ => found.push(Difference {
            path: path.to_owned(),
            left: left.map(Value::to_string),
            right: right.map(Value::to_string),
        }),
    }
}
