//! Values that stand elsewhere, or are to be put in.

use serde_json::Value;

/// Whether a value stands elsewhere: a function of CloudFormation, an expression of Terraform, a
/// variable of a shell, an action of a template.
pub(super) fn is_unknown(value: &Value) -> bool {
    match value {
        Value::String(text) => is_unknown_text(text),
        Value::Object(map) => map.keys().any(|key| {
            key == "Ref" || key == "Condition" || key.starts_with("Fn::") || key.starts_with('{')
        }),
        _ => false,
    }
}

pub(super) fn is_unknown_text(text: &str) -> bool {
    (text.contains("${") && text.replace("$${", "").contains("${"))
        || text.contains("{{")
        || text.starts_with('$')
        || (text.starts_with('<') && text.ends_with('>'))
}
