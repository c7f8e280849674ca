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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(
            preformatted("a<b c='\"'>&"),
            "<pre>a&lt;b c=&#39;&quot;&#39;&gt;&amp;</pre>"
        );
    }
}
