//! Parts for your own tests: an AWS in memory, failures on order, and a clock that never makes a
//! test wait. Behind the feature `testing`.

mod call;
mod clock;
mod failing;
mod fake;

pub use call::Call;
pub use clock::PausedClock;
pub use failing::{Failing, Fault, Sent};
pub use fake::{CommandOutcome, FakeAws};
