//! Memory that a program and its device share: queues of data-path-direct.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// Zeroed pages. The program writes into them at any time, so every access copies.
pub(crate) struct Area {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: the pages belong to the value; both sides copy in and out, never refer into them.
unsafe impl Send for Area {}

impl Area {
    /// `len` bytes, rounded up to 64, and a doorbell behind them.
    pub(crate) fn new(len: usize) -> Option<Self> {
        let len = len.next_multiple_of(64);
        // SAFETY: a new private anonymous mapping; the result is checked.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len + 64,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let at = NonNull::new(at).filter(|at| at.as_ptr() != libc::MAP_FAILED)?;
        Some(Self { at: at.cast(), len })
    }

    pub(crate) fn buffer(&self) -> *mut u8 {
        self.at.as_ptr()
    }

    pub(crate) fn doorbell_pointer(&self) -> *mut u32 {
        // SAFETY: 64 bytes follow the first `len`, in the same mapping.
        unsafe { self.at.as_ptr().add(self.len).cast() }
    }

    /// What the program wrote into the doorbell; what it wrote before is visible from here on.
    pub(crate) fn doorbell(&self) -> u32 {
        // SAFETY: an aligned word of the mapping, only ever read here, atomically.
        unsafe { AtomicU32::from_ptr(self.doorbell_pointer()) }.load(Ordering::Acquire)
    }

    pub(crate) fn read<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut out = [0; N];
        assert!(at <= self.len && N <= self.len - at);
        // SAFETY: in bounds (checked); a copy, so that what the program changes meanwhile does not
        // matter.
        unsafe { std::ptr::copy_nonoverlapping(self.at.as_ptr().add(at), out.as_mut_ptr(), N) };
        out
    }

    /// Writes an entry of which byte `flags` must become visible last.
    pub(crate) fn publish<const N: usize>(&self, at: usize, bytes: [u8; N], flags: usize) {
        assert!(at <= self.len && N <= self.len - at && flags < N);
        // SAFETY: in bounds (checked).
        let entry = unsafe { self.at.as_ptr().add(at) };
        for (offset, byte) in bytes
            .iter()
            .enumerate()
            .filter(|(offset, _)| *offset != flags)
        {
            // SAFETY: `offset < N`, in bounds (checked).
            unsafe { entry.add(offset).write_volatile(*byte) };
        }
        fence(Ordering::Release);
        // SAFETY: `flags < N`, in bounds (checked).
        unsafe { entry.add(flags).write_volatile(bytes[flags]) };
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, of that size.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.len + 64) };
    }
}
