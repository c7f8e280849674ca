//! What the heatmaps of HTML and SVG share: names for the axes, colours, numbers.

use std::collections::BTreeMap;

use super::report::{Cell, Report};
use crate::median::median;
use crate::survey::Outcome;
use crate::survey::wording::digits;

/// Nodes above which cells are of groups: a cell for each pair would be too much for a page.
pub(super) const MAX_NODES: usize = 128;
/// Nodes up to which cells have their rate written in them.
pub(super) const MAX_WITH_NUMBERS: usize = 24;
/// Characters of a name on an axis.
const MAX_NAME: usize = 28;
/// Characters of each of the two names that an axis calls a group by.
const MAX_END: usize = 18;

/// Share of the typical rate, and its colour: light where all is well, dark and red where it is
/// not, so that lightness alone distinguishes them too.
const COLOURS: [(f64, [f64; 3]); 3] = [
    (0.5, [233.0, 98.0, 71.0]),
    (0.75, [246.0, 208.0, 102.0]),
    (1.0, [178.0, 224.0, 190.0]),
];
/// The colour of a pair that failed: on no way from slow to good, visible on white and on black.
pub(super) const FAILED: &str = "#7a3fb0";

/// The rates of a report, ready to be drawn: of nodes, or of groups of nodes where they are many.
/// What is to be taken out comes first.
pub(super) struct Heat {
    /// Names for the axes.
    pub(super) names: Vec<String>,
    /// The same, never shortened.
    pub(super) titles: Vec<String>,
    /// Whether there is something to take out.
    pub(super) bad: Vec<bool>,
    /// By sender, then receiver.
    pub(super) cells: Vec<Vec<Cell>>,
    /// Of groups: what there is more to show of a cell.
    more: BTreeMap<(usize, usize), String>,
    /// Whether these are groups, within which there are rates too.
    pub(super) is_of_groups: bool,
    /// The median of all rates, in Gbit/s.
    pub(super) typical_gbps: Option<f64>,
}

impl Heat {
    pub(super) fn from_report(report: &Report) -> Self {
        if report.nodes.len() > MAX_NODES {
            return Self::of_groups(report, &groups(report));
        }
        let matrix = report.matrix();
        let order = worst_first(report);
        let cells: Vec<Vec<Cell>> = (order.iter())
            .map(|&from| order.iter().map(|&to| matrix[from][to]).collect())
            .collect();
        let drained = report.drained();
        let titles: Vec<String> = order.iter().map(|&n| report.name(n).to_owned()).collect();
        Self {
            names: axis_names(titles.iter().map(String::as_str)),
            titles,
            bad: order.iter().map(|node| drained.contains(node)).collect(),
            typical_gbps: typical(&cells),
            cells,
            more: BTreeMap::new(),
            is_of_groups: false,
        }
    }

    fn of_groups(report: &Report, groups: &[Group]) -> Self {
        let mut group_of = vec![0; report.nodes.len()];
        for (number, group) in groups.iter().enumerate() {
            group.nodes.iter().for_each(|&node| group_of[node] = number);
        }
        let mut rates = BTreeMap::<(usize, usize), (Vec<f64>, usize)>::new();
        for o in report.of_pairs() {
            let (a, b) = (group_of[o.a], group_of[o.b]);
            match &o.outcome {
                Outcome::Measured(m) => {
                    rates.entry((a, b)).or_default().0.extend(m.gbps_a_to_b);
                    rates.entry((b, a)).or_default().0.extend(m.gbps_b_to_a);
                }
                Outcome::Failed(_) => {
                    rates.entry((a, b)).or_default().1 += 1;
                    rates.entry((b, a)).or_default().1 += usize::from(a != b);
                }
            }
        }
        let mut cells = vec![vec![Cell::Unknown; groups.len()]; groups.len()];
        let mut more = BTreeMap::new();
        for ((from, to), (mut list, failed)) in rates {
            let least = list.iter().copied().reduce(f64::min);
            let count = list.len();
            cells[from][to] = median(&mut list).map_or(Cell::Failed, Cell::Gbps);
            if let Some(least) = least {
                let least = digits(least);
                let said =
                    format!(" the median of {count} rates, the least {least}, {failed} failed");
                more.insert((from, to), said);
            }
        }
        let titles: Vec<String> = groups.iter().map(|group| group.label.clone()).collect();
        Self {
            names: groups.iter().map(|group| group.short.clone()).collect(),
            titles,
            bad: groups.iter().map(|group| group.drained > 0).collect(),
            typical_gbps: typical(&cells),
            cells,
            more,
            is_of_groups: true,
        }
    }

