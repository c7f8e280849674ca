//! What has another shape in manifests than Kubernetes has there.

use serde_json::Value;

use super::super::document::join_path;
use super::kinds::{self, Kind};
use super::values::{kind, text};
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::shape::{self, Place, Shape};
use crate::handoff::karpenter::EFA_RESOURCE;

/// How deep pods are looked for.
const DEPTH: usize = 100;

const EVERY_MANIFEST: &[Place] = &[
    ("metadata", Shape::Mapping),
    ("metadata/name", Shape::Name),
    ("metadata/namespace", Shape::Name),
];

const NODE_CLASS: &[Place] = &[
    ("metadata/labels", Shape::Mapping),
    ("spec", Shape::Mapping),
    ("spec/advancedNetworking", Shape::Mapping),
    ("spec/advancedNetworking/networkInterfaces", Shape::Mappings),
    ("spec/amiFamily", Shape::Name),
    ("spec/amiSelectorTerms", Shape::Mappings),
    ("spec/amiSelectorTerms/*/alias", Shape::Name),
    ("spec/associatePublicIPAddress", Shape::Flag),
    ("spec/capacityReservationSelectorTerms", Shape::Mappings),
    (
        "spec/capacityReservationSelectorTerms/*/instanceMatchCriteria",
        Shape::Word,
    ),
    ("spec/networkInterfaces", Shape::Mappings),
    ("spec/placementGroupSelector", Shape::Mapping),
    ("spec/securityGroupSelectorTerms", Shape::Mappings),
    ("spec/subnetSelectorTerms", Shape::Mappings),
];

const NODE_POOL: &[Place] = &[
    ("spec", Shape::Mapping),
    ("spec/replicas", Shape::Count),
    ("spec/template", Shape::Mapping),
    ("spec/template/metadata", Shape::Mapping),
    ("spec/template/metadata/labels", Shape::Mapping),
    ("spec/template/spec", Shape::Mapping),
    ("spec/template/spec/nodeClassRef", Shape::Mapping),
    ("spec/template/spec/nodeClassRef/group", Shape::Name),
    ("spec/template/spec/nodeClassRef/kind", Shape::Name),
    ("spec/template/spec/nodeClassRef/name", Shape::Name),
    ("spec/template/spec/requirements", Shape::Mappings),
    ("spec/template/spec/requirements/*/key", Shape::Word),
    ("spec/template/spec/requirements/*/operator", Shape::Word),
    ("spec/template/spec/taints", Shape::Mappings),
    ("spec/template/spec/taints/*/effect", Shape::Name),
    ("spec/template/spec/taints/*/key", Shape::Name),
    ("spec/template/spec/taints/*/value", Shape::Name),
];

const NODE_OVERLAY: &[Place] = &[("spec", Shape::Mapping), ("spec/capacity", Shape::Mapping)];

const CLAIM: &[Place] = &[
    ("spec", Shape::Mapping),
    ("spec/devices", Shape::Mapping),
    ("spec/devices/requests", Shape::Mappings),
    ("spec/devices/requests/*/deviceClassName", Shape::Word),
    ("spec/devices/requests/*/exactly", Shape::Mapping),
    (
        "spec/devices/requests/*/exactly/deviceClassName",
        Shape::Word,
    ),
    ("spec/spec", Shape::Mapping),
    ("spec/spec/devices", Shape::Mapping),
    ("spec/spec/devices/requests", Shape::Mappings),
    ("spec/spec/devices/requests/*/deviceClassName", Shape::Word),
    ("spec/spec/devices/requests/*/exactly", Shape::Mapping),
    (
        "spec/spec/devices/requests/*/exactly/deviceClassName",
        Shape::Word,
    ),
];

const CLUSTER_API: &[Place] = &[
    ("spec", Shape::Mapping),
    ("spec/awsLaunchTemplate", Shape::Mapping),
    ("spec/mixedInstancesPolicy", Shape::Mapping),
    ("spec/mixedInstancesPolicy/overrides", Shape::Mappings),
    ("spec/template", Shape::Mapping),
    ("spec/template/spec", Shape::Mapping),
];

/// What is read of the specification of a machine of Cluster API.
pub(super) const MACHINE: &[Place] = &[
    ("capacityReservationId", Shape::Name),
    ("instanceMetadataOptions", Shape::Mapping),
    ("instanceMetadataOptions/httpTokens", Shape::Word),
    ("marketType", Shape::Word),
    ("networkInterfaceType", Shape::Word),
    ("placementGroupName", Shape::Name),
    ("publicIP", Shape::Flag),
    ("rootVolume", Shape::Mapping),
    ("rootVolume/encrypted", Shape::Flag),
];

/// Names what has another shape than a manifest of its kind has.
pub(super) fn check_shapes(document: &Checked<'_>, found: &mut Findings) {
    let value = document.document;
    let path = document.prefix.trim_end_matches('.');
    let object = shape::Object {
        name: text(value, "/metadata/name").unwrap_or(path),
        path,
        value,
        blocks: false,
    };
    object.check_shapes(EVERY_MANIFEST, found);
    let places = match kinds::kind_of(value) {
        Kind::Ec2NodeClass | Kind::AutoModeNodeClass => NODE_CLASS,
        Kind::NodePool => NODE_POOL,
        Kind::NodeOverlay => NODE_OVERLAY,
        Kind::Claim => CLAIM,
        Kind::Machine if kinds::group(value) == "infrastructure.cluster.x-k8s.io" => CLUSTER_API,
        Kind::Workload => {
            let argo = kinds::group(value) == "argoproj.io";
            check_pods(&object, value, document.path(""), argo, DEPTH, found);
            return;
        }
        _ => return,
    };
    object.check_shapes(places, found);
}

