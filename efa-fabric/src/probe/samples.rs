//! The times of single exchanges, kept without an allocation inside any of them.

/// Room at first: half a MiB. A probe that makes more than that takes more, and one that may make
/// ten millions but does not has not taken memory for them.
const FIRST: usize = 1 << 16;

/// Every sample of a measurement, so that percentiles are exact.
pub(crate) struct Samples {
    ns: Vec<u64>,
}

impl Samples {
    /// Room for the first of at most this many.
    pub(crate) fn new(most: u64) -> Self {
        let mut samples = Self { ns: Vec::new() };
        samples.grow(usize::try_from(most).unwrap_or(FIRST).min(FIRST));
        samples
    }

    /// Adds a time, for which there is room.
    #[inline]
    pub(crate) fn push(&mut self, ns: u64) {
        self.ns.push(ns);
    }

    /// Whether one more takes the last room, so that [`Self::make_room`] must follow it.
    #[inline]
    pub(crate) fn is_filled_by_one(&self) -> bool {
        self.ns.len() + 1 >= self.ns.capacity()
    }

    /// Makes room if there is none, which takes a while: the clock must be read again before the
    /// next exchange.
    pub(crate) fn make_room(&mut self) {
        if self.ns.len() == self.ns.capacity() {
            self.grow(self.ns.len());
        }
    }

    /// Makes room for this many more, with every page present: the kernel would else bring one in
    /// the middle of each 512th exchange.
    #[cold]
    fn grow(&mut self, more: usize) {
        let length = self.ns.len();
        self.ns.resize(length + more.max(1), u64::MAX);
        self.ns.truncate(length);
    }

    pub(crate) fn len(&self) -> u64 {
        self.ns.len() as u64
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u64] {
        &mut self.ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_for_what_is_measured_and_made_between_samples() {
        for (most, first) in [(1, 1), (1000, 1000), (10_000_000, FIRST), (u64::MAX, FIRST)] {
            let samples = Samples::new(most);
            assert!(
                (first..2 * first + 8).contains(&samples.ns.capacity()),
                "{most}"
            );
        }
        let mut samples = Samples::new(10_000_000);
        let mut grown = 0;
        for ns in 0..1_000_000 {
            let capacity = samples.ns.capacity();
            let is_filled = samples.is_filled_by_one();
            samples.push(ns);
            // The vector never grows by itself, which would be inside an exchange.
            assert_eq!(samples.ns.capacity(), capacity, "{ns}");
            samples.make_room();
            assert_eq!(is_filled, samples.ns.capacity() != capacity, "{ns}");
            assert!(samples.ns.len() < samples.ns.capacity());
            grown += u32::from(is_filled);
        }
        assert!((1..10).contains(&grown), "{grown}");
        assert_eq!(samples.len(), 1_000_000);
        let kept = samples.as_mut_slice();
        assert!(
            kept.iter()
                .enumerate()
                .all(|(index, &ns)| index as u64 == ns)
        );
        assert!(samples.ns.capacity() <= 3_000_000);
    }
}
