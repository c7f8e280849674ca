//! Plans the interfaces of a launch: driven by what each network card takes, budgeted by
//! `MaximumEfaInterfaces`, never by lists of types (those are in `policy`).

use super::policy::Policy;
use super::{Layout, NetworkInterface, Profile, PublicIp, Request};
use crate::catalog::{InstanceType, NetworkCard};
use crate::error::{Code, Error, Result};
use crate::types::InterfaceType;

impl InstanceType {
    /// Plans the interfaces of a launch of this type.
    ///
    /// # Errors
    /// [`Code::LayoutEfaNotSupported`], [`Code::LayoutEfaCountOutOfRange`],
    /// [`Code::LayoutProfileNotPossible`] and [`Code::LayoutPublicIpNotPossible`], each with
    /// the type, the limit and the cure. The layout is never silently a smaller one.
    pub fn layout(&self, request: &Request) -> Result<Layout> {
        Layout::plan(self, request)
    }
}

impl Layout {
    /// Plans the interfaces of a launch; the same as [`InstanceType::layout`].
    ///
    /// # Errors
    /// As [`InstanceType::layout`].
    pub fn plan(instance_type: &InstanceType, request: &Request) -> Result<Self> {
        let layout = planned(instance_type, request)?;
        layout.check_against(instance_type)?;
        Ok(layout)
    }

    /// Creates a layout of the caller's own interfaces, in any order.
    ///
    /// # Errors
    /// The first rule that EC2 would refuse the interfaces for; see [`violations`](super::violations) for all.
    pub fn from_interfaces(
        instance_type: &InstanceType,
        mut interfaces: Vec<NetworkInterface>,
    ) -> Result<Self> {
        interfaces.sort_by_key(NetworkInterface::slot);
        let public = interfaces
            .iter()
            .any(|i| i.associate_public_ip_address == Some(true));
        let mut layout = Self {
            instance_type: instance_type.name.clone(),
            profile: None,
            public_ip: if public {
                PublicIp::LoneEfa
            } else {
                PublicIp::None
            },
            interfaces,
            notes: Vec::new(),
        };
        layout.check_against(instance_type)?;
        layout.notes = notes(instance_type, &layout);
        Ok(layout)
    }
}

/// The layout of a request. Its interfaces are not yet checked against the rules.
fn planned(t: &InstanceType, request: &Request) -> Result<Layout> {
    let policy = Policy::of(t);
    let wanted = efa_count(t, &policy, request)?;
    let mut interfaces = match request.public_ip {
        PublicIp::LoneEfa => lone_efa(t, request)?,
        PublicIp::None | PublicIp::ElasticIp => by_profile(t, &policy, request.profile, wanted)?,
    };
    interfaces.sort_by_key(NetworkInterface::slot);
    let mut layout = Layout {
        instance_type: t.name.clone(),
        profile: Some(request.profile),
        public_ip: request.public_ip,
        interfaces,
        notes: Vec::new(),
    };
    layout.notes = notes(t, &layout);
    Ok(layout)
}

/// How many EFAs the request is for.
fn efa_count(t: &InstanceType, policy: &Policy, request: &Request) -> Result<u32> {
    if !t.efa_supported || t.maximum_efa_interfaces == 0 || t.network_cards.is_empty() {
        return Err(Error::new(
            Code::LayoutEfaNotSupported,
            format!("{} has no EFA", t.name),
        )
        .with_cure("choose a type that the catalog finds (Catalog.find)")
        .with_context("instance_type", &t.name)
        .with_context("limit", 0));
    }
    let limit = policy.maximum_efa(t);
    match request.efa {
        None => Ok(policy.default_efa.unwrap_or(limit).min(limit)),
        Some(efa) if (1..=limit).contains(&efa) => Ok(efa),
        Some(efa) => {
            let reason = if efa > limit && limit < t.maximum_efa_interfaces {
                policy.reason
            } else {
                ""
            };
            let because = if reason.is_empty() {
                String::new()
            } else {
                format!(": {reason}")
            };
            Err(count_error(
                t,
                efa,
                limit,
                format!("{efa} EFA interfaces asked for on {}{because}", t.name),
            ))
        }
    }
}

fn count_error(t: &InstanceType, value: u32, limit: u32, message: String) -> Error {
    Error::new(Code::LayoutEfaCountOutOfRange, message)
        .with_cure(if limit == 1 {
            "ask for 1".to_owned()
        } else {
            format!("ask for 1 to {limit}")
        })
        .with_context("instance_type", &t.name)
        .with_context("value", value)
        .with_context("limit", limit)
}

