//! Interfaces of any launch, against the rules of its types and against what they could have.

use serde_json::Value;

use super::document::Findings;
use super::launch::{Launch, Said};
use super::report::{DocumentFinding, Severity};
use super::unknown::is_unknown;
use crate::catalog::{Catalog, InstanceType, Lookup};
use crate::handoff::interfaces::{self, field};
use crate::layout::{self, NetworkInterface, Violation, violations, violations_of_any_type};
use crate::types::{CardIndex, InterfaceType};

/// Every finding of a list of interfaces besides the codes of [`violations`].
#[cfg(test)]
pub(super) const FINDINGS: &[(&str, Severity, &str)] = &[
    (
        "interfaces.malformed",
        Severity::Error,
        "an entry that is not an interface of EC2",
    ),
    (
        "interfaces.type_without_efa",
        Severity::Error,
        "an EFA interface on a type that has no EFA",
    ),
    (
        "interfaces.no_efa",
        Severity::Warning,
        "a type with EFA, launched without one",
    ),
    (
        "interfaces.efa_left_out",
        Severity::Warning,
        "fewer EFA than the type can have",
    ),
];

/// The fields of an interface that give it an address, which `efa-only` does not have (EC2 API
/// model; Karpenter's launchtemplate.go).
const ADDRESS_FIELDS: &[&str] = &[
    "AssociateCarrierIpAddress",
    "ConnectionTrackingSpecification",
    "Ipv4AddressCount",
    "Ipv4Addresses",
    "Ipv4PrefixCount",
    "Ipv4Prefixes",
    "Ipv6AddressCount",
    "Ipv6Addresses",
    "Ipv6PrefixCount",
    "Ipv6Prefixes",
    "PrimaryIpv6",
    "PrivateIpAddress",
    "PrivateIpAddresses",
    "SecondaryPrivateIpAddressCount",
];

/// Reports what EC2 would refuse, and EFA that the types have and the list leaves out.
pub(super) fn check_interfaces(launch: &Launch<'_>, catalog: &Catalog, found: &mut Findings) {
    let path = launch.at.path("NetworkInterfaces");
    match &launch.interfaces {
        Said::Not => {
            if launch.types.open {
                unread_type(launch, found);
            }
            without_list(launch, catalog, &path, found);
        }
        Said::Unknown => found.unread(
            "interfaces",
            &path,
            &path,
            "the list is defined elsewhere, or is computed",
        ),
        Said::Is(list) => with_list(launch, list, catalog, &path, found),
    }
}

fn without_list(launch: &Launch<'_>, catalog: &Catalog, path: &str, found: &mut Findings) {
    for name in &launch.types.names {
        match catalog.look_up(name) {
            Lookup::Efa(instance_type) => {
                if let Some(mut finding) = too_few(instance_type, 0, path, found) {
                    finding.corrected = planned(launch, instance_type, found);
                    found.push(finding);
                }
            }
            Lookup::NoEfa => {}
            unknown => unknown_type(name, unknown, catalog, path, found),
        }
    }
}

/// Types that a launcher gives EFA to, where it lists the interfaces itself; `what` states this.
pub(super) fn check_types_for_efa<'a>(
    names: impl IntoIterator<Item = &'a str>,
    what: &str,
    catalog: &Catalog,
    path: &str,
    found: &mut Findings,
) {
    for name in names {
        match catalog.look_up(name) {
            Lookup::Efa(_) => {}
            Lookup::NoEfa => found.push(DocumentFinding::new(
                Severity::Error,
                "interfaces.type_without_efa",
                path,
                format!("{what}, and {name} has no EFA"),
                "choose a type with EFA, or do not ask for it",
            )),
            unknown => unknown_type(name, unknown, catalog, path, found),
        }
    }
}

/// A type of which nothing is known.
pub(super) fn unknown_type(
    name: &str,
    lookup: Lookup<'_>,
    catalog: &Catalog,
    path: &str,
    found: &mut Findings,
) {
    found.out_of_sight(&format!(
        "whether the interfaces fit {name}, which the catalog does not hold: give one of your \
         Region (Client.catalog)"
    ));
    let nearest = match lookup {
        Lookup::Misspelt if found.may_compare_name() => catalog.nearest(name),
        _ => Vec::new(),
    };
    let reason = match nearest.first() {
        Some(nearest) => format!("no type of EC2 has such a name, was {nearest} meant?"),
        None => "the catalog does not hold it".to_owned(),
    };
    found.unread("instance type", name, path, &reason);
}

