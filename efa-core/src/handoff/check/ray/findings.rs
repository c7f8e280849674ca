//! Findings in a Ray cluster YAML, besides those in lists of interfaces.

use crate::handoff::check::report::DocumentFinding;
use crate::handoff::check::report::Severity::{self, Error, Warning};

/// Every finding of this format, its severity, and what it is about. Findings of interfaces have
/// the ids of `interfaces.*` and `layout.*`.
pub(super) const FINDINGS: &[(&str, Severity, &str)] = &[
    (
        "launch.block_with_placement_group",
        Error,
        "a Capacity Block together with a placement group: EC2 finds no capacity",
    ),
    (
        "ray.groups_or_subnet_with_interfaces",
        Error,
        "groups or a subnet in addition to `NetworkInterfaces`: Ray refuses them",
    ),
    (
        "ray.docker_without_devices",
        Error,
        "a container without `--device=/dev/infiniband` sees no EFA",
    ),
    (
        "ray.external_ips",
        Error,
        "`use_internal_ips` is not true, and the instances get no public address",
    ),
    (
        "ray.head_node_type",
        Error,
        "`head_node_type` is missing or names no node type",
    ),
    (
        "ray.installer_url",
        Error,
        "the installer's URL names no file",
    ),
    (
        "ray.interface_without_group",
        Error,
        "an interface without `Groups`: Ray refuses it",
    ),
    (
        "ray.interface_without_subnet",
        Error,
        "an interface without `SubnetId`: Ray refuses it",
    ),
    (
        "ray.key_name_missing",
        Error,
        "`ssh_private_key` without `KeyName`: Ray refuses it",
    ),
    (
        "ray.min_workers_over_max",
        Error,
        "the sum of `min_workers` is over `max_workers`: Ray refuses it",
    ),
    (
        "ray.unknown_key",
        Error,
        "a key that Ray's schema does not have",
    ),
    (
        "ray.unknown_parameter",
        Error,
        "a key of `node_config` that RunInstances does not have",
    ),
    (
        "ray.several_zones",
        Error,
        "several zones: EFA traffic crosses none",
    ),
    (
        "ray.subnets_differ",
        Error,
        "interfaces of a node type in several subnets",
    ),
    (
        "ray.imds_v1",
        Warning,
        "the metadata service answers without a token",
    ),
    (
        "ray.no_efa_installer",
        Warning,
        "nothing installs EFA: it must be in the image",
    ),
    (
        "ray.no_placement_group",
        Warning,
        "no placement group, and no capacity that is placed already",
    ),
    (
        "ray.resources_missing",
        Warning,
        "`resources` missing: Ray looks them up, and fails where it cannot",
    ),
    (
        "ray.subnet_id_ignored",
        Warning,
        "`SubnetId` without interfaces: Ray takes another subnet (ray#14551)",
    ),
    (
        "ray.unverified_download",
        Warning,
        "the EFA installer runs as root and its signature is not verified",
    ),
    (
        "ray.volume_not_encrypted",
        Warning,
        "a root volume that is not encrypted",
    ),
];

/// A finding of the list.
pub(super) fn finding(
    id: &str,
    path: String,
    message: impl Into<String>,
    cure: &str,
) -> DocumentFinding {
    let listed = FINDINGS.iter().find(|(listed, ..)| *listed == id);
    debug_assert!(listed.is_some(), "{id} is not listed");
    let severity = listed.map_or(Error, |(_, severity, _)| *severity);
    DocumentFinding::new(severity, id, path, message, cure)
}
