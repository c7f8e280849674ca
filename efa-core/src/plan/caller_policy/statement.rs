//! One statement of a policy.

use serde_json::{Value, json};

/// Lets these actions pass on what `resource` states, one ARN or a list of them.
pub(super) fn allow(
    sid: &str,
    actions: &[&str],
    resource: &Value,
    condition: Option<Value>,
) -> Value {
    let mut statement = json!({
        "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource,
    });
    if let Some(condition) = condition {
        statement["Condition"] = condition;
    }
    statement
}
