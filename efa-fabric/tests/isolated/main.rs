//! libfabric asked in a child process: environments and libraries that end it, programs that
//! are no child, and callers in unusual states.
//!
//! The child is this binary with [`the_child`] alone; callers that need a process of their own
//! are this binary with one `role_*` test and `EFA_TEST_ROLE` set. Timing decides nothing:
//! deadlines are either never reached, or the child would never end by itself.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod answers;
mod callers;
mod ends;
mod support;

use std::io::Write;

use efa_fabric::isolated::answer_if_child;

/// Does nothing, except in a process that `ask` started.
#[test]
fn the_child() {
    if let Some(mib) = std::env::var_os(support::NOISE) {
        let mib: usize = mib.to_str().unwrap().parse().unwrap();
        let line = [b'x'; 1024];
        let mut out = std::io::stderr().lock();
        for _ in 0..mib * 1024 {
            out.write_all(&line).unwrap();
        }
        out.write_all(b"\n").unwrap();
    }
    answer_if_child();
}
