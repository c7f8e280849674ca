//! The heatmap as a picture of its own: for documents, reports and issue trackers.

use std::fmt::Write;

use efa_core::svg::{LINE, PADDING, document};
use efa_core::text::plain;

use super::heat::{FAILED, Heat, MAX_NODES, colour, escape};
use super::report::{Cell, Report};
use crate::survey::wording::digits;

/// Nodes that the first line names.
const MAX_NAMES: usize = 16;
/// Findings that are written out.
const MAX_FINDINGS: usize = 6;
/// Of the picture, in px, however few nodes there are.
const MIN_WIDTH: usize = 640;
/// Of the colour scale, in px.
const SCALE_WIDTH: usize = 150;
const SCALE_STEPS: usize = 30;
/// Classes of text in cells: on a light colour, and on a dark one.
const RATE: &str = "on middle";
const FAILED_SIGN: &str = "light middle";

impl Report {
    /// Returns the report as a self-contained SVG: what to do, the findings (the first six), a
    /// heatmap of rates by sending and receiving node, and its colour scale in Gbit/s. It is
    /// readable on light and dark pages, names are escaped, and there are no scripts. Above 24
    /// nodes the rates are only in the cells' titles, above 128 cells are of groups of nodes.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let heat = Heat::from_report(self);
        let frame = Frame::around(&heat);
        let width = frame.width();
        let mut body = String::new();
        let mut y = PADDING + 14;
        for line in wrap(&self.action_of(MAX_NAMES), (width - 2 * PADDING) / 9) {
            text(&mut body, "title", PADDING, y, &line);
            y += LINE + 2;
        }
        let characters = (width - 2 * PADDING) / 7;
        let why = wrap(&self.headline(), characters);
        let below = [self.precision(), self.circumstances()];
        let below = below.iter().flat_map(|line| wrap(line, characters));
        for line in why.into_iter().chain(self.lines(characters)).chain(below) {
            text(&mut body, "", PADDING, y, &line);
            y += LINE;
        }
        y = cells(&mut body, &heat, &frame, y);
        y = scale(&mut body, &heat, y);
        document(&plain(&self.action_of(MAX_NAMES)), (width, y), &body)
    }

    /// The findings, and what was left out, in lines of that many characters.
    fn lines(&self, characters: usize) -> Vec<String> {
        let findings = self.findings();
        let mut lines: Vec<String> = findings
            .iter()
            .take(MAX_FINDINGS)
            .flat_map(|finding| {
                let wrapped = wrap(finding, characters.saturating_sub(2));
                wrapped.into_iter().enumerate().map(|(number, line)| {
                    let sign = if number == 0 { "•" } else { "\u{2002}" };
                    format!("{sign} {line}")
                })
            })
            .collect();
        if findings.len() > MAX_FINDINGS {
            lines.push(format!("• and {} more", findings.len() - MAX_FINDINGS));
        }
        if self.nodes.len() > MAX_NODES {
            lines.push(format!(
                "More than {MAX_NODES} nodes: cells are medians of groups of nodes."
            ));
        }
        lines
    }
}

/// The heatmap below `y`; where it ends.
fn cells(body: &mut String, heat: &Heat, frame: &Frame, y: usize) -> usize {
    let class = |number: usize, base: &'static str| {
        if heat.bad[number] {
            format!("{base} bad")
        } else {
            base.to_owned()
        }
    };
    let (size, left, top) = (frame.cell, frame.left, y + frame.above);
    text(body, "end", left - 8, top - 8, "Gbit/s from ↓ to →");
    for (number, name) in heat.names.iter().enumerate() {
        let x = left + number * size + size / 2 + 4;
        let _ = writeln!(
            body,
            "<text class=\"{}\" transform=\"translate({x} {}) rotate(-90)\">{}</text>",
            class(number, "to"),
            top - 6,
            escape(name)
        );
    }
    for (from, (name, row)) in heat.names.iter().zip(&heat.cells).enumerate() {
        let y = top + from * size;
        let middle = y + size / 2 + 4;
        text(body, &class(from, "end"), left - 8, middle, name);
        for (to, cell) in row.iter().enumerate() {
            if heat.is_self(from, to) {
                continue;
            }
            let x = left + to * size;
            let (paint, sign) = match *cell {
                Cell::Unknown => ("class=\"none\"".to_owned(), None),
                Cell::Failed => (
                    format!("fill=\"{FAILED}\""),
                    Some((FAILED_SIGN, "✕".to_owned())),
                ),
                Cell::Gbps(gbps) => (
                    format!("fill=\"{}\"", heat.colour(gbps)),
                    heat.has_numbers().then(|| (RATE, digits(gbps))),
                ),
            };
            let _ = writeln!(
                body,
                "<rect {paint} x=\"{x}\" y=\"{y}\" width=\"{0}\" height=\"{0}\"><title>{1}</title></rect>",
                size - 1,
                escape(&heat.said(from, to)),
            );
            if let Some((class, sign)) = sign {
                text(body, class, x + size / 2, middle, &sign);
            }
        }
    }
    top + heat.names.len() * size + PADDING
}

/// Where the heatmap is and how large, in px.
struct Frame {
    /// Side of a cell, with one px of space.
    cell: usize,
    /// Where cells begin.
    left: usize,
    /// For the names of columns.
    above: usize,
    nodes: usize,
}

impl Frame {
    fn around(heat: &Heat) -> Self {
        let nodes = heat.names.len();
        let name = heat.names.iter().map(|name| name.chars().count()).max();
        let name = name.unwrap_or(0) * 7 + 12;
        Self {
            cell: if heat.has_numbers() { 40 } else { 14 },
            left: PADDING + name.max(120),
            above: name + 4,
            nodes,
        }
    }

