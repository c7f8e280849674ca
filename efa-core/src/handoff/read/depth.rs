//! How deep a text nests, found out before the parser sees it: that takes time with the square of
//! the depth of brackets.

use crate::error::{Code, Error, Result};

/// How deep brackets may nest; yaml_serde's own limit on values is the same.
const MAXIMUM_DEPTH: usize = 128;

/// Refuses a text that nests too deep, in one pass.
///
/// # Errors
/// `handoff.too_deep`.
pub(super) fn check_depth(text: &str) -> Result<()> {
    let mut scan = Scan::default();
    for line in text.split('\n') {
        scan.line(line);
        if scan.depth > MAXIMUM_DEPTH || scan.dashes > MAXIMUM_DEPTH {
            return Err(too_deep());
        }
    }
    Ok(())
}

pub(super) fn too_deep() -> Error {
    Error::new(
        Code::HandoffTooDeep,
        format!("the document nests deeper than {MAXIMUM_DEPTH} levels"),
    )
    .with_cure("give a document that a launcher would take: none nests so deep")
    .with_context("field", "document")
    .with_context("limit", MAXIMUM_DEPTH)
}

/// Where a scan of the text stands. It counts brackets where a token may start, so that those
/// within words, quotes and block scalars do not count.
#[derive(Debug, Default)]
struct Scan {
    /// Open brackets; the most of the line after a call of `line`.
    depth: usize,
    /// Block sequences and keys that start on one line (`- - -`).
    dashes: usize,
    open: usize,
    /// The quote that is open.
    quote: Option<u8>,
    /// The indentation of the line that opened a block scalar.
    block: Option<usize>,
}

impl Scan {
    fn line(&mut self, line: &str) {
        let indentation = line.len() - line.trim_start_matches(' ').len();
        if let Some(parent) = self.block {
            if line.trim().is_empty() || indentation > parent {
                return;
            }
            self.block = None;
        }
        if self.quote.is_none() && self.open == 0 && opens_block_scalar(line) {
            self.block = Some(indentation);
        }
        self.depth = self.open;
        self.dashes = 0;
        let bytes = line.as_bytes();
        // Whether a token may start here.
        let mut start = true;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            if let Some(quote) = self.quote {
                match byte {
                    b'\\' if quote == b'"' => at += 1,
                    b'\'' if quote == byte && bytes.get(at) == Some(&quote) => at += 1,
                    _ if byte == quote => self.quote = None,
                    _ => {}
                }
                start = false;
                continue;
            }
            match byte {
                b' ' | b'\t' | b'\r' => continue,
                b'#' if start
                    || bytes
                        .get(at.wrapping_sub(2))
                        .is_some_and(u8::is_ascii_whitespace) =>
                {
                    return;
                }
                b'[' | b'{' if start || self.open > 0 => {
                    self.open += 1;
                    self.depth = self.depth.max(self.open);
                    start = true;
                }
                b']' | b'}' if self.open > 0 => {
                    self.open -= 1;
                    start = false;
                }
                b'"' | b'\'' if start => {
                    self.quote = Some(byte);
                }
                b',' => start = true,
                b'-' | b'?' | b':'
                    if bytes.get(at).is_none_or(|next| next.is_ascii_whitespace())
                        || (byte == b':' && self.open > 0) =>
                {
                    self.dashes += usize::from(start);
                    start = true;
                }
                // An anchor or a tag stands in front of a token.
                b'&' | b'!' if start => {
                    while bytes.get(at).is_some_and(|b| !b.is_ascii_whitespace()) {
                        at += 1;
                    }
                }
                _ => start = false,
            }
        }
    }
}

/// Whether a line ends in the mark of a block scalar, such as `key: |` or `- >-2`.
fn opens_block_scalar(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or(line).trim_end();
    let mark = line.trim_end_matches(|c: char| c.is_ascii_digit() || c == '+' || c == '-');
    let Some(before) = mark.strip_suffix(['|', '>']) else {
        return false;
    };
    let word = before.trim_end();
    before.ends_with(' ')
        && (word.ends_with([':', '-', '?'])
            || word
                .rsplit(' ')
                .next()
                .is_some_and(|w| w.starts_with(['!', '&'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_that_nest_are_refused_at_once() {
        let deep = "[".repeat(200_000);
        let spread = "[\n".repeat(200_000);
        let maps = "{a: ".repeat(100_000);
        let json = "{\"a\":".repeat(100_000);
        let tagged = "[!x &y ".repeat(50_000);
        let dashes = "- ".repeat(100_000);
        let keys = "? ".repeat(100_000);
        let after = format!("a: |\n  text\nb: {}", "[".repeat(200_000));
        let quoted = format!("a: \"it's\"\nb: {}", "[".repeat(200_000));
        let word = format!("a: it's\nb: {}", "[".repeat(200_000));
        let second = format!("a: 1\n---\n{}", "[".repeat(200_000));
        for text in [
            deep, spread, maps, json, tagged, dashes, keys, after, quoted, word, second,
        ] {
            let error = super::super::documents(&text).unwrap_err();
            let shown = &text[..text.len().min(30)];
            assert_eq!(error.code(), Code::HandoffTooDeep, "{shown}: {error}");
        }
    }

    #[test]
    fn brackets_in_texts_do_not_nest() {
        let script = "  if [[ $x == [ ]]; then case $y in [a) [b ;; esac\n".repeat(200);
        for text in [
            format!("run: |\n{script}b: [1]\n"),
            format!("- >-\n{script}- 1\n"),
            format!("a: \"{}\"\n", "[".repeat(1000)),
            format!("a: '{}'\n", "[".repeat(1000)),
            format!("a: x{}\n", "[".repeat(1000)),
            format!("# {}\na: 1\n", "[".repeat(1000)),
            format!("{{\"a\": \"\\\"{}\"}}", "[".repeat(1000)),
            "a: [1, {b: 2}]\n".to_owned(),
            format!("a: ['it''s {}']\n", "[".repeat(1000)),
            "- [1]\n".repeat(1000),
        ] {
            check_depth(&text).unwrap();
        }
    }
}