fn with_list(
    launch: &Launch<'_>,
    list: &[&Value],
    catalog: &Catalog,
    path: &str,
    found: &mut Findings,
) {
    let computed = |entry: &&&Value| {
        let slot = ["NetworkCardIndex", "DeviceIndex", "InterfaceType"];
        let part = |key: &&str| field(entry, key).is_some_and(is_unknown);
        is_unknown(entry) || slot.iter().any(part)
    };
    let computed = list.iter().filter(computed).count();
    if computed > 0 {
        found.unread(
            "interfaces",
            path,
            path,
            &format!("{computed} entries are defined elsewhere, or are computed"),
        );
        return;
    }
    let interfaces = match interfaces::read_interfaces(list.iter().copied()) {
        Ok(interfaces) => interfaces,
        Err(malformed) => {
            found.push(DocumentFinding::new(
                Severity::Error,
                "interfaces.malformed",
                format!("{path}.{}", malformed.at),
                malformed.message,
                "write it as an entry of EC2's NetworkInterfaces",
            ));
            return;
        }
    };
    let only = match launch.types.names.as_slice() {
        [only] if !launch.types.open => catalog.get(only),
        _ => None,
    };
    addresses(launch, list, &interfaces, path, found);
    let mut interfaces = interfaces;
    for interface in &mut interfaces {
        if interface.interface_type == InterfaceType::EfaOnly {
            interface.associate_public_ip_address = None;
            interface.ipv4_address_count = None;
            interface.ipv4_prefix_count = None;
        }
    }
    let mut push = |violation: Violation| {
        let mut finding = of_violation(violation, path);
        finding.corrected = only.and_then(|only| planned(launch, only, found));
        found.push_once(finding);
    };
    let unknown = launch.types.open || launch.types.names.is_empty();
    violations_of_any_type(&interfaces)
        .into_iter()
        .for_each(&mut push);
    for instance_type in launch
        .types
        .names
        .iter()
        .filter_map(|name| catalog.get(name))
    {
        violations(instance_type, &interfaces)
            .into_iter()
            .for_each(&mut push);
    }
    if unknown {
        check_bounds(&interfaces, catalog, path, found);
    }
    check_types(launch, &interfaces, catalog, path, found);
}

/// Cards and devices that no type of the catalog has, where the type is not known.
pub(super) fn check_bounds(
    interfaces: &[NetworkInterface],
    catalog: &Catalog,
    path: &str,
    found: &mut Findings,
) {
    let cards = catalog.iter().map(|t| t.network_cards.len()).max();
    let most = cards
        .and_then(|cards| u32::try_from(cards).ok())
        .unwrap_or(1);
    for (number, interface) in interfaces.iter().enumerate() {
        let card = interface.network_card_index.get();
        if card >= most {
            found.push_once(DocumentFinding::new(
                Severity::Error,
                crate::error::Code::LayoutUnknownNetworkCard.as_str(),
                format!("{path}.{number}"),
                format!("no type of the catalog has network card {card}"),
                format!("the most cards are {most}, counted from 0"),
            ));
        }
        let like = card.min(most - 1);
        let limits = catalog.iter().filter_map(|t| t.card(CardIndex::new(like)));
        let limit = limits.map(|card| card.maximum_network_interfaces).max();
        let device = interface.device_index.get();
        if let Some(limit) = limit.filter(|limit| device >= *limit) {
            found.push_once(DocumentFinding::new(
                Severity::Error,
                crate::error::Code::LayoutDeviceIndexOutOfRange.as_str(),
                format!("{path}.{number}"),
                format!(
                    "device index {device}: no such card of the catalog holds more than {limit}"
                ),
                "device indices count from 0 on each card",
            ));
        }
    }
}

