//! Message buffers: page-aligned memory that the library reads and writes while an operation
//! is posted. Rust code looks inside only between measurements, through raw pointers, so
//! overlapping receives are harmless.

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::rc::Rc;

use crate::cuda::{DmaBuf, Gpu, GpuBuffer, Missing, missing};
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
            #[cfg(target_os = "linux")]
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

    /// Writes the pattern of this seed to the first bytes; false where they are not all there.
    pub(crate) fn fill(&mut self, length: usize, seed: u64) -> bool {
        let Some(start) = self.at(0, length) else {
            return false;
        };
        for (index, word) in (0..length).step_by(8).zip(words(seed)) {
            let count = (length - index).min(8);
            // SAFETY: the range lies inside the allocation; raw copies need no exclusive access
            // beyond that the library is not sending from it, which the caller sees to.
            unsafe {
                let to = start.cast::<u8>().add(index);
                std::ptr::copy_nonoverlapping(word.as_ptr(), to, count);
            }
        }
        true
    }

    /// The first byte from this offset on that differs from the pattern of this seed.
    pub(crate) fn mismatch(&self, offset: usize, length: usize, seed: u64) -> Option<usize> {
        let Some(start) = self.at(offset, length) else {
            return Some(0);
        };
        for (index, word) in (0..length).step_by(8).zip(words(seed)) {
            let count = (length - index).min(8);
            let mut found = [0_u8; 8];
            // SAFETY: the range lies inside the allocation, which is initialised. The library
            // may have written it from elsewhere: it is copied out, and no reference is made.
            unsafe {
                let from = start.cast::<u8>().add(index);
                std::ptr::copy_nonoverlapping(from, found.as_mut_ptr(), count);
            }
            if found[..count] != word[..count] {
                let wrong = found.iter().zip(&word).position(|(a, b)| a != b);
                return Some(index + wrong.unwrap_or(0));
            }
        }
        None
    }
}

/// Memory for messages, of the processors or of a GPU.
pub(crate) struct Buffer {
    start: *mut c_void,
    length: usize,
    storage: Storage,
}

enum Storage {
    Host(Arena),
    Gpu(GpuBuffer),
}

impl Buffer {
    /// Memory of this many bytes: of the GPU, where one is given.
    pub(crate) fn new(length: usize, gpu: Option<&Rc<Gpu>>) -> Result<Self> {
        let storage = match gpu {
            None => Storage::Host(Arena::new(length)?),
            Some(gpu) => Storage::Gpu(GpuBuffer::new(gpu, length)?),
        };
        let (start, length) = match &storage {
            Storage::Host(arena) => (arena.start(), arena.len()),
            Storage::Gpu(buffer) => (buffer.start(), buffer.len()),
        };
        Ok(Self {
            start,
            length,
            storage,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn start(&self) -> *mut c_void {
        self.start
    }

    /// The address of a message, if it lies inside. Not to be followed: it may be a GPU's.
    #[inline]
    pub(crate) fn at(&self, offset: usize, length: usize) -> Option<*mut c_void> {
        let end = offset.checked_add(length)?;
        (end <= self.length).then(|| self.start.wrapping_byte_add(offset))
    }

    /// As [`Arena::fill`].
    pub(crate) fn fill(&mut self, length: usize, seed: u64) -> Result<bool> {
        match &mut self.storage {
            Storage::Host(arena) => Ok(arena.fill(length, seed)),
            Storage::Gpu(buffer) if length <= buffer.len() => {
                let mut pattern: Vec<u8> = words(seed).take(length.div_ceil(8)).flatten().collect();
                pattern.truncate(length);
                buffer.write(0, &pattern)?;
                Ok(true)
            }
            Storage::Gpu(_) => Ok(false),
        }
    }

    /// As [`Arena::mismatch`]; a GPU's memory is copied here for it.
    pub(crate) fn mismatch(
        &self,
        offset: usize,
        length: usize,
        seed: u64,
    ) -> Result<Option<usize>> {
        match &self.storage {
            Storage::Host(arena) => Ok(arena.mismatch(offset, length, seed)),
            Storage::Gpu(buffer) => {
                let mut found = vec![0; length];
                buffer.read(offset, &mut found)?;
                let wanted = words(seed).flatten();
                Ok(found.iter().zip(wanted).position(|(a, b)| *a != b))
            }
        }
    }

    /// A GPU's memory as a DMA-BUF.
    pub(crate) fn dma_buf(&self) -> Result<DmaBuf> {
        match &self.storage {
            Storage::Host(_) => Err(missing(
                Missing::DmaBuf,
                "host memory is not a DMA-BUF".into(),
            )),
            Storage::Gpu(buffer) => buffer.dma_buf(),
        }
    }
}

/// The words of a pattern (splitmix64): any 8 bytes show where in which pattern they belong.
fn words(seed: u64) -> impl Iterator<Item = [u8; 8]> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    })
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
    fn patterns_are_found_and_their_faults_too() {
        for length in [1, 7, 8, 9, 4096, 10_001] {
            let mut arena = Arena::new(10_001).unwrap();
            assert!(arena.fill(length, 7));
            assert_eq!(arena.mismatch(0, length, 7), None, "{length}");
            assert_eq!(arena.mismatch(0, length, 8), Some(0), "{length}");
            let last = arena.at(length - 1, 1).unwrap().cast::<u8>();
            // SAFETY: inside the allocation.
            unsafe { *last ^= 1 };
            assert_eq!(arena.mismatch(0, length, 7), Some(length - 1));
        }
        let mut arena = Arena::new(8).unwrap();
        assert!(!arena.fill(9, 7));
        assert_eq!(arena.mismatch(0, 9, 7), Some(0));
    }

    #[test]
    fn messages_lie_inside() {
        let arena = Arena::new(3 << 20).unwrap();
        assert_eq!(arena.start() as usize % HUGE_PAGE, 0);
        assert!(arena.at(0, arena.len()).is_some());
        assert!(arena.at(1, arena.len()).is_none());
        assert!(arena.at(usize::MAX, 2).is_none());
    }
}
