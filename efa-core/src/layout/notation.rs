//! Interfaces as one short line that fits the value of an EC2 tag: 256 characters out of
//! letters, digits, spaces and `+ - = . _ : / @`.
//!
//! Items stand apart by spaces. Each is `cards:device=type`, then `+` and an option where an
//! interface differs from what its type has by default. Cards are one index, a run (`1-31`) or
//! a run with a step (`4-28/4`):
//!
//! ```text
//! 0:0=interface 0:1=efa-only 1-31:0=efa-only 4-28/4:1=interface
//! 0:0=efa+public-ip
//! ```
//!
//! Options: `public-ip`, `no-public-ip` and `subnet-public-ip` for `AssociatePublicIpAddress`
//! true, false and left out; `ips-N` and `prefixes-N` for counts.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::interface::{NetworkInterface, default_public_ip};
use crate::error::{Code, Error, Result};
use crate::types::InterfaceType;

/// No instance has this many interfaces; guards against `0-4294967295`.
const MAXIMUM_INTERFACES: usize = 4096;

/// The interfaces as one line; [`parse_notation`] reads it back.
pub(super) fn write_notation(interfaces: &[NetworkInterface]) -> String {
    let mut cards: BTreeMap<(u32, String), Vec<u32>> = BTreeMap::new();
    for interface in interfaces {
        let key = (interface.device_index.get(), kind(interface));
        cards
            .entry(key)
            .or_default()
            .push(interface.network_card_index.get());
    }
    let mut items: Vec<(u32, u32, String)> = Vec::new();
    for ((device, kind), mut indices) in cards {
        indices.sort_unstable();
        items.extend(
            runs(&indices)
                .into_iter()
                .map(|run| (run.0, device, format!("{}:{device}={kind}", run_text(run)))),
        );
    }
    items.sort();
    items
        .into_iter()
        .map(|(_, _, item)| item)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns the interfaces of a line that [`Layout::notation`](super::Layout::notation) wrote,
/// sorted by network card and device. They are data, not yet checked against a type.
///
/// # Errors
/// [`Code::LayoutNotationUnreadable`], with the item that cannot be read.
pub fn parse_notation(text: &str) -> Result<Vec<NetworkInterface>> {
    let mut interfaces = Vec::new();
    for item in text.split_ascii_whitespace() {
        let parsed = parse_item(item, MAXIMUM_INTERFACES - interfaces.len()).ok_or_else(|| {
            Error::new(
                Code::LayoutNotationUnreadable,
                format!("{item:?} is not an item of a layout"),
            )
            .with_cure("an item is cards:device=type, such as 1-31:0=efa-only")
            .with_context("value", item)
        })?;
        interfaces.extend(parsed);
    }
    interfaces.sort_by_key(NetworkInterface::slot);
    Ok(interfaces)
}

/// The type and whatever is not its default.
fn kind(interface: &NetworkInterface) -> String {
    let mut text = interface.interface_type.as_str().to_owned();
    if interface.associate_public_ip_address != default_public_ip(&interface.interface_type) {
        text.push_str(match interface.associate_public_ip_address {
            Some(true) => "+public-ip",
            Some(false) => "+no-public-ip",
            None => "+subnet-public-ip",
        });
    }
    for (name, count) in [
        ("ips", interface.ipv4_address_count),
        ("prefixes", interface.ipv4_prefix_count),
    ] {
        if let Some(count) = count {
            let _ = write!(text, "+{name}-{count}"); // writing to a String cannot fail
        }
    }
    text
}

/// First, last and step of a run of cards.
type Run = (u32, u32, u32);

/// Cuts sorted indices into runs with a constant step, from the left; a step above 1 takes
/// three indices at least, as two are as short by themselves.
pub(super) fn runs(indices: &[u32]) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut rest = indices;
    while let [first, ..] = rest {
        let step = rest.get(1).map_or(0, |second| second - first);
        let mut length = 1;
        while step > 0
            && rest
                .get(length)
                .is_some_and(|next| next - rest[length - 1] == step)
        {
            length += 1;
        }
        if step > 1 && length < 3 {
            length = 1;
        }
        runs.push((*first, rest[length - 1], if length > 1 { step } else { 1 }));
        rest = &rest[length..];
    }
    runs
}

fn run_text((first, last, step): Run) -> String {
    match (last - first, step) {
        (0, _) => first.to_string(),
        (_, 1) => format!("{first}-{last}"),
        (_, step) => format!("{first}-{last}/{step}"),
    }
}

