//! libfabric asked in a process of its own.
//!
//! Some environments make libfabric's efa provider call `abort()` as soon as it is asked
//! anything, and some libraries hang or crash while they are loaded. [`ask`] starts a child
//! with the caller's environment, lets it load libfabric and ask, and reports what the child
//! learned, up to the step at which it died.
//!
//! The child is started with `posix_spawn`, never by a bare `fork`: that would run the fork
//! handlers of a libfabric that is open in the caller, and one of those ends the process.
//! The question and what is learned go over a socket that is the child's standard input; its
//! output and libfabric's log over another. The child has its own process group, which is
//! killed at the deadline.
//!
//! ```
//! use std::time::Duration;
//! use efa_fabric::{ChildCommand, Outcome, Question, answer_if_child, ask};
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

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

mod answer;
mod child;
mod hints;
mod maps;
#[allow(unsafe_code)]
mod os;
mod parent;
mod wire;

pub use answer::{Answer, LoadedLibrary, Outcome, RegisteredProvider, Relaxation, Step, Trial};
pub use child::answer_if_child;
pub use hints::HintSet;
pub use parent::ask;

/// The environment variable that tells a process that it is such a child.
const CHILD_VARIABLE: &str = "EFA_FABRIC_CHILD";
/// What a program has to do for its own executable to be a child.
const CALL_FIRST: &str = "call efa_fabric::answer_if_child() first in main";

/// The command that starts a child: a program that calls [`answer_if_child`] before all else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChildCommand {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl ChildCommand {
    /// A program and its arguments; the program is a path, not a name to look for.
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
        }
    }

    /// This program again. It works only in programs whose `main` begins with
    /// [`answer_if_child`]: another program would run its own work a second time.
    ///
    /// # Errors
    /// `fabric.child_unusable` if [`answer_if_child`] was not called in this process.
    pub fn current_executable() -> Result<Self> {
        if !child::is_prepared() {
            return Err(Error::new(
                Code::ChildUnusable,
                "this program cannot start itself to ask libfabric in a child process",
            )
            .with_cure(CALL_FIRST));
        }
        // The file may have been replaced since; this name is the running one's.
        Ok(Self::new("/proc/self/exe", [] as [&str; 0]))
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &std::path::Path {
        &self.program
    }

    /// Its arguments.
    #[must_use]
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }
}

/// What to ask libfabric in a child.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Question {
    /// The library's file; `None` searches as [`Library::find`](crate::Library::find) does.
    pub library: Option<PathBuf>,
    /// The provider that matters. Default `efa`.
    pub provider: String,
    /// The hints that the trials begin with, and of which each relaxes one.
    pub hints: HintSet,
    /// Changes to the caller's environment for the child: a value to set, `None` to unset.
    /// Default none: the caller's environment is what is examined.
    pub environment: BTreeMap<String, Option<String>>,
    /// How long all may take, start and end of the child included. Default 20 s.
    pub deadline: Duration,
}

impl Default for Question {
    fn default() -> Self {
        Self {
            library: None,
            provider: "efa".to_owned(),
            hints: HintSet::default(),
            environment: BTreeMap::new(),
            deadline: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unprepared_program_does_not_start_itself() {
        let error = ChildCommand::current_executable().unwrap_err();
        assert_eq!(error.code(), Code::ChildUnusable);
        assert_eq!(error.cure(), Some(CALL_FIRST));
    }
}
