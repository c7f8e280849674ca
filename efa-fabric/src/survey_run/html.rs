//! The heatmap: rates by sending and receiving node, as a table without scripts.

use std::fmt::Write;

use super::heat::{FAILED, Heat, colour, escape, groups};
use super::report::{Cell, NodeSummary, Report};
use crate::median::median;
use crate::survey::wording::digits;

/// Nodes that the first line names.
const MAX_NAMES: usize = 64;
/// Colours of text and page are the notebook's, so that dark themes work; only cells with a
/// colour of their own have a text colour. `!important` is against JupyterLab's striped tables.
const STYLE: &str = "\
.efa-survey{font:13px sans-serif;overflow-x:auto}\
.efa-survey table{border-collapse:separate!important;border-spacing:1px!important;margin:4px 0;table-layout:auto}\
.efa-survey tr{background:none!important}\
.efa-survey th,.efa-survey td{font-size:12px;line-height:1.2;border:none;white-space:nowrap!important}\
.efa-survey th{font-weight:normal;text-align:left!important;padding:1px 6px!important}\
.efa-survey th.to{writing-mode:vertical-rl;transform:rotate(180deg);padding:4px 1px!important}\
.efa-survey td{min-width:34px;height:22px;text-align:center!important;color:#111;padding:0 3px!important}\
.efa-survey .small td{min-width:11px;width:11px;height:12px;padding:0!important;font-size:9px}\
.efa-survey .small th{font-size:10px;line-height:1;padding:0 4px 0 0!important}\
.efa-survey .small th.to{padding:4px 0!important}\
.efa-survey td.none,.efa-survey i.none{background:rgba(128,128,128,.15);color:inherit}\
.efa-survey td.fail,.efa-survey i.fail{color:#fff}\
.efa-survey span{white-space:nowrap;margin-right:12px}\
.efa-survey i{display:inline-block;font-style:normal;text-align:center;min-width:18px;margin-right:4px;color:#111}\
.efa-survey th.bad{font-weight:bold!important}";

impl Report {
    /// Returns the report as HTML for notebooks: findings and a heatmap of rates. Names are
    /// escaped, style is for this fragment only, and there are no scripts. Above 24 nodes the rates
    /// are only in the cells' titles. Above 128 the cells are of groups (nodes with one label, or
    /// one after the other), and each group has a table of its nodes, folded where all are well.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut html = format!(
            "<div class=\"efa-survey\"><style>{STYLE}</style><p><b>{}</b></p><p>{}</p>",
            escape(&self.action_of(MAX_NAMES)),
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
        let rates = self.rates_of_groups();
        let lines = [Some(self.precision()), rates, Some(self.circumstances())];
        for line in lines.into_iter().flatten() {
            let _ = write!(html, "<p>{}</p>", escape(&line));
        }
        self.collectives_table(&mut html);
        let heat = Heat::from_report(self);
        Self::table(&mut html, &heat);
        if heat.is_of_groups {
            self.folded(&mut html, &heat);
        }
        html.push_str("</div>");
        html
    }

    fn table(html: &mut String, heat: &Heat) {
        let small = if heat.has_numbers() {
            ""
        } else {
            " class=\"small\""
        };
        let head = |html: &mut String, class: &str, number: usize| {
            let bad = if heat.bad[number] { " bad" } else { "" };
            let (title, name) = (escape(&heat.titles[number]), escape(&heat.names[number]));
            let _ = write!(
                html,
                "<th class=\"{class}{bad}\" title=\"{title}\">{name}</th>"
            );
        };
        let _ = write!(html, "<table{small}><tr><th>Gbit/s from \\ to</th>");
        (0..heat.names.len()).for_each(|number| head(html, "to", number));
        html.push_str("</tr>");
        for from in 0..heat.names.len() {
            html.push_str("<tr>");
            head(html, "from", from);
            (0..heat.names.len()).for_each(|to| cell(html, heat, from, to));
            html.push_str("</tr>");
        }
        html.push_str("</table>");
        legend(html, heat);
    }

    /// A table of nodes for each group: unfolded where there is something to take out.
    fn folded(&self, html: &mut String, heat: &Heat) {
        let (summaries, drained) = (self.summaries(), self.drained());
        for group in groups(self) {
            let of = |get: fn(&NodeSummary) -> Option<f64>| {
                let values = group.nodes.iter().filter_map(|&node| get(&summaries[node]));
                median(&mut values.collect::<Vec<_>>()).map_or_else(|| "-".to_owned(), digits)
            };
            let _ = write!(
                html,
                "<details{}><summary>{}: {} nodes, {} to take out, medians {} Gbit/s sent, {} received, {} µs</summary>\
                 <table><tr><th>node</th><th>sends Gbit/s</th><th>receives Gbit/s</th><th>latency µs</th>\
                 <th>failed</th><th>measurements</th></tr>",
                if group.drained > 0 { " open" } else { "" },
                escape(&group.label),
                group.nodes.len(),
                group.drained,
                of(|s| s.sends_gbps),
                of(|s| s.receives_gbps),
                of(|s| s.latency_us),
            );
            for &node in &group.nodes {
                let (summary, name) = (&summaries[node], escape(&self.label(node)));
                let bad = if drained.contains(&node) { " bad" } else { "" };
                let _ = write!(html, "<tr><th class=\"from{bad}\">{name}</th>");
                for gbps in [summary.sends_gbps, summary.receives_gbps] {
                    let _ = match gbps {
                        Some(gbps) => write!(
                            html,
                            "<td style=\"background:{}\">{}</td>",
                            heat.colour(gbps),
                            digits(gbps)
                        ),
                        None => write!(html, "<td class=\"none\">·</td>"),
                    };
                }
                let latency = summary.latency_us.map_or_else(|| "·".to_owned(), digits);
                let (failed, all) = (summary.failed, summary.measurements);
                let _ = write!(
                    html,
                    "<td class=\"none\">{latency}</td><td class=\"none\">{failed}</td><td class=\"none\">{all}</td></tr>"
                );
            }
            html.push_str("</table></details>");
        }
    }
}

