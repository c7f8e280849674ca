//! Lines of libfabric in a job's log, read by `fabric_log` and held against the causes.

use crate::fabric_log::{self, FingerprintKind, Level};

use super::causes::Cause;
use super::rules::{Place, cause_of};

/// What a line of libfabric reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Something that a rule knows.
    Cause(Cause),
    /// A warning that no rule knows.
    Warning,
    /// A fabric was opened: its name.
    Opened(String),
    Nothing,
}

/// Warnings of libfabric that jobs without fault have: it asks for every kind of device memory,
/// and every provider logs what does not fit it.
const HARMLESS: [&str; 14] = [
    "failed to initialize hmem iface",
    "unable to initialize hmem",
    "hmem iface",
    "failed to dlopen",
    "could not dlopen",
    "dlopen(",
    "output empty list",
    "not an efa device",
    "gdrcopy will not be used",
    "gdrcopy_dl_hmem",
    "is unknown, misspelled",
    "fi_getinfo: provider",
    "ze_init",
    "permitted set to ",
];

/// What a line states that libfabric wrote, through its log or bare.
pub(super) fn said(text: &str) -> Said {
    let (line, found) = fabric_log::read_line(text);
    let body = line.as_ref().map_or(text, |line| line.text.as_str());
    let is_warning = line.as_ref().is_none_or(|line| line.level == Level::Warn);
    if is_warning && let Some(cause) = cause_of(body, Place::Outside) {
        return Said::Cause(cause);
    }
    if let Some((kind, subject, number)) = found
        && let Some(cause) = cause_of_kind(kind, subject.as_deref(), number)
    {
        return Said::Cause(cause);
    }
    let Some(line) = line else {
        return Said::Nothing;
    };
    if let Some(fabric) = line.text.strip_prefix("Opened fabric: ") {
        return Said::Opened(fabric.trim().to_owned());
    }
    let lower = line.text.to_ascii_lowercase();
    if line.level == Level::Warn && !HARMLESS.iter().any(|text| lower.contains(text)) {
        return Said::Warning;
    }
    Said::Nothing
}

/// The cause that a fingerprint of libfabric's log is.
pub(super) fn cause_of_kind(
    kind: FingerprintKind,
    subject: Option<&str>,
    number: Option<i64>,
) -> Option<Cause> {
    use FingerprintKind as Kind;
    let is_efa = subject == Some("efa");
    Some(match kind {
        Kind::DeprecatedVariable => Cause::DeprecatedVariable,
        Kind::EmptyIface => Cause::EmptyIface,
        Kind::BadMinCredits => Cause::BadMinCredits,
        Kind::HugePageWithForkSupport => Cause::HugePageWithForkSupport,
        Kind::BadUseDeviceRdma => Cause::DeviceRdmaUnsupported,
        Kind::ForkWithoutSupport => Cause::ForkWithoutSupport,
        Kind::FilteredProvider if is_efa => Cause::ProviderFiltered,
        Kind::UnknownProvider => Cause::ProviderFiltered,
        Kind::VersionTooNew => Cause::LibfabricTooOld,
        Kind::OpenDeviceFailed | Kind::DeviceSetupFailed => Cause::VerbsUnopenable,
        Kind::EmptyList if is_efa => Cause::EfaListEmpty,
        Kind::ReceiveBuffers => Cause::LockedMemory,
        Kind::InternalError if number == Some(4111) => Cause::RemoteKeyRefused,
        Kind::InternalError => Cause::InternalError,
        Kind::Unreachable => Cause::SecurityGroup,
        Kind::Unresponsive if number == Some(4126) => Cause::SecurityGroupEgress,
        Kind::Unresponsive => Cause::PeerLost,
        _ => return None,
    })
}
