//! Warnings and errors that no rule knows: each is kept once, with its line.

use super::report::Evidence;
use super::text::{EVIDENCE_LIMIT, limited, shape};

/// Different texts that are kept of one process; the others are counted.
const KEPT: usize = 8;

/// One that is kept.
#[derive(Debug, Clone)]
pub(super) struct Unknown {
    /// The text without what differs between ranks.
    pub(super) shape: String,
    pub(super) evidence: Evidence,
    pub(super) is_error: bool,
}

/// What no rule knows, of one process or source.
#[derive(Debug, Clone, Default)]
pub(super) struct Unknowns {
    pub(super) kept: Vec<Unknown>,
    /// Further ones that differ from those kept.
    pub(super) left_out: u64,
}

impl Unknowns {
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(super) fn add(&mut self, line: u64, text: &str, is_error: bool) {
        let shape = shape(text);
        let known = self.kept.iter_mut().find(|known| known.shape == shape);
        if let Some(known) = known {
            known.is_error |= is_error;
            return;
        }
        if self.kept.len() >= KEPT {
            self.left_out += 1;
            return;
        }
        let text = match text.trim() {
            "" => "(the warning is cut)",
            text => text,
        };
        self.kept.push(Unknown {
            shape,
            evidence: Evidence::new(line, limited(text, EVIDENCE_LIMIT)),
            is_error,
        });
    }

    pub(super) fn adopt(&mut self, other: Self) {
        self.left_out += other.left_out;
        for unknown in other.kept {
            self.add(
                unknown.evidence.line,
                &unknown.evidence.text,
                unknown.is_error,
            );
        }
    }
}
