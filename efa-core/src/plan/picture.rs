//! A plan as a picture: subnet, security group and placement group as frames around the nodes, and
//! in each node its network cards.

use super::Plan;
use crate::layout::{Layout, class, legend};
use crate::svg::{LINE, PADDING, Picture};

/// Of an interface in a node, in px.
const SLOT: usize = 10;
/// Network cards of a node side by side.
const CARDS: usize = 16;
/// Interfaces of one card that are drawn.
const MAX_SLOTS: usize = 4;
/// Cards of one node that are drawn.
const MAX_CARDS: usize = 64;
/// Nodes that are drawn, and how many side by side.
const MAX_NODES: usize = 8;
const NODES: usize = 4;
const GAP: usize = 10;

impl Plan {
    /// Returns the plan as a self-contained SVG: the subnet, the security group and the placement
    /// group as frames, and in them the nodes (at most eight) with the interfaces of each network
    /// card. It is readable on light and dark pages, and without scripts.
    /// [`Display`](std::fmt::Display) has more.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let spec = self.spec();
        let title = format!(
            "cluster '{}': {} x {} in {}",
            spec.name,
            spec.count,
            spec.instance_type,
            self.region()
        );
        let mut picture = Picture::default();
        picture.text("title", (PADDING, PADDING + 14), &title);
        let frames = self.frames();
        let nodes = Nodes::new(self.layout(), spec.count as usize);
        let inset = |depth: usize| PADDING + depth * GAP;
        let top = PADDING + 14 + GAP;
        let head = LINE + 4;
        let (width, height) = nodes.size();
        let least = frames
            .iter()
            .map(|label| 7 * label.chars().count() + 12)
            .max();
        let width = width.max(least.unwrap_or(0));
        for (depth, label) in frames.iter().enumerate() {
            let inner = frames.len() - depth;
            let (x, y) = (inset(depth), top + depth * head);
            let size = (width + 2 * GAP * inner, height + head * inner + GAP * inner);
            picture.rect("frame", (x, y), size);
            picture.text("", (x + 6, y + 14), label);
        }
        let start = (inset(frames.len()), top + frames.len() * head);
        nodes.draw(&mut picture, start);
        let below = top + frames.len() * (head + GAP) + height + LINE + 4;
        legend(&mut picture, below, self.layout().interfaces.iter());
        picture.finish(&title)
    }

    /// What lies around the nodes, from the outside in.
    fn frames(&self) -> Vec<String> {
        let (subnet, group) = (self.subnet(), self.security_group());
        let made = |exists: bool| if exists { "" } else { ", to be made" };
        let others = match self.subnets().len() {
            0 | 1 => String::new(),
            subnets => format!(", or the next of {subnets}"),
        };
        let mut frames = vec![
            format!(
                "subnet {} in {}, zone {}{others}",
                subnet.subnet_id, subnet.vpc_id, subnet.availability_zone
            ),
            format!(
                "security group {}{}",
                group.group_id.as_deref().unwrap_or(&group.group_name),
                made(group.group_id.is_some())
            ),
        ];
        frames.extend(self.placement_group().map(|group| {
            let name = &group.group_name;
            format!("placement group {name} (cluster){}", made(group.exists))
        }));
        frames
    }
}

/// The nodes that are drawn.
struct Nodes<'a> {
    layout: &'a Layout,
    drawn: usize,
    count: usize,
    /// Cards of each, and interfaces of the fullest card.
    cards: usize,
    slots: usize,
}

impl<'a> Nodes<'a> {
    fn new(layout: &'a Layout, count: usize) -> Self {
        let cards = layout.cards();
        Self {
            layout,
            drawn: count.min(MAX_NODES),
            count,
            cards: cards.len().clamp(1, MAX_CARDS),
            slots: cards
                .values()
                .map(Vec::len)
                .max()
                .unwrap_or(1)
                .min(MAX_SLOTS),
        }
    }

    /// Of one node, in px.
    fn node(&self) -> (usize, usize) {
        let rows = self.cards.div_ceil(CARDS);
        let width = (self.cards.min(CARDS) * (SLOT + 3) + 11).max(70);
        (width, LINE + rows * (self.slots * SLOT + 5) + 6)
    }

    /// Of all, in px.
    fn size(&self) -> (usize, usize) {
        let (width, height) = self.node();
        let (columns, rows) = (self.drawn.min(NODES), self.drawn.div_ceil(NODES));
        let more = if self.count > self.drawn { LINE } else { 0 };
        (
            columns * (width + GAP) - GAP.min(columns * GAP),
            rows * (height + GAP) + more,
        )
    }

    fn draw(&self, picture: &mut Picture, (left, top): (usize, usize)) {
        let (width, height) = self.node();
        for number in 0..self.drawn {
            let x = left + number % NODES * (width + GAP);
            let y = top + number / NODES * (height + GAP);
            picture.rect("box", (x, y), (width, height));
            picture.text("", (x + 6, y + 13), &format!("node {number}"));
            let cards = self.layout.cards();
            for (at, interfaces) in cards.values().take(MAX_CARDS).enumerate() {
                let x = x + 7 + at % CARDS * (SLOT + 3);
                let y = y + LINE + at / CARDS * (self.slots * SLOT + 5);
                for (slot, interface) in interfaces.iter().take(MAX_SLOTS).enumerate() {
                    picture.rect(class(interface), (x, y + slot * SLOT), (SLOT, SLOT));
                }
            }
        }
        if self.count > self.drawn {
            let y = top + self.drawn.div_ceil(NODES) * (height + GAP) + 12;
            let more = format!("and {} more nodes like these", self.count - self.drawn);
            picture.text("", (left, y), &more);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixtures::{decide_plan, documented, seen, spec};

    fn svg(instance_type: &str, count: u32) -> String {
        let mut spec = spec(instance_type);
        spec.count = count;
        let mut seen = seen(&spec);
        for subnet in &mut seen.subnets {
            subnet.available_ip_address_count = 4091;
        }
        decide_plan(&spec, seen).unwrap().to_svg()
    }

    #[test]
    fn frames_lie_around_the_nodes_and_their_cards() {
        let svg = svg("p5.48xlarge", 2);
        assert_eq!(svg.matches("class=\"frame\"").count(), 3);
        assert_eq!(svg.matches("class=\"box\"").count(), 2);
        // Each node has 32, and one more explains the colour.
        assert_eq!(svg.matches("class=\"efa-only\"").count(), 2 * 32 + 1);
        for said in [
            ">subnet subnet-",
            ">security group efa-sdk-train, to be made<",
            ">placement group efa-sdk-train (cluster), to be made<",
            ">node 1<",
        ] {
            assert!(svg.contains(said), "{said}: {svg}");
        }
        documented("plan.svg", &svg);
    }

    #[test]
    fn a_large_cluster_says_how_many_nodes_are_not_drawn() {
        let svg = svg("c7i.48xlarge", 100);
        assert_eq!(svg.matches("class=\"box\"").count(), super::MAX_NODES);
        assert!(svg.contains("and 92 more nodes like these"), "{svg}");
    }
}
