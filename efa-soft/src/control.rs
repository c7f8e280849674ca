//! The control block of a device: counters and faults, shared by all processes of a host.
//!
//! A file of 4,096 bytes, `.soft/NAME` in the tree, mapped by every process that has the device's list.
//! Fields are 64-bit numbers at fixed places (`docs/soft-efa.md` lists them for those who set faults),
//! read at every packet, so that a change is effective at once.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::tick;

/// Bytes of the block.
pub const SIZE: usize = 4096;
/// What field `Layout` states when capabilities and part are set.
pub const LAYOUT: u64 = 2;

/// A field, by its place: byte offset divided by 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Field {
    /// [`LAYOUT`] once capabilities and part are set.
    Layout = 0,
    /// Part of the packets sent that are lost (a double).
    Loss = 65,
    /// Bytes per second, 0: no limit.
    Rate = 66,
    /// The device sends and receives nothing.
    Dead = 67,
    /// The port is down, and the device as if dead.
    Down = 68,
    /// Part of the packets that leave 300 µs later (a double).
    Reorder = 69,
    /// When the rate lets the next packet leave, ns.
    Clock = 70,
    /// Capability bits.
    Capabilities = 71,
    /// PCI device id.
    Part = 72,
    /// µs by which every packet leaves later.
    DelayUs = 73,
    /// Every message finds the receiver not ready.
    NotReady = 74,
    /// The device cannot be opened.
    NoOpen = 75,
    /// Bytes that a process may register, 0: no limit.
    Memlock = 76,
}

macro_rules! counters {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// A counter of `hw_counters`, in the order of the block.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names are those of the kernel driver's files")]
        pub enum Counter { $($name),* }

        /// The files of `hw_counters`, in the order of the block.
        pub const COUNTERS: &[&str] = &[$($text),*];
    };
}

counters! {
    TxBytes = "tx_bytes", TxPkts = "tx_pkts", RxBytes = "rx_bytes", RxPkts = "rx_pkts",
    RxDrops = "rx_drops", SendBytes = "send_bytes", SendWrs = "send_wrs", RecvBytes = "recv_bytes",
    RecvWrs = "recv_wrs", RdmaReadWrs = "rdma_read_wrs", RdmaReadBytes = "rdma_read_bytes",
    RdmaReadWrErr = "rdma_read_wr_err", RdmaReadRespBytes = "rdma_read_resp_bytes",
    RdmaWriteWrs = "rdma_write_wrs", RdmaWriteBytes = "rdma_write_bytes",
    RdmaWriteWrErr = "rdma_write_wr_err", RdmaWriteRecvBytes = "rdma_write_recv_bytes",
    RetransBytes = "retrans_bytes", RetransPkts = "retrans_pkts",
    RetransTimeoutEvents = "retrans_timeout_events",
    UnresponsiveRemoteEvents = "unresponsive_remote_events",
    ImpairedRemoteConnEvents = "impaired_remote_conn_events",
}

/// A mapped control block.
pub struct Control {
    at: NonNull<AtomicU64>,
    /// Kept open for its lock.
    file: File,
}

// SAFETY: the mapping is valid as long as the value lives, and every access is atomic.
unsafe impl Send for Control {}
// SAFETY: as above.
unsafe impl Sync for Control {}

impl Control {
    /// Maps the block at `path`, which is made, full of zeros, where it is missing.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        if file.metadata()?.len() < SIZE as u64 {
            file.set_len(SIZE as u64)?;
        }
        // SAFETY: a new shared mapping of SIZE bytes of a file that has that many; no address is
        // asked for. The result is checked.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(at) {
            Some(at) if at.as_ptr() != libc::MAP_FAILED => Ok(Self {
                at: at.cast(),
                file,
            }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < SIZE / 8);
        // SAFETY: the mapping has SIZE / 8 words, is aligned to a page and lives as long as `self`.
        unsafe { self.at.add(index).as_ref() }
    }

    /// Returns the value of a field.
    pub fn get(&self, field: Field) -> u64 {
        self.word(field as usize).load(Ordering::Relaxed)
    }

    /// Returns the value of a field that is a double.
    pub fn part(&self, field: Field) -> f64 {
        f64::from_bits(self.get(field))
    }

    /// Sets a field.
    pub fn set(&self, field: Field, value: u64) {
        self.word(field as usize).store(value, Ordering::Relaxed);
    }

    /// Sets a fault by its name in the environment; returns whether there is one of that name.
    pub fn set_fault(&self, name: &str, value: f64) -> bool {
        let field = match name {
            "loss" => Field::Loss,
            "reorder" => Field::Reorder,
            "rate" => Field::Rate,
            "dead" => Field::Dead,
            "down" => Field::Down,
            "delay_us" => Field::DelayUs,
            "rq_rnr" => Field::NotReady,
            "no_open" => Field::NoOpen,
            "memlock" => Field::Memlock,
            _ => return false,
        };
        let bits = match field {
            Field::Loss | Field::Reorder => value.to_bits(),
            _ => value.max(0.0) as u64,
        };
        self.set(field, bits);
        true
    }

    /// Adds to a counter.
    pub fn count(&self, counter: Counter, n: u64) {
        self.word(1 + counter as usize)
            .fetch_add(n, Ordering::Relaxed);
    }

    /// Returns the value of a counter.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.word(1 + counter as usize).load(Ordering::Relaxed)
    }

    fn counter_at(&self, index: usize) -> u64 {
        self.word(1 + index).load(Ordering::Relaxed)
    }

    /// Returns whether nothing leaves the device and nothing enters it.
    pub fn mute(&self) -> bool {
        self.get(Field::Dead) != 0 || self.get(Field::Down) != 0
    }

    /// Returns whether a packet of `len` bytes may leave now, and takes its time from the device's
    /// rate if so.
    pub fn may_leave(&self, len: usize, now: u64) -> bool {
        let ahead = self.take_time(len, now, Some(200_000));
        ahead.is_some()
    }

    /// Returns when a packet of `len` bytes leaves that cannot wait for its turn: an answer.
    pub fn leaves_at(&self, len: usize, now: u64) -> u64 {
        self.take_time(len, now, None).unwrap_or(now)
    }

    fn take_time(&self, len: usize, now: u64, limit: Option<u64>) -> Option<u64> {
        let rate = self.get(Field::Rate);
        if rate == 0 {
            return Some(now);
        }
        let cost = (len as u64 + 64).saturating_mul(1_000_000_000) / rate;
        let clock = self.word(Field::Clock as usize);
        let mut seen = clock.load(Ordering::Relaxed);
        loop {
            if limit.is_some_and(|limit| seen > now.saturating_add(limit)) {
                return None;
            }
            // A clock far ahead is from before a reboot: CLOCK_MONOTONIC began anew.
            let from = if seen > now.saturating_add(60_000_000_000) {
                now
            } else {
                seen.max(now)
            };
            let next = from.saturating_add(cost);
            match clock.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(from),
                Err(other) => seen = other,
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `open`, of that size, which nothing refers to any more.
        unsafe { libc::munmap(self.at.as_ptr().cast(), SIZE) };
    }
}

