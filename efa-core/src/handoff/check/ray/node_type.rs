//! What one node type launches.

use std::collections::BTreeSet;

use serde_json::Value;

use super::findings::finding;
use super::parts::NodeType;
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::interfaces::{self, InterfaceList};
use crate::handoff::document::{Document, Node, mapping, node, set, yaml_text};
use crate::handoff::ray::interfaces_yaml;
use crate::layout::{self, Layout};
use crate::plan::launch;

/// What Ray and EC2 take on interfaces only, once there are some.
const ON_INTERFACES: [&str; 4] = [
    "SecurityGroupIds",
    "SecurityGroups",
    "SubnetId",
    "SubnetIds",
];

pub(super) fn check_node_type(
    document: &Checked<'_>,
    node_type: &NodeType<'_>,
    found: &mut Findings,
) {
    if node_type.config.get("LaunchTemplate").is_some() {
        found.out_of_sight("what launch templates say that node types name: check them too");
    }
    match node_type.interfaces() {
        Some(list) => with_interfaces(document, node_type, list, found),
        None => without_interfaces(document, node_type, found),
    }
    if node_type.value.get("resources").is_none() {
        found.push(finding(
            "ray.resources_missing",
            format!("{}.resources", node_type.path),
            "resources are missing: Ray asks EC2 for them, fails where it cannot, and no task can \
             ask for EFA",
            "give CPU, GPU and a resource of your own such as efa, the number of EFA interfaces",
        ));
    }
    check_key(document, node_type, found);
    check_volume(node_type, found);
    let metadata = node_type.config.get("MetadataOptions");
    let tokens = metadata.and_then(|options| options.get("HttpTokens"));
    if tokens.and_then(Value::as_str) != Some("required") && !from_template(node_type) {
        let cure = "set HttpTokens: required";
        let corrected = "MetadataOptions:\n  HttpTokens: required\n";
        let path = node_type.at("MetadataOptions");
        let message = "IMDSv1: the metadata service answers without a token";
        found.push(finding("ray.imds_v1", path, message, cure).corrected(corrected));
    }
}

fn from_template(node_type: &NodeType<'_>) -> bool {
    node_type.config.get("LaunchTemplate").is_some()
}

fn with_interfaces(
    document: &Checked<'_>,
    node_type: &NodeType<'_>,
    list: &[Value],
    found: &mut Findings,
) {
    let instance_type = node_type.text("InstanceType").unwrap_or_default();
    let path = node_type.at("NetworkInterfaces");
    let fragment = |layout: &Layout| corrected(layout, node_type);
    let in_path = path.clone();
    let to_check = InterfaceList {
        instance_type,
        list,
        path: in_path,
    };
    if instance_type.is_empty() {
        found.out_of_sight("whether interfaces fit node types without an InstanceType");
    } else {
        interfaces::check_interfaces(&to_check, document.catalog, found, fragment);
    }
    let planned = document.catalog.get(instance_type);
    let planned = planned.and_then(|t| t.layout(&layout::Request::default()).ok());
    let mut push = |id: &str, path: String, message: String, cure: &str| {
        let mut finding = finding(id, path, message, cure);
        finding.corrected = planned.as_ref().map(fragment);
        found.push(finding);
    };
    for key in ON_INTERFACES {
        if node_type.config.get(key).is_some() {
            let message = format!("Ray and EC2 refuse {key} beside NetworkInterfaces");
            let cure = "give Groups and SubnetId on each interface instead";
            push("ray.beside_interfaces", node_type.at(key), message, cure);
        }
    }
    let empty = |value: Option<&Value>| match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    for (key, id) in [
        ("Groups", "ray.interface_without_group"),
        ("SubnetId", "ray.interface_without_subnet"),
    ] {
        if let Some(at) = list.iter().position(|i| empty(i.get(key))) {
            let message = format!("the interface has no {key}, and Ray refuses the file");
            let cure = "give Groups and SubnetId on every interface, EFA-only ones too";
            push(id, format!("{path}.{at}.{key}"), message, cure);
        }
    }
    let subnet = |i: &Value| i.get("SubnetId").and_then(Value::as_str).map(str::to_owned);
    let subnets: BTreeSet<String> = list.iter().filter_map(subnet).collect();
    let subnets = Vec::from_iter(subnets);
    if subnets.len() > 1 {
        let message = format!("interfaces are in {}", subnets.join(" and "));
        let cure = "put all interfaces in one subnet: EFA traffic leaves neither subnet nor zone \
                    by default";
        push("ray.subnets_differ", path.clone(), message, cure);
    }
    if node_type.has_efa() {
        check_placement(node_type, found);
    }
}

