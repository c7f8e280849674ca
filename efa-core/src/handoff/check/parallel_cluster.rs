//! The EFA part of a ParallelCluster 3 configuration.
//!
//! ParallelCluster lists the interfaces itself, differently from version to version: they are named
//! as unread. What the configuration states of types, placement, capacity and subnets is read (the
//! configuration's pages `Scheduling-v3` and `HeadNode-v3`; `ec2_validators.py` and
//! `cluster_validators.py` of aws/aws-parallelcluster).

use serde_json::{Value, json};

use super::document::{Checked, Findings};
use super::interfaces::{check_types_for_efa, too_few};
use super::launch::{At, Launch, Places, Said, Spelling, Types, Volume};
use super::names;
use super::report::{DocumentFinding, DocumentFormat, Severity};
use super::rules;
use super::shape::{self, Place, Shape};
use crate::catalog::InstanceType;
use crate::error::Code;

/// Whether a document is such a configuration.
pub(super) fn is_configuration(document: &Value) -> bool {
    document.get("Scheduling").is_some() && document.get("HeadNode").is_some()
}

/// What is read of a configuration.
const PLACES: &[Place] = &[
    ("Imds", Shape::Mapping),
    ("Imds/ImdsSupport", Shape::Word),
    ("Scheduling", Shape::Mapping),
    ("Scheduling/Scheduler", Shape::Word),
    ("Scheduling/SlurmQueues", Shape::Mappings),
    ("Scheduling/SlurmQueues/*/ComputeResources", Shape::Mappings),
    (
        "Scheduling/SlurmQueues/*/ComputeResources/*/Instances",
        Shape::Mappings,
    ),
    (
        "Scheduling/SlurmQueues/*/Networking/AssignPublicIp",
        Shape::Flag,
    ),
    (
        "Scheduling/SlurmQueues/*/Networking/SubnetIds",
        Shape::Names,
    ),
    ("Scheduling/SlurmQueues/*/CapacityType", Shape::Word),
    (
        "Scheduling/SlurmQueues/*/ComputeSettings/LocalStorage/RootVolume/Encrypted",
        Shape::Flag,
    ),
];

/// What is read of a compute resource.
const RESOURCE_PLACES: &[Place] = &[("Efa", Shape::Mapping), ("Efa/Enabled", Shape::Flag)];

/// What is read of a compute resource, or of its queue.
const PLACEMENT_PLACES: &[Place] = &[
    ("CapacityReservationTarget", Shape::Mapping),
    ("Networking", Shape::Mapping),
    ("Networking/PlacementGroup", Shape::Mapping),
    ("Networking/PlacementGroup/Enabled", Shape::Flag),
    ("Networking/PlacementGroup/Id", Shape::Name),
    ("Networking/PlacementGroup/Name", Shape::Name),
];

pub(super) fn check_configuration(document: &Checked<'_>, found: &mut Findings) {
    let object = shape::Object {
        name: "configuration",
        path: document.prefix.trim_end_matches('.'),
        value: document.document,
        blocks: false,
    };
    object.check_shapes(PLACES, found);
    let scheduling = &document.document["Scheduling"];
    let scheduler = scheduling.get("Scheduler").and_then(Value::as_str);
    let Some(queues) = scheduling.get("SlurmQueues").and_then(Value::as_array) else {
        let name = scheduler.unwrap_or("without a name");
        let path = document.path("Scheduling");
        let reason = "queues of another scheduler than slurm are not read here";
        found.unread("scheduler", name, &path, reason);
        return;
    };
    if queues.is_empty() {
        found.nothing_to_check("queues", "SlurmQueues", &document.path("Scheduling"));
    }
    let queues_path = document.path("Scheduling.SlurmQueues");
    check_names("queue", queues, &queues_path, found);
    for (at, queue) in queues.iter().enumerate() {
        if let Some(resources) = queue.get("ComputeResources").and_then(Value::as_array) {
            let path = format!("{queues_path}.{at}.ComputeResources");
            check_names("compute resource", resources, &path, found);
        }
        let path = format!("{queues_path}.{at}");
        check_shapes(queue, &path, PLACEMENT_PLACES, found);
        let resources = queue.get("ComputeResources").and_then(Value::as_array);
        if resources.is_none_or(Vec::is_empty) {
            let name = queue.get("Name").and_then(Value::as_str);
            found.nothing_to_check("queue", name.unwrap_or(&path), &path);
        }
        for (number, resource) in resources.into_iter().flatten().enumerate() {
            let queue_path = document.path(&format!("Scheduling.SlurmQueues.{at}"));
            Resource {
                path: format!("{queue_path}.ComputeResources.{number}"),
                queue_path,
                queue,
                resource,
            }
            .check(document, found);
        }
    }
}

fn check_shapes(value: &Value, path: &str, places: &[Place], found: &mut Findings) {
    let name = value.get("Name").and_then(Value::as_str);
    let object = shape::Object {
        name: name.unwrap_or(path),
        path,
        value,
        blocks: false,
    };
    object.check_shapes(places, found);
}

fn check_names(kind: &str, list: &[Value], path: &str, found: &mut Findings) {
    let objects = list.iter().enumerate().filter_map(|(at, value)| {
        Some(names::Object {
            kind: kind.to_owned(),
            name: value.get("Name")?.as_str()?,
            path: format!("{path}.{at}.Name"),
            value,
        })
    });
    names::check_names(DocumentFormat::ParallelCluster, objects, found);
}

/// A compute resource, and the queue that it is in.
struct Resource<'a> {
    queue: &'a Value,
    queue_path: String,
    resource: &'a Value,
    path: String,
}

