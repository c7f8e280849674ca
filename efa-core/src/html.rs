//! Text as HTML for notebooks: escaped, without scripts.

/// The text with everything escaped that HTML gives a meaning.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// The text as it is, in a fixed-width font.
pub fn preformatted(text: &str) -> String {
    format!("<pre>{}</pre>", escape(text))
}
