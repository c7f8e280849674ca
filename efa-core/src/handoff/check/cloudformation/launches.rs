//! Launch templates, instances and interfaces of their own.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::launch_template::corrected;
use super::findings::{EFA_ATTACHED_LATER, INTERFACE_TYPE_ON_INSTANCE, PROPERTY_DROPPED, finding};
use super::template::{INTERFACE, LAUNCH_TEMPLATE, Resource, Template, entries, is_efa};
use super::uses::{self, Use};
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::launch::{At, Launch, Said, Spelling, block};
use crate::handoff::check::report::{DocumentFinding, DocumentFormat, Severity};
use crate::handoff::check::rules;
use crate::handoff::check::unknown::is_unknown;
use crate::handoff::interfaces::field;

const INSTANCE: &str = "AWS::EC2::Instance";
const ATTACHMENT: &str = "AWS::EC2::NetworkInterfaceAttachment";

pub(super) fn check_launches(document: &Checked<'_>, template: &Template, found: &mut Findings) {
    let uses = uses::read(document, template);
    let mut instances: HashMap<&str, Vec<Resource<'_>>> = HashMap::new();
    for instance in template.of_kind(INSTANCE) {
        let chosen = instance.get("LaunchTemplate");
        let id = chosen.and_then(|chosen| chosen.get("LaunchTemplateId"));
        if let Some(used) = id.and_then(|id| template.referred(id, LAUNCH_TEMPLATE)) {
            instances.entry(used.name).or_default().push(instance);
        }
    }
    for resource in template.of_kind(LAUNCH_TEMPLATE) {
        let uses = uses.get(resource.name).map_or(&[][..], Vec::as_slice);
        let listed = check_launch_template(document, template, &resource, uses, found);
        let users = instances.get(resource.name).filter(|_| listed);
        for instance in users.into_iter().flatten() {
            check_combination(document, instance, found);
        }
    }
    for resource in template.of_kind(INSTANCE) {
        check_instance(document, template, &resource, found);
    }
    for attachment in template.of_kind(ATTACHMENT) {
        let interface = attachment.get("NetworkInterfaceId");
        let interface = interface.and_then(|id| template.referred(id, INTERFACE));
        if interface.is_some_and(|interface| is_efa(interface.get("InterfaceType"))) {
            found.push(finding(
                Severity::Error,
                EFA_ATTACHED_LATER,
                attachment.path(document, "NetworkInterfaceId"),
                "EC2 attaches an EFA interface to a stopped instance only, and this one is made running",
                "list the interface in a launch template",
            ));
        }
    }
}

/// Returns whether the template lists interfaces.
fn check_launch_template(
    document: &Checked<'_>,
    template: &Template,
    resource: &Resource<'_>,
    uses: &[Use],
    found: &mut Findings,
) -> bool {
    let path = resource.path(document, "LaunchTemplateData");
    let data = resource.get("LaunchTemplateData");
    let Some(data) = data.filter(|data| data.is_object() && !is_unknown(data)) else {
        found.nothing_to_check("launch template", resource.name, &path);
        return false;
    };
    let at = At {
        base: path,
        spelling: Spelling::Ec2,
    };
    let mut launch = Launch::read(data, DocumentFormat::CloudFormation, at);
    launch.whole = true;
    describe(template, &mut launch, data, document);
    for used in uses {
        used.describe(&mut launch);
    }
    let first = entries(data.get("NetworkInterfaces")).next().cloned();
    let first = first.unwrap_or_default();
    launch.corrected = Box::new(move |layout| corrected(layout, &first));
    launch.unknown_parameters = super::super::launch_template::unknown_keys(data);
    rules::check_launch(&launch, document.catalog, found);
    !matches!(launch.interfaces, Said::Not)
}

/// What an instance sets that its launch template's interfaces set.
fn check_combination(document: &Checked<'_>, instance: &Resource<'_>, found: &mut Findings) {
    for key in [
        "SecurityGroupIds",
        "SecurityGroups",
        "SubnetId",
        "NetworkInterfaces",
    ] {
        if instance.get(key).is_some() {
            found.push_once(finding(
                Severity::Error,
                "launch_template.groups_or_subnet_with_interfaces",
                instance.path(document, key),
                format!("EC2 refuses {key} in addition to the launch template's NetworkInterfaces"),
                "leave it out: the launch template sets it on each interface",
            ));
        }
    }
}

