//! One side of a probe from its opening to its end. The other is another process, or a thread of this
//! one that calls by itself; the two of a loopback are in `loopback`.

use std::time::Duration;

use super::guard::{Guard, Other};
use super::session::{Keep, Session, settle, tell};
use crate::error::{Error, Result};
use crate::provider;

/// Providers whose endpoint must not be closed while the other side makes calls: within one process
/// `shm` uses the peer's memory where the peer has it, so that closing takes it away from under a
/// call (SIGSEGV in `fi_inject` of the answering side in 7 of 20 probes that reached their
/// deadline, with 1.17 and with 2.5.1).
const SHARERS: [&str; 1] = ["shm"];
/// Time for the other side to stop after it was notified of a failure; it polls every 20 ms at
/// most.
const STOP_TIME: Duration = Duration::from_secs(2);

/// Opens, measures or answers, informs the other side of a failure, and closes what a failure leaves once
/// the other side has stopped too.
pub(crate) fn run<T>(
    guard: &mut Guard<'_>,
    open: impl FnOnce(&mut Guard<'_>, &mut Keep) -> Result<Session>,
    measure: impl FnOnce(&mut Session, &mut Guard<'_>) -> Result<T>,
) -> Result<(Session, T)> {
    let mut keep = None;
    let mut session = match open(guard, &mut keep) {
        Ok(session) => session,
        Err(error) => return Err(fail(guard, error, keep)),
    };
    let measured = measure(&mut session, guard);
    settle(&measured, Some(&mut session));
    match measured {
        Ok(measured) => Ok((session, measured)),
        Err(error) => Err(fail(guard, error, keep)),
    }
}

/// Notifies the other side, and waits until it has stopped where it may use this side's endpoint. The
/// endpoint of a side that still talked and does not stop stays open for good.
fn fail(guard: &mut Guard<'_>, error: Error, keep: Keep) -> Error {
    let error = tell(guard, error);
    let is_shared = keep.as_ref().is_some_and(|endpoint| {
        let name = &endpoint.info().provider;
        SHARERS.iter().any(|sharer| provider::is(name, sharer))
    });
    if is_shared && guard.wait_for_stop(STOP_TIME) == Other::Talks {
        std::mem::forget(keep);
    }
    error
}
