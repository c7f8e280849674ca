//! The caller's wish to stop, asked for while something waits.

use crate::error::{Code, Error, Result};

/// The caller's wish to stop: polled about every 10 ms, on the thread that called the probe.
#[derive(Clone, Copy)]
pub struct Interrupt<'a> {
    hook: &'a dyn Fn() -> bool,
}

impl<'a> Interrupt<'a> {
    /// Stops the probe with `fabric.interrupted` when the hook returns `true`.
    #[must_use]
    pub fn new(hook: &'a dyn Fn() -> bool) -> Self {
        Self { hook }
    }

    pub(crate) fn check(self) -> Result<()> {
        if (self.hook)() {
            return Err(Error::new(Code::Interrupted, "the probe was interrupted").retryable(true));
        }
        Ok(())
    }
}

impl Interrupt<'static> {
    /// Never stops the probe.
    #[must_use]
    pub fn never() -> Self {
        Self { hook: &|| false }
    }
}

impl std::fmt::Debug for Interrupt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interrupt")
    }
}