/// What of the counters was written to the files of `hw_counters`.
pub(crate) struct Published {
    values: Vec<u64>,
    again_at: u64,
}

impl Published {
    pub(crate) fn new() -> Self {
        Self {
            values: vec![0; COUNTERS.len()],
            again_at: 0,
        }
    }

    /// Writes the counters that changed, at most every 20 ms unless `force`d. Files that are missing
    /// are passed over: a tree may have fewer counters.
    pub(crate) fn publish(&mut self, control: &Control, folder: &Path, force: bool) {
        use std::os::unix::fs::FileExt;

        let now = tick::now();
        if !force && now < self.again_at {
            return;
        }
        self.again_at = now + 20_000_000;
        if (0..COUNTERS.len()).all(|at| control.counter_at(at) == self.values[at]) {
            return;
        }
        // Two processes must not write at once, or the older number stays.
        let operation = libc::LOCK_EX | if force { 0 } else { libc::LOCK_NB };
        // SAFETY: a file that this library opened.
        if unsafe { libc::flock(control.file.as_raw_fd(), operation) } != 0 {
            return;
        }
        for (at, name) in COUNTERS.iter().enumerate() {
            let value = control.counter_at(at);
            if value == self.values[at] {
                continue;
            }
            self.values[at] = value;
            if let Ok(file) = OpenOptions::new().write(true).open(folder.join(name)) {
                let text = format!("{value}\n");
                if file.write_all_at(text.as_bytes(), 0).is_ok() {
                    let _ = file.set_len(text.len() as u64);
                }
            }
        }
        // SAFETY: as above.
        unsafe { libc::flock(control.file.as_raw_fd(), libc::LOCK_UN) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str) -> Control {
        let path = std::env::temp_dir().join(format!("efa-soft-{name}-{}", std::process::id()));
        let control = Control::open(&path).expect("a writable temporary folder");
        let _ = std::fs::remove_file(&path);
        control
    }

    #[test]
    fn faults_have_the_places_that_the_documentation_lists() {
        let places = [
            (Field::Loss, 520),
            (Field::Rate, 528),
            (Field::Dead, 536),
            (Field::Down, 544),
            (Field::Reorder, 552),
            (Field::Capabilities, 568),
            (Field::Part, 576),
            (Field::DelayUs, 584),
            (Field::NotReady, 592),
            (Field::NoOpen, 600),
            (Field::Memlock, 608),
        ];
        for (field, offset) in places {
            assert_eq!(field as usize * 8, offset, "{field:?}");
        }
        assert_eq!(COUNTERS.len(), 22);
        assert_eq!(
            COUNTERS[Counter::ImpairedRemoteConnEvents as usize],
            "impaired_remote_conn_events"
        );
    }

    #[test]
    fn faults_are_set_by_name() {
        let control = block("faults");
        assert!(control.set_fault("loss", 0.25) && control.set_fault("dead", 1.0));
        assert!(!control.set_fault("mood", 1.0));
        assert_eq!(control.part(Field::Loss), 0.25);
        assert!(control.mute());
    }

    #[test]
    fn a_rate_spaces_packets() {
        let control = block("rate");
        assert!(control.may_leave(1_000_000, 5));
        control.set(Field::Rate, 1_000_000);
        // 8,936 + 64 bytes at 1 MB/s take 9 ms.
        assert!(control.may_leave(8_936, 1_000));
        assert!(!control.may_leave(8_936, 1_000));
        assert_eq!(control.leaves_at(8_936, 1_000), 9_001_000);
        assert!(control.may_leave(8_936, 30_000_000));
    }
}
