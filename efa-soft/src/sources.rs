//! What a queue pair received of each sender: every request is delivered once, in any order.

use std::collections::HashMap;
use std::net::SocketAddrV4;

/// Sequence numbers that may arrive ahead of the oldest one that is missing.
const SPAN: u32 = 1024;
/// Senders that are remembered at most: whoever knows the key could make up any number.
const MAX_SOURCES: usize = 4096;

/// What is to be done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is new.
    New,
    /// It was delivered before: only the answer was lost.
    Seen,
    /// A copy older than one that was refused, or beyond what a sender sends: no answer.
    Stale,
}

/// One sender.
pub(crate) struct Source {
    /// All numbers before it are done with.
    base: u32,
    bits: [u64; (SPAN / 64) as usize],
    /// The last copy of a request that found no receive: its sender may have given up.
    refused: HashMap<u32, u32>,
    /// To be acknowledged with the next packet.
    pub(crate) acks: Vec<u32>,
    pub(crate) device: u8,
    pub(crate) last_received: u64,
}

impl Source {
    fn new() -> Self {
        Self {
            base: 0,
            bits: [0; (SPAN / 64) as usize],
            refused: HashMap::new(),
            acks: Vec::new(),
            device: 0,
            last_received: 0,
        }
    }

    fn bit(psn: u32) -> (usize, u64) {
        ((psn % SPAN / 64) as usize, 1 << (psn % 64))
    }

    fn is_marked(&self, psn: u32) -> bool {
        let (word, bit) = Self::bit(psn);
        self.bits[word] & bit != 0
    }

    fn pass(&mut self) {
        let (word, bit) = Self::bit(self.base);
        self.bits[word] &= !bit;
        self.refused.remove(&self.base);
        self.base = self.base.wrapping_add(1);
    }

    /// Decides about a request. `unanswered` is the sender's oldest number that still counts: what
    /// failed before it leaves no hole.
    pub(crate) fn judge(&mut self, psn: u32, unanswered: u32, attempt: u32) -> Verdict {
        let ahead = unanswered.wrapping_sub(self.base);
        if ahead < 1 << 31 {
            if ahead > SPAN {
                self.bits = [0; (SPAN / 64) as usize];
                self.refused.clear();
                self.base = unanswered;
            }
            while self.base != unanswered {
                self.pass();
            }
        }
        let place = psn.wrapping_sub(self.base);
        if place >= 1 << 31 || place < SPAN && self.is_marked(psn) {
            return Verdict::Seen;
        }
        if place >= SPAN
            || self
                .refused
                .get(&psn)
                .is_some_and(|refused| attempt <= *refused)
        {
            return Verdict::Stale;
        }
        Verdict::New
    }

    /// Notes that a request was delivered.
    pub(crate) fn mark(&mut self, psn: u32) {
        let (word, bit) = Self::bit(psn);
        self.bits[word] |= bit;
        self.refused.remove(&psn);
        while self.is_marked(self.base) {
            self.pass();
        }
    }

    /// Notes that this copy of a request was refused because no receive was posted.
    pub(crate) fn refuse(&mut self, psn: u32, attempt: u32) {
        self.refused.insert(psn, attempt);
    }

    /// The numbers that were delivered, newest last, at most `n`: what to acknowledge once more when
    /// the queue pair goes.
    pub(crate) fn delivered(&self, n: u32) -> Vec<u32> {
        let before = (1..=n).rev().map(|back| self.base.wrapping_sub(back));
        let after = (0..SPAN).map(|ahead| self.base.wrapping_add(ahead));
        let marked: Vec<u32> = after.filter(|psn| self.is_marked(*psn)).collect();
        let all: Vec<u32> = before.chain(marked).collect();
        all[all.len().saturating_sub(n as usize)..].to_vec()
    }
}

/// The senders of a queue pair.
pub(crate) struct Sources {
    known: HashMap<(SocketAddrV4, u64), Source>,
}

impl Sources {
    pub(crate) fn new() -> Self {
        Self {
            known: HashMap::new(),
        }
    }

    /// The sender at an address whose queue pair has this cookie.
    pub(crate) fn source_of(&mut self, from: SocketAddrV4, cookie: u64, now: u64) -> &mut Source {
        if self.known.len() >= MAX_SOURCES && !self.known.contains_key(&(from, cookie)) {
            let oldest = self
                .known
                .iter()
                .min_by_key(|(_, source)| source.last_received);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                self.known.remove(&key);
            }
        }
        let source = self.known.entry((from, cookie)).or_insert_with(Source::new);
        source.last_received = now;
        source
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (SocketAddrV4, u64, &mut Source)> {
        self.known
            .iter_mut()
            .map(|((from, cookie), source)| (*from, *cookie, source))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_number_is_new_once() {
        let mut source = Source::new();
        for psn in [0, 2, 1, 5] {
            assert_eq!(source.judge(psn, 0, 0), Verdict::New, "{psn}");
            source.mark(psn);
            assert_eq!(source.judge(psn, 0, 1), Verdict::Seen, "{psn}");
        }
        assert_eq!(source.base, 3);
        assert_eq!(source.judge(3 + SPAN, 0, 0), Verdict::Stale);
        assert_eq!(source.delivered(4), [0, 1, 2, 5]);
    }

    #[test]
    fn a_hole_that_nothing_will_fill_is_passed() {
        let mut source = Source::new();
        source.mark(1);
        assert_eq!(source.judge(2000, 2000, 0), Verdict::New);
        assert_eq!(source.judge(0, 0, 3), Verdict::Seen);
        assert!(!source.is_marked(1 + SPAN));
    }

    #[test]
    fn a_copy_older_than_a_refused_one_is_stale() {
        let mut source = Source::new();
        source.refuse(0, 4);
        assert_eq!(source.judge(0, 0, 3), Verdict::Stale);
        assert_eq!(source.judge(0, 0, 5), Verdict::New);
    }

    #[test]
    fn senders_without_end_do_not_take_memory_without_end() {
        let mut sources = Sources::new();
        for cookie in 0..10_000 {
            sources.source_of(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1), cookie, cookie);
        }
        assert_eq!(sources.known.len(), MAX_SOURCES);
    }

    proptest! {
        #[test]
        fn nothing_is_delivered_twice(
            packets in proptest::collection::vec((0_u32..300, 0_u32..4), 1..400), start in any::<u32>(),
        ) {
            let mut source = Source::new();
            source.base = start;
            let mut delivered = std::collections::HashSet::new();
            for (offset, attempt) in packets {
                let psn = start.wrapping_add(offset);
                if source.judge(psn, start, attempt) == Verdict::New {
                    prop_assert!(delivered.insert(psn));
                    source.mark(psn);
                }
            }
        }

        #[test]
        fn any_packet_is_judged(psns in proptest::collection::vec(any::<(u32, u32, u32)>(), 1..100)) {
            let mut source = Source::new();
            for (psn, unanswered, attempt) in psns {
                if source.judge(psn, unanswered, attempt) == Verdict::New {
                    source.mark(psn);
                }
            }
        }
    }
}
