//! A software EFA device: the real, unmodified `efa` provider of libfabric runs on it, without hardware.
//!
//! `tools/build_soft_efa.sh` links this crate into two libraries, `libibverbs.so.1` and `libefa.so.1`,
//! with the symbol versions of rdma-core. A program that finds them first (`LD_LIBRARY_PATH`) sees the
//! devices of a tree of sysfs (`SYSFS_PATH`), and what it sends travels as UDP between the addresses in
//! their GIDs. `efa_sdk.testing.SoftEfa` is the product; `docs/soft-efa.md` describes it.
//!
//! The way of a message: [`verbs`] or the queues in memory hand a work request to the queue pair, which
//! makes packets ([`wire`]) and sends them until answered; the other side checks keys, delivers once,
//! and completes. [`control`] holds counters and faults, [`capability`] what a device can do, [`abi`]
//! the structs of C, [`status`] the ends that a request can have.
//!
//! Linux only. Nothing here is measured hardware: see `docs/soft-efa.md` for what it cannot prove.

pub mod abi;
mod addresses;
mod area;
pub mod capability;
mod completion;
pub mod control;
pub mod descriptor;
pub mod efadv;
mod in_memory;
mod memory;
mod objects;
mod opened;
mod pair;
mod port;
mod receiver;
mod sender;
mod settings;
mod slab;
mod socket;
mod sources;
pub mod status;
mod tick;
mod tree;
pub mod verbs;
pub mod wire;
mod work;
