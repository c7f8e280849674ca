//! The EFA part of an EC2NodeClass.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::findings::{error, warning};
use super::join::{Manifests, says_word};
use super::node_pool::first;
use super::requirements::Requirements;
use super::values::{interfaces_of, list, text};
use crate::catalog::InstanceType;
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::interfaces;
use crate::handoff::check::launch::{At, Launch, Said, Spelling, Types};
use crate::handoff::check::report::DocumentFormat;
use crate::handoff::check::rules;
use crate::handoff::interfaces::read_interfaces;
use crate::handoff::karpenter::{interfaces_text, rewritten};
use crate::layout::{self, NetworkInterface, violations};
use crate::types::InterfaceType;

/// The fields of `spec` in the CRD of aws/karpenter-provider-aws v1.14.1; a test compares.
const FIELDS: &[&str] = &[
    "amiFamily",
    "amiSelectorTerms",
    "associatePublicIPAddress",
    "blockDeviceMappings",
    "capacityReservationSelectorTerms",
    "connectionTracking",
    "context",
    "cpuOptions",
    "detailedMonitoring",
    "instanceProfile",
    "instanceStorePolicy",
    "ipPrefixCount",
    "kubelet",
    "metadataOptions",
    "networkInterfaces",
    "placementGroupSelector",
    "role",
    "securityGroupSelectorTerms",
    "subnetSelectorTerms",
    "tags",
    "userData",
];

/// The fields of `spec` of Auto Mode's NodeClass (EKS User Guide, create-node-class).
const AUTO_MODE_FIELDS: &[&str] = &[
    "advancedNetworking",
    "advancedSecurity",
    "capacityReservationSelectorTerms",
    "certificateBundles",
    "ephemeralStorage",
    "instanceProfile",
    "kubelet",
    "networkPolicy",
    "networkPolicyEventLogs",
    "placementGroupSelector",
    "podSecurityGroupSelectorTerms",
    "podSubnetSelectorTerms",
    "role",
    "securityGroupSelectorTerms",
    "snatPolicy",
    "subnetSelectorTerms",
    "tags",
];

/// `auto_mode`: the NodeClass of EKS Auto Mode, which chooses images and volumes itself.
pub(super) fn check_node_class<'a>(
    document: &Checked<'a>,
    manifests: &Manifests<'a>,
    auto_mode: bool,
    found: &mut Findings,
) {
    if !concerns_efa(document.document, manifests) {
        return;
    }
    let spec = &document.document["spec"];
    if auto_mode {
        check_auto_mode_fields(document, spec, found);
    } else {
        check_fields(document, spec, found);
        check_image(document, spec, found);
    }
    check_selectors(document, spec, found);
    let types = admitted(document, manifests);
    check_interfaces(document, auto_mode, &types, found);
    check_public_ip(document, spec, &types, found);
    check_launch(document, manifests, spec, found);
    found.out_of_sight(
        "whether the nodes' security groups have self-referencing ingress and egress rules for \
         all protocols: Client.verify_instance of a node reads them",
    );
}

/// Whether a class lists EFA, states it in its name, or is that of a NodePool for EFA.
fn concerns_efa(class: &Value, manifests: &Manifests<'_>) -> bool {
    let lists = interfaces_of(class).is_some_and(|list| list.iter().any(rules::is_efa));
    let malformed = interfaces_of(class).is_some_and(|list| read_interfaces(list).is_err());
    lists
        || malformed
        || says_word(class.pointer("/metadata/name"))
        || says_word(class.pointer("/metadata/labels"))
        || manifests
            .pools_of(class)
            .iter()
            .any(|(at, _)| manifests.is_for_efa(*at))
}

/// The rules on any launch.
fn check_launch(
    document: &Checked<'_>,
    manifests: &Manifests<'_>,
    spec: &Value,
    found: &mut Findings,
) {
    let at = At {
        base: document.path("spec"),
        spelling: Spelling::Karpenter,
    };
    let mut launch = Launch::read(spec, DocumentFormat::Kubernetes, at);
    // Those have rules of their own here.
    launch.interfaces = Said::Not;
    launch.types = Types::default();
    launch.with_interfaces.clear();
    launch.wants_efa = true;
    let grouped = ["placementGroupSelector", "placementGroupName"];
    if grouped.iter().any(|key| spec.get(*key).is_some()) {
        launch.placement = Said::Is("Placement".to_owned());
    }
    let terms = list(spec, "/capacityReservationSelectorTerms").iter();
    let selects = terms.clone().any(|term| {
        term.get("instanceMatchCriteria")
            .is_none_or(|criteria| criteria != "open")
    });
    // A NodePool may leave out Capacity Blocks.
    let pools = manifests.pools_of(document.document);
    let no_block = !pools.is_empty()
        && pools.iter().all(|(_, pool)| {
            let kinds = Requirements::of(pool.value).values(RESERVATION_TYPE);
            kinds.is_some_and(|kinds| !kinds.contains(&"capacity-block"))
        });
    let by_id = |term: &Value| term.get("id").is_some();
    if selects && (terms.len() > 1 || !terms.clone().all(by_id)) {
        found.out_of_sight(
            "whether the reservations that capacityReservationSelectorTerms selects are in one zone: \
             EFA traffic crosses none",
        );
    }
    launch.block = Said::Is(selects && !no_block);
    launch.reservation = Said::Is(selects && no_block);
    rules::check_launch(&launch, document.catalog, found);
}