/// One interface with EFA and a public IP address from the launch.
fn lone_efa(t: &InstanceType, request: &Request) -> Result<Vec<NetworkInterface>> {
    let refuse = |message: String, cure: String| {
        Error::new(Code::LayoutPublicIpNotPossible, message)
            .with_cure(cure)
            .with_context("instance_type", &t.name)
            .with_context("network_card_index", 0)
            .with_context("value", PublicIp::LoneEfa)
            .with_context("limit", t.maximum_efa_interfaces)
    };
    let primary = NetworkInterface::new(0, 0, InterfaceType::Efa);
    if !t.accepts(primary.network_card_index, &primary.interface_type) {
        return Err(refuse(
            format!(
                "network card 0 of {} takes no EFA, so a lone interface has no EFA",
                t.name
            ),
            "use the public IP choice elastic-ip".to_owned(),
        ));
    }
    if t.maximum_efa_interfaces > 1 && request.efa != Some(1) {
        return Err(refuse(
            format!(
                "EC2 assigns a public IP address at launch only to an instance with one network interface, which \
                 leaves 1 of {} EFA interfaces of {}",
                t.maximum_efa_interfaces, t.name
            ),
            "use the public IP choice elastic-ip, or accept 1 EFA interface by asking for efa=1"
                .to_owned(),
        ));
    }
    Ok(vec![NetworkInterface {
        associate_public_ip_address: Some(true),
        ..primary
    }])
}

fn by_profile(
    t: &InstanceType,
    policy: &Policy,
    profile: Profile,
    wanted: u32,
) -> Result<Vec<NetworkInterface>> {
    let mut interfaces = match profile {
        Profile::SaveIps | Profile::IpBandwidth => separate(t, policy, wanted),
        Profile::Combined => secondaries_at_1(t, policy, profile, wanted, &InterfaceType::Efa)?,
        Profile::EfaOnlySecondary => {
            secondaries_at_1(t, policy, profile, wanted, &InterfaceType::EfaOnly)?
        }
    };
    let planned = interfaces
        .iter()
        .filter(|i| i.interface_type.is_efa())
        .count();
    let planned = u32::try_from(planned).unwrap_or(u32::MAX);
    if planned < wanted {
        let message = format!(
            "the network cards of {} take {planned} of {wanted} EFA interfaces",
            t.name
        );
        return Err(count_error(t, wanted, planned, message));
    }
    if profile == Profile::IpBandwidth {
        add_ip_interfaces(t, policy, &mut interfaces);
    }
    Ok(interfaces)
}

/// The cards besides card 0 that may get an EFA, in the order in which they get it.
fn further_efa_cards<'a>(t: &'a InstanceType, policy: &Policy) -> Vec<&'a NetworkCard> {
    let further = || {
        t.network_cards
            .iter()
            .filter(|card| card.network_card_index.get() != 0)
    };
    if policy.efa_cards.is_empty() {
        return further().collect();
    }
    let of = |index: &u32| further().find(|card| card.network_card_index.get() == *index);
    policy.efa_cards.iter().filter_map(of).collect()
}

/// ENA and EFA-only apart: `(0,0,interface)(0,1,efa-only)` and `(k,0,efa-only)`.
fn separate(t: &InstanceType, policy: &Policy, wanted: u32) -> Vec<NetworkInterface> {
    let takes = |card: &NetworkCard, kind: &InterfaceType| t.accepts(card.network_card_index, kind);
    let card0 = t
        .network_cards
        .iter()
        .find(|card| card.network_card_index.get() == 0);
    let primary_efa = policy.efa_cards.is_empty() || policy.efa_cards.contains(&0);
    let mut interfaces = match card0 {
        Some(card)
            if primary_efa
                && takes(card, &InterfaceType::EfaOnly)
                && card.maximum_network_interfaces >= 2 =>
        {
            vec![
                NetworkInterface::new(0, 0, InterfaceType::Interface),
                NetworkInterface::new(0, 1, InterfaceType::EfaOnly),
            ]
        }
        Some(card) if primary_efa && takes(card, &InterfaceType::Efa) => {
            vec![NetworkInterface::new(0, 0, InterfaceType::Efa)]
        }
        _ => vec![NetworkInterface::new(0, 0, InterfaceType::Interface)],
    };
    let mut left = wanted.saturating_sub(u32::from(
        interfaces.iter().any(|i| i.interface_type.is_efa()),
    ));
    for card in further_efa_cards(t, policy) {
        if left > 0 && takes(card, &InterfaceType::EfaOnly) {
            interfaces.push(NetworkInterface::new(
                card.network_card_index.get(),
                0,
                InterfaceType::EfaOnly,
            ));
            left -= 1;
        }
    }
    interfaces
}