    /// What a cell shows when the reader points at it.
    pub(super) fn said(&self, from: usize, to: usize) -> String {
        let what = match self.cells[from][to] {
            Cell::Unknown => "not measured".to_owned(),
            Cell::Failed => "failed".to_owned(),
            Cell::Gbps(gbps) => format!("{} Gbit/s", digits(gbps)),
        };
        let more = self.more.get(&(from, to)).map_or("", String::as_str);
        let comma = if more.is_empty() { "" } else { "," };
        format!(
            "{} to {}: {what}{comma}{more}",
            self.titles[from], self.titles[to]
        )
    }

    /// Whether a cell is of a node and itself, of which there is nothing to show.
    pub(super) fn is_self(&self, from: usize, to: usize) -> bool {
        from == to && !self.is_of_groups
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

/// Nodes that are shown together.
pub(super) struct Group {
    /// The label of its nodes, or the first and the last of them.
    pub(super) label: String,
    /// The same for an axis: of long names the ends.
    short: String,
    /// By number, the worst first.
    pub(super) nodes: Vec<usize>,
    /// How many of them are to be taken out.
    pub(super) drained: usize,
}

/// The nodes by label, the group with the most to take out first; where there are no labels, or
/// too many, as many after each other as make at most [`MAX_WITH_NUMBERS`] groups.
pub(super) fn groups(report: &Report) -> Vec<Group> {
    let drained = report.drained();
    let labels = (report.options.as_ref()).and_then(|options| options.labels.clone());
    let mut by_label = BTreeMap::<String, Vec<usize>>::new();
    for (node, label) in labels.into_iter().flatten().enumerate() {
        by_label.entry(label).or_default().push(node);
    }
    let with_label =
        |(label, nodes): (String, Vec<usize>)| (label.clone(), elide(&label, MAX_NAME), nodes);
    let mut groups: Vec<(String, String, Vec<usize>)> =
        by_label.into_iter().map(with_label).collect();
    if groups.len() < 2 || groups.len() > MAX_WITH_NUMBERS {
        let all: Vec<usize> = (0..report.nodes.len()).collect();
        let size = all.len().div_ceil(MAX_WITH_NUMBERS).max(1);
        let block = |nodes: &[usize]| {
            let ends = [nodes[0], nodes[nodes.len() - 1]].map(|node| report.name(node));
            let short = ends.map(|name| elide(&without_domain(name), MAX_END));
            (ends.join(" … "), short.join(" … "), nodes.to_vec())
        };
        groups = all.chunks(size).map(block).collect();
    }
    let order = worst_first(report);
    let mut place = vec![0; order.len()];
    for (at, &node) in order.iter().enumerate() {
        place[node] = at;
    }
    let mut groups: Vec<Group> = (groups.into_iter())
        .map(|(label, short, mut nodes)| {
            nodes.sort_by_key(|&node| place[node]);
            let drained = nodes.iter().filter(|&node| drained.contains(node)).count();
            Group {
                label,
                short,
                nodes,
                drained,
            }
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.drained));
    groups
}

/// The nodes by number: those to take out, and then the others.
fn worst_first(report: &Report) -> Vec<usize> {
    let drained = report.drained();
    let mut order: Vec<usize> = (0..report.nodes.len()).collect();
    order.sort_by_key(|node| !drained.contains(node));
    order
}

fn typical(cells: &[Vec<Cell>]) -> Option<f64> {
    let rates = cells.iter().flatten().filter_map(|cell| match cell {
        Cell::Gbps(gbps) => Some(*gbps),
        _ => None,
    });
    median(&mut rates.collect::<Vec<_>>())
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

/// Names without their domain, and with their middle left out where they are long, unless two would
/// then be the same.
fn axis_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let names: Vec<&str> = names.collect();
    let short: [fn(&str) -> String; 2] = [
        |name| elide(&without_domain(name), MAX_NAME),
        |name| elide(name, MAX_NAME),
    ];
    for short in short {
        let cut: Vec<String> = names.iter().map(|name| short(name)).collect();
        let distinct: std::collections::BTreeSet<&String> = cut.iter().collect();
        if distinct.len() == names.len() {
            return cut;
        }
    }
    names.into_iter().map(str::to_owned).collect()
}

/// The name of a host, and of a process on it, without the domain.
fn without_domain(name: &str) -> String {
    let (host, process) = name.split_once('/').unwrap_or((name, ""));
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    let host = host
        .split('.')
        .next()
        .filter(|_| !is_address)
        .unwrap_or(host);
    let slash = if process.is_empty() { "" } else { "/" };
    format!("{host}{slash}{process}")
}

fn elide(name: &str, most: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= most {
        return name.to_owned();
    }
    // The start states the host; the end distinguishes processes on one host.
    let (head, tail) = (most * 3 / 5, most * 2 / 5 - 1);
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
    use super::super::sample::large;
    use super::*;
    use crate::survey::{Options, PairObservation};

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
    fn many_nodes_are_groups_and_the_bad_one_comes_first() {
        let mut report = large(130);
        let blocks = groups(&report);
        assert_eq!(blocks.len(), 22);
        assert_eq!(
            blocks.iter().map(|group| group.nodes.len()).sum::<usize>(),
            130
        );
        assert_eq!(
            (&*blocks[0].label, blocks[0].drained),
            ("node-0 … node-5", 1)
        );
        assert_eq!(blocks[0].nodes[0], 5);
        let label = |node: usize| format!("leaf-{}", node % 3);
        report.options = Some(Options {
            labels: Some((0..130).map(label).collect()),
            ..Options::default()
        });
        let heat = Heat::from_report(&report);
        assert_eq!(heat.titles, ["leaf-2", "leaf-0", "leaf-1"]);
        assert_eq!(heat.bad, [true, false, false]);
        // Every rate is in one cell, the failed pair of leaf-1 and leaf-2 in both directions.
        let counts = |said: &str| -> (usize, usize) {
            let number = |before: &str| {
                let rest = said.split_once(before).unwrap().1;
                rest.split(' ').next().unwrap().parse().unwrap()
            };
            (
                number("the median of "),
                said.rsplit(' ').nth(1).unwrap().parse().unwrap(),
            )
        };
        let all: Vec<_> = (0..9).map(|i| counts(&heat.said(i / 3, i % 3))).collect();
        let measured = |o: &&PairObservation| matches!(o.outcome, Outcome::Measured(_));
        let rates = 2 * report.of_pairs().filter(measured).count();
        assert_eq!(all.iter().map(|(count, _)| count).sum::<usize>(), rates);
        let failed = report.of_pairs().filter(|o| !measured(o)).count();
        assert!(
            failed > 0 && all[2].1 == failed && all[6].1 == failed,
            "{all:?}"
        );
    }

    #[test]
    fn a_group_does_not_look_like_one_of_its_nodes() {
        let mut report = large(130);
        for (number, node) in report.nodes.iter_mut().enumerate() {
            node.name = format!("ip-10-17-0-{number}.eu-central-1.compute.internal/{number}");
        }
        let heat = Heat::from_report(&report);
        assert_eq!(heat.names[0], "ip-10-17-0-0/0 … ip-10-17-0-5/5");
        let title = "ip-10-17-0-0.eu-central-1.compute.internal/0 … \
                     ip-10-17-0-5.eu-central-1.compute.internal/5";
        assert_eq!(heat.titles[0], title);
        assert_eq!(without_domain("10.0.0.7"), "10.0.0.7");
        assert_eq!(without_domain("a.b"), "a");
    }

    #[test]
    fn long_names_lose_their_middle_unless_they_would_be_the_same() {
        let host = |number: usize| format!("ip-10-17-0-{number}.eu-central-1.compute.internal");
        let with_pid = [format!("{}/00001a", host(1)), format!("{}/00001b", host(2))];
        assert_eq!(
            axis_names(with_pid.iter().map(String::as_str)),
            ["ip-10-17-0-1/00001a", "ip-10-17-0-2/00001b"]
        );
        let regions = ["eu-central-1", "us-east-1"].map(|of| format!("ip-10-17-0-1.{of}.x"));
        assert_eq!(axis_names(regions.iter().map(String::as_str)), regions);
        let long = ["a", "b"].map(|end| format!("{}-{end}", "x".repeat(30)));
        let cut = format!("{}…{}-b", "x".repeat(16), "x".repeat(8));
        assert_eq!(axis_names(long.iter().map(String::as_str))[1], cut);
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
