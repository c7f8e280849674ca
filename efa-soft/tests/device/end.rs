//! One end of a conversation: context, domain, queue, pair, and a registered buffer.

use std::ffi::{c_int, c_void};
use std::path::PathBuf;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use efa_soft::abi::{self, Ah, AhAttr, Context, CqEx, Gid, Mr, Pd, Qp, QpAttr, QpEx, Sge, Wc};
use efa_soft::control::{Control, Counter, Field};
use efa_soft::efadv;
use efa_soft::verbs::{completion_queue, context, memory, queue_pair};

/// How long a peer may be silent in these tests.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(1500);
/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);
const EVERYTHING: u32 =
    abi::ACCESS_LOCAL_WRITE | abi::ACCESS_REMOTE_READ | abi::ACCESS_REMOTE_WRITE;
/// The key of every queue pair here.
pub(crate) const QKEY: u32 = 0x1111_2222;

/// The devices of this process, by the test that uses them. Odd ones have another address.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Device {
    Plain = 0,
    Other = 1,
    Stress = 2,
    StressPeer = 3,
    Slow = 4,
    Dead = 6,
    Down = 8,
    Lossy = 9,
    NotReady = 10,
    NoOpen = 11,
    Locked = 12,
    /// Capabilities of the first generation.
    First = 13,
    Hostile = 14,
    Late = 15,
    Counted = 16,
    NoRnr = 17,
    Goodbye = 18,
    Flapping = 19,
}

/// The root of the tree of this process.
pub(crate) fn root() -> &'static PathBuf {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let above = std::env::temp_dir().join(format!("efa-soft-device-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&above);
        let root = above.join("sys");
        let ip: Vec<_> = (0..20)
            .map(|at| format!("127.0.0.{}", 1 + at % 2))
            .collect();
        let mut capabilities = vec!["read+write+rnr+sgid+unsolicited"; 20];
        capabilities[Device::First as usize] = "efa0";
        capabilities[Device::NoRnr as usize] = "none";
        let set = |name: &str, value: &str| {
            // SAFETY: before any device was listed; other threads of this process read the
            // environment only through std, which locks.
            unsafe { std::env::set_var(name, value) };
        };
        set("SYSFS_PATH", &root.display().to_string());
        set("SOFT_EFA_DEVICES", "20");
        set("SOFT_EFA_IP", &ip.join(","));
        set("SOFT_EFA_CAPS", &capabilities.join(","));
        set("SOFT_EFA_TIMEOUT_MS", &TIMEOUT.as_millis().to_string());
        root
    })
}

/// The list of devices.
pub(crate) fn devices() -> Vec<*mut abi::Device> {
    root();
    let mut count: c_int = 0;
    // SAFETY: a list of `count` devices, which live for ever, and is freed after it was copied.
    unsafe {
        let list = context::ibv_get_device_list(&raw mut count);
        let all = std::slice::from_raw_parts(list, count as usize).to_vec();
        context::ibv_free_device_list(list);
        all
    }
}

/// The name of a device.
pub(crate) fn name(device: Device) -> String {
    let at = device as usize;
    format!("rdmap{}s{}", 16 + 16 * (at / 4), 27 + at % 4)
}

/// Counters and faults of a device.
pub(crate) fn control(device: Device) -> Control {
    devices();
    Control::open(&root().join(".soft").join(name(device))).expect("the library made it")
}

/// A value of errno after a call that returned null.
pub(crate) fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// What a queue pair is made with.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) reliable: bool,
    pub(crate) unsolicited: bool,
    pub(crate) signal_all: bool,
    pub(crate) cap: abi::QpCap,
}

impl Default for Wish {
    fn default() -> Self {
        let cap = abi::QpCap {
            max_send_wr: 128,
            max_recv_wr: 256,
            max_send_sge: 2,
            max_recv_sge: 2,
            max_inline_data: 32,
        };
        Self {
            reliable: true,
            unsolicited: false,
            signal_all: false,
            cap,
        }
    }
}

/// One end. Everything is ended in order on drop.
pub(crate) struct End {
    pub(crate) context: *mut Context,
    pub(crate) pd: *mut Pd,
    pub(crate) cq: *mut CqEx,
    pub(crate) qp: *mut Qp,
    pub(crate) mr: *mut Mr,
    pub(crate) buffer: Vec<u8>,
    handles: Vec<*mut Ah>,
    pub(crate) channel: *mut abi::CompChannel,
}

