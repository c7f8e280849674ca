//! The heatmap: rates by sending and receiving node, as a table without scripts.

use std::fmt::Write;

use super::report::{Cell, SurveyReport, median};

/// Nodes above which only the summary is drawn: a cell each would be too much for a page.
const MAX_NODES: usize = 128;

const STYLE: &str = "\
.efa-survey{font:13px sans-serif}\
.efa-survey table{border-collapse:separate;border-spacing:1px}\
.efa-survey th{font-weight:normal;text-align:left;padding:1px 6px;white-space:nowrap}\
.efa-survey th.to{writing-mode:vertical-rl;text-align:left;padding:4px 0}\
.efa-survey td{min-width:34px;height:22px;text-align:center;color:#111;padding:0 3px}\
.efa-survey td.same{background:transparent}\
.efa-survey td.none{background:#e8e8e8;color:#777}\
.efa-survey td.fail{background:#3a3a3a;color:#fff}\
.efa-survey .bad{font-weight:bold}";

impl SurveyReport {
    /// The report as HTML for notebooks: findings and a heatmap of rates. Names are escaped,
    /// style is for this fragment only, and there are no scripts.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut html = format!(
            "<div class=\"efa-survey\"><style>{STYLE}</style><p>{}</p>",
            escape(&self.headline())
        );
        let findings = self.findings();
        if !findings.is_empty() {
            html.push_str("<ul>");
            for finding in findings {
                let _ = write!(html, "<li>{}</li>", escape(&finding));
            }
            html.push_str("</ul>");
        }
        if self.nodes.len() > MAX_NODES {
            let _ = write!(html, "<pre>{}</pre>", escape(&self.to_string()));
        } else {
            self.heatmap(&mut html);
        }
        html.push_str("</div>");
        html
    }

    fn heatmap(&self, html: &mut String) {
        let cells = self.matrix();
        let mut rates: Vec<f64> = cells
            .iter()
            .flatten()
            .filter_map(|cell| match cell {
                Cell::Gbps(gbps) => Some(*gbps),
                _ => None,
            })
            .collect();
        let typical = median(&mut rates).unwrap_or(1.0);
        let drain = &self.conclusion.drain;
        html.push_str("<table><tr><th>Gbit/s from \\ to</th>");
        for (number, node) in self.nodes.iter().enumerate() {
            let bad = if drain.contains(&number) { " bad" } else { "" };
            let _ = write!(html, "<th class=\"to{bad}\">{}</th>", escape(&node.name));
        }
        html.push_str("</tr>");
        for (from, (node, row)) in self.nodes.iter().zip(&cells).enumerate() {
            let bad = if drain.contains(&from) {
                " class=\"bad\""
            } else {
                ""
            };
            let _ = write!(html, "<tr><th{bad}>{}</th>", escape(&node.name));
            for (to, cell) in row.iter().enumerate() {
                let title = format!("{} to {}", node.name, self.name(to));
                let title = escape(&title);
                let _ = match cell {
                    _ if from == to => write!(html, "<td class=\"same\"></td>"),
                    Cell::Unknown => {
                        write!(
                            html,
                            "<td class=\"none\" title=\"{title}: not measured\">·</td>"
                        )
                    }
                    Cell::Failed => {
                        write!(html, "<td class=\"fail\" title=\"{title}: failed\">✕</td>")
                    }
                    Cell::Gbps(gbps) => write!(
                        html,
                        "<td style=\"background:{}\" title=\"{title}: {gbps:.2} Gbit/s\">{}</td>",
                        colour(gbps / typical),
                        short(*gbps)
                    ),
                };
            }
            html.push_str("</tr>");
        }
        html.push_str("</table>");
    }
}

/// From red at half of the typical rate or less, over yellow, to green at the typical rate.
fn colour(share: f64) -> String {
    let position = ((share - 0.5) / 0.5).clamp(0.0, 1.0);
    format!("hsl({:.0},70%,72%)", position * 120.0)
}

/// Three digits at most where they say enough.
fn short(gbps: f64) -> String {
    if gbps >= 100.0 {
        format!("{gbps:.0}")
    } else if gbps >= 10.0 {
        format!("{gbps:.1}")
    } else {
        format!("{gbps:.2}")
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