impl Resource<'_> {
    fn check(&self, document: &Checked<'_>, found: &mut Findings) {
        check_shapes(self.resource, &self.path, RESOURCE_PLACES, found);
        check_shapes(self.resource, &self.path, PLACEMENT_PLACES, found);
        let mut types = Types::default();
        if let Some(one) = self.resource.get("InstanceType") {
            types.add(one);
        }
        let several = self.resource.get("Instances").and_then(Value::as_array);
        let several = several.into_iter().flatten();
        several
            .filter_map(|entry| entry.get("InstanceType"))
            .for_each(|name| types.add(name));
        let at = |key: &str| format!("{}.{key}", self.path);
        let known: Vec<&InstanceType> = types
            .names
            .iter()
            .filter_map(|name| document.catalog.get(name))
            .collect();
        let enabled = self.resource.pointer("/Efa/Enabled");
        if enabled.is_none_or(|enabled| *enabled == false) {
            for instance_type in known {
                if let Some(finding) = too_few(instance_type, 0, &at("Efa"), found) {
                    found.push(finding);
                }
            }
            return;
        }
        let names = types.names.iter().map(String::as_str);
        let (what, path) = ("Efa.Enabled", at("Efa"));
        check_types_for_efa(names, what, document.catalog, &path, found);
        if types.open || types.names.is_empty() {
            let reason = "it is defined elsewhere: give the text with the values in place";
            found.unread("instance type", &self.path, &self.path, reason);
        }
        self.check_public_address(&known, found);
        self.check_launch(document, found);
        let reason = "ParallelCluster lists them itself: check the template that it makes (aws \
                      cloudformation get-template --stack-name CLUSTER), and a node with \
                      Client.verify_instance";
        found.unread("interfaces", &self.path, &path, reason);
        found.out_of_sight(
            "whether the security groups have self-referencing ingress and egress rules for all \
             protocols: ParallelCluster makes one that has, unless SecurityGroups names others; \
             Client.verify_instance of a node reads them",
        );
    }

    /// A setting of the compute resource, or else of its queue, and where it stands.
    fn setting(&self, pointer: &str) -> Option<(String, &Value)> {
        let key = pointer.trim_start_matches('/').replace('/', ".");
        let own = self.resource.pointer(pointer);
        let own = own.map(|value| (format!("{}.{key}", self.path), value));
        own.or_else(|| {
            let of_queue = self.queue.pointer(pointer)?;
            Some((format!("{}.{key}", self.queue_path), of_queue))
        })
    }

    fn check_public_address(&self, known: &[&InstanceType], found: &mut Findings) {
        let public = self.queue.pointer("/Networking/AssignPublicIp");
        let several = known.iter().find(|t| t.network_cards.len() > 1);
        if let (Some(Value::Bool(true)), Some(several)) = (public, several) {
            found.push(DocumentFinding::new(
                Severity::Error,
                Code::LayoutPublicIpWithSeveralInterfaces.as_str(),
                format!("{}.Networking.AssignPublicIp", self.queue_path),
                format!(
                    "EC2 gives a public IP address to a lone interface, and {} gets several",
                    several.name
                ),
                "write false, and give the subnet a way out: a NAT gateway",
            ));
        }
    }

    /// The rules on any launch.
    fn check_launch(&self, document: &Checked<'_>, found: &mut Findings) {
        let nothing = json!({});
        let at = At {
            base: self.queue_path.clone(),
            spelling: Spelling::Ec2,
        };
        let mut launch = Launch::read(&nothing, DocumentFormat::ParallelCluster, at);
        launch.wants_efa = true;
        launch.whole = true;
        // What the version sets that makes the cluster.
        launch.tokens_required = Said::Unknown;
        if let Some(support) = document.document.pointer("/Imds/ImdsSupport") {
            launch.tokens_required = Said::Is(support == "v2.0");
        }
        if let Some((path, group)) = self.setting("/Networking/PlacementGroup") {
            let named = ["Name", "Id"].iter().any(|key| group.get(key).is_some());
            let enabled = match group.get("Enabled") {
                Some(enabled) => *enabled == true,
                None => named,
            };
            if enabled {
                let path = path.strip_prefix(&format!("{}.", self.queue_path));
                launch.placement = Said::Is(path.unwrap_or("Networking.PlacementGroup").to_owned());
            }
        }
        let capacity = self.queue.get("CapacityType").and_then(Value::as_str);
        launch.block = Said::Is(capacity == Some("CAPACITY_BLOCK"));
        let reservation = self.setting("/CapacityReservationTarget");
        launch.reservation = Said::Is(reservation.is_some());
        if launch.placement == Said::Not && reservation.is_some() {
            // A reservation is placed already.
            launch.placement = Said::Unknown;
        }
        let subnets = self.queue.pointer("/Networking/SubnetIds");
        let count = subnets.and_then(Value::as_array).map_or(0, Vec::len);
        if count > 1 {
            launch.places.push(Places {
                path: format!("{}.Networking.SubnetIds", self.queue_path),
                what: format!("instances in {count} subnets"),
            });
        }
        let volume = "/ComputeSettings/LocalStorage/RootVolume/Encrypted";
        if let Some(encrypted) = self.queue.pointer(volume) {
            launch.volumes.push(Volume {
                path: format!("{}.{}", self.queue_path, volume[1..].replace('/', ".")),
                encrypted: Said::Is(*encrypted == true),
            });
        }
        rules::check_launch(&launch, document.catalog, found);
    }
}
