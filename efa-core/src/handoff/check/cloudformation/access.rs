//! Buckets and policies.

use serde_json::Value;

use super::findings::{BUCKET_PUBLIC, BUCKET_UNENCRYPTED, IAM_ACTION, finding};
use super::template::{Template, is_true};
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::report::Severity;

const BLOCKS: [&str; 4] = [
    "BlockPublicAcls",
    "BlockPublicPolicy",
    "IgnorePublicAcls",
    "RestrictPublicBuckets",
];

pub(super) fn check_access(document: &Checked<'_>, template: &Template, found: &mut Findings) {
    for bucket in template.of_kind("AWS::S3::Bucket") {
        let path = document.path(&format!("Resources.{}", bucket.name));
        if bucket.get("BucketEncryption").is_none() {
            found.push(finding(
                Severity::Warning,
                BUCKET_UNENCRYPTED,
                path.clone(),
                "the template does not set the bucket's encryption, S3's default decides",
                "add BucketEncryption",
            ));
        }
        let blocks = bucket.get("PublicAccessBlockConfiguration");
        let all = blocks.is_some_and(|blocks| BLOCKS.iter().all(|key| is_true(blocks.get(key))));
        if !all {
            found.push(finding(
                Severity::Warning,
                BUCKET_PUBLIC,
                path,
                "a policy could make the bucket public, and instances run what is in it",
                format!(
                    "set PublicAccessBlockConfiguration: {} to true",
                    BLOCKS.join(", ")
                ),
            ));
        }
    }
    for resource in template.all() {
        if resource.kind.starts_with("AWS::IAM::") {
            let path = resource.path(document, "");
            check_actions(resource.properties, &path, found);
        }
    }
}

/// Looks for `Action` and `NotAction` at any depth.
fn check_actions(value: &Value, path: &str, found: &mut Findings) {
    match value {
        Value::Array(list) => {
            for (number, entry) in list.iter().enumerate() {
                check_actions(entry, &format!("{path}.{number}"), found);
            }
        }
        Value::Object(map) => {
            for (key, entry) in map {
                let path = format!("{path}.{key}");
                if key == "Action" || key == "NotAction" {
                    check_action_list(entry, path, found);
                } else {
                    check_actions(entry, &path, found);
                }
            }
        }
        _ => {}
    }
}

/// One finding for a list, however many of its actions are wrong.
fn check_action_list(actions: &Value, path: String, found: &mut Findings) {
    let list = match actions {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let wrong: Vec<&str> = list
        .iter()
        .filter_map(Value::as_str)
        .filter(|action| action.contains(char::is_whitespace))
        .collect();
    if !wrong.is_empty() {
        found.push(finding(
            Severity::Error,
            IAM_ACTION,
            path,
            format!("no action has a space in it: {}", wrong.join(", ")),
            "write service:Action without spaces",
        ));
    }
}
