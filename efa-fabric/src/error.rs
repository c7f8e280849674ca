//! The codes of this crate; the error type is that of efa-core.

/// Result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, with a stable code of this crate.
pub type Error = efa_core::error::Error<Code>;

/// The stage of the flow that an error comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Finding and loading libfabric.
    Library,
    /// The process environment would make libfabric abort the process.
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

efa_core::error_codes! {
    pub enum Code;

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
    /// GPU memory cannot be used; the context's `missing` states for want of what: `feature`,
    /// `libcuda`, `driver`, `device`, `dmabuf`, `hmem` or `registration`.
    GpuUnavailable = Options, "fabric.gpu_unavailable";

    /// The rendezvous socket failed: bind, accept, read or write.
    RendezvousFailed = Rendezvous, "fabric.rendezvous_failed";
    /// The peer refused, or is not a probe of efa-sdk.
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
    /// A survey found something wrong.
    Unhealthy = Probe, "fabric.unhealthy";
    /// A survey found nothing, and not everything was measured: the set-up, or an early stop.
    NotSurveyed = Probe, "fabric.not_surveyed";
    /// A report has evidence against no instance, so that there is none to replace.
    NothingToReplace = Options, "fabric.nothing_to_replace";
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
                "fabric.not_surveyed",
                "fabric.nothing_to_replace",
            ]
        );
    }
}
