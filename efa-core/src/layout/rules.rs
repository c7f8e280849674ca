//! The rules that EC2 refuses a launch for. Every layout passes them, planned or not.
//!
//! Origins: EC2 User Guide, pages efa-acc-inst-types, using-eni and create-efa; the EC2 API
//! model; EC2's own messages as reported in eksctl-io/eksctl#7520 and
//! aws/karpenter-provider-aws#5666.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::interface::NetworkInterface;
use crate::catalog::InstanceType;
use crate::error::{Code, Error, Result};
use crate::types::{CardIndex, DeviceIndex, InterfaceType};

/// One reason for which EC2 would refuse a set of interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Violation {
    /// The rule.
    pub code: Code,
    /// The instance type.
    pub instance_type: String,
    /// The network card, where one is to blame.
    pub network_card_index: Option<CardIndex>,
    /// The device index, where one is to blame.
    pub device_index: Option<DeviceIndex>,
    /// What was found.
    pub value: String,
    /// What the rule allows, where it is a number or a list.
    pub limit: Option<String>,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do.
    pub cure: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.cure)
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        let mut error = Self::new(violation.code, violation.message)
            .with_cure(violation.cure)
            .with_context("instance_type", violation.instance_type)
            .with_context("value", violation.value);
        if let Some(card) = violation.network_card_index {
            error = error.with_context("network_card_index", card);
        }
        if let Some(device) = violation.device_index {
            error = error.with_context("device_index", device);
        }
        if let Some(limit) = violation.limit {
            error = error.with_context("limit", limit);
        }
        error
    }
}

/// The first violation as an error; its context counts the `further_violations`.
pub(super) fn require_no_violation(
    t: &InstanceType,
    interfaces: &[NetworkInterface],
) -> Result<()> {
    let mut found = violations(t, interfaces).into_iter();
    match found.next() {
        None => Ok(()),
        Some(first) => {
            let codes: Vec<_> = found.map(|violation| violation.code.as_str()).collect();
            let error = Error::from(first);
            if codes.is_empty() {
                return Err(error);
            }
            Err(error
                .with_context("further_violations", codes.len())
                .with_context("further_codes", codes.join(" ")))
        }
    }
}

/// Returns every rule that the interfaces break on this type; none if EC2 takes them.
///
/// ```
/// use efa_core::Catalog;
/// use efa_core::layout::{NetworkInterface, violations};
/// use efa_core::types::InterfaceType;
///
/// # fn main() -> efa_core::Result<()> {
/// let b300 = Catalog::bundled().require("p6-b300.48xlarge")?;
/// let found = violations(b300, &[NetworkInterface::new(0, 0, InterfaceType::Efa)]);
/// assert_eq!(
///     found[0].to_string(),
///     "network card 0 of p6-b300.48xlarge does not take efa; it takes interface"
/// );
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn violations(t: &InstanceType, interfaces: &[NetworkInterface]) -> Vec<Violation> {
    Rules {
        t: Some(t),
        interfaces,
    }
    .all()
}

/// Every rule that the interfaces break whatever the instance type is.
pub(crate) fn violations_of_any_type(interfaces: &[NetworkInterface]) -> Vec<Violation> {
    Rules {
        t: None,
        interfaces,
    }
    .all()
}

/// `efa-only` has no IP address (API model), so that it takes no field of one.
pub(crate) fn efa_only_with(interface: &NetworkInterface, fields: &[&str]) -> Option<Violation> {
    if interface.interface_type != InterfaceType::EfaOnly || fields.is_empty() {
        return None;
    }
    let (card, device) = interface.slot();
    let set = fields.join(", ");
    let message = format!("efa-only with {set} on network card {card}, device {device}");
    let cure = "leave it out, or use efa, which carries IP";
    let rules = Rules {
        t: None,
        interfaces: &[],
    };
    let violation = rules.violation(Code::LayoutEfaOnlyWithIp, set, message, cure);
    Some(at(violation, interface))
}

struct Rules<'a> {
    /// The instance type; the rules that need it are left out without one.
    t: Option<&'a InstanceType>,
    interfaces: &'a [NetworkInterface],
}

