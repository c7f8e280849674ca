//! Discovery: what libfabric offers on this machine, as values.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cuda::{Missing, missing};
use crate::demand;
use crate::error::{Code, Error, Result};
use crate::ffi;
use crate::info_list::{self, Entry, Hints, OwnedEntry, RawNic};
use crate::library::{InfoList, Library, Version};
use crate::node::{Node, NodeRoot};
use crate::operation::Operation;
use crate::provider;

mod absence;

/// The fabric `efa-direct` is there since this version (fi_efa(7)).
const EFA_DIRECT_SINCE: Version = Version { major: 2, minor: 1 };

/// Capabilities worth showing, in the order of fabric.h.
pub(crate) const CAPABILITIES: [(u64, &str); 13] = [
    (ffi::FI_MSG, "FI_MSG"),
    (ffi::FI_RMA, "FI_RMA"),
    (ffi::FI_TAGGED, "FI_TAGGED"),
    (ffi::FI_ATOMIC, "FI_ATOMIC"),
    (ffi::FI_MULTICAST, "FI_MULTICAST"),
    (ffi::FI_COLLECTIVE, "FI_COLLECTIVE"),
    (ffi::FI_MULTI_RECV, "FI_MULTI_RECV"),
    (ffi::FI_HMEM, "FI_HMEM"),
    (ffi::FI_LOCAL_COMM, "FI_LOCAL_COMM"),
    (ffi::FI_REMOTE_COMM, "FI_REMOTE_COMM"),
    (ffi::FI_RMA_EVENT, "FI_RMA_EVENT"),
    (ffi::FI_SOURCE, "FI_SOURCE"),
    (ffi::FI_DIRECTED_RECV, "FI_DIRECTED_RECV"),
];

pub(crate) const MR_MODES: [(i32, &str); 10] = [
    (ffi::FI_MR_LOCAL, "FI_MR_LOCAL"),
    (ffi::FI_MR_RAW, "FI_MR_RAW"),
    (ffi::FI_MR_VIRT_ADDR, "FI_MR_VIRT_ADDR"),
    (ffi::FI_MR_ALLOCATED, "FI_MR_ALLOCATED"),
    (ffi::FI_MR_PROV_KEY, "FI_MR_PROV_KEY"),
    (ffi::FI_MR_MMU_NOTIFY, "FI_MR_MMU_NOTIFY"),
    (ffi::FI_MR_RMA_EVENT, "FI_MR_RMA_EVENT"),
    (ffi::FI_MR_ENDPOINT, "FI_MR_ENDPOINT"),
    (ffi::FI_MR_HMEM, "FI_MR_HMEM"),
    (ffi::FI_MR_COLLECTIVE, "FI_MR_COLLECTIVE"),
];

pub(crate) const ENDPOINT_TYPES: [&str; 6] = [
    "FI_EP_UNSPEC",
    "FI_EP_MSG",
    "FI_EP_DGRAM",
    "FI_EP_RDM",
    "FI_EP_SOCK_STREAM",
    "FI_EP_SOCK_DGRAM",
];

const PROTOCOLS: [&str; 32] = [
    "FI_PROTO_UNSPEC",
    "FI_PROTO_RDMA_CM_IB_RC",
    "FI_PROTO_IWARP",
    "FI_PROTO_IB_UD",
    "FI_PROTO_PSMX",
    "FI_PROTO_UDP",
    "FI_PROTO_SOCK_TCP",
    "FI_PROTO_MXM",
    "FI_PROTO_IWARP_RDM",
    "FI_PROTO_IB_RDM",
    "FI_PROTO_GNI",
    "FI_PROTO_RXM",
    "FI_PROTO_RXD",
    "FI_PROTO_MLX",
    "FI_PROTO_NETWORKDIRECT",
    "FI_PROTO_PSMX2",
    "FI_PROTO_SHM",
    "FI_PROTO_MRAIL",
    "FI_PROTO_RSTREAM",
    "FI_PROTO_RDMA_CM_IB_XRC",
    "FI_PROTO_EFA",
    "FI_PROTO_PSMX3",
    "FI_PROTO_RXM_TCP",
    "FI_PROTO_OPX",
    "FI_PROTO_CXI",
    "FI_PROTO_XNET",
    "FI_PROTO_COLL",
    "FI_PROTO_UCX",
    "FI_PROTO_SM2",
    "FI_PROTO_CXI_RNR",
    "FI_PROTO_LPP",
    "FI_PROTO_LNX",
];

