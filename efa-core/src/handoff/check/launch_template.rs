//! The EFA part of a launch template or a RunInstances request, and of what EC2 answers about them.

use serde_json::Value;

use super::document::{Checked, Findings, join_path};
use super::interfaces::unread_type;
use super::launch::{At, Launch, Said, Spelling};
use super::report::DocumentFormat;
use super::rules;
use super::shape::{self, Place, Shape};
use crate::handoff::document::{Node, json_text, node, set};
use crate::handoff::interfaces::field;
use crate::layout::Layout;
use crate::plan::launch;

/// Parameters of RunInstances (EC2 API model, botocore 1.44).
const RUN_INSTANCES: &[&str] = &[
    "AdditionalInfo",
    "BlockDeviceMappings",
    "CapacityReservationSpecification",
    "ClientToken",
    "CpuOptions",
    "CreditSpecification",
    "DisableApiStop",
    "DisableApiTermination",
    "DryRun",
    "EbsOptimized",
    "ElasticGpuSpecification",
    "ElasticInferenceAccelerators",
    "EnablePrimaryIpv6",
    "EnclaveOptions",
    "HibernationOptions",
    "IamInstanceProfile",
    "ImageId",
    "InstanceInitiatedShutdownBehavior",
    "InstanceMarketOptions",
    "InstanceType",
    "Ipv6AddressCount",
    "Ipv6Addresses",
    "KernelId",
    "KeyName",
    "LaunchTemplate",
    "LicenseSpecifications",
    "MaintenanceOptions",
    "MaxCount",
    "MetadataOptions",
    "MinCount",
    "Monitoring",
    "NetworkInterfaces",
    "NetworkPerformanceOptions",
    "Operator",
    "Placement",
    "PrivateDnsNameOptions",
    "PrivateIpAddress",
    "RamdiskId",
    "SecondaryInterfaces",
    "SecurityGroupIds",
    "SecurityGroups",
    "SubnetId",
    "TagSpecifications",
    "UserData",
];

/// Keys of RequestLaunchTemplateData that RunInstances does not have.
const TEMPLATE_ONLY: &[&str] = &[
    "ElasticGpuSpecifications",
    "InstanceRequirements",
    "RamDiskId",
];

pub(super) fn check_launch_template(document: &Checked<'_>, found: &mut Findings) {
    let value = document.document;
    let list = |key: &str| value.get(key).and_then(Value::as_array);
    let answers = ["LaunchTemplateVersions", "Reservations", "Instances"];
    if let Some(empty) = answers
        .iter()
        .find(|key| list(key).is_some_and(Vec::is_empty))
    {
        found.nothing_to_check("answer", empty, &document.path(empty));
    }
    // Interfaces as EC2 describes them are no launch.
    let described =
        |entry: &Value| entry.get("Attachment").is_some() && entry.get("DeviceIndex").is_none();
    if list("NetworkInterfaces").is_some_and(|list| !list.is_empty() && list.iter().all(described))
    {
        let path = document.path("NetworkInterfaces");
        let reason = "an answer of DescribeNetworkInterfaces: check that of DescribeInstances";
        found.unread("interfaces", "NetworkInterfaces", &path, reason);
        return;
    }
    if let Some(versions) = list("LaunchTemplateVersions") {
        for (at, version) in versions.iter().enumerate() {
            let path = document.path(&format!("LaunchTemplateVersions.{at}.LaunchTemplateData"));
            let data = version.get("LaunchTemplateData").unwrap_or(&Value::Null);
            check_data(document, data, path, found);
        }
    } else if let Some(version) = value.get("LaunchTemplateVersion") {
        let path = document.path("LaunchTemplateVersion.LaunchTemplateData");
        let data = version.get("LaunchTemplateData").unwrap_or(&Value::Null);
        check_data(document, data, path, found);
    } else if let Some(reservations) = list("Reservations") {
        for (at, reservation) in reservations.iter().enumerate() {
            let path = document.path(&format!("Reservations.{at}"));
            check_instances(document, reservation, &path, found);
        }
    } else if list("Instances").is_some() {
        check_instances(
            document,
            value,
            document.prefix.trim_end_matches('.'),
            found,
        );
    } else if let Some(data) = value.get("LaunchTemplateData") {
        check_data(document, data, document.path("LaunchTemplateData"), found);
    } else {
        check_data(document, value, document.prefix.clone(), found);
    }
}

