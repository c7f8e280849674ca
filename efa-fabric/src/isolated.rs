//! libfabric asked in a process of its own.
//!
//! Some environments make libfabric's efa provider call `abort()` as soon as it is asked
//! anything, and some libraries hang or crash while they are loaded. [`ask`] starts a child
//! with the caller's environment, lets it load libfabric and ask, and reports what the child
//! learned, up to the step at which it died.
//!
//! The child is started with `posix_spawn`, never by a bare `fork`: that would run the fork
//! handlers of a libfabric that is open in the caller, and one of those exits the process.
//! The question and what is learned go over a socket that is the child's standard input; its
//! output and libfabric's log over another. The child has its own process group, which is
//! killed at the deadline.
//!
//! ```
//! use std::time::Duration;
//! use efa_fabric::isolated::{ChildCommand, Outcome, Question, answer_if_child, ask};
//!
//! fn main() -> efa_fabric::Result<()> {
//!     answer_if_child();
//!     let mut question = Question::default();
//!     question.deadline = Duration::from_secs(60);
//!     let answer = ask(&ChildCommand::current_executable()?, &question)?;
//!     println!("{}", answer.outcome);
//!     println!("efa compiled in: {:?}", answer.has_provider("efa"));
//!     println!("{}", answer.log);
//!     # assert!(matches!(answer.outcome, Outcome::Answered | Outcome::NoLibrary { .. }));
//!     Ok(())
//! }
//! ```

#[forbid(unsafe_code)]
mod answer;
#[forbid(unsafe_code)]
mod child;
#[forbid(unsafe_code)]
mod command;
#[forbid(unsafe_code)]
mod hints;
#[forbid(unsafe_code)]
mod maps;
mod os;
#[forbid(unsafe_code)]
mod parent;
#[forbid(unsafe_code)]
mod question;
#[forbid(unsafe_code)]
mod wire;

pub use answer::{Answer, LoadedLibrary, Outcome, RegisteredProvider, Relaxation, Step, Trial};
pub use child::answer_if_child;
pub use command::ChildCommand;
pub use hints::HintSet;
pub use parent::{ask, ask_with};
pub use question::Question;
