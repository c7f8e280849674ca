//! The C types of libfabric that this crate uses: values only, no calls.
//!
//! Layouts are facts of `rdma/*.h` from API 1.9 to 2.6; fields that a later API appended are
//! listed with the version that brought them. Nothing here is ever allocated by us and handed
//! to the library as an `fi_info` or an attribute inside it: those come from the library's own
//! `fi_dupinfo(NULL)`. The tests in `ffi/layout.rs` compare every size and offset with a table
//! and with the C headers of the machine.

use std::ffi::{c_char, c_int, c_void};

#[cfg(test)]
mod layout;
mod op;
pub(crate) use op::checked_op;

/// The API version that the types below describe.
pub(crate) const HEADER_VERSION: u32 = fi_version(2, 6);
/// The oldest library that is used: the entry points have had their present form since then.
pub(crate) const MINIMUM_VERSION: u32 = fi_version(1, 9);

pub(crate) const fn fi_version(major: u32, minor: u32) -> u32 {
    (major << 16) | minor
}

// Capabilities, operation flags and modes (fabric.h).
pub(crate) const FI_MSG: u64 = 1 << 1;
pub(crate) const FI_RMA: u64 = 1 << 2;
pub(crate) const FI_TAGGED: u64 = 1 << 3;
pub(crate) const FI_ATOMIC: u64 = 1 << 4;
pub(crate) const FI_MULTICAST: u64 = 1 << 5;
pub(crate) const FI_COLLECTIVE: u64 = 1 << 6;
pub(crate) const FI_READ: u64 = 1 << 8;
pub(crate) const FI_WRITE: u64 = 1 << 9;
pub(crate) const FI_RECV: u64 = 1 << 10;
pub(crate) const FI_SEND: u64 = 1 << 11;
pub(crate) const FI_TRANSMIT: u64 = FI_SEND;
pub(crate) const FI_REMOTE_READ: u64 = 1 << 12;
pub(crate) const FI_REMOTE_WRITE: u64 = 1 << 13;
pub(crate) const FI_MULTI_RECV: u64 = 1 << 16;
pub(crate) const FI_REMOTE_CQ_DATA: u64 = 1 << 17;
pub(crate) const FI_DELIVERY_COMPLETE: u64 = 1 << 28;
pub(crate) const FI_HMEM: u64 = 1 << 47;
pub(crate) const FI_LOCAL_COMM: u64 = 1 << 51;
pub(crate) const FI_REMOTE_COMM: u64 = 1 << 52;
pub(crate) const FI_RMA_EVENT: u64 = 1 << 56;
pub(crate) const FI_SOURCE: u64 = 1 << 57;
pub(crate) const FI_DIRECTED_RECV: u64 = 1 << 59;
/// A flag of `fi_getinfo`: only the names of providers.
pub(crate) const FI_PROV_ATTR_ONLY: u64 = 1 << 54;
pub(crate) const FI_MODE_MSG_PREFIX: u64 = 1 << 58;
pub(crate) const FI_MODE_ASYNC_IOV: u64 = 1 << 57;
pub(crate) const FI_MODE_RX_CQ_DATA: u64 = 1 << 56;
pub(crate) const FI_MODE_CONTEXT: u64 = 1 << 59;
pub(crate) const FI_MODE_CONTEXT2: u64 = 1 << 52;

// Memory registration modes (fabric.h).
pub(crate) const FI_MR_LOCAL: c_int = 1 << 2;
pub(crate) const FI_MR_RAW: c_int = 1 << 3;
pub(crate) const FI_MR_VIRT_ADDR: c_int = 1 << 4;
pub(crate) const FI_MR_ALLOCATED: c_int = 1 << 5;
pub(crate) const FI_MR_PROV_KEY: c_int = 1 << 6;
pub(crate) const FI_MR_MMU_NOTIFY: c_int = 1 << 7;
pub(crate) const FI_MR_RMA_EVENT: c_int = 1 << 8;
pub(crate) const FI_MR_ENDPOINT: c_int = 1 << 9;
pub(crate) const FI_MR_HMEM: c_int = 1 << 10;
pub(crate) const FI_MR_COLLECTIVE: c_int = 1 << 11;

