//! Drives soft devices through the binary interface, as a C program would: two ends in one process.
//!
//! Each test has devices of its own (see `end::Device`), since faults are set on a device. Nothing here
//! measures time; where a fault makes something slow, a lower bound is all that is asserted.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod direct;
mod end;
mod faults;
mod hostile;
mod lifetimes;
mod refusals;
mod rules;
mod stress;
mod transfers;
