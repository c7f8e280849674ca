//! What goes wrong on a lane, in words.

use std::ffi::c_char;

use super::Lane;
use crate::cuda::{Gpu, Missing, missing};
use crate::error::Error;
use crate::ffi::{self, FiCqErrEntry, Padded, checked_op};
use crate::library::text;

impl Lane {
    /// `fi_cq_readerr` and the provider's own words.
    #[cold]
    pub(super) fn completion_error(&self, code: isize) -> Error {
        let library = self.endpoint.library();
        if code != -(ffi::FI_EAVAIL as isize) {
            return library
                .failed("fi_cq_read", code)
                .with_context("peer", &self.peer_name);
        }
        // SAFETY: the queue is open.
        let table = unsafe { (*self.cq).ops };
        let Some(readerr) = checked_op!(table, FiOpsCq, readerr) else {
            return library.missing("fi_cq_readerr");
        };
        let mut entry = Padded::new(FiCqErrEntry {
            op_context: std::ptr::null_mut(),
            flags: 0,
            len: 0,
            buf: std::ptr::null_mut(),
            data: 0,
            tag: 0,
            olen: 0,
            err: 0,
            prov_errno: 0,
            err_data: std::ptr::null_mut(),
            err_data_size: 0,
            src_addr: ffi::FI_ADDR_NOTAVAIL,
        });
        // SAFETY: the queue is open; the entry is valid and zero-padded for longer ones.
        let read = unsafe { readerr(self.cq, &raw mut entry.value, 0) };
        if read < 0 {
            return library
                .failed("fi_cq_readerr", read)
                .with_context("peer", &self.peer_name);
        }
        let error = &entry.value;
        let mut buffer = [0 as c_char; 1024];
        let provider = checked_op!(table, FiOpsCq, strerror).and_then(|strerror| {
            // SAFETY: error data lives until the queue is read again; `buffer` is as long as
            // stated and outlives the copy that `text` makes.
            unsafe {
                text(strerror(
                    self.cq,
                    error.prov_errno,
                    error.err_data,
                    buffer.as_mut_ptr(),
                    buffer.len(),
                ))
            }
        });
        let general = library.strerror(error.err.saturating_abs());
        let detail = match provider {
            Some(provider) if provider != general => format!("{general}: {provider}"),
            _ => general,
        };
        let operation = match error.flags {
            flags if flags & ffi::FI_RECV != 0 => "receive",
            flags if flags & ffi::FI_WRITE != 0 => "write",
            flags if flags & ffi::FI_READ != 0 => "read",
            _ => "send",
        };
        self.endpoint.operation_failed(
            operation,
            (error.err, Some(error.prov_errno)),
            &detail,
            &self.peer_name,
            self.has_received,
        )
    }

    /// The provider does not take memory of this GPU.
    #[cold]
    pub(super) fn unregistered(&self, gpu: &Gpu, error: Error) -> Error {
        let info = &self.endpoint.info;
        let text = format!(
            "{} (fabric {}) of libfabric {} does not register memory of {} (CUDA device {}): {}",
            info.provider,
            info.fabric,
            self.endpoint.library().version(),
            gpu.name(),
            gpu.index(),
            error.message()
        );
        let number = error
            .context_value("fi_errno")
            .unwrap_or_default()
            .to_owned();
        missing(Missing::Registration, text)
            .with_context("call", "fi_mr_regattr")
            .with_context("fi_errno", number)
            .with_context("provider", &info.provider)
            .with_context("fabric", &info.fabric)
            .with_context("driver_path", gpu.driver_path())
            .with_source(error)
    }
}
