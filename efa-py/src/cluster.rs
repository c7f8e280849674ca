//! `Cluster` and what it is made of, and the reports of `verify` and `destroy`.

use std::collections::BTreeMap;

use efa_core as core;
use pyo3::prelude::*;

use crate::choices;
use crate::convert::{list, texts};
use crate::rows::{Rows, rows};
use crate::value::value_class;

/// Each resource as its type and its id.
pub(crate) fn resources(all: &[core::error::Leftover]) -> Vec<(String, String)> {
    all.iter()
        .map(|one| (one.resource_type.clone(), one.id.clone()))
        .collect()
}

value_class! {
    /// A network interface of an instance, as DescribeInstances shows it.
    AttachedInterface(core::ec2::AttachedInterface) {
        /// `eni-…`
        network_interface_id: String = |i| i.network_interface_id.clone();
        /// Index of the network card.
        network_card_index: u32 = |i| i.network_card_index.get();
        /// Device index on that card.
        device_index: u32 = |i| i.device_index.get();
        /// `interface`, `efa` or `efa-only`.
        interface_type: String = |i| i.interface_type.to_string();
        /// `subnet-…`
        subnet_id: String = |i| i.subnet_id.clone();
        /// Ids of its security groups.
        group_ids: Vec<String> = |i| i.group_ids.clone();
        /// Its primary private IPv4 address; EFA-only interfaces have none, and none has one in an
        /// IPv6-only subnet.
        private_ip_address: Option<String> = |i| i.private_ip_address.clone();
        /// Its IPv6 addresses.
        ipv6_addresses: Vec<String> = |i| i.ipv6_addresses.clone();
        /// Its public address.
        public_ip: Option<String> = |i| i.public_ip.clone();
        /// Whether it goes with the instance.
        delete_on_termination: bool = |i| i.delete_on_termination;
    }
    repr = |i| format!(
        "<AttachedInterface {} card {} device {} {}>",
        i.network_interface_id,
        i.network_card_index,
        i.device_index,
        i.interface_type
    );
}

value_class! {
    /// An instance, as DescribeInstances shows it.
    Instance(core::ec2::Instance) {
        /// `i-…`
        instance_id: String = |i| i.instance_id.clone();
        /// The instance type's name.
        instance_type: String = |i| i.instance_type.clone();
        /// Its state, such as `running`.
        state: String = |i| i.state.to_string();
        /// Why EC2 changed the state, where it states this.
        state_reason: Option<String> = |i| i.state_reason.clone();
        /// `ami-…`
        image_id: String = |i| i.image_id.clone();
        /// `subnet-…`
        subnet_id: Option<String> = |i| i.subnet_id.clone();
        /// The Availability Zone's name.
        availability_zone: String = |i| i.availability_zone.clone();
        /// The placement group's name.
        placement_group_name: Option<String> = |i| i.placement_group_name.clone();
        /// Its primary private IPv4 address; None in an IPv6-only subnet.
        private_ip_address: Option<String> = |i| i.private_ip_address.clone();
        /// Its IPv6 address.
        ipv6_address: Option<String> = |i| i.ipv6_address.clone();
        /// Its public address.
        public_ip_address: Option<String> = |i| i.public_ip_address.clone();
        /// Whether its metadata service demands session tokens.
        imds_v2_required: bool = |i| i.imds_v2_required;
        /// `spot` or `capacity-block`; None on demand.
        lifecycle: Option<String> = |i| i.lifecycle.clone();
        /// The capacity reservation that it runs in.
        capacity_reservation_id: Option<String> = |i| i.capacity_reservation_id.clone();
        /// ARN of its IAM instance profile.
        iam_instance_profile_arn: Option<String> = |i| i.iam_instance_profile_arn.clone();
        /// Its number in the launch, counted from 0.
        launch_index: u32 = |i| i.launch_index;
        /// Its interfaces, by card and device.
        interfaces: Vec<AttachedInterface> = |i| list(&i.interfaces);
        /// Its tags.
        tags: BTreeMap<String, String> = |i| i.tags.clone();
    }
    repr = |i| format!("<Instance {} {} {}>", i.instance_id, i.instance_type, i.state);
}