/// The strategy of the placement group that the template makes for a launch.
fn describe(template: &Template, launch: &mut Launch<'_>, data: &Value, document: &Checked<'_>) {
    let placement = field(data, "Placement").map(block);
    let group = placement
        .and_then(|p| field(p, "GroupName").or_else(|| field(p, "GroupId")))
        .or_else(|| data.get("PlacementGroupName"));
    let made = group.and_then(|group| template.referred(group, "AWS::EC2::PlacementGroup"));
    if let Some(made) = made {
        // CloudFormation's default is cluster.
        let strategy = made.get("Strategy").and_then(Value::as_str);
        let path = made.path(document, "Strategy");
        launch.strategy = Said::Is((strategy.unwrap_or("cluster").to_owned(), path));
    }
}

fn check_instance(
    document: &Checked<'_>,
    template: &Template,
    resource: &Resource<'_>,
    found: &mut Findings,
) {
    for key in ["InstanceMarketOptions", "CapacityReservationSpecification"] {
        if resource.get(key).is_some() {
            found.push(finding(
                Severity::Error,
                PROPERTY_DROPPED,
                resource.path(document, key),
                format!(
                    "AWS::EC2::Instance has no {key}: CDK drops it and the capacity is never used"
                ),
                "put it in the LaunchTemplateData of a launch template and launch from that",
            ));
        }
    }
    if let Some(finding) = typed_interfaces(document, resource) {
        // What the list would be with it states nothing about what is launched.
        found.push(finding);
        return;
    }
    if resource.get("LaunchTemplate").is_some() {
        return;
    }
    let mut data = resource.properties.clone();
    let listed = entries(resource.get("NetworkInterfaces"));
    let merged: Vec<Value> = listed.map(|i| with_type(template, i)).collect();
    let first = merged.first().cloned().unwrap_or_default();
    if !merged.is_empty() {
        data["NetworkInterfaces"] = json!(merged);
    }
    let at = At {
        base: resource.path(document, ""),
        spelling: Spelling::Ec2,
    };
    let mut launch = Launch::read(&data, DocumentFormat::CloudFormation, at);
    launch.whole = true;
    describe(template, &mut launch, &data, document);
    // In the form of a launch template, the only place that has all of it.
    launch.corrected = Box::new(move |layout| match first {
        Value::Null => String::new(),
        _ => corrected(layout, &first),
    });
    let known = |name: &String| document.catalog.contains(name);
    if rules::has_efa(&launch) || launch.types.names.iter().any(known) {
        found.out_of_sight(
            "whether a Capacity Block or a reservation was meant: CDK drops both from \
             AWS::EC2::Instance without a trace",
        );
    }
    rules::check_launch(&launch, document.catalog, found);
}

/// A property of an interface that an instance's interfaces do not have.
fn typed_interfaces(document: &Checked<'_>, resource: &Resource<'_>) -> Option<DocumentFinding> {
    let path = resource.path(document, "NetworkInterfaces");
    for (number, interface) in entries(resource.get("NetworkInterfaces")).enumerate() {
        for key in ["InterfaceType", "NetworkCardIndex"] {
            if interface.get(key).is_some() {
                return Some(finding(
                    Severity::Error,
                    INTERFACE_TYPE_ON_INSTANCE,
                    format!("{path}.{number}.{key}"),
                    format!("the interfaces of AWS::EC2::Instance have no {key}"),
                    "list the interfaces in a launch template and launch from that",
                ));
            }
        }
    }
    None
}

/// An interface of an instance, with the type, subnet and groups of the resource that it attaches.
fn with_type(template: &Template, interface: &Value) -> Value {
    let mut merged = interface.clone();
    let id = interface.get("NetworkInterfaceId");
    if let Some(made) = id.and_then(|id| template.referred(id, INTERFACE)) {
        for (from, to) in [
            ("InterfaceType", "InterfaceType"),
            ("SubnetId", "SubnetId"),
            ("GroupSet", "Groups"),
        ] {
            if let Some(value) = made.get(from) {
                merged[to] = value.clone();
            }
        }
    }
    merged
}
