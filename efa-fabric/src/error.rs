//! The one error type of the crate: a stable code, what was wrong, and the cure.

use std::error::Error as StdError;
use std::fmt;

/// Result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The stage of the flow that an error comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Finding and loading libfabric.
    Library,
    /// The process environment would make libfabric end the process.
    Environment,
    /// Asking libfabric for providers.
    Discovery,
    /// What the caller asked for is out of range.
    Options,
    /// The two sides of a probe could not agree over TCP.
    Rendezvous,
    /// Opening endpoints and moving messages.
    Probe,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $kind:ident, $code:literal;)+) => {
        /// Every code that an [`Error`] of this crate can have. Codes are added, never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $variant,)+ }

        impl Code {
            /// All codes, in order of the flow.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The dotted form, such as `fabric.library_not_found`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The stage of the flow that the code belongs to.
            #[must_use]
            pub const fn kind(self) -> ErrorKind {
                match self { $(Self::$variant => ErrorKind::$kind,)+ }
            }
        }
    };
}

codes! {
    /// No libfabric at any of the places searched.
    LibraryNotFound = Library, "fabric.library_not_found";
    /// The file is not a library that can be loaded, or is not libfabric.
    LibraryInvalid = Library, "fabric.library_invalid";
    /// The library is older than the oldest that is supported.
    LibraryTooOld = Library, "fabric.library_too_old";

    /// An environment variable is set with which libfabric calls `abort()`.
    KillerEnvironment = Environment, "fabric.killer_environment";

    /// The child process in which libfabric is asked cannot be started, or does not answer.
    ChildUnusable = Environment, "fabric.child_unusable";

    /// libfabric offers nothing for this provider, fabric, domain or address.
    ProviderNotFound = Discovery, "fabric.provider_not_found";

    /// A message size is 0, above 1 GiB, or above what the provider sends.
    BadSize = Options, "fabric.bad_size";
    /// Another option is out of its range, or does not fit the provider.
    InvalidOption = Options, "fabric.invalid_option";
    /// The provider does not have the operation that is to be measured.
    UnsupportedOperation = Options, "fabric.unsupported_operation";
    /// GPU memory cannot be used; the context's `missing` says for want of what: `feature`,
    /// `libcuda`, `driver`, `device`, `dmabuf`, `hmem` or `registration`.
    GpuUnavailable = Options, "fabric.gpu_unavailable";

    /// The rendezvous socket failed: bind, accept, read or write.
    RendezvousFailed = Rendezvous, "fabric.rendezvous_failed";
    /// The peer refused, or is not a probe of ours.
    RendezvousRefused = Rendezvous, "fabric.rendezvous_refused";
    /// Both sides have a library, but not versions that work together.
    VersionMismatch = Rendezvous, "fabric.version_mismatch";

    /// A call into libfabric returned an error.
    CallFailed = Probe, "fabric.call_failed";
    /// The peer cannot be reached, or went away.
    Unreachable = Probe, "fabric.unreachable";
    /// The deadline passed before the probe was finished.
    Deadline = Probe, "fabric.deadline";
    /// The caller's interrupt hook asked to stop.
    Interrupted = Probe, "fabric.interrupted";
    /// The other side of the probe failed; the context has its code.
    PeerFailed = Probe, "fabric.peer_failed";
    /// Bytes that arrived are not those that were sent.
    DataMismatch = Probe, "fabric.data_mismatch";
    /// A survey found something wrong, or could not tell.
    Unhealthy = Probe, "fabric.unhealthy";
}

/// What went wrong, with a stable [`code`](Self::code), context and, where known, the cure.
///
/// `Display` is one line: the message, then the cure.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    code: Code,
    message: String,
    cure: Option<String>,
    context: Vec<(&'static str, String)>,
    retryable: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with this code and message; add to it with the `with_*` methods.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                code,
                message: message.into(),
                cure: None,
                context: Vec::new(),
                retryable: false,
                source: None,
            }),
        }
    }

    /// Says what the caller can do about it.
    pub(crate) fn with_cure(mut self, cure: impl Into<String>) -> Self {
        self.inner.cure = Some(cure.into());
        self
    }

    /// Adds a key-value pair, such as the call, the value or the limit.
    pub(crate) fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.inner.context.push((key, value.to_string()));
        self
    }

    /// As [`Error::with_context`], unless the key is there already: who is nearer to the cause
    /// knows better.
    pub(crate) fn with_missing_context(self, key: &'static str, value: impl fmt::Display) -> Self {
        if self.context_value(key).is_some() {
            return self;
        }
        self.with_context(key, value)
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    pub(crate) fn retryable(mut self, retryable: bool) -> Self {
        self.inner.retryable = retryable;
        self
    }

    /// The stage of the flow.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.code.kind()
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.inner.code
    }

    /// The message without the cure.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// What the caller can do about it, where known.
    #[must_use]
    pub fn cure(&self) -> Option<&str> {
        self.inner.cure.as_deref()
    }

    /// Key-value pairs: the call, libfabric's error number, the peer, the size …
    #[must_use]
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.inner.context
    }

    /// The value of one context key.
    #[must_use]
    pub fn context_value(&self, key: &str) -> Option<&str> {
        self.inner
            .context
            .iter()
            .find(|(k, _)| *k == key)
            .map(|(_, v)| v.as_str())
    }

    /// Whether the same call can succeed later without a change by the caller.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.inner.retryable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        if let Some(cure) = &self.inner.cure {
            write!(f, "; {cure}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner
            .source
            .as_ref()
            .map(|s| s.as_ref() as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_message_then_cure() {
        let error = Error::new(Code::BadSize, "message size 0 is not measurable")
            .with_cure("use 1 byte or more")
            .with_context("size", 0);
        assert_eq!(
            error.to_string(),
            "message size 0 is not measurable; use 1 byte or more"
        );
        assert_eq!(error.context_value("size"), Some("0"));
        assert_eq!(error.kind(), ErrorKind::Options);
    }

    #[test]
    fn codes_are_pinned() {
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(
            codes,
            [
                "fabric.library_not_found",
                "fabric.library_invalid",
                "fabric.library_too_old",
                "fabric.killer_environment",
                "fabric.child_unusable",
                "fabric.provider_not_found",
                "fabric.bad_size",
                "fabric.invalid_option",
                "fabric.unsupported_operation",
                "fabric.gpu_unavailable",
                "fabric.rendezvous_failed",
                "fabric.rendezvous_refused",
                "fabric.version_mismatch",
                "fabric.call_failed",
                "fabric.unreachable",
                "fabric.deadline",
                "fabric.interrupted",
                "fabric.peer_failed",
                "fabric.data_mismatch",
                "fabric.unhealthy",
            ]
        );
    }
}