value_class! {
    /// A cluster as it stands in EC2.
    Cluster(core::Cluster) {
        /// Its name.
        name: String = |cluster| cluster.name.clone();
        /// The region that it was found in.
        region: String = |cluster| cluster.region.clone();
        /// Its instances, by launch index.
        instances: Rows<Instance> = |cluster| rows(&cluster.instances);
        /// The security group that its tags name.
        security_group_id: Option<String> = |cluster| {
            cluster.security_group.as_ref().map(|group| group.group_id.clone())
        };
        /// The placement group that its tags name.
        placement_group_name: Option<String> = |cluster| {
            cluster.placement_group.as_ref().map(|group| group.group_name.clone())
        };
        /// When its first node ends itself, as `2026-11-30T12:00:00Z`; None where none does.
        expires_at: Option<String> = |cluster| cluster.expires_at().map(str::to_owned);
        /// The addresses that the instances reach each other by, by launch index: IPv6 ones in an
        /// IPv6-only subnet.
        private_ip_addresses: Vec<String> = |cluster| {
            cluster.private_ip_addresses().into_iter().map(str::to_owned).collect()
        };
    }
    repr = |cluster| format!(
        "<Cluster '{}' of {} instances>",
        cluster.name,
        cluster.instances.len()
    );
    str = ToString::to_string;
    html = core::Cluster::to_html;
}

#[pymethods]
impl Cluster {
    fn __len__(&self) -> usize {
        self.0.instances.len()
    }
}

value_class! {
    /// One difference between a cluster and its plan.
    Finding(core::verify::Finding) {
        /// What was compared, such as `interface` or `placement_group`.
        check: String = |finding| finding.check.clone();
        /// The resource.
        subject: String = |finding| finding.subject.clone();
        /// What it should be.
        expected: String = |finding| finding.expected.clone();
        /// What it is.
        actual: String = |finding| finding.actual.clone();
        /// What to do about it.
        cure: String = |finding| finding.cure.clone();
    }
    repr = |finding| format!(
        "<Finding {} of {}: expected {}, is {}>",
        finding.check, finding.subject, finding.expected, finding.actual
    );
}

value_class! {
    /// The result of comparing a cluster with its plan.
    VerifyReport(core::verify::Report) {
        /// Name of the cluster.
        name: String = |report| report.name.clone();
        /// The fingerprint of the plan.
        fingerprint: String = |report| report.fingerprint.clone();
        /// How many instances were looked at.
        instances: usize = |report| report.instances;
        /// How many interfaces were looked at.
        interfaces: usize = |report| report.interfaces;
        /// How many comparisons were made.
        checks: usize = |report| report.checks;
        /// The differences.
        findings: Rows<Finding> = |report| rows(&report.findings);
        /// Whether nothing differs.
        is_as_planned: bool = core::verify::Report::is_as_planned;
    }
    repr = |report| format!(
        "<VerifyReport of '{}': {} findings>",
        report.name,
        report.findings.len()
    );
    str = ToString::to_string;
    html = core::verify::Report::to_html;
}

value_class! {
    /// One instance's EFA interfaces as EC2 sees them, and the peers that they can reach.
    InstanceReport(core::verify::InstanceReport) {
        /// `i-...`
        instance_id: String = |report| report.instance_id.clone();
        /// Its type.
        instance_type: String = |report| report.instance_type.clone();
        /// The cluster of efa-sdk that it belongs to, by its tags.
        cluster: Option<String> = |report| report.cluster.clone();
        /// Its EFA interfaces.
        efa_interfaces: u32 = |report| report.efa_interfaces;
        /// EFA interfaces that its type can have.
        maximum_efa_interfaces: u32 = |report| report.maximum_efa_interfaces;
        /// Ids of the running instances with EFA that share a security group with it.
        peers: Vec<String> = |report| report.peers.clone();
        /// How many comparisons were made.
        checks: usize = |report| report.checks;
        /// What is wrong.
        findings: Rows<Finding> = |report| rows(&report.findings);
        /// Whether nothing is wrong.
        is_healthy: bool = core::verify::InstanceReport::is_healthy;
    }
    repr = |report| format!(
        "<InstanceReport of {}: {} findings>",
        report.instance_id,
        report.findings.len()
    );
    str = ToString::to_string;
    html = core::verify::InstanceReport::to_html;
}

value_class! {
    /// The resources that `destroy` removed.
    DestroyReport(core::provision::DestroyReport) {
        /// Name of the cluster.
        name: String = |report| report.name.clone();
        /// Pairs of resource type and id, in order.
        removed: Vec<(String, String)> = |report| resources(&report.removed);
        /// What could not be looked at, such as IAM without the permission to.
        notes: Vec<String> = |report| report.notes.clone();
    }
    repr = |report| format!(
        "<DestroyReport of '{}': {} removed>",
        report.name,
        report.removed.len()
    );
    str = ToString::to_string;
    html = crate::value::text_as_html;
}

value_class! {
    /// One look before a launch.
    Check(core::preflight::Check) {
        /// What was looked at, such as `free_addresses` or `dry_run`.
        name: String = |check| check.name.clone();
        /// `passed`, `failed`, `skipped` (there is nothing to look at) or `unknown` (it could not
        /// be looked at).
        status: choices::CheckStatus = |check| check.status.as_str().into();
        /// What was seen.
        detail: String = |check| check.detail.clone();
        /// What to do about a failed check.
        cure: Option<String> = |check| check.cure.clone();
    }
    repr = |check| {
        let status = check.status.as_str();
        format!("<Check {} {status}: {}>", check.name, check.detail)
    };
}

