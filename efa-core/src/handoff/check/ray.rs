//! The EFA part of a Ray cluster YAML, as Ray's AWS launcher takes it
//! (ray/autoscaler/_private/aws in the version of
//! [`TESTED_RAY_VERSION`](crate::handoff::TESTED_RAY_VERSION)).

use serde_json::Value;

use super::document::{Checked, Findings};
use super::shape::{self, Place, Shape};

mod commands;
mod findings;
mod keys;
mod node_type;
mod parts;

use findings::finding;
use parts::NodeType;

/// What is read of a cluster YAML.
const PLACES: &[Place] = &[
    ("auth", Shape::Mapping),
    ("available_node_types/*", Shape::Mapping),
    ("available_node_types/*/docker", Shape::Mapping),
    (
        "available_node_types/*/initialization_commands",
        Shape::Names,
    ),
    ("available_node_types/*/min_workers", Shape::Count),
    ("available_node_types/*/node_config", Shape::Mapping),
    ("available_node_types/*/worker_setup_commands", Shape::Names),
    ("docker", Shape::Mapping),
    ("head_node_type", Shape::Name),
    ("head_setup_commands", Shape::Names),
    ("initialization_commands", Shape::Names),
    ("max_workers", Shape::Count),
    ("provider", Shape::Mapping),
    ("provider/availability_zone", Shape::Word),
    ("provider/type", Shape::Word),
    ("provider/use_internal_ips", Shape::Flag),
    ("setup_commands", Shape::Names),
    ("worker_setup_commands", Shape::Names),
];

pub(super) fn check_cluster_yaml(document: &Checked<'_>, found: &mut Findings) {
    let cluster = document.document;
    let name = cluster.get("cluster_name").and_then(Value::as_str);
    let object = shape::Object {
        name: name.unwrap_or("without a name"),
        path: document.prefix.trim_end_matches('.'),
        value: cluster,
        blocks: false,
    };
    object.check_shapes(PLACES, found);
    let provider = cluster.get("provider");
    let cloud = provider.and_then(|p| p.get("type")).and_then(Value::as_str);
    if let Some(cloud) = cloud.filter(|cloud| *cloud != "aws") {
        let reason = format!("provider {cloud} is not aws");
        found.out_of_sight(&format!("everything: {reason}"));
        let path = document.path("provider.type");
        found.unread("Ray cluster", object.name, &path, &reason);
        return;
    }
    let Some(types) = cluster
        .get("available_node_types")
        .and_then(Value::as_object)
    else {
        let reason = "there is no available_node_types, and the older head_node and worker_nodes \
                      are not read here";
        found.out_of_sight(&format!("the nodes: {reason}"));
        found.unread(
            "Ray nodes",
            "head_node",
            &document.path("head_node"),
            reason,
        );
        return;
    };
    let head = cluster.get("head_node_type").and_then(Value::as_str);
    let types: Vec<NodeType<'_>> = types
        .iter()
        .map(|(name, value)| NodeType {
            value,
            config: value.get("node_config").unwrap_or(&Value::Null),
            path: document.path(&format!("available_node_types.{name}")),
            is_head: head == Some(name),
        })
        .collect();
    keys::check_keys(document, &types, found);
    check_cluster(document, head, &types, found);
    for node_type in &types {
        node_type::check_node_type(document, node_type, found);
    }
    let everyone = commands::Everyone::read(document);
    for node_type in types.iter().filter(|node_type| node_type.has_efa()) {
        commands::check_commands(document, &everyone, node_type, found);
    }
    found.out_of_sight(
        "whether the security groups have self-referencing ingress and egress rules for all \
         protocols, and \
         let the head reach the workers by SSH and Ray's ports: Client.verify_instance reads the \
         former",
    );
    found.out_of_sight(
        "whether subnets, groups, images, keys and profiles exist, and in which zone and VPC: Ray \
         looks when it starts",
    );
}

/// What concerns the whole cluster.
fn check_cluster(
    document: &Checked<'_>,
    head: Option<&str>,
    types: &[NodeType<'_>],
    found: &mut Findings,
) {
    let cluster = document.document;
    let Some(provider) = cluster.get("provider") else {
        found.out_of_sight("what a whole cluster YAML sets besides the node types: this is a part");
        return;
    };
    if !types.iter().any(|node_type| node_type.is_head) {
        let message = match head {
            Some(name) => format!("no node type is called {name}"),
            None => "head_node_type is missing".to_owned(),
        };
        let path = document.path("head_node_type");
        let cure = "name one of available_node_types";
        found.push(finding("ray.head_node_type", path, message, cure));
    }
    check_worker_counts(document, types, found);
    let zones = provider.get("availability_zone").and_then(Value::as_str);
    if let Some(zones) = zones.filter(|zones| zones.contains(','))
        && types.iter().any(NodeType::has_efa)
    {
        found.push(finding(
            "ray.several_zones",
            document.path("provider.availability_zone"),
            format!("{zones} are several zones, and EFA traffic crosses none"),
            "name the zone of the workers' subnet",
        ));
    }
    if provider.get("use_internal_ips").and_then(Value::as_bool) == Some(true) {
        return;
    }
    let private = |node_type: &&NodeType<'_>| {
        let list = node_type.interfaces().unwrap_or_default();
        let refused = |i: &Value| i.get("AssociatePublicIpAddress") == Some(&Value::Bool(false));
        list.len() > 1 || list.first().is_some_and(refused)
    };
    if let Some(node_type) = types.iter().find(private) {
        let path = document.path("provider.use_internal_ips");
        let message = format!(
            "Ray waits for public addresses, which instances of {} do not get",
            node_type.path
        );
        let cure = "set use_internal_ips: true, and run ray up from within the VPC";
        let corrected = "use_internal_ips: true\n";
        found.push(finding("ray.external_ips", path, message, cure).corrected(corrected));
    }
}

fn check_worker_counts(document: &Checked<'_>, types: &[NodeType<'_>], found: &mut Findings) {
    let count = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64);
    let least = types.iter().filter_map(|t| count(t.value, "min_workers"));
    let least: u64 = least.fold(0, u64::saturating_add);
    // Ray's defaults.yaml.
    let most = count(document.document, "max_workers").unwrap_or(2);
    if least > most {
        found.push(finding(
            "ray.min_workers_over_max",
            document.path("max_workers"),
            format!("the node types' min_workers are {least}, max_workers is {most}"),
            "raise max_workers to their sum or more",
        ));
    }
}

#[cfg(test)]
mod tests;
