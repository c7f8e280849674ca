//! Reading libfabric's `fi_info` chains, and writing hints into one of the library's own.

use std::ffi::{CString, c_char};
use std::ptr::NonNull;
use std::sync::Arc;

use crate::demand::{demand, remote_only};
use crate::error::Result;
use crate::ffi::{self, FiInfo};
use crate::library::{InfoList, Library, c_string, text};
use crate::operation::Operation;

mod raw_hints;

pub(crate) use raw_hints::RawHints;

/// What a caller can do and asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hints<'a> {
    pub(crate) provider: Option<&'a str>,
    pub(crate) fabric: Option<&'a str>,
    /// A local address, numeric: `fi_getinfo`'s node with `FI_SOURCE`.
    pub(crate) source: Option<&'a str>,
    /// What the endpoints are for.
    pub(crate) operation: Operation,
    /// Whether messages lie in memory of a device.
    pub(crate) is_device_memory: bool,
}

/// One `fi_info`, borrowed from its list.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    info: NonNull<FiInfo>,
    list: &'a InfoList,
}

/// One `fi_info` on its own, owned.
pub(crate) struct OwnedEntry(InfoList);

impl InfoList {
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut next = Some(self.head());
        std::iter::from_fn(move || {
            let info = next?;
            // SAFETY: a live entry of the list that `self` owns.
            next = NonNull::new(unsafe { (*info.as_ptr()).next });
            Some(Entry { info, list: self })
        })
    }
}

/// Reads a field of the attribute behind a pointer of `fi_info`, or 0 where it is null.
macro_rules! field {
    ($entry:expr, $attr:ident . $field:ident) => {{
        // SAFETY: the entry is live while its list is borrowed; the field exists since 1.9.
        unsafe {
            let attribute = (*$entry.info.as_ptr()).$attr;
            if attribute.is_null() {
                Default::default()
            } else {
                (*attribute).$field
            }
        }
    }};
}

/// Copies a string of the attribute behind a pointer of `fi_info`.
macro_rules! string {
    ($entry:expr, $attr:ident . $field:ident) => {{
        // SAFETY: the entry is live while its list is borrowed; strings in it are terminated.
        unsafe {
            let attribute = (*$entry.info.as_ptr()).$attr;
            if attribute.is_null() {
                None
            } else {
                text((*attribute).$field)
            }
        }
    }};
}

impl Entry<'_> {
    pub(crate) fn to_owned(self) -> Result<OwnedEntry> {
        // SAFETY: the entry is live while its list is borrowed.
        unsafe { self.list.library().duplicate(self.info) }.map(OwnedEntry)
    }

    pub(crate) fn caps(self) -> u64 {
        // SAFETY: the entry is live while its list is borrowed.
        unsafe { (*self.info.as_ptr()).caps }
    }

    /// What the provider demands of its caller.
    pub(crate) fn mode(self) -> u64 {
        // SAFETY: as above.
        let mode = unsafe { (*self.info.as_ptr()).mode };
        let (transmit, receive): (u64, u64) =
            (field!(self, tx_attr.mode), field!(self, rx_attr.mode));
        mode | transmit | receive
    }

    /// Bytes of immediate data that a completion can carry.
    pub(crate) fn cq_data_size(self) -> usize {
        field!(self, domain_attr.cq_data_size)
    }

    pub(crate) fn addr_format(self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.info.as_ptr()).addr_format }
    }

    pub(crate) fn provider(self) -> String {
        string!(self, fabric_attr.prov_name).unwrap_or_default()
    }

    pub(crate) fn provider_version(self) -> u32 {
        field!(self, fabric_attr.prov_version)
    }

    pub(crate) fn fabric(self) -> String {
        string!(self, fabric_attr.name).unwrap_or_default()
    }

    pub(crate) fn domain(self) -> String {
        string!(self, domain_attr.name).unwrap_or_default()
    }

    pub(crate) fn endpoint_type(self) -> i32 {
        field!(self, ep_attr.ep_type)
    }

    pub(crate) fn protocol(self) -> u32 {
        field!(self, ep_attr.protocol)
    }

    pub(crate) fn max_message_size(self) -> usize {
        field!(self, ep_attr.max_msg_size)
    }

    pub(crate) fn inject_size(self) -> usize {
        field!(self, tx_attr.inject_size)
    }

    pub(crate) fn tx_size(self) -> usize {
        field!(self, tx_attr.size)
    }

    pub(crate) fn rx_size(self) -> usize {
        field!(self, rx_attr.size)
    }

    pub(crate) fn mr_mode(self) -> i32 {
        field!(self, domain_attr.mr_mode)
    }

    pub(crate) fn progress(self) -> i32 {
        field!(self, domain_attr.data_progress)
    }

    pub(crate) fn threading(self) -> i32 {
        field!(self, domain_attr.threading)
    }

    /// What the provider reports of the network card, if it has one.
    pub(crate) fn nic(self) -> Option<RawNic> {
        // SAFETY: the entry is live while its list is borrowed; each pointer of the NIC is
        // null or points to a struct that the same list owns; strings are terminated.
        unsafe {
            let nic = (*self.info.as_ptr()).nic.as_ref()?;
            let mut raw = RawNic::default();
            if let Some(device) = nic.device_attr.as_ref() {
                raw.device = text(device.name);
                raw.device_id = text(device.device_id);
                raw.device_version = text(device.device_version);
                raw.vendor_id = text(device.vendor_id);
                raw.driver = text(device.driver);
                raw.firmware = text(device.firmware);
            }
            if let Some(bus) = nic
                .bus_attr
                .as_ref()
                .filter(|bus| bus.bus_type == ffi::FI_BUS_PCI)
            {
                let pci = &bus.pci;
                raw.pci = Some((pci.domain_id, pci.bus_id, pci.device_id, pci.function_id));
            }
            if let Some(link) = nic.link_attr.as_ref() {
                raw.link_address = text(link.address);
                raw.mtu = link.mtu;
                raw.speed = link.speed;
                raw.state = link.state;
                raw.network_type = text(link.network_type);
            }
            Some(raw)
        }
    }
}

