//! The EFA part of an eksctl ClusterConfig.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::document::{Checked, Findings};
use super::interfaces::{check_types_for_efa, unknown_type};
use super::launch::{At, Launch, Places, Said, Spelling};
use super::names;
use super::report::{DocumentFinding, DocumentFormat, Severity};
use super::rules;
use super::shape::{self, Place, Shape};
use super::unknown::is_unknown_text;
use crate::catalog::{InstanceType, Lookup};
use crate::handoff::eksctl::interfaces_of_cards;
use crate::layout::violations;

/// Every finding of this module besides those of interfaces.
pub(crate) const FINDINGS: &[&str] = &[
    "eksctl.efa_not_enabled",
    "eksctl.interfaces_not_right",
    "eksctl.no_instance_type",
    "eksctl.placement_group_with_reservation",
    "eksctl.public_networking",
    "eksctl.several_types",
    "eksctl.several_zones",
];

/// The keys of node groups, managed or not, in the JSON schema of eksctl; a test compares.
const KEYS: &[&str] = &[
    "additionalVolumes",
    "ami",
    "amiFamily",
    "asgMetricsCollection",
    "asgSuspendProcesses",
    "availabilityZones",
    "bottlerocket",
    "capacityReservation",
    "classicLoadBalancerNames",
    "clusterDNS",
    "containerRuntime",
    "cpuCredits",
    "desiredCapacity",
    "disableIMDSv1",
    "disablePodIMDS",
    "ebsOptimized",
    "efaEnabled",
    "enableDetailedMonitoring",
    "enclaveEnabled",
    "iam",
    "instanceMarketOptions",
    "instanceName",
    "instancePrefix",
    "instanceSelector",
    "instanceType",
    "instanceTypes",
    "instancesDistribution",
    "kubeletExtraConfig",
    "labels",
    "launchTemplate",
    "localZones",
    "maxInstanceLifetime",
    "maxPodsPerNode",
    "maxSize",
    "minSize",
    "name",
    "nodeRepairConfig",
    "outpostARN",
    "overrideBootstrapCommand",
    "placement",
    "preBootstrapCommands",
    "privateNetworking",
    "propagateASGTags",
    "releaseVersion",
    "securityGroups",
    "spot",
    "ssh",
    "subnets",
    "tags",
    "taints",
    "targetGroupARNs",
    "updateConfig",
    "volumeEncrypted",
    "volumeIOPS",
    "volumeKmsKeyID",
    "volumeName",
    "volumeSize",
    "volumeThroughput",
    "volumeType",
];

/// The keys of ClusterConfig in the JSON schema of eksctl; a test compares.
const TOP_LEVEL: &[&str] = &[
    "accessConfig",
    "addons",
    "addonsConfig",
    "apiVersion",
    "autoModeConfig",
    "availabilityZones",
    "capabilities",
    "cloudWatch",
    "controlPlaneScalingConfig",
    "fargateProfiles",
    "gitops",
    "iam",
    "iamIdentityMappings",
    "identityProviders",
    "karpenter",
    "kind",
    "kubeAPIServerConfig",
    "kubeControllerManagerConfig",
    "kubeSchedulerConfig",
    "kubernetesNetworkConfig",
    "localZones",
    "managedNodeGroups",
    "metadata",
    "nodeGroups",
    "outpost",
    "privateCluster",
    "remoteNetworkConfig",
    "secretsEncryption",
    "upgradePolicy",
    "vpc",
    "zonalShiftConfig",
];

/// What is read of a ClusterConfig.
const PLACES: &[Place] = &[
    ("availabilityZones", Shape::Names),
    ("managedNodeGroups", Shape::Mappings),
    ("metadata", Shape::Mapping),
    ("metadata/name", Shape::Name),
    ("nodeGroups", Shape::Mappings),
];