/// An ENA interface on each further card that takes one and has room.
fn add_ip_interfaces(t: &InstanceType, policy: &Policy, interfaces: &mut Vec<NetworkInterface>) {
    for card in &t.network_cards {
        let index = card.network_card_index;
        let used = interfaces
            .iter()
            .filter(|i| i.network_card_index == index)
            .count();
        let free = u32::try_from(used).unwrap_or(u32::MAX);
        if index.get() != 0
            && index.get().is_multiple_of(policy.ip_card_step)
            && free < card.maximum_network_interfaces
            && t.accepts(index, &InterfaceType::Interface)
        {
            interfaces.push(NetworkInterface::new(
                index.get(),
                free,
                InterfaceType::Interface,
            ));
        }
    }
}

/// EFA with ENA on card 0, and `kind` on further cards, at device 1 as existing recipes have it,
/// or 0 where a card holds one interface.
fn secondaries_at_1(
    t: &InstanceType,
    policy: &Policy,
    profile: Profile,
    wanted: u32,
    kind: &InterfaceType,
) -> Result<Vec<NetworkInterface>> {
    let refuse = |card: u32, needed: &InterfaceType| {
        Error::new(
            Code::LayoutProfileNotPossible,
            format!(
                "{profile} needs {needed} on network card {card}, which {} does not take there",
                t.name
            ),
        )
        .with_cure("use the profile save-ips or ip-bandwidth")
        .with_context("instance_type", &t.name)
        .with_context("network_card_index", card)
        .with_context("value", profile)
    };
    let zero = crate::types::CardIndex::new(0);
    let primary = if t.accepts(zero, &InterfaceType::Efa) {
        InterfaceType::Efa
    } else if profile == Profile::EfaOnlySecondary {
        return Err(refuse(0, &InterfaceType::Efa));
    } else {
        InterfaceType::Interface
    };
    let mut left = wanted.saturating_sub(u32::from(primary.is_efa()));
    let mut interfaces = vec![NetworkInterface::new(0, 0, primary)];
    for card in further_efa_cards(t, policy) {
        if left == 0 {
            break;
        }
        let index = card.network_card_index;
        if !t.accepts(index, kind) {
            // A card without any EFA is passed over; one that takes another kind rules out the profile.
            if t.accepts(index, &InterfaceType::EfaOnly) || t.accepts(index, &InterfaceType::Efa) {
                return Err(refuse(index.get(), kind));
            }
            continue;
        }
        let device = u32::from(card.maximum_network_interfaces > 1);
        interfaces.push(NetworkInterface::new(index.get(), device, kind.clone()));
        left -= 1;
    }
    Ok(interfaces)
}

/// What a reader of the layout should know.
fn notes(t: &InstanceType, layout: &Layout) -> Vec<String> {
    let policy = Policy::of(t);
    let efa = u32::try_from(layout.efa_count()).unwrap_or(u32::MAX);
    let maximum = t.maximum_efa_interfaces;
    let mut notes = Vec::new();
    if layout.public_ip == PublicIp::ElasticIp {
        notes.push(
            "the launch gives no public IP address: an Elastic IP is associated with the primary interface \
             afterwards, within the account's limit"
                .to_owned(),
        );
    }
    let by_policy = policy.default_efa.is_some_and(|default| efa >= default);
    if efa == 0 {
        notes.push(format!(
            "none of {maximum} EFA interfaces: this is a launch without EFA"
        ));
    } else if by_policy {
        notes.push(format!(
            "{efa} of {maximum} EFA interfaces: {}",
            policy.reason
        ));
    } else if efa < maximum {
        notes.push(format!(
            "{efa} of {maximum} EFA interfaces: the bandwidth of the others is not used"
        ));
    }
    let takes_efa =
        |index| t.accepts(index, &InterfaceType::EfaOnly) || t.accepts(index, &InterfaceType::Efa);
    let efa_cards = t
        .network_cards
        .iter()
        .filter(|card| takes_efa(card.network_card_index))
        .count();
    if t.network_cards
        .first()
        .is_some_and(|card| !takes_efa(card.network_card_index))
    {
        notes.push(
            "network card 0 of this type takes no EFA: the primary interface is ENA only"
                .to_owned(),
        );
    }
    if efa_cards > maximum as usize {
        notes.push(format!(
            "{efa_cards} network cards take EFA, but the type has at most {maximum} EFA"
        ));
    }
    if layout.profile == Some(Profile::IpBandwidth) {
        if layout.ip_count() == 1 && t.multi_card() && layout.public_ip != PublicIp::LoneEfa {
            notes.push("no further network card has room for an IP interface".to_owned());
        } else if policy.ip_card_step > 1 && t.multi_card() {
            notes.push(policy.reason.to_owned());
        }
    }
    if layout.ip_count() > 1 {
        notes.push(format!(
            "each instance takes {} private IPv4 addresses of the subnet",
            layout.ip_count()
        ));
    }
    notes
}
