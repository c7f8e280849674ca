//! From two channels to two lanes: both sides open endpoints, send hello, and agree.

use std::os::unix::fs::MetadataExt;
use std::rc::Rc;
use std::sync::Arc;

use super::channel::{Frame, Side};
use super::guard::Guard;
use super::options::ProbeOptions;
use super::report::{Peer, ProbeReport, Role, Row, statement};
use super::traffic::{SPARE, Traffic};
use crate::cuda::Gpu;
use crate::endpoint::lane::{Lane, Remote};
use crate::endpoint::{Endpoint, EndpointOptions};
use crate::error::{Code, Error, Result};
use crate::gpu::{self, Memory, Observed};
use crate::info::{self, ProviderInfo, Wanted};
use crate::library::Library;
use crate::node::{self, NodeRoot};
use crate::operation::Operation;
use crate::provider;

/// Longest address that is taken from a peer, in bytes; the longest known are about 100.
const MAX_ADDRESS: usize = 1024;

/// Holds an endpoint open for as long as the other side may touch its memory, even if this side fails
/// halfway. It must be dropped before the session.
pub(crate) type Keep = Option<Rc<Endpoint>>;

/// What one side has after the handshake.
pub(crate) struct Session {
    pub(crate) traffic: Traffic,
    pub(crate) options: ProbeOptions,
    pub(crate) peer: Peer,
    /// The GPU that has this side's buffers.
    gpu: Option<Rc<Gpu>>,
}

/// The GPU of this memory, if it is a GPU's.
fn gpu_of(memory: Memory) -> Result<Option<Rc<Gpu>>> {
    memory
        .as_cuda()
        .map(|cuda| Gpu::open(cuda.device))
        .transpose()
}

/// The measuring side: opens what the options state, and states this. `offered` names the providers
/// of the other side, where known: the first of this side's that it has as well is taken.
pub(crate) fn initiate(
    library: &Arc<Library>,
    options: &ProbeOptions,
    offered: Option<&[String]>,
    guard: &mut Guard<'_>,
    keep: &mut Keep,
) -> Result<Session> {
    let memory = options.endpoint.memory;
    let gpu = gpu_of(memory)?;
    let entry = info::select(
        library,
        &Wanted {
            offered,
            operation: options.operation,
            ..options.endpoint.wanted()
        },
    )?;
    let info = ProviderInfo::from_entry(entry.entry());
    check_faults(library, &info, options, offered.is_none())?;
    let limit = info.max_message_size;
    options
        .fitted(limit)
        .check_provider(limit, &info.provider, &info.fabric)?;
    let endpoint = Rc::clone(keep.insert(Rc::new(Endpoint::open_entry(entry, memory)?)));
    let options = &options.fitted(limit.min(endpoint.max_size(options.operation)));
    check_limit(options, &endpoint)?;
    let own = side(library, &endpoint);
    guard.send(&Frame::Hello {
        side: own.clone(),
        options: Box::new(options.clone()),
    })?;
    guard.doing = "waiting for the peer's endpoint".into();
    let side = match guard.wait(None)? {
        Frame::Welcome { side } => side,
        frame => return Err(guard.unexpected(&frame)),
    };
    session(endpoint, &own, side, options.clone(), gpu, guard)
}

/// The answering side: opens an endpoint that fits the other's, or refuses and states why.
/// `local` has this side's choices for the other's provider.
pub(crate) fn respond(
    library: &Arc<Library>,
    local: &dyn Fn(&str) -> Result<EndpointOptions>,
    max_size: usize,
    guard: &mut Guard<'_>,
    keep: &mut Keep,
) -> Result<Session> {
    guard.doing = "waiting for the peer's endpoint".into();
    let (theirs, options) = match guard.wait(None)? {
        Frame::Hello { side, options } => (side, *options),
        frame => return Err(guard.unexpected(&frame)),
    };
    let opened = options.check_limit(max_size).and_then(|()| {
        let local = local(&theirs.peer.provider)?;
        let gpu = gpu_of(local.memory)?;
        Ok((open_for(library, &local, &theirs, &options)?, gpu))
    });
    let (endpoint, gpu) = match opened {
        Ok((endpoint, gpu)) => (Rc::clone(keep.insert(Rc::new(endpoint))), gpu),
        Err(error) => {
            let (code, message) = (error.code().as_str().to_owned(), error.to_string());
            guard.send(&Frame::Refused { code, message })?;
            return Err(error);
        }
    };
    guard.follow(&options);
    let own = side(library, &endpoint);
    guard.send(&Frame::Welcome { side: own.clone() })?;
    session(endpoint, &own, theirs, options, gpu, guard)
}

