//! What the heatmaps of HTML and SVG share: names for the axes, colours, numbers.

use super::report::{Cell, Report};
use crate::median::median;

/// Nodes above which no heatmap is drawn: a cell for each pair would be too much for a page.
pub(super) const MAX_NODES: usize = 128;
/// Nodes up to which cells have their rate written in them.
pub(super) const MAX_WITH_NUMBERS: usize = 24;
/// Characters of a name on an axis.
const MAX_NAME: usize = 28;

/// Share of the typical rate, and its colour: light where all is well, dark and red where it is
/// not, so that lightness alone tells them apart too.
const COLOURS: [(f64, [f64; 3]); 3] = [
    (0.5, [233.0, 98.0, 71.0]),
    (0.75, [246.0, 208.0, 102.0]),
    (1.0, [178.0, 224.0, 190.0]),
];
/// The colour of a pair that failed: on no way from slow to good, visible on white and on black.
pub(super) const FAILED: &str = "#7a3fb0";

/// The rates of a report, ready to be drawn.
pub(super) struct Heat {
    /// Names for the axes, by number of node.
    pub(super) names: Vec<String>,
    /// By sending node, then receiving node.
    pub(super) cells: Vec<Vec<Cell>>,
    /// Nodes to take out, by number.
    pub(super) drained: Vec<usize>,
    /// The median of all rates, in Gbit/s.
    pub(super) typical_gbps: Option<f64>,
}

impl Heat {
    pub(super) fn from_report(report: &Report) -> Self {
        let cells = report.matrix();
        let mut rates: Vec<f64> = cells
            .iter()
            .flatten()
            .filter_map(|cell| match cell {
                Cell::Gbps(gbps) => Some(*gbps),
                _ => None,
            })
            .collect();
        Self {
            names: axis_names(report.nodes.iter().map(|node| node.name.as_str())),
            cells,
            drained: report.drained(),
            typical_gbps: median(&mut rates),
        }
    }

    /// The colour of a rate.
    pub(super) fn colour(&self, gbps: f64) -> String {
        match self.typical_gbps {
            Some(typical) if typical > 0.0 => colour(gbps / typical),
            _ => colour(1.0),
        }
    }

    pub(super) fn has_numbers(&self) -> bool {
        self.names.len() <= MAX_WITH_NUMBERS
    }
}

/// The colour of a share of the typical rate.
pub(super) fn colour(share: f64) -> String {
    let [mut below, .., mut above] = COLOURS;
    for pair in COLOURS.windows(2) {
        if let [low, high] = pair
            && (low.0..=high.0).contains(&share)
        {
            (below, above) = (*low, *high);
        }
    }
    let position = ((share - below.0) / (above.0 - below.0)).clamp(0.0, 1.0);
    let mix = |channel: usize| {
        let (from, to) = (below.1[channel], above.1[channel]);
        // In 0 to 255: between two such numbers.
        (from + (to - from) * position).round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
}

/// Names with their middle left out where they are long, unless two would then be the same.
fn axis_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let names: Vec<&str> = names.collect();
    let cut: Vec<String> = names.iter().map(|name| elide(name)).collect();
    let distinct: std::collections::BTreeSet<&String> = cut.iter().collect();
    if distinct.len() == names.len() {
        cut
    } else {
        names.into_iter().map(str::to_owned).collect()
    }
}

fn elide(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= MAX_NAME {
        return name.to_owned();
    }
    // The start says the host; the end tells processes on one host apart.
    let (head, tail) = (MAX_NAME * 3 / 5, MAX_NAME * 2 / 5 - 1);
    let start = letters.iter().take(head);
    let end = letters.iter().skip(letters.len() - tail);
    start
        .chain(std::iter::once(&'…'))
        .chain(end)
        .copied()
        .collect()
}

/// Text inside of HTML or XML, quotes included. Control characters, which XML cannot have, are
/// left out.
pub(super) fn escape(text: &str) -> String {
    let seen: String = text.chars().filter(|c| !c.is_control()).collect();
    efa_core::html::escape(&seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_from_half_to_all_of_the_typical_rate() {
        for (share, expected) in [
            (0.0, "#e96247"),
            (0.5, "#e96247"),
            (0.75, "#f6d066"),
            (0.875, "#d4d892"),
            (1.0, "#b2e0be"),
            (7.0, "#b2e0be"),
        ] {
            assert_eq!(colour(share), expected, "{share}");
        }
    }

    #[test]
    fn long_names_lose_their_middle_unless_they_would_be_the_same() {
        let host = |number: usize| format!("ip-10-17-0-{number}.eu-central-1.compute.internal");
        let with_pid = [format!("{}/00001a", host(1)), format!("{}/00001b", host(2))];
        assert_eq!(
            axis_names(with_pid.iter().map(String::as_str)),
            ["ip-10-17-0-1.eu-…nal/00001a", "ip-10-17-0-2.eu-…nal/00001b"]
        );
        let same = [
            "x".repeat(40),
            format!("{}y{}", "x".repeat(20), "x".repeat(19)),
        ];
        assert_eq!(axis_names(same.iter().map(String::as_str)), same);
        assert_eq!(axis_names(["node-1"].into_iter()), ["node-1"]);
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(
            escape("<a\u{1b}[1m b='\"&'>"),
            "&lt;a[1m b=&#39;&quot;&amp;&#39;&gt;"
        );
    }
}
