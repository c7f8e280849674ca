//! One transfer of each size whose bytes are compared with what was sent, outside of anything
//! that is timed.

use super::channel::{Frame, Kind, Phase};
use super::guard::Guard;
use super::phase::{begin, end};
use super::traffic::Traffic;
use crate::clock::now_ns;
use crate::endpoint::lane::Place;
use crate::error::{Code, Error, Result};
use crate::operation::Operation;

/// Larger transfers are not compared: it would take longer than measuring them.
const LARGEST: usize = 64 << 20;

/// Sends a pattern and has it looked at by the side where it arrives. Whether that was done.
pub(crate) fn verify(traffic: &mut Traffic, size: usize, guard: &mut Guard<'_>) -> Result<bool> {
    if size > LARGEST {
        return Ok(false);
    }
    // Another one each time, so that what lies there from before cannot pass.
    let seed = now_ns();
    let is_read = traffic.operation() == Operation::Read;
    if !is_read {
        traffic.lane().fill(Place::Outgoing, size, seed)?;
    }
    begin(
        traffic,
        Phase {
            kind: Kind::Integrity,
            size,
            quantum: 1,
            seed,
        },
        guard,
    )?;
    guard.doing = format!("comparing {size} bytes");
    traffic.transfer(size, guard)?;
    traffic.drain(guard)?;
    if is_read {
        compare(traffic, (Place::Outgoing, 0), size, seed)?;
    }
    end(traffic, 1, guard)?;
    Ok(true)
}

/// What is read must be there before the other side begins.
pub(crate) fn prepare(traffic: &mut Traffic, phase: &Phase) -> Result<()> {
    if phase.kind == Kind::Integrity && traffic.operation() == Operation::Read {
        traffic
            .lane()
            .fill(Place::Exposed, phase.size, phase.seed)?;
    }
    Ok(())
}

/// Waits for the transfer and looks at it.
pub(crate) fn answer(traffic: &mut Traffic, phase: &Phase, guard: &mut Guard<'_>) -> Result<()> {
    let operation = traffic.operation();
    let mut landed = operation.is_one_sided().then_some((Place::Exposed, 0));
    let mut ended = false;
    while landed.is_none() || !ended {
        match traffic.arrived()? {
            Some(arrival) => {
                landed = Some(traffic.landing(&arrival));
                traffic.renew(arrival, guard)?;
            }
            None => traffic.idle(guard)?,
        }
        match guard.take() {
            Some(Frame::End { count: 1 }) => ended = true,
            Some(frame) => return Err(guard.unexpected(&frame)),
            None => {}
        }
    }
    if let (Some(landed), true) = (landed, operation != Operation::Read) {
        compare(traffic, landed, phase.size, phase.seed)?;
    }
    guard.send(&Frame::Done)
}

fn compare(
    traffic: &mut Traffic,
    (place, offset): (Place, usize),
    size: usize,
    seed: u64,
) -> Result<()> {
    let Some(wrong) = traffic.lane().mismatch(place, offset, size, seed)? else {
        return Ok(());
    };
    let (operation, info) = (traffic.operation(), traffic.endpoint().info());
    Err(Error::new(
        Code::DataMismatch,
        format!("byte {wrong} of a {operation} of {size} bytes is not what was sent"),
    )
    .with_cure("report this: a provider that alters data must not be used")
    .with_context("operation", operation)
    .with_context("size", size)
    .with_context("offset", wrong)
    .with_context("provider", &info.provider)
    .with_context("domain", &info.domain))
}