fn open_for(
    library: &Arc<Library>,
    local: &EndpointOptions,
    theirs: &Side,
    options: &ProbeOptions,
) -> Result<Endpoint> {
    options.check()?;
    let peer = &theirs.peer;
    let base = provider::base(&peer.provider);
    let allowed = provider::base(&local.provider);
    if !allowed.is_empty() && !allowed.eq_ignore_ascii_case(base) {
        return Err(Error::new(
            Code::InvalidOption,
            format!("this side measures over {allowed}, and the other over {base}"),
        )
        .with_cure("give both sides the same provider")
        .with_context("option", "provider"));
    }
    // On efa a fabric's name states which protocol it is; on others it names a network.
    let fabric = local
        .fabric
        .as_deref()
        .or(base.eq_ignore_ascii_case("efa").then_some(&theirs.fabric));
    let wanted = Wanted {
        provider: &peer.provider,
        fabric,
        domain: local.domain.as_deref(),
        source: local.source_address.as_deref(),
        address_format: Some(&theirs.address_format),
        protocol: Some(&theirs.protocol),
        offered: None,
        operation: options.operation,
        is_device_memory: local.memory != Memory::Host,
    };
    let entry = info::select(library, &wanted)?;
    let info = ProviderInfo::from_entry(entry.entry());
    check_machine(&info.provider, &machine(), theirs)?;
    check_versions(library, &info, peer)?;
    check_faults(library, &info, options, false)?;
    options.check_provider(info.max_message_size, &info.provider, &info.fabric)?;
    let endpoint = Endpoint::open_entry(entry, local.memory)?;
    check_limit(options, &endpoint)?;
    Ok(endpoint)
}

/// Checks the sizes against what the open endpoint states: it may know better than its entry.
fn check_limit(options: &ProbeOptions, endpoint: &Endpoint) -> Result<()> {
    options.check_provider(
        endpoint.max_size(options.operation),
        &endpoint.info().provider,
        &endpoint.info().fabric,
    )
}

/// `shm` between two versions of libfabric hangs without an error: each lays its shared memory
/// out in its own way, and the number that should distinguish them is the same (measured by us
/// between 1.17, 2.5.1 and 2.6.0).
fn check_versions(library: &Library, info: &ProviderInfo, peer: &Peer) -> Result<()> {
    let same =
        library.version() == peer.library_version && info.provider_version == peer.provider_version;
    if !provider::is(&info.provider, "shm") || same {
        return Ok(());
    }
    Err(Error::new(
        Code::VersionMismatch,
        format!(
            "shm needs one libfabric on both sides: {} (shm {}) here, {} (shm {}) there",
            library.version(),
            info.provider_version,
            peer.library_version,
            peer.provider_version
        ),
    )
    .with_cure("set EFA_FABRIC_LIB to the same libfabric on both sides, or probe tcp")
    .with_context("own_version", library.version())
    .with_context("peer_version", peer.library_version))
}

/// Refuses what is known to crash the process or to hang: over `shm` of libfabric 2.x, memory
/// operations between two endpoints of one process, and of both sides at once; over `tcp`, reads of
/// both sides.
///
/// Of 600 loopbacks of `write` and `read` over `shm` of 2.5.1 eleven ended in a segmentation fault
/// inside `fi_cq_read` of the side that answers (of both sides at once, one in ten); none of 1,000
/// of messages did. Between two processes, writes of both at once came to no end in two runs of
/// fifteen. 1.17 is free of it.
///
/// Reads of both sides at once over `tcp`: of about forty runs at 1 MiB over `tcp;ofi_rxm` of 1.17 one
/// ended in a segmentation fault and two came to no end; of ten over `tcp` of 2.5.1 one failed.
/// Writes did not.
fn check_faults(
    library: &Library,
    info: &ProviderInfo,
    options: &ProbeOptions,
    is_one_process: bool,
) -> Result<()> {
    let is_rma = options.operation.is_rma();
    let both = is_rma && options.bandwidth && options.is_bidirectional();
    let is_shm = provider::is(&info.provider, "shm");
    let is_tcp = provider::is(&info.provider, "tcp");
    let faulty = if is_shm && library.version().major >= 2 && is_rma && is_one_process {
        "between two endpoints of one process"
    } else if (is_shm && library.version().major >= 2 && both)
        || (is_tcp && both && options.operation == Operation::Read)
    {
        "of both sides at once"
    } else {
        return Ok(());
    };
    Err(Error::new(
        Code::UnsupportedOperation,
        format!(
            "{} over {} of libfabric {} {faulty} may hang or crash the process",
            options.operation,
            info.provider,
            library.version(),
        ),
    )
    .with_cure("measure one way between two processes, messages, or another provider")
    .with_context("operation", options.operation)
    .with_context("provider", &info.provider)
    .with_context("library", library.version()))
}