    fn width(&self) -> usize {
        (self.left + self.nodes * self.cell + PADDING).max(MIN_WIDTH)
    }
}

/// The colour scale below `y`; where the picture ends.
fn scale(body: &mut String, heat: &Heat, y: usize) -> usize {
    let mut x = PADDING;
    let base = y + 11;
    if let Some(typical) = heat.typical_gbps {
        let least = format!("≤ {}", digits(typical * 0.5));
        text(body, "", x, base, &least);
        x += least.chars().count() * 7 + 10;
        let step = SCALE_WIDTH / SCALE_STEPS;
        for number in 0..SCALE_STEPS {
            let share = 0.5 + 0.5 * number as f64 / (SCALE_STEPS - 1) as f64;
            let _ = writeln!(
                body,
                "<rect class=\"scale\" fill=\"{}\" x=\"{}\" y=\"{y}\" width=\"{step}\" height=\"14\"/>",
                colour(share),
                x + number * step
            );
        }
        x += SCALE_WIDTH + 8;
        let most = format!("≥ {} Gbit/s, the median", digits(typical));
        text(body, "", x, base, &most);
        x += most.chars().count() * 7 + 6;
    }
    for (paint, sign, said) in [
        (format!("fill=\"{FAILED}\""), "✕", "failed"),
        ("class=\"none\"".to_owned(), "", "not measured"),
    ] {
        let _ = writeln!(
            body,
            "<rect {paint} x=\"{x}\" y=\"{y}\" width=\"18\" height=\"14\"/>"
        );
        text(body, FAILED_SIGN, x + 9, base, sign);
        text(body, "", x + 24, base, said);
        x += 24 + said.chars().count() * 7 + 10;
    }
    y + 14 + PADDING
}

fn text(body: &mut String, class: &str, x: usize, y: usize, text: &str) {
    let class = if class.is_empty() {
        String::new()
    } else {
        format!(" class=\"{class}\"")
    };
    let text = escape(text);
    let _ = writeln!(body, "<text{class} x=\"{x}\" y=\"{y}\">{text}</text>");
}

/// Lines of at most that many characters, broken at spaces; longer words stay whole.
fn wrap(text: &str, characters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= characters => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::sample::{bad_cluster, large, unmeasured};
    use super::*;
    use crate::survey::{Subject, Verdict};

    fn count(svg: &str, part: &str) -> usize {
        svg.matches(part).count()
    }

    #[test]
    fn a_cell_for_each_pair_and_a_scale_with_units() {
        let report = bad_cluster(8);
        let svg = report.to_svg();
        assert_eq!(count(&svg, " to node-"), 8 * 7);
        assert_eq!(count(&svg, ": failed</title>"), 2);
        assert_eq!(count(&svg, " Gbit/s</title>"), 8 * 7 - 2);
        assert_eq!(count(&svg, "class=\"on middle\""), 8 * 7 - 2);
        assert_eq!(count(&svg, "class=\"scale\""), SCALE_STEPS);
        assert_eq!(count(&svg, "class=\"to bad\""), 1);
        assert!(svg.contains("Gbit/s, the median"));
        assert!(svg.contains(
            "<title>take out: node-5; look at: the link between node-1 and node-2</title>"
        ));
        assert!(svg.contains("• node-5 has ") && svg.contains("• the link between node-1 and"));
    }

    #[test]
    fn it_is_well_formed_and_loads_nothing() {
        for count in [2, 8, 40, 130] {
            let mut report = unmeasured(count);
            report.nodes[0].name = "<i>\u{7}&'\"".to_owned();
            let svg = report.to_svg();
            balanced(&svg);
            assert!(!svg.contains("<i>") && !svg.contains("<script") && !svg.contains("href"));
            assert!(svg.contains("prefers-color-scheme:dark"));
        }
        balanced(&bad_cluster(30).to_svg());
    }

    /// Every element that is opened is closed, in order.
    fn balanced(svg: &str) {
        let mut open = Vec::new();
        for part in svg.split('<').skip(1) {
            let (tag, _) = part.split_once('>').unwrap();
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(tag.split_whitespace().next().unwrap());
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    #[test]
    fn many_nodes_have_small_cells_and_too_many_are_groups() {
        let svg = bad_cluster(30).to_svg();
        assert_eq!(count(&svg, "width=\"13\" height=\"13\""), 30 * 29);
        assert_eq!(count(&svg, "class=\"on middle\""), 0);
        let svg = large(256).to_svg();
        assert_eq!(count(&svg, "width=\"39\" height=\"39\""), 24 * 24);
        assert_eq!(count(&svg, "Gbit/s, the median of "), 24 * 24);
        assert!(svg.contains(">node-0 … node-10</text>") && svg.contains("medians of groups"));
        balanced(&svg);
    }

    #[test]
    fn findings_are_wrapped_and_counted() {
        for (text, characters, expected) in [
            ("", 5, vec![]),
            ("ab cd ef", 5, vec!["ab cd", "ef"]),
            ("abcdefgh ij", 5, vec!["abcdefgh", "ij"]),
        ] {
            assert_eq!(wrap(text, characters), expected);
        }
        let mut report = bad_cluster(8);
        let first = report.conclusion.verdicts[0].clone();
        let of_rail = |rail| {
            let subject = Subject::Rail { node: 5, rail };
            let first = first.clone();
            Verdict { subject, ..first }
        };
        report.conclusion.verdicts = (0..9).map(of_rail).collect();
        assert_eq!(count(&report.to_svg(), "• and 3 more"), 1);
    }
}