/// Checks launch data in EC2's spelling, whose groups are only named; `path` is where it stands.
fn check_data(document: &Checked<'_>, data: &Value, path: String, found: &mut Findings) {
    if !data.is_object() {
        found.nothing_to_check("launch template", &path, &path);
        return;
    }
    let at = At {
        base: path,
        spelling: Spelling::Ec2,
    };
    let mut launch = Launch::read(data, DocumentFormat::LaunchTemplate, at);
    let first = data.pointer("/NetworkInterfaces/0").cloned();
    let first = first.unwrap_or_default();
    launch.corrected = Box::new(move |layout| corrected(layout, &first));
    launch.unknown_parameters = unknown_keys(data);
    rules::check_launch(&launch, document.catalog, found);
    if launch.types.names.is_empty() {
        unread_type(&launch, found);
    }
    match launch.interfaces {
        Said::Not if launch.types.names.is_empty() => found.out_of_sight(
            "the instance type, which the launcher chooses: the interfaces cannot be checked",
        ),
        Said::Not => {}
        _ => found.out_of_sight(
            "whether the security groups have self-referencing ingress and egress rules for all \
             protocols: Client.verify_instance reads them",
        ),
    }
}

/// Keys of launch data that neither a launch template nor RunInstances has.
pub(super) fn unknown_keys(data: &Value) -> Vec<String> {
    let known = |key: &str| is_key(key) || key.starts_with("Fn::") || key.starts_with("//");
    keys_without(data, known)
}

/// Keys of a request that RunInstances does not have, nor its launcher of its `own`.
pub(super) fn unknown_parameters(data: &Value, own: &str) -> Vec<String> {
    keys_without(data, |key| RUN_INSTANCES.contains(&key) || key == own)
}

fn keys_without(data: &Value, known: impl Fn(&str) -> bool) -> Vec<String> {
    let keys = data.as_object().into_iter().flat_map(|map| map.keys());
    keys.filter(|key| !known(key)).cloned().collect()
}

/// Whether launch data may have a key of this name.
pub(super) fn is_key(name: &str) -> bool {
    RUN_INSTANCES.contains(&name) || TEMPLATE_ONLY.contains(&name)
}

/// The instances of an answer of DescribeInstances: they run, so that EC2 took their interfaces.
fn check_instances(document: &Checked<'_>, reservation: &Value, path: &str, found: &mut Findings) {
    let instances = reservation.get("Instances").and_then(Value::as_array);
    let object = shape::Object {
        name: path,
        path,
        value: reservation,
        blocks: false,
    };
    object.check_shapes(INSTANCES, found);
    // Those that end have no interfaces any more.
    let ends = |instance: &Value| {
        let state = instance.pointer("/State/Name").and_then(Value::as_str);
        matches!(state, Some("terminated" | "shutting-down"))
    };
    if instances.is_none_or(|instances| instances.iter().all(ends)) {
        found.nothing_to_check("instances", path, path);
    }
    let instances = instances.into_iter().flatten().enumerate();
    for (number, instance) in instances.filter(|(_, instance)| !ends(instance)) {
        let path = join_path(path, &format!("Instances.{number}"));
        let data = as_launched(instance);
        let at = At {
            base: path,
            spelling: Spelling::Ec2,
        };
        let mut launch = Launch::read(&data, DocumentFormat::LaunchTemplate, at);
        launch.corrected = Box::new(|layout| corrected(layout, &Value::Null));
        rules::check_launch(&launch, document.catalog, found);
    }
    found.out_of_sight(
        "whether the security groups have self-referencing ingress and egress rules for all \
         protocols: Client.verify_instance reads them",
    );
}

/// What is read of an answer about instances.
const INSTANCES: &[Place] = &[
    ("Instances", Shape::Mappings),
    ("Instances/*/InstanceLifecycle", Shape::Word),
    ("Instances/*/NetworkInterfaces", Shape::Mappings),
    ("Instances/*/NetworkInterfaces/*/Attachment", Shape::Mapping),
];

/// An instance as EC2 describes it, as the request that would launch it: what notifies the interfaces
/// apart is in their attachments, and every address is one that EC2 chose.
fn as_launched(instance: &Value) -> Value {
    let mut data = serde_json::Map::new();
    for key in ["InstanceType", "Placement", "MetadataOptions"] {
        if let Some(value) = instance.get(key) {
            data.insert(key.to_owned(), value.clone());
        }
    }
    if instance
        .get("InstanceLifecycle")
        .is_some_and(|l| l == "capacity-block")
    {
        let market = serde_json::json!({"MarketType": "capacity-block"});
        data.insert("InstanceMarketOptions".to_owned(), market);
    }
    let interfaces = instance.get("NetworkInterfaces").and_then(Value::as_array);
    let interfaces = interfaces.into_iter().flatten().map(|interface| {
        let mut launched = serde_json::Map::new();
        for key in ["InterfaceType", "SubnetId"] {
            if let Some(value) = interface.get(key) {
                launched.insert(key.to_owned(), value.clone());
            }
        }
        for key in ["DeviceIndex", "NetworkCardIndex"] {
            let attached = interface.get("Attachment").and_then(|a| a.get(key));
            if let Some(value) = attached.or_else(|| interface.get(key)) {
                launched.insert(key.to_owned(), value.clone());
            }
        }
        Value::Object(launched)
    });
    data.insert("NetworkInterfaces".to_owned(), interfaces.collect());
    Value::Object(data)
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
