//! Latency and bandwidth between two endpoints: in this process ([`loopback`]), or of two
//! processes that meet over TCP ([`Server`] and [`connect`]).
//!
//! One side measures and the other answers. Latency is half of the round trip of single
//! messages, or the time of single one-sided operations; bandwidth is a sliding window, with
//! credits from the receiver where it takes part, timed from the first post to the last
//! acknowledgement or completion. Nothing waits without a deadline, and a probe that fails
//! says why, naming the peer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use crate::endpoint::EndpointOptions;
use crate::error::{Code, Error, Result};
use crate::info::{self, Wanted};
use crate::library::Library;

mod channel;
mod exchange;
mod guard;
mod hall;
mod initiator;
mod integrity;
mod options;
mod rendezvous;
mod report;
mod responder;
mod samples;
mod session;
mod start_line;
mod stream;
mod traffic;

use channel::{Frame, Local};
pub(crate) use exchange::measure_from;
pub use exchange::{Exchange, ExchangeError, Folder, answer_through, measure_through};
use guard::Guard;
pub use guard::Interrupt;
use hall::Hall;
pub use options::{Buffers, Direction, MAX_SIZE, Operation, ProbeOptions, Wait};
use rendezvous::Tcp;
pub(crate) use rendezvous::{Listener, after, parse as parse_frame, same_token};
pub use report::{Bandwidth, Latency, Peer, ProbeReport, ProbeRow, Role, SideBandwidth};
pub(crate) use session::peer_address;
pub(crate) use start_line::StartLine;

/// Providers whose addresses are IP addresses.
const IP_PROVIDERS: [&str; 4] = ["tcp", "net", "udp", "sockets"];

/// Measures between two endpoints of this process, each with a thread of its own.
///
/// Providers with IP addresses use 127.0.0.1 unless the options name an address or a domain.
/// On `efa` the provider's shared-memory path is switched off first, because it would be what
/// is measured; the report says whether that was accepted.
///
/// # Errors
/// `fabric.bad_size`, `fabric.invalid_option`, `fabric.provider_not_found`,
/// `fabric.killer_environment`, `fabric.call_failed`, `fabric.unreachable`, `fabric.deadline`.
pub fn loopback(library: &Arc<Library>, options: &ProbeOptions) -> Result<ProbeReport> {
    loopback_with(library, options, Interrupt::never())
}

/// As [`loopback`], with a hook that can stop it.
///
/// # Errors
/// As [`loopback`], and `fabric.interrupted`.
pub fn loopback_with(
    library: &Arc<Library>,
    options: &ProbeOptions,
    interrupt: Interrupt<'_>,
) -> Result<ProbeReport> {
    loopback_from(library, options, interrupt, None)
}

/// As [`loopback_with`], with a line at which probes of one size wait for one another.
pub(crate) fn loopback_from(
    library: &Arc<Library>,
    options: &ProbeOptions,
    interrupt: Interrupt<'_>,
    start_line: Option<&StartLine>,
) -> Result<ProbeReport> {
    options.check()?;
    let mut options = options.clone();
    let endpoint = &mut options.endpoint;
    if is_ip(&endpoint.provider) && endpoint.source_address.is_none() && endpoint.domain.is_none() {
        let local = EndpointOptions {
            source_address: Some("127.0.0.1".into()),
            ..endpoint.clone()
        };
        // Where the loopback interface is not offered, libfabric's first choice is taken.
        let wanted = Wanted {
            operation: options.operation,
            ..local.wanted()
        };
        if info::select(library, &wanted).is_ok() {
            *endpoint = local;
        }
    }
    let (mut left, mut right) = Local::pair();
    let (initiator, responder) = Parting::pair();
    std::thread::scope(|scope| {
        let (deadline, local) = (options.deadline, options.endpoint.clone());
        let wait = options.wait;
        let answer = move || {
            let mut guard = Guard::new(&mut right, Interrupt::never(), deadline, wait);
            let (mut keep, mut session) = (None, None);
            let result =
                session::respond(library, &|_| local.clone(), MAX_SIZE, &mut guard, &mut keep)
                    .and_then(|opened| {
                        let session = session.insert(opened);
                        responder::answer(&mut session.traffic, &session.options, &mut guard)
                    });
            let result = tell(&mut guard, result);
            settle(&result, session.as_mut());
            responder.part();
            drop(keep);
            result.map(drop)
        };
        // Not `scope.spawn`, which panics where the system has no thread to give.
        let answering = std::thread::Builder::new()
            .spawn_scoped(scope, answer)
            .map_err(|error| {
                Error::new(
                    Code::CallFailed,
                    format!("no thread for the answering side: {error}"),
                )
                .with_cure("raise the limits of memory (`ulimit -v`) and processes (`ulimit -u`)")
                .with_context("call", "pthread_create")
                .with_source(error)
            })?;
        let mut guard = Guard::new(&mut left, interrupt, deadline, wait);
        guard.start_line = start_line;
        let (mut keep, mut session) = (None, None);
        let result =
            session::initiate(library, &options, None, &mut guard, &mut keep).and_then(|opened| {
                initiator::measure(&mut session.insert(opened).traffic, &options, &mut guard)
            });
        let result = tell(&mut guard, result);
        settle(&result, session.as_mut());
        initiator.part();
        drop(keep);
        let report = result.map(|measured| {
            session.map(|session| session::report(Role::Loopback, library, session, measured))
        });
        match (report, answering.join()) {
            (Ok(Some(report)), Ok(Ok(()))) => Ok(report),
            // Where one side only saw the other fail, the other knows why.
            (Err(error), Ok(Err(cause))) if is_echo(&error) && !is_echo(&cause) => Err(cause),
            (Err(error), _) | (_, Ok(Err(error))) => Err(error),
            _ => Err(Error::new(
                Code::PeerFailed,
                "the answering thread ended early",
            )),
        }
    })
}

