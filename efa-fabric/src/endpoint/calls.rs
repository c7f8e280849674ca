//! The calls that post operations, looked up once after enabling: tables do not change after it
//! (fi_endpoint.h).

use std::ffi::c_void;

use crate::error::Result;
use crate::ffi::{
    self, FidEp, InjectFn, ReadFn, RecvFn, SendFn, TaggedInjectFn, TaggedRecvFn, TaggedSendFn,
    WriteDataFn, WriteFn, checked_op,
};
use crate::library::Library;
use crate::operation::Operation;

/// The tag of every tagged message: a probe has one conversation.
const TAG: u64 = 0x00ef_a0ef;
/// The immediate data of every write with data; any completion can carry as much.
const DATA: u64 = 1;

/// How messages go.
#[derive(Clone, Copy)]
pub(super) enum Messages {
    Untagged {
        send: SendFn,
        receive: RecvFn,
        inject: InjectFn,
    },
    Tagged {
        send: TaggedSendFn,
        receive: TaggedRecvFn,
        inject: TaggedInjectFn,
    },
}

/// Memory of the peer that operations may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remote {
    /// Where it begins: a virtual address, or 0 where the provider counts from the region's
    /// begin (`FI_MR_VIRT_ADDR`, fi_mr(3)).
    pub(crate) address: u64,
    pub(crate) key: u64,
    pub(crate) length: usize,
}

/// How memory of the peer is reached.
#[derive(Clone, Copy)]
pub(super) enum Rma {
    Write(WriteFn),
    WriteData(WriteDataFn),
    Read(ReadFn),
}

/// One operation: the local part, the peer, and what the completion names.
#[derive(Clone, Copy)]
pub(super) struct Post {
    pub(super) ep: *mut FidEp,
    pub(super) buffer: *mut c_void,
    pub(super) length: usize,
    pub(super) descriptor: *mut c_void,
    pub(super) peer: u64,
    pub(super) context: *mut c_void,
}

impl Messages {
    /// # Safety
    /// The endpoint is enabled.
    pub(super) unsafe fn look_up(
        ep: *mut FidEp,
        operation: Operation,
        library: &Library,
    ) -> Result<Self> {
        if operation == Operation::Tagged {
            // SAFETY: by this function's contract.
            let table = unsafe { (*ep).tagged };
            let missing = |call| move || library.missing(call);
            return Ok(Self::Tagged {
                send: checked_op!(table, FiOpsTagged, send).ok_or_else(missing("fi_tsend"))?,
                receive: checked_op!(table, FiOpsTagged, recv).ok_or_else(missing("fi_trecv"))?,
                inject: checked_op!(table, FiOpsTagged, inject)
                    .ok_or_else(missing("fi_tinject"))?,
            });
        }
        // SAFETY: by this function's contract.
        let table = unsafe { (*ep).msg };
        let missing = |call| move || library.missing(call);
        Ok(Self::Untagged {
            send: checked_op!(table, FiOpsMsg, send).ok_or_else(missing("fi_send"))?,
            receive: checked_op!(table, FiOpsMsg, recv).ok_or_else(missing("fi_recv"))?,
            inject: checked_op!(table, FiOpsMsg, inject).ok_or_else(missing("fi_inject"))?,
        })
    }

    /// # Safety
    /// The endpoint is enabled; buffer and context live, and the context is not used for
    /// anything else, until the completion is read or the endpoint closed.
    #[inline]
    pub(super) unsafe fn send(&self, post: Post) -> isize {
        let Post {
            ep,
            buffer,
            length,
            descriptor,
            peer,
            context,
        } = post;
        // SAFETY: by this function's contract.
        unsafe {
            match self {
                Self::Untagged { send, .. } => send(ep, buffer, length, descriptor, peer, context),
                Self::Tagged { send, .. } => {
                    send(ep, buffer, length, descriptor, peer, TAG, context)
                }
            }
        }
    }

    /// # Safety
    /// The endpoint is enabled, and the buffer lives during the call.
    #[inline]
    pub(super) unsafe fn inject(
        &self,
        ep: *mut FidEp,
        buffer: *mut c_void,
        length: usize,
        peer: u64,
    ) -> isize {
        // SAFETY: by this function's contract.
        unsafe {
            match self {
                Self::Untagged { inject, .. } => inject(ep, buffer, length, peer),
                Self::Tagged { inject, .. } => inject(ep, buffer, length, peer, TAG),
            }
        }
    }

    /// Posts a receive from any peer.
    ///
    /// # Safety
    /// As [`Messages::send`].
    #[inline]
    pub(super) unsafe fn receive(&self, post: Post) -> isize {
        let Post {
            ep,
            buffer,
            length,
            descriptor,
            context,
            ..
        } = post;
        let any = ffi::FI_ADDR_NOTAVAIL;
        // SAFETY: by this function's contract.
        unsafe {
            match self {
                Self::Untagged { receive, .. } => {
                    receive(ep, buffer, length, descriptor, any, context)
                }
                Self::Tagged { receive, .. } => {
                    receive(ep, buffer, length, descriptor, any, TAG, 0, context)
                }
            }
        }
    }
}

impl Rma {
    /// The call of an operation, where it addresses memory.
    ///
    /// # Safety
    /// The endpoint is enabled.
    pub(super) unsafe fn look_up(
        ep: *mut FidEp,
        operation: Operation,
        library: &Library,
    ) -> Result<Option<Self>> {
        // SAFETY: by this function's contract.
        let table = unsafe { (*ep).rma };
        let found = match operation {
            Operation::Message | Operation::Tagged => return Ok(None),
            Operation::Write => checked_op!(table, FiOpsRma, write).map(Self::Write),
            Operation::WriteData => checked_op!(table, FiOpsRma, writedata).map(Self::WriteData),
            Operation::Read => checked_op!(table, FiOpsRma, read).map(Self::Read),
        };
        match found {
            Some(call) => Ok(Some(call)),
            None => Err(library.missing(Self::name(operation))),
        }
    }

    const fn name(operation: Operation) -> &'static str {
        match operation {
            Operation::Read => "fi_read",
            Operation::WriteData => "fi_writedata",
            _ => "fi_write",
        }
    }

    pub(super) const fn call(&self) -> &'static str {
        match self {
            Self::Write(_) => "fi_write",
            Self::WriteData(_) => "fi_writedata",
            Self::Read(_) => "fi_read",
        }
    }

    /// # Safety
    /// As [`Messages::send`]; the peer keeps its memory registered.
    #[inline]
    pub(super) unsafe fn post(&self, post: Post, address: u64, key: u64) -> isize {
        let Post {
            ep,
            buffer,
            length,
            descriptor,
            peer,
            context,
        } = post;
        // SAFETY: by this function's contract.
        unsafe {
            match self {
                Self::Write(write) => {
                    write(ep, buffer, length, descriptor, peer, address, key, context)
                }
                Self::WriteData(write) => write(
                    ep, buffer, length, descriptor, DATA, peer, address, key, context,
                ),
                Self::Read(read) => {
                    read(ep, buffer, length, descriptor, peer, address, key, context)
                }
            }
        }
    }
}
