//! How far a survey is with its patterns.

use std::collections::VecDeque;

use crate::survey::collective::{Carried, Pattern, Step};

/// Patterns that were, are, and will be carried out.
#[derive(Debug, Default)]
pub(super) struct Flows {
    pub(super) waiting: VecDeque<Pattern>,
    pub(super) running: Option<Running>,
    pub(super) done: Vec<Carried>,
    /// Steps that were carried out.
    pub(super) count: usize,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) carried: Carried,
    pub(super) steps: VecDeque<Step>,
    pub(super) attempt: usize,
}

impl Flows {
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        Self {
            waiting: patterns.iter().copied().collect(),
            ..Self::default()
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.running.is_none()
    }

    /// Whether no step of any pattern is left to carry out.
    pub(super) fn is_done(&self) -> bool {
        let running = self.running.as_ref();
        self.waiting.is_empty() && running.is_none_or(|running| running.steps.is_empty())
    }

    /// The pattern under way.
    pub(super) fn pattern(&self) -> Option<Pattern> {
        self.running.as_ref().map(|running| running.carried.pattern)
    }

    pub(super) fn end(&mut self) {
        self.done.extend(self.running.take().map(|of| of.carried));
    }
}
