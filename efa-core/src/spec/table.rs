//! A specification as a table for a notebook.

use serde_json::Value;

use super::ClusterSpec;

impl ClusterSpec {
    /// What is asked for, one row per setting that is not left at its default.
    #[must_use]
    pub fn to_html(&self) -> String {
        let Ok(Value::Object(settings)) = serde_json::to_value(self) else {
            return crate::html::preformatted(&self.name);
        };
        let rows: Vec<Vec<String>> = settings
            .into_iter()
            .filter(|(_, value)| !value.is_null() && *value != Value::Array(Vec::new()))
            .map(|(name, value)| match value {
                Value::String(text) => vec![name, text],
                other => vec![name, other.to_string()],
            })
            .collect();
        crate::html::table(&["ClusterSpec", ""], &rows, true)
    }
}
