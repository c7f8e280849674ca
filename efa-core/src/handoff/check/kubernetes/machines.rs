//! Machines of Cluster API, and launch templates and instances of Crossplane and ACK.

use serde_json::{Map, Value, json};

use super::kinds::group;
use super::shapes::MACHINE;
use super::values::{kind, list, text};
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::interfaces::unread_type;
use crate::handoff::check::launch::{At, Launch, Said, Spelling};
use crate::handoff::check::launch_template::corrected;
use crate::handoff::check::report::DocumentFormat;
use crate::handoff::check::rules;
use crate::handoff::check::shape;

pub(super) fn check_machine(document: &Checked<'_>, found: &mut Findings) {
    let value = document.document;
    let cluster_api = group(value) == "infrastructure.cluster.x-k8s.io";
    let places: &[&str] = if cluster_api {
        &["/spec/template/spec", "/spec/awsLaunchTemplate", "/spec"]
    } else {
        &["/spec/forProvider", "/spec/data", "/spec"]
    };
    let here = document.prefix.trim_end_matches('.');
    let name = text(value, "/metadata/name").unwrap_or(here);
    let spec = places.iter().find_map(|at| Some((*at, value.pointer(at)?)));
    let Some((at, spec)) = spec.filter(|(_, spec)| spec.is_object()) else {
        found.nothing_to_check(kind(value), name, here);
        return;
    };
    let path = document.path(&at.trim_start_matches('/').replace('/', "."));
    if cluster_api {
        let object = shape::Object {
            name,
            path: &path,
            value: spec,
            blocks: false,
        };
        object.check_shapes(MACHINE, found);
    }
    let data = if cluster_api {
        machine(spec)
    } else {
        spec.clone()
    };
    let at = At {
        base: path,
        spelling: Spelling::Camel,
    };
    let mut launch = Launch::read(&data, DocumentFormat::Kubernetes, at);
    launch.corrected = Box::new(|layout| corrected(layout, &Value::Null));
    let overrides = list(value, "/spec/mixedInstancesPolicy/overrides").iter();
    for kind in overrides.filter_map(|entry| entry.get("instanceType")) {
        launch.types.add(kind);
    }
    if launch.types.names.is_empty() {
        unread_type(&launch, found);
    }
    let listed = !matches!(launch.interfaces, Said::Not);
    rules::check_launch(&launch, document.catalog, found);
    if listed {
        found.out_of_sight(
            "whether the security groups have self-referencing ingress and egress rules for all \
             protocols: Client.verify_instance of a node reads them",
        );
    }
}

/// The specification of an AWSMachine (Cluster API's AWS provider, `v1beta2`) in EC2's words: it
/// has one interface, whose type is `networkInterfaceType`.
fn machine(spec: &Value) -> Value {
    let mut data = Map::new();
    let mut put = |key: &str, value: Value| {
        data.insert(key.to_owned(), value);
    };
    if let Some(kind) = spec.get("instanceType") {
        put("InstanceType", kind.clone());
    }
    if let Some(kind) = spec.get("networkInterfaceType") {
        let public = spec.get("publicIP").cloned().unwrap_or(Value::Null);
        let interface =
            json!({"DeviceIndex": 0, "InterfaceType": kind, "AssociatePublicIpAddress": public});
        put("NetworkInterfaces", json!([interface]));
    }
    if let Some(name) = spec.get("placementGroupName") {
        put("Placement", json!({"GroupName": name}));
    }
    if let Some(id) = spec.get("capacityReservationId") {
        let target = json!({"CapacityReservationId": id});
        put(
            "CapacityReservationSpecification",
            json!({"CapacityReservationTarget": target}),
        );
    }
    if text(spec, "/marketType") == Some("CapacityBlock") {
        put(
            "InstanceMarketOptions",
            json!({"MarketType": "capacity-block"}),
        );
    }
    if let Some(tokens) = spec.pointer("/instanceMetadataOptions/httpTokens") {
        put("MetadataOptions", json!({"HttpTokens": tokens}));
    }
    if let Some(volume) = spec.get("rootVolume") {
        let ebs = json!({"Encrypted": volume.get("encrypted")});
        put("BlockDeviceMappings", json!([{"Ebs": ebs}]));
    }
    Value::Object(data)
}
