//! The functions of `libibverbs.so.1`, one file per kind of object.
//!
//! What rdma-core or the kernel's EFA driver refuses is refused here, with the same error; each file
//! states where it follows which.

pub mod completion_queue;
pub mod context;
pub(crate) mod direct;
pub mod memory;
pub mod other;
pub mod posting;
pub mod queue_pair;