/// The label of Karpenter that distinguishes on-demand reservations from Capacity Blocks.
const RESERVATION_TYPE: &str = "karpenter.k8s.aws/capacity-reservation-type";

fn check_auto_mode_fields(document: &Checked<'_>, spec: &Value, found: &mut Findings) {
    for key in spec.as_object().into_iter().flat_map(|map| map.keys()) {
        if AUTO_MODE_FIELDS.contains(&key.as_str()) {
            continue;
        }
        if FIELDS.contains(&key.as_str()) {
            found.push(error(
                "karpenter.unknown_field",
                document.path(&format!("spec.{key}")),
                format!("a NodeClass of EKS Auto Mode has no spec.{key}, which is EC2NodeClass's"),
                "remove it: Auto Mode chooses it, or has it in advancedNetworking",
            ));
        } else {
            let path = document.path(&format!("spec.{key}"));
            let reason = "a field of the NodeClass that is not known here";
            found.unread("field", key, &path, reason);
        }
    }
    check_placement_selector(document, spec, found);
}

/// The EFA types of the NodePools that name the class.
fn admitted<'a>(document: &Checked<'a>, manifests: &Manifests<'a>) -> Vec<&'a InstanceType> {
    let mut seen = BTreeSet::new();
    manifests
        .pools_of(document.document)
        .into_iter()
        .flat_map(|(_, pool)| pool.admitted(document.catalog).to_vec())
        .filter(|t| seen.insert(t.name.clone()))
        .collect()
}

fn check_fields(document: &Checked<'_>, spec: &Value, found: &mut Findings) {
    for key in spec.as_object().into_iter().flat_map(|map| map.keys()) {
        let at = document.path(&format!("spec.{key}"));
        if key == "placementGroupName" {
            let name = spec[key].as_str().unwrap_or("<its name>");
            found.push(
                error(
                    "karpenter.placement_group_name",
                    at,
                    "no version of Karpenter has placementGroupName",
                    "use placementGroupSelector, since v1.11",
                )
                .corrected(format!("placementGroupSelector:\n  name: {name}\n")),
            );
        } else if !FIELDS.contains(&key.as_str()) {
            let cure = if key == "spec" {
                "remove the second spec; its contents belong in the first"
            } else {
                "remove it, or spell it as the CRD does"
            };
            let message = format!("an EC2NodeClass has no spec.{key}");
            found.push(error("karpenter.unknown_field", at, message, cure));
        }
    }
    check_placement_selector(document, spec, found);
    if spec.get("role").is_some() == spec.get("instanceProfile").is_some() {
        found.push(error(
            "karpenter.role_or_profile",
            document.path("spec.role"),
            "exactly one of role and instanceProfile is required",
            "give the role of the cluster's nodes",
        ));
    }
}

fn check_placement_selector(document: &Checked<'_>, spec: &Value, found: &mut Findings) {
    if let Some(selector) = spec.get("placementGroupSelector") {
        let has = |key: &str| selector.get(key).is_some();
        if has("name") == has("id") {
            found.push(error(
                "karpenter.placement_group_selector",
                document.path("spec.placementGroupSelector"),
                "a placement group is selected by exactly one of name and id",
                "give one of them",
            ));
        }
    }
}