pub(crate) const ADDRESS_FORMATS: [&str; 18] = [
    "FI_FORMAT_UNSPEC",
    "FI_SOCKADDR",
    "FI_SOCKADDR_IN",
    "FI_SOCKADDR_IN6",
    "FI_SOCKADDR_IB",
    "FI_ADDR_PSMX",
    "FI_ADDR_GNI",
    "FI_ADDR_BGQ",
    "FI_ADDR_MLX",
    "FI_ADDR_STR",
    "FI_ADDR_PSMX2",
    "FI_ADDR_IB_UD",
    "FI_ADDR_EFA",
    "FI_ADDR_PSMX3",
    "FI_ADDR_OPX",
    "FI_ADDR_CXI",
    "FI_ADDR_UCX",
    "FI_SOCKADDR_IP",
];

const PROGRESS: [&str; 4] = [
    "FI_PROGRESS_UNSPEC",
    "FI_PROGRESS_AUTO",
    "FI_PROGRESS_MANUAL",
    "FI_PROGRESS_CONTROL_UNIFIED",
];

const THREADING: [&str; 6] = [
    "FI_THREAD_UNSPEC",
    "FI_THREAD_SAFE",
    "FI_THREAD_FID",
    "FI_THREAD_DOMAIN",
    "FI_THREAD_COMPLETION",
    "FI_THREAD_ENDPOINT",
];

/// The state of a network card's link, as the provider reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LinkState {
    /// The provider does not report it.
    Unknown,
    /// The link is down.
    Down,
    /// The link is up.
    Up,
}

/// The network card behind an entry: what the provider fills in of `fid_nic` (fi_nic(3)).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NicInfo {
    /// The device, such as `rdmap0s6` on EFA or `eth0` on tcp.
    pub device_name: Option<String>,
    /// The PCI address `domain:bus:device.function`, such as `0000:00:06.0`.
    pub pci_address: Option<String>,
    /// Speed of the link in bit per second; `None` where the provider reports 0.
    pub link_speed_bps: Option<u64>,
    /// State of the link.
    pub link_state: LinkState,
    /// Largest transfer unit of the link in bytes; `None` where the provider reports 0.
    pub mtu: Option<u64>,
    /// The driver, such as `efa`.
    pub driver: Option<String>,
    /// The card's model, as the vendor numbers it.
    pub device_id: Option<String>,
    /// Hardware version.
    pub device_version: Option<String>,
    /// The vendor, such as `0x1d0f`.
    pub vendor_id: Option<String>,
    /// Firmware version.
    pub firmware: Option<String>,
    /// Address of the port on its network.
    pub address: Option<String>,
    /// Kind of network, such as `Ethernet`.
    pub network_type: Option<String>,
}

/// One thing that libfabric offers: an `fi_info`, copied out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProviderInfo {
    /// The provider as libfabric spells it, with layers: `efa`, `tcp`, `tcp;ofi_rxm`.
    pub provider: String,
    /// The provider's own version, such as 117.0 in libfabric 1.17.
    pub provider_version: Version,
    /// The fabric: `efa` or `efa-direct` on EFA, a network such as `127.0.0.1/32` on tcp.
    pub fabric: String,
    /// The domain: the device with a suffix on EFA (`rdmap0s6-rdm`), the interface on tcp.
    pub domain: String,
    /// `FI_EP_RDM`, `FI_EP_DGRAM` or `FI_EP_MSG`.
    pub endpoint_type: String,
    /// The wire protocol, such as `FI_PROTO_EFA`.
    pub protocol: String,
    /// How addresses are formed, such as `FI_ADDR_EFA`.
    pub address_format: String,
    /// What it can do: `FI_MSG`, `FI_RMA`, `FI_TAGGED`, `FI_HMEM` …
    pub capabilities: Vec<String>,
    /// Largest message in bytes.
    pub max_message_size: u64,
    /// Largest message in bytes that is copied at the call and needs no completion.
    pub inject_size: u64,
    /// Sends that may be outstanding on one endpoint.
    pub tx_size: u64,
    /// Receives that may be posted on one endpoint.
    pub rx_size: u64,
    /// What the provider demands for memory registration, such as `FI_MR_LOCAL`.
    pub mr_mode: Vec<String>,
    /// Who moves messages on: `FI_PROGRESS_AUTO` or `FI_PROGRESS_MANUAL`.
    pub progress: String,
    /// The threading level that the provider supports.
    pub threading: String,
    /// The network card, where the provider reports which.
    pub nic: Option<NicInfo>,
}

