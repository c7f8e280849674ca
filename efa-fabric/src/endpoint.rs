//! A reliable-datagram endpoint with everything that it needs, and the lane over which a
//! probe sends and receives.
//!
//! The order of opening is that of fi_endpoint(3) and of what the efa provider needs: fabric,
//! event queue, domain, completion queue, address vector, endpoint, binds, options, enable,
//! name. Closing goes the other way, by the order of the fields.

use std::ffi::c_int;
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ffi;
use crate::gpu::{CudaMemory, Memory, Observed};
use crate::handle::region::MemoryRegion;
use crate::handle::{AddressVector, CompletionQueue, Domain, EventQueue, Fabric, RawEndpoint};
use crate::info::{self, ProviderInfo, Wanted};
use crate::info_list::OwnedEntry;
use crate::library::Library;
use crate::operation::Operation;
use crate::provider;
use crate::rdma_read;

mod calls;
mod fault;
pub(crate) mod lane;
mod stale;

use fault::Fault;
use stale::Stale;

/// The provider whose completion queues are slept on: `tcp` of 2.x, which has no layers. With layers
/// (`tcp;ofi_rxm` of 1.17) a queue that can be slept on takes 5 % longer for 64 B while nobody sleeps;
/// `shm` and `efa` refuse one (`FI_ENOSYS`, 1.17 and 2.5.1).
const SLEPT_ON: &str = "tcp";

/// Refuses to enable an endpoint of `shm` that would get no descriptor for its shared memory:
/// libfabric 2.5.1 then reads through a null pointer and aborts the process (docs/robustness.md).
fn refuse_without_descriptor(library: &Library) -> Result<()> {
    match std::fs::File::open("/dev/null") {
        Ok(_) => Ok(()),
        Err(error) => {
            let code = error.raw_os_error().unwrap_or(libc::EMFILE);
            Err(library.failed("fi_enable", -(code as isize)))
        }
    }
}

/// Completions that may wait to be read; the efa provider rounds up to its own minimum.
const CQ_SIZE: usize = 1024;

/// Options of the endpoint to open.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EndpointOptions {
    /// The provider, such as `efa`, `tcp` or `shm`; see [`providers`](crate::info::providers).
    pub provider: String,
    /// The fabric by name. On `efa` the default is `efa`, not `efa-direct`.
    pub fabric: Option<String>,
    /// The domain: a device on EFA (with or without `-rdm`), an interface on tcp.
    pub domain: Option<String>,
    /// A numeric local address to use, for providers with IP addresses.
    pub source_address: Option<String>,
    /// Where this side's buffers lie; the other side has its own choice.
    #[serde(default)]
    pub memory: Memory,
}

impl EndpointOptions {
    /// Creates options for this provider, all else left to libfabric.
    #[must_use]
    pub fn new(provider: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            fabric: None,
            domain: None,
            source_address: None,
            memory: Memory::Host,
        }
    }

    pub(crate) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            provider: &self.provider,
            fabric: self.fabric.as_deref(),
            domain: self.domain.as_deref(),
            source: self.source_address.as_deref(),
            is_device_memory: self.memory != Memory::Host,
            ..Wanted::default()
        }
    }
}

/// The use of shared memory by messages between two endpoints of one machine, instead of the
/// provider's own network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SharedMemory {
    /// The provider never does so, or is itself shared memory.
    NotApplicable,
    /// The provider accepted to do without it.
    Disabled,
    /// The provider has such a path and could not be asked to leave it: a measurement on one
    /// machine may then be of memory, not of the network.
    Unknown,
}

/// The outcome of setting one endpoint option.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OptionOutcome {
    /// libfabric's name of it.
    pub name: String,
    /// Whether the provider took it.
    pub accepted: bool,
}

struct OptionRow {
    provider: &'static str,
    name: &'static str,
    number: c_int,
    value: &'static [u8],
}

