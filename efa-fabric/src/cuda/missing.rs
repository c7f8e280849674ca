//! What GPU memory is handed over as, and the refusal where something for it is missing.

use std::ffi::c_void;
use std::os::fd::OwnedFd;

use crate::error::{Code, Error};

/// Device memory as a file descriptor (linux: Documentation/driver-api/dma-buf.rst).
pub(crate) struct DmaBuf {
    pub(crate) fd: OwnedFd,
    /// The address that the descriptor's begin has.
    pub(crate) base: *mut c_void,
    /// Where the memory begins in it.
    pub(crate) offset: u64,
}

/// What GPU memory cannot be used for want of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The driver's library.
    Library,
    /// A driver that works.
    Driver,
    /// The device.
    Device,
    /// DMA-BUF, by the driver or libfabric.
    DmaBuf,
    /// `FI_HMEM` of the provider.
    Hmem,
    /// Registration of the memory by the provider.
    Registration,
}

impl Missing {
    const fn name(self) -> &'static str {
        match self {
            Self::Library => "libcuda",
            Self::Driver => "driver",
            Self::Device => "device",
            Self::DmaBuf => "dmabuf",
            Self::Hmem => "hmem",
            Self::Registration => "registration",
        }
    }

    const fn cure(self) -> &'static str {
        match self {
            Self::Library => {
                "install NVIDIA's driver; in a container, start it with NVIDIA's runtime (--gpus all), which mounts libcuda.so.1"
            }
            Self::Driver => {
                "check that `nvidia-smi` works in the same place: the kernel module and libcuda.so.1 must be of one driver"
            }
            Self::Device => {
                "use a device that `nvidia-smi -L` lists, and check CUDA_VISIBLE_DEVICES and the container's devices"
            }
            Self::DmaBuf => {
                "use libfabric 1.20 or later, the open NVIDIA kernel modules and Linux 5.12 or later; or register without DMA-BUF"
            }
            Self::Hmem => {
                "use efa with a libfabric that is built with CUDA, such as that of the EFA installer"
            }
            Self::Registration => {
                "use a libfabric that is built with CUDA; on efa-direct check /sys/class/infiniband/*/device/p2p and nvidia_peermem, or register by DMA-BUF"
            }
        }
    }
}

/// The error for GPU memory that cannot be used.
pub(crate) fn missing(what: Missing, message: String) -> Error {
    Error::new(Code::GpuUnavailable, message)
        .with_cure(what.cure())
        .with_context("missing", what.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_missing_is_named_with_a_cure() {
        let all = [
            (Missing::Library, "libcuda"),
            (Missing::Driver, "driver"),
            (Missing::Device, "device"),
            (Missing::DmaBuf, "dmabuf"),
            (Missing::Hmem, "hmem"),
            (Missing::Registration, "registration"),
        ];
        for (what, name) in all {
            let error = missing(what, "no".into());
            assert_eq!(error.code(), Code::GpuUnavailable);
            assert_eq!(error.context_value("missing"), Some(name));
            assert!(error.cure().is_some_and(|cure| !cure.is_empty()));
        }
    }
}
