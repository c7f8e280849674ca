//! A layout as a picture: network cards as boxes, with their interfaces inside.

use std::collections::BTreeMap;

use super::colours::{class, legend};
use super::{Layout, NetworkInterface};
use crate::svg::{LINE, PADDING, Picture};

/// Of a card, in px.
const CARD_WIDTH: usize = 104;
const GAP: usize = 8;
/// Cards side by side.
const COLUMNS: usize = 8;
/// Cards that are drawn: a layout that was read and not checked may have any number.
const MAX_CARDS: usize = 64;
/// Interfaces of one card that are drawn.
const MAX_INTERFACES: usize = 8;

/// The interfaces of each network card, by device index.
pub(crate) type Cards<'a> = BTreeMap<u32, Vec<&'a NetworkInterface>>;

impl Layout {
    /// Returns the layout as a self-contained SVG: each network card a box, with its interfaces by
    /// device index, and what the colours mean. It is readable on light and dark pages, and without
    /// scripts.
    ///
    /// # Examples
    /// ```
    /// use efa_core::{Catalog, layout::Request};
    ///
    /// # fn main() -> efa_core::Result<()> {
    /// let p5 = Catalog::bundled().require("p5.48xlarge")?;
    /// let svg = p5.layout(&Request::default())?.to_svg();
    /// assert!(svg.starts_with("<svg ") && svg.contains(">card 31</text>"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn to_svg(&self) -> String {
        let title = self.to_string();
        let cards = self.cards();
        let mut picture = Picture::default();
        let mut y = PADDING + 14;
        picture.text("title", (PADDING, y), &title);
        y += GAP + 4;
        let most = cards.values().map(Vec::len).max().unwrap_or(0);
        let height = LINE + most.min(MAX_INTERFACES) * (LINE + 4) + 6;
        for (number, (index, interfaces)) in cards.iter().take(MAX_CARDS).enumerate() {
            let x = PADDING + number % COLUMNS * (CARD_WIDTH + GAP);
            let top = y + number / COLUMNS * (height + GAP);
            card(&mut picture, (x, top), height, *index, interfaces);
        }
        y += cards.len().min(MAX_CARDS).div_ceil(COLUMNS) * (height + GAP) + LINE;
        if cards.len() > MAX_CARDS {
            let more = format!("and {} more network cards", cards.len() - MAX_CARDS);
            picture.text("", (PADDING, y), &more);
            y += LINE;
        }
        legend(&mut picture, y, self.interfaces.iter());
        picture.finish(&title)
    }

    /// The interfaces by network card.
    pub(crate) fn cards(&self) -> Cards<'_> {
        let mut cards = Cards::new();
        for interface in &self.interfaces {
            let card = cards.entry(interface.network_card_index.get()).or_default();
            card.push(interface);
            card.sort_by_key(|interface| interface.device_index);
        }
        cards
    }
}

fn card(
    picture: &mut Picture,
    (x, y): (usize, usize),
    height: usize,
    index: u32,
    interfaces: &[&NetworkInterface],
) {
    picture.rect("box", (x, y), (CARD_WIDTH, height));
    picture.text("", (x + 6, y + 14), &format!("card {index}"));
    for (number, interface) in interfaces.iter().take(MAX_INTERFACES).enumerate() {
        let top = y + LINE + 2 + number * (LINE + 4);
        picture.rect(class(interface), (x + 5, top), (CARD_WIDTH - 10, LINE));
        let public = interface.associate_public_ip_address == Some(true);
        let label = format!(
            "{}: {}{}",
            interface.device_index,
            interface.interface_type,
            if public { " ⇄" } else { "" }
        );
        let label: String = label.chars().take(14).collect();
        picture.text("on", (x + 10, top + 13), &label);
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::Catalog;
    use crate::layout::{PublicIp, Request};

    fn svg(instance_type: &str, request: Request) -> String {
        let t = Catalog::bundled().require(instance_type).unwrap();
        t.layout(&request).unwrap().to_svg()
    }

    #[test]
    fn every_card_is_a_box_with_its_interfaces() {
        let svg = svg("p5.48xlarge", Request::default());
        assert_eq!(svg.matches("class=\"box\"").count(), 32);
        assert_eq!(svg.matches(": efa-only</text>").count(), 32);
        assert_eq!(svg.matches("0: interface</text>").count(), 1);
        assert!(svg.contains("<title>p5.48xlarge save-ips: 33 interfaces, 32 EFA, 1 IP</title>"));
        assert!(!svg.contains("efa: EFA and an IP"), "no such interface");
    }

    #[test]
    fn a_public_address_is_marked() {
        let svg = svg(
            "c5n.18xlarge",
            Request::default().public_ip(PublicIp::LoneEfa),
        );
        assert!(svg.contains("0: efa ⇄"), "{svg}");
        assert!(svg.contains("⇄ public address"));
    }

    #[test]
    fn a_forged_layout_stays_small_and_escaped() {
        let t = Catalog::bundled().require("p5.48xlarge").unwrap();
        let mut layout = t.layout(&Request::default()).unwrap();
        layout.instance_type = "<script>".to_owned();
        let one = layout.interfaces[0].clone();
        for card in 0..100_u32 {
            let mut more = one.clone();
            more.network_card_index = (1_000_000 + card).into();
            more.interface_type = "<b>".into();
            layout.interfaces.push(more);
        }
        let svg = layout.to_svg();
        assert!(!svg.contains("<script>") && !svg.contains("<b>"), "{svg}");
        assert_eq!(svg.matches("class=\"box\"").count(), super::MAX_CARDS);
        assert!(svg.contains("and 68 more network cards"), "{svg}");
    }

    #[test]
    fn the_documented_picture_is_what_is_drawn() {
        crate::fixtures::documented("layout.svg", &svg("p5.48xlarge", Request::default()));
    }
}