/// Whether an error says no more than that the other side stopped.
fn is_echo(error: &Error) -> bool {
    matches!(
        error.code(),
        Code::PeerFailed | Code::Unreachable | Code::RendezvousRefused
    )
}

/// The two threads of a loopback close nothing before both have stopped: endpoints of one
/// process may share memory (`shm` does), which one side's closing takes from the other.
struct Parting {
    stopped: Sender<()>,
    other: Receiver<()>,
}

impl Parting {
    fn pair() -> (Self, Self) {
        let (left, from_left) = std::sync::mpsc::channel();
        let (right, from_right) = std::sync::mpsc::channel();
        (
            Self {
                stopped: left,
                other: from_right,
            },
            Self {
                stopped: right,
                other: from_left,
            },
        )
    }

    /// Returns when the other side has stopped as well, or has ended.
    fn part(self) {
        if self.stopped.send(()).is_ok() {
            self.other.recv().ok();
        }
    }
}

/// Measures to a [`Server`] at `host:port`, which must have the same token.
///
/// Providers with IP addresses use the address over which the server is reached, unless the
/// options name an address or a domain.
///
/// # Errors
/// As [`loopback_with`]; `fabric.unreachable` if nobody answers in `connect_timeout`,
/// `fabric.rendezvous_refused` if the server refuses, for a wrong token or another reason,
/// `fabric.version_mismatch` for `shm` between different libfabrics.
pub fn connect(
    library: &Arc<Library>,
    address: &str,
    token: &str,
    options: &ProbeOptions,
    interrupt: Interrupt<'_>,
) -> Result<ProbeReport> {
    options.check()?;
    check_token(token)?;
    let start = Instant::now();
    let mut tcp = Tcp::connect(
        address,
        options.connect_timeout.min(options.deadline),
        interrupt,
    )?;
    let mut options = options.clone();
    options.endpoint = with_source(
        &options.endpoint,
        &options.endpoint.provider,
        tcp.local_ip(),
    );
    let left = options.deadline.saturating_sub(start.elapsed());
    let mut guard = Guard::new(&mut tcp, interrupt, left, options.wait);
    let result = measure_with(library, token, &options, &mut guard);
    tell(&mut guard, result).map_err(|error| {
        error
            .with_context("address", address)
            .with_missing_context("peer", address)
            .with_missing_context("provider", &options.endpoint.provider)
    })
}

fn measure_with(
    library: &Arc<Library>,
    token: &str,
    options: &ProbeOptions,
    guard: &mut Guard<'_>,
) -> Result<ProbeReport> {
    guard.doing = "meeting the peer".into();
    guard.expect_contact(options.connect_timeout);
    guard.send(&Frame::Knock {
        token: token.to_owned(),
    })?;
    let providers = match guard.wait(None)? {
        Frame::Accepted { providers } => providers,
        frame => return Err(guard.unexpected(&frame)),
    };
    let mut session = session::initiate(library, options, Some(&providers), guard, &mut None)?;
    guard.contact();
    let measured = initiator::measure(&mut session.traffic, options, guard);
    settle(&measured, Some(&mut session));
    Ok(session::report(Role::Connect, library, session, measured?))
}

/// How a [`Server`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeOptions {
    /// The only provider to answer for; empty for any. Fabric, domain and source address
    /// choose this side's endpoint.
    pub endpoint: EndpointOptions,
    /// Time to wait for a peer with the right token.
    pub accept_timeout: Duration,
    /// Time for a probe; the peer's own deadline counts as well.
    pub deadline: Duration,
    /// Largest message in bytes that a peer may ask for: it decides how much memory is taken,
    /// up to four times this and half a GiB.
    pub max_size: usize,
    /// How this side waits.
    pub wait: Wait,
}

