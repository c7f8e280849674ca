//! A rank that cannot take part states why, instead of staying away.

use super::{Hello, Obstacle, Rendezvous, hello_key, new_id};
use crate::error::{Code, Error, Result};
use crate::probe::Interrupt;
use crate::survey_run::mail::Mail;
use crate::survey_run::node::Node;
use crate::survey_run::report::VERSION;

/// Informs rank 0 that this rank takes no part, in place of [`run_rank`](super::run_rank): its node is
/// absent then, with the code and the text of the error that keeps it from measuring, such as a
/// missing libfabric. Waits for nothing.
///
/// # Errors
/// `fabric.invalid_option` for rank 0, which cannot inform itself; `fabric.rendezvous_failed` as the
/// exchange reports.
pub fn decline(meeting: Rendezvous<'_>, node: Node, code: &str, why: &str) -> Result<()> {
    if meeting.rank == 0 {
        return Err(Error::new(
            Code::InvalidOption,
            "rank 0 leads the survey, and cannot decline",
        )
        .with_context("option", "rank"));
    }
    let mut mail = Mail {
        exchange: meeting.exchange,
        name: meeting.name,
        interrupt: Interrupt::never(),
    };
    let hello = Hello {
        version: VERSION.to_owned(),
        world_size: meeting.world_size,
        id: new_id()?,
        node,
        obstacle: Some(Obstacle {
            code: code.to_owned(),
            why: why.to_owned(),
        }),
    };
    mail.put(&hello_key(meeting.rank), &hello)
}
