//! The EFA part of a Ray cluster YAML, as Ray's AWS launcher takes it
//! (ray/autoscaler/_private/aws in the version of
//! [`TESTED_RAY_VERSION`](crate::handoff::TESTED_RAY_VERSION)).

use serde_json::{Map, Value};

use super::{Checked, DocumentFinding, Findings, Severity};

mod commands;
mod keys;
mod node_type;

use Severity::{Error, Warning};

/// Every finding of this format, its severity, and what it is about. Findings of interfaces have
/// the ids of `interfaces.*` and `layout.*`.
const FINDINGS: &[(&str, Severity, &str)] = &[
    (
        "ray.beside_interfaces",
        Error,
        "groups or a subnet beside `NetworkInterfaces`: Ray refuses them",
    ),
    (
        "ray.docker_without_devices",
        Error,
        "a container without `--device=/dev/infiniband` sees no EFA",
    ),
    (
        "ray.external_ips",
        Error,
        "`use_internal_ips` is not true, and the instances get no public address",
    ),
    (
        "ray.head_node_type",
        Error,
        "`head_node_type` is missing or names no node type",
    ),
    (
        "ray.installer_url",
        Error,
        "the installer's URL names no file",
    ),
    (
        "ray.interface_without_group",
        Error,
        "an interface without `Groups`: Ray refuses it",
    ),
    (
        "ray.interface_without_subnet",
        Error,
        "an interface without `SubnetId`: Ray refuses it",
    ),
    (
        "ray.key_name_missing",
        Error,
        "`ssh_private_key` without `KeyName`: Ray refuses it",
    ),
    (
        "ray.min_workers_over_max",
        Error,
        "the sum of `min_workers` is over `max_workers`: Ray refuses it",
    ),
    (
        "ray.unknown_key",
        Error,
        "a key that Ray's schema does not have",
    ),
    (
        "ray.unknown_parameter",
        Error,
        "a key of `node_config` that RunInstances does not have",
    ),
    (
        "ray.imds_v1",
        Warning,
        "the metadata service answers without a token",
    ),
    (
        "ray.no_efa_installer",
        Warning,
        "nothing installs EFA: it must be in the image",
    ),
    (
        "ray.no_placement_group",
        Warning,
        "no placement group, and no capacity that is placed already",
    ),
    (
        "ray.resources_missing",
        Warning,
        "`resources` missing: Ray looks them up, and fails where it cannot",
    ),
    (
        "ray.several_zones",
        Warning,
        "several zones: EFA traffic crosses none",
    ),
    (
        "ray.subnet_id_ignored",
        Warning,
        "`SubnetId` without interfaces: Ray takes another subnet (ray#14551)",
    ),
    (
        "ray.subnets_differ",
        Warning,
        "interfaces of a node type in several subnets",
    ),
    (
        "ray.unverified_download",
        Warning,
        "the EFA installer runs as root without a look at its signature",
    ),
    (
        "ray.volume_not_encrypted",
        Warning,
        "a root volume that is not encrypted",
    ),
];

/// A finding of the list.
fn finding(id: &str, path: String, message: impl Into<String>, cure: &str) -> DocumentFinding {
    let listed = FINDINGS.iter().find(|(listed, ..)| *listed == id);
    debug_assert!(listed.is_some(), "{id} is not listed");
    let severity = listed.map_or(Error, |(_, severity, _)| *severity);
    DocumentFinding::new(severity, id, path, message, cure)
}

/// One of `available_node_types`.
struct NodeType<'a> {
    value: &'a Value,
    config: &'a Value,
    /// Where it stands.
    path: String,
    is_head: bool,
}

impl<'a> NodeType<'a> {
    fn at(&self, key: &str) -> String {
        format!("{}.node_config.{key}", self.path)
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.config.get(key).and_then(Value::as_str)
    }

    /// Its interfaces, where it has a list of them.
    fn interfaces(&self) -> Option<&'a [Value]> {
        let list = self.config.get("NetworkInterfaces")?.as_array()?;
        Some(list.as_slice())
    }

    fn has_efa(&self) -> bool {
        let efa = |interface: &Value| {
            let kind = interface.get("InterfaceType").and_then(Value::as_str);
            kind.is_some_and(|kind| kind.starts_with("efa"))
        };
        self.interfaces().is_some_and(|list| list.iter().any(efa))
    }
}

pub(super) fn check(document: &Checked<'_>, found: &mut Findings) {
    let cluster = document.document;
    let provider = cluster.get("provider");
    let cloud = provider.and_then(|p| p.get("type")).and_then(Value::as_str);
    if let Some(cloud) = cloud.filter(|cloud| *cloud != "aws") {
        found.out_of_sight(&format!("everything: provider {cloud} is not aws"));
        return;
    }
    let Some(types) = cluster
        .get("available_node_types")
        .and_then(Value::as_object)
    else {
        found.out_of_sight(
            "the nodes: there is no available_node_types, and the older head_node and \
             worker_nodes are not read here",
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
    keys::check(document, &types, found);
    check_cluster(document, head, &types, found);
    for node_type in &types {
        node_type::check(document, node_type, found);
    }
    for node_type in types.iter().filter(|node_type| node_type.has_efa()) {
        commands::check(document, node_type, found);
    }
    found.out_of_sight(
        "whether the security groups have the all-protocol rules with themselves both ways, and \
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
        found.out_of_sight("what a whole cluster YAML says beside the node types: this is a part");
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

/// The entries of a mapping; none where it is something else.
fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

#[cfg(test)]
mod tests;