/// The differences between providers that are set rather than read (fi_endpoint(3), fi_efa(7)).
/// A provider, fabric or version that does not know an option may refuse it.
const OPTIONS: [OptionRow; 3] = [
    // Two endpoints of one machine would otherwise measure memory.
    OptionRow {
        provider: "efa",
        name: "FI_OPT_SHARED_MEMORY_PERMITTED",
        number: ffi::FI_OPT_SHARED_MEMORY_PERMITTED,
        value: &[0],
    },
    // 7 is without end: a receiver that is late costs time, which our deadline bounds, instead
    // of an error. A size_t.
    OptionRow {
        provider: "efa",
        name: "FI_OPT_EFA_RNR_RETRY",
        number: ffi::FI_OPT_EFA_RNR_RETRY,
        value: &7_usize.to_ne_bytes(),
    },
    // The handshake states what the peer can do; without it, both would have to be the same.
    OptionRow {
        provider: "efa",
        name: "FI_OPT_EFA_HOMOGENEOUS_PEERS",
        number: ffi::FI_OPT_EFA_HOMOGENEOUS_PEERS,
        value: &[0],
    },
];

/// An enabled `FI_EP_RDM` endpoint and what it stands on.
///
/// It belongs to one thread at a time: the domain is opened with `FI_THREAD_DOMAIN`, which
/// costs providers no lock per call, and all methods that call libfabric take `&mut self`.
pub struct Endpoint {
    // Closed in this order.
    raw: RawEndpoint,
    cq: CompletionQueue,
    av: AddressVector,
    domain: Rc<Domain>,
    eq: EventQueue,
    entry: OwnedEntry,
    info: ProviderInfo,
    address: Vec<u8>,
    shared_memory: SharedMemory,
    outcomes: Vec<OptionOutcome>,
    memory: Memory,
    /// What asking for peer-to-peer access to device memory returned, where that was tried.
    p2p_required: Option<c_int>,
}

// SAFETY: libfabric's objects are not tied to a thread; FI_THREAD_DOMAIN asks that calls into
// one domain be serialised. Every object below, and every Rc to one, is reachable only through
// this Endpoint: none is handed out, so moving it moves the whole domain with all counts.
unsafe impl Send for Endpoint {}

impl Endpoint {
    /// Opens and enables an endpoint.
    ///
    /// # Errors
    /// `fabric.provider_not_found` if libfabric has nothing for the options,
    /// `fabric.killer_environment`, `fabric.call_failed` with the call and libfabric's number.
    pub fn open(library: &Arc<Library>, options: &EndpointOptions) -> Result<Self> {
        Self::open_entry(info::select(library, &options.wanted())?, options.memory)
    }

    pub(crate) fn open_entry(entry: OwnedEntry, memory: Memory) -> Result<Self> {
        let info = ProviderInfo::from_entry(entry.entry());
        if provider::is(&info.provider, "efa") && info.fabric != "efa-direct" {
            rdma_read::refuse_device_rdma()?;
        }
        let stale = Stale::find(&info.provider);
        stale.refuse_empty()?;
        let fabric = Rc::new(Fabric::open(&entry)?);
        let eq = EventQueue::open(&fabric)?;
        let domain = Rc::new(Domain::open(&fabric, &entry)?);
        let is_slept_on = info.provider.eq_ignore_ascii_case(SLEPT_ON);
        let cq = CompletionQueue::open(&domain, CQ_SIZE, is_slept_on)?;
        let av = AddressVector::open(&domain)?;
        let raw = RawEndpoint::open(&domain, &entry).map_err(|error| stale.explain(error))?;
        let handle = raw.handle();
        handle.bind(
            "fi_ep_bind(cq)",
            cq.handle(),
            ffi::FI_TRANSMIT | ffi::FI_RECV,
        )?;
        handle.bind("fi_ep_bind(av)", av.handle(), 0)?;
        handle.bind("fi_ep_bind(eq)", eq.handle(), 0)?;
        let mut outcomes = set_options(&raw, &info.provider);
        let p2p_required = set_memory_options(&raw, &info, memory, &mut outcomes);
        if provider::is(&info.provider, "shm") {
            refuse_without_descriptor(entry.library())?;
        }
        let enabled = handle.enable("fi_enable");
        enabled.map_err(|error| stale.explain(error))?;
        let address = raw.name()?;
        let is_remote_only = entry.entry().caps() & ffi::FI_LOCAL_COMM == 0;
        let shared_memory = shared_memory(&info.provider, &info.fabric, &outcomes, is_remote_only);
        Ok(Self {
            raw,
            cq,
            av,
            domain,
            eq,
            entry,
            info,
            address,
            shared_memory,
            outcomes,
            memory,
            p2p_required,
        })
    }

