//! Probes with GPU memory, without a GPU: what is refused and why, and, over two stand-ins in C,
//! that memory is allocated, registered, copied, compared and freed in order.
//!
//! `support/fake_libcuda.c` stands in for the driver, `support/hmem_libfabric.c` for a libfabric
//! that takes GPU memory. Neither shows that anything works on a GPU.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use efa_fabric::gpu::Memory;
use efa_fabric::{Code, loopback};

#[path = "support/processes.rs"]
mod processes;
#[path = "support/secret.rs"]
mod secret;
use processes::{libraries, quick};

#[path = "gpu/stand_ins.rs"]
mod stand_ins;

/// Not a test: a probe, in the process that a test starts.
#[test]
fn child() {
    stand_ins::probe_if_child();
}

#[test]
fn host_memory_is_said_to_be_such() {
    for library in libraries("host_memory_is_said_to_be_such") {
        let report = loopback(&library, &quick("shm")).unwrap();
        assert_eq!(
            (report.memory, report.peer.memory, &report.gpu),
            (Memory::Host, Memory::Host, &None)
        );
        assert!(!report.to_string().contains("GPU"), "{report}");
        // Reports of before this field read back.
        let mut json = serde_json::to_value(&report).unwrap();
        json.as_object_mut().unwrap().remove("memory").unwrap();
        json.as_object_mut().unwrap().remove("gpu").unwrap();
        let read: efa_fabric::ProbeReport = serde_json::from_value(json).unwrap();
        assert_eq!(read, report);
    }
}

#[test]
fn a_provider_that_is_not_there_is_not_a_matter_of_memory() {
    for library in libraries("a_provider_that_is_not_there_is_not_a_matter_of_memory") {
        let mut options = efa_fabric::endpoint::EndpointOptions::new("nosuch");
        options.memory = Memory::cuda(0);
        let error = efa_fabric::endpoint::Endpoint::open(&library, &options).unwrap_err();
        assert_eq!(error.code(), Code::ProviderNotFound, "{error}");
    }
}
