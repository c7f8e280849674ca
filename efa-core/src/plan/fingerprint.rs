//! What identifies the intent of a plan.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::layout::Layout;
use crate::spec::{CheckedSpec, ClusterSpec, ImageChoice};

/// The fields that `grow` and `shrink` change in a running cluster: not of its intent.
const SIZE: &[&str] = &["count", "minimum_count"];

/// Sixteen hexadecimal digits of the SHA-256 of the intent: the specification without the number
/// of instances, the region and the interfaces. A field at its default is left out, so that a
/// field that a later version adds changes no fingerprint.
pub(super) fn fingerprint(spec: &CheckedSpec, region: &str, layout: &Layout) -> String {
    let plain = json!(ClusterSpec::with_image(
        "",
        "",
        0,
        ImageChoice::Id(String::new())
    ));
    let mut said = json!(spec);
    if let Value::Object(fields) = &mut said {
        fields.retain(|key, value| !SIZE.contains(&key.as_str()) && plain.get(key) != Some(value));
    }
    // `Value` sorts its keys.
    let intent = json!({ "spec": said, "region": region, "interfaces": layout.interfaces });
    hex::encode(&Sha256::digest(intent.to_string().as_bytes())[..8])
}
