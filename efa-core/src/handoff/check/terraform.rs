//! The EFA part of a Terraform configuration in JSON: its own JSON syntax, what `hcl2json` makes of
//! HCL, and `terraform show -json` of a plan or a state.

use serde_json::{Map, Value};

use super::document::{Checked, Findings};
use super::launch::{At, Launch, Places, Said, Spelling, Types, block};
use super::names;
use super::report::{DocumentFinding, DocumentFormat, Severity};
use super::rules;
use crate::error::Result;
use crate::handoff::document::json_text;
use crate::layout::Layout;

mod expression;
mod groups;
mod modules;
mod resources;
mod shapes;
mod syntax;

use expression::Scope;
use resources::{Resource, Resources};
use syntax::blocks;

/// Kinds of resources that have no part in a launch or in EFA, by the start of their names.
const WITHOUT_LAUNCHES: &[&str] = &[
    "aws_availability_zone",
    "aws_cloudwatch_",
    "aws_default_",
    "aws_dynamodb_",
    "aws_ecr_",
    "aws_efs_",
    "aws_egress_only_internet_gateway",
    "aws_eip",
    "aws_eks_access_",
    "aws_eks_addon",
    "aws_eks_cluster",
    "aws_eks_pod_identity_association",
    "aws_flow_log",
    "aws_fsx_",
    "aws_iam_",
    "aws_internet_gateway",
    "aws_key_pair",
    "aws_kms_",
    "aws_main_route_table",
    "aws_nat_gateway",
    "aws_network_acl",
    "aws_route",
    "aws_s3_",
    "aws_secretsmanager_",
    "aws_ssm_parameter",
    "aws_subnet",
    "aws_vpc",
    "local_",
    "null_resource",
    "random_",
    "time_",
    "tls_",
];

/// Kinds that the checks here look at.
const READ: &[&str] = &[
    "aws_autoscaling_group",
    "aws_batch_compute_environment",
    "aws_eks_node_group",
    "aws_instance",
    "aws_launch_template",
    "aws_network_interface",
    "aws_placement_group",
    "aws_security_group",
    "aws_security_group_rule",
    "aws_vpc_security_group_egress_rule",
    "aws_vpc_security_group_ingress_rule",
];

/// Arguments of `aws_launch_template` besides those of launch data
/// (hashicorp/terraform-provider-aws, `internal/service/ec2/ec2_launch_template.go`).
const ARGUMENTS: &[&str] = &[
    "arn",
    "count",
    "default_version",
    "depends_on",
    "description",
    "dynamic",
    "elastic_inference_accelerator",
    "for_each",
    "id",
    "latest_version",
    "license_specification",
    "lifecycle",
    "name",
    "name_prefix",
    "provider",
    "ram_disk_id",
    "region",
    "security_group_names",
    "tags",
    "tags_all",
    "update_default_version",
    "vpc_security_group_ids",
];

/// Whether a document is a configuration, a plan or a state in JSON.
pub(super) fn is_terraform(document: &Value) -> bool {
    let has = |key: &str| document.get(key).is_some_and(|value| !value.is_string());
    has("resource")
        || has("module")
        || has("planned_values")
        || (has("values") && document.get("terraform_version").is_some())
}

/// # Errors
/// `handoff.too_large` where expressions expand to much more than the text.
pub(super) fn check_configuration(document: &Checked<'_>, found: &mut Findings) -> Result<()> {
    let scope = Scope::read(document.document);
    let resources = Resources::read(document, &scope);
    scope.finish()?;
    if resources.all().next().is_none() && document.document.get("module").is_none() {
        let path = document.prefix.trim_end_matches('.');
        found.nothing_to_check("configuration", "resource", path);
    }
    let named = resources.all().map(|resource| names::Object {
        kind: resource.kind.clone(),
        // What the address has besides the kind: its module, its index.
        name: &resource.path,
        path: resource.path.clone(),
        value: &resource.body,
    });
    names::check_names(DocumentFormat::Terraform, named, found);
    shapes::check_document(document, found);
    for resource in resources.all() {
        shapes::check_resource(resource, found);
        let plain = WITHOUT_LAUNCHES
            .iter()
            .any(|start| resource.kind.starts_with(start));
        if !READ.contains(&resource.kind.as_str()) && !plain {
            let reason = "resources of this type are not read here";
            found.unread(&resource.kind, &resource.name, &resource.path, reason);
        }
        for what in &resource.unread {
            found.unread(&resource.kind, &resource.name, &resource.path, what);
        }
    }
    for template in resources.of_kind("aws_launch_template") {
        check_template(document, &resources, template, found);
    }
    for instance in resources.of_kind("aws_instance") {
        check_instance(document, &resources, instance, found);
    }
    groups::check_groups(&resources, found);
    modules::check_modules(document, &scope, found);
    scope.finish()
}

