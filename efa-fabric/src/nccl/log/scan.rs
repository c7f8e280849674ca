//! Many texts searched for in one pass over a line (Aho and Corasick, 1975).
//!
//! Written here because it is sixty lines, and no crate for it is among our dependencies: the work
//! is one table access for each byte, whatever the number of texts and the length of the line.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::text::looked_at;

/// How many texts can be distinguished.
const TEXTS: usize = 1024;

/// The texts that a line has, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hits([u64; TEXTS / 64]);

impl Hits {
    const NONE: Self = Self([0; TEXTS / 64]);

    /// Whether the line has the text.
    pub(super) fn has(&self, text: u16) -> bool {
        self.0[usize::from(text) / 64] >> (text % 64) & 1 == 1
    }

    /// Whether the line has none of the texts.
    pub(super) fn is_none(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

/// An automaton that finds lower-case texts in lines, without regard to the case of ASCII letters.
#[derive(Debug)]
pub(super) struct Scanner {
    /// The class of each byte; bytes that are in no text share class 0.
    classes: [u8; 256],
    width: usize,
    /// The next state, by state and class; state 0 is the start.
    next: Vec<u16>,
    /// Texts that end in a state.
    ends: Vec<Vec<u16>>,
    numbers: BTreeMap<&'static str, u16>,
}

impl Scanner {
    /// An automaton for these texts.
    pub(super) fn new(texts: impl Iterator<Item = &'static str>) -> Self {
        let texts: BTreeSet<_> = texts.filter(|text| !text.is_empty()).collect();
        debug_assert!(texts.len() <= TEXTS, "{} texts", texts.len());
        let bytes: BTreeSet<u8> = texts.iter().flat_map(|text| text.bytes()).collect();
        let mut classes = [0_u8; 256];
        for (class, byte) in (1_u8..).zip(&bytes) {
            classes[usize::from(*byte)] = class;
            classes[usize::from(byte.to_ascii_uppercase())] = class;
        }
        let mut scanner = Self {
            classes,
            width: bytes.len() + 1,
            next: vec![0; bytes.len() + 1],
            ends: vec![Vec::new()],
            numbers: (0..).zip(texts).map(|(n, text)| (text, n)).collect(),
        };
        scanner.add_texts();
        scanner.add_failures();
        scanner
    }

    /// The number of a text that the automaton was made with.
    pub(super) fn number(&self, text: &str) -> Option<u16> {
        self.numbers.get(text).copied()
    }

    /// The texts in a line.
    pub(super) fn scan(&self, line: &str) -> Hits {
        looked_at(line.len());
        let mut hits = Hits::NONE;
        let mut state = 0;
        for byte in line.bytes() {
            let class = usize::from(self.classes[usize::from(byte)]);
            state = usize::from(self.next[state * self.width + class]);
            for text in &self.ends[state] {
                hits.0[usize::from(*text) / 64] |= 1 << (text % 64);
            }
        }
        hits
    }

    fn class(&self, byte: u8) -> usize {
        usize::from(self.classes[usize::from(byte)])
    }

    fn add_texts(&mut self) {
        for (text, number) in self.numbers.clone() {
            let mut state = 0;
            for byte in text.bytes() {
                let at = state * self.width + self.class(byte);
                if self.next[at] == 0 {
                    self.next[at] = u16::try_from(self.ends.len()).unwrap_or_default();
                    self.next.resize(self.next.len() + self.width, 0);
                    self.ends.push(Vec::new());
                }
                state = usize::from(self.next[at]);
            }
            self.ends[state].push(number);
        }
    }

    /// Where to go on when a text breaks off: breadth first, so that shorter ones are known.
    fn add_failures(&mut self) {
        let mut failures = vec![0_usize; self.ends.len()];
        let mut queue: VecDeque<usize> = VecDeque::new();
        for class in 0..self.width {
            if self.next[class] != 0 {
                queue.push_back(usize::from(self.next[class]));
            }
        }
        while let Some(state) = queue.pop_front() {
            let failure = failures[state];
            let also = self.ends[failure].clone();
            self.ends[state].extend(also);
            for class in 0..self.width {
                let at = state * self.width + class;
                let instead = self.next[failure * self.width + class];
                if self.next[at] == 0 {
                    self.next[at] = instead;
                } else {
                    let child = usize::from(self.next[at]);
                    failures[child] = usize::from(instead);
                    queue.push_back(child);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_contains_finds(line in "[a-cA-C ]{0,40}") {
            const ALL: [&str; 8] = ["a", "ab", "abc", "bca", "cab c", "b", "aaa", "c a"];
            let scanner = Scanner::new(ALL.into_iter());
            let hits = scanner.scan(&line);
            for text in ALL {
                let number = scanner.number(text).unwrap();
                prop_assert_eq!(hits.has(number), line.to_lowercase().contains(text), "{}", text);
            }
            prop_assert_eq!(hits.is_none(), !ALL.iter().any(|t| line.to_lowercase().contains(t)));
        }
    }
}
