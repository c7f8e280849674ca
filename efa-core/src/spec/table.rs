//! A specification as a table for a notebook.

use serde_json::Value;

use super::{ClusterSpec, Selector};

impl ClusterSpec {
    /// Returns what is asked for, one row per setting that has a value, as the setting is written.
    #[must_use]
    pub fn to_html(&self) -> String {
        let Ok(Value::Object(settings)) = serde_json::to_value(self) else {
            return crate::html::preformatted(&self.name);
        };
        let rows: Vec<Vec<String>> = settings
            .into_iter()
            .filter_map(|(name, value)| {
                let text = self.written(&name).or_else(|| words(&value))?;
                Some(vec![name, text])
            })
            .collect();
        crate::html::table(&["ClusterSpec", ""], &rows, true)
    }

    /// A setting that a caller writes as a text.
    fn written(&self, setting: &str) -> Option<String> {
        let listed = |selectors: &[Selector]| {
            let texts: Vec<String> = selectors.iter().map(ToString::to_string).collect();
            (!texts.is_empty()).then(|| texts.join(", "))
        };
        match setting {
            "capacity" => Some(self.capacity.to_string()),
            "ena_security_groups" => listed(&self.ena_security_groups),
            "expires_after" => self
                .expires_after
                .map(|after| format!("{} s", after.as_secs())),
            "further_security_groups" => listed(&self.further_security_groups),
            "image" => Some(self.image.to_string()),
            "launch_template" => self.launch_template.as_ref().map(ToString::to_string),
            "subnets" => listed(&self.subnets),
            "user_data" => {
                let data = self.user_data.as_ref();
                data.map(|data| format!("{} characters", data.chars().count()))
            }
            "vpc" => self.vpc.as_ref().map(ToString::to_string),
            _ => None,
        }
    }
}

/// A value in words: of an object each entry that has a value, of a list each item.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(set) => Some(if *set { "yes" } else { "no" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().filter_map(words).collect();
            let separator = if items.iter().any(|item| item.contains(", ")) {
                "; "
            } else {
                ", "
            };
            (!items.is_empty()).then(|| items.join(separator))
        }
        Value::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .filter_map(|(name, value)| match (words(value)?, value) {
                    (text, Value::Object(_)) => Some(format!("{name} ({text})")),
                    (text, _) => Some(format!("{name} {text}")),
                })
                .collect();
            (!entries.is_empty()).then(|| entries.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::spec::{
        Bootstrap, Capacity, ClusterSpec, ImageChoice, SecurityGroupChoice, Selector,
    };

    #[test]
    fn settings_are_shown_as_they_are_written() {
        let mut spec =
            ClusterSpec::with_image("train", "p5.48xlarge", 2, ImageChoice::AmazonLinux2023);
        spec.subnets = ["subnet-0123456789abcdef0", "team=a<b"]
            .map(|text| Selector::subnet(text).unwrap())
            .into();
        spec.capacity = Capacity::Reservation("cr-0123456789abcdef0".into());
        spec.security_group =
            SecurityGroupChoice::Use(Selector::security_group("training").unwrap());
        spec.bootstrap = Some(Bootstrap::default());
        spec.expires_after = Some(Duration::from_secs(7200));
        spec.user_data = Some("#!/bin/sh\nsecret".to_owned());
        let html = spec.to_html();
        for cell in [
            "subnet-0123456789abcdef0, team=a&lt;b",
            "cr-0123456789abcdef0",
            "al2023",
            "use (name training)",
            "7200 s",
            "16 characters",
        ] {
            assert!(html.contains(&format!(">{cell}</td>")), "{cell}: {html}");
        }
        assert!(html.contains("installer (base_url "), "{html}");
        assert!(!html.contains(['{', '[']), "{html}");
        assert!(
            !html.contains("secret") && !html.contains(">vpc<"),
            "{html}"
        );
    }
}