// Enumerations, kept as the integers that C passes.
pub(crate) const FI_EP_RDM: c_int = 3;
pub(crate) const FI_AV_TABLE: c_int = 2;
pub(crate) const FI_THREAD_DOMAIN: c_int = 3;
pub(crate) const FI_CQ_FORMAT_DATA: c_int = 3;
pub(crate) const FI_WAIT_NONE: c_int = 0;
pub(crate) const FI_WAIT_FD: c_int = 3;
pub(crate) const FI_BUS_PCI: c_int = 1;
/// `FI_GETWAIT` of the control commands: what a queue is waited on with.
pub(crate) const FI_GETWAIT: c_int = 5;
/// `FI_ENABLE` of the control commands.
pub(crate) const FI_ENABLE: c_int = 6;

/// `FI_HMEM_CUDA` of the interfaces to device memory (fi_domain.h).
pub(crate) const FI_HMEM_CUDA: c_int = 1;
/// A flag of registration: the attribute has a DMA-BUF in place of its vector. Since API 1.20.
pub(crate) const FI_MR_DMABUF: u64 = 1 << 40;
/// `FI_HMEM_P2P_REQUIRED`: no copies through host memory (fi_endpoint.h).
pub(crate) const FI_HMEM_P2P_REQUIRED: c_int = 1;

// Endpoint options (fi_endpoint.h); the numbers are missing from headers older than noted.
pub(crate) const FI_OPT_ENDPOINT: c_int = 0;
pub(crate) const FI_OPT_FI_HMEM_P2P: c_int = 8;
/// Since API 1.18.
pub(crate) const FI_OPT_CUDA_API_PERMITTED: c_int = 10;
/// Since API 1.21.
pub(crate) const FI_OPT_SHARED_MEMORY_PERMITTED: c_int = 11;
/// Since API 1.22, as the inject sizes.
pub(crate) const FI_OPT_MAX_MSG_SIZE: c_int = 12;
pub(crate) const FI_OPT_MAX_TAGGED_SIZE: c_int = 13;
pub(crate) const FI_OPT_MAX_RMA_SIZE: c_int = 14;
pub(crate) const FI_OPT_INJECT_MSG_SIZE: c_int = 16;
pub(crate) const FI_OPT_INJECT_TAGGED_SIZE: c_int = 17;
// The efa provider's own (fi_ext.h), counted from -(0xefa << 16).
/// Since API 1.15.
pub(crate) const FI_OPT_EFA_RNR_RETRY: c_int = -(0xefa << 16);
/// Since API 1.18.
pub(crate) const FI_OPT_EFA_EMULATED_WRITE: c_int = FI_OPT_EFA_RNR_RETRY + 2;
/// Since API 2.2.
pub(crate) const FI_OPT_EFA_HOMOGENEOUS_PEERS: c_int = FI_OPT_EFA_RNR_RETRY + 7;

/// `FI_ADDR_UNSPEC` and `FI_ADDR_NOTAVAIL`.
pub(crate) const FI_ADDR_NOTAVAIL: u64 = u64::MAX;

// libfabric's own error numbers (fi_errno.h); the others are those of the C library.
pub(crate) const FI_ETOOSMALL: c_int = 257;
pub(crate) const FI_EAVAIL: c_int = 259;
pub(crate) const FI_ENOSYS: c_int = libc::ENOSYS;