/// A network device that libfabric can use, with the fabrics that it offers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Nic {
    /// The device: on EFA the domain without `-rdm` or `-dgrm`, so one card counts once.
    pub name: String,
    /// The provider, without layers.
    pub provider: String,
    /// The fabrics that it appears on, such as `efa` and `efa-direct`.
    pub fabrics: Vec<String>,
    /// What the provider reports of the card.
    pub info: NicInfo,
}

/// Returns everything that libfabric offers on this machine, in its order of preference.
///
/// # Errors
/// `fabric.provider_not_found` if that is nothing, `fabric.killer_environment`,
/// `fabric.call_failed`.
pub fn providers(library: &Arc<Library>) -> Result<Vec<ProviderInfo>> {
    let list = info_list::everything(library)?.ok_or_else(|| {
        Error::new(
            Code::ProviderNotFound,
            "libfabric offers no provider at all",
        )
        .with_cure("unset FI_PROVIDER, or install a libfabric with providers")
        .with_context("library", library.path().display())
    })?;
    Ok(list.entries().map(ProviderInfo::from_entry).collect())
}

/// Returns the network devices among [`providers`], each once, sorted by provider and name.
///
/// # Errors
/// As [`providers`].
pub fn nics(library: &Arc<Library>) -> Result<Vec<Nic>> {
    let mut nics: BTreeMap<(String, String), Nic> = BTreeMap::new();
    for info in providers(library)? {
        let Some(card) = info.nic else { continue };
        let provider = provider::base(&info.provider).to_owned();
        let name = provider::device_name(&provider, &info.domain).to_owned();
        let nic = nics
            .entry((provider.clone(), name.clone()))
            .or_insert_with(|| Nic {
                name,
                provider,
                fabrics: Vec::new(),
                info: card,
            });
        if !nic.fabrics.contains(&info.fabric) {
            nic.fabrics.push(info.fabric);
        }
    }
    Ok(nics.into_values().collect())
}

/// What a caller wants an endpoint on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) provider: &'a str,
    pub(crate) fabric: Option<&'a str>,
    pub(crate) domain: Option<&'a str>,
    pub(crate) source: Option<&'a str>,
    /// What the endpoint is for.
    pub(crate) operation: Operation,
    /// Whether messages lie in memory of a device.
    pub(crate) is_device_memory: bool,
    /// The address format of the peer, which the local entry must have.
    pub(crate) address_format: Option<&'a str>,
    /// The wire protocol of the peer, which the local entry must have.
    pub(crate) protocol: Option<&'a str>,
    /// The providers that the peer has: one of them must be taken.
    pub(crate) offered: Option<&'a [String]>,
}