fn check_image(document: &Checked<'_>, spec: &Value, found: &mut Findings) {
    let terms = list(spec, "/amiSelectorTerms");
    let family = text(spec, "/amiFamily");
    let aliases = terms.iter().enumerate();
    let aliases: Vec<(usize, &str)> = aliases
        .filter_map(|(at, term)| Some((at, text(term, "/alias")?)))
        .collect();
    if terms.is_empty() {
        found.push(
            error(
                "karpenter.ami_selector_missing",
                document.path("spec.amiSelectorTerms"),
                "amiSelectorTerms is required",
                "pin an image for EKS nodes",
            )
            .corrected("amiSelectorTerms:\n- alias: al2023@v20260801\n"),
        );
    } else if aliases.is_empty() && family.is_none() {
        found.push(error(
            "karpenter.ami_family_missing",
            document.path("spec.amiFamily"),
            "amiFamily is required where no term has an alias",
            "write amiFamily: AL2023 for images made from EKS's own",
        ));
    }
    for (at, alias) in &aliases {
        if alias.ends_with("@latest") {
            found.push(warning(
                "karpenter.ami_alias_not_pinned",
                document.path(&format!("spec.amiSelectorTerms.{at}.alias")),
                format!("{alias}: a release of a new image replaces running nodes"),
                "pin a release, such as al2023@v20260801",
            ));
        }
    }
    let old_alias = aliases.iter().find(|(_, alias)| alias.starts_with("al2@"));
    let old = match (family, old_alias) {
        (Some("AL2"), _) => Some("spec.amiFamily".to_owned()),
        (_, Some((at, _))) => Some(format!("spec.amiSelectorTerms.{at}.alias")),
        _ => None,
    };
    if let Some(at) = old {
        found.push(error(
            "karpenter.ami_family_al2",
            document.path(&at),
            "EKS has no images on Amazon Linux 2 after Kubernetes 1.32",
            "use AL2023; with an alias leave amiFamily out",
        ));
    }
}

fn check_selectors(document: &Checked<'_>, spec: &Value, found: &mut Findings) {
    for key in ["subnetSelectorTerms", "securityGroupSelectorTerms"] {
        if list(spec, &format!("/{key}")).is_empty() {
            found.push(error(
                "karpenter.selector_missing",
                document.path(&format!("spec.{key}")),
                format!("{key} is required"),
                "select by id",
            ));
        }
    }
}

fn check_interfaces(
    document: &Checked<'_>,
    auto_mode: bool,
    types: &[&InstanceType],
    found: &mut Findings,
) {
    let Some(entries) = interfaces_of(document.document) else {
        return;
    };
    let base = if auto_mode {
        "spec.advancedNetworking"
    } else {
        "spec"
    };
    let at = document.path(&format!("{base}.networkInterfaces"));
    let before = found.findings.len();
    let interfaces = read_interfaces(entries);
    if let Ok(interfaces) = &interfaces {
        check_crd(entries, interfaces, &at, types, found);
        if types.is_empty() {
            interfaces::check_bounds(interfaces, document.catalog, &at, found);
        }
        if found.findings.len() > before {
            return;
        }
    }
    let Some(interfaces) = interfaces.ok().filter(|_| types.len() > 1) else {
        let data = json!({ "networkInterfaces": entries });
        let at = At {
            base: document.path(base),
            spelling: Spelling::Karpenter,
        };
        let mut launch = Launch::read(&data, DocumentFormat::Kubernetes, at);
        launch.types.names = types.iter().map(|t| t.name.clone()).collect();
        launch.corrected = Box::new(|layout| interfaces_text(&rewritten(&layout.interfaces)));
        interfaces::check_interfaces(&launch, document.catalog, found);
        return;
    };
    check_several(types, &interfaces, at, found);
}

/// The schema's own rules.
fn check_crd(
    entries: &[Value],
    interfaces: &[NetworkInterface],
    at: &str,
    types: &[&InstanceType],
    found: &mut Findings,
) {
    let required = ["networkCardIndex", "deviceIndex", "interfaceType"];
    for (number, entry) in entries.iter().enumerate() {
        if let Some(key) = required.iter().find(|key| entry.get(**key).is_none()) {
            found.push(error(
                "karpenter.interface_incomplete",
                format!("{at}.{number}"),
                format!("{key} is required"),
                "give networkCardIndex, deviceIndex and interfaceType",
            ));
        }
    }
    if let Some(number) = interfaces
        .iter()
        .position(|i| i.interface_type == InterfaceType::Efa)
    {
        found.push(
            error(
                "karpenter.efa_not_in_enum",
                format!("{at}.{number}.interfaceType"),
                "an EC2NodeClass takes interface and efa-only, not efa",
                "list interface on card 0, device 0, and efa-only on a free device of every EFA card",
            )
            .corrected(corrected(interfaces, types)),
        );
        return;
    }
    if !interfaces
        .iter()
        .any(|i| i.is_primary() && i.interface_type == InterfaceType::Interface)
    {
        found.push(error(
            "karpenter.primary_not_interface",
            at.to_owned(),
            "no entry of type interface on network card 0, device 0",
            "add it, or make it interface",
        ));
        return;
    }
    let mut slots = BTreeSet::new();
    let mut efa_cards = BTreeSet::new();
    for (number, interface) in interfaces.iter().enumerate() {
        let (card, device) = (interface.network_card_index, interface.device_index);
        if !slots.insert((card, device)) {
            found.push(error(
                "karpenter.duplicate_interface",
                format!("{at}.{number}"),
                format!("two interfaces on network card {card}, device {device}"),
                "give each its own device index",
            ));
        } else if interface.interface_type.is_efa() && !efa_cards.insert(card) {
            found.push(error(
                "karpenter.several_efa_per_card",
                format!("{at}.{number}"),
                format!("two efa-only on network card {card}, which takes one"),
                "spread them over the network cards",
            ));
        }
    }
}

