//! The EFA part of an eksctl ClusterConfig.

use serde_json::Value;

use super::document::{Checked, Findings};
use super::interfaces::too_few;
use super::report::{DocumentFinding, Severity};
use crate::catalog::InstanceType;
use crate::handoff::eksctl::interfaces_of_cards;
use crate::layout::violations;

/// Every finding of this module beside those of interfaces.
pub(crate) const FINDINGS: &[&str] = &[
    "eksctl.efa_not_enabled",
    "eksctl.interfaces_not_right",
    "eksctl.no_instance_type",
    "eksctl.placement_group_beside_reservation",
    "eksctl.public_networking",
    "eksctl.several_types",
    "eksctl.several_zones",
];

pub(super) fn check_cluster_config(document: &Checked<'_>, found: &mut Findings) {
    for key in ["nodeGroups", "managedNodeGroups"] {
        let groups = document.document.get(key).and_then(Value::as_array);
        for (at, group) in groups.into_iter().flatten().enumerate() {
            let path = document.path(&format!("{key}.{at}"));
            Group {
                group,
                path,
                managed: key == "managedNodeGroups",
            }
            .check(document, found);
        }
    }
}

struct Group<'a> {
    group: &'a Value,
    path: String,
    managed: bool,
}

impl Group<'_> {
    fn check(&self, document: &Checked<'_>, found: &mut Findings) {
        if self.group.get("launchTemplate").is_some() {
            found.out_of_sight("the launch template that a node group names: check it on its own");
            return;
        }
        let names = self.types();
        let types: Vec<&InstanceType> = names
            .iter()
            .filter_map(|name| document.catalog.get(name))
            .collect();
        let efa = self.group.get("efaEnabled") == Some(&Value::Bool(true));
        if !efa {
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
            return;
        }
        if names.is_empty() {
            self.push(
                found,
                Severity::Error,
                "eksctl.no_instance_type",
                "instanceType",
                "eksctl's default type has no EFA".to_owned(),
                "name an EFA type",
            );
        }
        for name in names
            .iter()
            .filter(|name| document.catalog.get(name).is_none())
        {
            found.out_of_sight(&format!(
                "whether {name} has EFA, which the catalogue does not hold: give one of your \
                 Region (Client.catalog)"
            ));
        }
        self.check_interfaces(&types, found);
        self.check_place(found);
        found.out_of_sight(
            "whether the security groups have the all-protocol rules with themselves both ways: \
             eksctl makes one that has, except for Kubernetes from 1.33, where the cluster's own \
             must; Client.verify_instance of a node reads them",
        );
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
        let derived = interfaces_of_cards(cards);
        for instance_type in types {
            if let Some(violation) = violations(instance_type, &derived).first() {
                self.push(
                    found,
                    Severity::Error,
                    "eksctl.interfaces_not_right",
                    "efaEnabled",
                    format!(
                        "the interfaces that eksctl derives fail for {}: {}",
                        instance_type.name, violation.message
                    ),
                    "use a managed node group with a launch template that lists them \
                     (launchTemplate.id; Plan.to_launch_template for eks-managed-node-group)",
                );
                return;
            }
        }
        let fewer = types
            .iter()
            .find(|t| too_few(t, derived.len(), "").is_some());
        if let Some(fewer) = fewer {
            self.push(
                found,
                Severity::Warning,
                "eksctl.several_types",
                "instanceTypes",
                format!(
                    "{} EFA on each node, as the type with the fewest network cards has; {} can \
                     have {}",
                    derived.len(),
                    fewer.name,
                    fewer.maximum_efa_interfaces
                ),
                "make one node group for each type",
            );
        }
    }

    fn check_place(&self, found: &mut Findings) {
        for key in ["availabilityZones", "subnets"] {
            let places = self
                .group
                .get(key)
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            if places > 1 {
                self.push(
                    found,
                    Severity::Error,
                    "eksctl.several_zones",
                    key,
                    format!("{places} {key}: eksctl refuses more than one with efaEnabled"),
                    "name one",
                );
            }
        }
        if self.group.get("privateNetworking") != Some(&Value::Bool(true)) {
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
                "eksctl.placement_group_beside_reservation",
                "capacityReservation",
                "eksctl makes a placement group for nodeGroups that name none: EC2 then has no \
                 capacity although the reservation is free"
                    .to_owned(),
                "use managedNodeGroups, for which it makes none beside a reservation",
            );
        }
    }
}

#[cfg(test)]
mod tests {
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
                "eksctl.placement_group_beside_reservation",
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
}
