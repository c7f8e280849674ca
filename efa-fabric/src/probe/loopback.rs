//! Both sides in one process.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use super::channel::{Local, is_echo};
use super::guard::Guard;
use super::options::{MAX_SIZE, ProbeOptions};
use super::report::{ProbeReport, Role};
use super::start_line::StartLine;
use super::{initiator, responder, session};
use crate::endpoint::EndpointOptions;
use crate::error::{Code, Error, Result};
use crate::info::{self, Wanted};
use crate::interrupt::Interrupt;
use crate::library::Library;
use crate::provider;

/// Measures between two endpoints of this process, each with a thread of its own.
///
/// Providers with IP addresses use 127.0.0.1 unless the options name an address or a domain.
/// On `efa` the provider's shared-memory path is switched off first, because it would be what
/// is measured; the report states whether that was accepted.
///
/// # Errors
/// `fabric.bad_size`, `fabric.invalid_option`, `fabric.provider_not_found`,
/// `fabric.killer_environment`, `fabric.call_failed`, `fabric.unreachable`, `fabric.deadline`.
pub fn loopback(library: &Arc<Library>, options: &ProbeOptions) -> Result<ProbeReport> {
    loopback_with(library, options, Interrupt::never())
}

/// Does the same as [`loopback`], with a hook that can stop it.
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
    let options = on_loopback(library, options);
    let (mut left, mut right) = Local::pair();
    let (initiator, responder) = Close::pair();
    std::thread::scope(|scope| {
        let (deadline, local) = (options.deadline, options.endpoint.clone());
        let wait = options.wait;
        let answer = move || {
            let mut guard = Guard::new(&mut right, Interrupt::never(), deadline, wait);
            let (mut keep, mut session) = (None, None);
            let result = session::respond(
                library,
                &|_| Ok(local.clone()),
                MAX_SIZE,
                &mut guard,
                &mut keep,
            )
            .and_then(|opened| {
                let session = session.insert(opened);
                responder::answer(&mut session.traffic, &session.options, &mut guard)
            });
            let result = result.map_err(|error| session::tell(&mut guard, error));
            session::settle(&result, session.as_mut());
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
                let session = session.insert(opened);
                initiator::measure(&mut session.traffic, &session.options, &mut guard)
            });
        let result = result.map_err(|error| session::tell(&mut guard, error));
        session::settle(&result, session.as_mut());
        initiator.part();
        drop(keep);
        let report = result.map(|measured| {
            session.map(|session| session::report(Role::Loopback, library, (session, measured)))
        });
        match (report, answering.join()) {
            (Ok(Some(report)), Ok(Ok(()))) => Ok(report),
            // Where one side only saw the other fail, the other knows why.
            (Err(error), Ok(Err(cause)))
                if is_echo(error.code().as_str()) && !is_echo(cause.code().as_str()) =>
            {
                Err(cause)
            }
            (Err(error), _) | (_, Ok(Err(error))) => Err(error),
            _ => Err(Error::new(
                Code::PeerFailed,
                "the answering thread ended early",
            )),
        }
    })
}

/// The options, on the loopback interface where the provider uses sockets and no endpoint is chosen.
/// Where that interface is not offered, libfabric's first choice is taken.
fn on_loopback(library: &Arc<Library>, options: &ProbeOptions) -> ProbeOptions {
    let mut options = options.clone();
    let endpoint = &mut options.endpoint;
    let is_chosen = endpoint.source_address.is_some() || endpoint.domain.is_some();
    if provider::uses_sockets(&endpoint.provider) && !is_chosen {
        let local = EndpointOptions {
            source_address: Some("127.0.0.1".into()),
            ..endpoint.clone()
        };
        let wanted = Wanted {
            operation: options.operation,
            ..local.wanted()
        };
        if info::select(library, &wanted).is_ok() {
            *endpoint = local;
        }
    }
    options
}

/// The two threads of a loopback close nothing before both have stopped: endpoints of one
/// process may share memory (`shm` does), which one side's closing takes from the other.
struct Close {
    stopped: Sender<()>,
    other: Receiver<()>,
}

impl Close {
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
