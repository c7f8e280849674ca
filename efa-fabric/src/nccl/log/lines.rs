//! Bytes to lines: split at newlines however the stream is cut, bounded, without colours.
//!
//! A carriage return ends a piece of a line, as progress bars write it, and a line that is longer
//! than the limit comes out in several pieces: nothing is dropped. Pieces of one line share its
//! number.

use std::borrow::Cow;

/// Bytes of a line that are held at once.
pub(super) const LINE_LIMIT: usize = 64 * 1024;
/// Bytes before a message that may be its prefix: kept together where a long line is cut.
const PREFIX: usize = 512;
/// How far back in a long line a message is looked for.
const REACH: usize = 8 * 1024;

/// Collects bytes until a newline, and hands out lines with their numbers from 1.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
    /// Whether bytes of the line that is being read were seen, kept or not.
    is_open: bool,
    /// Whether a piece of the line that is being read was handed out.
    is_begun: bool,
    number: u64,
}

impl Lines {
    /// Lines that were ended.
    pub(super) fn count(&self) -> u64 {
        self.number
    }

    /// Takes the next bytes of the stream and calls `take` with each piece that they end.
    pub(super) fn push(&mut self, mut bytes: &[u8], take: &mut dyn FnMut(u64, &str)) {
        while let Some(end) = memchr(bytes) {
            self.keep(&bytes[..end], take);
            self.is_open = true;
            if bytes[end] == b'\n' {
                self.end(take);
            } else {
                self.piece(self.pending.len(), take);
            }
            bytes = &bytes[end + 1..];
        }
        if !bytes.is_empty() {
            self.keep(bytes, take);
            self.is_open = true;
        }
    }

    /// Ends the line that is being read, where there is one.
    pub(super) fn end(&mut self, take: &mut dyn FnMut(u64, &str)) {
        if !self.is_open {
            return;
        }
        if !self.is_begun || !self.pending.is_empty() {
            self.piece(self.pending.len(), take);
        }
        self.number += 1;
        self.is_open = false;
        self.is_begun = false;
    }

    fn keep(&mut self, mut bytes: &[u8], take: &mut dyn FnMut(u64, &str)) {
        while self.pending.len() + bytes.len() > LINE_LIMIT {
            let (now, later) = bytes.split_at(LINE_LIMIT - self.pending.len());
            self.pending.extend_from_slice(now);
            bytes = later;
            self.piece(cut(&self.pending), take);
        }
        self.pending.extend_from_slice(bytes);
    }

    /// Hands out the first bytes of what is pending.
    fn piece(&mut self, end: usize, take: &mut dyn FnMut(u64, &str)) {
        take(self.number + 1, &plain_text(&self.pending[..end]));
        self.pending.drain(..end);
        self.is_begun = true;
    }
}

/// Where a full buffer is cut: before the prefix of the last message in it, so that the next piece
/// has that message whole.
fn cut(full: &[u8]) -> usize {
    let from = full.len().saturating_sub(REACH);
    let last = full[from..].windows(4).rposition(|four| four == b"NCCL");
    let mut end = last
        .map_or(full.len(), |at| from + at)
        .saturating_sub(PREFIX);
    // Not within a character.
    while end > 0 && full[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    if end == 0 { full.len() } else { end }
}

/// The first newline or carriage return.
fn memchr(bytes: &[u8]) -> Option<usize> {
    // Eight at a time without a branch for each, which the compiler turns into vector code.
    let is_end = |b: u8| b == b'\n' || b == b'\r';
    let mut from = 0;
    for chunk in bytes.chunks(32) {
        if chunk.iter().fold(false, |found, b| found | is_end(*b)) {
            return chunk.iter().position(|b| is_end(*b)).map(|at| from + at);
        }
        from += chunk.len();
    }
    None
}

/// Text without terminal escapes and control characters; bytes that are not UTF-8 become U+FFFD.
/// Escapes that a collector wrote out as text are escapes too.
fn plain_text(bytes: &[u8]) -> Cow<'_, str> {
    let is_odd = |b: u8| b < 0x20 || b == 0x7f;
    let is_plain =
        !bytes.iter().fold(false, |odd, b| odd | is_odd(*b)) && !has_written_escape(bytes);
    let text = String::from_utf8_lossy(bytes);
    if is_plain && !text.contains(char::is_control) {
        return text;
    }
    Cow::Owned(without_controls(&with_real_escapes(&text)))
}