    /// Returns what was opened, as libfabric returned it.
    #[must_use]
    pub fn info(&self) -> &ProviderInfo {
        &self.info
    }

    /// Returns this endpoint's address: opaque bytes for the peer.
    #[must_use]
    pub fn address(&self) -> &[u8] {
        &self.address
    }

    /// Returns whether messages on one machine may bypass the provider's network.
    #[must_use]
    pub fn shared_memory(&self) -> SharedMemory {
        self.shared_memory
    }

    /// Returns what became of the options that were set before enabling.
    #[must_use]
    pub fn options(&self) -> &[OptionOutcome] {
        &self.outcomes
    }

    /// Where buffers for it lie.
    pub(crate) fn memory(&self) -> Memory {
        self.memory
    }

    /// What is seen of it that shows how a GPU's memory is reached; `p2p` is the file of its device
    /// in sysfs.
    pub(crate) fn observed(
        &self,
        cuda: CudaMemory,
        p2p: impl Fn(&str) -> Option<String>,
    ) -> Observed {
        let provider = provider::base(&self.info.provider).to_owned();
        let device = provider::device_name(&provider, &self.info.domain).to_owned();
        Observed {
            p2p: p2p(&device),
            device: Some(device),
            fabric: self.info.fabric.clone(),
            p2p_required: self.p2p_required,
            emulated_write: self.raw.flag_option(ffi::FI_OPT_EFA_EMULATED_WRITE),
            dmabuf: cuda.dmabuf,
            is_stand_in: false,
            provider,
        }
    }

    /// Closes everything, these regions of the domain among it, in the order of fi_close(3);
    /// whether the library let go of the endpoint and so of the memory.
    fn close(self, regions: Vec<MemoryRegion>) -> bool {
        let Self {
            raw,
            cq,
            av,
            domain,
            eq,
            entry,
            ..
        } = self;
        let closed = raw.into_closed();
        drop((cq, av));
        drop(regions);
        drop((domain, eq));
        drop(entry);
        closed
    }

    /// Largest transfer of an operation in bytes. `efa-direct` has one limit for messages and
    /// one for memory, and checks neither (fi_efa(7)).
    pub(crate) fn max_size(&self, operation: Operation) -> u64 {
        let option = match operation {
            Operation::Message => ffi::FI_OPT_MAX_MSG_SIZE,
            Operation::Tagged => ffi::FI_OPT_MAX_TAGGED_SIZE,
            Operation::Write | Operation::WriteData | Operation::Read => ffi::FI_OPT_MAX_RMA_SIZE,
        };
        let said = self.raw.size_option(option).filter(|&size| size > 0);
        said.map_or(self.info.max_message_size, |size| size as u64)
    }

    /// Largest message that the library copies at the call.
    fn inject_size(&self, operation: Operation) -> usize {
        let option = match operation {
            Operation::Tagged => ffi::FI_OPT_INJECT_TAGGED_SIZE,
            _ => ffi::FI_OPT_INJECT_MSG_SIZE,
        };
        let said = self.raw.size_option(option);
        said.unwrap_or_else(|| self.entry.entry().inject_size())
    }

    fn library(&self) -> &Arc<Library> {
        self.entry.library()
    }

