//! Bytes to lines: split at newlines however the stream is cut, bounded, without colours.

/// Bytes that are kept of one line; the rest up to the newline is dropped.
pub(super) const LINE_LIMIT: usize = 64 * 1024;

/// Collects bytes until a newline, and hands out whole lines with their numbers from 1.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
    /// Whether bytes of the line that is being read were seen, kept or not.
    is_open: bool,
    number: u64,
}

impl Lines {
    /// Lines that were ended.
    pub(super) fn count(&self) -> u64 {
        self.number
    }

    /// Takes the next bytes of the stream and calls `take` with each line that they end.
    pub(super) fn push(&mut self, mut bytes: &[u8], take: &mut dyn FnMut(u64, &str)) {
        while let Some(end) = bytes.iter().position(|&b| b == b'\n') {
            self.keep(&bytes[..end]);
            self.is_open = true;
            self.end(take);
            bytes = &bytes[end + 1..];
        }
        if !bytes.is_empty() {
            self.keep(bytes);
            self.is_open = true;
        }
    }

    /// Ends the line that is being read, where there is one.
    pub(super) fn end(&mut self, take: &mut dyn FnMut(u64, &str)) {
        if !self.is_open {
            return;
        }
        self.number += 1;
        let line = plain_text(&self.pending);
        take(self.number, &line);
        self.pending.clear();
        self.is_open = false;
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_LIMIT.saturating_sub(self.pending.len());
        self.pending
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// Text without terminal escapes and control characters; bytes that are not UTF-8 become U+FFFD.
fn plain_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => match rest.next() {
                // CSI: parameters, then one final character from '@' to '~'.
                Some('[') => while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                // OSC: up to BEL or ESC \.
                Some(']') => while rest.next().is_some_and(|c| c != '\u{7}' && c != '\u{1b}') {},
                _ => {}
            },
            // A carriage return starts over, as progress bars do: what follows is another message.
            '\r' if rest.peek().is_some() => plain.push(' '),
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
            (&[b"50%\r100%\n"], &[(1, "50% 100%")]),
            (&[b"\x1b[1;31mred\x1b[0m x\n"], &[(1, "red x")]),
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
    fn a_line_without_end_takes_bounded_memory() {
        let mut lines = Lines::default();
        let mut ended = 0;
        for _ in 0..100 {
            lines.push(&[b'x'; 10_000], &mut |_, _| ended += 1);
        }
        assert!(lines.pending.len() <= LINE_LIMIT && lines.pending.capacity() <= 2 * LINE_LIMIT);
        lines.push(b"\ny\n", &mut |_, line| {
            ended += 1;
            assert!(line.len() <= LINE_LIMIT);
        });
        assert_eq!((ended, lines.count()), (2, 2));
    }
}
