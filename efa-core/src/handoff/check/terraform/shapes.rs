//! What has another shape in a configuration than its resources have there.

use serde_json::Value;

use super::resources::Resource;
use super::syntax::blocks;
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::shape::{self, Place, Shape};

/// What is read of each kind besides launch data.
const PLACES: &[(&str, &[Place])] = &[
    (
        "aws_autoscaling_group",
        &[
            ("launch_template", Shape::Mapping),
            ("mixed_instances_policy", Shape::Mapping),
            ("mixed_instances_policy/launch_template", Shape::Mapping),
            (
                "mixed_instances_policy/launch_template/override",
                Shape::Mappings,
            ),
            (
                "mixed_instances_policy/launch_template/override/*/instance_type",
                Shape::Name,
            ),
            ("vpc_zone_identifier", Shape::Names),
        ],
    ),
    (
        "aws_batch_compute_environment",
        &[
            ("compute_resources", Shape::Mapping),
            ("compute_resources/instance_type", Shape::Names),
            ("compute_resources/launch_template", Shape::Mapping),
            ("compute_resources/subnets", Shape::Names),
        ],
    ),
    (
        "aws_eks_node_group",
        &[
            ("instance_types", Shape::Names),
            ("launch_template", Shape::Mapping),
            ("subnet_ids", Shape::Names),
        ],
    ),
    (
        "aws_instance",
        &[
            ("launch_template", Shape::Mapping),
            ("network_interface", Shape::Mappings),
            ("primary_network_interface", Shape::Mappings),
        ],
    ),
    (
        "aws_network_interface",
        &[
            ("interface_type", Shape::Word),
            ("security_groups", Shape::Names),
        ],
    ),
    ("aws_placement_group", &[("strategy", Shape::Word)]),
    (
        "aws_security_group",
        &[
            ("egress", Shape::Mappings),
            ("egress/*/self", Shape::Flag),
            ("ingress", Shape::Mappings),
            ("ingress/*/cidr_blocks", Shape::Names),
            ("ingress/*/self", Shape::Flag),
        ],
    ),
    (
        "aws_security_group_rule",
        &[("self", Shape::Flag), ("type", Shape::Word)],
    ),
];

/// What is read of a node group of the module for EKS.
const NODE_GROUP: &[Place] = &[
    ("enable_efa_support", Shape::Flag),
    ("subnet_ids", Shape::Names),
];

pub(super) fn check_resource(resource: &Resource, found: &mut Findings) {
    if !resource.body.is_object() {
        found.nothing_to_check(&resource.kind, &resource.name, &resource.path);
    }
    let object = shape::Object {
        name: &resource.name,
        path: &resource.path,
        value: &resource.body,
        blocks: true,
    };
    for (_, places) in PLACES.iter().filter(|(kind, _)| *kind == resource.kind) {
        object.check_shapes(places, found);
    }
}

pub(super) fn check_node_group(group: &Value, path: &str, found: &mut Findings) {
    if !group.is_object() {
        found.nothing_to_check("node group", path, path);
    }
    let object = shape::Object {
        name: path,
        path,
        value: group,
        blocks: true,
    };
    object.check_shapes(NODE_GROUP, found);
}

/// Names the parts of a configuration, a plan or a state in which resources and modules would stand,
/// and that are none.
pub(super) fn check_document(document: &Checked<'_>, found: &mut Findings) {
    let part = |key: &str| document.document.get(key).filter(|part| !part.is_null());
    for (key, depth) in [("resource", 2), ("module", 1)] {
        if let Some(part) = part(key) {
            check_bodies(key, part, &document.path(key), depth, found);
        }
    }
    for key in ["planned_values", "values"] {
        let Some(values) = part(key) else { continue };
        let path = document.path(key);
        let object = shape::Object {
            name: key,
            path: &path,
            value: values,
            blocks: false,
        };
        object.check_shapes(VALUES, found);
        check_modules(
            values.get("root_module"),
            &format!("{path}.root_module"),
            found,
        );
    }
}

const VALUES: &[Place] = &[("root_module", Shape::Mapping)];

const MODULE: &[Place] = &[
    ("child_modules", Shape::Mappings),
    ("resources", Shape::Mappings),
];

fn check_modules(module: Option<&Value>, path: &str, found: &mut Findings) {
    let Some(module) = module else { return };
    let object = shape::Object {
        name: path,
        path,
        value: module,
        blocks: false,
    };
    object.check_shapes(MODULE, found);
    let children = module.get("child_modules").and_then(Value::as_array);
    for (number, child) in children.into_iter().flatten().enumerate() {
        check_modules(
            Some(child),
            &format!("{path}.child_modules.{number}"),
            found,
        );
    }
}

/// Names at each level are keys of mappings.
fn check_bodies(kind: &str, value: &Value, path: &str, depth: usize, found: &mut Findings) {
    for block in blocks(value) {
        let Some(map) = block.as_object() else {
            found.nothing_to_check(kind, path, path);
            continue;
        };
        let Some(deeper) = depth.checked_sub(1) else {
            continue;
        };
        for (name, value) in map.iter().filter(|(name, _)| *name != "//") {
            check_bodies(kind, value, &format!("{path}.{name}"), deeper, found);
        }
    }
}
