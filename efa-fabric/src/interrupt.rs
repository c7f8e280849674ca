//! The caller's wish to stop, asked for while something waits.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

/// The caller's wish to stop: polled about every 10 ms, on the thread that called the probe.
#[derive(Clone, Copy)]
pub struct Interrupt<'a> {
    hook: &'a dyn Fn() -> bool,
    signal: Option<&'a OnceLock<Signal>>,
}

/// A signal that asked a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Signal {
    /// Of Ctrl-C.
    #[serde(rename = "SIGINT")]
    Int,
    /// Of a scheduler, or of `kill`.
    #[serde(rename = "SIGTERM")]
    Term,
}

impl Signal {
    /// Returns its name, such as `SIGTERM`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Int => "SIGINT",
            Self::Term => "SIGTERM",
        }
    }
}

impl<'a> Interrupt<'a> {
    /// Stops the probe with `fabric.interrupted` when the hook returns `true`.
    #[must_use]
    pub fn new(hook: &'a dyn Fn() -> bool) -> Self {
        Self { hook, signal: None }
    }

    /// Returns the same, that names the signal that set the hook, where one is known by then.
    #[must_use]
    pub fn by(self, signal: &'a OnceLock<Signal>) -> Self {
        Self {
            signal: Some(signal),
            ..self
        }
    }

    /// The signal that is the reason, where it is known.
    pub(crate) fn signal(self) -> Option<Signal> {
        self.signal?.get().copied()
    }

    pub(crate) fn check(self) -> Result<()> {
        if !(self.hook)() {
            return Ok(());
        }
        let by = self.signal().map(Signal::as_str);
        let by = by.map_or(String::new(), |name| format!(" ({name})"));
        let message = format!("the probe was interrupted{by}");
        Err(Error::new(Code::Interrupted, message).retryable(true))
    }
}

impl Interrupt<'static> {
    /// Never stops the probe.
    #[must_use]
    pub fn never() -> Self {
        Self {
            hook: &|| false,
            signal: None,
        }
    }
}

impl std::fmt::Debug for Interrupt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interrupt")
    }
}
