//! GIDs and address handles.

use std::net::Ipv4Addr;

use crate::slab::Slab;

/// The number that stands for "no address handle".
pub(crate) const UNKNOWN: u16 = 0xffff;
/// Handles that an opened device has at most.
const MAX: usize = 2048;

/// The GID of a soft device: its IPv4 address and its index on its host.
pub(crate) fn gid(ip: Ipv4Addr, index: u8) -> [u8; 16] {
    let [a, b, c, d] = ip.octets();
    [
        0xfe, 0x80, 0, 0, 0, 0, 0, 0, 6, index, a, b, c, d, 0xfa, index,
    ]
}

/// Address and index of a GID; of one that no soft device has, `None`.
pub(crate) fn of_gid(raw: &[u8; 16]) -> Option<(Ipv4Addr, u8)> {
    let ip = Ipv4Addr::new(raw[10], raw[11], raw[12], raw[13]);
    (*raw == gid(ip, raw[15])).then_some((ip, raw[15]))
}

struct Entry {
    gid: [u8; 16],
    handles: usize,
}

/// The address handles of an opened device: one number per GID.
pub(crate) struct Addresses {
    entries: Slab<Entry>,
}

impl Addresses {
    pub(crate) fn new() -> Self {
        Self {
            entries: Slab::new(),
        }
    }

    pub(crate) fn create(&mut self, gid: [u8; 16]) -> Result<u16, i32> {
        let at = match self.number_of(&gid) {
            UNKNOWN => self.entries.insert(Entry { gid, handles: 0 }),
            known => usize::from(known),
        };
        if at >= MAX {
            self.entries.remove(at);
            return Err(libc::ENOMEM);
        }
        if let Some(entry) = self.entries.get_mut(at) {
            entry.handles += 1;
        }
        Ok(u16::try_from(at).unwrap_or(UNKNOWN))
    }

    pub(crate) fn destroy(&mut self, number: u16) {
        let at = usize::from(number);
        if let Some(entry) = self.entries.get_mut(at) {
            entry.handles -= 1;
            if entry.handles == 0 {
                self.entries.remove(at);
            }
        }
    }

    /// The GID of a handle.
    pub(crate) fn gid(&self, number: u16) -> Option<[u8; 16]> {
        self.entries.get(usize::from(number)).map(|entry| entry.gid)
    }

    /// The handle of a GID, or [`UNKNOWN`].
    pub(crate) fn number_of(&self, gid: &[u8; 16]) -> u16 {
        let found = self.entries.iter().find(|(_, entry)| entry.gid == *gid);
        found
            .and_then(|(at, _)| u16::try_from(at).ok())
            .unwrap_or(UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gid_names_its_device_and_others_do_not() {
        let raw = gid(Ipv4Addr::new(10, 1, 2, 3), 7);
        assert_eq!(of_gid(&raw), Some((Ipv4Addr::new(10, 1, 2, 3), 7)));
        for at in [0, 1, 5, 8, 9, 14] {
            let mut other = raw;
            other[at] ^= 1;
            assert_eq!(of_gid(&other), None, "byte {at}");
        }
    }

    #[test]
    fn one_number_per_gid_until_its_last_handle_goes() {
        let mut table = Addresses::new();
        let a = gid(Ipv4Addr::LOCALHOST, 0);
        let first = table.create(a).expect("room");
        assert_eq!(table.create(a), Ok(first));
        table.destroy(first);
        assert_eq!(table.number_of(&a), first);
        table.destroy(first);
        assert_eq!(table.number_of(&a), UNKNOWN);
        assert_eq!(table.gid(first), None);
    }
}
