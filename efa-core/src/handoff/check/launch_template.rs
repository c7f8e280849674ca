//! The EFA part of a launch template or a RunInstances request.

use serde_json::Value;

use super::document::{Checked, Findings};
use super::interfaces::{self, InterfaceList};
use super::report::{DocumentFinding, Severity};
use crate::handoff::document::{Node, json_text, node, set};
use crate::handoff::interfaces::field;
use crate::layout::Layout;
use crate::plan::launch;

pub(super) fn check_launch_template(document: &Checked<'_>, found: &mut Findings) {
    match document.document.get("LaunchTemplateData") {
        Some(data) => check_data(document, data, &document.path("LaunchTemplateData"), found),
        None => check_data(document, document.document, &document.prefix, found),
    }
}

/// Checks launch data in EC2's spelling, whose groups are only named; `path` is where it stands.
pub(super) fn check_data(document: &Checked<'_>, data: &Value, path: &str, found: &mut Findings) {
    if check_interfaces(document, data, path, found) {
        found.out_of_sight(
            "whether the security groups have the all-protocol rules with themselves both ways: \
             Client.verify_instance reads them",
        );
    }
}

/// As `check_data`, without a word about the rules of groups; whether there are interfaces.
pub(super) fn check_interfaces(
    document: &Checked<'_>,
    data: &Value,
    path: &str,
    found: &mut Findings,
) -> bool {
    let at = |key: &str| join(path, key);
    let instance_type = field(data, "InstanceType").and_then(Value::as_str);
    let list = field(data, "NetworkInterfaces").and_then(Value::as_array);
    let (Some(instance_type), Some(list)) = (instance_type, list) else {
        check_without_interfaces(document, instance_type, path, found);
        return false;
    };
    let list = InterfaceList {
        instance_type,
        list,
        path: at("NetworkInterfaces"),
    };
    let first = list.list.first().cloned().unwrap_or_default();
    interfaces::check_interfaces(&list, document.catalog, found, |layout| {
        corrected(layout, &first)
    });
    for key in ["SecurityGroupIds", "SecurityGroups", "SubnetId"] {
        if field(data, key).is_some() {
            found.push(DocumentFinding::new(
                Severity::Error,
                "launch_template.beside_interfaces",
                at(key),
                format!("EC2 refuses {key} beside NetworkInterfaces"),
                "give Groups and SubnetId on each interface instead",
            ));
        }
    }
    true
}

fn check_without_interfaces(
    document: &Checked<'_>,
    instance_type: Option<&str>,
    path: &str,
    found: &mut Findings,
) {
    let Some(name) = instance_type else {
        found.out_of_sight(
            "the instance type, which the launcher chooses: the interfaces cannot be checked",
        );
        return;
    };
    let efa = document
        .catalog
        .get(name)
        .and_then(|t| interfaces::too_few(t, 0, path));
    if let Some(mut finding) = efa {
        finding.path = join(path, "NetworkInterfaces");
        found.push(finding);
    }
}

/// The layout's entries, with groups and subnet of an entry of the document.
pub(super) fn corrected(layout: &Layout, like: &Value) -> String {
    let own = |name: &str| field(like, name).map(node);
    let groups = own("Groups").and_then(|groups| match groups {
        Node::Sequence(groups) => groups.into_iter().next(),
        _ => None,
    });
    let subnet = own("SubnetId");
    let subnet_id = subnet.as_ref().map(|_| "subnet-…");
    let mut entries = node(&launch::interfaces(layout, "sg-…", subnet_id));
    if let Some(group) = groups {
        set(&mut entries, &["*", "Groups", "*"], &group);
    }
    if let Some(subnet) = subnet {
        set(&mut entries, &["*", "SubnetId"], &subnet);
    }
    json_text(&entries)
}

/// A path of two parts, of which the first may be empty or end in a dot.
fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path if path.ends_with('.') => format!("{path}{key}"),
        path => format!("{path}.{key}"),
    }
}
