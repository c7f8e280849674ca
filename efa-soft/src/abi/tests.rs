//! The layouts, as C compilers give them.

use std::mem::{offset_of, size_of};

use super::*;

/// What `offsetof` and `sizeof` state with libibverbs-dev 44.0 on a 64-bit machine whose
/// `pthread_mutex_t` has 40 bytes.
#[test]
#[cfg(target_arch = "x86_64")]
fn layouts_are_those_of_the_headers() {
    let cases = [
        (size_of::<Device>(), 664),
        (offset_of!(Device, ibdev_path), 408),
        (size_of::<ContextOps>(), 256),
        (offset_of!(ContextOps, poll_cq), 88),
        (offset_of!(ContextOps, post_send), 200),
        (size_of::<Context>(), 328),
        (offset_of!(Context, cmd_fd), 264),
        (offset_of!(Context, mutex), 280),
        (offset_of!(Context, abi_compat), 320),
        (size_of::<VerbsContext>(), 648),
        (offset_of!(VerbsContext, create_cq_ex), 200),
        (offset_of!(VerbsContext, private), 208),
        (offset_of!(VerbsContext, query_device_ex), 216),
        (offset_of!(VerbsContext, create_qp_ex), 264),
        (offset_of!(VerbsContext, sz), 312),
        (offset_of!(VerbsContext, context), 320),
        (size_of::<CqEx>(), 288),
        (offset_of!(CqEx, status), 132),
        (offset_of!(CqEx, wr_id), 136),
        (offset_of!(CqEx, start_poll), 144),
        (offset_of!(CqEx, read_dlid_path_bits), 240),
        (size_of::<Cq>(), 128),
        (offset_of!(Cq, comp_events_completed), 120),
        (size_of::<Qp>(), 160),
        (offset_of!(Qp, state), 56),
        (offset_of!(Qp, events_completed), 152),
        (size_of::<QpEx>(), 352),
        (offset_of!(QpEx, wr_id), 168),
        (offset_of!(QpEx, wr_flags), 176),
        (offset_of!(QpEx, wr_rdma_read), 216),
        (offset_of!(QpEx, wr_send), 240),
        (offset_of!(QpEx, wr_set_ud_addr), 272),
        (offset_of!(QpEx, wr_set_sge_list), 312),
        (offset_of!(QpEx, wr_start), 320),
        (offset_of!(QpEx, wr_abort), 336),
        (size_of::<Mr>(), 48),
        (offset_of!(Mr, rkey), 40),
        (size_of::<Pd>(), 16),
        (size_of::<Ah>(), 24),
        (size_of::<CompChannel>(), 16),
        (size_of::<Wc>(), 48),
        (offset_of!(Wc, slid), 42),
        (size_of::<SendWr>(), 128),
        (offset_of!(SendWr, imm_data), 36),
        (offset_of!(SendWr, ah), 40),
        (size_of::<RecvWr>(), 32),
        (size_of::<QpInitAttr>(), 64),
        (size_of::<QpInitAttrEx>(), 136),
        (offset_of!(QpInitAttrEx, comp_mask), 60),
        (offset_of!(QpInitAttrEx, send_ops_flags), 128),
        (size_of::<QpAttr>(), 144),
        (offset_of!(QpAttr, cap), 36),
        (offset_of!(QpAttr, ah_attr), 56),
        (offset_of!(QpAttr, pkey_index), 120),
        (offset_of!(QpAttr, port_num), 129),
        (offset_of!(QpAttr, rnr_retry), 132),
        (size_of::<CqInitAttrEx>(), 56),
        (size_of::<AhAttr>(), 32),
        (size_of::<GlobalRoute>(), 24),
        (size_of::<PortAttr>(), 52),
        (size_of::<DeviceAttr>(), 232),
        (size_of::<DeviceAttrEx>(), 400),
        (size_of::<GidEntry>(), 32),
        (size_of::<EfaDeviceAttr>(), 32),
        (size_of::<EfaQpInitAttr>(), 24),
        (size_of::<EfaWqAttr>(), 40),
        (size_of::<EfaCqAttr>(), 32),
    ];
    for (line, (ours, header)) in cases.into_iter().enumerate() {
        assert_eq!(ours, header, "case {line}");
    }
}
