//! Compares a cluster with what it should be. Pure: no calls, no clock.

use std::collections::BTreeSet;

use crate::cluster::{Cluster, Expected};
use crate::ec2::{AttachedInterface, Instance, InstanceState, Rule, SecurityGroup};
use crate::layout::PublicIp;
use crate::plan::security_group::{
    command_that_revokes, commands_that_add, missing_self_rules, ssh_rule,
};
use crate::spec::Capacity;
use crate::tags;
use crate::types::{CardIndex, DeviceIndex, PlacementStrategy};

mod instance;
mod report;

pub use instance::InstanceReport;
pub(crate) use instance::{Surroundings, check_instance, efa_group_ids};
pub use report::{Finding, Report};

use report::RELAUNCH;

const REPLACE: &str = "destroy and apply again";

/// Compares `cluster` with `expected`.
pub(crate) fn compare_cluster(expected: &Expected, cluster: &Cluster) -> Report {
    let mut report = Report {
        name: expected.name.clone(),
        fingerprint: expected.fingerprint.clone(),
        instances: cluster.instances.len(),
        interfaces: cluster.instances.iter().map(|i| i.interfaces.len()).sum(),
        checks: 0,
        findings: Vec::new(),
    };
    report.compare(
        "count",
        &expected.name,
        expected.count as usize,
        cluster.instances.len(),
        REPLACE,
    );
    for instance in &cluster.instances {
        verify_instance(&mut report, expected, instance);
    }
    let zones: BTreeSet<&str> = cluster
        .instances
        .iter()
        .map(|i| i.availability_zone.as_str())
        .collect();
    report.compare(
        "availability_zone",
        &expected.name,
        1,
        zones.len().max(1),
        "EFA traffic does not cross zones",
    );
    verify_groups(&mut report, expected, cluster);
    report
}

fn verify_instance(report: &mut Report, expected: &Expected, instance: &Instance) {
    let id = instance.instance_id.as_str();
    let state_cure = instance
        .state_reason
        .as_deref()
        .unwrap_or("start it, or destroy and apply again");
    report.compare(
        "state",
        id,
        InstanceState::Running.as_str(),
        instance.state.as_str(),
        state_cure,
    );
    report.compare(
        "instance_type",
        id,
        expected.instance_type.as_str(),
        &instance.instance_type,
        REPLACE,
    );
    if expected.image_id != tags::BY_LAUNCHER {
        report.compare(
            "image",
            id,
            expected.image_id.as_str(),
            &instance.image_id,
            REPLACE,
        );
    }
    report.compare(
        "imds_v2_required",
        id,
        true,
        instance.imds_v2_required,
        "require it with ModifyInstanceMetadataOptions",
    );
    report.compare(
        "placement_group",
        id,
        expected.placement_group_name.as_deref().unwrap_or("none"),
        instance.placement_group_name.as_deref().unwrap_or("none"),
        "an instance moves only when stopped: destroy and apply again",
    );
    verify_capacity(report, expected, instance);
    let profile = instance.iam_instance_profile_arn.as_deref();
    let profile = profile.and_then(|arn| arn.rsplit('/').next());
    let expected_profile = expected.instance_profile_name.as_deref().unwrap_or("none");
    if expected_profile != tags::BY_LAUNCHER {
        report.compare(
            "instance_profile",
            id,
            expected_profile,
            profile.unwrap_or("none"),
            "replace it with ReplaceIamInstanceProfileAssociation",
        );
    }
    verify_interfaces(report, expected, instance);
    verify_public_ip(report, expected, instance);
}

fn verify_interfaces(report: &mut Report, expected: &Expected, instance: &Instance) {
    let id = instance.instance_id.as_str();
    let planned: BTreeSet<(CardIndex, DeviceIndex)> = expected
        .interfaces
        .iter()
        .map(|i| (i.network_card_index, i.device_index))
        .collect();
    for interface in &expected.interfaces {
        let found = instance.interfaces.iter().find(|attached| {
            (attached.network_card_index, attached.device_index)
                == (interface.network_card_index, interface.device_index)
        });
        let subject = subject(id, interface.network_card_index, interface.device_index);
        let actual = found.map_or("missing", |attached| attached.interface_type.as_str());
        report.compare(
            "interface",
            &subject,
            interface.interface_type.as_str(),
            actual,
            RELAUNCH,
        );
    }
    for attached in &instance.interfaces {
        let subject = subject(id, attached.network_card_index, attached.device_index);
        if !planned.contains(&(attached.network_card_index, attached.device_index)) {
            report.compare(
                "interface",
                &subject,
                "none",
                attached.interface_type.as_str(),
                RELAUNCH,
            );
        }
        verify_attached(report, expected, attached, &subject);
        // One that starts may have none yet.
        let lacks = attached.interface_type.carries_ip()
            && attached.private_ip_address.is_none()
            && attached.ipv6_addresses.is_empty();
        if lacks && instance.state == InstanceState::Running {
            let cure = "assign it one with AssignIpv6Addresses, or destroy and apply again";
            report.compare("address", &subject, "an IP address", "none", cure);
        }
    }
}