impl OwnedEntry {
    pub(crate) fn entry(&self) -> Entry<'_> {
        Entry {
            info: self.raw(),
            list: &self.0,
        }
    }

    pub(crate) fn library(&self) -> &Arc<Library> {
        self.0.library()
    }

    pub(crate) fn raw(&self) -> NonNull<FiInfo> {
        self.0.head()
    }
}

/// A network card as `fid_nic` describes it, copied out.
#[derive(Debug, Default)]
pub(crate) struct RawNic {
    pub(crate) device: Option<String>,
    pub(crate) device_id: Option<String>,
    pub(crate) device_version: Option<String>,
    pub(crate) vendor_id: Option<String>,
    pub(crate) driver: Option<String>,
    pub(crate) firmware: Option<String>,
    pub(crate) pci: Option<(u16, u8, u8, u8)>,
    pub(crate) link_address: Option<String>,
    pub(crate) mtu: usize,
    pub(crate) speed: usize,
    pub(crate) state: i32,
    pub(crate) network_type: Option<String>,
}

/// Everything the library has, of every endpoint type.
pub(crate) fn everything(library: &Arc<Library>) -> Result<Option<InfoList>> {
    library.getinfo(None, None)
}

/// Reliable-datagram endpoints for these hints; see [`demand`] for the bits.
///
/// `FI_THREAD_DOMAIN` promises that each domain is used by one thread at a time, which the
/// ownership of `Endpoint` enforces; it demands the least of a provider.
pub(crate) fn rdm(library: &Arc<Library>, hints: &Hints<'_>) -> Result<Option<InfoList>> {
    let list = library.hints()?;
    let provider = hints
        .provider
        .map(|name| c_string("provider", name))
        .transpose()?;
    let fabric = hints
        .fabric
        .map(|name| c_string("fabric", name))
        .transpose()?;
    let source = hints
        .source
        .map(|name| c_string("source_address", name))
        .transpose()?;
    let demand = demand(hints.operation, hints.is_device_memory);
    let info = list.as_ptr();
    let copy = |name: Option<&CString>| -> *mut c_char {
        // SAFETY: strdup copies a terminated string with C's allocator; fi_freeinfo frees it.
        name.map_or(std::ptr::null_mut(), |name| unsafe {
            libc::strdup(name.as_ptr())
        })
    };
    // SAFETY: `info` and its attributes were just allocated by the library and belong to
    // `list`. Fields are written through raw pointers: the library's structs may be shorter
    // than this crate's at the end, and no reference to a whole one is made.
    unsafe {
        (*info).caps = demand.caps | remote_only(hints.provider, library.version());
        (*info).mode = demand.mode;
        let (transmit, endpoint) = ((*info).tx_attr, (*info).ep_attr);
        let (domain, attribute) = ((*info).domain_attr, (*info).fabric_attr);
        let given = [transmit.is_null(), endpoint.is_null(), domain.is_null()];
        if given.contains(&true) || attribute.is_null() {
            return Err(library.missing("fi_dupinfo"));
        }
        (*endpoint).ep_type = ffi::FI_EP_RDM;
        (*domain).threading = ffi::FI_THREAD_DOMAIN;
        (*domain).mr_mode = demand.mr_mode;
        (*transmit).op_flags = demand.op_flags;
        (*attribute).prov_name = copy(provider.as_ref());
        (*attribute).name = copy(fabric.as_ref());
    }
    library.getinfo(Some(&list), source.as_deref())
}
