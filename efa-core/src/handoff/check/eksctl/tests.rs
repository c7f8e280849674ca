use serde_json::{Value, json};

use super::FINDINGS;
use crate::catalog::Catalog;
use crate::handoff::check;

fn found(key: &str, group: &Value) -> Vec<String> {
    let config = json!({
        "apiVersion": "eksctl.io/v1alpha5",
        "kind": "ClusterConfig",
        "metadata": {"name": "eks", "region": "us-east-1"},
        key: [group],
    });
    let report = check(&config.to_string(), Catalog::bundled()).unwrap();
    report.findings.into_iter().map(|f| f.id).collect()
}

#[test]
fn the_keys_are_those_of_the_schema() {
    let schema = include_str!("../../../../../tests/data/eksctl/schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let mut keys: Vec<&str> = ["NodeGroup", "ManagedNodeGroup"]
        .iter()
        .map(|kind| {
            schema
                .pointer(&format!("/definitions/{kind}/properties"))
                .unwrap()
        })
        .flat_map(|properties| properties.as_object().unwrap().keys())
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys, super::KEYS);
    let top = schema
        .pointer("/definitions/ClusterConfig/properties")
        .unwrap();
    let top = top.as_object().unwrap().keys();
    assert!(top.map(String::as_str).eq(super::TOP_LEVEL.iter().copied()));
}

#[test]
fn each_broken_group_gives_its_one_finding() {
    let zones = json!(["us-east-1a"]);
    let group = |changes: Value| {
        let mut group = json!({
            "name": "efa", "instanceType": "p5.48xlarge", "efaEnabled": true,
            "availabilityZones": zones, "privateNetworking": true,
        });
        for (key, value) in changes.as_object().unwrap() {
            group[key] = value.clone();
        }
        group
    };
    let cases = [
        ("managedNodeGroups", "", json!({})),
        (
            "managedNodeGroups",
            "eksctl.efa_not_enabled",
            json!({"efaEnabled": false}),
        ),
        (
            "managedNodeGroups",
            "eksctl.interfaces_not_right",
            json!({"instanceType": "p6-b300.48xlarge"}),
        ),
        (
            "nodeGroups",
            "eksctl.interfaces_not_right",
            json!({"instanceType": "hpc6id.32xlarge"}),
        ),
        (
            "managedNodeGroups",
            "eksctl.no_instance_type",
            json!({"instanceType": null}),
        ),
        (
            "nodeGroups",
            "eksctl.placement_group_with_reservation",
            json!({"capacityReservation": {"capacityReservationPreference": "open"}}),
        ),
        (
            "managedNodeGroups",
            "",
            json!({"capacityReservation": {"capacityReservationPreference": "open"}}),
        ),
        (
            "managedNodeGroups",
            "eksctl.public_networking",
            json!({"privateNetworking": false}),
        ),
        (
            "managedNodeGroups",
            "eksctl.several_types",
            json!({"instanceType": null, "instanceTypes": ["p4d.24xlarge", "p5.48xlarge"]}),
        ),
        (
            "managedNodeGroups",
            "eksctl.several_zones",
            json!({"availabilityZones": ["us-east-1a", "us-east-1b"]}),
        ),
        (
            "managedNodeGroups",
            "",
            json!({"launchTemplate": {"id": "lt-1"}, "efaEnabled": null, "instanceType": null}),
        ),
    ];
    let mut produced: Vec<&str> = Vec::new();
    for (key, id, changes) in cases {
        let expected: &[&str] = if id.is_empty() { &[] } else { &[id] };
        assert_eq!(found(key, &group(changes.clone())), expected, "{changes}");
        produced.extend(expected);
    }
    produced.sort_unstable();
    produced.dedup();
    assert_eq!(produced, FINDINGS);
}