/// What is read of a node group.
const GROUP_PLACES: &[Place] = &[
    ("availabilityZones", Shape::Names),
    ("capacityReservation", Shape::Mapping),
    (
        "capacityReservation/capacityReservationTarget",
        Shape::Mapping,
    ),
    ("disableIMDSv1", Shape::Flag),
    ("efaEnabled", Shape::Flag),
    ("instanceMarketOptions", Shape::Mapping),
    ("instanceMarketOptions/marketType", Shape::Word),
    ("instanceSelector", Shape::Mapping),
    ("instanceType", Shape::Word),
    ("instanceTypes", Shape::Names),
    ("instancesDistribution", Shape::Mapping),
    ("instancesDistribution/instanceTypes", Shape::Names),
    ("launchTemplate", Shape::Mapping),
    ("localZones", Shape::Names),
    ("name", Shape::Name),
    ("placement", Shape::Mapping),
    ("placement/groupName", Shape::Name),
    ("privateNetworking", Shape::Flag),
    ("subnets", Shape::Names),
    ("volumeEncrypted", Shape::Flag),
];

pub(super) fn check_cluster_config(document: &Checked<'_>, found: &mut Findings) {
    let whole = shape::Object {
        name: "ClusterConfig",
        path: document.prefix.trim_end_matches('.'),
        value: document.document,
        blocks: false,
    };
    whole.check_shapes(PLACES, found);
    let zones = document.document.get("availabilityZones");
    let zones = zones.and_then(Value::as_array).map(Vec::len);
    let keys = document.document.as_object().into_iter().flatten();
    for (key, _) in keys.filter(|(key, _)| !TOP_LEVEL.contains(&key.as_str())) {
        let reason = "a key that ClusterConfig does not have";
        found.unread("key", key, &document.path(key), reason);
    }
    let keys = ["nodeGroups", "managedNodeGroups"];
    let groups = |key: &str| document.document.get(key).and_then(Value::as_array);
    if keys.iter().all(|key| groups(key).is_none_or(Vec::is_empty)) {
        let path = document.prefix.trim_end_matches('.');
        let name = document.document.pointer("/metadata/name");
        let name = name.and_then(Value::as_str).unwrap_or(path);
        found.nothing_to_check("ClusterConfig", name, path);
    }
    let named = keys.iter().flat_map(|key| {
        let groups = groups(key).into_iter().flatten().enumerate();
        groups.filter_map(move |(at, group)| {
            Some(names::Object {
                kind: "node group".to_owned(),
                name: group.get("name")?.as_str()?,
                path: document.path(&format!("{key}.{at}.name")),
                value: group,
            })
        })
    });
    names::check_names(DocumentFormat::Eksctl, named, found);
    let refusals = Refusals::default();
    for key in keys {
        let given = document
            .document
            .get(key)
            .filter(|groups| !groups.is_null());
        let groups = given.and_then(Value::as_array);
        for (at, group) in groups.into_iter().flatten().enumerate() {
            let path = document.path(&format!("{key}.{at}"));
            Group {
                group,
                path,
                managed: key == "managedNodeGroups",
                zones_of_cluster: zones,
                refusals: &refusals,
            }
            .check(document, found);
        }
    }
}

/// A Boolean as eksctl's parser takes it: YAML 1.1 has more words for it.
fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(text)) => {
            let words = ["true", "yes", "on", "y"];
            words.iter().any(|word| text.eq_ignore_ascii_case(word))
        }
        _ => false,
    }
}

struct Group<'a> {
    group: &'a Value,
    path: String,
    managed: bool,
    /// How many zones the cluster names; `None` where eksctl chooses them.
    zones_of_cluster: Option<usize>,
    refusals: &'a Refusals,
}

/// Why EC2 refuses the interfaces that eksctl derives, by type and network cards: worked out once for
/// a text.
#[derive(Default)]
struct Refusals(RefCell<HashMap<(String, u32), Option<String>>>);

impl Refusals {
    /// The first reason for a type with EFA on this many cards.
    fn reason_for(&self, instance_type: &InstanceType, cards: u32) -> Option<String> {
        let key = (instance_type.name.clone(), cards);
        let first = || {
            let found = violations(instance_type, &interfaces_of_cards(cards));
            Some(found.into_iter().next()?.message)
        };
        let mut known = self.0.borrow_mut();
        known.entry(key).or_insert_with(first).clone()
    }
}

