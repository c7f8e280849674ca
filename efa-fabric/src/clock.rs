//! The clock of every measurement: `CLOCK_MONOTONIC_RAW`, which no time daemon slews.

/// Nanoseconds since some fixed point of this machine's past.
#[inline]
pub(crate) fn now_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the clock exists on every Linux since 2.6.28, and `time` is valid for writing.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_RAW, &raw mut time) };
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn time_goes_on() {
        let before = super::now_ns();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(super::now_ns() - before >= 1_000_000);
    }
}