/// Refuses `shm` for a peer that does not share `/dev/shm` with this process: it would wait for bytes
/// that cannot come, or map whatever has the same name here.
fn check_machine(provider: &str, own: &str, theirs: &Side) -> Result<()> {
    if !provider::is(provider, "shm") || own == theirs.machine {
        return Ok(());
    }
    let name = theirs.peer.hostname.as_deref().unwrap_or("the peer");
    Err(not_local(name))
}

/// The error for `shm` with a peer elsewhere.
pub(crate) fn not_local(peer: &str) -> Error {
    Error::new(
        Code::UnsupportedOperation,
        format!("shm needs both sides on one machine with the same /dev/shm; {peer} is elsewhere"),
    )
    .with_cure("probe tcp or efa")
    .with_context("provider", "shm")
}

/// Which processes share memory with this one: the boot of the kernel and the file system at
/// `/dev/shm`, which containers have each their own of.
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let shared = std::fs::metadata("/dev/shm").map_or(0, |folder| folder.dev());
    format!("{}/{shared}", boot.trim())
}

fn session(
    endpoint: Rc<Endpoint>,
    own: &Side,
    theirs: Side,
    options: ProbeOptions,
    gpu: Option<Rc<Gpu>>,
    guard: &mut Guard<'_>,
) -> Result<Session> {
    check_machine(&endpoint.info().provider, &own.machine, &theirs)?;
    let address = peer_address(&own.address, &theirs.address_format, &theirs.address)?;
    // Receives for the acknowledgements that come between the messages of both sides.
    let spare = if options.is_bidirectional() {
        SPARE as u64
    } else {
        0
    };
    let rx_size = own.rx_size.min(theirs.rx_size).saturating_sub(spare);
    let limits = [own.tx_size, theirs.tx_size, rx_size];
    let window = limits
        .into_iter()
        .fold(u64::from(options.window), u64::min)
        .max(1);
    let name = match &theirs.peer.hostname {
        Some(host) => format!("{host} ({} {})", theirs.peer.provider, theirs.peer.domain),
        None => format!("{} {}", theirs.peer.provider, theirs.peer.domain),
    };
    let gpu_used = gpu.as_ref();
    let mut traffic = Traffic::new(
        endpoint,
        &address,
        name,
        window as usize,
        &options,
        gpu_used,
    )?;
    exchange_windows(traffic.lane(), guard)?;
    Ok(Session {
        traffic,
        options,
        peer: theirs.peer,
        gpu,
    })
}

/// Informs the other side which memory it may reach, and receives the same, where operations
/// address memory.
fn exchange_windows(lane: &mut Lane, guard: &mut Guard<'_>) -> Result<()> {
    let Some(own) = lane.exposed() else {
        return Ok(());
    };
    guard.send(&Frame::Window {
        address: own.address,
        key: own.key,
        length: own.length as u64,
    })?;
    guard.doing = "waiting for the peer's memory".into();
    match guard.wait(Some(&mut *lane))? {
        Frame::Window {
            address,
            key,
            length,
        } if length >= own.length as u64 => {
            lane.aim(Remote {
                address,
                key,
                length: own.length,
            });
            Ok(())
        }
        Frame::Window { length, .. } => Err(Error::new(
            Code::PeerFailed,
            format!("the peer's memory has {length} bytes, not {}", own.length),
        )),
        frame => Err(guard.unexpected(&frame)),
    }
}

/// The other side's address, from digits. Of a format with a fixed length it must be as long as
/// this side's.
pub(crate) fn peer_address(own: &str, format: &str, digits: &str) -> Result<Vec<u8>> {
    let wrong = |why: &str| {
        Err(
            Error::new(Code::RendezvousRefused, format!("the peer's address {why}"))
                .with_context("address", digits)
                .with_context("address_format", format),
        )
    };
    let Ok(mut address) = hex::decode(digits) else {
        return wrong("is not hexadecimal");
    };
    if address.is_empty() || address.len() > MAX_ADDRESS {
        return wrong("has an impossible length");
    }
    if format == "FI_ADDR_STR" {
        address.push(0);
    } else if address.len() * 2 != own.len() {
        return wrong("is not as long as the local one");
    }
    Ok(address)
}