/// What a type would have, or the listed interfaces in Karpenter's words.
fn corrected(interfaces: &[NetworkInterface], types: &[&InstanceType]) -> String {
    let planned = match types {
        [only] => only.layout(&layout::Request::default()).ok(),
        _ => None,
    };
    let list = planned.map_or_else(|| interfaces.to_vec(), |layout| layout.interfaces);
    interfaces_text(&rewritten(&list))
}

/// Types that Karpenter would try (`networkInterfaceCheck` in its
/// `pkg/providers/instancetype/compatibility`), and EC2 refuse: it does not look at what a card
/// takes.
fn check_several(
    types: &[&InstanceType],
    interfaces: &[NetworkInterface],
    at: String,
    found: &mut Findings,
) {
    let efas = interfaces
        .iter()
        .filter(|i| i.interface_type.is_efa())
        .count();
    let tried = |t: &&&InstanceType| {
        let fits = |i: &NetworkInterface| {
            let card = t.card(i.network_card_index);
            card.is_some_and(|c| i.device_index.get() < c.maximum_network_interfaces)
        };
        efas <= t.maximum_efa_interfaces as usize && interfaces.iter().all(fits)
    };
    let tried: Vec<&InstanceType> = types.iter().filter(tried).copied().collect();
    let failing: Vec<&str> = tried
        .iter()
        .filter(|t| !violations(t, interfaces).is_empty())
        .map(|t| t.name.as_str())
        .collect();
    let cure = "name one instance type in the NodePool, and list its interfaces";
    if tried.is_empty() || !failing.is_empty() {
        let message = if tried.is_empty() {
            "the interfaces fit none of the types that the NodePool admits".to_owned()
        } else {
            format!("EC2 refuses the interfaces for {}", first(&failing))
        };
        let id = "karpenter.interfaces_fail_for_types";
        found.push(error(id, at, message, cure));
        return;
    }
    let fewer: Vec<&str> = tried
        .iter()
        .filter(|t| efas < found.efa_count(t))
        .map(|t| t.name.as_str())
        .collect();
    if !fewer.is_empty() {
        found.push(warning(
            "karpenter.interfaces_fail_for_types",
            at,
            format!(
                "{efas} EFA are fewer than these types can have: {}",
                first(&fewer)
            ),
            cure,
        ));
    }
}

fn check_public_ip(
    document: &Checked<'_>,
    spec: &Value,
    types: &[&InstanceType],
    found: &mut Findings,
) {
    if spec.get("associatePublicIPAddress") != Some(&Value::Bool(true)) {
        return;
    }
    let listed = list(spec, "/networkInterfaces").len();
    let several: Vec<&str> = types
        .iter()
        .filter(|t| t.maximum_efa_interfaces > 1)
        .map(|t| t.name.as_str())
        .collect();
    let message = match (listed, several.is_empty()) {
        (2.., _) => format!("EC2 gives a public IP address to a lone interface, not to {listed}"),
        (0, false) => format!(
            "EC2 gives a public IP address to a lone interface, and Karpenter derives several for {}",
            first(&several)
        ),
        _ => return,
    };
    found.push(error(
        "karpenter.public_ip_with_several_interfaces",
        document.path("spec.associatePublicIPAddress"),
        message,
        "write false, and give the nodes a way out: a NAT gateway, or endpoints of the VPC",
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_the_crd() {
        let crd = include_str!(
            "../../../../../tests/data/karpenter-crds/karpenter.k8s.aws_ec2nodeclasses.yaml"
        );
        let crd: Value = yaml_serde::from_str(crd).unwrap();
        let version = &crd["spec"]["versions"][0];
        let schema = &version["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let fields: Vec<&str> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(fields, FIELDS);
    }
}