impl Rules<'_> {
    fn all(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        self.primary(&mut found);
        self.slots(&mut found);
        if let Some(t) = self.t {
            self.types(t, &mut found);
        }
        self.efa_counts(&mut found);
        self.ip(&mut found);
        found
    }

    fn violation(
        &self,
        code: Code,
        value: impl fmt::Display,
        message: String,
        cure: impl Into<String>,
    ) -> Violation {
        Violation {
            code,
            instance_type: self.t.map(|t| t.name.clone()).unwrap_or_default(),
            network_card_index: None,
            device_index: None,
            value: value.to_string(),
            limit: None,
            message,
            cure: cure.into(),
        }
    }

    /// The primary is `(0, 0)`, never `efa-only`: efa-acc-inst-types, using-eni.
    fn primary(&self, found: &mut Vec<Violation>) {
        let cure = "make it interface, or efa where the card takes it";
        match self.interfaces.iter().find(|i| i.is_primary()) {
            None => found.push(self.violation(
                Code::LayoutPrimaryMissing,
                self.interfaces.len(),
                "no interface on network card 0, device 0".to_owned(),
                "add the primary interface there",
            )),
            Some(primary) if primary.interface_type == InterfaceType::EfaOnly => {
                let message =
                    "the primary interface is efa-only, which has no IP address".to_owned();
                let violation = self.violation(
                    Code::LayoutPrimaryEfaOnly,
                    &primary.interface_type,
                    message,
                    cure,
                );
                found.push(at(violation, primary));
            }
            Some(_) => {}
        }
    }

    /// The card exists, the device index counts per card up to its limit (eksctl#7520), and no
    /// slot is taken twice.
    fn slots(&self, found: &mut Vec<Violation>) {
        let mut taken = BTreeSet::new();
        for interface in self.interfaces {
            let (card, device) = interface.slot();
            if let Some(t) = self.t {
                let Some(broken) = self.slot(t, interface) else {
                    // No card, no slot on it.
                    found.push(self.unknown_card(t, interface));
                    continue;
                };
                found.extend(broken);
            }
            if !taken.insert(interface.slot()) {
                let message = format!("two interfaces on network card {card}, device {device}");
                let cure = "give each its own device index";
                let violation =
                    self.violation(Code::LayoutDuplicateInterface, device, message, cure);
                found.push(at(violation, interface));
            }
        }
    }

    fn unknown_card(&self, t: &InstanceType, interface: &NetworkInterface) -> Violation {
        let (card, name) = (interface.network_card_index, &t.name);
        let count = t.network_cards.len();
        let message = format!("{name} has no network card {card}");
        let cure = format!("it has {count}, counted from 0");
        let violation = self.violation(Code::LayoutUnknownNetworkCard, card, message, cure);
        let limit = Some(count.to_string());
        at(Violation { limit, ..violation }, interface)
    }

    /// A device index beyond the card's limit; `None` where the type has no such card.
    fn slot(&self, t: &InstanceType, interface: &NetworkInterface) -> Option<Option<Violation>> {
        let (card, device) = interface.slot();
        let limit = t.card(card)?.maximum_network_interfaces;
        if device.get() < limit {
            return Some(None);
        }
        let name = &t.name;
        let message =
            format!("device index {device} on network card {card} of {name}, which holds {limit}");
        let cure = format!("use an index below {limit}; it counts from 0 on each card");
        let violation = self.violation(Code::LayoutDeviceIndexOutOfRange, device, message, cure);
        let limit = Some(limit.to_string());
        Some(Some(at(Violation { limit, ..violation }, interface)))
    }

    /// The card takes the type: `InterfaceTypes` of the API, or inferred.
    fn types(&self, t: &InstanceType, found: &mut Vec<Violation>) {
        for interface in self.interfaces {
            let card = interface.network_card_index;
            let kind = &interface.interface_type;
            if t.card(card).is_none() || t.accepts(card, kind) {
                continue;
            }
            let taken = taken_types(t, card);
            let message = format!("network card {card} of {} does not take {kind}", t.name);
            let cure = format!("it takes {taken}");
            let violation =
                self.violation(Code::LayoutInterfaceTypeNotAccepted, kind, message, cure);
            found.push(at(
                Violation {
                    limit: Some(taken),
                    ..violation
                },
                interface,
            ));
        }
    }

    /// One EFA per card, with or without ENA (using-eni), and `MaximumEfaInterfaces` in all.
    fn efa_counts(&self, found: &mut Vec<Violation>) {
        let mut per_card: BTreeMap<CardIndex, usize> = BTreeMap::new();
        for interface in self.interfaces.iter().filter(|i| i.interface_type.is_efa()) {
            *per_card.entry(interface.network_card_index).or_default() += 1;
        }
        for (card, count) in per_card.iter().filter(|(_, count)| **count > 1) {
            let message = format!("{count} EFA interfaces on network card {card}, which takes one");
            let violation = self.violation(
                Code::LayoutSeveralEfaPerCard,
                count,
                message,
                "spread them over the network cards",
            );
            found.push(Violation {
                network_card_index: Some(*card),
                limit: Some("1".to_owned()),
                ..violation
            });
        }
        let Some(t) = self.t else { return };
        let (count, limit) = (per_card.values().sum::<usize>(), t.maximum_efa_interfaces);
        if count > limit as usize {
            let message = format!("{count} EFA interfaces, and {} can have {limit}", t.name);
            let cure = "make the others interface, or leave them out";
            let violation = self.violation(Code::LayoutTooManyEfa, count, message, cure);
            found.push(Violation {
                limit: Some(limit.to_string()),
                ..violation
            });
        }
    }

    /// `efa-only` has no IP address (API model), and EC2 gives a public one at launch only to a
    /// lone interface (karpenter-provider-aws#5666).
    fn ip(&self, found: &mut Vec<Violation>) {
        for interface in self.interfaces {
            let public = interface.associate_public_ip_address == Some(true);
            if interface.interface_type == InterfaceType::EfaOnly {
                let fields = [
                    (public, "AssociatePublicIpAddress=true"),
                    (
                        interface.ipv4_address_count.is_some(),
                        "an IPv4 address count",
                    ),
                    (
                        interface.ipv4_prefix_count.is_some(),
                        "an IPv4 prefix count",
                    ),
                ];
                let set: Vec<&str> = fields
                    .into_iter()
                    .filter_map(|(set, name)| set.then_some(name))
                    .collect();
                found.extend(efa_only_with(interface, &set).map(|violation| Violation {
                    instance_type: self.t.map(|t| t.name.clone()).unwrap_or_default(),
                    ..violation
                }));
            }
            if public && self.interfaces.len() != 1 {
                let count = self.interfaces.len();
                let message = format!(
                    "AssociatePublicIpAddress=true and {count} interfaces: EC2 assigns a public IP address at \
                     launch only to a lone one"
                );
                let cure = "use an Elastic IP after launch";
                let violation = self.violation(
                    Code::LayoutPublicIpWithSeveralInterfaces,
                    count,
                    message,
                    cure,
                );
                found.push(at(
                    Violation {
                        limit: Some("1".to_owned()),
                        ..violation
                    },
                    interface,
                ));
            }
        }
    }
}

fn at(violation: Violation, interface: &NetworkInterface) -> Violation {
    Violation {
        network_card_index: Some(interface.network_card_index),
        device_index: Some(interface.device_index),
        ..violation
    }
}

/// What a card takes, as a text.
fn taken_types(t: &InstanceType, card: CardIndex) -> String {
    let stated = t.card(card).and_then(|card| card.interface_types.clone());
    let known = || {
        [
            InterfaceType::Interface,
            InterfaceType::Efa,
            InterfaceType::EfaOnly,
        ]
    };
    let types = stated.unwrap_or_else(|| {
        known()
            .into_iter()
            .filter(|kind| t.accepts(card, kind))
            .collect()
    });
    types
        .iter()
        .map(InterfaceType::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
