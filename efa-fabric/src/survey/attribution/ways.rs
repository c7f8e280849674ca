//! A quantity of a link: both directions together, and each by itself.

use super::super::verdict::Direction;

/// One value for a link as a whole and one for each of its directions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ways<T> {
    /// The mean of both directions.
    pub(super) mean: T,
    /// From the node with the lower number to the other.
    pub(super) forth: T,
    /// From the node with the higher number to the other.
    pub(super) back: T,
}

impl<T> Ways<T> {
    /// The value of a direction of a link; of a node's direction, that of the whole.
    pub(super) fn along(self, direction: Direction) -> T {
        match direction {
            Direction::LowerToHigher => self.forth,
            Direction::HigherToLower => self.back,
            Direction::Both | Direction::Sends | Direction::Receives => self.mean,
        }
    }

    /// All three.
    pub(super) fn each(self) -> [T; 3] {
        [self.mean, self.forth, self.back]
    }
}

impl Ways<Vec<f64>> {
    /// Adds what is a number.
    pub(super) fn push_finite(&mut self, values: Ways<f64>) {
        for (list, value) in [
            (&mut self.mean, values.mean),
            (&mut self.forth, values.forth),
            (&mut self.back, values.back),
        ] {
            if value.is_finite() {
                list.push(value);
            }
        }
    }
}