fn check_template(
    document: &Checked<'_>,
    resources: &Resources,
    template: &Resource,
    found: &mut Findings,
) {
    let at = At {
        base: template.path.clone(),
        spelling: Spelling::Snake,
    };
    let mut launch = Launch::read(&template.body, DocumentFormat::Terraform, at);
    placement(resources, &template.body, &mut launch);
    for user in resources.users(template) {
        describe_user(user, &mut launch);
    }
    let list = template.body.get("network_interfaces").map(blocks);
    let first = list.and_then(|list| list.first().copied().cloned());
    let first = first.unwrap_or_default();
    launch.corrected = Box::new(move |layout| corrected(layout, &first));
    let keys = template.body.as_object().into_iter().flat_map(Map::keys);
    let known = |key: &&String| {
        let ec2 = super::launch_template::is_key(&resources::pascal_case(key));
        !ec2 && !ARGUMENTS.contains(&key.as_str()) && !key.starts_with("//")
    };
    let unknown = keys.filter(known);
    launch.unknown_parameters = unknown.map(|key| resources::pascal_case(key)).collect();
    rules::check_launch(&launch, document.catalog, found);
    if launch.interfaces == Said::Not && launch.types.names.is_empty() {
        found.out_of_sight(
            "the instance type, which is defined elsewhere: the interfaces cannot be checked",
        );
    }
}

/// The strategy of a placement group that the text makes.
fn placement(resources: &Resources, body: &Value, launch: &mut Launch<'_>) {
    let placement = body.get("placement").map(block);
    let group = placement
        .and_then(|p| p.get("group_name").or_else(|| p.get("group_id")))
        .or_else(|| body.get("placement_group"));
    let Some(group) = group.filter(|group| !group.is_null() && *group != "") else {
        return;
    };
    if launch.placement == Said::Not {
        launch.placement = Said::Is("PlacementGroup".to_owned());
    }
    if let Some(made) = resources.referred(group, "aws_placement_group")
        && let Some(strategy) = made.body.get("strategy").and_then(Value::as_str)
    {
        launch.strategy = Said::Is((strategy.to_owned(), format!("{}.strategy", made.path)));
    }
}

/// What launches from a template states the types and the subnets.
fn describe_user(user: &Resource, launch: &mut Launch<'_>) {
    let body = &user.body;
    let mut types = Types::default();
    let mut add = |value: Option<&Value>| {
        if let Some(value) = value {
            types.add(value);
        }
    };
    let (subnets, key) = match user.kind.as_str() {
        "aws_eks_node_group" => {
            add(body.get("instance_types"));
            launch.node_group = Some(user.name.clone());
            (body.get("subnet_ids"), "subnet_ids")
        }
        "aws_batch_compute_environment" => {
            let compute = body.get("compute_resources").map(block);
            add(compute.and_then(|c| c.get("instance_type")));
            let subnets = compute.and_then(|c| c.get("subnets"));
            (subnets, "compute_resources.subnets")
        }
        "aws_autoscaling_group" => {
            let policy = body.get("mixed_instances_policy").map(block);
            let template = policy.and_then(|p| p.get("launch_template")).map(block);
            let overrides = template.and_then(|t| t.get("override")).map(blocks);
            for entry in overrides.into_iter().flatten() {
                add(entry.get("instance_type"));
            }
            (body.get("vpc_zone_identifier"), "vpc_zone_identifier")
        }
        _ => {
            add(body.get("instance_type"));
            (None, "")
        }
    };
    launch.types.extend(&types);
    let count = subnets.and_then(Value::as_array).map_or(0, Vec::len);
    if count > 1 {
        launch.places.push(Places {
            path: format!("{}.{key}", user.path),
            what: format!("instances in {count} subnets"),
        });
    }
}

/// `aws_instance` has no argument for the type of an interface: EFA comes by a launch template, or
/// by an `aws_network_interface` made before.
fn check_instance(
    document: &Checked<'_>,
    resources: &Resources,
    instance: &Resource,
    found: &mut Findings,
) {
    let body = &instance.body;
    let has = |key: &str| {
        body.get(key)
            .is_some_and(|v| !v.is_null() && *v != Value::Array(vec![]))
    };
    if has("launch_template") {
        return;
    }
    let at = At {
        base: instance.path.clone(),
        spelling: Spelling::Snake,
    };
    let data = resources.as_launched(body);
    let mut launch = Launch::read(&data, DocumentFormat::Terraform, at);
    placement(resources, body, &mut launch);
    launch.with_interfaces.clear();
    launch.corrected = Box::new(|_| String::new());
    let efa = launch
        .types
        .names
        .iter()
        .any(|name| document.catalog.contains(name));
    launch.wants_efa = efa;
    if !has("network_interface") && !has("primary_network_interface") {
        if efa {
            found.push(DocumentFinding::new(
                Severity::Warning,
                "terraform.instance_without_efa",
                instance.path.clone(),
                "aws_instance has no interface_type: the instance gets no EFA",
                "launch it from an aws_launch_template with network_interfaces",
            ));
        }
        launch.types = Types::default();
    }
    rules::check_launch(&launch, document.catalog, found);
}

/// The layout's blocks, with groups and subnet of a block of the document.
fn corrected(layout: &Layout, like: &Value) -> String {
    let entries: Vec<Value> = layout
        .interfaces
        .iter()
        .map(|interface| {
            let mut entry = serde_json::json!({
                "network_card_index": interface.network_card_index,
                "device_index": interface.device_index,
                "interface_type": interface.interface_type,
                "delete_on_termination": true,
            });
            for key in ["security_groups", "subnet_id"] {
                if let Some(value) = like.get(key) {
                    entry[key] = value.clone();
                }
            }
            if let Some(public) = interface.associate_public_ip_address {
                entry["associate_public_ip_address"] = public.into();
            }
            entry
        })
        .collect();
    json_text(&entries)
}

#[cfg(test)]
mod tests;