/// The names of all providers with reliable-datagram endpoints, with layers, sorted.
pub(crate) fn rdm_providers(library: &Arc<Library>) -> Result<Vec<String>> {
    let list = info_list::rdm(library, &Hints::default())?;
    let mut names: Vec<String> = list
        .iter()
        .flat_map(InfoList::entries)
        .map(Entry::provider)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// The best entry with reliable-datagram endpoints for what is wanted.
///
/// A plain name such as `tcp` takes the provider itself where it has such endpoints, else the
/// first layered one; a name with `;` is compared whole. Names of providers are compared
/// without case, as libfabric does (src/fabric.c); fabrics and domains exactly.
pub(crate) fn select(library: &Arc<Library>, wanted: &Wanted<'_>) -> Result<OwnedEntry> {
    let fabric = demand::fabric(wanted.provider, library.version(), wanted.fabric);
    match offered(library, wanted, fabric)? {
        Some(entry) => Ok(entry),
        None => Err(not_found(library, wanted, fabric)),
    }
}

fn offered(
    library: &Arc<Library>,
    wanted: &Wanted<'_>,
    fabric: Option<&str>,
) -> Result<Option<OwnedEntry>> {
    let hints = Hints {
        provider: Some(wanted.provider),
        fabric,
        source: wanted.source,
        operation: wanted.operation,
        is_device_memory: wanted.is_device_memory,
    };
    let list = info_list::rdm(library, &hints)?;
    let found = list.as_ref().and_then(|list| best(list, wanted, fabric));
    // Immediate data needs room in a completion.
    let usable =
        |entry: &Entry<'_>| wanted.operation != Operation::WriteData || entry.cq_data_size() > 0;
    found.filter(usable).map(Entry::to_owned).transpose()
}

fn best<'a>(list: &'a InfoList, wanted: &Wanted<'_>, fabric: Option<&str>) -> Option<Entry<'a>> {
    let fits = |entry: &Entry<'_>| {
        let provider = entry.provider();
        let named = if wanted.provider.contains(';') {
            provider.as_str()
        } else {
            provider::base(&provider)
        };
        let domain = entry.domain();
        named.eq_ignore_ascii_case(wanted.provider)
            && entry.endpoint_type() == ffi::FI_EP_RDM
            && fabric.is_none_or(|fabric| fabric == entry.fabric())
            && wanted.domain.is_none_or(|name| {
                name == domain || name == provider::device_name(wanted.provider, &domain)
            })
            && wanted
                .address_format
                .is_none_or(|format| format == name_of(&ADDRESS_FORMATS, entry.addr_format()))
            && wanted
                .protocol
                .is_none_or(|protocol| protocol == name_of(&PROTOCOLS, entry.protocol()))
            && wanted
                .offered
                .is_none_or(|offered| offered.contains(&provider))
    };
    let mut layered = None;
    for entry in list.entries().filter(fits) {
        if !entry.provider().contains(';') {
            return Some(entry);
        }
        layered.get_or_insert(entry);
    }
    layered
}

/// The typed form of `-FI_ENODATA`, with what there is instead.
fn not_found(library: &Arc<Library>, wanted: &Wanted<'_>, fabric: Option<&str>) -> Error {
    if wanted.is_device_memory {
        let host = Wanted {
            is_device_memory: false,
            ..*wanted
        };
        return match offered(library, &host, fabric) {
            Ok(Some(entry)) => {
                without_device_memory(library, &ProviderInfo::from_entry(entry.entry()))
            }
            // It is not the memory that is in the way.
            _ => not_found(library, &host, fabric),
        };
    }
    if wanted.operation != Operation::Message {
        let plain = Wanted {
            operation: Operation::Message,
            ..*wanted
        };
        if let Ok(Some(entry)) = offered(library, &plain, fabric) {
            let info = ProviderInfo::from_entry(entry.entry());
            return without_operation(library, wanted.operation, &info);
        }
    }
    let mut message = format!(
        "libfabric {} offers no provider {}",
        library.version(),
        wanted.provider
    );
    let mut narrow = |what: &str, value: Option<&str>| {
        if let Some(value) = value {
            message.push_str(&format!(" with {what} {value}"));
        }
    };
    narrow("fabric", fabric);
    narrow("domain", wanted.domain);
    narrow("source address", wanted.source);
    narrow("address format", wanted.address_format);
    narrow("protocol", wanted.protocol);
    if wanted.offered.is_some() {
        message.push_str(" that the peer has as well");
    }
    let available = rdm_providers(library).unwrap_or_default();
    let offers_efa = available.iter().any(|name| provider::is(name, "efa"));
    let is_efa = wanted.provider.eq_ignore_ascii_case("efa");
    let cure = if is_efa && !offers_efa {
        let node = Node::read(&NodeRoot::new("/"));
        absence::efa(node.pci_efa.len(), node.efa_devices.len(), &node.uverbs)
    } else if is_efa && fabric == Some("efa-direct") && library.version() < EFA_DIRECT_SINCE {
        format!("use libfabric {EFA_DIRECT_SINCE} or later: efa-direct is available since then")
    } else if is_efa {
        "leave out what narrows the choice, or see `fi_info -p efa` for what there is".to_owned()
    } else {
        format!("use one of: {}", available.join(", "))
    };
    Error::new(Code::ProviderNotFound, message)
        .with_cure(cure)
        .with_context("provider", wanted.provider)
        .with_context("available", available.join(", "))
        .with_context("library", library.path().display())
}

