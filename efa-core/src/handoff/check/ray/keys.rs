//! Keys that Ray or EC2 do not know, which are often misspelt or one level too high or low.

use serde_json::Value;

use super::findings::finding;
use super::parts::{NodeType, entries};
use crate::handoff::check::document::{Checked, Findings};

/// Keys at the top level of ray-schema.json.
pub(super) const TOP_LEVEL: &[&str] = &[
    "auth",
    "available_node_types",
    "cluster_name",
    "cluster_synced_files",
    "docker",
    "file_mounts",
    "file_mounts_sync_continuously",
    "head_node_type",
    "head_setup_commands",
    "head_start_ray_commands",
    "idle_timeout_minutes",
    "initialization_commands",
    "max_workers",
    "metadata",
    "no_restart",
    "provider",
    "rsync_exclude",
    "rsync_filter",
    "setup_commands",
    "upscaling_speed",
    "worker_setup_commands",
    "worker_start_ray_commands",
];

/// Keys of a node type in ray-schema.json.
pub(super) const NODE_TYPE: &[&str] = &[
    "docker",
    "idle_timeout_s",
    "initialization_commands",
    "labels",
    "max_workers",
    "min_workers",
    "node_config",
    "priority",
    "resources",
    "worker_setup_commands",
];

pub(super) fn check_keys(document: &Checked<'_>, types: &[NodeType<'_>], found: &mut Findings) {
    let mut unknown = |value: &Value, known: &[&str], at: &dyn Fn(&str) -> String| {
        for (key, _) in entries(value) {
            if !known.contains(&key.as_str()) {
                found.push(finding(
                    "ray.unknown_key",
                    at(key),
                    format!("Ray's schema has no {key} here, and Ray refuses the file"),
                    "take it out, or put it where Ray has it",
                ));
            }
        }
    };
    unknown(document.document, TOP_LEVEL, &|key| document.path(key));
    for node_type in types {
        let inside = |key: &str| format!("{}.{key}", node_type.path);
        unknown(node_type.value, NODE_TYPE, &inside);
    }
}
