//! The lines that show why EFA is missing, or why it fails later.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::line::Line;

/// A line of the log that means something for EFA.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fingerprint {
    /// What it means.
    pub kind: FingerprintKind,
    /// The provider that wrote the line, `core` for libfabric itself; `None` for bare text.
    /// Without a provider in the hints, every provider logs what does not fit it.
    pub provider: Option<String>,
    /// The provider, device, variable or value that the line names.
    pub subject: Option<String>,
    /// The count or the error number that the line names, as written (`-61`, `4112`).
    pub number: Option<i64>,
    /// The whole line, cut at 2048 bytes.
    pub evidence: String,
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.evidence)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)+) => {
        /// The meaning of a line of libfabric's log. Texts are those of libfabric 1.17 to 2.6
        /// (src/fabric.c, prov/util/src/util_attr.c, prov/efa/src).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum FingerprintKind { $($(#[$doc])* #[serde(rename = $name)] $variant,)+ }

        impl FingerprintKind {
            /// All kinds, in order of the flow.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the name in JSON, such as `empty_list`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

kinds! {
    /// A variable of the subject's name is set with which the provider aborts the process.
    DeprecatedVariable = "deprecated_variable";
    /// `FI_EFA_IFACE` is empty: the provider aborts the process.
    EmptyIface = "empty_iface";
    /// `FI_EFA_TX_MIN_CREDITS` is not positive: the provider aborts the process.
    BadMinCredits = "bad_min_credits";
    /// `FI_EFA_USE_HUGE_PAGE` together with fork support: the provider aborts the process.
    HugePageWithForkSupport = "huge_page_with_fork_support";
    /// `FI_EFA_USE_DEVICE_RDMA` is not a boolean, or true on a device without RDMA read: the
    /// provider aborts the process.
    BadUseDeviceRdma = "bad_use_device_rdma";
    /// `fork()` after a domain was opened without fork support: the provider aborts the process.
    ForkWithoutSupport = "fork_without_support";

    /// A name in `FI_PROVIDER` that this library does not know: a typo, or a provider in a file
    /// of its own. The subject is the name.
    UnknownProvider = "unknown_provider";
    /// `FI_PROVIDER` leaves the provider of the subject's name out.
    FilteredProvider = "filtered_provider";
    /// The provider was passed over because another one was asked for; no sign of a typo.
    SkippedProvider = "skipped_provider";
    /// The caller asks for a newer interface than the library has (-38).
    VersionTooNew = "version_too_new";

    /// efa is registered, at level info, and never counted the verbs devices: rdma-core sees
    /// none. Since libfabric 2.2. The evidence is the line of the registration.
    NoVerbsDevices = "no_verbs_devices";
    /// How many verbs devices rdma-core sees, EFA or not.
    VerbsDevices = "verbs_devices";
    /// A verbs device could not be opened; the number is the error. Up to libfabric 2.6.0 one
    /// such device hides all EFA devices.
    OpenDeviceFailed = "open_device_failed";
    /// A device could not be set up; the number is the error, the subject the device.
    DeviceSetupFailed = "device_setup_failed";
    /// A verbs device that is not EFA was passed over.
    NotAnEfaDevice = "not_an_efa_device";
    /// `FI_EFA_IFACE` leaves the device of the subject's name out.
    FilteredDevice = "filtered_device";
    /// How many EFA devices are opened and selected. Above 0, an empty list means hints.
    SelectedDevices = "selected_devices";

    /// The provider of the subject's name is there and has nothing for these hints: no device,
    /// a device that failed, or hints. It proves nothing about the device.
    EmptyList = "empty_list";
    /// The provider of the subject's name refused with the number as error, such as -61.
    ProviderFailed = "provider_failed";
    /// An endpoint type that the provider does not have; the number is its enumerator.
    UnsupportedEndpointType = "unsupported_endpoint_type";
    /// Capabilities that the provider does not have.
    UnsupportedCapabilities = "unsupported_capabilities";
    /// The caller offers too few memory registration modes.
    InvalidMrMode = "invalid_mr_mode";
    /// The caller does not offer a mode bit that the provider demands.
    ModeNotSet = "mode_not_set";
    /// An address format that the provider does not have.
    UnsupportedAddressFormat = "unsupported_address_format";
    /// What was requested, after one of the lines above; the subject is the value.
    Requested = "requested";
    /// Another hint that does not fit; the subject is the text.
    OtherHint = "other_hint";
    /// `FI_HMEM` is asked for, and no library for device memory works.
    HmemWithoutLibraries = "hmem_without_libraries";
    /// `FI_HMEM` is asked for without `FI_MR_HMEM`.
    HmemWithoutMrMode = "hmem_without_mr_mode";
    /// `FI_HMEM` is asked for, and peer-to-peer or RDMA, which it needs, is missing or off.
    HmemWithoutPeerToPeer = "hmem_without_peer_to_peer";
    /// `max_msg_size` is above what the device sends; the number is what was requested.
    MessageTooLarge = "message_too_large";

    /// Memory could not be had: locked memory or huge pages; 4112, or `ibv_create_qp` with 12.
    ReceiveBuffers = "receive_buffers";
    /// The provider met an internal error with no event queue to report to, and ends the
    /// process. The number is its own error number.
    InternalError = "internal_error";
    /// A peer was never reached: security group, subnet, or the peer is gone (15,
    /// `EHOSTUNREACH`).
    Unreachable = "unreachable";
    /// A peer that was reached before no longer answers (13, 4124).
    Unresponsive = "unresponsive";
}

impl FingerprintKind {
    /// Returns whether the provider aborts the process there.
    #[must_use]
    pub const fn is_fatal(self) -> bool {
        matches!(
            self,
            Self::DeprecatedVariable
                | Self::EmptyIface
                | Self::BadMinCredits
                | Self::HugePageWithForkSupport
                | Self::BadUseDeviceRdma
                | Self::ForkWithoutSupport
                | Self::InternalError
        )
    }
}

/// Kind, subject and number of a line.
pub(crate) type Recognised = (FingerprintKind, Option<String>, Option<i64>);

/// What a line means: `text` is the text of `line`, or a whole line that libfabric did not
/// write through its log.
pub(super) fn recognise(line: Option<&Line>, text: &str) -> Option<Recognised> {
    match line {
        Some(line) => logged(line, text).or_else(|| later(text)),
        None => printed(text),
    }
}

/// What the efa provider prints bare to stderr before it calls `abort()`.
fn printed(text: &str) -> Option<Recognised> {
    use FingerprintKind as Kind;
    let deprecated = " env variable detected! The use of this variable has been deprecated and";
    if let Some((before, _)) = text.split_once(deprecated) {
        let name = before.rsplit([' ', ']', ':']).next();
        return Some((Kind::DeprecatedVariable, owned(name), None));
    }
    if text.contains("FI_EFA_IFACE is empty") {
        return Some((Kind::EmptyIface, Some("FI_EFA_IFACE".into()), None));
    }
    if let Some(value) = after(text, "FI_EFA_TX_MIN_CREDITS was set to ") {
        let variable = Some("FI_EFA_TX_MIN_CREDITS".into());
        return Some((Kind::BadMinCredits, variable, integer(value)));
    }
    if text.contains("variable FI_EFA_USE_HUGE_PAGE has been")
        || text.contains("usage of huge page is incompatible with rdma-core's fork support")
    {
        let variable = Some("FI_EFA_USE_HUGE_PAGE".into());
        return Some((Kind::HugePageWithForkSupport, variable, None));
    }
    if text.contains("FI_EFA_USE_DEVICE_RDMA was set to an invalid value")
        // 1.20 states "by users", 2.x "by user".
        || text.contains("FI_EFA_USE_DEVICE_RDMA=1 was set by user")
    {
        let variable = Some("FI_EFA_USE_DEVICE_RDMA".into());
        return Some((Kind::BadUseDeviceRdma, variable, None));
    }
    if text.contains("executed an operation involving a call")
        || text.contains("the Libfabric EFA provider is operating in")
    {
        return Some((Kind::ForkWithoutSupport, None, None));
    }
    if text.contains("Libfabric EFA provider has encountered an internal error") {
        return Some((Kind::InternalError, None, None));
    }
    later(text)
}

/// Lines of the log about discovery.
fn logged(line: &Line, text: &str) -> Option<Recognised> {
    if let Some(rest) = text.strip_prefix("fi_getinfo: provider ") {
        return answer(rest);
    }
    filters(text)
        .or_else(|| devices(text))
        .or_else(|| hmem(text))
        .or_else(|| hints(line, text))
}

/// `efa output empty list`, `efa returned -61 (No data available)` (src/fabric.c).
fn answer(rest: &str) -> Option<Recognised> {
    if let Some(provider) = rest.strip_suffix(" output empty list") {
        return Some((FingerprintKind::EmptyList, owned(Some(provider)), None));
    }
    let (provider, number) = rest.split_once(" returned ")?;
    Some((
        FingerprintKind::ProviderFailed,
        owned(Some(provider)),
        integer(number),
    ))
}

/// Choice of providers (src/fabric.c, `fi_getinfo` and `ofi_register_provider`).
fn filters(text: &str) -> Option<Recognised> {
    use FingerprintKind as Kind;
    if text.contains("filtered by provider include/exclude list") {
        return Some((Kind::FilteredProvider, owned(text.split('"').nth(1)), None));
    }
    if let Some(rest) = text.strip_prefix("provider ")
        && let Some((name, _)) = rest.split_once(" is unknown, misspelled")
    {
        return Some((Kind::UnknownProvider, owned(Some(name)), None));
    }
    if let Some(rest) = text.strip_prefix("Requesting provider ") {
        let skipped = after(rest, "skipping ").or(Some(rest));
        return Some((Kind::SkippedProvider, owned(skipped), None));
    }
    if let Some(rest) = text.strip_prefix("Skipping ")
        && let Some(name) = rest.strip_suffix(" layering")
        && !name.starts_with("util;")
    {
        return Some((Kind::SkippedProvider, owned(Some(name)), None));
    }
    text.contains("Requested version is newer than library")
        .then_some((Kind::VersionTooNew, None, None))
}

/// Devices of the efa provider (prov/efa/src/efa_device.c).
fn devices(text: &str) -> Option<Recognised> {
    use FingerprintKind as Kind;
    if let Some(count) = after(text, "ibv_get_device_list returns total_device_cnt=") {
        return Some((Kind::VerbsDevices, None, integer(count)));
    }
    if let Some(count) = after(text, "g_efa_selected_device_cnt=") {
        return Some((Kind::SelectedDevices, None, integer(count)));
    }
    if let Some(rest) = text.strip_prefix("Device ")
        && let Some(name) = rest.strip_suffix(" filtered out by FI_EFA_IFACE")
    {
        return Some((Kind::FilteredDevice, owned(Some(name)), None));
    }
    if let Some(errno) = after(text, "ibv_open_device failed! errno: ") {
        return Some((Kind::OpenDeviceFailed, None, integer(errno)));
    }
    for call in [
        "efa_device_construct_gid failed for ",
        "efa_device_construct_data failed for ",
        "efa_device_construct failed for ",
    ] {
        if let Some(rest) = after(text, call) {
            let device = rest.split(',').next();
            let errno = after(rest, "err=").and_then(integer);
            return Some((Kind::DeviceSetupFailed, owned(device), errno));
        }
    }
    text.contains("Not an EFA device")
        .then_some((Kind::NotAnEfaDevice, None, None))
}

/// Device memory (prov/efa/src/efa_user_info.c and efa_prov_info.c).
fn hmem(text: &str) -> Option<Recognised> {
    use FingerprintKind as Kind;
    if text.contains("FI_HMEM cannot be supported because no compatible libraries") {
        return Some((Kind::HmemWithoutLibraries, None, None));
    }
    if text.contains("FI_HMEM capability requires device registrations") {
        return Some((Kind::HmemWithoutMrMode, None, None));
    }
    let needs_device = text.contains("FI_HMEM capability requires peer to peer")
        || text.contains("cannot support FI_HMEM because")
        || text.contains("does not support HMEM transfers without p2p");
    needs_device.then(|| (Kind::HmemWithoutPeerToPeer, owned(Some(text)), None))
}

/// Hints that do not fit (prov/util/src/util_attr.c, prov/efa/src/efa_user_info.c).
fn hints(line: &Line, text: &str) -> Option<Recognised> {
    use FingerprintKind as Kind;
    let provider = || owned(Some(&line.provider));
    if let Some(number) = after(text, "unsupported endpoint type: ") {
        return Some((Kind::UnsupportedEndpointType, provider(), integer(number)));
    }
    if let Some(number) = after(text, "Requested max_msg_size ") {
        return Some((Kind::MessageTooLarge, provider(), integer(number)));
    }
    if let Some(value) = text.strip_prefix("Requested: ") {
        return Some((Kind::Requested, owned(Some(value)), None));
    }
    let kind = match text {
        "unsupported endpoint type" => Kind::UnsupportedEndpointType,
        "Unsupported capabilities" | "caps not supported" => Kind::UnsupportedCapabilities,
        "Requested domain caps not supported"
        | "requested caps not subset of base endpoint caps" => Kind::UnsupportedCapabilities,
        "Invalid memory registration mode" => Kind::InvalidMrMode,
        "needed mode not set" | "Required domain mode missing" => Kind::ModeNotSet,
        "address format not supported" => Kind::UnsupportedAddressFormat,
        "Max message size too large" => Kind::MessageTooLarge,
        "Invalid threading model"
        | "Invalid progress model"
        | "Invalid resource mgmt model"
        | "Invalid AV type"
        | "Unsupported protocol"
        | "Unsupported api version"
        | "Unsupported provider version"
        | "msg_order not supported"
        | "comp_order not supported"
        | "op_flags not supported"
        | "size is greater than supported"
        | "inject_size too large"
        | "iov_limit too large"
        | "Tag size exceeds supported size" => {
            return Some((Kind::OtherHint, owned(Some(text)), None));
        }
        _ => return None,
    };
    Some((kind, provider(), None))
}

/// Failures after discovery (prov/efa/src/efa_errno.h, efa_base_ep.c).
fn later(text: &str) -> Option<Recognised> {
    use FingerprintKind as Kind;
    if let Some(rest) = after(text, "EFA internal error: (") {
        let number = integer(rest);
        let kind = number.and_then(own_error).unwrap_or(Kind::InternalError);
        return Some((kind, None, number));
    }
    if let Some(rest) = after(text, "prov_errno: ") {
        let number = rest
            .rsplit_once('(')
            .and_then(|(_, number)| integer(number))
            .or_else(|| integer(rest))?;
        return Some((own_error(number)?, None, Some(number)));
    }
    if let Some(number) = after(text, "ibv_create_qp failed. errno: ").and_then(integer) {
        return (number == 12).then_some((Kind::ReceiveBuffers, None, Some(number)));
    }
    if text.contains("Failure to post internal receive buffers") {
        return Some((Kind::ReceiveBuffers, None, Some(4112)));
    }
    if text.contains("Unreachable remote") || text.contains("EHOSTUNREACH") {
        return Some((Kind::Unreachable, None, Some(15)));
    }
    if text.contains("Unresponsive remote") || text.contains("Unresponsive receiver") {
        return Some((Kind::Unresponsive, None, None));
    }
    None
}

/// What one of the provider's own error numbers means, if it is a cause to know.
fn own_error(number: i64) -> Option<FingerprintKind> {
    match number {
        4112 => Some(FingerprintKind::ReceiveBuffers),
        15 => Some(FingerprintKind::Unreachable),
        13 | 4124 | 4126 => Some(FingerprintKind::Unresponsive),
        _ => None,
    }
}

/// The text behind a marker.
fn after<'a>(text: &'a str, marker: &str) -> Option<&'a str> {
    text.split_once(marker).map(|(_, rest)| rest)
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// The number that a text begins with.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    text[..text.len() - digits.len() + length].parse().ok()
}
