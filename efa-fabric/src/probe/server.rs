//! Two processes that meet over TCP.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use super::admission::{self, Admission};
use super::guard::Guard;
use super::options::{ProbeOptions, ServeOptions};
use super::rendezvous::{self, Listener, Tcp};
use super::report::{ProbeReport, Role};
use super::session::{self, Keep, Session};
use super::{initiator, responder, side};
use crate::endpoint::EndpointOptions;
use crate::error::Result;
use crate::info;
use crate::interrupt::Interrupt;
use crate::library::Library;
use crate::provider;
use crate::token::Token;

/// Measures to a [`Server`] at `host:port`, which must have the same token.
///
/// Providers with IP addresses use the address over which the server is reached, unless the
/// options name an address or a domain.
///
/// # Errors
/// As [`loopback_with`](super::loopback_with); `fabric.unreachable` if nobody answers in `connect_timeout`,
/// `fabric.rendezvous_refused` if the server refuses, for a wrong token or another reason,
/// `fabric.version_mismatch` for `shm` between different libfabrics.
pub fn connect(
    library: &Arc<Library>,
    address: &str,
    token: &Token,
    options: &ProbeOptions,
    interrupt: Interrupt<'_>,
) -> Result<ProbeReport> {
    options.check()?;
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
    let open = |guard: &mut Guard<'_>, keep: &mut Keep| {
        guard.doing = "meeting the peer".into();
        guard.expect_contact(options.connect_timeout);
        let providers = admission::enter(guard, token)?;
        session::initiate(library, &options, Some(&providers), guard, keep)
    };
    let measure = |session: &mut Session, guard: &mut Guard<'_>| {
        guard.contact();
        initiator::measure(&mut session.traffic, &session.options, guard)
    };
    let measured = side::run(&mut guard, open, measure).map_err(|error| {
        error
            .with_context("address", address)
            .with_missing_context("peer", address)
            .with_missing_context("provider", &options.endpoint.provider)
    })?;
    Ok(session::report(Role::Connect, library, measured))
}

/// The answering side of a probe: a listening socket and a token.
pub struct Server {
    admission: Admission,
}

impl Server {
    /// Listens on this address; [`Server::LOOPBACK`] for any free port of this machine only.
    ///
    /// # Errors
    /// `fabric.rendezvous_failed` if the address cannot be listened on.
    pub fn bind(address: SocketAddr, token: Token) -> Result<Self> {
        Ok(Self {
            admission: Admission::new(Listener::bind(address)?, token),
        })
    }

    /// Any free port on 127.0.0.1.
    pub const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    /// Returns the address that peers connect to, with the port that was free.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.admission.address()
    }

    /// Answers the next peer that has the token. Others are refused, and neither end the wait nor
    /// hold it up: up to 32 connections are listened to at once, each for 2 s. Peers that come
    /// meanwhile are answered by later calls, as long as they wait.
    ///
    /// # Errors
    /// `fabric.deadline` if no peer comes, or its probe takes too long; `fabric.unreachable`
    /// or `fabric.peer_failed` if it goes away or fails; as [`loopback_with`](super::loopback_with) for this side's
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
        let mut tcp = self.admission.admit(&offered, end, interrupt)?;
        let (local, peer) = (tcp.local_ip(), tcp.peer());
        let mut guard = Guard::new(&mut tcp, interrupt, options.deadline, options.wait);
        let provider = |provider: &str| {
            if provider::is(provider, "shm") && !is_local(local, peer.ip()) {
                return Err(session::not_local(&peer.ip().to_string()));
            }
            Ok(with_source(&options.endpoint, provider, local))
        };
        let open = |guard: &mut Guard<'_>, keep: &mut Keep| {
            session::respond(library, &provider, options.max_size, guard, keep)
        };
        let answer = |session: &mut Session, guard: &mut Guard<'_>| {
            responder::answer(&mut session.traffic, &session.options, guard)
        };
        let answered = side::run(&mut guard, open, answer)
            .map_err(|error| error.with_missing_context("peer", peer))?;
        Ok(session::report(Role::Serve, library, answered))
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

/// Whether a connection between these addresses stays on the machine.
fn is_local(own: Option<IpAddr>, peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    peer.is_loopback() || own == Some(peer)
}

/// Options with this source address, where the provider has such and none is chosen.
fn with_source(
    options: &EndpointOptions,
    provider: &str,
    source: Option<IpAddr>,
) -> EndpointOptions {
    let mut options = options.clone();
    if provider::uses_sockets(provider)
        && options.source_address.is_none()
        && options.domain.is_none()
    {
        options.source_address = source.map(|address| address.to_string());
    }
    options
}