// SAFETY: the interface may be called by any thread.
unsafe impl Send for End {}
// SAFETY: as above.
unsafe impl Sync for End {}

impl End {
    pub(crate) fn new(device: Device, bytes: usize) -> Self {
        Self::with(device, bytes, Wish::default())
    }

    pub(crate) fn with(device: Device, bytes: usize, wish: Wish) -> Self {
        let context = open(device);
        // SAFETY: every pointer is checked and was just made.
        unsafe {
            let pd = memory::ibv_alloc_pd(context);
            let channel = completion_queue::ibv_create_comp_channel(context);
            let cq = new_cq(context, channel);
            assert!(!cq.is_null(), "{}", errno());
            let qp = new_qp(context, pd, cq, wish);
            assert!(!qp.is_null(), "{}", errno());
            let mut buffer = vec![0_u8; bytes];
            let mr = memory::ibv_reg_mr(
                pd,
                buffer.as_mut_ptr().cast(),
                bytes,
                access_of(device) as c_int,
            );
            assert!(!mr.is_null(), "{}", errno());
            let end = Self {
                context,
                pd,
                cq,
                qp,
                mr,
                buffer,
                handles: Vec::new(),
                channel,
            };
            end.to_ready(7);
            end
        }
    }

    /// To "ready to send".
    pub(crate) fn to_ready(&self, rnr_retry: u8) {
        let mut attr = QpAttr {
            port_num: 1,
            qkey: QKEY,
            rnr_retry,
            ..QpAttr::default()
        };
        let first = abi::QP_STATE | abi::QP_PKEY_INDEX | abi::QP_PORT | abi::QP_QKEY;
        let retry = if rnr_retry == 7 { 0 } else { abi::QP_RNR_RETRY };
        let steps = [
            (abi::QPS_INIT, first),
            (abi::QPS_RTR, abi::QP_STATE),
            (abi::QPS_RTS, abi::QP_STATE | abi::QP_SQ_PSN | retry),
        ];
        for (state, mask) in steps {
            attr.qp_state = state;
            assert_eq!(self.modify(&attr, mask), 0, "to state {state}");
        }
    }

    pub(crate) fn modify(&self, attr: &QpAttr, mask: c_int) -> c_int {
        let mut attr = *attr;
        // SAFETY: a live pair.
        unsafe { queue_pair::ibv_modify_qp(self.qp, &raw mut attr, mask) }
    }

    pub(crate) fn number(&self) -> u32 {
        // SAFETY: a live pair.
        unsafe { (*self.qp).qp_num }
    }

    pub(crate) fn gid(&self) -> Gid {
        let mut gid = Gid::default();
        // SAFETY: a live context.
        let result = unsafe { context::ibv_query_gid(self.context, 1, 0, &raw mut gid) };
        assert_eq!(result, 0);
        gid
    }

    /// Makes an address handle.
    pub(crate) fn address(&mut self, gid: Gid) -> *mut Ah {
        let mut attr = AhAttr {
            is_global: 1,
            port_num: 1,
            ..AhAttr::default()
        };
        attr.grh.dgid = gid;
        // SAFETY: a live domain.
        let ah = unsafe { memory::ibv_create_ah(self.pd, &raw mut attr) };
        assert!(!ah.is_null(), "{}", errno());
        self.handles.push(ah);
        ah
    }

    pub(crate) fn keys(&self) -> (u32, u64) {
        // SAFETY: a live region.
        unsafe { ((*self.mr).rkey, self.buffer.as_ptr() as u64) }
    }

    /// A part of the buffer.
    pub(crate) fn part(&self, at: usize, len: usize) -> Sge {
        // SAFETY: a live region.
        let lkey = unsafe { (*self.mr).lkey };
        Sge {
            addr: self.buffer.as_ptr() as u64 + at as u64,
            length: len as u32,
            lkey,
        }
    }

    pub(crate) fn receive(&self, wr_id: u64, buffers: &[Sge]) -> c_int {
        let mut buffers = buffers.to_vec();
        let mut wr = abi::RecvWr {
            wr_id,
            next: null_mut(),
            sg_list: buffers.as_mut_ptr(),
            num_sge: buffers.len() as c_int,
        };
        let mut bad = null_mut();
        // SAFETY: a live pair, whose context has the function; one receive.
        unsafe {
            let post = (*self.context).ops.post_recv.expect("set");
            post(self.qp, &raw mut wr, &raw mut bad)
        }
    }

