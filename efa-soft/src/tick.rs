//! Time and chance.

use std::cell::Cell;

/// Nanoseconds of the monotonic clock.
pub(crate) fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a timespec that this call fills; the monotonic clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}

/// A random number: xorshift, seeded per thread. Not for secrets.
pub(crate) fn random() -> u64 {
    thread_local!(static STATE: Cell<u64> = const { Cell::new(0) });
    STATE.with(|state| {
        let mut x = state.get();
        if x == 0 {
            x = now() ^ u64::from(std::process::id()) << 32 ^ std::ptr::from_ref(state) as u64 | 1;
        }
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        x
    })
}

/// True with probability `part`.
pub(crate) fn chance(part: f64) -> bool {
    part > 0.0 && ((random() >> 11) as f64) * (1.0 / (1_u64 << 53) as f64) < part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_about_right() {
        let hits = (0..10_000).filter(|_| chance(0.2)).count();
        assert!((1_700..2_300).contains(&hits), "{hits}");
        assert!(!chance(0.0) && chance(1.0));
    }
}