impl Default for ServeOptions {
    /// Any provider, a minute to wait for a peer, ten minutes for its probe, messages up to
    /// 64 MiB.
    fn default() -> Self {
        Self {
            endpoint: EndpointOptions::new(""),
            accept_timeout: Duration::from_secs(60),
            deadline: Duration::from_secs(600),
            max_size: 64 << 20,
            wait: Wait::Adaptive,
        }
    }
}

/// The answering side of a probe: a listening socket and a token.
pub struct Server {
    hall: Hall,
}

impl Server {
    /// Listens on this address; [`Server::LOOPBACK`] for any free port of this machine only.
    ///
    /// # Errors
    /// `fabric.rendezvous_failed` if the address cannot be listened on,
    /// `fabric.invalid_option` for an empty token.
    pub fn bind(address: SocketAddr, token: impl Into<String>) -> Result<Self> {
        let token = token.into();
        check_token(&token)?;
        Ok(Self {
            hall: Hall::new(Listener::bind(address)?, token),
        })
    }

    /// Any free port on 127.0.0.1.
    pub const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    /// The address that peers connect to, with the port that was free.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.hall.address()
    }

    /// Answers the next peer that has the token. Others are refused, and neither end the wait nor
    /// hold it up: up to 32 connections are listened to at once, each for 2 s. Peers that come
    /// meanwhile are answered by later calls, as long as they wait.
    ///
    /// # Errors
    /// `fabric.deadline` if no peer comes, or its probe takes too long; `fabric.unreachable`
    /// or `fabric.peer_failed` if it goes away or fails; as [`loopback_with`] for this side's
    /// own endpoint; `fabric.version_mismatch` for `shm` between different libfabrics.
    pub fn serve_one(
        &self,
        library: &Arc<Library>,
        options: &ServeOptions,
        interrupt: Interrupt<'_>,
    ) -> Result<ProbeReport> {
        // Asked before anyone waits for the answer: the first time takes a while.
        let offered = info::rdm_providers(library)?;
        let end = rendezvous::after(options.accept_timeout);
        let mut tcp = self.hall.admit(&offered, end, interrupt)?;
        let (local, peer) = (tcp.local_ip(), tcp.peer());
        let mut guard = Guard::new(&mut tcp, interrupt, options.deadline, options.wait);
        let provider = |provider: &str| with_source(&options.endpoint, provider, local);
        // In two statements: what keeps the endpoint must go before the session does.
        let opened = session::respond(library, &provider, options.max_size, &mut guard, &mut None);
        let result = opened.and_then(|mut session| {
            let measured = responder::answer(&mut session.traffic, &session.options, &mut guard);
            settle(&measured, Some(&mut session));
            Ok(session::report(Role::Serve, library, session, measured?))
        });
        tell(&mut guard, result).map_err(|error| error.with_missing_context("peer", peer))
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

/// Makes a session that failed safe to close.
fn settle<T>(result: &Result<T>, session: Option<&mut session::Session>) {
    if let (Err(_), Some(session)) = (result, session) {
        session.traffic.settle();
    }
}

/// Tells the other side of an error of this side, so that it need not wait for its deadline.
fn tell<T>(guard: &mut Guard<'_>, result: Result<T>) -> Result<T> {
    let result = result.map_err(|error| {
        let error = guard.explain(error);
        error.with_missing_context("doing", &guard.doing)
    });
    if let Err(error) = &result {
        let (code, message) = (error.code().as_str().to_owned(), error.to_string());
        // If that fails as well, the other side is gone, which `error` is likely to say.
        drop(guard.send(&Frame::Abort { code, message }));
    }
    result
}

fn check_token(token: &str) -> Result<()> {
    if token.is_empty() {
        return Err(Error::new(Code::InvalidOption, "the token is empty")
            .with_cure("give both sides the same secret")
            .with_context("option", "token"));
    }
    Ok(())
}

fn is_ip(provider: &str) -> bool {
    IP_PROVIDERS
        .iter()
        .any(|name| info::base_provider(provider).eq_ignore_ascii_case(name))
}

/// Options with this source address, where the provider has such and none is chosen.
fn with_source(
    options: &EndpointOptions,
    provider: &str,
    source: Option<IpAddr>,
) -> EndpointOptions {
    let mut options = options.clone();
    if is_ip(provider) && options.source_address.is_none() && options.domain.is_none() {
        options.source_address = source.map(|address| address.to_string());
    }
    options
}