fn side(library: &Library, endpoint: &Endpoint) -> Side {
    let info = endpoint.info();
    Side {
        peer: Peer {
            hostname: hostname(),
            library_version: library.version(),
            provider: info.provider.clone(),
            provider_version: info.provider_version,
            domain: info.domain.clone(),
            memory: endpoint.memory(),
        },
        machine: machine(),
        fabric: info.fabric.clone(),
        protocol: info.protocol.clone(),
        address_format: info.address_format.clone(),
        address: hex::encode(endpoint.address()),
        tx_size: info.tx_size,
        rx_size: info.rx_size,
    }
}

fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The report of one side.
pub(crate) fn report(
    role: Role,
    library: &Library,
    (session, (first_us, rows)): (Session, (f64, Vec<Row>)),
) -> ProbeReport {
    let endpoint = session.traffic.endpoint();
    let info = endpoint.info();
    let gpu = gpu_report(&session);
    ProbeReport {
        role,
        library_path: library.path().display().to_string(),
        library_version: library.version(),
        provider: info.provider.clone(),
        provider_version: info.provider_version,
        fabric: info.fabric.clone(),
        domain: info.domain.clone(),
        protocol: info.protocol.clone(),
        shared_memory: endpoint.shared_memory(),
        hostname: hostname(),
        cpus: std::thread::available_parallelism()
            .ok()
            .and_then(|n| u32::try_from(n.get()).ok()),
        peer: session.peer,
        operation: session.options.operation,
        direction: session.options.direction,
        endpoint_options: endpoint.options().to_vec(),
        buffers: session.options.buffers,
        memory: endpoint.memory(),
        gpu,
        time_to_first_message_us: first_us,
        rows,
        statement: statement(session.options.operation),
    }
}

/// The GPU memory of this side, if its buffers are there.
fn gpu_report(session: &Session) -> Option<gpu::Report> {
    let endpoint = session.traffic.endpoint();
    let (gpu, cuda) = (session.gpu.as_ref()?, endpoint.memory().as_cuda()?);
    let root = NodeRoot::new("/");
    let observed = Observed {
        is_stand_in: gpu.is_stand_in(),
        ..endpoint.observed(cuda, |device| node::p2p(&root, device))
    };
    let (gpudirect, evidence) = gpu::judge(&observed);
    Some(gpu::Report {
        device: gpu.index(),
        device_name: gpu.name().to_owned(),
        driver_path: gpu.driver_path().to_owned(),
        is_stand_in: gpu.is_stand_in(),
        dmabuf: cuda.dmabuf,
        gpudirect,
        evidence,
    })
}

/// Makes a session that failed safe to close.
pub(crate) fn settle<T>(result: &Result<T>, session: Option<&mut Session>) {
    if let (Err(_), Some(session)) = (result, session) {
        session.traffic.settle();
    }
}

/// Informs the other side of an error of this side, so that it need not wait for its deadline. The
/// error with its cause, where the other side knows it.
pub(crate) fn tell(guard: &mut Guard<'_>, error: Error) -> Error {
    let error = guard.explain(error);
    let error = error.with_missing_context("doing", &guard.doing);
    let (code, message) = (error.code().as_str().to_owned(), error.message().to_owned());
    let cure = error.cure().map(str::to_owned);
    // If that fails as well, the other side is gone, which `error` is likely to state.
    drop(guard.send(&Frame::Abort {
        code,
        message,
        cure,
    }));
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_strictly() {
        let text = "FI_ADDR_STR";
        assert_eq!(
            peer_address("ff", text, "4fff1A").unwrap(),
            [0x4f, 0xff, 0x1a, 0]
        );
        for bad in ["0", "zz", "0x", "é1"] {
            let error = peer_address("ff", text, bad).unwrap_err();
            assert_eq!(error.code(), Code::RendezvousRefused, "{bad}");
        }
    }

    #[test]
    fn addresses_of_a_wrong_length_are_refused() {
        let (format, own) = ("FI_SOCKADDR_IN", "02001f907f0000010000000000000000");
        for bad in ["", "0200", "02001f907f000001000000000000000000", "nothex"] {
            let error = peer_address(own, format, bad).unwrap_err();
            assert_eq!(error.code(), Code::RendezvousRefused, "{bad}");
        }
        assert_eq!(peer_address(own, format, own).unwrap().len(), 16);
        let text = "FI_ADDR_STR";
        assert_eq!(peer_address("66", text, "6669").unwrap(), b"fi\0");
        assert!(peer_address("66", text, &"66".repeat(2000)).is_err());
    }
}