    /// The error of a failed operation: `fabric.unreachable` where the numbers means that the peer is
    /// the cause, else `fabric.call_failed`. `own_number` is the provider's own, `has_received` states
    /// whether anything came from this peer before.
    fn operation_failed(
        &self,
        operation: &'static str,
        (number, own_number): (i32, Option<i32>),
        detail: &str,
        peer: &str,
        has_received: bool,
    ) -> Error {
        let is_efa = provider::is(&self.info.provider, "efa");
        let fault = Fault::from_numbers(number, own_number.filter(|_| is_efa), has_received);
        let error = Error::new(
            fault.code(),
            format!("{operation} with {peer} failed: {detail}"),
        )
        .with_context("call", operation)
        .with_context("fi_errno", number.saturating_abs())
        .with_context("peer", peer)
        .with_context("provider", &self.info.provider)
        .with_context("fabric", &self.info.fabric)
        .with_context("domain", &self.info.domain)
        .retryable(fault.is_retryable());
        let error = match own_number {
            Some(own) => error.with_context("provider_errno", own),
            None => error,
        };
        match fault.cure() {
            Some(cure) => error.with_cure(cure),
            None => error,
        }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

fn set_options(raw: &RawEndpoint, provider: &str) -> Vec<OptionOutcome> {
    OPTIONS
        .iter()
        .filter(|row| provider::is(provider, row.provider))
        .map(|row| OptionOutcome {
            name: row.name.to_owned(),
            accepted: raw.set_option(row.number, row.value) == 0,
        })
        .collect()
}

/// Asks for what device memory needs (fi_endpoint(3)). Whether the provider can do without
/// copies is shown by what asking `efa` for that returns; `efa-direct` never copies, and accepts
/// it without a check (prov/efa/src/efa_ep.c).
fn set_memory_options(
    raw: &RawEndpoint,
    info: &ProviderInfo,
    memory: Memory,
    outcomes: &mut Vec<OptionOutcome>,
) -> Option<c_int> {
    let cuda = memory.as_cuda()?;
    let mut set = |name: &str, number, value: &[u8]| {
        let code = raw.set_option(number, value);
        outcomes.push(OptionOutcome {
            name: name.to_owned(),
            accepted: code == 0,
        });
        code
    };
    if cuda.forbid_cuda_calls {
        set(
            "FI_OPT_CUDA_API_PERMITTED",
            ffi::FI_OPT_CUDA_API_PERMITTED,
            &[0],
        );
    }
    let copies = provider::is(&info.provider, "efa") && info.fabric != "efa-direct";
    let required = ffi::FI_HMEM_P2P_REQUIRED.to_ne_bytes();
    copies.then(|| set("FI_OPT_FI_HMEM_P2P", ffi::FI_OPT_FI_HMEM_P2P, &required))
}

fn shared_memory(
    provider: &str,
    fabric: &str,
    outcomes: &[OptionOutcome],
    is_remote_only: bool,
) -> SharedMemory {
    if !provider::is(provider, "efa") || fabric == "efa-direct" {
        return SharedMemory::NotApplicable;
    }
    let by_option = outcomes
        .iter()
        .any(|o| o.name == "FI_OPT_SHARED_MEMORY_PERMITTED" && o.accepted);
    // The provider's own switch, an integer (prov/efa/src/efa_env.c).
    let by_environment =
        std::env::var("FI_EFA_ENABLE_SHM_TRANSFER").is_ok_and(|value| value.trim() == "0");
    if by_option || by_environment || is_remote_only {
        SharedMemory::Disabled
    } else {
        SharedMemory::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_is_a_question_of_fabric_efa_only() {
        let outcome = |accepted| {
            vec![OptionOutcome {
                name: "FI_OPT_SHARED_MEMORY_PERMITTED".into(),
                accepted,
            }]
        };
        assert_eq!(
            shared_memory("shm", "shm", &[], true),
            SharedMemory::NotApplicable
        );
        assert_eq!(
            shared_memory("efa", "efa-direct", &outcome(false), false),
            SharedMemory::NotApplicable
        );
        assert_eq!(
            shared_memory("efa", "efa", &outcome(true), false),
            SharedMemory::Disabled
        );
        assert_eq!(
            shared_memory("efa", "efa", &outcome(false), false),
            SharedMemory::Unknown
        );
        // Before 1.21: the endpoint was opened without FI_LOCAL_COMM.
        assert_eq!(
            shared_memory("efa", "efa", &outcome(false), true),
            SharedMemory::Disabled
        );
    }
}
