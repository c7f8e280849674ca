//! Text as HTML for notebooks: escaped, without scripts.

/// Returns the text with everything escaped that HTML gives a meaning.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// Returns the text as it is, in a fixed-width font: left-aligned, and its lines are never broken.
pub fn preformatted(text: &str) -> String {
    format!("<pre style=\"{PRE}\">{}</pre>", escape(text))
}

// Exported notebooks set `pre` in the font of the text.
const PRE: &str = "text-align:left;white-space:pre;overflow-x:auto;font-family:monospace";

/// What keeps the cells of a table on the left, where notebooks put them on the right.
pub const LEFT: &str = "style=\"text-align:left\"";

/// Returns a table whose first column is text and the others figures, or texts where `is_text`.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>], is_text: bool) -> String {
    let align = |column: usize| {
        let side = if column == 0 || is_text {
            "left"
        } else {
            "right"
        };
        format!(" style=\"text-align:{side};white-space:nowrap\"")
    };
    let row = |tag: &str, cells: &[String]| {
        let cells = cells.iter().enumerate();
        let cells: String = cells
            .map(|(column, cell)| format!("<{tag}{}>{}</{tag}>", align(column), escape(cell)))
            .collect();
        format!("<tr>{cells}</tr>")
    };
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let body: String = rows.iter().map(|cells| row("td", cells)).collect();
    format!(
        "<table><thead>{}</thead><tbody>{body}</tbody></table>",
        row("th", &head)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let html = preformatted("a<b c='\"'>&");
        assert!(
            html.ends_with(">a&lt;b c=&#39;&quot;&#39;&gt;&amp;</pre>"),
            "{html}"
        );
        assert!(
            html.starts_with("<pre style=\"text-align:left;white-space:pre"),
            "{html}"
        );
    }

    #[test]
    fn figures_of_a_table_are_on_the_right_and_texts_on_the_left() {
        let html = table(
            &["name", "n"],
            &[vec!["<a>".to_owned(), "7".to_owned()]],
            false,
        );
        assert!(
            html.contains("text-align:left;white-space:nowrap\">&lt;a&gt;</td>"),
            "{html}"
        );
        assert!(
            html.contains("text-align:right;white-space:nowrap\">7</td>"),
            "{html}"
        );
    }
}
