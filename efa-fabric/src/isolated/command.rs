//! The command that starts a child.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::child;
use crate::error::{Code, Error, Result};

/// What a program has to do for its own executable to be a child.
pub(super) const CALL_FIRST: &str = "call efa_fabric::isolated::answer_if_child() first in main";

/// The command that starts a child: a program that calls [`answer_if_child`](super::answer_if_child) before all else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChildCommand {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl ChildCommand {
    /// Creates a program and its arguments; the program is a path, not a name to look for.
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
        }
    }

    /// Returns this program again. It works only in programs whose `main` begins with
    /// [`answer_if_child`](super::answer_if_child): another program would run its own work a second time.
    ///
    /// # Errors
    /// `fabric.child_unusable` if [`answer_if_child`](super::answer_if_child) was not called in this process.
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

    /// Returns the program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Returns its arguments.
    #[must_use]
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
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
