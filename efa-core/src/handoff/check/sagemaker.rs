//! The EFA part of a SageMaker request: the clusters of HyperPod.
//!
//! SageMaker makes the interfaces itself: they are named as unread. What the request states of types
//! and subnets is read (CreateCluster in SageMaker's API reference).

use serde_json::{Value, json};

use super::document::{Checked, Findings};
use super::interfaces::unknown_type;
use super::launch::{At, Launch, Places, Said, Spelling, Types};
use super::names;
use super::report::DocumentFormat;
use super::rules;
use super::shape::{self, Place, Shape};
use crate::catalog::Lookup;

/// Whether a document is a request to make a cluster, or one of its instance groups.
pub(super) fn is_cluster(document: &Value) -> bool {
    document.get("InstanceGroupName").is_some()
        || document
            .get("InstanceGroups")
            .and_then(Value::as_array)
            .is_some_and(|groups| groups.iter().any(|g| g.get("InstanceGroupName").is_some()))
}

/// What is read of a request besides the types.
const PLACES: &[Place] = &[
    ("InstanceGroups", Shape::Mappings),
    ("InstanceGroups/*/InstanceGroupName", Shape::Name),
    ("InstanceGroups/*/InstanceRequirements", Shape::Mapping),
    ("InstanceGroups/*/OverrideVpcConfig", Shape::Mapping),
    ("InstanceGroups/*/OverrideVpcConfig/Subnets", Shape::Names),
    ("InstanceRequirements", Shape::Mapping),
    ("OverrideVpcConfig", Shape::Mapping),
    ("OverrideVpcConfig/Subnets", Shape::Names),
    ("VpcConfig", Shape::Mapping),
    ("VpcConfig/Subnets", Shape::Names),
];

pub(super) fn check_cluster(document: &Checked<'_>, found: &mut Findings) {
    let value = document.document;
    let object = shape::Object {
        name: "cluster",
        path: document.prefix.trim_end_matches('.'),
        value,
        blocks: false,
    };
    object.check_shapes(PLACES, found);
    match value.get("InstanceGroups").and_then(Value::as_array) {
        Some(groups) => {
            let named = groups.iter().enumerate().filter_map(|(at, group)| {
                Some(names::Object {
                    kind: "instance group".to_owned(),
                    name: group.get("InstanceGroupName")?.as_str()?,
                    path: document.path(&format!("InstanceGroups.{at}.InstanceGroupName")),
                    value: group,
                })
            });
            names::check_names(DocumentFormat::SageMaker, named, found);
            for (at, group) in groups.iter().enumerate() {
                let path = document.path(&format!("InstanceGroups.{at}"));
                check_group(document, group, &path, found);
            }
        }
        None => check_group(
            document,
            value,
            document.prefix.trim_end_matches('.'),
            found,
        ),
    }
}

fn check_group(document: &Checked<'_>, group: &Value, path: &str, found: &mut Findings) {
    let mut types = Types::default();
    if let Some(one) = group.get("InstanceType") {
        types.add(one);
    }
    if let Some(several) = group.pointer("/InstanceRequirements/InstanceTypes") {
        types.add(several);
    }
    let mut efa = types.open || types.names.is_empty();
    for name in &types.names {
        match document.catalog.look_up(name) {
            Lookup::Efa(_) => efa = true,
            Lookup::NoEfa => {}
            unknown => unknown_type(name, unknown, document.catalog, path, found),
        }
    }
    // A group without EFA, such as the controller's, is left alone.
    if !efa {
        return;
    }
    let name = group.get("InstanceGroupName").and_then(Value::as_str);
    let reason = "SageMaker makes the interfaces itself: run python -m efa_sdk.doctor on the nodes";
    found.unread("interfaces", name.unwrap_or(path), path, reason);
    found.out_of_sight(
        "whether the security groups have self-referencing ingress and egress rules for all \
         protocols: read them with aws ec2 describe-security-groups",
    );
    let nothing = json!({});
    let at = At {
        base: path.to_owned(),
        spelling: Spelling::Ec2,
    };
    let mut launch = Launch::read(&nothing, DocumentFormat::SageMaker, at);
    launch.wants_efa = true;
    // SageMaker's own instances: their metadata service and volumes are not the request's.
    launch.tokens_required = Said::Unknown;
    let own = group.pointer("/OverrideVpcConfig/Subnets");
    let subnets = own.or_else(|| document.document.pointer("/VpcConfig/Subnets"));
    let count = subnets.and_then(Value::as_array).map_or(0, Vec::len);
    if count > 1 {
        let at = match own {
            Some(_) => format!("{path}.OverrideVpcConfig.Subnets"),
            None => document.path("VpcConfig.Subnets"),
        };
        launch.places.push(Places {
            path: at,
            what: format!("instances in {count} subnets"),
        });
    }
    rules::check_launch(&launch, document.catalog, found);
}
