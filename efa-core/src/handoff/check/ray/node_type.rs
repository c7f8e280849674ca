//! What one node type launches.

use serde_json::Value;

use super::findings::finding;
use super::parts::NodeType;
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::launch::{At, Launch, Said, Spelling, Types, Volume};
use crate::handoff::check::launch_template::unknown_parameters;
use crate::handoff::check::report::DocumentFormat;
use crate::handoff::check::rules;
use crate::handoff::document::{Document, Node, mapping, node, set, yaml_text};
use crate::handoff::ray::interfaces_yaml;
use crate::layout::Layout;
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
    if from_template(node_type) {
        found.out_of_sight("the launch templates that node types name: check them too");
        let path = node_type.at("LaunchTemplate");
        found.unread(
            "launch template",
            &node_type.path,
            &path,
            "check it on its own",
        );
    }
    rules::check_launch(&launch(node_type), document.catalog, found);
    match node_type.interfaces() {
        Some(list) => with_interfaces(node_type, list, found),
        None => without_interfaces(node_type, found),
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
}

fn from_template(node_type: &NodeType<'_>) -> bool {
    node_type.config.get("LaunchTemplate").is_some()
}

/// The launch of a node type.
fn launch<'a>(node_type: &'a NodeType<'a>) -> Launch<'a> {
    let at = At {
        base: format!("{}.node_config", node_type.path),
        spelling: Spelling::Ec2,
    };
    let mut launch = Launch::read(node_type.config, DocumentFormat::RayCluster, at);
    launch.whole = !from_template(node_type);
    launch.wants_efa = true;
    if node_type.interfaces().is_some() {
        launch.with_interfaces = ON_INTERFACES
            .into_iter()
            .filter(|key| node_type.config.get(*key).is_some())
            .collect();
    } else if node_type.is_head {
        // A head need not have EFA.
        launch.types = Types::default();
    }
    // Without a mapping the root volume is as the image has it. Stated once for a node type.
    let plain = |volume: &Volume| matches!(volume.encrypted, Said::Not | Said::Is(false));
    let is_plain = launch.volumes.is_empty() || launch.volumes.iter().any(plain);
    launch.volumes.clear();
    if is_plain && launch.whole {
        launch.volumes.push(Volume {
            path: node_type.at("BlockDeviceMappings"),
            encrypted: Said::Not,
        });
    }
    let specification = node_type.config.get("CapacityReservationSpecification");
    let placed = specification.is_some_and(|s| {
        // A targeted reservation is placed already; with `open` any that matches may be used, and
        // it need not be in the group.
        s.get("CapacityReservationTarget").is_some()
            || s.get("CapacityReservationPreference")
                .and_then(Value::as_str)
                == Some("open")
    });
    if placed && launch.placement == Said::Not {
        launch.placement = Said::Unknown;
    }
    // SubnetIds is Ray's own.
    launch.unknown_parameters = unknown_parameters(node_type.config, "SubnetIds");
    launch.corrected = Box::new(move |layout| corrected(layout, node_type));
    launch
}

fn with_interfaces(node_type: &NodeType<'_>, list: &[Value], found: &mut Findings) {
    let empty = |value: Option<&Value>| match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    let path = node_type.at("NetworkInterfaces");
    for (key, id) in [
        ("Groups", "ray.interface_without_group"),
        ("SubnetId", "ray.interface_without_subnet"),
    ] {
        if let Some(at) = list.iter().position(|i| empty(i.get(key))) {
            let message = format!("the interface has no {key}, and Ray refuses the file");
            let cure = "give Groups and SubnetId on every interface, EFA-only ones too";
            found.push(finding(id, format!("{path}.{at}.{key}"), message, cure));
        }
    }
}

fn without_interfaces(node_type: &NodeType<'_>, found: &mut Findings) {
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
