//! Text that several reports share.

/// Text with fixed width as HTML: escaped, without scripts.
pub(crate) fn preformatted(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("<pre>{text}</pre>")
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_is_escaped() {
        assert_eq!(super::preformatted("a<b>&"), "<pre>a&lt;b&gt;&amp;</pre>");
    }
}
