//! Message buffers: page-aligned memory that the library reads and writes while an operation
//! is posted. Rust code never looks inside, so overlapping receives are harmless.

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::c_void;
use std::ptr::NonNull;

use crate::error::{Code, Error, Result};

const PAGE: usize = 4096;
const HUGE_PAGE: usize = 2 << 20;

/// One allocation, freed on drop.
pub(crate) struct Arena {
    start: NonNull<u8>,
    layout: Layout,
}

impl Arena {
    /// Memory of this many bytes, with every page present. From 2 MiB on, the kernel is asked
    /// for huge pages: copying between processes page by page costs more than the copy.
    pub(crate) fn new(length: usize) -> Result<Self> {
        let align = if length >= HUGE_PAGE { HUGE_PAGE } else { PAGE };
        let failed = || {
            Error::new(
                Code::CallFailed,
                format!("no memory for message buffers of {length} bytes"),
            )
            .with_cure("measure smaller messages, or reuse one buffer")
            .with_context("bytes", length)
        };
        let layout = Layout::from_size_align(length.max(1), align).map_err(|_| failed())?;
        // SAFETY: the layout's size is not 0.
        let start = NonNull::new(unsafe { alloc(layout) }).ok_or_else(failed)?;
        let arena = Self { start, layout };
        // SAFETY: the range is this allocation's; advice changes no content, and comes before the
        // pages are there. Writing initialises them and makes them present, so that the first
        // message does not pay for that.
        unsafe {
            if align == HUGE_PAGE {
                libc::madvise(start.as_ptr().cast(), layout.size(), libc::MADV_HUGEPAGE);
            }
            std::ptr::write_bytes(start.as_ptr(), 0x5a, layout.size());
        }
        Ok(arena)
    }

    pub(crate) fn len(&self) -> usize {
        self.layout.size()
    }

    pub(crate) fn start(&self) -> *mut c_void {
        self.start.as_ptr().cast()
    }

    /// The address of a message, if it lies inside.
    #[inline]
    pub(crate) fn at(&self, offset: usize, length: usize) -> Option<*mut c_void> {
        let end = offset.checked_add(length)?;
        // SAFETY: the offset lies inside the allocation.
        (end <= self.layout.size()).then(|| unsafe { self.start.as_ptr().add(offset).cast() })
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, freed once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_lie_inside() {
        let arena = Arena::new(3 << 20).unwrap();
        assert_eq!(arena.start() as usize % HUGE_PAGE, 0);
        assert!(arena.at(0, arena.len()).is_some());
        assert!(arena.at(1, arena.len()).is_none());
        assert!(arena.at(usize::MAX, 2).is_none());
    }
}
