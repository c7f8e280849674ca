//! What a child writes, kept within bounds.

use std::collections::VecDeque;

/// What is kept of the beginning and of the end of a child's output, in bytes each.
const KEPT: usize = 4 << 20;
/// What is shown of the end.
const TAIL: usize = 4096;
/// More than this on the channel is not the answer of a child of this crate, in bytes.
const MAX_LINES: usize = 32 << 20;

/// Standard output and error of a child: the beginning and the end.
#[derive(Debug, Default)]
pub(super) struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Output {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = (KEPT - self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..excess);
        self.left_out += excess as u64;
    }

    pub(super) fn is_cut(&self) -> bool {
        self.left_out > 0
    }

    /// All that is kept; the line break between its parts keeps two lines apart.
    pub(super) fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.head).into_owned();
        if self.is_cut() {
            text.push('\n');
        }
        let (front, back) = self.tail.as_slices();
        let tail = [front, back].concat();
        text.push_str(&String::from_utf8_lossy(&tail));
        text
    }

    /// The last of it.
    pub(super) fn tail(&self) -> String {
        let mut last: Vec<u8> = self.tail.iter().rev().take(TAIL).copied().collect();
        let room = TAIL - last.len();
        last.extend(self.head.iter().rev().take(room));
        last.reverse();
        String::from_utf8_lossy(&last).into_owned()
    }
}

/// The lines of a child's channel.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if !self.is_too_much() {
            self.0.extend_from_slice(bytes);
        }
    }

    pub(super) fn is_too_much(&self) -> bool {
        self.0.len() > MAX_LINES
    }

    /// The lines that are whole and not empty: the last one of a child that was ended may be
    /// neither.
    pub(super) fn whole(&self) -> impl Iterator<Item = &[u8]> {
        let end = self
            .0
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        self.0[..end]
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_keeps_beginning_and_end() {
        let mut output = Output::default();
        output.push(b"first\n");
        for _ in 0..1000 {
            output.push(&[b'x'; 16 << 10]);
        }
        output.push(b"\nlast");
        assert!(output.is_cut());
        let text = output.text();
        assert!(text.starts_with("first\n") && text.ends_with("\nlast"));
        assert!(text.len() <= 2 * KEPT + 1);
        assert_eq!(output.tail().len(), TAIL);
        assert!(output.tail().ends_with("\nlast"));
    }

    #[test]
    fn a_short_output_is_whole() {
        let mut output = Output::default();
        output.push(b"one\n");
        output.push(b"two");
        assert!(!output.is_cut());
        assert_eq!(output.text(), "one\ntwo");
        assert_eq!(output.tail(), "one\ntwo");
    }

    #[test]
    fn unfinished_lines_do_not_count() {
        let mut lines = Lines::default();
        lines.push(b"a\n\nb");
        assert_eq!(lines.whole().collect::<Vec<_>>(), [b"a"]);
        lines.push(b"c\nd");
        assert_eq!(lines.whole().collect::<Vec<_>>(), [&b"a"[..], b"bc"]);
    }
}
