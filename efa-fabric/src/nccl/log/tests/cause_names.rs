//! The names of all causes, which are never changed.

use super::super::*;

#[test]
fn causes_are_pinned_and_whole() {
    let ids: Vec<_> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
    for cause in Cause::ALL {
        let json = serde_json::to_value(cause).unwrap();
        assert_eq!(json, cause.as_str());
        assert!(
            !cause.explanation().ends_with('.') && !cause.cure().is_empty(),
            "{cause}"
        );
    }
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len());
    assert_eq!(
        ids,
        [
            "device_rdma_unsupported",
            "device_rdma_invalid",
            "deprecated_variable",
            "empty_iface",
            "bad_min_credits",
            "huge_page_with_fork_support",
            "fork_without_support",
            "plugin_disabled",
            "other_plugin_named",
            "rdma_core_shadowed",
            "plugin_dependency_missing",
            "plugin_incompatible",
            "plugin_not_found",
            "cuda_failed",
            "libfabric_too_old",
            "gdr_required",
            "emulated_write",
            "duplicate_connections",
            "neuron_needs_network",
            "neuron_without_efa",
            "nixl_no_rail",
            "open_mpi_no_provider",
            "provider_filtered",
            "efa_not_offered",
            "provider_not_efa",
            "no_eligible_provider",
            "verbs_unopenable",
            "efa_list_empty",
            "locked_memory",
            "endpoint_failed",
            "no_working_protocol",
            "plugin_failed",
            "named_network_missing",
            "no_network",
            "plugin_not_tried",
            "no_reason_logged",
            "provider_not_logged",
            "no_info_lines",
            "bootstrap_interface",
            "bootstrap_on_loopback",
            "bootstrap_unreachable",
            "rails_differ",
            "topology_invalid",
            "tuner_refused",
            "gdrcopy_missing",
            "gin_unavailable",
            "descriptor_missing",
            "remote_key_refused",
            "security_group_egress",
            "security_group",
            "peer_lost",
            "transfer_failed",
            "registration_bad_address",
            "memory_registration",
            "shared_memory",
            "nccl_version_mismatch",
            "diagnostic_failed",
            "driver_error",
            "tool_without_provider",
            "no_verbs_device",
            "out_of_memory",
            "internal_error",
            "watchdog_timeout",
            "process_aborted",
            "job_error",
            "call_failed",
            "unknown_error",
            "unknown_warning",
            "torn_lines",
            "nics_missing",
            "nics_unexpected",
            "gpudirect_not_offered",
            "gpudirect_missing",
            "gpudirect_partial",
            "gpudirect_disabled",
            "peer_to_peer_disabled",
            "ranks_disagree",
            "protocol_forced",
            "type_unknown",
            "rails_forced",
            "lines_left_out",
            "too_many_processes",
        ]
    );
}