    /// Between `wr_start` and `wr_complete`.
    pub(crate) fn build(&self, flags: u32, act: impl FnOnce(*mut QpEx)) -> c_int {
        let ex = queue_pair::ibv_qp_to_qp_ex(self.qp);
        // SAFETY: a live pair, whose functions are set.
        unsafe {
            (*ex).wr_start.expect("set")(ex);
            (*ex).wr_flags = flags;
            act(ex);
            (*ex).wr_complete.expect("set")(ex)
        }
    }

    pub(crate) fn post(&self, wr_id: u64, what: What, to: To, buffers: &[Sge]) -> c_int {
        self.build(abi::SEND_SIGNALED, |ex| add(ex, wr_id, what, to, buffers))
    }

    /// Sends with `ibv_post_send`.
    pub(crate) fn post_old(
        &self,
        wr_id: u64,
        flags: u32,
        opcode: u32,
        to: To,
        buffers: &[Sge],
    ) -> c_int {
        let mut buffers = buffers.to_vec();
        let mut wr = abi::SendWr {
            wr_id,
            next: null_mut(),
            sg_list: buffers.as_mut_ptr(),
            num_sge: buffers.len() as c_int,
            opcode,
            send_flags: flags,
            imm_data: 77_u32.to_be(),
            ah: to.0,
            remote_qpn: to.1,
            remote_qkey: to.2,
            rest: [0; 9],
        };
        let mut bad = null_mut();
        // SAFETY: a live pair, whose context has the function; one request.
        unsafe {
            let post = (*self.context).ops.post_send.expect("set");
            post(self.qp, &raw mut wr, &raw mut bad)
        }
    }

    /// Takes completions that are there.
    pub(crate) fn poll(&self) -> Vec<Wc> {
        let mut found = [Wc::default(); 16];
        // SAFETY: a live queue, whose context has the function; room for 16.
        let count = unsafe {
            let poll = (*self.context).ops.poll_cq.expect("set");
            poll(self.cq.cast(), 16, found.as_mut_ptr())
        };
        found[..count as usize].to_vec()
    }

    /// Waits for `count` completions of this end, while the others progress by their threads.
    pub(crate) fn wait(&self, count: usize) -> Vec<Wc> {
        let began = Instant::now();
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(self.poll());
            assert!(
                began.elapsed() < PATIENCE,
                "{} of {count} completions: {all:?}",
                all.len()
            );
        }
        all
    }

    /// The status of the one completion that comes.
    pub(crate) fn outcome(&self) -> u32 {
        self.wait(1)[0].vendor_err
    }

    /// The address of a queue pair of another end.
    pub(crate) fn to(&mut self, other: &Self) -> To {
        (self.address(other.gid()), other.number(), QKEY)
    }

    pub(crate) fn destroy_pair(&mut self) {
        // SAFETY: a live pair, not used again.
        unsafe { assert_eq!(queue_pair::ibv_destroy_qp(self.qp), 0) };
        self.qp = null_mut();
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if !self.qp.is_null() {
            self.destroy_pair();
        }
        // SAFETY: live objects, not used again, in the order that none is busy.
        unsafe {
            for ah in self.handles.drain(..) {
                assert_eq!(memory::ibv_destroy_ah(ah), 0);
            }
            assert_eq!(memory::ibv_dereg_mr(self.mr), 0);
            assert_eq!(completion_queue::ibv_destroy_cq(self.cq.cast()), 0);
            assert_eq!(completion_queue::ibv_destroy_comp_channel(self.channel), 0);
            assert_eq!(memory::ibv_dealloc_pd(self.pd), 0);
            assert_eq!(context::ibv_close_device(self.context), 0);
        }
    }
}

/// Handle, number, key.
pub(crate) type To = (*mut Ah, u32, u32);

/// An address that another thread may use.
#[derive(Clone, Copy)]
pub(crate) struct Elsewhere(pub(crate) To);

// SAFETY: the interface may be called by any thread.
unsafe impl Send for Elsewhere {}

/// What a request asks for; remote key and address.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Send,
    SendImmediate(u32),
    Read((u32, u64)),
    Write((u32, u64)),
    WriteImmediate((u32, u64), u32),
}

