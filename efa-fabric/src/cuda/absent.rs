//! What there is of GPUs without the feature `cuda`: a refusal. No value of these types exists.

use std::ffi::c_void;
use std::rc::Rc;

use super::missing::{DmaBuf, Missing, missing};
use crate::error::Result;

pub(crate) enum Gpu {}

impl Gpu {
    pub(crate) fn open(_: u32) -> Result<Rc<Self>> {
        Err(missing(
            Missing::Feature,
            "this build of efa-fabric cannot use GPU memory".into(),
        ))
    }

    pub(crate) fn index(&self) -> u32 {
        match *self {}
    }

    pub(crate) fn name(&self) -> &str {
        match *self {}
    }

    pub(crate) fn driver_path(&self) -> &str {
        match *self {}
    }

    pub(crate) fn is_stand_in(&self) -> bool {
        match *self {}
    }
}

pub(crate) enum GpuBuffer {}

impl GpuBuffer {
    pub(crate) fn new(gpu: &Rc<Gpu>, _: usize) -> Result<Self> {
        match **gpu {}
    }

    pub(crate) fn len(&self) -> usize {
        match *self {}
    }

    pub(crate) fn start(&self) -> *mut c_void {
        match *self {}
    }

    pub(crate) fn write(&mut self, _: usize, _: &[u8]) -> Result<()> {
        match *self {}
    }

    pub(crate) fn read(&self, _: usize, _: &mut [u8]) -> Result<()> {
        match *self {}
    }

    pub(crate) fn dma_buf(&self) -> Result<DmaBuf> {
        match *self {}
    }
}
