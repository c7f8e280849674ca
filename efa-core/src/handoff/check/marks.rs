//! Marks of EFA and of network interfaces in what is otherwise not read.

use serde_json::Value;

/// How deep is looked.
const DEPTH: usize = 64;

/// Whether a value has, at any depth, a key or a text that is about EFA or interfaces.
pub(super) fn has_marks(value: &Value) -> bool {
    marks(value, DEPTH)
}

fn marks(value: &Value, depth: usize) -> bool {
    let Some(deeper) = depth.checked_sub(1) else {
        return true;
    };
    match value {
        Value::String(text) => is_mark(text),
        Value::Array(list) => list.iter().any(|entry| marks(entry, deeper)),
        Value::Object(map) => map
            .iter()
            .any(|(key, entry)| is_mark(key) || marks(entry, deeper)),
        _ => false,
    }
}

/// The name of EFA's resource, or of a field that is about interfaces.
fn is_mark(text: &str) -> bool {
    const FIELDS: &[&str] = &[
        "networkinterface",
        "network_interface",
        "interfacetype",
        "interface_type",
        "vpc.amazonaws.com",
        "efaenabled",
        "enable_efa",
    ];
    let lower = text.to_ascii_lowercase();
    FIELDS.iter().any(|field| lower.contains(field))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_found_at_any_depth() {
        for marked in [
            json!({"a": [{"efaEnabled": true}]}),
            json!({"limits": {"vpc.amazonaws.com/efa": 1}}),
            json!({"networkInterfaceType": "x"}),
        ] {
            assert!(has_marks(&marked), "{marked}");
        }
        for plain in [json!({"default": "default"}), json!(["reefabc", 1, null])] {
            assert!(!has_marks(&plain), "{plain}");
        }
    }
}