/// Adds a request between start and complete.
pub(crate) fn add(ex: *mut QpEx, wr_id: u64, what: What, to: To, buffers: &[Sge]) {
    // SAFETY: a live pair between start and complete, whose functions are set.
    unsafe {
        (*ex).wr_id = wr_id;
        match what {
            What::Send => (*ex).wr_send.expect("set")(ex),
            What::SendImmediate(data) => (*ex).wr_send_imm.expect("set")(ex, data),
            What::Read((key, at)) => (*ex).wr_rdma_read.expect("set")(ex, key, at),
            What::Write((key, at)) => (*ex).wr_rdma_write.expect("set")(ex, key, at),
            What::WriteImmediate((key, at), data) => {
                (*ex).wr_rdma_write_imm.expect("set")(ex, key, at, data);
            }
        }
        (*ex).wr_set_sge_list.expect("set")(ex, buffers.len(), buffers.as_ptr());
        (*ex).wr_set_ud_addr.expect("set")(ex, to.0, to.1, to.2);
    }
}

fn access_of(device: Device) -> u32 {
    match device {
        Device::First | Device::NoRnr => abi::ACCESS_LOCAL_WRITE,
        _ => EVERYTHING,
    }
}

pub(crate) fn open(device: Device) -> *mut Context {
    // SAFETY: a device of the list.
    let context = unsafe { context::ibv_open_device(devices()[device as usize]) };
    assert!(!context.is_null(), "{}", errno());
    context
}

pub(crate) fn new_cq(context: *mut Context, channel: *mut abi::CompChannel) -> *mut CqEx {
    let mut attr = abi::CqInitAttrEx {
        cqe: 1024,
        cq_context: 0x77 as *mut c_void,
        channel,
        comp_vector: 0,
        wc_flags: abi::WC_STANDARD_FLAGS,
        comp_mask: 0,
        flags: 0,
        parent_domain: null_mut(),
    };
    let mut efa = abi::EfaCqInitAttr::default();
    // SAFETY: a live context; both structs live through the call.
    unsafe { efadv::efadv_create_cq(context, &raw mut attr, &raw mut efa, 24) }
}

pub(crate) fn new_qp(context: *mut Context, pd: *mut Pd, cq: *mut CqEx, wish: Wish) -> *mut Qp {
    let mut attr = qp_attr(pd, cq, wish);
    let mut efa = abi::EfaQpInitAttr {
        flags: u16::from(wish.unsolicited),
        ..abi::EfaQpInitAttr::default()
    };
    // SAFETY: a live context; both structs live through the call.
    unsafe { efadv::efadv_create_qp_ex(context, &raw mut attr, &raw mut efa, 24) }
}

pub(crate) fn qp_attr(pd: *mut Pd, cq: *mut CqEx, wish: Wish) -> abi::QpInitAttrEx {
    abi::QpInitAttrEx {
        qp_context: null_mut(),
        send_cq: cq.cast(),
        recv_cq: cq.cast(),
        srq: null_mut(),
        cap: wish.cap,
        qp_type: if wish.reliable {
            abi::QPT_DRIVER
        } else {
            abi::QPT_UD
        },
        sq_sig_all: c_int::from(wish.signal_all),
        comp_mask: abi::INIT_ATTR_PD,
        pd,
        xrcd: null_mut(),
        create_flags: 0,
        max_tso_header: 0,
        rwq_ind_tbl: null_mut(),
        rx_hash_conf: [0; 3],
        source_qpn: 0,
        send_ops_flags: 0,
    }
}

/// Two ends that know each other.
pub(crate) fn two(a: Device, b: Device, bytes: usize) -> (End, To, End, To) {
    let (mut left, mut right) = (End::new(a, bytes), End::new(b, bytes));
    let to_right = left.to(&right);
    let to_left = right.to(&left);
    (left, to_right, right, to_left)
}

/// Bytes that state where they belong.
pub(crate) fn pattern(seed: usize, len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (seed.wrapping_mul(31) ^ at ^ at >> 8) as u8)
        .collect()
}

/// A counter of a device.
pub(crate) fn counter(device: Device, counter: Counter) -> u64 {
    control(device).counter(counter)
}

/// Sets a fault until the value is dropped.
pub(crate) struct Fault {
    control: Control,
    field: Field,
}

impl Fault {
    pub(crate) fn set(device: Device, field: Field, bits: u64) -> Self {
        let control = control(device);
        control.set(field, bits);
        Self { control, field }
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        self.control.set(self.field, 0);
    }
}