value_class! {
    /// The result of looking before a launch.
    PreflightReport(core::preflight::Report) {
        /// Name of the cluster.
        name: String = |report| report.name.clone();
        /// The checks, in order.
        checks: Rows<Check> = |report| rows(&report.checks);
        /// Whether everything was looked at and nothing is in the way.
        is_ready: bool = core::preflight::Report::is_ready;
        /// `ready`, `partial` (not everything could be looked at) or `not ready`.
        verdict: choices::PreflightVerdict = |report| report.verdict().as_str().into();
        /// The names of the checks that could not be made.
        unchecked: Vec<String> = |report| texts(&report.unchecked());
    }
    repr = |report| {
        let checks = report.checks.len();
        format!("<PreflightReport of '{}': {checks} checks>", report.name)
    };
    str = ToString::to_string;
    html = core::preflight::Report::to_html;
}

value_class! {
    /// A capacity reservation or Capacity Block.
    CapacityReservation(core::ec2::CapacityReservation) {
        /// `cr-…`, which `ClusterSpec(capacity=…)` takes.
        capacity_reservation_id: String = |r| r.capacity_reservation_id.clone();
        /// The instance type's name.
        instance_type: String = |r| r.instance_type.clone();
        /// The Availability Zone's name.
        availability_zone: String = |r| r.availability_zone.clone();
        /// EC2's word, such as `payment-pending`, `scheduled`, `active` or `payment-failed`.
        state: String = |r| r.state.clone();
        /// EC2's word: `capacity-block` or `default`.
        reservation_type: String = |r| r.reservation_type.clone();
        /// How many instances it is for.
        total_instance_count: u32 = |r| r.total_instance_count;
        /// How many more fit in it; 0 until a Capacity Block begins.
        available_instance_count: u32 = |r| r.available_instance_count;
        /// What its instances are billed as, such as `Linux/UNIX`.
        instance_platform: Option<String> = |r| r.instance_platform.clone();
        /// When it begins, in EC2's form.
        start_date: Option<String> = |r| r.start_date.clone();
        /// When it ends.
        end_date: Option<String> = |r| r.end_date.clone();
    }
    repr = |r| format!(
        "<CapacityReservation {} {} x {}, {}>",
        r.capacity_reservation_id, r.total_instance_count, r.instance_type, r.state
    );
}

value_class! {
    /// A Capacity Block that can be bought.
    CapacityBlockOffering(core::ec2::CapacityBlockOffering) {
        /// `cbo-…`, for PurchaseCapacityBlock.
        capacity_block_offering_id: String = |o| o.capacity_block_offering_id.clone();
        /// The instance type's name.
        instance_type: String = |o| o.instance_type.clone();
        /// The Availability Zone's name.
        availability_zone: String = |o| o.availability_zone.clone();
        /// How many instances.
        instance_count: u32 = |o| o.instance_count;
        /// For how long, in hours.
        duration_hours: u32 = |o| o.duration_hours;
        /// When it begins, in EC2's form.
        start_date: Option<String> = |o| o.start_date.clone();
        /// When it ends.
        end_date: Option<String> = |o| o.end_date.clone();
        /// What it costs in advance, as EC2 writes it.
        upfront_fee: Option<String> = |o| o.upfront_fee.clone();
        /// The fee's currency.
        currency_code: Option<String> = |o| o.currency_code.clone();
    }
    repr = |o| format!(
        "<CapacityBlockOffering {} {} x {} in {} from {}>",
        o.capacity_block_offering_id,
        o.instance_count,
        o.instance_type,
        o.availability_zone,
        o.start_date.as_deref().unwrap_or("?")
    );
}

value_class! {
    /// One step of `apply` or `destroy`, as `progress` gets it.
    Event(core::provision::Event) {
        /// `found`, `created`, `changed`, `waiting for`, `removed` or `refused by`.
        action: choices::EventAction = |event| event.action.as_str().into();
        /// EC2's resource type, such as `security-group`.
        resource_type: String = |event| event.resource_type.clone();
        /// The resource's id or name.
        id: String = |event| event.id.clone();
        /// More, such as `1 of 2 running`.
        detail: String = |event| event.detail.clone();
        /// How many of `total` are there, of what is waited for; None for a single step.
        done: Option<u32> = |event| event.done;
        /// How many there will be.
        total: Option<u32> = |event| event.total;
    }
    repr = |event| format!("<Event {event}>");
    str = ToString::to_string;
}