impl Group<'_> {
    fn check(&self, document: &Checked<'_>, found: &mut Findings) {
        let name = self.group.get("name").and_then(Value::as_str);
        let object = shape::Object {
            name: name.unwrap_or(&self.path),
            path: &self.path,
            value: self.group,
            blocks: false,
        };
        object.check_shapes(GROUP_PLACES, found);
        if self.group.get("launchTemplate").is_some() {
            found.out_of_sight("the launch template that a node group names: check it on its own");
            let path = format!("{}.launchTemplate", self.path);
            found.unread("launch template", object.name, &path, "check it on its own");
            return;
        }
        let names = self.types();
        let types: Vec<&InstanceType> = names
            .iter()
            .filter_map(|name| document.catalog.get(name))
            .collect();
        if !is_true(self.group.get("efaEnabled")) {
            if let [only] = types.as_slice()
                && names.len() == 1
            {
                self.push(
                    found,
                    Severity::Warning,
                    "eksctl.efa_not_enabled",
                    "efaEnabled",
                    format!(
                        "no EFA, {} can have {}",
                        only.name, only.maximum_efa_interfaces
                    ),
                    "write efaEnabled: true, unless you meant none",
                );
            }
            for name in &names {
                let unknown = document.catalog.look_up(name);
                if matches!(unknown, Lookup::Unknown | Lookup::Misspelt) && !is_unknown_text(name) {
                    let path = format!("{}.instanceType", self.path);
                    unknown_type(name, unknown, document.catalog, &path, found);
                }
            }
            return;
        }
        let selected = self.group.get("instanceSelector").is_some();
        if selected && names.is_empty() {
            let path = format!("{}.instanceSelector", self.path);
            let reason = "the types that it selects: list them (eksctl create nodegroup --dry-run)";
            found.unread("instance types", &path, &path, reason);
        } else if names.is_empty() {
            self.push(
                found,
                Severity::Error,
                "eksctl.no_instance_type",
                "instanceType",
                "eksctl's default type has no EFA".to_owned(),
                "name an EFA type",
            );
        }
        let path = format!("{}.instanceType", self.path);
        let catalog = document.catalog;
        check_types_for_efa(names, "efaEnabled", catalog, &path, found);
        self.check_interfaces(&types, found);
        self.check_place(&types, found);
        self.check_launch(document, found);
        found.out_of_sight(
            "whether the security groups have self-referencing ingress and egress rules for all \
             protocols: \
             eksctl makes one that has, except for Kubernetes from 1.33, where the cluster's own \
             must; Client.verify_instance of a node reads them",
        );
    }

    /// The rules on any launch.
    fn check_launch(&self, document: &Checked<'_>, found: &mut Findings) {
        let group = self.group;
        let at = At {
            base: self.path.clone(),
            spelling: Spelling::Eksctl,
        };
        let nothing = json!({});
        let mut launch = Launch::read(&nothing, DocumentFormat::Eksctl, at);
        launch.wants_efa = true;
        if group.pointer("/placement/groupName").is_some() {
            launch.placement = Said::Is("Placement".to_owned());
        }
        let market = group.pointer("/instanceMarketOptions/marketType");
        if let Some(market) = market.or_else(|| group.get("capacityType")) {
            let text = market.as_str().unwrap_or_default();
            launch.block = Said::Is(["capacity-block", "CAPACITY_BLOCK"].contains(&text));
        }
        let target = group.pointer("/capacityReservation/capacityReservationTarget");
        launch.reservation = Said::Is(target.is_some());
        if let Some(disabled) = group.get("disableIMDSv1") {
            launch.tokens_required = Said::Is(is_true(Some(disabled)));
        }
        if let Some(encrypted) = group.get("volumeEncrypted") {
            launch.volumes.push(super::launch::Volume {
                path: format!("{}.volumeEncrypted", self.path),
                encrypted: Said::Is(is_true(Some(encrypted))),
            });
        }
        let keys = group.as_object().into_iter().flat_map(|map| map.keys());
        let unknown = keys.filter(|key| !KEYS.contains(&key.as_str()));
        launch.unknown_parameters = unknown.cloned().collect();
        launch.places = self.places();
        rules::check_launch(&launch, document.catalog, found);
    }

    /// Several zones or subnets, its own or, where it names none, all of the cluster.
    fn places(&self) -> Vec<Places> {
        let mut places = Vec::new();
        let mut named = false;
        for key in ["availabilityZones", "subnets", "localZones"] {
            let list = self.group.get(key).and_then(Value::as_array);
            let count = list.map_or(0, Vec::len);
            named |= count > 0;
            if count > 1 {
                places.push(Places {
                    path: format!("{}.{key}", self.path),
                    what: format!("{count} {key}, and eksctl takes one with efaEnabled"),
                });
            }
        }
        if !named && self.zones_of_cluster != Some(1) {
            let zones = self
                .zones_of_cluster
                .map(|zones| format!(" in {zones} zones"));
            places.push(Places {
                path: format!("{}.availabilityZones", self.path),
                what: format!(
                    "no zone and no subnet: eksctl gives the group every subnet of the cluster{}",
                    zones.unwrap_or_default()
                ),
            });
        }
        places
    }

    fn push(
        &self,
        found: &mut Findings,
        severity: Severity,
        id: &str,
        key: &str,
        message: String,
        cure: &str,
    ) {
        debug_assert!(FINDINGS.contains(&id), "{id} is not listed");
        let path = format!("{}.{key}", self.path);
        found.push(DocumentFinding::new(severity, id, path, message, cure));
    }

    fn types(&self) -> Vec<&str> {
        let one = self.group.get("instanceType").and_then(Value::as_str);
        let several = ["/instanceTypes", "/instancesDistribution/instanceTypes"];
        let several = several
            .iter()
            .filter_map(|at| self.group.pointer(at)?.as_array());
        let several = several.flatten().filter_map(Value::as_str);
        one.into_iter()
            .filter(|name| *name != "mixed")
            .chain(several)
            .collect()
    }

    /// What eksctl derives, for every type of the group: `efa` on as many cards as the type with
    /// the fewest has.
    fn check_interfaces(&self, types: &[&InstanceType], found: &mut Findings) {
        let cards = types.iter().map(|t| t.network_cards.len()).min();
        let Some(cards) = cards.and_then(|cards| u32::try_from(cards).ok()) else {
            return;
        };
        let derived = cards as usize;
        for instance_type in types {
            if let Some(message) = self.refusals.reason_for(instance_type, cards) {
                self.push(
                    found,
                    Severity::Error,
                    "eksctl.interfaces_not_right",
                    "efaEnabled",
                    format!(
                        "the interfaces that eksctl derives fail for {}: {message}",
                        instance_type.name
                    ),
                    "use a managed node group with a launch template that lists them \
                     (launchTemplate.id; Plan.to_launch_template for eks-managed-node-group)",
                );
                return;
            }
        }
        let fewer = types.iter().find(|t| derived < found.efa_count(t));
        if let Some(fewer) = fewer {
            self.push(
                found,
                Severity::Warning,
                "eksctl.several_types",
                "instanceTypes",
                format!(
                    "{derived} EFA on each node, as the type with the fewest network cards has; {} \
                     can have {}",
                    fewer.name, fewer.maximum_efa_interfaces
                ),
                "make one node group for each type",
            );
        }
    }

    fn check_place(&self, types: &[&InstanceType], found: &mut Findings) {
        let cards = types.iter().map(|t| t.network_cards.len()).min();
        // A lone interface may have a public address.
        let several = cards.is_none_or(|cards| cards > 1);
        if several && !is_true(self.group.get("privateNetworking")) {
            self.push(
                found,
                Severity::Warning,
                "eksctl.public_networking",
                "privateNetworking",
                "nodes with several interfaces get no public IP address, and public subnets no \
                 way out without one"
                    .to_owned(),
                "write privateNetworking: true",
            );
        }
        let reserved = self.group.get("capacityReservation").is_some();
        if !self.managed && reserved && self.group.get("placement").is_none() {
            self.push(
                found,
                Severity::Warning,
                "eksctl.placement_group_with_reservation",
                "capacityReservation",
                "eksctl makes a placement group for nodeGroups that name none: EC2 then has no \
                 capacity although the reservation is free"
                    .to_owned(),
                "use managedNodeGroups, for which eksctl creates none with a reservation",
            );
        }
    }
}

#[cfg(test)]
mod tests;
