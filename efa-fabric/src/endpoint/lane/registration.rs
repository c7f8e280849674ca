//! What of a lane's memory is registered with the provider, and how.

use std::rc::Rc;

use super::super::calls::Remote;
use super::Lane;
use crate::cuda::{DmaBuf, Gpu, Missing, missing};
use crate::error::Result;
use crate::ffi;
use crate::handle::region::{DeviceMemory, MemoryRegion, Registration};
use crate::library::Version;
use crate::memory::Buffer;
use crate::operation::Operation;

/// Memory is registered by DMA-BUF since this interface version (fi_mr(3)).
const DMABUF_SINCE: Version = Version {
    major: 1,
    minor: 20,
};

impl Lane {
    /// Registers what is sent from and received into if the provider demands that, and what
    /// the peer addresses in any case.
    pub(super) fn register(&mut self, gpu: Option<&Rc<Gpu>>) -> Result<()> {
        let mode = self.endpoint.entry.entry().mr_mode();
        let (local, remote) = match self.operation {
            Operation::Message | Operation::Tagged => (ffi::FI_SEND, 0),
            Operation::Write | Operation::WriteData => {
                (ffi::FI_SEND | ffi::FI_WRITE, ffi::FI_REMOTE_WRITE)
            }
            Operation::Read => (ffi::FI_SEND | ffi::FI_READ, ffi::FI_REMOTE_READ),
        };
        // Memory of a device is known to be such by its descriptor only.
        let is_local = mode & ffi::FI_MR_LOCAL != 0 || gpu.is_some();
        let mut wanted = Vec::new();
        if is_local {
            wanted.push((1, &self.memory.tx, local));
            wanted.push((2, &self.memory.rx, ffi::FI_RECV));
        }
        if let Some(exposed) = &self.memory.exposed {
            wanted.push((3, exposed, remote));
        }
        let cuda = self.endpoint.memory().as_cuda();
        for (key, buffer, access) in wanted {
            let device = match (gpu, cuda) {
                (Some(gpu), Some(cuda)) => Some(DeviceMemory {
                    device: gpu.index(),
                    dma_buf: cuda.dmabuf.then(|| self.dma_buf(buffer)).transpose()?,
                }),
                _ => None,
            };
            let registration = Registration {
                start: buffer.start(),
                length: buffer.len(),
                access,
                key,
                device,
            };
            // SAFETY: the regions are closed before the memory is freed, in `drop`.
            let region = unsafe { MemoryRegion::register(&self.endpoint.domain, &registration) };
            let region = match (region, gpu) {
                (Err(error), Some(gpu)) => return Err(self.unregistered(gpu, error)),
                (region, _) => region?,
            };
            if mode & ffi::FI_MR_ENDPOINT != 0 {
                region
                    .handle()
                    .bind("fi_mr_bind", self.endpoint.raw.handle(), 0)?;
                region.handle().enable("fi_mr_enable")?;
            }
            self.regions.push(region);
        }
        if is_local {
            self.tx_descriptor = self.regions[0].descriptor();
            self.rx_descriptor = self.regions[1].descriptor();
        }
        if let (Some(arena), Some(region)) = (&self.memory.exposed, self.regions.last()) {
            let is_virtual = mode & ffi::FI_MR_VIRT_ADDR != 0;
            self.exposed = Some(Remote {
                address: if is_virtual { arena.start() as u64 } else { 0 },
                key: region.key(),
                length: arena.len(),
            });
        }
        Ok(())
    }

    /// The memory as a DMA-BUF, if libfabric takes such.
    fn dma_buf(&self, buffer: &Buffer) -> Result<DmaBuf> {
        let library = self.endpoint.library();
        let api = library.requested_api();
        if api < DMABUF_SINCE {
            let text = format!(
                "libfabric {} does not know DMA-BUF, which is available since {DMABUF_SINCE}",
                library.version()
            );
            return Err(missing(Missing::DmaBuf, text).with_context("library", library.version()));
        }
        buffer.dma_buf()
    }
}
