//! The colours of interfaces in pictures.

use super::interface::NetworkInterface;
use crate::svg::{PADDING, Picture};
use crate::types::InterfaceType;

/// The class of an interface's colour.
pub(crate) const fn class(interface: &NetworkInterface) -> &'static str {
    match interface.interface_type {
        InterfaceType::EfaOnly => "efa-only",
        InterfaceType::Efa => "efa",
        InterfaceType::Interface => "interface",
        _ => "other",
    }
}

/// What the colours that occur mean, in one line.
pub(crate) fn legend<'a>(
    picture: &mut Picture,
    y: usize,
    interfaces: impl Iterator<Item = &'a NetworkInterface> + Clone,
) {
    let meanings = [
        ("efa-only", "efa-only: EFA, no IP address"),
        ("efa", "efa: EFA and an IP address"),
        ("interface", "interface: an IP address, no EFA"),
        ("other", "of another type"),
    ];
    let mut x = PADDING;
    for (colour, meaning) in meanings {
        if !interfaces.clone().any(|i| class(i) == colour) {
            continue;
        }
        picture.rect(colour, (x, y - 10), (12, 12));
        picture.text("", (x + 18, y), meaning);
        x += 18 + 7 * meaning.len() + 14;
    }
    let public = |i: &NetworkInterface| i.associate_public_ip_address == Some(true);
    if interfaces.clone().any(public) {
        picture.text("", (x, y), "⇄ public address");
    }
}