fn cell(html: &mut String, heat: &Heat, from: usize, to: usize) {
    if heat.is_self(from, to) {
        html.push_str("<td class=\"same\"></td>");
        return;
    }
    let title = escape(&heat.said(from, to));
    let _ = match heat.cells[from][to] {
        Cell::Unknown => write!(html, "<td class=\"none\" title=\"{title}\">·</td>"),
        Cell::Failed => write!(
            html,
            "<td class=\"fail\" style=\"background:{FAILED}\" title=\"{title}\">✕</td>"
        ),
        Cell::Gbps(gbps) => write!(
            html,
            "<td style=\"background:{}\" title=\"{title}\">{}</td>",
            heat.colour(gbps),
            if heat.has_numbers() {
                digits(gbps)
            } else {
                String::new()
            }
        ),
    };
}

/// What the colours mean.
fn legend(html: &mut String, heat: &Heat) {
    html.push_str("<p>");
    if let Some(typical) = heat.typical_gbps {
        for (share, text) in [
            (1.0, "Gbit/s, the median, or more"),
            (0.75, "Gbit/s, three quarters of it"),
            (0.5, "Gbit/s, half of it, or less"),
        ] {
            let _ = write!(
                html,
                "<span><i style=\"background:{}\">&nbsp;</i>{} {text}</span> ",
                colour(share),
                digits(typical * share)
            );
        }
    }
    let _ = write!(
        html,
        "<span><i class=\"fail\" style=\"background:{FAILED}\">✕</i>failed</span> \
         <span><i class=\"none\">·</i>not measured</span></p>"
    );
}

#[cfg(test)]
mod tests {
    use super::super::sample::{bad_cluster, large, unmeasured};

    fn count(html: &str, part: &str) -> usize {
        html.matches(part).count()
    }

    #[test]
    fn a_cell_for_each_pair() {
        let html = bad_cluster(8).to_html();
        assert_eq!(count(&html, "<td"), 64);
        assert_eq!(count(&html, "<td class=\"same\""), 8);
        assert_eq!(count(&html, "<td class=\"fail\""), 2);
        assert_eq!(count(&html, "<td style=\"background:#"), 54);
        assert_eq!(count(&html, "title=\"node-1 to node-2: failed\""), 1);
        assert_eq!(count(&html, "class=\"to bad\" title=\"node-5\""), 1);
        assert_eq!(count(&html, "class=\"from bad\" title=\"node-5\""), 1);
        assert!(html.contains("half of it, or less") && !html.contains("<script"));
        assert!(html.starts_with("<div class=\"efa-survey\">") && html.ends_with("</div>"));
    }

    #[test]
    fn many_nodes_have_small_cells_and_numbers_in_titles() {
        let html = bad_cluster(32).to_html();
        assert_eq!(count(&html, "<td"), 32 * 32);
        assert_eq!(count(&html, "<table class=\"small\">"), 1);
        assert_eq!(count(&html, " Gbit/s\"></td>"), 32 * 31 - 2);
    }

    #[test]
    fn too_many_nodes_are_groups_and_each_finding_is_said_once() {
        let report = large(256);
        let html = report.to_html();
        assert_eq!(count(&html, "<details"), 24);
        assert_eq!(count(&html, "<details open>"), 1);
        assert!(html.contains("<details open><summary>node-0 … node-10: 11 nodes, 1 to take out"));
        assert_eq!(count(&html, "<tr><th class=\"from bad\">node-5</th>"), 1);
        assert_eq!(count(&html, " title=\"node-"), 24 * 24 + 2 * 24);
        for finding in report.findings() {
            assert_eq!(count(&html, &super::escape(&finding)), 1, "{finding}");
        }
        assert!(html.len() < 200_000, "{}", html.len());
        for tag in [
            "details", "table", "tr", "td", "th", "div", "p", "ul", "li", "i",
        ] {
            let opened = count(&html, &format!("<{tag}>")) + count(&html, &format!("<{tag} "));
            assert_eq!(opened, count(&html, &format!("</{tag}>")), "{tag}");
        }
    }

    #[test]
    fn without_a_measurement_there_is_no_scale() {
        let html = unmeasured(3).to_html();
        assert_eq!(count(&html, "<td class=\"none\""), 6);
        assert!(!html.contains("the median") && html.contains("not measured"));
    }

    #[test]
    fn names_are_escaped_everywhere() {
        let mut report = unmeasured(2);
        report.nodes[0].name = "<b onload='x'>\"&".to_owned();
        let html = report.to_html();
        assert!(!html.contains("<b ") && !html.contains("'x'"), "{html}");
        assert!(html.contains("&lt;b onload=&#39;x&#39;&gt;&quot;&amp; to node-1"));
    }
}
