//! A pair that is to be measured alone.

use super::super::schedule::Pair;

/// Times that a failed measurement alone is tried again.
pub(super) const AGAIN: usize = 2;

/// A pair to measure alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lone {
    pub(super) pair: Pair,
    /// The suspect of the pair, if it is a node: any partner will do.
    pub(super) suspect: Option<usize>,
    /// Times that it failed.
    pub(super) failed: usize,
}

impl Lone {
    /// A link, again and again.
    pub(super) fn link(pair: Pair) -> Self {
        Self {
            pair,
            suspect: None,
            failed: 0,
        }
    }
}
