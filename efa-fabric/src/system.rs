//! System calls that the standard library does not have.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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
    answer.f_blocks.checked_mul(answer.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_have_a_size() {
        assert!(filesystem_bytes(Path::new("/")).unwrap() > 0);
        assert_eq!(filesystem_bytes(Path::new("/no/such/path")), None);
    }
}
