//! Pictures of boxes and text, as SVG: for notebooks, documents and issue trackers.

use std::fmt::Write;

use crate::html::escape;

/// Around everything, in px.
pub const PADDING: usize = 16;
/// Of a line of text, in px.
pub const LINE: usize = 18;
/// Of a letter of the small text, in px, on average.
const LETTER: usize = 7;

/// The picture has a background of its own, so that text can be read wherever it is embedded,
/// whether or not the page around follows the reader's choice of light or dark.
const STYLE: &str = "\
.page{fill:#fff;stroke:#d0d7de}\
text{font:12px Helvetica,Arial,sans-serif;fill:#24292f}\
.title{font-size:14px;font-weight:bold}\
.bad{font-weight:bold}\
.middle{text-anchor:middle}\
.end{text-anchor:end}\
.box{fill:#f6f8fa;stroke:#8c959f}\
.frame{fill:none;stroke:#8c959f;stroke-dasharray:4 3}\
.efa-only{fill:#a5d6ff;stroke:#0550ae}\
.efa{fill:#d8b9ff;stroke:#6639ba}\
.interface{fill:#aff5b4;stroke:#116329}\
.other{fill:#ffdfb6;stroke:#953800}\
.mark{stroke:#cf222e;stroke-width:2}\
.on{fill:#111}\
.light{fill:#fff}\
.none{fill:#808080;fill-opacity:.18}\
@media(prefers-color-scheme:dark){.page{fill:#0d1117;stroke:#30363d}text{fill:#e6edf3}\
.box{fill:#161b22;stroke:#6e7681}.frame{stroke:#6e7681}.mark{stroke:#ff7b72}.on{fill:#111}}";

/// A picture under way: what is drawn last lies on top.
#[derive(Debug, Default)]
pub struct Picture {
    body: String,
    width: usize,
    height: usize,
}

impl Picture {
    /// One line of text whose baseline is at `y`; it makes the picture wide enough.
    pub fn text(&mut self, class: &str, (x, y): (usize, usize), text: &str) {
        let line = escape(text);
        // Writing to a String cannot fail.
        let _ = writeln!(
            self.body,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{line}</text>"
        );
        let length = text.chars().count() * LETTER;
        let right = match class {
            class if class.contains("end") => x,
            class if class.contains("middle") => x + length / 2,
            class if class.contains("title") => x + length * 5 / 4,
            _ => x + length,
        };
        self.reach(right, y);
    }

    /// A box with round corners.
    pub fn rect(&mut self, class: &str, (x, y): (usize, usize), (width, height): (usize, usize)) {
        let _ = writeln!(
            self.body,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
             rx=\"3\"/>"
        );
        self.reach(x + width, y + height);
    }

    /// A line from top to bottom.
    pub fn mark(&mut self, x: usize, top: usize, bottom: usize) {
        let _ = writeln!(
            self.body,
            "<line class=\"mark\" x1=\"{x}\" y1=\"{top}\" x2=\"{x}\" y2=\"{bottom}\"/>"
        );
        self.reach(x, bottom);
    }

    fn reach(&mut self, x: usize, y: usize) {
        self.width = self.width.max(x);
        self.height = self.height.max(y);
    }

    /// Returns the whole document, which a screen reader calls `label`: self-contained, without
    /// scripts.
    #[must_use]
    pub fn finish(self, label: &str) -> String {
        let size = (self.width + PADDING, self.height + PADDING);
        document(label, size, &self.body)
    }
}

/// Returns the document of this width and height in px around `body`, which is SVG and may use the
/// classes of pictures.
#[must_use]
pub fn document(label: &str, (width, height): (usize, usize), body: &str) -> String {
    let label = escape(label);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">\n\
         <title>{label}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n\
         {body}</svg>\n",
        width - 1,
        height - 1
    )
}

/// Returns the picture as an image inside HTML: its styles stay its own, and notebooks that remove
/// what they do not trust keep it.
#[must_use]
pub fn to_img(svg: &str, alternative: &str) -> String {
    let mut encoded = String::with_capacity(svg.len() * 2);
    for byte in svg.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => encoded.push(byte as char),
            b' ' | b'.' | b',' | b':' | b';' | b'=' | b'/' | b'-' | b'_' | b'(' | b')' => {
                encoded.push(byte as char);
            }
            other => {
                let _ = write!(encoded, "%{other:02X}"); // writing to a String cannot fail
            }
        }
    }
    format!(
        "<img style=\"max-width:100%\" alt=\"{}\" src=\"data:image/svg+xml;charset=utf-8,{encoded}\">",
        escape(alternative)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_holds_what_is_drawn_and_nothing_of_it_is_markup() {
        let mut picture = Picture::default();
        picture.text("title", (PADDING, 30), "<b>&\"");
        picture.rect("box", (PADDING, 40), (200, 50));
        picture.mark(300, 40, 95);
        let svg = picture.finish("a <label>");
        assert!(svg.contains("width=\"316\" height=\"111\""), "{svg}");
        assert!(svg.contains("&lt;b&gt;&amp;&quot;</text>"), "{svg}");
        assert!(svg.contains("aria-label=\"a &lt;label&gt;\""), "{svg}");
        assert!(!svg.contains("<script") && !svg.contains("<b>"), "{svg}");
    }

    #[test]
    fn an_image_has_no_mark_of_html_in_its_address() {
        let image = to_img("<svg a=\"#é\">%</svg>", "a \"picture\"");
        assert!(
            image.contains("utf-8,%3Csvg a=%22%23%C3%A9%22%3E%25%3C/svg%3E\""),
            "{image}"
        );
        assert!(image.contains("alt=\"a &quot;picture&quot;\""), "{image}");
    }
}
