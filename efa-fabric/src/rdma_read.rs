//! Whether EFA devices can read remote memory: asked of the device as libfabric does, through
//! rdma-core's `libefa.so.1`.
//!
//! It matters where `FI_EFA_USE_DEVICE_RDMA` demands it: the efa provider calls `abort()` when an
//! endpoint is opened on a device without it (libfabric v2.6.0,
//! `prov/efa/src/rdm/efa_rdm_util.c`), long after discovery. Neither sysfs nor `fi_info` states it.

use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;

use efa_core::Catalog;
use efa_core::catalog::Lookup;
use efa_core::types::RdmaSupport;
use libloading::os::unix::{Library as Dl, RTLD_LOCAL, RTLD_NOW};

use crate::environment::{device_rdma_killer, wants_device_rdma};
use crate::error::Result;
use crate::node::NodeRoot;
use crate::signals;

/// `EFADV_DEVICE_ATTR_CAPS_RDMA_READ` of rdma-core's `efadv.h`.
const CAPS_RDMA_READ: u32 = 1;

/// `struct efadv_device_attr` of rdma-core's `providers/efa/efadv.h`: fields are only appended, and
/// the library writes no more than the length that it is given.
#[repr(C)]
#[derive(Default)]
struct DeviceAttributes {
    comp_mask: u64,
    max_sq_wr: u32,
    max_rq_wr: u32,
    max_sq_sge: u16,
    max_rq_sge: u16,
    inline_buf_size: u16,
    reserved: [u8; 2],
    device_caps: u32,
    max_rdma_size: u32,
}

type GetDeviceList = unsafe extern "C" fn(*mut c_int) -> *mut *mut c_void;
type FreeDeviceList = unsafe extern "C" fn(*mut *mut c_void);
type OpenDevice = unsafe extern "C" fn(*mut c_void) -> *mut c_void;
type CloseDevice = unsafe extern "C" fn(*mut c_void) -> c_int;
type QueryDevice = unsafe extern "C" fn(*mut c_void, *mut DeviceAttributes, u32) -> c_int;

/// Fails with `fabric.killer_environment` if this process's environment demands RDMA read and its
/// EFA devices are known not to have it.
pub(crate) fn refuse_device_rdma() -> Result<()> {
    if !wants_device_rdma(&|name| std::env::var_os(name)) {
        return Ok(());
    }
    match of_devices() {
        Some(true) => Ok(()),
        Some(false) => Err(device_rdma_killer("the device reports it")),
        None => by_type(),
    }
}

/// The same by the instance type of this machine.
fn by_type() -> Result<()> {
    let Some(name) = NodeRoot::new("/").instance_type() else {
        return Ok(());
    };
    match Catalog::bundled().look_up(&name) {
        Lookup::Efa(row) if row.rdma_read == RdmaSupport::No => {
            Err(device_rdma_killer(&format!("by the instance type {name}")))
        }
        _ => Ok(()),
    }
}

/// What the first EFA device reports that opens; `None` where there is none, or no rdma-core.
pub(crate) fn of_devices() -> Option<bool> {
    let verbs = open_library("libibverbs.so.1")?;
    let efa = open_library("libefa.so.1")?;
    // SAFETY: the types are those that verbs.h and efadv.h declare; the libraries are never
    // unloaded.
    let (list, free, open, close, query) = unsafe {
        (
            *verbs.get::<GetDeviceList>(b"ibv_get_device_list").ok()?,
            *verbs.get::<FreeDeviceList>(b"ibv_free_device_list").ok()?,
            *verbs.get::<OpenDevice>(b"ibv_open_device").ok()?,
            *verbs.get::<CloseDevice>(b"ibv_close_device").ok()?,
            *efa.get::<QueryDevice>(b"efadv_query_device").ok()?,
        )
    };
    let mut count: c_int = 0;
    // SAFETY: the count takes the number of entries; null means none.
    let devices = unsafe { list(&raw mut count) };
    if devices.is_null() {
        return None;
    }
    let mut said = None;
    for at in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: the list has this many entries, and is freed only after this loop.
        let context = unsafe { open(*devices.add(at)) };
        if context.is_null() {
            continue;
        }
        let mut attributes = DeviceAttributes::default();
        // SAFETY: an open context; the library writes at most the length that is given, and
        // refuses devices that are not EFA with an error number.
        let result = unsafe {
            query(
                context,
                &raw mut attributes,
                size_of::<DeviceAttributes>() as u32,
            )
        };
        // SAFETY: opened above, and used no more.
        unsafe { close(context) };
        if result == 0 {
            said = Some(attributes.device_caps & CAPS_RDMA_READ != 0);
            break;
        }
    }
    // SAFETY: the list came from the same library, and nothing of it is used after this.
    unsafe { free(devices) };
    said
}

fn open_library(name: &str) -> Option<ManuallyDrop<Dl>> {
    // SAFETY: loading runs constructors; rdma-core's only set up its own state. libfabric's efa
    // provider loads the same files.
    let opened = signals::kept(|| unsafe { Dl::open(Some(name), RTLD_NOW | RTLD_LOCAL) });
    opened.ok().map(ManuallyDrop::new)
}

const _: () = assert!(size_of::<DeviceAttributes>() == 32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_devices_nothing_is_said() {
        let node = crate::node::Node::read(&NodeRoot::new("/"));
        if node.efa_devices.is_empty() {
            assert_eq!(of_devices(), None);
        }
    }
}
