//! Text from elsewhere, as it may be shown.

/// The text without characters that drive a terminal: they are shown as `\\u{1b}`, not sent.
///
/// Those of C0 and C1, and those that turn the direction of writing.
///
/// # Examples
/// ```
/// use efa_core::text::plain;
///
/// assert_eq!(plain("node-1"), "node-1");
/// assert_eq!(plain("\u{1b}[31mred"), "\\u{1b}[31mred");
/// ```
#[must_use]
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}
