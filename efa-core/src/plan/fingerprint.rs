//! What identifies the intent of a plan.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::layout::Layout;
use crate::spec::CheckedSpec;

/// Sixteen hexadecimal digits of the SHA-256 of the intent.
pub(super) fn fingerprint(spec: &CheckedSpec, region: &str, layout: &Layout) -> String {
    // `Value` sorts its keys.
    let intent = json!({ "spec": spec, "region": region, "interfaces": layout.interfaces });
    hex::encode(&Sha256::digest(intent.to_string().as_bytes())[..8])
}
