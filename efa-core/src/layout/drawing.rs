//! Layouts and instance types for the eye: text for terminals, HTML for notebooks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::{Layout, notation};
use crate::catalog::{InstanceType, NetworkCard};
use crate::html::escape;
use crate::svg::to_img;
use crate::types::InterfaceType;

/// A title, a table, and lines below it.
struct Drawing {
    title: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    below: Vec<String>,
}

impl Layout {
    /// Returns the network cards as rows and the device indices as columns, cards with equal
    /// interfaces in one row, for a terminal with a fixed-width font.
    ///
    /// ```
    /// use efa_core::Catalog;
    /// use efa_core::layout::Request;
    ///
    /// # fn main() -> efa_core::Result<()> {
    /// let p5 = Catalog::bundled().require("p5.48xlarge")?;
    /// assert_eq!(p5.layout(&Request::default())?.draw(), "\
    /// p5.48xlarge save-ips: 33 interfaces, 32 EFA, 1 IP
    ///
    /// network cards  device 0     device 1
    /// 0              [interface]  [efa-only]
    /// 1-31           [efa-only]   .
    /// ");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn draw(&self) -> String {
        self.drawing().text()
    }

    /// Returns the picture of [`to_svg`](Self::to_svg), and the same as a table, for notebooks: no
    /// script, and all text escaped.
    #[must_use]
    pub fn to_html(&self) -> String {
        let picture = to_img(&self.to_svg(), &self.to_string());
        self.drawing().html(&picture)
    }

    fn drawing(&self) -> Drawing {
        let used = self.interfaces.iter().map(|i| i.device_index.get());
        // Only indices that occur: a layout that was read and not checked may have any.
        let devices: Vec<u32> = used.collect::<BTreeSet<_>>().into_iter().collect();
        let mut cards: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for interface in &self.interfaces {
            let slots = cards
                .entry(interface.network_card_index.get())
                .or_insert_with(|| vec![String::new(); devices.len()]);
            let public = interface.associate_public_ip_address == Some(true);
            let label = format!(
                "[{}{}]",
                interface.interface_type,
                if public { " + public IP" } else { "" }
            );
            if let Ok(column) = devices.binary_search(&interface.device_index.get()) {
                slots[column].push_str(&label);
            }
        }
        let dots = |slots: Vec<String>| {
            slots
                .into_iter()
                .map(|s| if s.is_empty() { ".".to_owned() } else { s })
                .collect()
        };
        let mut head = vec!["network cards".to_owned()];
        head.extend(devices.iter().map(|device| format!("device {device}")));
        Drawing {
            title: self.to_string(),
            head,
            rows: fold(cards.into_iter().map(|(card, slots)| (card, dots(slots)))),
            below: self.notes.clone(),
        }
    }
}

impl InstanceType {
    /// Returns the network cards, equal ones in one row: how many interfaces each holds, EC2's
    /// figure in Gbps, and what it takes.
    #[must_use]
    pub fn draw(&self) -> String {
        self.drawing().text()
    }

    /// Returns the same as an HTML table, for notebooks: no script, and all text escaped.
    #[must_use]
    pub fn to_html(&self) -> String {
        self.drawing().html("")
    }

    fn drawing(&self) -> Drawing {
        let takes = |card: &NetworkCard| match &card.interface_types {
            Some(types) => types
                .iter()
                .map(InterfaceType::as_str)
                .collect::<Vec<_>>()
                .join(", "),
            None => "not stated".to_owned(),
        };
        let gbps = |card: &NetworkCard| {
            card.peak_bandwidth
                .map_or_else(|| "-".to_owned(), |gbps| gbps.to_string())
        };
        let rows = self.network_cards.iter().map(|card| {
            let cells = vec![
                card.maximum_network_interfaces.to_string(),
                gbps(card),
                takes(card),
            ];
            (card.network_card_index.get(), cells)
        });
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let mut title = format!(
            "{}: {} vCPUs, {} GiB, {} EFA, {} network card{}",
            self.name,
            self.default_vcpus,
            self.memory_gib(),
            self.maximum_efa_interfaces,
            self.network_cards.len(),
            plural(self.network_cards.len()),
        );
        if let Some(performance) = &self.network_performance {
            let _ = write!(title, ", {performance}"); // writing to a String cannot fail
        }
        for gpu in &self.gpus {
            let _ = write!(title, ", {} x {} {}", gpu.count, gpu.manufacturer, gpu.name);
        }
        Drawing {
            title,
            head: ["network cards", "interfaces", "Gbps", "takes"]
                .map(str::to_owned)
                .to_vec(),
            rows: fold(rows),
            below: Vec::new(),
        }
    }
}

/// One row for all cards with equal cells, in order of their first card.
fn fold(cards: impl Iterator<Item = (u32, Vec<String>)>) -> Vec<Vec<String>> {
    let mut groups: Vec<(Vec<u32>, Vec<String>)> = Vec::new();
    for (card, cells) in cards {
        match groups.iter_mut().find(|(_, known)| *known == cells) {
            Some((indices, _)) => indices.push(card),
            None => groups.push((vec![card], cells)),
        }
    }
    let label = |(first, last, step): (u32, u32, u32)| match (last - first, step) {
        (0, _) => first.to_string(),
        (_, 1) => format!("{first}-{last}"),
        (_, step) => format!("{first}, {}, ... {last}", first + step),
    };
    groups
        .into_iter()
        .map(|(indices, cells)| {
            let cards = notation::runs(&indices)
                .into_iter()
                .map(label)
                .collect::<Vec<_>>()
                .join(", ");
            [vec![cards], cells].concat()
        })
        .collect()
}

impl Drawing {
    fn text(&self) -> String {
        let rows = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| {
            rows()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.head.len()).map(width).collect();
        let mut text = format!("{}\n\n", self.title);
        for row in rows() {
            let cells: Vec<_> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        for line in &self.below {
            let _ = write!(text, "\n- {line}"); // writing to a String cannot fail
        }
        if !self.below.is_empty() {
            text.push('\n');
        }
        text
    }

    /// An invalid picture leaves the table.
    fn html(&self, picture: &str) -> String {
        let row = |cells: &[String], tag: &str| {
            let cells = cells
                .iter()
                .map(|cell| format!("<{tag} style=\"text-align:left\">{}</{tag}>", escape(cell)));
            format!("<tr>{}</tr>", cells.collect::<String>())
        };
        let rows: String = self.rows.iter().map(|cells| row(cells, "td")).collect();
        let mut html = format!(
            "<div><p>{}</p>{picture}<table><thead>{}</thead><tbody>{rows}</tbody></table>",
            escape(&self.title),
            row(&self.head, "th")
        );
        if !self.below.is_empty() {
            let items: String = self
                .below
                .iter()
                .map(|line| format!("<li>{}</li>", escape(line)))
                .collect();
            let _ = write!(html, "<ul>{items}</ul>"); // writing to a String cannot fail
        }
        html + "</div>"
    }
}