/// The provider is there, and takes no messages from memory of a device.
fn without_device_memory(library: &Arc<Library>, info: &ProviderInfo) -> Error {
    let message = format!(
        "{} (fabric {}) of libfabric {} has no FI_HMEM here: it takes no messages from GPU memory",
        info.provider,
        info.fabric,
        library.version()
    );
    missing(Missing::Hmem, message)
        .with_context("provider", &info.provider)
        .with_context("fabric", &info.fabric)
        .with_context("library", library.path().display())
}

/// The provider is there, and lacks the operation: states what it has, unasked.
fn without_operation(library: &Arc<Library>, operation: Operation, info: &ProviderInfo) -> Error {
    let all = info_list::everything(library).ok().flatten();
    let mut same = all.iter().flat_map(InfoList::entries).filter(|entry| {
        (entry.provider(), entry.fabric(), entry.endpoint_type())
            == (info.provider.clone(), info.fabric.clone(), ffi::FI_EP_RDM)
    });
    let (offered, has) = same
        .next()
        .map_or((0, info.capabilities.join(", ")), |entry| {
            let info = ProviderInfo::from_entry(entry);
            (entry.caps(), info.capabilities.join(", "))
        });
    let demanded = demand::demand(operation, false).caps;
    let (why, cure) = absence::operation(demanded, offered, &has);
    Error::new(
        Code::UnsupportedOperation,
        format!(
            "{} (fabric {}) has no operation {operation} here: it {why}",
            info.provider, info.fabric
        ),
    )
    .with_cure(cure)
    .with_context("operation", operation)
    .with_context("provider", &info.provider)
    .with_context("fabric", &info.fabric)
    .with_context("capabilities", has)
}

impl ProviderInfo {
    pub(crate) fn from_entry(entry: Entry<'_>) -> Self {
        Self {
            provider: entry.provider(),
            provider_version: Version::from_raw(entry.provider_version()),
            fabric: entry.fabric(),
            domain: entry.domain(),
            endpoint_type: name_of(&ENDPOINT_TYPES, entry.endpoint_type().cast_unsigned()),
            protocol: name_of(&PROTOCOLS, entry.protocol()),
            address_format: name_of(&ADDRESS_FORMATS, entry.addr_format()),
            capabilities: CAPABILITIES
                .iter()
                .filter(|(bit, _)| entry.caps() & bit != 0)
                .map(|(_, name)| (*name).to_owned())
                .collect(),
            max_message_size: entry.max_message_size() as u64,
            inject_size: entry.inject_size() as u64,
            tx_size: entry.tx_size() as u64,
            rx_size: entry.rx_size() as u64,
            mr_mode: MR_MODES
                .iter()
                .filter(|(bit, _)| entry.mr_mode() & bit != 0)
                .map(|(_, name)| (*name).to_owned())
                .collect(),
            progress: name_of(&PROGRESS, entry.progress().cast_unsigned()),
            threading: name_of(&THREADING, entry.threading().cast_unsigned()),
            nic: entry.nic().map(NicInfo::from_raw),
        }
    }
}

impl NicInfo {
    fn from_raw(raw: RawNic) -> Self {
        let number = |value: usize| (value != 0).then_some(value as u64);
        Self {
            device_name: raw.device,
            pci_address: raw.pci.map(|(domain, bus, device, function)| {
                format!("{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
            }),
            link_speed_bps: number(raw.speed),
            link_state: match raw.state {
                1 => LinkState::Down,
                2 => LinkState::Up,
                _ => LinkState::Unknown,
            },
            mtu: number(raw.mtu),
            driver: raw.driver,
            device_id: raw.device_id,
            device_version: raw.device_version,
            vendor_id: raw.vendor_id,
            firmware: raw.firmware,
            address: raw.link_address,
            network_type: raw.network_type,
        }
    }
}

impl fmt::Display for ProviderInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {} {}",
            self.provider, self.fabric, self.domain, self.endpoint_type, self.protocol
        )
    }
}

/// The name of an enumerator; a value that we do not know stays visible as its number.
fn name_of(names: &[&str], value: u32) -> String {
    names
        .get(value as usize)
        .map_or_else(|| format!("unknown({value})"), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_enumerators_stay_visible() {
        assert_eq!(name_of(&PROTOCOLS, 25), "FI_PROTO_XNET");
        assert_eq!(name_of(&PROTOCOLS, 99), "unknown(99)");
    }
}
