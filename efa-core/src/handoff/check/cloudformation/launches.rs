//! Launch templates, instances and interfaces of their own.

use serde_json::{Value, json};

use super::super::interfaces::{self, InterfaceList};
use super::super::launch_template::{self, corrected};
use super::findings::{
    BLOCK_WITH_GROUP, EFA_ATTACHED_LATER, IMDS_V1, INTERFACE_TYPE_ON_INSTANCE, PLACEMENT_STRATEGY,
    PROPERTY_DROPPED, VOLUME_UNENCRYPTED, finding,
};
use super::template::{Resource, Template, is_true};
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::report::Severity;

pub(super) const LAUNCH_TEMPLATE: &str = "AWS::EC2::LaunchTemplate";
const INSTANCE: &str = "AWS::EC2::Instance";
const INTERFACE: &str = "AWS::EC2::NetworkInterface";
const ATTACHMENT: &str = "AWS::EC2::NetworkInterfaceAttachment";

pub(super) fn check_launches(document: &Checked<'_>, template: &Template, found: &mut Findings) {
    for resource in template.of(LAUNCH_TEMPLATE) {
        check_launch_template(document, template, &resource, found);
    }
    for resource in template.of(INSTANCE) {
        check_instance(document, template, &resource, found);
    }
    for attachment in template.of(ATTACHMENT) {
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

/// For each interface that takes an EFA its security groups, as the template names them.
pub(super) fn efa_groups(template: &Template) -> Vec<Vec<&Value>> {
    let mut groups: Vec<Vec<&Value>> = Vec::new();
    for resource in template.all() {
        match resource.kind {
            LAUNCH_TEMPLATE => {
                let data = resource.get("LaunchTemplateData");
                let list = data.and_then(|data| data.get("NetworkInterfaces"));
                for interface in entries(list) {
                    if is_efa(interface.get("InterfaceType")) {
                        groups.push(entries(interface.get("Groups")).collect());
                    }
                }
            }
            INTERFACE if is_efa(resource.get("InterfaceType")) => {
                groups.push(entries(resource.get("GroupSet")).collect());
            }
            _ => {}
        }
    }
    groups.sort_by_key(Vec::len);
    groups.dedup();
    groups
}

fn entries(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

fn is_efa(kind: Option<&Value>) -> bool {
    matches!(kind.and_then(Value::as_str), Some("efa" | "efa-only"))
}

fn check_launch_template(
    document: &Checked<'_>,
    template: &Template,
    resource: &Resource<'_>,
    found: &mut Findings,
) {
    let Some(data) = resource.get("LaunchTemplateData") else {
        return;
    };
    let mut data = data.clone();
    let users = || {
        template.of(INSTANCE).filter(|instance| {
            let id = instance
                .get("LaunchTemplate")
                .and_then(|chosen| chosen.get("LaunchTemplateId"));
            id.and_then(|id| template.referred(id, LAUNCH_TEMPLATE))
                .is_some_and(|used| used.name == resource.name)
        })
    };
    // The type may be said by the instance instead.
    if data.get("InstanceType").is_none()
        && let Some(kind) = users().find_map(|instance| instance.get("InstanceType").cloned())
    {
        data["InstanceType"] = kind;
    }
    let path = resource.path(document, "LaunchTemplateData");
    // The rules of groups are `rules`'.
    launch_template::check_interfaces(document, &data, &path, found);
    let listed = data.get("NetworkInterfaces");
    if listed.is_some() {
        for instance in users() {
            for key in [
                "SecurityGroupIds",
                "SecurityGroups",
                "SubnetId",
                "NetworkInterfaces",
            ] {
                if instance.get(key).is_some() {
                    found.push(finding(
                        Severity::Error,
                        "launch_template.beside_interfaces",
                        instance.path(document, key),
                        format!("EC2 refuses {key} beside the launch template's NetworkInterfaces"),
                        "leave it out: the launch template says it on each interface",
                    ));
                }
            }
        }
    }
    if concerns_efa(document, data.get("InstanceType"), listed) {
        check_data(
            document,
            template,
            resource,
            &data,
            "LaunchTemplateData.",
            found,
        );
    }
}

/// What every launch of EFA instances should say, in launch data or an instance's properties.
fn check_data(
    document: &Checked<'_>,
    template: &Template,
    resource: &Resource<'_>,
    data: &Value,
    prefix: &str,
    found: &mut Findings,
) {
    let at = |key: &str| resource.path(document, &format!("{prefix}{key}"));
    let tokens = data
        .get("MetadataOptions")
        .and_then(|options| options.get("HttpTokens"));
    if tokens.is_none_or(|tokens| tokens == "optional") {
        found.push(finding(
            Severity::Warning,
            IMDS_V1,
            at("MetadataOptions"),
            "the metadata service gives the role's credentials without a session token (IMDSv1)",
            "set MetadataOptions.HttpTokens to required",
        ));
    }
    for (number, mapping) in entries(data.get("BlockDeviceMappings")).enumerate() {
        if let Some(ebs) = mapping.get("Ebs")
            && !ebs.get("Encrypted").is_some_and(Value::is_object)
            && !is_true(ebs.get("Encrypted"))
        {
            found.push(finding(
                Severity::Warning,
                VOLUME_UNENCRYPTED,
                at(&format!("BlockDeviceMappings.{number}.Ebs")),
                "the volume is encrypted only where the account's default says so",
                "set Encrypted to true",
            ));
        }
    }
    let group = data
        .get("Placement")
        .and_then(|placement| placement.get("GroupName").or(placement.get("GroupId")))
        .or(data.get("PlacementGroupName"));
    let Some(group) = group else { return };
    let is_block = data
        .get("InstanceMarketOptions")
        .and_then(|options| options.get("MarketType"))
        .is_some_and(|market| market == "capacity-block");
    let path = match data.get("PlacementGroupName") {
        Some(_) => at("PlacementGroupName"),
        None => at("Placement"),
    };
    if is_block {
        found.push(finding(
            Severity::Error,
            BLOCK_WITH_GROUP,
            path,
            "a Capacity Block places its instances itself, and EC2 finds no capacity for it in a placement group",
            "leave the placement group out",
        ));
        return;
    }
    if let Some(group) = template.referred(group, "AWS::EC2::PlacementGroup") {
        let strategy = group.get("Strategy").and_then(Value::as_str);
        // CloudFormation's default is cluster.
        if let Some(strategy) = strategy.filter(|strategy| *strategy != "cluster") {
            let message = format!("strategy {strategy} keeps the instances apart");
            let cure = "set it to cluster";
            let path = group.path(document, "Strategy");
            if !found.findings.iter().any(|f| f.path == path) {
                let id = PLACEMENT_STRATEGY;
                found.push(finding(Severity::Warning, id, path, message, cure));
            }
        }
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
    let listed: Vec<&Value> = entries(resource.get("NetworkInterfaces")).collect();
    let path = resource.path(document, "NetworkInterfaces");
    for (number, interface) in listed.iter().enumerate() {
        for key in ["InterfaceType", "NetworkCardIndex"] {
            if interface.get(key).is_some() {
                found.push(finding(
                    Severity::Error,
                    INTERFACE_TYPE_ON_INSTANCE,
                    format!("{path}.{number}.{key}"),
                    format!("the interfaces of AWS::EC2::Instance have no {key}"),
                    "list the interfaces in a launch template and launch from that",
                ));
                // What the list would be with it says nothing about what is launched.
                return;
            }
        }
    }
    if resource.get("LaunchTemplate").is_some() {
        return;
    }
    let kind = resource.get("InstanceType");
    let merged: Vec<Value> = listed
        .iter()
        .map(|interface| with_type(template, interface))
        .collect();
    let merged_list = json!(merged);
    if !concerns_efa(document, kind, Some(&merged_list)) {
        return;
    }
    check_data(document, template, resource, resource.properties, "", found);
    found.out_of_sight(
        "whether a Capacity Block or a reservation was meant: CDK drops both from \
         AWS::EC2::Instance without a trace",
    );
    let Some(kind) = kind.and_then(Value::as_str) else {
        found.out_of_sight(
            "the instance type where it is neither said nor a parameter with a default: the \
             interfaces cannot be checked",
        );
        return;
    };
    if merged.is_empty() {
        let efa = document.catalog.get(kind);
        if let Some(finding) = efa.and_then(|kind| interfaces::too_few(kind, 0, &path)) {
            found.push(finding);
        }
        return;
    }
    let list = InterfaceList {
        instance_type: kind,
        list: &merged,
        path,
    };
    // In the form of a launch template, the only place that has all of it.
    interfaces::check_interfaces(&list, document.catalog, found, |layout| {
        corrected(layout, &merged[0])
    });
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

/// Whether a launch is of a type that can have EFA, or lists it.
fn concerns_efa(document: &Checked<'_>, kind: Option<&Value>, listed: Option<&Value>) -> bool {
    let known = kind
        .and_then(Value::as_str)
        .and_then(|name| document.catalog.get(name));
    known.is_some_and(|kind| kind.maximum_efa_interfaces > 0)
        || entries(listed).any(|interface| is_efa(interface.get("InterfaceType")))
}