macro_rules! c_structs {
    ($($(#[$doc:meta])* $name:ident = $c_name:literal {
        $($field:ident $(as $c_field:literal)? : $ty:ty $(, since $since:expr)?;)*
    })+) => {
        $(
            $(#[$doc])*
            #[repr(C)]
            pub(crate) struct $name { $(pub(crate) $field: $ty,)* }
        )+

        /// Every struct with its size, and every field with its offset and first API version.
        #[cfg(test)]
        pub(crate) fn declared() -> Vec<layout::Struct> {
            vec![$(layout::Struct {
                c_name: $c_name,
                size: size_of::<$name>(),
                fields: vec![$(layout::Field {
                    c_name: {
                        #[allow(unused_mut, unused_assignments)]
                        let mut field = stringify!($field);
                        $(field = $c_field;)?
                        field
                    },
                    offset: std::mem::offset_of!($name, $field),
                    since: {
                        #[allow(unused_mut, unused_assignments)]
                        let mut since = MINIMUM_VERSION;
                        $(since = $since;)?
                        since
                    },
                },)*],
            },)+]
        }
    };
}

/// An entry of an ops table that this crate never calls.
pub(crate) type Unused = Option<unsafe extern "C" fn()>;

c_structs! {
    FiInfo = "fi_info" {
        next: *mut FiInfo;
        caps: u64;
        mode: u64;
        addr_format: u32;
        src_addrlen: usize;
        dest_addrlen: usize;
        src_addr: *mut c_void;
        dest_addr: *mut c_void;
        handle: *mut Fid;
        tx_attr: *mut FiTxAttr;
        rx_attr: *mut FiRxAttr;
        ep_attr: *mut FiEpAttr;
        domain_attr: *mut FiDomainAttr;
        fabric_attr: *mut FiFabricAttr;
        nic: *mut FidNic;
    }
    FiTxAttr = "fi_tx_attr" {
        caps: u64;
        mode: u64;
        op_flags: u64;
        msg_order: u64;
        comp_order: u64;
        inject_size: usize;
        size: usize;
        iov_limit: usize;
        rma_iov_limit: usize;
        tclass: u32;
    }
    FiRxAttr = "fi_rx_attr" {
        caps: u64;
        mode: u64;
        op_flags: u64;
        msg_order: u64;
        comp_order: u64;
        total_buffered_recv: usize;
        size: usize;
        iov_limit: usize;
    }
    FiEpAttr = "fi_ep_attr" {
        ep_type as "type": c_int;
        protocol: u32;
        protocol_version: u32;
        max_msg_size: usize;
        msg_prefix_size: usize;
        max_order_raw_size: usize;
        max_order_war_size: usize;
        max_order_waw_size: usize;
        mem_tag_format: u64;
        tx_ctx_cnt: usize;
        rx_ctx_cnt: usize;
        auth_key_size: usize;
        auth_key: *mut u8;
    }
    FiDomainAttr = "fi_domain_attr" {
        domain: *mut FidDomain;
        name: *mut c_char;
        threading: c_int;
        control_progress: c_int;
        data_progress: c_int;
        resource_mgmt: c_int;
        av_type: c_int;
        mr_mode: c_int;
        mr_key_size: usize;
        cq_data_size: usize;
        cq_cnt: usize;
        ep_cnt: usize;
        tx_ctx_cnt: usize;
        rx_ctx_cnt: usize;
        max_ep_tx_ctx: usize;
        max_ep_rx_ctx: usize;
        max_ep_stx_ctx: usize;
        max_ep_srx_ctx: usize;
        cntr_cnt: usize;
        mr_iov_limit: usize;
        caps: u64;
        mode: u64;
        auth_key: *mut u8;
        auth_key_size: usize;
        max_err_data: usize;
        mr_cnt: usize;
        tclass: u32;
        max_ep_auth_key: usize, since fi_version(1, 20);
        max_group_id: u32, since fi_version(2, 0);
        max_cntr_value: u64, since fi_version(2, 5);
        max_err_cntr_value: u64, since fi_version(2, 5);
    }
    FiFabricAttr = "fi_fabric_attr" {
        fabric: *mut FidFabric;
        name: *mut c_char;
        prov_name: *mut c_char;
        prov_version: u32;
        api_version: u32;
    }
    FiDeviceAttr = "fi_device_attr" {
        name: *mut c_char;
        device_id: *mut c_char;
        device_version: *mut c_char;
        vendor_id: *mut c_char;
        driver: *mut c_char;
        firmware: *mut c_char;
    }
    FiPciAttr = "fi_pci_attr" {
        domain_id: u16;
        bus_id: u8;
        device_id: u8;
        function_id: u8;
    }
    /// The union that C has here has one member.
    FiBusAttr = "fi_bus_attr" {
        bus_type: c_int;
        pci as "attr.pci": FiPciAttr;
    }
    FiLinkAttr = "fi_link_attr" {
        address: *mut c_char;
        mtu: usize;
        speed: usize;
        state: c_int;
        network_type: *mut c_char;
    }
    FiOps = "fi_ops" {
        size: usize;
        close: Option<unsafe extern "C" fn(*mut Fid) -> c_int>;
        bind: Option<unsafe extern "C" fn(*mut Fid, *mut Fid, u64) -> c_int>;
        control: Option<unsafe extern "C" fn(*mut Fid, c_int, *mut c_void) -> c_int>;
    }
    Fid = "fid" {
        fclass: usize;
        context: *mut c_void;
        ops: *mut FiOps;
    }
    FidNic = "fid_nic" {
        fid: Fid;
        device_attr: *mut FiDeviceAttr;
        bus_attr: *mut FiBusAttr;
        link_attr: *mut FiLinkAttr;
        prov_attr: *mut c_void;
    }
    FiOpsFabric = "fi_ops_fabric" {
        size: usize;
        domain: Option<unsafe extern "C" fn(*mut FidFabric, *mut FiInfo, *mut *mut FidDomain, *mut c_void) -> c_int>;
        passive_ep: Unused;
        eq_open: Option<unsafe extern "C" fn(*mut FidFabric, *mut FiEqAttr, *mut *mut FidEq, *mut c_void) -> c_int>;
        wait_open: Unused;
        trywait: Option<unsafe extern "C" fn(*mut FidFabric, *mut *mut Fid, c_int) -> c_int>;
    }
    FidFabric = "fid_fabric" {
        fid: Fid;
        ops: *mut FiOpsFabric;
        api_version: u32;
    }
    FiOpsDomain = "fi_ops_domain" {
        size: usize;
        av_open: Option<unsafe extern "C" fn(*mut FidDomain, *mut FiAvAttr, *mut *mut FidAv, *mut c_void) -> c_int>;
        cq_open: Option<unsafe extern "C" fn(*mut FidDomain, *mut FiCqAttr, *mut *mut FidCq, *mut c_void) -> c_int>;
        endpoint: Option<unsafe extern "C" fn(*mut FidDomain, *mut FiInfo, *mut *mut FidEp, *mut c_void) -> c_int>;
    }
    FiOpsMr = "fi_ops_mr" {
        size: usize;
        reg: Unused;
        regv: Unused;
        regattr: Option<unsafe extern "C" fn(*mut Fid, *const FiMrAttr, u64, *mut *mut FidMr) -> c_int>;
    }
    FidDomain = "fid_domain" {
        fid: Fid;
        ops: *mut FiOpsDomain;
        mr: *mut FiOpsMr;
    }
    FiEqAttr = "fi_eq_attr" {
        size: usize;
        flags: u64;
        wait_obj: c_int;
        signaling_vector: c_int;
        wait_set: *mut c_void;
    }
    FiEqErrEntry = "fi_eq_err_entry" {
        fid: *mut Fid;
        context: *mut c_void;
        data: u64;
        err: c_int;
        prov_errno: c_int;
        err_data: *mut c_void;
        err_data_size: usize;
    }
    FiOpsEq = "fi_ops_eq" {
        size: usize;
        read: Option<unsafe extern "C" fn(*mut FidEq, *mut u32, *mut c_void, usize, u64) -> isize>;
        readerr: Option<unsafe extern "C" fn(*mut FidEq, *mut FiEqErrEntry, u64) -> isize>;
        write: Unused;
        sread: Unused;
        strerror: Option<unsafe extern "C" fn(*mut FidEq, c_int, *const c_void, *mut c_char, usize) -> *const c_char>;
    }
    FidEq = "fid_eq" {
        fid: Fid;
        ops: *mut FiOpsEq;
    }
    FiCqAttr = "fi_cq_attr" {
        size: usize;
        flags: u64;
        format: c_int;
        wait_obj: c_int;
        signaling_vector: c_int;
        wait_cond: c_int;
        wait_set: *mut c_void;
    }
    FiCqDataEntry = "fi_cq_data_entry" {
        op_context: *mut c_void;
        flags: u64;
        len: usize;
        buf: *mut c_void;
        data: u64;
    }
    FiCqErrEntry = "fi_cq_err_entry" {
        op_context: *mut c_void;
        flags: u64;
        len: usize;
        buf: *mut c_void;
        data: u64;
        tag: u64;
        olen: usize;
        err: c_int;
        prov_errno: c_int;
        err_data: *mut c_void;
        err_data_size: usize;
        src_addr: u64, since fi_version(1, 20);
    }
    FiOpsCq = "fi_ops_cq" {
        size: usize;
        read: Option<unsafe extern "C" fn(*mut FidCq, *mut c_void, usize) -> isize>;
        readfrom: Unused;
        readerr: Option<unsafe extern "C" fn(*mut FidCq, *mut FiCqErrEntry, u64) -> isize>;
        sread: Unused;
        sreadfrom: Unused;
        signal: Unused;
        strerror: Option<unsafe extern "C" fn(*mut FidCq, c_int, *const c_void, *mut c_char, usize) -> *const c_char>;
    }
    FidCq = "fid_cq" {
        fid: Fid;
        ops: *mut FiOpsCq;
    }
    FiAvAttr = "fi_av_attr" {
        av_type as "type": c_int;
        rx_ctx_bits: c_int;
        count: usize;
        ep_per_node: usize;
        name: *const c_char;
        map_addr: *mut c_void;
        flags: u64;
    }
    FiOpsAv = "fi_ops_av" {
        size: usize;
        insert: Option<unsafe extern "C" fn(*mut FidAv, *const c_void, usize, *mut u64, u64, *mut c_void) -> c_int>;
    }
    FidAv = "fid_av" {
        fid: Fid;
        ops: *mut FiOpsAv;
    }
    /// The device id is a union of integers in C, and so is the vector with a pointer to a
    /// [`FiMrDmabuf`], under the flag that states this.
    FiMrAttr = "fi_mr_attr" {
        mr_iov: *const libc::iovec;
        iov_count: usize;
        access: u64;
        offset: u64;
        requested_key: u64;
        context: *mut c_void;
        auth_key_size: usize;
        auth_key: *mut u8;
        iface: c_int;
        device: u64;
        hmem_data: *mut c_void, since fi_version(1, 19);
        page_size: usize, since fi_version(1, 22);
        base_mr: *const FidMr, since fi_version(2, 0);
        sub_mr_cnt: usize, since fi_version(2, 0);
    }
    /// Since API 1.20 as a whole.
    FiMrDmabuf = "fi_mr_dmabuf" {
        fd: c_int, since fi_version(1, 20);
        offset: u64, since fi_version(1, 20);
        len: usize, since fi_version(1, 20);
        base_addr: *mut c_void, since fi_version(1, 20);
    }
    FidMr = "fid_mr" {
        fid: Fid;
        mem_desc: *mut c_void;
        key: u64;
    }
    FiOpsEp = "fi_ops_ep" {
        size: usize;
        cancel: Unused;
        getopt: Option<unsafe extern "C" fn(*mut Fid, c_int, c_int, *mut c_void, *mut usize) -> c_int>;
        setopt: Option<unsafe extern "C" fn(*mut Fid, c_int, c_int, *const c_void, usize) -> c_int>;
    }
    FiOpsCm = "fi_ops_cm" {
        size: usize;
        setname: Unused;
        getname: Option<unsafe extern "C" fn(*mut Fid, *mut c_void, *mut usize) -> c_int>;
    }
    FiOpsMsg = "fi_ops_msg" {
        size: usize;
        recv: Option<RecvFn>;
        recvv: Unused;
        recvmsg: Unused;
        send: Option<SendFn>;
        sendv: Unused;
        sendmsg: Unused;
        inject: Option<InjectFn>;
    }
    FiOpsRma = "fi_ops_rma" {
        size: usize;
        read: Option<ReadFn>;
        readv: Unused;
        readmsg: Unused;
        write: Option<WriteFn>;
        writev: Unused;
        writemsg: Unused;
        inject: Unused;
        writedata: Option<WriteDataFn>;
    }
    FiOpsTagged = "fi_ops_tagged" {
        size: usize;
        recv: Option<TaggedRecvFn>;
        recvv: Unused;
        recvmsg: Unused;
        send: Option<TaggedSendFn>;
        sendv: Unused;
        sendmsg: Unused;
        inject: Option<TaggedInjectFn>;
    }
    /// C's struct goes on with tables that this crate does not use.
    FidEp = "fid_ep" {
        fid: Fid;
        ops: *mut FiOpsEp;
        cm: *mut FiOpsCm;
        msg: *mut FiOpsMsg;
        rma: *mut FiOpsRma;
        tagged: *mut FiOpsTagged;
    }
    FiContext2 = "fi_context2" {
        internal: [*mut c_void; 8];
    }
}

pub(crate) type RecvFn =
    unsafe extern "C" fn(*mut FidEp, *mut c_void, usize, *mut c_void, u64, *mut c_void) -> isize;
pub(crate) type SendFn =
    unsafe extern "C" fn(*mut FidEp, *const c_void, usize, *mut c_void, u64, *mut c_void) -> isize;
pub(crate) type InjectFn = unsafe extern "C" fn(*mut FidEp, *const c_void, usize, u64) -> isize;
/// Endpoint, buffer, length, descriptor, source, tag, ignored bits, context.
pub(crate) type TaggedRecvFn = unsafe extern "C" fn(
    *mut FidEp,
    *mut c_void,
    usize,
    *mut c_void,
    u64,
    u64,
    u64,
    *mut c_void,
) -> isize;
/// Endpoint, buffer, length, descriptor, destination, tag, context.
pub(crate) type TaggedSendFn = unsafe extern "C" fn(
    *mut FidEp,
    *const c_void,
    usize,
    *mut c_void,
    u64,
    u64,
    *mut c_void,
) -> isize;
/// Endpoint, buffer, length, destination, tag.
pub(crate) type TaggedInjectFn =
    unsafe extern "C" fn(*mut FidEp, *const c_void, usize, u64, u64) -> isize;
/// Endpoint, buffer, length, descriptor, source, remote address, remote key, context.
pub(crate) type ReadFn = unsafe extern "C" fn(
    *mut FidEp,
    *mut c_void,
    usize,
    *mut c_void,
    u64,
    u64,
    u64,
    *mut c_void,
) -> isize;
/// Endpoint, buffer, length, descriptor, destination, remote address, remote key, context.
pub(crate) type WriteFn = unsafe extern "C" fn(
    *mut FidEp,
    *const c_void,
    usize,
    *mut c_void,
    u64,
    u64,
    u64,
    *mut c_void,
) -> isize;
/// As [`WriteFn`], with the immediate data before the destination.
pub(crate) type WriteDataFn = unsafe extern "C" fn(
    *mut FidEp,
    *const c_void,
    usize,
    *mut c_void,
    u64,
    u64,
    u64,
    u64,
    *mut c_void,
) -> isize;
pub(crate) type CqReadFn = unsafe extern "C" fn(*mut FidCq, *mut c_void, usize) -> isize;

/// A struct without a size field of its own, followed by zeros: a library whose struct is
/// longer than this one reads zeros, or writes into the padding.
#[repr(C)]
pub(crate) struct Padded<T> {
    pub(crate) value: T,
    padding: [u64; 16],
}

impl<T> Padded<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            value,
            padding: [0; 16],
        }
    }
}

/// One of C's objects: each begins with a `struct fid`.
///
/// # Safety
/// The type is `repr(C)` and its first field is a [`Fid`].
pub(crate) unsafe trait Object {}

macro_rules! objects {
    ($($name:ident)+) => { $(
        const _: () = assert!(std::mem::offset_of!($name, fid) == 0);
        // SAFETY: repr(C) by `c_structs!`, and `fid` lies at offset 0 by the assertion above.
        unsafe impl Object for $name {}
    )+ };
}

objects! { FidFabric FidDomain FidEq FidCq FidAv FidMr FidEp }
