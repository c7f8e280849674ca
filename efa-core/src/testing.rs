//! Parts for your own tests: a clock that never makes a test wait.

mod clock;

pub use clock::PausedClock;