/// How collectors write the escape character out.
const WRITTEN: [&str; 8] = [
    "\\u001b[", "\\u001B[", "\\x1b[", "\\x1B[", "\\033[", "\\e[", "#033[", "^[[",
];

fn has_written_escape(bytes: &[u8]) -> bool {
    bytes
        .windows(3)
        .any(|three| matches!(three, b"1b[" | b"1B[" | b"33[" | b"\\e[" | b"^[["))
}

fn with_real_escapes(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for written in WRITTEN {
        if text.contains(written) {
            text = Cow::Owned(text.replace(written, "\u{1b}["));
        }
    }
    text
}

fn without_controls(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => match rest.next() {
                // CSI: parameters, then one final character from '@' to '~'. What is no
                // parameter shows that the escape was torn, and is text.
                Some('[') => {
                    let mut ahead = rest.clone();
                    while let Some(c) = ahead.next() {
                        if ('@'..='~').contains(&c) {
                            rest = ahead;
                            break;
                        }
                        if !(' '..='?').contains(&c) {
                            break;
                        }
                    }
                }
                // OSC: up to BEL or ESC \.
                Some(']') => {
                    let mut ahead = rest.clone();
                    while let Some(c) = ahead.next() {
                        if c == '\u{7}' || c == '\u{1b}' {
                            rest = ahead;
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\t' => plain.push(' '),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        let mut lines = Lines::default();
        let mut take = |number: u64, line: &str| found.push((number, line.to_owned()));
        for chunk in chunks {
            lines.push(chunk, &mut take);
        }
        lines.end(&mut take);
        found
    }

    #[test]
    fn lines_come_out_whole_and_plain() {
        for (chunks, expected) in [
            (&[&b"a\nb"[..]][..], &[(1, "a"), (2, "b")][..]),
            (&[b"a", b"b\n", b"", b"c\n"], &[(1, "ab"), (2, "c")]),
            (&[b"\n\nx\n"], &[(1, ""), (2, ""), (3, "x")]),
            (&[b"a\r\nb\r\n"], &[(1, "a"), (2, "b")]),
            (&[b"a\r", b"\nb"], &[(1, "a"), (2, "b")]),
            (&[b"50%\r100%\nx"], &[(1, "50%"), (1, "100%"), (2, "x")]),
            (&[b"\x1b[1;31mred\x1b[0m x\n"], &[(1, "red x")]),
            (
                &[b"\\u001b[31mred\\u001b[0m #033[1mx^[[0m\n"],
                &[(1, "red x")],
            ),
            (&[b"\x1b]0;title\x07x\n"], &[(1, "x")]),
            (&[b"\xff\xfea\n"], &[(1, "\u{fffd}\u{fffd}a")]),
            (&[b""], &[]),
        ] {
            let expected: Vec<_> = expected
                .iter()
                .map(|(n, l)| (*n, (*l).to_owned()))
                .collect();
            assert_eq!(lines(chunks), expected, "{chunks:?}");
        }
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory_and_loses_nothing() {
        let mut lines = Lines::default();
        let (mut ended, mut bytes) = (0, 0);
        for _ in 0..100 {
            lines.push(&[b'x'; 10_000], &mut |_, line| bytes += line.len());
        }
        assert!(lines.pending.len() <= LINE_LIMIT && lines.pending.capacity() <= 4 * LINE_LIMIT);
        lines.push(b"\ny\n", &mut |number, line| {
            ended += u64::from(number == 2);
            bytes += line.len();
            assert!(line.len() <= LINE_LIMIT);
        });
        assert_eq!((ended, lines.count(), bytes), (1, 2, 1_000_001));
    }

    #[test]
    fn a_message_at_the_cut_of_a_long_line_stays_whole() {
        let message = "node-1:7:9 [0] src/x.cc:1 NCCL WARN something odd";
        for before in LINE_LIMIT - 80..LINE_LIMIT + 20 {
            let text = format!("{}{message}", "x".repeat(before));
            let whole = lines(&[text.as_bytes()])
                .iter()
                .any(|(_, piece)| piece.ends_with(message));
            assert!(whole, "{before}");
        }
    }
}