fn without_interfaces(document: &Checked<'_>, node_type: &NodeType<'_>, found: &mut Findings) {
    if from_template(node_type) {
        return;
    }
    if let Some(subnet) = node_type.text("SubnetId") {
        let fixed = mapping! { "SubnetIds" => vec![Node::from(subnet)] };
        let path = node_type.at("SubnetId");
        let message = format!(
            "Ray ignores SubnetId and launches in any subnet of the VPC, maybe not in {subnet} \
             (ray-project/ray#14551)"
        );
        let cure = "write SubnetIds, a list";
        let fixed = yaml_text(&[], &[Document::new(fixed)]);
        found.push(finding("ray.subnet_id_ignored", path, message, cure).corrected(fixed));
    }
    // A head need not have EFA.
    let name = node_type
        .text("InstanceType")
        .filter(|_| !node_type.is_head);
    let Some(instance_type) = name.and_then(|name| document.catalog.get(name)) else {
        return;
    };
    let path = node_type.at("NetworkInterfaces");
    if let Some(mut finding) = interfaces::too_few(instance_type, 0, &path) {
        let layout = instance_type.layout(&layout::Request::default()).ok();
        finding.corrected = layout.map(|layout| corrected(&layout, node_type));
        found.push(finding);
    }
}

fn check_placement(node_type: &NodeType<'_>, found: &mut Findings) {
    let config = node_type.config;
    let grouped = |key: &str| {
        config
            .get("Placement")
            .is_some_and(|p| p.get(key).is_some())
    };
    let reservation = config.get("CapacityReservationSpecification");
    let target = reservation.and_then(|spec| spec.get("CapacityReservationTarget"));
    let placed = grouped("GroupName") || grouped("GroupId") || target.is_some();
    if !placed && !from_template(node_type) {
        found.push(finding(
            "ray.no_placement_group",
            node_type.at("Placement"),
            "no placement group: EC2 may put the workers far apart",
            "make a cluster placement group, and name it in Placement.GroupName",
        ));
    }
}

fn check_key(document: &Checked<'_>, node_type: &NodeType<'_>, found: &mut Findings) {
    let auth = document.document.get("auth");
    let private_key = auth.and_then(|auth| auth.get("ssh_private_key"));
    let has = |key: &str| node_type.config.get(key).is_some();
    if private_key.is_some() && !has("KeyName") && !has("UserData") && !from_template(node_type) {
        found.push(finding(
            "ray.key_name_missing",
            node_type.at("KeyName"),
            "auth.ssh_private_key is given, and no KeyName: Ray refuses the file",
            "give KeyName in every node_config, or leave both out: Ray then makes a key pair",
        ));
    }
}

fn check_volume(node_type: &NodeType<'_>, found: &mut Findings) {
    let mappings = node_type
        .config
        .get("BlockDeviceMappings")
        .and_then(Value::as_array);
    let encrypted = |mapping: &Value| {
        let ebs = mapping.get("Ebs");
        // Without Ebs it is an instance store, or suppresses one.
        ebs.is_none_or(|ebs| ebs.get("Encrypted") == Some(&Value::Bool(true)))
    };
    let mappings = mappings.map(Vec::as_slice).unwrap_or_default();
    if (mappings.is_empty() || !mappings.iter().all(encrypted)) && !from_template(node_type) {
        found.push(finding(
            "ray.volume_not_encrypted",
            node_type.at("BlockDeviceMappings"),
            "the root volume is encrypted only where the account encrypts by default",
            "give the root device with Encrypted: true in Ebs",
        ));
    }
}

/// The layout's entries, with groups and subnet as the node type has them somewhere.
fn corrected(layout: &Layout, node_type: &NodeType<'_>) -> String {
    let first = |key: &str| {
        let mut list = node_type.interfaces().unwrap_or_default().iter();
        list.find_map(|interface| interface.get(key))
    };
    let own = |key: &str| node_type.config.get(key);
    let subnets = own("SubnetIds").and_then(|ids| ids.get(0));
    let subnet = first("SubnetId").or_else(|| own("SubnetId")).or(subnets);
    let groups = first("Groups").or_else(|| own("SecurityGroupIds"));
    let mut entries = node(&launch::interfaces(layout, "sg-…", Some("subnet-…")));
    if let Some(subnet) = subnet {
        set(&mut entries, &["*", "SubnetId"], &node(subnet));
    }
    let groups = groups.filter(|groups| groups.as_array().is_some_and(|all| !all.is_empty()));
    if let Some(groups) = groups {
        set(&mut entries, &["*", "Groups"], &node(groups));
    }
    interfaces_yaml(entries)
}
