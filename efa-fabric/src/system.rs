//! System calls that the standard library does not have.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// Size of the file system that a path is on, in bytes.
pub(crate) fn filesystem_bytes(path: &Path) -> Option<u64> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut answer = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the path ends with 0; the answer has room, and all zeros is a valid value.
    let answer = unsafe {
        if libc::statvfs(path.as_ptr(), answer.as_mut_ptr()) != 0 {
            return None;
        }
        answer.assume_init()
    };
    // 32 bits on macOS.
    #[allow(clippy::useless_conversion)]
    u64::from(answer.f_blocks).checked_mul(answer.f_frsize)
}

/// Sleeps until one of the descriptors can be read or is at its end, at most for `limit`, which is
/// exact to the microsecond: poll(2) has milliseconds. Without any, it just sleeps.
pub(crate) fn wait_readable(descriptors: [Option<RawFd>; 2], limit: Duration) {
    if descriptors == [None, None] {
        std::thread::sleep(limit);
        return;
    }
    // SAFETY: an empty set is made, and numbers below FD_SETSIZE are added; pselect(2) reads and
    // writes no more than the set and the limit, which live during the call.
    unsafe {
        let mut set = MaybeUninit::<libc::fd_set>::zeroed().assume_init();
        let mut count = 0;
        for descriptor in descriptors.into_iter().flatten() {
            if descriptor as usize >= libc::FD_SETSIZE {
                std::thread::sleep(limit.min(Duration::from_millis(1)));
                return;
            }
            libc::FD_SET(descriptor, &raw mut set);
            count = count.max(descriptor + 1);
        }
        let limit = libc::timespec {
            tv_sec: limit.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(limit.subsec_nanos()),
        };
        libc::pselect(
            count,
            &raw mut set,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            &raw const limit,
            std::ptr::null(),
        );
    }
}

/// Processors that the calling thread may use, in order.
#[cfg(target_os = "linux")]
pub(crate) fn thread_cpus() -> std::io::Result<Vec<usize>> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: 0 is the calling thread; the set has the size that is stated, and all zeros is an
    // empty set.
    let set = unsafe {
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), set.as_mut_ptr()) != 0 {
            return Err(std::io::Error::last_os_error());
        }
        set.assume_init()
    };
    // SAFETY: the number is below the size of the set.
    let is_set = |&cpu: &usize| unsafe { libc::CPU_ISSET(cpu, &set) };
    Ok((0..libc::CPU_SETSIZE as usize).filter(is_set).collect())
}

/// Lets the calling thread, and threads that it starts, use only these processors.
#[cfg(target_os = "linux")]
pub(crate) fn set_thread_cpus(cpus: &[usize]) -> std::io::Result<()> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: all zeros is an empty set; only numbers below its size are added; 0 is the
    // calling thread, and the set has the size that is stated.
    let result = unsafe {
        for &cpu in cpus.iter().filter(|&&cpu| cpu < libc::CPU_SETSIZE as usize) {
            libc::CPU_SET(cpu, set.assume_init_mut());
        }
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), set.as_ptr())
    };
    if result != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

/// Nothing but Linux reports it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn thread_cpus() -> std::io::Result<Vec<usize>> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// No thread can be kept to processors.
#[cfg(not(target_os = "linux"))]
pub(crate) fn set_thread_cpus(_: &[usize]) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_keeps_to_its_processors() {
        let all = thread_cpus().unwrap();
        let one = all[all.len() - 1];
        let inherited = std::thread::spawn(move || {
            set_thread_cpus(&[one, usize::MAX]).unwrap();
            std::thread::spawn(|| thread_cpus().unwrap())
                .join()
                .unwrap()
        });
        assert_eq!(inherited.join().unwrap(), [one]);
        assert_eq!(thread_cpus().unwrap(), all);
        assert!(set_thread_cpus(&[]).is_err());
    }

    #[test]
    fn file_systems_have_a_size() {
        assert!(filesystem_bytes(Path::new("/")).unwrap() > 0);
        assert_eq!(filesystem_bytes(Path::new("/no/such/path")), None);
    }
}