/// What depends on the types beyond EC2's own rules.
fn check_types(
    launch: &Launch<'_>,
    interfaces: &[NetworkInterface],
    catalog: &Catalog,
    path: &str,
    found: &mut Findings,
) {
    let efas = interfaces
        .iter()
        .filter(|i| i.interface_type.is_efa())
        .count();
    for name in &launch.types.names {
        if let Some(instance_type) = catalog.get(name) {
            if violations(instance_type, interfaces).is_empty()
                && let Some(mut finding) = too_few(instance_type, efas, path, found)
            {
                finding.corrected = planned(launch, instance_type, found);
                found.push(finding);
            }
            continue;
        }
        match catalog.look_up(name) {
            Lookup::Efa(_) => {}
            Lookup::NoEfa if efas == 0 => {}
            Lookup::NoEfa => found.push(DocumentFinding::new(
                Severity::Error,
                "interfaces.type_without_efa",
                path,
                format!("{efas} EFA, and {name} has none"),
                "choose a type with EFA, or make the interfaces interface",
            )),
            unknown => unknown_type(name, unknown, catalog, path, found),
        }
    }
    if launch.types.open || (efas > 0 && launch.types.names.is_empty()) {
        found.out_of_sight(
            "the instance type, which is defined elsewhere: the interfaces are checked with the \
             rules that hold for every type",
        );
        unread_type(launch, found);
    }
}

/// A type that the text does not have.
pub(super) fn unread_type(launch: &Launch<'_>, found: &mut Findings) {
    let path = launch.at.path("InstanceType");
    let reason = "it is defined elsewhere: give the launcher's document with this one";
    found.unread("instance type", &launch.at.base, &path, reason);
}

/// Every address field on an interface that has no address.
fn addresses(
    launch: &Launch<'_>,
    list: &[&Value],
    interfaces: &[NetworkInterface],
    path: &str,
    found: &mut Findings,
) {
    for (number, (entry, interface)) in list.iter().zip(interfaces).enumerate() {
        let mut fields = Vec::new();
        if interface.associate_public_ip_address == Some(true) {
            fields.push("AssociatePublicIpAddress=true");
        }
        let given = |key: &&&str| match field(entry, key) {
            None | Some(Value::Bool(false)) => false,
            Some(Value::Array(list)) => !list.is_empty(),
            Some(value) => *value != 0 && *value != "0" && *value != "",
        };
        fields.extend(ADDRESS_FIELDS.iter().filter(given));
        if let Some(violation) = layout::efa_only_with(interface, &fields) {
            let path = format!("{path}.{number}");
            let mut finding = of_violation(violation, &path);
            finding.corrected = launch
                .types
                .names
                .first()
                .filter(|_| launch.types.names.len() == 1)
                .and_then(|name| Catalog::bundled().get(name))
                .and_then(|t| planned(launch, t, found));
            found.push(finding);
        }
    }
}

fn of_violation(violation: Violation, path: &str) -> DocumentFinding {
    DocumentFinding::new(
        Severity::Error,
        violation.code.as_str(),
        path,
        violation.message,
        violation.cure,
    )
}

/// What the type would have, in the document's language.
fn planned(
    launch: &Launch<'_>,
    instance_type: &InstanceType,
    found: &mut Findings,
) -> Option<String> {
    if !found.may_correct() {
        return None;
    }
    let layout = instance_type.layout(&layout::Request::default()).ok()?;
    let text = (launch.corrected)(&layout);
    (!text.is_empty()).then_some(text)
}

/// Fewer EFA interfaces than the type can have.
pub(super) fn too_few(
    instance_type: &InstanceType,
    efas: usize,
    path: &str,
    found: &Findings,
) -> Option<DocumentFinding> {
    let wanted = found.efa_count(instance_type);
    (efas < wanted).then(|| {
        let name = &instance_type.name;
        let (id, message) = match efas {
            0 => (
                "interfaces.no_efa",
                format!("no EFA, {name} can have {wanted}"),
            ),
            _ => (
                "interfaces.efa_left_out",
                format!("{efas} EFA of the {wanted} that {name} can have"),
            ),
        };
        DocumentFinding::new(
            Severity::Warning,
            id,
            path,
            message,
            "list an EFA interface on every network card, unless you meant fewer",
        )
    })
}