/// Keys of what runs pods, and of pods, at any depth.
const OF_PODS: &[Place] = &[
    ("affinity", Shape::Mapping),
    ("containers", Shape::Mappings),
    ("containerSet", Shape::Mapping),
    ("extraPodSpec", Shape::Mapping),
    ("headGroupSpec", Shape::Mapping),
    ("initContainers", Shape::Mappings),
    ("jobTemplate", Shape::Mapping),
    ("key", Shape::Name),
    ("leaderTemplate", Shape::Mapping),
    ("leaderWorkerTemplate", Shape::Mapping),
    ("limits", Shape::Mapping),
    ("mainContainer", Shape::Mapping),
    ("matchExpressions", Shape::Mappings),
    ("nodeAffinity", Shape::Mapping),
    ("nodeSelector", Shape::Mapping),
    ("nodeSelector/*", Shape::Name),
    ("nodeSelectorTerms", Shape::Mappings),
    ("operator", Shape::Name),
    ("podTemplateOverrides", Shape::Mappings),
    ("rayClusterConfig", Shape::Mapping),
    ("rayClusterSpec", Shape::Mapping),
    ("replicatedJobs", Shape::Mappings),
    ("requests", Shape::Mapping),
    (
        "requiredDuringSchedulingIgnoredDuringExecution",
        Shape::Mapping,
    ),
    ("resourceClaimName", Shape::Name),
    ("resourceClaimTemplateName", Shape::Name),
    ("resourceClaims", Shape::Mappings),
    ("resources", Shape::Mapping),
    ("resourcesPerNode", Shape::Mapping),
    ("runtimePatches", Shape::Mappings),
    ("services", Shape::Mapping),
    ("services/*", Shape::Mapping),
    ("sidecars", Shape::Mappings),
    ("spec", Shape::Mapping),
    ("tasks", Shape::Mappings),
    ("template", Shape::Mapping),
    ("templates", Shape::Mappings),
    ("tolerations", Shape::Mappings),
    ("trainer", Shape::Mapping),
    ("values", Shape::Names),
    ("workerGroupSpecs", Shape::Mappings),
    ("workerTemplate", Shape::Mapping),
];

/// Keys below which no pod stands.
const WITHOUT_PODS: &[&str] = &[
    "annotations",
    "args",
    "arguments",
    "command",
    "data",
    "env",
    "inputs",
    "labels",
    "outputs",
    "volumes",
];

fn check_pods(
    object: &shape::Object<'_>,
    value: &Value,
    path: String,
    argo: bool,
    depth: usize,
    found: &mut Findings,
) {
    let Some(deeper) = depth.checked_sub(1) else {
        return;
    };
    match value {
        Value::Array(list) => {
            for (number, value) in list.iter().enumerate() {
                let path = join_path(path.trim_end_matches('.'), &number.to_string());
                check_pods(object, value, path, argo, deeper, found);
            }
        }
        Value::Object(map) => {
            let within = shape::Object {
                name: object.name,
                path: path.trim_end_matches('.'),
                value,
                blocks: false,
            };
            for (key, value) in map {
                if WITHOUT_PODS.contains(&key.as_str()) {
                    continue;
                }
                // Steps of Argo name their template there, and pods' affinity has a list.
                let named = (argo && key == "template" && value.is_string())
                    || (key == "requiredDuringSchedulingIgnoredDuringExecution"
                        && value.is_array());
                let of_key = |(at, _): &&Place| at.split('/').next() == Some(key);
                let places = OF_PODS.iter().filter(of_key);
                for place in places.filter(|_| !named) {
                    within.check_shapes(std::slice::from_ref(place), found);
                }
                if key.ends_with("ReplicaSpecs") {
                    within.check_shapes(REPLICAS, found);
                }
                let path = join_path(path.trim_end_matches('.'), key);
                check_pods(object, value, path, argo, deeper, found);
            }
        }
        // A patch, or a manifest that is made in a step.
        Value::String(text) if text.contains(EFA_RESOURCE) && text.contains(['{', ':']) => {
            let reason = "a text that is about EFA, and is not read here: check what is made of it";
            found.unread("text", object.name, &path, reason);
        }
        _ => {}
    }
}

/// Kubeflow's jobs: pods by the role of each.
const REPLICAS: &[Place] = &[
    ("jaxReplicaSpecs/*", Shape::Mapping),
    ("mpiReplicaSpecs/*", Shape::Mapping),
    ("mxReplicaSpecs/*", Shape::Mapping),
    ("paddleReplicaSpecs/*", Shape::Mapping),
    ("pytorchReplicaSpecs/*", Shape::Mapping),
    ("replicaSpecs/*", Shape::Mapping),
    ("tfReplicaSpecs/*", Shape::Mapping),
    ("xgbReplicaSpecs/*", Shape::Mapping),
];

/// Whether pods of a workload may be left out: its kind has them elsewhere, or has a part that
/// needs none of its own.
pub(super) fn may_lack_pods(document: &Value) -> bool {
    kind(document) == "DynamoGraphDeployment" || document.pointer("/spec/runtimeRef").is_some()
}
