//! GPU memory: the driver, loaded at run time, and a refusal that states what is missing where
//! anything is. Nothing here falls back to host memory.

mod driver;
mod ffi;
#[forbid(unsafe_code)]
mod missing;

pub(crate) use driver::{Gpu, GpuBuffer};
pub(crate) use missing::{DmaBuf, Missing, missing};