fn verify_capacity(report: &mut Report, expected: &Expected, instance: &Instance) {
    let reservation = instance.capacity_reservation_id.as_deref();
    let (expected, actual) = match &expected.capacity {
        Capacity::Spot => ("spot", instance.lifecycle.as_deref().unwrap_or("on-demand")),
        Capacity::Reservation(id) => (id.as_str(), reservation.unwrap_or("no reservation")),
        Capacity::Reservations(parts) => {
            let ids = || {
                parts
                    .iter()
                    .map(|part| part.capacity_reservation_id.as_str())
            };
            let expected = ids().find(|id| Some(*id) == reservation);
            let expected = expected.or_else(|| ids().next()).unwrap_or_default();
            (expected, reservation.unwrap_or("no reservation"))
        }
        // Which reservation of the group it is, EC2 chooses.
        Capacity::ReservationGroup(_) => {
            let found = reservation.map_or("no reservation", |_| "a reservation");
            ("a reservation", found)
        }
        // Any open reservation serves, or none.
        _ => (
            "on-demand",
            instance.lifecycle.as_deref().unwrap_or("on-demand"),
        ),
    };
    report.compare("capacity", &instance.instance_id, expected, actual, REPLACE);
}

fn verify_attached(
    report: &mut Report,
    expected: &Expected,
    attached: &AttachedInterface,
    subject: &str,
) {
    let planned = match expected.subnet_ids.as_slice() {
        ids if ids.contains(&attached.subnet_id) => attached.subnet_id.clone(),
        ids => ids.join(" or "),
    };
    report.compare(
        "subnet",
        subject,
        planned,
        attached.subnet_id.clone(),
        REPLACE,
    );
    report.compare(
        "delete_on_termination",
        subject,
        true,
        attached.delete_on_termination,
        "set it with ModifyNetworkInterfaceAttribute, else the interface outlives the instance",
    );
    if let Some(group) = &expected.security_group_id {
        let actual = attached.group_ids.join(" ");
        let actual = if attached.group_ids.contains(group) {
            group.clone()
        } else {
            actual
        };
        report.compare(
            "security_group",
            subject,
            group.clone(),
            actual,
            "set the interface's groups with ModifyNetworkInterfaceAttribute",
        );
    }
}

fn verify_public_ip(report: &mut Report, expected: &Expected, instance: &Instance) {
    let primary = instance.interfaces.iter().find(|i| {
        i.network_card_index == CardIndex::new(0) && i.device_index == DeviceIndex::new(0)
    });
    let has_public = primary.is_some_and(|interface| interface.public_ip.is_some());
    let wants_public = expected.public_ip != PublicIp::None;
    if wants_public || has_public {
        report.compare(
            "public_ip",
            &instance.instance_id,
            wants_public,
            has_public,
            if wants_public {
                "apply again: it associates what is missing"
            } else {
                "disassociate it if it is not wanted"
            },
        );
    }
}

fn verify_groups(report: &mut Report, expected: &Expected, cluster: &Cluster) {
    if let Some(id) = &expected.security_group_id {
        let group = cluster
            .security_group
            .as_ref()
            .filter(|group| group.group_id == *id);
        report.compare("security_group_exists", id, true, group.is_some(), REPLACE);
        if let Some(group) = group {
            verify_self_rules(report, expected, group);
            verify_ingress(report, expected, group);
        }
    }
    if let Some(name) = &expected.placement_group_name {
        let strategy = cluster
            .placement_group
            .as_ref()
            .filter(|group| group.group_name == *name)
            .map_or("missing", |group| group.strategy.as_str());
        report.compare(
            "placement_group_strategy",
            name,
            PlacementStrategy::Cluster.as_str(),
            strategy,
            REPLACE,
        );
    }
}

fn verify_self_rules(report: &mut Report, expected: &Expected, group: &SecurityGroup) {
    let missing = missing_self_rules(group);
    let names: Vec<&str> = missing.iter().map(|direction| direction.as_str()).collect();
    let both = "self-referencing ingress and egress of all protocols";
    let actual = match names.as_slice() {
        [] => both.to_owned(),
        names => format!("lacks {}", names.join(" and ")),
    };
    let cure = if tags::is_ours(&group.tags, &expected.name) {
        "apply again: it adds what is missing".to_owned()
    } else {
        format!("run: {}", commands_that_add(&missing, &group.group_id))
    };
    report.compare(
        "security_group_rule",
        &group.group_id,
        both.to_owned(),
        actual,
        &cure,
    );
}

/// A group of efa-sdk lets in nothing but itself and what the plan allows.
fn verify_ingress(report: &mut Report, expected: &Expected, group: &SecurityGroup) {
    if !tags::is_ours(&group.tags, &expected.name) {
        return;
    }
    let ssh: Vec<Rule> = expected
        .ssh_cidrs
        .iter()
        .map(|cidr| ssh_rule(cidr))
        .collect();
    for rule in &group.ingress {
        let planned = rule.allows_all_traffic_with_group(&group.group_id) || ssh.contains(rule);
        let cure = format!("run: {}", command_that_revokes(rule, &group.group_id));
        let (wanted, found) = if planned {
            (rule.to_string(), rule.to_string())
        } else {
            ("no such ingress rule".to_owned(), rule.to_string())
        };
        report.compare("security_group_rule", &group.group_id, wanted, found, &cure);
    }
    for rule in ssh.iter().filter(|rule| !group.ingress.contains(rule)) {
        let (wanted, found) = (rule.to_string(), "missing".to_owned());
        let cure = "apply again: it adds what is missing";
        report.compare("security_group_rule", &group.group_id, wanted, found, cure);
    }
}

fn subject(instance_id: &str, card: CardIndex, device: DeviceIndex) -> String {
    format!("{instance_id} card {card} device {device}")
}

#[cfg(test)]
mod tests;
