//! Protection domains and registered memory of an opened device.

use crate::abi;
use crate::slab::Slab;

/// A registered region.
struct Region {
    pd: u32,
    base: u64,
    iova: u64,
    length: u64,
    access: u32,
    key: u32,
}

/// Protection domains, with what uses them, and regions.
pub(crate) struct Memory {
    regions: Slab<Region>,
    domains: Slab<usize>,
    generation: u32,
    registered: u64,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            regions: Slab::new(),
            domains: Slab::new(),
            generation: 0,
            registered: 0,
        }
    }

    /// Bytes registered now.
    pub(crate) fn registered(&self) -> u64 {
        self.registered
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.regions.is_empty() && self.domains.is_empty()
    }

    pub(crate) fn new_domain(&mut self) -> u32 {
        u32::try_from(self.domains.insert(0)).unwrap_or(u32::MAX)
    }

    /// Notes that something uses a domain.
    pub(crate) fn hold(&mut self, pd: u32) {
        if let Some(users) = self.domains.get_mut(pd as usize) {
            *users += 1;
        }
    }

    pub(crate) fn release(&mut self, pd: u32) {
        if let Some(users) = self.domains.get_mut(pd as usize) {
            *users = users.saturating_sub(1);
        }
    }

    /// Frees a domain; `EBUSY` while something uses it, as the kernel answers.
    pub(crate) fn free_domain(&mut self, pd: u32) -> Result<(), i32> {
        match self.domains.get(pd as usize) {
            None => Err(libc::EINVAL),
            Some(0) => {
                self.domains.remove(pd as usize);
                Ok(())
            }
            Some(_) => Err(libc::EBUSY),
        }
    }

    /// Registers a region, and returns its handle and its key. Keys have 24 bits: the descriptors of
    /// the queues in memory have no more.
    pub(crate) fn register(
        &mut self,
        pd: u32,
        base: u64,
        iova: u64,
        length: u64,
        access: u32,
    ) -> Result<(u32, u32), i32> {
        let region = Region {
            pd,
            base,
            iova,
            length,
            access,
            key: 0,
        };
        let at = self.regions.insert(region);
        if at >= 0xffff {
            self.regions.remove(at);
            return Err(libc::ENOMEM);
        }
        let handle = u32::try_from(at).unwrap_or(0);
        self.generation = self.generation.wrapping_add(1);
        let key = (handle + 1) << 8 | self.generation & 0xff;
        if let Some(region) = self.regions.get_mut(at) {
            region.key = key;
        }
        self.registered += length;
        self.hold(pd);
        Ok((handle, key))
    }

    pub(crate) fn deregister(&mut self, handle: u32) -> Result<(), i32> {
        let region = self.regions.remove(handle as usize).ok_or(libc::EINVAL)?;
        self.registered -= region.length;
        self.release(region.pd);
        Ok(())
    }

    /// Where `length` bytes at `address` of the region with this key lie in this process, if the
    /// region covers them, belongs to the domain and allows the access.
    pub(crate) fn find(
        &self,
        pd: u32,
        key: u32,
        address: u64,
        length: u64,
        access: u32,
    ) -> Option<u64> {
        let region = self.regions.get(((key >> 8) as usize).checked_sub(1)?)?;
        if region.key != key || region.pd != pd || region.access & access != access {
            return None;
        }
        let offset = address.checked_sub(region.iova)?;
        let end = offset.checked_add(length)?;
        (end <= region.length).then(|| region.base + offset)
    }
}