fn parse_item(item: &str, limit: usize) -> Option<Vec<NetworkInterface>> {
    let (slots, kind) = item.split_once('=')?;
    let (cards, device) = slots.split_once(':')?;
    let (first, last, step) = parse_run(cards)?;
    let device = number(device)?;
    let mut options = kind.split('+');
    let interface_type = options
        .next()
        .filter(|text| !text.is_empty())
        .map(InterfaceType::from)?;
    let mut interface = NetworkInterface::new(first, device, interface_type);
    for option in options {
        match option {
            "public-ip" => interface.associate_public_ip_address = Some(true),
            "no-public-ip" => interface.associate_public_ip_address = Some(false),
            "subnet-public-ip" => interface.associate_public_ip_address = None,
            _ => {
                let (name, count) = option.split_once('-')?;
                match name {
                    "ips" => interface.ipv4_address_count = Some(number(count)?),
                    "prefixes" => interface.ipv4_prefix_count = Some(number(count)?),
                    _ => return None,
                }
            }
        }
    }
    let count = (last - first) as usize / step as usize + 1;
    let card = |index| NetworkInterface {
        network_card_index: index,
        ..interface.clone()
    };
    (count <= limit).then(|| {
        (first..=last)
            .step_by(step as usize)
            .map(|index| card(index.into()))
            .collect()
    })
}

fn parse_run(text: &str) -> Option<Run> {
    let (range, step) = text
        .split_once('/')
        .map_or((text, Some(1)), |(range, step)| (range, number(step)));
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(range)?, number(range)?),
    };
    step.filter(|step| *step > 0 && first <= last)
        .map(|step| (first, last, step))
}

/// Digits only: `parse` alone takes `+1`.
fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Layout, PublicIp};
    use proptest::prelude::*;

    fn layout(interfaces: Vec<NetworkInterface>) -> Layout {
        Layout {
            instance_type: "p5.48xlarge".to_owned(),
            profile: None,
            public_ip: PublicIp::None,
            interfaces,
            notes: Vec::new(),
        }
    }

    #[test]
    fn runs_with_steps() {
        for (indices, expected) in [
            (vec![], vec![]),
            (vec![7], vec![(7, 7, 1)]),
            (vec![0, 1], vec![(0, 1, 1)]),
            (vec![0, 5], vec![(0, 0, 1), (5, 5, 1)]),
            (vec![1, 5, 9, 13], vec![(1, 13, 4)]),
            (vec![0, 1, 5, 9, 13], vec![(0, 1, 1), (5, 13, 4)]),
            (vec![0, 4, 5, 6], vec![(0, 0, 1), (4, 6, 1)]),
            (vec![3, 3], vec![(3, 3, 1), (3, 3, 1)]),
        ] {
            assert_eq!(runs(&indices), expected);
        }
    }

    #[test]
    fn unreadable_items() {
        for text in [
            "0:0",
            "0=efa",
            ":0=efa",
            "0:=efa",
            "0:0=",
            "0:0=efa+",
            "0:0=efa+x-1",
            "0:0=efa+ips-",
            "3-1:0=efa",
            "1-9/0:0=efa",
            "0-4294967295:0=efa",
            "+1:0=efa",
            "-1:0=efa",
            "0:0=efa,1:0=efa+ips-x",
        ] {
            let error = parse_notation(text).unwrap_err();
            assert_eq!(error.code(), Code::LayoutNotationUnreadable, "{text}");
        }
        assert_eq!(parse_notation("").unwrap(), []);
    }

    prop_compose! {
        fn interface()(
            card in 0u32..40,
            device in 0u32..24,
            kind in prop_oneof![
                Just("interface"), Just("efa"), Just("efa-only"), Just("secondary"), Just("new_kind.2"),
            ],
            public in any::<Option<bool>>(),
            ips in proptest::option::of(0u32..60),
            prefixes in proptest::option::of(0u32..60),
        ) -> NetworkInterface {
            NetworkInterface {
                associate_public_ip_address: public,
                ipv4_address_count: ips,
                ipv4_prefix_count: prefixes,
                ..NetworkInterface::new(card, device, InterfaceType::from(kind))
            }
        }
    }

    proptest! {
        #[test]
        fn any_interfaces_are_read_back(interfaces in proptest::collection::vec(interface(), 0..40)) {
            let text = layout(interfaces.clone()).notation();
            prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || " +-=._:/@".contains(c)), "{}", text);
            let sort = |mut interfaces: Vec<NetworkInterface>| {
                interfaces.sort_by_key(|i| (i.slot(), kind(i)));
                interfaces
            };
            prop_assert_eq!(sort(parse_notation(&text).unwrap()), sort(interfaces));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9:=/+ a-z-]{0,40}") {
            let _ = parse_notation(&text);
        }
    }
}