/// Whether the kernel could pin these pages: mapped, readable, and writable if asked for.
///
/// `mincore` sees holes in the whole range; first and last page are touched as pinning would. An old
/// kernel or valgrind, which do not know the latter, are content with the former.
pub(crate) fn pinnable(address: u64, length: u64, access: u32) -> bool {
    let page = 4096_u64.max(page_size());
    let Some(end) = address
        .checked_add(length)
        .and_then(|end| end.checked_next_multiple_of(page))
    else {
        return false;
    };
    let start = address & !(page - 1);
    if end > 1 << 56 {
        return false;
    }
    let mut seen = vec![0_u8; 16_384];
    let mut at = start;
    while at < end {
        let bytes = (end - at).min(page * seen.len() as u64);
        // SAFETY: the kernel checks the range and writes one byte per page into `seen`, which has
        // room for `bytes / page`; it reads nothing of the range.
        let result = unsafe { libc::mincore(at as *mut _, bytes as usize, seen.as_mut_ptr()) };
        if result != 0 {
            return false;
        }
        at += bytes;
    }
    let write = access & (abi::ACCESS_LOCAL_WRITE | abi::ACCESS_REMOTE_WRITE) != 0;
    let advice = if write {
        libc::MADV_POPULATE_WRITE
    } else {
        libc::MADV_POPULATE_READ
    };
    // Of a range of 0 bytes only the advice is looked at.
    // SAFETY: nothing is touched.
    let is_known = unsafe { libc::madvise(start as *mut _, 0, advice) } == 0;
    let touch = |at: u64| {
        // SAFETY: MADV_POPULATE_* faults the page in and changes no content; the page is mapped
        // (mincore), and if it is unmapped meanwhile the kernel reports ENOMEM.
        unsafe { libc::madvise(at as *mut _, page as usize, advice) == 0 }
    };
    !is_known || touch(start) && touch(end - page)
}

fn page_size() -> u64 {
    // SAFETY: asks for a constant of the system.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RW: u32 = abi::ACCESS_LOCAL_WRITE | abi::ACCESS_REMOTE_READ;

    #[test]
    fn ranges_keys_domains_and_access_are_checked() {
        let mut memory = Memory::new();
        let (pd, other) = (memory.new_domain(), memory.new_domain());
        let (handle, key) = memory.register(pd, 0x1000, 0x9000, 100, RW).expect("room");
        let find = |pd, key, at, n, access| memory.find(pd, key, at, n, access);
        assert_eq!(find(pd, key, 0x9000, 100, RW), Some(0x1000));
        assert_eq!(find(pd, key, 0x9063, 1, 0), Some(0x1063));
        let refused = [
            (pd, key, 0x9000, 101, 0),
            (pd, key, 0x8fff, 1, 0),
            (pd, key, u64::MAX, 1, 0),
            (pd, key, 0x9001, u64::MAX, 0),
            (pd, key ^ 1, 0x9000, 1, 0),
            (pd, 0, 0x9000, 1, 0),
            (pd, u32::MAX, 0x9000, 1, 0),
            (other, key, 0x9000, 1, 0),
            (pd, key, 0x9000, 1, abi::ACCESS_REMOTE_WRITE),
        ];
        for (pd, key, at, n, access) in refused {
            assert_eq!(find(pd, key, at, n, access), None, "{key:x} {at:x} {n}");
        }
        memory.deregister(handle).expect("registered");
        assert_eq!(memory.find(pd, key, 0x9000, 1, 0), None);
        assert_eq!(memory.deregister(handle), Err(libc::EINVAL));
        assert_eq!(memory.registered(), 0);
    }

    #[test]
    fn a_key_is_not_given_twice_in_a_row() {
        let mut memory = Memory::new();
        let pd = memory.new_domain();
        let (handle, first) = memory.register(pd, 0, 0, 10, 0).expect("room");
        memory.deregister(handle).expect("registered");
        let (_, second) = memory.register(pd, 0, 0, 10, 0).expect("room");
        assert_ne!(first, second);
        assert_eq!(memory.find(pd, first, 0, 1, 0), None);
    }

    #[test]
    fn a_domain_in_use_is_busy() {
        let mut memory = Memory::new();
        let pd = memory.new_domain();
        let (handle, _) = memory.register(pd, 0, 0, 10, 0).expect("room");
        assert_eq!(memory.free_domain(pd), Err(libc::EBUSY));
        memory.deregister(handle).expect("registered");
        assert_eq!(memory.free_domain(pd), Ok(()));
        assert_eq!(memory.free_domain(pd), Err(libc::EINVAL));
    }

    #[test]
    fn only_mapped_memory_can_be_pinned() {
        let mut here = vec![1_u8; 100_000];
        let constant: &'static [u8] = b"text of the program";
        let at = here.as_mut_ptr() as u64;
        assert!(pinnable(at, 100_000, abi::ACCESS_LOCAL_WRITE));
        assert!(pinnable(constant.as_ptr() as u64, 10, 0));
        for (at, length) in [
            (0xdead_0000, 4096),
            (0, 1),
            (u64::MAX - 10, 5),
            (u64::MAX, 10),
            (1 << 60, 1),
        ] {
            assert!(!pinnable(at, length, 0), "{at:x}");
        }
        drop(here);
    }
}
